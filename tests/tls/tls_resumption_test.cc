// SPDX-License-Identifier: GPL-3.0-or-later
//
// PROTOCOL 29 and 30: what a ticket is good for, and what it is not.
#include <gtest/gtest.h>
#include <sys/time.h>

#include <array>
#include <atomic>
#include <ctime>
#include <memory>
#include <span>
#include <string>
#include <thread>

#include "raw_client.h"
#include "ringpost/tls/ticket_keys.h"
#include "tls_fixture.h"

namespace ringpost::test {
namespace {

std::time_t seconds_ahead = 0;  // how far wolfSSL's clock is ahead of the machine's

}  // namespace
}  // namespace ringpost::test

extern "C" int gettimeofday(timeval* now, void* /*zone*/) noexcept {
  timespec machine{};
  clock_gettime(CLOCK_REALTIME, &machine);
  *now = {.tv_sec = machine.tv_sec + ringpost::test::seconds_ahead,
          .tv_usec = machine.tv_nsec / 1000};
  return 0;
}

namespace ringpost::test {
namespace {

constexpr std::int64_t kPeriod = TicketKeys::kPeriodSeconds;
constexpr std::int64_t kStart = kNow / kPeriod * kPeriod;

std::unique_ptr<TicketKeys> FromSecretAt(std::int64_t now) {
  std::string secret;
  for (std::size_t i = 0; i < TicketKeys::kSecretBytes; ++i) {
    secret += static_cast<char>(i);
  }
  auto keys = TicketKeys::FromSecret(secret, "f", now);
  EXPECT_TRUE(keys.ok());
  return std::move(*keys);
}

class Resumption : public testing::TestWithParam<TlsVersions> {
 protected:
  Resumption() : keys_(TicketKeys::Random(kStart)) {
    contexts_ = Contexts({Certificate("ecdsa"), Certificate("rsa")}, keys_.get());
    TlsClientOptions options;
    options.versions = GetParam();
    options.resumption = TlsResumption::kOn;
    client_context_ = ClientContext(options);
  }

  // A full or resumed handshake; the ticket it gave is kept.
  bool Resumed(const TlsContextSet* contexts, std::string_view sni, const TlsSession* session) {
    TlsPair pair;
    pair.Start(contexts, client_context_.get(), sni, session);
    const TlsPair::Outcomes outcomes = pair.Handshake();
    EXPECT_EQ(outcomes.server, TlsOutcome::kDone) << pair.server.engine->error();
    EXPECT_EQ(outcomes.client, TlsOutcome::kDone) << pair.client.engine->error();
    pair.ToClient();
    EXPECT_EQ(pair.client.Read(), TlsOutcome::kDone);
    EXPECT_EQ(pair.server.Write("220 x\r\n"), TlsOutcome::kDone);
    pair.ToClient();
    EXPECT_EQ(pair.client.Read(), TlsOutcome::kDone);
    EXPECT_EQ(Side::Drain(pair.client.plain_in), "220 x\r\n");
    EXPECT_EQ(pair.server.engine->facts().resumed, pair.client.engine->facts().resumed);
    session_ = pair.client.engine->TakeSession();
    return pair.server.engine->facts().resumed;
  }
  bool Full() { return !Resumed(contexts_.get(), "mx.example.test", nullptr); }

