// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/leg.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace ringpost {

Leg::Leg(BufferPool* pool, std::uint64_t user_data)
    : raw_in_(pool), raw_out_(pool), plain_in_(pool), plain_out_(pool) {
  recv_.user_data = user_data | static_cast<std::uint64_t>(OperationKind::kRecv);
  send_.user_data = user_data | static_cast<std::uint64_t>(OperationKind::kSend);
  connect_.user_data = user_data | static_cast<std::uint64_t>(OperationKind::kConnect);
}

void Leg::Open(int fd) {
  RINGPOST_CHECK(state_ == LegState::kIdle);
  fd_ = fd;
  state_ = LegState::kOpen;
}

void Leg::Connect(Io& io, int fd, const sockaddr* address, socklen_t length, ConnectHint hint) {
  RINGPOST_CHECK(state_ == LegState::kIdle);
  fd_ = fd;
  state_ = LegState::kConnecting;
  io.Connect(connect_, fd, address, length, hint);
}

void Leg::AttachTls(std::unique_ptr<TlsEngine> engine) {
  RINGPOST_CHECK(tls_ == nullptr && raw_in_.empty());
  tls_ = std::move(engine);
}

TlsOutcome Leg::OpenRecords() {
  if (tls_ == nullptr || tls_ended_ || raw_in_.empty()) {
    return TlsOutcome::kDone;
  }
  const TlsOutcome outcome = tls_->Read(raw_in_, plain_in_, kInputMax, raw_out_);
  if (outcome == TlsOutcome::kPeerClosed) {
    tls_ended_ = true;
    raw_in_.Clear();  // never read, not even as TLS
  }
  return outcome;
}

TlsOutcome Leg::SealRecords() {
  if (tls_ == nullptr || plain_out_.empty()) {
    return TlsOutcome::kDone;
  }
  return tls_->Write(plain_out_, raw_out_, kOutputMax);
}

void Leg::CloseNotify() {
  if (tls_ != nullptr) {
    tls_->CloseNotify(raw_out_);
  }
}

void Leg::ArmSend(Io& io, SendHint hint) {
  if (send_.in_flight || raw_out_.empty() || failed_ ||
      (state_ != LegState::kOpen && state_ != LegState::kRetiring)) {
    return;
  }
  std::array<std::string_view, SendOperation::kPiecesMax> pieces;
  const std::size_t count = raw_out_.Pieces(pieces);
  // Where all pieces are used there may be more behind them.
  const bool all = count < pieces.size();
  io.Send(send_, fd_, std::span(pieces).first(count), all ? hint : SendHint::kAtOnce);
  ack_due_ = acked_until_answered_ = false;
}

void Leg::AckNow(Io& io, AckHint hint) {
  io.AckNow(fd_, hint);
  ack_due_ = false;
  acked_until_answered_ = hint == AckHint::kUntilAnswered;
}

void Leg::ArmRecv(Io& io, std::size_t input_max) {
  const bool open = state_ == LegState::kOpen || state_ == LegState::kRetiring;
  if (recv_.in_flight || !open || socket_ended_ ||
      (!dropping_ && raw_in_.size() + plain_in_.size() >= input_max)) {
    return;
  }
  starved_ = false;
  io.Recv(recv_, fd_, recv_hint_);
}

void Leg::OnRecv(Io& io, BufferPool& pool, const Completion& completion, bool greedy) {
  recv_.Complete(completion);
  if (completion.result > 0) {
    const auto length = static_cast<std::size_t>(completion.result);
    octets_received_ += length;
    // A block filled to the brim means that more is waiting in the socket.
    recv_hint_ =
        length == BufferPool::kLargeBytes ? RecvHint::kDataLikely : RecvHint::kDataUnlikely;
    if (dropping_ || state_ != LegState::kOpen || tls_ended_) {
      pool.Release(completion.block);
      recv_hint_ = RecvHint::kDataLikely;  // the FIN is what comes behind a client's last words
    } else {
      raw_in_.AppendBlock(completion.block, length);
      if (greedy && length == BufferPool::kLargeBytes) {
        RecvMore(io, pool);
      }
      ack_due_ = recv_hint_ == RecvHint::kDataUnlikely && !acked_until_answered_;
    }
  } else if (completion.result == -ENOBUFS) {
    starved_ = true;
  } else if (completion.result != -EINTR && completion.result != -EAGAIN) {
    socket_ended_ = true;
    failed_ = failed_ || completion.result < 0;
  }
}

