// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/fingerprint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace ringpost {
namespace {

constexpr std::string_view kText =
    "00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:"
    "F0:E1:D2:C3:B4:A5:96:87:78:69:5A:4B:3C:2D:1E:FF";

std::string WithoutColons(std::string text) {
  std::erase(text, ':');
  return text;
}

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
  return text;
}

TEST(Fingerprint, IsReadInEachFormAndWrittenInOne) {
  const std::string text(kText);
  for (const std::string& form :
       {text, Lower(text), WithoutColons(text), WithoutColons(Lower(text))}) {
    const auto fingerprint = ParseFingerprint(form);
    ASSERT_TRUE(fingerprint) << form;
    EXPECT_EQ((*fingerprint)[0], 0x00);
    EXPECT_EQ((*fingerprint)[15], 0x0F);
    EXPECT_EQ((*fingerprint)[16], 0xF0);
    EXPECT_EQ((*fingerprint)[31], 0xFF);
    EXPECT_EQ(FormatFingerprint(*fingerprint), kText);
  }
}

TEST(Fingerprint, NothingElseIsOne) {
  const std::string text(kText);
  const std::string plain = WithoutColons(text);
  for (std::size_t size = 0; size < text.size(); ++size) {
    if (size != plain.size()) {
      EXPECT_FALSE(ParseFingerprint(text.substr(0, size))) << size;
    }
  }
  EXPECT_FALSE(ParseFingerprint(text.substr(0, plain.size())));
  EXPECT_FALSE(ParseFingerprint(text + ":"));
  EXPECT_FALSE(ParseFingerprint(text + ":00"));
  EXPECT_FALSE(ParseFingerprint(plain + "0"));
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = changed[i] == ':' ? '0' : 'G';
    EXPECT_FALSE(ParseFingerprint(changed)) << changed;
  }
  for (const char c : std::string("/:@G`g \0", 8)) {
    std::string changed = plain;
    changed[5] = c;
    EXPECT_FALSE(ParseFingerprint(changed)) << changed;
  }
}

}  // namespace
}  // namespace ringpost
