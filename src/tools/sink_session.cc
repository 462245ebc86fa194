// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/sink_session.h"

#include <algorithm>

namespace ringpost {
namespace {

// A line without an end is discarded up to here, then the session ends.
constexpr std::size_t kLongLineMax = std::size_t{1} << 20;

}  // namespace

SinkSession::SinkSession(const SinkOptions* options, MessageStore* store, std::string_view peer,
                         std::uint16_t peer_port, std::string_view server,
                         std::uint16_t server_port)
    : options_(options), store_(store) {
  envelope_.client = peer;
  envelope_.client_port = peer_port;
  envelope_.server = server;
  envelope_.server_port = server_port;
}

SinkStep SinkSession::Start() {
  switch (options_->fault) {
    case SinkFault::kCloseAtConnect:
      return End({});
    case SinkFault::kResetAtConnect:
      return End({}, SinkEnd::kReset);
    case SinkFault::kNoGreeting:
      return End({}, SinkEnd::kStall);
    default:
      break;
  }
  if (options_->identity == SinkIdentity::kProxy) {
    state_ = State::kIdentity;
    return {};
  }
  return Greet();
}

SinkStep SinkSession::Greet() {
  state_ = State::kCommand;
  if (Fault(SinkFault::kGreeting421)) {
    return End("421 4.3.2 Service shutting down\r\n");
  }
  if (Fault(SinkFault::kGreeting554)) {
    refusing_ = true;
    return {.reply = "554 5.7.1 No service here\r\n"};
  }
  return {.reply = options_->greeting};
}

SinkStep SinkSession::Next(std::string_view readable) {
  if (readable.empty()) {
    return {};
  }
  switch (state_) {
    case State::kIdentity:
      return NextIdentity(readable);
    case State::kCommand:
    case State::kAuthPlain:
    case State::kAuthUser:
    case State::kAuthPassword:
      return NextLine(readable);
    case State::kData:
      return NextData(readable);
    case State::kChunk:
      return NextChunk(readable);
    case State::kLongLine:
      return NextLongLine(readable);
    case State::kEnded:
      break;
  }
  return {.consumed = readable.size()};
}

void SinkSession::Closed() {
  state_ = State::kEnded;
  ResetTransaction();
}

SinkStep SinkSession::End(std::string_view reply, SinkEnd end) {
  state_ = State::kEnded;
  ResetTransaction();
  return {.reply = reply, .end = end};
}

void SinkSession::ResetTransaction() {
  in_mail_ = false;
  utf8_mail_ = false;
  too_big_ = false;
  store_failed_ = false;
  envelope_.octets = 0;
  if (store_ != nullptr) {
    store_->Discard();
  }
}

// A positive reply about `subject`, both without CRLF.
SinkStep SinkSession::Accept(std::string_view reply, std::string_view subject) {
  reply_ = reply;
  if (options_->echo) {
    reply_.append(" ").append(options_->hostname).append(" ").append(subject);
  }
  reply_ += "\r\n";
  return {.reply = reply_};
}

SinkStep SinkSession::NextIdentity(std::string_view readable) {
  const ProxyHeader header = ParseProxyHeader(readable);
  if (header.result == ProxyParse::kNeedMore && readable.size() < kProxyReadMax) {
    return {};
  }
  if (header.result != ProxyParse::kComplete || Fault(SinkFault::kRefuseIdentity)) {
    // Whoever cannot say who the client is gets no reply: it may not even speak SMTP.
    SinkStep step = End({});
    step.consumed = readable.size();
    return step;
  }
  envelope_.identity = header.local ? "proxy-local" : header.version == 1 ? "proxy-v1" : "proxy-v2";
  if (!header.local) {
    envelope_.client = header.source.address;
    envelope_.client_port = header.source.port;
    envelope_.server = header.destination.address;
    envelope_.server_port = header.destination.port;
  }
  envelope_.tls = header.tls;
  envelope_.tls_version = header.tls_version;
  envelope_.tls_cipher = header.tls_cipher;
  envelope_.tls_group = header.tls_group;
  envelope_.tls_sni = header.authority;
  envelope_.tls_client_name = header.tls_common_name;
  envelope_.tls_client_verified = header.verified;
  SinkStep step = Greet();
  step.consumed = header.length;
  return step;
}

SinkStep SinkSession::NextLine(std::string_view readable) {
  const bool lenient = options_->line_end == LineEnd::kLenient;
  const std::size_t end = lenient ? readable.find('\n') : readable.find("\r\n");
  if (end > kLineMax) {  // or npos
    if (readable.size() < kLineMax) {
      return {};
    }
    state_ = State::kLongLine;
    long_line_octets_ = 0;
    return NextLongLine(readable);
  }
  std::string_view line = readable.substr(0, end);
  if (lenient && line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  SinkStep step;
  if (line.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
    state_ = State::kCommand;
    step = {.reply = "500 5.5.2 Bare CR, bare LF or NUL in a command\r\n"};
  } else if (state_ == State::kCommand) {
    step = OnCommand(line);
  } else {
    step = OnAuthLine(line);
  }
  step.consumed = end + (lenient ? 1 : 2);
  return step;
}

SinkStep SinkSession::NextLongLine(std::string_view readable) {
  const std::size_t end = readable.find("\r\n");
  if (end != std::string_view::npos) {
    state_ = State::kCommand;
    return {.consumed = end + 2, .reply = "500 5.5.2 Line too long\r\n"};
  }
  // A CR at the end may be the first half of the line's end.
  const std::size_t dropped = readable.size() - (readable.back() == '\r' ? 1 : 0);
  long_line_octets_ += dropped;
  if (long_line_octets_ > kLongLineMax) {
    SinkStep step = End("421 4.7.0 Line too long\r\n");
    step.consumed = readable.size();
    return step;
  }
  return {.consumed = dropped};
}

SinkStep SinkSession::NextData(std::string_view readable) {
  switch (options_->fault) {
    case SinkFault::kCloseInData:
      return End({});
    case SinkFault::kResetInData:
      return End({}, SinkEnd::kReset);
    case SinkFault::kStallInData:
      return End({}, SinkEnd::kStall);
    default:
      break;
  }
  std::size_t consumed = 0;
  while (consumed < readable.size()) {
    const ContentPiece piece = content_.Next(readable.substr(consumed));
    consumed += piece.consumed;
    AppendContent(piece.content);
    if (piece.end) {
      SinkStep step = FinishMessage();
      step.consumed = consumed;
      return step;
    }
  }
  return {.consumed = consumed};
}

SinkStep SinkSession::NextChunk(std::string_view readable) {
  const std::size_t taken = std::min<std::uint64_t>(chunk_left_, readable.size());
  if (chunk_refusal_.empty()) {
    AppendContent(readable.substr(0, taken));
  }
  chunk_left_ -= taken;
  if (chunk_left_ > 0) {
    return {.consumed = taken};
  }
  SinkStep step = FinishChunk();
  step.consumed = taken;
  return step;
}

SinkStep SinkSession::FinishChunk() {
  state_ = State::kCommand;
  // A chunk that was not taken ends the transaction (RFC 3030 2): no half of a message may be
  // accepted.
  if (!chunk_refusal_.empty()) {
    ResetTransaction();
    return {.reply = chunk_refusal_};
  }
  if (too_big_) {
    ResetTransaction();
    return {.reply = "552 5.3.4 Message too big\r\n"};
  }
  if (chunk_last_) {
    return FinishMessage();
  }
  return {.reply = "250 2.0.0 Chunk received\r\n"};
}

void SinkSession::AppendContent(std::string_view content) {
  envelope_.octets += content.size();
  too_big_ = too_big_ || (options_->size_max != 0 && envelope_.octets > options_->size_max);
  if (content.empty() || too_big_ || store_failed_ || store_ == nullptr) {
    return;
  }
  store_failed_ = !store_->Append(content);
}

SinkStep SinkSession::FinishMessage() {
  state_ = State::kCommand;
  switch (options_->fault) {
    case SinkFault::kCloseAfterDot:
      return End({});
    case SinkFault::kSilentAfterDot:
      return End({}, SinkEnd::kStall);
    case SinkFault::k421AtFinal:
      return End("421 4.3.2 Service shutting down\r\n");
    case SinkFault::kRejectFinal:
      ResetTransaction();
      return {.reply = "554 5.6.0 Message refused\r\n"};
    case SinkFault::kDeferFinal:
      ResetTransaction();
      return {.reply = "451 4.3.0 Try again later\r\n"};
    case SinkFault::kEarlyReply:  // it was sent with the 354
      ResetTransaction();
      return {};
    default:
      break;
  }
  if (too_big_) {
    ResetTransaction();
    return {.reply = "552 5.3.4 Message too big\r\n"};
  }
  if (store_failed_ || (store_ != nullptr && !store_->Commit(envelope_))) {
    ResetTransaction();
    return {.reply = "452 4.3.1 Cannot store the message\r\n"};
  }
  ++messages_;
  octets_ += envelope_.octets;
  in_mail_ = false;  // the envelope stays for whoever prints it
  utf8_mail_ = false;
  return Accept("250 2.0.0 Ok: message accepted",
                store_ == nullptr ? "" : std::to_string(store_->last_number()));
}

}  // namespace ringpost
