// SPDX-License-Identifier: GPL-3.0-or-later
#include "port_check.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "local_socket.h"
#include "port_owner.h"
#include "ringpost/io/socket.h"
#include "ringpost/process/shard_thread.h"
#include "ringpost/process/unix_listeners.h"

namespace ringpost {
namespace {

// How long a start waits for an address that another ringpost has, and how often it tries.
constexpr std::chrono::seconds kPortPatience{2};
constexpr std::chrono::milliseconds kPortPause{20};

// Or it is held by a program that this user cannot see: one that runs confined, as ringpost does.
bool MayBeHeldByRingpost(const Endpoint& endpoint) {
  if (IsUnix(endpoint)) {
    const absl::StatusOr<LocalSocket::Occupant> occupant =
        LocalSocket::OccupantOf(endpoint, UnixListeners::kName);
    const std::string program =
        occupant.ok() && occupant->answers ? ProgramOf(occupant->pid) : std::string();
    return occupant.ok() && occupant->answers && (program.empty() || IsThisProgram(program));
  }
  const std::vector<PortOwner> owners = PortOwners(endpoint);
  return owners.empty() || std::any_of(owners.begin(), owners.end(), [](const PortOwner& owner) {
           return IsThisProgram(owner.program);
         });
}

}  // namespace

absl::Status CheckPortIsFree(const ListenerConfig& listener) {
  const Endpoint& endpoint = listener.endpoint;
  if (IsUnix(endpoint)) {
    return absl::OkStatus();
  }
  const absl::StatusOr<int> fd = OpenListener(&endpoint.address.any, endpoint.length, endpoint.text,
                                              ListenOptionsFor(listener, PortSharing::kExclusive));
  if (!fd.ok()) {
    return fd.status();
  }
  close(*fd);
  return absl::OkStatus();
}

absl::Status OnceFree(const Endpoint& endpoint, const std::function<absl::Status()>& open) {
  const auto give_up = std::chrono::steady_clock::now() + kPortPatience;
  for (;;) {
    absl::Status status = open();
    if (!absl::IsFailedPrecondition(status) || std::chrono::steady_clock::now() >= give_up) {
      return status;
    }
    if (!MayBeHeldByRingpost(endpoint)) {
      return open();  // it may have let go in between
    }
    std::this_thread::sleep_for(kPortPause);
  }
}

}  // namespace ringpost
