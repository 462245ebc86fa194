// SPDX-License-Identifier: GPL-3.0-or-later
//
// From a connection to a partner's server to one that mail may be given: its greeting, EHLO,
// STARTTLS, the handshake, what its certificate is worth to the route's policy, and EHLO again. It
// is asked for one step at a time, and writes to the leg what there is to say.
//
// A handshake is certain only when the server has said something behind it: one of TLS 1.3 that
// does not want what it was shown lets the handshake end first. So it is ready when the reply to
// the last hello has begun to come, which is the relay's to read.
//
// Owner: Backend, until it is ready or has failed.
#ifndef RINGPOST_SESSION_PARTNER_OPENING_H_
#define RINGPOST_SESSION_PARTNER_OPENING_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ringpost/base/policy_fault.h"
#include "ringpost/config/config.h"
#include "ringpost/session/leg.h"
#include "ringpost/session/partner_sessions.h"
#include "ringpost/smtp/client_dialogue.h"
#include "ringpost/tls/tls_client.h"
#include "ringpost/x509/peer_certificate.h"
#include "ringpost/x509/trust_store.h"

namespace ringpost {

// What the route's server has offered in its last reply to EHLO, where it met the route's policy.
// So on a route that does not take clear it was offered inside TLS.
struct PartnerOffer {
  static constexpr std::size_t kKeywordsMax = 1'024;
  std::optional<std::string> keywords;  // KeptKeywords(); nullopt: it has not been asked yet
};

// What the sessions of an egress route share on one shard.
struct PartnerRoute {
  EgressConfig config;
  PolicyMode mode = PolicyMode::kEnforce;
  std::shared_ptr<const TlsClientContext> client;  // null: no TLS
  std::shared_ptr<TrustStore> trust;               // null: no level that needs one
  std::vector<std::string> warnings;               // about the certificate that is shown
  // What is resumed; changes as sessions come and go.
  std::unique_ptr<PartnerSessions> sessions = std::make_unique<PartnerSessions>();
  std::unique_ptr<PartnerOffer> offer = std::make_unique<PartnerOffer>();

  // The session may go on in clear, and with any certificate.
  [[nodiscard]] bool takes_clear() const {
    return mode == PolicyMode::kReport || config.policy.takes_clear();
  }
};

// Why a partner's server cannot be used. In the log, and in the reply to MAIL.
struct PartnerTrouble {
  enum class Kind : std::uint8_t {
    kNone,
    kUnreachable,
    kNoAddress,  // nobody has told an address for its name
    kSilent,
    kLost,         // it closed the connection
    kRefused,      // it greeted with, or answered EHLO by, 4yz or 5yz
    kOutOfStep,    // what it said is no SMTP
    kNoTls,        // it offers no STARTTLS, or refused it
    kHandshake,    // TLS failed
    kCertificate,  // `fault` says how it does not meet the policy
    kShortage,     // ours
  };
  Kind kind = Kind::kNone;
  PolicyFault fault = PolicyFault::kNone;
  std::string words;  // "the certificate has expired"
  // It may be gone the next time: the connection ended, or the server said 4yz.
  bool is_passing = false;
  // Of a connection on which an earlier session was offered, which is forgotten now: a full
  // handshake may do.
  bool is_of_resumption = false;

  // Another connection, in clear, may do.
  [[nodiscard]] bool is_of_tls() const { return kind == Kind::kHandshake; }
  [[nodiscard]] CloseReason reason() const;
  // For the log: "no-starttls", or of a certificate the fault's name; empty: kNone.
  [[nodiscard]] std::string_view name() const;
};

// "mx.partner.example (192.0.2.1:25)"; where it has no name "192.0.2.1:25".
[[nodiscard]] std::string ServerText(const Endpoint& server);

// The whole reply: "450 4.7.5 mx.partner.example (192.0.2.1:25): the certificate has expired".
// `hard_bounce`: with 5yz, where the policy is why.
[[nodiscard]] std::string TroubleReply(const PartnerTrouble& trouble, const Endpoint& server,
                                       bool hard_bounce);

// What is known of the server once it has been opened, for the log.
struct PartnerFacts {
  TlsFacts tls;     // without a version: in clear
  std::string sni;  // as sent
  // How it does not meet the policy, where that only reports.
  PolicyFault fault = PolicyFault::kNone;
  std::string subject;  // of its certificate, and so on; after a resumption of the one before
  std::string issuer;
  std::string fingerprint;
};

class PartnerOpening {
 public:
  enum class Progress : std::uint8_t {
    kNothing,    // it waits for the server
    kSomething,  // there may be more to do at once
    kNeedsBlocks,
    kReady,
    kFailed,  // trouble() says why
  };

  // `route` and `server` outlive it. `hello`: "EHLO name" or "HELO name", with its CRLF.
  PartnerOpening(const PartnerRoute* route, const Endpoint* server, std::string_view hello,
                 StarttlsUse use, TlsResumption resumption);

  // The leg is open, and the pool has the blocks that a TLS engine may need; `now` in seconds since
  // the epoch.
  [[nodiscard]] Progress Advance(Leg& leg, std::int64_t now);

  // Where an earlier session was offered, and the server has not shown its certificate since: that
  // session is of no use. False: it was not so.
  [[nodiscard]] bool ForgetSession();

  [[nodiscard]] const PartnerTrouble& trouble() const { return trouble_; }
  [[nodiscard]] const PartnerFacts& facts() const { return facts_; }
  // What the administrator should hear of the verdict (TrustStore::complaint()), once; empty:
  // nothing.
  [[nodiscard]] std::string TakeComplaint() { return std::exchange(complaint_, {}); }

 private:
  [[nodiscard]] Progress BeginTls(Leg& leg);
  [[nodiscard]] Progress Handshake(Leg& leg, std::int64_t now);
  [[nodiscard]] Progress Established(Leg& leg, std::int64_t now);
  [[nodiscard]] PolicyFault Judge(const PeerCertificate& certificate, std::int64_t now);
  void KeepSession(Leg& leg);
  [[nodiscard]] Progress Converse(Leg& leg);
  [[nodiscard]] Progress CarryOut(Leg& leg, const DialogueStep& step);
  [[nodiscard]] Progress AwaitReply(Leg& leg);
  Progress Fail(PartnerTrouble::Kind kind, std::string words);

  const PartnerRoute* route_;
  const Endpoint* server_;
  ClientDialogue dialogue_;
  PartnerTrouble trouble_;
  PartnerFacts facts_;
  PartnerSession session_;  // offered, then in use: without `session` a new one
  std::string complaint_;
  TlsResumption resumption_;
  bool implicit_due_ = false;
  bool all_said_ = false;
};

}  // namespace ringpost

#endif  // RINGPOST_SESSION_PARTNER_OPENING_H_
