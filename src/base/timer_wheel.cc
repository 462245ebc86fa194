// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/timer_wheel.h"

#include <algorithm>

#include "ringpost/base/check.h"

namespace ringpost {

void TimerWheel::Set(Entry& entry, Time deadline) {
  if (entry.slot != Entry::kIdle) {
    if (deadline >= entry.deadline) {
      entry.deadline = deadline;  // found too early, and put back, when its slot comes up
      return;
    }
    Unlink(entry);
  }
  entry.deadline = deadline;
  Link(entry);
}

void TimerWheel::Cancel(Entry& entry) {
  if (entry.slot != Entry::kIdle) {
    Unlink(entry);
  }
}

TimerWheel::Time TimerWheel::UntilNext(Time now) const {
  if (occupied_.none()) {
    return -1;
  }
  for (Time tick = now_tick_;; ++tick) {
    if (occupied_.test(static_cast<std::size_t>(tick) % kSlots)) {
      // The slot is looked at when its whole tick is over, so that nothing is reported early.
      return std::max<Time>(0, (tick + 1) * kTick - now);
    }
  }
}

TimerWheel::Entry* TimerWheel::PopDue(Time now) {
  const Time tick_end = now / kTick;
  while (now_tick_ < tick_end) {
    const std::size_t slot = static_cast<std::size_t>(now_tick_) % kSlots;
    Entry* entry = slots_[slot];
    if (entry == nullptr) {
      // After a long pause one round over the wheel has seen everything.
      now_tick_ = occupied_.none() ? tick_end : now_tick_ + 1;
      continue;
    }
    Unlink(*entry);
    if (entry->deadline / kTick <= now_tick_) {
      return entry;
    }
    Link(*entry);
  }
  return nullptr;
}

void TimerWheel::Link(Entry& entry) {
  const Time tick =
      std::clamp(entry.deadline / kTick, now_tick_, now_tick_ + static_cast<Time>(kSlots) - 1);
  const std::size_t slot = static_cast<std::size_t>(tick) % kSlots;
  entry.slot = static_cast<std::uint16_t>(slot);
  entry.previous = nullptr;
  entry.next = slots_[slot];
  if (entry.next != nullptr) {
    entry.next->previous = &entry;
  }
  slots_[slot] = &entry;
  occupied_.set(slot);
}

void TimerWheel::Unlink(Entry& entry) {
  if (entry.previous != nullptr) {
    entry.previous->next = entry.next;
  } else {
    slots_[entry.slot] = entry.next;
    occupied_.set(entry.slot, entry.next != nullptr);
  }
  if (entry.next != nullptr) {
    entry.next->previous = entry.previous;
  }
  entry.previous = entry.next = nullptr;
  entry.slot = Entry::kIdle;
}

}  // namespace ringpost
