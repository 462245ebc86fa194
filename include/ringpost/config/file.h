// SPDX-License-Identifier: GPL-3.0-or-later
//
// The TOML file. Reads structure only (known keys, right types) and keeps line and column of each
// value for whoever judges it. Every error names file, line and column and says what to change.
#ifndef RINGPOST_CONFIG_FILE_H_
#define RINGPOST_CONFIG_FILE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "ringpost/config/settings.h"

namespace ringpost {

[[nodiscard]] absl::StatusOr<Settings> ReadConfigFile(const std::string& path);

// The same for a text that is already in memory. Relative paths in it are relative to the folder of
// `path`, which also opens the error messages.
[[nodiscard]] absl::StatusOr<Settings> ParseConfigText(std::string_view text,
                                                       const std::string& path);

}  // namespace ringpost

#endif  // RINGPOST_CONFIG_FILE_H_
