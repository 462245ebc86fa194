// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a session makes of its backend's answers, whom it says is calling, and what the mail server
// may ask about that.
#include <utility>

#include "ringpost/io/socket.h"
#include "ringpost/session/session.h"

namespace ringpost {

void Session::Hear(const Backend::Answer& answer) {
  using Kind = Backend::Answer::Kind;
  switch (answer.kind) {
    case Kind::kNothing:
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
    case Kind::kFailed:
      if (answer.detail != nullptr) {
        detail_ = answer.detail;
      }
      Close(answer.reason, Farewell::kSay);
      break;
  }
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
  if (registry == nullptr) {
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
