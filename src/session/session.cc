// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/session.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "ringpost/identity/proxy_header.h"
#include "ringpost/io/socket.h"
#include "ringpost/smtp/local_reply.h"

namespace ringpost {
namespace {

// A session that could go on longer makes room for the others after this much.
constexpr std::size_t kTurnOctetsMax = 256 * 1024;

// What a leg may hold of input, or of output, while less than this part of the blocks is free. The
// longest line fits.
constexpr std::size_t kTightOctets = BufferPool::kLargeBytes;
constexpr std::size_t kTightPart = 4;
static_assert(kAuthLineMax <= kTightOctets);

// RFC 5321 4.5.3.2, the sender's side.
constexpr TimeNs kBackendGreetingTimeout = 300 * kNsPerSecond;
constexpr TimeNs kBackendReplyTimeout = 300 * kNsPerSecond;
constexpr TimeNs kBackendDataReplyTimeout = 120 * kNsPerSecond;
constexpr TimeNs kBackendFinalReplyTimeout = 600 * kNsPerSecond;

// How long an address may keep its greeting to itself when there is another one to try. Less than
// that happens to honest servers: they look the client up first.
constexpr TimeNs kGreetingBeforeNextAddress = 30 * kNsPerSecond;

// How long a client may take to accept our last words, and to answer our FIN with its own. Closing
// without waiting would reset the connection and could destroy the last words on their way.
constexpr TimeNs kFlushTimeout = 10 * kNsPerSecond;
constexpr TimeNs kLingerTimeout = 2 * kNsPerSecond;

// Content slower than this, after --data_timeout as grace, is an attack or a dead link.
constexpr std::uint64_t kContentOctetsPerSecond = 500;

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

constexpr std::uint64_t kFrontUserData = 0;
constexpr std::uint64_t kBackUserData = std::uint64_t{1} << 8;

}  // namespace

bool IsShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

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
          policy_.get()) {
  timer.session = this;
  front_.Open(fd);
}

Session::~Session() = default;

void Session::Start(const SocketAddress* client, int backend_fd) {
  Io& io = host_->io();
  started_ = moved_ = input_read_ = io.Now();
  held_fd_ = backend_fd;
  held_family_ = listener_->FirstFamily();
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
  if (listener_->listener->implicit_tls) {
    front_.set_recv_hint(RecvHint::kDataLikely);  // the listener waited for the ClientHello
    front_.AttachTls(TlsEngine::Server(listener_->contexts.get()));
    handshake_deadline_ = started_ + listener_->route->handshake_timeout;
  } else {
    StartBackend();
  }
  host_->MakeReady(*this);
}

