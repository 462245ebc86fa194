// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/smtp/content_framer.h"

#include "ringpost/smtp/scanner.h"

namespace ringpost {
namespace {

// What a line that starts with a dot turns out to be.
enum class DotLine {
  kText,      // more than the dot: ordinary (stuffed) text
  kUnknown,   // it may still become any of the others
  kLone,      // "." CR LF
  kBareLone,  // "." and a bare LF
  kBareCr,    // "." and a bare CR
};

DotLine Classify(std::string_view line) {
  if (line.size() == 1) return DotLine::kUnknown;
  if (line[1] == '\n') return DotLine::kBareLone;
  if (line[1] != '\r') return DotLine::kText;
  if (line.size() == 2) return DotLine::kUnknown;
  return line[2] == '\n' ? DotLine::kLone : DotLine::kBareCr;
}

constexpr std::size_t kLoneDotOctets = 3;  // ". CR LF"

}  // namespace

ContentStep ContentFramer::Next(std::string_view readable, BareNewline mode, std::string* rewritten,
                                std::uint32_t* bare_newlines) {
  std::size_t at = 0;
  bool dot_starts_line = position_ != Position::kInLine && !readable.empty() && readable[0] == '.';
  while (true) {
    if (!dot_starts_line) at += ScanContent(readable.substr(at));
    if (at == readable.size()) return Forward(readable);

    bool wait = false;
    if (readable[at] == '.') {
      // At the front only position_ knows what came before; elsewhere the scanner saw the CRLF.
      const bool behind_crlf = at > 0 || position_ == Position::kLineStart;
      switch (Classify(readable.substr(at))) {
        case DotLine::kText:
          ++at;
          dot_starts_line = false;
          continue;
        case DotLine::kUnknown:
          wait = true;
          break;
        case DotLine::kLone:
          if (behind_crlf) {
            return ContentStep{ContentStep::Kind::kEnd, at + kLoneDotOctets};
          }
          break;
        case DotLine::kBareLone:
        case DotLine::kBareCr:
          break;
      }
    } else if (readable[at] == '\r') {
      wait = at + 1 == readable.size();
    }

    if (!wait && mode == BareNewline::kReject)
      return ContentStep{ContentStep::Kind::kBareNewline, 0};
    if (at > 0) return Forward(readable.substr(0, at));
    if (wait) return ContentStep{ContentStep::Kind::kNeedInput, 0};
    return Rewrite(readable, rewritten, bare_newlines);
  }
}

ContentStep ContentFramer::Forward(std::string_view run) {
  if (run.empty()) return ContentStep{ContentStep::Kind::kNeedInput, 0};
  // Every LF in a clean run has its CR.
  position_ = run.back() == '\n' ? Position::kLineStart : Position::kInLine;
  return ContentStep{ContentStep::Kind::kForward, run.size()};
}

// Goes on octet by octet for a while, because one bare newline is rarely alone. Stops in front of
// what it cannot decide and in front of the end, which then starts the next run.
ContentStep ContentFramer::Rewrite(std::string_view readable, std::string* rewritten,
                                   std::uint32_t* bare_newlines) {
  rewritten->clear();
  rewritten->reserve(2 * kRewriteMax);
  std::size_t i = 0;
  bool stop = false;
  while (!stop && i < readable.size() && i + kLoneDotOctets <= kRewriteMax) {
    const char c = readable[i];
    if (c == '.' && position_ != Position::kInLine) {
      switch (Classify(readable.substr(i))) {
        case DotLine::kText:
        case DotLine::kBareCr:
          rewritten->push_back('.');
          ++i;
          position_ = Position::kInLine;
          continue;
        case DotLine::kUnknown:
          stop = true;
          continue;
        case DotLine::kLone:
          if (position_ == Position::kLineStart) {
            stop = true;
            continue;
          }
          rewritten->append("..\r\n");
          i += kLoneDotOctets;
          position_ = Position::kLineStart;
          continue;
        case DotLine::kBareLone:
          rewritten->append("..\r\n");
          i += 2;
          ++*bare_newlines;
          position_ = Position::kLineStartBare;
          continue;
      }
    }
    if (c == '\n') {
      rewritten->append("\r\n");
      ++i;
      ++*bare_newlines;
      position_ = Position::kLineStartBare;
    } else if (c == '\r') {
      if (i + 1 == readable.size()) {
        stop = true;
      } else if (readable[i + 1] == '\n') {
        rewritten->append("\r\n");
        i += 2;
        position_ = Position::kLineStart;
      } else {
        rewritten->push_back(' ');
        ++i;
        ++*bare_newlines;
        position_ = Position::kInLine;
      }
    } else {
      rewritten->push_back(c);
      ++i;
      position_ = Position::kInLine;
    }
  }
  return ContentStep{ContentStep::Kind::kRewrite, i};
}

}  // namespace ringpost
