// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/session_policy.h"

#include <algorithm>
#include <utility>

#include "ringpost/base/check.h"

namespace ringpost {
namespace {

// A policy by domain cannot be applied to a sender that two readers could read differently.
constexpr std::string_view kBadSender = "501 5.1.7 Bad sender address syntax\r\n";

}  // namespace

SessionPolicy::SessionPolicy(const Runtime* runtime, const ListenerRuntime* listener,
                             PolicyListener* session)
    : runtime_(runtime), listener_(listener), session_(session) {}

bool SessionPolicy::Needed(const ListenerRuntime& listener) {
  if (listener.next_hop.partner() != nullptr) return false;  // its clients are our own
  const RoutePolicy& route = listener.route->policy;
  // What `encrypt` asks for, the relay enforces by itself, and the session counts it.
  return route.tls > TlsPolicy::kEncrypt || route.mode == PolicyMode::kReport ||
         listener.route->ask_certificate || listener.partners != nullptr;
}

void SessionPolicy::Replace(const Runtime* runtime, const ListenerRuntime* listener) {
  runtime_ = runtime;
  listener_ = listener;
  chain_faults_.clear();
  client_.now = session_->WallClock();
  MatchRoute();
}

void SessionPolicy::TlsEstablished(std::unique_ptr<PeerCertificate> certificate) {
  client_.tls = true;
  certificate_ = std::move(certificate);
  client_.certificate = certificate_.get();
  client_.now = session_->WallClock();
  if (certificate_ != nullptr && certificate_->MemoryOctets() > kKeptMax) ShortenCertificate();
  MatchRoute();
  verified_ = route_match_.by != CertificateMatch::By::kNothing;
}

template <typename Visit>
void SessionPolicy::ForEachRule(Visit visit) const {
  visit(listener_->route->policy.certificate);
  if (listener_->partners == nullptr) return;
  for (const Partner& partner : listener_->partners->all()) visit(partner.certificate);
}

// Judged while its chain is there, and by all CAs, because the sender is not known yet.
void SessionPolicy::ShortenCertificate() {
  is_shortened_ = true;
  if (certificate_->key_proven) {  // else nothing is asked of it
    ForEachRule([this](const CertificateRule& rule) {
      if (rule.trust != kNoTrust) (void)VerifyChain(rule.trust);
    });
  }
  certificate_->chain = {};
  certificate_->addresses = {};
  if (certificate_->MemoryOctets() > kKeptMax) ShortenNames();
}

// To those that a rule asks for whose CA has signed the certificate: the first for each rule, and
// the first of all.
void SessionPolicy::ShortenNames() {
  std::vector<std::string>& names = certificate_->names;
  std::vector<std::size_t> kept;
  if (certificate_->key_proven) {
    ForEachRule([&](const CertificateRule& rule) {
      if (rule.trust == kNoTrust || VerifyChain(rule.trust) != PolicyFault::kNone) return;
      if (!names.empty()) kept.push_back(0);
      const auto expected =
          std::find_if(names.begin(), names.end(),
                       [&rule](const std::string& name) { return IsExpectedName(rule, name); });
      if (expected != names.end()) {
        kept.push_back(static_cast<std::size_t>(expected - names.begin()));
      }
    });
  }
  std::sort(kept.begin(), kept.end());
  kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
  std::vector<std::string> left;
  left.reserve(kept.size());
  for (const std::size_t index : kept) left.push_back(std::move(names[index]));
  names = std::move(left);
}

// A partner's CA stands for its partner and for no name. The route's stands for all who come by
// that route, so that its word for who they are counts.
void SessionPolicy::MatchRoute() {
  using By = CertificateMatch::By;
  const CertificateRule& rule = listener_->route->policy.certificate;
  route_match_ = {};
  (void)JudgeCertificate(rule, client_, *this, &route_match_);
  if (route_match_.by != By::kCa) return;
  const PeerCertificate& certificate = *certificate_;
  if (!certificate.names.empty()) {
    route_match_ = {.by = By::kName, .name = certificate.names.front()};
  } else if (rule.accept_common_name && !certificate.common_host_name.empty()) {
    route_match_ = {.by = By::kName, .name = certificate.common_host_name};
  }
}

bool SessionPolicy::verified_by_ca() const {
  return route_match_.by != CertificateMatch::By::kNothing &&
         listener_->route->policy.certificate.trust != kNoTrust;
}

PolicyFault SessionPolicy::VerifyChain(std::size_t trust) {
  RINGPOST_CHECK(trust < runtime_->trusts.size() && certificate_ != nullptr);
  chain_faults_.resize(runtime_->trusts.size());
  std::optional<PolicyFault>& fault = chain_faults_[trust];
  if (!fault.has_value()) {
    TrustStore& store = *runtime_->trusts[trust];
    fault = store.Verify(*certificate_, client_.now);
    if (!store.complaint().empty()) session_->TrustComplaint(store.complaint());
  }
  return *fault;
}

// Where partners by domain only report, nothing is refused: what would have been is counted. A
// partner by network alone concerns the message whoever the sender is.
bool SessionPolicy::RefusesUnreadable(const PartnerTable& partners) {
  PolicyDecision decision;
  decision.fault = PolicyFault::kUnreadableSender;
  decision.mode = partners.enforces_domains() ? PolicyMode::kEnforce : PolicyMode::kReport;
  runtime_->counters->Count(listener_->unreadable_subject, decision);
  session_->PolicyNotMet(decision, {});
  return decision.refuses();
}

std::string_view SessionPolicy::Judge(std::string_view argument) {
  const Sender sender = ParseMailSender(argument);
  const PartnerTable* const partners = listener_->partners;
  if (partners != nullptr && partners->has_domains() && !IsSure(*partners, sender) &&
      RefusesUnreadable(*partners)) {
    return kBadSender;
  }
  return Decide(sender);
}

// The relay has refused it, and for every sender. What is left to do is to count it and to say it.
void SessionPolicy::RefusedInClear(std::string_view argument) {
  (void)Decide(ParseMailSender(argument));
}

std::string_view SessionPolicy::Decide(const Sender& sender) {
  const PartnerTable* const partners = listener_->partners;
  client_.now = session_->WallClock();
  const PolicyDecisions decisions =
      JudgeMail(listener_->route->policy, partners, sender, client_, *this);
  const PolicyDecision* const refusal = decisions.refusal();
  bool verified = route_match_.by != CertificateMatch::By::kNothing;
  for (std::size_t i = 0; i < decisions.count; ++i) {
    const PolicyDecision& decision = decisions.all[i];
    runtime_->counters->Count(decision.partner != nullptr ? partners->IndexOf(*decision.partner)
                                                          : listener_->route_subject,
                              decision);
    verified = verified || (decision.fault == PolicyFault::kNone &&
                            decision.match.by != CertificateMatch::By::kNothing);
    if (decision.fault != PolicyFault::kNone &&
        (decision.mode == PolicyMode::kReport || &decision == refusal)) {
      session_->PolicyNotMet(decision, decision.sender_domain);
    }
  }
  if (refusal == nullptr) {
    verified_ = verified;
    session_->MailAllowed(decisions);
    return {};
  }
  reply_ = PolicyReplyText(
      refusal->partner != nullptr ? refusal->partner->replies : listener_->route->policy.replies,
      refusal->fault);
  return reply_;
}

}  // namespace ringpost
