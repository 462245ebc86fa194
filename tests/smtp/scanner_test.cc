// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/smtp/scanner.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <string_view>

namespace ringpost {
namespace {

class ScannerTest : public testing::TestWithParam<ScannerVersion> {
 protected:
  void SetUp() override {
    if (!ScannerSupported(GetParam())) GTEST_SKIP() << "not on this CPU";
  }
  static std::size_t Scan(std::string_view content) { return ScanContentWith(GetParam(), content); }
};

std::string VersionName(const testing::TestParamInfo<ScannerVersion>& info) {
  return info.param == ScannerVersion::kAvx2 ? "Avx2" : "Portable";
}

INSTANTIATE_TEST_SUITE_P(Versions, ScannerTest,
                         testing::Values(ScannerVersion::kPortable, ScannerVersion::kAvx2),
                         VersionName);

// The definition in the header, word by word.
std::size_t Expected(std::string_view content) {
  for (std::size_t i = 0; i < content.size(); ++i) {
    const bool lf_behind = i + 1 < content.size() && content[i + 1] == '\n';
    const bool cr_before = i > 0 && content[i - 1] == '\r';
    const bool lf_before = i > 0 && content[i - 1] == '\n';
    if (content[i] == '\r' && !lf_behind) return i;
    if (content[i] == '\n' && !cr_before) return i;
    if (content[i] == '.' && lf_before) return i;
  }
  return content.size();
}

std::string Lines(std::size_t octets) {
  std::string text;
  while (text.size() < octets) text += "Ordinary text. With dots... in it\r\n";
  text.resize(octets);
  if (!text.empty() && text.back() == '\r') text.back() = 'x';
  return text;
}

TEST_P(ScannerTest, PassesOrdinaryText) {
  for (std::size_t size = 0; size < 600; ++size) {
    EXPECT_EQ(Scan(Lines(size)), size);
  }
}

// Every kind of trouble at every place of every alignment: the vector body, its edges and the tail.
TEST_P(ScannerTest, FindsTroubleAtEveryPlace) {
  using namespace std::string_view_literals;
  for (const std::string_view trouble :
       {"\r"sv, "\n"sv, "\r\n."sv, "\r\r\n"sv, "\n\r"sv, "\n."sv}) {
    for (std::size_t size : {3U, 33U, 130U, 131U, 300U}) {
      for (std::size_t at = 0; at + trouble.size() <= size; ++at) {
        std::string text(size, 'a');
        text.replace(at, trouble.size(), trouble);
        ASSERT_EQ(Scan(text), Expected(text)) << "size " << size << " at " << at;
        ASSERT_LT(Scan(text), size);
      }
    }
  }
}

TEST_P(ScannerTest, AgreesWithTheDefinitionOnRandomText) {
  constexpr std::array kAlphabet = {'\r', '\n', '.', 'a', '\0', '\x8d', '\x8a', '\xae'};
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 20000; ++round) {
    std::string text(random() % 400, 'b');
    // A few troubled places in ordinary text, so that they are met in every part of the vectors.
    for (std::size_t i = random() % 6; i > 0 && !text.empty(); --i) {
      const std::size_t at = random() % text.size();
      for (std::size_t j = at; j < std::min(text.size(), at + 3); ++j) {
        text[j] = kAlphabet[random() % kAlphabet.size()];
      }
    }
    const std::size_t offset = random() % 32;
    const std::string shifted = std::string(offset, '\n') + text;
    ASSERT_EQ(Scan(std::string_view(shifted).substr(offset)), Expected(text));
  }
}

}  // namespace
}  // namespace ringpost
