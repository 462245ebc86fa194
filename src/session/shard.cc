// SPDX-License-Identifier: GPL-3.0-or-later
//
// The loop of a shard, and its end.
#include "ringpost/session/shard.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace ringpost {
namespace {

// How often clients with more blocks than their share are looked at where nothing else happens: not
// all of them are in each turn.
constexpr TimeNs kShareInterval = 10 * kNsPerMs;

}  // namespace

Shard::Shard(Io* io, BufferPool* pool, std::shared_ptr<const Runtime> runtime,
             const std::vector<int>& listeners, std::uint32_t sessions_max, int control,
             ShardObserver* observer, SessionRegistry* registry, ClientLimits* client_limits)
    : io_(io),
      pool_(pool),
      runtime_(std::move(runtime)),
      observer_(observer),
      wheel_(io->Now()),
      shares_(pool, sessions_max),
      sessions_(sessions_max),
      registry_(registry),
      client_limits_(client_limits),
      control_(control) {
  RINGPOST_CHECK(listeners.size() == runtime_->listeners.size());
  CountRoutes(*runtime_);
  Place(PrepareListeners(runtime_, listeners), listeners_);
  Place(PrepareProbers(runtime_), probers_);
  UserData user_data{.kind = kControlRead, .leg = UserData::kControl, .slot = 0, .generation = 0};
  control_read_.user_data = user_data.Pack();
  user_data.kind = kControlCancel;
  control_cancel_.user_data = user_data.Pack();
  if (control_ >= 0) {
    io_->ReadEvent(control_read_, control_, &control_value_);
  }
  starved_.reserve(sessions_max);
  short_of_descriptor_.reserve(sessions_max);
  proof_waiters_.reserve(sessions_max);
}

Shard::~Shard() {
  RINGPOST_CHECK(finished_);
  RINGPOST_CHECK(counted_ == 0);
}

void Shard::Run() {
  while (!finished_) {
    Turn();
  }
}

void Shard::Turn() {
  ArmAccepts();
  const std::size_t count = io_->Wait(WaitTimeout(), completions_);
  for (std::size_t i = 0; i < count; ++i) {
    Shielded([&] { Dispatch(completions_[i]); });
  }
  wheel_.Advance(io_->Now(), [this](TimerWheel::Entry& entry) {
    Session& session = *static_cast<Session::Timer&>(entry).session;
    Guarded(session, [&] { session.OnDeadline(); });
  });
  WakeStarved();
  if (shares_.any_waits_for_share()) [[unlikely]] {
    WakeWithinShare();
  }
  WakeShort();
  PumpReady();
  pool_->set_holder(BufferPool::kNobody);
  if (updates_retry_at_ >= 0 && io_->Now() >= updates_retry_at_) [[unlikely]] {
    TakeUpdates();
  }
  Shielded([this] {
    ReclaimBlocks();
    if (probes_at_ >= 0 && io_->Now() >= probes_at_) {
      RunProbes();
    }
  });
  if (handed_over_ && !draining_) [[unlikely]] {
    ReleaseListeners();
    released_.store(!listening(), std::memory_order_release);
    if (io_->Now() >= drain_deadline_ || (!listening() && sessions_.size() == 0)) {
      Drain();
    }
  }
  if (draining_) {
    TryFinish();
  }
}