  std::unique_ptr<TicketKeys> keys_;
  std::shared_ptr<const TlsContextSet> contexts_;
  std::unique_ptr<TlsClientContext> client_context_;
  std::unique_ptr<TlsSession> session_;
};

INSTANTIATE_TEST_SUITE_P(Versions, Resumption,
                         testing::Values(TlsVersions::kTls12Only, TlsVersions::kTls13Only));

TEST_P(Resumption, SamePeriod) {
  ASSERT_TRUE(Full());
  ASSERT_NE(session_, nullptr);
  const std::unique_ptr<TlsSession> first = std::move(session_);
  EXPECT_TRUE(Resumed(contexts_.get(), "mx.example.test", first.get()));
}

// wolfSSL aborts the 256th handshake of a chain; that must never be the client's problem.
TEST_P(Resumption, EndlessChain) {
  constexpr int kHandshakes = 600;
  int resumed = 0;
  std::unique_ptr<TlsSession> last;
  for (int i = 0; i < kHandshakes; ++i) {
    SCOPED_TRACE(i);
    resumed += Resumed(contexts_.get(), "mx.example.test", last.get()) ? 1 : 0;
    ASSERT_NE(session_, nullptr);
    last = std::move(session_);
  }
  EXPECT_GE(resumed, kHandshakes - 5);
}

TEST_P(Resumption, OtherCaseAndDotOfTheSameName) {
  ASSERT_TRUE(Full());
  const std::unique_ptr<TlsSession> first = std::move(session_);
  EXPECT_TRUE(Resumed(contexts_.get(), "MX.example.test", first.get()));
}

TEST_P(Resumption, OnePeriodLaterButNotTwo) {
  ASSERT_TRUE(Full());
  const std::unique_ptr<TlsSession> first = std::move(session_);
  keys_->Advance(kStart + kPeriod - 1);
  EXPECT_TRUE(Resumed(contexts_.get(), "mx.example.test", first.get()));
  keys_->Advance(kStart + kPeriod);
  EXPECT_TRUE(Resumed(contexts_.get(), "mx.example.test", first.get()));
  keys_->Advance(kStart + 2 * kPeriod);
  EXPECT_FALSE(Resumed(contexts_.get(), "mx.example.test", first.get()));
}

TEST_P(Resumption, ClockJump) {
  ASSERT_TRUE(Full());
  const std::unique_ptr<TlsSession> first = std::move(session_);
  keys_->Advance(kStart + 5 * kPeriod);
  EXPECT_FALSE(Resumed(contexts_.get(), "mx.example.test", first.get()));
}

TEST_P(Resumption, NotAcrossRoutes) {
  ASSERT_TRUE(Full());
  const std::unique_ptr<TlsSession> first = std::move(session_);
  const auto other = Contexts({Certificate("ecdsa")}, keys_.get(), "submission");
  EXPECT_FALSE(Resumed(other.get(), "mx.example.test", first.get()));
  // The same route on another shard: another set, the same keys.
  const auto same = Contexts({Certificate("rsa")}, keys_.get());
  EXPECT_TRUE(Resumed(same.get(), "mx.example.test", first.get()));
}

TEST_P(Resumption, NotAcrossNames) {
  ASSERT_TRUE(Full());
  const std::unique_ptr<TlsSession> first = std::move(session_);
  EXPECT_FALSE(Resumed(contexts_.get(), "localhost", first.get()));
  EXPECT_FALSE(Resumed(contexts_.get(), "", first.get()));
}

TEST_P(Resumption, OtherKeys) {
  ASSERT_TRUE(Full());
  const std::unique_ptr<TlsSession> first = std::move(session_);
  const auto other_keys = TicketKeys::Random(kStart);
  const auto other = Contexts({Certificate("ecdsa")}, other_keys.get());
  EXPECT_FALSE(Resumed(other.get(), "mx.example.test", first.get()));
}

TEST_P(Resumption, MachinesWithTheSameSecret) {
  const auto one = FromSecretAt(kStart);
  // The other machine started a period ago.
  const auto two = FromSecretAt(kStart - 1);
  two->Advance(kStart + 5);
  const auto first_machine = Contexts({Certificate("ecdsa")}, one.get());
  const auto second_machine = Contexts({Certificate("ecdsa")}, two.get());
  ASSERT_FALSE(Resumed(first_machine.get(), "mx.example.test", nullptr));
  const std::unique_ptr<TlsSession> first = std::move(session_);
  EXPECT_TRUE(Resumed(second_machine.get(), "mx.example.test", first.get()));
  two->Advance(kStart + 2 * kPeriod);
  EXPECT_FALSE(Resumed(second_machine.get(), "mx.example.test", first.get()));
}

TEST_P(Resumption, NoKeysNoTickets) {
  const auto without = Contexts({Certificate("ecdsa")});
  EXPECT_FALSE(Resumed(without.get(), "mx.example.test", nullptr));
  const std::unique_ptr<TlsSession> none = std::move(session_);
  // Whatever the client keeps, it cannot be resumed.
  EXPECT_FALSE(Resumed(without.get(), "mx.example.test", none.get()));
}

// PROTOCOL 29: psk_ke has no forward secrecy; a client that offers nothing else gets a full
// handshake.
TEST(ResumptionModes, PskAloneIsNotTaken) {
  const auto keys = TicketKeys::Random(kStart);
  const auto contexts = Contexts({Certificate("ecdsa")}, keys.get());
  BufferPool pool(32, 16);
  Side server(&pool);
  server.engine = TlsEngine::Server(contexts.get());
  RawClient first(TlsVersions::kTls13Only);
  first.Handshake(server);
  EXPECT_EQ(server.Write("220 x\r\n"), TlsOutcome::kDone);
  (void)first.Open(Side::Drain(server.cipher_out));
  const TlsSession session(first.TakeSession());

  server.engine = TlsEngine::Server(contexts.get());
  RawClient second(TlsVersions::kTls13Only);
  second.Resume(session.get(), RawClient::PskMode::kWithDhe);
  second.Handshake(server);
  EXPECT_TRUE(second.resumed());
  EXPECT_TRUE(server.engine->facts().resumed);
  (void)second.Open(Side::Drain(server.cipher_out));

  server.engine = TlsEngine::Server(contexts.get());
  RawClient third(TlsVersions::kTls13Only);
  third.Resume(session.get(), RawClient::PskMode::kAlone);
  third.Handshake(server);
  EXPECT_FALSE(third.resumed());
  EXPECT_FALSE(server.engine->facts().resumed);
  EXPECT_EQ(server.Write("220 y\r\n"), TlsOutcome::kDone);
  EXPECT_EQ(third.Open(Side::Drain(server.cipher_out)), "220 y\r\n");
}

// A server need not give a ticket where one was used. What wolfSSL then has is the old ticket
// beside the new connection's secret: no pair.
TEST(ResumptionModes, NoTicketNoSession) {
  const auto keys = TicketKeys::Random(kStart);
  const auto contexts = Contexts({Certificate("ecdsa")}, keys.get());
  TlsClientOptions options;
  options.versions = TlsVersions::kTls13Only;
  options.resumption = TlsResumption::kOn;
  const auto client_context = ClientContext(options);
  std::unique_ptr<TlsSession> session;
  // The first connection reads its ticket, the others leave it unread.
  for (int i = 0; i < 3; ++i) {
    SCOPED_TRACE(i);
    TlsPair pair;
    pair.Start(contexts.get(), client_context.get(), "mx.example.test", session.get());
    const TlsPair::Outcomes outcomes = pair.Handshake();
    ASSERT_EQ(outcomes.server, TlsOutcome::kDone) << pair.server.engine->error();
    ASSERT_EQ(outcomes.client, TlsOutcome::kDone) << pair.client.engine->error();
    EXPECT_EQ(pair.client.engine->facts().resumed, i > 0);
    EXPECT_EQ(pair.client.engine->TakeSession(), nullptr);
    if (i == 0) {
      EXPECT_EQ(pair.server.Write("220 x\r\n"), TlsOutcome::kDone);
      pair.ToClient();
      EXPECT_EQ(pair.client.Read(), TlsOutcome::kDone);
      session = pair.client.engine->TakeSession();
      ASSERT_NE(session, nullptr);
    }
  }
}

// A ticket that has to wait for the first record of ours.
class WaitingTicket : public testing::Test {
 protected:
  WaitingTicket() : pool_(32, 16), server_(&pool_) {}

