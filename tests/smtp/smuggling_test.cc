// SPDX-License-Identifier: GPL-3.0-or-later
//
// PROTOCOL "Attacks", smuggling: only CRLF . CRLF ends a message, whatever else is tried, however
// it is cut, and the backend never sees anything that any reader could take for another end.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "relay_harness.h"

namespace ringpost {
namespace {

using namespace std::string_view_literals;

constexpr std::array kParts = {""sv,       "\r"sv,   "\n"sv,     "\r\n"sv,
                               "\r\r\n"sv, "\n\r"sv, "\r\n\0"sv, "\0"sv};
constexpr std::string_view kSmuggled =
    "MAIL FROM:<s@x>\r\nRCPT TO:<t@y>\r\nDATA\r\nsmuggled\r\n.\r\n";
constexpr std::string_view kTrueEnd = "\r\n.\r\n";

std::vector<std::string> Bodies() {
  std::vector<std::string> bodies;
  for (const std::string_view x : kParts) {
    for (const std::string_view y : kParts) {
      bodies.push_back("body" + std::string(x) + "." + std::string(y));
    }
  }
  bodies.emplace_back("body\r\n.\r\r\n");
  bodies.emplace_back("body\r\r\n.\r\r\n");
  return bodies;
}

// No CR without LF, no LF without CR: there is only one way to read it.
bool ReadsOneWay(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && (i + 1 == text.size() || text[i + 1] != '\n')) return false;
    if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) return false;
  }
  return true;
}

int CountEnds(std::string_view text) {
  int ends = 0;
  for (std::size_t at = text.find(kTrueEnd); at != std::string_view::npos;
       at = text.find(kTrueEnd, at + 1)) {
    ++ends;
  }
  return ends;
}

void Smuggle(const std::string& body, std::size_t cut, BareNewline mode) {
  SCOPED_TRACE(testing::PrintToString(body) + " cut at " + std::to_string(cut));
  RelayOptions options = RelayHarness::DefaultOptions();
  options.bare_newline = mode;
  RelayHarness harness(options);
  harness.Hello();
  harness.StartContent();

  const std::string sent = body + std::string(kSmuggled);
  harness.FromClient(std::string_view(sent).substr(0, cut));
  harness.FromClient(std::string_view(sent).substr(cut));
  const std::string seen = harness.TakeToBackend();

  const std::size_t true_end = sent.find(kTrueEnd);
  const bool body_ends = true_end < body.size();
  const bool body_is_clean =
      ReadsOneWay(std::string_view(sent).substr(0, true_end + kTrueEnd.size()));
  if (mode == BareNewline::kReject && !body_is_clean) {
    EXPECT_EQ(harness.reason(), CloseReason::kBareNewline);
    EXPECT_TRUE(harness.relay().in_content()) << "the backend must be aborted";
    EXPECT_EQ(CountEnds(seen), 0);
    EXPECT_EQ(harness.to_client().substr(0, 10), "550 5.5.2 ");
    return;
  }
  EXPECT_TRUE(ReadsOneWay(seen)) << testing::PrintToString(seen);
  EXPECT_EQ(CountEnds(seen), 1) << testing::PrintToString(seen);
  EXPECT_EQ(harness.relay().stats().messages_accepted, 0U);
  if (body_ends && body.ends_with('\0')) {
    // The first command is spoilt, so those behind it have no transaction.
    EXPECT_TRUE(seen.ends_with(kTrueEnd)) << seen;
    harness.FromBackend("250 queued\r\n");
    EXPECT_EQ(harness.TakeToClient().substr(0, 19), "250 queued\r\n501 5.5");
    return;
  }
  if (body_ends) {
    // What follows are commands, and honest ones: a second message is up to the backend's own
    // replies.
    EXPECT_TRUE(seen.ends_with("MAIL FROM:<s@x>\r\nRCPT TO:<t@y>\r\nDATA\r\n")) << seen;
  } else {
    // All of it is the one message.
    EXPECT_TRUE(seen.ends_with("DATA\r\nsmuggled\r\n.\r\n")) << seen;
    EXPECT_EQ(harness.client_input(), "");
  }
  // At most one message: DATA's content was sent before any 354, so there is no second.
  harness.FromBackend("250 queued\r\n");
  EXPECT_EQ(harness.relay().stats().messages_accepted, 1U);
  if (body_ends) {
    harness.FromBackend("250 mail\r\n250 rcpt\r\n354 go\r\n");
    EXPECT_EQ(harness.reason(), CloseReason::kClientProtocol);
    EXPECT_EQ(CountEnds(harness.to_backend()), 0);
    EXPECT_EQ(harness.relay().stats().messages_accepted, 1U);
  }
}

TEST(SmugglingTest, MatrixCutAtEveryOctet) {
  const std::vector<std::string> bodies = Bodies();
  ASSERT_EQ(bodies.size(), 66U);
  for (const std::string& body : bodies) {
    for (const BareNewline mode : {BareNewline::kNormalize, BareNewline::kReject}) {
      for (std::size_t cut = 0; cut <= body.size() + kSmuggled.size(); ++cut) {
        Smuggle(body, cut, mode);
        if (HasFailure()) return;
      }
    }
  }
}

TEST(SmugglingTest, TheOneTrueEndIsInTheMatrix) {
  int ending = 0;
  for (const std::string& body : Bodies()) ending += body.find(kTrueEnd) != std::string::npos;
  // X one of CRLF, CRCRLF; Y one of CRLF, CRLF NUL.
  EXPECT_EQ(ending, 4);
}

}  // namespace
}  // namespace ringpost
