// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/shard.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ringpost {
namespace {

// Without descriptors, how long until accepting is tried again even if no session has ended.
constexpr TimeNs kAcceptPause = 200 * kNsPerMs;

enum ControlKind : std::uint8_t { kControlRead, kControlCancel };
enum ListenerKind : std::uint8_t { kAccept, kAcceptCancel };

}  // namespace

Shard::Shard(Io* io, BufferPool* pool, std::shared_ptr<const Runtime> runtime,
             std::vector<int> listeners, std::uint32_t sessions_max, int control,
             ShardObserver* observer)
    : io_(io),
      pool_(pool),
      runtime_(std::move(runtime)),
      observer_(observer),
      wheel_(io->Now()),
      sessions_(sessions_max),
      control_(control) {
  RINGPOST_CHECK(listeners.size() == runtime_->listeners.size());
  for (std::uint32_t index = 0; index < listeners.size(); ++index) {
    auto listener = std::make_unique<Listener>();
    listener->fd = listeners[index];
    UserData user_data{.kind = kAccept, .leg = UserData::kListener, .slot = index, .generation = 0};
    listener->accept.user_data = user_data.Pack();
    user_data.kind = kAcceptCancel;
    listener->cancel.user_data = user_data.Pack();
    listeners_.push_back(std::move(listener));
  }
  UserData user_data{.kind = kControlRead, .leg = UserData::kControl, .slot = 0, .generation = 0};
  control_read_.user_data = user_data.Pack();
  user_data.kind = kControlCancel;
  control_cancel_.user_data = user_data.Pack();
  if (control_ >= 0) {
    io_->ReadEvent(control_read_, control_, &control_value_);
  }
  starved_.reserve(sessions_max);
}

Shard::~Shard() { RINGPOST_CHECK(finished_); }

void Shard::Run() {
  while (!finished_) {
    Turn();
  }
}

void Shard::Turn() {
  ArmAccepts();
  const std::size_t count = io_->Wait(WaitTimeout(), completions_);
  for (std::size_t i = 0; i < count; ++i) {
    Dispatch(completions_[i]);
  }
  wheel_.Advance(io_->Now(), [](TimerWheel::Entry& entry) {
    static_cast<Session::Timer&>(entry).session->OnDeadline();
  });
  WakeStarved();
  PumpReady();
  if (draining_) {
    TryFinish();
  }
}

void Shard::Dispatch(const Completion& completion) {
  const UserData user_data = UserData::Unpack(completion.user_data);
  switch (user_data.leg) {
    case UserData::kFront:
    case UserData::kBack:
      sessions_.Find(user_data).OnCompletion(
          user_data.leg == UserData::kFront ? Side::kFront : Side::kBack,
          static_cast<OperationKind>(user_data.kind), completion);
      break;
    case UserData::kListener:
      if (user_data.kind == kAccept) {
        OnAccept(user_data.slot, completion);
      } else {
        listeners_[user_data.slot]->cancel.Complete(completion);
      }
      break;
    case UserData::kControl:
      if (user_data.kind == kControlRead) {
        OnControl(completion);
      } else {
        control_cancel_.Complete(completion);
      }
      break;
    default:
      RINGPOST_CHECK(false);
  }
}

void Shard::OnAccept(std::size_t index, const Completion& completion) {
  listeners_[index]->accept.Complete(completion);
  if (completion.result < 0) {
    // Most errors are the client's, gone before it was accepted. Ours last longer.
    if (completion.result == -EMFILE || completion.result == -ENFILE ||
        completion.result == -ENOBUFS || completion.result == -ENOMEM) {
      accept_paused_until_ = io_->Now() + kAcceptPause;
      observer_->AcceptPaused(-completion.result, io_->Now());
    }
    return;
  }
  const ListenerRuntime& listener = runtime_->listeners[index];
  if (sessions_.full() || draining_) {
    Refuse(listener, completion.result);
    return;
  }
  sessions_.Create(this, runtime_, &listener, completion.result).Start();
}

void Shard::Refuse(const ListenerRuntime& listener, int fd) {
  SocketAddress client{};
  if (io_->PeerAddress(fd, &client) == 0) {
    observer_->SessionRefused(listener, client, io_->Now());
  }
  if (!listener.listener->implicit_tls) {
    io_->TrySend(fd, absl::StrCat("421 4.3.2 ", listener.relay.hostname,
                                  draining_ ? " Service shutting down\r\n"
                                            : " Error: too many connections\r\n"));
  }
  io_->ShutdownSend(fd);
  io_->CloseSocket(fd);
}

void Shard::OnControl(const Completion& completion) {
  control_read_.Complete(completion);
  switch (command_.load(std::memory_order_acquire)) {
    case ShardCommand::kNone:
      break;
    case ShardCommand::kDrain:
      Drain();
      break;
    case ShardCommand::kStop:
      Stop();
      break;
  }
  if (!stopping_ && completion.result > 0) {
    io_->ReadEvent(control_read_, control_, &control_value_);
  }
}

