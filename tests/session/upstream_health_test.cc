// SPDX-License-Identifier: GPL-3.0-or-later
//
// Each case is a table of events and what is answered to them, in order.
#include "ringpost/session/upstream_health.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace ringpost {
namespace {

enum class Event { kPick, kFailed, kSuspected, kSucceeded, kTake, kNext };

constexpr TimeNs kMs = kNsPerMs;
constexpr int kNone = -1;  // no address, no time

// `at` is the time in ms, or for kPick the addresses that were tried. `expected` is an address, a
// time in ms, or for kFailed and kSucceeded 1 where it is news.
struct Row {
  Event event;
  std::size_t address;
  int at;
  int expected;
};

void Play(std::size_t addresses, const std::vector<Row>& rows) {
  UpstreamHealth health(addresses);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    int got = kNone;
    switch (row.event) {
      case Event::kPick:
        if (const auto picked = health.Pick(static_cast<std::uint64_t>(row.at))) {
          got = static_cast<int>(*picked);
        }
        break;
      case Event::kFailed:
        got = health.Failed(row.address, row.at * kMs) ? 1 : 0;
        EXPECT_TRUE(health.down(row.address)) << "row " << i;
        break;
      case Event::kSuspected:
        health.Suspected(row.address, row.at * kMs);
        break;
      case Event::kSucceeded:
        got = health.Succeeded(row.address) ? 1 : 0;
        EXPECT_FALSE(health.down(row.address)) << "row " << i;
        break;
      case Event::kTake:
        if (const auto taken = health.TakeDueProbe(row.at * kMs)) {
          got = static_cast<int>(*taken);
        }
        break;
      case Event::kNext:
        if (const auto next = health.NextProbe()) {
          got = static_cast<int>(*next / kMs);
        }
        break;
    }
    EXPECT_EQ(got, row.expected) << "row " << i;
  }
}

TEST(UpstreamHealthTest, PicksInOrderAndTheDownLast) {
  Play(3, {
              {Event::kPick, 0, 0b000, 0},
              {Event::kPick, 0, 0b001, 1},
              {Event::kPick, 0, 0b011, 2},
              {Event::kPick, 0, 0b111, kNone},
              {Event::kFailed, 0, 0, 1},
              {Event::kPick, 0, 0b000, 1},
              {Event::kPick, 0, 0b010, 2},
              {Event::kPick, 0, 0b110, 0},
              {Event::kPick, 0, 0b111, kNone},
              {Event::kFailed, 1, 0, 1},
              {Event::kFailed, 2, 0, 1},
              // Being wrong about all of them costs nothing.
              {Event::kPick, 0, 0b000, 0},
              {Event::kPick, 0, 0b001, 1},
              {Event::kSucceeded, 2, 0, 1},
              {Event::kPick, 0, 0b000, 2},
          });
}

