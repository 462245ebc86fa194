// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a hostile or broken client may send to the server engine.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "hello_builder.h"
#include "raw_client.h"
#include "ringpost/tls/client_hello.h"
#include "tls_fixture.h"

namespace ringpost::test {
namespace {

class Attack : public testing::Test {
 protected:
  Attack() : pool_(64, 16), server_(&pool_) {
    contexts_ = Contexts({Certificate("ecdsa"), Certificate("rsa")});
    server_.engine = TlsEngine::Server(contexts_.get());
  }

  // What the server answers to these octets as the first of a connection.
  TlsOutcome First(const std::string& octets) {
    server_.engine = TlsEngine::Server(contexts_.get());
    server_.cipher_in.Clear();
    server_.cipher_out.Clear();
    server_.Receive(octets);
    return server_.Handshake();
  }
  void ExpectAlert(const std::string& octets, TlsAlert alert) {
    EXPECT_EQ(First(octets), TlsOutcome::kFailed);
    const auto record = PlaintextAlertRecord(alert);
    EXPECT_EQ(Side::Drain(server_.cipher_out), std::string(record.begin(), record.end()))
        << server_.engine->error();
    EXPECT_FALSE(server_.engine->error().empty());
    // It stays so.
    EXPECT_EQ(server_.Handshake(), TlsOutcome::kFailed);
    EXPECT_EQ(server_.Read(), TlsOutcome::kFailed);
    EXPECT_TRUE(server_.cipher_out.empty());
  }
  // The alert that ends what a handshake gives back in records: its number, or -1.
  int LastPlaintextAlert() {
    const std::string out = Side::Drain(server_.cipher_out);
    return out.size() >= 7 && out[out.size() - 7] == 21 ? out.back() : -1;
  }
  TlsOutcome Read(std::string_view octets) {
    server_.Receive(octets);
    return server_.Read();
  }

