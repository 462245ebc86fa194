// SPDX-License-Identifier: GPL-3.0-or-later
//
// One socket of a session: its operations, its queues and, on the side that is encrypted, its TLS
// engine. It moves octets between the socket and the queues and decides nothing: when to close, and
// why, is the session's.
//
// Queues, in the order octets pass them:   socket → raw_in → [TLS] → plain_in → relay
//                                          relay → plain_out → [TLS] → raw_out → socket
// Without TLS the relay uses the raw ones. What is in raw_out may be in flight: it is only ever
// appended to, and consumed when the send is complete.
//
// Owner: the session. Invariant: the descriptor is closed only when no operation is in flight.
#ifndef RINGPOST_SESSION_LEG_H_
#define RINGPOST_SESSION_LEG_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "ringpost/base/byte_queue.h"
#include "ringpost/io/io.h"
#include "ringpost/tls/tls_engine.h"

namespace ringpost {

enum class OperationKind : std::uint8_t { kRecv, kSend, kConnect };

enum class LegState : std::uint8_t {
  kIdle,  // no socket
  kConnecting,
  kOpen,
  kRetiring,  // the rest is sent, then the socket is closed; what arrives is dropped
  kJoining,   // shut down; waiting for the operations in flight
};

class Leg {
 public:
  // Input beyond this is left in the socket until the relay has made room.
  static constexpr std::size_t kInputMax = 2 * BufferPool::kLargeBytes;
  // What one receive may add to that: its block, and these if it filled it.
  static constexpr std::size_t kMoreBlocks = Io::kRecvBlocksMax;
  // Output beyond this stops the relay, and with it the other side's receives.
  static constexpr std::size_t kOutputMax = 4 * BufferPool::kLargeBytes;

  // `user_data` has room for the OperationKind in its lowest octet.
  Leg(BufferPool* pool, std::uint64_t user_data);
  Leg(const Leg&) = delete;
  Leg& operator=(const Leg&) = delete;

  // Takes over a connected socket.
  void Open(int fd);
  // `address` must outlive the operation.
  void Connect(Io& io, int fd, const sockaddr* address, socklen_t length, ConnectHint hint);
  // From here on raw octets are TLS records. Nothing received may be left unread.
  void AttachTls(std::unique_ptr<TlsEngine> engine);

  [[nodiscard]] LegState state() const { return state_; }
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] TlsEngine* tls() { return tls_.get(); }
  [[nodiscard]] const TlsEngine* tls() const { return tls_.get(); }
  [[nodiscard]] bool tls_pending() const { return tls_ != nullptr && !tls_->handshake_complete(); }

  // Where the relay reads and writes.
  [[nodiscard]] ByteQueue& input() { return tls_ != nullptr ? plain_in_ : raw_in_; }
  [[nodiscard]] ByteQueue& output() { return tls_ != nullptr ? plain_out_ : raw_out_; }
  [[nodiscard]] std::size_t output_octets() const { return plain_out_.size() + raw_out_.size(); }
  // Nothing will be added to input() any more.
  [[nodiscard]] bool input_ended() const { return tls_ended_ || (socket_ended_ && raw_in_done()); }
  // The socket failed, rather than ended; the other direction is of no use either.
  [[nodiscard]] bool failed() const { return failed_; }

  // One step of the engine: the handshake, or opening and sealing records. kDone where there is no
  // TLS.
  [[nodiscard]] TlsOutcome Handshake() { return tls_->Handshake(raw_in_, raw_out_); }
  [[nodiscard]] TlsOutcome OpenRecords();
  [[nodiscard]] TlsOutcome SealRecords();
  void CloseNotify();
  // TLS is up, and all that there was to say is said: close_notify would be the last of it.
  [[nodiscard]] bool may_notify() const {
    return state_ == LegState::kOpen && tls_ != nullptr && tls_->handshake_complete() && !failed_ &&
           plain_sealed() && output_sent();
  }

  // Arms what the queues call for.
  // kFinFollows where nothing will be added to the output, and it ends with FinishSending().
  void ArmSend(Io& io, SendHint hint = SendHint::kAtOnce);
  void ArmRecv(Io& io, std::size_t input_max = kInputMax);
  // Something was received that nothing sent has acknowledged since, and it was all that was there.
  [[nodiscard]] bool ack_due() const { return ack_due_; }
  void AckNow(Io& io, AckHint hint);
  // Where octets are already there when the socket is opened, a first try saves a poll.
  void set_recv_hint(RecvHint hint) { recv_hint_ = hint; }

  // With `greedy` also what is waiting behind a receive that filled its block.
  void OnRecv(Io& io, BufferPool& pool, const Completion& completion, bool greedy);
  void OnSend(const Completion& completion);
  // True when connected; the leg is kOpen then, kJoining otherwise.
  [[nodiscard]] bool OnConnect(Io& io, const Completion& completion);

  // Ends in steps: Retire() → output sent → ShutDown() → nothing in flight → TryFinish() closes.
  void Retire() { state_ = LegState::kRetiring; }
  void ShutDown(Io& io);
  // Closes the socket once nothing is in flight; true if the leg is kIdle then.
  bool TryFinish(Io& io);
  // Ends the sending direction, behind what was sent; what is received from here on is dropped.
  void FinishSending(Io& io);
  [[nodiscard]] bool finishing() const { return dropping_; }

  [[nodiscard]] bool raw_input_empty() const { return raw_in_.empty(); }
  [[nodiscard]] bool plain_sealed() const { return plain_out_.empty(); }
  [[nodiscard]] bool output_sent() const { return raw_out_.empty() && !send_.in_flight; }
  [[nodiscard]] bool receiving() const { return recv_.in_flight; }
  // A send is under way: its end is the peer's to bring about, by reading.
  [[nodiscard]] bool sending() const { return send_.in_flight; }
  [[nodiscard]] bool ended() const { return socket_ended_; }
  // Pool blocks may be missing: the receive was refused and waits for blocks to return.
  [[nodiscard]] bool starved() const { return starved_; }
  void CompactInput();
  void CountBlocks(std::size_t* large, std::size_t* small) const;

  [[nodiscard]] std::uint64_t octets_received() const { return octets_received_; }
  [[nodiscard]] std::uint64_t octets_sent() const { return octets_sent_; }

  // Of the last connect, as errno; 0 if it was not that which failed.
  [[nodiscard]] int connect_error() const { return connect_error_; }

 private:
  void RecvMore(Io& io, BufferPool& pool);
  [[nodiscard]] bool in_flight() const {
    return recv_.in_flight || send_.in_flight || connect_.in_flight;
  }
  [[nodiscard]] bool raw_in_done() const { return tls_ == nullptr || raw_in_.empty(); }

  Operation recv_;
  Operation connect_;
  SendOperation send_;
  ByteQueue raw_in_;
  ByteQueue raw_out_;
  ByteQueue plain_in_;
  ByteQueue plain_out_;
  std::unique_ptr<TlsEngine> tls_;
  std::uint64_t octets_received_ = 0;
  std::uint64_t octets_sent_ = 0;
  int fd_ = -1;
  int connect_error_ = 0;
  LegState state_ = LegState::kIdle;
  RecvHint recv_hint_ = RecvHint::kDataUnlikely;
  bool socket_ended_ = false;
  bool tls_ended_ = false;
  bool failed_ = false;
  bool dropping_ = false;
  bool starved_ = false;
  bool ack_due_ = false;
  bool acked_until_answered_ = false;
};

}  // namespace ringpost

#endif  // RINGPOST_SESSION_LEG_H_
