// SPDX-License-Identifier: GPL-3.0-or-later
//
// Finds the end of the content that follows DATA, and keeps everything else from looking like it:
// only the sender's own CRLF . CRLF ends a message (RFC 5321 4.1.1.4).
//
// Conforming content is forwarded as it is, in runs as long as what the caller can offer, the
// terminator included. A bare LF goes on as CRLF, a bare CR as a space, and a line that becomes a
// lone dot that way gets a second one; or, under BareNewline::kReject, the first of them ends the
// session.
//
// It keeps one octet of state and no content: what cannot be decided yet (at most ". CR" at the
// end) is simply not taken. Owner: the relay.
#ifndef RINGPOST_SMTP_CONTENT_FRAMER_H_
#define RINGPOST_SMTP_CONTENT_FRAMER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ringpost {

enum class BareNewline : std::uint8_t { kNormalize, kReject };

struct [[nodiscard]] ContentStep {
  enum class Kind : std::uint8_t {
    kForward,      // the first `octets` go on as they are
    kEnd,          // the same, and the last three of them (". CR LF") end the message
    kRewrite,      // the first `octets` are replaced by the text that was made
    kNeedInput,    // the next octet is needed to decide
    kBareNewline,  // a bare CR or LF, under kReject
  };
  Kind kind = Kind::kNeedInput;
  std::size_t octets = 0;
};

class ContentFramer {
 public:
  // The most input that one kRewrite replaces; its text is at most twice as long.
  static constexpr std::size_t kRewriteMax = 4096;

  // The 354 was relayed: content begins, at the start of a line.
  void Start() { position_ = Position::kLineStart; }

  // `readable` is all content not taken yet, or the first run of it. `rewritten` is replaced, with
  // kRewrite only; `bare_newlines` grows by what was normalised.
  ContentStep Next(std::string_view readable, BareNewline mode, std::string* rewritten,
                   std::uint32_t* bare_newlines);

 private:
  enum class Position : std::uint8_t {
    kInLine,
    kLineStart,      // behind CRLF, or at the very start
    kLineStartBare,  // behind a bare LF: no line that starts here ends the message
  };

  ContentStep Forward(std::string_view run);
  ContentStep Rewrite(std::string_view readable, std::string* rewritten,
                      std::uint32_t* bare_newlines);

  Position position_ = Position::kLineStart;
};

}  // namespace ringpost

#endif  // RINGPOST_SMTP_CONTENT_FRAMER_H_