void Session::OnCompletion(Side side, OperationKind kind, const Completion& completion) {
  Leg& leg = side == Side::kFront ? front_ : back_;
  switch (kind) {
    case OperationKind::kRecv:
      leg.OnRecv(host_->pool(), completion);
      if (leg.starved()) {
        host_->WaitForBlocks(*this);
        return;
      }
      break;
    case OperationKind::kSend:
      leg.OnSend(completion);
      break;
    case OperationKind::kConnect:
      if (leg.OnConnect(host_->io(), completion)) {
        BackendConnected();
      } else if (leg.connect_error() != 0) {
        BackendConnectFailed(leg.connect_error());
      }
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
  if (back_.state() == LegState::kRetiring && (back_.ended() || back_.failed())) {
    back_.ShutDown(host_->io());
  }
  if (back_.state() == LegState::kJoining && back_.TryFinish(host_->io()) && !backend_wanted_) {
    HoldBackendSocket();
  }
  if (backend_wanted_ && back_.state() == LegState::kIdle) {
    ConnectBackend();
  }
  Moved moved = Moved::kSomething;
  while (running() && moved == Moved::kSomething) {
    moved = PumpFrontTls();
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
  return running() && front_.input().size() > before ? Moved::kSomething : Moved::kNothing;
}

Session::Moved Session::RelayFrom(Side side) {
  Leg& from = side == Side::kFront ? front_ : back_;
  const Leg& to = side == Side::kFront ? back_ : front_;
  if (front_.tls_pending() || from.state() != LegState::kOpen) {
    return Moved::kNothing;
  }
  // The client has heard nothing from this address yet: another one may do better.
  if (side == Side::kBack && !greeted_ && from.input_ended() && from.input().empty() &&
      BackendHasAlternative()) {
    back_.ShutDown(host_->io());
    const bool identified = listener_->upstream->identity != BackendIdentity::kNone;
    (void)TryNextBackend(identified ? CloseReason::kBackendIdentity : CloseReason::kBackendEof, 0);
    return Moved::kNothing;
  }
  if (side == Side::kBack && !greeted_ && !from.input().empty() && BackendHasAlternative() &&
      GreetingIsForeign(from.input().Front())) {
    back_.ShutDown(host_->io());
    (void)TryNextBackend(CloseReason::kBackendProtocol, 0);
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
    const Step step =
        relay_.Next(side, {.readable = readable, .total = input.size(), .eof = from.input_ended()});
    if (step.kind == StepKind::kBlocked) {
      return moved;
    }
    if (step.kind == StepKind::kNeedInput) {
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
    if (side == Side::kBack && !greeted_ && step.octets > 0) {
      greeted_ = true;
      if (!readable.starts_with("220")) {
        listener_->health->Suspected(address_index_, host_->io().Now());
      } else if (listener_->health->Succeeded(address_index_)) {
        host_->BackendRecovered(*listener_->upstream, backend());
      }
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
    case StepKind::kClose: {
      // Without a word since it was told who is calling, the backend has refused to hear it.
      const bool identity_refused = step.reason == CloseReason::kBackendReset && !greeted_ &&
                                    listener_->upstream->identity != BackendIdentity::kNone;
      if (!step.text.empty() && front_.output().Append(step.text) != Room::kOk) {
        Close(CloseReason::kOutOfResources, Farewell::kSilent);
        return;
      }
      Close(identity_refused ? CloseReason::kBackendIdentity : step.reason, Farewell::kSilent);
      break;
    }
    case StepKind::kNeedInput:
    case StepKind::kBlocked:
      break;
  }
}

void Session::SealAndArm() {
  if (!front_.tls_pending() && HasBlocks() && front_.SealRecords() == TlsOutcome::kFailed) {
    TlsFailed(TlsOutcome::kFailed);
    return;
  }
  Io& io = host_->io();
  ArmSend(front_);
  ArmSend(back_);
  // A ClientHello in many records needs more room than it has octets.
  front_.ArmRecv(io, IsTight() && !front_.tls_pending() ? kTightOctets : Leg::kInputMax);
  back_.ArmRecv(io);
}

void Session::ArmSend(Leg& leg) {
  if (!leg.sending()) {
    leg.ArmSend(host_->io());
    moved_ = leg.sending() ? host_->io().Now() : moved_;
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
  if (config().starttls_backend == StarttlsBackend::kReconnect || relay_.authenticated()) {
    RetireBackend();
  }
}

void Session::TlsComplete() {
  tls_established_ = true;
  tls_facts_ = front_.tls()->facts();
  sni_ = front_.tls()->sni();
  if (policy_ != nullptr) {
    policy_->TlsEstablished(front_.tls()->TakeClientCertificate());
  }
  if (back_.state() == LegState::kOpen) {
    relay_.TlsEstablished(BackendAfterTls::kSame);
    Register();
    return;
  }
  relay_.TlsEstablished(listener_->listener->implicit_tls ? BackendAfterTls::kSame
                                                          : BackendAfterTls::kReconnected);
  greeted_ = false;
  back_.ShutDown(host_->io());  // it had the time of a handshake to say goodbye
  StartBackend();
}

void Session::TlsFailed(TlsOutcome outcome) {
  detail_ = front_.tls()->error();
  const CloseReason reason = outcome == TlsOutcome::kFlood ? CloseReason::kTlsFlood
                             : tls_established_            ? CloseReason::kTlsProtocol
                                                           : CloseReason::kTlsHandshake;
  Close(reason, Farewell::kSilent);
}

void Session::StartBackend() {
  addresses_tried_ = 0;
  address_index_ = listener_->health->Pick(addresses_tried_).value_or(0);
  ConnectBackend();
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
    host_->BackendFailed(*listener_->upstream, endpoint, CloseReason::kOutOfResources, -fd);
    Close(CloseReason::kOutOfResources, Farewell::kSay);
    return;
  }
  back_.Connect(host_->io(), fd, &endpoint.address.any, endpoint.length);
  wait_ = Wait::kNothing;  // this address has its own time, whatever the last one took
}

// While no socket to a backend is open, so that none of those that are accepted takes the
// descriptor that this session will need.
void Session::HoldBackendSocket() {
  const int family = listener_->FirstFamily();
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
  return listener_->health->Pick(addresses_tried_ | std::uint64_t{1} << address_index_).has_value();
}

// The address at hand is of no use, and its leg is ending. False: all were tried.
bool Session::TryNextBackend(CloseReason reason, int error) {
  (void)listener_->health->Failed(address_index_, host_->io().Now());
  host_->BackendFailed(*listener_->upstream, backend(), reason, error);
  addresses_tried_ |= std::uint64_t{1} << address_index_;
  const std::optional<std::size_t> next = listener_->health->Pick(addresses_tried_);
  if (!next.has_value()) {
    return false;
  }
  address_index_ = *next;
  ConnectBackend();
  return true;
}

void Session::RetireBackend() {
  if (back_.output().Append("QUIT\r\n") == Room::kOk) {
    back_.Retire();
  } else {
    back_.ShutDown(host_->io());
  }
}

void Session::SendIdentity() {
  const BackendIdentity identity = listener_->upstream->identity;
  if (identity == BackendIdentity::kNone || identity == BackendIdentity::kXclient) {
    return;
  }
  std::array<char, kProxyHeaderMax> header;
  std::size_t length = 0;
  if (identity == BackendIdentity::kProxyV1) {
    length = WriteProxyV1(header, &client_.any, &server_.any);
  } else {
    const ProxyTlsFacts facts{
        .version = tls_facts_.version,
        .cipher = tls_facts_.suite,
        .sni = sni_,
        .client_common_name = certificate() != nullptr
                                  ? std::string_view(certificate()->common_name)
                                  : std::string_view(),
        .key_exchange_group = tls_facts_.group,
        .client_certificate = certificate() != nullptr,
        .verified = policy_ != nullptr && policy_->verified()};
    length = WriteProxyV2(header, &client_.any, &server_.any, tls_established_ ? &facts : nullptr);
  }
  // One write before any other octet: the relay is silent until the greeting (PROTOCOL 37).
  if (back_.output().Append({header.data(), length}) != Room::kOk) {
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
                .verified = policy_ != nullptr ? policy_->verified_name() : std::string()},
      .mail = {},
      .config = runtime_->config,
      .partners = listener_->partners,
      .keep = runtime_->partners};
  registered_verified_ = policy_ != nullptr && policy_->verified();
  registry->Put(RegistryKey(), user_data_, std::move(session));
}

void Session::PolicyNotMet(const PolicyDecision& decision, std::string_view sender_domain) {
  host_->PolicyNotMet(*this, decision, sender_domain);
}

void Session::MailAllowed(const PolicyDecisions& decisions) {
  partners_.clear();
  SessionRegistry* const registry = host_->registry();
  SessionMail mail;
  for (std::size_t i = 0; i < decisions.count; ++i) {
    const PolicyDecision& decision = decisions.all[i];
    if (decision.partner == nullptr) {
      continue;
    }
    if (registry != nullptr) {
      mail.judged.push_back(listener_->partners->IndexOf(*decision.partner));
    }
    if (decision.fault == PolicyFault::kNone) {
      partners_.append(partners_.empty() ? "" : ",").append(decision.partner->name);
    }
  }
  if (registry != nullptr) {
    mail.partners = partners_;
    if (policy_->verified() && !registered_verified_) {
      Register();  // a partner's rule knows the client, the route's does not
    }
    registry->SetMail(RegistryKey(), user_data_, std::move(mail));
  }
}

void Session::Close(CloseReason reason, Farewell farewell) {
  if (!running()) {
    return;
  }
  close_reason_ = reason;
  phase_ = Phase::kFlushing;
  back_.ShutDown(host_->io());
  ReleaseBackendSocket();
  host_->wheel().Set(timer, host_->io().Now() + kFlushTimeout);
  host_->MakeReady(*this);
  // What may need memory comes last: without it the session ends all the same.
  if (reason == CloseReason::kBackendIdentity || reason == CloseReason::kBackendProtocol ||
      reason == CloseReason::kBackendReset || reason == CloseReason::kBackendTimeout) {
    host_->BackendFailed(*listener_->upstream, backend(), reason, 0);
  }
  if (farewell == Farewell::kSay && !front_.tls_pending()) {
    const std::string_view text = relay_.Farewell(reason);
    if (!text.empty()) {
      (void)front_.output().Append(text);  // without a block there is no last word
    }
  }
}

void Session::PumpClosing() {
  Io& io = host_->io();
  if (phase_ == Phase::kFlushing) {
    if (!front_.tls_pending() && host_->pool().free_count(BlockSize::kLarge) >= kLargeNeeded) {
      if (front_.SealRecords() == TlsOutcome::kDone && front_.plain_sealed()) {
        front_.CloseNotify();
      }
    }
    ArmSend(front_);
    const bool flushed = front_.output_sent() && (front_.plain_sealed() || front_.tls_pending());
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

void Session::OnDeadline() {
  if (!running()) {
    phase_ = Phase::kJoining;
    host_->MakeReady(*this);
    return;
  }
  switch (wait_) {
    case Wait::kNothing:
      break;
    case Wait::kConnect:
      if (backend_wanted_) {  // no descriptor has come free
        Close(CloseReason::kOutOfResources, Farewell::kSay);
        break;
      }
      back_.ShutDown(host_->io());
      BackendConnectFailed(ETIMEDOUT);
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
          if (!greeted_ && BackendHasAlternative()) {
            back_.ShutDown(host_->io());
            (void)TryNextBackend(CloseReason::kBackendTimeout, 0);
            break;
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
  if (running() && (front_.tls_pending() || !greeted_ || relay_.idle())) {
    Close(CloseReason::kDrain, Farewell::kSay);
  }
}

void Session::Stop() {
  Close(CloseReason::kStop, Farewell::kSilent);
  phase_ = Phase::kJoining;
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
    phase_ = Phase::kJoining;  // nobody takes its last words
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

void Session::UpdateDeadline() {
  const Wait wait = front_.tls_pending()               ? Wait::kHandshake
                    : back_.state() != LegState::kOpen ? Wait::kConnect
                                                       : Wait::kRelay;
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
  const TimeNs deadline = wait == Wait::kHandshake ? handshake_deadline_
                          : wait == Wait::kConnect ? now + config().connect_timeout
                                                   : RelayDeadline();
  host_->wheel().Set(timer, deadline);
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
      return now + (!greeted_ && BackendHasAlternative() ? kGreetingBeforeNextAddress
                                                         : kBackendGreetingTimeout);
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
