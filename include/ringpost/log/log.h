// SPDX-License-Identifier: GPL-3.0-or-later
//
// The process's log: one writer thread, and one Logger for each thread that has something to say. A
// shard never waits for the log: its lines go into a ring of its own (log_ring.h), the writer
// carries them to the descriptor, and what does not fit is dropped, counted, and reported by the
// writer. Lines about sessions leave room for all others.
//
// Waking the writer: while lines come, it looks at the rings 50 times a second and nobody wakes it,
// so a line costs the shard a copy and no system call. After a second without lines it sleeps, and
// the next line wakes it with one write to an eventfd. A line is on its way at most 20 ms; only an
// abort loses it. Lines of one thread stay in order; lines of different threads are ordered by
// their times only.
//
// Owner: main, which ignores SIGPIPE. It outlives every thread that has one of its Loggers.
#ifndef RINGPOST_LOG_LOG_H_
#define RINGPOST_LOG_LOG_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "ringpost/log/log_line.h"
#include "ringpost/log/log_ring.h"
#include "ringpost/log/log_types.h"
#include "ringpost/log/policy_record.h"
#include "ringpost/log/session_record.h"
#include "ringpost/log/shard_record.h"

namespace ringpost {

class Log;

// Lets one warning of a kind through per interval and counts the others. One object per kind and
// thread.
class WarningLimiter {
 public:
  static constexpr std::int64_t kIntervalNs = 10'000'000'000;

  // `now` is any monotonic clock, in nanoseconds. True: say it, and that `suppressed` were not
  // said.
  [[nodiscard]] bool Allow(std::int64_t now, std::uint64_t* suppressed);
  // True: it is too soon, and it was counted; otherwise nothing has changed. For whoever would have
  // to compose the text first.
  [[nodiscard]] bool Suppress(std::int64_t now);

 private:
  bool said_ = false;
  std::int64_t last_ = 0;
  std::uint64_t suppressed_ = 0;
};

// One thread's way to the log. Only that thread may use it.
class Logger {
 public:
  Logger(Log* log, std::size_t ring_bytes) : log_(log), ring_(ring_bytes) {}

  // Whether a line of this level is wanted at all: ask before composing a costly one.
  [[nodiscard]] bool Wants(LogLevel level) const;

  // The session line; level info.
  void Session(const SessionRecord& record);
  // A MAIL command that does not meet a policy; level info.
  void Policy(const PolicyRecord& record);
  // What a shard says of itself when asked; level info.
  void Shard(const ShardRecord& record);
  // A line about anything else. `component` is one word: "shard", "listener", "tls".
  void Event(LogLevel level, std::string_view component, std::string_view text);
  // A warning that may come in bursts.
  void Warning(WarningLimiter& limiter, std::int64_t now, std::string_view component,
               std::string_view text);

 private:
  friend class Log;
  void Write(std::string_view line, LogLineKind kind);

  Log* const log_;
  LogRing ring_;
  std::uint64_t dropped_reported_ = 0;  // the writer's
};

class Log {
 public:
  // Everything goes to `fd`, by default standard error: one stream, in the order of the writer, for
  // journald or a supervisor to keep.
  Log(LogFormat format, LogLevel level, int fd = 2);
  ~Log();  // Stop()
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // For one more thread; owned by the Log. Lines may be written before Start().
  [[nodiscard]] Logger* AddLogger(std::size_t ring_bytes = LogRing::kDefaultBytes);

  // The writer thread begins, with all signals blocked. Not to be called twice.
  void Start();
  // Writes what is there, but for at most a second where the reader of `fd` has stopped, and ends
  // the thread. Without Start(), writes from the caller's thread. Harmless the second time.
  void Stop();

  // The writer sleeps until somebody wakes it: nothing was logged for a second.
  [[nodiscard]] bool asleep() const { return asleep_.load(); }
  [[nodiscard]] LogFormat format() const { return format_; }
  [[nodiscard]] LogLevel level() const { return level_; }

 private:
  friend class Logger;
  enum class Drained { kNothing, kSomething };

  void WakeIfAsleep();
  void Wake();
  void Run();
  void Sleep(int timeout_ms);
  [[nodiscard]] Drained DrainAll();
  [[nodiscard]] bool AllEmpty();
  void ReportDropped(Logger* logger);
  void WriteOut(std::string_view lines);

  const LogFormat format_;
  const LogLevel level_;
  const int fd_;
  int wake_fd_ = -1;
  std::mutex mutex_;  // of loggers_; never taken on a shard's data path
  std::vector<std::unique_ptr<Logger>> loggers_;
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stopping_{false};
  bool gave_up_ = false;  // the writer's: the reader of fd_ has gone or stopped
  int waited_ms_ = 0;     // the writer's: for that reader, since stopping_
  std::thread thread_;
};

}  // namespace ringpost

#endif  // RINGPOST_LOG_LOG_H_
