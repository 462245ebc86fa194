// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/arrival_schedule.h"

#include <algorithm>
#include <cmath>

namespace ringpost {

TimeNs ArrivalSchedule::TimeOf(std::uint64_t number) const {
  // Rounded up, so that nothing is due before its time.
  return start_ + static_cast<TimeNs>(std::ceil(static_cast<double>(number) * interval_));
}

std::uint64_t ArrivalSchedule::DueCount(TimeNs now) const {
  if (now < start_) {
    return 0;
  }
  auto count = static_cast<std::uint64_t>(static_cast<double>(now - start_) / interval_) + 1;
  // The division may be off by one in its last bit; TimeOf() decides.
  while (count > 0 && TimeOf(count - 1) > now) {
    --count;
  }
  while (TimeOf(count) <= now) {
    ++count;
  }
  return std::min(count, total_);
}

bool ArrivalSchedule::TakeDue(TimeNs now, TimeNs* scheduled) {
  if (taken_ >= total_ || TimeOf(taken_) > now) {
    return false;
  }
  *scheduled = TimeOf(taken_++);
  return true;
}

std::uint64_t ArrivalSchedule::Backlog(TimeNs now) const {
  const std::uint64_t due = DueCount(now);
  return due > taken_ ? due - taken_ : 0;
}

TimeNs ArrivalSchedule::UntilNext(TimeNs now) const {
  if (taken_ >= total_) {
    return -1;
  }
  return std::max<TimeNs>(TimeOf(taken_) - now, 0);
}

}  // namespace ringpost
