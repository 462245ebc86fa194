// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a session makes of its backend's answers, whom it says is calling, and what the mail server
// may ask about that.
#include <optional>
#include <utility>

#include "ringpost/io/socket.h"
#include "ringpost/session/session.h"
#include "ringpost/smtp/reply.h"

namespace ringpost {
namespace {

// From the client's hello to the reply to it, all addresses of a partner's server together. A
// sender waits for 300 s (RFC 5321 4.5.3.2), and should hear from us first.
constexpr TimeNs kOpeningTimeout = 240 * kNsPerSecond;

}  // namespace

void Session::Hear(const Backend::Answer& answer) {
  using Kind = Backend::Answer::Kind;
  switch (answer.kind) {
    case Kind::kNothing:
    case Kind::kMore:
      break;
    case Kind::kConnecting:
      wait_ = Wait::kNothing;  // this address has its own time, whatever the last one took
      break;
    case Kind::kNeedsProof:
      host_->WaitForProof(*this);
      break;
    case Kind::kNeedsDescriptor:
      host_->WaitForDescriptor(*this, answer.error);
      break;
    case Kind::kConnected:
      Introduce();
      Register();
      break;
    case Kind::kReady:
      PartnerReady();
      break;
    case Kind::kNeedsBlocks:
      needs_round = true;
      host_->WaitForBlocks(*this);
      break;
    case Kind::kFailed:
      if (relay_.opens_backend()) {
        PartnerUnusable();
        break;
      }
      if (answer.detail != nullptr) {
        detail_ = answer.detail;
      }
      Close(answer.reason, Farewell::kSay);
      break;
  }
}

void Session::OpenPartner(const Step& step) {
  backend_.SetHello(step.text);
  front_.input().Consume(step.octets);
  opening_deadline_ = host_->io().Now() + kOpeningTimeout;
  Hear(backend_.Start());
}

void Session::PartnerReady() {
  detail_.clear();
  tls_facts_ = backend_.partner().tls;
  sni_ = backend_.partner().sni;
  tls_established_ = !tls_facts_.version.empty();
  relay_.BackendReady(tls_established_, ServerText(backend_.endpoint()));
}

// The client is one of our own, and has mail to keep until it can leave.
void Session::PartnerUnusable() {
  std::string reply = backend_.Apology();
  detail_ = QuotableLine(reply);
  tls_facts_ = backend_.partner().tls;
  sni_ = backend_.partner().sni;
  const std::optional<std::string>& keywords = listener_->next_hop.partner()->offer->keywords;
  relay_.BackendUnusable(std::move(reply), keywords ? &*keywords : nullptr);
  host_->MakeReady(*this);
}

// What a sender is told later, while the server cannot be asked.
void Session::BackendOffers(std::string_view filtered_reply) {
  std::string keywords = KeptKeywords(filtered_reply, PartnerOffer::kKeywordsMax);
  std::optional<std::string>& kept = listener_->next_hop.partner()->offer->keywords;
  if (kept != keywords) {
    kept = std::move(keywords);
  }
}

// A step of what is said to a partner's server before it is the relay's; and, once it is, its
// records.
Session::Moved Session::PumpPartner() {
  if (back_.state() != LegState::kOpen || (back_.tls() == nullptr && !backend_.opening())) {
    return Moved::kNothing;
  }
  if (!HasBlocks()) {
    return Moved::kNothing;
  }
  if (backend_.opening()) {
    const Backend::Answer answer = backend_.OpenOn();
    Hear(answer);
    const bool more = answer.kind == Backend::Answer::Kind::kMore;
    return more || !backend_.opening() ? Moved::kSomething : Moved::kNothing;
  }
  if (back_.output_octets() >= Leg::kOutputMax) {
    return Moved::kNothing;
  }
  const std::size_t before = back_.input().size();
  const TlsOutcome outcome = back_.OpenRecords();
  if (outcome == TlsOutcome::kFailed || outcome == TlsOutcome::kFlood) {
    (void)RelayFrom(Side::kBack);  // what came before it holds
    if (running()) {
      PartnerTlsFailed();
    }
    return Moved::kNothing;
  }
  return back_.input().size() == before ? Moved::kNothing : Moved::kSomething;
}

void Session::PartnerTlsFailed() {
  detail_ = back_.tls()->error();
  Close(CloseReason::kBackendTls, Farewell::kSay);
}

void Session::Introduce() {
  const ProxyTlsFacts facts{.version = tls_facts_.version,
                            .cipher = tls_facts_.suite,
                            .sni = sni_,
                            .client_common_name = certificate() != nullptr
                                                      ? std::string_view(certificate()->common_name)
                                                      : std::string_view(),
                            .key_exchange_group = tls_facts_.group,
                            .client_certificate = certificate() != nullptr,
                            .verified = policy_ != nullptr && policy_->verified_by_ca()};
  const Room room = backend_.Introduce(
      {.client = &client_.any, .server = &server_.any, .tls = tls_established_ ? &facts : nullptr});
  if (room != Room::kOk) {
    Close(CloseReason::kOutOfResources, Farewell::kSay);
  }
}

SessionKey Session::RegistryKey() const {
  return {.client = ToIpAddress(client_.any), .client_port = PortOf(client_)};
}

// From here on the backend may ask the policy service about this session.
void Session::Register() {
  SessionRegistry* const registry = host_->registry();
  if (registry == nullptr || backend_.is_partner()) {
    return;
  }
  RegisteredSession session{
      .server = ToIpAddress(server_.any),
      .server_port = PortOf(server_),
      .trace = {.route = listener_->route->name,
                .tls_version = std::string(tls_facts_.version),
                .tls_suite = std::string(tls_facts_.suite),
                .tls_group = std::string(tls_facts_.group),
                .sni = sni_,
                .resumed = tls_facts_.resumed,
                .certificate = certificate() != nullptr,
                .proof = policy_ != nullptr ? ProofOf(policy_->route_match()) : CertificateProof()},
      .mail = {},
      .config = policies_->config,
      .partners = judged_as_->partners,
      .keep = policies_->partners};
  registry->Put(RegistryKey(), user_data_, std::move(session));
}

void Session::PolicyNotMet(const PolicyDecision& decision, std::string_view sender_domain) {
  host_->PolicyNotMet(*this, decision, sender_domain);
}

void Session::TrustComplaint(const std::string& sentence) { host_->TrustComplaint(sentence); }

void Session::MailAllowed(const PolicyDecisions& decisions) {
  partners_.clear();
  SessionRegistry* const registry = host_->registry();
  SessionMail mail;
  for (std::size_t i = 0; i < decisions.count; ++i) {
    const PolicyDecision& decision = decisions.all[i];
    if (decision.partner == nullptr) {
      continue;
    }
    const bool met = decision.fault == PolicyFault::kNone;
    if (registry != nullptr) {
      mail.judged.push_back({.name = decision.partner->name,
                             .met = met,
                             .proof = met ? ProofOf(decision.match) : CertificateProof()});
    }
    if (met) {
      partners_.append(partners_.empty() ? "" : ",").append(decision.partner->name);
    }
  }
  if (registry != nullptr) {
    registry->SetMail(RegistryKey(), user_data_, std::move(mail));
  }
}

}  // namespace ringpost
