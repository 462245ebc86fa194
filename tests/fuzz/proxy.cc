// SPDX-License-Identifier: GPL-3.0-or-later
//
// PROXY headers, read and written (PROTOCOL 37). The input is read as what a backend receives; and
// taken apart into a client's facts, which are written and read back.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "ringpost/identity/proxy_header.h"

namespace ringpost {
namespace {

bool SameHeader(const ProxyHeader& a, const ProxyHeader& b) {
  return a.result == b.result && a.length == b.length && a.version == b.version &&
         a.local == b.local && a.source.address == b.source.address &&
         a.source.port == b.source.port && a.destination.address == b.destination.address &&
         a.destination.port == b.destination.port && a.authority == b.authority && a.tls == b.tls &&
         a.client_certificate == b.client_certificate && a.verified == b.verified &&
         a.tls_version == b.tls_version && a.tls_cipher == b.tls_cipher &&
         a.tls_group == b.tls_group && a.tls_common_name == b.tls_common_name;
}

bool Plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 32 && c != 127; });
}

void CheckAddress(const ProxyPeer& peer) {
  std::array<char, sizeof(in6_addr)> octets{};
  RINGPOST_CHECK(inet_pton(AF_INET, peer.address.c_str(), octets.data()) == 1 ||
                 inet_pton(AF_INET6, peer.address.c_str(), octets.data()) == 1);
}

// Each header that is complete says nothing that could end a line in a log.
void CheckHeader(const ProxyHeader& header, std::size_t octets) {
  if (header.result == ProxyParse::kNeedMore) {
    RINGPOST_CHECK(octets < kProxyReadMax);
    return;
  }
  if (header.result != ProxyParse::kComplete) return;
  RINGPOST_CHECK(header.length > 0 && header.length <= octets && header.length <= kProxyReadMax);
  RINGPOST_CHECK(header.version == 1 || header.version == 2);
  RINGPOST_CHECK(!header.verified || header.client_certificate);
  if (!header.local) {
    CheckAddress(header.source);
    CheckAddress(header.destination);
  }
  for (const std::string& text : {header.authority, header.tls_version, header.tls_cipher,
                                  header.tls_group, header.tls_common_name}) {
    RINGPOST_CHECK(Plain(text));
  }
}

void ReadInput(std::string_view input) {
  const ProxyHeader whole = ParseProxyHeader(input);
  CheckHeader(whole, input.size());
  const fuzz::Exact exact(input.substr(0, fuzz::HashOf(input) % (input.size() + 1)));
  const ProxyHeader part = ParseProxyHeader(exact.view());
  CheckHeader(part, exact.view().size());
  if (part.result != ProxyParse::kNeedMore) RINGPOST_CHECK(SameHeader(part, whole));
  if (whole.result == ProxyParse::kComplete) {
    // Complete with its last octet, not before, and whatever follows.
    const fuzz::Exact alone(input.substr(0, whole.length));
    RINGPOST_CHECK(SameHeader(ParseProxyHeader(alone.view()), whole));
    const ProxyHeader less = ParseProxyHeader(alone.view().substr(0, whole.length - 1));
    RINGPOST_CHECK(less.result == ProxyParse::kNeedMore);
  }
}

// --- Facts that are written

struct Address {
  sockaddr_in6 octets{};  // either family fits
  const sockaddr* pointer = nullptr;
  bool known = false;
  bool ipv4 = false;  // also as IPv4-mapped IPv6
  std::string ipv4_text;
  std::string ipv6_text;
  std::uint16_t port = 0;
};

