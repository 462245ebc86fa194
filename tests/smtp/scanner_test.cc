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
  switch (info.param) {
    case ScannerVersion::kPortable:
      return "Portable";
    case ScannerVersion::kAvx2:
      return "Avx2";
    case ScannerVersion::kAvx512:
      return "Avx512";
  }
  return "?";
}

INSTANTIATE_TEST_SUITE_P(Versions, ScannerTest,
                         testing::Values(ScannerVersion::kPortable, ScannerVersion::kAvx2,
                                         ScannerVersion::kAvx512),
                         VersionName);

// The definition in the header, word by word.
std::size_t Expected(std::string_view content) {
  for (std::size_t i = 0; i < content.size(); ++i) {
    const bool lf_behind = i + 1 < content.size() && content[i + 1] == '\n';
    const bool cr_before = i > 0 && content[i - 1] == '\r';
    const bool lf_before = i > 0 && content[i - 1] == '\n';
    if (content[i] == '\r' && !lf_behind) return i;
    if (content[i] == '\n' && !cr_before) return i;
    const bool end_behind =
        i + 1 == content.size() || content[i + 1] == '\r' || content[i + 1] == '\n';
    if (content[i] == '.' && lf_before && end_behind) return i;
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
       {"\r"sv, "\n"sv, "\r\n.\r\n"sv, "\r\n.\n"sv, "\r\n.\r"sv, "\r\r\n"sv, "\n\r"sv, "\n."sv}) {
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

TEST_P(ScannerTest, PassesDotsThatAreText) {
  for (std::size_t size : {4U, 64U, 131U, 300U}) {
    for (std::size_t at = 0; at + 4 <= size; ++at) {
      std::string text(size, 'a');
      text.replace(at, 4, "\r\n..");
      ASSERT_EQ(Scan(text), size) << "size " << size << " at " << at;
      // Behind it nothing is overlooked.
      if (at + 9 <= size) {
        text.replace(at + 4, 5, "\r\n.\r\n");
        ASSERT_EQ(Scan(text), at + 6) << "size " << size << " at " << at;
      }
    }
  }
  std::string all_dots;
  while (all_dots.size() < 1'000) all_dots += "..\r\n";
  EXPECT_EQ(Scan(all_dots), all_dots.size());
  EXPECT_EQ(Scan(all_dots + "."), all_dots.size());  // nothing is behind it yet
}

#if defined(__x86_64__)
// Whether the upper half of any register of AVX2 holds something.
extern "C" bool RingpostTestUpperHalvesInUse();
asm(R"(
  .section .rodata
  .balign 32
RingpostTestUpperHalf:
  .quad 0, 0, -1, -1
  .text
RingpostTestUpperHalvesInUse:
  xorl %eax, %eax
  .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
  vptest RingpostTestUpperHalf(%rip), %ymm\number
  jnz 1f
  .endr
  ret
1:
  movl $1, %eax
  ret
)");

// Code for SSE that runs on registers in use is a multiple slower.
TEST_P(ScannerTest, LeavesNoUpperHalvesInUse) {
  if (__builtin_cpu_supports("avx2") == 0) GTEST_SKIP() << "there are none";
  const std::string text = Lines(1'000) + "\r\n..\r\n" + Lines(1'000);
  asm volatile("vzeroupper");
  EXPECT_EQ(Scan(text), text.size());
  EXPECT_FALSE(RingpostTestUpperHalvesInUse());
  EXPECT_EQ(Scan(text + "\n"), text.size());
  EXPECT_FALSE(RingpostTestUpperHalvesInUse());
  EXPECT_EQ(Scan("\r" + text), 0u);
  EXPECT_FALSE(RingpostTestUpperHalvesInUse());
}
#endif

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
