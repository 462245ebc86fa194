// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/channel.h"

#include <array>
#include <cerrno>

#include "ringpost/base/check.h"

namespace ringpost {

void Channel::Open(int fd, std::uint32_t slot, std::uint32_t generation) {
  RINGPOST_CHECK(fd_ < 0 && !busy());
  fd_ = fd;
  error_ = 0;
  eof_ = false;
  closing_ = false;
  const auto user_data = [&](ToolOperation kind) {
    return ToUserData({.kind = kind, .slot = slot, .generation = generation});
  };
  connect_.user_data = user_data(ToolOperation::kConnect);
  receive_.user_data = user_data(ToolOperation::kReceive);
  send_.user_data = user_data(ToolOperation::kSend);
  cancel_receive_.user_data = user_data(ToolOperation::kCancelReceive);
  cancel_send_.user_data = user_data(ToolOperation::kCancelSend);
}

void Channel::Connect(const sockaddr* address, socklen_t length) {
  io_->Connect(connect_, fd_, address, length, ConnectHint::kAtOnce);
}

ChannelEvent Channel::Handle(ToolOperation kind, const Completion& completion) {
  switch (kind) {
    case ToolOperation::kConnect:
      connect_.Complete(completion);
      return completion.result < 0 ? Fail(-completion.result) : ChannelEvent::kConnected;
    case ToolOperation::kReceive:
      receive_.Complete(completion);
      if (completion.result > 0) {
        received_.AppendBlock(completion.block, static_cast<std::size_t>(completion.result));
        return closing_ ? ChannelEvent::kNothing : ChannelEvent::kReceived;
      }
      if (completion.result == 0) {
        eof_ = true;
        return closing_ ? ChannelEvent::kNothing : ChannelEvent::kEof;
      }
      if (completion.result == -ENOBUFS && !closing_) {
        return ChannelEvent::kNoBlocks;
      }
      return Fail(-completion.result);
    case ToolOperation::kSend:
      send_.Complete(completion);
      if (completion.result < 0 || static_cast<std::size_t>(completion.result) != send_.octets) {
        return Fail(completion.result < 0 ? -completion.result : EPIPE);
      }
      to_send_.Consume(send_.octets);
      return closing_ ? ChannelEvent::kNothing : ChannelEvent::kSent;
    case ToolOperation::kCancelReceive:
      cancel_receive_.Complete(completion);
      return ChannelEvent::kNothing;
    case ToolOperation::kCancelSend:
      cancel_send_.Complete(completion);
      return ChannelEvent::kNothing;
    default:
      break;
  }
  RINGPOST_CHECK(false);
}

void Channel::ArmReceive(RecvHint hint) {
  if (!closing_ && !eof_ && !receive_.in_flight && !connect_.in_flight) {
    io_->Recv(receive_, fd_, hint);
  }
}

void Channel::ArmSend() {
  if (closing_ || send_.in_flight || connect_.in_flight || to_send_.empty()) {
    return;
  }
  std::array<std::string_view, SendOperation::kPiecesMax> pieces;
  const std::size_t count = to_send_.Pieces(pieces);
  io_->Send(send_, fd_, {pieces.data(), count}, SendHint::kAtOnce);
}

void Channel::ShutdownSend() { io_->ShutdownSend(fd_); }

void Channel::Close(Ending ending) {
  if (closing_ || fd_ < 0) {
    return;
  }
  closing_ = true;
  if (ending == Ending::kOrderly && !connect_.in_flight) {
    io_->ShutdownBoth(fd_);  // ends an armed receive and a blocked send
    return;
  }
  if (ending == Ending::kReset) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  if (connect_.in_flight) {
    io_->Cancel(cancel_receive_, connect_);
  } else if (receive_.in_flight) {
    io_->Cancel(cancel_receive_, receive_);
  }
  if (send_.in_flight) {
    io_->Cancel(cancel_send_, send_);
  }
}

bool Channel::TryFinish() {
  if (!closing_ || busy() || fd_ < 0) {
    return false;
  }
  io_->CloseSocket(fd_);
  fd_ = -1;
  received_.Clear();
  to_send_.Clear();
  return true;
}

ChannelEvent Channel::Fail(int error) {
  if (closing_) {
    return ChannelEvent::kNothing;
  }
  error_ = error;
  return ChannelEvent::kFailed;
}

bool Channel::busy() const {
  return connect_.in_flight || receive_.in_flight || send_.in_flight || cancel_receive_.in_flight ||
         cancel_send_.in_flight;
}

}  // namespace ringpost
