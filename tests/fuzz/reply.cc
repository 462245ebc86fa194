// SPDX-License-Identifier: GPL-3.0-or-later
//
// The backend's replies (PROTOCOL 10). The input is what the backend has said. Oracle: RFC 5321
// 4.2, read line by line with no thought of speed. Long replies are the input, many times over.
#include "ringpost/smtp/reply.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "ringpost/smtp/long_reply.h"

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
  for (bool first = true;; first = false) {
    int code = 0;
    bool last = false;
    bool cr = false;
    for (std::size_t column = 0;; ++column) {
      const std::size_t at = begin + column;
      const auto malformed = [&] {
        return Reference{.status = ReplyStatus::kMalformed, .octets = reference.octets};
      };
      const bool challenge = (first ? code : reference.code) == 334;
      if (challenge && column > kChallengeLineMax) return malformed();
      if (at == kReplyWholeMax) {
        reference.status = ReplyStatus::kLong;
        return reference;
      }
      if (at == text.size()) return reference;
      const char c = text[at];
      if (column < 3) {
        if (!IsDigit(c) || (column == 0 && (c < '2' || c > '5'))) return malformed();
        code = code * 10 + (c - '0');
        if (column == 2 && first) reference.code = code;
        if (column == 2 && code != reference.code) return malformed();
        continue;
      }
      if (column == 3) {
        if (c != ' ' && c != '-' && c != '\r') return malformed();
        last = c != '-';
      }
      if (c == '\0' || (c == '\n' && !cr)) return malformed();
      if (cr) {
        if (c != '\n' || (challenge && column + 1 > kChallengeLineMax)) return malformed();
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

// What a client gets to see of it, and how it ends, where its contiguous runs have `run` octets.
struct Told {
  std::string client;
  LongReplyStep::Kind end = LongReplyStep::Kind::kNeedInput;
  bool ended = false;
  std::size_t left = 0;
};

Told Tell(std::string_view said, int code, std::size_t run) {
  LongReply reply;
  reply.Begin(code);
  Told told;
  while (!told.ended) {
    LongReplyStep step = reply.Next(said.substr(0, run));
    if (step.kind == LongReplyStep::Kind::kNeedInput) step = reply.Next(said.substr(0, 16'384));
    RINGPOST_CHECK(step.octets <= said.size());
    told.end = step.kind;
    if (step.kind == LongReplyStep::Kind::kNeedInput) break;
    if (step.kind == LongReplyStep::Kind::kMalformed) {
      RINGPOST_CHECK(step.fault != ReplyFault::kNone);
      break;
    }
    RINGPOST_CHECK(step.octets > 0);
    if (step.kind != LongReplyStep::Kind::kDrop) told.client.append(said.substr(0, step.octets));
    if (step.kind == LongReplyStep::Kind::kCut) told.client.append("\r\n");
    said.remove_prefix(step.octets);
    told.ended = step.ends;
  }
  told.left = said.size();
  return told;
}

void CheckLong(std::string_view text, SimRandom& draws) {
  const ReplyLine first = ParseReplyLine(text.substr(0, 4));
  if (text.size() < 4 || first.status == ReplyStatus::kMalformed) return;
  std::string said;
  const std::size_t times = 1 + draws.Below(150'000 / text.size());
  for (std::size_t i = 0; i < times; ++i) said += text;
  const Told told = Tell(said, first.code, 16'384);
  const Told cut = Tell(said, first.code, 1 + draws.Below(600));
  RINGPOST_CHECK(told.client == cut.client && told.end == cut.end && told.ended == cut.ended);
  RINGPOST_CHECK(told.left == cut.left || told.end == LongReplyStep::Kind::kMalformed ||
                 told.end == LongReplyStep::Kind::kNeedInput);
  RINGPOST_CHECK(told.client.size() <= kReplyOctetsMax);
  // Whole lines, of that code, and one last line at most.
  std::string_view rest = told.client;
  bool last = false;
  while (!rest.empty()) {
    const ReplyLine line = ParseReplyLine(rest);
    RINGPOST_CHECK(line.status == ReplyStatus::kComplete && line.code == first.code);
    RINGPOST_CHECK(line.octets <= kReplyLineMax && !last);
    last = line.last;
    rest.remove_prefix(line.octets);
  }
  RINGPOST_CHECK(last || !told.ended);
  // Nothing is cut that fits.
  const Reference whole = Read(said);
  if (whole.status == ReplyStatus::kComplete && told.ended) {
    std::string shortened;
    ShortenLines(std::string_view(said).substr(0, whole.octets), &shortened);
    RINGPOST_CHECK(shortened == told.client);
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
  if (cut.status == ReplyStatus::kMalformed || cut.status == ReplyStatus::kLong)
    RINGPOST_CHECK(whole.status == cut.status);
  if (cut.status == ReplyStatus::kComplete) {
    RINGPOST_CHECK(whole.status == cut.status && whole.code == cut.code &&
                   whole.octets == cut.octets);
  }
  CheckLong(text, draws);
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
