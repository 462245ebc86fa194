// SPDX-License-Identifier: GPL-3.0-or-later
//
// Reads the backend's replies (RFC 5321 4.2) and rewrites the one that must not be relayed as it
// is: the reply to EHLO. Pure functions; nothing here keeps state. A reply is only ever handed on
// whole, so that a malformed one leaves no octet with the client (PROTOCOL 10).
#ifndef RINGPOST_SMTP_REPLY_H_
#define RINGPOST_SMTP_REPLY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ringpost {

inline constexpr std::size_t kReplyLineMax = 512;          // RFC 5321 4.5.3.1.5, CRLF included
inline constexpr std::size_t kReplyOctetsMax = 16 * 1024;  // ours
inline constexpr int kReplyLinesMax = 128;                 // ours

enum class ReplyStatus : std::uint8_t { kComplete, kIncomplete, kMalformed };

struct [[nodiscard]] Reply {
  ReplyStatus status = ReplyStatus::kIncomplete;
  int code = 0;            // 200 to 599
  std::size_t octets = 0;  // all its lines
};

// The reply at the front of `readable`; kIncomplete only while it may still become a valid one.
Reply ParseReply(std::string_view readable);

// The first line of what a server has said, for a log: at most 200 octets, printable ASCII without
// quotation marks.
[[nodiscard]] std::string QuotableLine(std::string_view said);

// The texts of a complete reply's lines: without code, separator and CRLF.
class ReplyLines {
 public:
  explicit ReplyLines(std::string_view complete_reply) : rest_(complete_reply) {}
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

// Writes to `out` what the client gets to see of a complete EHLO reply: keywords we know to work
// through a proxy, and our own STARTTLS (PROTOCOL 14 and 17).
void FilterEhloReply(std::string_view complete_reply, OfferStarttls starttls, OfferAuth auth,
                     Capabilities* capabilities, std::string* out);

}  // namespace ringpost

#endif  // RINGPOST_SMTP_REPLY_H_
