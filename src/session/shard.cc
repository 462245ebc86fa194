// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/shard.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ringpost/config/address.h"

namespace ringpost {
namespace {

// Without descriptors, how long until accepting is tried again even if no session has ended.
constexpr TimeNs kAcceptPause = 200 * kNsPerMs;

enum ControlKind : std::uint8_t { kControlRead, kControlCancel };
enum ListenerKind : std::uint8_t { kAccept, kAcceptCancel };

// What is known of an upstream with this name and these very addresses; nullptr: nothing.
const UpstreamHealth* HealthOf(const Runtime& runtime, const UpstreamConfig& upstream) {
  for (std::size_t index = 0; index < runtime.health.size(); ++index) {
    const UpstreamConfig& known = runtime.config->upstreams[index];
    if (known.name == upstream.name &&
        std::equal(known.addresses.begin(), known.addresses.end(), upstream.addresses.begin(),
                   upstream.addresses.end(), SameEndpoint)) {
      return runtime.health[index].get();
    }
  }
  return nullptr;
}

// The socket of one will do for the other.
bool SameListener(const ListenerConfig& a, const ListenerConfig& b) {
  return a.implicit_tls == b.implicit_tls && SameEndpoint(a.endpoint, b.endpoint);
}

}  // namespace

Shard::Shard(Io* io, BufferPool* pool, std::shared_ptr<const Runtime> runtime,
             std::vector<int> listeners, std::uint32_t sessions_max, int control,
             ShardObserver* observer, SessionRegistry* registry)
    : io_(io),
      pool_(pool),
      runtime_(std::move(runtime)),
      observer_(observer),
      wheel_(io->Now()),
      sessions_(sessions_max),
      registry_(registry),
      control_(control) {
  RINGPOST_CHECK(listeners.size() == runtime_->listeners.size());
  for (std::size_t index = 0; index < listeners.size(); ++index) {
    (void)AddListener(listeners[index], runtime_->listeners[index]);
  }
  AddProbers();
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
  RunProbes();
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
        ReleaseListeners();
      }
      break;
    case UserData::kProbe:
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

void Shard::OnAccept(std::size_t index, const Completion& completion) {
  Listener& from = *listeners_[index];
  from.accept.Complete(completion);
  if (completion.result < 0) {
    ReleaseListeners();
    // Most errors are the client's, gone before it was accepted. Ours last longer.
    if (completion.result == -EMFILE || completion.result == -ENFILE ||
        completion.result == -ENOBUFS || completion.result == -ENOMEM) {
      accept_paused_until_ = io_->Now() + kAcceptPause;
      observer_->AcceptPaused(-completion.result, io_->Now());
    }
    return;
  }
  const ListenerRuntime& listener = *from.listener;
  std::uint32_t& route_sessions = route_sessions_[listener.route->name];
  if (sessions_.full() || route_sessions >= ShareOf(listener) || draining_) {
    Refuse(listener, completion.result);
    return;
  }
  Session& session = sessions_.Create(this, from.runtime, &listener, completion.result);
  session.route_sessions = &++route_sessions;
  session.Start();
  if (from.closing) {
    ReleaseListeners();
  }
}

// Of the sessions that the route may have, those of this shard.
std::uint32_t Shard::ShareOf(const ListenerRuntime& listener) const {
  const std::uint32_t sessions_max = listener.route->sessions_max;
  const auto shards = static_cast<std::uint32_t>(runtime_->config->shards);
  return sessions_max == 0 ? ~std::uint32_t{0} : (sessions_max + shards - 1) / shards;
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
  TakeUpdate();
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

void Shard::Post(ShardUpdate update) {
  {
    const std::lock_guard lock(update_mutex_);
    update_ = std::move(update);
  }
  const std::uint64_t one = 1;
  (void)!write(control_, &one, sizeof one);
}

void Shard::TakeUpdate() {
  std::optional<ShardUpdate> update;
  {
    const std::lock_guard lock(update_mutex_);
    update.swap(update_);
  }
  if (update.has_value()) {
    Apply(*std::move(update));
  }
}

void Shard::Apply(ShardUpdate update) {
  if (draining_) {
    for (const int fd : update.listeners) {
      if (fd >= 0) {
        io_->CloseSocket(fd);
      }
    }
    update.applied();
    return;
  }
  for (std::size_t index = 0; index < update.runtime->health.size(); ++index) {
    const UpstreamConfig& upstream = update.runtime->config->upstreams[index];
    if (const UpstreamHealth* const before = HealthOf(*runtime_, upstream); before != nullptr) {
      update.runtime->health[index]->TakeOver(*before);
    }
  }
  runtime_ = std::move(update.runtime);
  std::vector<bool> kept(listeners_.size(), false);
  for (std::size_t index = 0; index < runtime_->listeners.size(); ++index) {
    const ListenerRuntime& listener = runtime_->listeners[index];
    if (update.listeners[index] >= 0) {
      const std::size_t slot = AddListener(update.listeners[index], listener);
      kept.resize(std::max(kept.size(), slot + 1));
      kept[slot] = true;  // it may be the slot of one that was closed long ago
      continue;
    }
    for (std::size_t slot = 0; slot < kept.size(); ++slot) {
      Listener* const candidate = listeners_[slot].get();
      if (candidate != nullptr && !candidate->closing && !kept[slot] &&
          SameListener(*candidate->listener->listener, *listener.listener)) {
        candidate->runtime = runtime_;
        candidate->listener = &listener;
        kept[slot] = true;
        break;
      }
    }
  }
  for (std::size_t slot = 0; slot < kept.size(); ++slot) {
    if (listeners_[slot] != nullptr && !kept[slot]) {
      Close(*listeners_[slot]);
    }
  }
  ReleaseListeners();
  for (const std::unique_ptr<Prober>& prober : probers_) {
    if (prober != nullptr) {
      prober->probe->Stop();
    }
  }
  AddProbers();
  update.applied();
}

std::size_t Shard::AddListener(int fd, const ListenerRuntime& listener) {
  const auto slot = static_cast<std::uint32_t>(
      std::find(listeners_.begin(), listeners_.end(), nullptr) - listeners_.begin());
  if (slot == listeners_.size()) {
    listeners_.emplace_back();
  }
  auto added = std::make_unique<Listener>();
  added->fd = fd;
  added->runtime = runtime_;
  added->listener = &listener;
  UserData user_data{.kind = kAccept, .leg = UserData::kListener, .slot = slot, .generation = 0};
  added->accept.user_data = user_data.Pack();
  user_data.kind = kAcceptCancel;
  added->cancel.user_data = user_data.Pack();
  listeners_[slot] = std::move(added);
  return slot;
}

void Shard::Close(Listener& listener) {
  if (listener.closing) {
    return;
  }
  listener.closing = true;
  if (listener.accept.in_flight) {
    io_->Cancel(listener.cancel, listener.accept);
  }
}

// Closes the sockets that nothing is in flight for any more.
void Shard::ReleaseListeners() {
  for (std::unique_ptr<Listener>& listener : listeners_) {
    if (listener != nullptr && listener->closing && !listener->accept.in_flight &&
        !listener->cancel.in_flight) {
      io_->CloseSocket(listener->fd);
      listener.reset();
    }
  }
}

void Shard::AddProbers() {
  for (std::size_t index = 0; index < runtime_->config->upstreams.size(); ++index) {
    const UpstreamConfig& upstream = runtime_->config->upstreams[index];
    if (upstream.addresses.size() < 2) {
      continue;  // every session tries the only address
    }
    auto prober = std::make_unique<Prober>();
    prober->runtime = runtime_;
    prober->upstream = &upstream;
    prober->health = runtime_->health[index].get();
    const auto slot = static_cast<std::uint32_t>(
        std::find(probers_.begin(), probers_.end(), nullptr) - probers_.begin());
    const UserData user_data{.kind = 0, .leg = UserData::kProbe, .slot = slot, .generation = 0};
    prober->probe = std::make_unique<HealthProbe>(io_, pool_, &upstream, user_data.Pack());
    if (slot == probers_.size()) {
      probers_.emplace_back();
    }
    probers_[slot] = std::move(prober);
  }
}

void Shard::RunProbes() {
  const TimeNs now = io_->Now();
  for (std::unique_ptr<Prober>& prober : probers_) {
    if (prober == nullptr) {
      continue;
    }
    HealthProbe& probe = *prober->probe;
    probe.OnTime(now);
    const bool current = prober->runtime == runtime_ && !draining_;
    const HealthProbe::Result result = probe.TakeResult();
    const std::size_t address = probe.address();
    if (result == HealthProbe::Result::kUp && prober->health->Succeeded(address)) {
      BackendRecovered(*prober->upstream, prober->upstream->addresses[address]);
    } else if (result == HealthProbe::Result::kDown) {
      (void)prober->health->Failed(address, now);
    }
    if (!probe.idle()) {
      continue;
    }
    if (!current) {
      prober.reset();
    } else if (const std::optional<std::size_t> due = prober->health->TakeDueProbe(now)) {
      probe.Start(*due, now + runtime_->config->connect_timeout);
    }
  }
}

bool Shard::ProbesIdle() const {
  return std::all_of(probers_.begin(), probers_.end(),
                     [](const auto& prober) { return prober == nullptr || prober->probe->idle(); });
}

void Shard::ArmAccepts() {
  if (draining_ || io_->Now() < accept_paused_until_) {
    return;
  }
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    if (listener != nullptr && !listener->closing && !listener->accept.in_flight) {
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
  --*session.route_sessions;
  accept_paused_until_ = 0;  // two descriptors have come back
  observer_->SessionEnded(session, io_->Now());
}

void Shard::BackendFailed(const UpstreamConfig& upstream, const Endpoint& endpoint,
                          CloseReason reason, int error) {
  observer_->BackendFailed(upstream, endpoint, reason, error, io_->Now());
}

void Shard::BackendRecovered(const UpstreamConfig& upstream, const Endpoint& endpoint) {
  observer_->BackendRecovered(upstream, endpoint, io_->Now());
}

void Shard::PolicyNotMet(const Session& session, const PolicyDecision& decision,
                         std::string_view sender_domain) {
  observer_->PolicyNotMet(session, decision, sender_domain);
}

std::int64_t Shard::WallClock() const { return std::time(nullptr); }

void Shard::Drain() {
  if (draining_) {
    return;
  }
  draining_ = true;
  drain_deadline_ = io_->Now() + runtime_->config->drain_timeout;
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    if (listener != nullptr) {
      Close(*listener);
    }
  }
  for (const std::unique_ptr<Prober>& prober : probers_) {
    if (prober != nullptr) {
      prober->probe->Stop();
    }
  }
  sessions_.ForEach([](Session& session) { session.Drain(); });
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
    sessions_.ForEach(
        [](Session& session) { session.Close(CloseReason::kDrain, Session::Farewell::kSay); });
  }
  ReleaseListeners();
  const bool listening = std::any_of(listeners_.begin(), listeners_.end(),
                                     [](const auto& listener) { return listener != nullptr; });
  if (listening || sessions_.size() > 0 || !ProbesIdle()) {
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
  for (const std::unique_ptr<Prober>& prober : probers_) {
    if (prober == nullptr) {
      continue;
    }
    if (prober->probe->deadline() >= 0) {
      at_most(std::max<TimeNs>(prober->probe->deadline() - now, 0));
    } else if (const std::optional<TimeNs> next = prober->health->NextProbe()) {
      at_most(std::max<TimeNs>(*next - now, 0));
    }
  }
  if (draining_) {
    at_most(std::max<TimeNs>(drain_deadline_ - now, kNsPerMs));
  }
  return timeout;
}

}  // namespace ringpost
