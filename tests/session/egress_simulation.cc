// SPDX-License-Identifier: GPL-3.0-or-later
#include "egress_simulation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "plan.h"
#include "random_sender.h"
#include "wire_watch.h"

namespace ringpost {
namespace {

constexpr std::uint64_t kEvery = 4;  // seed
constexpr std::uint16_t kFirstSenderPort = 50'000;
// More than all time-outs in a row.
constexpr TimeNs kPatience = 4 * 3'600 * kNsPerSecond;
// What wolfSSL may hold for a session: a handshake as its client, with both key shares, and the
// certificates of the server.
constexpr std::size_t kLibraryOctetsMax = 64 * 1024;

struct EgressPlan {
  Plan common;  // the weather, and what happens when
  PartnerOptions partner;
  SenderOptions sender;

  [[nodiscard]] bool lossless() const {
    return common.weather <= Weather::kTight && !common.drain && !common.stop &&
           !common.new_listener;
  }
  [[nodiscard]] bool forced() const {
    return partner.mode == PolicyMode::kEnforce && !partner.policy.takes_clear();
  }
};

std::string_view LevelName(EgressTls level) {
  constexpr std::array<std::string_view, 7> kNames = {"none",   "may",    "encrypt",    "trusted",
                                                      "verify", "secure", "fingerprint"};
  return kNames[static_cast<std::size_t>(level)];
}

EgressPlan DrawEgressPlan(std::uint64_t seed) {
  EgressPlan plan;
  plan.common = DrawPlan(seed);
  SimRandom random(seed * 104'729);
  WorldOptions& world = plan.common.world;
  PartnerOptions& partner = plan.partner;
  world.certificate = false;
  world.implicit_tls = false;
  world.identity = BackendIdentity::kNone;
  world.policy = {};
  world.policy.tls = TlsPolicy::kNone;
  world.sessions_per_client_max = world.handshakes_per_client_rate = 0;
  world.backends.assign(1 + random.Below(3), SimBackend::kAccept);
  world.partner_host = std::string(kPartnerHost);
  world.listen = seed % 3 == 0 ? "unix:/run/out" : world.listen;
  partner.policy.tls = static_cast<EgressTls>(random.Below(7));
  if (partner.policy.tls >= EgressTls::kTrusted && partner.policy.tls <= EgressTls::kSecure) {
    partner.policy.trust = 0;
    world.trusts.emplace_back().ca_files.push_back(
        {.path = "partner-ca.pem", .text = PartnerCaPem()});
  }
  partner.policy.names = {random.Below(2) == 0 ? std::string(kPartnerHost) : ".partner.example"};
  partner.policy.fingerprints = {PartnerFingerprint()};
  partner.mode = random.Below(5) == 0 ? PolicyMode::kReport : PolicyMode::kEnforce;
  partner.implicit_tls = partner.policy.tls != EgressTls::kNone && random.Below(6) == 0;
  partner.tickets = random.Below(2) == 0;
  partner.ehlo_name = random.Below(4) == 0 ? "out.example" : "";
  constexpr std::array<unsigned, 4> kFaults = {0, 1'000, 5'000, 9'500};
  partner.fault = kFaults[random.Below(kFaults.size())];
  partner.vanish = plan.common.backend.vanish + (random.Below(4) == 0 ? 300 : 0);
  plan.sender.hard_bounce = random.Below(3) == 0;
  plan.sender.vanish = plan.common.client.vanish + (random.Below(4) == 0 ? 200 : 0);
  plan.sender.content_max = plan.common.client.content_max;
  EgressConfig& egress = world.egress.emplace();
  egress.policy = partner.policy;
  egress.implicit_tls = partner.implicit_tls;
  egress.ehlo_name = partner.ehlo_name;
  egress.hard_bounce = plan.sender.hard_bounce;
  world.policy.mode = partner.mode;
  return plan;
}

class EgressRun {
 public:
  EgressRun(const EgressPlan& plan, SimulationTotals* totals)
      : plan_(plan),
        totals_(totals),
        world_(std::make_unique<SessionWorld>(plan_.common.world)),
        wire_(&io()),
        partner_(std::make_unique<PartnerServer>(world_.get(), plan_.partner, &ledger_)) {
    wire_.set_implicit_tls(plan_.partner.implicit_tls);
    wire_.set_outbound(
        plan_.forced() ? WireWatch::Outbound::kForced : WireWatch::Outbound::kTakesClear,
        plan_.partner.ehlo_name.empty() ? "mta.example" : plan_.partner.ehlo_name);
    wire_.set_arming(true);
    io().set_wire(&wire_);
    sim_process::UseClock(&io());
    world_->OnTurn([this] { JudgeTurn(); });
  }

  void set_printer(const std::function<void(std::string_view)>& print, std::string_view plan) {
    io().trace().set_printer([this, print](std::string_view line) {
      std::array<char, 32> time;
      std::snprintf(time.data(), time.size(), "%12.6f s  ",
                    static_cast<double>(io().elapsed()) / static_cast<double>(kNsPerSecond));
      print(std::string(time.data()) + std::string(line));
    });
    io().trace().Print("plan: " + std::string(plan));
  }

  std::uint64_t Go() {
    Schedule();
    const bool ended = world_->Until([this] { return AllDone(); }, kPatience);
    EXPECT_TRUE(ended || world_->shard().finished())
        << "somebody waits for ever; sessions: " << world_->shard().session_count();
    for (const std::unique_ptr<RandomSender>& sender : senders_) {
      Judge(*sender);
    }
    for (const std::unique_ptr<RandomSender>& sender : senders_) {
      sender->Abandon();
    }
    io().set_faults({});
    world_->Finish();
    EXPECT_FALSE(reload_owed_) << "the new configuration was lost";
    Collect();
    world_->OnTurn(nullptr);
    const std::uint64_t trace = io().trace().hash();
    partner_.reset();
    senders_.clear();
    io().set_wire(nullptr);
    sim_process::UseClock(nullptr);
    world_.reset();
    EXPECT_EQ(sim_process::library_octets(), 0u) << "wolfSSL's memory has leaked";
    return trace;
  }

 private:
  [[nodiscard]] SimIo& io() { return world_->io(); }
  [[nodiscard]] TimeNs DrawMs(std::uint64_t most) {
    return static_cast<TimeNs>(io().random().Below(most)) * kNsPerMs;
  }

  void Schedule() {
    const Plan& plan = plan_.common;
    for (int i = 0; i < plan.clients; ++i) {
      io().After(DrawMs(2'000), [this, i] { Connect(i); });
    }
    if (plan.drain || plan.stop) {
      io().After(DrawMs(5'000), [this, drain = plan.drain] {
        io().Say("admin", drain ? "drains" : "stops");
        world_->shard().Post(drain ? ShardCommand::kDrain : ShardCommand::kStop);
      });
    }
    if (plan.reload) {
      io().After(DrawMs(4'000), [this] { Reload(); });
    }
    if (world().backends.size() > 1) {
      io().After(DrawMs(3'000), [this] { MoveServers(); });
    }
  }

  [[nodiscard]] const WorldOptions& world() const { return plan_.common.world; }

  void Connect(int i) {
    ++arrived_;
    SimPeer peer =
        world_->Connect(SimAddress("192.0.2.7", static_cast<std::uint16_t>(kFirstSenderPort + i)));
    if (peer.connected()) {
      senders_.push_back(std::make_unique<RandomSender>(world_.get(), std::move(peer), plan_.sender,
                                                        partner_.get(), &ledger_));
    }
  }

  void Reload() {
    WorldOptions options = world();
    if (plan_.common.new_listener) {
      options.listen = "198.51.100.2";
    }
    io().Say("admin", "reloads");
    reload_owed_ = true;
    world_->PostReload(options, [this] {
      const SimScope scope(io(), SimScope::Who::kTest);
      reload_owed_ = false;
      io().Say("ringpost", "has the new configuration");
    });
  }

  // All may be down at once: then the mail waits.
  void MoveServers() {
    const std::size_t moved = io().random().Below(world().backends.size());
    const auto state = static_cast<SimBackend>(io().random().Below(3));
    io().SetBackend(SessionWorld::BackendAddress(moved), state);
    constexpr std::array<std::string_view, 3> kStates = {"up", "down", "silent"};
    io().Say("admin", "partner " + std::to_string(moved) + " is " +
                          std::string(kStates[static_cast<std::size_t>(state)]));
    if (++moves_ < 4) {
      io().After(DrawMs(8'000), [this] { MoveServers(); });
    }
  }

  [[nodiscard]] bool AllDone() const {
    return arrived_ == plan_.common.clients && world_->shard().session_count() == 0 &&
           std::all_of(senders_.begin(), senders_.end(),
                       [](const auto& sender) { return sender->done(); });
  }

  void JudgeTurn() {
    const std::size_t now = world_->shard().session_count();
    const std::size_t count = std::max<std::size_t>({1, now, sessions_before_turn_});
    sessions_before_turn_ = now;
    EXPECT_LE(sim_process::library_octets(), count * kLibraryOctetsMax)
        << "wolfSSL's memory for " << count << " sessions";
    EXPECT_LE(now, world().sessions_max);
  }

  void Judge(const RandomSender& sender) {
    std::string history;
    for (const std::string& line : sender.history()) {
      history += "\n  " + line;
    }
    SCOPED_TRACE(history);
    if (plan_.lossless() && plan_.partner.vanish == 0 && !sender.vanished()) {
      EXPECT_TRUE(sender.completed());
      EXPECT_FALSE(sender.heard_421());
    }
    if (plan_.lossless() && plan_.partner.fault == 0 && plan_.partner.vanish == 0 &&
        world().backends.size() == 1) {
      EXPECT_EQ(sender.held(), 0);
    }
  }

  void Collect() {
    EgressTotals& totals = totals_->egress;
    ++totals.seeds;
    const bool clean = plan_.lossless() && plan_.partner.vanish == 0 && plan_.sender.vanish == 0;
    for (const EndedSession& ended : world_->ended()) {
      ++totals.sessions;
      ++totals_->reasons[static_cast<std::size_t>(ended.reason)];
      if (clean) {
        EXPECT_EQ(CloseReasonName(ended.reason), "quit") << ended.client << ": " << ended.detail;
      }
    }
    if (clean) {
      EXPECT_EQ(world_->ended().size(), senders_.size());
    }
    for (const std::unique_ptr<RandomSender>& sender : senders_) {
      totals.completed += sender->completed() ? 1 : 0;
      totals.acknowledged += static_cast<std::uint64_t>(sender->acknowledged());
      totals.held += static_cast<std::uint64_t>(sender->held());
    }
    totals.resumed += static_cast<std::uint64_t>(partner_->resumed());
    totals.in_tls += static_cast<std::uint64_t>(partner_->messages_in_tls());
    for (std::size_t i = 0; i < totals.faults.size(); ++i) {
      totals.faults[i] += partner_->fault_counts()[i];
    }
    totals_->library_allocations_failed = sim_process::allocation_counts().library_failed;
    totals_->object_allocations_failed = sim_process::allocation_counts().objects_failed;
  }

  EgressPlan plan_;
  SimulationTotals* totals_;
  Ledger ledger_;
  std::unique_ptr<SessionWorld> world_;
  WireWatch wire_;
  std::unique_ptr<PartnerServer> partner_;
  std::vector<std::unique_ptr<RandomSender>> senders_;
  int arrived_ = 0;
  int moves_ = 0;
  bool reload_owed_ = false;
  std::size_t sessions_before_turn_ = 0;
};

}  // namespace

bool HasEgressWorld(std::uint64_t seed) { return seed % kEvery == 0; }

std::string DescribeEgress(std::uint64_t seed) {
  const EgressPlan plan = DrawEgressPlan(seed);
  std::string text(WeatherName(plan.common.weather));
  text.append(", mail leaves, ").append(LevelName(plan.partner.policy.tls));
  const auto add = [&text](bool condition, std::string_view word) {
    if (condition) {
      text.append(", ").append(word);
    }
  };
  add(plan.partner.mode == PolicyMode::kReport, "report");
  add(plan.partner.implicit_tls, "implicit TLS");
  add(plan.partner.tickets, "tickets");
  add(!plan.partner.ehlo_name.empty(), "a name of our own");
  add(plan.sender.hard_bounce, "hard bounces");
  add(plan.common.world.backends.size() > 1, "several servers");
  add(plan.partner.fault > 0, "faults");
  add(plan.partner.vanish > 0, "servers vanish");
  add(plan.sender.vanish > 0, "senders vanish");
  add(plan.common.reload, "reload");
  add(plan.common.new_listener, "new listener");
  add(plan.common.drain, "drain");
  add(plan.common.stop, "stop");
  return text;
}

std::uint64_t SimulateEgress(std::uint64_t seed, SimulationTotals* totals,
                             const std::function<void(std::string_view)>& print) {
  MakePartnerCertificates();
  const EgressPlan plan = DrawEgressPlan(seed);
  sim_process::Restart(seed, plan.common.allocation);
  EgressRun run(plan, totals);
  if (print) {
    run.set_printer(print, DescribeEgress(seed));
  }
  return run.Go();
}

}  // namespace ringpost
