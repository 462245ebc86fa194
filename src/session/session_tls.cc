// SPDX-License-Identifier: GPL-3.0-or-later
//
// The TLS of a session's client: when it begins, a step of it in each round, and what it changes.
#include <string>

#include "ringpost/session/session.h"
#include "ringpost/smtp/local_reply.h"

namespace ringpost {

Session::Moved Session::PumpFrontTls() {
  if (front_.tls() == nullptr) {
    return Moved::kNothing;
  }
  const bool handshake = front_.tls_pending();
  if (handshake && front_.raw_input_empty()) {
    if (front_.ended()) {
      detail_ = "connection closed during the TLS handshake";
      Close(CloseReason::kTlsHandshake, Farewell::kSilent);
    }
    return Moved::kNothing;
  }
  // What is read may have to be answered, each KeyUpdate with ours: a client that reads nothing
  // must not have the pool filled for it.
  if (!handshake && front_.output_octets() >= Leg::kOutputMax) {
    return Moved::kNothing;
  }
  if (!HasBlocks()) {
    return Moved::kNothing;
  }
  const std::size_t before = front_.input().size();
  const TlsOutcome outcome = handshake ? front_.Handshake() : front_.OpenRecords();
  switch (outcome) {
    case TlsOutcome::kDone:
      if (handshake) {
        TlsComplete();
        return Moved::kSomething;
      }
      break;
    case TlsOutcome::kNeedInput:
      if (handshake && front_.ended()) {
        detail_ = "connection closed during the TLS handshake";
        Close(CloseReason::kTlsHandshake, Farewell::kSilent);
      }
      break;
    case TlsOutcome::kPeerClosed:
      if (handshake) {
        TlsFailed(outcome);
      }
      break;
    case TlsOutcome::kFlood:
    case TlsOutcome::kFailed:
      TlsFailed(outcome);
      break;
  }
  if (front_.input().size() == before) {
    return Moved::kNothing;
  }
  heard_in_tls_ = true;
  return running() ? Moved::kSomething : Moved::kNothing;
}

void Session::StartTls(const Step& step) {
  front_.input().Consume(step.octets);
  if (!front_.input().empty()) {
    Close(CloseReason::kStarttlsInjection, Farewell::kSilent);
    return;
  }
  const bool may_begin = host_->MayBeginHandshake(client_);
  const std::string refusal =
      may_begin ? std::string() : ClosingText(CloseReason::kClientRate, listener_->relay.hostname);
  if (front_.output().Append(may_begin ? step.text : refusal) != Room::kOk) {
    Close(CloseReason::kOutOfResources, Farewell::kSilent);
    return;
  }
  if (!may_begin) {
    Close(CloseReason::kClientRate, Farewell::kSilent);
    return;
  }
  front_.AttachTls(TlsEngine::Server(listener_->contexts.get()));
  handshake_deadline_ = host_->io().Now() + listener_->route->handshake_timeout;
  // What an authenticated client has said in clear must be forgotten whatever the configuration.
  if (config().starttls_backend == StarttlsBackend::kReconnect || relay_.authenticated() ||
      listener_->next_hop.refuses_second_hello()) {
    backend_.Retire();
  }
}

void Session::TlsComplete() {
  tls_established_ = true;
  tls_facts_ = front_.tls()->facts();
  sni_ = front_.tls()->sni();
  if (policy_ != nullptr) {
    policy_->TlsEstablished(front_.tls()->TakePeerCertificate());
  }
  if (back_.state() == LegState::kOpen) {
    relay_.TlsEstablished(BackendAfterTls::kSame);
    Register();
    return;
  }
  relay_.TlsEstablished(listener_->listener->implicit_tls ? BackendAfterTls::kSame
                                                          : BackendAfterTls::kReconnected);
  Hear(backend_.Start());  // the one before had the time of a handshake to say goodbye
}

void Session::TlsFailed(TlsOutcome outcome) {
  detail_ = front_.tls()->error();
  const CloseReason reason = outcome == TlsOutcome::kFlood ? CloseReason::kTlsFlood
                             : tls_established_            ? CloseReason::kTlsProtocol
                                                           : CloseReason::kTlsHandshake;
  Close(reason, Farewell::kSilent);
}

}  // namespace ringpost
