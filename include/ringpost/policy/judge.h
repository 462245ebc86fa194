// SPDX-License-Identifier: GPL-3.0-or-later
//
// The decision at MAIL FROM: which policies concern this message, and which of them it does not
// meet. Pure functions; who asks carries the decision out.
//
// A message can concern three policies at once: its route's, that of the partner whose domain it
// comes from, and that of the partner whose network it comes from. All of them must be met. A
// sender with further domains in its local part concerns their partners as well, because the
// backend may take one of these domains for the sender's.
#ifndef RINGPOST_POLICY_JUDGE_H_
#define RINGPOST_POLICY_JUDGE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ringpost/base/fingerprint.h"
#include "ringpost/base/policy_fault.h"
#include "ringpost/base/tls_policy.h"
#include "ringpost/policy/network.h"
#include "ringpost/policy/partner.h"
#include "ringpost/policy/partner_table.h"
#include "ringpost/policy/sender_address.h"
#include "ringpost/x509/peer_certificate.h"

namespace ringpost {

// Whether the client's certificate chains to a CA of the configuration; asked only where a policy
// needs it, and the answer is remembered by whoever implements this.
class ChainVerifier {
 public:
  virtual ~ChainVerifier() = default;
  [[nodiscard]] virtual PolicyFault VerifyChain(std::size_t trust) = 0;
};

struct ClientFacts {
  IpAddress address{};
  bool tls = false;
  const PeerCertificate* certificate = nullptr;  // null: none was presented
  std::int64_t now = 0;                          // seconds since the epoch
};

// What made a certificate the one that a rule asks for. Only that may be said of the client: other
// names in the same certificate are claims that nobody looked at.
struct CertificateMatch {
  enum class By : std::uint8_t {
    kNothing,      // it is not the one
    kCa,           // the rule's CA signed it, and the rule asks for no more
    kName,         // the CA signed it for `name`, which the rule expects
    kFingerprint,  // its fingerprint, or its public key's, is one that the rule expects
  };
  By by = By::kNothing;
  std::string_view name;  // the certificate's own spelling; lives as long as that
  Fingerprint fingerprint{};
};

// kNone: the certificate is there and is what `rule` asks for; `match`, if any, then says why.
// Order of faults: none presented, chain (or, without a CA, dates), purpose, name or fingerprint.
[[nodiscard]] PolicyFault JudgeCertificate(const CertificateRule& rule, const ClientFacts& client,
                                           ChainVerifier& chain, CertificateMatch* match = nullptr);

// Whether `presented`, a name of a certificate, is one that the rule asks for (PROTOCOL 44).
[[nodiscard]] bool IsExpectedName(const CertificateRule& rule, std::string_view presented);

struct PolicyDecision {
  const Partner* partner = nullptr;  // null: the route's own policy
  // What the partner was found by, or the sender's domain; a view into the Sender.
  std::string_view sender_domain;
  TlsPolicy asked = TlsPolicy::kMay;
  // The strictest level that this message meets for this policy, whatever was asked: kMay in clear,
  // kEncrypt, or kVerify if the certificate is what the rule asks for (with an empty rule: never).
  TlsPolicy met = TlsPolicy::kMay;
  CertificateMatch match;  // why it is kVerify
  PolicyFault fault = PolicyFault::kNone;
  PolicyMode mode = PolicyMode::kEnforce;

  [[nodiscard]] bool refuses() const {
    return fault != PolicyFault::kNone && mode == PolicyMode::kEnforce;
  }
};

// The route's own part.
struct RoutePolicy {
  TlsPolicy tls = TlsPolicy::kMay;
  CertificateRule certificate;
  PolicyMode mode = PolicyMode::kEnforce;
  PolicyReplies replies;
};

struct PolicyDecisions {
  static constexpr std::size_t kMax = 3 + kInnerDomainsMax;
  std::array<PolicyDecision, kMax> all;
  std::size_t count = 0;
  // The first that refuses; nullptr: the message may go on.
  [[nodiscard]] const PolicyDecision* refusal() const;
};

// Whether it is sure which partners a sender concerns. It is not if the sender is kMalformed; nor
// if the backend drops its outer domain and there is no domain in what is left; nor if nobody can
// tell the domains within its local part, unless the outer domain is a partner's. That one is not
// the backend's own, while of any other it may be, as the backend may have more than we know.
[[nodiscard]] bool IsSure(const PartnerTable& partners, const Sender& sender);

// `route` is judged if it asks for kEncrypt or kVerify or is in report mode. `partners` may be null
// (a route where partners do not count). A partner with networks and domains concerns a message of
// its domains from its networks; from elsewhere only where it restricts the domains to networks
// (kWrongNetwork) or to the certificate. One that a message does not concern hides no less specific
// partner: then that one is asked. Refusing a sender that is not sure is the caller's.
[[nodiscard]] PolicyDecisions JudgeMail(const RoutePolicy& route, const PartnerTable* partners,
                                        const Sender& sender, const ClientFacts& client,
                                        ChainVerifier& chain);
// The decisions are views into the sender: a temporary one would be gone before them.
PolicyDecisions JudgeMail(const RoutePolicy& route, const PartnerTable* partners, Sender&& sender,
                          const ClientFacts& client, ChainVerifier& chain) = delete;

// The reply for a fault, CRLF included, "{reason}" filled in.
[[nodiscard]] std::string PolicyReplyText(const PolicyReplies& replies, PolicyFault fault);

}  // namespace ringpost

#endif  // RINGPOST_POLICY_JUDGE_H_
