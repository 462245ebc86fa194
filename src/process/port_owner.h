// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which program has an address, as /proc tells. Only as much is seen as this user may see. Private
// to the process layer.
#ifndef RINGPOST_PROCESS_PORT_OWNER_H_
#define RINGPOST_PROCESS_PORT_OWNER_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "ringpost/config/config.h"

namespace ringpost {

struct PortOwner {
  pid_t pid = 0;
  std::string program;  // as ps shows it: "master", "ringpost"
};

// Those that listen where `endpoint`, of TCP, would. Empty: nobody, or nobody that can be seen.
[[nodiscard]] std::vector<PortOwner> PortOwners(const Endpoint& endpoint);

// The name of a process, and whether it is this program; empty: it is gone.
[[nodiscard]] std::string ProgramOf(pid_t pid);
[[nodiscard]] bool IsThisProgram(std::string_view program);

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_PORT_OWNER_H_
