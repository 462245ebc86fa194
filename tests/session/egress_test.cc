// SPDX-License-Identifier: GPL-3.0-or-later
//
// A session on which mail leaves, and a partner's servers that do not do their part. What needs a
// server's TLS is tests/e2e/cases/egress.py's.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "session_world.h"

namespace ringpost {
namespace {

constexpr TimeNs kPatience = 20 * kNsPerSecond;
constexpr std::string_view kOwnList =
    "250-mx.example.test\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
    "250 ENHANCEDSTATUSCODES\r\n";

class EgressTest : public testing::Test {
 protected:
  void Start(EgressTls tls, std::vector<SimBackend> servers = {SimBackend::kAccept},
             bool implicit_tls = false) {
    WorldOptions options;
    options.certificate = false;
    options.egress.emplace().policy.tls = tls;
    options.egress->implicit_tls = implicit_tls;
    options.egress->hard_bounce = hard_bounce_;
    options.policy.tls = TlsPolicy::kNone;
    options.backends = std::move(servers);
    options.sessions_per_client_max = 1;
    world_ = std::make_unique<SessionWorld>(options);
    world_->OnSessionBackend([this](SimPeer peer) {
      partners_.push_back(peer);
      on_partner_();
      if (!greeting_.empty()) {
        peer.Write(greeting_);
      }
    });
    client_ = std::make_unique<ClientEnd>(world_->Connect(SimAddress("192.0.2.7", 50'000)));
    EXPECT_TRUE(Hears("220 mx.example.test ESMTP\r\n"));
    client_->received().clear();
  }

  // The client ends its session, and begins another one.
  void Another() {
    client_->Say("QUIT\r\n");
    client_->Reset();
    EXPECT_TRUE(world_->Until([&] { return !world_->ended().empty(); }, kPatience));
    client_ = std::make_unique<ClientEnd>(world_->Connect(SimAddress("192.0.2.7", 50'001)));
    EXPECT_TRUE(Hears("220 mx.example.test ESMTP\r\n"));
    client_->received().clear();
  }
  bool Hears(std::string_view text, TimeNs limit = kPatience) {
    return world_->Until([&] { return client_->received().find(text) != std::string::npos; },
                         limit);
  }
  // What the client hears until it is `text`.
  void Exchange(std::string_view command, std::string_view reply, TimeNs limit = kPatience) {
    client_->Say(command);
    EXPECT_TRUE(Hears(reply, limit)) << client_->received();
    EXPECT_EQ(client_->received(), reply);
    client_->received().clear();
  }
  // What the server that was connected to last hears next.
  std::string PartnerHears() {
    EXPECT_TRUE(world_->Until([&] { return !partners_.empty() && partners_.back().readable() > 0; },
                              kPatience));
    return partners_.empty() ? "" : partners_.back().Read();
  }

  // Takes all blocks that are free, as other sessions might.
  void TakeBlocks() {
    while (const std::optional<BlockId> block = world_->pool().Take(BlockSize::kLarge)) {
      taken_.push_back(*block);
    }
  }
  void ReturnBlocks() {
    for (const BlockId block : std::exchange(taken_, {})) {
      world_->pool().Release(block);
    }
  }

  void TearDown() override {
    ReturnBlocks();
    client_->Reset();
    world_->Finish();
    client_.reset();
    second_.reset();
    partners_.clear();
    world_.reset();
  }

  std::unique_ptr<SessionWorld> world_;
  std::unique_ptr<ClientEnd> client_;
  std::unique_ptr<ClientEnd> second_;
  std::vector<SimPeer> partners_;
  std::string greeting_ = "220 partner\r\n";
  std::function<void()> on_partner_ = [] {};
  std::vector<BlockId> taken_;
  bool hard_bounce_ = false;
};

TEST_F(EgressTest, NobodyIsConnectedToBeforeTheHello) {
  Start(EgressTls::kMay);
  Exchange("NOOP\r\n", "250 2.0.0 Ok\r\n");
  world_->Pass(10 * kNsPerSecond);
  EXPECT_TRUE(partners_.empty());
  Exchange("QUIT\r\n", "221 2.0.0 mx.example.test Bye\r\n");
  ASSERT_TRUE(world_->Until([&] { return client_->ended(); }, kPatience));
  client_->Close();
  ASSERT_TRUE(world_->Until([&] { return !world_->ended().empty(); }, kPatience));
  EXPECT_EQ(world_->ended().back().reason, CloseReason::kQuit);
}

// All its connections come from one address.
TEST_F(EgressTest, OurOwnServerIsNoClientToBeLimited) {
  Start(EgressTls::kMay);
  second_ = std::make_unique<ClientEnd>(world_->Connect(SimAddress("192.0.2.7", 50'001)));
  EXPECT_TRUE(world_->Until([&] { return second_->received() == "220 mx.example.test ESMTP\r\n"; },
                            kPatience))
      << second_->received();
  second_->Reset();
}

TEST_F(EgressTest, InClearWhereNothingElseIsOffered) {
  Start(EgressTls::kMay);
  client_->Say("EHLO client\r\n");
  EXPECT_EQ(PartnerHears(), "EHLO client\r\n");
  partners_.back().Write("250-partner\r\n250 PIPELINING\r\n");
  EXPECT_TRUE(Hears("250-partner\r\n250 PIPELINING\r\n"));
  client_->received().clear();
  client_->Say("MAIL FROM:<a@a>\r\n");
  EXPECT_EQ(PartnerHears(), "MAIL FROM:<a@a>\r\n");
}

// So that a sender does not give back, or cut down, what the server would have taken.
TEST_F(EgressTest, WhatItOfferedAnotherTime) {
  Start(EgressTls::kMay);
  client_->Say("EHLO client\r\n");
  EXPECT_EQ(PartnerHears(), "EHLO client\r\n");
  partners_.back().Write(
      "250-partner\r\n250-SIZE 1000\r\n250-AUTH PLAIN\r\n250-XFOO\r\n250-DSN\r\n250 "
      "PIPELINING\r\n");
  const std::string_view offer = "250-partner\r\n250-SIZE 1000\r\n250-DSN\r\n250 PIPELINING\r\n";
  EXPECT_TRUE(Hears(offer)) << client_->received();
  greeting_ = "421 not now\r\n";
  Another();
  client_->Say("EHLO client\r\n");
  EXPECT_TRUE(Hears("250-mx.example.test\r\n250-SIZE 1000\r\n250-DSN\r\n250 PIPELINING\r\n"))
      << client_->received();
}

// What a server offers takes no more memory than an honest one needs.
TEST_F(EgressTest, AnOfferThatIsLong) {
  Start(EgressTls::kMay);
  client_->Say("EHLO client\r\n");
  EXPECT_EQ(PartnerHears(), "EHLO client\r\n");
  std::string reply = "250-partner\r\n";
  for (int i = 0; i < 20; ++i) {
    reply += "250-LIMITS " + std::string(490, 'x') + "\r\n";
  }
  partners_.back().Write(reply + "250 SIZE 1000\r\n");
  EXPECT_TRUE(Hears("250 SIZE 1000\r\n"));
  greeting_ = "421 not now\r\n";
  Another();
  client_->Say("EHLO client\r\n");
  EXPECT_TRUE(Hears("250 SIZE 1000\r\n"));
  EXPECT_LT(client_->received().size(), 1'100U);
}

TEST_F(EgressTest, AServerThatIsSilent) {
  greeting_.clear();
  Start(EgressTls::kMay);
  client_->Say("EHLO client\r\n");
  EXPECT_FALSE(Hears("250", 230 * kNsPerSecond));
  EXPECT_TRUE(Hears(kOwnList, 20 * kNsPerSecond));
  client_->received().clear();
  Exchange("MAIL FROM:<a@a>\r\n", "451 4.4.2 127.0.0.1:10025: did not answer in time\r\n");
}

// Nobody is waited for on behalf of a client that can say no more. One that has only finished
// sending has its reply all the same.
TEST_F(EgressTest, AClientThatHasGoneMeanwhile) {
  for (const SimBackend server : {SimBackend::kAccept, SimBackend::kSilent}) {
    for (const std::string_view hello : {"EHLO client\r\n", "HELO client\r\n"}) {
      greeting_.clear();
      Start(EgressTls::kMay, {server});
      client_->Say(hello);
      world_->Pass(kNsPerSecond);
      client_->CloseSend();
      EXPECT_TRUE(world_->Until([&] { return client_->ended(); }, kNsPerSecond));
      EXPECT_EQ(client_->received(),
                hello.starts_with("EHLO") ? kOwnList : "250 mx.example.test\r\n");
      client_->Close();
      ASSERT_TRUE(world_->Until([&] { return !world_->ended().empty(); }, kNsPerSecond));
      EXPECT_EQ(world_->ended().back().reason, CloseReason::kClientEof);
      world_->Finish();
      partners_.clear();
    }
  }
}

// It has said all there is to say, and is served.
TEST_F(EgressTest, AClientThatHasOnlyFinishedSending) {
  Start(EgressTls::kMay, {SimBackend::kSilent});
  client_->Say("EHLO client\r\nMAIL FROM:<a@a>\r\nQUIT\r\n");
  client_->CloseSend();
  EXPECT_TRUE(Hears("221 2.0.0 mx.example.test Bye\r\n", 240 * kNsPerSecond))
      << client_->received();
  EXPECT_EQ(client_->received(), std::string(kOwnList) +
                                     "451 4.4.1 127.0.0.1:10025: cannot be reached: Connection "
                                     "timed out\r\n221 2.0.0 mx.example.test Bye\r\n");
}

// All of them have a time together, and those that were not asked are not said to be silent.
TEST_F(EgressTest, ManyThatAreSilent) {
  greeting_.clear();
  Start(EgressTls::kMay, std::vector<SimBackend>(8, SimBackend::kAccept));
  client_->Say("EHLO client\r\n");
  EXPECT_FALSE(Hears("250", 235 * kNsPerSecond));
  EXPECT_TRUE(Hears(kOwnList, 10 * kNsPerSecond));
  client_->received().clear();
  EXPECT_EQ(partners_.size(), 4U);
  Exchange("MAIL FROM:<a@a>\r\n", "451 4.4.2 127.0.0.1:10028: did not answer in time\r\n");
}

TEST_F(EgressTest, TheNextOneAfterOneThatIsSilent) {
  greeting_.clear();
  Start(EgressTls::kMay, {SimBackend::kAccept, SimBackend::kAccept});
  client_->Say("EHLO client\r\n");
  EXPECT_TRUE(world_->Until([&] { return partners_.size() == 2; }, 70 * kNsPerSecond));
  partners_.back().Write("220 second\r\n");
  EXPECT_EQ(PartnerHears(), "EHLO client\r\n");
  partners_.back().Write("250 second\r\n");
  EXPECT_TRUE(Hears("250 second\r\n"));
}

TEST_F(EgressTest, NoneCanBeReached) {
  Start(EgressTls::kMay, {SimBackend::kRefuse, SimBackend::kRefuse});
  Exchange("EHLO client\r\n", kOwnList);
  Exchange("MAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\n",
           "451 4.4.1 127.0.0.1:10026: cannot be reached: Connection refused\r\n"
           "503 5.5.1 Error: need MAIL command\r\n");
}

// Each step of a server that does not do its part, and the reply to MAIL. Not an octet of the mail
// is said to it.
TEST_F(EgressTest, WithoutTlsNothingOfAMessage) {
  struct Row {
    std::string_view hello;     // to EHLO
    std::string_view starttls;  // to STARTTLS; empty: it is not said
    std::string_view reply;
  };
  constexpr std::string_view kOffer = "250-partner\r\n250 STARTTLS\r\n";
  const Row rows[] = {
      {"250 partner\r\n", "", "450 4.7.4 127.0.0.1:10025: does not offer STARTTLS"},
      {"502 no\r\n", "", "450 4.7.4 127.0.0.1:10025: does not offer STARTTLS: 502 no"},
      {"421 later\r\n", "", "451 4.3.2 127.0.0.1:10025: refuses EHLO: 421 later"},
      {kOffer, "454 later\r\n", "450 4.7.4 127.0.0.1:10025: refuses STARTTLS: 454 later"},
      {kOffer, "250 ok\r\n",
       "451 4.5.0 127.0.0.1:10025: says what is no reply to the command: 250 ok"},
      {kOffer, "220 go\r\n250 injected\r\n",
       "450 4.7.5 127.0.0.1:10025: said something behind its reply to STARTTLS: 250 injected"},
      {kOffer, "220 go\r\n",
       "450 4.7.5 127.0.0.1:10025: closed the connection during the TLS handshake"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.reply);
    Start(EgressTls::kEncrypt);
    client_->Say("EHLO client\r\n");
    EXPECT_EQ(PartnerHears(), "EHLO client\r\n");
    partners_.back().Write(row.hello);
    if (!row.starttls.empty()) {
      EXPECT_EQ(PartnerHears(), "STARTTLS\r\n");
      partners_.back().Write(row.starttls);
      world_->Pass(kNsPerSecond);
      partners_.back().Close();
    }
    EXPECT_TRUE(Hears(kOwnList)) << client_->received();
    client_->received().clear();
    Exchange("MAIL FROM:<a@a>\r\n", std::string(row.reply) + "\r\n");
    EXPECT_EQ(partners_.size(), 1U);
    TearDown();
    partners_.clear();
    if (&row != &rows[std::size(rows) - 1]) {
      continue;
    }
    Start(EgressTls::kEncrypt);  // for TearDown()
  }
}

// Where it is we who cannot go on, the server is not said to be silent, nor counted out.
TEST_F(EgressTest, BlocksThatAreMissing) {
  on_partner_ = [this] { TakeBlocks(); };
  Start(EgressTls::kMay);
  client_->Say("EHLO client\r\n");
  EXPECT_FALSE(Hears("250", 230 * kNsPerSecond));
  ASSERT_EQ(partners_.size(), 1U);
  EXPECT_EQ(partners_.back().Read(), "");
  world_->Pass(11 * kNsPerSecond);
  ReturnBlocks();
  EXPECT_TRUE(Hears(kOwnList, 20 * kNsPerSecond)) << client_->received();
  client_->received().clear();
  on_partner_ = [] {};
  Exchange("MAIL FROM:<a@a>\r\n",
           "451 4.3.1 127.0.0.1:10025: no memory was free in time to talk to it\r\n");
  client_->Say("EHLO client\r\n");
  EXPECT_EQ(PartnerHears(), "EHLO client\r\n");
}

// The first step of TLS asks for blocks before anything has come.
TEST_F(EgressTest, BlocksThatAreMissingWhereTlsBegins) {
  on_partner_ = [this] { TakeBlocks(); };
  greeting_.clear();
  Start(EgressTls::kEncrypt, {SimBackend::kAccept}, true);
  client_->Say("EHLO client\r\n");
  ASSERT_TRUE(world_->Until([&] { return !partners_.empty(); }, kPatience));
  world_->Pass(5 * kNsPerSecond);
  EXPECT_EQ(partners_.back().Read(), "");
  ReturnBlocks();
  EXPECT_TRUE(PartnerHears().starts_with("\x16\x03"));
}

TEST_F(EgressTest, DescriptorsThatAreMissing) {
  greeting_.clear();
  on_partner_ = [this] { world_->io().set_descriptors_max(0); };
  Start(EgressTls::kMay, {SimBackend::kAccept, SimBackend::kAccept});
  client_->Say("EHLO client\r\n");
  EXPECT_TRUE(Hears(kOwnList, 120 * kNsPerSecond));
  client_->received().clear();
  EXPECT_EQ(partners_.size(), 1U);
  world_->io().set_descriptors_max(1'000);
  Exchange("MAIL FROM:<a@a>\r\n",
           "451 4.3.1 127.0.0.1:10026: no descriptor is left for a connection to it\r\n");
}

// handshake_timeout is 30 s. It begins with the 220, not with the connection.
TEST_F(EgressTest, AHandshakeThatTakesLong) {
  greeting_.clear();
  Start(EgressTls::kEncrypt);
  client_->Say("EHLO client\r\n");
  world_->Pass(40 * kNsPerSecond);
  partners_.back().Write("220 partner\r\n");
  EXPECT_EQ(PartnerHears(), "EHLO client\r\n");
  partners_.back().Write("250-partner\r\n250 STARTTLS\r\n");
  EXPECT_EQ(PartnerHears(), "STARTTLS\r\n");
  partners_.back().Write("220 go\r\n");
  EXPECT_TRUE(PartnerHears().starts_with("\x16\x03"));
  EXPECT_FALSE(Hears("250", 29 * kNsPerSecond));
  EXPECT_TRUE(Hears(kOwnList, 2 * kNsPerSecond));
  client_->received().clear();
  Exchange("MAIL FROM:<a@a>\r\n", "450 4.7.5 127.0.0.1:10025: TLS handshake not done in time\r\n");
}

// What the sender's queue then says.
TEST_F(EgressTest, AServerThatIsSilentLater) {
  Start(EgressTls::kMay);
  client_->Say("EHLO client\r\n");
  EXPECT_EQ(PartnerHears(), "EHLO client\r\n");
  partners_.back().Write("250 partner\r\n");
  EXPECT_TRUE(Hears("250 partner\r\n"));
  client_->received().clear();
  Exchange("MAIL FROM:<a@a>\r\n", "451 4.4.2 127.0.0.1:10025: did not answer in time\r\n",
           310 * kNsPerSecond);
  EXPECT_TRUE(world_->Until([&] { return client_->ended(); }, kPatience));
}

// What a server says for good does; a handshake may fail for want of memory, on either side.
TEST_F(EgressTest, AFailedHandshakeGivesNoMessageBack) {
  hard_bounce_ = true;
  for (const bool offers : {true, false}) {
    Start(EgressTls::kEncrypt);
    client_->Say("EHLO client\r\n");
    EXPECT_EQ(PartnerHears(), "EHLO client\r\n");
    partners_.back().Write(offers ? "250-partner\r\n250 STARTTLS\r\n" : "250 partner\r\n");
    if (offers) {
      EXPECT_EQ(PartnerHears(), "STARTTLS\r\n");
      partners_.back().Write("220 go\r\n");
      EXPECT_NE(PartnerHears(), "");
      partners_.back().Write("no TLS at all\r\n");
    }
    EXPECT_TRUE(Hears(kOwnList)) << client_->received();
    client_->received().clear();
    client_->Say("MAIL FROM:<a@a>\r\n");
    EXPECT_TRUE(Hears(offers ? "450 4.7.5 127.0.0.1:10025: TLS handshake failed: "
                             : "550 5.7.4 127.0.0.1:10025: does not offer STARTTLS"))
        << client_->received();
    if (offers) {
      TearDown();
      partners_.clear();
    }
  }
}

TEST_F(EgressTest, TheClientGoesWhileTheServerIsOpened) {
  Start(EgressTls::kEncrypt);
  client_->Say("EHLO client\r\n");
  EXPECT_EQ(PartnerHears(), "EHLO client\r\n");
  client_->Reset();
  EXPECT_TRUE(world_->Until([&] { return !world_->ended().empty(); }, kPatience));
}

}  // namespace
}  // namespace ringpost
