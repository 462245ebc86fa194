// SPDX-License-Identifier: GPL-3.0-or-later
//
// One socket with what was received and what is to be sent, for the sink and the load generator. It
// knows no protocol.
//
// Owner: a connection, which dispatches completions to it by the kind in their user_data. Nothing
// is allocated per operation; at most one receive and one send are in flight. Invariant: it closes
// in steps. Close() starts, and only when nothing is in flight does Finished() turn true; only then
// may the owner reuse or destroy it.
#ifndef RINGPOST_TOOLS_CHANNEL_H_
#define RINGPOST_TOOLS_CHANNEL_H_

#include <cstddef>
#include <cstdint>

#include "ringpost/base/byte_queue.h"
#include "ringpost/io/io.h"

namespace ringpost {

// user_data: 8 bits of kind, 24 of generation, 32 of slot.
enum class ToolOperation : std::uint8_t {
  kAccept,
  kEvent,
  kConnect,
  kReceive,
  kSend,
  kCancelReceive,
  kCancelSend,
  kCancelAccept,
};
struct ToolTarget {
  ToolOperation kind = ToolOperation::kAccept;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;  // 24 bits
};
constexpr std::uint64_t ToUserData(const ToolTarget& target) {
  return (std::uint64_t{target.slot} << 32) | (std::uint64_t{target.generation & 0xffffff} << 8) |
         static_cast<std::uint64_t>(target.kind);
}
constexpr ToolTarget FromUserData(std::uint64_t user_data) {
  return {.kind = static_cast<ToolOperation>(user_data & 0xff),
          .slot = static_cast<std::uint32_t>(user_data >> 32),
          .generation = static_cast<std::uint32_t>(user_data >> 8) & 0xffffff};
}

enum class ChannelEvent : std::uint8_t {
  kNothing,  // an operation ended that has no consequence now
  kConnected,
  kReceived,
  kSent,
  kEof,       // the peer will send no more
  kNoBlocks,  // the pool is empty: arm again later
  kFailed,    // error() says why
};

enum class Ending : std::uint8_t { kOrderly, kReset };

class Channel {
 public:
  Channel(Io* io, BufferPool* pool) : io_(io), received_(pool), to_send_(pool) {}

  // Takes over an open socket.
  void Open(int fd, std::uint32_t slot, std::uint32_t generation);
  // `address` must stay valid until kConnected or kFailed.
  void Connect(const sockaddr* address, socklen_t length);

  [[nodiscard]] ChannelEvent Handle(ToolOperation kind, const Completion& completion);

  // Starts a receive unless one is in flight or the peer has ended.
  void ArmReceive(RecvHint hint);
  // Starts a send if there is something and none is in flight.
  void ArmSend();
  // Everything handed to to_send() is with the kernel.
  [[nodiscard]] bool all_sent() const { return to_send_.empty() && !send_.in_flight; }

  void ShutdownSend();
  void Close(Ending ending);
  [[nodiscard]] bool closing() const { return closing_; }
  // True once after Close(), when nothing is in flight any more: the socket is closed then.
  [[nodiscard]] bool TryFinish();

  [[nodiscard]] bool open() const { return fd_ >= 0; }
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool eof() const { return eof_; }
  [[nodiscard]] int error() const { return error_; }  // errno
  [[nodiscard]] ByteQueue& received() { return received_; }
  [[nodiscard]] ByteQueue& to_send() { return to_send_; }

 private:
  ChannelEvent Fail(int error);
  [[nodiscard]] bool busy() const;

  Io* io_;
  int fd_ = -1;
  int error_ = 0;
  bool eof_ = false;
  bool closing_ = false;
  Operation connect_;
  Operation receive_;
  SendOperation send_;
  Operation cancel_receive_;
  Operation cancel_send_;
  ByteQueue received_;
  ByteQueue to_send_;
};

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_CHANNEL_H_
