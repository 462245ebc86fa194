// SPDX-License-Identifier: GPL-3.0-or-later
//
// A shard that accepts from a unix socket, which it shares with the others: one connection at a
// time, of clients that have no address but are a user.
#include <gtest/gtest.h>

#include <memory>
#include <string_view>
#include <vector>

#include "session_world.h"

namespace ringpost {
namespace {

constexpr TimeNs kPatience = 20 * kNsPerSecond;
constexpr std::string_view kGreeting = "220 mx.example.test ESMTP\r\n";

class UnixListenerTest : public testing::Test {
 protected:
  UnixListenerTest() {
    options_.listen = "unix:/run/out";
    options_.certificate = false;
    options_.egress.emplace();
    options_.policy.tls = TlsPolicy::kNone;
  }

  void Start() { world_ = std::make_unique<SessionWorld>(options_); }

  ClientEnd& Connect(uid_t user) {
    SocketAddress address{};
    address.unix_peer = {.family = AF_UNIX, .user = user};
    clients_.push_back(std::make_unique<ClientEnd>(world_->Connect(address)));
    return *clients_.back();
  }
  [[nodiscard]] bool Hears(ClientEnd& client, std::string_view text) {
    return world_->Until([&] { return client.received() == text; }, kPatience);
  }

  void TearDown() override {
    for (const std::unique_ptr<ClientEnd>& client : clients_) {
      client->Reset();
    }
    world_->Finish();
    clients_.clear();
    world_.reset();
  }

  WorldOptions options_;
  std::unique_ptr<SessionWorld> world_;
  std::vector<std::unique_ptr<ClientEnd>> clients_;
};

TEST_F(UnixListenerTest, TakesOneAfterTheOther) {
  Start();
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(Hears(Connect(1000), kGreeting)) << i;
  }
  for (int i = 0; i < 5; ++i) {  // at once
    (void)Connect(1000);
  }
  for (const std::unique_ptr<ClientEnd>& client : clients_) {
    EXPECT_TRUE(Hears(*client, kGreeting));
  }
}

// The limits for one client are for clients from outside; what is shared is shared by user.
TEST_F(UnixListenerTest, AUserIsOneClient) {
  options_.sessions_per_client_max = options_.handshakes_per_client_rate = 1;
  Start();
  for (const uid_t user : {0U, 1000U, 1000U, 1001U, 1000U}) {
    EXPECT_TRUE(Hears(Connect(user), kGreeting)) << user;
  }
  EXPECT_EQ(world_->shard().shares().client_count(), 3U);
  EXPECT_EQ(world_->client_limits().size(), 0U);
}

TEST_F(UnixListenerTest, StaysOverAReload) {
  Start();
  EXPECT_TRUE(Hears(Connect(0), kGreeting));
  world_->Reload(options_);
  EXPECT_TRUE(Hears(Connect(0), kGreeting));
}

// Also where somebody is accepted, and refused, while it is being closed. The simulation would miss
// the descriptor.
TEST_F(UnixListenerTest, IsClosedByAReload) {
  options_.sessions_max = 1;
  options_.io.faults.cancel_late = 10'000;
  Start();
  EXPECT_TRUE(Hears(Connect(0), kGreeting));
  WorldOptions elsewhere = options_;
  elsewhere.listen = "198.51.100.1";
  const int old = world_->listener();
  SimPeer late;
  world_->PostReload(elsewhere, [&] {
    SocketAddress address{};
    address.unix_peer = {.family = AF_UNIX, .user = 0};
    late = world_->io().ConnectFrom(old, address);
  });
  EXPECT_TRUE(world_->Until([&] { return late.connected() && late.readable() > 0; }, kPatience));
  EXPECT_EQ(late.Read(), "421 4.3.2 mx.example.test Error: too many connections\r\n");
  late.Close();
  EXPECT_EQ(world_->refused(), 1);
  EXPECT_FALSE(world_->io().ConnectFrom(old, SocketAddress{}).connected());
}

}  // namespace
}  // namespace ringpost