// A bulk sender's octets come in runs of 64 KiB and more. Taken together they leave in one send,
// and it is the sends that cost: on loopback each one runs the receiver's side of TCP as well.
void Leg::RecvMore(Io& io, BufferPool& pool) {
  std::array<BlockId, kMoreBlocks> blocks;
  std::size_t count = 0;
  while (count < blocks.size()) {
    const std::optional<BlockId> block = pool.Take(BlockSize::kLarge);
    if (!block) {
      break;
    }
    blocks[count++] = *block;
  }
  if (count == 0) {
    return;
  }
  const int result = io.RecvNow(fd_, std::span(blocks).first(count));
  std::size_t left = result > 0 ? static_cast<std::size_t>(result) : 0;
  octets_received_ += left;
  recv_hint_ =
      left == count * BufferPool::kLargeBytes ? RecvHint::kDataLikely : RecvHint::kDataUnlikely;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t length = std::min(left, BufferPool::kLargeBytes);
    left -= length;
    if (length > 0) {
      raw_in_.AppendBlock(blocks[i], length);
    } else {
      pool.Release(blocks[i]);
    }
  }
  if (result <= 0 && result != -EINTR && result != -EAGAIN) {
    socket_ended_ = true;
    failed_ = failed_ || result < 0;
  }
}

void Leg::OnSend(const Completion& completion) {
  const std::size_t asked = send_.octets;
  send_.Complete(completion);
  if (completion.result > 0) {
    const auto sent = static_cast<std::size_t>(completion.result);
    octets_sent_ += sent;
    raw_out_.Consume(sent);
    if (sent == asked) {
      return;
    }
  }
  // An error, or a short result: the kernel gave up on the rest.
  failed_ = true;
  raw_out_.Clear();
}

bool Leg::OnConnect(Io& io, const Completion& completion) {
  connect_.Complete(completion);
  connect_error_ = 0;
  if (state_ != LegState::kConnecting) {
    return false;  // given up already
  }
  if (completion.result < 0) {
    connect_error_ = -completion.result;
    ShutDown(io);
    return false;
  }
  state_ = LegState::kOpen;
  return true;
}

void Leg::ShutDown(Io& io) {
  if (state_ == LegState::kIdle || state_ == LegState::kJoining) {
    return;
  }
  state_ = LegState::kJoining;
  if (in_flight()) {  // otherwise closing the socket says the same
    io.ShutdownBoth(fd_);
  }
}

bool Leg::TryFinish(Io& io) {
  if (state_ == LegState::kIdle) {
    return true;
  }
  if (state_ != LegState::kJoining || in_flight()) {
    return false;
  }
  io.CloseSocket(fd_);
  fd_ = -1;
  state_ = LegState::kIdle;
  raw_in_.Clear();
  raw_out_.Clear();
  plain_in_.Clear();
  plain_out_.Clear();
  tls_.reset();
  socket_ended_ = tls_ended_ = failed_ = dropping_ = starved_ = ack_due_ = acked_until_answered_ =
      false;
  return true;
}

void Leg::FinishSending(Io& io) {
  dropping_ = true;
  raw_in_.Clear();
  plain_in_.Clear();
  io.ShutdownSend(fd_);
}

void Leg::CountBlocks(std::size_t* large, std::size_t* small) const {
  for (const ByteQueue* queue : {&raw_in_, &raw_out_, &plain_in_, &plain_out_}) {
    queue->CountBlocks(large, small);
  }
  if (tls_ != nullptr) {
    tls_->CountBlocks(large, small);
  }
}

void Leg::CompactInput() {
  raw_in_.Compact();
  plain_in_.Compact();
}

}  // namespace ringpost
