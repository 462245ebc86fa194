// SPDX-License-Identifier: GPL-3.0-or-later
//
// Starts the connections of a load run, closed-loop or on schedule, and ends it: after a time, a
// number of connections, or a signal. One thread, one ring. It always ends by itself.
#ifndef RINGPOST_TOOLS_LOAD_RUNNER_H_
#define RINGPOST_TOOLS_LOAD_RUNNER_H_

#include <netinet/in.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "ringpost/io/io.h"
#include "ringpost/tools/arrival_schedule.h"
#include "ringpost/tools/load_connection.h"

namespace ringpost {

enum class Progress : std::uint8_t { kNone, kLines, kTerminal };

struct LoadRunOptions {
  std::uint32_t connections = 1;  // at the same time; in an idle run: being set up at the same time
  double rate = 0;                // arrivals per second; 0: closed loop
  std::uint64_t total = 0;        // connections in all; 0: until `duration`
  std::uint32_t idle = 0;         // sessions to hold open; 0: an ordinary run
  TimeNs warmup = 0;
  TimeNs duration = 0;
  TimeNs wind_down = 10 * kNsPerSecond;  // for what still runs at the end
  std::vector<sockaddr_in> sources;  // local addresses, taken in turn; empty: the kernel's choice
  Progress progress = Progress::kNone;
};

class LoadRunner {
 public:
  LoadRunner(const LoadPlan* plan, const LoadRunOptions* options);

  // Until the run is over, or `stop_event`, an eventfd, is readable.
  void Run(int stop_event);

 private:
  enum class Stage : std::uint8_t { kWarmup, kMeasure, kWindDown };
  enum class SlotState : std::uint8_t { kFree, kBusy, kHeld };

  void Dispatch(const Completion& completion);
  void StartDue();
  [[nodiscard]] bool StartOne(TimeNs scheduled);
  [[nodiscard]] int OpenSocket();
  void AdvanceStage();
  void StartWindDown();
  void RetryStarved();
  void SweepDeadlines();
  void ShowProgress();
  [[nodiscard]] bool AllFree() const { return free_slots_.size() == slots_.size(); }
  [[nodiscard]] TimeNs WaitTime() const;
  [[nodiscard]] std::size_t setting_up() const;
  void Collect(std::uint32_t slot);

  const LoadPlan* plan_;
  const LoadRunOptions* options_;
  Io* io_;
  LoadStats* stats_;
  Stage stage_ = Stage::kWarmup;
  TimeNs stage_end_ = 0;  // of the stage at hand; 0: not by time
  TimeNs now_ = 0;
  std::uint64_t started_ = 0;
  std::uint32_t holding_ = 0;  // idle run
  std::optional<ArrivalSchedule> schedule_;
  std::vector<std::unique_ptr<LoadConnection>> slots_;
  std::vector<SlotState> states_;  // by slot, as last collected
  std::vector<std::uint32_t> free_slots_;
  std::vector<std::uint32_t> starved_;
  std::size_t next_source_ = 0;
  TimeNs next_sweep_ = 0;
  TimeNs next_progress_ = 0;
  std::uint64_t shown_connections_ = 0;
  std::uint64_t shown_messages_ = 0;
  std::uint64_t shown_octets_ = 0;
  Operation stop_operation_;
  Operation cancel_stop_;
  std::uint64_t stop_value_ = 0;
};

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_LOAD_RUNNER_H_
