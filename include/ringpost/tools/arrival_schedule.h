// SPDX-License-Identifier: GPL-3.0-or-later
//
// When the connections of an open-loop run are due: number k at start + k / rate, whatever the
// server does. Latency is measured from these times, so that a stall is counted for everyone it
// held up.
//
// Owner: the load generator. No clock of its own. Invariant: every time is computed from its
// number, so that rounding never adds up.
#ifndef RINGPOST_TOOLS_ARRIVAL_SCHEDULE_H_
#define RINGPOST_TOOLS_ARRIVAL_SCHEDULE_H_

#include <cstdint>

#include "ringpost/io/io.h"

namespace ringpost {

class ArrivalSchedule {
 public:
  // `rate` in arrivals per second, > 0. At most `total` arrivals.
  ArrivalSchedule(TimeNs start, double rate, std::uint64_t total)
      : start_(start), interval_(static_cast<double>(kNsPerSecond) / rate), total_(total) {}

  // The time of arrival `number`, from 0.
  [[nodiscard]] TimeNs TimeOf(std::uint64_t number) const;
  // How many arrivals are due at or before `now`.
  [[nodiscard]] std::uint64_t DueCount(TimeNs now) const;

  // Takes the next arrival if it is due: its scheduled time goes to `scheduled`.
  [[nodiscard]] bool TakeDue(TimeNs now, TimeNs* scheduled);
  // Due, but not taken.
  [[nodiscard]] std::uint64_t Backlog(TimeNs now) const;
  // Nanoseconds until the next arrival is due, 0 if it is; negative: there is none.
  [[nodiscard]] TimeNs UntilNext(TimeNs now) const;
  [[nodiscard]] std::uint64_t taken() const { return taken_; }

 private:
  TimeNs start_;
  double interval_;  // nanoseconds
  std::uint64_t total_;
  std::uint64_t taken_ = 0;
};

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_ARRIVAL_SCHEDULE_H_
