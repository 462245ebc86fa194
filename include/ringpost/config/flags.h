// SPDX-License-Identifier: GPL-3.0-or-later
//
// The command line of ringpost. Flags hold texts; resolve.h judges them, together with the file's.
#ifndef RINGPOST_CONFIG_FLAGS_H_
#define RINGPOST_CONFIG_FLAGS_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "ringpost/config/config.h"
#include "ringpost/config/settings.h"

namespace ringpost {

// What the command line asks the process to do.
enum class FlagAction : std::uint8_t { kRun, kCheckConfig, kListCiphers, kHelp, kVersion };

// Reads the command line, once per process. Unknown flags and stray words are errors. main prints
// "ringpost: <message>" and exits 1 on any error of this header.
[[nodiscard]] absl::StatusOr<FlagAction> ParseFlags(int argc, char** argv);

[[nodiscard]] std::string HelpText();     // every flag with its unit and default
[[nodiscard]] std::string VersionText();  // "ringpost 0.1.0\n"

// Flags and the file they name, merged: a flag wins over the file's value for tuning; routes come
// either from flags or from the file, never from both.
[[nodiscard]] absl::StatusOr<std::shared_ptr<const Config>> LoadConfig();

// The file that --config names; empty: none.
[[nodiscard]] std::string ConfigPath();

// The parts of LoadConfig(), for tests.
[[nodiscard]] absl::StatusOr<Settings> SettingsFromFlags();
[[nodiscard]] absl::StatusOr<Settings> MergeSettings(Settings flags, Settings file);

}  // namespace ringpost

#endif  // RINGPOST_CONFIG_FLAGS_H_