  std::shared_ptr<const TlsContextSet> contexts_;
  BufferPool pool_;
  Side server_;
};

TEST_F(Attack, UsualHelloIsAnswered) {
  EXPECT_EQ(First(HelloBuilder::Usual().Records()), TlsOutcome::kNeedInput);
  const std::string out = Side::Drain(server_.cipher_out);
  ASSERT_GT(out.size(), 600U);
  EXPECT_EQ(out.substr(0, 3), "\x16\x03\x03");
  EXPECT_EQ(out[5], 2);  // ServerHello
}

// RFC 8446 4.1.2: a client that is asked for another key share says everything else as before.
class SecondHello : public Attack {
 protected:
  // A server that has asked for X25519, after this hello of a client that offered no share.
  void Ask(const HelloBuilder& first) {
    ASSERT_EQ(First(first.Records()), TlsOutcome::kNeedInput);
    const std::string out = Side::Drain(server_.cipher_out);
    ASSERT_GE(out.size(), 43U);
    ASSERT_EQ(out[5], 2);
    ASSERT_EQ(out.substr(11, 4), "\xcf\x21\xad\x74");  // HelloRetryRequest
  }
  static HelloBuilder WithoutShare() {
    return HelloBuilder::Usual().ServerName("mx.example.test").Set(kKeyShare, Vector(2, ""));
  }
  static HelloBuilder WithShare() {
    HelloBuilder hello = WithoutShare();
    for (const auto& [type, content] : HelloBuilder::Usual().extensions) {
      if (type == kKeyShare) {
        hello.Set(kKeyShare, content);
      }
    }
    return hello;
  }
  static std::string Again(const HelloBuilder& hello) {
    return Record(22, hello.Message(), 0x0303);
  }
  void ExpectAnswered(const std::string& octets) {
    server_.Receive(octets);
    EXPECT_EQ(server_.Handshake(), TlsOutcome::kNeedInput) << server_.engine->error();
    EXPECT_GT(Side::Drain(server_.cipher_out).size(), 600U);
  }
  void ExpectRefused(const std::string& octets) {
    server_.Receive(octets);
    EXPECT_EQ(server_.Handshake(), TlsOutcome::kFailed);
    // wolfSSL's change_cipher_spec comes before it.
    EXPECT_EQ(LastPlaintextAlert(), static_cast<int>(TlsAlert::kIllegalParameter))
        << server_.engine->error();
  }
};

TEST_F(SecondHello, SaysTheSame) {
  const std::string change_cipher_spec("\x14\x03\x03\x00\x01\x01", 6);
  Ask(WithoutShare());
  ExpectAnswered(Again(WithShare()));
  Ask(WithoutShare());
  ExpectAnswered(change_cipher_spec + Again(WithShare()));
  Ask(WithoutShare());  // in several records, its header split
  ExpectAnswered(change_cipher_spec + Fragmented(WithShare().Message(), 3, 0x0303));
  Ask(WithoutShare());  // octet by octet
  const std::string second = change_cipher_spec + Again(WithShare());
  for (const char octet : second.substr(0, second.size() - 1)) {
    server_.Receive(std::string(1, octet));
    ASSERT_EQ(server_.Handshake(), TlsOutcome::kNeedInput) << server_.engine->error();
  }
  ExpectAnswered(second.substr(second.size() - 1));
  // What may change: padding, a cookie, early data that is no longer offered, and the order.
  HelloBuilder first = WithoutShare();
  first.Set(21, std::string(100, '\0')).Set(kEarlyData, "").Set(0xfe0d, "x").Set(0x0a0a, "");
  HelloBuilder other = WithShare();
  other.Set(0x0a0a, "").Set(21, std::string(7, '\0')).Set(0xfe0d, "another");
  std::reverse(other.extensions.begin(), other.extensions.end());
  Ask(first);
  ExpectAnswered(Again(other));
}

TEST_F(SecondHello, SaysSomethingElse) {
  const auto changed = [this](const auto& change) {
    Ask(WithoutShare());
    HelloBuilder second = WithShare();
    change(second);
    ExpectRefused(Again(second));
  };
  changed([](HelloBuilder& hello) { hello.ServerName("other.example.test"); });
  changed([](HelloBuilder& hello) { hello.Remove(kServerName); });
  changed([](HelloBuilder& hello) { hello.Alpn({"smtp"}); });
  changed([](HelloBuilder& hello) { hello.suites.pop_back(); });
  changed([](HelloBuilder& hello) { hello.session_id = std::string(32, 't'); });
  changed([](HelloBuilder& hello) { hello.session_id.clear(); });
  changed([](HelloBuilder& hello) { hello.List(kSignatureAlgorithms, {0x0403, 0x0804}); });
  changed([](HelloBuilder& hello) { hello.List(kSupportedGroups, {0x001d}); });
  changed([](HelloBuilder& hello) { hello.Set(kSupportedVersions, Vector(1, "\x03\x04")); });
  changed([](HelloBuilder& hello) { hello.Set(0x1234, "new"); });
  changed([](HelloBuilder& hello) { hello.Set(kEarlyData, ""); });
  changed([](HelloBuilder& hello) {
    hello.Set(kPreSharedKey, Vector(2, Vector(2, "t") + Number(0, 4)) +
                                 Vector(2, Vector(1, std::string(32, 'b'))));
  });
  changed([](HelloBuilder& hello) { hello.legacy_version = 0x0302; });
  // The random octets.
  Ask(WithoutShare());
  std::string second = Again(WithShare());
  second[5 + 4 + 2] ^= 1;
  ExpectRefused(second);
}

TEST_F(Attack, RefusedHellos) {
  HelloBuilder old = HelloBuilder::Tls12();
  old.legacy_version = 0x0302;
  ExpectAlert(old.Records(), TlsAlert::kProtocolVersion);  // PROTOCOL 23
  HelloBuilder fallback = HelloBuilder::Tls12();
  fallback.suites.push_back(0x5600);
  ExpectAlert(fallback.Records(), TlsAlert::kInappropriateFallback);  // PROTOCOL 23
  HelloBuilder weak = HelloBuilder::Tls12();
  weak.suites = {0x009c, 0x002f, 0xc027};
  ExpectAlert(weak.Records(), TlsAlert::kHandshakeFailure);  // PROTOCOL 24
  ExpectAlert(HelloBuilder::Tls12().List(kSignatureAlgorithms, {0x0201, 0x0303}).Records(),
              TlsAlert::kHandshakeFailure);  // PROTOCOL 25
  ExpectAlert(HelloBuilder::Usual().ServerName(std::string_view("a\0b", 3)).Records(),
              TlsAlert::kIllegalParameter);  // PROTOCOL 27
  ExpectAlert(HelloBuilder::Usual().Alpn({"h2"}).Records(),
              TlsAlert::kNoApplicationProtocol);  // PROTOCOL 28
  ExpectAlert(Record(22, std::string(16384, 'x')) + "x", TlsAlert::kUnexpectedMessage);
  ExpectAlert(Number(22, 1) + Number(0x0301, 2) + Number(16385, 2),
              TlsAlert::kRecordOverflow);  // PROTOCOL 32
}

TEST_F(Attack, NotTls) {
  for (const std::string text : {"GET / HTTP/1.1\r\n", "EHLO x\r\n"}) {
    EXPECT_EQ(First(text), TlsOutcome::kFailed);
    EXPECT_TRUE(server_.cipher_out.empty());
    EXPECT_EQ(server_.engine->error(), "not TLS");
  }
}

TEST_F(Attack, HelloOctetByOctetAndInShortRecords) {
  const HelloBuilder hello = HelloBuilder::Usual();
  for (const std::string& octets :
       {hello.Records(), Fragmented(hello.Message(), 1), Fragmented(hello.Message(), 3),
        Fragmented(hello.Message(), 100)}) {
    server_.engine = TlsEngine::Server(contexts_.get());
    for (std::size_t i = 0; i < octets.size(); ++i) {
      ASSERT_TRUE(server_.cipher_out.empty()) << i;
      server_.Receive(octets.substr(i, 1));
      ASSERT_EQ(server_.Handshake(), TlsOutcome::kNeedInput) << server_.engine->error();
    }
    EXPECT_EQ(Side::Drain(server_.cipher_out)[5], 2);
    EXPECT_TRUE(server_.cipher_in.empty());
  }
}

TEST_F(Attack, HelloThatIsTooLong) {
  const std::string slow = Fragmented(Number(1, 1) + Vector(3, std::string(9000, 'x')), 1);
  std::size_t used = 0;
  TlsOutcome outcome = TlsOutcome::kNeedInput;
  while (outcome == TlsOutcome::kNeedInput && used < slow.size()) {
    server_.Receive(slow.substr(used, 600));
    used += 600;
    outcome = server_.Handshake();
  }
  EXPECT_EQ(outcome, TlsOutcome::kFailed);
  EXPECT_LE(used, kClientHelloBytesMax + 600);
}

// PROTOCOL 23: RFC 8446 4.1.3.
TEST_F(Attack, DowngradeSentinel) {
  EXPECT_EQ(First(HelloBuilder::Tls12().Records()), TlsOutcome::kNeedInput);
  const std::string out = Side::Drain(server_.cipher_out);
  ASSERT_GT(out.size(), 43U);
  // Record header, message header, version; the random's last eight octets.
  EXPECT_EQ(out.substr(5 + 4 + 2 + 24, 8), "DOWNGRD\x01");
}

// PROTOCOL 26
TEST_F(Attack, ServerHelloCarriesRenegotiationInfoAndExtendedMasterSecret) {
  EXPECT_EQ(First(HelloBuilder::Tls12().Records()), TlsOutcome::kNeedInput);
  const std::string out = Side::Drain(server_.cipher_out);
  EXPECT_NE(out.find(Number(0xff01, 2) + Number(1, 2) + Number(0, 1)), std::string::npos);
  EXPECT_NE(out.find(Number(0x0017, 2) + Number(0, 2)), std::string::npos);
}

TEST_F(Attack, BadKeyShare) {
  HelloBuilder zero = HelloBuilder::Usual();
  zero.Set(kKeyShare, Vector(2, Number(0x001d, 2) + Vector(2, std::string(32, '\0'))));
  ExpectAlert(zero.Records(), TlsAlert::kIllegalParameter);
  HelloBuilder odd = HelloBuilder::Usual();
  odd.Set(kKeyShare, Vector(2, Number(0x001d, 2) + Vector(2, std::string(31, 'k'))));
  ExpectAlert(odd.Records(), TlsAlert::kIllegalParameter);
  HelloBuilder off_curve = HelloBuilder::Usual();
  off_curve.Set(kKeyShare,
                Vector(2, Number(0x0017, 2) + Vector(2, Number(4, 1) + std::string(64, 'k'))));
  ExpectAlert(off_curve.Records(), TlsAlert::kIllegalParameter);
  HelloBuilder cut = HelloBuilder::Usual();
  cut.Set(kKeyShare, Number(100, 2) + "abc");
  ExpectAlert(cut.Records(), TlsAlert::kDecodeError);
}

TEST_F(Attack, EveryFlippedOctetOfAHello) {
  const std::string octets = HelloBuilder::Usual().Alpn({"smtp"}).Records();
  for (std::size_t i = 0; i < octets.size(); ++i) {
    std::string changed = octets;
    changed[i] = static_cast<char>(changed[i] ^ 0xff);
    const TlsOutcome outcome = First(changed);
    EXPECT_TRUE(outcome == TlsOutcome::kFailed || outcome == TlsOutcome::kNeedInput) << i;
  }
}

class AttackAfter : public Attack, public testing::WithParamInterface<TlsVersions> {
 protected:
  AttackAfter() : client_(GetParam()) { client_.Handshake(server_); }
  [[nodiscard]] static bool tls13() { return GetParam() == TlsVersions::kTls13Only; }
  // What the server has sent since, as the client sees it.
  std::string Answer() { return client_.Open(Side::Drain(server_.cipher_out)); }

