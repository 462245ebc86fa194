// SPDX-License-Identifier: GPL-3.0-or-later
//
// A hostile client and an honest backend, at random. The backend is a small SMTP server of its own
// that reads what reaches it as strictly as RFC 5321 allows: it must never meet anything it does
// not know, nor a command before the reply to one that ends a group (RFC 2920 3.1), and what the
// client is told must be what the backend said.
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "relay_harness.h"

namespace ringpost {
namespace {

using namespace std::string_view_literals;

class HonestBackend {
 public:
  HonestBackend(std::mt19937* random, AuthPolicy auth) : random_(random), auth_(auth) {}

  // Takes what arrived; replies are kept until NextReply(), as a slow server would.
  void Receive(std::string_view octets) {
    EXPECT_TRUE(octets.empty() || !group_ended_) << testing::PrintToString(octets);
    input_.append(octets);
    while (Step()) {
    }
  }

  [[nodiscard]] std::string NextReply() {
    if (replies_.empty()) return {};
    std::string reply = replies_.front();
    replies_.pop_front();
    if (reply.starts_with("354")) in_content_ = true;
    if (replies_.empty()) group_ended_ = false;
    if (reply[0] >= '4') ++refused_;
    while (Step()) {
    }
    return reply;
  }

  [[nodiscard]] int accepted() const { return accepted_; }
  [[nodiscard]] int refused() const { return refused_; }

 private:
  bool Step() {
    if (chunk_ > 0) return Chunk();
    if (in_content_) return Content();
    const std::size_t end = input_.find("\r\n");
    if (end == std::string::npos) return false;
    const std::string line = input_.substr(0, end);
    input_.erase(0, end + 2);
    Command(line);
    return true;
  }

  bool Content() {
    const std::string text = "\r\n" + input_;
    const std::size_t end = text.find("\r\n.\r\n");
    if (end == std::string::npos) return false;
    ExpectOneReading(std::string_view(text).substr(0, end + 5));
    input_.erase(0, end + 3);
    in_content_ = false;
    transaction_ = false;
    if (!pipelining_) EndGroup();
    Final();
    return true;
  }

  bool Chunk() {
    if (input_.empty()) return false;
    const std::size_t octets = std::min<std::size_t>(chunk_, input_.size());
    input_.erase(0, octets);
    chunk_ -= octets;
    if (chunk_ == 0) ChunkEnd();
    return true;
  }

  void ChunkEnd() {
    if (!pipelining_) EndGroup();
    if (!last_) {
      Reply("250 chunk");
      return;
    }
    transaction_ = false;
    Final();
  }

  void Final() {
    if (Often()) {
      ++accepted_;
      Reply("250 queued");
    } else {
      Reply("550 spam");
    }
  }

  // Nothing may follow before the reply.
  void EndGroup() {
    EXPECT_EQ(input_, "");
    group_ended_ = true;
  }

  void Command(const std::string& line) {
    ExpectOneReading(line + "\r\n");
    EXPECT_LE(line.size() + 2, 12288U);
    EXPECT_EQ(line.find('\0'), std::string::npos);
    const std::string verb = line.substr(0, line.find(' '));
    const bool anywhere = verb == "MAIL" || verb == "RCPT" || verb == "RSET";
    if (challenge_ || (verb != "BDAT" && (!anywhere || !pipelining_))) EndGroup();
    if (challenge_) {
      challenge_ = false;
      if (line != "*" && Often()) {
        Reply("235 welcome");
      } else {
        Reply("501 no");
      }
      return;
    }
    if (verb == "EHLO") {
      transaction_ = false;
      pipelining_ = Often();
      Reply(pipelining_ ? "250-back\r\n250-CHUNKING\r\n250-PIPELINING\r\n250 AUTH PLAIN"
                        : "250-back\r\n250-CHUNKING\r\n250 AUTH PLAIN");
    } else if (verb == "MAIL") {
      if (transaction_ || !Often()) return Reply("503 mail");
      transaction_ = true;
      Reply("250 mail");
    } else if (verb == "RCPT") {
      Reply(transaction_ && Often() ? "250-more\r\n250 rcpt" : "550 rcpt");
    } else if (verb == "DATA") {
      Reply(transaction_ && Often() ? "354 go" : "554 data");
    } else if (verb == "BDAT") {
      chunk_ = std::stoul(line.substr(5));
      last_ = line.ends_with("LAST");
      if (chunk_ == 0) ChunkEnd();
    } else if (verb == "RSET") {
      transaction_ = false;
      Reply("250 reset");
    } else if (verb == "AUTH" && auth_ == AuthPolicy::kAsBackend) {
      challenge_ = Often();
      Reply(challenge_ ? "334 " : "535 no");
    } else if (verb == "NOOP" || verb == "VRFY") {
      Reply("252 ok");
    } else {
      ADD_FAILURE() << "reached the backend: " << testing::PrintToString(line);
    }
  }

