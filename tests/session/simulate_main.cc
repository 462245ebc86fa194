// SPDX-License-Identifier: GPL-3.0-or-later
//
// simulate [--first=N] [--seeds=N] [--minutes=M]   plays seeds, with its progress on stderr
// simulate --seed=N                                plays one and tells the whole story
//
// Exit code 0 if all oracles were content. A failure names the seed and the one command that plays
// it again, bit for bit; so does a crash.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "simulation.h"

namespace ringpost {
namespace {

// Longer than any seed takes, also under a sanitizer.
constexpr unsigned kSecondsPerSeedMax = 120;
constexpr int kFailuresShown = 10;

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t seeds = 1'000;
  double minutes = 0;  // 0: no limit
  bool one = false;
  bool table = true;
};

// What a signal handler may still print: the command for the seed at hand.
std::array<char, 512> g_replay;
std::string_view g_program;

void SetReplay(std::uint64_t seed) {
  std::snprintf(g_replay.data(), g_replay.size(), "%.*s --seed=%llu\n",
                static_cast<int>(g_program.size()), g_program.data(),
                static_cast<unsigned long long>(seed));
}

void Tell(const char* text) { (void)!write(STDERR_FILENO, text, std::strlen(text)); }

void OnCrash(int signal_number) {
  Tell(signal_number == SIGALRM ? "\nsimulate: this seed does not end; play it again with: "
                                : "\nsimulate: this seed crashed; play it again with: ");
  Tell(g_replay.data());
  _exit(1);
}

template <typename Number>
bool Take(std::string_view argument, std::string_view name, Number* number) {
  if (!argument.starts_with(name)) {
    return false;
  }
  argument.remove_prefix(name.size());
  const auto [end, error] =
      std::from_chars(argument.data(), argument.data() + argument.size(), *number);
  return error == std::errc() && end == argument.data() + argument.size();
}

bool Parse(int count, char** values, Arguments* arguments) {
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = values[i];
    if (Take(argument, "--seed=", &arguments->first)) {
      arguments->seeds = 1;
      arguments->one = true;
    } else if (argument == "--no-table") {
      arguments->table = false;
    } else if (!Take(argument, "--first=", &arguments->first) &&
               !Take(argument, "--seeds=", &arguments->seeds) &&
               !Take(argument, "--minutes=", &arguments->minutes)) {
      std::fprintf(stderr,
                   "simulate: what is %s? There are --first=N --seeds=N --minutes=M --seed=N "
                   "--no-table\n",
                   values[i]);
      return false;
    }
  }
  return true;
}

void Report(std::uint64_t seed, const SimulationResult& result) {
  std::fprintf(stderr, "\nseed %llu failed (%s):\n", static_cast<unsigned long long>(seed),
               DescribeSeed(seed).c_str());
  for (const std::string& failure : result.failures) {
    std::fprintf(stderr, "%s\n", failure.c_str());
  }
  std::fprintf(stderr, "play it again with: %s", g_replay.data());
}

int Run(const Arguments& arguments) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  const auto seconds = [begin] {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  SimulationTotals totals;
  int failures = 0;
  double next_line = 2;
  std::function<void(std::string_view)> print;
  if (arguments.one) {
    setvbuf(stdout, nullptr, _IOLBF, 0);  // what happened before a crash is told
    print = [](std::string_view line) {
      std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
    };
  }
  for (std::uint64_t n = 0; n < arguments.seeds; ++n) {
    const std::uint64_t seed = arguments.first + n;
    SetReplay(seed);
    alarm(kSecondsPerSeedMax);
    const SimulationResult result = Simulate(seed, &totals, print);
    if (!result.failures.empty()) {
      if (++failures <= kFailuresShown) {
        Report(seed, result);
      }
    }
    if (arguments.one) {
      std::printf("trace %016llx\n", static_cast<unsigned long long>(result.trace));
    }
    const double now = seconds();
    if (now >= next_line) {
      next_line = now + (isatty(STDERR_FILENO) != 0 ? 1 : 20);
      std::fprintf(stderr, "%llu of %llu seeds (from %llu), %.0f/s, %d failed, %.0f s\n",
                   static_cast<unsigned long long>(n + 1),
                   static_cast<unsigned long long>(arguments.seeds),
                   static_cast<unsigned long long>(arguments.first),
                   static_cast<double>(n + 1) / now, failures, now);
    }
    if (arguments.minutes > 0 && now > arguments.minutes * 60) {
      break;
    }
  }
  alarm(0);
  if (arguments.table && !arguments.one) {
    std::printf("%s", Describe(totals).c_str());
  }
  std::printf("%llu seeds, %d failed, %.1f s\n", static_cast<unsigned long long>(totals.seeds),
              failures, seconds());
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace ringpost

int main(int argc, char** argv) {
  ringpost::Arguments arguments;
  ringpost::g_program = argv[0];
  if (!ringpost::Parse(argc, argv, &arguments)) {
    return 2;
  }
  // The oracles are GoogleTest's expectations; their reports are collected, not printed.
  std::array<char*, 2> none = {argv[0], nullptr};
  int one = 1;
  testing::InitGoogleTest(&one, none.data());
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) {
    signal(number, &ringpost::OnCrash);
  }
  return ringpost::Run(arguments);
}
