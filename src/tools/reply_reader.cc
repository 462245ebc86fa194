// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/reply_reader.h"

#include "ringpost/tools/ascii.h"

namespace ringpost {
namespace {

constexpr Reply kMalformed{.result = ReplyParse::kMalformed};

// The code at the front of a line, or 0. RFC 5321 4.2: 2 to 5, 0 to 5, 0 to 9; second digits above
// 5 are in use, so they pass.
int CodeOf(std::string_view line) {
  if (line.size() < 3 || line[0] < '2' || line[0] > '5' || !IsDigit(line[1]) || !IsDigit(line[2])) {
    return 0;
  }
  return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

}  // namespace

Reply ReadReply(std::string_view received) {
  int code = 0;
  for (std::size_t start = 0;;) {
    const std::size_t end = received.find('\n', start);
    if (end == std::string_view::npos) {
      return received.size() < kReplyOctetsMax ? Reply{} : kMalformed;
    }
    if (end >= kReplyOctetsMax || end == start || received[end - 1] != '\r') {
      return kMalformed;
    }
    const std::string_view line = received.substr(start, end - 1 - start);
    const int line_code = CodeOf(line);
    if (line_code == 0 || (code != 0 && line_code != code) ||
        line.find('\r') != std::string_view::npos || line.find('\0') != std::string_view::npos) {
      return kMalformed;
    }
    code = line_code;
    // RFC 5321 4.2.1: a receiver also takes a bare code for a last line.
    if (line.size() == 3 || line[3] == ' ') {
      return {.result = ReplyParse::kComplete, .code = code, .length = end + 1};
    }
    if (line[3] != '-') {
      return kMalformed;
    }
    start = end + 1;
  }
}

bool ReplyOffers(std::string_view reply, std::string_view keyword) {
  bool first = true;
  while (!reply.empty()) {
    const std::size_t end = reply.find("\r\n");
    const std::string_view line = reply.substr(0, end);
    if (!first && line.size() >= 4 + keyword.size() &&
        EqualsIgnoreCase(line.substr(4, keyword.size()), keyword) &&
        (line.size() == 4 + keyword.size() || line[4 + keyword.size()] == ' ')) {
      return true;
    }
    first = false;  // the first line is the greeting, whatever it says
    reply.remove_prefix(end == std::string_view::npos ? reply.size() : end + 2);
  }
  return false;
}

}  // namespace ringpost
