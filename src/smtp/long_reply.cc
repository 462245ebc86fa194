// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/smtp/long_reply.h"

#include <algorithm>

namespace ringpost {
namespace {

constexpr std::size_t kCrlfOctets = 2;
constexpr std::size_t kShortestLine = 6;  // "250 " and CRLF

LongReplyStep Malformed(ReplyFault fault) {
  return LongReplyStep{.kind = LongReplyStep::Kind::kMalformed, .fault = fault};
}

}  // namespace

LongReplyStep LongReply::Next(std::string_view readable) {
  return in_line_ ? RestOfLine(readable) : Line(readable);
}

LongReplyStep LongReply::Line(std::string_view readable) {
  // Longer ones are cut there, wherever they end.
  constexpr std::size_t kSeen = kReplyLineMax + 1;
  const ReplyLine line = ParseReplyLine(readable.substr(0, kSeen));
  if (line.status == ReplyStatus::kMalformed) return Malformed(line.fault);
  const bool whole = line.status == ReplyStatus::kComplete;
  if (!whole && readable.size() < kSeen) return LongReplyStep{};
  if (line.code != code_) return Malformed(ReplyFault::kOtherCode);

  // Room for the last line is never used up by others.
  const std::size_t left = kReplyOctetsMax - relayed_;
  const std::size_t octets = whole ? line.octets : kSeen;
  full_ = full_ || (!line.last && std::min(octets, kReplyLineMax) + kShortestLine > left);
  in_line_ = !whole;
  last_line_ = line.last;
  if (told_ || (full_ && !line.last)) return Drop(octets, whole && line.last);

  told_ = line.last;
  const std::size_t room = std::min(kReplyLineMax, left);
  if (whole && octets <= room) {
    relayed_ += static_cast<std::uint32_t>(octets);
    return LongReplyStep{
        .kind = LongReplyStep::Kind::kForward, .ends = line.last, .octets = octets};
  }
  in_line_ = true;
  const std::size_t kept = CutLine(readable.substr(0, kSeen), room - kCrlfOctets);
  relayed_ += static_cast<std::uint32_t>(kept + kCrlfOctets);
  return LongReplyStep{.kind = LongReplyStep::Kind::kCut, .octets = kept};
}

LongReplyStep LongReply::RestOfLine(std::string_view readable) {
  const std::size_t end =
      std::min(readable.find_first_of(std::string_view("\r\n\0", 3)), readable.size());
  if (end > 0) return Drop(end, false);
  if (readable.size() < kCrlfOctets && readable != "\n" && readable != std::string_view("\0", 1)) {
    return LongReplyStep{};
  }
  if (readable.front() == '\0') return Malformed(ReplyFault::kNul);
  if (!readable.starts_with("\r\n")) return Malformed(ReplyFault::kBareNewline);
  in_line_ = false;
  return Drop(kCrlfOctets, last_line_);
}

LongReplyStep LongReply::Drop(std::size_t octets, bool ends) {
  dropped_ += static_cast<std::uint32_t>(octets);
  if (dropped_ > kDroppedMax) return Malformed(ReplyFault::kTooLong);
  return LongReplyStep{.kind = LongReplyStep::Kind::kDrop, .ends = ends, .octets = octets};
}

}  // namespace ringpost
