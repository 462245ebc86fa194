// SPDX-License-Identifier: GPL-3.0-or-later
//
// The SMTP state machine of one session. Commands flow front→back, replies back→front. It does no
// I/O, knows no clock, allocates nothing per command, and never learns which leg is encrypted by
// whom.
//
// It is asked for one step at a time. Bodies are forwarded by count, never copied. A bounded
// first-in first-out matches replies with pipelined commands (RFC 2920), those we refuse ourselves
// included, so that every command gets exactly one reply, in order.
//
// It never makes a 2xx for MAIL, RCPT, AUTH, DATA or BDAT.
#ifndef RINGPOST_SMTP_SMTP_RELAY_H_
#define RINGPOST_SMTP_SMTP_RELAY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ringpost/base/outcome.h"
#include "ringpost/base/tls_policy.h"
#include "ringpost/smtp/command.h"
#include "ringpost/smtp/content_framer.h"
#include "ringpost/smtp/local_reply.h"
#include "ringpost/smtp/long_reply.h"
#include "ringpost/smtp/reply.h"

namespace ringpost {

enum class Side : std::uint8_t { kFront, kBack };

// Decides about each MAIL command that is otherwise good enough for the backend, and hears what the
// log says of a session's mail.
class MailPolicy {
 public:
  virtual ~MailPolicy() = default;
  // Instead of a reply: the session ends, with kPolicyChanged, once what it is owed has been said.
  static constexpr std::string_view kEndsSession = "421";
  // `argument` is what follows the verb: "FROM:<a@example.com> SIZE=10". Empty: it may go on. Else
  // kEndsSession or the whole reply, a 4xx or 5xx with its CRLF, valid until the next call. Asked
  // once for each command.
  [[nodiscard]] virtual std::string_view Judge(std::string_view argument) = 0;
  // Such a command that was not asked about, because it came in clear and was answered with 530.
  virtual void RefusedInClear(std::string_view argument) = 0;
  // The same of one that was answered with BackendUnusable()'s reply.
  virtual void RefusedUnusable() {}
  // What follows the verb of each EHLO, HELO and MAIL, before anything else comes of it; perhaps
  // more than once for the same command.
  virtual void ClientSays(Verb verb, std::string_view argument) {
    (void)verb;
    (void)argument;
  }
  // The reply by which a backend has accepted a message, or as much of its lines as is there.
  virtual void MessageAccepted(std::string_view reply) { (void)reply; }
  // What the client was told of the reply to EHLO of a backend that its hello has opened.
  virtual void BackendOffers(std::string_view filtered_reply) { (void)filtered_reply; }
};

// What a relay needs to know of its route. Immutable, shared by all sessions of the route, and
// alive as long as any of them.
struct RelayOptions {
  std::string hostname;  // opens our own replies: "421 4.3.2 <hostname> ..."
  TlsPolicy tls_policy = TlsPolicy::kMay;
  AuthPolicy auth = AuthPolicy::kTls;
  bool starttls_offered = true;  // false on implicit-TLS listeners and routes without certificate
  BareNewline bare_newline = BareNewline::kNormalize;
  bool xclient = false;  // identify with XCLIENT before the first command
  // A PROXY header came before the greeting: a backend that does not know it answers it like a
  // command, and believes that the client is the proxy.
  bool proxy_header = false;
  // It was version 1, which such a backend reads past: a NOOP of ours proves that it was no
  // command.
  bool prove_with_noop = false;
  int refused_commands_max = 20;  // then 421 4.7.0 and kClientTooManyErrors
  // The client's EHLO or HELO is what opens the backend (StepKind::kHello): we greet, and answer
  // what comes before. One that cannot be opened refuses MAIL, and nothing else.
  bool greets = false;
  std::string hello_name = {};  // said to the backend instead of the client's; empty: that
};

// The client's facts for XCLIENT. Views must stay valid as long as the relay: a backend that is
// reached anew after STARTTLS is told them again.
struct XclientFacts {
  std::string_view address;  // "192.0.2.1" or "2001:db8::1" (without "IPV6:")
  std::uint16_t port = 0;
  std::string_view destination_address;
  std::uint16_t destination_port = 0;
};

enum class StepKind : std::uint8_t {
  kForward,    // move `octets` from this side's input to the other side's output
  kDrop,       // consume `octets` of this side's input
  kInject,     // append `text` to the output of `to`
  kStartTls,   // drop `octets` (all there is), append `text` to the front's output in clear, then
               // TLS
  kHello,      // drop `octets`; a backend is to be opened with `text`, the EHLO or HELO for it
  kNeedInput,  // not enough contiguous octets: offer more, or wait for a receive
  kBlocked,    // nothing can be done until the other side moves
  kClose,      // append `text` (may be empty) to the front's output, then end the session; where
               // what the back has said is the reason, `octets` of its input stand before that
};

struct [[nodiscard]] Step {
  StepKind kind = StepKind::kNeedInput;
  Side to = Side::kFront;
  CloseReason reason = CloseReason::kNone;
  std::size_t octets = 0;
  std::string_view text = {};  // valid until the next call of Next()
};

// What the relay can see of one side's input.
struct RelayInput {
  std::string_view readable;    // the contiguous octets at the front
  std::size_t total = 0;        // all octets received and not consumed, >= readable.size()
  bool eof = false;             // nothing will follow `total`
  std::size_t other_total = 0;  // all octets of the other side that wait
};

// Which of RFC 5321 4.5.3.2's timers runs. The session owns the clock.
enum class RelayWait : std::uint8_t {
  kClientCommand,  // a complete command line; the clock is not reset by a part of one
  kClientContent,  // octets of DATA or BDAT
  kBackendGreeting,
  kBackendReply,       // MAIL, RCPT and everything not named here
  kBackendDataReply,   // the 354
  kBackendFinalReply,  // the reply to the final dot or to a BDAT chunk
};

struct RelayStats {
  std::uint32_t messages_accepted = 0;  // 2xx to the final dot or BDAT LAST, from the backend
  std::uint32_t backend_refusals = 0;   // 4xx/5xx of the backend that were passed on
  std::uint32_t commands_refused = 0;   // by us, and content
  LastRefusal last_refused;             // the last of them
  std::uint32_t bare_newlines = 0;
  std::uint64_t content_octets = 0;  // of DATA and BDAT, as received
};

enum class BackendAfterTls : std::uint8_t {
  kSame,         // the clear-text connection goes on; an EHLO from the client resets it
  kReconnected,  // a fresh one: its greeting is consumed, not relayed
};

class SmtpRelay {
 public:
  // `facts` may be null unless options->xclient; `policy` may be null. All must outlive the relay.
  SmtpRelay(const RelayOptions* options, const XclientFacts* facts, MailPolicy* policy = nullptr);
  ~SmtpRelay();
  SmtpRelay(const SmtpRelay&) = delete;
  SmtpRelay& operator=(const SmtpRelay&) = delete;

