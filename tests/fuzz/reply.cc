// SPDX-License-Identifier: GPL-3.0-or-later
//
// The backend's replies (PROTOCOL 10). The input is what the backend has said. Oracle: RFC 5321
// 4.2, read line by line with no thought of speed.
#include "ringpost/smtp/reply.h"

#include <string_view>

#include "fuzz.h"

namespace ringpost {
namespace {

// What the front of `text` is once everything up to its first complete or wrong place was seen.
struct Reference {
  ReplyStatus status = ReplyStatus::kIncomplete;
  int code = 0;
  std::size_t octets = 0;
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

Reference Read(std::string_view text) {
  Reference reference;
  std::size_t begin = 0;
  for (int line = 1;; ++line) {
    int code = 0;
    bool last = false;
    bool cr = false;
    for (std::size_t column = 0;; ++column) {
      const std::size_t at = begin + column;
      const auto malformed = [&] {
        return Reference{.status = ReplyStatus::kMalformed, .octets = reference.octets};
      };
      if (at == text.size()) {
        // A limit reached without an end is wrong, too.
        const bool full = column >= 512 || at >= kReplyOctetsMax;
        return full ? malformed() : reference;
      }
      if (column >= 512 || at >= kReplyOctetsMax || line > kReplyLinesMax) return malformed();
      const char c = text[at];
      if (column < 3) {
        if (!IsDigit(c) || (column == 0 && (c < '2' || c > '5'))) return malformed();
        code = code * 10 + (c - '0');
        if (column == 2 && line > 1 && code != reference.code) return malformed();
        continue;
      }
      if (column == 3) {
        if (c != ' ' && c != '-' && c != '\r') return malformed();
        last = c != '-';
      }
      if (c == '\0' || (c == '\n' && !cr)) return malformed();
      if (cr) {
        if (c != '\n') return malformed();
        reference.code = code;
        reference.octets = at + 1;
        begin = at + 1;
        break;
      }
      cr = c == '\r';
    }
    if (last) {
      reference.status = ReplyStatus::kComplete;
      return reference;
    }
  }
}

void Same(const Reply& reply, const Reference& reference) {
  RINGPOST_CHECK(reply.status == reference.status);
  if (reply.status == ReplyStatus::kComplete) {
    RINGPOST_CHECK(reply.code == reference.code && reply.octets == reference.octets);
    RINGPOST_CHECK(reply.code >= 200 && reply.code <= 599);
  }
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  const std::string_view text = fuzz::View(data, size);
  const Reply whole = ParseReply(text);
  Same(whole, Read(text));
  SimRandom draws(fuzz::HashOf(text));
  const fuzz::Exact part(text.substr(0, draws.Below(size + 1)));
  const Reply cut = ParseReply(part.view());
  Same(cut, Read(part.view()));
  // More octets never change what was said already.
  if (cut.status == ReplyStatus::kMalformed)
    RINGPOST_CHECK(whole.status == ReplyStatus::kMalformed);
  if (cut.status == ReplyStatus::kComplete) {
    RINGPOST_CHECK(whole.status == cut.status && whole.code == cut.code &&
                   whole.octets == cut.octets);
  }
  if (whole.status != ReplyStatus::kComplete) return 0;
  // Its lines: each is inside it, in order, and none holds a line's end.
  const std::string_view reply = text.substr(0, whole.octets);
  ReplyLines lines(reply);
  std::size_t octets = 0;
  for (std::string_view line; lines.Next(&line);) {
    RINGPOST_CHECK(fuzz::Inside(line, reply));
    RINGPOST_CHECK(line.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    // Code, separator, CRLF; a code alone has no separator.
    const std::size_t head = reply.substr(octets + 3, 1) == "\r" ? 3 : 4;
    RINGPOST_CHECK(reply.substr(octets + head, line.size()) == line);
    octets += head + line.size() + 2;
  }
  RINGPOST_CHECK(octets == reply.size());
  return 0;
}
