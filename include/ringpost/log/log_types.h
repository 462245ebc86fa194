// SPDX-License-Identifier: GPL-3.0-or-later
//
// The two choices an administrator has about the log. Apart from log.h, so that the configuration
// can name them without knowing the writer.
#ifndef RINGPOST_LOG_LOG_TYPES_H_
#define RINGPOST_LOG_LOG_TYPES_H_

#include <cstdint>

namespace ringpost {

enum class LogFormat : std::uint8_t { kText, kJson };
// Ordered: a level lets itself and everything before it through.
enum class LogLevel : std::uint8_t { kError, kWarning, kInfo, kDebug };

}  // namespace ringpost

#endif  // RINGPOST_LOG_LOG_TYPES_H_
