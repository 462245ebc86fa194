// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a configuration gives a shard: listeners, and probes of upstreams; and how the next one
// replaces it.
#include <algorithm>
#include <new>
#include <utility>

#include "ringpost/config/address.h"
#include "ringpost/session/shard.h"

namespace ringpost {
namespace {

// How soon an update that was refused memory is tried again.
constexpr TimeNs kUpdateRetry = kNsPerSecond;

// What is known of an upstream with this name and identity, or of those of its addresses that it
// had before, holds.
void KeepHealth(const Runtime& before, const UpstreamConfig& upstream, UpstreamHealth& health) {
  for (std::size_t index = 0; index < before.health.size(); ++index) {
    const UpstreamConfig& known = before.config->upstreams[index];
    if (known.name != upstream.name || known.identity != upstream.identity ||
        known.is_partner != upstream.is_partner) {
      continue;
    }
    if (std::equal(known.addresses.begin(), known.addresses.end(), upstream.addresses.begin(),
                   upstream.addresses.end(), SameEndpoint)) {
      health.ShareWith(*before.health[index]);
      return;
    }
    for (std::size_t address = 0; address < upstream.addresses.size(); ++address) {
      for (std::size_t there = 0; there < known.addresses.size(); ++there) {
        if (SameEndpoint(upstream.addresses[address], known.addresses[there])) {
          health.Keep(address, *before.health[index], there);
        }
      }
    }
    return;
  }
}

// The socket of one will do for the other.
bool SameListener(const ListenerConfig& a, const ListenerConfig& b) {
  return a.implicit_tls == b.implicit_tls && SameEndpoint(a.endpoint, b.endpoint);
}

}  // namespace

void Shard::TakeUpdates() {
  updates_retry_at_ = -1;
  for (;;) {
    ShardUpdateNode next;
    {
      const std::lock_guard lock(updates_mutex_);
      if (updates_.empty()) {
        return;
      }
      next.splice(next.begin(), updates_, updates_.begin());
    }
    try {
      Apply(next.front());
    } catch (const std::bad_alloc&) {
      const std::lock_guard lock(updates_mutex_);
      updates_.splice(updates_.begin(), next);
      updates_retry_at_ = io_->Now() + kUpdateRetry;
      return;
    }
  }
}

// Whatever may be refused memory comes before the first change, so that an update is taken as a
// whole or, with std::bad_alloc, not at all.
void Shard::Apply(ShardUpdate& update) {
  if (draining_ || handed_over_) {
    for (const int fd : update.listeners) {
      if (fd >= 0) {
        io_->CloseSocket(fd);
      }
    }
    update.applied();
    return;
  }
  CountRoutes(*update.runtime);
  Prepared<Listener> listeners = PrepareListeners(update.runtime, update.listeners);
  Prepared<Prober> probers = PrepareProbers(update.runtime);

  for (std::size_t index = 0; index < update.runtime->health.size(); ++index) {
    KeepHealth(*runtime_, update.runtime->config->upstreams[index], *update.runtime->health[index]);
  }
  runtime_ = std::move(update.runtime);
  Place(std::move(listeners), listeners_);
  for (std::size_t index = 0; index < update.listeners.size(); ++index) {
    if (update.listeners[index] < 0) {
      KeepListeners(runtime_->listeners[index]);
    }
  }
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    if (listener != nullptr && listener->runtime != runtime_) {
      Close(*listener);
    }
  }
  ReleaseListeners();
  for (const std::unique_ptr<Prober>& prober : probers_) {
    // Sessions that wait for its answer go on with the configuration that they began with.
    if (prober != nullptr && proof_waiters_.empty()) {
      prober->probe->Stop();
    }
  }
  Place(std::move(probers), probers_);
  probes_at_ = 0;
  update.applied();
}

// For the sockets that are new.
Shard::Prepared<Shard::Listener> Shard::PrepareListeners(
    const std::shared_ptr<const Runtime>& runtime, const std::vector<int>& sockets) {
  Prepared<Listener> prepared;
  std::size_t slot = 0;
  for (std::size_t index = 0; index < sockets.size(); ++index) {
    if (sockets[index] < 0) {
      continue;
    }
    auto added = std::make_unique<Listener>();
    added->fd = sockets[index];
    added->runtime = runtime;
    added->listener = &runtime->listeners[index];
    // All shards accept from the same unix socket.
    if (added->listener->listener->endpoint.address.any.sa_family == AF_UNIX) {
      added->use = SocketUse::kShared;
    }
    slot = FreeSlot(listeners_, slot);
    UserData user_data{.kind = kAccept,
                       .leg = UserData::kListener,
                       .slot = static_cast<std::uint32_t>(slot),
                       .generation = 0};
    added->accept.user_data = user_data.Pack();
    user_data.kind = kAcceptCancel;
    added->cancel.user_data = user_data.Pack();
    prepared.emplace_back(slot++, std::move(added));
  }
  return prepared;
}

// The sockets that are there already now listen for the configuration in force.
void Shard::KeepListeners(const ListenerRuntime& listener) {
  bool kept = false;
  for (const std::unique_ptr<Listener>& candidate : listeners_) {
    if (candidate != nullptr && !candidate->closing && candidate->runtime != runtime_ &&
        SameListener(*candidate->listener->listener, *listener.listener)) {
      candidate->runtime = runtime_;
      candidate->listener = &listener;
      kept = true;
    }
  }
  RINGPOST_CHECK(kept);
}

void Shard::AddListener(std::size_t index, int fd, SocketUse use) {
  std::vector<int> sockets(runtime_->listeners.size(), -1);
  sockets[index] = fd;
  Prepared<Listener> listeners = PrepareListeners(runtime_, sockets);
  listeners.front().second->use = use;
  Place(std::move(listeners), listeners_);
}

bool Shard::listening() const {
  return std::any_of(listeners_.begin(), listeners_.end(),
                     [](const auto& listener) { return listener != nullptr; });
}

void Shard::CloseListeners() {
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    if (listener != nullptr) {
      Close(*listener);
    }
  }
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

}  // namespace ringpost
