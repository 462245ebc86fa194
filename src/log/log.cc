// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/log/log.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "ringpost/base/check.h"

namespace ringpost {
namespace {

constexpr int kNapMs = 20;
constexpr int kNapsBeforeSleep = 50;  // a second
constexpr int kForever = -1;
constexpr int kFlushMs = 1000;
// A write of at most PIPE_BUF octets reaches a pipe whole, and poll() promises that it will not
// block.
constexpr std::size_t kWriteMax = 4096;
static_assert(kLogLineMax < kWriteMax);

std::int64_t Now(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

std::int64_t UnixMs() { return Now(CLOCK_REALTIME) / 1'000'000; }

}  // namespace

// --- WarningLimiter

bool WarningLimiter::Suppress(std::int64_t now) {
  if (!said_ || now - last_ >= kIntervalNs) return false;
  ++suppressed_;
  return true;
}

bool WarningLimiter::Allow(std::int64_t now, std::uint64_t* suppressed) {
  if (Suppress(now)) return false;
  said_ = true;
  last_ = now;
  *suppressed = suppressed_;
  suppressed_ = 0;
  return true;
}

// --- Logger

bool Logger::Wants(LogLevel level) const { return level <= log_->level_; }

void Logger::Write(std::string_view line, LogLineKind kind) {
  // A full ring keeps the writer awake by itself.
  if (ring_.Write(line, kind)) log_->WakeIfAsleep();
}

void Logger::Session(const SessionRecord& record) {
  if (!Wants(LogLevel::kInfo)) return;
  SessionRecord timed = record;
  if (timed.unix_ms == 0) timed.unix_ms = UnixMs();
  std::array<char, kLogLineMax> line;
  Write({line.data(), FormatSession(timed, log_->format_, line)}, LogLineKind::kRecord);
}

void Logger::Policy(const PolicyRecord& record) {
  if (!Wants(LogLevel::kInfo)) return;
  PolicyRecord timed = record;
  if (timed.unix_ms == 0) timed.unix_ms = UnixMs();
  std::array<char, kLogLineMax> line;
  Write({line.data(), FormatPolicy(timed, log_->format_, line)}, LogLineKind::kRecord);
}

void Logger::Shard(const ShardRecord& record) {
  if (!Wants(LogLevel::kInfo)) return;
  ShardRecord timed = record;
  if (timed.unix_ms == 0) timed.unix_ms = UnixMs();
  std::array<char, kLogLineMax> line;
  Write({line.data(), FormatShard(timed, log_->format_, line)}, LogLineKind::kNotice);
}

void Logger::Event(LogLevel level, std::string_view component, std::string_view text) {
  if (!Wants(level)) return;
  std::array<char, kLogLineMax> line;
  Write({line.data(), FormatEvent(log_->format_, UnixMs(), level, component, text, line)},
        LogLineKind::kNotice);
}

void Logger::Warning(WarningLimiter& limiter, std::int64_t now, std::string_view component,
                     std::string_view text) {
  std::uint64_t suppressed = 0;
  if (!limiter.Allow(now, &suppressed)) return;
  if (suppressed == 0) {
    Event(LogLevel::kWarning, component, text);
    return;
  }
  std::array<char, 1024> longer;
  const int length = std::snprintf(longer.data(), longer.size(),
                                   "%.*s (and %llu more like it since the last time)",
                                   static_cast<int>(text.substr(0, 900).size()), text.data(),
                                   static_cast<unsigned long long>(suppressed));
  Event(LogLevel::kWarning, component,
        {longer.data(), static_cast<std::size_t>(length > 0 ? length : 0)});
}

// --- Log

Log::Log(LogFormat format, LogLevel level, int fd)
    : format_(format), level_(level), fd_(fd), wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  // Without it the writer never sleeps, it only naps: a process out of descriptors still has its
  // log.
}

Log::~Log() {
  Stop();
  if (wake_fd_ >= 0) close(wake_fd_);
}

Logger* Log::AddLogger(std::size_t ring_bytes) {
  const std::lock_guard lock(mutex_);
  loggers_.push_back(std::make_unique<Logger>(this, ring_bytes));
  return loggers_.back().get();
}

void Log::Start() {
  RINGPOST_CHECK(!thread_.joinable());
  // Inherited by the new thread: signals are for those who wait for them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Log::Stop() {
  stopping_.store(true);
  if (thread_.joinable()) {
    Wake();
    thread_.join();
  } else {
    while (DrainAll() == Drained::kSomething) {
    }
  }
}

void Log::WakeIfAsleep() {
  if (asleep_.load(std::memory_order_seq_cst) && asleep_.exchange(false)) Wake();
}

void Log::Wake() {
  const std::uint64_t one = 1;
  // It can only fail if a wake-up is already pending.
  [[maybe_unused]] const ssize_t ignored = write(wake_fd_, &one, sizeof one);
}

void Log::Run() {
  int idle_naps = 0;
  while (!stopping_.load()) {
    if (DrainAll() == Drained::kSomething) {
      idle_naps = 0;
    } else if (idle_naps < kNapsBeforeSleep) {
      ++idle_naps;
    }
    if (idle_naps < kNapsBeforeSleep || wake_fd_ < 0) {
      Sleep(kNapMs);
      continue;
    }
    asleep_.store(true, std::memory_order_seq_cst);
    // A line written before the flag was seen would not wake us (see LogRing::Write).
    if (AllEmpty() && !stopping_.load()) Sleep(kForever);
    asleep_.store(false, std::memory_order_seq_cst);
    idle_naps = 0;
  }
  while (DrainAll() == Drained::kSomething) {
  }
}

void Log::Sleep(int timeout_ms) {
  pollfd wake{wake_fd_, POLLIN, 0};
  if (poll(&wake, 1, timeout_ms) > 0) {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t ignored = read(wake_fd_, &count, sizeof count);
  }
}

bool Log::AllEmpty() {
  const std::lock_guard lock(mutex_);
  for (const auto& logger : loggers_) {
    if (!logger->ring_.empty()) return false;
  }
  return true;
}

Log::Drained Log::DrainAll() {
  std::vector<Logger*> loggers;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& logger : loggers_) loggers.push_back(logger.get());
  }
  Drained drained = Drained::kNothing;
  std::array<char, kWriteMax> lines;
  for (Logger* const logger : loggers) {
    // At most the ring's content of now: a shard that logs without end must not starve the others.
    for (std::size_t round = 0; round < LogRing::kDefaultBytes / kLogLineMax; ++round) {
      const std::size_t count = logger->ring_.Read(lines);
      if (count == 0) break;
      drained = Drained::kSomething;
      WriteOut({lines.data(), count});
    }
    ReportDropped(logger);
  }
  return drained;
}

