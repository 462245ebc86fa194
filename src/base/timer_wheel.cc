// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/timer_wheel.h"

#include <algorithm>
#include <bit>

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
  const std::size_t slot = static_cast<std::size_t>(now_tick_) % kSlots;
  const std::size_t next = NextOccupied(slot);
  if (next == kSlots) {
    return -1;
  }
  const Time tick = now_tick_ + static_cast<Time>((next + kSlots - slot) % kSlots);
  // The slot is looked at when its whole tick is over, so that nothing is reported early.
  return std::max<Time>(0, (tick + 1) * kTick - now);
}

// From `slot` on, round the wheel; kSlots if there is none.
std::size_t TimerWheel::NextOccupied(std::size_t slot) const {
  constexpr std::size_t kWords = kSlots / kWordBits;
  const std::size_t first = slot / kWordBits;
  std::uint64_t bits = occupied_[first] & ~std::uint64_t{0} << slot % kWordBits;
  // The first word twice: what is before `slot` comes last.
  for (std::size_t i = 0; i <= kWords; ++i) {
    const std::size_t word = (first + i) % kWords;
    bits = i == 0 ? bits : occupied_[word];
    if (bits != 0) {
      return word * kWordBits + static_cast<std::size_t>(std::countr_zero(bits));
    }
  }
  return kSlots;
}

TimerWheel::Entry* TimerWheel::PopDue(Time now) {
  const Time tick_end = now / kTick;
  while (now_tick_ < tick_end) {
    const std::size_t slot = static_cast<std::size_t>(now_tick_) % kSlots;
    Entry* entry = slots_[slot];
    if (entry == nullptr) {
      // After a long pause one round over the wheel has seen everything.
      now_tick_ = NextOccupied(slot) == kSlots ? tick_end : now_tick_ + 1;
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
  occupied_[slot / kWordBits] |= std::uint64_t{1} << slot % kWordBits;
}

void TimerWheel::Unlink(Entry& entry) {
  if (entry.previous != nullptr) {
    entry.previous->next = entry.next;
  } else {
    slots_[entry.slot] = entry.next;
    if (entry.next == nullptr) {
      occupied_[entry.slot / kWordBits] &= ~(std::uint64_t{1} << entry.slot % kWordBits);
    }
  }
  if (entry.next != nullptr) {
    entry.next->previous = entry.previous;
  }
  entry.previous = entry.next = nullptr;
  entry.slot = Entry::kIdle;
}

}  // namespace ringpost
