// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/config/address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <string>

#include "fixture.h"

namespace ringpost {
namespace {

Endpoint Good(std::string_view text) {
  absl::StatusOr<Endpoint> endpoint = ParseEndpoint(text);
  EXPECT_TRUE(endpoint.ok()) << text << ": " << endpoint.status();
  return endpoint.ok() ? *endpoint : Endpoint{};
}

TEST(Address, Ipv4) {
  const Endpoint endpoint = Good("192.0.2.1:10025");
  EXPECT_EQ(endpoint.text, "192.0.2.1:10025");
  EXPECT_EQ(endpoint.address.in.sin_family, AF_INET);
  EXPECT_EQ(ntohs(endpoint.address.in.sin_port), 10025);
  EXPECT_EQ(ntohl(endpoint.address.in.sin_addr.s_addr), 0xC0000201U);
  EXPECT_EQ(endpoint.length, sizeof(sockaddr_in));
}

TEST(Address, Ipv6) {
  const Endpoint endpoint = Good("[2001:db8::7]:65535");
  EXPECT_EQ(endpoint.address.in6.sin6_family, AF_INET6);
  EXPECT_EQ(ntohs(endpoint.address.in6.sin6_port), 65535);
  EXPECT_EQ(endpoint.address.in6.sin6_addr.s6_addr[15], 7);
  EXPECT_EQ(endpoint.length, sizeof(sockaddr_in6));
}

TEST(Address, Unix) {
  const Endpoint endpoint = Good("unix:/run/postfix-in");
  EXPECT_EQ(endpoint.address.un.sun_family, AF_UNIX);
  EXPECT_STREQ(endpoint.address.un.sun_path, "/run/postfix-in");
  EXPECT_EQ(endpoint.length, sizeof(sa_family_t) + 16);
  EXPECT_TRUE(ParseEndpoint("unix:" + std::string(107, 'p')).ok());
  ExpectSaying(ParseEndpoint("unix:" + std::string(108, 'p')).status(), "at most 107 octets");
}

TEST(Address, Refused) {
  const struct {
    std::string text;
    const char* words;
  } cases[] = {
      {"", "has no port"},
      {"25", "has no port"},
      {"127.0.0.1", "has no port"},
      {"127.0.0.1:", "has no port from 1 to 65535"},
      {"127.0.0.1:0", "has no port from 1 to 65535"},
      {"127.0.0.1:65536", "has no port from 1 to 65535"},
      {"127.0.0.1:-1", "has no port from 1 to 65535"},
      {"127.0.0.1:25x", "has no port from 1 to 65535"},
      {"127.0.0.1:smtp", "has no port from 1 to 65535"},
      {":25", "does not begin with an IP address"},
      {"*:25", "does not begin with an IP address"},
      {"localhost:25", "begins with a host name, and those are for upstreams only"},
      {" 127.0.0.1:25", "has a blank at its beginning or end"},
      {"127.0.0.1:25 ", "has a blank at its beginning or end"},
      {"inet:127.0.0.1:25",
       "begins with \"inet:\", which ringpost does not write; write 127.0.0.1:25"},
      {"inet:[::1]:25", "; write [::1]:25"},
      {"smtp://127.0.0.1:25", "; write 127.0.0.1:25"},
      {"local:/run/x", "; write unix:/run/x"},
      {"inet:localhost:25",
       "\"inet:\", which ringpost does not write; write 127.0.0.1:10025, [::1]"},
      {"inet:inet:127.0.0.1:25", "; write 127.0.0.1:10025, [::1]:10025 or unix:/path"},
      {"127.1:25", "does not begin with an IP address"},
      {"::1:25", "without brackets"},
      {"[::1]", "has no port"},
      {"[]:25", "no IPv6 address between its brackets"},
      {"[127.0.0.1]:25", "no IPv6 address between its brackets"},
      {"[fe80::1%eth0]:25", "no IPv6 address between its brackets"},
      {std::string("127.0.0.1\0:25", 13), "contains a NUL"},
      {"unix:", "has no path"},
      {"/run/postfix-in", "write unix:/run/postfix-in"},
      {std::string("unix:/a\0b", 9), "contains a NUL"},
  };
  for (const auto& bad : cases) {
    SCOPED_TRACE(bad.text);
    ExpectSaying(ParseEndpoint(bad.text).status(), bad.words);
  }
}

TEST(Address, UpstreamTargets) {
  for (const std::string_view host :
       {"localhost", "mail.example", "mail.example.", "postfix", "my_mail-1", "a.1x",
        "xn--bcher-kva.example", "1.2.3.example"}) {
    const auto target = ParseUpstreamTarget(std::string(host) + ":10025", "10025");
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(target->host, host);
    EXPECT_EQ(target->port, htons(10025));
    EXPECT_EQ(target->endpoint.text, std::string(host) + ":10025");
    EXPECT_FALSE(target->endpoint.known());
  }
  for (const std::string text : {"127.0.0.1:25", "[::1]:25", "unix:/run/x"}) {
    const auto target = ParseUpstreamTarget(text, "10025");
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_TRUE(target->host.empty());
    EXPECT_TRUE(SameEndpoint(target->endpoint, Good(text)));
  }
  for (const std::string text :
       {"mail.example", "mail.example:", "mail.example:0", "mail.example:smtp", "mail..example:25",
        ".mail:25", "-mail.example:25", "mail-.example:25", "m ail:25", "m\xc3\xa4il.example:25",
        "127.1:25", "1.2.3.256:25", "1:25", "mail.example.1:25", "*:25", ":25",
        "user@mail.example:25", "inet:mail.example:25"}) {
    EXPECT_FALSE(ParseUpstreamTarget(text, "10025").ok()) << text;
  }
  EXPECT_FALSE(ParseUpstreamTarget(std::string(64, 'a') + ".example:25", "10025").ok());
  ExpectSaying(ParseUpstreamTarget("mail.example", "10025").status(), "write mail.example:10025");
  ExpectSaying(ParseUpstreamTarget("mail..example:25", "10025").status(),
               "begins with neither an IP address nor a host name");
  std::string longest(63, 'a');
  longest += "." + longest + "." + longest + "." + std::string(61, 'a');
  EXPECT_TRUE(ParseUpstreamTarget(longest + ":25", "10025").ok());
  EXPECT_FALSE(ParseUpstreamTarget(longest + "a:25", "10025").ok());
}

TEST(Address, NameServers) {
  const struct {
    const char* text;
    const char* wanted;
  } cases[] = {{"127.0.0.1", "127.0.0.1:53"},
               {"127.0.0.1:5353", "127.0.0.1:5353"},
               {"::1", "[::1]:53"},
               {"[::1]", "[::1]:53"},
               {"[2001:db8::1]:54", "[2001:db8::1]:54"}};
  for (const auto& good : cases) {
    const auto server = ParseNameServer(good.text);
    ASSERT_TRUE(server.ok()) << server.status();
    EXPECT_TRUE(SameEndpoint(*server, Good(good.wanted))) << good.text;
  }
  for (const std::string text :
       {"", "unix:/run/x", "ns.example", "127.0.0.1:0", "[::1", "127.0.0.1@53", "1.2.3"}) {
    ExpectSaying(ParseNameServer(text).status(), "is no address of a name server");
  }
}

// Of host names nothing is known but the name.
TEST(Address, SameOfHosts) {
  const Endpoint one = ParseUpstreamTarget("one.example:25", "10025")->endpoint;
  EXPECT_TRUE(SameEndpoint(one, ParseUpstreamTarget("one.example:25", "10025")->endpoint));
  EXPECT_FALSE(SameEndpoint(one, ParseUpstreamTarget("two.example:25", "10025")->endpoint));
  EXPECT_FALSE(SameEndpoint(one, Good("127.0.0.1:25")));
  EXPECT_FALSE(IsLocal(one));
  EXPECT_FALSE(ReachesListener(one, Good("0.0.0.0:25")));
}

TEST(Address, Same) {
  EXPECT_TRUE(SameEndpoint(Good("[::1]:25"), Good("[0:0::1]:25")));
  EXPECT_FALSE(SameEndpoint(Good("[::1]:25"), Good("[::1]:26")));
  EXPECT_FALSE(SameEndpoint(Good("127.0.0.1:25"), Good("127.0.0.2:25")));
  EXPECT_FALSE(SameEndpoint(Good("unix:/a"), Good("unix:/b")));
}

TEST(Address, ReachesListener) {
  const auto reaches = [](std::string_view upstream, std::string_view listener) {
    return ReachesListener(Good(upstream), Good(listener));
  };
  EXPECT_TRUE(reaches("127.0.0.1:25", "127.0.0.1:25"));
  EXPECT_TRUE(reaches("127.0.0.1:25", "0.0.0.0:25"));
  EXPECT_TRUE(reaches("[::1]:25", "[::]:25"));
  EXPECT_TRUE(reaches("0.0.0.0:25", "127.0.0.1:25"));
  EXPECT_TRUE(reaches("[::]:25", "[::1]:25"));
  EXPECT_FALSE(reaches("127.0.0.1:25", "127.0.0.2:25"));
  EXPECT_FALSE(reaches("127.0.0.1:26", "0.0.0.0:25"));
  EXPECT_FALSE(reaches("127.0.0.1:25", "[::]:25"));
  EXPECT_FALSE(reaches("192.0.2.1:25", "0.0.0.0:25"));
  EXPECT_FALSE(reaches("unix:/a", "0.0.0.0:25"));
}

}  // namespace
}  // namespace ringpost