void Log::ReportDropped(Logger* logger) {
  const std::uint64_t dropped = logger->ring_.dropped();
  if (dropped == logger->dropped_reported_) return;
  std::array<char, 64> text;
  const int length =
      std::snprintf(text.data(), text.size(), "%llu log lines dropped",
                    static_cast<unsigned long long>(dropped - logger->dropped_reported_));
  logger->dropped_reported_ = dropped;
  std::array<char, kLogLineMax> line;
  const std::size_t count = FormatEvent(format_, UnixMs(), LogLevel::kWarning, "log",
                                        {text.data(), static_cast<std::size_t>(length)}, line);
  line[count] = '\n';
  WriteOut({line.data(), count + 1});
}

// Blocks while the reader of fd_ is slow: that is what the rings are for. Once stopping, it waits
// for a second in all and then gives up, so that a stopped reader cannot keep the process alive.
void Log::WriteOut(std::string_view lines) {
  if (gave_up_) return;
  while (!lines.empty()) {
    pollfd ready{fd_, POLLOUT, 0};
    const int count = poll(&ready, 1, kNapMs);
    if (count == 0) {
      if (!stopping_.load()) continue;
      waited_ms_ += kNapMs;
      if (waited_ms_ < kFlushMs) continue;
      gave_up_ = true;
      return;
    }
    const ssize_t written = write(fd_, lines.data(), lines.size());
    if (written >= 0) {
      lines.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR && errno != EAGAIN) {
      return;  // the disk is full or the reader gone: these lines are lost, later ones may not be
    }
  }
}

}  // namespace ringpost
