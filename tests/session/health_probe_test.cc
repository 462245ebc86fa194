// SPDX-License-Identifier: GPL-3.0-or-later
//
// The probe on the simulated ring, with a backend that each case plays.
#include "ringpost/session/health_probe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ringpost/identity/proxy_header.h"
#include "sim/sim_io.h"

namespace ringpost {
namespace {

using Kind = ProbeResult::Kind;

constexpr TimeNs kPatience = 10 * kNsPerSecond;
constexpr std::uint64_t kUserData = 0x4200;
constexpr std::string_view kProxyV1Own = "PROXY TCP4 127.0.0.1 127.0.0.1 25 25\r\n";

// What a mail server says; the defaults are those of one that is set up for `identity`.
struct Server {
  bool waits_for_header = true;  // where the identity is PROXY
  std::size_t header_max = kProxyHeaderMax;
  std::string greeting = "220 mx.example.test ESMTP\r\n";
  std::map<std::string, std::string> replies = {
      {"NOOP", "250 2.0.0 Ok\r\n"},
      {"EHLO", "250-mx.example.test\r\n250 XCLIENT ADDR PORT\r\n"},
      {"XCLIENT", "220 mx.example.test ESMTP\r\n"},
      {"QUIT", "221 2.0.0 Bye\r\n"},
  };
  std::string to_unknown = "502 5.5.2 Error: command not recognized\r\n";
};

struct WorldOptions {
  BackendIdentity identity = BackendIdentity::kNone;
  SimBackend backend = SimBackend::kAccept;
  SimOptions io = {};
  std::size_t large_blocks = 64;
  std::size_t small_blocks = 16;
  HealthProbe::SecondHello second_hello = HealthProbe::SecondHello::kSkip;
  Server server = {};
  bool target_known = true;
};

// One probe, one server. Invariant, checked when it goes: nothing in flight, no socket, the pool
// full.
class ProbeWorld {
 public:
  explicit ProbeWorld(const WorldOptions& options)
      : server_(options.server),
        pool_(std::make_unique<BufferPool>(options.large_blocks, options.small_blocks)),
        io_(std::make_unique<SimIo>(options.io, pool_.get())) {
    Endpoint unused;
    unused.address = SimAddress("127.0.0.1", 10'025);
    unused.length = sizeof unused.address.in;
    Endpoint endpoint;
    endpoint.address = SimAddress("127.0.0.1", 10'026);
    endpoint.length = sizeof endpoint.address.in;
    upstream_.identity = options.identity;
    upstream_.addresses = {unused, options.target_known ? endpoint : Endpoint()};
    io_->SetBackend(endpoint.address, options.backend);
    io_->OnBackendAccept([this](SimPeer peer) {
      backend_ = std::move(peer);
      greeted_ = over_ = false;
      pending_.clear();
      backend_.OnChange([this] { Serve(); });
      Serve();
    });
    probe_ = std::make_unique<HealthProbe>(io_.get(), pool_.get(), &upstream_, "mx.test",
                                           options.second_hello, kUserData);
  }

  ~ProbeWorld() {
    probe_->Stop();
    EXPECT_TRUE(Until([this] { return probe_->idle(); }, kNsPerSecond));
    EXPECT_LT(probe_->deadline(), 0);
    backend_ = SimPeer();
    EXPECT_EQ(io_->in_flight(), 0u);
    EXPECT_EQ(io_->open_sockets(), 0u);
    probe_.reset();
    io_.reset();
    EXPECT_EQ(pool_->free_count(BlockSize::kLarge), pool_->total_count(BlockSize::kLarge));
    EXPECT_EQ(pool_->free_count(BlockSize::kSmall), pool_->total_count(BlockSize::kSmall));
  }

  void Start(std::size_t header_octets = kProxyHeaderMax) {
    probe_->Start(1, header_octets, io_->Now() + kPatience);
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
  ProbeResult Finish() {
    EXPECT_TRUE(Until([this] { return probe_->idle(); }, 100 * kNsPerSecond));
    EXPECT_EQ(results_.size(), 1u);
    return results_.empty() ? ProbeResult{} : results_.front();
  }

  [[nodiscard]] HealthProbe& probe() { return *probe_; }
  [[nodiscard]] SimIo& io() { return *io_; }
  [[nodiscard]] BufferPool& pool() { return *pool_; }
  [[nodiscard]] SimPeer& backend() { return backend_; }
  [[nodiscard]] Server& server() { return server_; }
  [[nodiscard]] const std::string& heard() const { return heard_; }
  [[nodiscard]] const std::vector<ProbeResult>& results() const { return results_; }
  [[nodiscard]] int notices() const { return notices_; }

 private:
  void Note() {
    if (const ProbeResult result = probe_->TakeResult(); result.kind != Kind::kNone) {
      results_.push_back(result);
    }
    notices_ += probe_->TakeNotice() ? 1 : 0;
  }

  void Serve() {
    const std::string octets = backend_.Read();
    heard_ += octets;
    pending_ += octets;
    if (!greeted_ && !Greets()) {
      return;
    }
    for (std::size_t end = 0; !over_ && (end = pending_.find('\n')) != std::string::npos;) {
      const std::string line = pending_.substr(0, end + 1);
      pending_.erase(0, end + 1);
      const auto known = server_.replies.find(line.substr(0, line.find_first_of(" \r\n")));
      backend_.Write(known != server_.replies.end() ? known->second : server_.to_unknown);
      over_ = line.starts_with("QUIT");
    }
    if (over_ || backend_.ended()) {
      over_ = true;
      backend_.Close();
    }
  }

  bool Greets() {
    const bool header = upstream_.sends_proxy_header() && server_.waits_for_header;
    if (header) {
      const ProxyHeader parsed = ParseProxyHeader(pending_);
      if (parsed.result != ProxyParse::kComplete) {
        return false;
      }
      pending_.erase(0, std::min(parsed.length, server_.header_max));
    }
    greeted_ = true;
    backend_.Write(server_.greeting);
    return true;
  }

  Server server_;
  UpstreamConfig upstream_;
  std::unique_ptr<BufferPool> pool_;
  std::unique_ptr<SimIo> io_;
  std::unique_ptr<HealthProbe> probe_;
  SimPeer backend_;
  std::string pending_;
  std::string heard_;
  std::vector<ProbeResult> results_;
  int notices_ = 0;
  bool greeted_ = false;
  bool over_ = false;
};

std::string HeaderOf(BackendIdentity identity, std::size_t octets) {
  std::array<char, kProxyHeaderMax> header;
  switch (identity) {
    case BackendIdentity::kProxyV2:
      return {header.data(), WriteProxyV2Local(header, octets)};
    case BackendIdentity::kProxyV1:
      return std::string(kProxyV1Own);
    default:
      return {};
  }
}

// PROTOCOL 37
TEST(HealthProbeTest, SaysThatItIsTheProxyItselfAndAsksForNothingElse) {
  const std::map<BackendIdentity, std::string> asked = {
      {BackendIdentity::kProxyV2, "NOOP\r\n"},
      {BackendIdentity::kProxyV1, "NOOP\r\n"},
      {BackendIdentity::kNone, "EHLO mx.test\r\n"},
  };
  for (const auto& [identity, command] : asked) {
    ProbeWorld world({.identity = identity});
    const TimeNs began = world.io().Now();
    world.Start();
    const ProbeResult result = world.Finish();
    EXPECT_EQ(result.kind, Kind::kProven);
    EXPECT_EQ(result.fault, ProbeFault::kNone);
    EXPECT_EQ(result.words, "220 mx.example.test ESMTP");
    EXPECT_EQ(world.heard(), HeaderOf(identity, kProxyHeaderMax) + command + "QUIT\r\n");
    EXPECT_FALSE(world.backend().was_reset());
    EXPECT_LT(world.io().Now() - began, kNsPerSecond);
    EXPECT_EQ(world.probe().address(), 1u);
    EXPECT_EQ(world.notices(), 0);
  }
}

// RFC 5321 3.2: a server that knows no EHLO is a mail server all the same.
TEST(HealthProbeTest, TakesAServerThatKnowsHeloOnly) {
  ProbeWorld world({});
  world.server().replies["EHLO"] = "502 5.5.1 what?\r\n";
  world.server().replies["HELO"] = "250 mx.example.test\r\n";
  world.Start();
  EXPECT_EQ(world.Finish().kind, Kind::kProven);
  EXPECT_EQ(world.heard(), "EHLO mx.test\r\nHELO mx.test\r\nQUIT\r\n");
}

// It may judge the name, which is not a client's.
TEST(HealthProbeTest, TakesAServerThatDislikesItsName) {
  for (const std::string reply : {"550 5.7.1 that is me\r\n", "450 4.7.1 no such host\r\n"}) {
    ProbeWorld world({});
    world.server().replies["EHLO"] = reply;
    world.Start();
    EXPECT_EQ(world.Finish().kind, Kind::kProven);
    EXPECT_EQ(world.heard(), "EHLO mx.test\r\nQUIT\r\n");
  }
}

TEST(HealthProbeTest, TakesXclientAtItsWord) {
  ProbeWorld world({.identity = BackendIdentity::kXclient});
  world.Start();
  EXPECT_EQ(world.Finish().kind, Kind::kProven);
  EXPECT_EQ(world.heard(), "EHLO mx.test\r\nXCLIENT PORT=25 ADDR=127.0.0.1\r\nNOOP\r\nQUIT\r\n");
}

TEST(HealthProbeTest, CanBeStartedAgain) {
  ProbeWorld world({});
  for (std::size_t round = 1; round <= 3; ++round) {
    world.server().greeting = round == 2 ? "421 not now\r\n" : "220 ready\r\n";
    world.Start();
    EXPECT_TRUE(world.Until([&] { return world.probe().idle(); }, kPatience));
    ASSERT_EQ(world.results().size(), round);
    EXPECT_EQ(world.results().back().kind, round == 2 ? Kind::kFailed : Kind::kProven);
  }
}

TEST(HealthProbeTest, DoesNotWaitLongForABackendThatDoesNotClose) {
  ProbeWorld world({});
  world.server().replies["QUIT"] = "";
  world.Start();
  const TimeNs began = world.io().Now();
  EXPECT_EQ(world.Finish().kind, Kind::kProven);
  EXPECT_LT(world.io().Now() - began, 6 * kNsPerSecond);
}

struct FaultCase {
  std::string_view name;
  BackendIdentity identity;
  std::function<void(Server&)> set_up;
  Kind kind;
  ProbeFault fault;
  std::string_view words;
};

// Each server that is not set up for its identity, in the ways in which real ones behave.
TEST(HealthProbeTest, SeesWhatIsWrong) {
  constexpr auto kV2 = BackendIdentity::kProxyV2;
  constexpr auto kV1 = BackendIdentity::kProxyV1;
  constexpr auto kXclient = BackendIdentity::kXclient;
  constexpr auto kNoIdentity = BackendIdentity::kNone;
  const auto reply = [](std::string verb, std::string text) {
    return [verb = std::move(verb), text = std::move(text)](Server& server) {
      server.replies[verb] = text;
    };
  };
  const auto greeting = [](std::string text) {
    return [text = std::move(text)](Server& server) { server.greeting = text; };
  };
  const std::vector<FaultCase> cases = {
      {"greets at once", kV2, [](Server& server) { server.waits_for_header = false; },
       Kind::kRefuted, ProbeFault::kGreetsUntold, "220 mx.example.test ESMTP"},
      {"greets at once", kV1, [](Server& server) { server.waits_for_header = false; },
       Kind::kRefuted, ProbeFault::kGreetsUntold, "220 mx.example.test ESMTP"},
      {"reads the header as commands", kV1, [](Server& server) { server.header_max = 0; },
       Kind::kRefuted, ProbeFault::kUnaskedReply, "502 5.5.2 Error: command not recognized"},
      {"reads the header as commands", kV2, [](Server& server) { server.header_max = 0; },
       Kind::kRefuted, ProbeFault::kUnaskedReply, "502 5.5.2 Error: command not recognized"},
      {"reads the end of the header as commands", kV2,
       [](Server& server) {
         server.header_max = 232;
         server.replies["NOOP"] = "501 NUL characters are not allowed\r\n";
       },
       Kind::kRefuted, ProbeFault::kNoopRefused, ""},
      {"answers NOOP twice", kV1, reply("NOOP", "502 5.5.2 PROXY?\r\n250 Ok\r\n"), Kind::kRefuted,
       ProbeFault::kNoopRefused, "502 5.5.2 PROXY?"},
      {"answers EHLO twice", kNoIdentity, reply("EHLO", "250 Ok\r\n250 Ok\r\n"), Kind::kRefuted,
       ProbeFault::kUnaskedReply, "250 Ok"},
      {"waits for a header", kNoIdentity,
       [](Server& server) {
         server.replies.clear();
         server.to_unknown = "503 Command refused, required Proxy negotiation failed\r\n";
       },
       Kind::kRefuted, ProbeFault::kHelloRefused,
       "503 Command refused, required Proxy negotiation failed"},
      {"speaks LMTP", kNoIdentity, reply("EHLO", "500 5.5.1 Unknown command\r\n"), Kind::kRefuted,
       ProbeFault::kHelloRefused, "502 5.5.2 Error: command not recognized"},
      {"is busy", kV2, greeting("421 4.3.2 too busy\r\n"), Kind::kFailed, ProbeFault::kNotReady,
       "421 4.3.2 too busy"},
      {"says no", kNoIdentity, greeting("554 5.7.1 no\r\n"), Kind::kFailed, ProbeFault::kNotReady,
       "554 5.7.1 no"},
      {"is no server", kV2, greeting("* BAD Invalid PROXY header\r\n"), Kind::kRefuted,
       ProbeFault::kNotSmtp, "* BAD Invalid PROXY header"},
      {"speaks TLS", kNoIdentity, greeting(std::string("\x15\x03\x03\0\x02\x02\x0a", 7)),
       Kind::kRefuted, ProbeFault::kNotSmtp, "??????"},
      {"greets with 250", kNoIdentity, greeting("250 \"hello\"\r\n"), Kind::kRefuted,
       ProbeFault::kNotSmtp, "250 'hello'"},
      {"greets in LF", kNoIdentity, greeting("220 ready\n"), Kind::kRefuted, ProbeFault::kNotSmtp,
       "220 ready"},
      {"has no XCLIENT", kXclient, reply("EHLO", "250-mx\r\n250 PIPELINING\r\n"), Kind::kRefuted,
       ProbeFault::kNoXclient, ""},
      {"has XCLIENT without ADDR", kXclient, reply("EHLO", "250-mx\r\n250 XCLIENT NAME\r\n"),
       Kind::kRefuted, ProbeFault::kNoXclient, ""},
      {"refuses EHLO", kXclient, reply("EHLO", "502 what\r\n"), Kind::kRefuted,
       ProbeFault::kNoXclient, "502 what"},
      {"refuses XCLIENT", kXclient, reply("XCLIENT", "550 5.7.0 insufficient authorization\r\n"),
       Kind::kRefuted, ProbeFault::kXclientRefused, "550 5.7.0 insufficient authorization"},
      {"never ends its greeting", kNoIdentity,
       [](Server& server) {
         server.greeting.clear();
         for (int line = 0; line < 2'000; ++line) {
           server.greeting += "220-welcome\r\n";
         }
       },
       Kind::kRefuted, ProbeFault::kNotSmtp, "220-welcome"},
  };
  for (const FaultCase& each : cases) {
    for (const std::size_t recv_max : {std::size_t{0}, std::size_t{1}}) {
      SCOPED_TRACE(std::string(each.name) + ", " + std::string(BackendIdentityName(each.identity)) +
                   (recv_max == 1 ? " (slow)" : ""));
      ProbeWorld world({.identity = each.identity, .io = {.faults = {.recv_max = recv_max}}});
      each.set_up(world.server());
      world.Start();
      const ProbeResult result = world.Finish();
      EXPECT_EQ(result.kind, each.kind);
      // What comes in one segment may be seen together, or one behind the other.
      if (recv_max == 0 || result.fault == each.fault) {
        EXPECT_EQ(result.fault, each.fault);
        if (!each.words.empty() && recv_max == 0) {
          EXPECT_EQ(result.words, each.words);
        }
      }
    }
  }
}

TEST(HealthProbeTest, FindsOutHowLongAHeaderMayBe) {
  for (const std::size_t octets : {std::size_t{16}, kProxyHeaderBareMax, std::size_t{107}}) {
    ProbeWorld world({.identity = BackendIdentity::kProxyV2});
    world.server().header_max = 107;
    world.Start(octets);
    const ProbeResult result = world.Finish();
    EXPECT_EQ(result.kind, Kind::kProven);
    EXPECT_EQ(result.header_octets, octets);
    EXPECT_TRUE(world.heard().starts_with(HeaderOf(BackendIdentity::kProxyV2, octets)));
  }
}

TEST(HealthProbeTest, SeesThatASecondHelloIsRefused) {
  for (const bool refused : {false, true}) {
    ProbeWorld world({.second_hello = HealthProbe::SecondHello::kAsk});
    world.Start();
    ASSERT_TRUE(
        world.Until([&] { return world.heard().ends_with("EHLO mx.test\r\n"); }, kPatience));
    if (refused) {
      world.server().replies["EHLO"] = "503 5.5.1 Already identified\r\n";
    }
    const ProbeResult result = world.Finish();
    EXPECT_EQ(result.kind, Kind::kProven);
    EXPECT_EQ(result.refuses_second_hello, refused);
    EXPECT_EQ(world.heard(), "EHLO mx.test\r\nEHLO mx.test\r\nQUIT\r\n");
  }
}

// It is named after 10 s, and may still greet: some servers wait on purpose.
TEST(HealthProbeTest, ASlowGreetingIsNoticedAndWaitedFor) {
  for (const BackendIdentity identity : {BackendIdentity::kNone, BackendIdentity::kProxyV2}) {
    ProbeWorld world({.identity = identity});
    world.server().greeting.clear();
    world.io().After(30 * kNsPerSecond, [&] {
      EXPECT_EQ(world.notices(), 1);
      world.backend().Write("220 at last\r\n");
    });
    world.Start();
    EXPECT_TRUE(world.Until([&] { return world.notices() > 0; }, kPatience + kNsPerSecond));
    EXPECT_EQ(world.Finish().kind, Kind::kProven);
    EXPECT_EQ(world.notices(), 1);
  }
}

TEST(HealthProbeTest, ASilentBackendFailsInTheEnd) {
  ProbeWorld world({.identity = BackendIdentity::kProxyV2});
  world.server().greeting.clear();
  world.Start();
  const TimeNs began = world.io().Now();
  const ProbeResult result = world.Finish();
  EXPECT_EQ(result.kind, Kind::kFailed);
  EXPECT_EQ(result.fault, ProbeFault::kSilent);
  EXPECT_EQ(world.notices(), 1);
  EXPECT_GE(world.io().Now() - began, HealthProbe::kReplyTimeout);
}

TEST(HealthProbeTest, ARefusedConnectionIsDown) {
  ProbeWorld world({.backend = SimBackend::kRefuse});
  world.Start();
  const ProbeResult result = world.Finish();
  EXPECT_EQ(result.kind, Kind::kFailed);
  EXPECT_EQ(result.error, ECONNREFUSED);
}

TEST(HealthProbeTest, AnUnansweredConnectIsDownAtTheDeadline) {
  ProbeWorld world({.backend = SimBackend::kSilent});
  const TimeNs began = world.io().Now();
  world.Start();
  EXPECT_EQ(world.probe().deadline(), began + kPatience);
  const ProbeResult result = world.Finish();
  EXPECT_EQ(result.kind, Kind::kFailed);
  EXPECT_EQ(result.error, ETIMEDOUT);
  EXPECT_EQ(world.io().Now(), began + kPatience);
}

TEST(HealthProbeTest, EndAndResetBeforeTheGreetingAreDown) {
  for (const bool reset : {false, true}) {
    for (const std::string_view greeting : {"", "220-ready\r\n220 re"}) {
      ProbeWorld world({.identity = BackendIdentity::kProxyV2});
      world.server().greeting = greeting;
      world.Start();
      EXPECT_TRUE(world.Until([&] { return !world.heard().empty(); }, kPatience));
      reset ? world.backend().Reset() : world.backend().Close();
      const TimeNs began = world.io().Now();
      const ProbeResult result = world.Finish();
      EXPECT_EQ(result.kind, Kind::kFailed);
      EXPECT_EQ(result.fault, ProbeFault::kClosed);
      EXPECT_LT(world.io().Now() - began, kNsPerSecond);
    }
  }
}

TEST(HealthProbeTest, WithoutADescriptorItIsDown) {
  ProbeWorld world({.io = {.descriptors_max = 0}});
  world.Start();
  EXPECT_TRUE(world.probe().idle());
  // Whoever sleeps until then learns it at once.
  EXPECT_EQ(world.probe().deadline(), world.io().Now());
  world.Turn(kNsPerSecond);
  const ProbeResult result = world.Finish();
  EXPECT_EQ(result.fault, ProbeFault::kNoSocket);
  EXPECT_EQ(result.error, EMFILE);
  EXPECT_LT(world.probe().deadline(), 0);
}

TEST(HealthProbeTest, ANameWithoutAddressesIsDown) {
  ProbeWorld world({.target_known = false});
  world.Start();
  EXPECT_TRUE(world.probe().idle());
  EXPECT_EQ(world.probe().deadline(), world.io().Now());
  world.Turn(kNsPerSecond);
  const ProbeResult result = world.Finish();
  EXPECT_EQ(result.kind, ProbeResult::Kind::kFailed);
  EXPECT_EQ(result.fault, ProbeFault::kNoAddress);
}

// Sessions hold all blocks for a while: it tries again and finds the backend up.
TEST(HealthProbeTest, WaitsForBlocks) {
  ProbeWorld world({.identity = BackendIdentity::kProxyV2});
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
  world.Start();
  EXPECT_EQ(world.Finish().kind, Kind::kProven);
  EXPECT_TRUE(world.heard().starts_with(HeaderOf(BackendIdentity::kProxyV2, kProxyHeaderMax)));
}

// Being asked more often than needed does not make it spin while there are no blocks.
TEST(HealthProbeTest, WaitsForBlocksWhateverTheTime) {
  ProbeWorld world({.io = {.faults = {.no_buffers = 10'000}}});
  world.Start();
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
    world.Start();
    EXPECT_EQ(world.Finish().kind, Kind::kProven) << "seed " << seed;
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
      world.Start();
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
  world.Start();
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
    world.Start();
    EXPECT_NE(world.Finish().kind, Kind::kNone);
  }
}

}  // namespace
}  // namespace ringpost
