// SPDX-License-Identifier: GPL-3.0-or-later
//
// The sink's view of a DATA stream: finds its end and takes the stuffed dots out, without copying.
//
// Owner: a SinkSession. Strict, only CRLF "." CRLF ends it (RFC 5321 4.1.1.4); lenient, it takes a
// bare LF for a line's end as well, as old MTAs do, so that tests can see what such a one would
// have made of the octets. Invariant: the octets given out do not depend on how the input was cut.
#ifndef RINGPOST_TOOLS_CONTENT_READER_H_
#define RINGPOST_TOOLS_CONTENT_READER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringpost {

enum class LineEnd : std::uint8_t { kStrict, kLenient };

struct [[nodiscard]] ContentPiece {
  std::size_t consumed = 0;    // of the input
  std::string_view content{};  // octets of the message, may be empty; inside the input or static
  bool end = false;            // the message is complete; what follows is the next command
};

class ContentReader {
 public:
  void Begin(LineEnd line_end) {
    line_end_ = line_end;
    state_ = State::kLineStart;
  }
  // One run from the front of `input`, which is not empty. Either consumes or gives out something.
  ContentPiece Next(std::string_view input);

 private:
  enum class State : std::uint8_t {
    kLineStart,
    kDot,    // a line began with a dot, which is held back
    kDotCr,  // and CR followed: both held back
    kText,
    kTextCr,  // in text, the last octet was CR
  };

  LineEnd line_end_ = LineEnd::kStrict;
  State state_ = State::kLineStart;
};

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_CONTENT_READER_H_
