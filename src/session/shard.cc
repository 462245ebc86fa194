// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/shard.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ringpost/config/address.h"

namespace ringpost {
namespace {

// Without descriptors, how long until accepting is tried again even if no session has ended.
constexpr TimeNs kAcceptPause = 200 * kNsPerMs;

// How often the holders of blocks are looked for while blocks are short, and how many are ended
// then at most.
constexpr TimeNs kReclaimInterval = 250 * kNsPerMs;
constexpr std::size_t kReclaimMost = 64;
// How long a session may hold blocks without moving. A client that does not read, or does not end
// its line, has no claim against those who wait; while nobody does, it has more patience. A backend
// that stalls stalls many, who will go on with it: they have the time that an honest one takes.
constexpr TimeNs kClientHolds = kNsPerSecond;
constexpr TimeNs kClientHoldsBeforeShortage = 10 * kNsPerSecond;
constexpr TimeNs kBackendHolds = 30 * kNsPerSecond;
// A small block or two is every session's share; who holds more has output that is not taken.
constexpr std::size_t kSmallBlocksShare = 3;
// Blocks are short when less than this part of them, without those lent to the ring, is free.
constexpr std::size_t kShortPart = 8;

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

// How long a session may hold blocks. `starved`: others wait for them already.
TimeNs PatienceWith(Session::Holding::For who, bool starved) {
  using For = Session::Holding::For;
  constexpr TimeNs kForever = std::numeric_limits<TimeNs>::max();
  switch (who) {
    case For::kItself:
      break;
    case For::kClient:
      return starved ? kClientHolds : kClientHoldsBeforeShortage;
    case For::kPipeline:
      return starved ? kClientHolds : kForever;
    case For::kBackend:
      return starved ? kBackendHolds : kForever;
  }
  return kForever;
}

struct RefusalWords {
  const char* code;
  const char* text;
};

RefusalWords WordsFor(Refusal why) {
  switch (why) {
    case Refusal::kDraining:
      return {"421 4.3.2", " Service shutting down"};
    case Refusal::kSessions:
    case Refusal::kRouteSessions:
      return {"421 4.3.2", " Error: too many connections"};
    case Refusal::kClientSessions:
      return {"421 4.7.0", " Error: too many connections from your address"};
    case Refusal::kClientRate:  // where nothing is said in clear
      return {"421 4.7.0", " Error: too many TLS handshakes from your address"};
    case Refusal::kDescriptors:
      return {"421 4.3.2", " Error: out of resources, try again later"};
  }
  return {"421 4.3.2", ""};
}

// The socket of one will do for the other.
bool SameListener(const ListenerConfig& a, const ListenerConfig& b) {
  return a.implicit_tls == b.implicit_tls && SameEndpoint(a.endpoint, b.endpoint);
}

}  // namespace

Shard::Shard(Io* io, BufferPool* pool, std::shared_ptr<const Runtime> runtime,
             std::vector<int> listeners, std::uint32_t sessions_max, int control,
             ShardObserver* observer, SessionRegistry* registry, ClientLimits* client_limits)
    : io_(io),
      pool_(pool),
      runtime_(std::move(runtime)),
      observer_(observer),
      wheel_(io->Now()),
      sessions_(sessions_max),
      registry_(registry),
      client_limits_(client_limits),
      control_(control) {
  RINGPOST_CHECK(listeners.size() == runtime_->listeners.size());
  for (std::size_t index = 0; index < listeners.size(); ++index) {
    (void)AddListener(listeners[index], runtime_->listeners[index]);
  }
  CountRoutes();
  AddProbers();
  UserData user_data{.kind = kControlRead, .leg = UserData::kControl, .slot = 0, .generation = 0};
  control_read_.user_data = user_data.Pack();
  user_data.kind = kControlCancel;
  control_cancel_.user_data = user_data.Pack();
  if (control_ >= 0) {
    io_->ReadEvent(control_read_, control_, &control_value_);
  }
  starved_.reserve(sessions_max);
  short_of_descriptor_.reserve(sessions_max);
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
  WakeShort();
  PumpReady();
  Shielded([this] {
    ReclaimBlocks();
    RunProbes();
  });
  if (draining_) {
    TryFinish();
  }
}

// Memory that is refused costs the session that wanted it, not the process. No session may be left
// half-way: Session::Close() needs none where nothing is said.
template <typename Work>
void Shard::Guarded(Session& session, const Work& work) {
  try {
    work();
  } catch (const std::bad_alloc&) {
    session.Close(CloseReason::kOutOfResources, Session::Farewell::kSilent);
  }
}

// The same for what belongs to no session: it is left undone, or looked at again in the next turn.
template <typename Work>
void Shard::Shielded(const Work& work) {
  try {
    work();
  } catch (const std::bad_alloc&) {
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
    if (IsShortage(-completion.result)) {
      PauseAccepts(-completion.result);
    }
    return;
  }
  const int fd = completion.result;
  const ListenerRuntime& listener = *from.listener;
  std::uint32_t& route_sessions = route_sessions_[listener.route->name];
  SocketAddress address{};
  const SocketAddress* const client = io_->PeerAddress(fd, &address) == 0 ? &address : nullptr;
  std::optional<ClientNetwork> counted;
  std::optional<Refusal> refusal = RefusalOf(listener, route_sessions);
  if (!refusal && client != nullptr) {
    refusal = CountClient(listener, address, &counted);
  }
  int backend_fd = -1;
  if (!refusal) {
    backend_fd = io_->OpenSocket(listener.FirstFamily());
    if (IsShortage(-backend_fd)) {
      Leave(counted);
      refusal = Refusal::kDescriptors;
    }
  }
  if (refusal) {
    Refuse(listener, fd, client, *refusal);
    if (*refusal == Refusal::kDescriptors) {
      PauseAccepts(-backend_fd);
    }
    return;
  }
  Session* session = nullptr;
  Shielded([&] { session = &sessions_.Create(this, from.runtime, &listener, fd); });
  if (session == nullptr) {
    Leave(counted);
    if (backend_fd >= 0) {
      io_->CloseSocket(backend_fd);
    }
    io_->CloseSocket(fd);
    return;
  }
  session->route_sessions = &++route_sessions;
  session->counted = counted;
  Guarded(*session, [&] { session->Start(client, backend_fd); });
  if (from.closing) {
    ReleaseListeners();
  }
}

std::optional<Refusal> Shard::RefusalOf(const ListenerRuntime& listener,
                                        std::uint32_t route_sessions) const {
  if (draining_) {
    return Refusal::kDraining;
  }
  if (sessions_.full()) {
    return Refusal::kSessions;
  }
  return route_sessions >= ShareOf(listener) ? std::optional(Refusal::kRouteSessions)
                                             : std::nullopt;
}

// Before there is a session, and before anything is spent on TLS.
std::optional<Refusal> Shard::CountClient(const ListenerRuntime& listener,
                                          const SocketAddress& client,
                                          std::optional<ClientNetwork>* counted) {
  const std::optional<ClientNetwork> network = ClientNetwork::Of(client.any);
  if (client_limits_ == nullptr || !network) {
    return std::nullopt;
  }
  switch (client_limits_->Enter(*network, runtime_->config->sessions_per_client_max, io_->Now())) {
    case ClientLimits::Entry::kRefused:
      return Refusal::kClientSessions;
    case ClientLimits::Entry::kCounted:
      *counted = network;
      ++counted_;
      break;
    case ClientLimits::Entry::kUncounted:
      break;
  }
  if (listener.listener->implicit_tls && !MayBeginHandshake(client)) {
    Leave(*counted);
    return Refusal::kClientRate;
  }
  return std::nullopt;
}

bool Shard::MayBeginHandshake(const SocketAddress& client) {
  const std::optional<ClientNetwork> network = ClientNetwork::Of(client.any);
  return client_limits_ == nullptr || !network ||
         client_limits_->BeginHandshake(*network, runtime_->config->handshakes_per_client_rate,
                                        io_->Now());
}

void Shard::Leave(const std::optional<ClientNetwork>& counted) {
  if (counted) {
    client_limits_->Leave(*counted, io_->Now());
    --counted_;
  }
}

// Descriptors that come free are for the sessions that run before they are for new ones, so accepts
// that are armed end as well.
void Shard::PauseAccepts(int error) {
  accept_paused_until_ = io_->Now() + kAcceptPause;
  Shielded([&] { observer_->AcceptPaused(error, io_->Now()); });
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    if (listener != nullptr && listener->accept.in_flight && !listener->cancel.in_flight) {
      io_->Cancel(listener->cancel, listener->accept);
    }
  }
}

