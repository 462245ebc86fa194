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
constexpr std::string_view kCrlf = "\r\n";

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
bool ReplyFits(int code, PendingReply::From from) {
  if (code >= 400) return true;
  switch (code) {
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
      return code < 300 && from != PendingReply::From::kData;
  }
}

bool IsHello(PendingReply::From from) {
  return from == PendingReply::From::kHello || from == PendingReply::From::kOldHello;
}

// Whether the first reply of a connection shows that the backend takes no identity, or waits for
// another one. What does not know PROXY answers the header with 500 or 502, and that is then taken
// for the reply to the first command; to these commands no backend that was proven says that. And
// Exim answers the EHLO of who did not send a header with 503.
bool DisownsIdentity(const Reply& reply, PendingReply::From from, bool proxy_header) {
  const bool hello = IsHello(from);
  if (hello && reply.code == kBadSequence) return true;
  if (!proxy_header || (reply.code != kNotRecognized && reply.code != kNotImplemented)) {
    return false;
  }
  return hello || from == PendingReply::From::kMail || from == PendingReply::From::kReset ||
         from == PendingReply::From::kNoop || from == PendingReply::From::kQuit;
}

// RFC 5321 4.1.1.10: QUIT has no parameter, and a backend may say so. Then the session goes on.
bool Quits(PendingReply::From from, int code) {
  return from == PendingReply::From::kQuit && code < 300;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// What has come behind the reply to the last command that was sent; a 421 may.
enum class BehindLast : std::uint8_t { kNothing, kUnknown, kReply };
BehindLast CheckBehindLast(const RelayInput& input, std::size_t reply_octets,
                           PendingReply::From from) {
  constexpr std::string_view kMayFollow = "421";
  constexpr std::string_view kClasses = "2345";
  const std::string_view rest = input.readable.substr(reply_octets, kMayFollow.size());
  if (rest.size() < kMayFollow.size() && input.readable.size() < input.total) {
    return BehindLast::kUnknown;
  }
  // What has no code answers nothing. It ends the session, but the message is stored all the same.
  if (AnswersContent(from) && !rest.empty() &&
      (kClasses.find(rest.front()) == std::string_view::npos ||
       !std::all_of(rest.begin(), rest.end(), IsDigit))) {
    return BehindLast::kNothing;
  }
  return kMayFollow.starts_with(rest) ? BehindLast::kNothing : BehindLast::kReply;
}

}  // namespace

Step SmtpRelay::NextBack(const RelayInput& input) {
  // What the backend says during a handshake waits for its end, or went with the old connection.
  if (front_phase_ == FrontPhase::kHandshake || lacks_backend() || opens_backend()) return kBlocked;
  if (input.total == 0) return input.eof ? EndOfBack(input) : kNeedInput;
  if (long_reply_.active()) return RelayLongReply(input);
  const Reply reply = ParseReply(input.readable);
  switch (reply.status) {
    case ReplyStatus::kMalformed:
      return BadReply(input, reply.fault, reply.octets);  // PROTOCOL 10
    case ReplyStatus::kIncomplete:
      if (input.eof && input.readable.size() == input.total) return EndOfBack(input);
      accepting_code_ = static_cast<std::uint16_t>(Accepts(input.readable) ? reply.code : 0);
      return kNeedInput;
    case ReplyStatus::kLong:
      // Only what a client has asked for may be so long, and what it has to read as a whole may
      // not.
      if (back_phase_ != BackPhase::kReady || (!Positive(reply) && !Negative(reply))) {
        return BadReply(input, ReplyFault::kTooLong, 0);
      }
      break;
    case ReplyStatus::kComplete:
      break;
  }
  accepting_code_ = 0;
  // Its lines; of one without an end its front.
  const std::string_view text =
      input.readable.substr(0, reply.octets > 0 ? reply.octets : kReplyLineMax);
  // Until here each reply is to be exactly one: what comes behind it answers the PROXY header.
  if (back_phase_ != BackPhase::kReady && !Negative(reply) && input.total > reply.octets) {
    return Close(CloseReason::kBackendIdentity);
  }
  switch (back_phase_) {
    case BackPhase::kGreeting:
      return Greeting(input, text, reply);
    case BackPhase::kXclientHello:
      return XclientHello(text, reply);
    case BackPhase::kXclientCommand:
      if (reply.code != kServiceReady) return Close(CloseReason::kBackendIdentity);
      if (!xclient_commands_->empty()) return XclientSend(reply.octets);
      return GreetingEnd(text, reply);
    case BackPhase::kNoop:
      if (reply.code != kOk) return Close(CloseReason::kBackendIdentity);
      return NoopReply(text, reply);
    case BackPhase::kReady:
    case BackPhase::kAbsent:
    case BackPhase::kOpening:
    case BackPhase::kUnusable:
      break;
  }
  return RelayReply(text, reply, input);
}

