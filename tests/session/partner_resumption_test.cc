// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a partner's server has proven in an earlier handshake, and for how long that stands.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../tls/tls_fixture.h"
#include "../x509/authority.h"
#include "ringpost/session/partner_sessions.h"
#include "session_world.h"

namespace ringpost::test {
namespace {

constexpr TimeNs kPatience = 20 * kNsPerSecond;
constexpr std::int64_t kValidSeconds = 90;

class PartnerResumption : public testing::Test {
 protected:
  PartnerResumption() {
    CertificateSpec spec;
    spec.not_after = kNow + kValidSeconds;
    spec.purposes = {std::string(kServerPurpose)};
    const Party leaf = Issue(spec, &root_);
    contexts_ = Contexts({{"server.pem", "server.key", leaf.pem(), Secret(leaf.key->pem())}},
                         ticket_keys_.get());
    WorldOptions options;
    options.certificate = false;
    ServerPolicy& policy = options.egress.emplace().policy;
    policy.tls = EgressTls::kTrusted;
    policy.trust = 0;
    options.trusts.emplace_back().ca_files.push_back({"ca.pem", root_.pem()});
    options.policy.tls = TlsPolicy::kNone;
    world_ = std::make_unique<SessionWorld>(options);
    world_->OnSessionBackend([this](SimPeer peer) {
      servers_.push_back(std::make_unique<ClientEnd>(std::move(peer)));
      ClientEnd* const server = servers_.back().get();
      server->OnChange([this, server] { Serve(server); });
      server->Say("220 partner\r\n");
    });
  }

  void Serve(ClientEnd* server) {
    std::string& said = server->received();
    if (server->tls_ready() && !std::exchange(heard_in_tls_, true)) {
      EXPECT_EQ(said, "EHLO client\r\n") << "it comes with the Finished message";
    }
    if (said.starts_with("EHLO client\r\n")) {
      said.clear();
      server->Say(server->tls() == nullptr ? "250-partner\r\n250 STARTTLS\r\n" : "250 partner\r\n");
    } else if (said == "STARTTLS\r\n") {
      said.clear();
      server->Say("220 go\r\n");
      server->AcceptTls(contexts_.get());
    } else if (said.starts_with("MAIL")) {
      said.clear();
      server->Say("250 ok\r\n");
    }
  }

  // The reply to MAIL.
  std::string Mail() {
    heard_in_tls_ = false;
    ClientEnd client(world_->Connect(SimAddress("192.0.2.7", ++port_)));
    const auto hears = [&](std::string_view text) {
      EXPECT_TRUE(world_->Until([&] { return client.received().find(text) != std::string::npos; },
                                kPatience))
          << client.received();
    };
    hears("ESMTP\r\n");
    client.Say("EHLO client\r\n");
    hears("250 ");
    client.received().clear();
    client.Say("MAIL FROM:<a@a.example>\r\n");
    hears("\r\n");
    const std::string reply = client.received();
    const TlsEngine* const tls = servers_.back()->tls();
    resumed_ = tls != nullptr && tls->facts().resumed;
    EXPECT_EQ(heard_in_tls_, reply.starts_with("250"));
    client.Reset();
    const std::size_t ended = world_->ended().size();
    EXPECT_TRUE(world_->Until([&] { return world_->ended().size() > ended; }, kPatience));
    return reply;
  }

  void TearDown() override {
    world_->Finish();
    servers_.clear();
    world_.reset();
  }

  const LibraryClock clock_;
  const Party root_ = Issue(CertificateSpec::Ca("Root"), nullptr);
  const std::unique_ptr<TicketKeys> ticket_keys_ = TicketKeys::Random(kNow);
  std::shared_ptr<const TlsContextSet> contexts_;
  std::unique_ptr<SessionWorld> world_;
  std::vector<std::unique_ptr<ClientEnd>> servers_;
  std::uint16_t port_ = 50'000;
  bool heard_in_tls_ = false;
  bool resumed_ = false;
};

TEST_F(PartnerResumption, TheSecondTime) {
  EXPECT_EQ(Mail(), "250 ok\r\n");
  EXPECT_FALSE(resumed_);
  EXPECT_EQ(Mail(), "250 ok\r\n");
  EXPECT_TRUE(resumed_);
}

// At 90 s.
TEST_F(PartnerResumption, UntilTheCertificateExpires) {
  EXPECT_EQ(Mail(), "250 ok\r\n");
  world_->Pass(75 * kNsPerSecond);
  EXPECT_EQ(Mail(), "250 ok\r\n");
  EXPECT_TRUE(resumed_);
  world_->Pass(20 * kNsPerSecond);
  EXPECT_EQ(Mail(), "450 4.7.5 127.0.0.1:10025: the certificate has expired\r\n");
  EXPECT_FALSE(resumed_) << "a server that has a new certificate must be able to show it";
}

Endpoint ServerAt(const std::string& host, const std::string& text) {
  Endpoint server;
  server.host = host;
  server.text = text;
  return server;
}

TEST(PartnerSessionsTest, OneForEachServer) {
  PartnerSessions sessions;
  sessions.Keep(ServerAt("a.example", "192.0.2.1:25"), {});
  EXPECT_NE(sessions.Find(ServerAt("a.example", "192.0.2.1:25")), nullptr);
  EXPECT_EQ(sessions.Find(ServerAt("a.example", "192.0.2.1:26")), nullptr);
  EXPECT_EQ(sessions.Find(ServerAt("a.example", "192.0.2.2:25")), nullptr);
  EXPECT_EQ(sessions.Find(ServerAt("b.example", "192.0.2.1:25")), nullptr);
  sessions.Keep(ServerAt("a.example", "192.0.2.1:25"), {});
  EXPECT_EQ(sessions.size(), 1U);
  sessions.Forget(ServerAt("a.example", "192.0.2.1:25"));
  EXPECT_EQ(sessions.size(), 0U);
}

TEST(PartnerSessionsTest, TheOneThatWasUsedLongestAgoGoes) {
  PartnerSessions sessions;
  const auto at = [](std::size_t i) { return ServerAt("mx.example", std::to_string(i)); };
  for (std::size_t i = 0; i < PartnerSessions::kServersMax; ++i) {
    sessions.Keep(at(i), {});
  }
  EXPECT_NE(sessions.Find(at(0)), nullptr);
  sessions.Keep(at(PartnerSessions::kServersMax), {});
  EXPECT_EQ(sessions.size(), PartnerSessions::kServersMax);
  EXPECT_NE(sessions.Find(at(0)), nullptr);
  EXPECT_EQ(sessions.Find(at(1)), nullptr);
  EXPECT_NE(sessions.Find(at(2)), nullptr);
}

}  // namespace
}  // namespace ringpost::test
