// SPDX-License-Identifier: GPL-3.0-or-later
//
// A shard that is refused memory takes a new configuration later, as a whole and in order: until
// then it goes on with the one it has.
#include <gtest/gtest.h>

#include <memory>
#include <string_view>
#include <vector>

#include "session_world.h"
#include "sim_process.h"
#include "wire_watch.h"

namespace ringpost {
namespace {

constexpr TimeNs kPatience = 20 * kNsPerSecond;
constexpr sim_process::AllocationFaults kNoMemory = {.library = 0, .objects = 10'000};

class ReloadMemoryTest : public testing::Test {
 protected:
  ReloadMemoryTest() {
    sim_process::Restart(1);
    world_ = std::make_unique<SessionWorld>(options_);
    wire_ = std::make_unique<WireWatch>(&world_->io());
    wire_->set_arming(true);
    world_->io().set_wire(wire_.get());
    world_->OnSessionBackend([](SimPeer peer) { peer.Write("220 back ready\r\n"); });
    world_->Pass(kNsPerMs);
  }

  ~ReloadMemoryTest() override {
    for (const std::unique_ptr<ClientEnd>& client : clients_) {
      client->Reset();
    }
    world_->Finish();
    world_->io().set_wire(nullptr);
  }

  // Begins a reload whose memory is refused. `applied` is its own.
  void PostInVain(bool* applied, TimeNs duration = 3 * kNsPerSecond) {
    world_->PostReload(options_, [applied] { *applied = true; });
    sim_process::Restart(1, kNoMemory);
    world_->Pass(duration);
    EXPECT_FALSE(*applied);
    EXPECT_GT(sim_process::allocation_counts().objects_failed, failed_before_ + 2)
        << "one try only";
    failed_before_ = sim_process::allocation_counts().objects_failed;
    sim_process::Restart(1);
  }

  void ExpectGreeting(std::string_view greeting) {
    const auto port = static_cast<std::uint16_t>(50'000 + clients_.size());
    clients_.push_back(std::make_unique<ClientEnd>(world_->Connect(SimAddress("192.0.2.7", port))));
    ClientEnd& client = *clients_.back();
    EXPECT_TRUE(world_->Until([&] { return client.received().starts_with(greeting); }, kPatience))
        << client.received();
  }

  WorldOptions options_;
  std::unique_ptr<SessionWorld> world_;
  std::unique_ptr<WireWatch> wire_;
  std::uint64_t failed_before_ = sim_process::allocation_counts().objects_failed;
  std::vector<std::unique_ptr<ClientEnd>> clients_;
};

TEST_F(ReloadMemoryTest, ItIsTakenWhenThereIsMemory) {
  bool applied = false;
  options_.route_sessions_max = 1;
  options_.listen = "198.51.100.2";
  options_.backends = {SimBackend::kAccept, SimBackend::kAccept};  // with a prober
  PostInVain(&applied);
  EXPECT_TRUE(world_->Until([&] { return applied; }, kPatience));
  ExpectGreeting("220 ");
  ExpectGreeting("421 4.3.2 ");  // the limit is the new configuration's
}

// The second one counts with the listener that the first one brought; after an odd and an even
// number of tries in vain.
class ReloadOrderTest : public ReloadMemoryTest, public testing::WithParamInterface<TimeNs> {};

TEST_P(ReloadOrderTest, ThoseThatWaitAreTakenInOrder) {
  bool applied = false;
  bool second_applied = false;
  options_.listen = "198.51.100.2";
  PostInVain(&applied);
  options_.policy.tls = TlsPolicy::kEncrypt;
  PostInVain(&second_applied, GetParam());
  EXPECT_TRUE(world_->Until([&] { return second_applied; }, kPatience));
  EXPECT_TRUE(applied);
  ExpectGreeting("220 ");
}

INSTANTIATE_TEST_SUITE_P(Tries, ReloadOrderTest,
                         testing::Values(3 * kNsPerSecond, 4 * kNsPerSecond));

// Their sockets are closed, which the world checks at its end.
TEST_F(ReloadMemoryTest, ADrainEndsTheWaiting) {
  bool applied = false;
  options_.listen = "198.51.100.2";
  PostInVain(&applied);
  sim_process::Restart(1, kNoMemory);
  world_->shard().Post(ShardCommand::kDrain);
  world_->Pass(kNsPerMs);
  EXPECT_TRUE(applied);
  sim_process::Restart(1);
}

}  // namespace
}  // namespace ringpost
