// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/smtp/reply.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace ringpost {
namespace {

using namespace std::string_view_literals;

// PROTOCOL 10. Whole, cut after every octet, and with octets behind it.
void ExpectComplete(std::string_view text, int code) {
  for (const std::string_view behind : {""sv, "2"sv, "250 next\r\n"sv, "\0\n"sv}) {
    const std::string input = std::string(text) + std::string(behind);
    const Reply reply = ParseReply(input);
    EXPECT_EQ(reply.status, ReplyStatus::kComplete) << text;
    EXPECT_EQ(reply.code, code);
    EXPECT_EQ(reply.octets, text.size());
  }
  for (std::size_t n = 0; n < text.size(); ++n) {
    EXPECT_EQ(ParseReply(text.substr(0, n)).status, ReplyStatus::kIncomplete) << text << " " << n;
  }
}

// Once malformed, it stays malformed; `at` is the length at which that shows.
void ExpectMalformed(std::string_view text, std::size_t at) {
  for (std::size_t n = 0; n <= text.size(); ++n) {
    EXPECT_EQ(ParseReply(text.substr(0, n)).status,
              n < at ? ReplyStatus::kIncomplete : ReplyStatus::kMalformed)
        << testing::PrintToString(std::string(text)) << " " << n;
  }
}

TEST(ReplyTest, Complete) {
  ExpectComplete("250 ok\r\n", 250);
  ExpectComplete("250\r\n", 250);
  ExpectComplete("250 \r\n", 250);
  ExpectComplete("250-a\r\n250 b\r\n", 250);
  ExpectComplete("250-\r\n250-x\r\n250\r\n", 250);
  ExpectComplete("599 \xC3\xA9\r\n", 599);
  ExpectComplete("250 " + std::string(506, 'a') + "\r\n", 250);
}

TEST(ReplyTest, Malformed) {
  ExpectMalformed("150 a\r\n", 1);
  ExpectMalformed("650 a\r\n", 1);
  ExpectMalformed("2x0 a\r\n", 2);
  ExpectMalformed("2500 a\r\n", 4);
  ExpectMalformed("250\ta\r\n", 4);
  ExpectMalformed("\r\n", 1);
  ExpectMalformed("250 a\nb\r\n", 6);
  ExpectMalformed("250 a\rb\r\n", 7);
  ExpectMalformed("250 a\r\r\n", 7);
  ExpectMalformed("250 a\0b\r\n"sv, 6);
  ExpectMalformed("250-a\r\n550 b\r\n", 10);  // response splitting
  ExpectMalformed("250-a\r\n\r\n", 8);
  ExpectMalformed("250 " + std::string(507, 'a') + "\r\n", 512);
}

TEST(ReplyTest, Limits) {
  std::string lines;
  for (int i = 0; i < kReplyLinesMax - 1; ++i) lines += "250-a\r\n";
  ExpectComplete(lines + "250 a\r\n", 250);
  ExpectMalformed(lines + "250-a\r\n250 a\r\n", lines.size() + 7 + 1);

  std::string octets;
  const std::string line = "250-" + std::string(506, 'a') + "\r\n";
  for (int i = 0; i < 31; ++i) octets += line;
  const std::string last = "250 " + std::string(506, 'a') + "\r\n";
  ASSERT_EQ(octets.size() + last.size(), kReplyOctetsMax);
  EXPECT_EQ(ParseReply(octets + last).status, ReplyStatus::kComplete);
  EXPECT_EQ(ParseReply(octets + line).status, ReplyStatus::kMalformed);
  EXPECT_EQ(ParseReply(octets + line + last).status, ReplyStatus::kMalformed);
}

TEST(ReplyTest, Lines) {
  ReplyLines lines("250-a b\r\n250-\r\n250\r\n");
  std::string_view text;
  ASSERT_TRUE(lines.Next(&text));
  EXPECT_EQ(text, "a b");
  ASSERT_TRUE(lines.Next(&text));
  EXPECT_EQ(text, "");
  ASSERT_TRUE(lines.Next(&text));
  EXPECT_EQ(text, "");
  EXPECT_FALSE(lines.Next(&text));
}

std::string Filter(std::string_view reply, OfferStarttls starttls = OfferStarttls::kNo,
                   OfferAuth auth = OfferAuth::kYes, Capabilities* capabilities = nullptr) {
  Capabilities ignored;
  std::string out;
  FilterEhloReply(reply, starttls, auth, capabilities == nullptr ? &ignored : capabilities, &out);
  EXPECT_EQ(ParseReply(out).status, ReplyStatus::kComplete);
  EXPECT_EQ(ParseReply(out).octets, out.size());
  return out;
}

TEST(EhloFilterTest, KeepsTheAllowList) {
  // PROTOCOL 17.
  Capabilities capabilities;
  EXPECT_EQ(Filter("250-mail Hello\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-STARTTLS\r\n"
                   "250-XCLIENT ADDR\r\n250-XFORWARD ADDR\r\n250-REQUIRETLS\r\n250-BINARYMIME\r\n"
                   "250-BURL imap\r\n250-X-EXPS GSSAPI\r\n250-ATRN\r\n250-smtputf8\r\n"
                   "250-CHUNKING\r\n250-8BITMIME\r\n250 UNKNOWN\r\n",
                   OfferStarttls::kNo, OfferAuth::kYes, &capabilities),
            "250-mail Hello\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-smtputf8\r\n250-CHUNKING\r\n"
            "250 8BITMIME\r\n");
  EXPECT_TRUE(capabilities.smtputf8);
  EXPECT_TRUE(capabilities.chunking);
  EXPECT_EQ(Filter("250 CHUNKING\r\n", OfferStarttls::kNo, OfferAuth::kYes, &capabilities),
            "250 CHUNKING\r\n");
  EXPECT_FALSE(capabilities.chunking) << "the first line is a name";
  EXPECT_FALSE(capabilities.smtputf8);
}

TEST(EhloFilterTest, OffersStarttls) {
  // PROTOCOL 14.
  EXPECT_EQ(Filter("250 mail\r\n", OfferStarttls::kYes), "250-mail\r\n250 STARTTLS\r\n");
  EXPECT_EQ(Filter("250-mail\r\n250 STARTTLS\r\n", OfferStarttls::kYes),
            "250-mail\r\n250 STARTTLS\r\n");
  // First behind the greeting line: blackbox_exporter and others look for "250-STARTTLS".
  EXPECT_EQ(Filter("250-mail\r\n250-PIPELINING\r\n250 DSN\r\n", OfferStarttls::kYes),
            "250-mail\r\n250-STARTTLS\r\n250-PIPELINING\r\n250 DSN\r\n");
  EXPECT_EQ(Filter("250-mail\r\n250-DSN\r\n250 STARTTLS\r\n", OfferStarttls::kYes),
            "250-mail\r\n250-STARTTLS\r\n250 DSN\r\n");
  EXPECT_EQ(Filter("250-mail\r\n250 AUTH PLAIN\r\n", OfferStarttls::kYes, OfferAuth::kNo),
            "250-mail\r\n250 STARTTLS\r\n");
  EXPECT_EQ(Filter("250-mail\r\n250 UNKNOWN\r\n", OfferStarttls::kYes),
            "250-mail\r\n250 STARTTLS\r\n");
  EXPECT_EQ(Filter("250\r\n", OfferStarttls::kYes), "250-\r\n250 STARTTLS\r\n");
  EXPECT_EQ(Filter("250-mail\r\n250 STARTTLS\r\n"), "250 mail\r\n");
  EXPECT_EQ(Filter("250-\r\n250\r\n"), "250 \r\n");
}

TEST(EhloFilterTest, Auth) {
  EXPECT_EQ(Filter("250-a\r\n250 AUTH PLAIN SCRAM-SHA-1-PLUS LOGIN\r\n"),
            "250-a\r\n250 AUTH PLAIN LOGIN\r\n");
  EXPECT_EQ(Filter("250-a\r\n250-AUTH=SCRAM-SHA-1-PLUS LOGIN\r\n250 DSN\r\n"),
            "250-a\r\n250-AUTH=LOGIN\r\n250 DSN\r\n");
  EXPECT_EQ(Filter("250-a\r\n250-DSN\r\n250 AUTH SCRAM-SHA-1-PLUS scram-sha-256-plus\r\n"),
            "250-a\r\n250 DSN\r\n");
  EXPECT_EQ(Filter("250-a\r\n250 AUTH\r\n"), "250 a\r\n");
  EXPECT_EQ(Filter("250-a\r\n250-DSN\r\n250 AUTH PLAIN\r\n", OfferStarttls::kNo, OfferAuth::kNo),
            "250-a\r\n250 DSN\r\n");
  EXPECT_EQ(Filter("250-a\r\n250-DSN\r\n250 AUTH=PLAIN\r\n", OfferStarttls::kNo, OfferAuth::kNo),
            "250-a\r\n250 DSN\r\n");
}

}  // namespace
}  // namespace ringpost
