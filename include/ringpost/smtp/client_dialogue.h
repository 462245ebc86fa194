// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is said to a partner's mail server before the first mail: its greeting, EHLO, STARTTLS
// (RFC 3207, the client's side), and EHLO once more inside TLS. Like the relay it does no I/O,
// knows no clock, and is asked for one step at a time.
//
// Its last word is the sender's own EHLO or HELO, in TLS or in clear: the reply to that is the
// relay's, and only what it offers counts (RFC 3207 4.2). Nothing of a message is ever said here.
//
// Everything that the server says is hostile. Replies are exactly one for each command: what comes
// behind one, above all behind the 220 to STARTTLS, could have been put there by somebody on the
// way and must not be read as if it had come through TLS.
#ifndef RINGPOST_SMTP_CLIENT_DIALOGUE_H_
#define RINGPOST_SMTP_CLIENT_DIALOGUE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ringpost {

enum class StarttlsUse : std::uint8_t {
  kNever,
  kIfOffered,  // and where it is refused, the session goes on in clear
  kAlways,
};

enum class DialogueFault : std::uint8_t {
  kNone,
  kGreeting,    // it greeted with 4yz or 5yz
  kHello,       // it refused EHLO, and HELO where that would do
  kNotOffered,  // no STARTTLS in its EHLO reply
  kStarttls,    // it refused STARTTLS
  kInjection,   // something came behind the 220 to STARTTLS
  kOutOfStep,   // what it said is no reply, or one more than it was asked for
  kClosed,      // it closed the connection
};
// A phrase for the log and for the sender: "does not offer STARTTLS".
[[nodiscard]] std::string_view DialogueFaultText(DialogueFault fault);

struct [[nodiscard]] DialogueStep {
  enum class Kind : std::uint8_t {
    kNeedInput,  // more octets, or the sender's EHLO
    kSay,        // consume `octets` of the input, send `text`
    kStartTls,   // consume `octets`, which are all there are, and begin the handshake
    kReady,      // consume `octets`; `text` is to be sent, and what follows is the relay's
    kFailed,     // for `fault`; `text` is the line of the server's that was wrong, or empty
  };
  Kind kind = Kind::kNeedInput;
  DialogueFault fault = DialogueFault::kNone;
  std::size_t octets = 0;
  std::string_view text = {};  // valid until the next call
};

class ClientDialogue {
 public:
  enum class Tls : std::uint8_t { kStarttls, kImplicit };

  ClientDialogue(StarttlsUse starttls, Tls tls);

  // The sender's first command, "EHLO name" or "HELO name" with its CRLF. Until it is there only
  // the greeting is read.
  void SetHello(std::string_view line);
  // `readable`: the contiguous octets at the front of the input, `total` all of them. A step other
  // than kNeedInput is to be carried out before the next call; behind kReady and kFailed there is
  // none.
  DialogueStep Next(std::string_view readable, std::size_t total, bool eof);
  // The handshake is over; that of implicit TLS before the first call of Next().
  void TlsEstablished();

  [[nodiscard]] bool in_tls() const { return in_tls_; }

 private:
  enum class Phase : std::uint8_t {
    kGreeting,
    kHello,       // the sender's hello is to be said
    kHelloReply,  // to an EHLO in clear: is STARTTLS offered?
    kStarttlsReply,
    kHandshake,
    kOver,
  };

  DialogueStep OnReply(int code, std::string_view reply, std::size_t total);
  DialogueStep OnHelloReply(int code, std::string_view reply);
  DialogueStep SayHello(std::size_t octets);
  DialogueStep Say(Phase next, std::size_t octets, std::string text);
  DialogueStep Ready(std::size_t octets, std::string text);
  DialogueStep Fail(DialogueFault fault, std::string_view said);

  const StarttlsUse starttls_;
  Phase phase_ = Phase::kGreeting;
  bool in_tls_ = false;
  bool implicit_;
  std::string hello_;
  std::string text_;
};

}  // namespace ringpost

#endif  // RINGPOST_SMTP_CLIENT_DIALOGUE_H_
