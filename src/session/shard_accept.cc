// SPDX-License-Identifier: GPL-3.0-or-later
//
// Who gets a session of a shard, and what the others are told.
#include <optional>

#include "absl/strings/str_cat.h"
#include "ringpost/session/shard.h"

namespace ringpost {
namespace {

// Without descriptors, how long until accepting is tried again even if no session has ended.
constexpr TimeNs kAcceptPause = 200 * kNsPerMs;

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

// Whose blocks and turns its session uses.
std::optional<ClientNetwork> ClientOf(const SocketAddress& client) {
  return client.any.sa_family == AF_UNIX ? ClientNetwork::OfUser(client.unix_peer.user)
                                         : ClientNetwork::Of(client.any);
}

}  // namespace

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
  TakeClient(from, completion.result);
  if (from.closing) {
    ReleaseListeners();
  }
}

void Shard::TakeClient(const Listener& from, int fd) {
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
    backend_fd = io_->OpenSocket(listener.next_hop.FirstFamily());
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
  session->number = ++sessions_begun_;
  session->counted = counted;
  session->share.session = session;
  shares_.Enter(session->share, client != nullptr ? ClientOf(address) : std::nullopt);
  Guarded(*session, [&] { session->Start(client, backend_fd); });
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
  // On a route of egress the one client is our own mail server.
  if (client_limits_ == nullptr || !network || listener.route->egress.has_value()) {
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
  CancelAccepts();
}

void Shard::CancelAccepts() {
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    if (listener != nullptr && listener->accept.in_flight && !listener->cancel.in_flight) {
      io_->Cancel(listener->cancel, listener->accept);
    }
  }
}

// So that there is a count for each route, and accepting needs no memory for one.
void Shard::CountRoutes(const Runtime& runtime) {
  for (const ListenerRuntime& listener : runtime.listeners) {
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

void Shard::ArmAccepts() {
  if (draining_ || io_->Now() < accept_paused_until_ || !short_of_descriptor_.empty()) {
    return;
  }
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    if (listener == nullptr || listener->closing || listener->accept.in_flight ||
        listener->cancel.in_flight) {
      continue;
    }
    if (listener->use == SocketUse::kShared) {
      io_->AcceptOne(listener->accept, listener->fd);
    } else {
      io_->Accept(listener->accept, listener->fd);
    }
  }
}

}  // namespace ringpost
