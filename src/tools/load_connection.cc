// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/load_connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "ringpost/tools/reply_reader.h"

namespace ringpost {
namespace {

// Enough for eight full blocks in one send, and as much again being prepared.
constexpr std::size_t kToSendMax = 128 * 1024;
constexpr std::size_t kPlainMax = 64 * 1024;
// How long the server may take for its FIN behind the 221.
constexpr TimeNs kCloseTime = kNsPerSecond;

constexpr std::string_view kStarttlsCommand = "STARTTLS\r\n";
constexpr std::string_view kQuitCommand = "QUIT\r\n";

}  // namespace

TimeNs ReadMonotonicClock() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return TimeNs{now.tv_sec} * kNsPerSecond + now.tv_nsec;
}

LoadConnection::LoadConnection(const LoadPlan* plan, std::uint32_t slot)
    : plan_(plan),
      slot_(slot),
      channel_(plan->io, plan->pool),
      plain_in_(plan->pool),
      plain_out_(plan->pool) {}

void LoadConnection::Start(int fd, TimeNs scheduled) {
  RINGPOST_CHECK(free());
  generation_ = (generation_ + 1) & 0xffffff;
  scheduled_ = scheduled;
  messages_left_ = plan_->messages;
  content_left_ = {};
  pipelining_ = false;
  peer_closed_ = false;
  channel_.Open(fd, slot_, generation_);
  channel_.Connect(&plan_->target.any, plan_->target_length);
  SetPhase(Phase::kConnect);
}

void LoadConnection::Handle(ToolOperation kind, const Completion& completion) {
  switch (channel_.Handle(kind, completion)) {
    case ChannelEvent::kConnected:
      if (plan_->tls == LoadTls::kImplicit) {
        StartTls();
      } else {
        SetPhase(Phase::kGreeting);
      }
      Pump();
      break;
    case ChannelEvent::kEof:
      Pump();
      if (phase_ == Phase::kEnd) {
        channel_.Close(Ending::kOrderly);
      } else if (phase_ == Phase::kHandshake) {
        Fail(LoadFailure::kTls, "connection closed by the server, without an alert");
      } else {
        Fail(LoadFailure::kClosed, "connection closed by the server");
      }
      break;
    case ChannelEvent::kFailed:
      OnChannelFailed();
      break;
    case ChannelEvent::kNoBlocks:
      starved_ = true;
      break;
    case ChannelEvent::kReceived:
    case ChannelEvent::kSent:
      Pump();
      break;
    case ChannelEvent::kNothing:
      break;
  }
}

void LoadConnection::TryFinish() {
  if (channel_.TryFinish()) {
    tls_.reset();
    plain_in_.Clear();
    plain_out_.Clear();
    starved_ = false;
    phase_ = Phase::kFree;
  }
}

void LoadConnection::OnChannelFailed() {
  if (phase_ == Phase::kEnd) {
    channel_.Close(
        Ending::kOrderly);  // the session was over; how the server closes is its business
    return;
  }
  const int error = channel_.error();
  const LoadFailure failure = error == EADDRNOTAVAIL      ? LoadFailure::kNoPort
                              : phase_ == Phase::kConnect ? LoadFailure::kConnect
                                                          : LoadFailure::kReset;
  Fail(failure, std::strerror(error));
}

void LoadConnection::Fail(LoadFailure failure, std::string_view detail) {
  if (phase_ == Phase::kFree || phase_ == Phase::kClosed) {
    return;
  }
  if (phase_ != Phase::kEnd) {
    plan_->stats->AddFailure(failure, detail);
    session_.reset();  // it may be what the server did not like
  }
  starved_ = false;
  SetPhase(Phase::kClosed);
  channel_.Close(Ending::kOrderly);
}

bool LoadConnection::CheckDeadline(TimeNs now) {
  if (phase_ == Phase::kFree || phase_ == Phase::kHold || phase_ == Phase::kClosed ||
      now < deadline_) {
    return false;
  }
  Fail(LoadFailure::kTimeout, "no progress");
  return true;
}

