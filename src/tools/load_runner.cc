// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/load_runner.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>

namespace ringpost {
namespace {

constexpr TimeNs kSweepInterval = 200 * kNsPerMs;
constexpr std::uint32_t kNoSlot = ~std::uint32_t{0};

}  // namespace

LoadRunner::LoadRunner(const LoadPlan* plan, const LoadRunOptions* options)
    : plan_(plan), options_(options), io_(plan->io), stats_(plan->stats) {
  const std::uint32_t slots = options->idle != 0 ? options->idle : options->connections;
  states_.resize(slots, SlotState::kFree);
  for (std::uint32_t slot = 0; slot < slots; ++slot) {
    slots_.push_back(std::make_unique<LoadConnection>(plan, slot));
    free_slots_.push_back(slots - 1 - slot);  // the lowest is taken first
  }
}

void LoadRunner::Run(int stop_event) {
  stop_operation_.user_data = ToUserData({.kind = ToolOperation::kEvent});
  cancel_stop_.user_data = ToUserData({.kind = ToolOperation::kCancelAccept, .slot = kNoSlot});
  io_->ReadEvent(stop_operation_, stop_event, &stop_value_);

  now_ = ReadMonotonicClock();
  stage_end_ = options_->idle != 0 ? 0 : now_ + options_->warmup;
  next_progress_ = now_ + kNsPerSecond;
  if (options_->rate > 0) {
    const std::uint64_t total =
        options_->total != 0 ? options_->total : std::numeric_limits<std::uint64_t>::max();
    schedule_.emplace(now_, options_->rate, total);
  }
  std::vector<Completion> completions(1024);
  while (stage_ != Stage::kWindDown || !AllFree()) {
    AdvanceStage();
    StartDue();
    const std::size_t count = io_->Wait(WaitTime(), completions);
    now_ = io_->Now();
    for (std::size_t i = 0; i < count; ++i) {
      Dispatch(completions[i]);
    }
    now_ = ReadMonotonicClock();
    RetryStarved();
    SweepDeadlines();
    ShowProgress();
  }
  stats_->StopRecording(ReadMonotonicClock());
  if (options_->progress == Progress::kTerminal) {
    std::fputs("\r\033[K", stderr);
  }
  if (stop_operation_.in_flight) {
    io_->Cancel(cancel_stop_, stop_operation_);
  }
  while (stop_operation_.in_flight || cancel_stop_.in_flight) {
    const std::size_t count = io_->Wait(-1, completions);
    for (std::size_t i = 0; i < count; ++i) {
      Dispatch(completions[i]);
    }
  }
}

void LoadRunner::Dispatch(const Completion& completion) {
  const ToolTarget target = FromUserData(completion.user_data);
  if (target.kind == ToolOperation::kEvent) {
    stop_operation_.Complete(completion);
    if (completion.result > 0) {
      StartWindDown();
    }
    return;
  }
  if (target.kind == ToolOperation::kCancelAccept) {
    cancel_stop_.Complete(completion);
    return;
  }
  LoadConnection& connection = *slots_[target.slot];
  // A slot is used again only when nothing of its last connection is in flight.
  RINGPOST_CHECK(connection.generation() == target.generation);
  connection.Handle(target.kind, completion);
  Collect(target.slot);
}

// What has become of a connection that was worked on.
void LoadRunner::Collect(std::uint32_t slot) {
  LoadConnection& connection = *slots_[slot];
  connection.TryFinish();
  const SlotState state = connection.free()                                    ? SlotState::kFree
                          : connection.phase() == LoadConnection::Phase::kHold ? SlotState::kHeld
                                                                               : SlotState::kBusy;
  if (state != states_[slot]) {
    holding_ += state == SlotState::kHeld ? 1 : 0;
    holding_ -= states_[slot] == SlotState::kHeld ? 1 : 0;
    states_[slot] = state;
    if (state == SlotState::kFree) {
      free_slots_.push_back(slot);
    }
  }
  if (connection.starved()) {
    starved_.push_back(slot);
  }
}

// Idle run: how many sessions are open, but not yet where they are to be held.
std::size_t LoadRunner::setting_up() const { return slots_.size() - free_slots_.size() - holding_; }

void LoadRunner::StartDue() {
  if (stage_ == Stage::kWindDown) {
    return;
  }
  if (options_->idle != 0) {
    while (started_ < options_->idle && setting_up() < options_->connections &&
           !free_slots_.empty()) {
      (void)StartOne(ReadMonotonicClock());
    }
    return;
  }
  while (!free_slots_.empty() && (options_->total == 0 || started_ < options_->total)) {
    TimeNs scheduled = ReadMonotonicClock();
    if (schedule_ && !schedule_->TakeDue(now_, &scheduled)) {
      return;
    }
    if (!StartOne(scheduled)) {
      return;  // no port or descriptor: not again before the next turn
    }
  }
}

bool LoadRunner::StartOne(TimeNs scheduled) {
  ++started_;
  const int fd = OpenSocket();
  if (fd < 0) {
    stats_->AddFailure(LoadFailure::kNoPort, std::strerror(-fd));
    return false;
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  states_[slot] = SlotState::kBusy;
  slots_[slot]->Start(fd, scheduled);
  return true;
}

int LoadRunner::OpenSocket() {
  const int fd = io_->OpenSocket(plan_->target.any.sa_family);
  if (fd < 0 || options_->sources.empty()) {
    return fd;
  }
  // The port is chosen at connect(2), where one that is in use towards another target will do.
  const int late = 1;
  (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof late);
  const sockaddr_in& source = options_->sources[next_source_++ % options_->sources.size()];
  if (bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof source) != 0) {
    const int error = errno;
    io_->CloseSocket(fd);
    return -error;
  }
  return fd;
}

void LoadRunner::AdvanceStage() {
  if (options_->idle != 0) {
    if (stage_ == Stage::kWarmup && started_ == options_->idle && setting_up() == 0) {
      stage_ = Stage::kMeasure;
      stats_->StopRecording(now_);
      stage_end_ = now_ + options_->duration;
      std::fprintf(stderr, "ringpost-load: %u of %u sessions idle\n", holding_, options_->idle);
    } else if (stage_ == Stage::kWarmup && !stats_->recording) {
      stats_->StartRecording(now_);  // setting up is what there is to measure
    } else if (stage_ == Stage::kMeasure && now_ >= stage_end_) {
      StartWindDown();
    }
  } else {
    if (stage_ == Stage::kWarmup && now_ >= stage_end_) {
      stage_ = Stage::kMeasure;
      stats_->StartRecording(now_);
      stage_end_ = options_->duration != 0 ? now_ + options_->duration : 0;
    }
    const bool all_done = options_->total != 0 && started_ >= options_->total && AllFree();
    if (stage_ != Stage::kWindDown &&
        (all_done || (stage_ == Stage::kMeasure && stage_end_ != 0 && now_ >= stage_end_))) {
      StartWindDown();
    }
  }
  if (stage_ == Stage::kWindDown && now_ >= stage_end_) {
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
      slots_[slot]->Fail(LoadFailure::kUnfinished, "still running at the end");
      Collect(slot);
    }
    stage_end_ = std::numeric_limits<TimeNs>::max();
  }
}