  static void ExpectOneReading(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\r') {
        ASSERT_TRUE(i + 1 < text.size() && text[i + 1] == '\n');
      } else if (text[i] == '\n') {
        ASSERT_TRUE(i > 0 && text[i - 1] == '\r');
      }
    }
  }

  void Reply(std::string_view text) { replies_.push_back(std::string(text) + "\r\n"); }
  bool Often() { return (*random_)() % 4 != 0; }

  std::mt19937* random_;
  const AuthPolicy auth_;
  std::string input_;
  std::deque<std::string> replies_;
  std::size_t chunk_ = 0;
  bool last_ = false;
  bool in_content_ = false;
  bool transaction_ = false;
  bool challenge_ = false;
  bool pipelining_ = false;
  bool group_ended_ = false;
  int accepted_ = 0;
  int refused_ = 0;
};

constexpr std::array kSaid = {
    "EHLO a\r\n"sv,
    "MAIL FROM:<a@a>\r\n"sv,
    "MAIL FROM:<a@a>\r\n"sv,
    "RCPT TO:<b@b>\r\n"sv,
    "RCPT TO:<b@b>\r\n"sv,
    "DATA\r\n"sv,
    "DATA\r\n"sv,
    ".\r\n"sv,
    "\r\n.\r\n"sv,
    "\n.\r\n"sv,
    "\r\n.\n"sv,
    "\n.\n"sv,
    "\r"sv,
    "\n"sv,
    "\0"sv,
    "\r\n"sv,
    "BDAT 5\r\nab\r\n."sv,
    "BDAT 7 LAST\r\n\r\n.\r\nxy"sv,
    "BDAT 0 LAST\r\n"sv,
    "RSET\r\n"sv,
    "NOOP\r\n"sv,
    "VRFY x\r\n"sv,
    "AUTH PLAIN\r\n"sv,
    "*\r\n"sv,
    "text"sv,
    "text\r\n"sv,
    "..stuffed\r\n"sv,
    "XCLIENT ADDR=::1\r\n"sv,
    " XCLIENT\r\n"sv,
    "BOGUS\r\n"sv,
    "\xff\r\n"sv,
};

// Replies that the client received, complete ones only: the last line of each.
std::vector<std::string> Replies(std::string_view text) {
  std::vector<std::string> replies;
  while (!text.empty()) {
    const std::size_t end = text.find("\r\n");
    if (end == std::string_view::npos) {
      ADD_FAILURE() << "part of a line: " << text;
      break;
    }
    const std::string_view line = text.substr(0, end);
    EXPECT_GE(line.size(), 4U);
    if (line[3] == ' ') replies.emplace_back(line);
    text.remove_prefix(end + 2);
  }
  return replies;
}

