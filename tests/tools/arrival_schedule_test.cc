// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/arrival_schedule.h"

#include <gtest/gtest.h>

#include <limits>

namespace ringpost {
namespace {

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

TEST(ArrivalScheduleTest, FirstIsDueAtOnceThenAtEqualDistances) {
  const ArrivalSchedule schedule(1000, 4, kNoLimit);
  EXPECT_EQ(schedule.TimeOf(0), 1000);
  EXPECT_EQ(schedule.TimeOf(1), 1000 + kNsPerSecond / 4);
  EXPECT_EQ(schedule.DueCount(999), 0u);
  EXPECT_EQ(schedule.DueCount(1000), 1u);
  EXPECT_EQ(schedule.DueCount(1000 + kNsPerSecond / 4 - 1), 1u);
  EXPECT_EQ(schedule.DueCount(1000 + kNsPerSecond / 4), 2u);
  EXPECT_EQ(schedule.DueCount(1000 + kNsPerSecond), 5u);
}

TEST(ArrivalScheduleTest, NothingIsDueBeforeItsTime) {
  const ArrivalSchedule schedule(0, 3, kNoLimit);
  EXPECT_EQ(schedule.TimeOf(1), 333'333'334);
  EXPECT_EQ(schedule.TimeOf(2), 666'666'667);
}

// A rate that no binary fraction can hold: after an hour not one arrival too many or too few.
TEST(ArrivalScheduleTest, RoundingDoesNotAddUp) {
  for (const double rate : {3.0, 7.0, 999.0, 3333.0, 12345.0}) {
    const ArrivalSchedule schedule(0, rate, kNoLimit);
    const auto hour = static_cast<std::uint64_t>(rate * 3600);
    EXPECT_EQ(schedule.TimeOf(hour), 3600 * kNsPerSecond) << rate;
    EXPECT_EQ(schedule.DueCount(3600 * kNsPerSecond), hour + 1) << rate;
    EXPECT_EQ(schedule.DueCount(3600 * kNsPerSecond - 1), hour) << rate;
  }
}

TEST(ArrivalScheduleTest, DueCountAndTimeOfAgree) {
  const ArrivalSchedule schedule(17, 1234.5, kNoLimit);
  for (std::uint64_t number = 0; number < 5000; ++number) {
    const TimeNs time = schedule.TimeOf(number);
    ASSERT_EQ(schedule.DueCount(time), number + 1);
    ASSERT_EQ(schedule.DueCount(time - 1), number);
  }
}

// A stall of one second: all that were due in it keep the times they were due at.
TEST(ArrivalScheduleTest, AStallIsSeenInTheScheduledTimes) {
  ArrivalSchedule schedule(0, 10, kNoLimit);
  TimeNs scheduled = -1;
  ASSERT_TRUE(schedule.TakeDue(0, &scheduled));
  EXPECT_EQ(scheduled, 0);
  EXPECT_FALSE(schedule.TakeDue(kNsPerSecond / 10 - 1, &scheduled));
  EXPECT_EQ(schedule.Backlog(kNsPerSecond), 10u);
  for (int i = 1; i <= 10; ++i) {
    ASSERT_TRUE(schedule.TakeDue(kNsPerSecond, &scheduled));
    EXPECT_EQ(scheduled, i * kNsPerSecond / 10);
  }
  EXPECT_FALSE(schedule.TakeDue(kNsPerSecond, &scheduled));
  EXPECT_EQ(schedule.Backlog(kNsPerSecond), 0u);
  EXPECT_EQ(schedule.taken(), 11u);
}

TEST(ArrivalScheduleTest, UntilNext) {
  ArrivalSchedule schedule(0, 10, 2);
  TimeNs scheduled = 0;
  EXPECT_EQ(schedule.UntilNext(-5), 5);
  EXPECT_EQ(schedule.UntilNext(3), 0);
  ASSERT_TRUE(schedule.TakeDue(3, &scheduled));
  EXPECT_EQ(schedule.UntilNext(3), kNsPerSecond / 10 - 3);
  ASSERT_TRUE(schedule.TakeDue(kNsPerSecond, &scheduled));
  EXPECT_LT(schedule.UntilNext(kNsPerSecond), 0);  // there are only two
  EXPECT_FALSE(schedule.TakeDue(2 * kNsPerSecond, &scheduled));
  EXPECT_EQ(schedule.DueCount(100 * kNsPerSecond), 2u);
  EXPECT_EQ(schedule.Backlog(100 * kNsPerSecond), 0u);
}

}  // namespace
}  // namespace ringpost
