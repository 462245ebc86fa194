// SPDX-License-Identifier: GPL-3.0-or-later
//
// Replies that are longer than what the relay reads as a whole (PROTOCOL 10).
#include "ringpost/smtp/long_reply.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "relay_harness.h"

namespace ringpost {
namespace {

// Without 64 KiB of output where it fails.
void ExpectSame(const std::string& heard, const std::string& expected) {
  const std::size_t end = std::min<std::size_t>(heard.size(), 100);
  EXPECT_TRUE(heard == expected) << heard.size() << " octets instead of " << expected.size() << ", "
                                 << heard.substr(0, end) << " ... "
                                 << heard.substr(heard.size() - end);
}

std::string Line(std::string_view head, std::size_t octets) {
  return std::string(head) + std::string(octets - head.size() - 2, 'x') + "\r\n";
}

std::string Lines(std::string_view head, std::size_t octets, int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) lines += Line(head, octets);
  return lines;
}

constexpr std::string_view kInvalid =
    "421 4.3.0 mx.test Error: invalid reply from the mail system\r\n";
constexpr std::string_view kLost =
    "421 4.3.2 mx.test Error: connection to the mail system lost\r\n";

enum class Arrival { kWhole, kPieces, kSmallRuns };

struct Heard {
  std::string client;
  CloseReason reason = CloseReason::kNone;
  RelayStats stats;
};

// What the client hears of `said` in answer to RCPT, or to the end of content.
Heard Hear(std::string_view said, std::string_view command, Arrival arrival, bool eof = false) {
  RelayHarness harness;
  if (arrival == Arrival::kSmallRuns) harness.set_window(100);
  harness.Hello();
  if (command == ".") {
    harness.StartContent();
  } else {
    harness.Envelope();
  }
  harness.FromClient(std::string(command) + "\r\n");
  static_cast<void>(harness.TakeToClient());
  if (arrival == Arrival::kPieces) {
    for (; !said.empty(); said.remove_prefix(std::min<std::size_t>(said.size(), 777))) {
      harness.FromBackend(said.substr(0, 777));
    }
  } else {
    harness.FromBackend(said);
  }
  if (eof) harness.BackendEof();
  if (!harness.closed()) {
    harness.FromClient("NOOP\r\n");
    harness.FromBackend("250 still here\r\n");
    EXPECT_TRUE(harness.to_client().ends_with("250 still here\r\n"));
  }
  return Heard{.client = harness.TakeToClient(),
               .reason = harness.reason(),
               .stats = harness.relay().stats()};
}

void ExpectHeard(std::string_view said, std::string_view command, const std::string& client,
                 CloseReason reason = CloseReason::kNone, bool eof = false) {
  for (const Arrival arrival : {Arrival::kWhole, Arrival::kPieces, Arrival::kSmallRuns}) {
    const Heard heard = Hear(said, command, arrival, eof);
    const std::string expected =
        reason == CloseReason::kNone ? client + "250 still here\r\n" : client;
    ExpectSame(heard.client, expected);
    EXPECT_EQ(heard.reason, reason);
    if (command == "." && said.starts_with("2")) {
      EXPECT_EQ(heard.stats.messages_accepted, 1U);
    }
  }
}

TEST(LongReplyTest, UpTo64KiBPass) {
  for (const std::string_view command : {"RCPT TO:<c@c>", "VRFY a", "."}) {
    for (const std::size_t octets : {512U, 4096U}) {
      const int count = static_cast<int>(kReplyOctetsMax / octets) - 1;
      const std::string said = Lines("250-", octets, count) + Line("250 ", octets);
      ASSERT_EQ(said.size(), kReplyOctetsMax);
      ExpectHeard(said, command, said);
      std::string refusal = said;
      for (std::size_t at = 0; at < refusal.size(); at += octets) refusal[at] = '5';
      ExpectHeard(refusal, command, refusal);
    }
  }
  const std::string many = Lines("214-", 6, 10000) + "214 end\r\n";
  ExpectHeard(many, "HELP", many);
}

TEST(LongReplyTest, TextIsCutAndNeverTheCode) {
  // One line, whole in a block or not.
  for (const std::size_t octets : {4097U, 5000U, 16384U, 16385U, 60000U}) {
    for (const std::string_view code : {"250 ", "550 ", "452 "}) {
      ExpectHeard(Line(code, octets), ".", Line(code, kReplyLineMax));
    }
    ExpectHeard("250-a\r\n" + Line("250-", octets) + "250 b\r\n", ".",
                "250-a\r\n" + Line("250-", kReplyLineMax) + "250 b\r\n");
  }
  // Between characters.
  std::string letters = "550 ";
  while (letters.size() < 20000) letters += "\xC3\xA9";
  std::string kept = letters.substr(0, kReplyLineMax - 2);
  ExpectHeard(letters + "\r\n", "VRFY a", kept + "\r\n");
  ExpectHeard("550 x" + letters.substr(4) + "\r\n", "VRFY a",
              "550 x" + letters.substr(4, kReplyLineMax - 2 - 6) + "\r\n");
}

TEST(LongReplyTest, More64KiBAreCut) {
  const std::string said = Lines("250-", 1000, 100) + "250 end\r\n";
  ExpectHeard(said, ".", Lines("250-", 1000, 65) + "250 end\r\n");
  // The last line has room for its code at least.
  const Heard heard = Hear(Lines("250-", 6, 12000) + Line("250 ", 4000), ".", Arrival::kWhole);
  const Reply reply = ParseReply(heard.client.substr(0, 100));
  EXPECT_EQ(reply.code, 250);
  EXPECT_LE(heard.client.size(), kReplyOctetsMax + 16);
  EXPECT_EQ(heard.client.find("\r\n250 still here"), heard.client.size() - 18);
}

TEST(LongReplyTest, WhatIsDroppedIsBounded) {
  const std::string endless = "550 " + std::string(80000, 'x');
  ExpectHeard(endless, "VRFY a", Line("550 ", kReplyLineMax) + std::string(kInvalid),
              CloseReason::kBackendProtocol);
  ExpectHeard(Lines("250-", 1000, 200), ".",
              Lines("250-", 1000, 65) + "250 (reply cut short)\r\n" + std::string(kInvalid),
              CloseReason::kBackendProtocol);
}

TEST(LongReplyTest, WhatGoesWrongHalfWayEndsWithItsCode) {
  const std::string good = Lines("250-", 1000, 20);
  for (const std::string_view bad : {"251-a\r\n", "250-a\n", "garbage\r\n", "250-a\rb\r\n"}) {
    ExpectHeard(good + std::string(bad) + "250 b\r\n", ".",
                good + "250 (reply cut short)\r\n" + std::string(kInvalid),
                CloseReason::kBackendProtocol);
  }
  // Within what is dropped, too.
  for (const std::string_view bad : {"\n250 b\r\n", "\rx\r\n"}) {
    ExpectHeard("550 " + std::string(20000, 'x') + std::string(bad), "VRFY a",
                Line("550 ", kReplyLineMax) + std::string(kInvalid), CloseReason::kBackendProtocol);
  }
  ExpectHeard(good, ".", good + "250 (reply cut short)\r\n" + std::string(kLost),
              CloseReason::kBackendReset, /*eof=*/true);
  ExpectHeard(good, "RCPT TO:<c@c>", good + "250 (reply cut short)\r\n" + std::string(kLost),
              CloseReason::kBackendReset, /*eof=*/true);
}

// With one reply too many the session ends behind the client's reply.
TEST(LongReplyTest, OneReplyTooMany) {
  const std::string said = Lines("550-", 1000, 20) + "550 end\r\n";
  ExpectHeard(said + "250 another\r\n", "VRFY a",
              said + "421 4.3.2 mx.test Error: mail system not available, try again later\r\n",
              CloseReason::kBackendIdentity);
}

TEST(LongReplyTest, Challenges) {
  for (const std::size_t octets : {512U, 4097U, 12288U}) {
    RelayHarness harness(RelayHarness::AuthInClear());
    harness.Hello();
    harness.FromClient("AUTH GSSAPI\r\n");
    const std::string challenge = "334 " + std::string(octets, 'Q') + "\r\n";
    harness.FromBackendSplit(challenge);
    ExpectSame(harness.TakeToClient(), challenge);
  }
  // Cut, it would be another challenge.
  for (const std::string& bad :
       {"334 " + std::string(12289, 'Q') + "\r\n", Lines("334-", 1000, 20) + "334 x\r\n"}) {
    RelayHarness harness(RelayHarness::AuthInClear());
    harness.Hello();
    harness.FromClient("AUTH GSSAPI\r\n");
    harness.FromBackend(bad);
    EXPECT_EQ(harness.reason(), CloseReason::kBackendProtocol);
    ExpectSame(harness.TakeToClient(), std::string(kInvalid));
    EXPECT_EQ(harness.relay().reply_fault(), ReplyFault::kTooLong);
  }
}

// To a backend that has not offered PIPELINING.
void ExpectGoesOn(RelayHarness& harness) {
  static_cast<void>(harness.TakeToBackend());
  harness.FromClient("RSET\r\n");
  EXPECT_EQ(harness.TakeToBackend(), "RSET\r\n");
  harness.FromBackend("250 reset\r\n");
  EXPECT_EQ(harness.TakeToClient(), "250 reset\r\n");
  EXPECT_FALSE(harness.closed());
}

// The first lines have to do, and the rest is read past.
TEST(LongReplyTest, Ehlo) {
  for (const bool split : {false, true}) {
    RelayHarness harness;
    harness.FromBackend("220 back\r\n");
    harness.FromClient("EHLO client\r\n");
    static_cast<void>(harness.TakeToClient());
    const std::string said = "250-back\r\n250-PIPELINING\r\n250-CHUNKING\r\n" +
                             Lines("250-X", 1000, 20) + "250 SMTPUTF8\r\n";
    split ? harness.FromBackendSplit(said) : harness.FromBackend(said);
    ExpectSame(harness.TakeToClient(),
               "250-back\r\n250-STARTTLS\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
    harness.Envelope();
    harness.FromClient("BDAT 1 LAST\r\na");
    EXPECT_EQ(harness.TakeToBackend(), "BDAT 1 LAST\r\na");

    RelayHarness one_line;
    one_line.FromBackend("220 back\r\n");
    one_line.FromClient("EHLO client\r\n");
    static_cast<void>(one_line.TakeToClient());
    const std::string line = Line("250 ", 20000);
    split ? one_line.FromBackendSplit(line) : one_line.FromBackend(line);
    ExpectSame(one_line.TakeToClient(), Line("250-", kReplyLineMax) + "250 STARTTLS\r\n");
    ExpectGoesOn(one_line);
  }
  RelayHarness refused;
  refused.FromBackend("220 back\r\n");
  refused.FromClient("EHLO client\r\n");
  static_cast<void>(refused.TakeToClient());
  refused.FromBackend(Line("550 ", 20000));
  ExpectSame(refused.TakeToClient(), Line("550 ", kReplyLineMax));
  refused.FromClient("HELO client\r\n");
  refused.FromBackend(Line("250 ", 20000));
  ExpectSame(refused.TakeToClient(), Line("250 ", kReplyLineMax));
  ExpectGoesOn(refused);
}

TEST(LongReplyTest, GreetingsAreShortened) {
  for (const std::string_view code : {"220", "554"}) {
    RelayHarness harness;
    const std::string first = std::string(code) + "-a\r\n";
    const std::string head = std::string(code) + " ";
    harness.FromBackend(first + Line(head, 6000));
    ExpectSame(harness.TakeToClient(), first + Line(head, kReplyLineMax));
  }
  RelayOptions options = RelayHarness::DefaultOptions();
  options.proxy_header = options.prove_with_noop = true;
  RelayHarness harness(options);
  harness.FromBackend(Line("220 ", 6000));
  harness.FromBackend("250 ok\r\n");
  ExpectSame(harness.TakeToClient(), Line("220 ", kReplyLineMax));
  RelayHarness endless;
  endless.FromBackend(Line("220 ", 20000));
  EXPECT_EQ(endless.reason(), CloseReason::kBackendProtocol);
  ExpectSame(endless.TakeToClient(), std::string(kInvalid));
}

TEST(LongReplyTest, A421EndsTheSession) {
  const std::string said = Lines("421-", 1000, 20) + "421 end\r\n";
  ExpectHeard(said, "VRFY a", said, CloseReason::kBackend421);
}

// Whoever ends the session: what the client has half of is ended.
TEST(LongReplyTest, Farewell) {
  RelayHarness harness;
  harness.Hello();
  harness.FromClient("VRFY a\r\n");
  const std::string said = Lines("252-", 1000, 20);
  harness.FromBackend(said);
  ExpectSame(harness.TakeToClient(), said);
  EXPECT_EQ(harness.relay().Farewell(CloseReason::kBackendTimeout),
            "252 (reply cut short)\r\n421 4.4.2 mx.test Error: timeout exceeded\r\n");
}

TEST(LongReplyTest, HalfAnAcceptanceIsOne) {
  for (const std::string_view begun : {"250", "250 2.0.0 queued as 4", "250-2.0.0 queued\r\n25"}) {
    RelayHarness harness;
    harness.Hello();
    harness.StartContent();
    harness.FromClient(".\r\n");
    harness.FromBackend(begun);
    EXPECT_EQ(harness.relay().Farewell(CloseReason::kBackendTimeout),
              "250 (reply cut short)\r\n421 4.4.2 mx.test Error: timeout exceeded\r\n");
    EXPECT_EQ(harness.relay().stats().messages_accepted, 1U);
  }
  for (const std::string_view begun : {"25", "550 no", "354", "220 "}) {
    RelayHarness harness;
    harness.Hello();
    harness.StartContent();
    harness.FromClient(".\r\n");
    harness.FromBackend(begun);
    if (harness.closed()) continue;
    EXPECT_EQ(harness.relay().Farewell(CloseReason::kBackendTimeout),
              "421 4.4.2 mx.test Error: timeout exceeded\r\n");
    EXPECT_EQ(harness.relay().stats().messages_accepted, 0U);
  }
}

}  // namespace
}  // namespace ringpost
