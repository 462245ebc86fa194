// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/health_probe.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "ringpost/base/check.h"
#include "ringpost/identity/proxy_header.h"
#include "ringpost/identity/xclient.h"

namespace ringpost {
namespace {

// How long a backend that is up may take to answer QUIT and close.
constexpr TimeNs kQuitTimeout = 5 * kNsPerSecond;
// Without blocks nothing can be sent or received; sessions give theirs back quickly.
constexpr TimeNs kBlocksRetry = 50 * kNsPerMs;

// What it says of itself where something must be said.
constexpr std::string_view kOwnAddress = "127.0.0.1";
constexpr std::uint16_t kOwnPort = 25;

constexpr int kServiceReady = 220;
constexpr int kServiceBye = 221;
constexpr int kOk = 250;
constexpr int kNegative = 400;   // and above
constexpr int kPermanent = 500;  // and above
constexpr int kPositiveEnd = 300;

bool Refutes(ProbeFault fault) { return fault >= ProbeFault::kGreetsUntold; }

sockaddr_in OwnAddress() {
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_port = htons(kOwnPort);
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return own;
}

}  // namespace

HealthProbe::HealthProbe(Io* io, BufferPool* pool, const UpstreamConfig* upstream,
                         std::string_view hostname, SecondHello second_hello,
                         std::uint64_t user_data)
    : io_(io),
      pool_(pool),
      upstream_(upstream),
      hostname_(hostname),
      second_hello_(second_hello),
      leg_(pool, user_data) {}

HealthProbe::~HealthProbe() { RINGPOST_CHECK(idle()); }

void HealthProbe::Start(std::size_t address, std::size_t header_octets, TimeNs deadline) {
  RINGPOST_CHECK(idle());
  address_ = address;
  header_octets_ = std::min(header_octets, kProxyHeaderMax);
  result_ = {};
  notice_ = refuses_second_hello_ = false;
  notice_at_ = -1;
  unsent_.clear();
  greeting_.clear();
  xclient_commands_.clear();
  const Endpoint& endpoint = upstream_->addresses[address];
  const int fd = endpoint.known() ? io_->OpenSocket(endpoint.address.any.sa_family) : -1;
  if (fd < 0) {
    result_.kind = ProbeResult::Kind::kFailed;
    result_.fault = endpoint.known() ? ProbeFault::kNoSocket : ProbeFault::kNoAddress;
    result_.error = -fd;
    deadline_ = io_->Now();  // nothing else would wake whoever takes the result
    return;
  }
  phase_ = Phase::kConnecting;
  give_up_ = deadline_ = deadline;
  leg_.Connect(*io_, fd, &endpoint.address.any, endpoint.length, ConnectHint::kAtOnce);
}

void HealthProbe::OnCompletion(OperationKind kind, const Completion& completion) {
  switch (kind) {
    case OperationKind::kRecv:
      leg_.OnRecv(*io_, *pool_, completion, /*greedy=*/false);
      if (leg_.starved() && phase_ != Phase::kEnding) {
        WaitForBlocks();  // armed again at once it would be refused again
        return;
      }
      break;
    case OperationKind::kSend:
      leg_.OnSend(completion);
      break;
    case OperationKind::kConnect:
      if (leg_.OnConnect(*io_, completion)) {
        if (phase_ == Phase::kConnecting) {
          Connected();
        }
      } else if (leg_.connect_error() != 0) {
        Fail(ProbeFault::kConnect, leg_.connect_error());
      }
      break;
  }
  Advance();
}

void HealthProbe::OnTime(TimeNs now) {
  if (deadline_ < 0 || now < deadline_) {
    return;
  }
  if (notice_at_ >= 0 && now >= notice_at_) {
    notice_ = true;
    notice_at_ = -1;
  }
  if (give_up_ >= 0 && now >= give_up_) {
    if (phase_ == Phase::kConnecting) {
      Fail(ProbeFault::kConnect, ETIMEDOUT);
    } else if (phase_ == Phase::kSilence) {
      TellIdentity();
    } else if (phase_ == Phase::kQuit) {
      Prove();
    } else if (IsAsking()) {
      Fail(ProbeFault::kSilent);
    } else {
      End();
    }
  }
  deadline_ = notice_at_ >= 0 ? std::min(notice_at_, give_up_) : give_up_;
  Advance();
}

void HealthProbe::Stop() {
  result_ = {};
  notice_ = false;
  End();
  Advance();
}

ProbeResult HealthProbe::TakeResult() { return std::exchange(result_, {}); }
bool HealthProbe::TakeNotice() { return std::exchange(notice_, false); }

void HealthProbe::Advance() {
  if (IsAsking() && leg_.state() == LegState::kOpen) {
    AdvanceAsking();
  }
  if (phase_ == Phase::kLeaving) {
    AdvanceLeaving();
  }
  if (phase_ == Phase::kEnding && leg_.TryFinish(*io_)) {
    phase_ = Phase::kIdle;
  }
}

void HealthProbe::Connected() {
  if (upstream_->sends_proxy_header()) {
    WaitFor(Phase::kSilence, kSilence);
  } else {
    WaitFor(Phase::kGreeting, kReplyTimeout);
    notice_at_ = deadline_ = io_->Now() + kSlowGreeting;
  }
}

// One write before any other octet (PROTOCOL 37), and nothing before the greeting but this.
void HealthProbe::TellIdentity() {
  std::array<char, kProxyHeaderMax> header;
  std::size_t length = 0;
  if (upstream_->identity == BackendIdentity::kProxyV1) {
    // Not "UNKNOWN": Postfix, Haraka and chasquid refuse that.
    const sockaddr_in own = OwnAddress();
    const auto* const address = reinterpret_cast<const sockaddr*>(&own);
    length = WriteProxyV1(header, address, address);
  } else {
    length = WriteProxyV2Local(header, header_octets_);
  }
  Ask({header.data(), length}, Phase::kGreeting);
  notice_at_ = deadline_ = io_->Now() + kSlowGreeting;
}

void HealthProbe::AdvanceAsking() {
  while (IsAsking()) {
    if (!unsent_.empty()) {
      if (leg_.output().Append(unsent_) != Room::kOk) {
        WaitForBlocks();
        return;
      }
      unsent_.clear();
    }
    ByteQueue& input = leg_.input();
    if (input.Linearize(std::min(input.size(), kReplyWholeMax)) != Room::kOk) {
      WaitForBlocks();
      return;
    }
    const std::string_view readable = input.Front();
    if (phase_ == Phase::kSilence && !readable.empty()) {
      Fail(ProbeFault::kGreetsUntold, 0, readable);
      return;
    }
    const Reply reply = ParseReply(readable);
    if (reply.status == ReplyStatus::kIncomplete) {
      break;
    }
    if (reply.status != ReplyStatus::kComplete) {
      const bool malformed = reply.status == ReplyStatus::kMalformed;
      Fail(ProbeFault::kNotSmtp, 0, readable.substr(malformed ? reply.octets : 0));
      return;
    }
    const std::string_view text = readable.substr(0, reply.octets);
    if (reply.code < kNegative && input.size() > reply.octets) {
      Fail(ProbeFault::kUnaskedReply, 0, readable.substr(reply.octets));
      return;
    }
    OnReply(text, reply);
    input.Clear();
  }
  if (!IsAsking()) {
    return;
  }
  if (leg_.ended() || leg_.failed()) {
    if (phase_ == Phase::kQuit) {
      Prove();
    } else {
      Fail(ProbeFault::kClosed);
    }
    return;
  }
  leg_.ArmSend(*io_);
  leg_.ArmRecv(*io_);
}

void HealthProbe::OnReply(std::string_view text, const Reply& reply) {
  const bool positive = reply.code < kPositiveEnd;
  // RFC 5321 4.2.1: "x0z", the syntax. A name that it does not like gets another code.
  const bool unknown = reply.code >= kPermanent && reply.code < kPermanent + 10;
  switch (phase_) {
    case Phase::kGreeting:
      notice_at_ = -1;
      greeting_ = QuotableLine(text);
      if (reply.code != kServiceReady) {
        // RFC 5321 3.1: a refusal. Anything else is no greeting.
        Fail(reply.code >= kNegative ? ProbeFault::kNotReady : ProbeFault::kNotSmtp, 0, text);
      } else if (upstream_->identity == BackendIdentity::kXclient) {
        AskHello(Phase::kXclientHello);
      } else if (upstream_->identity == BackendIdentity::kNone) {
        AskHello(Phase::kHello);
      } else {
        AskNoop();
      }
      break;
    case Phase::kXclientHello:
      OnXclientHello(text, reply);
      break;
    case Phase::kXclient:
      if (reply.code != kServiceReady) {
        Fail(ProbeFault::kXclientRefused, 0, text);
      } else if (!xclient_commands_.empty()) {
        NextXclientCommand();
      } else {
        AskNoop();
      }
      break;
    case Phase::kNoop:
      if (reply.code != kOk) {
        Fail(ProbeFault::kNoopRefused, 0, text);
      } else if (second_hello_ == SecondHello::kAsk) {
        AskHello(Phase::kHello);
      } else {
        AskQuit();
      }
      break;
    case Phase::kHello:
      if (positive && second_hello_ == SecondHello::kAsk) {
        AskHello(Phase::kSecondHello);
      } else if (unknown && upstream_->identity == BackendIdentity::kNone) {
        Ask("HELO " + std::string(hostname_) + "\r\n", Phase::kHelo);
      } else {
        AskQuit();
      }
      break;
    case Phase::kHelo:
      if (unknown) {
        Fail(ProbeFault::kHelloRefused, 0, text);
      } else {
        AskQuit();
      }
      break;
    case Phase::kSecondHello:
      refuses_second_hello_ = reply.code >= kPermanent;
      AskQuit();
      break;
    case Phase::kQuit:
      if (reply.code == kServiceBye || reply.code >= kNegative) {
        Prove();
      } else {
        Fail(ProbeFault::kUnaskedReply, 0, text);
      }
      break;
    default:
      RINGPOST_CHECK(false);
  }
}

void HealthProbe::OnXclientHello(std::string_view text, const Reply& reply) {
  XclientAttributes attributes{};
  bool offered = false;
  if (reply.code < kPositiveEnd) {
    ReplyLines lines(text);
    std::string_view line;
    const bool more = lines.Next(&line);  // the first is a name, whatever it is
    while (more && lines.Next(&line)) {
      offered = ParseXclientAttributes(line, &attributes) || offered;
    }
  }
  xclient_commands_ = XclientCommands(attributes, kOwnAddress, kOwnPort, kOwnAddress, kOwnPort);
  if (!offered || xclient_commands_.empty()) {
    Fail(ProbeFault::kNoXclient, 0, reply.code < kPositiveEnd ? std::string_view() : text);
    return;
  }
  std::reverse(xclient_commands_.begin(), xclient_commands_.end());
  NextXclientCommand();
}

void HealthProbe::NextXclientCommand() {
  Ask(xclient_commands_.back(), Phase::kXclient);
  xclient_commands_.pop_back();
}

void HealthProbe::AskNoop() { Ask("NOOP\r\n", Phase::kNoop); }

void HealthProbe::AskHello(Phase phase) { Ask("EHLO " + std::string(hostname_) + "\r\n", phase); }

void HealthProbe::AskQuit() {
  Ask("QUIT\r\n", Phase::kQuit);
  give_up_ = deadline_ = io_->Now() + kQuitTimeout;
}

void HealthProbe::Ask(std::string_view command, Phase phase) {
  unsent_ = command;
  WaitFor(phase, kReplyTimeout);
}

void HealthProbe::WaitFor(Phase phase, TimeNs timeout) {
  phase_ = phase;
  give_up_ = deadline_ = io_->Now() + timeout;
}

void HealthProbe::Prove() {
  result_.kind = ProbeResult::Kind::kProven;
  result_.header_octets = header_octets_;
  result_.asked_second_hello = second_hello_ == SecondHello::kAsk;
  result_.refuses_second_hello = refuses_second_hello_;
  result_.words = std::move(greeting_);
  Leave();
}

void HealthProbe::Leave() {
  if (!unsent_.empty() || !leg_.output_sent() || leg_.ended() || leg_.failed()) {
    End();
    return;
  }
  leg_.Retire();
  leg_.FinishSending(*io_);
  phase_ = Phase::kLeaving;
  give_up_ = deadline_ = io_->Now() + kQuitTimeout;
}

void HealthProbe::AdvanceLeaving() {
  if (leg_.ended() || leg_.failed()) {
    End();
    return;
  }
  leg_.ArmRecv(*io_);
}

void HealthProbe::Fail(ProbeFault fault, int error, std::string_view words) {
  result_.words = QuotableLine(words);
  result_.kind = Refutes(fault) ? ProbeResult::Kind::kRefuted : ProbeResult::Kind::kFailed;
  result_.fault = fault;
  result_.error = error;
  result_.header_octets = header_octets_;
  End();
}

void HealthProbe::End() {
  leg_.ShutDown(*io_);
  if (phase_ != Phase::kIdle) {
    phase_ = Phase::kEnding;
  }
  give_up_ = notice_at_ = deadline_ = -1;
}

void HealthProbe::WaitForBlocks() {
  if (give_up_ >= 0) {
    deadline_ = std::min(give_up_, io_->Now() + kBlocksRetry);
  }
}

}  // namespace ringpost
