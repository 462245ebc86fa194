// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a shard does when something runs out: blocks, descriptors, sessions.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "session_world.h"

namespace ringpost {
namespace {

constexpr TimeNs kPatience = 20 * kNsPerSecond;

class ShardTest : public testing::Test {
 protected:
  void Start(const WorldOptions& options) {
    world_ = std::make_unique<SessionWorld>(options);
    world_->io().OnBackendAccept([this](SimPeer peer) {
      peer.Write("220 back ready\r\n");
      backends_.push_back(peer);
    });
  }

  ClientEnd& Connect() {
    const auto port = static_cast<std::uint16_t>(50'000 + clients_.size());
    clients_.push_back(std::make_unique<ClientEnd>(world_->Connect(SimAddress("192.0.2.7", port))));
    return *clients_.back();
  }

  [[nodiscard]] bool Hears(ClientEnd& client, std::string_view text, TimeNs limit = kPatience) {
    return world_->Until([&] { return client.received().starts_with(text); }, limit);
  }

  void TearDown() override {
    for (const std::unique_ptr<ClientEnd>& client : clients_) {
      client->Reset();
    }
    if (world_ != nullptr) {
      world_->Finish();
    }
    clients_.clear();
    backends_.clear();
    world_.reset();
  }

  std::unique_ptr<SessionWorld> world_;
  std::vector<std::unique_ptr<ClientEnd>> clients_;
  std::vector<SimPeer> backends_;
};

// A receive that finds no block is tried again as soon as there are some: also where the ring,
// which borrows all but its reserve, leaves hardly any block free.
TEST_F(ShardTest, AStarvedSessionIsWokenWhateverTheRingBorrows) {
  for (const std::size_t large_blocks : {std::size_t{40}, std::size_t{256}, std::size_t{290}}) {
    WorldOptions options;
    options.large_blocks = large_blocks;
    options.io.faults.no_buffers = 5'000;
    Start(options);
    ClientEnd& client = Connect();
    EXPECT_TRUE(Hears(client, "220 back ready\r\n")) << large_blocks << " blocks";
    TearDown();
  }
}

TEST_F(ShardTest, ASessionTooManyIsToldSo) {
  WorldOptions options;
  options.sessions_max = 1;
  Start(options);
  ClientEnd& first = Connect();
  ASSERT_TRUE(Hears(first, "220 "));
  ClientEnd& second = Connect();
  EXPECT_TRUE(Hears(second, "421 4.3.2 mx.example.test Error: too many connections\r\n"));
  EXPECT_TRUE(world_->Until([&] { return second.ended(); }, kPatience));
  EXPECT_EQ(world_->refused(), 1);
  // There is room again when the first is gone.
  first.Close();
  ASSERT_TRUE(world_->Until([&] { return !world_->ended().empty(); }, kPatience));
  world_->Pass(kNsPerSecond);
  EXPECT_TRUE(Hears(Connect(), "220 "));
}

TEST_F(ShardTest, WithoutDescriptorsAcceptingPausesAndGoesOn) {
  Start(WorldOptions());
  ClientEnd& first = Connect();
  ASSERT_TRUE(Hears(first, "220 "));
  world_->io().set_descriptors_max(world_->io().open_sockets());
  ClientEnd& second = Connect();
  world_->Pass(2 * kNsPerSecond);
  EXPECT_EQ(second.received(), "");
  // It pauses: as often as it may try in this time, and no more.
  EXPECT_GE(world_->accept_pauses(), 1);
  EXPECT_LE(world_->accept_pauses(), 11);
  world_->io().set_descriptors_max(100);
  EXPECT_TRUE(Hears(second, "220 "));
}

TEST_F(ShardTest, WithoutADescriptorForTheBackendTheClientIsTold) {
  Start(WorldOptions());
  ClientEnd& first = Connect();
  ASSERT_TRUE(Hears(first, "220 "));
  world_->io().set_descriptors_max(world_->io().open_sockets() + 1);
  ClientEnd& second = Connect();
  EXPECT_TRUE(Hears(second, "421 4.3.2 mx.example.test Error: out of resources"));
  EXPECT_TRUE(world_->Until([&] { return second.ended(); }, kPatience));
}

// Many clients that pipeline and do not read, and a backend that talks: the blocks they hold are
// bounded, and a client that behaves is served.
TEST_F(ShardTest, ThoseWhoDoNotReadHoldBoundedMemory) {
  WorldOptions options;
  options.io.socket_buffer = 8'192;
  Start(options);
  constexpr int kDeaf = 20;
  for (int i = 0; i < kDeaf; ++i) {
    ClientEnd& client = Connect();
    ASSERT_TRUE(Hears(client, "220 "));
    client.set_reading(false);
    std::string noops;
    for (int n = 0; n < 20'000; ++n) {
      noops += "FROBNICAT \r\n";  // refused by us: replies pile up without the backend
    }
    client.Say(noops);
  }
  world_->Pass(5 * kNsPerSecond);
  const std::size_t held = world_->pool().total_count(BlockSize::kLarge) -
                           world_->pool().free_count(BlockSize::kLarge) - options.io.lent_blocks;
  EXPECT_LE(held, static_cast<std::size_t>(kDeaf) * 8);
  EXPECT_TRUE(Hears(Connect(), "220 "));
}

// An idle session keeps no large block, whatever it has half said.
TEST_F(ShardTest, AnIdleSessionHoldsNoLargeBlock) {
  Start(WorldOptions());
  std::vector<ClientEnd*> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(&Connect());
    ASSERT_TRUE(Hears(*clients.back(), "220 "));
    clients.back()->Say("EHLO half.a.li");
  }
  world_->Pass(kNsPerSecond);
  EXPECT_EQ(world_->pool().free_count(BlockSize::kLarge) + 256,
            world_->pool().total_count(BlockSize::kLarge));
  EXPECT_EQ(world_->pool().free_count(BlockSize::kSmall) + 20,
            world_->pool().total_count(BlockSize::kSmall));
}

TEST_F(ShardTest, ADrainRefusesNewClientsAndAStopEndsItAll) {
  Start(WorldOptions());
  ClientEnd& first = Connect();
  ASSERT_TRUE(Hears(first, "220 "));
  first.Say("EHLO x\r\nMAIL FROM:<a@b>\r\n");
  world_->Pass(kNsPerSecond);
  world_->shard().Post(ShardCommand::kDrain);
  world_->Pass(kNsPerSecond);
  EXPECT_FALSE(world_->Connect(SimAddress("192.0.2.8", 1)).connected());
  EXPECT_FALSE(world_->shard().finished());
  world_->shard().Post(ShardCommand::kStop);
  EXPECT_TRUE(world_->Until([&] { return world_->shard().finished(); }, kPatience));
  ASSERT_EQ(world_->ended().size(), 1u);
  EXPECT_EQ(CloseReasonName(world_->ended()[0].reason), "stop");
}

TEST_F(ShardTest, AnIdleShardWithoutSessionsEndsAtOnceWhenDrained) {
  Start(WorldOptions());
  world_->shard().Post(ShardCommand::kDrain);
  EXPECT_TRUE(world_->Until([&] { return world_->shard().finished(); }, kNsPerSecond));
}

}  // namespace
}  // namespace ringpost
