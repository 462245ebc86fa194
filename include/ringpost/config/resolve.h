// SPDX-License-Identifier: GPL-3.0-or-later
//
// From Settings to the one validated Config: every check that needs no TLS library and no socket.
// What is not said is taken from the defaults of Config and from the machine.
#ifndef RINGPOST_CONFIG_RESOLVE_H_
#define RINGPOST_CONFIG_RESOLVE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ringpost/config/config.h"
#include "ringpost/config/settings.h"

namespace ringpost {

// What the defaults depend on; apart, so that tests can choose it.
struct Machine {
  std::string hostname;
  std::vector<int> cpus;              // of the affinity mask
  std::uint64_t descriptors_max = 0;  // RLIMIT_NOFILE, the soft limit
};

// This one. Raises the soft limit of descriptors to the hard one first.
[[nodiscard]] Machine ThisMachine();

[[nodiscard]] absl::StatusOr<std::shared_ptr<const Config>> ResolveConfig(const Settings& settings,
                                                                          const Machine& machine);

}  // namespace ringpost

#endif  // RINGPOST_CONFIG_RESOLVE_H_
