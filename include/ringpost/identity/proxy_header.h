// SPDX-License-Identifier: GPL-3.0-or-later
//
// The PROXY protocol, versions 1 and 2 (haproxy.org, doc/proxy-protocol.txt): the octets in front
// of a backend connection that say who the client really is, and in version 2 how it is encrypted.
//
// Pure functions. The writers never allocate and never write a part of a header; the reader
// (ringpost-sink and tests) is strict and never reads behind what it was given.
// Invariant: what the writers make, the reader accepts, and no header is longer than
// kProxyHeaderMax.
#ifndef RINGPOST_IDENTITY_PROXY_HEADER_H_
#define RINGPOST_IDENTITY_PROXY_HEADER_H_

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ringpost {

// Longest values that are passed on. A longer one is left out, never cut: half a name is another
// name.
inline constexpr std::size_t kProxyVersionMax = 16;     // "TLSv1.3"
inline constexpr std::size_t kProxyCipherMax = 64;      // the longest we offer has 45 octets
inline constexpr std::size_t kProxyGroupMax = 32;       // "X25519MLKEM768"
inline constexpr std::size_t kProxyAuthorityMax = 255;  // PROTOCOL 27
inline constexpr std::size_t kProxyCommonNameMax = 64;  // ub-common-name of RFC 5280 A.1

// Version 2: 16 octets, two IPv6 addresses with ports; the TLS facts with their four strings; the
// authority. Each TLV has 3 octets of its own.
inline constexpr std::size_t kProxyHeaderBareMax = 16 + 36;
inline constexpr std::size_t kProxyHeaderSslMax =
    kProxyHeaderBareMax + (3 + 5 + 3 + kProxyVersionMax + 3 + kProxyCipherMax + 3 + kProxyGroupMax +
                           3 + kProxyCommonNameMax);
inline constexpr std::size_t kProxyHeaderMax = kProxyHeaderSslMax + (3 + kProxyAuthorityMax);
static_assert(kProxyHeaderMax <= 536, "Postfix and HAProxy read a header of at most 536 octets");

// Version 1: "a 108-byte buffer is always enough to store all the line and a trailing zero".
inline constexpr std::size_t kProxyV1Max = 107;

// How the client is encrypted. An empty view means "not known" and is left out; so is a value with
// a control character in it.
struct ProxyTlsFacts {
  std::string_view version;  // "TLSv1.3"
  std::string_view cipher;   // "TLS_AES_128_GCM_SHA256"
  std::string_view sni;
  std::string_view client_common_name;  // sent only if client_certificate
  std::string_view key_exchange_group;  // "X25519"
  bool client_certificate = false;
  bool verified = false;  // a CA that we trust signed the client's certificate
};

// Which TLVs a header of version 2 may have. Some servers take less than others: nginx 1.22 mail
// 107 octets in all, Exim 4.96 232.
enum class ProxyTlvs : std::uint8_t {
  kNone,
  kSsl,  // PP2_TYPE_SSL: version, cipher, group, certificate
  kAll,  // and PP2_TYPE_AUTHORITY: the name the client asked for
};

// Each writes one whole header to the front of `out`, which holds at least kProxyHeaderMax (V1:
// kProxyV1Max) octets, and returns its length.
//
// Addresses are AF_INET or AF_INET6. An IPv4-mapped pair is written as IPv4; if only one side is
// IPv4, that one is written as IPv4-mapped IPv6. With anything else (a unix socket, nullptr) there
// is nothing to tell: version 2 becomes LOCAL, version 1 "UNKNOWN", and the backend takes the
// connection for the proxy's own. Do not let that happen to a client's connection (PROTOCOL 37).
//
// TLVs that would make the header longer than `octets_max` are left out, the authority first; with
// the addresses alone it has 28 or 52 octets, whatever `octets_max` says.
[[nodiscard]] std::size_t WriteProxyV2(std::span<char> out, const sockaddr* source,
                                       const sockaddr* destination,
                                       const ProxyTlsFacts* tls_or_null,
                                       ProxyTlvs tlvs = ProxyTlvs::kAll,
                                       std::size_t octets_max = kProxyHeaderMax);
[[nodiscard]] std::size_t WriteProxyV1(std::span<char> out, const sockaddr* source,
                                       const sockaddr* destination);
// Health checks only. Filled up to `octets` by a TLV that says nothing (PP2_TYPE_NOOP), as far as
// there is room for one: to see how long a header the backend takes.
[[nodiscard]] std::size_t WriteProxyV2Local(std::span<char> out, std::size_t octets = 0);

enum class ProxyParse : std::uint8_t { kNeedMore, kMalformed, kComplete };

struct ProxyPeer {
  std::string address;  // "192.0.2.1" or "2001:db8::1"; empty if not told
  std::uint16_t port = 0;
};

struct ProxyHeader {
  ProxyParse result = ProxyParse::kNeedMore;
  std::size_t length = 0;  // of the header, with kComplete; what follows belongs to the session
  int version = 0;         // 1 or 2
  bool local = false;  // LOCAL, UNSPEC or UNKNOWN: no addresses, the connection's own ones count
  ProxyPeer source;
  ProxyPeer destination;

  // From the TLVs of version 2.
  std::string authority;
  bool tls = false;                 // the client speaks TLS
  bool client_certificate = false;  // on this connection or in this TLS session
  bool verified = false;            // a certificate was presented and verified
  std::string tls_version;
  std::string tls_cipher;
  std::string tls_group;
  std::string tls_common_name;
};

// Reads the header at the front of `octets`. kNeedMore is possible only below kProxyReadMax octets.
// TLVs of unknown types are skipped; lengths that do not add up, strings with control characters,
// and addresses that are none are malformed.
inline constexpr std::size_t kProxyReadMax = 16 + 4096;
[[nodiscard]] ProxyHeader ParseProxyHeader(std::string_view octets);

}  // namespace ringpost

#endif  // RINGPOST_IDENTITY_PROXY_HEADER_H_
