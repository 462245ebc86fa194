// SPDX-License-Identifier: GPL-3.0-or-later
//
// PROTOCOL 29 and 30: what a ticket is good for, and what it is not.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <thread>

#include "raw_client.h"
#include "ringpost/tls/ticket_keys.h"
#include "tls_fixture.h"

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

// PROTOCOL 29
TEST(ResumptionModes, PskAloneIsRefused) {
  const auto keys = TicketKeys::Random(kStart);
  const auto contexts = Contexts({Certificate("ecdsa")}, keys.get());
  BufferPool pool(32, 16);
  Side server(&pool);
  server.engine = TlsEngine::Server(contexts.get());
  RawClient first(TlsVersions::kTls13Only);
  first.Handshake(server);
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
  EXPECT_FALSE(third.TryHandshake(server));
  EXPECT_FALSE(server.engine->error().empty());
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
      pair.ToClient();
      EXPECT_EQ(pair.client.Read(), TlsOutcome::kDone);
      session = pair.client.engine->TakeSession();
      ASSERT_NE(session, nullptr);
    }
  }
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