// So that there is a count for each route, and accepting needs no memory for one.
void Shard::CountRoutes() {
  for (const ListenerRuntime& listener : runtime_->listeners) {
    route_sessions_.try_emplace(listener.route->name);
  }
}

// Of the sessions that the route may have, those of this shard.
std::uint32_t Shard::ShareOf(const ListenerRuntime& listener) const {
  const std::uint32_t sessions_max = listener.route->sessions_max;
  const auto shards = static_cast<std::uint32_t>(runtime_->config->shards);
  return sessions_max == 0 ? ~std::uint32_t{0} : (sessions_max + shards - 1) / shards;
}

// `client` may be null: it is gone.
void Shard::Refuse(const ListenerRuntime& listener, int fd, const SocketAddress* client,
                   Refusal why) {
  ++refused_[static_cast<std::size_t>(why)];
  Shielded([&] {
    if (client != nullptr) {
      observer_->SessionRefused(listener, *client, why, io_->Now());
    }
    if (!listener.listener->implicit_tls) {
      const RefusalWords words = WordsFor(why);
      io_->TrySend(fd, absl::StrCat(words.code, " ", listener.relay.hostname, words.text, "\r\n"));
    }
  });
  io_->ShutdownSend(fd);
  io_->CloseSocket(fd);
}

