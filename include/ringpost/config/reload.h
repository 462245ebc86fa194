// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a running process cannot change when its configuration is read again. Everything else holds
// for new sessions as soon as the new configuration does.
#ifndef RINGPOST_CONFIG_RELOAD_H_
#define RINGPOST_CONFIG_RELOAD_H_

#include <memory>
#include <string>
#include <vector>

#include "ringpost/config/config.h"

namespace ringpost {

// One sentence for the log for each setting of `next` that has to wait for a restart: "shards is 4
// now and 8 in the file; restart to change it". Empty: there is none.
[[nodiscard]] std::vector<std::string> RestartOnlyChanges(const Config& running,
                                                          const Config& next);

// `next` with those settings as they are now: what a reload can put into force.
[[nodiscard]] std::shared_ptr<const Config> KeepRestartOnly(const Config& running,
                                                            const Config& next);

}  // namespace ringpost

#endif  // RINGPOST_CONFIG_RELOAD_H_