  RawClient client_;
};

INSTANTIATE_TEST_SUITE_P(Versions, AttackAfter,
                         testing::Values(TlsVersions::kTls12Only, TlsVersions::kTls13Only));

TEST_P(AttackAfter, SealedByHandIsRead) {
  EXPECT_EQ(Read(client_.Seal(23, "EHLO x\r\n")), TlsOutcome::kDone);
  EXPECT_EQ(Side::Drain(server_.plain_in), "EHLO x\r\n");
  EXPECT_EQ(server_.Write("250 y\r\n"), TlsOutcome::kDone);
  EXPECT_EQ(Answer(), "250 y\r\n");
}

TEST_P(AttackAfter, OctetByOctetAndOneOctetRecords) {
  const std::string text = "MAIL FROM:<a@example>\r\n";
  std::string octets;
  for (const char octet : text) {
    octets += client_.Seal(23, std::string(1, octet));
  }
  for (const char octet : octets) {
    ASSERT_EQ(Read(std::string(1, octet)), TlsOutcome::kDone);
  }
  EXPECT_EQ(Side::Drain(server_.plain_in), text);
  EXPECT_TRUE(server_.cipher_in.empty());
}

TEST_P(AttackAfter, ManyOneOctetRecordsAreServed) {
  std::string octets;
  for (int i = 0; i < 3000; ++i) {
    octets += client_.Seal(23, "a");
    if (octets.size() > 40000) {
      ASSERT_EQ(Read(octets), TlsOutcome::kDone);
      octets.clear();
    }
  }
  ASSERT_EQ(Read(octets), TlsOutcome::kDone);
  EXPECT_EQ(Side::Drain(server_.plain_in).size(), 3000U);
}

TEST_P(AttackAfter, ForgedRecord) {
  std::string record = client_.Seal(23, "EHLO x\r\n");
  record.back() = static_cast<char>(record.back() ^ 1);
  EXPECT_EQ(Read(record), TlsOutcome::kFailed);
  EXPECT_TRUE(server_.plain_in.empty());
  Answer();
  EXPECT_EQ(client_.alert(), 20);
  EXPECT_NE(server_.engine->error().find("bad_record_mac"), std::string_view::npos)
      << server_.engine->error();
}

TEST_P(AttackAfter, ReplayedRecord) {
  const std::string record = client_.Seal(23, "NOOP\r\n");
  EXPECT_EQ(Read(record), TlsOutcome::kDone);
  EXPECT_EQ(Read(record), TlsOutcome::kFailed);
  EXPECT_EQ(Side::Drain(server_.plain_in), "NOOP\r\n");
}

TEST_P(AttackAfter, ClearTextRecord) {
  EXPECT_NE(Read(Record(23, "EHLO x\r\n", 0x0303)), TlsOutcome::kDone);
  EXPECT_TRUE(server_.plain_in.empty());
}

TEST_P(AttackAfter, GarbageInsteadOfARecord) {
  EXPECT_EQ(Read("EHLO cleartext.example\r\n" + std::string(20000, 'x')), TlsOutcome::kFailed);
  EXPECT_TRUE(server_.plain_in.empty());
}

// PROTOCOL 31
TEST_P(AttackAfter, EmptyRecords) {
  std::string octets;
  for (int i = 0; i < 20; ++i) {
    octets += client_.Seal(23, "");
  }
  octets += client_.Seal(23, "x");
  EXPECT_EQ(Read(octets), TlsOutcome::kDone);
  EXPECT_EQ(Side::Drain(server_.plain_in), "x");
}

// PROTOCOL 31
TEST_P(AttackAfter, EmptyRecordFlood) {
  TlsOutcome outcome = TlsOutcome::kDone;
  int sent = 0;
  while (outcome == TlsOutcome::kDone && sent < 100) {
    outcome = Read(client_.Seal(23, ""));
    ++sent;
  }
  EXPECT_EQ(outcome, TlsOutcome::kFlood);
  EXPECT_GE(sent, 32);
  EXPECT_LE(sent, 33);
  EXPECT_EQ(server_.Read(), TlsOutcome::kFlood);
}

// PROTOCOL 32
TEST_P(AttackAfter, OversizedHeader) {
  for (const unsigned length : {0xffffU, 18433U}) {
    SCOPED_TRACE(length);
    server_.engine = TlsEngine::Server(contexts_.get());
    RawClient client(GetParam());
    client.Handshake(server_);
    EXPECT_EQ(Read(Number(23, 1) + Number(0x0303, 2) + Number(length, 2)), TlsOutcome::kFailed);
    (void)client.Open(Side::Drain(server_.cipher_out));
    EXPECT_EQ(client.alert(), 22) << server_.engine->error();
    server_.cipher_in.Clear();
  }
}

// PROTOCOL 32
TEST_P(AttackAfter, OversizedContent) {
  EXPECT_EQ(Read(client_.Seal(23, std::string(16384, 'x'))), TlsOutcome::kDone);
  EXPECT_EQ(Side::Drain(server_.plain_in).size(), 16384U);
  EXPECT_EQ(Read(client_.Seal(23, std::string(16385, 'x'))), TlsOutcome::kFailed);
  EXPECT_TRUE(server_.plain_in.empty());
  Answer();
  EXPECT_EQ(client_.alert(), 22) << server_.engine->error();
}

// PROTOCOL 36
TEST_P(AttackAfter, NothingIsReadAfterCloseNotify) {
  std::string octets = client_.Seal(23, "BDAT 100\r\n");
  octets += client_.Seal(21, std::string("\x01\x00", 2));
  octets += client_.Seal(23, "sealed");
  octets += "clear";
  EXPECT_EQ(Read(octets), TlsOutcome::kPeerClosed);
  EXPECT_EQ(Side::Drain(server_.plain_in), "BDAT 100\r\n");
  const std::size_t left = server_.cipher_in.size();
  EXPECT_GT(left, 5U);
  EXPECT_EQ(server_.Read(), TlsOutcome::kPeerClosed);
  EXPECT_EQ(server_.cipher_in.size(), left);
  EXPECT_TRUE(server_.plain_in.empty());
  // Our last words and our close_notify still go out.
  EXPECT_EQ(server_.Write("421 bye\r\n"), TlsOutcome::kDone);
  server_.engine->CloseNotify(server_.cipher_out);
  EXPECT_EQ(Answer(), "421 bye\r\n");
  EXPECT_EQ(client_.alert(), 0);
  server_.engine->CloseNotify(server_.cipher_out);
  EXPECT_TRUE(server_.cipher_out.empty());
}

TEST_P(AttackAfter, FatalAlert) {
  EXPECT_EQ(Read(client_.Seal(21, "\x02\x2e")), TlsOutcome::kFailed);
  EXPECT_EQ(server_.engine->error(), "received alert certificate_unknown");
  EXPECT_EQ(server_.engine->peer_alert(), "certificate_unknown");
}

// A client that does not want our certificate may only warn, and then close.
TEST_P(AttackAfter, AWarningIsKept) {
  EXPECT_EQ(server_.engine->peer_alert(), "");
  (void)Read(client_.Seal(21, "\x01\x2a"));
  EXPECT_EQ(server_.engine->peer_alert(), "bad_certificate");
}

TEST_P(AttackAfter, ACloseNotifyIsNoComplaint) {
  EXPECT_EQ(Read(client_.Seal(21, std::string("\x01\x00", 2))), TlsOutcome::kPeerClosed);
  EXPECT_EQ(server_.engine->peer_alert(), "");
}

TEST_P(AttackAfter, WarningFlood) {
  TlsOutcome outcome = TlsOutcome::kDone;
  int sent = 0;
  while (outcome == TlsOutcome::kDone && sent < 100) {
    outcome = Read(client_.Seal(21, "\x01\x64"));  // no_renegotiation
    ++sent;
  }
  EXPECT_TRUE(outcome == TlsOutcome::kFlood || outcome == TlsOutcome::kFailed);
}

// PROTOCOL 26. RFC 5246 7.2.2: no_renegotiation is a warning, and the client decides.
TEST_P(AttackAfter, Renegotiation) {
  const std::string hello = HelloBuilder::Tls12().Message();
  if (tls13()) {
    EXPECT_EQ(Read(client_.Seal(22, hello)), TlsOutcome::kFailed);
    Answer();
    EXPECT_EQ(client_.alert(), 10) << server_.engine->error();
    return;
  }
  EXPECT_EQ(Read(client_.Seal(22, hello)), TlsOutcome::kDone);
  Answer();
  EXPECT_EQ(client_.alert(), 100);
  EXPECT_EQ(Read(client_.Seal(23, "NOOP\r\n")), TlsOutcome::kDone);
  EXPECT_EQ(Side::Drain(server_.plain_in), "NOOP\r\n");
  EXPECT_EQ(server_.Write("250 y\r\n"), TlsOutcome::kDone);
  EXPECT_EQ(Answer(), "250 y\r\n");
  TlsOutcome outcome = TlsOutcome::kDone;
  int sent = 0;
  for (; outcome == TlsOutcome::kDone && sent < 100; ++sent) {
    outcome = Read(client_.Seal(22, hello));
  }
  EXPECT_EQ(outcome, TlsOutcome::kFlood);
  EXPECT_LE(sent, 33);
}

TEST_P(AttackAfter, MalformedAlerts) {
  struct Case {
    std::string content;
    int alert12;
    int alert13;
  };
  for (const Case& test : {Case{"", 50, 10}, Case{"\x02", 50, 50}, Case{"\x02\x28\x28", 50, 50}}) {
    SCOPED_TRACE(test.content.size());
    server_.engine = TlsEngine::Server(contexts_.get());
    RawClient client(GetParam());
    client.Handshake(server_);
    EXPECT_EQ(Read(client.Seal(21, test.content)), TlsOutcome::kFailed);
    (void)client.Open(Side::Drain(server_.cipher_out));
    EXPECT_EQ(client.alert(), tls13() ? test.alert13 : test.alert12) << server_.engine->error();
    server_.cipher_in.Clear();
  }
}

TEST_P(AttackAfter, UnknownRecordType) {
  std::string record = client_.Seal(22, "");
  record[0] = 24;
  EXPECT_EQ(Read(record), TlsOutcome::kFailed);
  Answer();
  EXPECT_EQ(client_.alert(), 10) << server_.engine->error();
}

class AttackAfter13 : public AttackAfter {};
INSTANTIATE_TEST_SUITE_P(Versions, AttackAfter13, testing::Values(TlsVersions::kTls13Only));

// PROTOCOL 31
TEST_P(AttackAfter13, KeyUpdateIsAnswered) {
  EXPECT_EQ(Read(client_.Seal(22, Number(24, 1) + Vector(3, "\x01"))), TlsOutcome::kDone);
  EXPECT_FALSE(server_.cipher_out.empty());
}

// PROTOCOL 31, RFC 8446 5.1: a change of keys ends its record.
TEST_P(AttackAfter13, ManyKeyUpdatesInOneRecord) {
  std::string updates;
  for (int i = 0; i < 3000; ++i) {
    updates += Number(24, 1) + Vector(3, std::string(1, '\0'));
  }
  EXPECT_EQ(Read(client_.Seal(22, updates)), TlsOutcome::kFailed);
  Answer();
  EXPECT_EQ(client_.alert(), 10) << server_.engine->error();
}

// The same where wolfSSL has the records: it takes many.
TEST_P(AttackAfter13, KeyUpdateFloodInOneRecordOfTheLibrary) {
  server_.engine = TlsEngine::Server(contexts_.get(), TlsRecords::kLibrary);
  RawClient client(GetParam());
  client.Handshake(server_);
  std::string updates;
  for (int i = 0; i < 3000; ++i) {
    updates += Number(24, 1) + Vector(3, std::string(1, '\0'));
  }
  EXPECT_EQ(Read(client.Seal(22, updates)), TlsOutcome::kFlood);
}

// PROTOCOL 31
TEST_P(AttackAfter13, KeyUpdateFlood) {
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(Read(client_.SealKeyUpdate()), TlsOutcome::kDone);
    ASSERT_EQ(Read(client_.Seal(23, "x")), TlsOutcome::kDone) << server_.engine->error();
  }
  EXPECT_EQ(Side::Drain(server_.plain_in).size(), 100U);
  for (int i = 0; i < 32; ++i) {
    ASSERT_EQ(Read(client_.SealKeyUpdate()), TlsOutcome::kDone) << i;
  }
  EXPECT_EQ(Read(client_.SealKeyUpdate()), TlsOutcome::kFlood);
}

TEST_P(AttackAfter13, UnexpectedMessages) {
  for (const unsigned type : {1U, 2U, 4U, 8U, 11U, 13U, 15U, 20U}) {
    server_.engine = TlsEngine::Server(contexts_.get());
    RawClient client(GetParam());
    client.Handshake(server_);
    EXPECT_EQ(Read(client.Seal(22, Number(type, 1) + Vector(3, "abcd"))), TlsOutcome::kFailed)
        << type;
    server_.cipher_in.Clear();
    server_.cipher_out.Clear();
  }
}

TEST_F(Attack, FloodDuringTheHandshake) {
  EXPECT_EQ(First(HelloBuilder::Usual().Records()), TlsOutcome::kNeedInput);
  server_.cipher_out.Clear();
  // A second hello was not asked for; whatever it is, it ends within the budget.
  TlsOutcome outcome = TlsOutcome::kNeedInput;
  std::size_t used = 0;
  while (outcome == TlsOutcome::kNeedInput && used < 1000000) {
    server_.Receive(Record(20, "\x01", 0x0303));
    used += 6;
    outcome = server_.Handshake();
  }
  EXPECT_EQ(outcome, TlsOutcome::kFlood);
  EXPECT_EQ(used, 6U * (TlsEngine::kHandshakeRecordsMax + 1)) << "the hello is none of them";
}

// RFC 8446 5: until the client's Finished it is dropped, however often it comes.
TEST(ChangeCipherSpec, IsDroppedInTls13) {
  const std::string spec = Record(20, "\x01", 0x0303);
  BufferPool pool(64, 16);
  Side server(&pool);
  const auto contexts = Contexts({Certificate("ecdsa")});
  const auto finish = [&](const std::function<void(std::string&)>& change) {
    server.cipher_in.Clear();
    server.engine = TlsEngine::Server(contexts.get());
    RawClient client(TlsVersions::kTls13Only);
    int flight = 0;
    const bool done = client.TryHandshake(server, [&](std::string& octets) {
      if (++flight == 2) change(octets);
    });
    EXPECT_TRUE(done) << server.engine->error();
  };
  finish([&](std::string& octets) { octets.insert(0, spec + spec); });
  finish([&](std::string& octets) {
    for (int i = 0; i < 100; ++i) octets.insert(0, spec);
  });
  // Octet by octet.
  server.cipher_in.Clear();
  server.engine = TlsEngine::Server(contexts.get());
  server.Receive(HelloBuilder::Usual().Records());
  ASSERT_EQ(server.Handshake(), TlsOutcome::kNeedInput);
  for (const char octet : spec + spec + spec) {
    server.Receive(std::string(1, octet));
    EXPECT_EQ(server.Handshake(), TlsOutcome::kNeedInput) << server.engine->error();
  }
}

// What a client is told whose second flight is not what it should be.
class SecondFlight : public testing::TestWithParam<TlsVersions> {
 protected:
  SecondFlight() : pool_(64, 16), server_(&pool_) {}

