// SPDX-License-Identifier: GPL-3.0-or-later
//
// Backend by itself on the simulated ring: a leg, a next hop of some addresses, and no session.
#include "ringpost/session/backend.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/sim_io.h"

namespace ringpost {
namespace {

using Kind = Backend::Answer::Kind;

constexpr int kTurnsMax = 1'000;
constexpr std::uint16_t kPort = 10'025;

Endpoint Ipv4(std::size_t index) {
  Endpoint endpoint;
  endpoint.text = std::to_string(index);
  endpoint.address = SimAddress("127.0.0.1", static_cast<std::uint16_t>(kPort + index));
  endpoint.length = sizeof endpoint.address.in;
  return endpoint;
}

Endpoint Ipv6(std::size_t index) {
  Endpoint endpoint;
  endpoint.text = std::to_string(index);
  endpoint.address.in6 = {};
  endpoint.address.in6.sin6_family = AF_INET6;
  endpoint.address.in6.sin6_port = htons(static_cast<std::uint16_t>(kPort + index));
  endpoint.address.in6.sin6_addr = in6addr_loopback;
  endpoint.length = sizeof endpoint.address.in6;
  return endpoint;
}

// Plays a session: hears the answers, moves the leg's octets. At its end nothing is in flight and
// no socket open.
class BackendTest : public testing::Test, private BackendHost {
 protected:
  ~BackendTest() override {
    over_ = true;
    backend_->Abandon();
    EXPECT_TRUE(Until([this] { return leg_->TryFinish(io_); }));
    peers_.clear();
    EXPECT_EQ(io_.in_flight(), 0u);
    EXPECT_EQ(io_.open_sockets(), 0u);
  }

  // All of them proven, unless told otherwise.
  void Make(std::vector<Endpoint> addresses, BackendIdentity identity = BackendIdentity::kNone,
            std::vector<std::size_t> unproven = {}) {
    upstream_.addresses = std::move(addresses);
    upstream_.identity = identity;
    health_.emplace(upstream_.addresses.size());
    for (std::size_t i = 0; i < upstream_.addresses.size(); ++i) {
      io_.SetBackend(upstream_.addresses[i].address, SimBackend::kAccept);
      if (std::find(unproven.begin(), unproven.end(), i) == unproven.end()) {
        (void)health_->Proven(i, io_.Now());
      }
    }
    io_.OnBackendAccept([this](SimPeer peer) { peers_.push_back(std::move(peer)); });
    next_hop_ = NextHop(&upstream_, &*health_);
    leg_.emplace(&pool_, 0);
    backend_.emplace(static_cast<BackendHost*>(this), &*leg_, &next_hop_);
  }