Step SmtpRelay::EndOfBack(const RelayInput& input) {
  if (back_phase_ == BackPhase::kXclientHello || back_phase_ == BackPhase::kXclientCommand ||
      back_phase_ == BackPhase::kNoop) {
    return Close(CloseReason::kBackendIdentity);
  }
  if (back_phase_ == BackPhase::kGreeting || in_content()) return Close(CloseReason::kBackendReset);
  if (pending_.empty()) return Close(CloseReason::kBackendEof);
  if (pending_.front().from == PendingReply::From::kQuit) {
    // It did what it was asked to do; the client still wants its reply.
    if (long_reply_.active()) return Close(CloseReason::kQuit);
    return CloseWith(CloseReason::kQuit, "221 2.0.0 " + options_->hostname + " Bye\r\n");
  }
  if (input.total > 0 || long_reply_.active()) reply_fault_ = ReplyFault::kCutShort;
  return CloseBehind(CloseReason::kBackendReset, AcceptedText(input.readable));
}

Step SmtpRelay::BadReply(const RelayInput& input, ReplyFault fault, std::size_t at) {
  reply_fault_ = fault;
  Step step = CloseBehind(CloseReason::kBackendProtocol, AcceptedText(input.readable));
  step.octets = at;
  return step;
}

// Whether what the backend has begun to say means that it has stored the message. The code at its
// front is its answer, whatever becomes of the rest: a sender that is told something else sends the
// message again, for ever where the same fault comes again.
bool SmtpRelay::Accepts(std::string_view begun) const {
  constexpr std::size_t kCodeDigits = 3;
  if (back_phase_ != BackPhase::kReady || long_reply_.active() || pending_.empty()) return false;
  const PendingReply::From from = pending_.front().from;
  // It cannot have stored what it did not get.
  if (!AnswersContent(from) || (front_phase_ == FrontPhase::kChunk && pending_.size() == 1)) {
    return false;
  }
  constexpr std::string_view kBehindCode = " -\r\n";
  const std::string_view code = begun.substr(0, kCodeDigits);
  if (code.size() < kCodeDigits || code.front() != '2' ||
      !std::all_of(code.begin(), code.end(), IsDigit) ||
      (begun.size() > kCodeDigits &&
       kBehindCode.find(begun[kCodeDigits]) == std::string_view::npos)) {
    return false;
  }
  return ReplyFits((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0'), from);
}

// The client's reply then: the code, and as much of the first line as can be said. Empty: nothing
// was accepted.
std::string SmtpRelay::AcceptedText(std::string_view begun) {
  constexpr std::size_t kHead = 4;
  accepting_code_ = 0;
  if (!Accepts(begun)) return {};
  ++stats_.messages_accepted;
  const std::string_view line = begun.substr(0, begun.find_first_of(std::string_view("\r\n\0", 3)));
  const std::string_view text = line.substr(std::min(line.size(), kHead));
  std::string reply(line.substr(0, kHead - 1));
  reply.push_back(' ');
  reply.append(text.substr(0, CutLine(text, kReplyLineMax - kHead - kCrlf.size())));
  reply.append(kCrlf);
  if (policy_ != nullptr) policy_->MessageAccepted(reply);
  return reply;
}

// As it is, but for lines that are too long.
Step SmtpRelay::PassReply(std::string_view text, const Reply& reply) {
  if (!reply.has_long_line) return Forward(Side::kBack, reply.octets);
  ShortenLines(text, &text_);
  return DropAndInject(Side::kBack, reply.octets, InjectDue::kFront);
}

Step SmtpRelay::Greeting(const RelayInput& input, std::string_view text, const Reply& reply) {
  if (reply.code == kServiceReady) {
    if (options_->prove_with_noop) {
      if (!greeted_) {
        held_greeting_ = std::make_unique<std::string>();
        ShortenLines(text, held_greeting_.get());
      }
      back_phase_ = BackPhase::kNoop;
      ++progress_;
      text_ = kNoop;
      return DropAndInject(Side::kBack, reply.octets, InjectDue::kBack);
    }
    if (!options_->xclient) return GreetingEnd(text, reply);
    back_phase_ = BackPhase::kXclientHello;
    ++progress_;
    text_ = "EHLO " + options_->hostname + "\r\n";
    return DropAndInject(Side::kBack, reply.octets, InjectDue::kBack);
  }
  // The client was greeted before its TLS handshake: to it, this is a session that breaks off.
  if (greeted_ && Negative(reply)) return Close(CloseReason::kBackendConnect);
  if (greeted_ || !Negative(reply)) return BadReply(input, ReplyFault::kOutOfTurn, 0);
  // It has not been told who calls, so nothing of this client may reach it, whatever it refuses.
  if (options_->xclient) return Close(CloseReason::kBackendIdentity);
  // RFC 5321 3.1: the refusal is the backend's to explain. After 421 nothing follows (PROTOCOL 22).
  // What refuses everybody need not take its identity, so that nothing may follow there either.
  if (reply.code == kServiceClosing || options_->prove_with_noop) {
    close_due_ = CloseReason::kBackend421;
  }
  replied_ = true;  // RFC 5321 3.1: 503 is what it has to say from now on
  ++stats_.backend_refusals;
  return GreetingEnd(text, reply);
}

Step SmtpRelay::GreetingEnd(std::string_view text, const Reply& reply) {
  back_phase_ = BackPhase::kReady;
  xclient_commands_.reset();
  ++progress_;
  if (std::exchange(greeted_, true)) return Drop(Side::kBack, reply.octets);
  return PassReply(text, reply);
}

Step SmtpRelay::NoopReply(std::string_view text, const Reply& reply) {
  const std::unique_ptr<std::string> greeting = std::move(held_greeting_);
  const Step end = GreetingEnd(text, reply);
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
  const bool whole = reply.status == ReplyStatus::kComplete;
  if (reply.code == kServiceClosing) {
    if (!whole) return BeginLongReply(PendingReply::From::kOther, text, reply, input);
    close_due_ = CloseReason::kBackend421;  // PROTOCOL 22
    ++stats_.backend_refusals;
    return PassReply(text, reply);
  }
  if (pending_.empty()) return UnaskedReply(input, reply);

  const PendingReply::From from = pending_.front().from;
  if (!ReplyFits(reply.code, from)) return BadReply(input, ReplyFault::kOutOfTurn, 0);
  if (!replied_ && DisownsIdentity(reply, from, options_->proxy_header)) {
    // Postfix says 500 to a name that is not UTF-8. That proves nothing, and clients must not be
    // able to bring the backend into disrepute with it: the next reply decides.
    const bool may_mean_the_name = odd_hello_ && IsHello(from) && reply.code != kBadSequence;
    if (!may_mean_the_name) return Close(CloseReason::kBackendIdentity);
  } else {
    replied_ = true;
  }
  if (front_phase_ == FrontPhase::kChunk && pending_.size() == 1) {
    // The reply to a chunk that is still on its way. It has to wait, unless the backend will not
    // read the rest; and then it cannot have accepted it.
    if (!input.eof) return kBlocked;
    if (!Negative(reply)) return Close(CloseReason::kBackendReset);
    if (!whole) return BeginLongReply(from, text, reply, input);
    close_due_ = CloseReason::kBackendReset;
    ++stats_.backend_refusals;
    PopReply();
    return PassReply(text, reply);
  }
  if (!whole) return BeginLongReply(from, text, reply, input);
  if (pending_.size() == 1 && !Quits(from, reply.code)) {
    // With one reply more than commands nobody knows which of them is this command's.
    switch (CheckBehindLast(input, reply.octets, from)) {
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
  if (Positive(reply)) NoteAccepted(from, text);
  Answered(from, reply.code);
  return from == PendingReply::From::kHello && Positive(reply) ? EhloReply(text, reply)
                                                               : PassReply(text, reply);
}

// A positive reply, or its first lines, has begun.
void SmtpRelay::NoteAccepted(PendingReply::From from, std::string_view text) {
  if (AnswersContent(from) && policy_ != nullptr) policy_->MessageAccepted(text);
}

// What the reply to the first of pending_ means, whose code fits it.
void SmtpRelay::Answered(PendingReply::From from, int code) {
  const bool positive = code < 300;
  CountReply(from, code);
  // Before PopReply(), which copies it to the front's view when nothing else is pending.
  switch (from) {
    case PendingReply::From::kMail:
      if (positive) back_transaction_ = true;
      break;
    case PendingReply::From::kHello:
    case PendingReply::From::kOldHello:
    case PendingReply::From::kReset:
      if (positive) back_transaction_ = false;
      break;
    case PendingReply::From::kFinal:
    case PendingReply::From::kChunkLast:
      back_transaction_ = false;  // whatever the code is (RFC 5321 4.1.1.4)
      break;
    default:
      break;
  }
  PopReply();

  switch (from) {
    case PendingReply::From::kHello:
    case PendingReply::From::kOldHello:
      if (!positive) break;
      hello_needed_ = false;
      bdat_used_ = false;
      if (from == PendingReply::From::kOldHello) capabilities_ = Capabilities{};
      break;
    case PendingReply::From::kData:
      if (code == kStartContent) {
        front_phase_ = FrontPhase::kContent;
        framer_.Start();
      }
      break;
    case PendingReply::From::kAuth:
      if (code == kAuthChallenge) front_phase_ = FrontPhase::kAuthResponse;
      if (positive) authenticated_ = true;
      break;
    case PendingReply::From::kQuit:
      if (Quits(from, code)) close_due_ = CloseReason::kQuit;
      break;
    default:
      break;
  }
}

// RFC 5321 3.8: only a 421 may come without a command. A server that ends an idle session with
// another 4yz, or has heard enough of the content, breaks a rule; anything else means that commands
// and replies have parted.
Step SmtpRelay::UnaskedReply(const RelayInput& input, const Reply& reply) {
  const bool is_farewell = in_content() || (Negative(reply) && reply.code < kPermanent);
  if (is_farewell) return BadReply(input, ReplyFault::kUnasked, 0);
  return Close(CloseReason::kBackendIdentity);
}

Step SmtpRelay::EhloReply(std::string_view text, const Reply& reply) {
  // PROTOCOL 14.
  const bool starttls =
      options_->starttls_offered && options_->tls_policy != TlsPolicy::kNone && !tls_;
  FilterEhloReply(text, starttls ? OfferStarttls::kYes : OfferStarttls::kNo,
                  MayAuthenticate() ? OfferAuth::kYes : OfferAuth::kNo, &capabilities_, &text_);
  if (options_->greets && policy_ != nullptr) policy_->BackendOffers(text_);
  if (reply.octets == 0) {  // of a line without an end
    return Step{.kind = StepKind::kInject, .to = Side::kFront, .text = text_};
  }
  return DropAndInject(Side::kBack, reply.octets, InjectDue::kFront);
}

Step SmtpRelay::BeginLongReply(PendingReply::From from, std::string_view text, const Reply& reply,
                               const RelayInput& input) {
  if (from != PendingReply::From::kHello || !Positive(reply)) {
    if (Positive(reply)) NoteAccepted(from, text);
    long_reply_.Begin(reply.code);
    return RelayLongReply(input);
  }
  // What is to be left out of it must be known before it ends: the lines that are there have to do.
  long_reply_.BeginTold(reply.code);
  return EhloReply(text, reply);
}

Step SmtpRelay::RelayLongReply(const RelayInput& input) {
  const LongReplyStep step = long_reply_.Next(input.readable);
  switch (step.kind) {
    case LongReplyStep::Kind::kMalformed:
      return BadReply(input, step.fault, 0);
    case LongReplyStep::Kind::kNeedInput:
      return input.eof && input.readable.size() == input.total ? EndOfBack(input) : kNeedInput;
    case LongReplyStep::Kind::kForward:
    case LongReplyStep::Kind::kDrop:
      break;
    case LongReplyStep::Kind::kCut:
      text_ = kCrlf;
      inject_due_ = InjectDue::kFront;
      break;
  }
  if (step.ends) EndLongReply(input, step.octets);
  return step.kind == LongReplyStep::Kind::kDrop ? Drop(Side::kBack, step.octets)
                                                 : Forward(Side::kBack, step.octets);
}

// The same as for a reply that is read as a whole, but that the client has had most of it: where
// the session must end, it ends behind the reply.
void SmtpRelay::EndLongReply(const RelayInput& input, std::size_t octets) {
  const int code = long_reply_.code();
  long_reply_.End();
  if (code == kServiceClosing) {
    ++stats_.backend_refusals;
    close_due_ = CloseReason::kBackend421;
    return;
  }
  const PendingReply::From from = pending_.front().from;
  if (front_phase_ == FrontPhase::kChunk && pending_.size() == 1) {
    ++stats_.backend_refusals;
    close_due_ = CloseReason::kBackendReset;
    PopReply();
    return;
  }
  if (pending_.size() == 1 && !Quits(from, code) && input.readable.size() > octets &&
      CheckBehindLast(input, octets, from) == BehindLast::kReply) {
    close_due_ = CloseReason::kBackendIdentity;
  }
  Answered(from, code);
}

}  // namespace ringpost
