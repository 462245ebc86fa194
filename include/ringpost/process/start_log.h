// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the log says when a configuration comes into force: at the start routes, certificates with
// their days, trust, partners and every warning; after a reload what is new of it. Stateless.
#ifndef RINGPOST_PROCESS_START_LOG_H_
#define RINGPOST_PROCESS_START_LOG_H_

#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "ringpost/log/log.h"
#include "ringpost/session/runtime.h"

namespace ringpost {

// "cannot open the log file /var/log/x: Permission denied"; `error` is -errno.
[[nodiscard]] std::string LogFileSentence(const std::string& path, int error);

struct StartWarning {
  std::string_view component;  // of the log line
  std::string sentence;
};
// Each once. `file_warnings` are those of LoadFiles().
[[nodiscard]] std::vector<StartWarning> StartWarnings(
    const Runtime& runtime, const std::vector<std::string>& file_warnings);

// What there is to say of a configuration, in order: its routes, certificates, trust, warnings.
struct StartLine {
  LogLevel level = LogLevel::kInfo;
  std::string_view component;  // of the log line
  std::string sentence;

  [[nodiscard]] bool operator<(const StartLine& other) const {
    return std::tie(level, component, sentence) <
           std::tie(other.level, other.component, other.sentence);
  }
};
[[nodiscard]] std::vector<StartLine> StartLines(const Runtime& runtime,
                                                const std::vector<std::string>& file_warnings);
// Those that were not `said`: after a reload, what is new.
void LogLines(Logger& logger, const std::vector<StartLine>& lines,
              const std::vector<StartLine>& said);

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_START_LOG_H_
