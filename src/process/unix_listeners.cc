// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/unix_listeners.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "local_socket.h"
#include "ringpost/base/check.h"
#include "ringpost/config/address.h"
#include "ringpost/io/socket.h"

namespace ringpost {
namespace {

// Blocking, because a ring gives up at once on a socket that is not.
LocalSocketOptions Options() {
  return {.name = UnixListeners::kName, .blocking = true, .backlog = ListenOptions().backlog};
}

std::vector<const Endpoint*> PathsOf(const Config& config) {
  std::vector<const Endpoint*> paths;
  for (const RouteConfig& route : config.routes) {
    for (const ListenerConfig& listener : route.listeners) {
      if (IsUnix(listener.endpoint)) {
        paths.push_back(&listener.endpoint);
      }
    }
  }
  return paths;
}

}  // namespace

bool IsUnix(const Endpoint& endpoint) { return endpoint.address.any.sa_family == AF_UNIX; }

UnixListeners::UnixListeners() = default;
UnixListeners::~UnixListeners() = default;

absl::Status UnixListeners::Open(const Config& next) {
  for (const Endpoint* const endpoint : PathsOf(next)) {
    if (absl::Status status = Open(*endpoint); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status UnixListeners::Open(const Endpoint& endpoint) {
  if (Find(endpoint) != nullptr) {
    return absl::OkStatus();
  }
  auto socket = std::make_unique<LocalSocket>();
  if (absl::Status status = socket->Open(endpoint, Options()); !status.ok()) {
    return status;
  }
  listeners_.push_back({endpoint, std::move(socket)});
  return absl::OkStatus();
}

absl::Status UnixListeners::Adopt(const Endpoint& endpoint,
                                  const std::vector<InheritedSockets::Socket>& given) {
  for (const InheritedSockets::Socket& one : given) {
    if (Find(endpoint) != nullptr) {
      close(one.fd);
      continue;
    }
    auto socket = std::make_unique<LocalSocket>();
    absl::Status status =
        socket->Adopt(one.fd, endpoint, Options(), one.name == InheritedSockets::kOwnedFile);
    if (!status.ok()) {
      return status;
    }
    listeners_.push_back({endpoint, std::move(socket)});
  }
  return absl::OkStatus();
}

void UnixListeners::Keep(const Config& now) {
  const std::vector<const Endpoint*> paths = PathsOf(now);
  std::erase_if(listeners_, [&paths](const Listener& listener) {
    return std::none_of(paths.begin(), paths.end(), [&listener](const Endpoint* endpoint) {
      return SameEndpoint(*endpoint, listener.endpoint);
    });
  });
}

void UnixListeners::Close() { listeners_.clear(); }

void UnixListeners::Own() {
  for (const Listener& listener : listeners_) {
    listener.socket->Own();
  }
}

void UnixListeners::Abandon() {
  for (const Listener& listener : listeners_) {
    listener.socket->Abandon();
  }
  listeners_.clear();
}

void UnixListeners::AppendTo(std::vector<HandedSocket>* sockets) const {
  for (const Listener& listener : listeners_) {
    sockets->push_back(
        {.fd = listener.socket->fd(),
         .kind = listener.socket->owns_file() ? HandedKind::kOwnedFile : HandedKind::kListener});
  }
}

absl::StatusOr<int> UnixListeners::Duplicate(const Endpoint& endpoint) const {
  const Listener* const listener = Find(endpoint);
  RINGPOST_CHECK(listener != nullptr);
  const int fd = fcntl(listener->socket->fd(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) {
    return absl::InternalError(
        absl::StrCat("cannot listen on ", endpoint.text, ": ", std::strerror(errno)));
  }
  return fd;
}

const UnixListeners::Listener* UnixListeners::Find(const Endpoint& endpoint) const {
  const auto found = std::find_if(
      listeners_.begin(), listeners_.end(),
      [&endpoint](const Listener& listener) { return SameEndpoint(listener.endpoint, endpoint); });
  return found != listeners_.end() ? &*found : nullptr;
}

}  // namespace ringpost
