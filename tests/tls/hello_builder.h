// SPDX-License-Identifier: GPL-3.0-or-later
//
// ClientHellos made by hand, so that tests can offer what no library would.
#ifndef RINGPOST_TESTS_TLS_HELLO_BUILDER_H_
#define RINGPOST_TESTS_TLS_HELLO_BUILDER_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/support.h"

namespace ringpost::test {

// The content behind its length.
std::string Vector(int octets, std::string_view content);
std::string Record(unsigned type, std::string_view content, unsigned version = 0x0301);
// Cuts handshake octets into records of `size` octets.
std::string Fragmented(std::string_view message, std::size_t size, unsigned version = 0x0301);

struct HelloBuilder {
  unsigned legacy_version = 0x0303;
  std::string session_id = std::string(32, 's');
  std::vector<unsigned> suites = {0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f};
  std::string compression = std::string(1, '\0');
  // In order; the content without its length.
  std::vector<std::pair<unsigned, std::string>> extensions;
  bool no_extensions = false;  // not even an empty list

  // What a usual client of TLS 1.3 and 1.2 sends, with X25519 in its key share.
  static HelloBuilder Usual();
  // The same without supported_versions and key_share.
  static HelloBuilder Tls12();

  HelloBuilder& Set(unsigned type, std::string content);  // replaces or appends
  HelloBuilder& Remove(unsigned type);
  HelloBuilder& ServerName(std::string_view name);
  HelloBuilder& Alpn(const std::vector<std::string>& protocols);
  HelloBuilder& List(unsigned type, const std::vector<unsigned>& values);  // of 16-bit values

  [[nodiscard]] std::string Message() const;  // handshake message with its header
  [[nodiscard]] std::string Records() const { return Record(22, Message()); }
};

inline constexpr unsigned kServerName = 0;
inline constexpr unsigned kSupportedGroups = 10;
inline constexpr unsigned kSignatureAlgorithms = 13;
inline constexpr unsigned kAlpn = 16;
inline constexpr unsigned kPreSharedKey = 41;
inline constexpr unsigned kEarlyData = 42;
inline constexpr unsigned kSupportedVersions = 43;
inline constexpr unsigned kPskModes = 45;
inline constexpr unsigned kKeyShare = 51;
inline constexpr unsigned kRenegotiationInfo = 0xff01;

}  // namespace ringpost::test

#endif  // RINGPOST_TESTS_TLS_HELLO_BUILDER_H_
