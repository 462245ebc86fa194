// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/content_reader.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "ringpost/tools/mail_text.h"

namespace ringpost {
namespace {

struct Result {
  std::string content;
  std::size_t consumed = 0;
  bool end = false;
  friend bool operator==(const Result&, const Result&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Result& r) {
    return out << "{" << testing::PrintToString(r.content) << ", " << r.consumed << ", " << r.end
               << "}";
  }
};

// Feeds `input` in pieces of `piece` octets.
Result Read(std::string_view input, LineEnd line_end, std::size_t piece) {
  ContentReader reader;
  reader.Begin(line_end);
  Result result;
  while (result.consumed < input.size() && !result.end) {
    const std::size_t limit =
        std::min(piece - result.consumed % piece, input.size() - result.consumed);
    const ContentPiece next = reader.Next(input.substr(result.consumed, limit));
    EXPECT_TRUE(next.consumed > 0 || !next.content.empty());
    result.content += next.content;
    result.consumed += next.consumed;
    result.end = next.end;
  }
  return result;
}

// One octet at a time, written from RFC 5321 4.1.1.4 and 4.5.2 alone: cut into lines first, then
// look for the lone dot.
Result Reference(std::string_view input, LineEnd line_end) {
  Result result;
  std::string line;
  for (const char c : input) {
    ++result.consumed;
    line += c;
    const bool ends = line.ends_with("\r\n") || (line_end == LineEnd::kLenient && c == '\n');
    if (!ends) {
      continue;
    }
    if (line == ".\r\n" || (line_end == LineEnd::kLenient && line == ".\n")) {
      result.end = true;
      return result;
    }
    result.content += line.starts_with('.') ? line.substr(1) : line;
    line.clear();
  }
  return result;
}

void ExpectAllWays(std::string_view input, LineEnd line_end, const Result& expected) {
  for (const std::size_t piece : {input.size(), std::size_t{1}, std::size_t{2}, std::size_t{3}}) {
    EXPECT_EQ(Read(input, line_end, piece), expected) << "in pieces of " << piece;
  }
  // Trailing octets belong to the next command.
  const std::string trailing = std::string(input) + "QUIT\r\n";
  EXPECT_EQ(Read(trailing, line_end, trailing.size()), expected);
}

TEST(ContentReaderTest, MessagesWithTheirEnds) {
  struct Case {
    std::string_view input;
    std::string_view content;
  };
  for (const Case& c : std::vector<Case>{
           {".\r\n", ""},
           {"a\r\n.\r\n", "a\r\n"},
           {"\r\n.\r\n", "\r\n"},
           {"..\r\n.\r\n", ".\r\n"},
           {".a\r\n.\r\n", "a\r\n"},
           {"a\n.\nb\r\n.\r\n", "a\n.\nb\r\n"},      // bare LF is content
           {"a\r.\rb\r\n.\r\n", "a\r.\rb\r\n"},      // bare CR is content
           {"a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n"},   // a dot is deleted in front of a bare CR
           {"a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n"},     // CRLF . CR CRLF is not the end
           {"a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n"},  // LF . CRLF is not the end
           {"a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n"},   // CRLF . LF is not the end
       }) {
    ExpectAllWays(c.input, LineEnd::kStrict,
                  {.content = std::string(c.content), .consumed = c.input.size(), .end = true});
  }
}

TEST(ContentReaderTest, LenientTakesBareLineFeeds) {
  for (const std::string_view input : {"a\n.\n", "a\n.\r\n", "a\r\n.\n"}) {
    ExpectAllWays(input, LineEnd::kLenient,
                  {.content = std::string(input.substr(0, input.find('.'))),
                   .consumed = input.size(),
                   .end = true});
    EXPECT_FALSE(Read(input, LineEnd::kStrict, input.size()).end);
  }
}

TEST(ContentReaderTest, UndoesDotStuffing) {
  const std::string mail = MakeMail(20000);
  const std::string stuffed = DotStuff(mail);
  EXPECT_NE(stuffed.size(), mail.size() + 3) << "no line begins with a dot: nothing is tested";
  for (const std::size_t piece : {stuffed.size(), std::size_t{1}, std::size_t{7}}) {
    EXPECT_EQ(Read(stuffed, LineEnd::kStrict, piece),
              (Result{.content = mail, .consumed = stuffed.size(), .end = true}));
  }
}

TEST(ContentReaderTest, AgreesWithTheReferenceOnRandomInput) {
  constexpr std::string_view kAlphabet("\r\n.a\0", 5);
  for (std::uint64_t seed = 0; seed < 20000; ++seed) {
    std::mt19937_64 random(seed);
    std::string input;
    for (std::uint64_t i = 0, length = 1 + random() % 24; i < length; ++i) {
      input += kAlphabet[random() % kAlphabet.size()];
    }
    for (const LineEnd line_end : {LineEnd::kStrict, LineEnd::kLenient}) {
      // A closing line, so that the reference, which works by whole lines, has no rest.
      const std::string closed = input + "z\r\n.\r\n";
      const Result expected = Reference(closed, line_end);
      ASSERT_EQ(Read(closed, line_end, closed.size()), expected) << "seed " << seed;
      ASSERT_EQ(Read(closed, line_end, 1 + random() % 5), expected) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace ringpost
