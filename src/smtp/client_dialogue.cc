// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/smtp/client_dialogue.h"

#include <utility>

#include "ringpost/base/check.h"
#include "ringpost/smtp/command.h"
#include "ringpost/smtp/reply.h"

namespace ringpost {
namespace {

using Kind = DialogueStep::Kind;

constexpr int kServiceReady = 220;
constexpr int kOk = 250;
constexpr int kNegative = 400;   // and above
constexpr int kPermanent = 500;  // and above

constexpr std::string_view kStarttls = "STARTTLS";
constexpr std::size_t kVerbOctets = 4;  // of EHLO and HELO

// RFC 3207 2: a keyword without a parameter, on a line of its own. Courier without a certificate
// has the word within its XSECURITY line.
bool OffersStarttls(std::string_view reply) {
  ReplyLines lines(reply);
  std::string_view line;
  bool more = lines.Next(&line);  // the first is the server's name
  while (more && lines.Next(&line)) {
    if (EqualsIgnoreCase(line.substr(0, line.find_last_not_of(' ') + 1), kStarttls)) return true;
  }
  return false;
}

}  // namespace

std::string_view DialogueFaultText(DialogueFault fault) {
  switch (fault) {
    case DialogueFault::kNone:
      break;
    case DialogueFault::kGreeting:
      return "refuses to talk";
    case DialogueFault::kHello:
      return "refuses EHLO";
    case DialogueFault::kNotOffered:
      return "does not offer STARTTLS";
    case DialogueFault::kStarttls:
      return "refuses STARTTLS";
    case DialogueFault::kInjection:
      return "said something behind its reply to STARTTLS";
    case DialogueFault::kOutOfStep:
      return "says what is no reply to the command";
    case DialogueFault::kClosed:
      return "closed the connection";
  }
  return "";
}

ClientDialogue::ClientDialogue(StarttlsUse starttls, Tls tls)
    : starttls_(starttls), implicit_(tls == Tls::kImplicit) {}

void ClientDialogue::SetHello(std::string_view line) { hello_ = line; }

void ClientDialogue::TlsEstablished() {
  RINGPOST_CHECK(phase_ == (implicit_ ? Phase::kGreeting : Phase::kHandshake));
  in_tls_ = true;
  if (!implicit_) phase_ = Phase::kHello;
}

DialogueStep ClientDialogue::Next(std::string_view readable, std::size_t total, bool eof) {
  RINGPOST_CHECK(phase_ != Phase::kHandshake && phase_ != Phase::kOver);
  if (phase_ == Phase::kHello) {
    if (total > 0) return Fail(DialogueFault::kOutOfStep, readable);
    return hello_.empty() ? DialogueStep{} : SayHello(0);
  }
  const Reply reply = ParseReply(readable);
  switch (reply.status) {
    case ReplyStatus::kComplete:
      break;
    case ReplyStatus::kIncomplete:
      return eof && readable.size() == total ? Fail(DialogueFault::kClosed, readable)
                                             : DialogueStep{};
    case ReplyStatus::kMalformed:
    case ReplyStatus::kLong:
      return Fail(DialogueFault::kOutOfStep, readable);
  }
  DialogueStep step = OnReply(reply.code, readable.substr(0, reply.octets), total);
  if (step.kind == Kind::kFailed && total > reply.octets &&
      (step.fault == DialogueFault::kInjection || step.fault == DialogueFault::kOutOfStep)) {
    text_ = QuotableLine(readable.substr(reply.octets));  // not the reply is wrong, but this
    step.text = text_;
  }
  return step;
}

DialogueStep ClientDialogue::OnReply(int code, std::string_view reply, std::size_t total) {
  const bool alone = reply.size() == total;
  if (phase_ == Phase::kStarttlsReply && code < kNegative && !alone) {
    return Fail(DialogueFault::kInjection, reply);  // CVE-2011-0411, the client's side
  }
  // A server that refuses may say so and then end with a 421; where the session goes on all the
  // same, there is nothing to end.
  const bool goes_on = phase_ != Phase::kGreeting && starttls_ == StarttlsUse::kIfOffered;
  if (!alone && (code < kNegative || goes_on)) return Fail(DialogueFault::kOutOfStep, reply);
  switch (phase_) {
    case Phase::kGreeting:
      if (code >= kNegative) return Fail(DialogueFault::kGreeting, reply);
      if (code != kServiceReady) return Fail(DialogueFault::kOutOfStep, reply);
      phase_ = Phase::kHello;
      if (hello_.empty()) {
        return {.kind = Kind::kSay, .octets = reply.size(), .text = {}};
      }
      return SayHello(reply.size());
    case Phase::kHelloReply:
      return OnHelloReply(code, reply);
    case Phase::kStarttlsReply:
      if (code >= kNegative) {
        return starttls_ == StarttlsUse::kAlways ? Fail(DialogueFault::kStarttls, reply)
                                                 : Ready(reply.size(), hello_);
      }
      if (code != kServiceReady) return Fail(DialogueFault::kOutOfStep, reply);
      phase_ = Phase::kHandshake;
      return {.kind = Kind::kStartTls, .octets = reply.size()};
    case Phase::kHello:
    case Phase::kHandshake:
    case Phase::kOver:
      break;
  }
  CheckFailed("no reply is read in this phase", __FILE__, __LINE__);
}

DialogueStep ClientDialogue::SayHello(std::size_t octets) {
  if (in_tls_ || starttls_ == StarttlsUse::kNever) return Ready(octets, hello_);
  // Whether STARTTLS is offered only the reply to EHLO says, whatever the sender prefers.
  return Say(Phase::kHelloReply, octets, "EHLO" + hello_.substr(kVerbOctets));
}

DialogueStep ClientDialogue::OnHelloReply(int code, std::string_view reply) {
  if (code >= kPermanent) {
    return starttls_ == StarttlsUse::kAlways
               ? Fail(DialogueFault::kNotOffered, reply)
               : Ready(reply.size(), "HELO" + hello_.substr(kVerbOctets));  // RFC 5321 3.2
  }
  if (code >= kNegative) return Fail(DialogueFault::kHello, reply);
  if (code != kOk) return Fail(DialogueFault::kOutOfStep, reply);
  if (OffersStarttls(reply)) {
    return Say(Phase::kStarttlsReply, reply.size(), std::string(kStarttls) + "\r\n");
  }
  if (starttls_ == StarttlsUse::kAlways) return Fail(DialogueFault::kNotOffered, {});
  // In clear this is the reply to the sender's own EHLO: some servers refuse a second one.
  return EqualsIgnoreCase(hello_.substr(0, kVerbOctets), "EHLO") ? Ready(0, {})
                                                                 : Ready(reply.size(), hello_);
}

DialogueStep ClientDialogue::Say(Phase next, std::size_t octets, std::string text) {
  phase_ = next;
  text_ = std::move(text);
  return {.kind = Kind::kSay, .octets = octets, .text = text_};
}

DialogueStep ClientDialogue::Ready(std::size_t octets, std::string text) {
  phase_ = Phase::kOver;
  text_ = std::move(text);
  return {.kind = Kind::kReady, .octets = octets, .text = text_};
}

DialogueStep ClientDialogue::Fail(DialogueFault fault, std::string_view said) {
  phase_ = Phase::kOver;
  text_ = QuotableLine(said);
  return {.kind = Kind::kFailed, .fault = fault, .text = text_};
}

}  // namespace ringpost
