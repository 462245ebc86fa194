// SPDX-License-Identifier: GPL-3.0-or-later
//
// A running shard takes another configuration: new sessions begin with it, running ones keep
// theirs, listeners come and go, and nothing is lost or left over.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "session_world.h"

namespace ringpost {
namespace {

constexpr TimeNs kPatience = 20 * kNsPerSecond;

class ReloadTest : public testing::Test {
 protected:
  void Start(const WorldOptions& options) {
    world_ = std::make_unique<SessionWorld>(options);
    world_->OnSessionBackend([this](SimPeer peer) {
      peer.Write("220 back ready\r\n");
      backends_.push_back(peer);
    });
  }

  ClientEnd& Connect() {
    const auto port = static_cast<std::uint16_t>(50'000 + clients_.size());
    clients_.push_back(std::make_unique<ClientEnd>(world_->Connect(SimAddress("192.0.2.7", port))));
    return *clients_.back();
  }

  [[nodiscard]] bool Hears(ClientEnd& client, std::string_view text) {
    const bool heard =
        world_->Until([&] { return client.received().starts_with(text); }, kPatience);
    EXPECT_TRUE(heard) << client.received();
    client.received().clear();
    return heard;
  }

  // EHLO has been answered.
  void Greet(ClientEnd& client) {
    ASSERT_TRUE(Hears(client, "220 "));
    SimPeer& backend = backends_.back();
    client.Say("EHLO client\r\n");
    ASSERT_TRUE(world_->Until([&] { return backend.readable() > 0; }, kPatience));
    (void)backend.Read();
    backend.Write("250 back\r\n");
    ASSERT_TRUE(Hears(client, "250"));
  }

  // The backend is asked and says 250.
  void MailPasses(ClientEnd& client, std::string_view command) {
    client.Say(command);
    SimPeer& backend = backends_.front();  // the first client's
    ASSERT_TRUE(world_->Until([&] { return backend.readable() > 0; }, kPatience));
    EXPECT_EQ(backend.Read(), command);
    backend.Write("250 sender\r\n");
    EXPECT_TRUE(Hears(client, "250 sender\r\n"));
  }

  void TearDown() override {
    if (world_ == nullptr) {
      return;
    }
    for (const std::unique_ptr<ClientEnd>& client : clients_) {
      client->Reset();
    }
    world_->Finish();
    clients_.clear();
    backends_.clear();
    world_.reset();
  }

  std::unique_ptr<SessionWorld> world_;
  std::vector<std::unique_ptr<ClientEnd>> clients_;
  std::vector<SimPeer> backends_;
};

Partner WithDomain(const char* domain) {
  Partner partner;
  partner.name = domain;
  partner.sender_domains = {domain};
  return partner;
}

TEST_F(ReloadTest, MailIsJudgedByThePolicyInForce) {
  WorldOptions options;
  Start(options);
  ClientEnd& old = Connect();
  Greet(old);
  options.policy.tls = TlsPolicy::kEncrypt;
  world_->Reload(options);
  ClientEnd& young = Connect();
  Greet(young);
  for (ClientEnd* const client : {&young, &old}) {
    client->Say("MAIL FROM:<a@a>\r\n");
    EXPECT_TRUE(Hears(*client, "530 5.7.0 Must issue a STARTTLS command first\r\n"));
  }
  options.policy.tls = TlsPolicy::kMay;
  options.partners = {WithDomain("contoso.example")};
  world_->Reload(options);
  old.Say("MAIL FROM:<a@contoso.example>\r\n");
  EXPECT_TRUE(Hears(old, "530 5.7.0 Must issue a STARTTLS command first\r\n"));
  MailPasses(old, "MAIL FROM:<a@a>\r\n");
  options.partners.front().mode = PolicyMode::kReport;
  world_->Reload(options);
  MailPasses(old, "MAIL FROM:<a@contoso.example>\r\n");
  ASSERT_FALSE(world_->policy_faults().empty());
  EXPECT_EQ(world_->policy_faults().back(), "contoso.example no-tls reported");
  options.partners.clear();
  world_->Reload(options);
  MailPasses(old, "MAIL FROM:<a@contoso.example>\r\n");
}

// A transaction that has begun goes on, whatever is in force when it ends.
TEST_F(ReloadTest, ATransactionEndsAsItBegan) {
  WorldOptions options;
  options.partners = {WithDomain("contoso.example")};
  Start(options);
  ClientEnd& client = Connect();
  Greet(client);
  MailPasses(client, "MAIL FROM:<a@a>\r\n");
  options.policy.tls = TlsPolicy::kEncrypt;
  world_->Reload(options);
  client.Say("RCPT TO:<b@b>\r\n");
  ASSERT_TRUE(world_->Until([&] { return backends_.front().readable() > 0; }, kPatience));
  EXPECT_EQ(backends_.front().Read(), "RCPT TO:<b@b>\r\n");
}

TEST_F(ReloadTest, ASessionThatCannotBeJudgedAnyMoreEndsAtItsNextMail) {
  constexpr std::string_view kFarewell =
      "421 4.3.2 mx.example.test Error: policies have changed, please connect again\r\n";
  struct Case {
    const char* what;
    bool ends;
    void (*before)(WorldOptions&);
    void (*after)(WorldOptions&);
  };
  for (const Case& each : {
           Case{"a certificate that its handshake did not ask for", true, [](WorldOptions&) {},
                [](WorldOptions& options) { options.ask_certificate = true; }},
           Case{"a certificate that it was asked for already", false,
                [](WorldOptions& options) { options.ask_certificate = true; },
                [](WorldOptions&) {}},
           Case{"encryption, which is not offered to it", true,
                [](WorldOptions& options) { options.certificate = false; },
                [](WorldOptions& options) {
                  options.certificate = true;
                  options.policy.tls = TlsPolicy::kEncrypt;
                }},
           Case{"its route is gone, and had a policy", true,
                [](WorldOptions& options) { options.partners = {WithDomain("contoso.example")}; },
                [](WorldOptions& options) { options.route = "other"; }},
           Case{"its route is gone, and asked for nothing", false, [](WorldOptions&) {},
                [](WorldOptions& options) { options.route = "other"; }},
       }) {
    SCOPED_TRACE(each.what);
    WorldOptions options;
    each.before(options);
    Start(options);
    ClientEnd& client = Connect();
    Greet(client);
    each.after(options);
    world_->Reload(options);
    client.Say("NOOP\r\n");  // nothing but MAIL is judged
    ASSERT_TRUE(world_->Until([&] { return backends_.back().readable() > 0; }, kPatience));
    (void)backends_.back().Read();
    if (each.ends) {
      client.Say("MAIL FROM:<a@a>\r\n");
      world_->Pass(kNsPerMs);
      EXPECT_EQ(client.received(), "") << "the reply to NOOP comes first";
    }
    backends_.back().Write("250 noop\r\n");
    EXPECT_TRUE(Hears(client, "250 noop\r\n" + (each.ends ? std::string(kFarewell) : "")));
    if (each.ends) {
      client.Close();
      ASSERT_TRUE(world_->Until([&] { return !world_->ended().empty(); }, kPatience));
      EXPECT_EQ(world_->ended().back().reason, CloseReason::kPolicyChanged);
    } else {
      MailPasses(client, "MAIL FROM:<a@a>\r\n");
    }
    TearDown();
  }
}

TEST_F(ReloadTest, AListenerIsReplaced) {
  WorldOptions options;
  Start(options);
  ClientEnd& old = Connect();
  Greet(old);
  options.listen = "198.51.100.2";
  world_->Reload(options);
  ClientEnd& young = Connect();
  Greet(young);
  old.Say("NOOP\r\n");
  ASSERT_TRUE(world_->Until([&] { return backends_.front().readable() > 0; }, kPatience));
  // Back again: the slot of the closed one is used once more.
  options.listen = "198.51.100.1";
  world_->Reload(options);
  Greet(Connect());
}

TEST_F(ReloadTest, ManyTimesInARow) {
  WorldOptions options;
  options.backends = {SimBackend::kRefuse, SimBackend::kAccept};  // with a probe at work
  Start(options);
  ClientEnd& old = Connect();
  Greet(old);
  for (int i = 0; i < 50; ++i) {
    options.policy.tls = i % 2 == 0 ? TlsPolicy::kEncrypt : TlsPolicy::kMay;
    options.listen = i % 3 == 0 ? "198.51.100.1" : "198.51.100.2";
    world_->Reload(options);
    if (i % 5 == 0) {
      Greet(Connect());
    }
    if (i % 7 == 0) {
      world_->Pass(2 * kNsPerSecond);
    }
  }
  old.Say("NOOP\r\n");
  ASSERT_TRUE(world_->Until([&] { return backends_.front().readable() > 0; }, kPatience));
}

TEST_F(ReloadTest, WithoutEffectOnceADrainHasBegun) {
  WorldOptions options;
  Start(options);
  ClientEnd& client = Connect();
  Greet(client);
  client.Say("MAIL FROM:<a@a>\r\n");
  ASSERT_TRUE(world_->Until([&] { return backends_.front().readable() > 0; }, kPatience));
  backends_.front().Write("250 sender\r\n");
  ASSERT_TRUE(Hears(client, "250 sender"));
  world_->shard().Post(ShardCommand::kDrain);
  world_->Pass(kNsPerMs);
  options.listen = "198.51.100.2";
  world_->Reload(options);  // its listener is closed, which the world checks at its end
}

TEST_F(ReloadTest, ARouteHasItsOwnLimitWhateverTheConfiguration) {
  WorldOptions options;
  options.route_sessions_max = 1;
  Start(options);
  Greet(Connect());
  EXPECT_TRUE(Hears(Connect(), "421 4.3.2 mx.example.test Error: too many connections\r\n"));
  world_->Reload(options);  // the session of the old configuration still counts
  EXPECT_TRUE(Hears(Connect(), "421 4.3.2 mx.example.test Error: too many connections\r\n"));
  clients_.front()->Close();
  ASSERT_TRUE(world_->Until([&] { return !world_->ended().empty(); }, kPatience));
  Greet(Connect());
}

TEST_F(ReloadTest, WhatIsKnownOfTheUpstreamOutlivesAReload) {
  WorldOptions options;
  options.backends = {SimBackend::kRefuse, SimBackend::kAccept};
  Start(options);
  Greet(Connect());
  EXPECT_EQ(world_->backend_failures(), 1);
  world_->Reload(options);
  Greet(Connect());
  EXPECT_EQ(world_->backend_failures(), 1) << "the failed address was tried again by a session";
}

// An address that failed is passed over until a probe has seen its banner.
TEST_F(ReloadTest, AFailedAddressComesBackThroughItsProbe) {
  WorldOptions options;
  options.backends = {SimBackend::kRefuse, SimBackend::kAccept};
  Start(options);
  Greet(Connect());
  EXPECT_EQ(world_->backend_failures(), 1);
  Greet(Connect());
  EXPECT_EQ(world_->backend_failures(), 1) << "the failed address was tried again by a session";
  world_->io().SetBackend(SimAddress("127.0.0.1", 10'025), SimBackend::kAccept);
  ASSERT_TRUE(world_->Until([&] { return world_->backend_recoveries() == 1; }, 120 * kNsPerSecond));
  const std::size_t before = backends_.size();
  Greet(Connect());
  EXPECT_EQ(backends_.size(), before + 1);
  EXPECT_EQ(world_->backend_failures(), 1);
}

}  // namespace
}  // namespace ringpost
