// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/config/settings.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace ringpost {
namespace {

// The number of letters to insert, delete or replace (Levenshtein), one row at a time.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::span<const Tuning> AllTuning() {
  static constexpr std::array kAll = {
      Tuning{"hostname", TuningType::kText},
      Tuning{"shards", TuningType::kCount},
      Tuning{"sessions_max", TuningType::kCount},
      Tuning{"sessions_per_client_max", TuningType::kCount},
      Tuning{"handshakes_per_client_rate", TuningType::kCount},
      Tuning{"handshake_timeout", TuningType::kDuration},
      Tuning{"command_timeout", TuningType::kDuration},
      Tuning{"data_timeout", TuningType::kDuration},
      Tuning{"drain_timeout", TuningType::kDuration},
      Tuning{"connect_timeout", TuningType::kDuration},
      Tuning{"bare_newline", TuningType::kText},
      Tuning{"starttls_backend", TuningType::kText},
      Tuning{"buffers_large", TuningType::kCount},
      Tuning{"buffers_small", TuningType::kCount},
      Tuning{"policy_service", TuningType::kEndpoint},
      Tuning{"policy_summary_interval", TuningType::kDuration},
      Tuning{"ticket_key_file", TuningType::kPath},
      Tuning{"log_file", TuningType::kPath},
      Tuning{"user", TuningType::kText},
      Tuning{"group", TuningType::kText},
      Tuning{"sandbox", TuningType::kText},
      Tuning{"log_format", TuningType::kText},
      Tuning{"log_level", TuningType::kText},
  };
  return kAll;
}

std::string Suggestion(std::string_view word, std::span<const std::string_view> candidates) {
  constexpr std::size_t kWordMax = 64;  // nobody mistypes a name into something longer
  if (word.size() > kWordMax) return {};
  std::string_view best;
  std::size_t best_distance = 1 + std::max<std::size_t>(2, word.size() / 2);
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = Distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  if (best.empty()) return {};
  return " (did you mean \"" + std::string(best) + "\"?)";
}

}  // namespace ringpost