  [[nodiscard]] static bool tls13() { return GetParam() == TlsVersions::kTls13Only; }
  // The one alert that a server answers with; -1: none, or more.
  int Alert(const Tamper& tamper, const Tamper& tamper_hello = nullptr, bool resume = false) {
    server_.cipher_in.Clear();
    server_.engine = TlsEngine::Server(contexts_.get());
    RawClient client(GetParam());
    if (resume) {
      client.Resume(session_->get(), RawClient::PskMode::kWithDhe);
    }
    if (tamper_hello) {
      client.NoExtendedMasterSecret();
    }
    int flight = 0;
    EXPECT_FALSE(client.TryHandshake(server_, [&](std::string& octets) {
      ++flight;
      if (flight == 1 && tamper_hello) {
        tamper_hello(octets);
      }
      if (flight == 2 && tamper) {
        tamper(octets);
      }
    }));
    const std::string out = Side::Drain(server_.cipher_out);
    if (out.size() < 7 || out.size() != 5U + static_cast<unsigned char>(out[4])) {
      return -1;
    }
    const bool clear = out[0] == 21 && out.size() == 7;
    EXPECT_EQ(clear, !tls13() && !resume);
    (void)client.Open(out);
    const int alert = clear ? out.back() : client.alert();
    EXPECT_TRUE(server_.engine->error().ends_with(std::string("; sent alert ") +
                                                  std::string(TlsAlertName(alert))))
        << server_.engine->error();
    return alert;
  }
  void GetSession() {
    server_.engine = TlsEngine::Server(contexts_.get());
    RawClient client(GetParam());
    client.AskForTicket();
    client.Handshake(server_);
    EXPECT_EQ(server_.Write("220 x\r\n"), TlsOutcome::kDone);
    (void)client.Open(Side::Drain(server_.cipher_out));
    session_ = std::make_unique<TlsSession>(client.TakeSession());
  }
  static Tamper Instead(const std::string& octets) {
    return [octets](std::string& flight) { flight = octets; };
  }
  static Tamper Before(const std::string& octets) {
    return [octets](std::string& flight) { flight.insert(0, octets); };
  }