void LoadConnection::RetryStarved() {
  if (starved_) {
    starved_ = false;
    Pump();
  }
}

void LoadConnection::Quit() {
  RINGPOST_CHECK(phase_ == Phase::kHold);
  SendText(kQuitCommand, Phase::kQuit);
  Pump();
}

void LoadConnection::SetPhase(Phase phase) {
  phase_ = phase;
  deadline_ = ReadMonotonicClock() + (phase == Phase::kEnd ? kCloseTime : plan_->step_timeout);
}

bool LoadConnection::BlocksFree() {
  starved_ = plan_->pool->free_count(BlockSize::kLarge) < TlsEngine::kBlocksNeeded;
  return !starved_;
}

// Everything that can be done now, then whatever is needed to go on.
void LoadConnection::Pump() {
  for (bool fed = true; fed && channel_.to_send().size() < kToSendMax;) {
    if (phase_ == Phase::kClosed || (tls_ != nullptr && !BlocksFree())) {
      return;
    }
    if (!PumpTls() || !PumpReplies()) {
      break;
    }
    fed = FeedContent();
    if (phase_ != Phase::kHandshake && tls_ != nullptr && !plain_out_.empty() &&
        tls_->Write(plain_out_, channel_.to_send(), kToSendMax) != TlsOutcome::kDone) {
      Fail(LoadFailure::kTls, tls_->error());
      return;
    }
  }
  channel_.ArmSend();
  channel_.ArmReceive(RecvHint::kDataUnlikely);
}

bool LoadConnection::PumpTls() {
  if (tls_ == nullptr || peer_closed_) {
    return phase_ != Phase::kClosed;
  }
  ByteQueue& received = channel_.received();
  ByteQueue& to_send = channel_.to_send();
  if (phase_ == Phase::kHandshake) {
    const TlsOutcome outcome = tls_->Handshake(received, to_send);
    if (outcome == TlsOutcome::kNeedInput) {
      return true;
    }
    if (outcome != TlsOutcome::kDone) {
      Fail(LoadFailure::kTls, tls_->error());
      return false;
    }
    LoadStats& stats = *plan_->stats;
    const TlsFacts facts = tls_->facts();
    if (stats.recording) {
      stats.handshake.Add(ReadMonotonicClock() - handshake_start_);
      ++stats.handshakes;
      stats.resumed += facts.resumed ? 1 : 0;
    }
    if (stats.tls_version != facts.version || stats.tls_suite != facts.suite ||
        stats.tls_group != facts.group) {
      stats.tls_version = facts.version;
      stats.tls_suite = facts.suite;
      stats.tls_group = facts.group;
    }
    if (plan_->tls == LoadTls::kImplicit) {
      SetPhase(Phase::kGreeting);
    } else {
      SendText(plan_->ehlo, Phase::kEhlo);
    }
  }
  switch (tls_->Read(received, plain_in_, kPlainMax, to_send)) {
    case TlsOutcome::kDone:
    case TlsOutcome::kNeedInput:
      break;
    case TlsOutcome::kPeerClosed:
      peer_closed_ = true;
      break;
    case TlsOutcome::kFlood:
    case TlsOutcome::kFailed:
      Fail(LoadFailure::kTls, tls_->error());
      return false;
  }
  return true;
}

