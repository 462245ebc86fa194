// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/inherited_sockets.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "ringpost/config/address.h"
#include "ringpost/io/socket.h"

namespace ringpost {
namespace {

constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
constexpr int kMost = 65'536;

bool IsOption(int fd, int option, int wanted) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 && value == wanted;
}

// Where it is bound; `known()` is false for what ringpost cannot listen on.
Endpoint EndpointOf(int fd) {
  Endpoint endpoint;
  socklen_t length = sizeof endpoint.address;
  if (getsockname(fd, &endpoint.address.any, &length) != 0) {
    return endpoint;
  }
  if (endpoint.address.any.sa_family == AF_UNIX) {
    // Of a path only; an abstract name begins with a NUL.
    const char* const path = endpoint.address.un.sun_path;
    const std::size_t size = strnlen(path, sizeof endpoint.address.un.sun_path);
    endpoint.text = absl::StrCat("unix:", absl::string_view(path, size));
    // As ParseEndpoint() counts it.
    endpoint.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size + 1);
  } else {
    std::array<char, kAddressTextMax> text;
    const std::string_view written = FormatAddress(endpoint.address, text);
    endpoint.text.assign(written);
    endpoint.length = length;
  }
  return endpoint;
}

absl::StatusOr<int> NumberOf(const char* variable, const char* text) {
  int number = 0;
  if (!absl::SimpleAtoi(text, &number) || number < 0 || number > kMost) {
    return absl::InvalidArgumentError(
        absl::StrCat("the environment's ", variable, " is \"", text, "\", not a number"));
  }
  return number;
}

}  // namespace

absl::StatusOr<InheritedSockets> InheritedSockets::Take() {
  InheritedSockets taken;
  // Copies: unsetenv() comes first, so that no child ever has them.
  const auto variable = [](const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
  };
  const std::string pid_text = variable("LISTEN_PID");
  const std::string count_text = variable("LISTEN_FDS");
  const std::vector<std::string> names = absl::StrSplit(variable("LISTEN_FDNAMES"), ':');
  for (const char* const name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
    unsetenv(name);
  }
  if (pid_text.empty() || count_text.empty()) {
    return taken;
  }
  const absl::StatusOr<int> pid = NumberOf("LISTEN_PID", pid_text.c_str());
  const absl::StatusOr<int> count = NumberOf("LISTEN_FDS", count_text.c_str());
  if (pid.ok() && *pid != getpid()) {
    return taken;
  }
  for (const absl::Status& status : {pid.status(), count.status()}) {
    if (!status.ok()) {
      return status;
    }
  }
  for (int index = 0; index < *count; ++index) {
    const auto at = static_cast<std::size_t>(index);
    const std::string name = at < names.size() ? names[at] : std::string();
    if (absl::Status status = taken.Add(kFirst + index, name); !status.ok()) {
      return status;
    }
  }
  return taken;
}

InheritedSockets::~InheritedSockets() {
  (void)CloseRest();
  if (predecessor_ >= 0) {
    close(predecessor_);
  }
}

InheritedSockets::InheritedSockets(InheritedSockets&& other) noexcept
    : sockets_(std::exchange(other.sockets_, {})),
      ports_(std::move(other.ports_)),
      predecessor_(std::exchange(other.predecessor_, -1)) {}

InheritedSockets& InheritedSockets::operator=(InheritedSockets&& other) noexcept {
  std::swap(sockets_, other.sockets_);
  std::swap(ports_, other.ports_);
  std::swap(predecessor_, other.predecessor_);
  return *this;
}

absl::Status InheritedSockets::Add(int fd, std::string_view name) {
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the environment's LISTEN_FDS counts descriptor ", fd, ", which is not open"));
  }
  if (name == kPredecessor) {
    predecessor_ = fd;
    return absl::OkStatus();
  }
  Socket socket{.fd = fd, .name = std::string(name), .endpoint = EndpointOf(fd)};
  if (!IsOption(fd, SO_TYPE, SOCK_STREAM) || !IsOption(fd, SO_ACCEPTCONN, 1)) {
    return absl::InvalidArgumentError(absl::StrCat("descriptor ", fd,
                                                   " that ringpost was started with (", socket.name,
                                                   ") is no listening stream socket; a socket unit "
                                                   "for it has ListenStream= and no Accept=yes"));
  }
  if (const std::uint16_t port = PortOf(socket.endpoint.address); port != 0) {
    ports_.insert(port);
  }
  sockets_.push_back(std::move(socket));
  return absl::OkStatus();
}

std::vector<InheritedSockets::Socket> InheritedSockets::TakeFor(const Endpoint& endpoint) {
  std::vector<Socket> taken;
  std::erase_if(sockets_, [&](Socket& socket) {
    const bool same = socket.endpoint.known() && SameEndpoint(socket.endpoint, endpoint);
    if (same) {
      taken.push_back(std::move(socket));
    }
    return same;
  });
  return taken;
}

int InheritedSockets::TakePredecessor() { return std::exchange(predecessor_, -1); }

InheritedSockets::Rest InheritedSockets::CloseRest() {
  std::set<std::string> addresses;
  std::set<std::string> paths;
  for (const Socket& socket : sockets_) {
    const char* const path = socket.endpoint.address.un.sun_path;
    if (socket.name == kOwnedFile && socket.endpoint.address.any.sa_family == AF_UNIX &&
        path[0] == '/') {
      paths.insert(path);
    }
    addresses.insert(socket.endpoint.text);
    close(socket.fd);
  }
  sockets_.clear();
  return {.addresses = {addresses.begin(), addresses.end()}, .paths = {paths.begin(), paths.end()}};
}

}  // namespace ringpost
