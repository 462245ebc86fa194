// SPDX-License-Identifier: GPL-3.0-or-later
//
// What no longer works from inside, once ringpost serves: Landlock takes files and ports from each
// thread, seccomp takes system calls from the whole process. Neither can be taken back. A kernel
// that lacks one of them is no error; the log says so.
#ifndef RINGPOST_PROCESS_SANDBOX_H_
#define RINGPOST_PROCESS_SANDBOX_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ringpost/config/config.h"

namespace ringpost {

// What a thread does from then on.
enum class ThreadRole : std::uint8_t {
  kMain,   // reloads: reads any file, listens on any port, makes sockets and the log file anew
  kShard,  // serves: connects to mail servers, and has no files
  kNames,  // looks names up: reads any file, connects to name servers
  kQuiet,  // writes to what it has open
};

// What Landlock leaves, of a configuration. Ports are TCP ports.
struct SandboxLimits {
  std::set<std::uint16_t> upstream_ports;
  std::set<std::uint16_t> name_server_ports;
  std::set<std::string> socket_folders;  // of unix sockets that are listened on
  std::string log_folder;                // empty: there is no log file
};
[[nodiscard]] SandboxLimits LimitsOf(const Config& config);
// The files of unix sockets at these paths may be removed as well.
void AllowRemoval(const std::vector<std::string>& paths, SandboxLimits* limits);
// A sentence where a reload to `next` needs more than `limits` leave; otherwise empty.
[[nodiscard]] std::string BeyondLimits(const SandboxLimits& limits, const Config& next,
                                       int landlock_version);

// Landlock's version in this kernel; 0: it is not there, or off. In builds with a sanitizer 0 too.
[[nodiscard]] int LandlockVersion();
// From version 4 on ports are restricted.
[[nodiscard]] bool RestrictsPorts(int landlock_version);

// Of this thread, and of those that it makes from now on.
[[nodiscard]] absl::Status RestrictThread(ThreadRole role, const SandboxLimits& limits);

// Of all threads that there are. False: this kernel, or this build, cannot. With a log folder a
// file may be opened to be appended to, with socket folders a mode be changed: where, is Landlock's
// to say.
[[nodiscard]] absl::StatusOr<bool> FilterSystemCalls(const SandboxLimits& limits);

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_SANDBOX_H_
