// SPDX-License-Identifier: GPL-3.0-or-later
//
// One timer per session, hundreds of thousands of them, almost all moved before they expire. Moving
// a deadline later, the common case, writes one number: the entry is looked at when its old slot
// comes up and put back where it belongs.
//
// Owner: the shard. Granularity kTick: a deadline is reported up to one tick late, never early.
#ifndef RINGPOST_BASE_TIMER_WHEEL_H_
#define RINGPOST_BASE_TIMER_WHEEL_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace ringpost {

class TimerWheel {
 public:
  using Time = std::int64_t;  // nanoseconds of any monotonic clock
  static constexpr Time kTick = 100'000'000;
  static constexpr std::size_t kSlots =
      512;  // 51.2 s; what is later is put back when its slot comes

  // A member of what is timed. Idle while `slot` is kIdle; must be idle when it is destroyed.
  struct Entry {
    static constexpr std::uint16_t kIdle = 0xffff;
    Entry* previous = nullptr;
    Entry* next = nullptr;
    Time deadline = 0;
    std::uint16_t slot = kIdle;
  };

  explicit TimerWheel(Time now) : now_tick_(now / kTick) {}
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  void Set(Entry& entry, Time deadline);
  void Cancel(Entry& entry);

  // Calls expired(Entry&) for each entry whose deadline is over; the entry is idle by then and may
  // be set again or destroyed.
  template <typename Expired>
  void Advance(Time now, Expired&& expired) {
    while (Entry* entry = PopDue(now)) {
      expired(*entry);
    }
  }

  // Nanoseconds until Advance() may have something to do; negative: nothing is set.
  [[nodiscard]] Time UntilNext(Time now) const;

 private:
  [[nodiscard]] Entry* PopDue(Time now);
  void Link(Entry& entry);
  void Unlink(Entry& entry);
  [[nodiscard]] std::size_t NextOccupied(std::size_t slot) const;

  Time now_tick_;  // every slot before this tick has been looked at
  std::array<Entry*, kSlots> slots_{};
  // A bit for each slot, by word because the next one is looked for in every turn of the loop.
  static constexpr std::size_t kWordBits = 64;
  std::array<std::uint64_t, kSlots / kWordBits> occupied_{};
};

}  // namespace ringpost

#endif  // RINGPOST_BASE_TIMER_WHEEL_H_
