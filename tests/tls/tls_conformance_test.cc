// SPDX-License-Identifier: GPL-3.0-or-later
//
// What RFCs let clients send and wolfSSL 5.9.2 refuses: rows of docs/TLS.md. Corrections of wolfSSL
// are in subprojects/packagefiles; each is named where it is tested.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "hand_client.h"
#include "hello_builder.h"
#include "raw_client.h"
#include "ringpost/tls/client_hello.h"
#include "ringpost/tls/ticket_keys.h"
#include "tls_fixture.h"

namespace ringpost::test {
namespace {

constexpr int kServerHello = 2;
constexpr int kEncryptedExtensions = 8;
constexpr int kCertificate = 11;
constexpr int kCertificateVerify = 15;
constexpr int kFinished = 20;
constexpr unsigned kSessionTicket = 35;
const std::string kChangeCipherSpec("\x14\x03\x03\x00\x01\x01", 6);
const std::vector<int> kFullFlight = {kServerHello, kEncryptedExtensions, kCertificate,
                                      kCertificateVerify, kFinished};

std::size_t Length(std::string_view octets) {
  std::size_t value = 0;
  for (const char octet : octets) {
    value = value << 8 | static_cast<unsigned char>(octet);
  }
  return value;
}

class Conformance : public testing::Test {
 protected:
  Conformance() : keys_(TicketKeys::Random(kNow)), pool_(64, 16), server_(&pool_) {
    contexts_ = Contexts({Certificate("ecdsa"), Certificate("rsa")}, keys_.get());
    Restart();
  }
  void Restart() {
    server_.engine = TlsEngine::Server(contexts_.get());
    server_.cipher_in.Clear();
    server_.cipher_out.Clear();
  }
  // What a new connection answers to these octets; empty if it is not waiting for more.
  std::string Answer(const std::string& octets) {
    Restart();
    server_.Receive(octets);
    const TlsOutcome outcome = server_.Handshake();
    EXPECT_EQ(outcome, TlsOutcome::kNeedInput) << server_.engine->error();
    return outcome == TlsOutcome::kNeedInput ? Side::Drain(server_.cipher_out) : std::string();
  }
  // The same for octets that come in the pieces that a leg takes them in.
  std::string AnswerInPieces(const std::string& octets) {
    Restart();
    return ReceiveInPieces(octets);
  }
  std::string ReceiveInPieces(std::string_view octets) {
    TlsOutcome outcome = TlsOutcome::kNeedInput;
    while (!octets.empty() && outcome == TlsOutcome::kNeedInput) {
      server_.Receive(octets.substr(0, 10000));
      octets.remove_prefix(std::min<std::size_t>(octets.size(), 10000));
      outcome = server_.Handshake();
    }
    EXPECT_EQ(outcome, TlsOutcome::kNeedInput) << server_.engine->error();
    return Side::Drain(server_.cipher_out);
  }
  // A whole handshake of TLS 1.3 with this hello, which must lead to a certificate. `between` comes
  // before the client's Finished, which is cut into pieces of `size`.
  void ExpectFullHandshake(HandClient& client, const HelloBuilder& hello, std::size_t size = 1000,
                           const std::string& between = "") {
    const std::string message = hello.Message();
    const std::string flight =
        Answer(message.size() > (1 << 14) ? Fragmented(message, 1 << 14) : Record(22, message));
    client.Sent(message);
    ASSERT_EQ(client.ReadFlight(flight), kFullFlight);
    server_.Receive(between + client.Finished(size));
    EXPECT_EQ(server_.Handshake(), TlsOutcome::kDone) << server_.engine->error();
  }
  void ExpectFullHandshake(const HelloBuilder& hello) {
    HandClient client;
    ExpectFullHandshake(client, hello);
  }
  // The ServerHello of TLS 1.2 to this hello.
  std::string ServerHello12(const HelloBuilder& hello) {
    const std::string message = hello.Message();
    const std::string flight =
        Answer(message.size() > (1 << 14) ? Fragmented(message, 1 << 14) : Record(22, message));
    if (flight.size() < 100 || flight[0] != 22 || flight[5] != kServerHello) {
      ADD_FAILURE() << "no ServerHello";
      return {};
    }
    const std::string server_hello = flight.substr(5, 4 + Length(flight.substr(6, 3)));
    EXPECT_EQ(server_hello.substr(4, 2), "\x03\x03");
    EXPECT_EQ(ExtensionOf(server_hello, kSupportedVersions), "none");
    return server_hello;
  }
  TlsOutcome Refused(const std::string& octets, TlsAlert alert) {
    Restart();
    server_.Receive(octets);
    const TlsOutcome outcome = server_.Handshake();
    const auto record = PlaintextAlertRecord(alert);
    EXPECT_EQ(Side::Drain(server_.cipher_out), std::string(record.begin(), record.end()))
        << server_.engine->error();
    return outcome;
  }
  // A pre_shared_key of these identities; the binders are as good as any of another server's.
  static std::string PreSharedKeys(const std::vector<std::string>& identities,
                                   std::size_t binder = 32) {
    std::string names;
    std::string binders;
    for (const std::string& identity : identities) {
      names += Vector(2, identity) + Number(0x01020304, 4);
      binders += Vector(1, std::string(binder, 'b'));
    }
    return Vector(2, names) + Vector(2, binders);
  }

