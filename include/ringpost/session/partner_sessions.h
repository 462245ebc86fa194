// SPDX-License-Identifier: GPL-3.0-or-later
//
// The TLS sessions that an egress route may resume with its servers, on one shard. A resumed
// handshake shows no certificate: the one of the first handshake is kept beside the session, and is
// judged again as time goes by. Sessions end with the route's configuration, so that CAs, lists,
// names and pins are always those that a certificate is judged by.
//
// Owner: PartnerRoute. Keys are wiped when a session is forgotten.
#ifndef RINGPOST_SESSION_PARTNER_SESSIONS_H_
#define RINGPOST_SESSION_PARTNER_SESSIONS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "ringpost/base/policy_fault.h"
#include "ringpost/config/config.h"
#include "ringpost/tls/tls_client.h"
#include "ringpost/x509/peer_certificate.h"

namespace ringpost {

struct PartnerSession {
  std::shared_ptr<const TlsSession> session;
  std::shared_ptr<const PeerCertificate> certificate;
  PolicyFault fault = PolicyFault::kNone;  // the verdict on it
  // When it is to be judged again, in seconds since the epoch.
  std::int64_t judged_until = 0;
};

class PartnerSessions {
 public:
  static constexpr std::size_t kServersMax = 256;
  // A verdict stands for so long at most, also where nothing that it rests on ends before.
  static constexpr std::int64_t kVerdictSeconds = 600;

  // Of this address and this host, which is also what SNI says; nullptr: none. Until the next call.
  [[nodiscard]] PartnerSession* Find(const Endpoint& server);
  // In place of an older one.
  void Keep(const Endpoint& server, PartnerSession session);
  void Forget(const Endpoint& server);

  [[nodiscard]] std::size_t size() const { return sessions_.size(); }

 private:
  struct Entry {
    PartnerSession session;
    std::uint64_t used = 0;
  };

  std::unordered_map<std::string, Entry> sessions_;
  std::uint64_t uses_ = 0;
};

}  // namespace ringpost

#endif  // RINGPOST_SESSION_PARTNER_SESSIONS_H_
