// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the log says when a configuration comes into force: routes, certificates with their days,
// trust, partners, and every warning. Stateless.
#ifndef RINGPOST_PROCESS_START_LOG_H_
#define RINGPOST_PROCESS_START_LOG_H_

#include <string>
#include <string_view>
#include <vector>

#include "ringpost/log/log.h"
#include "ringpost/session/runtime.h"

namespace ringpost {

struct StartWarning {
  std::string_view component;  // of the log line
  std::string sentence;
};
// Each once. `file_warnings` are those of LoadFiles().
[[nodiscard]] std::vector<StartWarning> StartWarnings(
    const Runtime& runtime, const std::vector<std::string>& file_warnings);

void LogConfiguration(Logger& logger, const Runtime& runtime,
                      const std::vector<std::string>& file_warnings);

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_START_LOG_H_