void ReadAddress(fuzz::Choices* choices, Address* address) {
  const std::size_t kind = choices->Below(8);
  in6_addr ipv6{};
  for (std::uint8_t& octet : ipv6.s6_addr) octet = choices->Octet();
  address->port = choices->Number16();
  if (kind < 3) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(address->port);
    std::memcpy(&in.sin_addr, &ipv6.s6_addr[12], 4);
    std::memcpy(&address->octets, &in, sizeof in);
    std::memset(&ipv6, 0, 10);
    std::memset(&ipv6.s6_addr[10], 0xff, 2);
  } else if (kind < 7) {
    if (kind == 6) {
      std::memset(&ipv6, 0, 10);
      std::memset(&ipv6.s6_addr[10], 0xff, 2);
    }
    address->octets.sin6_family = AF_INET6;
    address->octets.sin6_port = htons(address->port);
    address->octets.sin6_addr = ipv6;
  } else {
    address->octets.sin6_family = AF_UNIX;
  }
  address->known = kind < 7;
  address->ipv4 = IN6_IS_ADDR_V4MAPPED(&ipv6);
  address->pointer = reinterpret_cast<const sockaddr*>(&address->octets);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address->ipv4) {
    address->ipv4_text = inet_ntop(AF_INET, &ipv6.s6_addr[12], text.data(), text.size());
  }
  address->ipv6_text = inet_ntop(AF_INET6, &ipv6, text.data(), text.size());
}

// What is passed on of a text: all of it or nothing.
std::string_view Kept(std::string_view text, std::size_t max) {
  return text.size() <= max && Plain(text) ? text : std::string_view();
}

void Addresses(const ProxyHeader& header, const Address& from, const Address& to) {
  RINGPOST_CHECK(header.local == !(from.known && to.known));
  if (header.local) return;
  const bool ipv4 = from.ipv4 && to.ipv4;
  RINGPOST_CHECK(header.source.address == (ipv4 ? from.ipv4_text : from.ipv6_text));
  RINGPOST_CHECK(header.destination.address == (ipv4 ? to.ipv4_text : to.ipv6_text));
  RINGPOST_CHECK(header.source.port == from.port && header.destination.port == to.port);
}

void WriteFacts(std::string_view input) {
  fuzz::Choices choices(input);
  Address from;
  Address to;
  ReadAddress(&choices, &from);
  ReadAddress(&choices, &to);
  ProxyTlsFacts facts;
  const std::uint8_t flags = choices.Octet();
  facts.client_certificate = (flags & 1) != 0;
  facts.verified = (flags & 2) != 0;
  const bool tls = (flags & 4) == 0;
  facts.version = choices.Text();
  facts.cipher = choices.Text();
  facts.key_exchange_group = choices.Text();
  facts.client_common_name = choices.Text();
  facts.sni = choices.rest();

  std::array<char, kProxyHeaderMax> out;
  std::size_t length = WriteProxyV2(out, from.pointer, to.pointer, tls ? &facts : nullptr);
  RINGPOST_CHECK(length <= out.size());
  ProxyHeader header = ParseProxyHeader({out.data(), length});
  RINGPOST_CHECK(header.result == ProxyParse::kComplete && header.length == length);
  RINGPOST_CHECK(header.version == 2);
  Addresses(header, from, to);
  if (!header.local) {
    RINGPOST_CHECK(header.tls == tls);
    RINGPOST_CHECK(header.client_certificate == (tls && facts.client_certificate));
    RINGPOST_CHECK(header.verified == (tls && facts.client_certificate && facts.verified));
    if (tls) {
      RINGPOST_CHECK(header.tls_version == Kept(facts.version, kProxyVersionMax));
      RINGPOST_CHECK(header.tls_cipher == Kept(facts.cipher, kProxyCipherMax));
      RINGPOST_CHECK(header.tls_group == Kept(facts.key_exchange_group, kProxyGroupMax));
      RINGPOST_CHECK(header.authority == Kept(facts.sni, kProxyAuthorityMax));
      RINGPOST_CHECK(header.tls_common_name ==
                     (facts.client_certificate ? Kept(facts.client_common_name, kProxyCommonNameMax)
                                               : std::string_view()));
    }
  }

  std::array<char, kProxyV1Max> line;
  length = WriteProxyV1(line, from.pointer, to.pointer);
  RINGPOST_CHECK(length <= line.size());
  header = ParseProxyHeader({line.data(), length});
  RINGPOST_CHECK(header.result == ProxyParse::kComplete && header.length == length);
  RINGPOST_CHECK(header.version == 1 && !header.tls);
  Addresses(header, from, to);
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  const std::string_view input = fuzz::View(data, size);
  ReadInput(input);
  // What begins like a header is for the reader alone.
  if (!input.starts_with("PROXY") && !input.starts_with("\r\n\r\n")) WriteFacts(input);
  return 0;
}
