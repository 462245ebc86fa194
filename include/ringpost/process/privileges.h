// SPDX-License-Identifier: GPL-3.0-or-later
//
// Less than root. Started as root, the process becomes another user before it reads a key or makes
// a thread, and keeps two capabilities: to listen below port 1024 and to read files that only root
// may read. When the start is complete it gives up those of the two that no reload will need.
// Capabilities belong to threads: those that need none are made by WithoutCapabilities().
#ifndef RINGPOST_PROCESS_PRIVILEGES_H_
#define RINGPOST_PROCESS_PRIVILEGES_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ringpost {

// Who the process is to be.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string user;
  std::string group;
  bool changes = false;  // the process is root now and becomes `user`

  [[nodiscard]] bool is_root() const { return uid == 0; }
};

// As `user` and `group` ask for; empty is their default. Changes nothing. An error is a sentence.
[[nodiscard]] absl::StatusOr<Identity> ChooseIdentity(std::string_view user,
                                                      std::string_view group);
// What is to be said of a process that stays root; otherwise empty.
[[nodiscard]] std::string IdentityWarning(const Identity& identity);

// To be called once, while there is one thread. Afterwards the process is `identity`, has at most
// the two capabilities, gains none by any program that it would run, and leaves no core dump. A
// process that stays root keeps its capabilities.
[[nodiscard]] absl::Status DropPrivileges(const Identity& identity);

// Runs `make`, and returns what it returns. Threads that it makes have no capability, unless the
// process is root.
[[nodiscard]] absl::Status WithoutCapabilities(const std::function<absl::Status()>& make);

// What a reload may need.
struct ReloadNeeds {
  std::vector<std::string> files;  // read again
  bool low_ports = false;          // some listener's port is one that needs a capability
};
// Gives up, for this thread, what `needs` does not ask for. Returns what was kept and why, for the
// log: "no capabilities".
[[nodiscard]] absl::StatusOr<std::string> KeepForReload(const ReloadNeeds& needs);

// The first port that anybody may listen on: net.ipv4.ip_unprivileged_port_start.
[[nodiscard]] int FirstUnprivilegedPort();

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_PRIVILEGES_H_
