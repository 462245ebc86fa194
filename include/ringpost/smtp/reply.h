// SPDX-License-Identifier: GPL-3.0-or-later
//
// Reads the backend's replies (RFC 5321 4.2) and rewrites what must not be relayed as it is: the
// reply to EHLO, and lines of any reply that are too long. Pure functions; nothing here keeps
// state.
#ifndef RINGPOST_SMTP_REPLY_H_
#define RINGPOST_SMTP_REPLY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ringpost {

// RFC 5321 4.5.3.1.5 allows 512 octets a line. That binds who sends; these are what we relay.
inline constexpr std::size_t kReplyLineMax = 4 * 1024;  // CRLF included; what is longer is cut
inline constexpr std::size_t kReplyOctetsMax = 64 * 1024;
// What is read as a whole before any of it goes on: one block. Longer ones: long_reply.h.
inline constexpr std::size_t kReplyWholeMax = 16 * 1024;
// RFC 4954 4: 12,288 octets of base64. A challenge is never cut.
inline constexpr std::size_t kChallengeLineMax = 4 + 12288 + 2;

enum class ReplyStatus : std::uint8_t {
  kComplete,
  kIncomplete,
  kMalformed,
  kLong,  // kReplyWholeMax octets are there, all of them valid, and not its end
};

// What is wrong with it.
enum class ReplyFault : std::uint8_t {
  kNone,
  kNoCode,
  kOtherCode,    // not that of its first line
  kBareNewline,  // a CR or LF that is not part of a CRLF
  kNul,
  kTooLong,
  kCutShort,   // the connection ended
  kOutOfTurn,  // the command that waits for a reply cannot have this one
  kUnasked,    // no command waits
};
// For a log: "bare CR or LF in a reply".
[[nodiscard]] std::string_view ReplyFaultText(ReplyFault fault);

struct [[nodiscard]] Reply {
  ReplyStatus status = ReplyStatus::kIncomplete;
  ReplyFault fault = ReplyFault::kNone;
  bool has_long_line = false;  // longer than kReplyLineMax, and no challenge
  int code = 0;                // 200 to 599
  // Of all its lines. kMalformed: of those in front of the wrong one. kLong: of those that are
  // there as a whole.
  std::size_t octets = 0;
};

// The reply at the front of `readable`; kIncomplete only while it may still become kComplete
// or kLong.
Reply ParseReply(std::string_view readable);

// One line of a reply. kIncomplete: judged as far as it is there. `octets` are 0 then.
struct [[nodiscard]] ReplyLine {
  ReplyStatus status = ReplyStatus::kIncomplete;
  ReplyFault fault = ReplyFault::kNone;
  int code = 0;  // once its three digits are there
  bool last = false;
  std::size_t octets = 0;
};
ReplyLine ParseReplyLine(std::string_view readable);

// How much of `line` is kept where it must not have more than `octets_max`: no UTF-8 sequence is
// torn.
[[nodiscard]] std::size_t CutLine(std::string_view line, std::size_t octets_max);

// Writes a complete reply to `out`, with the text of lines that are too long cut; their codes and
// marks stay.
void ShortenLines(std::string_view complete_reply, std::string* out);

// The first line of what a server has said, for a log: at most 200 octets, printable ASCII without
// quotation marks.
[[nodiscard]] std::string QuotableLine(std::string_view said);

// The texts of a reply's lines: without code, separator and CRLF.
class ReplyLines {
 public:
  explicit ReplyLines(std::string_view reply) : rest_(reply) {}
  [[nodiscard]] bool Next(std::string_view* text);

 private:
  std::string_view rest_;
};

// What the backend's EHLO reply says and the relay acts on. Gone with the next EHLO or HELO.
struct Capabilities {
  bool pipelining = false;
  bool smtputf8 = false;
  bool chunking = false;
};

enum class OfferStarttls : std::uint8_t { kNo, kYes };
enum class OfferAuth : std::uint8_t { kNo, kYes };

// Writes to `out` what the client gets to see of an EHLO reply, all of it or its first lines:
// keywords we know to work through a proxy, and our own STARTTLS (PROTOCOL 14 and 17). A keyword
// line that is too long, or does not fit kReplyWholeMax any more, is left out: cut, it would say
// something else.
void FilterEhloReply(std::string_view lines_of_reply, OfferStarttls starttls, OfferAuth auth,
                     Capabilities* capabilities, std::string* out);

// The keyword lines of what FilterEhloReply() has written, each without its code and with CRLF:
// what a sender may be told where the backend cannot be asked. Without AUTH, because nobody can
// look at a password then, and without what goes beyond `octets_max`.
[[nodiscard]] std::string KeptKeywords(std::string_view filtered_reply, std::size_t octets_max);

}  // namespace ringpost

#endif  // RINGPOST_SMTP_REPLY_H_