  void Connect(WOLFSSL_SESSION* session = nullptr) {
    server_.cipher_in.Clear();
    server_.plain_in.Clear();
    server_.engine = TlsEngine::Server(contexts_.get());
    client_ = std::make_unique<RawClient>(TlsVersions::kTls13Only);
    if (session != nullptr) {
      client_->Resume(session, RawClient::PskMode::kWithDhe);
    }
    client_->Handshake(server_);
    EXPECT_EQ(client_->resumed(), session != nullptr);
    EXPECT_TRUE(server_.cipher_out.empty());
  }
  // What the client makes of all that the server has sent since: how many records, and their text.
  std::string Receive(std::size_t records) {
    const std::string octets = Side::Drain(server_.cipher_out);
    std::size_t count = 0;
    for (std::size_t at = 0; at + 5 <= octets.size(); ++count) {
      at += 5U + (static_cast<unsigned char>(octets[at + 3]) << 8U |
                  static_cast<unsigned char>(octets[at + 4]));
    }
    EXPECT_EQ(count, records);
    return client_->Open(octets);
  }
  void ExpectTicket() {
    const TlsSession session(client_->TakeSession());
    Connect(session.get());
  }

  std::unique_ptr<TicketKeys> keys_ = TicketKeys::Random(kStart);
  std::shared_ptr<const TlsContextSet> contexts_ =
      Contexts({Certificate("ecdsa"), Certificate("rsa")}, keys_.get());
  BufferPool pool_;
  Side server_;
  std::unique_ptr<RawClient> client_;
};

TEST_F(WaitingTicket, ComesWithTheFirstReply) {
  Connect();
  EXPECT_EQ(server_.Write("250 x\r\n"), TlsOutcome::kDone);
  EXPECT_EQ(Receive(2), "250 x\r\n");
  EXPECT_EQ(server_.Write("250 y\r\n"), TlsOutcome::kDone);
  EXPECT_EQ(Receive(1), "250 y\r\n");
  ExpectTicket();  // of which the new connection is resumed: it has one as well
  EXPECT_EQ(server_.Write("250 z\r\n"), TlsOutcome::kDone);
  EXPECT_EQ(Receive(2), "250 z\r\n");
  ExpectTicket();
}

// Its number is the first one under our keys, whatever comes behind it.
TEST_F(WaitingTicket, ComesWithWhateverIsFirst) {
  Connect();
  EXPECT_EQ(server_.engine->Read(server_.cipher_in, server_.plain_in, 1, server_.cipher_out),
            TlsOutcome::kDone);
  server_.Receive(client_->Seal(22, std::string("\x18\0\0\x01\x01", 5)));
  EXPECT_EQ(server_.Read(), TlsOutcome::kDone);
  EXPECT_EQ(server_.Write("250 x\r\n"), TlsOutcome::kDone);
  EXPECT_EQ(Receive(3), "250 x\r\n");  // the ticket, KeyUpdate, the reply under the next keys
  ExpectTicket();

  Connect();
  server_.Receive(client_->Seal(21, std::string("\x01\0", 2)));
  EXPECT_EQ(server_.Read(), TlsOutcome::kPeerClosed);
  EXPECT_TRUE(server_.cipher_out.empty());
  server_.engine->CloseNotify(server_.cipher_out);
  EXPECT_EQ(Receive(2), "");
  EXPECT_EQ(client_->alert(), 0);

  Connect();
  server_.Receive(std::string("\x17\x03\x03\0\x20", 5) + std::string(32, 'x'));
  EXPECT_EQ(server_.Read(), TlsOutcome::kFailed);
  EXPECT_EQ(Receive(2), "");
  EXPECT_EQ(client_->alert(), 20);
}

// A client counts its age from the reply. RFC 8446 8.3 holds that against the server's count where
// there is 0-RTT, and nowhere else.
TEST_F(WaitingTicket, IsGoodHoweverLongItWaits) {
  Connect();
  seconds_ahead = 600;  // a mail server that is slow to greet
  EXPECT_EQ(server_.Write("220 x\r\n"), TlsOutcome::kDone);
  EXPECT_EQ(Receive(2), "220 x\r\n");
  ExpectTicket();
  seconds_ahead = 0;
}

TEST_F(WaitingTicket, IsNoneWhereThereAreNoTickets) {
  contexts_ = Contexts({Certificate("ecdsa")});
  Connect();
  EXPECT_EQ(server_.Write("250 x\r\n"), TlsOutcome::kDone);
  EXPECT_EQ(Receive(1), "250 x\r\n");
}

struct Sealed {
  std::string text;
  std::array<unsigned char, TicketKeys::kNameBytes> name{};
  std::array<unsigned char, TicketKeys::kNonceBytes> nonce{};
  std::array<unsigned char, TicketKeys::kTagBytes> tag{};

