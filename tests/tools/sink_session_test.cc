// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/sink_session.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <algorithm>
#include <string>
#include <vector>

#include "ringpost/tools/mail_text.h"

namespace ringpost {
namespace {

class MemoryStore : public MessageStore {
 public:
  bool Append(std::string_view content) override {
    pending += content;
    appended += content.size();
    return !fail_append;
  }
  bool Commit(const SinkEnvelope& envelope) override {
    if (fail_commit) {
      return false;
    }
    messages.push_back(pending);
    envelopes.push_back(envelope);
    pending.clear();
    return true;
  }
  void Discard() override { pending.clear(); }
  std::uint64_t last_number() const override { return messages.size(); }

  bool fail_append = false;
  bool fail_commit = false;
  std::string pending;
  std::size_t appended = 0;  // octets, kept or not
  std::vector<std::string> messages;
  std::vector<SinkEnvelope> envelopes;
};

struct Result {
  std::string replies;
  SinkEnd end = SinkEnd::kNone;
  std::size_t left = 0;  // octets not consumed
  MemoryStore store;
  SinkEnvelope envelope;
};

// Acts like the connection: offers what arrived, in pieces of `piece` octets.
void Drive(const SinkOptions& options, std::string_view input, std::size_t piece, Result& result) {
  SinkSession session(&options, &result.store, "127.0.0.9", 999, "127.0.0.1", 25);
  SinkStep step = session.Start();
  std::size_t consumed = 0;
  for (std::size_t arrived = 0; result.end == SinkEnd::kNone;) {
    result.replies += step.reply;
    consumed += step.consumed;
    result.end = step.end;
    if (result.end != SinkEnd::kNone) {
      break;
    }
    step = session.Next(input.substr(consumed, arrived - consumed));
    if (step.idle()) {
      if (arrived == input.size()) {
        break;
      }
      arrived = std::min(input.size(), arrived + piece);
    }
  }
  result.left = input.size() - consumed;
  result.envelope = session.envelope();
  session.Closed();
  EXPECT_EQ(result.store.pending, "") << "a part of a message was kept";
}

class SinkSessionTest : public testing::Test {
 protected:
  SinkSessionTest() { options_.hostname = "h"; }

  // Replies to `input`, the same whether it comes whole, octet by octet or with a rest behind it.
  std::string Replies(std::string_view input) {
    SinkOptionsResolve(options_);
    Result whole;
    Drive(options_, input, input.size() + 1, whole);
    Result octets;
    Drive(options_, input, 1, octets);
    EXPECT_EQ(whole.replies, octets.replies);
    EXPECT_EQ(whole.end, octets.end);
    EXPECT_EQ(whole.store.messages, octets.store.messages);
    if (whole.end == SinkEnd::kNone) {
      Result trailing;
      Drive(options_, std::string(input) + "NO", input.size() + 2, trailing);
      EXPECT_EQ(whole.replies, trailing.replies);
    }
    messages_ = whole.store.messages;
    envelopes_ = whole.store.envelopes;
    envelope_ = whole.envelope;
    appended_ = whole.store.appended;
    end_ = whole.end;
    return whole.replies;
  }

  // Only the codes, each reply's last line.
  std::string Codes(std::string_view input) {
    const std::string replies = Replies(input);
    std::string codes;
    for (std::size_t start = 0; start < replies.size();) {
      const std::size_t end = replies.find("\r\n", start);
      if (end == std::string::npos) {
        ADD_FAILURE() << "no CRLF at the end of " << replies;
        break;
      }
      if (replies[start + 3] == ' ') {
        if (!codes.empty()) {
          codes += ' ';
        }
        codes += replies.substr(start, 3);
      }
      start = end + 2;
    }
    return codes;
  }

