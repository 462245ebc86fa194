// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/log/shard_record.h"

#include <array>
#include <cstdio>
#include <string_view>

#include "ringpost/log/log_line.h"

namespace ringpost {
namespace {

constexpr std::size_t kShareBudget = 48;

// "250/256".
void Share(LogLine& line, std::string_view key, std::uint64_t part, std::uint64_t whole) {
  std::array<char, kShareBudget> text;
  const int length =
      std::snprintf(text.data(), text.size(), "%llu/%llu", static_cast<unsigned long long>(part),
                    static_cast<unsigned long long>(whole));
  line.Field(key, std::string_view(text.data(), static_cast<std::size_t>(length)), kShareBudget);
}

}  // namespace

std::size_t FormatShard(const ShardRecord& record, LogFormat format, std::span<char> out) {
  LogLine line(format, out);
  line.Head(record.unix_ms, LogLevel::kInfo, "status");
  line.Field("shard", static_cast<std::uint64_t>(record.shard));
  line.Field("sessions", record.sessions);
  line.Field("sessions_max", record.sessions_max);
  Share(line, "blocks_large_free", record.blocks_large_free, record.blocks_large);
  Share(line, "blocks_small_free", record.blocks_small_free, record.blocks_small);
  line.Field("starved", record.starved);
  line.Flag("accept_paused", record.accept_paused);
  line.Field("refused_sessions", record.refused_sessions);
  line.Field("refused_client_sessions", record.refused_client_sessions);
  line.Field("refused_client_rate", record.refused_client_rate);
  line.Field("refused_descriptors", record.refused_descriptors);
  line.Field("reclaimed", record.reclaimed);
  return line.Finish();
}

}  // namespace ringpost
