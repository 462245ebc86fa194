// SPDX-License-Identifier: GPL-3.0-or-later
//
// Each dialogue is played whole, octet by octet, and under seeded faults that lose nothing: short
// receives and sends, completions late and in any order, no blocks. SIM_SEED=n plays that seed
// only.
#include "dialogue.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace ringpost {
namespace {

constexpr std::uint64_t kSeeds = 8;

class SessionDialogueTest : public testing::TestWithParam<Dialogue> {};

TEST_P(SessionDialogueTest, Whole) { Play(GetParam(), SimOptions{}); }

TEST_P(SessionDialogueTest, OctetByOctet) {
  if (GetParam().split) {
    SimOptions io;
    io.faults.recv_max = 1;
    Play(GetParam(), io);
  }
}

TEST_P(SessionDialogueTest, UnderFaults) {
  if (!GetParam().split || !GetParam().faults) {
    return;
  }
  std::uint64_t first = 1;
  std::uint64_t last = kSeeds;
  if (const char* seed = std::getenv("SIM_SEED")) {
    first = last = std::strtoull(seed, nullptr, 10);
  }
  for (std::uint64_t seed = first; seed <= last && !HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "replay with SIM_SEED=" << seed);
    const SimFaults faults{.short_recv = 4'000,
                           .short_send = 4'000,
                           .delay = 4'000,
                           .delay_max = 5 * kNsPerMs,
                           .no_buffers = 500,
                           .cancel_late = 5'000,
                           .shuffle = true};
    Play(GetParam(), {.seed = seed, .faults = faults});
  }
}

INSTANTIATE_TEST_SUITE_P(Dialogues, SessionDialogueTest, testing::ValuesIn(LoadDialogues()),
                         [](const auto& parameter) { return parameter.param.name; });

TEST(SessionDialogueFilesTest, AreFound) { EXPECT_GT(LoadDialogues().size(), 10u); }

}  // namespace
}  // namespace ringpost
