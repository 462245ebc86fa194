// SPDX-License-Identifier: GPL-3.0-or-later
//
// The deadlines of a session, and its end.
#include <algorithm>

#include "ringpost/session/health_probe.h"
#include "ringpost/session/session.h"

namespace ringpost {
namespace {

// RFC 5321 4.5.3.2, the sender's side.
constexpr TimeNs kBackendGreetingTimeout = 300 * kNsPerSecond;
constexpr TimeNs kBackendReplyTimeout = 300 * kNsPerSecond;
constexpr TimeNs kBackendDataReplyTimeout = 120 * kNsPerSecond;
constexpr TimeNs kBackendFinalReplyTimeout = 600 * kNsPerSecond;

// How long a session waits until an address is proven: as long as a probe does.
constexpr TimeNs kProofTimeout = HealthProbe::kReplyTimeout;

// How long an address may keep its greeting to itself when there is another one to try. Less than
// that happens to honest servers: they look the client up first.
constexpr TimeNs kGreetingBeforeNextAddress = 30 * kNsPerSecond;

// How long a client may take to accept our last words, and to answer our FIN with its own. Closing
// without waiting would reset the connection and could destroy the last words on their way.
constexpr TimeNs kFlushTimeout = 10 * kNsPerSecond;
constexpr TimeNs kLingerTimeout = 2 * kNsPerSecond;

// Content slower than this, after --data_timeout as grace, is an attack or a dead link.
constexpr std::uint64_t kContentOctetsPerSecond = 500;

}  // namespace

void Session::Close(CloseReason reason, Farewell farewell) {
  if (!running()) {
    return;
  }
  const bool is_rejected = IsRejected(reason);
  close_reason_ = is_rejected ? CloseReason::kTlsHandshake : reason;
  phase_ = Phase::kFlushing;
  // A partner's server can tell by it that nothing is missing, so content that is cut gets none.
  const bool may_notify = back_.may_notify() && !relay_.in_content();
  backend_.Abandon(may_notify ? Backend::Ending::kRetire : Backend::Ending::kAtOnce);
  host_->EndTurn(*this);
  host_->wheel().Set(timer, host_->io().Now() + kFlushTimeout);
  host_->MakeReady(*this);
  // What may need memory comes last: without it the session ends all the same.
  backend_.Report(reason, detail_);
  if (farewell == Farewell::kSay && !front_.tls_pending()) {
    const std::string_view text = relay_.Farewell(reason);
    if (!text.empty()) {
      (void)front_.output().Append(text);  // without a block there is no last word
    }
  }
  if (is_rejected) {
    detail_ = "received alert ";
    detail_ += front_.tls()->peer_alert();
  }
}

// A client that says nothing inside TLS but an alert does not want what it was shown, mostly our
// certificate. It may look at that before its Finished or behind it, and then close, or only warn
// and close: for the log all that is one.
bool Session::IsRejected(CloseReason reason) const {
  const bool is_clients =
      reason == CloseReason::kClientEof || reason == CloseReason::kClientReset ||
      reason == CloseReason::kTlsProtocol || reason == CloseReason::kTlsHandshake;
  return is_clients && front_.tls() != nullptr && !heard_in_tls_ &&
         !front_.tls()->peer_alert().empty();
}

void Session::PumpClosing() {
  Io& io = host_->io();
  if (phase_ == Phase::kFlushing) {
    if (!front_.tls_pending() && host_->pool().free_count(BlockSize::kLarge) >= kLargeNeeded) {
      if (front_.SealRecords() == TlsOutcome::kDone && front_.plain_sealed()) {
        front_.CloseNotify();
      }
    }
    const bool sealed = front_.plain_sealed() || front_.tls_pending();
    ArmSend(front_, sealed ? SendHint::kFinFollows : SendHint::kAtOnce);
    const bool flushed = front_.output_sent() && sealed;
    if (front_.failed() || (flushed && front_.ended())) {
      phase_ = Phase::kJoining;
    } else if (flushed) {
      front_.FinishSending(io);
      phase_ = Phase::kLingering;
      host_->wheel().Set(timer, io.Now() + kLingerTimeout);
    }
  }
  if (phase_ == Phase::kLingering) {
    if (front_.ended() || front_.failed()) {
      phase_ = Phase::kJoining;
    } else {
      front_.ArmRecv(io);
    }
  }
  if (phase_ == Phase::kJoining) {
    front_.ShutDown(io);
  }
  if (back_.state() == LegState::kRetiring) {
    PumpGoodbye();
  }
  const bool back_finished = back_.TryFinish(io);
  const bool front_finished = phase_ == Phase::kJoining && front_.TryFinish(io);
  if (back_finished && front_finished) {
    host_->wheel().Cancel(timer);
    if (SessionRegistry* const registry = host_->registry(); registry != nullptr) {
      registry->Remove(RegistryKey(), user_data_);
    }
    host_->Finished(*this);
  }
}

// To a partner's server: close_notify, and then its end is waited for, as the client's is.
void Session::PumpGoodbye() {
  Io& io = host_->io();
  if (!back_.finishing()) {
    if (host_->pool().free_count(BlockSize::kLarge) >= kLargeNeeded) {
      back_.CloseNotify();
    }
    ArmSend(back_, SendHint::kFinFollows);
    if (back_.output_sent()) {
      back_.FinishSending(io);
    }
  }
  if (back_.failed() || (back_.finishing() && back_.ended())) {
    back_.ShutDown(io);
  } else {
    back_.ArmRecv(io);
  }
}

void Session::OnDeadline() {
  if (!running()) {
    Join();
    return;
  }
  const bool lacks_blocks = needs_round || back_.starved();
  switch (wait_) {
    case Wait::kNothing:
      break;
    case Wait::kProof:
      Hear(backend_.OnProofOverdue());
      break;
    case Wait::kConnect:
      Hear(IsOpeningOver() ? backend_.GiveUp(false) : backend_.OnConnectOverdue());
      break;
    case Wait::kOpening:
    case Wait::kPartnerTls:
      Hear(IsOpeningOver() ? backend_.GiveUp(lacks_blocks)
                           : backend_.OnOpeningOverdue(lacks_blocks));
      break;
    case Wait::kHandshake:
      Close(CloseReason::kHandshakeTimeout, Farewell::kSilent);
      break;
    case Wait::kRelay:
      switch (Waiting()) {
        case RelayWait::kClientCommand:
          Close(CloseReason::kClientTimeout, Farewell::kSay);
          break;
        case RelayWait::kClientContent:
          // A client that may not send, because the backend does not read, is not to blame.
          Close(back_.output_octets() > 0 ? CloseReason::kBackendTimeout
                                          : CloseReason::kClientTimeout,
                Farewell::kSay);
          break;
        case RelayWait::kBackendGreeting:
          Hear(backend_.OnGreetingOverdue());
          if (back_.state() != LegState::kOpen) {
            break;  // another address is tried
          }
          [[fallthrough]];
        case RelayWait::kBackendReply:
        case RelayWait::kBackendDataReply:
        case RelayWait::kBackendFinalReply:
          // A backend that may not reply, because the client does not read, is not to blame.
          Close(front_.output_octets() > 0 ? CloseReason::kClientTimeout
                                           : CloseReason::kBackendTimeout,
                Farewell::kSay);
          break;
      }
      break;
  }
  host_->MakeReady(*this);
}

void Session::Drain() {
  if (running() &&
      (front_.tls_pending() || (!backend_.greeted() && !relay_.opens_backend()) || relay_.idle())) {
    Close(CloseReason::kDrain, Farewell::kSay);
  }
}

void Session::Stop() {
  Close(CloseReason::kStop, Farewell::kSilent);
  Join();
}

// Nobody is waited for any more.
void Session::Join() {
  phase_ = Phase::kJoining;
  back_.ShutDown(host_->io());
  host_->MakeReady(*this);
}

Session::Holding Session::holding() const {
  using For = Holding::For;
  Holding held{.since = moved_};
  front_.CountBlocks(&held.blocks_large, &held.blocks_small);
  back_.CountBlocks(&held.blocks_large, &held.blocks_small);
  if (!running() || front_.sending()) {
    held.who = For::kClient;  // it has only its last words to take, or does not read
  } else if (back_.sending()) {
    held.who = For::kBackend;
  } else if (!is_ready && !needs_round) {
    const RelayWait wait = relay_.waiting();
    // What the backend has to say may be waiting for a block, of those that this input holds.
    const bool client = front_.tls_pending() || back_.starved() ||
                        wait == RelayWait::kClientCommand || wait == RelayWait::kClientContent;
    held.who = client ? For::kClient : For::kPipeline;
    held.since = client ? moved_ : input_read_;
  }
  return held;
}

void Session::Reclaim() {
  detail_ = "held buffers that others were waiting for";
  if (!running() || front_.sending()) {
    Close(CloseReason::kClientTimeout, Farewell::kSilent);
    Join();  // nobody takes its last words
  } else {
    Close(holding().who == Holding::For::kBackend ? CloseReason::kBackendTimeout
                                                  : CloseReason::kClientTimeout,
          Farewell::kSay);
  }
  host_->MakeReady(*this);
}

// A backend whose replies find no room, because the client reads none of them, is not waited for.
RelayWait Session::Waiting() const {
  const RelayWait wait = relay_.waiting();
  return front_.output_octets() >= Leg::kOutputMax && wait != RelayWait::kClientContent
             ? RelayWait::kClientCommand
             : wait;
}

Session::Wait Session::WaitsFor() const {
  if (front_.tls_pending()) {
    return Wait::kHandshake;
  }
  if (relay_.lacks_backend()) {
    return Wait::kRelay;
  }
  if (backend_.needs_proof()) {
    return Wait::kProof;
  }
  if (back_.state() != LegState::kOpen) {
    return Wait::kConnect;
  }
  if (!backend_.opening()) {
    return Wait::kRelay;
  }
  return back_.tls_pending() ? Wait::kPartnerTls : Wait::kOpening;
}

void Session::UpdateDeadline() {
  const Wait wait = WaitsFor();
  const RelayWait relay_wait = Waiting();
  if (wait == wait_ && relay_wait == wait_seen_ && relay_.progress() == progress_seen_) {
    return;
  }
  const TimeNs now = host_->io().Now();
  moved_ = relay_.progress() != progress_seen_ ? now : moved_;
  if (relay_wait == RelayWait::kClientContent && wait_seen_ != RelayWait::kClientContent) {
    content_started_ = now;
    content_octets_before_ = stats().content_octets;
  }
  wait_ = wait;
  wait_seen_ = relay_wait;
  progress_seen_ = relay_.progress();
  host_->wheel().Set(timer, Deadline());
}

TimeNs Session::Deadline() const {
  const TimeNs now = host_->io().Now();
  switch (wait_) {
    case Wait::kNothing:
    case Wait::kRelay:
      break;
    case Wait::kProof:
      return now + kProofTimeout;
    case Wait::kConnect:
      return ConnectDeadline();
    case Wait::kOpening:
      return OpeningDeadline();
    case Wait::kPartnerTls:
      return std::min(OpeningDeadline(), now + listener_->route->handshake_timeout);
    case Wait::kHandshake:
      return handshake_deadline_;
  }
  return RelayDeadline();
}

// A partner's servers have a time together.
bool Session::IsOpeningOver() const {
  return backend_.is_partner() && host_->io().Now() >= opening_deadline_;
}

TimeNs Session::ConnectDeadline() const {
  const TimeNs deadline = host_->io().Now() + config().connect_timeout;
  return backend_.is_partner() ? std::min(deadline, opening_deadline_) : deadline;
}

// One address of several may keep the others waiting for a part of the time only.
TimeNs Session::OpeningDeadline() const {
  constexpr TimeNs kOneOfSeveral = 60 * kNsPerSecond;
  return backend_.MayTryAnother() ? std::min(opening_deadline_, host_->io().Now() + kOneOfSeveral)
                                  : opening_deadline_;
}

TimeNs Session::RelayDeadline() const {
  const TimeNs now = host_->io().Now();
  switch (wait_seen_) {
    case RelayWait::kClientCommand:
      return now + listener_->route->command_timeout;
    case RelayWait::kClientContent: {
      const std::uint64_t octets = stats().content_octets - content_octets_before_;
      const auto earned = static_cast<TimeNs>(octets / kContentOctetsPerSecond) * kNsPerSecond;
      return std::min(now, content_started_ + earned) + listener_->route->data_timeout;
    }
    case RelayWait::kBackendGreeting:
      return now +
             (backend_.MayTryAnother() ? kGreetingBeforeNextAddress : kBackendGreetingTimeout);
    case RelayWait::kBackendReply:
      return now + kBackendReplyTimeout;
    case RelayWait::kBackendDataReply:
      return now + kBackendDataReplyTimeout;
    case RelayWait::kBackendFinalReply:
      return now + kBackendFinalReplyTimeout;
  }
  return now;
}

}  // namespace ringpost
