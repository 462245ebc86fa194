// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the log says about a shard when an administrator asks (SIGUSR2): what it has, what is in
// use, and what it has refused since the start.
#ifndef RINGPOST_LOG_SHARD_RECORD_H_
#define RINGPOST_LOG_SHARD_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "ringpost/log/log_types.h"

namespace ringpost {

struct ShardRecord {
  std::int64_t unix_ms = 0;  // 0: Logger::Shard fills it in
  int shard = 0;
  std::uint64_t sessions = 0;
  std::uint64_t sessions_max = 0;
  std::uint64_t blocks_large_free = 0;
  std::uint64_t blocks_large = 0;
  std::uint64_t blocks_small_free = 0;
  std::uint64_t blocks_small = 0;
  std::uint64_t starved = 0;  // sessions that wait for blocks
  bool accept_paused = false;
  // Connections that got no session, by what there was too little of.
  std::uint64_t refused_sessions = 0;
  std::uint64_t refused_client_sessions = 0;
  std::uint64_t refused_client_rate = 0;
  std::uint64_t refused_descriptors = 0;
  std::uint64_t reclaimed = 0;  // sessions ended because others waited for their blocks
};

// Writes the line without its newline to `out` (at least kLogLineMax octets) and returns its
// length.
[[nodiscard]] std::size_t FormatShard(const ShardRecord& record, LogFormat format,
                                      std::span<char> out);

}  // namespace ringpost

#endif  // RINGPOST_LOG_SHARD_RECORD_H_
