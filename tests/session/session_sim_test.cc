// SPDX-License-Identifier: GPL-3.0-or-later
//
// The simulation's first seeds (simulation.h says what they must show), that they reach what they
// are for, and that a seed is the same run wherever and whenever it is played. The program that
// plays more of them, tests/session/simulate, is this test's argument.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "script.h"
#include "simulation.h"

namespace ringpost {
namespace {

constexpr std::uint64_t kSeeds = 500;

// The program to run for a person, and for the test of two processes.
const char* g_simulate = "tests/session/simulate";

std::string Joined(const SimulationResult& result) {
  std::string text;
  for (const std::string& failure : result.failures) {
    text += failure + "\n";
  }
  return text;
}

std::uint64_t TraceOf(std::uint64_t seed) {
  SimulationTotals totals;
  const SimulationResult result = Simulate(seed, &totals);
  EXPECT_TRUE(result.failures.empty()) << "seed " << seed << "\n" << Joined(result);
  return result.trace;
}

TEST(SessionSimTest, RandomSessions) {
  SimulationTotals totals;
  for (std::uint64_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    const SimulationResult result = Simulate(seed, &totals);
    EXPECT_TRUE(result.failures.empty())
        << Joined(result) << "play it again with: " << g_simulate << " --seed=" << seed;
  }
  // The seeds reach what they are for.
  EXPECT_GT(totals.completed, 500u);
  EXPECT_GT(totals.messages_accepted, 500u);
  EXPECT_GT(totals.handshakes, 300u);
  EXPECT_GT(totals.resumed, 3u);
  EXPECT_GT(totals.refused, 3u);
  EXPECT_GT(totals.accept_pauses, 3u);
  EXPECT_GT(totals.probes, 0u);
  EXPECT_GT(totals.library_allocations_failed, 3u);
  EXPECT_GT(totals.object_allocations_failed, 3u);
  const auto all_met = [](const auto& counts, const char* what) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
      EXPECT_GT(counts[i], 0u) << what << " " << i << " never happens";
    }
  };
  all_met(totals.weathers, "weather");
  all_met(totals.faults, "fault");
  all_met(totals.rogues, "backend's broken rule");
  all_met(totals.mischiefs, "client's broken rule");
  EXPECT_GT(totals.egress.completed, 100u);
  EXPECT_GT(totals.egress.acknowledged, 100u);
  EXPECT_GT(totals.egress.in_tls, 100u);
  EXPECT_GT(totals.egress.held, 50u);
  all_met(totals.egress.faults, "fault of a partner's server");
  int reasons = 0;
  for (const std::uint64_t count : totals.reasons) {
    reasons += count > 0 ? 1 : 0;
  }
  EXPECT_GE(reasons, kCloseReasonCount - 5) << Describe(totals);
}

TEST(SessionSimTest, ASeedIsTheSameRunInAnyOrder) {
  constexpr std::array<std::uint64_t, 8> kSome = {3, 5, 7, 12, 25, 40, 63, 104};
  std::vector<std::uint64_t> forwards;
  for (const std::uint64_t seed : kSome) {
    forwards.push_back(TraceOf(seed));
  }
  for (std::size_t i = kSome.size(); i > 0; --i) {
    EXPECT_EQ(TraceOf(kSome[i - 1]), forwards[i - 1]) << "seed " << kSome[i - 1];
  }
  for (std::size_t i = 1; i < forwards.size(); ++i) {
    EXPECT_NE(forwards[i], forwards[i - 1]);
  }
}

TEST(SessionSimTest, ASeedIsTheSameRunInAnotherProcess) {
  // Some with TLS, some with tickets, some with allocations that fail, some with none of them.
  for (std::uint64_t seed = 20; seed < 30; ++seed) {
    const std::string command = std::string(g_simulate) + " --seed=" + std::to_string(seed);
    FILE* const pipe = popen(command.c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    std::string said;
    std::array<char, 4'096> part;
    for (std::size_t n = 0; (n = fread(part.data(), 1, part.size(), pipe)) > 0;) {
      said.append(part.data(), n);
    }
    EXPECT_EQ(pclose(pipe), 0) << command;
    std::array<char, 32> trace;
    std::snprintf(trace.data(), trace.size(), "trace %016llx",
                  static_cast<unsigned long long>(TraceOf(seed)));
    EXPECT_NE(said.find(trace.data()), std::string::npos) << command << "\n" << said;
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

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc > 1) {
    ringpost::g_simulate = argv[1];
  }
  return RUN_ALL_TESTS();
}
