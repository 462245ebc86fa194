// SPDX-License-Identifier: GPL-3.0-or-later
//
// A backend's reply that is too long to be read as a whole (more than kReplyWholeMax): its lines go
// on one by one, so that it needs no more memory than any other. What does not fit kReplyLineMax or
// kReplyOctetsMax is cut from its text. Code and marks always go on, so that the client gets a
// valid reply with the true code.
//
// It holds no octet. Owner: the relay, which does what it is told: it counts on that.
#ifndef RINGPOST_SMTP_LONG_REPLY_H_
#define RINGPOST_SMTP_LONG_REPLY_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ringpost/smtp/reply.h"

namespace ringpost {

struct [[nodiscard]] LongReplyStep {
  enum class Kind : std::uint8_t {
    kForward,  // the first `octets` go on: one line
    kCut,      // the same, but the line has not ended there: CRLF follows, and its rest is dropped
    kDrop,     // the first `octets` are dropped
    kNeedInput,
    kMalformed,  // `fault`
  };
  Kind kind = Kind::kNeedInput;
  ReplyFault fault = ReplyFault::kNone;
  bool ends = false;  // these are the reply's last octets
  std::size_t octets = 0;
};

class LongReply {
 public:
  LongReply() = default;

  // The most that is dropped of one reply.
  static constexpr std::size_t kDroppedMax = 64 * 1024;

  // From here on until a step that `ends`.
  void Begin(int code) { *this = LongReply(code, false); }
  // The same, where the client has had its reply, made of the first lines: nothing goes on.
  void BeginTold(int code) { *this = LongReply(code, true); }
  void End() { *this = LongReply(); }

  [[nodiscard]] bool active() const { return code_ != 0; }
  [[nodiscard]] int code() const { return code_; }
  // The client has lines of it, and not its last.
  [[nodiscard]] bool owes_end() const { return active() && !told_; }

  // `readable` is the contiguous front of the backend's input.
  LongReplyStep Next(std::string_view readable);

 private:
  LongReply(int code, bool told) : code_(static_cast<std::uint16_t>(code)), told_(told) {}

  LongReplyStep Line(std::string_view readable);
  LongReplyStep RestOfLine(std::string_view readable);
  LongReplyStep Drop(std::size_t octets, bool ends);

  std::uint32_t relayed_ = 0;
  std::uint32_t dropped_ = 0;
  std::uint16_t code_ = 0;  // 0: there is none
  bool told_ = false;       // the client has its last line
  bool full_ = false;       // nothing but the last line goes on
  bool in_line_ = false;    // the rest of a line is being dropped
  bool last_line_ = false;  // and that is the last
};

}  // namespace ringpost

#endif  // RINGPOST_SMTP_LONG_REPLY_H_
