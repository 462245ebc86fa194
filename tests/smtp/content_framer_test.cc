// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/smtp/content_framer.h"

#include <gtest/gtest.h>

#include <array>
#include <initializer_list>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>

namespace ringpost {
namespace {

using namespace std::string_view_literals;

struct Outcome {
  std::string sent;    // what went on to the backend
  std::string unread;  // what was left: the next commands
  bool ended = false;
  bool bare = false;
  std::uint32_t bare_newlines = 0;
  std::size_t steps = 0;
};

// Feeds `content` in pieces of the given sizes (the last size repeats).
Outcome Frame(std::string_view content, BareNewline mode, const std::vector<std::size_t>& sizes) {
  ContentFramer framer;
  framer.Start();
  Outcome outcome;
  std::string queue;
  std::size_t next_size = 0;
  while (!outcome.ended && !outcome.bare) {
    std::string text;
    const ContentStep step = framer.Next(queue, mode, &text, &outcome.bare_newlines);
    ++outcome.steps;
    EXPECT_LE(step.octets, queue.size());
    switch (step.kind) {
      case ContentStep::Kind::kForward:
      case ContentStep::Kind::kEnd:
        EXPECT_GT(step.octets, 0U);
        outcome.sent.append(queue, 0, step.octets);
        outcome.ended = step.kind == ContentStep::Kind::kEnd;
        break;
      case ContentStep::Kind::kRewrite:
        EXPECT_GT(step.octets, 0U);
        EXPECT_LE(text.size(), 2 * ContentFramer::kRewriteMax);
        EXPECT_LE(text.size(), 2 * step.octets);
        outcome.sent.append(text);
        break;
      case ContentStep::Kind::kNeedInput: {
        EXPECT_LE(queue.size(), 2U) << "more is kept than can be undecided";
        if (content.empty()) {
          outcome.unread = queue;
          return outcome;
        }
        const std::size_t size =
            std::min(content.size(), sizes[std::min(next_size, sizes.size() - 1)]);
        ++next_size;
        queue.append(content.substr(0, size));
        content.remove_prefix(size);
        break;
      }
      case ContentStep::Kind::kBareNewline:
        outcome.bare = true;
        break;
    }
    queue.erase(0, step.octets);
  }
  outcome.unread = queue + std::string(content);
  return outcome;
}

Outcome FrameWhole(std::string_view content, BareNewline mode = BareNewline::kNormalize) {
  return Frame(content, mode, {content.size() + 1});
}

// The rule as PROTOCOL states it, on the whole content at once: no states, no pieces.
struct Reference {
  std::string sent;
  std::size_t octets = 0;  // up to and including the end
  std::uint32_t bare_newlines = 0;
};

std::optional<Reference> FrameReference(std::string_view content) {
  // Content starts at the start of a line.
  const std::string with_start = "\r\n" + std::string(content);
  const std::size_t end = with_start.find("\r\n.\r\n");
  if (end == std::string::npos) return std::nullopt;
  Reference reference;
  reference.octets = end + 3;  // without the two octets put in front
  const std::string_view body = content.substr(0, end);
  std::string normalized;
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body[i] == '\r' && i + 1 < body.size() && body[i + 1] == '\n') {
      normalized += "\r\n";
      ++i;
    } else if (body[i] == '\r') {
      normalized += ' ';
      ++reference.bare_newlines;
    } else if (body[i] == '\n') {
      normalized += "\r\n";
      ++reference.bare_newlines;
    } else {
      normalized += body[i];
    }
  }
  for (std::size_t at = 0; at < normalized.size();) {
    const std::size_t line_end = std::min(normalized.find("\r\n", at), normalized.size());
    const std::string_view line = std::string_view(normalized).substr(at, line_end - at);
    reference.sent += line == "." && line_end < normalized.size() ? ".." : std::string(line);
    if (line_end < normalized.size()) reference.sent += "\r\n";
    at = line_end + 2;
  }
  reference.sent += ".\r\n";
  return reference;
}

