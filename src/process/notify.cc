// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ringpost {
namespace {

constexpr std::int64_t kMostUsec = std::int64_t{86'400} * 1'000'000;

// The address that NOTIFY_SOCKET names, "@" for an abstract one; length 0: none.
socklen_t NotifyAddress(sockaddr_un* address) {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  const std::size_t size = path == nullptr ? 0 : std::strlen(path);
  if (size < 2 || size >= sizeof address->sun_path || (path[0] != '/' && path[0] != '@')) {
    return 0;
  }
  address->sun_family = AF_UNIX;
  std::memcpy(address->sun_path, path, size);
  if (path[0] == '@') {
    address->sun_path[0] = '\0';
  }
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
}

// Half of what the manager allows, as sd_watchdog_enabled(3) advises.
std::chrono::microseconds WatchdogInterval() {
  const char* const text = std::getenv("WATCHDOG_USEC");
  const char* const pid = std::getenv("WATCHDOG_PID");
  std::int64_t usec = 0;
  std::int64_t for_pid = 0;
  if (text == nullptr || !absl::SimpleAtoi(text, &usec) || usec <= 0 ||
      (pid != nullptr && (!absl::SimpleAtoi(pid, &for_pid) || for_pid != getpid()))) {
    return std::chrono::microseconds(0);
  }
  return std::chrono::microseconds(std::clamp<std::int64_t>(usec / 2, 1'000, kMostUsec));
}

}  // namespace

Notify::Notify() {
  sockaddr_un address{};
  const socklen_t length = NotifyAddress(&address);
  if (length == 0) {
    return;
  }
  socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket_ >= 0 && connect(socket_, reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    close(socket_);
    socket_ = -1;
  }
  if (socket_ >= 0) {
    interval_ = WatchdogInterval();
  }
}

Notify::~Notify() {
  if (socket_ >= 0) {
    close(socket_);
  }
}

// Lost where the manager does not read: it is no reason to wait.
void Notify::Send(std::string_view state) const {
  if (socket_ >= 0) {
    (void)!send(socket_, state.data(), state.size(), MSG_NOSIGNAL);
  }
}

void Notify::Ready() const { Send(absl::StrCat("READY=1\nMAINPID=", getpid())); }

void Notify::Reloading() const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t usec = std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
  Send(absl::StrCat("RELOADING=1\nMONOTONIC_USEC=", usec));
}

void Notify::Stopping() const { Send("STOPPING=1"); }

void Notify::HandedOver(pid_t pid) const { Send(absl::StrCat("MAINPID=", pid)); }

void Notify::Alive(std::chrono::steady_clock::time_point now) {
  if (interval_.count() > 0 && now - told_ >= interval_ / 2) {
    told_ = now;
    Send("WATCHDOG=1");
  }
}

}  // namespace ringpost
