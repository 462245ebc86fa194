// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/mail_text.h"

#include <gtest/gtest.h>

namespace ringpost {
namespace {

TEST(MailTextTest, HasExactlyTheSizeAskedForAndShortLines) {
  for (std::size_t octets = kMailOctetsMin; octets < kMailOctetsMin + 400; ++octets) {
    const std::string mail = MakeMail(octets);
    ASSERT_EQ(mail.size(), octets);
    ASSERT_TRUE(mail.ends_with("\r\n"));
    ASSERT_NE(mail.find("\r\n\r\n"), std::string::npos);
    std::size_t start = 0;
    while (start < mail.size()) {
      const std::size_t end = mail.find("\r\n", start);
      ASSERT_NE(end, std::string::npos);
      ASSERT_LE(end - start, 200u);
      ASSERT_EQ(mail.substr(start, end - start).find_first_of("\r\n"), std::string::npos);
      start = end + 2;
    }
  }
}

TEST(MailTextTest, DotStuff) {
  EXPECT_EQ(DotStuff(""), ".\r\n");
  EXPECT_EQ(DotStuff("a\r\n"), "a\r\n.\r\n");
  EXPECT_EQ(DotStuff(".\r\n..\r\na.\r\n"), "..\r\n...\r\na.\r\n.\r\n");
}

}  // namespace
}  // namespace ringpost