void Shard::Dispatch(const Completion& completion) {
  const UserData user_data = UserData::Unpack(completion.user_data);
  switch (user_data.leg) {
    case UserData::kFront:
    case UserData::kBack: {
      Session& session = sessions_.Find(user_data);
      Guarded(session, [&] {
        session.OnCompletion(user_data.leg == UserData::kFront ? Side::kFront : Side::kBack,
                             static_cast<OperationKind>(user_data.kind), completion);
      });
      break;
    }
    case UserData::kListener:
      if (user_data.kind == kAccept) {
        OnAccept(user_data.slot, completion);
      } else {
        listeners_[user_data.slot]->cancel.Complete(completion);
        ReleaseListeners();
      }
      break;
    case UserData::kProbe:
      pool_->set_holder(BufferPool::kNobody);
      probes_at_ = 0;
      probers_[user_data.slot]->probe->OnCompletion(static_cast<OperationKind>(user_data.kind),
                                                    completion);
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

void Shard::OnControl(const Completion& completion) {
  control_read_.Complete(completion);
  TakeUpdates();
  switch (command_.load(std::memory_order_acquire)) {
    case ShardCommand::kNone:
      break;
    case ShardCommand::kHandOver:
      HandOver();
      break;
    case ShardCommand::kDrain:
      Drain();
      break;
    case ShardCommand::kStop:
      Stop();
      break;
  }
  if (status_wanted_.exchange(false, std::memory_order_acquire)) {
    Shielded([this] { TellStatus(); });
  }
  if (accept_again_.exchange(false, std::memory_order_acquire)) {
    CancelAccepts();  // those that are armed anew look at the queue first
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

void Shard::Post(ShardUpdateNode update) {
  {
    const std::lock_guard lock(updates_mutex_);
    updates_.splice(updates_.end(), update);
  }
  const std::uint64_t one = 1;
  (void)!write(control_, &one, sizeof one);
}

void Shard::PostStatusRequest() {
  status_wanted_.store(true, std::memory_order_release);
  const std::uint64_t one = 1;
  (void)!write(control_, &one, sizeof one);
}

void Shard::PostAcceptAgain() {
  accept_again_.store(true, std::memory_order_release);
  const std::uint64_t one = 1;
  (void)!write(control_, &one, sizeof one);
}

void Shard::TellStatus() {
  ShardStatus status;
  status.sessions = sessions_.size();
  status.sessions_max = sessions_.slot_count();
  status.blocks_large_free = pool_->free_count(BlockSize::kLarge) + io_->LentBlocks();
  status.blocks_large = pool_->total_count(BlockSize::kLarge);
  status.blocks_small_free = pool_->free_count(BlockSize::kSmall);
  status.blocks_small = pool_->total_count(BlockSize::kSmall);
  status.starved = starved_.size();
  status.accept_paused = io_->Now() < accept_paused_until_;
  status.refused = refused_;
  status.reclaimed = reclaimed_;
  observer_->Status(status);
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
      Guarded(*session, [session] { session->Pump(); });
    }
    if (session->is_finished && session->is_waiting_for_proof) {
      std::erase(proof_waiters_, session);
      session->is_waiting_for_proof = false;
    }
    if (session->is_finished && !session->is_ready && !session->is_starved &&
        !session->is_short_of_descriptor) {
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

void Shard::Finished(Session& session) {
  session.is_finished = true;
  --*session.route_sessions;
  Leave(std::exchange(session.counted, std::nullopt));
  HaveTurn(shares_.Leave(session.share));
  accept_paused_until_ = 0;  // two descriptors have come back
  observer_->SessionEnded(session, io_->Now());
}

void Shard::BackendFailed(const UpstreamConfig& upstream, const Endpoint& endpoint,
                          CloseReason reason, int error, std::string_view words) {
  observer_->BackendFailed(upstream, endpoint, reason, error, words, io_->Now());
}

void Shard::BackendRecovered(const UpstreamConfig& upstream, const Endpoint& endpoint) {
  observer_->BackendRecovered(upstream, endpoint, io_->Now());
}

void Shard::PolicyNotMet(const Session& session, const PolicyDecision& decision,
                         std::string_view sender_domain) {
  observer_->PolicyNotMet(session, decision, sender_domain);
}

void Shard::TrustComplaint(const std::string& sentence) {
  observer_->TrustComplaint(sentence, io_->Now());
}

std::int64_t Shard::WallClock() const { return io_->WallClock(); }

void Shard::HandOver() {
  if (handed_over_ || draining_) {
    return;
  }
  handed_over_ = true;
  drain_deadline_ = io_->Now() + runtime_->config->drain_timeout;
  CloseListeners();
}

void Shard::Drain() {
  if (draining_) {
    return;
  }
  draining_ = true;
  drain_deadline_ = io_->Now() + runtime_->config->drain_timeout;
  CloseListeners();
  for (const std::unique_ptr<Prober>& prober : probers_) {
    if (prober != nullptr) {
      prober->probe->Stop();
    }
  }
  probes_at_ = 0;
  sessions_.ForEach([this](Session& session) { Guarded(session, [&] { session.Drain(); }); });
}

void Shard::Stop() {
  Drain();
  stopping_ = true;
  sessions_.ForEach([](Session& session) { session.Stop(); });
}

void Shard::TryFinish() {
  if (!stopping_ && io_->Now() >= drain_deadline_) {
    // What is still in a transaction is told so, then everything ends within the flush time-out.
    drain_deadline_ = io_->Now() + runtime_->config->drain_timeout;
    sessions_.ForEach([this](Session& session) {
      Guarded(session, [&] { session.Close(CloseReason::kDrain, Session::Farewell::kSay); });
    });
  }
  ReleaseListeners();
  if (listening() || sessions_.size() > 0 || !ProbesIdle()) {
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
  if (finished_) {
    TakeUpdates();  // of those that come too late the sockets are closed
  }
}

TimeNs Shard::WaitTimeout() const {
  // Blocks may also have returned while sessions were pumped.
  if (ready_head_ != nullptr || CanWakeStarved() || CanWakeShort() ||
      shares_.next_is_within_share()) {
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
  if (shares_.any_waits_for_share()) {
    at_most(kShareInterval);
  }
  if (reclaim_at_ >= 0) {
    at_most(std::max<TimeNs>(reclaim_at_ - now, 0));
  }
  if (updates_retry_at_ >= 0) {
    at_most(std::max<TimeNs>(updates_retry_at_ - now, 0));
  }
  if (probes_at_ >= 0) {
    at_most(std::max<TimeNs>(probes_at_ - now, 0));
  }
  if (draining_ || handed_over_) {
    at_most(std::max<TimeNs>(drain_deadline_ - now, kNsPerMs));
  }
  return timeout;
}

}  // namespace ringpost
