// SPDX-License-Identifier: GPL-3.0-or-later
//
// Constants of the PROXY protocol's wire form, for the reader and the writer of this folder. Names
// and numbers are those of haproxy.org, doc/proxy-protocol.txt, 2.2.
#ifndef RINGPOST_IDENTITY_PROXY_WIRE_H_
#define RINGPOST_IDENTITY_PROXY_WIRE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringpost::proxy_wire {

inline constexpr std::string_view kSignature{"\r\n\r\n\0\r\nQUIT\n", 12};
inline constexpr std::size_t kFixedBytes = 16;   // signature, version and command, family, length
inline constexpr std::size_t kTlvHeadBytes = 3;  // type, length
inline constexpr std::size_t kSslHeadBytes = 5;  // client, verify

inline constexpr std::uint8_t kVersion2 = 0x20;
inline constexpr std::uint8_t kCommandLocal = 0x00;
inline constexpr std::uint8_t kCommandProxy = 0x01;

inline constexpr std::uint8_t kFamilyUnspec = 0x00;
inline constexpr std::uint8_t kFamilyTcp4 = 0x11;
inline constexpr std::uint8_t kFamilyTcp6 = 0x21;
inline constexpr std::uint8_t kFamilyUnix = 0x31;
inline constexpr std::size_t kTcp4Bytes = 12;
inline constexpr std::size_t kTcp6Bytes = 36;
inline constexpr std::size_t kUnixBytes = 216;

inline constexpr std::uint8_t kTypeAuthority = 0x02;
inline constexpr std::uint8_t kTypeNoop = 0x04;
inline constexpr std::uint8_t kTypeSsl = 0x20;
inline constexpr std::uint8_t kSubtypeSslVersion = 0x21;
inline constexpr std::uint8_t kSubtypeSslCommonName = 0x22;
inline constexpr std::uint8_t kSubtypeSslCipher = 0x23;
inline constexpr std::uint8_t kSubtypeSslGroup = 0x26;

inline constexpr std::uint8_t kClientSsl = 0x01;
inline constexpr std::uint8_t kClientCertConnection = 0x02;
inline constexpr std::uint8_t kClientCertSession = 0x04;

// Neither side lets a control character through: these strings end in logs, headers and terminals.
inline bool IsPlainText(std::string_view text) {
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 32 || octet == 127) return false;
  }
  return true;
}

}  // namespace ringpost::proxy_wire

#endif  // RINGPOST_IDENTITY_PROXY_WIRE_H_
