// SPDX-License-Identifier: GPL-3.0-or-later
//
// Random sessions: several clients, a backend and a kernel that all draw what they do from one
// seed. The oracles:
// - the backend gets the client's octets, less what the relay may drop; a prefix if it was cut
// short;
// - each reply is the backend's to that very command, or a refusal of ours: no 2xx is made up;
// - nobody is left waiting: without hard faults every session ends by QUIT, within its time;
// - one CloseReason per session, nothing in flight, no socket open, the pool full at the end.
//
// A failure names its seed: SIM_SEED=n runs that one alone; SIM_SEEDS=n runs the first n.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "random_backend.h"
#include "random_client.h"
#include "script.h"
#include "session_world.h"

namespace ringpost {
namespace {

constexpr std::uint64_t kSeeds = 300;
constexpr std::uint16_t kFirstClientPort = 50'000;

// What a seed may meet. In kSoft nothing is lost, so that everything must succeed.
enum class Weather : std::uint8_t { kCalm, kSoft, kTight, kHard, kDrain, kStop };

struct Plan {
  Weather weather = Weather::kCalm;
  WorldOptions world;
  RandomBackendOptions backend;
  RandomClientOptions client;
  int clients = 1;
};

Plan DrawPlan(std::uint64_t seed) {
  SimRandom random(seed * 7'919);
  Plan plan;
  plan.weather = static_cast<Weather>(random.Below(6));
  plan.clients = 1 + static_cast<int>(random.Below(6));
  plan.world.identity = BackendIdentity::kProxyV2;
  plan.world.implicit_tls = random.Below(6) == 0;
  plan.client.implicit_tls = plan.world.implicit_tls;
  plan.client.starttls = !plan.world.implicit_tls && random.Below(3) == 0;
  plan.world.io.seed = seed;
  SimFaults& faults = plan.world.io.faults;
  if (plan.weather == Weather::kCalm) {
    return plan;
  }
  faults = {.short_recv = 2'000,
            .short_send = 2'000,
            .delay = 3'000,
            .delay_max = 30 * kNsPerMs,
            .no_buffers = 300,
            .cancel_late = 5'000,
            .shuffle = true};
  plan.client.deaf = 300;
  plan.world.io.socket_buffer = random.Below(2) == 0 ? 64 * 1024 : 2'000 + random.Below(8'000);
  if (plan.weather == Weather::kTight) {
    plan.clients = 8;
    plan.world.large_blocks = 48;
    plan.world.small_blocks = 24;
    plan.world.io.lent_blocks = 16;
    plan.world.io.socket_buffer = 4'000;
    plan.client.content_max = 200'000;
  }
  if (plan.weather == Weather::kHard) {
    faults.reset = static_cast<unsigned>(random.Below(200));
    faults.eof = static_cast<unsigned>(random.Below(200));
    faults.connect_refused = 500;
    faults.no_descriptors = 500;
    plan.client.vanish = static_cast<unsigned>(random.Below(400));
    plan.backend.vanish = static_cast<unsigned>(random.Below(200));
    plan.world.sessions_max = 4;
    plan.world.io.descriptors_max = 10;
  }
  return plan;
}

struct Totals {
  int completed = 0;
  int accepted = 0;
  int cut = 0;
  int refused_connects = 0;
  int pauses = 0;
};

class SimulatedRun {
 public:
  SimulatedRun(std::uint64_t seed, Totals* totals)
      : plan_(DrawPlan(seed)),
        totals_(totals),
        world_(std::make_unique<SessionWorld>(plan_.world)),
        backend_(std::make_unique<RandomBackend>(world_.get(), plan_.backend)) {}

