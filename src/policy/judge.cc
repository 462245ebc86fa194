// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/policy/judge.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "ringpost/base/name_match.h"

namespace ringpost {
namespace {

// Without a CA and without a fingerprint nothing says who a client is: its names are only claims.
bool AsksForNothing(const CertificateRule& rule) {
  return rule.trust == kNoTrust && rule.fingerprints.empty();
}

// PROTOCOL 44. A wildcard covers one label, whether it is the certificate's or ours.
bool GoTogether(std::string_view expected, std::string_view presented) {
  return NameMatches(expected, presented) || NameMatches(presented, expected);
}

// The name of the certificate that is an expected one; empty: none is.
std::string_view ExpectedName(const CertificateRule& rule, const PeerCertificate& certificate) {
  const auto is_expected = [&rule](std::string_view presented) {
    return IsExpectedName(rule, presented);
  };
  // RFC 9525 6.3: a common name is no reference for whoever has dNSNames.
  if (certificate.names.empty()) {
    return rule.accept_common_name && !certificate.has_dns_names &&
                   is_expected(certificate.common_host_name)
               ? std::string_view(certificate.common_host_name)
               : std::string_view();
  }
  const auto found = std::find_if(certificate.names.begin(), certificate.names.end(), is_expected);
  return found != certificate.names.end() ? std::string_view(*found) : std::string_view();
}

// The rule's fingerprint that is the certificate's or its public key's; nullptr: none is.
const Fingerprint* ExpectedFingerprint(const CertificateRule& rule,
                                       const PeerCertificate& certificate) {
  const auto found = std::find_if(rule.fingerprints.begin(), rule.fingerprints.end(),
                                  [&certificate](const Fingerprint& expected) {
                                    return expected == certificate.certificate ||
                                           expected == certificate.public_key;
                                  });
  return found != rule.fingerprints.end() ? &*found : nullptr;
}

PolicyFault JudgeDates(const PeerCertificate& certificate, std::int64_t now) {
  if (now < certificate.not_before) return PolicyFault::kNotYetValid;
  if (now > certificate.not_after) return PolicyFault::kExpired;
  return PolicyFault::kNone;
}

// Its name or its fingerprint; with a CA and neither of them any certificate of that CA will do.
// Without a CA its names prove nothing.
PolicyFault JudgeWho(const CertificateRule& rule, const PeerCertificate& certificate,
                     CertificateMatch& match) {
  using By = CertificateMatch::By;
  if (rule.trust != kNoTrust) {
    const std::string_view name = ExpectedName(rule, certificate);
    if (!name.empty()) {
      match = {.by = By::kName, .name = name};
      return PolicyFault::kNone;
    }
  }
  if (const Fingerprint* const found = ExpectedFingerprint(rule, certificate); found != nullptr) {
    match = {.by = By::kFingerprint, .name = {}, .fingerprint = *found};
    return PolicyFault::kNone;
  }
  if (rule.trust == kNoTrust) return PolicyFault::kWrongFingerprint;
  if (!rule.names.empty()) return PolicyFault::kWrongName;
  if (!rule.fingerprints.empty()) return PolicyFault::kWrongFingerprint;
  match.by = By::kCa;
  return PolicyFault::kNone;
}

PolicyDecision JudgeLevel(TlsPolicy asked, PolicyMode mode, const CertificateRule& rule,
                          const ClientFacts& client, ChainVerifier& chain) {
  PolicyDecision decision;
  decision.asked = asked;
  decision.mode = mode;
  if (!client.tls) {
    if (asked >= TlsPolicy::kEncrypt) decision.fault = PolicyFault::kNoTls;
    return decision;
  }
  decision.met = TlsPolicy::kEncrypt;
  if (asked < TlsPolicy::kVerify && AsksForNothing(rule)) return decision;
  const PolicyFault fault = JudgeCertificate(rule, client, chain, &decision.match);
  if (fault == PolicyFault::kNone) decision.met = TlsPolicy::kVerify;
  if (asked == TlsPolicy::kVerify) decision.fault = fault;
  return decision;
}

TlsPolicy AskedBy(const Partner& partner) {
  return partner.restrict_to_certificate ? TlsPolicy::kVerify : partner.tls;
}

PolicyDecision JudgePartner(const Partner& partner, const ClientFacts& client,
                            ChainVerifier& chain) {
  PolicyDecision decision =
      JudgeLevel(AskedBy(partner), partner.mode, partner.certificate, client, chain);
  decision.partner = &partner;
  return decision;
}

bool IsAtHome(const Partner& partner, const IpAddress& address) {
  return partner.networks.empty() ||
         std::any_of(partner.networks.begin(), partner.networks.end(),
                     [&address](const Network& network) { return network.Contains(address); });
}

void Add(PolicyDecisions& decisions, const PolicyDecision& decision,
         std::string_view sender_domain) {
  decisions.all[decisions.count] = decision;
  decisions.all[decisions.count].sender_domain = sender_domain;
  ++decisions.count;
}

// Whether mail of this partner's domains concerns it when it comes from `address`.
bool Concerns(const Partner& partner, const IpAddress& address) {
  return partner.restrict_to_networks || partner.restrict_to_certificate ||
         IsAtHome(partner, address);
}

PolicyDecision JudgeDomainsPartner(const Partner& partner, const ClientFacts& client,
                                   ChainVerifier& chain) {
  PolicyDecision decision = JudgePartner(partner, client, chain);
  // Before any fault of TLS: the client would mend that in vain.
  if (partner.restrict_to_networks && !IsAtHome(partner, client.address)) {
    decision.fault = PolicyFault::kWrongNetwork;
  }
  return decision;
}

// The partner of one of the sender's domains, if it is not there already.
void AddDomainsPartner(PolicyDecisions& decisions, const PartnerTable& partners,
                       std::string_view domain, const ClientFacts& client, ChainVerifier& chain) {
  const Partner* const partner = partners.FindDomain(
      domain, [&client](const Partner& candidate) { return Concerns(candidate, client.address); });
  if (partner == nullptr) return;
  const bool known = std::any_of(
      decisions.all.data(), decisions.all.data() + decisions.count,
      [partner](const PolicyDecision& decision) { return decision.partner == partner; });
  if (!known) Add(decisions, JudgeDomainsPartner(*partner, client, chain), domain);
}

}  // namespace

PolicyFault JudgeCertificate(const CertificateRule& rule, const ClientFacts& client,
                             ChainVerifier& chain, CertificateMatch* match) {
  if (client.certificate == nullptr) return PolicyFault::kNoCertificate;
  if (AsksForNothing(rule)) return PolicyFault::kUntrusted;
  const PeerCertificate& certificate = *client.certificate;
  if (!certificate.key_proven) return PolicyFault::kUnsupportedKey;
  const PolicyFault trust =
      rule.trust == kNoTrust ? JudgeDates(certificate, client.now) : chain.VerifyChain(rule.trust);
  if (trust != PolicyFault::kNone) return trust;
  const bool purpose =
      certificate.client_auth || (rule.accept_server_auth_purpose && certificate.server_auth);
  if (!purpose) return PolicyFault::kWrongPurpose;
  CertificateMatch unasked;
  return JudgeWho(rule, certificate, match != nullptr ? *match : unasked);
}

bool IsExpectedName(const CertificateRule& rule, std::string_view presented) {
  return std::any_of(
      rule.names.begin(), rule.names.end(),
      [presented](const std::string& expected) { return GoTogether(expected, presented); });
}

const PolicyDecision* PolicyDecisions::refusal() const {
  const auto* const end = all.begin() + count;
  const auto* const first = std::find_if(
      all.begin(), end, [](const PolicyDecision& decision) { return decision.refuses(); });
  return first == end ? nullptr : first;
}

bool IsSure(const PartnerTable& partners, const Sender& sender) {
  if (sender.kind == SenderKind::kMalformed) return false;
  if (!sender.inner_unsure && !sender.inner_torn) return true;
  // An address literal may be one of the backend's own addresses, and Postfix can be told
  // (resolve_numeric_domain) to take one without brackets.
  const bool dropped = sender.domain.find_first_not_of("0123456789.") == std::string::npos ||
                       partners.IsOwnDomain(sender.domain);
  if (dropped) return false;
  return !sender.inner_torn ||
         partners.FindDomain(sender.domain, [](const Partner&) { return true; }) != nullptr;
}

PolicyDecisions JudgeMail(const RoutePolicy& route, const PartnerTable* partners,
                          const Sender& sender, const ClientFacts& client, ChainVerifier& chain) {
  PolicyDecisions decisions;
  if (route.tls >= TlsPolicy::kEncrypt || route.mode == PolicyMode::kReport) {
    Add(decisions, JudgeLevel(route.tls, route.mode, route.certificate, client, chain),
        sender.domain);
  }
  if (partners == nullptr) return decisions;
  if (sender.kind == SenderKind::kDomain) {
    AddDomainsPartner(decisions, *partners, sender.domain, client, chain);
  }
  for (const std::string& domain : sender.inner_domains) {
    AddDomainsPartner(decisions, *partners, domain, client, chain);
  }
  const Partner* const partner = partners->FindNetwork(client.address);
  if (partner != nullptr) Add(decisions, JudgePartner(*partner, client, chain), sender.domain);
  return decisions;
}

std::string PolicyReplyText(const PolicyReplies& replies, PolicyFault fault) {
  const std::string* text = &replies.certificate;
  if (fault == PolicyFault::kNoTls) text = &replies.tls;
  if (fault == PolicyFault::kWrongNetwork) text = &replies.network;
  const std::string_view phrase = PolicyFaultPhrase(fault);
  return absl::StrCat(
      absl::StrReplaceAll(*text, {{"{reason}", absl::string_view(phrase.data(), phrase.size())}}),
      "\r\n");
}

}  // namespace ringpost
