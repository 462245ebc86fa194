// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/identity/xclient.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace ringpost {
namespace {

using std::string_literals::operator""s;

XclientAttributes Advertised(std::string_view line) {
  XclientAttributes attributes;
  EXPECT_TRUE(ParseXclientAttributes(line, &attributes)) << line;
  return attributes;
}

const char kPostfix[] = "XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT";

TEST(XclientAttributes, ReadsPostfixsLine) {
  const XclientAttributes all = Advertised(kPostfix);
  EXPECT_TRUE(all.name && all.addr && all.port && all.proto && all.helo && all.login &&
              all.destaddr && all.destport);
  const XclientAttributes some = Advertised("xclient  Addr  pOrT ");
  EXPECT_TRUE(some.addr && some.port);
  EXPECT_FALSE(some.name || some.login || some.destaddr || some.destport);
}

TEST(XclientAttributes, NothingButTheWholeKeyword) {
  EXPECT_FALSE(Advertised("XCLIENT").addr);
  EXPECT_FALSE(Advertised("XCLIENT ADDRESS ADD").addr);
  XclientAttributes attributes;
  attributes.addr = true;
  for (const char* line : {"", "XCLIENTS ADDR", "XCLIEN ADDR", "XFORWARD ADDR", " XCLIENT ADDR",
                           "XCLIENT=ADDR", "XCLIENT\tADDR"}) {
    EXPECT_FALSE(ParseXclientAttributes(line, &attributes)) << line;
    EXPECT_TRUE(attributes.addr) << "untouched";
  }
}

// PROTOCOL 39
TEST(XclientCommands, OnlyWhatIsAdvertisedAndAddrLast) {
  const auto all = XclientCommands(Advertised(kPostfix), "192.0.2.1", 1234, "198.51.100.2", 25);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0],
            "XCLIENT NAME=[UNAVAILABLE] PORT=1234 DESTADDR=198.51.100.2 DESTPORT=25 "
            "ADDR=192.0.2.1\r\n");
  const auto few =
      XclientCommands(Advertised("XCLIENT ADDR"), "192.0.2.1", 1234, "198.51.100.2", 25);
  ASSERT_EQ(few.size(), 1U);
  EXPECT_EQ(few[0], "XCLIENT ADDR=192.0.2.1\r\n");
}

TEST(XclientCommands, Ipv6) {
  const auto commands = XclientCommands(Advertised(kPostfix), "2001:DB8:0::1", 1, "::1", 465);
  ASSERT_EQ(commands.size(), 1U);
  EXPECT_EQ(commands[0],
            "XCLIENT NAME=[UNAVAILABLE] PORT=1 DESTADDR=IPV6:::1 DESTPORT=465 "
            "ADDR=IPV6:2001:db8::1\r\n");
  const auto mapped = XclientCommands(Advertised("XCLIENT ADDR"), "::ffff:192.0.2.1", 1, "", 0);
  ASSERT_EQ(mapped.size(), 1U);
  EXPECT_EQ(mapped[0], "XCLIENT ADDR=192.0.2.1\r\n");
}

TEST(XclientCommands, LongestFits) {
  const char widest[] = "2001:db8:1111:2222:3333:4444:5555:6666";
  const auto commands = XclientCommands(Advertised(kPostfix), widest, 65535, widest, 65535);
  ASSERT_EQ(commands.size(), 1U);
  EXPECT_LE(commands[0].size(), kXclientCommandMax);
}

// A client that cannot be named must not become the proxy's own address.
TEST(XclientCommands, NoneWithoutAnAddress) {
  EXPECT_TRUE(XclientCommands(Advertised("XCLIENT NAME PORT"), "192.0.2.1", 1, "", 0).empty());
  for (const std::string& hostile :
       {""s, "localhost"s, "192.0.2.1\r\nQUIT"s, "192.0.2.1 LOGIN=root"s, "192.0.2.1\0"s,
        "IPV6:2001:db8::1"s, "fe80::1%eth0"s, std::string(600, '1')}) {
    EXPECT_TRUE(XclientCommands(Advertised(kPostfix), hostile, 1, "", 0).empty()) << hostile;
    const auto commands = XclientCommands(Advertised(kPostfix), "192.0.2.1", 1, hostile, 25);
    ASSERT_EQ(commands.size(), 1U);
    EXPECT_EQ(commands[0], "XCLIENT NAME=[UNAVAILABLE] PORT=1 ADDR=192.0.2.1\r\n");
  }
}

TEST(XclientCommand, ReadsBackWhatIsWritten) {
  auto commands = XclientCommands(Advertised(kPostfix), "2001:db8::1", 1234, "198.51.100.2", 25);
  ASSERT_EQ(commands.size(), 1U);
  commands[0].resize(commands[0].size() - 2);
  const auto command = ParseXclientCommand(commands[0]);
  ASSERT_TRUE(command.has_value());
  EXPECT_EQ(command->addr, "2001:db8::1");
  EXPECT_EQ(command->port, "1234");
  EXPECT_EQ(command->destaddr, "198.51.100.2");
  EXPECT_EQ(command->destport, "25");
  EXPECT_EQ(command->name, "[UNAVAILABLE]");
  EXPECT_FALSE(command->login.has_value());
}

TEST(XclientCommand, Xtext) {
  const auto command = ParseXclientCommand("xclient NAME=a+2Bb+3Dc HELO=x+20y LOGIN=u");
  ASSERT_TRUE(command.has_value());
  EXPECT_EQ(command->name, "a+b=c");
  EXPECT_EQ(command->helo, "x y");
  EXPECT_EQ(command->login, "u");
  EXPECT_EQ(ParseXclientCommand("XCLIENT ADDR=[TEMPUNAVAIL]")->addr, "[TEMPUNAVAIL]");
  EXPECT_EQ(ParseXclientCommand("XCLIENT ADDR=ipv6:::ffff:192.0.2.1")->addr, "192.0.2.1");
}

TEST(XclientCommand, Malformed) {
  for (const std::string& line : {""s,
                                  "XCLIENT"s,
                                  "XCLIENT "s,
                                  "XCLIENT ADDR"s,
                                  "XCLIENT ADDR="s,
                                  "XCLIENT =1"s,
                                  "XCLIENT ADDR=192.0.2.1 ADDR=192.0.2.2"s,
                                  "XCLIENT ADDR=192.0.2.256"s,
                                  "XCLIENT ADDR=2001:db8::1"s,
                                  "XCLIENT ADDR=IPV6:192.0.2.1"s,
                                  "XCLIENT FOO=1"s,
                                  "XCLIENT NAME=a+0D+0AXCLIENT"s,
                                  "XCLIENT NAME=a+00"s,
                                  "XCLIENT NAME=a+2"s,
                                  "XCLIENT NAME=a+"s,
                                  "XCLIENT NAME=a+2b"s,
                                  "XCLIENT NAME=a=b"s,
                                  "XCLIENT NAME=a\tb"s,
                                  "XCLIENT NAME=\xC3\xA9"s,
                                  "XCLIENT PORT=65536"s,
                                  "XCLIENT PORT=-1"s,
                                  "XCLIENT PORT="s,
                                  " XCLIENT ADDR=192.0.2.1"s,
                                  "XCLIENTADDR=192.0.2.1"s,
                                  "XFORWARD ADDR=192.0.2.1"s,
                                  "XCLIENT NAME=" + std::string(500, 'x')}) {
    EXPECT_FALSE(ParseXclientCommand(line).has_value()) << testing::PrintToString(line);
  }
}

}  // namespace
}  // namespace ringpost
