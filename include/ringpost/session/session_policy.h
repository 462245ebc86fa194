// SPDX-License-Identifier: GPL-3.0-or-later
//
// The TLS policies of one session: keeps what the client proved to be, decides at each MAIL, and
// tells the counters, the log and the policy service. Only sessions of listeners that have a policy
// to hold own one.
//
// Owner: the session, on its shard's thread. It refuses or lets pass; it never closes.
#ifndef RINGPOST_SESSION_SESSION_POLICY_H_
#define RINGPOST_SESSION_SESSION_POLICY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ringpost/io/io.h"
#include "ringpost/policy/judge.h"
#include "ringpost/session/runtime.h"
#include "ringpost/smtp/smtp_relay.h"
#include "ringpost/x509/peer_certificate.h"

namespace ringpost {

class SessionPolicy;

// What is done with a decision; the session.
class PolicyListener {
 public:
  virtual ~PolicyListener() = default;
  [[nodiscard]] virtual std::int64_t WallClock() const = 0;  // seconds since the epoch
  // Some policy was not met: refused, or only reported.
  virtual void PolicyNotMet(const PolicyDecision& decision, std::string_view sender_domain) = 0;
  // What only the administrator can mend, found while a certificate was judged.
  virtual void TrustComplaint(const std::string& sentence) = 0;
  // After every MAIL that may go on.
  virtual void MailAllowed(const PolicyDecisions& decisions) = 0;
};

class SessionPolicy final : private ChainVerifier {
 public:
  // What is kept of a client's certificate, in octets (PeerCertificate::MemoryOctets()). One that
  // takes more is judged by all that may ever be asked of it, and then only its facts are kept.
  static constexpr std::size_t kKeptMax = 7 * 1024;

  // All must outlive it.
  SessionPolicy(const Runtime* runtime, const ListenerRuntime* listener, PolicyListener* session);
  // Whether a session of this listener needs one.
  [[nodiscard]] static bool Needed(const ListenerRuntime& listener);

  void set_client(const SocketAddress& client) { client_.address = ToIpAddress(client.any); }
  // A reload has brought others; nothing of what these said before counts.
  void Replace(const Runtime* runtime, const ListenerRuntime* listener);
  // Whether Replace() may be called: what its certificate is worth to others cannot be found out
  // where only the facts are left of it.
  [[nodiscard]] bool can_be_replaced() const { return !is_shortened_; }
  // The handshake is complete; `certificate` may be null. A large one costs up to 100 µs for each
  // CA that it may come from.
  void TlsEstablished(std::unique_ptr<PeerCertificate> certificate);

  [[nodiscard]] const PeerCertificate* certificate() const { return certificate_.get(); }
  // What the certificate proved to the route's own rule; where that takes any certificate of its
  // CA, the name that the CA gave it. All that may be said of the client before a MAIL.
  [[nodiscard]] const CertificateMatch& route_match() const { return route_match_; }
  // That, where a CA stands behind it: what the PROXY header means by "verified", and then its
  // common name is no mere claim.
  [[nodiscard]] bool verified_by_ca() const;
  // Whether the certificate met a rule that concerned the last message that was let through;
  // before the first one, the route's.
  [[nodiscard]] bool verified() const { return verified_; }

  // MailPolicy's, by these policies.
  [[nodiscard]] std::string_view Judge(std::string_view argument);
  void RefusedInClear(std::string_view argument);

 private:
  [[nodiscard]] std::string_view Decide(const Sender& sender);
  // --- ChainVerifier
  [[nodiscard]] PolicyFault VerifyChain(std::size_t trust) override;

  void MatchRoute();
  void ShortenCertificate();
  void ShortenNames();
  template <typename Visit>
  void ForEachRule(Visit visit) const;
  [[nodiscard]] bool RefusesUnreadable(const PartnerTable& partners);

  const Runtime* runtime_;
  const ListenerRuntime* listener_;
  PolicyListener* session_;
  ClientFacts client_;
  std::unique_ptr<PeerCertificate> certificate_;
  // What each of Config::trusts said, once asked.
  std::vector<std::optional<PolicyFault>> chain_faults_;
  std::string reply_;
  CertificateMatch route_match_;
  bool verified_ = false;
  bool is_shortened_ = false;  // of certificate_, only the facts are left
};

}  // namespace ringpost

#endif  // RINGPOST_SESSION_SESSION_POLICY_H_
