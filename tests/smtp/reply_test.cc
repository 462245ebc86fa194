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
  ASSERT_LT(text.size(), kReplyWholeMax);
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
  // RFC 5321's 512 octets bind who sends.
  ExpectComplete("250 " + std::string(564, 'a') + "\r\n", 250);
  ExpectComplete("550 " + std::string(9000, 'a') + "\r\n", 550);
  ExpectComplete("334 " + std::string(12288, 'a') + "\r\n", 334);
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
  ExpectMalformed("250 " + std::string(5000, 'a') + "\n", 5005);
  ExpectMalformed("334 " + std::string(12289, 'a') + "\r\n", 12295);  // a challenge is never cut
}

TEST(ReplyTest, SaysWhatIsWrong) {
  const auto fault = [](std::string_view text) { return ParseReply(text).fault; };
  EXPECT_EQ(fault("250 ok\r\n"), ReplyFault::kNone);
  EXPECT_EQ(fault("hello\r\n"), ReplyFault::kNoCode);
  EXPECT_EQ(fault("2500 a\r\n"), ReplyFault::kNoCode);
  EXPECT_EQ(fault("250-a\r\nmore\r\n"), ReplyFault::kNoCode);
  EXPECT_EQ(fault("250-a\r\n251 b\r\n"), ReplyFault::kOtherCode);
  EXPECT_EQ(fault("250 a\n"), ReplyFault::kBareNewline);
  EXPECT_EQ(fault("250\n"), ReplyFault::kBareNewline);
  EXPECT_EQ(fault("250 a\rb\r\n"), ReplyFault::kBareNewline);
  EXPECT_EQ(fault("250 a\0b\r\n"sv), ReplyFault::kNul);
  EXPECT_EQ(fault("334 " + std::string(13000, 'a') + "\r\n"), ReplyFault::kTooLong);
  EXPECT_EQ(ParseReply("250-a\r\n250-b\r\nmore\r\n").octets, 14U) << "in front of the wrong line";
}

TEST(ReplyTest, Limits) {
  std::string lines;
  while (lines.size() + 14 < kReplyWholeMax) lines += "250-a\r\n";  // more than 2,000
  EXPECT_EQ(ParseReply(lines + "250\r\n").status, ReplyStatus::kComplete);
  EXPECT_EQ(ParseReply(lines).status, ReplyStatus::kIncomplete);

  const std::string last = "250 " + std::string(kReplyWholeMax - lines.size() - 6, 'a') + "\r\n";
  EXPECT_EQ(ParseReply(lines + last).status, ReplyStatus::kComplete);
  const Reply reply = ParseReply(lines + "250-a\r\n" + last);
  EXPECT_EQ(reply.status, ReplyStatus::kLong);
  EXPECT_EQ(reply.code, 250);
  EXPECT_EQ(reply.octets, kReplyWholeMax / 7 * 7);
  EXPECT_EQ(ParseReply("550 " + std::string(kReplyWholeMax, 'a')).status, ReplyStatus::kLong);
  EXPECT_EQ(ParseReply("550 " + std::string(kReplyWholeMax, 'a')).octets, 0U);
  EXPECT_EQ(ParseReply(lines + "251-a\r\n" + last).status, ReplyStatus::kMalformed);
}

TEST(ReplyTest, ShortensLines) {
  const std::string fits = "250-" + std::string(kReplyLineMax - 6, 'a') + "\r\n";
  EXPECT_FALSE(ParseReply(fits + "250 b\r\n").has_long_line);
  std::string out;
  ShortenLines(fits + "250 b\r\n", &out);
  EXPECT_EQ(out, fits + "250 b\r\n");
  const std::string longer = "250-" + std::string(kReplyLineMax - 5, 'a') + "\r\n";
  EXPECT_TRUE(ParseReply(longer + "250\r\n").has_long_line);
  ShortenLines(longer + "250\r\n", &out);
  EXPECT_EQ(out, fits + "250\r\n");
  EXPECT_FALSE(ParseReply("334 " + std::string(12288, 'a') + "\r\n").has_long_line);
}

TEST(ReplyTest, CutsBetweenCharacters) {
  EXPECT_EQ(CutLine("250 abc", 7), 7U);
  EXPECT_EQ(CutLine("250 abc", 6), 6U);
  EXPECT_EQ(CutLine("250 \xC3\xA9", 5), 4U);
  EXPECT_EQ(CutLine("250 \xF0\x9F\x93\xA7.", 7), 4U);
  EXPECT_EQ(CutLine("250 \xF0\x9F\x93\xA7.", 8), 8U);
  EXPECT_EQ(CutLine("250 \x9F\x9F\x9F\x9F\x9F", 8), 8U) << "not UTF-8";
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

// Cut, a keyword line would say something else.
TEST(EhloFilterTest, LeavesOutKeywordsThatAreTooLong) {
  const std::string greeting(6000, 'g');
  EXPECT_EQ(
      Filter("250-" + greeting + "\r\n250-SIZE " + std::string(5000, '1') + "\r\n250 DSN\r\n"),
      "250-" + greeting.substr(0, kReplyLineMax - 6) + "\r\n250 DSN\r\n");
  // What STARTTLS takes is missing at the end.
  std::string full = "250-a\r\n";
  while (full.size() + 10 < kReplyWholeMax) full += "250-HELP\r\n";
  full += "250 CHUNKING\r\n";
  Capabilities capabilities;
  const std::string out = Filter(full, OfferStarttls::kYes, OfferAuth::kYes, &capabilities);
  EXPECT_LE(out.size(), kReplyWholeMax);
  EXPECT_TRUE(out.starts_with("250-a\r\n250-STARTTLS\r\n250-HELP\r\n"));
  EXPECT_TRUE(out.ends_with("250 HELP\r\n"));
  EXPECT_FALSE(capabilities.chunking);
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
