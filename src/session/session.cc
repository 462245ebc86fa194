// SPDX-License-Identifier: GPL-3.0-or-later
//
// The turn of a session: octets through the relay, and out.
#include "ringpost/session/session.h"

#include <algorithm>
#include <utility>

#include "ringpost/io/socket.h"
#include "ringpost/smtp/reply.h"

namespace ringpost {
namespace {

// A session that could go on longer makes room for the others after this much.
constexpr std::size_t kTurnOctetsMax = 256 * 1024;

// What a leg may hold of input, or of output, while less than this part of the blocks is free. The
// longest line fits.
constexpr std::size_t kTightOctets = BufferPool::kLargeBytes;
constexpr std::size_t kTightPart = 4;
static_assert(kAuthLineMax <= kTightOctets);

// What is read from a client that has sent more commands than were answered.
constexpr std::size_t kOverrunOctets = BufferPool::kSmallBytes;

constexpr std::uint64_t kFrontUserData = 0;
constexpr std::uint64_t kBackUserData = std::uint64_t{1} << 8;

}  // namespace

struct Session::XclientTexts {
  std::array<char, kAddressTextMax> address{};
  std::array<char, kAddressTextMax> destination{};
  XclientFacts facts;
};

Session::Session(SessionHost* host, std::shared_ptr<const Runtime> runtime,
                 const ListenerRuntime* listener, std::uint64_t user_data, int fd)
    : host_(host),
      runtime_(std::move(runtime)),
      listener_(listener),
      policies_(runtime_),
      judged_as_(listener),
      user_data_(user_data),
      front_(&host->pool(), user_data | kFrontUserData),
      back_(&host->pool(), user_data | kBackUserData),
      policy_(SessionPolicy::Needed(*listener)
                  ? std::make_unique<SessionPolicy>(runtime_.get(), listener,
                                                    static_cast<PolicyListener*>(this))
                  : nullptr),
      relay_(
          &listener->relay,
          listener->relay.xclient ? &(xclient_ = std::make_unique<XclientTexts>())->facts : nullptr,
          static_cast<MailPolicy*>(this)),
      backend_(host, &back_, &listener->next_hop) {
  timer.session = this;
  front_.Open(fd);
}

Session::~Session() = default;

void Session::Start(const SocketAddress* client, int backend_fd) {
  Io& io = host_->io();
  started_ = moved_ = input_read_ = io.Now();
  backend_.Adopt(backend_fd);
  if (client == nullptr || io.LocalAddress(front_.fd(), &server_) != 0) {
    Close(CloseReason::kClientReset, Farewell::kSilent);
    return;
  }
  client_ = *client;
  if (xclient_ != nullptr) {
    xclient_->facts.destination_address = FormatHost(server_, xclient_->destination);
    xclient_->facts.destination_port = PortOf(server_);
    xclient_->facts.address = FormatHost(client_, xclient_->address);
    xclient_->facts.port = PortOf(client_);
  }
  if (policy_ != nullptr) {
    policy_->set_client(client_);
  }
  if (listener_->next_hop.partner() != nullptr) {
    // The client's hello comes first.
  } else if (listener_->listener->implicit_tls) {
    front_.set_recv_hint(RecvHint::kDataLikely);  // the listener waited for the ClientHello
    front_.AttachTls(TlsEngine::Server(listener_->contexts.get()));
    handshake_deadline_ = started_ + listener_->route->handshake_timeout;
  } else {
    Hear(backend_.Start());
  }
  host_->MakeReady(*this);
}

void Session::OnCompletion(Side side, OperationKind kind, const Completion& completion) {
  Leg& leg = side == Side::kFront ? front_ : back_;
  switch (kind) {
    case OperationKind::kRecv:
      // Nobody but a sender of content has so much to say.
      leg.OnRecv(host_->io(), host_->pool(), completion, relay_.in_content() && !IsTight());
      if (leg.starved()) {
        host_->WaitForBlocks(*this);
        return;
      }
      break;
    case OperationKind::kSend:
      leg.OnSend(completion);
      break;
    case OperationKind::kConnect:
      Hear(backend_.OnConnect(completion));
      break;
  }
  host_->MakeReady(*this);
}

void Session::Pump() {
  if (running()) {
    PumpRelay();
  }
  if (!running()) {
    PumpClosing();
  }
}

void Session::PumpRelay() {
  turn_octets_ = 0;
  needs_round = false;
  if (back_.state() != LegState::kOpen) {
    Hear(backend_.Advance());
    if (backend_.needs_proof() && !is_waiting_for_proof) {
      Hear(backend_.OnProof());
    }
  }
  Moved moved = Moved::kSomething;
  while (running() && moved == Moved::kSomething) {
    moved = PumpFrontTls();
    if (PumpPartner() == Moved::kSomething) {
      moved = Moved::kSomething;
    }
    for (const Side side : {Side::kFront, Side::kBack}) {
      if (running() && RelayFrom(side) == Moved::kSomething) {
        moved = Moved::kSomething;
      }
    }
    if (turn_octets_ >= kTurnOctetsMax) {
      host_->MakeReady(*this);
      break;
    }
  }
  if (running() && front_.failed()) {
    Close(relay_.in_content() ? CloseReason::kClientTruncated : CloseReason::kClientReset,
          Farewell::kSilent);
  }
  if (running() && host_->draining()) {
    Drain();
  }
  if (!running()) {
    return;
  }
  SealAndArm();
  input_read_ = front_.input().empty() ? host_->io().Now() : input_read_;
  front_.CompactInput();
  back_.CompactInput();
  UpdateDeadline();
}

Session::Moved Session::RelayFrom(Side side) {
  Leg& from = side == Side::kFront ? front_ : back_;
  Leg& to = side == Side::kFront ? back_ : front_;
  if (front_.tls_pending() || from.state() != LegState::kOpen) {
    return Moved::kNothing;
  }
  if (side == Side::kBack && backend_.opening()) {
    return Moved::kNothing;
  }
  if (side == Side::kBack && !backend_.greeted()) {
    Hear(backend_.LookForGreeting());
    if (from.state() != LegState::kOpen) {
      return Moved::kNothing;
    }
  }
  if (overran_ && side == Side::kFront && !MayGoOn()) [[unlikely]] {
    return Moved::kNothing;
  }
  Moved moved = Moved::kNothing;
  const std::size_t output_max = IsTight() ? kTightOctets : Leg::kOutputMax;
  while (turn_octets_ < kTurnOctetsMax && to.output_octets() < output_max &&
         from.output_octets() < output_max) {
    if (!HasBlocks()) {
      return Moved::kNothing;
    }
    ByteQueue& input = from.input();
    const std::string_view readable = input.Front();
    const Step step = relay_.Next(side, {.readable = readable,
                                         .total = input.size(),
                                         .eof = from.input_ended(),
                                         .other_total = to.input().size()});
    if (step.kind == StepKind::kBlocked) {
      if (!readable.empty()) [[unlikely]] {
        NoteOverrun(side);
      }
      return moved;
    }
    if (step.kind == StepKind::kNeedInput) {
      if (overran_ && side == Side::kFront) [[unlikely]] {
        EndOverrun();
      }
      if (readable.size() == input.size() || readable.size() >= BufferPool::kLargeBytes) {
        return moved;
      }
      // A little more usually settles it: the rest of a line, or what follows a CR.
      const std::size_t wanted =
          std::clamp(2 * readable.size(), BufferPool::kSmallBytes, BufferPool::kLargeBytes);
      if (input.Linearize(wanted) != Room::kOk) {
        needs_round = true;
        host_->WaitForBlocks(*this);
        return moved;
      }
      continue;
    }
    if (side == Side::kBack && !backend_.greeted() && step.octets > 0) {
      backend_.OnGreeting(readable);
    }
    CarryOut(step, side);
    if (!running()) {
      return Moved::kNothing;
    }
    turn_octets_ += step.octets + 1;
    moved = Moved::kSomething;
    if (step.kind == StepKind::kStartTls) {
      return moved;
    }
  }
  return moved;
}

void Session::CarryOut(const Step& step, Side side) {
  ByteQueue& input = (side == Side::kFront ? front_ : back_).input();
  Leg& other = side == Side::kFront ? back_ : front_;
  switch (step.kind) {
    case StepKind::kForward:
      if (other.failed()) {
        input.Consume(step.octets);  // its end is on the way through its receive
      } else {
        input.MoveFront(step.octets, other.output());
      }
      break;
    case StepKind::kDrop:
      input.Consume(step.octets);
      break;
    case StepKind::kInject:
      if ((step.to == Side::kFront ? front_ : back_).output().Append(step.text) != Room::kOk) {
        Close(CloseReason::kOutOfResources, Farewell::kSilent);
      }
      break;
    case StepKind::kStartTls:
      StartTls(step);
      break;
    case StepKind::kHello:
      OpenPartner(step);
      break;
    case StepKind::kClose: {
      const CloseReason reason = backend_.Account(step.reason);
      if (!step.text.empty() && front_.output().Append(step.text) != Room::kOk) {
        Close(CloseReason::kOutOfResources, Farewell::kSilent);
        return;
      }
      if (relay_.reply_fault() != ReplyFault::kNone) {
        detail_ = std::string(ReplyFaultText(relay_.reply_fault())) + ": " +
                  QuotableLine(back_.input().Front().substr(step.octets));
      } else if (step.reason == CloseReason::kBackendIdentity) {
        detail_ = QuotableLine(back_.input().Front());
      }
      Close(reason, Farewell::kSilent);
      break;
    }
    case StepKind::kNeedInput:
    case StepKind::kBlocked:
      break;
  }
}

// A client that does not wait for its replies, as RFC 2920 3.1 has it wait, or sends more in one
// group than is noted down at a time, has its commands done in turn with those of its other
// sessions. While nobody waits for a turn it keeps its own.
bool Session::MayGoOn() {
  if (relay_.in_content()) {
    EndOverrun();
    return true;
  }
  ClientShares& shares = host_->shares();
  if (share.has_turn) {
    if (!std::exchange(share.has_used_turn, true) || !shares.OthersWait(share)) {
      return true;
    }
    if (relay_.owes_reply()) {
      return false;
    }
    host_->EndTurn(*this);
  }
  share.has_used_turn = shares.TakeTurn(share);
  return share.has_turn;
}

void Session::NoteOverrun(Side side) {
  overran_ = overran_ || (side == Side::kFront && relay_.owes_reply());
}

void Session::EndOverrun() {
  overran_ = false;
  host_->EndTurn(*this);
}

void Session::SealAndArm() {
  if (!front_.tls_pending() && HasBlocks() && front_.SealRecords() == TlsOutcome::kFailed) {
    TlsFailed(TlsOutcome::kFailed);
    return;
  }
  if (back_.tls() != nullptr && back_.state() == LegState::kOpen && !back_.tls_pending() &&
      HasBlocks() && back_.SealRecords() == TlsOutcome::kFailed) {
    PartnerTlsFailed();
    return;
  }
  Io& io = host_->io();
  ArmSend(front_);
  ArmSend(back_);
  AckUnanswered();
  ArmFrontRecv();
  back_.ArmRecv(io);
}

void Session::ArmFrontRecv() {
  if (front_.receiving()) {
    return;
  }
  if (ClientShares& shares = host_->shares(); shares.IsOver(share)) [[unlikely]] {
    shares.WaitForShare(share);
    return;
  }
  // A ClientHello in many records needs more room than it has octets.
  const std::size_t input_max = front_.tls_pending() ? Leg::kInputMax
                                : overran_           ? kOverrunOctets
                                : IsTight()          ? kTightOctets
                                                     : Leg::kInputMax;
  front_.ArmRecv(host_->io(), input_max);
}

void Session::ArmSend(Leg& leg, SendHint hint) {
  if (!leg.sending()) {
    leg.ArmSend(host_->io(), hint);
    moved_ = leg.sending() ? host_->io().Now() : moved_;
  }
}

// Who writes twice before it reads, say a command and then its content, keeps the second write back
// until the first is acknowledged (RFC 896). The ACK travels with what we send; where it is the
// peer's turn nothing is sent, and TCP would wait 40 ms for it.
void Session::AckUnanswered() {
  Io& io = host_->io();
  if (front_.ack_due() && front_.output_octets() == 0) {
    const RelayWait wait = relay_.waiting();
    const bool waits_for_us =
        !front_.tls_pending() &&
        (relay_.owes_reply() || (wait == RelayWait::kBackendGreeting && !front_.input().empty()));
    if (!waits_for_us) {
      front_.AckNow(io,
                    wait == RelayWait::kClientContent ? AckHint::kUntilAnswered : AckHint::kOnce);
    }
  }
  if (back_.ack_due() && back_.output_octets() == 0 && back_.state() == LegState::kOpen) {
    const RelayWait wait = relay_.waiting();
    if (wait != RelayWait::kClientCommand && wait != RelayWait::kClientContent) {
      back_.AckNow(io, AckHint::kOnce);
    }
  }
}

bool Session::IsTight() const {
  const BufferPool& pool = host_->pool();
  return pool.free_count(BlockSize::kLarge) * kTightPart < pool.total_count(BlockSize::kLarge);
}

bool Session::HasBlocks() {
  if (host_->pool().free_count(BlockSize::kLarge) >= kLargeNeeded &&
      host_->pool().free_count(BlockSize::kSmall) >= kSmallNeeded) [[likely]] {
    return true;
  }
  needs_round = true;
  host_->WaitForBlocks(*this);
  return false;
}

}  // namespace ringpost