void Shard::OnControl(const Completion& completion) {
  control_read_.Complete(completion);
  Shielded([this] { TakeUpdate(); });
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
  if (status_wanted_.exchange(false, std::memory_order_acquire)) {
    Shielded([this] { TellStatus(); });
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

void Shard::PostStatusRequest() {
  status_wanted_.store(true, std::memory_order_release);
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
  CountRoutes();
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
  if (listener.accept.in_flight && !listener.cancel.in_flight) {
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
  if (draining_ || io_->Now() < accept_paused_until_ || !short_of_descriptor_.empty()) {
    return;
  }
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    if (listener != nullptr && !listener->closing && !listener->accept.in_flight &&
        !listener->cancel.in_flight) {
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
      Guarded(*session, [session] { session->Pump(); });
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

void Shard::WaitForBlocks(Session& session) {
  starved_lately_ = true;
  rounds_starved_ = rounds_starved_ || session.needs_round;
  if (!session.is_starved) {
    session.is_starved = true;
    starved_.push_back(&session);
  }
}

// Blocks return when peers read, and a crowd of peers that do not read could keep all of them until
// its sessions time out. So while blocks are short, those who have held some for longest without
// moving are ended.
void Shard::ReclaimBlocks() {
  const std::size_t large = pool_->total_count(BlockSize::kLarge) - io_->LentBlocks();
  const bool enough =
      pool_->free_count(BlockSize::kLarge) * kShortPart >= large &&
      pool_->free_count(BlockSize::kSmall) * kShortPart >= pool_->total_count(BlockSize::kSmall);
  if (enough && starved_.empty()) [[likely]] {
    reclaim_at_ = -1;
    starved_lately_ = false;
    return;
  }
  const TimeNs now = io_->Now();
  if (reclaim_at_ >= 0 && now >= reclaim_at_) {
    EndHolders(now);
    starved_lately_ = !starved_.empty();
    reclaim_at_ = -1;
  }
  if (reclaim_at_ < 0) {
    reclaim_at_ = now + kReclaimInterval;
  }
}

// The ones that have not moved for longest.
void Shard::EndHolders(TimeNs now) {
  struct Candidate {
    Session* session;
    TimeNs since;
    bool operator<(const Candidate& other) const { return since < other.since; }
  };
  std::array<Candidate, kReclaimMost> oldest;
  std::size_t count = 0;
  sessions_.ForEach([&](Session& session) {
    const Session::Holding held = session.holding();
    if (session.is_finished || now - held.since < PatienceWith(held.who, starved_lately_) ||
        (held.blocks_large == 0 && held.blocks_small < kSmallBlocksShare)) {
      return;
    }
    // A heap, the youngest in front.
    if (count == oldest.size()) {
      if (held.since >= oldest.front().since) {
        return;
      }
      std::pop_heap(oldest.begin(), oldest.end());
      --count;
    }
    oldest[count++] = {.session = &session, .since = held.since};
    std::push_heap(oldest.begin(), oldest.begin() + static_cast<std::ptrdiff_t>(count));
  });
  for (std::size_t i = 0; i < count; ++i) {
    reclaimed_ += oldest[i].session->close_reason() == CloseReason::kNone ? 1 : 0;
    oldest[i].session->Reclaim();
  }
}

// Whether there is enough for a whole round of a session.
bool Shard::HasBlocksForRound() const {
  return pool_->free_count(BlockSize::kLarge) >= Session::kLargeNeeded &&
         pool_->free_count(BlockSize::kSmall) >= Session::kSmallNeeded;
}

bool Shard::CanWakeStarved() const {
  return !starved_.empty() &&
         (stopping_ || (HasBlocksForRound() && (rounds_starved_ || io_->CanReceive())));
}

// Who was only refused a receive would be refused again while the ring can borrow none; who has
// octets to pass on may give blocks back by it, and must not wait for the others.
void Shard::WakeStarved() {
  if (!CanWakeStarved()) {
    return;
  }
  const bool all = stopping_ || io_->CanReceive();
  std::erase_if(starved_, [this, all](Session* session) {
    const bool wake = all || session->needs_round;
    if (wake) {
      session->is_starved = false;
      MakeReady(*session);
    }
    return wake;
  });
  rounds_starved_ = false;
}

void Shard::WaitForDescriptor(Session& session, int error) {
  if (!session.is_short_of_descriptor) {
    session.is_short_of_descriptor = true;
    short_of_descriptor_.push_back(&session);
  }
  PauseAccepts(error);
}

bool Shard::CanWakeShort() const {
  return !short_of_descriptor_.empty() && (stopping_ || io_->Now() >= accept_paused_until_);
}

void Shard::WakeShort() {
  if (!CanWakeShort()) {
    return;
  }
  for (Session* session : short_of_descriptor_) {
    session->is_short_of_descriptor = false;
    MakeReady(*session);
  }
  short_of_descriptor_.clear();
}

void Shard::Finished(Session& session) {
  session.is_finished = true;
  --*session.route_sessions;
  Leave(std::exchange(session.counted, std::nullopt));
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

std::int64_t Shard::WallClock() const { return io_->WallClock(); }

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
  if (ready_head_ != nullptr || CanWakeStarved() || CanWakeShort()) {
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
  if (reclaim_at_ >= 0) {
    at_most(std::max<TimeNs>(reclaim_at_ - now, 0));
  }
  for (const std::unique_ptr<Prober>& prober : probers_) {
    if (prober == nullptr) {
      continue;
    }
    if (prober->probe->deadline() >= 0) {
      at_most(std::max<TimeNs>(prober->probe->deadline() - now, 0));
    } else if (!prober->probe->idle()) {
      continue;  // its last operation's completion is what comes next
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
