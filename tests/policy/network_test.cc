// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/policy/network.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>
#include <string>
#include <string_view>

namespace ringpost {
namespace {

using std::string_literals::operator""s;

IpAddress Address(const char* text) {
  sockaddr_storage storage{};
  auto& any = reinterpret_cast<sockaddr&>(storage);
  auto& ipv4 = reinterpret_cast<sockaddr_in&>(storage);
  auto& ipv6 = reinterpret_cast<sockaddr_in6&>(storage);
  if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1) {
    ipv4.sin_family = AF_INET;
  } else {
    EXPECT_EQ(inet_pton(AF_INET6, text, &ipv6.sin6_addr), 1) << text;
    ipv6.sin6_family = AF_INET6;
  }
  return ToIpAddress(any);
}

Network Parse(std::string_view text) {
  const auto network = ParseNetwork(text);
  EXPECT_TRUE(network.ok()) << network.status();
  return network.value_or(Network{});
}

TEST(IpAddress, Ipv4IsMappedAndEverythingElseIsZero) {
  EXPECT_EQ(Address("192.0.2.1"),
            (IpAddress{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 1}));
  EXPECT_EQ(Address("::ffff:192.0.2.1"), Address("192.0.2.1"));
  EXPECT_EQ(Address("2001:db8::1"),
            (IpAddress{0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}));
  sockaddr unix_socket{};
  unix_socket.sa_family = AF_UNIX;
  std::memset(unix_socket.sa_data, 'x', sizeof unix_socket.sa_data);
  EXPECT_EQ(ToIpAddress(unix_socket), IpAddress{});
}

TEST(Network, IsWrittenAsItIsRead) {
  for (const char* text : {"203.0.113.0/24", "192.0.2.1", "0.0.0.0/0", "10.0.0.0/8",
                           "192.0.2.128/25", "192.0.2.254/31", "2001:db8::/32", "2001:db8::1",
                           "::/0", "::1", "2001:db8:0:8000::/49", "::ffff:0:0:0/80"}) {
    EXPECT_EQ(FormatNetwork(Parse(text)), text);
  }
  EXPECT_EQ(FormatNetwork(Parse("192.0.2.1/32")), "192.0.2.1");
  EXPECT_EQ(FormatNetwork(Parse("2001:DB8::1/128")), "2001:db8::1");
  EXPECT_EQ(FormatNetwork(Parse("::ffff:192.0.2.0/120")), "192.0.2.0/24");
  EXPECT_EQ(Parse("::ffff:192.0.2.1"), Parse("192.0.2.1"));
}

TEST(Network, ContainsWhatSharesItsPrefix) {
  struct Row {
    const char* network;
    const char* inside;
    const char* outside;
  };
  const Row rows[] = {
      {"203.0.113.0/24", "203.0.113.255", "203.0.114.0"},
      {"203.0.113.0/24", "::ffff:203.0.113.7", "203.0.112.255"},
      {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
      {"192.0.2.254/31", "192.0.2.255", "192.0.2.253"},
      {"192.0.2.1", "192.0.2.1", "192.0.2.0"},
      {"0.0.0.0/0", "255.255.255.255", "2001:db8::1"},
      {"0.0.0.0/0", "0.0.0.0", "::1"},
      {"128.0.0.0/1", "128.0.0.0", "127.255.255.255"},
      {"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},
      {"2001:db8:0:8000::/49", "2001:db8:0:ffff::", "2001:db8:0:7fff::"},
      {"::/0", "2001:db8::1", "192.0.2.1"},
      {"::/0", "::1", "::ffff:192.0.2.1"},
      {"::1", "::1", "::2"},
  };
  for (const Row& row : rows) {
    EXPECT_TRUE(Parse(row.network).Contains(Address(row.inside))) << row.network << row.inside;
    EXPECT_FALSE(Parse(row.network).Contains(Address(row.outside))) << row.network << row.outside;
  }
}

// Against the slowest way: bit by bit.
TEST(Network, OfKeepsExactlyTheFirstBits) {
  IpAddress ones{};
  ones.fill(0xFF);
  for (unsigned length = 0; length <= 128; ++length) {
    const Network network = Network::Of(ones, static_cast<std::uint8_t>(length));
    EXPECT_EQ(network.length, length);
    for (unsigned bit = 0; bit < 128; ++bit) {
      const bool set = (network.prefix[bit / 8] & (0x80U >> (bit % 8))) != 0;
      EXPECT_EQ(set, bit < length) << length << " " << bit;
    }
  }
  EXPECT_EQ(Network::Of(ones, 255).length, 128);
}

TEST(Network, RefusesWhatIsNoneAndQuotesIt) {
  for (const std::string& text : {""s,
                                  "/"s,
                                  "/24"s,
                                  "example.com"s,
                                  "203.0.113"s,
                                  "203.0.113.0/"s,
                                  "203.0.113.0/33"s,
                                  "203.0.113.0/-1"s,
                                  "203.0.113.0/+8"s,
                                  "203.0.113.0/024"s,
                                  "203.0.113.0/ 24"s,
                                  "203.0.113.0/24/24"s,
                                  "203.0.113.0/2x"s,
                                  "203.0.113.0/1000"s,
                                  " 203.0.113.0"s,
                                  "203.0.113.0 "s,
                                  "203.0.113.256"s,
                                  "010.0.0.1"s,
                                  "0x10.0.0.1"s,
                                  "2001:db8::/129"s,
                                  "2001:db8:::"s,
                                  "fe80::1%eth0"s,
                                  "[::1]"s,
                                  "203.0.113.0/255.255.255.0"s,
                                  "*"s}) {
    const auto network = ParseNetwork(text);
    ASSERT_FALSE(network.ok()) << text;
    EXPECT_NE(network.status().message().find("\"" + text + "\""), absl::string_view::npos)
        << network.status();
  }
  EXPECT_FALSE(ParseNetwork("192.0.2.1\0"s).ok());
}

TEST(Network, SaysWhichNetworkWasProbablyMeant) {
  EXPECT_EQ(ParseNetwork("203.0.113.5/24").status().message(),
            "\"203.0.113.5/24\" has bits set beyond its prefix; the network is "
            "\"203.0.113.0/24\", the address alone \"203.0.113.5\"");
  EXPECT_EQ(ParseNetwork("::ffff:192.0.2.0/24").ok(), false);
  EXPECT_EQ(ParseNetwork("203.0.113.0/33").status().message(),
            "\"203.0.113.0/33\": what follows the slash must be a number of bits from 0 to 32");
}

}  // namespace
}  // namespace ringpost
