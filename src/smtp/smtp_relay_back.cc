// SPDX-License-Identifier: GPL-3.0-or-later
//
// The back half of the relay: the backend's greeting, XCLIENT, and replies on their way to the
// client.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ringpost/identity/xclient.h"
#include "ringpost/smtp/smtp_relay.h"

namespace ringpost {
namespace {

constexpr Step kNeedInput{.kind = StepKind::kNeedInput};
constexpr Step kBlocked{.kind = StepKind::kBlocked};

constexpr std::string_view kNoop = "NOOP\r\n";

constexpr int kServiceReady = 220;
constexpr int kServiceBye = 221;
constexpr int kAuthSucceeded = 235;
constexpr int kOk = 250;
constexpr int kServiceClosing = 421;
constexpr int kAuthChallenge = 334;
constexpr int kStartContent = 354;
constexpr int kPermanent = 500;  // and above
constexpr int kNotRecognized = 500;
constexpr int kNotImplemented = 502;
constexpr int kBadSequence = 503;

bool Positive(const Reply& reply) { return reply.code < 300; }
bool Negative(const Reply& reply) { return reply.code >= 400; }

// Whether a reply of this code may answer such a command (RFC 5321 4.3.2, RFC 4954 4). One that may
// not belongs to something else, and then none of those that follow can be trusted: a positive
// reply never stands for another command. 4yz and 5yz fit everywhere, and of 2yz what servers make
// of it, but for the codes that have one meaning.
bool ReplyFits(const Reply& reply, PendingReply::From from) {
  if (Negative(reply)) return true;
  switch (reply.code) {
    case kServiceReady:
      return false;  // a greeting
    case kServiceBye:
      return from == PendingReply::From::kQuit;
    case kAuthSucceeded:
    case kAuthChallenge:
      return from == PendingReply::From::kAuth;
    case kStartContent:
      return from == PendingReply::From::kData;
    default:
      return Positive(reply) && from != PendingReply::From::kData;
  }
}

// Whether the first reply of a connection shows that the backend takes no identity, or waits for
// another one. What does not know PROXY answers the header with 500 or 502, and that is then taken
// for the reply to the first command; to these commands no backend that was proven says that. And
// Exim answers the EHLO of who did not send a header with 503.
bool DisownsIdentity(const Reply& reply, PendingReply::From from, bool proxy_header) {
  const bool hello = from == PendingReply::From::kHello || from == PendingReply::From::kOldHello;
  if (hello && reply.code == kBadSequence) return true;
  if (!proxy_header || (reply.code != kNotRecognized && reply.code != kNotImplemented)) {
    return false;
  }
  return hello || from == PendingReply::From::kMail || from == PendingReply::From::kReset ||
         from == PendingReply::From::kNoop || from == PendingReply::From::kQuit;
}

// What has come behind the reply to the last command that was sent; a 421 may.
enum class BehindLast : std::uint8_t { kNothing, kUnknown, kReply };
BehindLast CheckBehindLast(const RelayInput& input, std::size_t reply_octets) {
  constexpr std::string_view kMayFollow = "421";
  const std::string_view rest = input.readable.substr(reply_octets, kMayFollow.size());
  if (rest.size() < kMayFollow.size() && input.readable.size() < input.total) {
    return BehindLast::kUnknown;
  }
  return kMayFollow.starts_with(rest) ? BehindLast::kNothing : BehindLast::kReply;
}

}  // namespace

Step SmtpRelay::NextBack(const RelayInput& input) {
  // What the backend says during a handshake waits for its end, or went with the old connection.
  if (front_phase_ == FrontPhase::kHandshake) return kBlocked;
  if (input.total == 0) return input.eof ? EndOfBack() : kNeedInput;
  const Reply reply = ParseReply(input.readable);
  switch (reply.status) {
    case ReplyStatus::kMalformed:
      return Close(CloseReason::kBackendProtocol);  // PROTOCOL 10
    case ReplyStatus::kIncomplete:
      return input.eof && input.readable.size() == input.total ? EndOfBack() : kNeedInput;
    case ReplyStatus::kComplete:
      break;
  }
  const std::string_view text = input.readable.substr(0, reply.octets);
  // Until here each reply is to be exactly one: what comes behind it answers the PROXY header.
  if (back_phase_ != BackPhase::kReady && !Negative(reply) && input.total > reply.octets) {
    return Close(CloseReason::kBackendIdentity);
  }
  switch (back_phase_) {
    case BackPhase::kGreeting:
      return Greeting(text, reply);
    case BackPhase::kXclientHello:
      return XclientHello(text, reply);
    case BackPhase::kXclientCommand:
      if (reply.code != kServiceReady) return Close(CloseReason::kBackendIdentity);
      if (!xclient_commands_->empty()) return XclientSend(reply.octets);
      return GreetingEnd(reply);
    case BackPhase::kNoop:
      if (reply.code != kOk) return Close(CloseReason::kBackendIdentity);
      return NoopReply(reply);
    case BackPhase::kReady:
      break;
  }
  return RelayReply(text, reply, input);
}

Step SmtpRelay::EndOfBack() {
  if (back_phase_ == BackPhase::kXclientHello || back_phase_ == BackPhase::kXclientCommand ||
      back_phase_ == BackPhase::kNoop) {
    return Close(CloseReason::kBackendIdentity);
  }
  if (back_phase_ == BackPhase::kGreeting || in_content()) return Close(CloseReason::kBackendReset);
  if (pending_.empty()) return Close(CloseReason::kBackendEof);
  if (pending_.front().from == PendingReply::From::kQuit) {
    // It did what it was asked to do; the client still wants its reply.
    return CloseWith(CloseReason::kQuit, "221 2.0.0 " + options_->hostname + " Bye\r\n");
  }
  return Close(CloseReason::kBackendReset);
}

Step SmtpRelay::Greeting(std::string_view text, const Reply& reply) {
  if (reply.code == kServiceReady) {
    if (options_->prove_with_noop) {
      if (!greeted_) held_greeting_ = std::make_unique<std::string>(text);
      back_phase_ = BackPhase::kNoop;
      ++progress_;
      text_ = kNoop;
      return DropAndInject(Side::kBack, reply.octets, InjectDue::kBack);
    }
    if (!options_->xclient) return GreetingEnd(reply);
    back_phase_ = BackPhase::kXclientHello;
    ++progress_;
    text_ = "EHLO " + options_->hostname + "\r\n";
    return DropAndInject(Side::kBack, reply.octets, InjectDue::kBack);
  }
  // The client was greeted before its TLS handshake: to it, this is a session that breaks off.
  if (greeted_ && Negative(reply)) return Close(CloseReason::kBackendConnect);
  if (greeted_ || !Negative(reply)) return Close(CloseReason::kBackendProtocol);
  // It has not been told who calls, so nothing of this client may reach it, whatever it refuses.
  if (options_->xclient) return Close(CloseReason::kBackendIdentity);
  // RFC 5321 3.1: the refusal is the backend's to explain. After 421 nothing follows (PROTOCOL 22).
  // What refuses everybody need not take its identity, so that nothing may follow there either.
  if (reply.code == kServiceClosing || options_->prove_with_noop) {
    close_due_ = CloseReason::kBackend421;
  }
  replied_ = true;  // RFC 5321 3.1: 503 is what it has to say from now on
  ++stats_.backend_refusals;
  return GreetingEnd(reply);
}

Step SmtpRelay::GreetingEnd(const Reply& reply) {
  back_phase_ = BackPhase::kReady;
  xclient_commands_.reset();
  ++progress_;
  if (std::exchange(greeted_, true)) return Drop(Side::kBack, reply.octets);
  return Forward(Side::kBack, reply.octets);
}

Step SmtpRelay::NoopReply(const Reply& reply) {
  const std::unique_ptr<std::string> greeting = std::move(held_greeting_);
  const Step end = GreetingEnd(reply);
  if (greeting == nullptr) return end;  // the client was greeted before its TLS handshake
  text_ = std::move(*greeting);
  return DropAndInject(Side::kBack, reply.octets, InjectDue::kFront);
}

// DESIGN: if the backend cannot be told who is calling, the session must not go on as if it were
// local.
Step SmtpRelay::XclientHello(std::string_view text, const Reply& reply) {
  XclientAttributes attributes{};
  bool offered = false;
  if (Positive(reply)) {
    ReplyLines lines(text);
    std::string_view line;
    const bool more = lines.Next(&line);  // the first is a name, whatever it is
    while (more && lines.Next(&line))
      offered = ParseXclientAttributes(line, &attributes) || offered;
  }
  if (!offered) return Close(CloseReason::kBackendIdentity);
  auto commands = std::make_unique<std::vector<std::string>>(
      XclientCommands(attributes, facts_->address, facts_->port, facts_->destination_address,
                      facts_->destination_port));
  if (commands->empty()) return Close(CloseReason::kBackendIdentity);
  std::reverse(commands->begin(), commands->end());
  xclient_commands_ = std::move(commands);
  back_phase_ = BackPhase::kXclientCommand;
  return XclientSend(reply.octets);
}

Step SmtpRelay::XclientSend(std::size_t octets) {
  ++progress_;
  text_ = std::move(xclient_commands_->back());
  xclient_commands_->pop_back();
  return DropAndInject(Side::kBack, octets, InjectDue::kBack);
}

Step SmtpRelay::RelayReply(std::string_view text, const Reply& reply, const RelayInput& input) {
  if (reply.code == kServiceClosing) {
    close_due_ = CloseReason::kBackend421;  // PROTOCOL 22
    ++stats_.backend_refusals;
    return Forward(Side::kBack, reply.octets);
  }
  if (pending_.empty()) return UnaskedReply(reply);

  const PendingReply::From from = pending_.front().from;
  if (!ReplyFits(reply, from)) return Close(CloseReason::kBackendProtocol);
  if (!replied_ && DisownsIdentity(reply, from, options_->proxy_header)) {
    return Close(CloseReason::kBackendIdentity);
  }
  replied_ = true;
  if (front_phase_ == FrontPhase::kChunk && pending_.size() == 1) {
    // The reply to a chunk that is still on its way. It has to wait, unless the backend will not
    // read the rest; and then it cannot have accepted it.
    if (!input.eof) return kBlocked;
    if (!Negative(reply)) return Close(CloseReason::kBackendReset);
    close_due_ = CloseReason::kBackendReset;
    ++stats_.backend_refusals;
    return Forward(Side::kBack, reply.octets);
  }
  // RFC 5321 4.1.1.10: QUIT has no parameter, and a backend may say so. Then the session goes on.
  const bool quits = from == PendingReply::From::kQuit && Positive(reply);
  if (pending_.size() == 1 && !quits) {
    // With one reply more than commands nobody knows which of them is this command's.
    switch (CheckBehindLast(input, reply.octets)) {
      case BehindLast::kNothing:
        break;
      case BehindLast::kUnknown:
        return kNeedInput;
      case BehindLast::kReply:
        return Close(CloseReason::kBackendIdentity);
    }
  }
  if (from == PendingReply::From::kData && reply.code == kStartContent && front_total_ > 0) {
    // PROTOCOL 9: octets before the 354 are never content, and now they cannot be commands either.
    return RefuseContent(LocalReply::kContentBefore354);
  }

  if (Negative(reply)) ++stats_.backend_refusals;
  // Before PopReply(), which copies it to the front's view when nothing else is pending.
  switch (from) {
    case PendingReply::From::kMail:
      if (Positive(reply)) back_transaction_ = true;
      break;
    case PendingReply::From::kHello:
    case PendingReply::From::kOldHello:
    case PendingReply::From::kReset:
      if (Positive(reply)) back_transaction_ = false;
      break;
    case PendingReply::From::kFinal:
    case PendingReply::From::kChunkLast:
      back_transaction_ = false;  // whatever the code is (RFC 5321 4.1.1.4)
      if (Positive(reply)) ++stats_.messages_accepted;
      break;
    default:
      break;
  }
  PopReply();

  switch (from) {
    case PendingReply::From::kHello:
    case PendingReply::From::kOldHello:
      return HelloReply(from, text, reply);
    case PendingReply::From::kData:
      if (reply.code == kStartContent) {
        front_phase_ = FrontPhase::kContent;
        framer_.Start();
      }
      break;
    case PendingReply::From::kAuth:
      if (reply.code == kAuthChallenge) front_phase_ = FrontPhase::kAuthResponse;
      if (Positive(reply)) authenticated_ = true;
      break;
    case PendingReply::From::kQuit:
      if (quits) close_due_ = CloseReason::kQuit;
      break;
    default:
      break;
  }
  return Forward(Side::kBack, reply.octets);
}

// RFC 5321 3.8: only a 421 may come without a command. A server that ends an idle session with
// another 4yz, or has heard enough of the content, breaks a rule; anything else means that commands
// and replies have parted.
Step SmtpRelay::UnaskedReply(const Reply& reply) {
  const bool is_farewell = in_content() || (Negative(reply) && reply.code < kPermanent);
  return Close(is_farewell ? CloseReason::kBackendProtocol : CloseReason::kBackendIdentity);
}

Step SmtpRelay::HelloReply(PendingReply::From from, std::string_view text, const Reply& reply) {
  if (!Positive(reply)) return Forward(Side::kBack, reply.octets);
  hello_needed_ = false;
  bdat_used_ = false;
  if (from == PendingReply::From::kOldHello) {
    capabilities_ = Capabilities{};
    return Forward(Side::kBack, reply.octets);
  }
  // PROTOCOL 14.
  const bool starttls =
      options_->starttls_offered && options_->tls_policy != TlsPolicy::kNone && !tls_;
  FilterEhloReply(text, starttls ? OfferStarttls::kYes : OfferStarttls::kNo,
                  MayAuthenticate() ? OfferAuth::kYes : OfferAuth::kNo, &capabilities_, &text_);
  if (text_.size() > kReplyOctetsMax) return Close(CloseReason::kBackendProtocol);
  return DropAndInject(Side::kBack, reply.octets, InjectDue::kFront);
}

}  // namespace ringpost
