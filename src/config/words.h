// SPDX-License-Identifier: GPL-3.0-or-later
//
// Values as flags and file write them, where config.h does not have them already.
#ifndef RINGPOST_CONFIG_WORDS_H_
#define RINGPOST_CONFIG_WORDS_H_

#include <string_view>

#include "ringpost/log/log_types.h"

namespace ringpost {

[[nodiscard]] std::string_view LogLevelWord(LogLevel level);
[[nodiscard]] std::string_view LogFormatWord(LogFormat format);
[[nodiscard]] constexpr std::string_view OnOff(bool on) { return on ? "on" : "off"; }

}  // namespace ringpost

#endif  // RINGPOST_CONFIG_WORDS_H_
