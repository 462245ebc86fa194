// SPDX-License-Identifier: GPL-3.0-or-later
//
// The real Io: one io_uring per shard thread, created and used by that thread alone. Receives take
// their blocks from one provided-buffer ring, which Wait() refills from the shard's pool; what the
// pool keeps back (`reserve_blocks`) is the output's, so that a full shard drains.
//
// The ring takes only the kinds of requests that are made here.
//
// Kernel 6.1 or later. No SQPOLL, no direct descriptors, no zero-copy sends, no linked timeouts
// (docs/ARCHITECTURE.md says why).
#ifndef RINGPOST_IO_URING_H_
#define RINGPOST_IO_URING_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "ringpost/io/io.h"

namespace ringpost {

struct UringOptions {
  unsigned submission_entries = 512;
  unsigned completion_entries = 16384;
  // How many blocks are lent to the kernel at most (a power of two) and how many always stay
  // behind.
  unsigned lent_blocks = 256;
  std::size_t reserve_blocks = 16;
  // The kernel takes no requests any more, for the reason in one sentence: called in the ring's
  // thread. When it returns, or where it is empty, the process ends with that sentence and code 1.
  std::function<void(std::string_view)> on_failure = nullptr;
};

class Uring final : public Io {
 public:
  // To be called in the thread that will use it. `pool` must outlive it. A first request has been
  // completed through the ring. Errors say what to allow.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Uring>> Create(const UringOptions& options,
                                                                     BufferPool* pool);
  // Whether a ring as ringpost needs it can be had here; on success a line for the start-up log.
  [[nodiscard]] static absl::StatusOr<std::string> Probe();

  ~Uring() override;  // nothing may be in flight

  void Accept(Operation& operation, int listener) override;
  void AcceptOne(Operation& operation, int listener) override;
  void Connect(Operation& operation, int fd, const sockaddr* address, socklen_t length,
               ConnectHint hint) override;
  void Recv(Operation& operation, int fd, RecvHint hint) override;
  void Send(SendOperation& operation, int fd, std::span<const std::string_view> pieces,
            SendHint hint) override;
  void ReadEvent(Operation& operation, int fd, std::uint64_t* value) override;
  void Cancel(Operation& operation, const Operation& target) override;

  [[nodiscard]] int OpenSocket(int family) override;
  void ShutdownSend(int fd) override;
  void ShutdownBoth(int fd) override;
  void CloseSocket(int fd) override;
  [[nodiscard]] int RecvNow(int fd, std::span<const BlockId> blocks) override;
  void TrySend(int fd, std::string_view text) override;
  void AckNow(int fd, AckHint hint) override;
  [[nodiscard]] int PeerAddress(int fd, SocketAddress* address) override;
  [[nodiscard]] int LocalAddress(int fd, SocketAddress* address) override;

  [[nodiscard]] std::size_t Wait(TimeNs timeout, std::span<Completion> completions) override;
  [[nodiscard]] bool CanReceive() const override;
  [[nodiscard]] std::size_t LentBlocks() const override { return lent_; }
  [[nodiscard]] TimeNs Now() const override { return now_; }
  [[nodiscard]] std::int64_t WallClock() const override;

 private:
  struct Ring;

  Uring(std::unique_ptr<Ring> ring, const UringOptions& options, BufferPool* pool);
  void LendBlocks();

  std::unique_ptr<Ring> ring_;
  UringOptions options_;
  BufferPool* pool_;
  const bool paced_;
  unsigned lent_ = 0;
  TimeNs now_ = 0;
};

}  // namespace ringpost

#endif  // RINGPOST_IO_URING_H_
