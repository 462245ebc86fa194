// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a running process cannot change when its configuration is read again, and what it has
// changed. Everything holds for new sessions as soon as the new configuration does.
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

// What a reload has changed, a sentence for each setting: `command_timeout is "400s", was "5m"`,
// `ingress "mx": tls is "encrypt", was "may"`, `partner "contoso" is new`. Empty: nothing. What is
// in the files that a configuration names is not looked at.
[[nodiscard]] std::vector<std::string> ConfigChanges(const Config& before, const Config& after);

}  // namespace ringpost

#endif  // RINGPOST_CONFIG_RELOAD_H_
