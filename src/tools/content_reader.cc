// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/content_reader.h"

namespace ringpost {

ContentPiece ContentReader::Next(std::string_view input) {
  switch (state_) {
    case State::kLineStart:
      if (input[0] == '.') {
        state_ = State::kDot;
        return {.consumed = 1};
      }
      break;
    case State::kDot:
      if (input[0] == '\r') {
        state_ = State::kDotCr;
        return {.consumed = 1};
      }
      if (input[0] == '\n' && line_end_ == LineEnd::kLenient) {
        return {.consumed = 1, .end = true};
      }
      break;  // RFC 5321 4.5.2: a dot in front of other octets is deleted
    case State::kDotCr:
      if (input[0] == '\n') {
        return {.consumed = 1, .end = true};
      }
      state_ = State::kText;  // the CR was a bare one, no LF follows: content
      return {.content = "\r"};
    case State::kText:
    case State::kTextCr:
      break;
  }

  // Text up to the next line that begins with a dot, or all there is.
  for (std::size_t from = 0;;) {
    const std::size_t newline = input.find('\n', from);
    if (newline == std::string_view::npos) {
      state_ = input.back() == '\r' ? State::kTextCr : State::kText;
      return {.consumed = input.size(), .content = input};
    }
    const bool after_cr = newline > 0 ? input[newline - 1] == '\r' : state_ == State::kTextCr;
    const std::size_t next = newline + 1;
    const bool line_end = after_cr || line_end_ == LineEnd::kLenient;
    if (next == input.size()) {
      state_ = line_end ? State::kLineStart : State::kText;
      return {.consumed = next, .content = input};
    }
    if (line_end && input[next] == '.') {
      state_ = State::kLineStart;
      return {.consumed = next, .content = input.substr(0, next)};
    }
    from = next;
  }
}

}  // namespace ringpost
