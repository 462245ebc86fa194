// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace ringpost {
namespace {

using Time = TimerWheel::Time;
constexpr Time kTick = TimerWheel::kTick;
constexpr Time kStart = 12'345 * kTick + 678;

std::vector<TimerWheel::Entry*> Expired(TimerWheel& wheel, Time now) {
  std::vector<TimerWheel::Entry*> expired;
  wheel.Advance(now, [&](TimerWheel::Entry& entry) {
    EXPECT_EQ(entry.slot, TimerWheel::Entry::kIdle);
    expired.push_back(&entry);
  });
  return expired;
}

TEST(TimerWheelTest, ReportsAtMostOneTickLateAndNeverEarly) {
  for (const Time delay : {Time{0}, Time{1}, kTick - 1, kTick, kTick + 1, 511 * kTick, 512 * kTick,
                           513 * kTick, 5'000 * kTick + 17}) {
    TimerWheel wheel(kStart);
    TimerWheel::Entry entry;
    wheel.Set(entry, kStart + delay);
    Time now = kStart;
    while (Expired(wheel, now).empty()) {
      const Time until = wheel.UntilNext(now);
      ASSERT_GT(until, 0) << "would spin, delay " << delay;
      now += until;
      ASSERT_LE(now, kStart + delay + kTick) << "late, delay " << delay;
    }
    EXPECT_GE(now, kStart + delay) << "early";
    EXPECT_EQ(wheel.UntilNext(now), -1);
  }
}

TEST(TimerWheelTest, LaterEarlierAndCancelled) {
  TimerWheel wheel(kStart);
  TimerWheel::Entry later;
  TimerWheel::Entry earlier;
  TimerWheel::Entry cancelled;
  wheel.Set(later, kStart + 2 * kTick);
  wheel.Set(later, kStart + 20 * kTick);
  wheel.Set(earlier, kStart + 20 * kTick);
  wheel.Set(earlier, kStart + 2 * kTick);
  wheel.Set(cancelled, kStart + 2 * kTick);
  wheel.Cancel(cancelled);
  wheel.Cancel(cancelled);  // idle already
  EXPECT_EQ(Expired(wheel, kStart + 4 * kTick), std::vector{&earlier});
  EXPECT_EQ(Expired(wheel, kStart + 19 * kTick), std::vector<TimerWheel::Entry*>{});
  EXPECT_EQ(Expired(wheel, kStart + 22 * kTick), std::vector{&later});
}

TEST(TimerWheelTest, AnExpiredEntryMayBeSetAgainOrDestroyed) {
  TimerWheel wheel(kStart);
  TimerWheel::Entry again;
  auto gone = std::make_unique<TimerWheel::Entry>();
  wheel.Set(again, kStart);
  wheel.Set(*gone, kStart);
  int calls = 0;
  wheel.Advance(kStart + 2 * kTick, [&](TimerWheel::Entry& entry) {
    ++calls;
    if (&entry == gone.get()) {
      gone.reset();
    } else {
      wheel.Set(entry, kStart + 30 * kTick);
    }
  });
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(Expired(wheel, kStart + 32 * kTick), std::vector{&again});
}

// The same calls on the wheel and on a map: each entry must be reported exactly once, in the window
// [deadline, deadline + kTick] as far as the jumps of the clock allow.
TEST(TimerWheelTest, AgreesWithAMapUnderRandomJumps) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const auto draw = [&](std::uint64_t n) { return static_cast<Time>(random() % n); };
    Time now = kStart + draw(1'000) * kTick + draw(static_cast<std::uint64_t>(kTick));
    TimerWheel wheel(now);
    std::vector<TimerWheel::Entry> entries(40);
    std::map<TimerWheel::Entry*, Time> model;  // when it is due: its deadline, or at once
    for (int step = 0; step < 3'000; ++step) {
      TimerWheel::Entry& entry = entries[static_cast<std::size_t>(draw(entries.size()))];
      switch (draw(8)) {
        case 0:
        case 1:
        case 2: {
          // Most within the wheel, some far beyond its 51.2 s, a few already over.
          const Time reach = draw(4) == 0 ? 3'000 * kTick : 40 * kTick;
          const Time deadline = now - kTick + draw(static_cast<std::uint64_t>(reach));
          wheel.Set(entry, deadline);
          model[&entry] = std::max(deadline, now);
          break;
        }
        case 3:
          wheel.Cancel(entry);
          model.erase(&entry);
          break;
        default: {
          const Time until = wheel.UntilNext(now);
          ASSERT_EQ(until < 0, model.empty());
          const Time jump = draw(20) == 0 ? 2'000 * kTick : 3 * kTick;
          now += draw(static_cast<std::uint64_t>(jump));
          for (TimerWheel::Entry* expired : Expired(wheel, now)) {
            const auto found = model.find(expired);
            ASSERT_NE(found, model.end()) << "reported twice, or never set";
            ASSERT_GE(now, found->second) << "early";
            model.erase(found);
          }
          for (const auto& [pending, due] : model) {
            ASSERT_GT(due + kTick, now) << "overdue";
          }
        }
      }
    }
    for (TimerWheel::Entry& entry : entries) {
      wheel.Cancel(entry);
    }
    EXPECT_EQ(wheel.UntilNext(now), -1);
  }
}

}  // namespace
}  // namespace ringpost
