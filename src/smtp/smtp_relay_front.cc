// SPDX-License-Identifier: GPL-3.0-or-later
//
// The front half of the relay: command lines, content and chunks, from the client to the backend.
#include <algorithm>
#include <string>
#include <utility>

#include "ringpost/base/check.h"
#include "ringpost/smtp/smtp_relay.h"

namespace ringpost {
namespace {

constexpr Step kNeedInput{.kind = StepKind::kNeedInput};
constexpr Step kBlocked{.kind = StepKind::kBlocked};

constexpr std::size_t kCrlfOctets = 2;

PendingReply::From ReplyFrom(Verb verb) {
  switch (verb) {
    case Verb::kEhlo:
      return PendingReply::From::kHello;
    case Verb::kHelo:
      return PendingReply::From::kOldHello;
    case Verb::kMail:
      return PendingReply::From::kMail;
    case Verb::kData:
      return PendingReply::From::kData;
    case Verb::kRset:
      return PendingReply::From::kReset;
    case Verb::kNoop:
      return PendingReply::From::kNoop;
    case Verb::kAuth:
      return PendingReply::From::kAuth;
    case Verb::kQuit:
      return PendingReply::From::kQuit;
    default:
      return PendingReply::From::kOther;
  }
}

LocalReply FaultReply(LineFault fault) {
  switch (fault) {
    case LineFault::kNul:
      return LocalReply::kNulInCommand;
    case LineFault::kInvalidUtf8:
      return LocalReply::kInvalidUtf8;
    case LineFault::kEmpty:
      return LocalReply::kEmptyLine;
    case LineFault::kLeadingBlank:
      return LocalReply::kLeadingBlank;
    case LineFault::kNone:
    case LineFault::kBareNewline:
      break;
  }
  return LocalReply::kBadSyntax;
}

bool IsHello(const CommandRule& rule) {
  return rule.verb == Verb::kEhlo || rule.verb == Verb::kHelo;
}

// A host's name is in whatever charset it likes (PROTOCOL 14); MayBeHelloName() has the last word.
LineFault HelloFault(LineFault fault) {
  return fault == LineFault::kInvalidUtf8 ? LineFault::kNone : fault;
}

// The octets of the first line, its LF included; 0 if there is none in `readable`.
std::size_t LineOctets(std::string_view readable) {
  const std::size_t lf = readable.find('\n');
  return lf == std::string_view::npos ? 0 : lf + 1;
}

// Whether the LF that ends `line` has its CR.
bool EndsInCrlf(std::string_view line) {
  return line.size() >= kCrlfOctets && line[line.size() - kCrlfOctets] == '\r';
}

}  // namespace

Step SmtpRelay::NextFront(const RelayInput& input) {
  switch (front_phase_) {
    case FrontPhase::kContent:
      return Content(input);
    case FrontPhase::kChunk:
    case FrontPhase::kChunkRefused:
      return Chunk(input);
    case FrontPhase::kReplyDue:
      // Nobody is left who could say MAIL, and no server has to be waited for to answer a hello.
      if (opens_backend() && input.eof && input.total == 0) {
        return CloseWith(CloseReason::kClientEof, HelloWithoutBackend(nullptr));
      }
      return kBlocked;
    case FrontPhase::kHandshake:
    case FrontPhase::kEnded:
      return kBlocked;
    case FrontPhase::kCommand:
    case FrontPhase::kAuthResponse:
      break;
  }
  if (input.total == 0) return input.eof ? EndOfFront() : kNeedInput;
  if ((back_phase_ != BackPhase::kReady && !lacks_backend()) || pending_.full()) return kBlocked;
  // What the backend said before a command was sent does not answer it: the back is looked at
  // first. A reply that is due then is that to a chunk, which waited until the chunk was through.
  if (pending_.size() <= 1 && input.other_total > 0) return kBlocked;
  return discarded_octets_ > 0 ? DiscardLine(input) : NextLine(input);
}

// The client will send nothing more, and what is left of it is no command.
Step SmtpRelay::EndOfFront() {
  if (!pending_.empty()) return kBlocked;
  return Close(CloseReason::kClientEof);
}

Step SmtpRelay::NextLine(const RelayInput& input) {
  const bool auth_response = front_phase_ == FrontPhase::kAuthResponse;
  const CommandRule& rule = FindCommand(input.readable);
  rule_ = &rule;
  if (!conversing_) {
    const ForeignBinary foreign = CheckForeignBinary(input.readable);
    if (foreign == ForeignBinary::kYes) {
      return Refuse(LocalReply::kForeignProtocol, input.readable.size());
    }
    // Octets that are there are looked at; others are not waited for: an empty line is answered.
    const bool more = input.readable.size() < input.total;
    if (foreign == ForeignBinary::kUnknown && more) return kNeedInput;
  }
  const std::size_t line_max = auth_response ? kAuthLineMax : rule.line_max;
  const std::size_t octets = LineOctets(input.readable.substr(0, line_max));
  if (octets == 0) {
    if (input.readable.size() >= line_max) return LongLine(input.readable.substr(0, line_max));
    return input.eof && input.readable.size() == input.total ? EndOfFront() : kNeedInput;
  }

  const std::string_view line = input.readable.substr(0, octets);
  // Only CRLF ends a command (PROTOCOL 1). A line that a bare LF ends is refused, whatever it says,
  // and the next line begins behind it: who ends its lines that way is told so at each of them.
  const bool whole = EndsInCrlf(line);
  const std::string_view text = line.substr(0, octets - (whole ? kCrlfOctets : 1));

  LineCheck check = CheckLine(text);
  if (IsHello(rule)) check = LineCheck{.fault = HelloFault(check.fault)};
  if (!whole) check.fault = LineFault::kBareNewline;
  if (auth_response) return AuthResponse(check.fault, octets);
  if (check.fault == LineFault::kNone && check.charset == LineCharset::kUtf8 &&
      !capabilities_.smtputf8) {
    return BadLine(text, LocalReply::kSmtputf8Needed, octets);  // PROTOCOL 21
  }
  if (check.fault != LineFault::kNone) return BadLine(text, FaultReply(check.fault), octets);
  return Command(input, text, octets);
}

// A line that is refused before its verb matters.
Step SmtpRelay::BadLine(std::string_view text, LocalReply reply, std::size_t octets) {
  // Its octets might be taken for commands (PROTOCOL 19).
  if (LooksLikeBdat(text)) return Refuse(LocalReply::kBdatSyntax, octets);
  if (FindCommand(text).verb == Verb::kForeign) {
    return Refuse(LocalReply::kForeignProtocol, octets);
  }
  return Refuse(reply, octets);
}

// PROTOCOL 2: one 500, at once, and then the rest of the line is read past.
Step SmtpRelay::LongLine(std::string_view part) {
  discarded_octets_ = static_cast<std::uint32_t>(part.size());
  if (front_phase_ == FrontPhase::kAuthResponse) return Drop(Side::kFront, part.size());
  return BadLine(part, LocalReply::kLineTooLong, part.size());
}

Step SmtpRelay::DiscardLine(const RelayInput& input) {
  const std::size_t line_octets = LineOctets(input.readable);
  const bool ends = line_octets > 0;
  const std::size_t octets = ends ? line_octets : input.readable.size();
  if (octets == 0) return kNeedInput;
  if (discarded_octets_ + octets > kLineDiscardMax) {
    return Refuse(LocalReply::kDiscardTooLong, octets);
  }
  discarded_octets_ += static_cast<std::uint32_t>(octets);
  if (!ends) return Drop(Side::kFront, octets);
  discarded_octets_ = 0;
  if (front_phase_ == FrontPhase::kAuthResponse) return CancelAuth(octets);
  return Drop(Side::kFront, octets);
}

Step SmtpRelay::Command(const RelayInput& input, std::string_view text, std::size_t octets) {
  const CommandRule& rule = FindCommand(text);
  const std::string_view argument = CommandArgument(text, rule);
  if (policy_ != nullptr && (IsHello(rule) || rule.verb == Verb::kMail)) {
    policy_->ClientSays(rule.verb, argument);
  }
  switch (rule.verb) {
    case Verb::kForeign:
      return Refuse(LocalReply::kForeignProtocol, octets);
    case Verb::kUnknown:
      return Refuse(LooksLikeBdat(text) ? LocalReply::kBdatSyntax : LocalReply::kNotRecognized,
                    octets);
    case Verb::kIdentity:
      return Refuse(LocalReply::kNotImplemented, octets);  // PROTOCOL 40
    case Verb::kBdat:
      return Bdat(text, octets);
    case Verb::kStarttls:
      return Starttls(input, argument, octets);
    default:
      break;
  }
  if (const std::optional<LocalReply> refusal = RefusalByState(rule)) {
    if (rule.verb == Verb::kMail && *refusal == LocalReply::kMustStarttls && policy_ != nullptr) {
      policy_->RefusedInClear(argument);
    }
    return Refuse(*refusal, octets);
  }
  if (IsHello(rule) && !MayBeHelloName(argument)) return Refuse(LocalReply::kHelloSyntax, octets);
  if (lacks_backend()) return WithoutBackend(rule, argument, octets);
  switch (rule.verb) {
    case Verb::kEhlo:
    case Verb::kHelo:
      odd_hello_ = !IsPlainHelloName(argument);
      break;
    case Verb::kMail:
      if (const std::optional<Step> refusal = RefusalByPolicy(argument, octets)) return *refusal;
      if (!front_transaction_) bdat_used_ = false;  // that was another transaction, or none
      front_transaction_ = true;                    // until its reply says otherwise
      break;
    case Verb::kRcpt:
      if (!front_transaction_) return Refuse(LocalReply::kMailNeeded, octets);
      break;
    case Verb::kData:
      // RFC 3030 2: the two must not be mixed, whatever became of the chunk.
      if (bdat_used_) return Refuse(LocalReply::kDataAfterBdat, octets);
      if (!front_transaction_) return Refuse(LocalReply::kMailNeeded, octets);
      break;
    case Verb::kRset:
      front_transaction_ = false;
      bdat_used_ = false;
      break;
    case Verb::kAuth:
      // PROTOCOL 16.
      if (authenticated_) return Refuse(LocalReply::kAlreadyAuthenticated, octets);
      if (front_transaction_) return Refuse(LocalReply::kBadSequence, octets);
      if (AsksForChannelBinding(argument)) {
        return Refuse(LocalReply::kMechanismNotOffered, octets);  // PROTOCOL 17
      }
      break;
    default:
      break;
  }
  front_phase_ = PhaseBehind(rule.end);
  conversing_ = true;
  ++progress_;
  pending_.Push(PendingReply{.from = ReplyFrom(rule.verb)});
  if (IsHello(rule) && !options_->hello_name.empty()) {
    text_ = HelloLine(rule, argument);
    return DropAndInject(Side::kFront, octets, InjectDue::kBack);
  }
  return Forward(Side::kFront, octets);
}

// As long as no hello has opened the backend, or where it cannot be used. Nothing of this reaches
// it, so nothing is said in its name: of what a backend must answer only MAIL is, with a refusal.
Step SmtpRelay::WithoutBackend(const CommandRule& rule, std::string_view argument,
                               std::size_t octets) {
  conversing_ = true;
  switch (rule.verb) {
    case Verb::kEhlo:
    case Verb::kHelo:
      return OpenBackend(rule, argument, octets);
    case Verb::kNoop:
    case Verb::kRset:
      return Answer(LocalReply::kOk, octets);
    case Verb::kQuit:
      return Answer(LocalReply::kBye, octets);
    case Verb::kMail:
      return RefuseUnusable(octets);
    case Verb::kRcpt:
    case Verb::kData:
      return Answer(LocalReply::kMailNeeded, octets);
    default:
      return Refuse(LocalReply::kNotImplemented, octets);
  }
}

Step SmtpRelay::OpenBackend(const CommandRule& rule, std::string_view argument,
                            std::size_t octets) {
  if (!pending_.empty()) return kBlocked;
  ++progress_;
  back_phase_ = BackPhase::kOpening;
  hello_needed_ = true;
  capabilities_ = {};
  front_phase_ = FrontPhase::kReplyDue;
  odd_hello_ = !IsPlainHelloName(argument);
  pending_.Push(PendingReply{.from = ReplyFrom(rule.verb)});
  text_ = HelloLine(rule, argument);
  front_total_ -= octets;
  return Step{.kind = StepKind::kHello, .octets = octets, .text = text_};
}

std::string SmtpRelay::HelloLine(const CommandRule& rule, std::string_view argument) const {
  const std::string_view name = options_->hello_name.empty() ? argument : options_->hello_name;
  return std::string(rule.name) + " " + std::string(name) + "\r\n";
}

// The text is not one of ours, so it does not wait in pending_ (see RefusalByPolicy()).
Step SmtpRelay::RefuseUnusable(std::size_t octets) {
  if (!pending_.empty()) return kBlocked;
  ++progress_;
  ++stats_.commands_refused;
  if (policy_ != nullptr) policy_->RefusedUnusable();
  text_ = *unusable_;
  stats_.last_refused.Set(rule_->name, ReplyCode(text_));
  return DropAndInject(Side::kFront, octets, InjectDue::kFront);
}

Step SmtpRelay::Answer(LocalReply reply, std::size_t octets) {
  ++progress_;
  if (LocalReplyClose(reply) != CloseReason::kNone) front_phase_ = FrontPhase::kEnded;
  pending_.Push(PendingReply{.from = PendingReply::From::kLocal, .local = reply});
  return Drop(Side::kFront, octets);
}

// How what follows a command that goes on is read. The client may send several at once; to a
// backend that has not offered PIPELINING they go one by one.
SmtpRelay::FrontPhase SmtpRelay::PhaseBehind(CommandEnd end) const {
  return end == CommandEnd::kReply || !capabilities_.pipelining ? FrontPhase::kReplyDue
                                                                : FrontPhase::kCommand;
}

std::optional<LocalReply> SmtpRelay::RefusalByState(const CommandRule& rule) const {
  // PROTOCOL 15.
  if (options_->tls_policy >= TlsPolicy::kEncrypt && !tls_ && !rule.before_tls) {
    return LocalReply::kMustStarttls;
  }
  if (rule.verb == Verb::kAuth && !MayAuthenticate()) {
    return options_->starttls_offered && options_->tls_policy != TlsPolicy::kNone
               ? LocalReply::kMustStarttls
               : LocalReply::kEncryptionRequired;
  }
  if (hello_needed_ && rule.needs_hello) return LocalReply::kBadSequence;  // PROTOCOL 13
  return std::nullopt;
}

// RFC 4954 4: a password does not travel in clear, unless the route says so (PROTOCOL 14).
bool SmtpRelay::MayAuthenticate() const {
  if (options_->greets) return backend_tls_;  // where the client is one of our own
  return tls_ ||
         (options_->auth == AuthPolicy::kAsBackend && options_->tls_policy < TlsPolicy::kEncrypt);
}

// The texts are the policy's own, so they do not wait in pending_: the command waits instead until
// the replies before its own were given (PROTOCOL 8).
std::optional<Step> SmtpRelay::RefusalByPolicy(std::string_view argument, std::size_t octets) {
  if (policy_ == nullptr) return std::nullopt;
  if (policy_reply_.empty()) policy_reply_ = policy_->Judge(argument);
  if (policy_reply_.empty()) return std::nullopt;
  if (policy_reply_ == MailPolicy::kEndsSession) return Refuse(LocalReply::kPolicyChanged, octets);
  if (!pending_.empty()) return kBlocked;
  if (stats_.commands_refused >= static_cast<std::uint32_t>(options_->refused_commands_max)) {
    return Refuse(LocalReply::kTooManyErrors, octets);
  }
  ++progress_;
  ++stats_.commands_refused;
  text_ = std::exchange(policy_reply_, {});
  stats_.last_refused.Set(rule_->name, ReplyCode(text_));
  return DropAndInject(Side::kFront, octets, InjectDue::kFront);
}

Step SmtpRelay::Bdat(std::string_view text, std::size_t octets) {
  const std::optional<BdatArgument> argument = ParseBdatArgument(text);
  // PROTOCOL 19: how much to read past is unknown, and everything behind it may be content.
  if (!argument.has_value()) return Refuse(LocalReply::kBdatSyntax, octets);

  std::optional<LocalReply> refusal = RefusalByState(FindCommand(text));
  if (!refusal.has_value() && !capabilities_.chunking) refusal = LocalReply::kChunkingNotOffered;
  if (!refusal.has_value() && !front_transaction_) refusal = LocalReply::kMailNeeded;
  ++progress_;
  bdat_used_ = true;
  chunk_octets_ = argument->octets;
  if (refusal.has_value()) {
    // PROTOCOL 18: the chunk is read past before its reply.
    if (argument->octets == 0) return Refuse(*refusal, octets);
    chunk_refusal_ = *refusal;
    front_phase_ = FrontPhase::kChunkRefused;
    return Drop(Side::kFront, octets);
  }

  // RFC 3030 4.2: chunks may be pipelined, the last one too.
  front_phase_ = argument->octets > 0 ? FrontPhase::kChunk : PhaseBehind(CommandEnd::kPipelined);
  if (argument->last) {
    front_transaction_ = false;
    bdat_used_ = false;
  }
  pending_.Push(PendingReply{.from = argument->last ? PendingReply::From::kChunkLast
                                                    : PendingReply::From::kChunk});
  if (argument->canonical) return Forward(Side::kFront, octets);
  // To a backend that is less tolerant of blanks the chunk would be commands.
  text_ = "BDAT " + std::to_string(argument->octets) + (argument->last ? " LAST\r\n" : "\r\n");
  return DropAndInject(Side::kFront, octets, InjectDue::kBack);
}

Step SmtpRelay::Starttls(const RelayInput& input, std::string_view argument, std::size_t octets) {
  if (tls_) return Refuse(LocalReply::kTlsActive, octets);  // PROTOCOL 11
  if (!options_->starttls_offered || options_->tls_policy == TlsPolicy::kNone) {
    return Refuse(LocalReply::kStarttlsNotOffered, octets);
  }
  if (!argument.empty()) return Refuse(LocalReply::kStarttlsParameter, octets);
  if (front_transaction_) return Refuse(LocalReply::kBadSequence, octets);

  // PROTOCOL 12, CVE-2011-0411: whatever was sent behind it in clear must not be read as if it had
  // come through TLS, and a client that does that is not one to go on with.
  if (input.total > octets) return CloseWith(CloseReason::kStarttlsInjection, {});
  // It is the last of a group (RFC 3207 4): the replies before it go out in clear first.
  if (!pending_.empty()) return kBlocked;
  ++progress_;
  front_phase_ = FrontPhase::kHandshake;
  front_total_ = 0;
  return Step{
      .kind = StepKind::kStartTls, .octets = octets, .text = "220 2.0.0 Ready to start TLS\r\n"};
}

Step SmtpRelay::AuthResponse(LineFault fault, std::size_t octets) {
  // PROTOCOL 16: byte-exact, so only what is not one line, or not text, is kept back.
  if (fault == LineFault::kNul || fault == LineFault::kBareNewline) return CancelAuth(octets);
  ++progress_;
  front_phase_ = FrontPhase::kReplyDue;
  pending_.Push(PendingReply{.from = PendingReply::From::kAuth});
  return Forward(Side::kFront, octets);
}

// The client's answer cannot be forwarded, but the backend waits for one: RFC 4954 4 has "*" for
// that, and its 501 is the client's reply.
Step SmtpRelay::CancelAuth(std::size_t octets) {
  ++progress_;
  front_phase_ = FrontPhase::kReplyDue;
  ++stats_.commands_refused;
  stats_.last_refused.Set("AUTH", "cancelled");
  pending_.Push(PendingReply{.from = PendingReply::From::kAuth});
  text_ = "*\r\n";
  return DropAndInject(Side::kFront, octets, InjectDue::kBack);
}

Step SmtpRelay::Content(const RelayInput& input) {
  const ContentStep step =
      framer_.Next(input.readable, options_->bare_newline, &text_, &stats_.bare_newlines);
  if (step.octets > 0) {
    stats_.content_octets += step.octets;
    ++progress_;
  }
  switch (step.kind) {
    case ContentStep::Kind::kForward:
      return Forward(Side::kFront, step.octets);
    case ContentStep::Kind::kEnd:
      front_phase_ = PhaseBehind(CommandEnd::kPipelined);
      front_transaction_ = false;
      pending_.Push(PendingReply{.from = PendingReply::From::kFinal});
      return Forward(Side::kFront, step.octets);
    case ContentStep::Kind::kRewrite:
      return DropAndInject(Side::kFront, step.octets, InjectDue::kBack);
    case ContentStep::Kind::kNeedInput:
      if (!input.eof || input.readable.size() < input.total) return kNeedInput;
      return Close(CloseReason::kClientTruncated);  // PROTOCOL 33
    case ContentStep::Kind::kBareNewline:
      ++stats_.bare_newlines;
      return RefuseContent(LocalReply::kBareNewline);
  }
  CheckFailed("ContentStep::Kind is a closed set", __FILE__, __LINE__);
}

// Exactly chunk_octets_, unread (PROTOCOL 18).
Step SmtpRelay::Chunk(const RelayInput& input) {
  if (input.readable.empty()) {
    return input.eof && input.total == 0 ? Close(CloseReason::kClientTruncated) : kNeedInput;
  }
  const std::size_t octets =
      static_cast<std::size_t>(std::min<std::uint64_t>(input.readable.size(), chunk_octets_));
  chunk_octets_ -= octets;
  ++progress_;
  const bool refused = front_phase_ == FrontPhase::kChunkRefused;
  if (chunk_octets_ == 0) {
    front_phase_ = refused ? FrontPhase::kCommand : PhaseBehind(CommandEnd::kPipelined);
  }
  if (refused) {
    return chunk_octets_ == 0 ? Refuse(chunk_refusal_, octets) : Drop(Side::kFront, octets);
  }
  stats_.content_octets += octets;
  return Forward(Side::kFront, octets);
}

// The reply waits for its turn behind those to the commands before (PROTOCOL 8).
Step SmtpRelay::Refuse(LocalReply reply, std::size_t octets) {
  ++progress_;
  ++stats_.commands_refused;
  if (LocalReplyClose(reply) == CloseReason::kNone &&
      stats_.commands_refused > static_cast<std::uint32_t>(options_->refused_commands_max)) {
    reply = LocalReply::kTooManyErrors;
  }
  stats_.last_refused.Set(rule_->name, LocalReplyCode(reply));
  if (LocalReplyClose(reply) != CloseReason::kNone) front_phase_ = FrontPhase::kEnded;
  pending_.Push(PendingReply{.from = PendingReply::From::kLocal, .local = reply});
  return Drop(Side::kFront, octets);
}

Step SmtpRelay::RefuseContent(LocalReply reply) {
  ++stats_.commands_refused;
  stats_.last_refused.Set("DATA", LocalReplyCode(reply));
  return Close(reply);
}

}  // namespace ringpost
