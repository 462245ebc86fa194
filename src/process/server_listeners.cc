// SPDX-License-Identifier: GPL-3.0-or-later
//
// The listening sockets of a start: those that the process was given, and new ones.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "port_check.h"
#include "ringpost/io/socket.h"
#include "ringpost/process/server.h"

namespace ringpost {

absl::Status Server::OpenListeners() {
  const std::vector<ListenerRuntime>& listeners = shards_.front()->runtime().listeners;
  for (const ListenerRuntime& listener : listeners) {
    // Where one was given to us, it is our own socket that would be in the way.
    if (start_.sockets.HadPort(PortOf(listener.listener->endpoint.address))) {
      continue;
    }
    absl::Status status =
        OnceFree(listener.listener->endpoint, [&] { return CheckPortIsFree(*listener.listener); });
    if (!status.ok()) {
      return status;
    }
  }
  for (std::size_t index = 0; index < listeners.size(); ++index) {
    const Endpoint& endpoint = listeners[index].listener->endpoint;
    absl::Status status;
    if (IsUnix(endpoint)) {
      status = OpenUnixListener(index);
    } else if (const auto given = start_.sockets.TakeFor(endpoint); given.empty()) {
      status = OpenNewListener(index);
    } else {
      status = AdoptListeners(index, given);
    }
    if (!status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

// One for all shards.
absl::Status Server::OpenUnixListener(std::size_t index) {
  const Endpoint& endpoint = shards_.front()->runtime().listeners[index].listener->endpoint;
  const std::vector<InheritedSockets::Socket> given = start_.sockets.TakeFor(endpoint);
  if (!given.empty()) {
    given_.push_back(endpoint.text);
  }
  absl::Status status = unix_listeners_.Adopt(endpoint, given);
  if (status.ok()) {
    status = OnceFree(endpoint, [&] { return unix_listeners_.Open(endpoint); });
  }
  for (const std::unique_ptr<ShardThread>& shard : shards_) {
    if (status.ok()) {
      status = shard->AddUnixListener(index, unix_listeners_);
    }
  }
  return status;
}

absl::Status Server::OpenNewListener(std::size_t index) {
  for (const std::unique_ptr<ShardThread>& shard : shards_) {
    absl::Status status = shard->OpenListener(index, ShardThread::Listen::kNow);
    if (!status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

// Every socket is served: connections to one of a group that nobody accepts from would be lost. A
// shard for which there is none opens one of its own, or, where SO_REUSEPORT is not set or they are
// another user's, serves another shard's as well.
absl::Status Server::AdoptListeners(std::size_t index,
                                    const std::vector<InheritedSockets::Socket>& given) {
  const ListenerConfig& listener = *shards_.front()->runtime().listeners[index].listener;
  const DeferAccept defer = ListenOptionsFor(listener, PortSharing::kReusePort).defer;
  std::vector<ShardSocket> sockets;
  absl::Status status;
  for (const InheritedSockets::Socket& socket : given) {
    if (const int error = AdoptListener(socket.fd, defer); error != 0) {
      status =
          absl::InternalError(absl::StrCat("cannot use the socket that was given for ",
                                           listener.endpoint.text, ": ", std::strerror(-error)));
    }
    sockets.push_back({.listener = index, .fd = socket.fd});
  }
  for (std::size_t shard = given.size(); shard < shards_.size(); ++shard) {
    if (shards_[shard]->OpenListener(index, ShardThread::Listen::kLate).ok()) {
      continue;
    }
    ShardSocket& shared = sockets[shard % given.size()];
    shared.use = SocketUse::kShared;
    ShardSocket copy = shared;
    copy.is_copy = true;
    copy.fd = fcntl(shared.fd, F_DUPFD_CLOEXEC, 0);
    if (copy.fd < 0) {
      status = absl::ResourceExhaustedError(absl::StrCat("dup: ", std::strerror(errno)));
    } else {
      shards_[shard]->AddListener(copy);
    }
  }
  for (std::size_t socket = 0; socket < sockets.size(); ++socket) {
    shards_[socket % shards_.size()]->AddListener(sockets[socket]);
  }
  given_.push_back(absl::StrCat(listener.endpoint.text,
                                given.size() > 1 ? absl::StrCat(" (", given.size(), ")") : ""));
  return status;
}

absl::Status Server::OpenPolicyService() {
  if (!config_->policy_service.has_value()) {
    return absl::OkStatus();
  }
  std::vector<const SessionRegistry*> registries;
  for (const std::unique_ptr<SessionRegistry>& registry : registries_) {
    registries.push_back(registry.get());
  }
  Logger* const logger = log_.AddLogger();  // of the service's thread
  PolicyServiceOptions options;
  for (const InheritedSockets::Socket& given : start_.sockets.TakeFor(*config_->policy_service)) {
    if (options.socket >= 0) {
      close(given.fd);  // nobody makes two
      continue;
    }
    options.socket = given.fd;
    options.may_own_file = given.name == InheritedSockets::kOwnedFile;
    given_.push_back(given.endpoint.text);
  }
  options.warn = [logger](std::string_view sentence) {
    logger->Event(LogLevel::kWarning, "policy-service", sentence);
  };
  return OnceFree(*config_->policy_service, [&] {
    absl::StatusOr<std::unique_ptr<PolicyService>> service =
        PolicyService::Open(*config_->policy_service, config_->hostname, registries, options);
    if (!service.ok()) {
      return service.status();
    }
    policy_service_ = *std::move(service);
    return absl::OkStatus();
  });
}

}  // namespace ringpost
