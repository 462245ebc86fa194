// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/smtp/command.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace ringpost {
namespace {

using namespace std::string_view_literals;

TEST(CommandTest, FindsVerbsInAnyCase) {
  EXPECT_EQ(FindCommand("mail FROM:<>").verb, Verb::kMail);
  EXPECT_EQ(FindCommand("MaIl\r\n").verb, Verb::kMail);
  EXPECT_EQ(FindCommand("STARTTLS").verb, Verb::kStarttls);
  EXPECT_EQ(FindCommand("STARTTL").verb, Verb::kUnknown);
  EXPECT_EQ(FindCommand("STARTTLSX").verb, Verb::kUnknown);
  EXPECT_EQ(FindCommand("MAIL\tFROM").verb, Verb::kUnknown);
  EXPECT_EQ(FindCommand("MAIL\0"sv).verb, Verb::kUnknown);
  EXPECT_EQ(FindCommand("").verb, Verb::kUnknown);
  EXPECT_EQ(FindCommand("xclient ADDR=1").verb, Verb::kIdentity);
  EXPECT_EQ(FindCommand("XFORWARD").verb, Verb::kIdentity);
}

TEST(CommandTest, KnowsOtherProtocols) {
  for (const std::string_view line :
       {"GET / HTTP/1.1", "post / HTTP/1.1", "CONNECT a:25", "OPTIONS * HTTP/1.1", "PUT /",
        "HEAD /", "PRI * HTTP/2.0", "Host: x", "User-Agent: y", "PROXY TCP4 127.0.0.1"}) {
    EXPECT_EQ(FindCommand(line).verb, Verb::kForeign) << line;
  }
  EXPECT_EQ(FindCommand(":").verb, Verb::kUnknown);
  EXPECT_EQ(FindCommand("MAIL FROM:<a>").verb, Verb::kMail);
}

TEST(CommandTest, LineLimits) {
  EXPECT_EQ(FindCommand("NOOP").line_max, 512);
  EXPECT_EQ(FindCommand("AUTH PLAIN").line_max, 12288);
  EXPECT_EQ(FindCommand("MAIL").line_max, 512 + 735);
  EXPECT_EQ(FindCommand("RCPT").line_max, 512 + 536);
}

TEST(CommandTest, ChecksLines) {
  EXPECT_EQ(CheckLine("NOOP").fault, LineFault::kNone);
  EXPECT_EQ(CheckLine("").fault, LineFault::kEmpty);
  EXPECT_EQ(CheckLine(" NOOP").fault, LineFault::kLeadingBlank);
  EXPECT_EQ(CheckLine("\tNOOP").fault, LineFault::kLeadingBlank);
  EXPECT_EQ(CheckLine("NO\rOP").fault, LineFault::kBareNewline);
  EXPECT_EQ(CheckLine("NOOP\r").fault, LineFault::kBareNewline);
  EXPECT_EQ(CheckLine("NO\nOP").fault, LineFault::kBareNewline);
  EXPECT_EQ(CheckLine("NOOP \0"sv).fault, LineFault::kNul);
  EXPECT_EQ(CheckLine("NOOP").charset, LineCharset::kAscii);
}

TEST(CommandTest, ChecksUtf8) {
  for (const std::string_view valid :
       {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x93\xAE", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"}) {
    const LineCheck check = CheckLine("RCPT TO:<" + std::string(valid) + "@b>");
    EXPECT_EQ(check.fault, LineFault::kNone);
    EXPECT_EQ(check.charset, LineCharset::kUtf8);
  }
  for (const std::string_view invalid :
       {"\x80", "\xC3", "\xC0\xAF", "\xC1\xBF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF0\x80\x80\xAF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE2\x82"}) {
    EXPECT_EQ(CheckLine("RCPT TO:<" + std::string(invalid) + "@b>").fault, LineFault::kInvalidUtf8);
    EXPECT_EQ(CheckLine("x" + std::string(invalid)).fault, LineFault::kInvalidUtf8);
  }
}

TEST(CommandTest, NulAndNewlinesCountBehindInvalidUtf8) {
  EXPECT_EQ(CheckLine("a\xff\0b"sv).fault, LineFault::kNul);
  EXPECT_EQ(CheckLine("a\xff\rb"sv).fault, LineFault::kBareNewline);
  EXPECT_EQ(CheckLine("a\xff\nb"sv).fault, LineFault::kBareNewline);
}

// PROTOCOL 14: the backend judges what has no control character.
TEST(CommandTest, HelloNames) {
  for (const std::string_view name : {""sv,
                                      "a"sv,
                                      "mail.example.org"sv,
                                      "[192.0.2.1]"sv,
                                      "[IPv6:2001:db8::1]"sv,
                                      "my_host"sv,
                                      "my printer"sv,
                                      "Anna's-PC"sv,
                                      "(none)"sv,
                                      "[fe80::1%eth0]"sv,
                                      "a;b"sv,
                                      "a\""sv,
                                      "a=b"sv,
                                      "a/b"sv,
                                      "dr\xC3\xBC"
                                      "cker"sv,
                                      "dr\xFC"
                                      "cker"sv,
                                      "\xC2\xA0"sv,
                                      "\xC2"sv,
                                      " a"sv,
                                      "+"sv,
                                      "a+1"sv,
                                      "a+2B"sv,
                                      "a+20b"sv,
                                      "+GG"sv}) {
    EXPECT_TRUE(MayBeHelloName(name)) << name;
  }
  for (const std::string_view name :
       {"a\0b"sv, "a\tb"sv, "a\rb"sv, "a\nb"sv, "\x1b[2J"sv, "a\x7F"sv, "\xC2\x80"sv, "\xC2\x9F"sv,
        "a+0D+0AXCLIENT"sv, "+00"sv, "a+0a"sv, "a+7F"sv, "+1b"sv}) {
    EXPECT_FALSE(MayBeHelloName(name)) << testing::PrintToString(std::string(name));
  }
  EXPECT_TRUE(MayBeHelloName(std::string(505, 'a')));
}

TEST(CommandTest, PlainHelloNames) {
  for (const std::string_view name :
       {"a", "mail.example.org", "[192.0.2.1]", "[IPv6:2001:db8::1]", "my_host"}) {
    EXPECT_TRUE(IsPlainHelloName(name)) << name;
  }
  for (const std::string_view name : {"", "a b", "(none)", "Anna's-PC", "\xC3\xA9", "\xFF"}) {
    EXPECT_FALSE(IsPlainHelloName(name)) << name;
  }
  EXPECT_TRUE(IsPlainHelloName(std::string(255, 'a')));
  EXPECT_FALSE(IsPlainHelloName(std::string(256, 'a')));
}

TEST(CommandTest, Arguments) {
  const CommandRule& ehlo = FindCommand("EHLO");
  EXPECT_EQ(CommandArgument("EHLO", ehlo), "");
  EXPECT_EQ(CommandArgument("EHLO ", ehlo), "");
  EXPECT_EQ(CommandArgument("EHLO a \t ", ehlo), "a");
  EXPECT_EQ(CommandArgument("EHLO a b", ehlo), "a b");
}

TEST(CommandTest, BdatArguments) {
  // PROTOCOL 18 and 19.
  EXPECT_EQ(ParseBdatArgument("BDAT 0")->octets, 0U);
  EXPECT_FALSE(ParseBdatArgument("BDAT 0")->last);
  EXPECT_TRUE(ParseBdatArgument("bdat 0 last")->last);
  EXPECT_EQ(ParseBdatArgument("BDAT 1000 LAST")->octets, 1000U);
  EXPECT_EQ(ParseBdatArgument("BDAT 999999999999999999")->octets, 999999999999999999U);
  for (const std::string_view line :
       {"BDAT", "BDAT ", "BDAT x", "BDAT -1", "BDAT +5", "BDAT 0x10", "BDAT 010",
        "BDAT 1 LAST LAST", "BDAT 1 LASTX", "BDAT 1LAST", "BDAT 1 2",
        "BDAT 18446744073709551616 LAST", "BDAT 1000000000000000000",
        "BDAT 99999999999999999999999999999999999999", "BDAT 1\vLAST", "BDAT 1 0"}) {
    EXPECT_FALSE(ParseBdatArgument(line).has_value()) << line;
  }
  EXPECT_EQ(FindCommand("BDAT\t1").verb, Verb::kUnknown);
  EXPECT_TRUE(LooksLikeBdat("BDAT\t1"));
}

// RFC 5321 4.1.1: the blanks are not the size.
TEST(CommandTest, BdatBlanks) {
  for (const std::string_view line : {"BDAT 12", "bdat 12", "BDAT 12 LAST", "BDAT 12 last"}) {
    const auto argument = ParseBdatArgument(line);
    ASSERT_TRUE(argument.has_value()) << line;
    EXPECT_TRUE(argument->canonical) << line;
    EXPECT_EQ(argument->octets, 12U);
    EXPECT_EQ(argument->last, line.size() > 7);
  }
  for (const std::string_view line :
       {"BDAT 12 ", "BDAT  12", "BDAT 12\t", "BDAT \t 12  ", "BDAT 12 LAST ", "BDAT 12  LAST",
        "BDAT  12 LAST", "BDAT 12\tLAST", "BDAT 12 LAST\t"}) {
    const auto argument = ParseBdatArgument(line);
    ASSERT_TRUE(argument.has_value()) << line;
    EXPECT_FALSE(argument->canonical) << line;
    EXPECT_EQ(argument->octets, 12U);
    EXPECT_EQ(argument->last, line.find("LAST") != std::string_view::npos);
  }
}

TEST(CommandTest, ForeignBinary) {
  const std::string_view proxy = "\r\n\r\n\0\r\nQUIT\n"sv;
  for (std::size_t n = 0; n <= proxy.size(); ++n) {
    EXPECT_EQ(CheckForeignBinary(proxy.substr(0, n)),
              n < 5 ? ForeignBinary::kUnknown : ForeignBinary::kYes)
        << n;
  }
  EXPECT_EQ(CheckForeignBinary("\x16\x03\x01"), ForeignBinary::kYes);
  EXPECT_EQ(CheckForeignBinary("\0"sv), ForeignBinary::kYes);
  EXPECT_EQ(CheckForeignBinary("\r\n\r\nEHLO"), ForeignBinary::kNo);
  EXPECT_EQ(CheckForeignBinary("EHLO \0"sv), ForeignBinary::kNo);
}

TEST(CommandTest, ChannelBinding) {
  EXPECT_TRUE(AsksForChannelBinding("SCRAM-SHA-256-PLUS"));
  EXPECT_TRUE(AsksForChannelBinding("scram-sha-1-plus abc"));
  EXPECT_FALSE(AsksForChannelBinding("SCRAM-SHA-256"));
  EXPECT_FALSE(AsksForChannelBinding("PLAIN x-PLUS"));
  EXPECT_FALSE(AsksForChannelBinding(""));
}

}  // namespace
}  // namespace ringpost
