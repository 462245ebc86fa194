// SPDX-License-Identifier: GPL-3.0-or-later
//
// From one text to one value, and the sentence where that fails: what the resolvers of this layer
// share. Knows nothing of Config.
#ifndef RINGPOST_CONFIG_READERS_H_
#define RINGPOST_CONFIG_READERS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ringpost/config/config.h"
#include "ringpost/config/settings.h"

namespace ringpost {

inline absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

// "<where>: <sentence>" and "<where>: "<text>" <sentence>".
absl::Status Refuse(const Given& given, std::string_view sentence);
absl::Status RefuseQuoted(const Given& given, std::string_view sentence);
// For whoever hands a refusal or a warning out: what it quotes cannot make another line of it, nor
// move a cursor.
void PutOnOneLine(std::string* text);
absl::Status OnOneLine(const absl::Status& status);

// 0 is always allowed: `zero` says what it stands for.
absl::Status ReadCount(const Given& given, std::uint32_t min, std::uint32_t max, std::uint32_t* out,
                       std::string_view zero = "the automatic value");
inline constexpr TimeNs kTimeoutMin = 10 * kNsPerMs;
inline constexpr TimeNs kTimeoutMax = 24 * 3600 * kNsPerSecond;
absl::Status ReadDuration(const Given& given, TimeNs min, TimeNs max, TimeNs* out);
// "true" or "false"; not given: as it is.
absl::Status ReadBoolean(const std::optional<Given>& given, bool* out);

template <typename Enum>
struct Choice {
  std::string_view word;
  Enum value;
};

template <typename Enum, std::size_t kCount>
absl::Status ReadChoice(const Given& given, const std::array<Choice<Enum>, kCount>& choices,
                        Enum* out) {
  std::string words;
  std::array<std::string_view, kCount> candidates;
  for (std::size_t i = 0; i < kCount; ++i) {
    if (given.text == choices[i].word) {
      *out = choices[i].value;
      return absl::OkStatus();
    }
    candidates[i] = choices[i].word;
    absl::StrAppend(&words, i == 0 ? "" : (i + 1 == kCount ? " or " : ", "), View(choices[i].word));
  }
  return RefuseQuoted(given,
                      absl::StrCat("is not one of ", words, Suggestion(given.text, candidates)));
}

// Not given: as it is.
template <typename Enum, std::size_t kCount>
absl::Status ReadChoice(const std::optional<Given>& given,
                        const std::array<Choice<Enum>, kCount>& choices, Enum* out) {
  return given.has_value() ? ReadChoice(*given, choices, out) : absl::OkStatus();
}

// A regular file with something in it. `what`: "a certificate".
absl::Status CheckReadable(const Given& given, std::string_view what);
// That, and a secret: what every user of the machine can read or change, or its group can change,
// is refused. A group may read it (Debian's ssl-cert), and what a folder keeps from others is not
// exposed, whatever its own mode says.
absl::Status CheckSecret(const Given& given, std::string_view what);
// CheckReadable(), or a folder with at least one such file; names that begin with a dot do not
// count.
absl::Status CheckReadableOrFolder(const Given& given, std::string_view what);

}  // namespace ringpost

#endif  // RINGPOST_CONFIG_READERS_H_