  static Sealed Make(const TicketKeys& keys, std::string text, std::string_view bound) {
    Sealed sealed;
    sealed.text = std::move(text);
    EXPECT_TRUE(keys.Seal(sealed.octets(), bound, sealed.name, sealed.nonce, sealed.tag));
    return sealed;
  }
  [[nodiscard]] std::string Open(const TicketKeys& keys, std::string_view bound) const {
    Sealed copy = *this;
    return keys.Open(copy.octets(), bound, copy.name, copy.nonce, copy.tag) ? copy.text : "refused";
  }

 private:
  std::span<unsigned char> octets() {
    return {reinterpret_cast<unsigned char*>(text.data()), text.size()};
  }
};

TEST(TicketKeysTest, SealAndOpen) {
  const auto keys = TicketKeys::Random(kStart);
  const Sealed sealed = Sealed::Make(*keys, "secret", "route");
  EXPECT_NE(sealed.text, "secret");
  EXPECT_EQ(sealed.Open(*keys, "route"), "secret");
  EXPECT_EQ(sealed.Open(*keys, "other"), "refused");
  for (std::size_t i = 0; i < 4; ++i) {
    Sealed forged = sealed;
    (i == 0   ? forged.name[0]
     : i == 1 ? forged.nonce[0]
     : i == 2 ? forged.tag[0]
              : reinterpret_cast<unsigned char&>(forged.text[0])) ^= 1;
    EXPECT_EQ(forged.Open(*keys, "route"), "refused") << i;
  }
  EXPECT_NE(Sealed::Make(*keys, "secret", "route").nonce, sealed.nonce);
}

TEST(TicketKeysTest, EachPeriodIssuesUnderItsOwnKey) {
  const auto keys = TicketKeys::Random(kStart);
  const auto first = Sealed::Make(*keys, "x", "").name;
  keys->Advance(kStart + kPeriod - 1);
  EXPECT_EQ(Sealed::Make(*keys, "x", "").name, first);
  keys->Advance(kStart + kPeriod);
  EXPECT_NE(Sealed::Make(*keys, "x", "").name, first);
  // Back in time: a new key as well, never an old one again.
  keys->Advance(kStart);
  EXPECT_NE(Sealed::Make(*keys, "x", "").name, first);
}

TEST(TicketKeysTest, ASuccessorOpensWhatItsPredecessorSealed) {
  const auto keys = TicketKeys::Random(kStart);
  const Sealed old = Sealed::Make(*keys, "old", "");
  keys->Advance(kStart + kPeriod);
  const Sealed sealed = Sealed::Make(*keys, "secret", "");
  std::array<unsigned char, TicketKeys::kStateBytes> state{};
  ASSERT_TRUE(keys->Export(state));
  const auto next = TicketKeys::FromState(state, kStart + kPeriod);
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(sealed.Open(*next, ""), "secret");
  EXPECT_EQ(old.Open(*next, ""), "old");
  EXPECT_EQ(Sealed::Make(*next, "new", "").Open(*keys, ""), "new");
  // A period later the keys of the first are gone, as they are in the predecessor.
  const auto later = TicketKeys::FromState(state, kStart + 2 * kPeriod);
  ASSERT_NE(later, nullptr);
  EXPECT_EQ(sealed.Open(*later, ""), "secret");
  EXPECT_EQ(old.Open(*later, ""), "refused");
  for (const std::int64_t now : {kStart + 3 * kPeriod, kStart}) {
    EXPECT_EQ(TicketKeys::FromState(state, now), nullptr);
  }
  EXPECT_FALSE(FromSecretAt(kStart)->Export(state));
}

TEST(TicketKeysTest, SecretsThatAreNone) {
  for (const std::string& secret :
       {std::string(), std::string(79, 'x'), std::string(81, 'x'), std::string(80, '\0')}) {
    const auto keys = TicketKeys::FromSecret(secret, "tickets.key", kStart);
    ASSERT_FALSE(keys.ok());
    EXPECT_NE(std::string(keys.status().message()).find("tickets.key"), std::string::npos);
  }
}

TEST(TicketKeysTest, ReadersNeverSeeAHalfWrittenKey) {
  // Derived keys, so that what is sealed under either of two periods can be checked against a copy
  // that nobody writes to.
  const std::array<std::int64_t, 2> times = {kStart, kStart + 10 * kPeriod};
  const std::array<std::unique_ptr<TicketKeys>, 2> still = {FromSecretAt(times[0]),
                                                            FromSecretAt(times[1])};
  const auto keys = FromSecretAt(times[0]);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::size_t i = 0; i < 40000; ++i) {
      keys->Advance(times[i % 2]);
    }
    stop = true;
  });
  int torn = 0;
  int sealed_count = 0;
  while (!stop || sealed_count == 0) {
    const Sealed sealed = Sealed::Make(*keys, "secret", "route");
    const bool whole =
        sealed.Open(*still[0], "route") == "secret" || sealed.Open(*still[1], "route") == "secret";
    torn += whole ? 0 : 1;
    ++sealed_count;
  }
  writer.join();
  EXPECT_EQ(torn, 0) << "of " << sealed_count;
}

}  // namespace
}  // namespace ringpost::test