void LoadRunner::StartWindDown() {
  if (stage_ == Stage::kWindDown) {
    return;
  }
  stats_->StopRecording(now_);
  stage_ = Stage::kWindDown;
  stage_end_ = now_ + options_->wind_down;
  // With a slot free, what is due at this very moment was only not reached yet.
  if (schedule_ && free_slots_.empty()) {
    for (std::uint64_t left = schedule_->Backlog(now_); left > 0; --left) {
      stats_->AddFailure(LoadFailure::kNotStarted, "due, but all --connections were busy");
    }
  }
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot]->phase() == LoadConnection::Phase::kHold) {
      slots_[slot]->Quit();
      Collect(slot);
    }
  }
}

void LoadRunner::RetryStarved() {
  const std::vector<std::uint32_t> starved = std::move(starved_);
  starved_.clear();
  for (const std::uint32_t slot : starved) {
    slots_[slot]->RetryStarved();
    Collect(slot);
  }
}

void LoadRunner::SweepDeadlines() {
  if (now_ < next_sweep_) {
    return;
  }
  next_sweep_ = now_ + kSweepInterval;
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot]->CheckDeadline(now_)) {
      Collect(slot);
    }
  }
}

void LoadRunner::ShowProgress() {
  if (options_->progress == Progress::kNone || now_ < next_progress_) {
    return;
  }
  next_progress_ = now_ + kNsPerSecond;
  const LoadStats& stats = *stats_;
  if (stats.connections < shown_connections_ || stats.messages < shown_messages_) {
    shown_connections_ = shown_messages_ = shown_octets_ = 0;  // recording has started anew
  }
  const char* stage = stage_ == Stage::kWarmup    ? "warm-up"
                      : stage_ == Stage::kMeasure ? "measure"
                                                  : "wind-down";
  const auto milliseconds = [](TimeNs time) {
    return static_cast<double>(time) / static_cast<double>(kNsPerMs);
  };
  std::fprintf(stderr,
               "%s%-9s %6llu conn/s %7llu msg/s %8.2f MB/s  ready p50 %.2f p99 %.2f ms  open %zu  "
               "failures %llu%s",
               options_->progress == Progress::kTerminal ? "\r\033[K" : "", stage,
               static_cast<unsigned long long>(stats.connections - shown_connections_),
               static_cast<unsigned long long>(stats.messages - shown_messages_),
               static_cast<double>(stats.octets - shown_octets_) / 1e6,
               milliseconds(stats.ready.Percentile(50)), milliseconds(stats.ready.Percentile(99)),
               slots_.size() - free_slots_.size(),
               static_cast<unsigned long long>(stats.failure_count()),
               options_->progress == Progress::kTerminal ? "" : "\n");
  std::fflush(stderr);
  shown_connections_ = stats.connections;
  shown_messages_ = stats.messages;
  shown_octets_ = stats.octets;
}

TimeNs LoadRunner::WaitTime() const {
  if (!starved_.empty()) {
    return kNsPerMs;
  }
  TimeNs wait = kSweepInterval;
  const TimeNs now = ReadMonotonicClock();
  if (stage_end_ != 0) {
    wait = std::min(wait, stage_end_ - now);
  }
  if (schedule_ && stage_ != Stage::kWindDown && !free_slots_.empty()) {
    if (const TimeNs next = schedule_->UntilNext(now); next >= 0) {
      wait = std::min(wait, next);
    }
  }
  return std::max<TimeNs>(wait, 0);
}

}  // namespace ringpost
