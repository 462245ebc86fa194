// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/reply_reader.h"

#include <gtest/gtest.h>

#include <string>

namespace ringpost {
namespace {

void ExpectComplete(const std::string& text, int code) {
  for (std::size_t length = 0; length < text.size(); ++length) {
    EXPECT_EQ(ReadReply(text.substr(0, length)).result, ReplyParse::kNeedMore) << length;
  }
  for (const std::string& trailing : {text, text + "250 next\r\n", text + "garbage\n"}) {
    const Reply reply = ReadReply(trailing);
    EXPECT_EQ(reply.result, ReplyParse::kComplete);
    EXPECT_EQ(reply.code, code);
    EXPECT_EQ(reply.length, text.size());
  }
}

TEST(ReplyReaderTest, Complete) {
  ExpectComplete("250 Ok\r\n", 250);
  ExpectComplete("250\r\n", 250);
  ExpectComplete("354 \r\n", 354);
  ExpectComplete("250-a\r\n250-b c\r\n250 d\r\n", 250);
  ExpectComplete("554 5.7.1 No\r\n", 554);
}

TEST(ReplyReaderTest, Malformed) {
  for (const std::string_view text :
       {"250 Ok\n", "\n", "\r\n", "25 Ok\r\n", "250-a\r\n550 b\r\n", "abc def\r\n", "250+Ok\r\n",
        "150 Ok\r\n", "650 Ok\r\n", "250 a\rb\r\n"}) {
    EXPECT_EQ(ReadReply(text).result, ReplyParse::kMalformed) << text;
  }
  EXPECT_EQ(ReadReply(std::string_view("250 a\0\r\n", 8)).result, ReplyParse::kMalformed);
}

TEST(ReplyReaderTest, BoundedWithoutAnEnd) {
  std::string lines;
  while (lines.size() < kReplyOctetsMax) {
    lines += "250-x\r\n";
  }
  EXPECT_EQ(ReadReply(lines).result, ReplyParse::kMalformed);
  lines.resize(kReplyOctetsMax - kReplyOctetsMax % 7 - 7);
  EXPECT_EQ(ReadReply(lines + "250 x\r\n").result, ReplyParse::kComplete);
  EXPECT_EQ(ReadReply(lines + "250 xxxxxxxxxxxxxxxx\r\n").result, ReplyParse::kMalformed);
  EXPECT_EQ(ReadReply(std::string(kReplyOctetsMax, '2')).result, ReplyParse::kMalformed);
}

TEST(ReplyReaderTest, Offers) {
  const std::string reply =
      "250-CHUNKING.example\r\n250-PIPELINING\r\n250-size 100\r\n250-STARTTLSX\r\n250 AUTH "
      "PLAIN\r\n";
  EXPECT_TRUE(ReplyOffers(reply, "PIPELINING"));
  EXPECT_TRUE(ReplyOffers(reply, "SIZE"));
  EXPECT_TRUE(ReplyOffers(reply, "AUTH"));
  EXPECT_FALSE(ReplyOffers(reply, "STARTTLS"));
  EXPECT_FALSE(ReplyOffers("250 PIPELINING\r\n", "PIPELINING")) << "that is the host's name";
}

}  // namespace
}  // namespace ringpost