  std::unique_ptr<TicketKeys> keys_;
  std::shared_ptr<const TlsContextSet> contexts_;
  BufferPool pool_;
  Side server_;
};

// RFC 8446 4.2.11 (wolfssl-foreign-tickets.patch): OpenSSL's tickets have 208 octets, GnuTLS's
// more, those with a client's certificate more still.
TEST_F(Conformance, TicketsOfOthersLeadToAFullHandshake) {
  for (const std::size_t size :
       {1U, 6U, 32U, 100U, 175U, 206U, 207U, 208U, 256U, 1000U, 4000U, 15000U}) {
    SCOPED_TRACE(size);
    HandClient client;
    ExpectFullHandshake(client,
                        client.Hello().Set(kPreSharedKey, PreSharedKeys({std::string(size, 't')})));
    EXPECT_EQ(ExtensionOf(client.server_hello(), kPreSharedKey), "none");
  }
  // Several, and a binder of a hash that nobody has.
  HandClient several;
  ExpectFullHandshake(
      several, several.Hello().Set(kPreSharedKey,
                                   PreSharedKeys({std::string(300, 'a'), std::string(40, 'b'),
                                                  std::string(5000, 'c'), std::string(208, 'd')})));
  // One of TLS 1.2, whose client speaks both versions.
  HandClient older;
  ExpectFullHandshake(older, older.Hello().Set(kSessionTicket, std::string(1000, 't')));
  HandClient odd;
  ExpectFullHandshake(odd,
                      odd.Hello().Set(kPreSharedKey, PreSharedKeys({std::string(208, 't')}, 255)));
}

// RFC 8446 4.1.4 (wolfssl-dropped-psk.patch): a ticket that does not fit the suite of the
// HelloRetryRequest stays away from the second hello.
TEST_F(Conformance, TicketsThatAreDroppedAfterHelloRetryRequest) {
  for (const bool dropped : {false, true}) {
    HandClient client;
    HelloBuilder hello = client.Hello().Set(kPreSharedKey, PreSharedKeys({std::string(208, 't')}));
    const std::string share = client.Hello().extensions.back().second;
    hello.Set(kKeyShare, Vector(2, ""));
    client.Sent(hello.Message());
    client.Retry(Answer(hello.Records()));
    hello.Set(kKeyShare, share);
    if (dropped) {
      hello.Remove(kPreSharedKey);
    }
    client.Sent(hello.Message());
    server_.Receive(Record(22, hello.Message(), 0x0303));
    ASSERT_EQ(server_.Handshake(), TlsOutcome::kNeedInput) << server_.engine->error();
    ASSERT_EQ(client.ReadFlight(Side::Drain(server_.cipher_out)), kFullFlight);
    server_.Receive(client.Finished());
    EXPECT_EQ(server_.Handshake(), TlsOutcome::kDone) << server_.engine->error();
  }
}

TEST_F(Conformance, MalformedPreSharedKeysAreRefused) {
  const HandClient client;
  const auto hello = [&](const std::string& content) {
    return Record(22, client.Hello().Set(kPreSharedKey, content).Message());
  };
  const std::string identities = Vector(2, Vector(2, std::string(300, 't')) + Number(0, 4));
  for (const std::string& content :
       {std::string(), identities, identities + Vector(2, ""),
        identities + Vector(2, Vector(1, std::string(31, 'b'))),            // too short
        identities + Vector(2, std::string(1, 32) + std::string(31, 'b')),  // cut off
        identities + Vector(2, Vector(1, std::string(32, 'b')) + Vector(1, std::string(32, 'b'))),
        Vector(2, Number(300, 2) + std::string(299, 't') + Number(0, 4)) +
            Vector(2, Vector(1, std::string(32, 'b')))}) {
    EXPECT_EQ(Refused(hello(content), TlsAlert::kDecodeError), TlsOutcome::kFailed);
  }
}

// RFC 5077 3.3, 3.4 (wolfssl-foreign-tickets.patch): a full handshake, a new ticket, and no session
// id that could be taken for a resumption.
TEST_F(Conformance, UnknownTicketsOfTls12GetNewOnes) {
  for (const std::size_t size : {0U, 1U, 175U, 206U, 207U, 208U, 1000U, 15000U}) {
    SCOPED_TRACE(size);
    const std::string hello =
        ServerHello12(HelloBuilder::Tls12().Set(kSessionTicket, std::string(size, 't')));
    EXPECT_EQ(ExtensionOf(hello, kSessionTicket), "");
    EXPECT_EQ(hello.substr(4 + 2 + 32, 1), std::string(1, '\0'));
  }
  EXPECT_EQ(ExtensionOf(ServerHello12(HelloBuilder::Tls12()), kSessionTicket), "none");
  // Where there are none to give, none is promised.
  contexts_ = Contexts({Certificate("ecdsa")});
  EXPECT_EQ(
      ExtensionOf(ServerHello12(HelloBuilder::Tls12().Set(kSessionTicket, std::string(1000, 't'))),
                  kSessionTicket),
      "none");
}

// RFC 8446 4.1.2, RFC 5246 7.4.1.2 (wolfssl-long-lists.patch): what is unknown is ignored.
TEST_F(Conformance, ManyCipherSuites) {
  for (const unsigned count : {10U, 148U, 149U, 150U, 151U, 400U, 7000U, 30000U}) {
    SCOPED_TRACE(count);
    std::vector<unsigned> suites;
    for (unsigned i = 0; i < count; ++i) {
      suites.push_back(0x5601 + i % 0x6000);
    }
    HandClient client;
    HelloBuilder hello = client.Hello();
    hello.suites = suites;
    hello.suites.push_back(0x1301);
    ExpectFullHandshake(client, hello);
    hello = HelloBuilder::Tls12();
    hello.suites = suites;
    hello.suites.push_back(0xc02b);
    EXPECT_FALSE(ServerHello12(hello).empty());
  }
  // A known one many times over does not keep the others out.
  HandClient client;
  HelloBuilder hello = client.Hello();
  hello.suites = std::vector<unsigned>(1000, 0xc02b);
  hello.suites.push_back(0x1301);
  ExpectFullHandshake(client, hello);
}

// RFC 5746 3.6: the signalling value counts where it stands behind many others.
TEST_F(Conformance, SignallingValueBehindManyCipherSuites) {
  HelloBuilder hello = HelloBuilder::Tls12().Remove(kRenegotiationInfo);
  EXPECT_EQ(ExtensionOf(ServerHello12(hello), kRenegotiationInfo), "none");
  for (unsigned i = 0; i < 300; ++i) {
    hello.suites.push_back(0x5601 + i);
  }
  hello.suites.push_back(0x00ff);
  EXPECT_EQ(ExtensionOf(ServerHello12(hello), kRenegotiationInfo), std::string(1, '\0'));
}

// RFC 8446 4.2.3 (wolfssl-long-lists.patch)
TEST_F(Conformance, ManySignatureAlgorithms) {
  for (const unsigned count : {10U, 62U, 63U, 64U, 65U, 500U, 7000U, 30000U}) {
    SCOPED_TRACE(count);
    std::vector<unsigned> algorithms;
    for (unsigned i = 0; i < count; ++i) {
      algorithms.push_back(0xfe00 + i % 128);
    }
    algorithms.push_back(0x0403);
    HandClient client;
    ExpectFullHandshake(client, client.Hello().List(kSignatureAlgorithms, algorithms));
    algorithms.back() = 0x0804;
    HandClient rsa;
    ExpectFullHandshake(rsa, rsa.Hello().List(kSignatureAlgorithms, algorithms));
    EXPECT_FALSE(
        ServerHello12(HelloBuilder::Tls12().List(kSignatureAlgorithms, algorithms)).empty());
  }
}

// RFC 8446 4.2.8 (wolfssl-long-lists.patch)
TEST_F(Conformance, ManyKeyShares) {
  for (const unsigned count : {10U, 20U, 21U, 23U, 24U, 33U, 100U, 3000U, 12000U}) {
    SCOPED_TRACE(count);
    std::string shares;
    std::vector<unsigned> groups;
    for (unsigned i = 0; i < count; ++i) {
      shares += Number(0x3000 + i, 2) + Vector(2, "k");
      if (i < 200) {
        groups.push_back(0x3000 + i);
      }
    }
    groups.push_back(0x001d);
    HandClient client;
    shares += Number(0x001d, 2) + Vector(2, client.public_key());
    ExpectFullHandshake(
        client, client.Hello().List(kSupportedGroups, groups).Set(kKeyShare, Vector(2, shares)));
  }
}

// RFC 8446 4.2
TEST_F(Conformance, ManyExtensions) {
  for (const unsigned count : {50U, 64U, 65U, 500U, 3900U, 16000U}) {
    SCOPED_TRACE(count);
    HandClient client;
    HelloBuilder hello = client.Hello();
    for (unsigned i = 0; i < count; ++i) {
      hello.extensions.emplace_back(0x2000 + i, "");
    }
    ExpectFullHandshake(client, hello);
    hello.extensions.emplace_back(0x2000 + count - 1, "");
    EXPECT_EQ(Refused(Fragmented(hello.Message(), 1 << 14), TlsAlert::kIllegalParameter),
              TlsOutcome::kFailed);
  }
}

// The same of the lists that wolfSSL reads without a limit of its own.
TEST_F(Conformance, LongListsOfOtherKinds) {
  std::vector<unsigned> groups;
  std::string versions;
  std::string modes;
  std::vector<std::string> protocols;
  for (unsigned i = 0; i < 30000; ++i) {
    groups.push_back(0x3000 + i);
  }
  groups.push_back(0x001d);
  for (unsigned i = 0; i < 125; ++i) {
    versions += Number(0x0500 + i, 2);
    modes += Number(2 + i, 1);
    protocols.push_back(Number(0x7000 + i, 2));
  }
  versions += Number(0x0304, 2);
  modes += Number(1, 1);
  protocols.emplace_back("smtp");
  HandClient client;
  ExpectFullHandshake(client, client.Hello()
                                  .List(kSupportedGroups, groups)
                                  .Set(kSupportedVersions, Vector(1, versions))
                                  .Set(kPskModes, Vector(1, modes))
                                  .Alpn(protocols)
                                  .Set(11, Vector(1, modes + std::string(1, '\0'))));
  HelloBuilder hello = HelloBuilder::Tls12();
  hello.List(kSupportedGroups, groups)
      .Alpn(protocols)
      .Set(11, Vector(1, modes + std::string(1, '\0')));
  hello.compression = std::string(254, 'c') + std::string(1, '\0');
  EXPECT_FALSE(ServerHello12(hello).empty());
}

// RFC 8446 4.1.2, 5.1 (wolfssl-long-hello.patch): a hello may have 64 KiB, in what records it
// likes.
TEST_F(Conformance, LongHellos) {
  for (const std::size_t octets : {16379U, 16384U, 18529U, 18530U, 40000U, 65000U}) {
    HandClient shape;
    const std::size_t padding = octets - shape.Hello().Set(21, "").Message().size();
    for (const std::size_t size : {1U << 14, 1400U, 1U}) {
      SCOPED_TRACE(testing::Message() << octets << " in records of " << size);
      HandClient client;
      const std::string message = client.Hello().Set(21, std::string(padding, '\0')).Message();
      ASSERT_EQ(message.size(), octets);
      client.Sent(message);
      ASSERT_EQ(client.ReadFlight(AnswerInPieces(Fragmented(message, size))), kFullFlight);
      server_.Receive(client.Finished());
      EXPECT_EQ(server_.Handshake(), TlsOutcome::kDone) << server_.engine->error();
      HelloBuilder tls12 = HelloBuilder::Tls12();
      tls12.Set(21, std::string(padding, '\0'));
      EXPECT_FALSE(ServerHello12(tls12).empty());
    }
  }
}

// What a hello has does not count for what may come behind it, in whatever records it came.
TEST_F(Conformance, BehindAHelloTheBoundIsTheSame) {
  const std::string message = HandClient().Hello().Message();
  const std::string behind = Number(22, 1) + Number(0x0303, 2) + Number(65400, 2);
  for (const std::size_t size : {std::size_t{1} << 14, std::size_t{100}}) {
    SCOPED_TRACE(size);
    Restart();
    server_.Receive(Fragmented(message, size) + behind);
    EXPECT_EQ(server_.Handshake(), TlsOutcome::kFailed);
    EXPECT_NE(server_.engine->error().find("oversized record"), std::string_view::npos)
        << server_.engine->error();
  }
}

TEST_F(Conformance, LongSecondHellos) {
  for (const std::size_t size : {1U << 14, 1400U, 1U}) {
    SCOPED_TRACE(size);
    HandClient client;
    HelloBuilder hello = client.Hello().Set(21, std::string(60000, '\0'));
    const std::string share = client.Hello().extensions.back().second;
    hello.Set(kKeyShare, Vector(2, ""));
    client.Sent(hello.Message());
    client.Retry(AnswerInPieces(Fragmented(hello.Message(), 1 << 14)));
    hello.Set(kKeyShare, share);
    client.Sent(hello.Message());
    // A change_cipher_spec before it is passed over; within it there is none.
    ASSERT_EQ(client.ReadFlight(
                  ReceiveInPieces(kChangeCipherSpec + Fragmented(hello.Message(), size, 0x0303))),
              kFullFlight);
    server_.Receive(client.Finished());
    EXPECT_EQ(server_.Handshake(), TlsOutcome::kDone) << server_.engine->error();
  }
}

// RFC 8446 5.1: the version of a record means nothing.
TEST_F(Conformance, RecordVersionsOfTheSecondHello) {
  for (const unsigned version : {0x0300U, 0x0301U, 0x0302U, 0x0303U, 0x0304U, 0x03ffU}) {
    for (const std::size_t size : {std::size_t{1} << 14, std::size_t{100}}) {
      SCOPED_TRACE(testing::Message() << version << " in records of " << size);
      HandClient client;
      HelloBuilder hello = client.Hello();
      const std::string share = client.Hello().extensions.back().second;
      hello.Set(kKeyShare, Vector(2, ""));
      client.Sent(hello.Message());
      client.Retry(Answer(Record(22, hello.Message(), version)));
      hello.Set(kKeyShare, share);
      client.Sent(hello.Message());
      ASSERT_EQ(client.ReadFlight(ReceiveInPieces(Fragmented(hello.Message(), size, version))),
                kFullFlight);
      server_.Receive(client.Finished());
      EXPECT_EQ(server_.Handshake(), TlsOutcome::kDone) << server_.engine->error();
    }
  }
}

TEST_F(Conformance, TicketsOfOthersInLongHellos) {
  HandClient client;
  const HelloBuilder hello =
      client.Hello().Set(kPreSharedKey, PreSharedKeys({std::string(64000, 't')}));
  ExpectFullHandshake(client, hello);
}

// RFC 8446 4.2.1 (wolfssl-legacy-version.patch): the extension alone counts where there is one.
TEST_F(Conformance, LegacyVersionBesideTheExtension) {
  for (const unsigned version : {0x0000U, 0x0002U, 0x0201U, 0x0300U, 0x0301U, 0x0302U, 0x0303U,
                                 0x0304U, 0x0305U, 0x03ffU, 0x0400U, 0x0401U, 0x7f1cU, 0xffffU}) {
    SCOPED_TRACE(version);
    HandClient client;
    HelloBuilder hello = client.Hello();
    hello.legacy_version = version;
    ExpectFullHandshake(client, hello);
    hello.Set(kSupportedVersions, Vector(1, Number(0x0303, 2)));
    EXPECT_FALSE(ServerHello12(hello).empty());
    hello.Set(kSupportedVersions, Vector(1, Number(0x0302, 2)));
    EXPECT_EQ(Refused(hello.Records(), TlsAlert::kProtocolVersion), TlsOutcome::kFailed);
  }
}

TEST_F(Conformance, LegacyVersionWithoutTheExtension) {
  for (const unsigned version :
       {0x0303U, 0x0304U, 0x0305U, 0x03ffU, 0x0400U, 0x0401U, 0x7f1cU, 0xffffU}) {
    SCOPED_TRACE(version);
    HelloBuilder hello = HelloBuilder::Tls12();
    hello.legacy_version = version;
    EXPECT_FALSE(ServerHello12(hello).empty());
  }
  for (const unsigned version : {0x0000U, 0x0002U, 0x0201U, 0x02ffU, 0x0300U, 0x0301U, 0x0302U}) {
    SCOPED_TRACE(version);
    HelloBuilder hello = HelloBuilder::Tls12();
    hello.legacy_version = version;
    EXPECT_EQ(Refused(hello.Records(), TlsAlert::kProtocolVersion), TlsOutcome::kFailed);
  }
}

// RFC 5746 3.6 (wolfssl-renegotiation-info.patch): either says it, and both do.
TEST_F(Conformance, SignallingValueBesideTheExtension) {
  HelloBuilder hello = HelloBuilder::Tls12();
  hello.suites.push_back(0x00ff);
  EXPECT_EQ(ExtensionOf(ServerHello12(hello), kRenegotiationInfo), std::string(1, '\0'));
  hello.Set(kRenegotiationInfo, Vector(1, std::string(12, 'v')));
  EXPECT_EQ(Refused(hello.Records(), TlsAlert::kHandshakeFailure), TlsOutcome::kFailed);
}

// RFC 7748 5 (wolfssl-x25519-unused-bit.patch): the unused bit is masked.
TEST_F(Conformance, UnusedBitOfX25519) {
  HandClient client;
  std::string share = client.public_key();
  share.back() = static_cast<char>(share.back() | '\x80');
  ExpectFullHandshake(
      client, client.Hello().Set(kKeyShare, Vector(2, Number(0x001d, 2) + Vector(2, share))));
  // Points of small order stay refused, with the bit and without (RFC 8446 7.4.2).
  for (const char top : {'\x00', '\x80'}) {
    for (const char low : {'\x00', '\x01'}) {
      std::string small(32, '\0');
      small.front() = low;
      small.back() = top;
      const HelloBuilder hello =
          client.Hello().Set(kKeyShare, Vector(2, Number(0x001d, 2) + Vector(2, small)));
      Restart();
      server_.Receive(hello.Records());
      EXPECT_EQ(server_.Handshake(), TlsOutcome::kFailed);
    }
  }
}

TEST_F(Conformance, UnusedBitOfX25519InTls12) {
  // Changed on its way, so that the handshake fails; but not before the Finished is there.
  const auto flight_with = [&](char last) {
    Restart();
    RawClient client(TlsVersions::kTls12Only);
    client.UseX25519();
    EXPECT_FALSE(client.TryHandshake(server_, [&](std::string& flight) {
      constexpr std::size_t kShareAt = 5 + 4 + 1;
      if (flight.size() > kShareAt + 32 && flight[5] == 16 && flight[9] == 32) {
        flight[kShareAt + 31] = static_cast<char>(flight[kShareAt + 31] ^ last);
      }
    }));
    return std::string(server_.engine->error());
  };
  EXPECT_EQ(flight_with('\x80'), flight_with('\x01'));
}

// RFC 8446 5.1, RFC 5246 6.2.1 (wolfssl-handshake-header.patch): a message may be cut anywhere.
TEST_F(Conformance, HandshakeHeaderCutOverRecords) {
  for (std::size_t size = 1; size <= 6; ++size) {
    SCOPED_TRACE(size);
    HandClient client;
    ExpectFullHandshake(client, client.Hello(), size);
  }
}

TEST_F(Conformance, HandshakeHeaderCutOverRecordsInTls12) {
  for (std::size_t size = 1; size <= 6; ++size) {
    SCOPED_TRACE(size);
    Restart();
    RawClient client(TlsVersions::kTls12Only);
    client.Handshake(server_, [&](std::string& flight) {
      std::string cut;
      std::size_t at = 0;
      while (at + 5 <= flight.size() && flight[at] == 22 &&
             (flight[at + 5] == 1 || flight[at + 5] == 16)) {
        const std::size_t length = Length(flight.substr(at + 3, 2));
        cut += Fragmented(flight.substr(at + 5, length), size, 0x0303);
        at += 5 + length;
      }
      cut += flight.substr(at);  // sealed
      flight = cut;
    });
    EXPECT_EQ(server_.engine->facts().version, "TLSv1.2");
  }
}

// No message spans a change of keys (RFC 8446 5.1), and an empty record is no part of one.
TEST_F(Conformance, HandshakeHeaderThatIsNeverWhole) {
  for (const std::string& octets :
       {Record(22, Number(20, 1), 0x0303), Record(22, Number(20, 1) + Number(12, 3), 0x0303)}) {
    Restart();
    RawClient client(TlsVersions::kTls12Only);
    EXPECT_FALSE(client.TryHandshake(server_, [&](std::string& flight) {
      if (const std::size_t change = flight.find(std::string("\x14\x03\x03\x00\x01\x01", 6));
          change != std::string::npos) {
        flight.insert(change, octets);
      }
    }));
    EXPECT_NE(server_.engine->error().find("unexpected_message"), std::string_view::npos)
        << server_.engine->error();
  }
  HandClient client;
  client.Sent(client.Hello().Message());
  ASSERT_EQ(client.ReadFlight(Answer(client.Hello().Records())), kFullFlight);
  server_.Receive(client.Seal(22, "\x14") + client.Seal(22, ""));
  EXPECT_EQ(server_.Handshake(), TlsOutcome::kFailed);
  // A part in clear, the rest sealed.
  for (std::size_t size = 1; size <= 4; ++size) {
    HandClient half;
    half.Sent(half.Hello().Message());
    ASSERT_EQ(half.ReadFlight(Answer(half.Hello().Records())), kFullFlight);
    const std::string message = half.FinishedMessage();
    server_.Receive(Record(22, message.substr(0, size), 0x0303) +
                    half.Seal(22, message.substr(size)));
    EXPECT_EQ(server_.Handshake(), TlsOutcome::kFailed) << size;
  }
}

}  // namespace
}  // namespace ringpost::test
