// SPDX-License-Identifier: GPL-3.0-or-later
//
// What both sides of the relay share: whose turn it is, what is due before anything else, how it
// ends.
#include "ringpost/smtp/smtp_relay.h"

#include <utility>

#include "ringpost/base/buffer_pool.h"
#include "ringpost/base/check.h"

namespace ringpost {

SmtpRelay::SmtpRelay(const RelayOptions* options, const XclientFacts* facts, MailPolicy* policy)
    : options_(options), facts_(facts), policy_(policy) {
  RINGPOST_CHECK(!options->xclient || facts != nullptr);
  if (options->greets) {
    back_phase_ = BackPhase::kAbsent;
    greeted_ = true;
    hello_needed_ = true;
    text_ = "220 " + options->hostname + " ESMTP\r\n";
    inject_due_ = InjectDue::kFront;
  }
}

SmtpRelay::~SmtpRelay() = default;

Step SmtpRelay::Next(Side side, const RelayInput& input) {
  if (side == Side::kFront) front_total_ = input.total;
  Step step;
  if (NextDue(&step)) return step;
  return side == Side::kFront ? NextFront(input) : NextBack(input);
}

// Steps that are due whichever side is asked. False: nothing is.
bool SmtpRelay::NextDue(Step* step) {
  if (closed_) {
    *step = Step{.kind = StepKind::kBlocked};
    return true;
  }
  if (inject_due_ != InjectDue::kNone) {
    const Side to = inject_due_ == InjectDue::kFront ? Side::kFront : Side::kBack;
    inject_due_ = InjectDue::kNone;
    *step = Step{.kind = StepKind::kInject, .to = to, .text = text_};
    return true;
  }
  if (!text_.empty()) std::string().swap(text_);  // handed out with the step before
  if (close_due_ != CloseReason::kNone) {
    *step = Close(close_due_);
    return true;
  }
  if (!pending_.empty() && pending_.front().from == PendingReply::From::kLocal) {
    const LocalReply reply = pending_.front().local;
    PopReply();
    if (LocalReplyClose(reply) != CloseReason::kNone) {
      *step = Close(reply);
    } else {
      *step = Step{.kind = StepKind::kInject, .to = Side::kFront, .text = LocalReplyText(reply)};
    }
    return true;
  }
  return false;
}

Step SmtpRelay::Forward(Side from, std::size_t octets) {
  if (from == Side::kFront) front_total_ -= octets;
  return Step{.kind = StepKind::kForward,
              .to = from == Side::kFront ? Side::kBack : Side::kFront,
              .octets = octets};
}

Step SmtpRelay::Drop(Side from, std::size_t octets) {
  if (from == Side::kFront) front_total_ -= octets;
  return Step{.kind = StepKind::kDrop, .octets = octets};
}

Step SmtpRelay::DropAndInject(Side from, std::size_t octets, InjectDue due) {
  inject_due_ = due;
  return Drop(from, octets);
}

Step SmtpRelay::Close(CloseReason reason) { return CloseBehind(reason, {}); }

Step SmtpRelay::Close(LocalReply reply) {
  return CloseWith(LocalReplyClose(reply), ClosingText(reply, options_->hostname));
}

Step SmtpRelay::CloseWith(CloseReason reason, const std::string& text) {
  closed_ = true;
  std::string words = TakeDue();
  words.append(RestOfReply()).append(text);
  text_ = std::move(words);
  return Step{.kind = StepKind::kClose, .reason = reason, .text = text_};
}

// `reply`: what there is to say to the first command that waits for a reply.
Step SmtpRelay::CloseBehind(CloseReason reason, std::string reply) {
  if (reply.empty()) reply = RestOfReply();
  closed_ = true;
  std::string words = TakeDue();
  words.append(reply).append(LastWords(reason, !reply.empty()));
  text_ = std::move(words);
  return Step{.kind = StepKind::kClose, .reason = reason, .text = text_};
}

// What the client was to hear next, where the session ends before it was asked for. A 250 that is
// lost would make it send its message again.
std::string SmtpRelay::TakeDue() {
  return std::exchange(inject_due_, InjectDue::kNone) == InjectDue::kFront
             ? std::exchange(text_, {})
             : std::string();
}

// Where mail leaves, and the server is lost, each command that waits is refused, and the sender's
// queue says why; a reply that does not come would be a connection lost with us. A message whose
// end was sent may be stored all the same: it comes twice rather than never. `answered`: the first
// of the commands was.
std::string SmtpRelay::LastWords(CloseReason reason, bool answered) const {
  constexpr std::string_view kRefused = "451";
  constexpr std::string_view kClosing = "421";
  constexpr std::size_t kLastWordsMax = BufferPool::kLargeBytes / 2;
  std::string refusal =
      server_ != nullptr ? LostServerText(reason, kRefused, *server_) : std::string();
  if (refusal.empty()) return ClosingText(reason, options_->hostname);
  PendingReplies waiting = pending_;
  if (answered && !waiting.empty()) waiting.Pop();
  const bool hello = !waiting.empty() && (waiting.front().from == PendingReply::From::kHello ||
                                          waiting.front().from == PendingReply::From::kOldHello);
  // Who hears 4yz to EHLO says HELO.
  if (hello || (waiting.empty() && front_phase_ != FrontPhase::kContent)) {
    return LostServerText(reason, kClosing, *server_);
  }
  if (waiting.empty()) return refusal;  // to the content
  std::string words;
  for (; !waiting.empty(); waiting.Pop()) {
    const PendingReply next = waiting.front();
    // A leg takes a block at a time; and nobody waits for more behind QUIT.
    if (next.from == PendingReply::From::kQuit || words.size() > kLastWordsMax) {
      return words + LostServerText(reason, kClosing, *server_);
    }
    if (next.from != PendingReply::From::kLocal) {
      words.append(refusal);
      continue;
    }
    // What was refused by ourselves has its own reply, and one that ends the session is the last.
    if (LocalReplyClose(next.local) != CloseReason::kNone) {
      return words + ClosingText(next.local, options_->hostname);
    }
    words.append(LocalReplyText(next.local));
  }
  return words;
}

void SmtpRelay::PopReply() {
  pending_.Pop();
  ++progress_;
  if (!pending_.empty()) return;
  front_transaction_ = back_transaction_;
  if (front_phase_ == FrontPhase::kReplyDue) front_phase_ = FrontPhase::kCommand;
}

// Where the session ends within a reply: the end of one that the client has lines of, with its own
// code; and what is to be said where the backend had begun to say that a message is stored.
std::string SmtpRelay::RestOfReply() {
  const int code = long_reply_.owes_end() ? long_reply_.code() : std::exchange(accepting_code_, 0);
  if (code == 0) return {};
  CountReply(pending_.empty() ? PendingReply::From::kOther : pending_.front().from, code);
  return std::to_string(code) + " (reply cut short)\r\n";
}

void SmtpRelay::CountReply(PendingReply::From from, int code) {
  if (code >= 400) ++stats_.backend_refusals;
  if (code < 300 && AnswersContent(from)) ++stats_.messages_accepted;
}

void SmtpRelay::TlsEstablished(BackendAfterTls backend) {
  RINGPOST_CHECK(!tls_);
  tls_ = true;
  // RFC 3207 4.2: nothing learnt before the handshake counts (PROTOCOL 13).
  hello_needed_ = true;
  authenticated_ = false;
  capabilities_ = Capabilities{};
  front_transaction_ = false;
  back_transaction_ = false;
  bdat_used_ = false;
  front_phase_ = FrontPhase::kCommand;
  if (backend == BackendAfterTls::kReconnected) {
    back_phase_ = BackPhase::kGreeting;
    replied_ = false;
  }
}

void SmtpRelay::BackendReady(bool in_tls, std::string server) {
  RINGPOST_CHECK(opens_backend());
  server_ = std::make_unique<std::string>(std::move(server));
  back_phase_ = BackPhase::kReady;
  backend_tls_ = in_tls;
  replied_ = true;  // it has, before it came to this
}

// The client learns of it at MAIL. Senders make of a refused EHLO what does not fit: Postfix and
// Exim say HELO to a 4yz, and Postfix then leaves out the whole next hop without a word of why.
void SmtpRelay::BackendUnusable(std::string reply, const std::string* keywords) {
  RINGPOST_CHECK(opens_backend());
  back_phase_ = BackPhase::kUnusable;
  unusable_ = std::make_unique<std::string>(std::move(reply));
  text_ = HelloWithoutBackend(keywords);
  inject_due_ = InjectDue::kFront;
  hello_needed_ = false;
  PopReply();
}

// The reply to the hello that waits. `keywords` as in BackendUnusable().
std::string SmtpRelay::HelloWithoutBackend(const std::string* keywords) {
  capabilities_ = {};
  if (pending_.front().from != PendingReply::From::kHello) {
    return "250 " + options_->hostname + "\r\n";
  }
  std::string reply;
  FilterEhloReply(EhloReplyWithoutBackend(options_->hostname, keywords), OfferStarttls::kNo,
                  OfferAuth::kNo, &capabilities_, &reply);
  return reply;
}

std::string_view SmtpRelay::Farewell(CloseReason reason) {
  // Between the 220 to STARTTLS and the end of the handshake nothing can be said in clear.
  if (closed_ || front_phase_ == FrontPhase::kHandshake) return {};
  (void)CloseBehind(reason, {});
  return text_;
}

RelayWait SmtpRelay::waiting() const {
  if (back_phase_ != BackPhase::kReady && !lacks_backend()) return RelayWait::kBackendGreeting;
  if (front_phase_ == FrontPhase::kContent || front_phase_ == FrontPhase::kChunk ||
      front_phase_ == FrontPhase::kChunkRefused) {
    return RelayWait::kClientContent;
  }
  if (pending_.empty()) return RelayWait::kClientCommand;
  switch (pending_.front().from) {
    case PendingReply::From::kData:
      return RelayWait::kBackendDataReply;
    case PendingReply::From::kFinal:
    case PendingReply::From::kChunk:
    case PendingReply::From::kChunkLast:
      return RelayWait::kBackendFinalReply;
    default:
      return RelayWait::kBackendReply;
  }
}

bool SmtpRelay::owes_reply() const {
  // The last one may be that to a chunk which is still on its way.
  const std::size_t not_due = front_phase_ == FrontPhase::kChunk ? 1 : 0;
  return !greeted_ || pending_.size() > not_due;
}

bool SmtpRelay::in_content() const {
  return front_phase_ == FrontPhase::kContent || front_phase_ == FrontPhase::kChunk;
}

bool SmtpRelay::idle() const {
  return front_phase_ == FrontPhase::kCommand && pending_.empty() && !front_transaction_ &&
         inject_due_ == InjectDue::kNone && !closed_;
}

}  // namespace ringpost