  // The next step for `side`. The caller carries it out completely before it asks again, looks at
  // the front before it looks at the back, and has room for a text of 16 KiB in either output. The
  // front is not asked between kStartTls and TlsEstablished(), and neither side is before the
  // handshake of an implicit-TLS listener is over. After kClose every answer is kBlocked.
  Step Next(Side side, const RelayInput& input);

  // The handshake after kStartTls, or that of an implicit-TLS listener, is complete. From here on
  // MAIL before a new EHLO gets 503 and STARTTLS is neither offered nor accepted (RFC 3207 4.2).
  // With kReconnected, what the old connection said and was not consumed must be gone from the
  // back's input.
  void TlsEstablished(BackendAfterTls backend);

  // Once after each kHello, and before the back is asked. The backend was told that hello, and its
  // reply is what comes next; `in_tls`: nobody on the way can read what it is told. `server` names
  // it where it is lost later.
  void BackendReady(bool in_tls, std::string server);
  // Or it cannot be used: MAIL is answered with `reply` (4yz or 5yz, with its CRLF) until another
  // hello opens it. `keywords`: what EHLO is answered with, as in EhloReplyWithoutBackend().
  void BackendUnusable(std::string reply, const std::string* keywords);
  // Between kHello and the one or the other.
  [[nodiscard]] bool opens_backend() const { return back_phase_ == BackPhase::kOpening; }
  // There is no backend to ask the back for.
  [[nodiscard]] bool lacks_backend() const {
    return back_phase_ == BackPhase::kAbsent || back_phase_ == BackPhase::kUnusable;
  }

  // What to tell the client when the session ends for a reason the relay did not find itself:
  // "421 4.x.x host ..." or, where no reply may be sent, nothing. Valid until the next call.
  [[nodiscard]] std::string_view Farewell(CloseReason reason);

