// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/backend.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

namespace ringpost {
namespace {

using Kind = Backend::Answer::Kind;

// Whether what an address says first is no SMTP reply at all. A refusal is one, and the client's to
// hear: it may be about this client only.
bool GreetingIsForeign(std::string_view readable) {
  constexpr std::string_view kClasses = "245";
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return kClasses.find(readable.front()) == std::string_view::npos ||
         !std::all_of(readable.begin(),
                      readable.begin() + std::min<std::ptrdiff_t>(3, std::ssize(readable)),
                      is_digit);
}

PartnerTrouble NoDescriptor() {
  return {.kind = PartnerTrouble::Kind::kShortage,
          .words = "no descriptor is left for a connection to it"};
}

}  // namespace

bool IsShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

void Backend::Adopt(int fd) {
  held_fd_ = fd;
  held_for_ = static_cast<std::uint8_t>(next_hop_->Preferred());
}

Backend::Answer Backend::Start() {
  leg_->ShutDown(host_->io());
  greeted_ = false;
  if (is_partner()) {
    partner_->in_clear = false;
    partner_->resumption = TlsResumption::kOn;
    partner_->opening.reset();
    partner_->trouble = {};
  }
  tried_ = 0;
  wanted_since_ = host_->io().Now();
  if (const std::optional<Answer> answer = Pick()) {
    return *answer;
  }
  address_ = static_cast<std::uint8_t>(next_hop_->Preferred());
  return NoneProven();
}

Backend::Answer Backend::OnProof() {
  const std::optional<Answer> answer = Pick();
  return answer ? *answer : NoneProven();
}

// Nullopt: no address is left that is proven, or about to be.
std::optional<Backend::Answer> Backend::Pick() {
  using Choice = UpstreamHealth::Choice;
  const UpstreamHealth::Picked picked = next_hop_->Pick(tried_, host_->io().Now(), wanted_since_);
  wants_ = Wants::kNothing;
  switch (picked.choice) {
    case Choice::kAddress:
      address_ = static_cast<std::uint8_t>(picked.address);
      return Connect();
    case Choice::kWait:
      wants_ = Wants::kProof;
      return Answer{.kind = Kind::kNeedsProof};
    case Choice::kNone:
      break;
  }
  return std::nullopt;
}

// The probe has said in the log what is wrong.
Backend::Answer Backend::NoneProven() const {
  return next_hop_->IsRefuted(address_)
             ? Answer{.kind = Kind::kFailed,
                      .reason = CloseReason::kBackendIdentity,
                      .detail = "the mail server does not take its identity"}
             : Answer{.kind = Kind::kFailed,
                      .reason = CloseReason::kBackendConnect,
                      .detail = "no mail server could be asked"};
}

Backend::Answer Backend::Connect() {
  if (is_partner()) {
    partner_->facts = {};
  }
  if (!endpoint().known()) {
    return OpeningFailed(
        {.kind = PartnerTrouble::Kind::kNoAddress, .words = "no address is known for this name"});
  }
  wants_ = Wants::kConnection;
  if (!leg_->TryFinish(host_->io())) {
    return {};  // Advance() comes back here
  }
  const int fd = TakeSocket(endpoint().address.any.sa_family);
  if (IsShortage(-fd)) {
    return {.kind = Kind::kNeedsDescriptor, .error = -fd};
  }
  wants_ = Wants::kNothing;
  if (fd < 0) {
    host_->BackendFailed(next_hop_->upstream(), endpoint(), CloseReason::kOutOfResources, -fd, {});
    return WithoutDescriptor();
  }
  leg_->Connect(host_->io(), fd, &endpoint().address.any, endpoint().length,
                next_hop_->connect_hint());
  return {.kind = Kind::kConnecting};
}

Backend::Answer Backend::Advance() {
  Io& io = host_->io();
  if (leg_->state() == LegState::kRetiring && (leg_->ended() || leg_->failed())) {
    leg_->ShutDown(io);
  }
  if (leg_->state() == LegState::kJoining && leg_->TryFinish(io) && wants_ != Wants::kConnection &&
      !is_partner()) {
    HoldSocket();
  }
  return wants_ == Wants::kConnection && leg_->state() == LegState::kIdle ? Connect() : Answer{};
}

Backend::Answer Backend::OnConnect(const Completion& completion) {
  if (leg_->OnConnect(host_->io(), completion)) {
    if (next_hop_->partner() == nullptr) {
      return {.kind = Kind::kConnected};
    }
    BeginOpening();
    return {};
  }
  return leg_->connect_error() != 0 ? TryNext(CloseReason::kBackendConnect, leg_->connect_error())
                                    : Answer{};
}

void Backend::BeginOpening() {
  const PartnerRoute& partner = *next_hop_->partner();
  const bool never = partner_->in_clear || partner.client == nullptr;
  const StarttlsUse use = never                   ? StarttlsUse::kNever
                          : partner.takes_clear() ? StarttlsUse::kIfOffered
                                                  : StarttlsUse::kAlways;
  partner_->opening = std::make_unique<PartnerOpening>(&partner, &endpoint(), partner_->hello, use,
                                                       partner_->resumption);
}

Backend::Answer Backend::OpenOn() {
  using Progress = PartnerOpening::Progress;
  if (!opening() || leg_->state() != LegState::kOpen) {
    return {};
  }
  const Progress progress = partner_->opening->Advance(*leg_, host_->WallClock());
  if (const std::string complaint = partner_->opening->TakeComplaint(); !complaint.empty()) {
    host_->TrustComplaint(complaint);
  }
  switch (progress) {
    case Progress::kNothing:
      return {};
    case Progress::kSomething:
      return {.kind = Kind::kMore};
    case Progress::kNeedsBlocks:
      return {.kind = Kind::kNeedsBlocks};
    case Progress::kReady:
      greeted_ = true;
      partner_->facts = partner_->opening->facts();
      partner_->opening.reset();
      std::string().swap(partner_->hello);
      if (!partner_->in_clear) {
        partner_->trouble = {};  // that was another address
      }
      if (next_hop_->Greeted(address_)) {
        host_->BackendRecovered(next_hop_->upstream(), endpoint());
      }
      return {.kind = Kind::kReady};
    case Progress::kFailed:
      break;
  }
  partner_->facts = partner_->opening->facts();
  PartnerTrouble trouble = partner_->opening->trouble();
  return OpeningFailed(std::move(trouble));
}

// A server that had an earlier session offered is asked once more for a new one; and where mail may
// go in clear, one whose TLS does not work is asked once more without.
Backend::Answer Backend::OpeningFailed(PartnerTrouble trouble) {
  partner_->opening.reset();
  partner_->trouble = std::move(trouble);
  const PartnerRoute& partner = *next_hop_->partner();
  if (partner_->trouble.is_of_resumption &&
      std::exchange(partner_->resumption, TlsResumption::kOff) == TlsResumption::kOn) {
    leg_->ShutDown(host_->io());
    return Connect();
  }
  if (partner_->trouble.is_of_tls() && partner.takes_clear() && !partner.config.implicit_tls &&
      !std::exchange(partner_->in_clear, true)) {
    host_->BackendFailed(next_hop_->upstream(), endpoint(), partner_->trouble.reason(), 0,
                         partner_->trouble.words);
    leg_->ShutDown(host_->io());
    return Connect();
  }
  return TryNext(partner_->trouble.reason(), 0);
}

std::string Backend::Apology() const {
  return TroubleReply(partner_->trouble, endpoint(), next_hop_->partner()->config.hard_bounce);
}

Backend::Answer Backend::OnOpeningOverdue(bool lacks_blocks) {
  return OpeningFailed(Overdue(lacks_blocks));
}

Backend::Answer Backend::GiveUp(bool lacks_blocks) {
  partner_->trouble = Overdue(lacks_blocks);
  wants_ = Wants::kNothing;
  partner_->opening.reset();
  leg_->ShutDown(host_->io());
  return {.kind = Kind::kFailed, .reason = partner_->trouble.reason()};
}

PartnerTrouble Backend::Overdue(bool lacks_blocks) {
  using Trouble = PartnerTrouble::Kind;
  if (wants_ == Wants::kConnection) {
    return NoDescriptor();
  }
  if (lacks_blocks) {
    return {.kind = Trouble::kShortage, .words = "no memory was free in time to talk to it"};
  }
  PartnerTrouble trouble;
  const bool in_handshake = leg_->tls_pending();
  trouble.kind = in_handshake ? Trouble::kHandshake : Trouble::kSilent;
  trouble.words = in_handshake ? "TLS handshake not done in time" : "did not answer in time";
  trouble.is_passing = in_handshake;
  trouble.is_of_resumption = opening() && partner_->opening->ForgetSession();
  return trouble;
}

Backend::Answer Backend::WithoutDescriptor() {
  if (is_partner()) {
    wants_ = Wants::kNothing;  // the session goes on without it
    partner_->trouble = NoDescriptor();
  }
  return {.kind = Kind::kFailed, .reason = CloseReason::kOutOfResources};
}

Room Backend::Introduce(const ClientIdentity& identity) {
  std::array<char, kProxyHeaderMax> header;
  const std::size_t length = next_hop_->WriteIdentity(header, identity);
  // One write before any other octet: the relay is silent until the greeting (PROTOCOL 37).
  return length == 0 ? Room::kOk : leg_->output().Append({header.data(), length});
}

Backend::Answer Backend::LookForGreeting() {
  ByteQueue& input = leg_->input();
  if (input.empty()) {
    return leg_->input_ended() && MayTryAnother()
               ? TryNext(next_hop_->WithoutGreeting(CloseReason::kBackendEof), 0)
               : Answer{};
  }
  return MayTryAnother() && GreetingIsForeign(input.Front())
             ? TryNext(CloseReason::kBackendProtocol, 0)
             : Answer{};
}

void Backend::OnGreeting(std::string_view words) {
  greeted_ = true;
  if (!words.starts_with("220")) {
    Blame(NextHop::Fault::kMute);
  } else if (next_hop_->Greeted(address_)) {
    host_->BackendRecovered(next_hop_->upstream(), endpoint());
  }
}

Backend::Answer Backend::OnProofOverdue() {
  return {.kind = Kind::kFailed,
          .reason = CloseReason::kBackendTimeout,
          .detail = "the mail server was not proven in time"};
}

Backend::Answer Backend::OnConnectOverdue() {
  return wants_ == Wants::kConnection  // no descriptor has come free
             ? WithoutDescriptor()
             : TryNext(CloseReason::kBackendConnect, ETIMEDOUT);
}

Backend::Answer Backend::OnGreetingOverdue() {
  if (MayTryAnother()) {
    return TryNext(CloseReason::kBackendTimeout, 0);
  }
  Blame(NextHop::Fault::kMute);
  return {};
}

bool Backend::MayTryAnother() const {
  return !greeted_ && next_hop_->HasOther(tried_ | std::uint64_t{1} << address_);
}

// The address at hand is of no use.
Backend::Answer Backend::TryNext(CloseReason reason, int error) {
  leg_->ShutDown(host_->io());
  if (!is_partner() || partner_->trouble.kind != PartnerTrouble::Kind::kShortage) {
    Blame(reason == CloseReason::kBackendConnect ? NextHop::Fault::kUnreachable
                                                 : NextHop::Fault::kMute);
  }
  if (is_partner() && error != 0) {
    partner_->trouble = {.kind = PartnerTrouble::Kind::kUnreachable,
                         .words = std::string("cannot be reached: ") + std::strerror(error)};
  }
  host_->BackendFailed(
      next_hop_->upstream(), endpoint(), reason, error,
      is_partner() && error == 0 ? std::string_view(partner_->trouble.words) : std::string_view());
  tried_ |= std::uint64_t{1} << address_;
  if (is_partner()) {
    partner_->in_clear = false;
    partner_->resumption = TlsResumption::kOn;
  }
  const std::optional<Answer> answer = Pick();
  return answer ? *answer
                : Answer{.kind = Kind::kFailed,
                         .reason = reason,
                         .detail = error != 0 ? std::strerror(error) : nullptr};
}

void Backend::Retire() {
  if (leg_->output().Append("QUIT\r\n") == Room::kOk) {
    leg_->Retire();
  } else {
    leg_->ShutDown(host_->io());
  }
}

CloseReason Backend::Account(CloseReason reason) {
  if (reason == CloseReason::kBackendReset && !greeted_) {
    Blame(NextHop::Fault::kMute);
    return next_hop_->WithoutGreeting(reason);
  }
  if (reason == CloseReason::kBackendIdentity) {
    Blame(NextHop::Fault::kOutOfStep);
  }
  return reason;
}

void Backend::Abandon(Ending ending) {
  wants_ = Wants::kNothing;
  if (is_partner()) {
    partner_->opening.reset();
  }
  if (ending == Ending::kRetire) {
    leg_->Retire();
  } else {
    leg_->ShutDown(host_->io());
  }
  ReleaseSocket();
}

void Backend::Report(CloseReason reason, std::string_view detail) {
  if (next_hop_->IsNews(address_, reason)) {
    host_->BackendFailed(next_hop_->upstream(), endpoint(), reason, 0, detail);
  }
}

void Backend::Blame(NextHop::Fault fault) {
  next_hop_->Blame(address_, fault, host_->io().Now());
  host_->HealthChanged();
}

// While the leg has no socket, so that none of the clients that are accepted takes the descriptor
// that this session will need.
void Backend::HoldSocket() {
  const std::size_t preferred = next_hop_->Preferred();
  const int fd = host_->io().OpenSocket(next_hop_->FirstFamily());
  if (fd >= 0) {
    held_fd_ = fd;
    held_for_ = static_cast<std::uint8_t>(preferred);
  }
}

int Backend::TakeSocket(int family) {
  if (next_hop_->address(held_for_).address.any.sa_family != family) {
    ReleaseSocket();
  }
  return held_fd_ >= 0 ? std::exchange(held_fd_, -1) : host_->io().OpenSocket(family);
}

void Backend::ReleaseSocket() {
  if (held_fd_ >= 0) {
    host_->io().CloseSocket(std::exchange(held_fd_, -1));
  }
}

}  // namespace ringpost
