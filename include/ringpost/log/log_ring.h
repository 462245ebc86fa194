// SPDX-License-Identifier: GPL-3.0-or-later
//
// The way of log lines from one thread to the writer: a bounded ring of octets with one producer
// and one consumer. The producer never blocks, never allocates and never waits for a lock: a line
// that does not fit is dropped and counted.
//
// Records come by the thousand when thousands of sessions end at once. They leave the ring's last
// sixteenth to notices, so that no flood of them costs a warning or an answer.
//
// Invariant: the consumer sees whole lines only, in order.
#ifndef RINGPOST_LOG_LOG_RING_H_
#define RINGPOST_LOG_LOG_RING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace ringpost {

enum class LogLineKind : std::uint8_t {
  kRecord,  // of a session or of one of its commands: as many as the peers like
  kNotice,  // everything else: answers, warnings, events
};

class LogRing {
 public:
  // At 300 octets a line, 800 lines: the writer comes by 50 times a second, so 40,000 sessions a
  // second.
  static constexpr std::size_t kDefaultBytes = 256 * 1024;
  // For notices alone: of the default ring 16 KiB, the longest six or 80 of 200 octets.
  static constexpr std::size_t kNoticeShare = 16;

  explicit LogRing(std::size_t bytes = kDefaultBytes);  // a power of two
  LogRing(const LogRing&) = delete;
  LogRing& operator=(const LogRing&) = delete;

  // --- The producer's side.
  // Appends `line` and a newline. False: no room, the line is dropped and counted.
  bool Write(std::string_view line, LogLineKind kind);

  // --- The consumer's side.
  [[nodiscard]] bool empty() const;
  // Copies as many whole lines as fit into `out`; returns the octets. 0 with !empty() is possible
  // only if the first line is longer than `out`.
  [[nodiscard]] std::size_t Read(std::span<char> out);

  // --- Either side.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  [[nodiscard]] std::size_t Capacity(LogLineKind kind) const;
  void CopyIn(std::uint64_t position, std::string_view text);
  void CopyOut(std::uint64_t position, std::span<char> out) const;

  const std::size_t mask_;
  const std::unique_ptr<char[]> octets_;
  // Apart, so that the two threads do not take each other's cache line at every line written.
  alignas(64) std::atomic<std::uint64_t> written_{0};
  std::atomic<std::uint64_t> dropped_{0};
  std::uint64_t read_seen_ = 0;  // the producer's last look at read_
  alignas(64) std::atomic<std::uint64_t> read_{0};
};

}  // namespace ringpost

#endif  // RINGPOST_LOG_LOG_RING_H_
