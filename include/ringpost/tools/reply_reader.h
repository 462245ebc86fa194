// SPDX-License-Identifier: GPL-3.0-or-later
//
// Reads one SMTP reply (RFC 5321 4.2), several lines included, from the front of what was received.
// A pure function: no state, never reads behind what it was given.
#ifndef RINGPOST_TOOLS_REPLY_READER_H_
#define RINGPOST_TOOLS_REPLY_READER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringpost {

enum class ReplyParse : std::uint8_t { kNeedMore, kMalformed, kComplete };

struct [[nodiscard]] Reply {
  ReplyParse result = ReplyParse::kNeedMore;
  int code = 0;            // 200..599
  std::size_t length = 0;  // all its lines with their CRLFs

  [[nodiscard]] bool positive() const { return code >= 200 && code < 300; }
};

// Longest reply accepted; also what has to be contiguous at most.
inline constexpr std::size_t kReplyOctetsMax = 8192;

// Malformed: a code that is none or changes from line to line, a bare CR or LF, a NUL, or more than
// kReplyOctetsMax octets without an end.
[[nodiscard]] Reply ReadReply(std::string_view received);

// Whether a complete EHLO reply has a line with this keyword (upper case given, any case accepted).
[[nodiscard]] bool ReplyOffers(std::string_view reply, std::string_view keyword);

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_REPLY_READER_H_