  std::unique_ptr<TicketKeys> keys_ = TicketKeys::Random(kNow);
  std::shared_ptr<const TlsContextSet> contexts_ =
      Contexts({Certificate("ecdsa"), Certificate("rsa")}, keys_.get());
  BufferPool pool_;
  Side server_;
  std::unique_ptr<TlsSession> session_;
};

INSTANTIATE_TEST_SUITE_P(Versions, SecondFlight,
                         testing::Values(TlsVersions::kTls12Only, TlsVersions::kTls13Only));

TEST_P(SecondFlight, UnexpectedMessages) {
  constexpr int kUnexpected = 10;
  const std::string spec = Record(20, "\x01", 0x0303);
  EXPECT_EQ(Alert(Instead(Record(24, "\x01\x00\x00", 0x0303))), kUnexpected);
  EXPECT_EQ(Alert(Instead(Record(0, "x", 0x0303))), kUnexpected);
  EXPECT_EQ(Alert(Instead(Record(255, "x", 0x0303))), kUnexpected);
  EXPECT_EQ(Alert(Instead(Record(20, "\x01\x01", 0x0303))), kUnexpected);
  EXPECT_EQ(Alert(Instead(Record(20, "\x02", 0x0303))), kUnexpected);
  if (!tls13()) {
    EXPECT_EQ(Alert(Before(spec)), kUnexpected);
  }
  for (const unsigned type : {0U, 1U, 2U, 14U, 20U, 99U}) {
    EXPECT_EQ(Alert(Instead(Record(22, Number(type, 1) + Vector(3, "abcd"), 0x0303))), kUnexpected)
        << type;
  }
}

// Behind our Finished a client of TLS 1.3 reads nothing but what is sealed.
TEST_P(SecondFlight, WrongKeys) {
  const std::string sealed = Record(23, std::string(40, 'x'), 0x0303);
  if (tls13()) {
    EXPECT_EQ(Alert(Instead(sealed)), 20);
    EXPECT_EQ(Alert(Instead(Record(23, "x", 0x0303))), 20);
    EXPECT_EQ(Alert(Instead(Number(23, 1) + Number(0x0303, 2) + Number(16641, 2))), 22);
    EXPECT_EQ(Alert(Instead(Number(22, 1) + Number(0x0303, 2) + Number(16385, 2))), 22);
  } else {
    EXPECT_EQ(Alert(Instead(sealed)), 10);  // content before the end of the handshake
    EXPECT_EQ(Alert([](std::string& flight) { flight.back() ^= 1; }), 20);
    EXPECT_EQ(Alert(Instead(Number(22, 1) + Number(0x0303, 2) + Number(16385, 2))), 22);
  }
}

TEST_P(SecondFlight, WrongFinished) {
  if (tls13()) {
    return;  // what it covers cannot be changed without changing the keys
  }
  // The second suite becomes one that nobody knows.
  const Tamper other_hello = [](std::string& hello) {
    const std::size_t at = hello.find(Number(0xc02f, 2));
    ASSERT_NE(at, std::string::npos);
    hello.replace(at, 2, Number(0x9a9a, 2));
  };
  EXPECT_EQ(Alert(nullptr, other_hello), 51);
}

TEST_P(SecondFlight, BadPointOfAClientOfTls12) {
  if (tls13()) {
    return;  // BadKeyShare
  }
  const auto with = [this](const std::string& point) {
    return Alert(Instead(Record(22, Number(16, 1) + Vector(3, Vector(1, point)), 0x0303)));
  };
  EXPECT_EQ(with(Number(4, 1) + std::string(64, 'k')), 47);  // P-256, off the curve
  EXPECT_EQ(with(std::string(32, '\0')), 47);
  EXPECT_EQ(with(""), 47);
}

// There the server's keys are in use before the client's.
TEST_P(SecondFlight, OfAResumedConnection) {
  GetSession();
  EXPECT_EQ(Alert(Instead(Record(20, "\x01\x01", 0x0303)), nullptr, true), 10);
  EXPECT_EQ(Alert(Instead(Record(99, "x", 0x0303)), nullptr, true), 10);
}

// RFC 8446 D.4
TEST_F(SecondHello, ChangeCipherSpecFollowsTheRequest) {
  ASSERT_EQ(First(WithoutShare().Records()), TlsOutcome::kNeedInput);
  const std::string out = Side::Drain(server_.cipher_out);
  ASSERT_GT(out.size(), 6U);
  EXPECT_TRUE(out.ends_with(Record(20, "\x01", 0x0303)));
  server_.Receive(Again(WithShare()));
  EXPECT_EQ(server_.Handshake(), TlsOutcome::kNeedInput);
  EXPECT_EQ(Side::Drain(server_.cipher_out).find(Record(20, "\x01", 0x0303)), std::string::npos);
}

// The client's second flight cut into records of one octet.
TEST_F(Attack, SecondFlightInShortRecords) {
  RawClient client(TlsVersions::kTls12Only);
  int flight = 0;
  client.Handshake(server_, [&](std::string& octets) {
    if (++flight == 2) {
      // ClientKeyExchange alone is in clear; the rest stays as it is.
      ASSERT_EQ(octets[0], 22);
      const std::size_t length = static_cast<std::size_t>(static_cast<unsigned char>(octets[3]))
                                     << 8 |
                                 static_cast<unsigned char>(octets[4]);
      // Its header must be whole for wolfSSL.
      const std::string message = octets.substr(5, length);
      octets = Record(22, message.substr(0, 4), 0x0303) + Fragmented(message.substr(4), 1, 0x0303) +
               octets.substr(5 + length);
    }
  });
}

}  // namespace
}  // namespace ringpost::test
