// SPDX-License-Identifier: GPL-3.0-or-later
//
// SIGUSR1: the program is started anew and gets the sockets.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ringpost/process/server.h"

namespace ringpost {

void Server::StartSuccessor() {
  if (ending_) {
    logger_->Event(LogLevel::kWarning, "upgrade", "SIGUSR1: this one ends already");
    return;
  }
  std::vector<HandedSocket> sockets;
  for (const std::unique_ptr<ShardThread>& shard : shards_) {
    for (const ShardSocket& socket : shard->sockets()) {
      if (!socket.is_copy) {
        sockets.push_back({.fd = socket.fd, .kind = HandedKind::kListener});
      }
    }
  }
  unix_listeners_.AppendTo(&sockets);
  if (policy_service_ != nullptr) {
    sockets.push_back(
        {.fd = policy_service_->socket(),
         .kind = policy_service_->owns_file() ? HandedKind::kOwnedFile : HandedKind::kListener});
  }
  const std::size_t count = sockets.size();
  const absl::Status status =
      successor_.Begin(std::move(sockets), *ticket_keys_, Successor::Clock::now());
  if (status.ok()) {
    logger_->Event(LogLevel::kInfo, "upgrade",
                   absl::StrCat("SIGUSR1: starting the program anew, with ", count, " socket(s)"));
  } else {
    logger_->Event(LogLevel::kError, "upgrade", absl::StrCat("SIGUSR1: ", status.message()));
  }
}

bool Server::WaitsForAnother() const {
  return successor_.under_way() || successor_.waits_for_release() || predecessor_.exists();
}

void Server::LookAtOthers() {
  if (successor_.under_way()) {
    LookAtSuccessor();
  }
  // The kernel wakes one of those that wait at a socket. Where that was one of ours, and it went
  // away at that moment, the client is still in the queue, and the new one does not know.
  if (successor_.waits_for_release() &&
      std::all_of(shards_.begin(), shards_.end(),
                  [](const auto& shard) { return shard->has_released(); })) {
    successor_.TellReleased();
  }
  if (predecessor_.exists() && predecessor_.HasReleased()) {
    for (const std::unique_ptr<ShardThread>& shard : shards_) {
      shard->PostAcceptAgain();
    }
  }
}

void Server::LookAtSuccessor() {
  switch (successor_.LookAt(Successor::Clock::now())) {
    case Successor::Look::kWaits:
      break;
    case Successor::Look::kReady:
      HandOver();
      break;
    case Successor::Look::kFailed:
      logger_->Event(LogLevel::kError, "upgrade",
                     absl::StrCat(successor_.failure(), "; this one goes on serving"));
      break;
  }
}

// The sockets are the new one's as well: closing ours turns nobody away.
void Server::HandOver() {
  ending_ = true;
  logger_->Event(LogLevel::kInfo, "upgrade",
                 absl::StrCat("the new one (pid ", successor_.pid(),
                              ") serves; no new sessions here, those that run have ",
                              config_->drain_timeout / kNsPerSecond, " s"));
  notify_.HandedOver(successor_.pid());
  unix_listeners_.Abandon();
  PostAll(ShardCommand::kHandOver);
  if (policy_service_ != nullptr) {
    policy_service_->HandOver();
  }
}

}  // namespace ringpost