  SinkOptions options_;
  std::vector<std::string> messages_;
  std::vector<SinkEnvelope> envelopes_;
  SinkEnvelope envelope_;
  std::size_t appended_ = 0;
  SinkEnd end_ = SinkEnd::kNone;
};

constexpr std::string_view kBegin =
    "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";
constexpr std::string_view kMail =
    "EHLO c.example\r\nMAIL FROM:<a@b.example> SIZE=9\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
    "hello\r\n..x\r\n.\r\n";

std::string With(std::string_view a, std::string_view b) { return std::string(a) + std::string(b); }

TEST_F(SinkSessionTest, TakesAMessage) {
  EXPECT_EQ(Codes(With(kMail, "QUIT\r\n")), "220 250 250 250 354 250 221");
  EXPECT_EQ(end_, SinkEnd::kClose);
  ASSERT_EQ(messages_.size(), 1u);
  EXPECT_EQ(messages_[0], "hello\r\n.x\r\n");
  const SinkEnvelope& envelope = envelopes_[0];
  EXPECT_EQ(envelope.identity, "none");
  EXPECT_EQ(envelope.client, "127.0.0.9");
  EXPECT_EQ(envelope.client_port, 999);
  EXPECT_EQ(envelope.helo, "c.example");
  EXPECT_EQ(envelope.protocol, "ESMTP");
  EXPECT_EQ(envelope.mail_from, "a@b.example");
  EXPECT_EQ(envelope.mail_parameters, "SIZE=9");
  EXPECT_EQ(envelope.recipients, std::vector<std::string>{"c@d.example"});
  EXPECT_EQ(envelope.octets, messages_[0].size());
  EXPECT_FALSE(envelope.chunked);
}

TEST_F(SinkSessionTest, OffersTheUsualExtensionsInOneReply) {
  const std::string replies = Replies("EHLO x\r\n");
  EXPECT_EQ(replies,
            "220 h ESMTP ringpost-sink\r\n250-h\r\n250-PIPELINING\r\n250-SIZE 67108864\r\n"
            "250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-AUTH PLAIN LOGIN\r\n"
            "250 ENHANCEDSTATUSCODES\r\n");
}

TEST_F(SinkSessionTest, KeywordsCanBeGiven) {
  options_.keywords = {"SIZE 5"};
  EXPECT_EQ(Replies("EHLO x\r\n"), "220 h ESMTP ringpost-sink\r\n250-h\r\n250 SIZE 5\r\n");
  EXPECT_EQ(Codes("EHLO x\r\nAUTH PLAIN\r\nMAIL FROM:<> SMTPUTF8\r\nBDAT 2\r\nXXNOOP\r\n"),
            "220 250 502 555 502 250");
}

// The order of commands: each cell is what the command gets in that state.
TEST_F(SinkSessionTest, StateByCommand) {
  struct Row {
    std::string_view before;
    std::string_view mail, rcpt, data, bdat, auth, rset, noop, vrfy, helo;
  };
  const std::vector<Row> rows = {
      {"", "503", "503", "503", "503", "503", "250", "250", "252", "250"},
      {"EHLO x\r\n", "250", "503", "503", "503", "334", "250", "250", "252", "250"},
      {"HELO x\r\n", "250", "503", "503", "503", "334", "250", "250", "252", "250"},
      {"EHLO x\r\nMAIL FROM:<>\r\n", "503", "250", "554", "554", "503", "250", "250", "252", "250"},
      {kBegin, "503", "250", "354", "250", "503", "250", "250", "252", "250"},
      {kMail, "250", "503", "503", "503", "334", "250", "250", "252", "250"},
      {"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 1\r\nx", "503", "503", "503", "250", "503",
       "250", "250", "252", "250"},
      {"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRSET\r\n", "250", "503", "503", "503", "334",
       "250", "250", "252", "250"},
  };
  for (const Row& row : rows) {
    const auto last = [&](std::string_view command) {
      const std::string codes = Codes(With(row.before, command));
      return codes.substr(codes.size() - 3);
    };
    EXPECT_EQ(last("MAIL FROM:<a@b>\r\n"), row.mail) << row.before;
    EXPECT_EQ(last("RCPT TO:<a@b>\r\n"), row.rcpt) << row.before;
    EXPECT_EQ(last("DATA\r\n"), row.data) << row.before;
    EXPECT_EQ(last("BDAT 1\r\nx"), row.bdat) << row.before;
    EXPECT_EQ(last("AUTH PLAIN\r\n"), row.auth) << row.before;
    EXPECT_EQ(last("RSET\r\n"), row.rset) << row.before;
    EXPECT_EQ(last("NOOP x\r\n"), row.noop) << row.before;
    EXPECT_EQ(last("VRFY x\r\n"), row.vrfy) << row.before;
    EXPECT_EQ(last("HELO x\r\n"), row.helo) << row.before;
  }
}

TEST_F(SinkSessionTest, RefusesWhatIsNotSmtp) {
  EXPECT_EQ(Codes("\r\n"), "220 500");
  EXPECT_EQ(Codes(" NOOP\r\n"), "220 500");
  EXPECT_EQ(Codes("EHLO\r\n"), "220 501");
  EXPECT_EQ(Codes("GET / HTTP/1.1\r\n"), "220 500");
  EXPECT_EQ(Codes("STARTTLS\r\n"), "220 502");
  EXPECT_EQ(Codes("ETRN x\r\n"), "220 502");
  EXPECT_EQ(Codes("PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"), "220 500");
  EXPECT_EQ(Codes("XCLIENT ADDR=127.0.0.1\r\n"), "220 500");
  EXPECT_EQ(Codes("NOOP\rX\r\n"), "220 500");
  EXPECT_EQ(Codes("NOOP\nNOOP\r\n"), "220 500") << "a bare LF ends no line";
  EXPECT_EQ(Codes(std::string("NOOP \0\r\n", 8)), "220 500");
}

TEST_F(SinkSessionTest, LenientTakesABareLineFeed) {
  options_.line_end = LineEnd::kLenient;
  EXPECT_EQ(Codes("EHLO x\nMAIL FROM:<a@b>\nRCPT TO:<a@b>\nDATA\nx\n.\nQUIT\n"),
            "220 250 250 250 354 250 221");
  EXPECT_EQ(messages_, std::vector<std::string>{"x\n"});
}

TEST_F(SinkSessionTest, LongLineGetsOneReply) {
  EXPECT_EQ(Codes(With("NOOP " + std::string(SinkSession::kLineMax, 'x'), "\r\nNOOP\r\n")),
            "220 500 250");
  EXPECT_EQ(Codes(With("NOOP " + std::string(100000, '\r'), "\nNOOP\r\n")), "220 500 250");
  // The discard is bounded. (Octet by octet would take long here.)
  SinkOptionsResolve(options_);
  Result result;
  Drive(options_, std::string(std::size_t{2} << 20, 'x'), 16384, result);
  EXPECT_EQ(result.replies, options_.greeting + "421 4.7.0 Line too long\r\n");
  EXPECT_EQ(result.end, SinkEnd::kClose);
}

TEST_F(SinkSessionTest, SizeIsLimited) {
  options_.size_max = 20;
  EXPECT_EQ(Codes("EHLO x\r\nMAIL FROM:<> SIZE=21\r\nMAIL FROM:<> SIZE=20\r\n"), "220 250 552 250");
  EXPECT_EQ(Codes(With(kBegin, "DATA\r\n0123456789012345678\r\n.\r\nMAIL FROM:<>\r\n")),
            "220 250 250 250 354 552 250");
  EXPECT_EQ(Codes(With(kBegin, "BDAT 15\r\n012345678901234BDAT 6 LAST\r\n012345BDAT 0 LAST\r\n")),
            "220 250 250 250 250 552 503");
  EXPECT_TRUE(messages_.empty());
}

TEST_F(SinkSessionTest, RecipientsAreLimited) {
  options_.recipients_max = 1;
  EXPECT_EQ(Codes(With(kMail.substr(0, kMail.find("DATA")), "RCPT TO:<e@f.example>\r\n")),
            "220 250 250 250 452");
}

// PROTOCOL 18
TEST_F(SinkSessionTest, Bdat) {
  EXPECT_EQ(Codes(With(kBegin, "BDAT 9\r\na\r\n.\r\nb\r\nBDAT 0\r\nBDAT 3 LAST\r\nxyzNOOP\r\n")),
            "220 250 250 250 250 250 250 250");
  EXPECT_EQ(messages_, std::vector<std::string>{std::string("a\r\n.\r\nb\r\nxyz")});
  EXPECT_TRUE(envelopes_[0].chunked);
  EXPECT_EQ(Codes(With(kBegin, "BDAT 0 LAST\r\n")), "220 250 250 250 250");
  EXPECT_EQ(messages_, std::vector<std::string>{""});
}

TEST_F(SinkSessionTest, ARefusedChunkIsDrained) {
  EXPECT_EQ(Codes("EHLO x\r\nBDAT 6 LAST\r\nNOOP\r\nNOOP\r\n"), "220 250 503 250");
  EXPECT_EQ(Codes("EHLO x\r\nMAIL FROM:<>\r\nBDAT 6 LAST\r\nNOOP\r\nNOOP\r\nRCPT TO:<a@b>\r\n"),
            "220 250 250 554 250 503");
  EXPECT_EQ(appended_, 0u);
}

// PROTOCOL 19
TEST_F(SinkSessionTest, AMalformedChunkSizeEndsTheSession) {
  EXPECT_EQ(Codes(With(kBegin, "BDAT 0x10\r\n")), "220 250 250 250 501");
  EXPECT_EQ(end_, SinkEnd::kClose);
}

TEST_F(SinkSessionTest, Auth) {
  EXPECT_EQ(Codes("EHLO x\r\nAUTH PLAIN AHRlc3QAdGVzdA==\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n"
                  "DATA\r\n.\r\n"),
            "220 250 235 250 250 354 250");
  EXPECT_EQ(envelopes_.at(0).auth_user, "test");
  EXPECT_EQ(Codes("EHLO x\r\nAUTH PLAIN\r\nAHRlc3QAdGVzdA==\r\nAUTH PLAIN\r\n"),
            "220 250 334 235 503");
  EXPECT_EQ(Codes("EHLO x\r\nAUTH LOGIN\r\ndGVzdA==\r\ndGVzdA==\r\n"), "220 250 334 334 235");
  EXPECT_EQ(Codes("EHLO x\r\nAUTH LOGIN dGVzdA==\r\ndGVzdA==\r\n"), "220 250 334 235");
  EXPECT_EQ(Codes("EHLO x\r\nAUTH LOGIN\r\n*\r\nNOOP\r\n"), "220 250 334 501 250");
  EXPECT_EQ(Codes("EHLO x\r\nAUTH LOGIN\r\ndGVzdA==\r\nd3Jvbmc=\r\nNOOP\r\n"),
            "220 250 334 334 535 250");
  EXPECT_EQ(Codes("EHLO x\r\nAUTH PLAIN =\r\nAUTH X\r\n"), "220 250 501 504");
}

TEST_F(SinkSessionTest, Smtputf8) {
  EXPECT_EQ(Codes("EHLO x\r\nMAIL FROM:<\xc3\xa4@b> SMTPUTF8\r\nRCPT TO:<\xc3\xb6@b>\r\n"),
            "220 250 250 250");
  EXPECT_EQ(Codes("EHLO x\r\nMAIL FROM:<\xc3\xa4@b>\r\n"), "220 250 553");
  EXPECT_EQ(Codes("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<\xc3\xb6@b>\r\n"), "220 250 250 553");
}

TEST_F(SinkSessionTest, DotStuffedMailComesOutAsItWas) {
  const std::string mail = MakeMail(5000);
  EXPECT_EQ(Codes(With(kBegin, "DATA\r\n" + DotStuff(mail))), "220 250 250 250 354 250");
  EXPECT_EQ(messages_, std::vector<std::string>{mail});
}

TEST_F(SinkSessionTest, ATruncatedMessageIsNotKept) {
  const std::string input = With(kBegin, "DATA\r\nhello\r\n.");
  EXPECT_EQ(Codes(input), "220 250 250 250 354");  // Drive() looks for what is left over
  EXPECT_TRUE(messages_.empty());
}

TEST_F(SinkSessionTest, EchoNamesWhatAReplyIsAbout) {
  options_.echo = true;
  const std::string replies =
      Replies("EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\nMAIL FROM:<>\r\n");
  EXPECT_NE(replies.find("250 2.1.0 Ok h a@b\r\n250 2.1.5 Ok h c@d\r\n"), std::string::npos)
      << replies;
  EXPECT_NE(replies.find("250 2.0.0 Ok: message accepted h 1\r\n250 2.1.0 Ok h \r\n"),
            std::string::npos)
      << replies;
}

TEST_F(SinkSessionTest, StoreFailuresAreTemporary) {
  SinkOptionsResolve(options_);
  for (const bool append : {true, false}) {
    Result result;
    result.store.fail_append = append;
    result.store.fail_commit = !append;
    Drive(options_, kMail, kMail.size(), result);
    EXPECT_TRUE(result.replies.ends_with("452 4.3.1 Cannot store the message\r\n"));
    EXPECT_TRUE(result.store.messages.empty());
  }
}

TEST_F(SinkSessionTest, ProxyHeaderV1ComesFirst) {
  options_.identity = SinkIdentity::kProxy;
  EXPECT_EQ(Codes(With("PROXY TCP4 192.0.2.1 198.51.100.2 4711 25\r\n", kMail)),
            "220 250 250 250 354 250");
  EXPECT_EQ(envelopes_.at(0).identity, "proxy-v1");
  EXPECT_EQ(envelopes_[0].client, "192.0.2.1");
  EXPECT_EQ(envelopes_[0].client_port, 4711);
  EXPECT_EQ(envelopes_[0].server, "198.51.100.2");
  EXPECT_EQ(envelopes_[0].server_port, 25);
}

std::string MakeProxyV2() {
  sockaddr_in6 source{};
  source.sin6_family = AF_INET6;
  source.sin6_addr.s6_addr[0] = 0x20;
  source.sin6_addr.s6_addr[15] = 1;
  source.sin6_port = htons(4711);
  const ProxyTlsFacts facts{.version = "TLSv1.3",
                            .cipher = "TLS_AES_128_GCM_SHA256",
                            .sni = "mx.example.test",
                            .client_common_name = {},
                            .key_exchange_group = "X25519"};
  std::string header(kProxyHeaderMax, '\0');
  header.resize(WriteProxyV2(header, reinterpret_cast<const sockaddr*>(&source),
                             reinterpret_cast<const sockaddr*>(&source), &facts));
  return header;
}

TEST_F(SinkSessionTest, ProxyHeaderV2WithTlsFacts) {
  options_.identity = SinkIdentity::kProxy;
  EXPECT_EQ(Codes(With(MakeProxyV2(), kMail)), "220 250 250 250 354 250");
  const SinkEnvelope& envelope = envelopes_.at(0);
  EXPECT_EQ(envelope.identity, "proxy-v2");
  EXPECT_EQ(envelope.client, "2000::1");
  EXPECT_EQ(envelope.client_port, 4711);
  EXPECT_TRUE(envelope.tls);
  EXPECT_EQ(envelope.tls_version, "TLSv1.3");
  EXPECT_EQ(envelope.tls_cipher, "TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(envelope.tls_sni, "mx.example.test");
  EXPECT_EQ(envelope.tls_group, "X25519");
}

TEST_F(SinkSessionTest, WithoutAProxyHeaderNoService) {
  options_.identity = SinkIdentity::kProxy;
  EXPECT_EQ(Replies(kMail), "");
  EXPECT_EQ(end_, SinkEnd::kClose);
  EXPECT_EQ(Replies("PROXY TCP4 300.0.2.1 198.51.100.2 4711 25\r\n"), "");
  EXPECT_EQ(end_, SinkEnd::kClose);
  options_.fault = SinkFault::kRefuseIdentity;
  EXPECT_EQ(Replies(MakeProxyV2()), "");
  EXPECT_EQ(end_, SinkEnd::kClose);
}

TEST_F(SinkSessionTest, Xclient) {
  options_.identity = SinkIdentity::kXclient;
  EXPECT_EQ(Codes("EHLO x\r\nXCLIENT PORT=4711 DESTADDR=198.51.100.2 DESTPORT=25\r\n"
                  "XCLIENT ADDR=IPV6:2001:db8::1\r\nMAIL FROM:<>\r\nEHLO y\r\nMAIL FROM:<>\r\n"
                  "XCLIENT ADDR=192.0.2.1\r\nRCPT TO:<a@b>\r\nDATA\r\n.\r\n"),
            "220 250 220 220 503 250 250 503 250 354 250");
  EXPECT_EQ(envelopes_.at(0).identity, "xclient");
  EXPECT_EQ(envelopes_[0].client, "2001:db8::1");
  EXPECT_EQ(envelopes_[0].client_port, 4711);
  EXPECT_EQ(envelopes_[0].server, "198.51.100.2");
  EXPECT_EQ(envelopes_[0].helo, "y");
  EXPECT_NE(Replies("EHLO x\r\n").find("250 XCLIENT NAME ADDR PORT"), std::string::npos);
}

// PROTOCOL 39, 40
TEST_F(SinkSessionTest, XclientIsStrict) {
  options_.identity = SinkIdentity::kXclient;
  for (const std::string_view bad : {"XCLIENT\r\n", "XCLIENT ADDR=x\r\n", "XCLIENT FOO=1\r\n",
                                     "XCLIENT ADDR=127.0.0.1 LOGIN=root\r\n"}) {
    EXPECT_EQ(Codes(With("EHLO x\r\n", bad)), "220 250 501") << bad;
    EXPECT_EQ(envelope_.identity, "none");
  }
  options_.fault = SinkFault::kRefuseIdentity;
  EXPECT_EQ(Codes("EHLO x\r\nXCLIENT ADDR=192.0.2.1\r\n"), "220 250 550");
}

TEST_F(SinkSessionTest, Faults) {
  struct Case {
    SinkFault fault;
    std::string_view codes;  // to kMail and NOOP
    SinkEnd end;
  };
  for (const Case& c : std::vector<Case>{
           {SinkFault::kCloseAtConnect, "", SinkEnd::kClose},
           {SinkFault::kResetAtConnect, "", SinkEnd::kReset},
           {SinkFault::kNoGreeting, "", SinkEnd::kStall},
           {SinkFault::kGreeting421, "421", SinkEnd::kClose},
           {SinkFault::kStarttlsAdvertised, "220 250 250 250 354 250 250", SinkEnd::kNone},
           {SinkFault::k421AtMail, "220 250 421", SinkEnd::kClose},
           {SinkFault::kSilentAtMail, "220 250", SinkEnd::kStall},
           {SinkFault::kCloseAfterMail, "220 250 250", SinkEnd::kClose},
           {SinkFault::kCloseAfterRcpt, "220 250 250 250", SinkEnd::kClose},
           {SinkFault::kCloseInData, "220 250 250 250 354", SinkEnd::kClose},
           {SinkFault::kResetInData, "220 250 250 250 354", SinkEnd::kReset},
           {SinkFault::kStallInData, "220 250 250 250 354", SinkEnd::kStall},
           {SinkFault::kCloseAfterDot, "220 250 250 250 354", SinkEnd::kClose},
           {SinkFault::kSilentAfterDot, "220 250 250 250 354", SinkEnd::kStall},
           {SinkFault::kRejectFinal, "220 250 250 250 354 554 250", SinkEnd::kNone},
           {SinkFault::kDeferFinal, "220 250 250 250 354 451 250", SinkEnd::kNone},
           {SinkFault::k421AtFinal, "220 250 250 250 354 421", SinkEnd::kClose},
           {SinkFault::kEarlyReply, "220 250 250 250 354 250 250", SinkEnd::kNone},
           {SinkFault::kSlow, "220 250 250 250 354 250 250", SinkEnd::kNone},
       }) {
    SinkOptions options;
    options.fault = c.fault;
    options_ = options;
    EXPECT_EQ(Codes(With(kMail, "NOOP\r\n")), c.codes) << static_cast<int>(c.fault);
    EXPECT_EQ(end_, c.end) << static_cast<int>(c.fault);
    const bool kept = c.fault == SinkFault::kStarttlsAdvertised || c.fault == SinkFault::kSlow;
    EXPECT_EQ(messages_.size(), kept ? 1u : 0u) << static_cast<int>(c.fault);
  }
}

TEST_F(SinkSessionTest, FaultsAtOneCommand) {
  const auto last = [&](SinkFault fault, std::string_view input) {
    SinkOptions options;
    options.fault = fault;
    options_ = options;
    const std::string replies = Replies(input);
    return replies.substr(replies.rfind('\n', replies.size() - 2) + 1);
  };
  const std::string mail = "EHLO x\r\nMAIL FROM:<>\r\n";
  EXPECT_EQ(last(SinkFault::kRejectMail, mail).substr(0, 3), "550");
  EXPECT_EQ(last(SinkFault::kDeferMail, mail).substr(0, 3), "451");
  EXPECT_EQ(last(SinkFault::kBareLfReply, mail), "250 2.1.0 Ok\n");
  EXPECT_EQ(last(SinkFault::kBadReplyCode, mail), "550 b\r\n");
  EXPECT_EQ(last(SinkFault::kLongReply, mail).size(), 600u);
  EXPECT_EQ(last(SinkFault::kRejectRcpt, kBegin).substr(0, 3), "550");
  EXPECT_EQ(last(SinkFault::kRejectData, With(kBegin, "DATA\r\n")).substr(0, 3), "554");
  EXPECT_EQ(last(SinkFault::kRejectData, With(kBegin, "BDAT 3\r\nabc")).substr(0, 3), "554");
  EXPECT_EQ(last(SinkFault::kRejectEhlo, "EHLO x\r\n").substr(0, 3), "502");
  EXPECT_EQ(last(SinkFault::kRejectEhlo, "HELO x\r\n").substr(0, 3), "250");
  EXPECT_EQ(last(SinkFault::kStarttlsAdvertised, "STARTTLS\r\n").substr(0, 3), "454");
  EXPECT_EQ(last(SinkFault::kGreeting554, "EHLO x\r\n").substr(0, 3), "503");
  EXPECT_EQ(last(SinkFault::kGreeting554, "QUIT\r\n").substr(0, 3), "221");
}

TEST(SinkFaultTest, EveryFaultHasItsName) {
  std::vector<std::string_view> names;
  for (const SinkFaultText& text : SinkFaults()) {
    EXPECT_EQ(SinkFaultByName(text.name), text.fault);
    names.push_back(text.name);
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(SinkFault::kSlow) + 1);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  EXPECT_FALSE(SinkFaultByName("no_such_fault"));
}

}  // namespace
}  // namespace ringpost