// What CONFIGURATION says of a dot behind a lone LF: it stays as it is, and the server takes one
// off.
TEST(ContentFramerTest, DotsBehindALoneLfStay) {
  for (const auto& [said, sent] : std::initializer_list<std::pair<std::string, std::string>>{
           {"a\n..b\r\n", "a\r\n..b\r\n"},
           {"a\n.b\r\n", "a\r\n.b\r\n"},
           {"a\n.b\n.c\r\n", "a\r\n.b\r\n.c\r\n"},
           {"a\n..\r\n", "a\r\n..\r\n"},
           {"a\n..\n", "a\r\n..\r\n"},
           {"a\n.\rb\r\n", "a\r\n. b\r\n"},
           // Only the lone dot gets a second one.
           {"a\n.\r\n", "a\r\n..\r\n"},
           {"a\n.\n", "a\r\n..\r\n"},
           {"a\r\n.\n", "a\r\n..\r\n"},
           {"\n.\nb\r\n", "\r\n..\r\nb\r\n"}}) {
    for (const std::size_t size : {std::size_t{1}, std::size_t{3}, std::size_t{100}}) {
      const Outcome outcome = Frame(said + "end\r\n.\r\n", BareNewline::kNormalize, {size});
      EXPECT_EQ(outcome.sent, sent + "end\r\n.\r\n") << testing::PrintToString(said);
      EXPECT_TRUE(outcome.ended);
    }
  }
}

TEST(ContentFramerTest, ConformingContentIsOneStep) {
  // PROTOCOL 20.
  for (const std::string_view content :
       {".\r\n"sv, "\r\n.\r\n"sv, "text\r\n.\r\n"sv, "..\r\n...\r\n.x\r\n. \r\n.\r\n"sv,
        "\0\x80\xff\r\n\0.\r\n.\r\n"sv, "a\r\n\r\n\r\n.\r\n"sv}) {
    const Outcome outcome = FrameWhole(std::string(content) + "QUIT\r\n");
    EXPECT_TRUE(outcome.ended);
    EXPECT_EQ(outcome.sent, content);
    EXPECT_EQ(outcome.unread, "QUIT\r\n");
    EXPECT_EQ(outcome.bare_newlines, 0U);
    EXPECT_EQ(outcome.steps, 2U);  // the empty queue, and the run
    const Outcome split = Frame(content, BareNewline::kReject, {1});
    EXPECT_TRUE(split.ended);
    EXPECT_EQ(split.sent, content);
  }
}

TEST(ContentFramerTest, NormalizesBareNewlines) {
  struct Case {
    std::string_view content;
    std::string_view sent;
    std::uint32_t bare_newlines;
  };
  for (const Case& c : {
           Case{"a\nb\r\n.\r\n", "a\r\nb\r\n.\r\n", 1},
           Case{"a\rb\r\n.\r\n", "a b\r\n.\r\n", 1},
           Case{"a\n.\r\nb\r\n.\r\n", "a\r\n..\r\nb\r\n.\r\n", 1},
           Case{"a\r\n.\nb\r\n.\r\n", "a\r\n..\r\nb\r\n.\r\n", 1},
           Case{"a\n.\nb\r\n.\r\n", "a\r\n..\r\nb\r\n.\r\n", 2},
           Case{"a\r.\r\nb\r\n.\r\n", "a .\r\nb\r\n.\r\n", 1},
           Case{"a\r\n.\rb\r\n.\r\n", "a\r\n. b\r\n.\r\n", 1},
           Case{"a\r\r\n.\r\n", "a \r\n.\r\n", 1},
           Case{"a\n\r\n.\r\n", "a\r\n\r\n.\r\n", 1},
           Case{"a\n\rb\r\n.\r\n", "a\r\n b\r\n.\r\n", 2},
           Case{"a\r\n.\r\r\nb\r\n.\r\n", "a\r\n. \r\nb\r\n.\r\n", 1},
           Case{".\n.\r\n.\r\n", "..\r\n..\r\n.\r\n", 1},
           Case{"\n.x\r\n.\r\n", "\r\n.x\r\n.\r\n", 1},
       }) {
    for (const std::size_t size : {1U, 2U, 3U, 1000U}) {
      const Outcome outcome =
          Frame(std::string(c.content) + "NOOP\r\n", BareNewline::kNormalize, {size});
      EXPECT_TRUE(outcome.ended);
      EXPECT_EQ(outcome.sent, c.sent);
      EXPECT_EQ(outcome.unread, "NOOP\r\n");
      EXPECT_EQ(outcome.bare_newlines, c.bare_newlines);
    }
  }
}