bool LoadConnection::PumpReplies() {
  while (phase_ != Phase::kHandshake && phase_ != Phase::kConnect && !input().empty()) {
    if (phase_ == Phase::kEnd || phase_ == Phase::kClosed) {
      input().Clear();
      return phase_ == Phase::kEnd;
    }
    const std::string_view readable = input().Front();
    const Reply reply = ReadReply(readable);
    if (reply.result == ReplyParse::kNeedMore) {
      if (readable.size() == input().size()) {
        break;
      }
      if (input().Linearize(std::min(input().size(), BufferPool::kLargeBytes)) != Room::kOk) {
        starved_ = true;
        break;
      }
      continue;
    }
    if (!Expect(reply.result == ReplyParse::kComplete, LoadFailure::kProtocol, readable)) {
      return false;
    }
    // `tls_` may be set by the reply: the octets belong to the queue they were found in.
    ByteQueue& queue = input();
    const bool goes_on = OnReply(reply.code, readable.substr(0, reply.length));
    if (phase_ == Phase::kClosed) {
      return false;
    }
    queue.Consume(reply.length);
    if (phase_ == Phase::kHandshake) {
      // RFC 3207 4: nothing may follow the 220 in clear (CVE-2021-38371).
      if (!Expect(queue.empty(), LoadFailure::kInjection, "octets behind the reply to STARTTLS")) {
        return false;
      }
      return PumpTls();  // makes the ClientHello
    }
    if (!goes_on) {
      return false;
    }
  }
  if (peer_closed_ && phase_ != Phase::kEnd) {
    Fail(LoadFailure::kClosed, "TLS closed by the server");
    return false;
  }
  return true;
}

bool LoadConnection::Expect(bool as_expected, LoadFailure failure, std::string_view text) {
  if (!as_expected) {
    Fail(failure, text);
  }
  return as_expected;
}

// One reply to what the phase has asked for; false if the connection must not go on.
bool LoadConnection::OnReply(int code, std::string_view text) {
  LoadStats& stats = *plan_->stats;
  switch (phase_) {
    case Phase::kGreeting:
      if (!Expect(code == 220, LoadFailure::kGreeting, text)) {
        return false;
      }
      if (stats.recording) {
        stats.greeting.Add(ReadMonotonicClock() - scheduled_);
      }
      SendText(plan_->ehlo, plan_->tls == LoadTls::kStarttls ? Phase::kEhloClear : Phase::kEhlo);
      return true;
    case Phase::kEhloClear:
      if (!Expect(code == 250, LoadFailure::kEhlo, text) ||
          !Expect(ReplyOffers(text, "STARTTLS"), LoadFailure::kStarttls, "STARTTLS not offered")) {
        return false;
      }
      SendText(kStarttlsCommand, Phase::kStarttls);
      return true;
    case Phase::kStarttls:
      if (!Expect(code == 220, LoadFailure::kStarttls, text)) {
        return false;
      }
      StartTls();
      return phase_ == Phase::kHandshake;
    case Phase::kEhlo:
      return Expect(code == 250, LoadFailure::kEhlo, text) && OnEhlo(text);
    case Phase::kMail:
      if (!Expect(code == 250, LoadFailure::kMail, text)) {
        return false;
      }
      if (pipelining_) {
        SetPhase(Phase::kRcpt);
      } else {
        SendText(plan_->rcpt, Phase::kRcpt);
      }
      return true;
    case Phase::kRcpt:
      if (!Expect(code == 250 || code == 251, LoadFailure::kMail, text)) {
        return false;
      }
      if (plan_->content == LoadContent::kBdat) {
        if (pipelining_) {
          SetPhase(Phase::kFinal);
        } else {
          SendText(plan_->content_command, Phase::kFinal);
          content_left_ = plan_->content_octets;
        }
      } else if (pipelining_) {
        SetPhase(Phase::kData);
      } else {
        SendText(plan_->content_command, Phase::kData);
      }
      return true;
    case Phase::kData:
      if (!Expect(code == 354, LoadFailure::kMail, text)) {
        return false;
      }
      content_left_ = plan_->content_octets;
      SetPhase(Phase::kFinal);
      return true;
    case Phase::kFinal:
      if (!Expect(code == 250, LoadFailure::kMessage, text) ||
          !Expect(content_left_.empty(), LoadFailure::kProtocol, "final reply before the end")) {
        return false;
      }
      if (stats.recording) {
        stats.message.Add(ReadMonotonicClock() - message_start_);
        ++stats.messages;
        stats.octets += plan_->mail_octets;
      }
      StartMessage();
      return true;
    case Phase::kQuit:
      if (!Expect(code == 221, LoadFailure::kProtocol, text)) {
        return false;
      }
      Finish();
      return true;
    default:
      // The server says something nobody asked for, for example 421 to an idle session.
      return Expect(false, code == 421 ? LoadFailure::kClosed : LoadFailure::kProtocol, text);
  }
}

