// SPDX-License-Identifier: GPL-3.0-or-later
//
// RFC 8446 4.2.10: early data that a client sends with the ticket of another server.
#include "early_data.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "hand_client.h"
#include "hello_builder.h"
#include "tls_fixture.h"

namespace ringpost::test {
namespace {

class EarlyDataTest : public testing::TestWithParam<TlsRecords> {
 protected:
  EarlyDataTest() : pool_(64, 16), server_(&pool_), contexts_(Contexts({Certificate("ecdsa")})) {}

  void Restart() {
    client_ = std::make_unique<HandClient>();
    server_.engine = TlsEngine::Server(contexts_.get(), GetParam());
    server_.cipher_in.Clear();
    server_.cipher_out.Clear();
  }
  static HelloBuilder Offering(HelloBuilder hello) {
    hello.Set(kEarlyData, "");
    return hello.Set(kPreSharedKey, Vector(2, Vector(2, std::string(208, 't')) + Number(0, 4)) +
                                        Vector(2, Vector(1, std::string(32, 'b'))));
  }
  // A record that is sealed with keys that the server does not have.
  static std::string Early(std::size_t content) {
    return Record(23, std::string(content, 'e'), 0x0303);
  }
  // A new connection after this hello, with `behind` behind it: the server has answered.
  void Begin(const HelloBuilder& hello, const std::string& behind = "") {
    Restart();
    server_.Receive(hello.Records() + behind);
    ASSERT_EQ(server_.Handshake(), TlsOutcome::kNeedInput) << server_.engine->error();
    client_->Sent(hello.Message());
    ASSERT_FALSE(client_->ReadFlight(Side::Drain(server_.cipher_out)).empty());
  }
  void Begin(const std::string& behind = "") { Begin(Offering(HandClient().Hello()), behind); }
  TlsOutcome Receive(const std::string& octets) {
    server_.Receive(octets);
    return server_.Handshake();
  }
  void ExpectDone(const std::string& octets) {
    EXPECT_EQ(Receive(octets), TlsOutcome::kDone) << server_.engine->error();
    EXPECT_FALSE(server_.engine->facts().resumed);
  }
  void ExpectBadMac(const std::string& octets) {
    EXPECT_EQ(Receive(octets), TlsOutcome::kFailed);
    EXPECT_NE(server_.engine->error().find("bad_record_mac"), std::string_view::npos)
        << server_.engine->error();
  }

