// SPDX-License-Identifier: GPL-3.0-or-later
//
// The connection of a session to its mail server, and what that may ask about the client.
#include <cerrno>
#include <cstring>
#include <utility>

#include "ringpost/identity/proxy_header.h"
#include "ringpost/io/socket.h"
#include "ringpost/session/session.h"

namespace ringpost {

void Session::StartBackend() {
  addresses_tried_ = 0;
  backend_wanted_since_ = host_->io().Now();
  if (!PickBackend()) {
    address_index_ = listener_->next_hop.Preferred();
    NoBackend();
  }
}

// False: no address is left that is proven, or about to be.
bool Session::PickBackend() {
  using Choice = UpstreamHealth::Choice;
  const UpstreamHealth::Picked picked =
      listener_->next_hop.Pick(addresses_tried_, host_->io().Now(), backend_wanted_since_);
  proof_wanted_ = picked.choice == Choice::kWait;
  switch (picked.choice) {
    case Choice::kAddress:
      address_index_ = picked.address;
      ConnectBackend();
      break;
    case Choice::kWait:
      host_->WaitForProof(*this);  // PumpRelay() comes back here, or the deadline comes
      break;
    case Choice::kNone:
      return false;
  }
  return true;
}

// The probe has said in the log what is wrong.
void Session::NoBackend() {
  const bool refuted = listener_->next_hop.IsRefuted(address_index_);
  detail_ =
      refuted ? "the mail server does not take its identity" : "no mail server could be asked";
  Close(refuted ? CloseReason::kBackendIdentity : CloseReason::kBackendConnect, Farewell::kSay);
}

void Session::ConnectBackend() {
  backend_wanted_ = true;
  if (!back_.TryFinish(host_->io())) {
    return;  // PumpRelay() comes back here
  }
  backend_wanted_ = false;
  const Endpoint& endpoint = backend();
  const int fd = TakeBackendSocket(endpoint.address.any.sa_family);
  if (IsShortage(-fd)) {
    backend_wanted_ = true;
    host_->WaitForDescriptor(*this, -fd);  // PumpRelay() comes back here, or the deadline comes
    return;
  }
  if (fd < 0) {
    host_->BackendFailed(listener_->next_hop.upstream(), endpoint, CloseReason::kOutOfResources,
                         -fd, {});
    Close(CloseReason::kOutOfResources, Farewell::kSay);
    return;
  }
  back_.Connect(host_->io(), fd, &endpoint.address.any, endpoint.length,
                listener_->next_hop.connect_hint());
  wait_ = Wait::kNothing;  // this address has its own time, whatever the last one took
}

// While no socket to a backend is open, so that none of those that are accepted takes the
// descriptor that this session will need.
void Session::HoldBackendSocket() {
  const int family = listener_->next_hop.FirstFamily();
  const int fd = host_->io().OpenSocket(family);
  if (fd >= 0) {
    held_fd_ = fd;
    held_family_ = family;
  }
}

int Session::TakeBackendSocket(int family) {
  if (held_family_ != family) {
    ReleaseBackendSocket();
  }
  return held_fd_ >= 0 ? std::exchange(held_fd_, -1) : host_->io().OpenSocket(family);
}

void Session::ReleaseBackendSocket() {
  if (held_fd_ >= 0) {
    host_->io().CloseSocket(std::exchange(held_fd_, -1));
  }
}

void Session::BackendConnected() {
  if (!running()) {
    return;
  }
  SendIdentity();
  Register();
}

void Session::BackendConnectFailed(int error) {
  if (!running()) {
    return;
  }
  if (!TryNextBackend(CloseReason::kBackendConnect, error)) {
    detail_ = std::strerror(error);
    Close(CloseReason::kBackendConnect, Farewell::kSay);
  }
}

bool Session::BackendHasAlternative() const {
  return listener_->next_hop.HasOther(addresses_tried_ | std::uint64_t{1} << address_index_);
}

// The address at hand is of no use, and its leg is ending. False: all were tried.
bool Session::TryNextBackend(CloseReason reason, int error) {
  BlameBackend(reason == CloseReason::kBackendConnect ? NextHop::Fault::kUnreachable
                                                      : NextHop::Fault::kMute);
  host_->BackendFailed(listener_->next_hop.upstream(), backend(), reason, error, {});
  addresses_tried_ |= std::uint64_t{1} << address_index_;
  return PickBackend();
}

void Session::BlameBackend(NextHop::Fault fault) {
  listener_->next_hop.Blame(address_index_, fault, host_->io().Now());
  host_->HealthChanged();
}

void Session::RetireBackend() {
  if (back_.output().Append("QUIT\r\n") == Room::kOk) {
    back_.Retire();
  } else {
    back_.ShutDown(host_->io());
  }
}

void Session::SendIdentity() {
  const ProxyTlsFacts facts{.version = tls_facts_.version,
                            .cipher = tls_facts_.suite,
                            .sni = sni_,
                            .client_common_name = certificate() != nullptr
                                                      ? std::string_view(certificate()->common_name)
                                                      : std::string_view(),
                            .key_exchange_group = tls_facts_.group,
                            .client_certificate = certificate() != nullptr,
                            .verified = policy_ != nullptr && policy_->verified_by_ca()};
  std::array<char, kProxyHeaderMax> header;
  const std::size_t length = listener_->next_hop.WriteIdentity(
      header,
      {.client = &client_.any, .server = &server_.any, .tls = tls_established_ ? &facts : nullptr});
  // One write before any other octet: the relay is silent until the greeting (PROTOCOL 37).
  if (length > 0 && back_.output().Append({header.data(), length}) != Room::kOk) {
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
