// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/policy/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace ringpost {
namespace {

constexpr std::uint8_t kAllBits = 128;
constexpr std::uint8_t kIpv4Start = 96;  // bits in front of the IPv4 address in ::ffff:a.b.c.d
constexpr std::array<std::uint8_t, 12> kIpv4Prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

bool IsIpv4(const IpAddress& address) {
  return std::equal(kIpv4Prefix.begin(), kIpv4Prefix.end(), address.begin());
}

IpAddress FromIpv4(const in_addr& address) {
  IpAddress result{};
  std::copy(kIpv4Prefix.begin(), kIpv4Prefix.end(), result.begin());
  std::memcpy(result.data() + kIpv4Prefix.size(), &address, sizeof address);
  return result;
}

IpAddress FromIpv6(const in6_addr& address) {
  IpAddress result{};
  std::memcpy(result.data(), &address, sizeof address);
  return result;
}

enum class Family : std::uint8_t { kIpv4, kIpv6 };

struct Parsed {
  IpAddress address{};
  Family family = Family::kIpv6;  // as written
};

std::optional<Parsed> ParseAddress(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string terminated(text);
  in_addr ipv4{};
  if (inet_pton(AF_INET, terminated.c_str(), &ipv4) == 1) {
    return Parsed{FromIpv4(ipv4), Family::kIpv4};
  }
  in6_addr ipv6{};
  if (inet_pton(AF_INET6, terminated.c_str(), &ipv6) == 1) {
    return Parsed{FromIpv6(ipv6), Family::kIpv6};
  }
  return std::nullopt;
}

// Digits alone, at most three, without leading zeros.
std::optional<unsigned> ParseLength(std::string_view text) {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text.front() == '0')) {
    return std::nullopt;
  }
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

std::string Quoted(std::string_view text) {
  return absl::StrCat("\"", absl::Utf8SafeCEscape(absl::string_view(text.data(), text.size())),
                      "\"");
}

}  // namespace

IpAddress ToIpAddress(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in ipv4{};
    std::memcpy(&ipv4, &address, sizeof ipv4);
    return FromIpv4(ipv4.sin_addr);
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 ipv6{};
    std::memcpy(&ipv6, &address, sizeof ipv6);
    return FromIpv6(ipv6.sin6_addr);
  }
  return IpAddress{};
}

Network Network::Of(const IpAddress& address, std::uint8_t length) {
  Network network{address, std::min(length, kAllBits)};
  const std::size_t whole = network.length / 8;
  if (whole < network.prefix.size()) {
    const auto mask = static_cast<std::uint8_t>(0xFF00U >> (network.length % 8));
    network.prefix[whole] &= mask;
    std::fill(network.prefix.begin() + static_cast<std::ptrdiff_t>(whole) + 1, network.prefix.end(),
              std::uint8_t{0});
  }
  return network;
}

bool Network::Contains(const IpAddress& address) const {
  if (length < kIpv4Start && IsIpv4(address)) return false;
  return Of(address, length).prefix == prefix;
}

absl::StatusOr<Network> ParseNetwork(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::optional<Parsed> parsed = ParseAddress(text.substr(0, slash));
  if (!parsed) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(text),
                     " is neither an IP address nor a network; write for example "
                     "\"203.0.113.0/24\", \"2001:db8::/32\" or \"192.0.2.1\""));
  }
  if (slash == std::string_view::npos) return Network::Of(parsed->address, kAllBits);

  const bool ipv4 = parsed->family == Family::kIpv4;
  const unsigned longest = ipv4 ? kAllBits - kIpv4Start : kAllBits;
  const std::optional<unsigned> length = ParseLength(text.substr(slash + 1));
  if (!length || *length > longest) {
    return absl::InvalidArgumentError(absl::StrCat(
        Quoted(text), ": what follows the slash must be a number of bits from 0 to ", longest));
  }
  const auto bits = static_cast<std::uint8_t>(ipv4 ? *length + kIpv4Start : *length);
  const Network network = Network::Of(parsed->address, bits);
  if (network.prefix != parsed->address) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(text), " has bits set beyond its prefix; the network is ",
                     Quoted(FormatNetwork(network)), ", the address alone ",
                     Quoted(FormatNetwork(Network::Of(parsed->address, kAllBits)))));
  }
  return network;
}

std::string FormatNetwork(const Network& network) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool ipv4 = network.length >= kIpv4Start && IsIpv4(network.prefix);
  const std::uint8_t start = ipv4 ? kIpv4Start : 0;
  inet_ntop(ipv4 ? AF_INET : AF_INET6, network.prefix.data() + start / 8, text.data(),
            static_cast<socklen_t>(text.size()));
  if (network.length == kAllBits) return text.data();
  return absl::StrCat(text.data(), "/", network.length - start);
}

}  // namespace ringpost
