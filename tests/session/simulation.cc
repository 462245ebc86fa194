// SPDX-License-Identifier: GPL-3.0-or-later
#include "simulation.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>

#include "../tls/tls_fixture.h"
#include "../x509/authority.h"
#include "egress_simulation.h"
#include "ringpost/io/socket.h"
#include "wire_watch.h"

namespace ringpost {
namespace {

constexpr std::uint16_t kFirstClientPort = 50'000;
constexpr std::uint64_t kSeedOfTheCertificate = 1;
// More than all time-outs in a row, with the slowest of clients.
constexpr TimeNs kPatience = 4 * 3'600 * kNsPerSecond;
// What wolfSSL may hold for a session: a handshake, its certificate chain, and half a record.
constexpr std::size_t kLibraryOctetsMax = 32 * 1024;

// Made once per process, and the same in every process.
const TlsCertificatePem& Certificate() {
  static const TlsCertificatePem certificate = [] {
    sim_process::Restart(kSeedOfTheCertificate);
    test::CertificateSpec spec;
    spec.subject = test::CommonName("mx.example.test");
    spec.names = {"mx.example.test"};
    spec.purposes = {std::string(test::kServerPurpose)};
    spec.serial = "\x01";
    const test::Party party = test::Issue(spec, nullptr);
    return TlsCertificatePem{"simulated.pem", "simulated.key", party.pem(),
                             Secret(party.key->pem())};
  }();
  return certificate;
}

const TlsClientContext* ClientContext(Versions versions, TlsResumption resumption) {
  static std::array<std::unique_ptr<TlsClientContext>, 6> contexts;
  std::unique_ptr<TlsClientContext>& context =
      contexts[static_cast<std::size_t>(versions) * 2 + (resumption == TlsResumption::kOn ? 1 : 0)];
  if (context == nullptr) {
    TlsClientOptions options;
    options.versions = versions == Versions::kTls12   ? TlsVersions::kTls12Only
                       : versions == Versions::kTls13 ? TlsVersions::kTls13Only
                                                      : TlsVersions::kBoth;
    options.resumption = resumption;
    context = test::ClientContext(options);
  }
  return context.get();
}

class SimulatedRun {
 public:
  SimulatedRun(const Plan& plan, SimulationTotals* totals)
      : plan_(plan),
        totals_(totals),
        world_(std::make_unique<SessionWorld>(plan_.world)),
        wire_(&io()),
        backend_(std::make_unique<RandomBackend>(world_.get(), plan_.backend)) {
    wire_.set_implicit_tls(plan_.world.implicit_tls);
    wire_.set_arming(true);
    io().set_wire(&wire_);
    sim_process::UseClock(&io());
    backend_->OnWho([this](std::uint64_t session, const std::string& client) {
      return IsClientOf(session, client);
    });
    world_->OnTurn([this] { JudgeTurn(); });
    if (plan_.resume) {
      plan_.client.tickets = &tickets_;
    }
    plan_.client.tls =
        ClientContext(plan_.versions, plan_.resume ? TlsResumption::kOn : TlsResumption::kOff);
  }

  void set_printer(const std::function<void(std::string_view)>& print) {
    io().trace().set_printer([this, print](std::string_view line) {
      std::array<char, 32> time;
      std::snprintf(time.data(), time.size(), "%12.6f s  ",
                    static_cast<double>(io().elapsed()) / static_cast<double>(kNsPerSecond));
      print(std::string(time.data()) + std::string(line));
    });
    io().trace().Print("plan: " + Describe(plan_));
  }