void Play(unsigned seed, BareNewline mode) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  RelayOptions options = RelayHarness::DefaultOptions();
  options.refused_commands_max = 1000;
  options.bare_newline = mode;
  options.auth = random() % 4 == 0 ? AuthPolicy::kTls : AuthPolicy::kAsBackend;
  RelayHarness harness(options);
  HonestBackend backend(&random, options.auth);
  harness.set_window(1 + random() % 40);
  harness.FromBackend("220 back\r\n");

  const auto reply = [&] {
    const std::string text = backend.NextReply();
    if (!text.empty()) harness.FromBackend(text);
    backend.Receive(harness.TakeToBackend());
    return !text.empty();
  };
  harness.FromClient("EHLO a\r\n");
  backend.Receive(harness.TakeToBackend());
  for (int turn = 0; turn < 60 && !harness.closed(); ++turn) {
    std::string said;
    for (std::size_t i = random() % 4; i > 0; --i) said += kSaid[random() % kSaid.size()];
    if (random() % 2 == 0) {
      harness.FromClient(said);
    } else {
      const std::size_t cut = said.empty() ? 0 : random() % said.size();
      harness.FromClient(said.substr(0, cut));
      harness.FromClient(said.substr(cut));
    }
    backend.Receive(harness.TakeToBackend());
    if (random() % 3 != 0) reply();
    if (testing::Test::HasFailure()) return;
  }
  while (!harness.closed() && reply()) {
  }

  int accepted = 0;
  for (const std::string& line : Replies(harness.TakeToClient())) accepted += line == "250 queued";
  EXPECT_EQ(accepted, static_cast<int>(harness.relay().stats().messages_accepted));
  if (harness.closed()) {
    // The last replies may have been overtaken by the end, never the other way round.
    EXPECT_LE(accepted, backend.accepted());
  } else {
    EXPECT_EQ(accepted, backend.accepted());
    EXPECT_EQ(harness.relay().stats().backend_refusals,
              static_cast<std::uint32_t>(backend.refused()));
  }
}

TEST(RandomSessionTest, HostileClientHonestBackend) {
  const unsigned seed = std::random_device{}();
  for (unsigned round = 0; round < 3000; ++round) {
    Play(seed + round, round % 4 == 0 ? BareNewline::kReject : BareNewline::kNormalize);
    if (HasFailure()) return;
  }
}

// Octets without any sense, from both sides: nothing may be worse than a close.
TEST(RandomSessionTest, Noise) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  constexpr std::array kNoise = {
      "\r"sv,           "\n"sv,         "\r\n"sv,       "."sv,         "\0"sv,         "2"sv,
      "220 "sv,         "250 a\r\n"sv,  "250-"sv,       "354 a\r\n"sv, "334 a\r\n"sv,  "421 "sv,
      "550 a\r\n"sv,    "EHLO a\r\n"sv, "MAIL F\r\n"sv, "DATA\r\n"sv,  "BDAT 3\r\n"sv, "AUTH\r\n"sv,
      "STARTTLS\r\n"sv, "QUIT\r\n"sv,   "\xc3"sv,       "AUTH "sv};
  int closed = 0;
  for (int round = 0; round < 5000; ++round) {
    RelayOptions options = RelayHarness::DefaultOptions();
    options.xclient = random() % 4 == 0;
    options.tls_policy = static_cast<TlsPolicy>(random() % 3);
    options.auth = static_cast<AuthPolicy>(random() % 2);
    RelayHarness harness(options);
    if (random() % 2 == 0) harness.FromBackend("220 a\r\n");
    for (int turn = 0; turn < 40 && !harness.closed(); ++turn) {
      const std::string text(kNoise[random() % kNoise.size()]);
      if (harness.handshake()) {
        harness.TlsEstablished(random() % 2 == 0 ? BackendAfterTls::kSame
                                                 : BackendAfterTls::kReconnected);
      } else if (random() % 3 != 0) {
        harness.FromClient(text);
      } else {
        harness.FromBackend(text);
      }
    }
    if (random() % 2 == 0) harness.ClientEof();
    if (random() % 2 == 0) harness.BackendEof();
    static_cast<void>(harness.relay().waiting());
    static_cast<void>(harness.relay().idle());
    static_cast<void>(harness.relay().Farewell(CloseReason::kDrain));
    closed += harness.closed();
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(closed, 1000);
}

}  // namespace
}  // namespace ringpost
