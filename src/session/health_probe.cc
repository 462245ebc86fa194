// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/health_probe.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "ringpost/base/check.h"
#include "ringpost/identity/proxy_header.h"
#include "ringpost/smtp/reply.h"

namespace ringpost {
namespace {

// More than any banner that an administrator wrote. The blocks it takes are the sessions'.
constexpr std::size_t kGreetingOctetsMax = 8 * 1024;
constexpr std::ptrdiff_t kGreetingLinesMax = 16;

// How long a backend that is up may take to answer QUIT and close.
constexpr TimeNs kQuitTimeout = 5 * kNsPerSecond;
// Without blocks nothing can be sent or received; sessions give theirs back quickly.
constexpr TimeNs kBlocksRetry = 50 * kNsPerMs;

enum class Greeting : std::uint8_t { kIncomplete, kReady, kImproper };

Greeting ReadGreeting(std::string_view readable) {
  const Reply reply = ParseReply(readable);
  if (reply.status == ReplyStatus::kMalformed) {
    return Greeting::kImproper;
  }
  const std::string_view text =
      reply.status == ReplyStatus::kComplete ? readable.substr(0, reply.octets) : readable;
  if (text.size() > kGreetingOctetsMax ||
      std::count(text.begin(), text.end(), '\n') > kGreetingLinesMax) {
    return Greeting::kImproper;
  }
  if (reply.status == ReplyStatus::kIncomplete) {
    return Greeting::kIncomplete;
  }
  // RFC 5321 3.1: 220 or 554; anything else is not ready either.
  return reply.code == 220 ? Greeting::kReady : Greeting::kImproper;
}

}  // namespace

HealthProbe::HealthProbe(Io* io, BufferPool* pool, const UpstreamConfig* upstream,
                         std::uint64_t user_data)
    : io_(io), pool_(pool), upstream_(upstream), leg_(pool, user_data) {}

HealthProbe::~HealthProbe() { RINGPOST_CHECK(idle()); }

void HealthProbe::Start(std::size_t address, TimeNs deadline) {
  RINGPOST_CHECK(idle());
  address_ = address;
  error_ = 0;
  result_ = Result::kNone;
  const Endpoint& endpoint = upstream_->addresses[address];
  const int fd = io_->OpenSocket(endpoint.address.any.sa_family);
  if (fd < 0) {
    result_ = Result::kDown;
    error_ = -fd;
    deadline_ = io_->Now();  // nothing else would wake whoever takes the result
    return;
  }
  phase_ = Phase::kGreeting;
  give_up_ = deadline_ = deadline;
  identity_due_ = upstream_->sends_proxy_header();
  leg_.Connect(*io_, fd, &endpoint.address.any, endpoint.length, upstream_->connect_hint());
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
      if (!leg_.OnConnect(*io_, completion) && leg_.connect_error() != 0) {
        Finish(Result::kDown, leg_.connect_error());
      }
      break;
  }
  Advance();
}

void HealthProbe::OnTime(TimeNs now) {
  if (deadline_ < 0 || now < deadline_) {
    return;
  }
  if (give_up_ >= 0 && now >= give_up_) {
    if (phase_ == Phase::kGreeting) {
      Finish(Result::kDown, leg_.state() == LegState::kConnecting ? ETIMEDOUT : 0);
    } else {
      End();
    }
  }
  deadline_ = give_up_;
  Advance();
}

void HealthProbe::Stop() {
  result_ = Result::kNone;
  End();
  Advance();
}

HealthProbe::Result HealthProbe::TakeResult() { return std::exchange(result_, Result::kNone); }

void HealthProbe::Advance() {
  if (phase_ == Phase::kGreeting && leg_.state() == LegState::kOpen) {
    AdvanceGreeting();
  }
  if (phase_ == Phase::kQuitting || phase_ == Phase::kLeaving) {
    AdvanceQuit();
  }
  if (phase_ == Phase::kEnding && leg_.TryFinish(*io_)) {
    phase_ = Phase::kIdle;
  }
}

void HealthProbe::AdvanceGreeting() {
  if (identity_due_ && TellIdentity() != Room::kOk) {
    WaitForBlocks();
    return;
  }
  ByteQueue& input = leg_.input();
  if (input.Linearize(std::min(input.size(), kGreetingOctetsMax + 1)) != Room::kOk) {
    WaitForBlocks();
    return;
  }
  switch (ReadGreeting(input.Front())) {
    case Greeting::kReady:
      result_ = Result::kUp;
      Quit();
      return;
    case Greeting::kImproper:
      Finish(Result::kDown, 0);
      return;
    case Greeting::kIncomplete:
      break;
  }
  if (leg_.ended() || leg_.failed()) {
    Finish(Result::kDown, 0);
    return;
  }
  leg_.ArmSend(*io_);
  leg_.ArmRecv(*io_);
}

// One write before any other octet (PROTOCOL 37), and nothing before the greeting but this.
Room HealthProbe::TellIdentity() {
  std::array<char, kProxyHeaderMax> header;
  std::size_t length = 0;
  if (upstream_->identity == BackendIdentity::kProxyV1) {
    // Without addresses there is nothing to tell: "PROXY UNKNOWN".
    length = WriteProxyV1(header, nullptr, nullptr);
  } else {
    length = WriteProxyV2Local(header);
  }
  const Room room = leg_.output().Append({header.data(), length});
  identity_due_ = room != Room::kOk;
  return room;
}

void HealthProbe::AdvanceQuit() {
  if (leg_.ended() || leg_.failed()) {
    End();
    return;
  }
  leg_.ArmSend(*io_);
  if (phase_ == Phase::kQuitting && leg_.output_sent()) {
    leg_.FinishSending(*io_);
    phase_ = Phase::kLeaving;
  }
  leg_.ArmRecv(*io_);
}

void HealthProbe::Quit() {
  if (leg_.failed() || leg_.output().Append("QUIT\r\n") != Room::kOk) {
    End();
    return;
  }
  leg_.Retire();
  leg_.input().Clear();
  phase_ = Phase::kQuitting;
  give_up_ = deadline_ = io_->Now() + kQuitTimeout;
}

void HealthProbe::Finish(Result result, int error) {
  result_ = result;
  error_ = error;
  End();
}

void HealthProbe::End() {
  leg_.ShutDown(*io_);
  if (phase_ != Phase::kIdle) {
    phase_ = Phase::kEnding;
  }
  give_up_ = deadline_ = -1;
}

void HealthProbe::WaitForBlocks() {
  if (give_up_ >= 0) {
    deadline_ = std::min(give_up_, io_->Now() + kBlocksRetry);
  }
}

}  // namespace ringpost