  std::uint64_t Go() {
    Schedule();
    const bool ended = world_->Until([this] { return AllDone(); }, kPatience);
    EXPECT_TRUE(ended || world_->shard().finished())
        << "somebody waits for ever; sessions: " << world_->shard().session_count();
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      Judge(*clients_[i], ports_[i]);
    }
    JudgeAll();
    for (const std::unique_ptr<RandomClient>& client : clients_) {
      client->Abandon();
    }
    io().set_faults({});  // a leap of the clock would be past what it may take
    world_->Finish();
    EXPECT_FALSE(reload_owed_) << "the new configuration was lost";
    Collect();
    world_->OnTurn(nullptr);
    const std::uint64_t trace = io().trace().hash();
    backend_.reset();
    clients_.clear();
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
    for (int i = 0; i < plan_.clients; ++i) {
      io().After(DrawMs(2'000), [this, i] { Connect(i); });
    }
    if (plan_.drain || plan_.stop) {
      io().After(DrawMs(5'000), [this] {
        io().Say("admin", plan_.drain ? "drains" : "stops");
        world_->shard().Post(plan_.drain ? ShardCommand::kDrain : ShardCommand::kStop);
      });
    }
    if (plan_.reload) {
      io().After(DrawMs(4'000), [this] { Reload(); });
    }
    if (plan_.failover) {
      io().After(DrawMs(5'000), [this] { MoveBackends(); });
    }
  }

  void Connect(int i) {
    ++arrived_;
    const auto port = static_cast<std::uint16_t>(kFirstClientPort + i);
    SimPeer peer = world_->Connect(SimAddress("192.0.2.7", port));
    if (!peer.connected()) {
      return;
    }
    RandomClientOptions options = plan_.client;
    if (io().random().Happens(plan_.mischief)) {
      options.mischief = DrawMischief();
      options.mischief_after = static_cast<int>(io().random().Below(6));
    }
    ports_.push_back(port);
    clients_.push_back(std::make_unique<RandomClient>(world_.get(), peer, options, [this, peer] {
      return backend_->LogsOf(RandomBackend::SessionOf(peer));
    }));
  }

  // One that there is an occasion for.
  [[nodiscard]] Mischief DrawMischief() {
    const bool tls = plan_.client.starttls || plan_.client.implicit_tls;
    for (;;) {
      const auto mischief = static_cast<Mischief>(
          1 + io().random().Below(static_cast<std::uint64_t>(Mischief::kCount) - 1));
      if ((mischief == Mischief::kBareNewline && !plan_.client.bare_refused) ||
          (!tls && (IsAboutTlsStart(mischief) || mischief == Mischief::kGarbageRecord ||
                    mischief == Mischief::kNotify))) {
        continue;
      }
      return mischief;
    }
  }

  void Reload() {
    WorldOptions options = plan_.world;
    if (plan_.new_listener) {
      options.listen = "198.51.100.2";
    }
    options.ask_certificate = plan_.asks_anew;
    if (plan_.new_partner) {
      Partner& partner = options.partners.emplace_back();
      partner.name = "everybody";
      partner.networks = {ParseNetwork("192.0.2.0/24").value()};
      partner.mode = PolicyMode::kReport;
    }
    io().Say("admin", "reloads");
    reload_owed_ = true;
    world_->PostReload(options, [this] {
      const SimScope scope(io(), SimScope::Who::kTest);
      reload_owed_ = false;
      io().Say("ringpost", "has the new configuration");
    });
  }

  // One goes down, another comes up; one is always up.
  void MoveBackends() {
    const std::size_t moved = io().random().Below(plan_.world.backends.size());
    if (moved != plan_.backend_up) {
      const auto state = static_cast<SimBackend>(io().random().Below(3));
      io().SetBackend(SessionWorld::BackendAddress(moved), state);
      constexpr std::array<std::string_view, 3> kStates = {"up", "down", "silent"};
      io().Say("admin", "backend " + std::to_string(moved) + " is " +
                            std::string(kStates[static_cast<std::size_t>(state)]));
    }
    if (++moves_ < 4) {
      io().After(DrawMs(8'000), [this] { MoveBackends(); });
    }
  }

  // Whether that is the session's client, "ADDRESS PORT". Which session a client has is known from
  // its first operation on; until then, as where it has to wait for blocks, it may be any without
  // one.
  [[nodiscard]] bool IsClientOf(std::uint64_t session, const std::string& text) {
    bool may_be = false;
    for (const std::unique_ptr<RandomClient>& client : clients_) {
      const SocketAddress& address = client->peer().address();
      std::array<char, kAddressTextMax> host;
      const bool same =
          std::string(FormatHost(address, host)) + " " + std::to_string(PortOf(address)) == text;
      const std::uint64_t its = RandomBackend::SessionOf(client->peer());
      if (its == session) {
        return same;
      }
      may_be = may_be || (same && its == RandomBackend::kNoSession);
    }
    return may_be;
  }

  [[nodiscard]] bool AllDone() const {
    return arrived_ == plan_.clients && world_->shard().session_count() == 0 &&
           std::all_of(clients_.begin(), clients_.end(),
                       [](const auto& client) { return client->done(); });
  }

  [[nodiscard]] const EndedSession* EndedOf(std::uint16_t port) const {
    const std::string client = "192.0.2.7:" + std::to_string(port);
    const auto found = std::find_if(world_->ended().begin(), world_->ended().end(),
                                    [&](const auto& ended) { return ended.client == client; });
    return found != world_->ended().end() ? &*found : nullptr;
  }

  void JudgeTurn() {
    const std::size_t sessions = std::max<std::size_t>(sessions_before_turn_, 1);
    sessions_before_turn_ = world_->shard().session_count();
    const std::size_t octets = sim_process::library_octets();
    const std::size_t count = std::max<std::size_t>({sessions, sessions_before_turn_});
    library_octets_per_session_ = std::max(library_octets_per_session_, octets / count);
    EXPECT_LE(octets, count * kLibraryOctetsMax) << "wolfSSL's memory for " << count << " sessions";
    EXPECT_LE(world_->shard().session_count(), plan_.world.sessions_max);
  }

  void Judge(RandomClient& client, std::uint16_t port) {
    const EndedSession* ended = EndedOf(port);
    std::string history;
    for (const std::string& line : client.history()) {
      history += "\n  " + line;
    }
    SCOPED_TRACE(testing::Message()
                 << "client " << port << ", ended "
                 << (ended != nullptr ? CloseReasonName(ended->reason) : "not") << history);
    const bool met_rogue = client.met_rogue() || backend_->probes_spoilt() > 0;
    const bool honest = client.mischief() == Mischief::kNone && !met_rogue;
    const bool served = plan_.lossless() && honest;
    EXPECT_EQ(client.Judge(served ? Whole::kYes : Whole::kMayBeCut), "");
    if (plan_.lossless()) {
      ASSERT_NE(ended, nullptr);
    }
    if (served) {
      EXPECT_TRUE(client.completed());
      EXPECT_EQ(CloseReasonName(ended->reason), "quit");
      EXPECT_EQ(static_cast<int>(ended->stats.messages_accepted), client.messages_accepted());
    } else if (plan_.lossless() && !met_rogue) {
      auto reasons = ReasonsFor(client.mischief());
      if (plan_.weather == Weather::kCalm && client.mischief() == Mischief::kInjection) {
        reasons = reasons.first(1);  // then nothing of it arrives late
      }
      EXPECT_TRUE(std::find(reasons.begin(), reasons.end(), ended->reason) != reasons.end())
          << MischiefName(client.mischief()) << " ended as " << CloseReasonName(ended->reason);
    }
    totals_->completed += client.completed() ? 1 : 0;
    totals_->messages_accepted += static_cast<std::uint64_t>(client.messages_accepted());
    ++totals_->mischiefs[static_cast<std::size_t>(client.mischief())];
  }

  void JudgeAll() {
    const bool no_reason_to_fail =
        plan_.lossless() && plan_.backend.rogue == 0 && plan_.mischief == 0 && !plan_.failover;
    if (no_reason_to_fail) {
      EXPECT_EQ(world_->backend_failures(), 0);
    }
  }

  void Collect() {
    ++totals_->seeds;
    ++totals_->weathers[static_cast<std::size_t>(plan_.weather)];
    for (const EndedSession& ended : world_->ended()) {
      ++totals_->sessions;
      totals_->handshakes += ended.tls_version.empty() ? 0 : 1;
      ++totals_->reasons[static_cast<std::size_t>(ended.reason)];
    }
    for (std::size_t i = 0; i < totals_->rogues.size(); ++i) {
      totals_->rogues[i] += backend_->rogue_counts()[i];
    }
    for (std::size_t i = 0; i < totals_->faults.size(); ++i) {
      totals_->faults[i] += io().fault_counts()[i];
    }
    totals_->resumed += static_cast<std::uint64_t>(tickets_.resumed);
    totals_->refused += static_cast<std::uint64_t>(world_->refused());
    totals_->accept_pauses += static_cast<std::uint64_t>(world_->accept_pauses());
    totals_->backend_failures += static_cast<std::uint64_t>(world_->backend_failures());
    totals_->backend_recoveries += static_cast<std::uint64_t>(world_->backend_recoveries());
    totals_->probes += static_cast<std::uint64_t>(backend_->probes());
    totals_->tls_records += wire_.records();
    totals_->library_allocations_failed = sim_process::allocation_counts().library_failed;
    totals_->object_allocations_failed = sim_process::allocation_counts().objects_failed;
    totals_->library_octets_max =
        std::max(totals_->library_octets_max, sim_process::library_octets_max());
    totals_->library_octets_max_per_session =
        std::max(totals_->library_octets_max_per_session, library_octets_per_session_);
  }

  Plan plan_;
  SimulationTotals* totals_;
  std::unique_ptr<SessionWorld> world_;
  WireWatch wire_;
  std::unique_ptr<RandomBackend> backend_;
  TicketBox tickets_;
  std::vector<std::unique_ptr<RandomClient>> clients_;
  std::vector<std::uint16_t> ports_;
  int arrived_ = 0;
  int moves_ = 0;
  bool reload_owed_ = false;
  std::size_t sessions_before_turn_ = 0;
  std::size_t library_octets_per_session_ = 0;
};

}  // namespace

SimulationResult Simulate(std::uint64_t seed, SimulationTotals* totals,
                          const std::function<void(std::string_view)>& print) {
  SimulationResult result;
  Plan plan = DrawPlan(seed);
  plan.world.certificate_pem = &Certificate();
  testing::TestPartResultArray failures;
  {
    const testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ALL_THREADS, &failures);
    // Everything that lives on from seed to seed is made by now, or does not depend on the seed.
    (void)ClientContext(plan.versions, plan.resume ? TlsResumption::kOn : TlsResumption::kOff);
    sim_process::Restart(seed, plan.allocation);
    std::unique_ptr<TicketKeys> tickets;
    if (plan.resume) {
      tickets = TicketKeys::Random(plan.world.io.wall_clock);
      plan.world.ticket_keys = tickets.get();
    }
    {
      SimulatedRun run(plan, totals);
      if (print) {
        run.set_printer(print);
      }
      result.trace = run.Go();
    }
    if (HasEgressWorld(seed)) {
      result.trace = result.trace * 31 + SimulateEgress(seed, totals, print);
    }
  }
  for (int i = 0; i < failures.size(); ++i) {
    const testing::TestPartResult& failure = failures.GetTestPartResult(i);
    result.failures.push_back(
        std::string(failure.file_name() != nullptr ? failure.file_name() : "") + ":" +
        std::to_string(failure.line_number()) + ": " + failure.message());
  }
  return result;
}

std::string DescribeSeed(std::uint64_t seed) {
  std::string text = Describe(DrawPlan(seed));
  if (HasEgressWorld(seed)) {
    text += "; and " + DescribeEgress(seed);
  }
  return text;
}

std::string Describe(const SimulationTotals& totals) {
  std::string text;
  const auto row = [&text](std::string_view name, std::uint64_t count) {
    std::array<char, 80> line;
    std::snprintf(line.data(), line.size(), "  %-36.*s %14llu\n", static_cast<int>(name.size()),
                  name.data(), static_cast<unsigned long long>(count));
    text += line.data();
  };
  row("seeds", totals.seeds);
  row("sessions", totals.sessions);
  row("sessions completed by QUIT", totals.completed);
  row("messages accepted", totals.messages_accepted);
  row("TLS handshakes", totals.handshakes);
  row("TLS handshakes resumed", totals.resumed);
  row("TLS records to clients", totals.tls_records);
  row("connections refused", totals.refused);
  row("accept paused", totals.accept_pauses);
  row("backend failures", totals.backend_failures);
  row("backend recoveries", totals.backend_recoveries);
  row("health probes", totals.probes);
  row("wolfSSL allocations failed", totals.library_allocations_failed);
  row("operator new failed", totals.object_allocations_failed);
  row("wolfSSL octets, most", totals.library_octets_max);
  row("wolfSSL octets per session, most", totals.library_octets_max_per_session);
  const auto section = [&](std::string_view title, const auto& counts, auto name_of) {
    text += title;
    text += '\n';
    for (std::size_t i = 0; i < counts.size(); ++i) {
      row(name_of(i), counts[i]);
    }
  };
  section("weather", totals.weathers,
          [](std::size_t i) { return WeatherName(static_cast<Weather>(i)); });
  section("faults", totals.faults,
          [](std::size_t i) { return SimFaultName(static_cast<SimFault>(i)); });
  section("rules broken by backends", totals.rogues,
          [](std::size_t i) { return RogueName(static_cast<Rogue>(i)); });
  section("rules broken by clients", totals.mischiefs,
          [](std::size_t i) { return MischiefName(static_cast<Mischief>(i)); });
  text += "mail that leaves\n";
  row("seeds", totals.egress.seeds);
  row("sessions", totals.egress.sessions);
  row("sessions completed by QUIT", totals.egress.completed);
  row("messages acknowledged", totals.egress.acknowledged);
  row("messages stored in TLS", totals.egress.in_tls);
  row("... in a resumed session", totals.egress.resumed);
  row("messages held back", totals.egress.held);
  section("faults of partners' servers", totals.egress.faults,
          [](std::size_t i) { return PartnerFaultName(static_cast<PartnerFault>(i)); });
  section("sessions ended", totals.reasons,
          [](std::size_t i) { return CloseReasonName(static_cast<CloseReason>(i)); });
  return text;
}

}  // namespace ringpost
