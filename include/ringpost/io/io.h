// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a shard may ask of the kernel. Uring is the real one; the tests run the same sessions on a
// simulated one. No protocol knowledge here.
//
// Who keeps what alive:
// - An Operation is a member of a leg or a listener and never moves. It holds everything the kernel
// may
//   touch while in flight; its destructor CHECKs that it is idle.
// - `in_flight` is set only where the request is handed to the ring and cleared only by
//   Operation::Complete() for the completion without `more`: one rule for one-shot and multishot.
// - A receive takes a block from the pool when data is there, not when it is armed; the completion
// hands
//   its single reference to whoever dispatches it.
#ifndef RINGPOST_IO_IO_H_
#define RINGPOST_IO_IO_H_

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ringpost/base/buffer_pool.h"
#include "ringpost/base/check.h"

namespace ringpost {

// Nanoseconds of the monotonic clock.
using TimeNs = std::int64_t;
inline constexpr TimeNs kNsPerMs = 1'000'000;
inline constexpr TimeNs kNsPerSecond = 1'000'000'000;

// One request's end. `result` is what the system call would have returned, or -errno.
struct Completion {
  std::uint64_t user_data = 0;
  std::int32_t result = 0;
  bool more = false;         // multishot: further completions of this operation follow
  BlockId block = kNoBlock;  // receive with result > 0: the octets, with one reference
};

struct Operation {
  std::uint64_t user_data = 0;
  bool in_flight = false;

  Operation() = default;
  ~Operation() { RINGPOST_CHECK(!in_flight); }
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  void Complete(const Completion& completion) {
    RINGPOST_CHECK(in_flight);
    in_flight = completion.more;
  }
};

struct SendOperation : Operation {
  static constexpr std::size_t kPiecesMax = 8;
  std::array<iovec, kPiecesMax> pieces{};
  msghdr message{};
  std::size_t octets = 0;  // how many were handed to the ring
};

// Who has connected to a unix socket: a user of this machine, as the kernel says. The name that the
// peer's own socket may have is the peer's choice.
struct UnixPeer {
  sa_family_t family;
  uid_t user;
};

union SocketAddress {
  sockaddr any;
  sockaddr_in in;
  sockaddr_in6 in6;
  sockaddr_un un;
  UnixPeer unix_peer;  // what PeerAddress() tells of AF_UNIX
};

// Whether data is expected to be there already, so that the kernel may try before it polls.
enum class RecvHint : std::uint8_t { kDataLikely, kDataUnlikely };

// kOctetsFollow: the caller sends as soon as it is connected, and the last ACK of TCP's handshake
// may wait for those octets to leave in one segment with them.
enum class ConnectHint : std::uint8_t { kAtOnce, kOctetsFollow };

// kFinFollows: these are the last octets, and may wait for the FIN to leave in one segment with it.
// The caller says ShutdownSend() or CloseSocket() as soon as the send is complete; until then
// nothing may have left.
enum class SendHint : std::uint8_t { kAtOnce, kFinFollows };

// kOnce: the next octets will be answered. kUntilAnswered: until something is sent, receives that
// empty the socket are acknowledged too, but for full segments, of which every second is anyway.
enum class AckHint : std::uint8_t { kOnce, kUntilAnswered };

class Io {
 public:
  virtual ~Io() = default;

  // --- Requests. Each CHECKs !operation.in_flight and sets it. Completions arrive through Wait().
  // Multishot; result is the new descriptor (close-on-exec). Ends without `more` on any error.
  virtual void Accept(Operation& operation, int listener) = 0;
  // The same for one connection, where several rings accept from one socket: the kernel wakes who
  // has waited longest, and a multishot request never leaves the head of that line.
  virtual void AcceptOne(Operation& operation, int listener) = 0;
  // `address` must stay valid until the completion.
  virtual void Connect(Operation& operation, int fd, const sockaddr* address, socklen_t length,
                       ConnectHint hint) = 0;
  // One-shot, into a block of the pool. result 0 is EOF; -ENOBUFS: arm again when blocks have
  // returned.
  virtual void Recv(Operation& operation, int fd, RecvHint hint) = 0;
  // Sends all of `pieces` (<= kPiecesMax, not empty) or fails: a short result means the peer is
  // gone. The octets must not move or change until the completion. At most one per socket.
  virtual void Send(SendOperation& operation, int fd, std::span<const std::string_view> pieces,
                    SendHint hint) = 0;
  // Reads 8 octets of an eventfd into `value`, which must stay valid.
  virtual void ReadEvent(Operation& operation, int fd, std::uint64_t* value) = 0;
  // Asks for the end of `target`. Its own completion frees nothing; the target's does.
  virtual void Cancel(Operation& operation, const Operation& target) = 0;

  // --- Direct calls. Return -errno on failure.
  [[nodiscard]] virtual int OpenSocket(int family) = 0;  // stream, close-on-exec; TCP: no delay
  virtual void ShutdownSend(int fd) = 0;                 // FIN behind what is already sent
  virtual void ShutdownBoth(int fd) = 0;                 // also ends an armed receive
  virtual void CloseSocket(int fd) = 0;
  // What is in the socket at once, into `blocks` (1 to kRecvBlocksMax, all of them large) from the
  // first on: the rest of what a completed receive had no room for. result 0 is EOF; -EAGAIN:
  // nothing is there. CHECKs nothing and takes no block: they stay the caller's. No receive may be
  // in flight on the socket.
  static constexpr std::size_t kRecvBlocksMax = 7;
  [[nodiscard]] virtual int RecvNow(int fd, std::span<const BlockId> blocks) = 0;
  // What the socket takes at once, for a word to a client that gets no session. As with
  // kFinFollows, the FIN must follow.
  virtual void TrySend(int fd, std::string_view text) = 0;
  // Acknowledges what was received at once, unless that has been done or more has come meanwhile.
  // For octets that no answer follows: an answer would carry the ACK, and without one TCP waits
  // 40 ms for it.
  virtual void AckNow(int fd, AckHint hint) = 0;
  [[nodiscard]] virtual int PeerAddress(int fd, SocketAddress* address) = 0;
  [[nodiscard]] virtual int LocalAddress(int fd, SocketAddress* address) = 0;

  // --- One turn of the loop: hands the collected requests to the kernel, waits until something is
  // complete or `timeout` (ns, negative: forever) is over, and fills `completions` from the front.
  // Returns how many. Also lends free blocks to the kernel for receives.
  [[nodiscard]] virtual std::size_t Wait(TimeNs timeout, std::span<Completion> completions) = 0;

  // Whether a receive that is armed now will find a block at the next Wait(). What the pool has
  // free does not say so: the ring borrows all but its reserve.
  [[nodiscard]] virtual bool CanReceive() const = 0;
  // Blocks of the pool that are lent to the kernel and hold nothing yet.
  [[nodiscard]] virtual std::size_t LentBlocks() const = 0;

  // The monotonic clock, read once per Wait().
  [[nodiscard]] virtual TimeNs Now() const = 0;
  // Seconds since the epoch.
  [[nodiscard]] virtual std::int64_t WallClock() const = 0;
};

}  // namespace ringpost

#endif  // RINGPOST_IO_IO_H_
