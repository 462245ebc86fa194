// SPDX-License-Identifier: GPL-3.0-or-later
//
// The simulated TCP: what connections do, and what each request does to them. It follows Linux
// where Linux is particular (tests/io/contract_test.cc holds both to it): octets received before a
// RST can still be read, an error is reported once, close(2) with unread octets is a RST.
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "sim/sim_io.h"
#include "sim/sim_state.h"

namespace ringpost {
namespace {

std::string KeyOf(const SocketAddress& address) {
  const std::size_t length = address.any.sa_family == AF_INET    ? sizeof address.in
                             : address.any.sa_family == AF_INET6 ? sizeof address.in6
                                                                 : sizeof address.un;
  return {reinterpret_cast<const char*>(&address), length};
}

}  // namespace

// --- Descriptors

int SimIo::NewDescriptor() {
  // Never used twice: so that a stale one is noticed rather than hitting another connection.
  return next_fd_++;
}

std::shared_ptr<SimEnd> SimIo::NewEnd(const SocketAddress& local, const SocketAddress& remote) {
  auto end = std::make_shared<SimEnd>();
  end->local = local;
  end->remote = remote;
  all_ends_.push_back(end);
  return end;
}

SimEnd* SimIo::EndOf(int fd, const char* use) {
  const auto found = ends_.find(fd);
  if (found == ends_.end()) {
    Misuse(std::string(use) + " on descriptor " + std::to_string(fd) +
           ", which is not open (any more)");
    return nullptr;
  }
  return found->second.get();
}

int SimIo::OpenSocket(int family) {
  const SimScope scope(*this, SimScope::Who::kTest);
  if (ends_.size() >= options_.descriptors_max ||
      Happens(SimFault::kNoDescriptors, options_.faults.no_descriptors)) {
    return -EMFILE;
  }
  SocketAddress none{};
  none.any.sa_family = static_cast<sa_family_t>(family);
  const std::shared_ptr<SimEnd> end = NewEnd(none, none);
  end->fd = NewDescriptor();
  ends_[end->fd] = end;
  return end->fd;
}

int SimIo::OpenListener(const SocketAddress& local) {
  const int fd = NewDescriptor();
  listeners_[fd].local = local;
  return fd;
}

int SimIo::OpenEvent() {
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  RINGPOST_CHECK(fd >= 0);
  event_descriptors_[fd] = nullptr;
  return fd;
}

void SimIo::CloseSocket(int fd) {
  const SimScope scope(*this, SimScope::Who::kTest);
  if (const auto found = listeners_.find(fd); found != listeners_.end()) {
    if (found->second.accept != nullptr) {
      Misuse("a listener is closed with its accept in flight");
    }
    for (const std::shared_ptr<SimEnd>& end : found->second.backlog) {
      ResetBoth(*end, ECONNRESET);
    }
    listeners_.erase(found);
    return;
  }
  SimEnd* end = EndOf(fd, "close");
  if (end == nullptr) {
    return;
  }
  if (end->recv != nullptr || end->send != nullptr || end->connect != nullptr) {
    Misuse("a socket is closed with an operation in flight");
  }
  CloseEnd(*end);
  ends_.erase(fd);
}

void SimIo::AckNow(int fd, AckHint hint) {
  const SimScope scope(*this, SimScope::Who::kTest);
  SimEnd* end = EndOf(fd, "acknowledge");
  if (end == nullptr || end->other == nullptr) {
    return;
  }
  ++end->acks;
  end->acked_until_answered = hint == AckHint::kUntilAnswered;
  // As the kernel: with octets in the queue their receive is waited for.
  if (end->ack_due && end->in.empty()) {
    end->ack_due = false;
    Poke(*end->other);
  }
}

int SimIo::PeerAddress(int fd, SocketAddress* address) {
  const SimEnd* end = EndOf(fd, "getpeername");
  if (end == nullptr) {
    return -EBADF;
  }
  if (end->other == nullptr || end->dead) {
    return -ENOTCONN;
  }
  *address = end->remote;
  return 0;
}

int SimIo::LocalAddress(int fd, SocketAddress* address) {
  const SimEnd* end = EndOf(fd, "getsockname");
  if (end == nullptr) {
    return -EBADF;
  }
  *address = end->local;
  return 0;
}

// --- Connections

void SimIo::Poke(SimEnd& end) {
  if (end.recv != nullptr && end.recv_ready()) {
    Schedule(*end.recv);
  }
  if (end.send != nullptr) {
    Schedule(*end.send);
  }
  if (end.on_change && !end.change_due) {
    end.change_due = true;
    AddEvent(DrawDelay(), [this, weak = end.weak_from_this()] {
      const std::shared_ptr<SimEnd> poked = weak.lock();
      if (poked == nullptr) {
        return;
      }
      poked->change_due = false;
      // A copy: it may replace itself.
      if (const std::function<void()> on_change = poked->on_change) {
        on_change();
        interrupted_ = true;
      }
    });
  }
}

void SimIo::FinishSending(SimEnd& end) {
  if (end.fin_out || end.dead || end.other == nullptr) {
    return;
  }
  end.fin_out = true;
  fins_with_octets_ += end.held.empty() ? 0 : 1;
  end.other->in += std::exchange(end.held, {});
  end.other->fin_in = true;
  Poke(*end.other);
  Poke(end);
}

void SimIo::ResetBoth(SimEnd& end, int error_here) {
  end.dead = true;
  end.error = error_here;
  if (SimEnd* other = end.other.get()) {
    if (!other->dead) {
      other->dead = true;
      // In CLOSE_WAIT a RST reads as a broken pipe.
      other->error = other->fin_in ? EPIPE : ECONNRESET;
    }
    Poke(*other);
    Poke(end);
  }
}

void SimIo::CloseEnd(SimEnd& end) {
  if (end.closed) {
    return;
  }
  if (!end.in.empty()) {
    ResetBoth(end, 0);
  } else {
    FinishSending(end);
  }
  end.closed = true;
}

void SimIo::Cut(SimEnd& end, SimCut cut) {
  SimEnd& other = *end.other;
  end.cut = other.cut = cut;
  end.in.resize(random_.Below(end.in.size() + 1));
  other.in.resize(random_.Below(other.in.size() + 1));
  if (cut == SimCut::kReset) {
    ResetBoth(end, ECONNRESET);
    return;
  }
  // The other process is gone and its system closed the socket.
  end.fin_in = true;
  other.dead = true;
  other.closed = true;
  Poke(end);
  Poke(other);
}

void SimIo::ShutdownSend(int fd) {
  const SimScope scope(*this, SimScope::Who::kTest);
  if (SimEnd* end = EndOf(fd, "shutdown")) {
    FinishSending(*end);
  }
}

void SimIo::ShutdownBoth(int fd) {
  const SimScope scope(*this, SimScope::Who::kTest);
  if (const auto found = listeners_.find(fd); found != listeners_.end()) {
    found->second.shut = true;
    if (found->second.accept != nullptr) {
      Schedule(*found->second.accept);
    }
    return;
  }
  SimEnd* end = EndOf(fd, "shutdown");
  if (end == nullptr) {
    return;
  }
  if (end->connect != nullptr) {
    end->error = ECONNRESET;  // as in SYN_SENT
    Schedule(*end->connect);
    return;
  }
  if (end->other == nullptr) {
    return;  // ENOTCONN
  }
  end->recv_shut = true;
  FinishSending(*end);
  Poke(*end);
}

// --- Accept

SimPeer SimIo::ConnectFrom(int listener, const SocketAddress& client) {
  const auto found = listeners_.find(listener);
  if (found == listeners_.end() || found->second.shut ||
      found->second.backlog.size() >= options_.backlog) {
    return {};
  }
  const std::shared_ptr<SimEnd> here = NewEnd(client, found->second.local);
  const std::shared_ptr<SimEnd> there = NewEnd(found->second.local, client);
  here->other = there;
  there->other = here;
  found->second.backlog.push_back(there);
  if (found->second.accept != nullptr) {
    Schedule(*found->second.accept);
  }
  return {this, here};
}

void SimIo::RunAccept(SimRequest& request) {
  Listener& listener = listeners_.at(request.fd);
  if (listener.shut) {
    Finish(request, -EINVAL);
    return;
  }
  // Linux reserves the descriptor before it looks for a connection.
  if (ends_.size() >= options_.descriptors_max) {
    Finish(request, -EMFILE);
    return;
  }
  while (!listener.backlog.empty()) {
    if (ends_.size() >= options_.descriptors_max ||
        Happens(SimFault::kNoDescriptors, options_.faults.no_descriptors)) {
      Finish(request, -EMFILE);
      return;
    }
    if (Happens(SimFault::kAcceptFailed, options_.faults.accept_failed)) {
      ResetBoth(*listener.backlog.front(), ECONNRESET);
      listener.backlog.pop_front();
      Finish(request, -ECONNABORTED);
      return;
    }
    const std::shared_ptr<SimEnd> end = listener.backlog.front();
    listener.backlog.pop_front();
    end->fd = NewDescriptor();
    ends_[end->fd] = end;
    if (wire_ != nullptr) {
      wire_->Opened(end->fd, SimWire::From::kAccepted, end->local);
    }
    if (request.accepts_one) {
      Finish(request, end->fd);
      return;
    }
    ready_.push_back(
        {.user_data = request.user_data, .result = end->fd, .more = true, .block = kNoBlock});
  }
}

// --- Connect

void SimIo::SetBackend(const SocketAddress& address, SimBackend backend) {
  backends_[KeyOf(address)] = backend;
}

void SimIo::OnBackendAccept(std::function<void(SimPeer)> on_accept) {
  on_backend_accept_ = std::move(on_accept);
}

std::optional<SimPeer> SimIo::TakeAccepted() {
  if (accepted_.empty()) {
    return std::nullopt;
  }
  SimPeer peer = accepted_.front();
  accepted_.pop_front();
  return peer;
}

void SimIo::StartConnect(SimRequest& request) {
  SimEnd* end = EndOf(request.fd, "connect");
  if (end == nullptr) {
    Finish(request, -EBADF);
    return;
  }
  const auto backend = backends_.find(KeyOf(request.address));
  if (backend == backends_.end() || backend->second == SimBackend::kRefuse ||
      (backend->second == SimBackend::kAccept &&
       Happens(SimFault::kConnectRefused, options_.faults.connect_refused))) {
    end->error = ECONNREFUSED;
  } else if (end->error == 0 &&
             (backend->second == SimBackend::kSilent ||
              Happens(SimFault::kConnectSilent, options_.faults.connect_silent))) {
    return;
  }
  if (Happens(SimFault::kConnectLate, options_.faults.connect_late)) {
    const auto late = static_cast<TimeNs>(
        random_.Below(static_cast<std::uint64_t>(options_.faults.connect_late_max)));
    AddEvent(late, [this, id = request.id] {
      if (const auto found = requests_.find(id); found != requests_.end()) {
        Schedule(*found->second);
      }
    });
    return;
  }
  Schedule(request);
}

void SimIo::RunConnect(SimRequest& request) {
  const std::shared_ptr<SimEnd> end = ends_.at(request.fd);
  if (end->error != 0) {
    Finish(request, -std::exchange(end->error, 0));
    return;
  }
  end->remote = request.address;
  end->local = SimAddress("127.0.0.1", next_port_++);
  end->other = NewEnd(end->remote, end->local);
  end->other->other = end;
  if (wire_ != nullptr) {
    wire_->Opened(request.fd, SimWire::From::kConnected, end->local);
  }
  Finish(request, 0);
  const SimPeer peer(this, end->other);
  if (on_backend_accept_) {
    on_backend_accept_(peer);
  } else {
    accepted_.push_back(peer);
  }
}

// --- Receive

void SimIo::StartRecv(SimRequest& request) {
  SimEnd* end = EndOf(request.fd, "receive");
  if (end == nullptr) {
    Finish(request, -EBADF);
  } else if (end->other == nullptr) {
    Finish(request, -ENOTCONN);
  } else if (request.hint == RecvHint::kDataLikely && lent_.empty()) {
    Finish(request, -ENOBUFS);  // the kernel takes the block before it looks for octets
  } else if (end->recv_ready()) {
    Schedule(request);
  }
}

void SimIo::RunRecv(SimRequest& request) {
  SimEnd& end = *ends_.at(request.fd);
  if (!end.recv_ready()) {
    return;
  }
  if (lent_.empty() || Happens(SimFault::kNoBuffers, options_.faults.no_buffers)) {
    Finish(request, -ENOBUFS);
    return;
  }
  const BlockId block = lent_.front();
  const std::int32_t result = TakeOctets(request.fd, end, {&block, 1});
  if (result > 0) {
    lent_.pop_front();
  }
  Finish(request, result, result > 0 ? block : kNoBlock);
  if (result > 0) {
    Poke(*end.other);
  }
}

std::int32_t SimIo::TakeOctets(int fd, SimEnd& end, std::span<const BlockId> blocks) {
  if (!end.dead && !end.fin_in) {
    if (Happens(SimFault::kReset, options_.faults.reset)) {
      Cut(end, SimCut::kReset);
    } else if (Happens(SimFault::kEof, options_.faults.eof)) {
      Cut(end, SimCut::kEof);
    }
  }
  if (end.in.empty()) {
    return end.fin_in ? 0 : -std::exchange(end.error, 0);
  }
  std::size_t n = std::min(end.in.size(), blocks.size() * BufferPool::kLargeBytes);
  if (n > 1 && Happens(SimFault::kShortRecv, options_.faults.short_recv)) {
    n = 1 + random_.Below(random_.Below(2) == 0 ? std::min<std::size_t>(n, 8) : n);
  }
  if (options_.faults.recv_max > 0) {
    n = std::min(n, options_.faults.recv_max);
  }
  const std::string_view octets(end.in.data(), n);
  for (std::size_t done = 0; done < n; done += BufferPool::kLargeBytes) {
    const std::string_view part = octets.substr(done, BufferPool::kLargeBytes);
    std::memcpy(pool_->data(blocks[done / BufferPool::kLargeBytes]), part.data(), part.size());
  }
  trace_.Mix(octets);
  if (wire_ != nullptr) {
    wire_->Received(fd, octets);
  }
  end.in.erase(0, n);
  end.ack_due = !end.acked_until_answered || !end.in.empty();
  return static_cast<std::int32_t>(n);
}

int SimIo::RecvNow(int fd, std::span<const BlockId> blocks) {
  const SimScope scope(*this, SimScope::Who::kTest);
  SimEnd* end = EndOf(fd, "receive");
  if (end == nullptr) {
    return -EBADF;
  }
  if (blocks.empty() || blocks.size() > kRecvBlocksMax) {
    Misuse("a direct receive into " + std::to_string(blocks.size()) + " blocks");
  }
  if (end->recv != nullptr) {
    Misuse("a direct receive overtakes one that is in flight");
  }
  if (end->other == nullptr) {
    return -ENOTCONN;
  }
  if (!end->recv_ready()) {
    return -EAGAIN;
  }
  const std::int32_t result = TakeOctets(fd, *end, blocks);
  if (result > 0) {
    Poke(*end->other);
  }
  return result;
}

// --- Send

void SimIo::StartSend(SimRequest& request) {
  SimEnd* end = EndOf(request.fd, "send");
  if (end == nullptr) {
    Finish(request, -EBADF);
  } else if (end->other == nullptr) {
    Finish(request, -EPIPE);
  } else {
    Schedule(request);
  }
}

void SimIo::RunSend(SimRequest& request) {
  SimEnd& end = *ends_.at(request.fd);
  SimEnd& other = *end.other;
  if (!end.dead && !end.fin_in && Happens(SimFault::kReset, options_.faults.reset)) {
    Cut(end, SimCut::kReset);
  }
  if (end.send_failed()) {
    const int error = end.error != 0 ? std::exchange(end.error, 0) : EPIPE;
    Finish(request, request.done > 0 ? static_cast<std::int32_t>(request.done) : -error);
    return;
  }
  const std::size_t total = request.copy.size();
  if (other.closed) {
    // The system takes the octets; the answer is a RST, which the next call sees.
    Finish(request, static_cast<std::int32_t>(total));
    ResetBoth(end, end.fin_in ? EPIPE : ECONNRESET);
    return;
  }
  if (!end.held.empty()) {
    Misuse("a send behind octets that wait for the FIN");
  }
  const std::size_t room =
      options_.socket_buffer - std::min(options_.socket_buffer, other.in.size());
  std::size_t n = std::min(room, total - request.done);
  if (n > 1 && Happens(SimFault::kShortSend, options_.faults.short_send)) {
    n = 1 + random_.Below(n);
  }
  // What is known not to be the end leaves at once.
  const bool holds = request.fin_follows && request.done + n == total;
  // From the caller's memory, as the kernel would, so that octets overwritten too early arrive so.
  std::size_t skip = request.done;
  std::size_t left = n;
  for (const std::string_view piece : request.pieces) {
    if (skip >= piece.size()) {
      skip -= piece.size();
      continue;
    }
    const std::string_view part = piece.substr(skip, left);
    (holds ? end.held : other.in) += part;
    trace_.Mix(part);
    if (wire_ != nullptr && !part.empty()) {
      wire_->Sent(request.fd, part);
    }
    left -= part.size();
    skip = 0;
    if (left == 0) {
      break;
    }
  }
  request.done += n;
  if (n > 0 && !holds) {
    end.ack_due = end.acked_until_answered = false;
  }
  if (request.done == total) {
    Finish(request, static_cast<std::int32_t>(total));
  } else if (n < room) {
    Schedule(request);
  }
  if (n > 0 && !holds) {
    Poke(other);
  }
}

void SimIo::TrySend(int fd, std::string_view text) {
  const SimScope scope(*this, SimScope::Who::kTest);
  SimEnd* end = EndOf(fd, "send");
  if (end == nullptr || end->other == nullptr || end->send_failed() || end->other->closed) {
    return;
  }
  if (end->send != nullptr) {
    Misuse("a direct send overtakes one that is in flight");
  }
  const std::size_t buffer = options_.socket_buffer;
  const std::string_view part = text.substr(0, buffer - std::min(buffer, end->other->in.size()));
  end->held += part;  // the FIN follows
  trace_.Mix(part);
  if (wire_ != nullptr) {
    wire_->Sent(fd, part);
  }
}

}  // namespace ringpost
