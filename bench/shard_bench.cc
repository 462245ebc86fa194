// SPDX-License-Identifier: GPL-3.0-or-later
//
// Whole sessions without the kernel: the shard, its sessions, relay and TLS on the simulated one.
// Only the time in which the shard is at work counts, neither what the simulated kernel does nor
// its filling of the ring's queue; two readings of the clock for each call into it are in the
// figures.
#include <benchmark/benchmark.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "scenario.h"

namespace ringpost::bench {
namespace {

using Tls = Scenario::Tls;

class Stopwatch final : public SimWire {
 public:
  // Since the last call.
  double TakeSeconds() { return std::exchange(seconds_, 0.0); }
  void Opened(int, From, const SocketAddress&) override {}
  void Sent(int, std::string_view) override {}
  void Received(int, std::string_view) override {}
  void InShard(bool inside) override {
    const auto now = std::chrono::steady_clock::now();
    if (inside) {
      started_ = now;
    } else {
      seconds_ += std::chrono::duration<double>(now - started_).count();
    }
  }

 private:
  std::chrono::steady_clock::time_point started_;
  double seconds_ = 0;
};

void StopIfFailed() {
  if (FailedExpectations()) {
    std::fprintf(stderr, "shard_bench: a session went wrong\n");
    std::exit(1);
  }
}

// Set-up, greeting, EHLO, QUIT, tear-down.
// How many are needed for a figure; the simulated world remembers each client.
constexpr std::int64_t kSessions = 2'000;

void SessionBench(benchmark::State& state, Tls tls) {
  Stopwatch stopwatch;
  Scenario scenario(&stopwatch);
  if (tls == Tls::kResumed) {
    scenario.Begin(Tls::kFull);
    scenario.End();
  }
  (void)stopwatch.TakeSeconds();
  for (auto _ : state) {
    scenario.Begin(tls);
    scenario.End();
    state.SetIterationTime(stopwatch.TakeSeconds());
  }
  StopIfFailed();
}
BENCHMARK_CAPTURE(SessionBench, plain, Tls::kNone)
    ->Iterations(kSessions)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(SessionBench, starttls, Tls::kFull)
    ->Iterations(kSessions)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(SessionBench, resumed, Tls::kResumed)
    ->Iterations(kSessions)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

// Messages in one open session, by size; octets per second of content.
void MessageBench(benchmark::State& state, Tls tls) {
  Stopwatch stopwatch;
  Scenario scenario(&stopwatch);
  const std::string text = MessageText(static_cast<std::size_t>(state.range(0)));
  scenario.Begin(tls);
  (void)stopwatch.TakeSeconds();
  for (auto _ : state) {
    scenario.Message(text);
    state.SetIterationTime(stopwatch.TakeSeconds());
  }
  scenario.End();
  StopIfFailed();
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK_CAPTURE(MessageBench, plain, Tls::kNone)
    ->Arg(1'000)
    ->Arg(10'000)
    ->Arg(1'000'000)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(MessageBench, tls, Tls::kFull)
    ->Arg(1'000)
    ->Arg(10'000)
    ->Arg(1'000'000)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace ringpost::bench

int main(int argc, char** argv) {
  int one = 1;
  testing::InitGoogleTest(&one, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    return 1;
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