TEST(UpstreamHealthTest, ASuspectIsProbedAndStaysUpUntilTheProbeSaysOtherwise) {
  Play(2, {
              {Event::kSuspected, 0, 100, kNone},
              {Event::kPick, 0, 0b00, 0},
              {Event::kNext, 0, 0, 100},
              {Event::kTake, 0, 100, 0},
              {Event::kSuspected, 0, 110, kNone},  // under way
              {Event::kNext, 0, 0, kNone},
              {Event::kSucceeded, 0, 0, 0},
              {Event::kSuspected, 0, 120, kNone},  // not more often than once a second
              {Event::kNext, 0, 0, 1'100},
              {Event::kTake, 0, 1'099, kNone},
              {Event::kTake, 0, 1'100, 0},
              {Event::kFailed, 0, 1'110, 1},
              {Event::kPick, 0, 0b00, 1},
              {Event::kSuspected, 0, 1'120, kNone},
              {Event::kNext, 0, 0, 2'110},
          });
}

TEST(UpstreamHealthTest, SaysOnceThatAnAddressWentDownOrCameBack) {
  Play(1, {
              {Event::kSucceeded, 0, 0, 0},
              {Event::kFailed, 0, 0, 1},
              {Event::kFailed, 0, 0, 0},
              {Event::kSucceeded, 0, 0, 1},
              {Event::kSucceeded, 0, 0, 0},
              {Event::kFailed, 0, 0, 1},
          });
}

TEST(UpstreamHealthTest, TheBackoffDoublesUpToAMinuteAndBeginsAnew) {
  std::vector<Row> rows = {{Event::kNext, 0, 0, kNone}, {Event::kFailed, 0, 500, 1}};
  int now = 500;
  for (const int backoff : {1'000, 2'000, 4'000, 8'000, 16'000, 32'000, 60'000, 60'000, 60'000}) {
    rows.push_back({Event::kNext, 0, 0, now + backoff});
    rows.push_back({Event::kTake, 0, now + backoff - 1, kNone});
    now += backoff;
    rows.push_back({Event::kTake, 0, now, 0});
    rows.push_back({Event::kNext, 0, 0, kNone});
    rows.push_back({Event::kTake, 0, now + 100'000, kNone});  // under way
    now += 5;
    rows.push_back({Event::kFailed, 0, now, 0});
  }
  rows.push_back({Event::kSucceeded, 0, 0, 1});
  rows.push_back({Event::kNext, 0, 0, kNone});
  rows.push_back({Event::kTake, 0, now + 1'000'000, kNone});
  rows.push_back({Event::kFailed, 0, now, 1});
  rows.push_back({Event::kNext, 0, 0, now + 1'000});
  Play(1, rows);
}

TEST(UpstreamHealthTest, SessionsThatFailDoNotPutOffTheProbe) {
  Play(1, {
              {Event::kFailed, 0, 0, 1},
              {Event::kFailed, 0, 900, 0},
              {Event::kFailed, 0, 950, 0},
              {Event::kNext, 0, 0, 1'000},
              {Event::kTake, 0, 1'000, 0},
              {Event::kFailed, 0, 1'001, 0},
              {Event::kNext, 0, 0, 3'001},
          });
}

TEST(UpstreamHealthTest, ASessionMayFindItUpWhileItIsProbed) {
  Play(1, {
              {Event::kFailed, 0, 0, 1},
              {Event::kTake, 0, 1'000, 0},
              {Event::kSucceeded, 0, 0, 1},
              {Event::kNext, 0, 0, kNone},
              {Event::kSucceeded, 0, 0, 0},  // the probe's own
          });
}

TEST(UpstreamHealthTest, ProbesTheLongestOverdueFirst) {
  Play(3, {
              {Event::kFailed, 2, 0, 1},
              {Event::kFailed, 0, 10, 1},
              {Event::kNext, 0, 0, 1'000},
              {Event::kTake, 0, 1'010, 2},
              {Event::kNext, 0, 0, 1'010},
              {Event::kTake, 0, 1'010, 0},
              {Event::kTake, 0, 1'010, kNone},
          });
}

// `tried` has a bit for each of 64 addresses: one without a bit would be picked for ever.
TEST(UpstreamHealthTest, NeverPicksWhatCannotBeMarkedAsTried) {
  const UpstreamHealth health(70);
  std::uint64_t tried = 0;
  for (std::size_t expected = 0; expected < 64; ++expected) {
    ASSERT_EQ(health.Pick(tried), std::optional(expected));
    tried |= std::uint64_t{1} << expected;
  }
  EXPECT_EQ(health.Pick(tried), std::nullopt);
}

TEST(UpstreamHealthTest, NoAddressesNoPick) {
  UpstreamHealth health(0);
  EXPECT_EQ(health.Pick(0), std::nullopt);
  EXPECT_EQ(health.TakeDueProbe(0), std::nullopt);
  EXPECT_EQ(health.NextProbe(), std::nullopt);
}

}  // namespace
}  // namespace ringpost