bool LoadConnection::OnEhlo(std::string_view text) {
  LoadStats& stats = *plan_->stats;
  if (stats.recording) {
    stats.ready.Add(ReadMonotonicClock() - scheduled_);
  }
  pipelining_ = plan_->pipelining && ReplyOffers(text, "PIPELINING");
  if (!Expect(plan_->content != LoadContent::kBdat || ReplyOffers(text, "CHUNKING"),
              LoadFailure::kEhlo, "CHUNKING not offered")) {
    return false;
  }
  if (plan_->hold) {
    SetPhase(Phase::kHold);
    return true;
  }
  StartMessage();
  return true;
}

// The next message, or QUIT.
void LoadConnection::StartMessage() {
  if (messages_left_ == 0) {
    SendText(kQuitCommand, Phase::kQuit);
    return;
  }
  --messages_left_;
  message_start_ = ReadMonotonicClock();
  SendText(plan_->mail, Phase::kMail);
  if (pipelining_ && phase_ == Phase::kMail) {
    // RFC 2920 3.1: DATA is the last of its group; BDAT may be followed by its octets (RFC
    // 3030 4.2).
    SendText(plan_->rcpt, Phase::kMail);
    SendText(plan_->content_command, Phase::kMail);
    if (plan_->content == LoadContent::kBdat) {
      content_left_ = plan_->content_octets;
    }
  }
}

// Whether anything was moved to output().
bool LoadConnection::FeedContent() {
  bool fed = false;
  while (!content_left_.empty() && output().size() < kPlainMax) {
    const std::string_view part = content_left_.substr(0, BufferPool::kLargeBytes);
    if (output().Append(part) != Room::kOk) {
      starved_ = true;
      break;
    }
    fed = true;
    content_left_.remove_prefix(part.size());
    deadline_ = ReadMonotonicClock() + plan_->step_timeout;
  }
  return fed;
}

void LoadConnection::StartTls() {
  tls_ = TlsEngine::Client(plan_->tls_context, plan_->sni, session_.get());
  if (tls_ == nullptr && session_ != nullptr) {
    session_.reset();  // the ticket's lifetime is over
    tls_ = TlsEngine::Client(plan_->tls_context, plan_->sni, nullptr);
  }
  if (tls_ == nullptr) {
    Fail(LoadFailure::kTls, "no TLS engine");
    return;
  }
  handshake_start_ = ReadMonotonicClock();
  SetPhase(Phase::kHandshake);
}

// 221 received: the session has succeeded, whatever closing it brings.
void LoadConnection::Finish() {
  LoadStats& stats = *plan_->stats;
  if (stats.recording) {
    ++stats.connections;
  }
  SetPhase(Phase::kEnd);
  if (tls_ != nullptr) {
    if (plan_->resume) {
      // Without a new ticket the slot's old one goes on: a server that does not want it twice makes
      // a full handshake of it.
      if (std::unique_ptr<TlsSession> session = tls_->TakeSession(); session != nullptr) {
        session_ = std::move(session);
      }
    }
    tls_->CloseNotify(channel_.to_send());
  }
}

void LoadConnection::SendText(std::string_view text, Phase next) {
  if (output().Append(text) != Room::kOk) {
    Fail(LoadFailure::kNoPort, "out of buffers; raise --buffers");
    return;
  }
  SetPhase(next);
}

}  // namespace ringpost
