// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the dialogues cannot say: limits, counters, steps, and the questions the session asks.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "relay_harness.h"
#include "ringpost/base/buffer_pool.h"
#include "ringpost/smtp/smtp_relay.h"

namespace ringpost {
namespace {

constexpr std::string_view kTooLong = "500 5.5.2 Error: line too long\r\n";

std::string Repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

// `line` is of the longest length allowed, CRLF included; one more octet is too many (PROTOCOL 2).
void ExpectLineLimit(const std::string& line, std::string_view reply) {
  for (const bool split : {false, true}) {
    RelayHarness harness;
    harness.Hello();
    harness.Envelope();
    split ? harness.FromClientSplit(line) : harness.FromClient(line);
    EXPECT_EQ(harness.TakeToBackend(), line);
    harness.FromBackend(reply);
    EXPECT_EQ(harness.TakeToClient(), reply);

    std::string longer = line;
    longer.insert(longer.size() - 2, 1, 'x');
    split ? harness.FromClientSplit(longer) : harness.FromClient(longer);
    EXPECT_EQ(harness.TakeToBackend(), "");
    EXPECT_EQ(harness.TakeToClient(), kTooLong);
    harness.FromClient("NOOP\r\n");
    EXPECT_EQ(harness.TakeToBackend(), "NOOP\r\n");
  }
}

TEST(RelayLimitsTest, CommandLines) {
  ExpectLineLimit("NOOP " + std::string(512 - 7, 'a') + "\r\n", "250 ok\r\n");
  ExpectLineLimit("MAIL FROM:<" + std::string(512 + 735 - 14, 'a') + ">\r\n", "250 ok\r\n");
  ExpectLineLimit("RCPT TO:<" + std::string(512 + 536 - 12, 'a') + ">\r\n", "250 ok\r\n");
}

TEST(RelayLimitsTest, AuthLines) {
  RelayHarness harness(RelayHarness::AuthInClear());
  harness.Hello();
  const std::string line = "AUTH PLAIN " + std::string(12288 - 13, 'a') + "\r\n";
  harness.FromClient(line);
  EXPECT_EQ(harness.TakeToBackend(), line);
  harness.FromBackend("334 \r\n");
  const std::string response = std::string(12288 - 2, 'b') + "\r\n";
  harness.FromClient(response);
  EXPECT_EQ(harness.TakeToBackend(), response);
  harness.FromBackend("334 \r\n");
  // Too long an answer is cancelled, and the backend's 501 is the reply.
  harness.FromClient("b" + response);
  EXPECT_EQ(harness.TakeToBackend(), "*\r\n");
  static_cast<void>(harness.TakeToClient());
  harness.FromBackend("501 cancelled\r\n");
  EXPECT_EQ(harness.TakeToClient(), "501 cancelled\r\n");
  harness.FromClient("a" + line);
  EXPECT_EQ(harness.TakeToClient(), kTooLong);
  EXPECT_EQ(harness.TakeToBackend(), "");
}

TEST(RelayLimitsTest, TheDiscardIsBounded) {
  for (const bool split : {false, true}) {
    RelayHarness harness;
    harness.Hello();
    harness.FromClient(std::string(600, 'x'));
    EXPECT_EQ(harness.TakeToClient(), kTooLong) << "at once";
    const std::uint32_t progress = harness.relay().progress();
    const std::string endless(kLineDiscardMax - 600, 'x');
    split ? harness.FromClientSplit(endless) : harness.FromClient(endless);
    EXPECT_FALSE(harness.closed());
    EXPECT_EQ(harness.TakeToClient(), "") << "and once";
    EXPECT_EQ(harness.relay().progress(), progress);
    harness.FromClient("x");
    EXPECT_EQ(harness.reason(), CloseReason::kLineTooLong);
    EXPECT_EQ(harness.TakeToClient(), "421 4.7.0 mx.test Error: line too long\r\n");
    EXPECT_EQ(harness.TakeToBackend(), "");
  }
}

TEST(RelayLimitsTest, ADiscardedLineEndsAtItsLf) {
  for (const std::size_t length : {510U, 511U, 512U, 513U}) {
    RelayHarness harness;
    harness.Hello();
    harness.FromClient(std::string(length, 'x') + "\r");
    harness.FromClient("\nNOOP\r\n");
    EXPECT_EQ(harness.to_backend(), "NOOP\r\n") << length;
    RelayHarness bare;
    bare.Hello();
    bare.FromClient(std::string(600, 'x'));
    bare.FromClient("\nNOOP\r\n");
    EXPECT_EQ(bare.to_backend(), "NOOP\r\n");
    EXPECT_EQ(bare.to_client(), kTooLong);
  }
}

TEST(RelayLimitsTest, LongBdatLineEndsTheSession) {
  RelayHarness harness;
  harness.Hello();
  harness.FromClient("BDAT " + std::string(600, '1'));
  EXPECT_EQ(harness.reason(), CloseReason::kBdatSyntax);
}

TEST(RelayPipelineTest, ManyRecipients) {
  // PROTOCOL 4; more than the first-in first-out holds: the rest waits in the queue.
  RelayHarness harness;
  harness.Hello();
  const int count = 1000;
  harness.FromClient("MAIL FROM:<a@a>\r\n" + Repeat("RCPT TO:<b@b>\r\n", count) + "DATA\r\n");
  EXPECT_FALSE(harness.client_input().empty());
  for (int i = 0; i < count + 1; ++i) harness.FromBackend("250 ok\r\n");
  EXPECT_EQ(harness.TakeToBackend(),
            "MAIL FROM:<a@a>\r\n" + Repeat("RCPT TO:<b@b>\r\n", count) + "DATA\r\n");
  EXPECT_EQ(harness.TakeToClient(), Repeat("250 ok\r\n", count + 1));
  harness.FromBackend("354 go\r\n");
  EXPECT_TRUE(harness.relay().in_content());
}

TEST(RelayPipelineTest, ManySmallChunks) {
  // PROTOCOL "Attacks", BDAT state: bounded memory, every chunk a reply.
  RelayHarness harness;
  harness.Hello();
  harness.Envelope();
  const int count = 2000;
  harness.FromClient(Repeat("BDAT 1\r\nA", count));
  for (int i = 0; i < count; ++i) harness.FromBackend("250 ok\r\n");
  EXPECT_EQ(harness.TakeToBackend(), Repeat("BDAT 1\r\nA", count));
  EXPECT_EQ(harness.TakeToClient(), Repeat("250 ok\r\n", count));
  EXPECT_EQ(harness.relay().stats().content_octets, static_cast<std::uint64_t>(count));
}

TEST(RelayContentTest, LinesOfAnyLengthPassWhole) {
  // PROTOCOL 3.
  for (const std::size_t window : {1U, 7U, 16384U}) {
    RelayHarness harness;
    harness.set_window(window);
    harness.Hello();
    harness.StartContent();
    const std::string content =
        std::string(998, 'a') + "\r\n" + std::string(50000, 'b') + "\r\n.\r\n";
    harness.FromClient(content);
    EXPECT_EQ(harness.TakeToBackend(), content);
    EXPECT_EQ(harness.relay().stats().content_octets, content.size());
    EXPECT_FALSE(harness.relay().in_content());
  }
}

TEST(RelayContentTest, ConformingContentIsOneStepPerRun) {
  RelayHarness harness;
  harness.Hello();
  harness.StartContent();
  const std::size_t before = harness.steps();
  harness.FromClient(Repeat("An ordinary line of text.\r\n..\r\n", 400) + ".\r\n");
  // One forward; then both sides have nothing more, twice around.
  EXPECT_LE(harness.steps() - before, 5U);
}

TEST(RelayStatsTest, CountsWhatTheBackendSaid) {
  RelayHarness harness;
  harness.Hello();
  harness.StartContent();
  harness.FromClient("a\nb\r\n.\r\n");
  EXPECT_EQ(harness.relay().stats().messages_accepted, 0U);
  harness.FromBackend("250 queued\r\n");
  harness.StartContent();
  harness.FromClient(".\r\n");
  harness.FromBackend("452 later\r\n");
  harness.Envelope();
  harness.FromClient("BDAT 1 LAST\r\nx");
  harness.FromBackend("250 queued\r\n");
  harness.FromClient("BOGUS\r\n");
  const RelayStats& stats = harness.relay().stats();
  EXPECT_EQ(stats.messages_accepted, 2U);
  EXPECT_EQ(stats.backend_refusals, 1U);
  EXPECT_EQ(stats.commands_refused, 1U);
  EXPECT_EQ(stats.bare_newlines, 1U);
  EXPECT_EQ(stats.content_octets, 8U + 3U + 1U);
}

// Each 4yz and 5yz that the client gets from the backend, whatever was asked.
TEST(RelayStatsTest, CountsWhatTheBackendRefused) {
  const auto refusals = [](RelayHarness& harness) {
    return harness.relay().stats().backend_refusals;
  };
  RelayHarness harness;
  harness.Hello();
  harness.FromClient("MAIL FROM:<a@b>\r\n");
  harness.FromBackend("452 4.3.1 later\r\n");
  EXPECT_EQ(refusals(harness), 1U);
  harness.FromClient("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n");
  harness.FromBackend("250 ok\r\n553 no\r\n250 ok\r\n451 not now\r\n");
  EXPECT_EQ(refusals(harness), 3U);
  harness.FromClient("BDAT 1 LAST\r\nx");
  harness.FromBackend("554 spam\r\n");
  EXPECT_EQ(refusals(harness), 4U);
  harness.FromClient("VRFY a\r\n");
  harness.FromBackend("421 bye\r\n");
  EXPECT_EQ(refusals(harness), 5U);
  EXPECT_EQ(harness.relay().stats().messages_accepted, 0U);
  EXPECT_EQ(harness.relay().stats().commands_refused, 0U);

  RelayHarness greeted;
  greeted.FromBackend("554 not you\r\n");
  EXPECT_EQ(refusals(greeted), 1U);
}

std::string LastRefusalAfter(std::string_view said,
                             const RelayOptions& options = RelayHarness::DefaultOptions()) {
  RelayHarness harness(options);
  harness.Hello();
  harness.FromClient(said);
  EXPECT_EQ(harness.relay().stats().commands_refused, 1U) << said;
  return std::string(harness.relay().stats().last_refused.text());
}

// For the log: what was refused, in words of ours and none of the client's.
TEST(RelayStatsTest, NamesTheLastRefusal) {
  using namespace std::string_view_literals;
  EXPECT_EQ(LastRefusalAfter("rcpt TO:<b@b>\r\n"), "RCPT 503 5.5.1");
  EXPECT_EQ(LastRefusalAfter("AUTH PLAIN c2VjcmV0\r\n"), "AUTH 530 5.7.0");
  EXPECT_EQ(LastRefusalAfter("STARTTLS now\r\n"), "STARTTLS 501 5.5.4");
  EXPECT_EQ(LastRefusalAfter("XFORWARD ADDR=::1\r\n"), "XFORWARD 502 5.5.1");
  EXPECT_EQ(LastRefusalAfter("BDAT 2\r\nxy"), "BDAT 503 5.5.1");
  EXPECT_EQ(LastRefusalAfter("BDAT x\r\n"), "BDAT 501 5.5.4");
  EXPECT_EQ(LastRefusalAfter("EHLO a\tb\r\n"), "EHLO 501 5.5.4");
  EXPECT_EQ(LastRefusalAfter("NOOP\0\r\n"sv), "unknown 501 5.5.2");
  EXPECT_EQ(LastRefusalAfter("NOOP \xff\r\n"), "NOOP 501 5.5.2");
  EXPECT_EQ(LastRefusalAfter("NOOP " + std::string(600, 'x')), "NOOP 500 5.5.2");
  EXPECT_EQ(LastRefusalAfter("GET / HTTP/1.1\r\n"), "GET 500 5.5.1");
  for (const std::string_view said :
       {"\r\n"sv, " NOOP\r\n"sv, "c2VjcmV0\r\n"sv, "\x1b[2J reason=quit\r\n"sv}) {
    EXPECT_EQ(LastRefusalAfter(said), "unknown 500 5.5.2");
  }
  EXPECT_EQ(LastRefusalAfter("Subject: x\r\n"), "unknown 500 5.5.1");
  // A policy's own reply; the configuration may leave out the enhanced code.
  EXPECT_EQ(LastRefusalAfter("MAIL FROM:<a@refused.test>\r\n"), "MAIL 550 5.7.0");
  EXPECT_EQ(ReplyCode("450 not here\r\n"), "450");
  EXPECT_EQ(ReplyCode("550 5.777.777 so\r\n"), "550 5.777.777");
  EXPECT_EQ(ReplyCode("550 5.7777.777 so\r\n"), "550");
  EXPECT_EQ(ReplyCode("550\r\n"), "550");

  RelayOptions options = RelayHarness::DefaultOptions();
  options.tls_policy = TlsPolicy::kEncrypt;
  EXPECT_EQ(LastRefusalAfter("MAIL FROM:<a@a>\r\n", options), "MAIL 530 5.7.0");
  options = RelayHarness::DefaultOptions();
  options.refused_commands_max = 0;
  EXPECT_EQ(LastRefusalAfter("BOGUS\r\n", options), "unknown 421 4.7.0");
  EXPECT_EQ(LastRefusalAfter("MAIL FROM:<a@refused.test>\r\n", options), "MAIL 421 4.7.0");
}

TEST(RelayStatsTest, RefusedContentIsNamedToo) {
  RelayOptions options = RelayHarness::DefaultOptions();
  options.bare_newline = BareNewline::kReject;
  RelayHarness bare(options);
  bare.Hello();
  bare.StartContent();
  bare.FromClient("a\nb\r\n");
  EXPECT_EQ(bare.relay().stats().last_refused.text(), "DATA 550 5.5.2");
  EXPECT_EQ(bare.relay().stats().commands_refused, 1U);

  RelayHarness early;
  early.Hello();
  early.Envelope();
  early.FromClient("DATA\r\nSubject: x\r\n");
  early.FromBackend("354 go\r\n");
  EXPECT_EQ(early.relay().stats().last_refused.text(), "DATA 554 5.5.0");

  RelayHarness cancelled(RelayHarness::AuthInClear());
  cancelled.Hello();
  cancelled.FromClient("AUTH PLAIN\r\n");
  cancelled.FromBackend("334 \r\n");
  cancelled.FromClient("a\nb\r\n");
  EXPECT_EQ(cancelled.relay().stats().last_refused.text(), "AUTH cancelled");
}

// The policy hears of each MAIL that is refused before it could be asked, and of nothing else.
TEST(RelayPolicyTest, HearsOfMailInClear) {
  for (const TlsPolicy tls_policy : {TlsPolicy::kMay, TlsPolicy::kEncrypt, TlsPolicy::kVerify}) {
    RelayOptions options = RelayHarness::DefaultOptions();
    options.tls_policy = tls_policy;
    RelayHarness harness(options);
    harness.Hello();
    harness.FromClient(
        "NOOP\r\nMAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nDATA\r\nMAIL FROM:<b@b>\r\nMAIL\0\r\n");
    harness.FromBackend("250 ok\r\n");
    EXPECT_EQ(harness.policy().in_clear(),
              tls_policy == TlsPolicy::kMay ? "" : "FROM:<a@a>FROM:<b@b>");
    if (tls_policy == TlsPolicy::kMay) continue;
    harness.FromClient("STARTTLS\r\n");
    harness.TlsEstablished(BackendAfterTls::kSame);
    harness.FromClient("MAIL FROM:<c@c>\r\n");  // 503 before EHLO: nothing about TLS
    EXPECT_EQ(harness.policy().in_clear(), "FROM:<a@a>FROM:<b@b>");
  }
}

TEST(RelayWaitingTest, NamesTheTimer) {
  // PROTOCOL 5.
  RelayHarness harness;
  SmtpRelay& relay = harness.relay();
  EXPECT_EQ(relay.waiting(), RelayWait::kBackendGreeting);
  harness.Hello();
  EXPECT_EQ(relay.waiting(), RelayWait::kClientCommand);
  EXPECT_TRUE(relay.idle());
  harness.FromClient("MAIL FROM:<a@a>\r\n");
  EXPECT_EQ(relay.waiting(), RelayWait::kBackendReply);
  EXPECT_FALSE(relay.idle());
  harness.FromBackend("250 ok\r\n");
  EXPECT_EQ(relay.waiting(), RelayWait::kClientCommand);
  EXPECT_FALSE(relay.idle()) << "a transaction is open";
  harness.FromClient("DATA\r\n");
  EXPECT_EQ(relay.waiting(), RelayWait::kBackendDataReply);
  harness.FromBackend("354 go\r\n");
  EXPECT_EQ(relay.waiting(), RelayWait::kClientContent);
  EXPECT_TRUE(relay.in_content());
  harness.FromClient("x\r\n.\r\n");
  EXPECT_FALSE(relay.in_content());
  EXPECT_EQ(relay.waiting(), RelayWait::kBackendFinalReply);
  harness.FromBackend("250 queued\r\n");
  EXPECT_TRUE(relay.idle());
  harness.Envelope();
  harness.FromClient("BDAT 2 LAST\r\nx");
  EXPECT_EQ(relay.waiting(), RelayWait::kClientContent);
  EXPECT_TRUE(relay.in_content());
  harness.FromClient("y");
  EXPECT_EQ(relay.waiting(), RelayWait::kBackendFinalReply);
  EXPECT_FALSE(relay.in_content());
}

TEST(RelayProgressTest, PartsOfALineAreNone) {
  RelayHarness harness;
  harness.Hello();
  std::uint32_t progress = harness.relay().progress();
  harness.FromClientSplit("NOO");
  harness.FromClientSplit(std::string(100, 'P'));
  EXPECT_EQ(harness.relay().progress(), progress);
  harness.FromClient("\r\n");
  EXPECT_NE(harness.relay().progress(), progress);
  progress = harness.relay().progress();
  harness.FromClient("NOOP\r\n");
  EXPECT_NE(harness.relay().progress(), progress);
  progress = harness.relay().progress();
  harness.FromBackend("250");
  EXPECT_EQ(harness.relay().progress(), progress);
  harness.FromBackend(" ok\r\n");
  EXPECT_NE(harness.relay().progress(), progress);
  harness.StartContent();
  progress = harness.relay().progress();
  harness.FromClient("x");
  EXPECT_NE(harness.relay().progress(), progress);
}

TEST(RelayAuthTest, AuthenticatedUntilTls) {
  RelayHarness harness(RelayHarness::AuthInClear());
  harness.Hello();
  EXPECT_FALSE(harness.relay().authenticated());
  harness.FromClient("AUTH PLAIN x\r\n");
  harness.FromBackend("235 ok\r\n");
  EXPECT_TRUE(harness.relay().authenticated());
  harness.FromClient("STARTTLS\r\n");
  ASSERT_TRUE(harness.handshake());
  EXPECT_TRUE(harness.relay().authenticated());
  harness.TlsEstablished(BackendAfterTls::kReconnected);
  EXPECT_FALSE(harness.relay().authenticated());
}

TEST(RelayProgressTest, ACommandThatWaitsIsNone) {
  RelayHarness harness;
  harness.Hello();
  harness.FromClient("RSET\r\nSTARTTLS\r\n");
  const std::uint32_t progress = harness.relay().progress();
  harness.FromBackendSplit("250 o");
  EXPECT_EQ(harness.relay().progress(), progress);
  harness.FromBackend("k\r\n");
  EXPECT_TRUE(harness.handshake());
  EXPECT_NE(harness.relay().progress(), progress);
}

// PROTOCOL 21: what the last EHLO offered is gone with a HELO.
TEST(RelayCapabilitiesTest, HeloForgetsThem) {
  RelayHarness harness;
  harness.Hello();
  harness.FromClient("VRFY \xC3\xA9\r\n");
  EXPECT_EQ(harness.TakeToBackend(), "VRFY \xC3\xA9\r\n");
  harness.FromBackend("252 ok\r\n");
  harness.FromClient("HELO a\r\n");
  harness.FromBackend("250 back\r\n");
  static_cast<void>(harness.TakeToBackend());
  static_cast<void>(harness.TakeToClient());
  harness.FromClient("VRFY \xC3\xA9\r\nBDAT 0\r\n");
  EXPECT_EQ(harness.TakeToBackend(), "");
  EXPECT_EQ(harness.TakeToClient(),
            "501 5.5.2 Error: non-ASCII command, and SMTPUTF8 is not offered\r\n"
            "502 5.5.1 Error: CHUNKING is not offered\r\n");
}

// A chunk that had no transaction does not spoil the next one.
TEST(RelayBdatTest, ARefusedChunkIsForgottenWithTheNextMail) {
  RelayHarness harness;
  harness.Hello();
  harness.FromClient("BDAT 1\r\nx");
  EXPECT_EQ(harness.TakeToClient(), "503 5.5.1 Error: need MAIL command\r\n");
  harness.Envelope();
  harness.FromClient("DATA\r\n");
  EXPECT_EQ(harness.TakeToBackend(), "DATA\r\n");
}

// RFC 3030 2: a chunk ends where its count says. --bare_newline is about the end of DATA; nothing
// in a chunk can end it, so nothing in it is looked at.
TEST(RelayBdatTest, AChunkPassesAsItIsWhateverIsSaidOfBareNewlines) {
  const std::string chunk = "a\nb\rc\n.\n\r\n.\r\nQUIT\r\nMAIL FROM:<s@evil.example>\r\n.\n\r";
  const std::string first = "BDAT " + std::to_string(chunk.size()) + "\r\n" + chunk;
  const std::string last = "BDAT " + std::to_string(chunk.size()) + " LAST\r\n" + chunk;
  for (const BareNewline mode : {BareNewline::kNormalize, BareNewline::kReject}) {
    for (const std::size_t window : {1U, 7U, 16384U}) {
      RelayOptions options = RelayHarness::DefaultOptions();
      options.bare_newline = mode;
      RelayHarness harness(options);
      harness.set_window(window);
      harness.Hello();
      harness.Envelope();
      harness.FromClientSplit(first);
      EXPECT_EQ(harness.TakeToBackend(), first);
      EXPECT_EQ(harness.TakeToClient(), "") << "something in the chunk was answered";
      harness.FromBackend("250 chunk\r\n");
      EXPECT_EQ(harness.relay().stats().messages_accepted, 0U);
      harness.FromClient(last + "NOOP\r\n");
      EXPECT_EQ(harness.TakeToBackend(), last + "NOOP\r\n");
      harness.FromBackend("250 queued\r\n250 noop\r\n");
      EXPECT_EQ(harness.TakeToClient(), "250 chunk\r\n250 queued\r\n250 noop\r\n");
      EXPECT_EQ(harness.relay().stats().messages_accepted, 1U);
      EXPECT_EQ(harness.relay().stats().bare_newlines, 0U);
      EXPECT_EQ(harness.relay().stats().commands_refused, 0U);
      EXPECT_FALSE(harness.closed());
    }
  }
}

// However the client spaces it: a backend that read the line otherwise would take the chunk for
// commands.
TEST(RelayBdatTest, TheBackendGetsOneSpelling) {
  constexpr std::string_view kChunk = "RSET\r\n";
  for (const std::string_view line :
       {"BDAT 6 LAST \r\n", "BDAT  6  LAST\r\n", "BDAT 6\tLAST \t\r\n"}) {
    for (const std::size_t window : {1U, 7U, 16384U}) {
      RelayHarness harness;
      harness.set_window(window);
      harness.Hello();
      harness.Envelope();
      harness.FromClient(std::string(line) + std::string(kChunk) + "RSET\r\n");
      EXPECT_EQ(harness.TakeToBackend(), "BDAT 6 LAST\r\nRSET\r\nRSET\r\n") << line;
      harness.FromBackend("250 queued\r\n250 reset\r\n");
      EXPECT_EQ(harness.TakeToClient(), "250 queued\r\n250 reset\r\n");
      EXPECT_EQ(harness.relay().stats().messages_accepted, 1U);
    }
  }
  RelayHarness refused;
  refused.Hello();
  refused.FromClient("BDAT  4 \r\nabcdNOOP\r\n");
  EXPECT_EQ(refused.TakeToBackend(), "NOOP\r\n");
  EXPECT_EQ(refused.TakeToClient(), "503 5.5.1 Error: need MAIL command\r\n");
}

// An implicit-TLS listener: TLS is up before the backend says anything.
TEST(RelayTlsTest, TlsBeforeTheGreeting) {
  for (const BackendAfterTls backend : {BackendAfterTls::kSame, BackendAfterTls::kReconnected}) {
    RelayOptions options = RelayHarness::DefaultOptions();
    options.starttls_offered = false;
    options.tls_policy = TlsPolicy::kEncrypt;
    RelayHarness harness(options);
    harness.TlsEstablished(backend);
    harness.FromBackend("220 back\r\n");
    EXPECT_EQ(harness.TakeToClient(), "220 back\r\n");
    harness.FromClient("MAIL FROM:<a@a>\r\n");
    EXPECT_EQ(harness.TakeToClient(), "503 5.5.1 Error: bad sequence of commands\r\n");
    harness.FromClient("EHLO a\r\n");
    harness.FromBackend("250-back\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n");
    EXPECT_EQ(harness.TakeToClient(), "250-back\r\n250 AUTH PLAIN\r\n");
  }
}

TEST(RelayTlsTest, ARefusedHelloIsNone) {
  RelayHarness harness;
  harness.Hello();
  harness.FromClient("STARTTLS\r\n");
  harness.TlsEstablished(BackendAfterTls::kSame);
  static_cast<void>(harness.TakeToClient());
  harness.FromClient("EHLO a\r\n");
  harness.FromBackend("501 no\r\n");
  EXPECT_EQ(harness.TakeToClient(), "501 no\r\n");
  harness.FromClient("MAIL FROM:<a@a>\r\n");
  EXPECT_EQ(harness.TakeToClient(), "503 5.5.1 Error: bad sequence of commands\r\n");
  harness.FromClient("HELO a\r\n");
  harness.FromBackend("250 back\r\n");
  harness.FromClient("MAIL FROM:<a@a>\r\n");
  EXPECT_EQ(harness.TakeToBackend(), "EHLO a\r\nHELO a\r\nMAIL FROM:<a@a>\r\n");
}

TEST(RelayFarewellTest, SaysWhatTheReasonAllows) {
  for (int i = 0; i < kCloseReasonCount; ++i) {
    const auto reason = static_cast<CloseReason>(i);
    RelayHarness harness;
    harness.Hello();
    const std::string text(harness.relay().Farewell(reason));
    if (text.empty()) continue;
    EXPECT_TRUE(text.starts_with("421 4.")) << text;
    EXPECT_TRUE(text.ends_with("\r\n"));
    EXPECT_NE(text.find(" mx.test "), std::string::npos);
    EXPECT_EQ(harness.relay().Farewell(reason), "") << "once";
  }
}

// PROTOCOL 7: whatever the backend does, nothing it did not say reaches the client as a 2xx.
TEST(RelayPositiveTest, NoPositiveReplyIsMade) {
  for (int i = 0; i <= static_cast<int>(LocalReply::kBareNewline); ++i) {
    const auto reply = static_cast<LocalReply>(i);
    const std::string text = LocalReplyClose(reply) == CloseReason::kNone
                                 ? std::string(LocalReplyText(reply))
                                 : ClosingText(reply, "mx.test");
    // The two that answer NOOP, RSET and QUIT where there is no backend to ask.
    const bool is_positive = reply == LocalReply::kOk || reply == LocalReply::kBye;
    EXPECT_EQ(text.starts_with("2"), is_positive) << text;
    EXPECT_TRUE(is_positive || text.starts_with("5") || text.starts_with("421 ")) << text;
    EXPECT_TRUE(text.ends_with("\r\n"));
    EXPECT_LE(text.size(), 512U);
    EXPECT_EQ(LocalReplyCode(reply), ReplyCode(text));
    EXPECT_GE(LocalReplyCode(reply).size(), 9U) << text;
  }
}

// What the backend has said before a command was sent is no reply to it, although both are found in
// the same turn.
TEST(RelayTest, NoCommandIsSentBeforeWhatTheBackendHasSaidIsRead) {
  RelayHarness harness;
  harness.Hello();
  SmtpRelay& relay = harness.relay();
  constexpr std::string_view kCommand = "NOOP\r\n";
  constexpr std::string_view kReply = "250 ok\r\n";
  const RelayInput command{
      .readable = kCommand, .total = kCommand.size(), .other_total = kReply.size()};
  EXPECT_EQ(relay.Next(Side::kFront, command).kind, StepKind::kBlocked);
  const Step step = relay.Next(
      Side::kBack, {.readable = kReply, .total = kReply.size(), .other_total = kCommand.size()});
  EXPECT_EQ(step.kind, StepKind::kClose);
  EXPECT_EQ(step.reason, CloseReason::kBackendIdentity);
}

// The session may end between two steps.
TEST(RelayLastWordsTest, ComeBehindWhatWasDue) {
  RelayOptions options = RelayHarness::DefaultOptions();
  options.greets = true;
  SmtpRelay relay(&options, nullptr, nullptr);
  EXPECT_EQ(relay.Farewell(CloseReason::kDrain),
            "220 mx.test ESMTP\r\n421 4.3.2 mx.test Service shutting down\r\n");
}

// A leg takes no more than a block at a time, whatever was pipelined and whatever the server's
// name.
TEST(RelayLastWordsTest, AreBounded) {
  RelayOptions options = RelayHarness::DefaultOptions();
  options.greets = true;
  RelayHarness harness(options);
  harness.FromClient("EHLO client\r\n");
  harness.BackendReady(true, std::string(253, 'h') + " ([2001:db8::1]:25)");
  harness.FromBackend("250-partner\r\n250 PIPELINING\r\n");
  static_cast<void>(harness.TakeToClient());
  harness.FromClient("MAIL FROM:<a@a>\r\n" + Repeat("RCPT TO:<b@b>\r\n", 200));
  harness.BackendEof();
  const std::string said = harness.TakeToClient();
  EXPECT_LT(said.size(), BufferPool::kLargeBytes);
  EXPECT_TRUE(said.starts_with("451 4.4.2 hhh"));
  EXPECT_NE(said.find("\r\n421 4.4.2 hhh"), std::string::npos);
  EXPECT_TRUE(harness.closed());
}

TEST(RelayLastWordsTest, QuitIsNotRefused) {
  RelayOptions options = RelayHarness::DefaultOptions();
  options.greets = true;
  RelayHarness harness(options);
  harness.FromClient("EHLO client\r\n");
  harness.BackendReady(true);
  harness.FromBackend("250-partner\r\n250 PIPELINING\r\n");
  static_cast<void>(harness.TakeToClient());
  harness.FromClient("RSET\r\nQUIT\r\n");
  EXPECT_EQ(harness.relay().Farewell(CloseReason::kBackendTimeout),
            "451 4.4.2 partner: did not answer in time\r\n"
            "421 4.4.2 partner: did not answer in time\r\n");
}

// A command that we refuse ourselves has the reply that it would have had, and one whose reply ends
// the session is the last that is answered.
TEST(RelayLastWordsTest, OurOwnRefusalsKeepTheirWords) {
  RelayOptions options = RelayHarness::DefaultOptions();
  options.greets = true;
  RelayHarness harness(options);
  harness.FromClient("EHLO client\r\n");
  harness.BackendReady(true);
  harness.FromBackend("250-partner\r\n250 PIPELINING\r\n");
  static_cast<void>(harness.TakeToClient());
  harness.FromClient("MAIL FROM:<a@a>\r\nWHAT\r\nRCPT TO:<b@b>\r\nHost: partner\r\nNOOP\r\n");
  EXPECT_EQ(harness.relay().Farewell(CloseReason::kBackendTimeout),
            "451 4.4.2 partner: did not answer in time\r\n"
            "500 5.5.2 Error: command not recognized\r\n"
            "451 4.4.2 partner: did not answer in time\r\n" +
                ClosingText(LocalReply::kForeignProtocol, "mx.test"));
}

}  // namespace
}  // namespace ringpost
