// SPDX-License-Identifier: GPL-3.0-or-later
//
// The SMTP state machine of one session. Commands flow front→back, replies back→front. It does no I/O,
// knows no clock, allocates nothing per command, and never learns which leg is encrypted by whom.
//
// It is asked for one step at a time. Bodies are forwarded by count, never copied. A bounded first-in
// first-out matches replies with pipelined commands (RFC 2920), those we refuse ourselves included, so
// that every command gets exactly one reply, in order.
//
// It never makes a 2xx for MAIL, RCPT, AUTH, DATA or BDAT.
#ifndef RINGPOST_SMTP_SMTP_RELAY_H_
#define RINGPOST_SMTP_SMTP_RELAY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ringpost/base/outcome.h"

namespace ringpost {

enum class Side : std::uint8_t { kFront, kBack };

enum class TlsPolicy : std::uint8_t { kNone, kMay, kEncrypt };      // Postfix's words
enum class BareNewline : std::uint8_t { kNormalize, kReject };

// What a relay needs to know of its route. Immutable, shared by all sessions of the route, and alive as
// long as any of them.
struct RelayOptions {
  std::string hostname;             // opens our own replies: "421 4.3.2 <hostname> ..."
  TlsPolicy tls_policy = TlsPolicy::kMay;
  bool starttls_offered = true;     // false on implicit-TLS listeners and routes without certificate
  BareNewline bare_newline = BareNewline::kNormalize;
  bool xclient = false;             // identify with XCLIENT before the first command
  int refused_commands_max = 20;    // then 421 4.7.0 and kClientTooManyErrors
};

// The client's facts for XCLIENT. Views must stay valid until the greeting was relayed.
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
  kStartTls,   // drop `octets` (all there is), append `text` to the front's output in clear, then TLS
  kNeedInput,  // not enough contiguous octets: offer more, or wait for a receive
  kBlocked,    // nothing can be done until the other side moves
  kClose,      // append `text` (may be empty) to the front's output, then end the session
};

struct [[nodiscard]] Step {
  StepKind kind = StepKind::kNeedInput;
  Side to = Side::kFront;
  CloseReason reason = CloseReason::kNone;
  std::size_t octets = 0;
  std::string_view text;  // valid until the next call of Next()
};

// What the relay can see of one side's input.
struct RelayInput {
  std::string_view readable;  // the contiguous octets at the front
  std::size_t total = 0;      // all octets received and not consumed, >= readable.size()
  bool eof = false;           // nothing will follow `total`
};

// Which of RFC 5321 4.5.3.2's timers runs. The session owns the clock.
enum class RelayWait : std::uint8_t {
  kClientCommand,      // a complete command line; the clock is not reset by a part of one
  kClientContent,      // octets of DATA or BDAT
  kBackendGreeting,
  kBackendReply,       // MAIL, RCPT and everything not named here
  kBackendDataReply,   // the 354
  kBackendFinalReply,  // the reply to the final dot or to a BDAT chunk
};

struct RelayStats {
  std::uint32_t messages_accepted = 0;  // 2xx to the final dot or BDAT LAST, from the backend
  std::uint32_t messages_refused = 0;   // 4xx/5xx in the same place
  std::uint32_t commands_refused = 0;   // by us
  std::uint32_t bare_newlines = 0;
  std::uint64_t content_octets = 0;     // of DATA and BDAT, as received
};

enum class BackendAfterTls : std::uint8_t {
  kSame,         // the clear-text connection goes on; an EHLO from the client resets it
  kReconnected,  // a fresh one: its greeting is consumed, not relayed
};

class SmtpRelay {
 public:
  SmtpRelay(const RelayOptions* options, const XclientFacts* facts);

  // The next step for `side`. The caller carries it out completely before it asks again.
  Step Next(Side side, const RelayInput& input);

  // The handshake after kStartTls, or that of an implicit-TLS listener, is complete. From here on MAIL
  // before a new EHLO gets 503 and STARTTLS is neither offered nor accepted (RFC 3207 4.2).
  void TlsEstablished(BackendAfterTls backend);

  // What to tell the client when the session ends for a reason the relay did not find itself:
  // "421 4.x.x host ..." or, where no reply may be sent, nothing. Valid until the next call.
  [[nodiscard]] std::string_view Farewell(CloseReason reason);

  [[nodiscard]] RelayWait waiting() const;
  // Changes whenever a complete command or reply, or an octet of content, was processed.
  [[nodiscard]] std::uint32_t progress() const { return progress_; }
  // Content is being received and its end has not been forwarded: EOF now must abort the backend.
  [[nodiscard]] bool in_content() const;
  // Between transactions, nothing pending: a drain may end the session here.
  [[nodiscard]] bool idle() const;
  [[nodiscard]] const RelayStats& stats() const { return stats_; }

  // --- the private part is the implementer's ---
 private:
  std::uint32_t progress_ = 0;
  RelayStats stats_;
};

}  // namespace ringpost

#endif  // RINGPOST_SMTP_SMTP_RELAY_H_