  const std::string change_cipher_spec_ = Record(20, "\x01", 0x0303);
  BufferPool pool_;
  Side server_;
  std::shared_ptr<const TlsContextSet> contexts_;
  std::unique_ptr<HandClient> client_;
};

INSTANTIATE_TEST_SUITE_P(Layers, EarlyDataTest,
                         testing::Values(TlsRecords::kOwn, TlsRecords::kLibrary));

TEST_P(EarlyDataTest, SkippedUpToTheClientsHandshake) {
  Begin();
  ExpectDone(change_cipher_spec_ + Early(100) + Early(1000) + Early(17) + client_->Finished());
  // Behind the hello in one segment.
  Begin(change_cipher_spec_ + Early(5000));
  ExpectDone(Early(300) + client_->Finished());
  // Records of no use at all, and the shortest ones.
  Begin();
  ExpectDone(Early(0) + Early(1) + Early(16) + client_->Finished());
  // The client's messages in several records.
  Begin();
  ExpectDone(Early(2000) + client_->Finished(3));
  // change_cipher_spec anywhere.
  Begin();
  ExpectDone(change_cipher_spec_ + Early(50) + change_cipher_spec_ + change_cipher_spec_ +
             Early(50) + change_cipher_spec_ + client_->Finished());
  // Offered, and not sent.
  Begin();
  ExpectDone(change_cipher_spec_ + client_->Finished());
}

TEST_P(EarlyDataTest, SkippedOctetByOctet) {
  Begin();
  const std::string like_a_spec = Record(23, change_cipher_spec_ + change_cipher_spec_, 0x0303);
  const std::string octets =
      change_cipher_spec_ + Early(300) + like_a_spec + Early(20) + client_->Finished();
  for (const char octet : octets.substr(0, octets.size() - 1)) {
    ASSERT_EQ(Receive(std::string(1, octet)), TlsOutcome::kNeedInput) << server_.engine->error();
  }
  ExpectDone(octets.substr(octets.size() - 1));
}

TEST_P(EarlyDataTest, SkippedAfterHelloRetryRequest) {
  HelloBuilder first = Offering(HandClient().Hello().Set(kKeyShare, Vector(2, "")));
  const auto ask = [&](const std::string& behind = "") {
    Restart();
    server_.Receive(first.Records() + behind);
    ASSERT_EQ(server_.Handshake(), TlsOutcome::kNeedInput) << server_.engine->error();
    client_->Sent(first.Message());
    client_->Retry(Side::Drain(server_.cipher_out));
  };
  const auto second = [&] {
    HelloBuilder hello = Offering(client_->Hello());
    return hello.Remove(kEarlyData).Message();
  };
  const auto answered = [&](const std::string& octets) {
    EXPECT_EQ(Receive(octets), TlsOutcome::kNeedInput) << server_.engine->error();
    client_->Sent(second());
    EXPECT_FALSE(client_->ReadFlight(Side::Drain(server_.cipher_out)).empty());
  };
  ask();
  answered(change_cipher_spec_ + Early(500) + Early(16000) + Record(22, second(), 0x0303));
  ExpectDone(client_->Finished());
  // Behind the first hello in one segment, and the second one in pieces.
  ask(change_cipher_spec_ + Early(5000));
  answered(Early(1) + Fragmented(second(), 100, 0x0303));
  ExpectDone(client_->Finished());
  // Not behind the second hello.
  ask();
  answered(Early(500) + Record(22, second(), 0x0303));
  ExpectBadMac(Early(500));
  // The bound is the same.
  ask();
  EXPECT_EQ(Receive(Early(16000) + Early(EarlyData::kBytesMax - 16000 - 10)),
            TlsOutcome::kNeedInput);
  EXPECT_EQ(Receive(Early(1)), TlsOutcome::kFailed);
}

TEST_P(EarlyDataTest, UpToABound) {
  constexpr std::size_t kOfRecord = 1000;
  std::string most;
  while (most.size() + kOfRecord <= EarlyData::kBytesMax) {
    most += Early(kOfRecord - 5);
  }
  most += Early(EarlyData::kBytesMax - most.size() - 5);
  ASSERT_EQ(most.size(), EarlyData::kBytesMax);
  Begin();
  EXPECT_EQ(Receive(most), TlsOutcome::kNeedInput);
  ExpectBadMac(Early(0));
  // The client's own first record counts as well, and it must fit.
  Begin();
  const std::string finished = client_->Finished();
  ExpectDone(most.substr(0, most.size() / kOfRecord * kOfRecord - kOfRecord) + finished);
  // Enough for the early data that most servers allow, in records of any usual size.
  for (const std::size_t content : {1U << 14, 1U << 12, 1U << 10, 1U << 8}) {
    SCOPED_TRACE(content);
    std::string records;
    for (std::size_t i = 0; i < (1U << 14) / content; ++i) {
      records += Early(content + 17);
    }
    Begin();
    ExpectDone(records + client_->Finished());
  }
}

TEST_P(EarlyDataTest, InSoManyRecords) {
  std::string records;
  for (unsigned i = 1; i < EarlyData::kRecordsMax; ++i) {
    records += Early(17);
  }
  Begin();
  ExpectDone(records + client_->Finished());
  Begin();
  EXPECT_EQ(Receive(records + Early(17)), TlsOutcome::kNeedInput);
  ExpectBadMac(Early(17));
}

TEST_P(EarlyDataTest, OnlyWhereItWasOffered) {
  HelloBuilder without_ticket = HandClient().Hello();
  without_ticket.Set(kEarlyData, "");
  HelloBuilder without_early_data = Offering(HandClient().Hello());
  without_early_data.Remove(kEarlyData);
  for (const HelloBuilder& hello : {HandClient().Hello(), without_ticket, without_early_data}) {
    Begin(hello);
    ExpectBadMac(Early(100));
  }
}

TEST_P(EarlyDataTest, OnlyUpToTheFirstRecordThatOpens) {
  Begin();
  ExpectBadMac(Early(100) + client_->Finished(10).substr(0, 5 + 10 + 17) + Early(100));
}

TEST_P(EarlyDataTest, OnlyApplicationData) {
  for (const unsigned type : {21U, 22U, 24U, 255U}) {
    SCOPED_TRACE(type);
    Begin();
    EXPECT_EQ(Receive(Early(100) + Record(type, std::string(100, 'e'), 0x0303)),
              TlsOutcome::kFailed);
  }
}

TEST_P(EarlyDataTest, NotInTls12) {
  HelloBuilder hello = Offering(HelloBuilder::Tls12());
  hello.Set(kSupportedVersions, Vector(1, Number(0x0303, 2)));
  Restart();
  ASSERT_EQ(Receive(hello.Records()), TlsOutcome::kNeedInput);
  EXPECT_EQ(Receive(Early(100)), TlsOutcome::kFailed);
}

TEST_P(EarlyDataTest, OversizedRecordsAreNone) {
  Begin();
  server_.Receive(Number(23, 1) + Number(0x0303, 2) + Number((1 << 14) + 257, 2));
  EXPECT_EQ(server_.Handshake(), TlsOutcome::kFailed);
  EXPECT_NE(server_.engine->error().find("record_overflow"), std::string_view::npos)
      << server_.engine->error();
}

}  // namespace
}  // namespace ringpost::test