void Shard::Post(ShardCommand command) {
  ShardCommand current = command_.load(std::memory_order_relaxed);
  while (current < command &&
         !command_.compare_exchange_weak(current, command, std::memory_order_release)) {
  }
  const std::uint64_t one = 1;
  (void)!write(control_, &one, sizeof one);  // cannot fail: the counter is far from its end
}

void Shard::ArmAccepts() {
  if (draining_ || io_->Now() < accept_paused_until_) {
    return;
  }
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    if (!listener->accept.in_flight) {
      io_->Accept(listener->accept, listener->fd);
    }
  }
}

void Shard::PumpReady() {
  // Sessions that become ready now have their turn after the next wait, so that none starves
  // accepts.
  Session* const last = ready_tail_;
  while (Session* session = ready_head_) {
    ready_head_ = session->next_ready;
    if (ready_head_ == nullptr) {
      ready_tail_ = nullptr;
    }
    const bool was_last = session == last;
    session->next_ready = nullptr;
    session->is_ready = false;
    if (!session->is_finished) {
      session->Pump();
    }
    if (session->is_finished && !session->is_ready && !session->is_starved) {
      sessions_.Destroy(*session);
    }
    if (was_last) {
      break;
    }
  }
}

void Shard::MakeReady(Session& session) {
  if (session.is_ready) {
    return;
  }
  session.is_ready = true;
  (ready_tail_ != nullptr ? ready_tail_->next_ready : ready_head_) = &session;
  ready_tail_ = &session;
}

void Shard::WaitForBlocks(Session& session) {
  if (!session.is_starved) {
    session.is_starved = true;
    starved_.push_back(&session);
  }
}

bool Shard::CanWakeStarved() const {
  return !starved_.empty() &&
         (stopping_ ||
          (io_->CanReceive() && pool_->free_count(BlockSize::kLarge) >= Session::kLargeNeeded &&
           pool_->free_count(BlockSize::kSmall) >= Session::kSmallNeeded));
}

void Shard::WakeStarved() {
  if (!CanWakeStarved()) {
    return;
  }
  for (Session* session : starved_) {
    session->is_starved = false;
    MakeReady(*session);
  }
  starved_.clear();
}

void Shard::Finished(Session& session) {
  session.is_finished = true;
  accept_paused_until_ = 0;  // two descriptors have come back
  observer_->SessionEnded(session, io_->Now());
}

void Shard::BackendFailed(const UpstreamConfig& upstream, const Endpoint& endpoint,
                          CloseReason reason, int error) {
  observer_->BackendFailed(upstream, endpoint, reason, error, io_->Now());
}

void Shard::Drain() {
  if (draining_) {
    return;
  }
  draining_ = true;
  drain_deadline_ = io_->Now() + runtime_->config->drain_timeout;
  CloseListeners();
  sessions_.ForEach([](Session& session) { session.Drain(); });
}

void Shard::Stop() {
  Drain();
  stopping_ = true;
  sessions_.ForEach([](Session& session) { session.Stop(); });
}

void Shard::CloseListeners() {
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    if (listener->accept.in_flight) {
      io_->Cancel(listener->cancel, listener->accept);
    }
  }
}

void Shard::TryFinish() {
  if (!stopping_ && io_->Now() >= drain_deadline_) {
    // What is still in a transaction is told so, then everything ends within the flush time-out.
    drain_deadline_ = io_->Now() + runtime_->config->drain_timeout;
    sessions_.ForEach(
        [](Session& session) { session.Close(CloseReason::kDrain, Session::Farewell::kSay); });
  }
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    if (listener->accept.in_flight || listener->cancel.in_flight) {
      return;
    }
    if (listener->fd >= 0) {
      io_->CloseSocket(listener->fd);
      listener->fd = -1;
    }
  }
  if (sessions_.size() > 0) {
    return;
  }
  stopping_ = true;  // the control is not read again
  if (control_read_.in_flight) {
    if (!control_cancel_.in_flight) {
      io_->Cancel(control_cancel_, control_read_);
    }
    return;
  }
  finished_ = !control_cancel_.in_flight;
}

TimeNs Shard::WaitTimeout() const {
  // Blocks may also have returned while sessions were pumped.
  if (ready_head_ != nullptr || CanWakeStarved()) {
    return 0;
  }
  const TimeNs now = io_->Now();
  TimeNs timeout = wheel_.UntilNext(now);
  const auto at_most = [&timeout](TimeNs limit) {
    timeout = timeout < 0 ? limit : std::min(timeout, limit);
  };
  if (accept_paused_until_ > now) {
    at_most(accept_paused_until_ - now);
  }
  if (draining_) {
    at_most(std::max<TimeNs>(drain_deadline_ - now, kNsPerMs));
  }
  return timeout;
}

}  // namespace ringpost