  void Go() {
    SimRandom& random = world_->io().random();
    for (int i = 0; i < plan_.clients; ++i) {
      world_->io().After(static_cast<TimeNs>(random.Below(2'000)) * kNsPerMs, [this, i] {
        const auto port = static_cast<std::uint16_t>(kFirstClientPort + i);
        SimPeer peer = world_->Connect(SimAddress("192.0.2.7", port));
        if (peer.connected()) {
          clients_.push_back(std::make_unique<RandomClient>(
              world_.get(), peer, plan_.client, [this, port] { return backend_->LogsOf(port); }));
          ports_.push_back(port);
        }
      });
    }
    if (plan_.weather == Weather::kDrain || plan_.weather == Weather::kStop) {
      world_->io().After(static_cast<TimeNs>(random.Below(5'000)) * kNsPerMs, [this] {
        world_->shard().Post(plan_.weather == Weather::kDrain ? ShardCommand::kDrain
                                                              : ShardCommand::kStop);
      });
    }
    const bool ended = world_->Until([this] { return AllDone(); }, 280 * kNsPerSecond);
    EXPECT_TRUE(ended || world_->shard().finished() || plan_.weather == Weather::kHard)
        << "somebody waits for ever";
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      Judge(*clients_[i], ports_[i]);
    }
    JudgeAll();
    for (const std::unique_ptr<RandomClient>& client : clients_) {
      client->Abandon();
    }
    world_->Finish();
    backend_.reset();
    clients_.clear();
    world_.reset();
  }

 private:
  [[nodiscard]] bool lossless() const {
    return plan_.weather == Weather::kCalm || plan_.weather == Weather::kSoft ||
           plan_.weather == Weather::kTight;
  }

  [[nodiscard]] bool AllDone() const {
    if (clients_.size() < static_cast<std::size_t>(plan_.clients)) {
      return false;
    }
    for (const std::unique_ptr<RandomClient>& client : clients_) {
      if (!client->done()) {
        return false;
      }
    }
    return world_->shard().session_count() == 0;
  }

  [[nodiscard]] const EndedSession* EndedOf(std::uint16_t port) const {
    for (const EndedSession& ended : world_->ended()) {
      if (ended.client == "192.0.2.7:" + std::to_string(port)) {
        return &ended;
      }
    }
    return nullptr;
  }

  void Judge(RandomClient& client, std::uint16_t port) {
    std::string history;
    for (const std::string& line : client.history()) {
      history += "\n  " + line.substr(0, line.find("\r"));
    }
    const EndedSession* ended = EndedOf(port);
    SCOPED_TRACE(testing::Message()
                 << "client " << port << ", ended "
                 << (ended != nullptr ? CloseReasonName(ended->reason) : "not") << history);
    totals_->completed += client.completed() ? 1 : 0;
    totals_->accepted += client.messages_accepted();
    totals_->cut += client.cut() != SimCut::kNone ? 1 : 0;
    if (lossless()) {
      EXPECT_TRUE(client.completed());
      ASSERT_NE(ended, nullptr);
      EXPECT_EQ(CloseReasonName(ended->reason), "quit");
      EXPECT_EQ(static_cast<int>(ended->stats.messages_accepted), client.messages_accepted());
    }
    const std::vector<const BackendLog*> logs = backend_->LogsOf(port);
    EXPECT_LE(logs.size(), client.script().size());
    for (std::size_t i = 0; i < logs.size(); ++i) {
      std::vector<ScriptItem> items = client.script()[i];
      if (!items.empty() && items.back().what == Utterance::kStartTls) {
        // The connection before STARTTLS is given up with this; the handshake does not wait for it.
        items.push_back({.what = Utterance::kQuit,
                         .reaches = Reaches::kPerhaps,
                         .sent = "",
                         .expected = "QUIT\r\n"});
      }
      EXPECT_EQ(
          CompareWithScript(logs[i]->received, items, lossless() ? Whole::kYes : Whole::kMayBeCut),
          "")
          << "backend connection " << i;
    }
  }

  void JudgeAll() {
    int accepted = 0;
    for (const std::unique_ptr<RandomClient>& client : clients_) {
      accepted += client->messages_accepted();
    }
    // The backend may have stored what the client was not told of, never the other way round.
    EXPECT_LE(accepted, backend_->messages_stored());
    if (lossless()) {
      EXPECT_EQ(accepted, backend_->messages_stored());
      EXPECT_EQ(world_->backend_failures(), 0);
    }
    totals_->refused_connects += world_->refused();
    totals_->pauses += world_->accept_pauses();
  }

  Plan plan_;
  Totals* totals_;
  std::unique_ptr<SessionWorld> world_;
  std::unique_ptr<RandomBackend> backend_;
  std::vector<std::unique_ptr<RandomClient>> clients_;
  std::vector<std::uint16_t> ports_;
};

TEST(SessionSimTest, RandomSessions) {
  std::uint64_t first = 1;
  std::uint64_t last = kSeeds;
  if (const char* seeds = std::getenv("SIM_SEEDS")) {
    last = std::strtoull(seeds, nullptr, 10);
  }
  if (const char* seed = std::getenv("SIM_SEED")) {
    first = last = std::strtoull(seed, nullptr, 10);
  }
  Totals totals;
  for (std::uint64_t seed = first; seed <= last && !HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message()
                 << "replay with SIM_SEED=" << seed << " tests/session/session_sim_test (weather "
                 << static_cast<int>(DrawPlan(seed).weather) << ")");
    SimulatedRun(seed, &totals).Go();
  }
  // The seeds reach what they are for.
  if (last - first + 1 >= kSeeds) {
    EXPECT_GT(totals.completed, 200);
    EXPECT_GT(totals.accepted, 200);
    EXPECT_GT(totals.cut, 10);
    EXPECT_GT(totals.refused_connects, 3);
    EXPECT_GT(totals.pauses, 3);
  }
}

TEST(ScriptTest, TheOracleSeesEveryDifference) {
  const std::vector<ScriptItem> items = {
      {.what = Utterance::kMail, .reaches = Reaches::kAlways, .sent = "", .expected = "MAIL\r\n"},
      {.what = Utterance::kOther, .reaches = Reaches::kNever, .sent = "", .expected = "FOO\r\n"},
      {.what = Utterance::kRcpt, .reaches = Reaches::kPerhaps, .sent = "", .expected = "RCPT\r\n"},
      {.what = Utterance::kData, .reaches = Reaches::kAlways, .sent = "", .expected = "DATA\r\n"}};
  EXPECT_EQ(CompareWithScript("MAIL\r\nRCPT\r\nDATA\r\n", items, Whole::kYes), "");
  EXPECT_EQ(CompareWithScript("MAIL\r\nDATA\r\n", items, Whole::kYes), "");
  EXPECT_EQ(CompareWithScript("MAIL\r\nDA", items, Whole::kMayBeCut), "");
  EXPECT_EQ(CompareWithScript("", items, Whole::kMayBeCut), "");
  for (const char* wrong : {"MAIL\r\nFOO\r\nDATA\r\n", "MAIL\r\nDATA\r\n.", "RCPT\r\n", "MAIM"}) {
    EXPECT_NE(CompareWithScript(wrong, items, Whole::kMayBeCut), "") << wrong;
  }
  for (const char* cut : {"MAIL\r\nDA", "MAIL\r\n", ""}) {
    EXPECT_NE(CompareWithScript(cut, items, Whole::kYes), "") << cut;
  }
}

}  // namespace
}  // namespace ringpost
