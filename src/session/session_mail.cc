// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which policies a session's mail is judged by: those in force. A certificate may have been
// revoked, or a partner added, since the session began; everything else of it stays as it was.
#include <algorithm>

#include "ringpost/session/session.h"

namespace ringpost {
namespace {

// One of the listeners of the route with this name: their policies are the same; nullptr: it is
// gone.
const ListenerRuntime* FindRoute(const Runtime& runtime, const std::string& name) {
  const auto found = std::find_if(
      runtime.listeners.begin(), runtime.listeners.end(),
      [&name](const ListenerRuntime& listener) { return listener.route->name == name; });
  return found != runtime.listeners.end() ? &*found : nullptr;
}

void Note(std::string_view said, std::size_t max, std::string* note) {
  note->assign(said.substr(0, max));
}

}  // namespace

// What a partner's server must be was decided when it was opened; a reload changes nothing for the
// connection that is there.
std::string_view Session::Judge(std::string_view argument) {
  if (const std::shared_ptr<const Runtime>& runtime = host_->runtime();
      !runtime->HasPoliciesOf(*policies_) && !backend_.is_partner()) [[unlikely]] {
    if (TakePolicies(runtime) == Policies::kOutOfReach) return kEndsSession;
  }
  if (backend_.is_partner()) {
    CountPartner(backend_.partner().fault, tls_established_);
    return {};
  }
  if (policy_ != nullptr) return policy_->Judge(argument);
  if (judged_as_->route->policy.tls == TlsPolicy::kEncrypt) {
    // The relay lets nobody else come so far.
    PolicyDecision met;
    met.asked = met.met = TlsPolicy::kEncrypt;
    policies_->counters->Count(judged_as_->route_subject, met);
  }
  return {};
}

// Where the route asks for `encrypt` and for nothing else, those who meet it are only counted, and
// have no SessionPolicy of their own.
void Session::RefusedInClear(std::string_view argument) {
  if (policy_ != nullptr) {
    policy_->RefusedInClear(argument);
    return;
  }
  SessionPolicy policy(policies_.get(), judged_as_, this);
  policy.set_client(client_);
  policy.RefusedInClear(argument);
}

void Session::ClientSays(Verb verb, std::string_view argument) {
  if (notes_ == nullptr) notes_ = std::make_unique<MailNotes>();
  if (verb == Verb::kMail) {
    Note(argument, MailNotes::kMailMax, &notes_->mail);
  } else {
    Note(argument, MailNotes::kHelloMax, &notes_->hello);
  }
}

// What it means is found out at the session's end: this is for each message.
void Session::MessageAccepted(std::string_view reply) {
  if (notes_ == nullptr) notes_ = std::make_unique<MailNotes>();
  Note(reply, MailNotes::kAcceptedMax, &notes_->accepted);
}

void Session::CountPartner(PolicyFault fault, bool in_tls) {
  const EgressTls level = listener_->route->egress->policy.tls;
  PolicyDecision decision;
  decision.asked = level <= EgressTls::kMay       ? TlsPolicy::kMay
                   : level == EgressTls::kEncrypt ? TlsPolicy::kEncrypt
                                                  : TlsPolicy::kVerify;
  if (in_tls) {
    decision.met = level > EgressTls::kEncrypt && fault == PolicyFault::kNone ? TlsPolicy::kVerify
                                                                              : TlsPolicy::kEncrypt;
  }
  decision.fault = fault;
  decision.mode = listener_->route->policy.mode;
  policies_->counters->Count(judged_as_->route_subject, decision);
}

// A server that could not be reached has not been judged.
void Session::RefusedUnusable() {
  switch (backend_.trouble().kind) {
    case PartnerTrouble::Kind::kNoTls:
    case PartnerTrouble::Kind::kHandshake:
      CountPartner(PolicyFault::kNoTls, false);
      break;
    case PartnerTrouble::Kind::kCertificate:
      CountPartner(backend_.trouble().fault, true);
      break;
    default:
      break;
  }
}

// Out of reach: what they ask for was never asked of this client, or cannot be given any more.
Session::Policies Session::TakePolicies(const std::shared_ptr<const Runtime>& runtime) {
  const ListenerRuntime* const route = FindRoute(*runtime, listener_->route->name);
  if (route == nullptr) {
    // Nobody says any more what its clients have to prove; where they had to prove nothing, it may
    // go on.
    if (policy_ != nullptr) return Policies::kOutOfReach;
    policies_ = runtime;
    judged_as_ = listener_;
    return Policies::kTaken;
  }
  if (policy_ != nullptr && !policy_->can_be_replaced()) return Policies::kOutOfReach;
  const bool asks_anew = route->route->ask_certificate && !listener_->route->ask_certificate;
  const bool encrypts = route->relay.tls_policy >= TlsPolicy::kEncrypt;
  if (asks_anew || (encrypts && !tls_established_ && !listener_->relay.starttls_offered)) {
    return Policies::kOutOfReach;
  }
  if (policy_ != nullptr) {
    policy_->Replace(runtime.get(), route);
  } else if (encrypts || SessionPolicy::Needed(*route)) {
    policy_ =
        std::make_unique<SessionPolicy>(runtime.get(), route, static_cast<PolicyListener*>(this));
    policy_->set_client(client_);
    if (tls_established_) policy_->TlsEstablished(nullptr);
  }
  policies_ = runtime;
  judged_as_ = route;
  Register();
  return Policies::kTaken;
}

}  // namespace ringpost
