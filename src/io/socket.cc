// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/io/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ringpost {
namespace {

// Long enough for a client behind a satellite link to send its ClientHello.
constexpr int kDeferAcceptSeconds = 10;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::Status ListenError(std::string_view text, const char* call) {
  const int error = errno;
  switch (error) {
    case EADDRINUSE:
      return absl::FailedPreconditionError(
          absl::StrCat("the address ", View(text),
                       " is already in use; stop the program that "
                       "listens there (ss -ltnp shows it) or choose another"));
    case EACCES:
      return absl::PermissionDeniedError(
          absl::StrCat("no permission to listen on ", View(text),
                       "; ports below 1024 need root or the capability cap_net_bind_service"));
    case EADDRNOTAVAIL:
      return absl::FailedPreconditionError(
          absl::StrCat("this machine has no address ", View(text), " to listen on"));
    default:
      return absl::InternalError(
          absl::StrCat("cannot listen on ", View(text), ": ", call, ": ", std::strerror(error)));
  }
}

absl::Status SetUp(int fd, const sockaddr* address, socklen_t length, std::string_view text,
                   const ListenOptions& options) {
  const int one = 1;
  const bool tcp = address->sa_family != AF_UNIX;
  if (tcp) {
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0) {
      return ListenError(text, "setsockopt");
    }
    if (options.sharing == PortSharing::kReusePort &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0) {
      return ListenError(text, "SO_REUSEPORT");
    }
    // So that 0.0.0.0:25 and [::]:25 can stand side by side.
    if (address->sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) {
      return ListenError(text, "IPV6_V6ONLY");
    }
    if (options.defer == DeferAccept::kYes &&
        setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &kDeferAcceptSeconds,
                   sizeof kDeferAcceptSeconds) != 0) {
      return ListenError(text, "TCP_DEFER_ACCEPT");
    }
  } else {
    unlink(reinterpret_cast<const sockaddr_un*>(address)->sun_path);
  }
  if (bind(fd, address, length) != 0) {
    return ListenError(text, "bind");
  }
  if (options.listens && listen(fd, options.backlog) != 0) {
    return ListenError(text, "listen");
  }
  return absl::OkStatus();
}

// The IPv4 address inside ::ffff:a.b.c.d, or nullptr.
const std::uint8_t* MappedIpv4(const in6_addr& address) {
  return IN6_IS_ADDR_V4MAPPED(&address) ? address.s6_addr + 12 : nullptr;
}

}  // namespace

absl::StatusOr<int> OpenListener(const sockaddr* address, socklen_t length, std::string_view text,
                                 const ListenOptions& options) {
  const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return ListenError(text, "socket");
  }
  const absl::Status status = SetUp(fd, address, length, text, options);
  if (!status.ok()) {
    close(fd);
    return status;
  }
  return fd;
}

int AdoptListener(int fd, DeferAccept defer) {
  const int one = 1;
  const int seconds = defer == DeferAccept::kYes ? kDeferAcceptSeconds : 0;
  const int flags = fcntl(fd, F_GETFL);
  const bool done = flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0 &&
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0 &&
                    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds) == 0;
  return done ? 0 : -errno;
}

std::string_view FormatHost(const SocketAddress& address, std::span<char> out) {
  const char* text = nullptr;
  const auto size = static_cast<socklen_t>(out.size());
  if (address.any.sa_family == AF_INET) {
    text = inet_ntop(AF_INET, &address.in.sin_addr, out.data(), size);
  } else if (address.any.sa_family == AF_INET6) {
    const std::uint8_t* mapped = MappedIpv4(address.in6.sin6_addr);
    text = mapped != nullptr ? inet_ntop(AF_INET, mapped, out.data(), size)
                             : inet_ntop(AF_INET6, &address.in6.sin6_addr, out.data(), size);
  }
  return text != nullptr ? std::string_view(text) : std::string_view("unix");
}

std::uint16_t PortOf(const SocketAddress& address) {
  if (address.any.sa_family == AF_INET) {
    return ntohs(address.in.sin_port);
  }
  return address.any.sa_family == AF_INET6 ? ntohs(address.in6.sin6_port) : std::uint16_t{0};
}

std::string_view FormatAddress(const SocketAddress& address, std::span<char> out) {
  if (out.size() < kAddressTextMax || address.any.sa_family == AF_UNIX) {
    return "unix";
  }
  const bool brackets =
      address.any.sa_family == AF_INET6 && MappedIpv4(address.in6.sin6_addr) == nullptr;
  std::size_t length = 0;
  if (brackets) {
    out[length++] = '[';
  }
  length += FormatHost(address, out.subspan(length)).size();
  if (brackets) {
    out[length++] = ']';
  }
  out[length++] = ':';
  const std::to_chars_result end =
      std::to_chars(out.data() + length, out.data() + out.size(), PortOf(address));
  return {out.data(), static_cast<std::size_t>(end.ptr - out.data())};
}

int OpenStreamSocket(int family) {
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return -errno;
  }
  const int one = 1;
  if (family != AF_UNIX && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0) {
    const int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

bool PacesByDefault() {
  std::array<char, 16> name{};  // TCP_CA_NAME_MAX
  auto length = static_cast<socklen_t>(name.size());
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool known =
      fd >= 0 && getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), &length) == 0;
  if (fd >= 0) {
    close(fd);
  }
  return known && std::string_view(name.data()).starts_with("bbr");
}

void LeavePacing(int fd, const sockaddr& address) {
  const bool local =
      (address.sa_family == AF_INET &&
       ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr) >> 24 == 127) ||
      (address.sa_family == AF_INET6 &&
       IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr));
  if (local) {
    constexpr std::string_view kName = "reno";  // every kernel has it, and everybody may choose it
    (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, kName.data(), kName.size());
  }
}

void DelayConnectAck(int fd, const sockaddr& address) {
  if (address.sa_family != AF_UNIX) {
    const int no = 0;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &no, sizeof no);
  }
}

void SendAck(int fd, AcksBehind behind) {
  // tcp(7) knows 0 and 1. Behind any even value but 0 the kernel goes back to ACKs that travel with
  // what is sent (tcp_sock_set_quickack()); behind 1 a command would be acknowledged twice, when it
  // is read and by its reply.
  const int value = behind == AcksBehind::kWithAnswers ? 2 : 1;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &value, sizeof value);
}

int PeerAddressOf(int fd, SocketAddress* address) {
  socklen_t length = sizeof *address;
  if (getpeername(fd, &address->any, &length) != 0) {
    return -errno;
  }
  if (address->any.sa_family == AF_UNIX) {
    ucred peer{};
    length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
      return -errno;
    }
    address->unix_peer = {.family = AF_UNIX, .user = peer.uid};
  }
  return 0;
}

int LocalAddressOf(int fd, SocketAddress* address) {
  socklen_t length = sizeof *address;
  return getsockname(fd, &address->any, &length) == 0 ? 0 : -errno;
}

}  // namespace ringpost
