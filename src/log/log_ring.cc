// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/log/log_ring.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "ringpost/base/check.h"

namespace ringpost {

LogRing::LogRing(std::size_t bytes) : mask_(bytes - 1), octets_(new char[bytes]) {
  RINGPOST_CHECK(std::has_single_bit(bytes));
}

bool LogRing::Write(std::string_view line, LogLineKind kind) {
  const std::size_t capacity = Capacity(kind);
  const std::uint64_t written = written_.load(std::memory_order_relaxed);
  const std::size_t needed = line.size() + 1;
  // Notices may have filled more than `capacity`: it is compared, not subtracted from.
  if (written - read_seen_ + needed > capacity) {
    read_seen_ = read_.load(std::memory_order_acquire);
    if (written - read_seen_ + needed > capacity) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
  }
  CopyIn(written, line);
  CopyIn(written + line.size(), "\n");
  // Sequentially consistent together with Log::asleep_: either the writer sees this line before it
  // sleeps, or the producer sees that it sleeps.
  written_.store(written + needed, std::memory_order_seq_cst);
  return true;
}

bool LogRing::empty() const {
  return written_.load(std::memory_order_seq_cst) == read_.load(std::memory_order_relaxed);
}

std::size_t LogRing::Read(std::span<char> out) {
  const std::uint64_t read = read_.load(std::memory_order_relaxed);
  const std::uint64_t written = written_.load(std::memory_order_acquire);
  std::size_t count = std::min<std::size_t>(out.size(), written - read);
  CopyOut(read, out.first(count));
  while (count > 0 && out[count - 1] != '\n') --count;
  read_.store(read + count, std::memory_order_release);
  return count;
}

std::size_t LogRing::Capacity(LogLineKind kind) const {
  const std::size_t all = mask_ + 1;
  return kind == LogLineKind::kNotice ? all : all - all / kNoticeShare;
}

void LogRing::CopyIn(std::uint64_t position, std::string_view text) {
  const std::size_t start = position & mask_;
  const std::size_t first = std::min(text.size(), mask_ + 1 - start);
  text.copy(&octets_[start], first);
  text.substr(first).copy(&octets_[0], text.size() - first);
}

void LogRing::CopyOut(std::uint64_t position, std::span<char> out) const {
  const std::size_t start = position & mask_;
  const std::size_t first = std::min(out.size(), mask_ + 1 - start);
  std::memcpy(out.data(), &octets_[start], first);
  std::memcpy(out.data() + first, &octets_[0], out.size() - first);
}

}  // namespace ringpost
