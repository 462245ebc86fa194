// SPDX-License-Identifier: GPL-3.0-or-later
//
// A moment as sentences for administrators have it.
#ifndef RINGPOST_SRC_X509_UTC_TEXT_H_
#define RINGPOST_SRC_X509_UTC_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace ringpost {

// "2026-11-30 09:14 UTC"; `seconds` since the epoch.
[[nodiscard]] inline std::string UtcText(std::int64_t seconds) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixSeconds(seconds),
                          absl::UTCTimeZone());
}

}  // namespace ringpost

#endif  // RINGPOST_SRC_X509_UTC_TEXT_H_