  [[nodiscard]] RelayWait waiting() const;
  // The client has a greeting or a reply coming that nothing more of its own is needed for.
  [[nodiscard]] bool owes_reply() const;
  // Changes whenever a complete command or reply, or an octet of content, was processed.
  [[nodiscard]] std::uint32_t progress() const { return progress_; }
  // Content is being received and its end has not been forwarded: EOF now must abort the backend.
  [[nodiscard]] bool in_content() const;
  // Between transactions, nothing pending: a drain may end the session here.
  [[nodiscard]] bool idle() const;
  [[nodiscard]] const RelayStats& stats() const { return stats_; }
  // What was wrong with the reply that ended the session.
  [[nodiscard]] ReplyFault reply_fault() const { return reply_fault_; }

  // AUTH succeeded on the present backend connection. After STARTTLS that connection must not be
  // kept (RFC 3207 4.2): only a fresh one forgets it.
  [[nodiscard]] bool authenticated() const { return authenticated_; }

 private:
  enum class FrontPhase : std::uint8_t {
    kCommand,       // a command line is next
    kAuthResponse,  // the answer to a 334 is next
    kReplyDue,      // what follows has to wait for the reply to the last command
    kContent,       // of DATA
    kChunk,         // of BDAT, forwarded
    kChunkRefused,  // of BDAT, dropped
    kHandshake,     // between 220 to STARTTLS and TlsEstablished()
    kEnded,         // a refusal ends the session: nothing is read any more
  };
  enum class BackPhase : std::uint8_t {
    kGreeting,
    kXclientHello,    // our EHLO was sent, to learn what XCLIENT takes
    kXclientCommand,  // one of xclient_commands_ was sent
    kNoop,            // our NOOP was sent; the greeting waits for its reply
    kReady,
    // Where we greet.
    kAbsent,    // no hello yet
    kOpening,   // a hello was handed out
    kUnusable,  // unusable_ says why
  };
  enum class InjectDue : std::uint8_t { kNone, kFront, kBack };

  // Front (smtp_relay_front.cc). `octets` are those of the line, CRLF included; `text` is without.
  Step NextFront(const RelayInput& input);
  Step NextLine(const RelayInput& input);
  Step EndOfFront();
  Step BadLine(std::string_view text, LocalReply reply, std::size_t octets);
  Step LongLine(std::string_view part);
  Step DiscardLine(const RelayInput& input);
  Step Command(const RelayInput& input, std::string_view text, std::size_t octets);
  [[nodiscard]] std::optional<LocalReply> RefusalByState(const CommandRule& rule) const;
  [[nodiscard]] bool MayAuthenticate() const;
  [[nodiscard]] std::optional<Step> RefusalByPolicy(std::string_view argument, std::size_t octets);
  [[nodiscard]] FrontPhase PhaseBehind(CommandEnd end) const;
  Step Bdat(std::string_view text, std::size_t octets);
  Step Starttls(const RelayInput& input, std::string_view argument, std::size_t octets);
  Step AuthResponse(LineFault fault, std::size_t octets);
  Step CancelAuth(std::size_t octets);
  Step Content(const RelayInput& input);
  Step Chunk(const RelayInput& input);
  Step WithoutBackend(const CommandRule& rule, std::string_view argument, std::size_t octets);
  Step OpenBackend(const CommandRule& rule, std::string_view argument, std::size_t octets);
  Step RefuseUnusable(std::size_t octets);
  [[nodiscard]] std::string HelloWithoutBackend(const std::string* keywords);
  [[nodiscard]] std::string HelloLine(const CommandRule& rule, std::string_view argument) const;
  Step Answer(LocalReply reply, std::size_t octets);
  Step Refuse(LocalReply reply, std::size_t octets);
  Step RefuseContent(LocalReply reply);

