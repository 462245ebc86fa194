// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a reload of a configuration reads and opens, from which follows what may be given up.
#ifndef RINGPOST_PROCESS_RELOAD_NEEDS_H_
#define RINGPOST_PROCESS_RELOAD_NEEDS_H_

#include <string>

#include "ringpost/config/config.h"
#include "ringpost/process/privileges.h"

namespace ringpost {

// `config_path` is empty where everything stands on the command line.
[[nodiscard]] ReloadNeeds NeedsOfReload(const Config& config, const std::string& config_path);

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_RELOAD_NEEDS_H_
