// SPDX-License-Identifier: GPL-3.0-or-later
//
// Addresses and listeners: the socket calls that happen at start-up or are plain text work.
#ifndef RINGPOST_IO_SOCKET_H_
#define RINGPOST_IO_SOCKET_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "ringpost/io/io.h"

namespace ringpost {

enum class PortSharing : std::uint8_t { kExclusive, kReusePort };
// Whether accept(2) should wait for the client's first octets (where the client speaks first).
enum class DeferAccept : std::uint8_t { kNo, kYes };

struct ListenOptions {
  PortSharing sharing = PortSharing::kExclusive;
  DeferAccept defer = DeferAccept::kNo;
  int backlog = 4096;   // capped by net.core.somaxconn
  bool listens = true;  // or is bound only, for listen(2) later
};

// A listening, close-on-exec socket. TCP_NODELAY is set here and inherited by what is accepted. A
// stale unix socket file is removed first. Errors are sentences that name `text`, the address as
// configured.
[[nodiscard]] absl::StatusOr<int> OpenListener(const sockaddr* address, socklen_t length,
                                               std::string_view text, const ListenOptions& options);

// The same settings for a TCP socket that listens already, opened by somebody else: blocking,
// because a ring waits by itself, but a non-blocking one says EAGAIN at once. Or -errno.
[[nodiscard]] int AdoptListener(int fd, DeferAccept defer);

// "192.0.2.1:25", "[2001:db8::1]:25", "unix". IPv4-mapped IPv6 addresses are written as IPv4.
// Writes into `out` (kAddressTextMax is enough) and returns the part used.
inline constexpr std::size_t kAddressTextMax = 64;
std::string_view FormatAddress(const SocketAddress& address, std::span<char> out);
// The same without port and brackets.
std::string_view FormatHost(const SocketAddress& address, std::span<char> out);
// 0 for unix sockets.
[[nodiscard]] std::uint16_t PortOf(const SocketAddress& address);

// A stream socket, close-on-exec, TCP_NODELAY where it applies; or -errno.
[[nodiscard]] int OpenStreamSocket(int family);
// Whether the system's congestion control paces what is sent, as BBR does: a timer for each burst,
// which a connection within one machine has no use for.
[[nodiscard]] bool PacesByDefault();
// Before a connect: no pacing if `address` is of this machine (127.0.0.0/8, ::1).
void LeavePacing(int fd, const sockaddr& address);
// Before a connect: the last ACK of TCP's handshake waits for what is sent next. Unix sockets have
// none.
void DelayConnectAck(int fd, const sockaddr& address);
// The ACK that is due, now. Nothing is sent where none is, where octets wait to be read (they will
// bring about another), and on unix sockets. `behind`: what becomes of the ACKs of small segments
// that come next, until something is sent.
enum class AcksBehind : std::uint8_t { kWithAnswers, kAtOnce };
void SendAck(int fd, AcksBehind behind);
// 0 or -errno. Of a unix socket's peer: SocketAddress::unix_peer.
[[nodiscard]] int PeerAddressOf(int fd, SocketAddress* address);
[[nodiscard]] int LocalAddressOf(int fd, SocketAddress* address);  // 0 or -errno

}  // namespace ringpost

#endif  // RINGPOST_IO_SOCKET_H_