  // Back (smtp_relay_back.cc). `text` is the whole reply.
  Step NextBack(const RelayInput& input);
  Step EndOfBack(const RelayInput& input);
  Step BadReply(const RelayInput& input, ReplyFault fault, std::size_t at);
  [[nodiscard]] bool Accepts(std::string_view begun) const;
  [[nodiscard]] std::string AcceptedText(std::string_view begun);
  Step PassReply(std::string_view text, const Reply& reply);
  Step Greeting(const RelayInput& input, std::string_view text, const Reply& reply);
  Step GreetingEnd(std::string_view text, const Reply& reply);
  Step NoopReply(std::string_view text, const Reply& reply);
  Step UnaskedReply(const RelayInput& input, const Reply& reply);
  Step XclientHello(std::string_view text, const Reply& reply);
  Step XclientSend(std::size_t octets);
  Step RelayReply(std::string_view text, const Reply& reply, const RelayInput& input);
  void NoteAccepted(PendingReply::From from, std::string_view text);
  void Answered(PendingReply::From from, int code);
  Step EhloReply(std::string_view text, const Reply& reply);
  Step BeginLongReply(PendingReply::From from, std::string_view text, const Reply& reply,
                      const RelayInput& input);
  Step RelayLongReply(const RelayInput& input);
  void EndLongReply(const RelayInput& input, std::size_t octets);

  // Both (smtp_relay.cc).
  [[nodiscard]] bool NextDue(Step* step);
  Step Forward(Side from, std::size_t octets);
  Step Drop(Side from, std::size_t octets);
  Step DropAndInject(Side from, std::size_t octets, InjectDue due);  // text_ is what is injected
  Step Close(CloseReason reason);
  Step Close(LocalReply reply);
  Step CloseWith(CloseReason reason, const std::string& text);
  Step CloseBehind(CloseReason reason, std::string reply);
  [[nodiscard]] std::string TakeDue();
  [[nodiscard]] std::string LastWords(CloseReason reason, bool answered) const;
  void PopReply();
  [[nodiscard]] std::string RestOfReply();
  void CountReply(PendingReply::From from, int code);

  const RelayOptions* options_;
  const XclientFacts* facts_;
  MailPolicy* policy_;
  const CommandRule* rule_ = nullptr;  // of the last line that was looked at
  std::string_view policy_reply_;      // to the MAIL command at hand, until it is this reply's turn
  RelayStats stats_;
  // Heap only between making a text and the call after it was handed out; empty otherwise.
  std::string text_;
  std::unique_ptr<std::vector<std::string>> xclient_commands_;  // the ones to be sent, last first
  std::unique_ptr<std::string> held_greeting_;  // for the client, once the backend is proven
  std::unique_ptr<std::string> unusable_;       // the reply to MAIL
  std::unique_ptr<std::string> server_;         // the name of a backend that a hello has opened
  std::uint64_t chunk_octets_ = 0;              // what is to come of this chunk
  std::size_t front_total_ = 0;  // octets that were waiting when the front was last looked at
  std::uint32_t discarded_octets_ = 0;  // of a line that was refused; 0: none is being discarded
  std::uint32_t progress_ = 0;
  PendingReplies pending_;
  LongReply long_reply_;  // on its way to the client
  // Of a reply that has begun and says that a message is stored; 0: none.
  std::uint16_t accepting_code_ = 0;
  ReplyFault reply_fault_ = ReplyFault::kNone;

  FrontPhase front_phase_ = FrontPhase::kCommand;
  BackPhase back_phase_ = BackPhase::kGreeting;
  InjectDue inject_due_ = InjectDue::kNone;
  CloseReason close_due_ = CloseReason::kNone;  // once everything before it was handed out
  LocalReply chunk_refusal_ = LocalReply::kNotRecognized;
  ContentFramer framer_;
  Capabilities capabilities_;
  // A transaction as the commands read so far would leave it, and as the replies say it is. They
  // are the same whenever no reply is pending.
  bool front_transaction_ = false;
  bool back_transaction_ = false;
  bool bdat_used_ = false;   // in this transaction (RFC 3030 2)
  bool conversing_ = false;  // a command was good enough to be forwarded: this is SMTP
  bool greeted_ = false;     // the client has its greeting
  bool replied_ = false;     // this backend connection has answered a command as such
  bool odd_hello_ = false;   // the last EHLO or HELO had a name that a server may not understand
  bool tls_ = false;
  bool hello_needed_ = false;  // TLS came up and no EHLO or HELO was accepted since
  bool authenticated_ = false;
  bool backend_tls_ = false;
  bool closed_ = false;
};

// Sessions wait in thousands.
static_assert(sizeof(SmtpRelay) <= 512);

}  // namespace ringpost

#endif  // RINGPOST_SMTP_SMTP_RELAY_H_