  Kind Hear(const Backend::Answer& answer) {
    last_ = answer.kind != Kind::kNothing ? answer : last_;
    if (answer.kind == Kind::kConnected) {
      const SocketAddress client = SimAddress("192.0.2.7", 50'000);
      const SocketAddress server = SimAddress("192.0.2.1", 25);
      EXPECT_EQ(backend_->Introduce({.client = &client.any, .server = &server.any}), Room::kOk);
    }
    return answer.kind;
  }

  void Turn() {
    std::array<Completion, 16> completions;
    const std::size_t count = io_.Wait(kNsPerMs, completions);
    for (std::size_t i = 0; i < count; ++i) {
      switch (static_cast<OperationKind>(completions[i].user_data)) {
        case OperationKind::kConnect:
          Hear(backend_->OnConnect(completions[i]));
          break;
        case OperationKind::kRecv:
          leg_->OnRecv(io_, pool_, completions[i], false);
          break;
        case OperationKind::kSend:
          leg_->OnSend(completions[i]);
          break;
      }
    }
    if (over_) {
      return;
    }
    if (leg_->state() != LegState::kOpen) {
      Hear(backend_->Advance());
    } else if (!backend_->greeted()) {
      Hear(backend_->LookForGreeting());
    }
    leg_->ArmSend(io_);
    leg_->ArmRecv(io_);
  }

  bool Until(const std::function<bool()>& done) {
    for (int turn = 0; turn < kTurnsMax && !done(); ++turn) {
      Turn();
    }
    return done();
  }
  bool Reaches(std::size_t index) {
    return Until([&] {
      return leg_->state() == LegState::kOpen && backend_->endpoint().text == std::to_string(index);
    });
  }
  // The address at hand says so.
  void Says(std::string_view words) {
    EXPECT_EQ(peers_.back().Write(words), words.size());
    EXPECT_TRUE(
        Until([&] { return leg_->state() != LegState::kOpen || leg_->input().Front() == words; }));
  }
  [[nodiscard]] int FamilyInHand() {
    SocketAddress address{};
    EXPECT_EQ(io_.LocalAddress(leg_->fd(), &address), 0);
    return address.any.sa_family;
  }

  BufferPool pool_{64, 16};
  SimIo io_{SimOptions{}, &pool_};
  UpstreamConfig upstream_;
  std::optional<UpstreamHealth> health_;
  NextHop next_hop_;
  std::optional<Leg> leg_;
  std::optional<Backend> backend_;
  std::vector<SimPeer> peers_;
  Backend::Answer last_;
  std::vector<std::string> told_;  // to the host
  bool over_ = false;

 private:
  // --- BackendHost
  [[nodiscard]] Io& io() override { return io_; }
  void HealthChanged() override {}
  void BackendFailed(const UpstreamConfig&, const Endpoint& endpoint, CloseReason reason,
                     int /*error*/, std::string_view words) override {
    told_.push_back(endpoint.text + " " + std::string(CloseReasonName(reason)) +
                    (words.empty() ? "" : " ") + std::string(words));
  }
  void BackendRecovered(const UpstreamConfig&, const Endpoint& endpoint) override {
    told_.push_back(endpoint.text + " recovered");
  }
  void TrustComplaint(const std::string& sentence) override { told_.push_back(sentence); }
  [[nodiscard]] std::int64_t WallClock() const override { return 0; }
};

using Told = std::vector<std::string>;

TEST_F(BackendTest, TriesAddressesInOrderUntilOneTakesTheConnection) {
  Make({Ipv4(0), Ipv4(1), Ipv4(2)});
  io_.SetBackend(Ipv4(0).address, SimBackend::kRefuse);
  io_.SetBackend(Ipv4(1).address, SimBackend::kRefuse);
  EXPECT_EQ(Hear(backend_->Start()), Kind::kConnecting);
  ASSERT_TRUE(Reaches(2));
  EXPECT_EQ(told_, (Told{"0 backend_connect", "1 backend_connect"}));
  EXPECT_TRUE(health_->down(0) && health_->down(1) && !health_->down(2));
  // What has been learnt holds for the next one, which begins anew otherwise.
  EXPECT_EQ(Hear(backend_->Start()), Kind::kNothing);  // the connection there is has to end first
  ASSERT_TRUE(Reaches(2));
  EXPECT_EQ(told_.size(), 2u);
}

TEST_F(BackendTest, FailsWhenAllWereTriedAndSaysWhyTheLastDid) {
  Make({Ipv4(0), Ipv4(1)});
  io_.SetBackend(Ipv4(0).address, SimBackend::kRefuse);
  io_.SetBackend(Ipv4(1).address, SimBackend::kRefuse);
  EXPECT_EQ(Hear(backend_->Start()), Kind::kConnecting);
  ASSERT_TRUE(Until([this] { return last_.kind == Kind::kFailed; }));
  EXPECT_EQ(last_.reason, CloseReason::kBackendConnect);
  EXPECT_STREQ(last_.detail, "Connection refused");
  EXPECT_EQ(told_, (Told{"0 backend_connect", "1 backend_connect"}));
}

TEST_F(BackendTest, AnAddressThatDoesNotAnswerHasItsTimeAndNoMore) {
  Make({Ipv4(0), Ipv4(1)});
  io_.SetBackend(Ipv4(0).address, SimBackend::kSilent);
  EXPECT_EQ(Hear(backend_->Start()), Kind::kConnecting);
  Turn();
  EXPECT_EQ(Hear(backend_->OnConnectOverdue()), Kind::kNothing);
  ASSERT_TRUE(Reaches(1));
  EXPECT_EQ(told_, (Told{"0 backend_connect"}));
}

// Who is silent, closes, or says what is no reply, up to the last one: that one's words are the
// relay's to judge.
TEST_F(BackendTest, GoesOnUntilOneGreets) {
  Make({Ipv4(0), Ipv4(1), Ipv4(2), Ipv4(3)}, BackendIdentity::kProxyV2);
  EXPECT_EQ(Hear(backend_->Start()), Kind::kConnecting);
  ASSERT_TRUE(Reaches(0));
  EXPECT_TRUE(backend_->MayTryAnother());
  Hear(backend_->OnGreetingOverdue());
  EXPECT_NE(leg_->state(), LegState::kOpen);
  ASSERT_TRUE(Reaches(1));
  peers_.back().Close();
  ASSERT_TRUE(Reaches(2));
  Says("SSH-2.0-x\r\n");
  ASSERT_TRUE(Reaches(3));
  EXPECT_FALSE(backend_->MayTryAnother());
  Says("HTTP/1.1 400 \r\n");
  EXPECT_EQ(leg_->state(), LegState::kOpen);
  EXPECT_EQ(Hear(backend_->OnGreetingOverdue()), Kind::kNothing);
  EXPECT_EQ(leg_->state(), LegState::kOpen);
  EXPECT_EQ(told_, (Told{"0 backend_timeout", "1 backend_identity", "2 backend_protocol"}));
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_FALSE(health_->down(i)) << "another client may be greeted";
  }
}

TEST_F(BackendTest, ARefusalIsTheClientsToHearAndNoGreetingIsTakenBack) {
  Make({Ipv4(0), Ipv4(1)});
  EXPECT_EQ(Hear(backend_->Start()), Kind::kConnecting);
  ASSERT_TRUE(Reaches(0));
  Says("554 not you\r\n");
  EXPECT_EQ(leg_->state(), LegState::kOpen);
  EXPECT_FALSE(backend_->greeted());
  backend_->OnGreeting("554 not you\r\n");
  EXPECT_TRUE(backend_->greeted());
  EXPECT_FALSE(backend_->MayTryAnother());
  EXPECT_EQ(backend_->Account(CloseReason::kBackendReset), CloseReason::kBackendReset);
  EXPECT_EQ(told_, Told{});
}

TEST_F(BackendTest, WhoWasDownAndGreetsIsNews) {
  Make({Ipv4(0)});
  (void)health_->Failed(0, io_.Now());
  EXPECT_EQ(Hear(backend_->Start()), Kind::kConnecting);
  ASSERT_TRUE(Reaches(0));
  Says("220 \r\n");
  backend_->OnGreeting("220 \r\n");
  EXPECT_EQ(told_, (Told{"0 recovered"}));
  EXPECT_FALSE(health_->down(0));
}

TEST_F(BackendTest, TellsWhoIsCallingBeforeAnythingElse) {
  Make({Ipv4(0)}, BackendIdentity::kProxyV1);
  EXPECT_EQ(Hear(backend_->Start()), Kind::kConnecting);
  ASSERT_TRUE(Reaches(0));
  ASSERT_TRUE(Until([this] { return !peers_.empty() && peers_.back().readable() > 0; }));
  EXPECT_EQ(peers_.back().Read(), "PROXY TCP4 192.0.2.7 192.0.2.1 50000 25\r\n");
}

TEST_F(BackendTest, WithoutAnIdentityItKeepsSilent) {
  Make({Ipv4(0)}, BackendIdentity::kXclient);
  EXPECT_EQ(Hear(backend_->Start()), Kind::kConnecting);
  ASSERT_TRUE(Reaches(0));
  EXPECT_EQ(leg_->output_octets(), 0u);
}

TEST_F(BackendTest, WaitsForAProof) {
  Make({Ipv4(0), Ipv4(1)}, BackendIdentity::kNone, {0, 1});
  EXPECT_EQ(Hear(backend_->Start()), Kind::kNeedsProof);
  EXPECT_TRUE(backend_->needs_proof());
  EXPECT_EQ(Hear(backend_->OnProof()), Kind::kNeedsProof);  // of another upstream
  (void)health_->Proven(1, io_.Now());
  EXPECT_EQ(Hear(backend_->OnProof()), Kind::kConnecting);
  EXPECT_FALSE(backend_->needs_proof());
  ASSERT_TRUE(Reaches(1));
}

TEST_F(BackendTest, SaysWhatTheProofsCameTo) {
  Make({Ipv4(0), Ipv4(1)}, BackendIdentity::kNone, {0, 1});
  EXPECT_EQ(Hear(backend_->Start()), Kind::kNeedsProof);
  (void)health_->Refuted(0, io_.Now());
  (void)health_->Refuted(1, io_.Now());
  EXPECT_EQ(Hear(backend_->OnProof()), Kind::kFailed);
  EXPECT_EQ(last_.reason, CloseReason::kBackendIdentity);
  EXPECT_STREQ(last_.detail, "the mail server does not take its identity");
}

TEST_F(BackendTest, TheDescriptorInHandIsTheOneThatConnects) {
  Make({Ipv4(0)});
  backend_->Adopt(io_.OpenSocket(AF_INET));
  io_.set_descriptors_max(1);
  EXPECT_EQ(Hear(backend_->Start()), Kind::kConnecting);
  EXPECT_EQ(io_.open_sockets(), 1u);
  // And so over STARTTLS: between two connections one is in hand, whoever else wants it.
  backend_->Retire();
  leg_->ShutDown(io_);
  ASSERT_TRUE(Until([this] { return leg_->state() == LegState::kIdle; }));
  EXPECT_EQ(io_.open_sockets(), 1u);
  EXPECT_EQ(Hear(backend_->Start()), Kind::kConnecting);
  EXPECT_EQ(io_.open_sockets(), 1u);
  io_.set_descriptors_max(100);
}

TEST_F(BackendTest, ADescriptorOfTheWrongFamilyIsExchanged) {
  Make({Ipv4(0), Ipv6(1)});
  backend_->Adopt(io_.OpenSocket(AF_INET));
  (void)health_->Failed(0, io_.Now());
  EXPECT_EQ(Hear(backend_->Start()), Kind::kConnecting);
  EXPECT_EQ(FamilyInHand(), AF_INET6);
  EXPECT_EQ(io_.open_sockets(), 1u);
}

TEST_F(BackendTest, WithoutADescriptorItWaitsForOne) {
  Make({Ipv4(0)});
  io_.set_descriptors_max(0);
  EXPECT_EQ(Hear(backend_->Start()), Kind::kNeedsDescriptor);
  EXPECT_EQ(last_.error, EMFILE);
  EXPECT_EQ(Hear(backend_->Advance()), Kind::kNeedsDescriptor);
  EXPECT_EQ(Hear(backend_->OnConnectOverdue()), Kind::kFailed);
  EXPECT_EQ(last_.reason, CloseReason::kOutOfResources);
  io_.set_descriptors_max(100);
  EXPECT_EQ(Hear(backend_->Advance()), Kind::kConnecting);
}

TEST_F(BackendTest, RetiresWithQuitAndConnectsAnew) {
  Make({Ipv4(0)});
  EXPECT_EQ(Hear(backend_->Start()), Kind::kConnecting);
  ASSERT_TRUE(Reaches(0));
  Says("220 \r\n");
  backend_->OnGreeting("220 \r\n");
  leg_->input().Clear();
  backend_->Retire();
  ASSERT_TRUE(Until([this] { return peers_[0].readable() > 0; }));
  EXPECT_EQ(peers_[0].Read(), "QUIT\r\n");
  EXPECT_EQ(leg_->state(), LegState::kRetiring);
  peers_[0].Close();
  ASSERT_TRUE(Until([this] { return leg_->state() == LegState::kIdle; }));
  EXPECT_EQ(Hear(backend_->Start()), Kind::kConnecting);
  EXPECT_FALSE(backend_->greeted());
  ASSERT_TRUE(Reaches(0));
  EXPECT_EQ(peers_.size(), 2u);
}

// What an end says of the address, and the reason that it really is.
TEST_F(BackendTest, AccountsForTheEnd) {
  Make({Ipv4(0)}, BackendIdentity::kProxyV2);
  EXPECT_EQ(Hear(backend_->Start()), Kind::kConnecting);
  ASSERT_TRUE(Reaches(0));
  EXPECT_EQ(backend_->Account(CloseReason::kClientEof), CloseReason::kClientEof);
  EXPECT_EQ(backend_->Account(CloseReason::kBackendReset), CloseReason::kBackendIdentity);
  backend_->Report(CloseReason::kClientEof, "");
  EXPECT_EQ(told_, Told{});
  EXPECT_EQ(health_->proof(0), UpstreamHealth::Proof::kProven);
  EXPECT_EQ(backend_->Account(CloseReason::kBackendIdentity), CloseReason::kBackendIdentity);
  EXPECT_EQ(health_->proof(0), UpstreamHealth::Proof::kPending);
  backend_->Report(CloseReason::kBackendIdentity, "250 what");
  EXPECT_EQ(told_, (Told{"0 backend_identity 250 what"}));
  backend_->Report(CloseReason::kBackendTimeout, "");  // its probe is under way
  EXPECT_EQ(told_.size(), 1u);
}

}  // namespace
}  // namespace ringpost
