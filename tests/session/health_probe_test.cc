// SPDX-License-Identifier: GPL-3.0-or-later
//
// The probe on the simulated ring, with a backend that each case plays.
#include "ringpost/session/health_probe.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/sim_io.h"

namespace ringpost {
namespace {

using Result = HealthProbe::Result;

constexpr TimeNs kPatience = 10 * kNsPerSecond;
constexpr std::uint64_t kUserData = 0x4200;
constexpr std::string_view kProxyV2Local("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);

struct WorldOptions {
  BackendIdentity identity = BackendIdentity::kNone;
  SimBackend backend = SimBackend::kAccept;
  SimOptions io = {};
  std::size_t large_blocks = 64;
  std::size_t small_blocks = 16;
};

// One probe, one backend. Invariant, checked when it goes: nothing in flight, no socket, the pool
// full.
class ProbeWorld {
 public:
  explicit ProbeWorld(const WorldOptions& options)
      : pool_(std::make_unique<BufferPool>(options.large_blocks, options.small_blocks)),
        io_(std::make_unique<SimIo>(options.io, pool_.get())) {
    Endpoint unused;
    unused.address = SimAddress("127.0.0.1", 10'025);
    unused.length = sizeof unused.address.in;
    Endpoint endpoint;
    endpoint.address = SimAddress("127.0.0.1", 10'026);
    endpoint.length = sizeof endpoint.address.in;
    upstream_.identity = options.identity;
    upstream_.addresses = {unused, endpoint};
    io_->SetBackend(endpoint.address, options.backend);
    io_->OnBackendAccept([this](SimPeer peer) {
      backend_ = std::move(peer);
      backend_.OnChange([this] {
        heard_ += backend_.Read();
        if (on_heard_) {
          on_heard_();
        }
      });
      backend_.Write(greeting_);
    });
    probe_ = std::make_unique<HealthProbe>(io_.get(), pool_.get(), &upstream_, kUserData);
  }

  ~ProbeWorld() {
    probe_->Stop();
    EXPECT_TRUE(Until([this] { return probe_->idle(); }, kNsPerSecond));
    EXPECT_LT(probe_->deadline(), 0);
    backend_ = SimPeer();
    on_heard_ = nullptr;
    EXPECT_EQ(io_->in_flight(), 0u);
    EXPECT_EQ(io_->open_sockets(), 0u);
    probe_.reset();
    io_.reset();
    EXPECT_EQ(pool_->free_count(BlockSize::kLarge), pool_->total_count(BlockSize::kLarge));
    EXPECT_EQ(pool_->free_count(BlockSize::kSmall), pool_->total_count(BlockSize::kSmall));
  }

  void Start(std::string greeting) {
    greeting_ = std::move(greeting);
    probe_->Start(1, io_->Now() + kPatience);
    Note();
  }

  void Turn(TimeNs most) {
    const TimeNs left = probe_->deadline() < 0 ? most : probe_->deadline() - io_->Now();
    std::array<Completion, 16> completions;
    const std::size_t count = io_->Wait(std::clamp<TimeNs>(left, 0, most), completions);
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_EQ(completions[i].user_data & ~std::uint64_t{0xff}, kUserData);
      probe_->OnCompletion(static_cast<OperationKind>(completions[i].user_data & 0xff),
                           completions[i]);
      Note();
    }
    if (probe_->deadline() >= 0 && io_->Now() >= probe_->deadline()) {
      probe_->OnTime(io_->Now());
      Note();
    }
  }

  bool Until(const std::function<bool()>& done, TimeNs limit) {
    const TimeNs end = io_->Now() + limit;
    while (!done() && io_->Now() < end) {
      Turn(end - io_->Now());
    }
    return done();
  }

  // Plays it to its end: the result, which is said exactly once.
  Result Finish() {
    EXPECT_TRUE(Until([this] { return probe_->idle(); }, 60 * kNsPerSecond));
    EXPECT_EQ(results_.size(), 1u);
    return results_.empty() ? Result::kNone : results_.front();
  }

  [[nodiscard]] HealthProbe& probe() { return *probe_; }
  [[nodiscard]] SimIo& io() { return *io_; }
  [[nodiscard]] BufferPool& pool() { return *pool_; }
  [[nodiscard]] SimPeer& backend() { return backend_; }
  [[nodiscard]] const std::string& heard() const { return heard_; }
  [[nodiscard]] const std::vector<Result>& results() const { return results_; }
  void OnHeard(std::function<void()> on_heard) { on_heard_ = std::move(on_heard); }

 private:
  void Note() {
    if (const Result result = probe_->TakeResult(); result != Result::kNone) {
      results_.push_back(result);
    }
  }

  UpstreamConfig upstream_;
  std::unique_ptr<BufferPool> pool_;
  std::unique_ptr<SimIo> io_;
  std::unique_ptr<HealthProbe> probe_;
  SimPeer backend_;
  std::string greeting_;
  std::string heard_;
  std::function<void()> on_heard_;
  std::vector<Result> results_;
};

// Closes when it has heard QUIT, as a server does.
void CloseAtQuit(ProbeWorld& world) {
  world.OnHeard([&world] {
    if (world.heard().ends_with("QUIT\r\n")) {
      world.backend().Write("221 bye\r\n");
      world.backend().Close();
    }
  });
}

TEST(HealthProbeTest, IsUpWithAGreetingAndLeavesWithQuit) {
  ProbeWorld world({});
  CloseAtQuit(world);
  world.Start("220 mx.example.test ESMTP\r\n");
  const TimeNs began = world.io().Now();
  EXPECT_EQ(world.Finish(), Result::kUp);
  EXPECT_EQ(world.heard(), "QUIT\r\n");
  EXPECT_TRUE(world.backend().ended());
  EXPECT_FALSE(world.backend().was_reset());
  EXPECT_LT(world.io().Now() - began, kNsPerSecond);
  EXPECT_EQ(world.probe().address(), 1u);
  EXPECT_EQ(world.probe().error(), 0);
}

TEST(HealthProbeTest, CanBeStartedAgain) {
  ProbeWorld world({});
  CloseAtQuit(world);
  for (std::size_t round = 1; round <= 3; ++round) {
    world.Start(round == 2 ? "421 not now\r\n" : "220 ready\r\n");
    EXPECT_TRUE(world.Until([&] { return world.probe().idle(); }, kPatience));
    ASSERT_EQ(world.results().size(), round);
    EXPECT_EQ(world.results().back(), round == 2 ? Result::kDown : Result::kUp);
  }
}

TEST(HealthProbeTest, KnowsTheResultBeforeTheBackendHasClosed) {
  ProbeWorld world({});
  world.Start("220 ready\r\n");
  EXPECT_TRUE(world.Until([&] { return world.results().size() == 1; }, kPatience));
  EXPECT_FALSE(world.probe().idle());
  // The backend is told that nothing more comes, and may still speak.
  EXPECT_TRUE(world.Until([&] { return world.backend().ended(); }, kNsPerSecond));
  EXPECT_EQ(world.heard(), "QUIT\r\n");
  EXPECT_FALSE(world.probe().idle());
}

TEST(HealthProbeTest, DoesNotWaitLongForABackendThatDoesNotClose) {
  ProbeWorld world({});
  world.Start("220 ready\r\n");
  const TimeNs began = world.io().Now();
  EXPECT_EQ(world.Finish(), Result::kUp);
  EXPECT_TRUE(world.backend().ended());
  EXPECT_GE(world.io().Now() - began, 5 * kNsPerSecond);
  EXPECT_LT(world.io().Now() - began, 6 * kNsPerSecond);
}

// PROTOCOL 37
TEST(HealthProbeTest, TellsABackendThatItIsTheProxyItself) {
  const std::vector<std::pair<BackendIdentity, std::string_view>> identities = {
      {BackendIdentity::kProxyV2, kProxyV2Local},
      {BackendIdentity::kProxyV1, "PROXY UNKNOWN\r\n"},
      {BackendIdentity::kXclient, ""},
      {BackendIdentity::kNone, ""},
  };
  for (const auto& [identity, header] : identities) {
    ProbeWorld world({.identity = identity});
    world.Start("");
    EXPECT_TRUE(world.Until([&] { return world.heard().size() >= header.size(); }, kPatience));
    (void)world.Until([] { return false; }, kNsPerMs);
    EXPECT_EQ(world.heard(), header);
    world.backend().Write("220 ready\r\n");
    EXPECT_EQ(world.Finish(), Result::kUp);
    EXPECT_EQ(world.heard(), std::string(header) + "QUIT\r\n");
  }
}

struct GreetingCase {
  std::string_view greeting;
  Result result;
};

std::string Lines(int count, std::string_view code = "220") {
  std::string lines;
  for (int line = 1; line < count; ++line) {
    lines += std::string(code) + "-welcome\r\n";
  }
  return lines + std::string(code) + " ready\r\n";
}

std::string LongLines(std::size_t octets_each, int count) {
  std::string lines;
  for (int line = 1; line <= count; ++line) {
    std::string text = line < count ? "220-" : "220 ";
    text.resize(octets_each - 2, 'x');
    lines += text + "\r\n";
  }
  return lines;
}

// Whole, octet by octet, and with octets behind it.
TEST(HealthProbeTest, OnlyAWholeGreetingOf220IsUp) {
  const std::string sixteen = Lines(16);
  const std::string seventeen = Lines(17);
  const std::string big = LongLines(512, 16);
  const std::vector<GreetingCase> cases = {
      {"220 ready\r\n", Result::kUp},
      {"220\r\n", Result::kUp},
      {"220-first\r\n220 second\r\n", Result::kUp},
      {sixteen, Result::kUp},
      {big, Result::kUp},
      {seventeen, Result::kDown},
      {"421 4.3.2 too busy\r\n", Result::kDown},
      {"554 5.7.1 no\r\n", Result::kDown},
      {"250 hello\r\n", Result::kDown},
      {"220-first\r\n421 second\r\n", Result::kDown},
      {"220 ready\n", Result::kDown},
      {"* OK IMAP4rev1\r\n", Result::kDown},
      {"SSH-2.0-x\r\n", Result::kDown},
      {std::string_view("\x15\x03\x03\0\x02\x02\x0a", 7), Result::kDown},
      {"22", Result::kDown},
      {"220 ready", Result::kDown},
      {"220 ready\r", Result::kDown},
      {"220-ready\r\n", Result::kDown},
  };
  for (const GreetingCase& each : cases) {
    for (const std::size_t recv_max : {std::size_t{0}, std::size_t{1}}) {
      for (const bool more : {false, true}) {
        SCOPED_TRACE(std::string(each.greeting.substr(0, 40)) + (recv_max == 1 ? " (slow)" : "") +
                     (more ? " (more)" : ""));
        ProbeWorld world({.io = {.faults = {.recv_max = recv_max}}});
        CloseAtQuit(world);
        if (more && each.result == Result::kUp) {
          world.Start(std::string(each.greeting) + "250 what\r\n");
        } else {
          world.Start(std::string(each.greeting));
        }
        EXPECT_EQ(world.Finish(), each.result);
        EXPECT_EQ(world.probe().error(), 0);
        if (each.result == Result::kDown) {
          EXPECT_EQ(world.heard(), "");
        }
      }
    }
  }
}

TEST(HealthProbeTest, AGreetingThatDoesNotEndIsNotWaitedFor) {
  std::string long_lines = LongLines(512, 16) + "220-still";
  long_lines[15 * 512 + 3] = '-';
  for (const std::string& endless : {Lines(2'000), long_lines}) {
    ProbeWorld world({});
    world.Start(endless);
    const TimeNs began = world.io().Now();
    EXPECT_EQ(world.Finish(), Result::kDown);
    EXPECT_LT(world.io().Now() - began, kNsPerSecond);
  }
}

// Never silent for long, but never done either.
TEST(HealthProbeTest, ASlowGreetingHasUntilTheDeadline) {
  ProbeWorld world({});
  const std::string_view greeting = "220 ready\r\n";
  std::size_t said = 0;
  const TimeNs began = world.io().Now();
  const std::function<void()> say = [&] {
    if (world.backend().connected() && said + 1 < greeting.size()) {
      world.backend().Write(greeting.substr(said++, 1));
    }
    if (world.io().Now() - began < 2 * kPatience) {
      world.io().After(2 * kNsPerSecond, say);
    }
  };
  world.io().After(kNsPerMs, say);
  world.Start("");
  EXPECT_EQ(world.Finish(), Result::kDown);
  EXPECT_GE(world.io().Now() - began, kPatience);
  EXPECT_LT(world.io().Now() - began, kPatience + kNsPerSecond);
  EXPECT_GT(said, 3u);
}

TEST(HealthProbeTest, ASlowGreetingInTimeIsUp) {
  ProbeWorld world({});
  CloseAtQuit(world);
  const std::string_view greeting = "220 ready\r\n";
  std::size_t said = 0;
  const std::function<void()> say = [&] {
    if (world.backend().connected() && said < greeting.size()) {
      world.backend().Write(greeting.substr(said++, 1));
    }
    if (said < greeting.size()) {
      world.io().After(100 * kNsPerMs, say);
    }
  };
  world.io().After(kNsPerMs, say);
  world.Start("");
  EXPECT_EQ(world.Finish(), Result::kUp);
}

TEST(HealthProbeTest, ARefusedConnectionIsDown) {
  ProbeWorld world({.backend = SimBackend::kRefuse});
  world.Start("");
  EXPECT_EQ(world.Finish(), Result::kDown);
  EXPECT_EQ(world.probe().error(), ECONNREFUSED);
}

TEST(HealthProbeTest, AnUnansweredConnectIsDownAtTheDeadline) {
  ProbeWorld world({.backend = SimBackend::kSilent});
  const TimeNs began = world.io().Now();
  world.Start("");
  EXPECT_EQ(world.probe().deadline(), began + kPatience);
  EXPECT_EQ(world.Finish(), Result::kDown);
  EXPECT_EQ(world.probe().error(), ETIMEDOUT);
  EXPECT_EQ(world.io().Now(), began + kPatience);
}

TEST(HealthProbeTest, ASilentBackendIsDownAtTheDeadline) {
  ProbeWorld world({.identity = BackendIdentity::kProxyV2});
  const TimeNs began = world.io().Now();
  world.Start("");
  EXPECT_EQ(world.Finish(), Result::kDown);
  EXPECT_EQ(world.probe().error(), 0);
  EXPECT_EQ(world.io().Now(), began + kPatience);
}

TEST(HealthProbeTest, EndAndResetBeforeTheGreetingAreDown) {
  for (const bool reset : {false, true}) {
    for (const std::string_view greeting : {"", "220-ready\r\n220 re"}) {
      ProbeWorld world({.identity = BackendIdentity::kProxyV2});
      world.Start(std::string(greeting));
      EXPECT_TRUE(world.Until([&] { return !world.heard().empty(); }, kPatience));
      reset ? world.backend().Reset() : world.backend().Close();
      const TimeNs began = world.io().Now();
      EXPECT_EQ(world.Finish(), Result::kDown);
      EXPECT_LT(world.io().Now() - began, kNsPerSecond);
    }
  }
}

TEST(HealthProbeTest, WithoutADescriptorItIsDown) {
  ProbeWorld world({.io = {.descriptors_max = 0}});
  world.Start("");
  EXPECT_TRUE(world.probe().idle());
  // Whoever sleeps until then learns it at once.
  EXPECT_EQ(world.probe().deadline(), world.io().Now());
  world.Turn(kNsPerSecond);
  EXPECT_EQ(world.Finish(), Result::kDown);
  EXPECT_EQ(world.probe().error(), EMFILE);
  EXPECT_LT(world.probe().deadline(), 0);
}

// Sessions hold all blocks for a while: it tries again and finds the backend up.
TEST(HealthProbeTest, WaitsForBlocks) {
  ProbeWorld world({.identity = BackendIdentity::kProxyV2});
  CloseAtQuit(world);
  std::vector<BlockId> taken;
  for (const BlockSize size : {BlockSize::kLarge, BlockSize::kSmall}) {
    while (const std::optional<BlockId> block = world.pool().Take(size)) {
      taken.push_back(*block);
    }
  }
  world.io().After(2 * kNsPerSecond, [&] {
    EXPECT_EQ(world.heard(), "");
    for (const BlockId block : taken) {
      world.pool().Release(block);
    }
  });
  world.Start("220 ready\r\n");
  EXPECT_EQ(world.Finish(), Result::kUp);
  EXPECT_TRUE(world.heard().starts_with(kProxyV2Local));
}

// Being asked more often than needed does not make it spin while there are no blocks.
TEST(HealthProbeTest, WaitsForBlocksWhateverTheTime) {
  ProbeWorld world({.io = {.faults = {.no_buffers = 10'000}}});
  world.Start("220 ready\r\n");
  EXPECT_TRUE(world.Until([&] { return world.io().in_flight() == 0; }, kPatience));
  const TimeNs retry = world.probe().deadline();
  ASSERT_GT(retry, world.io().Now());
  world.probe().OnTime(world.io().Now());
  EXPECT_EQ(world.io().in_flight(), 0u);
  EXPECT_EQ(world.probe().deadline(), retry);
  world.probe().OnTime(retry);
  EXPECT_EQ(world.io().in_flight(), 1u);
}

TEST(HealthProbeTest, RefusedReceivesAreTriedAgain) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    ProbeWorld world({.identity = BackendIdentity::kProxyV2,
                      .io = {.seed = seed, .faults = {.short_recv = 5'000, .no_buffers = 5'000}}});
    CloseAtQuit(world);
    world.Start("220 ready\r\n");
    EXPECT_EQ(world.Finish(), Result::kUp) << "seed " << seed;
  }
}

// After each number of turns, with and without misfortunes: idle() follows, and no result.
TEST(HealthProbeTest, CanBeStoppedAtAnyMoment) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SimOptions io{.seed = seed + 1};
    if (seed > 0) {
      io.faults = {.short_recv = 5'000,
                   .short_send = 5'000,
                   .delay = 5'000,
                   .reset = 200,
                   .eof = 200,
                   .no_buffers = 2'000,
                   .shuffle = true};
    }
    for (int turns = 0; turns < 20; ++turns) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", turns " + std::to_string(turns));
      ProbeWorld world({.identity = BackendIdentity::kProxyV2, .io = io});
      CloseAtQuit(world);
      world.Start("220-first\r\n220 ready\r\n");
      for (int turn = 0; turn < turns; ++turn) {
        world.Turn(100 * kNsPerMs);
      }
      const std::size_t results = world.results().size();
      world.probe().Stop();
      EXPECT_TRUE(world.Until([&] { return world.probe().idle(); }, kNsPerSecond));
      EXPECT_EQ(world.results().size(), results);
      EXPECT_LE(results, 1u);
    }
  }
}

TEST(HealthProbeTest, CanBeStoppedWhileConnecting) {
  ProbeWorld world({.backend = SimBackend::kSilent});
  world.Start("");
  world.Turn(kNsPerSecond);
  EXPECT_FALSE(world.probe().idle());
  world.probe().Stop();
  EXPECT_TRUE(world.Until([&] { return world.probe().idle(); }, kNsPerSecond));
  EXPECT_TRUE(world.results().empty());
}

TEST(HealthProbeTest, EveryMisfortuneEndsWithOneResult) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ProbeWorld world({.identity = BackendIdentity::kProxyV1,
                      .io = {.seed = seed,
                             .faults = {.short_recv = 3'000,
                                        .short_send = 3'000,
                                        .delay = 3'000,
                                        .reset = 500,
                                        .eof = 500,
                                        .connect_refused = 1'000,
                                        .no_buffers = 3'000,
                                        .no_descriptors = 1'000,
                                        .shuffle = true}}});
    CloseAtQuit(world);
    world.Start("220 ready\r\n");
    EXPECT_NE(world.Finish(), Result::kNone);
  }
}

}  // namespace
}  // namespace ringpost