TEST(ContentFramerTest, LongContentOfBareNewlinesIsRewrittenInLargeSteps) {
  std::string content;
  std::string sent;
  for (int i = 0; i < 20000; ++i) {
    content += "line\n";
    sent += "line\r\n";
  }
  content += "\r\n.\r\n";
  sent += "\r\n.\r\n";
  const Outcome outcome = Frame(content, BareNewline::kNormalize, {16384});
  EXPECT_TRUE(outcome.ended);
  EXPECT_EQ(outcome.sent, sent);
  EXPECT_LT(outcome.steps, 100U);
}

// PROTOCOL "End of data": the same end and the same octets, however it is cut.
TEST(ContentFramerTest, AgreesWithTheReferenceOnRandomContent) {
  constexpr std::array kAlphabet = {'\r', '\n', '.', 'a', '\0'};
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  int with_bare = 0;
  for (int round = 0; round < 30000; ++round) {
    std::string content;
    for (std::size_t i = random() % 40; i > 0; --i) {
      if (random() % 4 == 0) {
        content += "\r\n";
      } else {
        content += kAlphabet[random() % kAlphabet.size()];
      }
    }
    content += "\r\n.\r\n";
    content += random() % 2 == 0 ? "" : "MAIL FROM:<x>\r\n\n.\r\n";
    std::vector<std::size_t> sizes;
    for (int i = 0; i < 60; ++i) sizes.push_back(1 + random() % 9);

    const std::optional<Reference> reference = FrameReference(content);
    ASSERT_TRUE(reference.has_value());
    const Outcome normalized = Frame(content, BareNewline::kNormalize, sizes);
    ASSERT_TRUE(normalized.ended);
    ASSERT_EQ(normalized.sent, reference->sent) << testing::PrintToString(content);
    ASSERT_EQ(normalized.unread, content.substr(reference->octets));
    ASSERT_EQ(normalized.bare_newlines, reference->bare_newlines);

    const Outcome rejected = Frame(content, BareNewline::kReject, sizes);
    ASSERT_EQ(rejected.bare, reference->bare_newlines > 0) << testing::PrintToString(content);
    ASSERT_EQ(rejected.ended, reference->bare_newlines == 0);
    if (rejected.bare) {
      ++with_bare;
      ASSERT_TRUE(content.starts_with(rejected.sent));
      ASSERT_EQ(("\r\n" + rejected.sent).find("\r\n.\r\n"), std::string::npos);
    } else {
      ASSERT_EQ(rejected.sent, content.substr(0, reference->octets));
    }
  }
  EXPECT_GT(with_bare, 1000);
}

// The rewriting window ends somewhere: nothing may be lost or doubled there.
TEST(ContentFramerTest, RewritesAcrossItsWindow) {
  for (const std::string_view tail :
       {"\n.\r\nb"sv, "\r\n.\nb"sv, "\rb"sv, "\r\n..\r\nb"sv, "b"sv}) {
    for (std::size_t at = ContentFramer::kRewriteMax - 8; at < ContentFramer::kRewriteMax + 4;
         ++at) {
      const std::string content = "\n" + std::string(at, 'a') + std::string(tail) + "\r\n.\r\n";
      const Outcome outcome = FrameWhole(content);
      EXPECT_TRUE(outcome.ended);
      EXPECT_EQ(outcome.sent, FrameReference(content)->sent);
    }
  }
}

}  // namespace
}  // namespace ringpost
