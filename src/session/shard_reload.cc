// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a configuration gives a shard: listeners, and probes of upstreams; and how the next one
// replaces it.
#include <algorithm>
#include <utility>

#include "ringpost/config/address.h"
#include "ringpost/session/shard.h"

namespace ringpost {
namespace {

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

}  // namespace ringpost
