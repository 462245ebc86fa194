// SPDX-License-Identifier: GPL-3.0-or-later
//
// IPv4 and IPv6 networks as an administrator writes them: "203.0.113.0/24", "2001:db8::/32",
// "192.0.2.1". An IPv4-mapped IPv6 address counts as the IPv4 address that it is.
#ifndef RINGPOST_POLICY_NETWORK_H_
#define RINGPOST_POLICY_NETWORK_H_

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"

namespace ringpost {

// An address in one form: 16 octets, IPv4 as ::ffff:a.b.c.d.
using IpAddress = std::array<std::uint8_t, 16>;
// AF_INET or AF_INET6; anything else gives all zeros.
[[nodiscard]] IpAddress ToIpAddress(const sockaddr& address);

struct Network {
  IpAddress prefix{};         // the octets beyond `length` bits are zero
  std::uint8_t length = 128;  // bits; an IPv4 /24 is 120

  // An IPv4 address is in IPv4 networks only: "::/0" is all of IPv6, "0.0.0.0/0" all of IPv4.
  [[nodiscard]] bool Contains(const IpAddress& address) const;
  // The network of `length` bits that has `address`; a `length` over 128 counts as 128.
  [[nodiscard]] static Network Of(const IpAddress& address, std::uint8_t length);

  friend bool operator==(const Network&, const Network&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Network& network) {
    return H::combine(std::move(h), network.prefix, network.length);
  }
};

// Fails with a sentence that quotes `text`: not an address, a prefix too long, or set bits beyond
// the prefix (it says which network was probably meant).
[[nodiscard]] absl::StatusOr<Network> ParseNetwork(std::string_view text);
[[nodiscard]] std::string FormatNetwork(const Network& network);

}  // namespace ringpost

#endif  // RINGPOST_POLICY_NETWORK_H_
