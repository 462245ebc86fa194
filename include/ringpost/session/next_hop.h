// SPDX-License-Identifier: GPL-3.0-or-later
//
// Where a route's sessions take their mail: which addresses there are and which of them can be
// used, what one is told before it greets, and what counts against it. What one kind of next hop
// does otherwise than another is here, and nowhere in Backend or Session.
//
// Owner: ListenerRuntime. It keeps nothing itself: the addresses are the configuration's, what is
// known of them is the shard's (upstream_health.h).
#ifndef RINGPOST_SESSION_NEXT_HOP_H_
#define RINGPOST_SESSION_NEXT_HOP_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "ringpost/base/outcome.h"
#include "ringpost/config/config.h"
#include "ringpost/identity/proxy_header.h"
#include "ringpost/io/io.h"
#include "ringpost/session/partner_opening.h"
#include "ringpost/session/upstream_health.h"

namespace ringpost {

// Who is calling, as far as it may be told.
struct ClientIdentity {
  const sockaddr* client = nullptr;
  const sockaddr* server = nullptr;    // what the client reached
  const ProxyTlsFacts* tls = nullptr;  // null: in clear
};

class NextHop {
 public:
  // What a session has against an address.
  enum class Fault : std::uint8_t {
    kUnreachable,
    // It took the connection and did not greet this client: it refused it, closed, or was silent.
    // Others it may greet: it knows who is calling, and may look that up for long, or close to that
    // client only.
    kMute,
    kOutOfStep,  // commands and replies have parted
  };

  NextHop() = default;
  NextHop(const UpstreamConfig* upstream, UpstreamHealth* health,
          const PartnerRoute* partner = nullptr)
      : upstream_(upstream), health_(health), partner_(partner) {}

  [[nodiscard]] const UpstreamConfig& upstream() const { return *upstream_; }

  // --- Its addresses. Bits in `tried`, `since`: as in UpstreamHealth.
  [[nodiscard]] const Endpoint& address(std::size_t index) const {
    return upstream_->addresses[index];
  }
  [[nodiscard]] UpstreamHealth::Picked Pick(std::uint64_t tried, TimeNs now, TimeNs since) const {
    return health_->Pick(tried, now, since);
  }
  [[nodiscard]] bool HasOther(std::uint64_t tried) const { return health_->HasOther(tried); }
  // The one that a session would try first now, and its family.
  [[nodiscard]] std::size_t Preferred() const { return health_->Preferred(); }
  [[nodiscard]] int FirstFamily() const {
    const Endpoint& first = address(Preferred());
    return first.known() ? first.address.any.sa_family : AF_INET;
  }

  // --- What it is told first.
  [[nodiscard]] ConnectHint connect_hint() const { return upstream_->connect_hint(); }
  // To the front of `out`; returns the length, 0 where it is told nothing before it greets.
  [[nodiscard]] std::size_t WriteIdentity(std::span<char, kProxyHeaderMax> out,
                                          const ClientIdentity& identity) const;

  // --- What counts against it, and what for it.
  void Blame(std::size_t index, Fault fault, TimeNs now) const;
  // True: it was down until now.
  [[nodiscard]] bool Greeted(std::size_t index) const { return health_->Succeeded(index); }
  // It does not take the identity that it is told.
  [[nodiscard]] bool IsRefuted(std::size_t index) const {
    return health_->proof(index) == UpstreamHealth::Proof::kRefuted;
  }
  // Why a connection ended without a greeting: who is told who is calling, and then says nothing,
  // has refused to hear it.
  [[nodiscard]] CloseReason WithoutGreeting(CloseReason otherwise) const {
    return upstream_->identity != BackendIdentity::kNone ? CloseReason::kBackendIdentity
                                                         : otherwise;
  }
  // Whether it says something new of the address that a session ended for this reason.
  [[nodiscard]] bool IsNews(std::size_t index, CloseReason reason) const;

  // --- Mail that leaves: how a partner's server is opened; null: it is our own mail server.
  [[nodiscard]] const PartnerRoute* partner() const { return partner_; }

  // --- After STARTTLS.
  [[nodiscard]] bool refuses_second_hello() const { return health_->refuses_second_hello(); }

 private:
  const UpstreamConfig* upstream_ = nullptr;
  UpstreamHealth* health_ = nullptr;
  const PartnerRoute* partner_ = nullptr;
};

}  // namespace ringpost

#endif  // RINGPOST_SESSION_NEXT_HOP_H_
