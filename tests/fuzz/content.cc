// SPDX-License-Identifier: GPL-3.0-or-later
//
// The content that follows DATA and its end (PROTOCOL 20 and the smuggling rule). The input is what
// the client sends behind the 354. Oracles: a reference that looks at one octet at a time, the
// sink's own reader, strict and lenient, and the scanner's other versions.
#include <algorithm>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "ringpost/smtp/content_framer.h"
#include "ringpost/smtp/scanner.h"
#include "ringpost/tools/content_reader.h"

namespace ringpost {
namespace {

struct Framed {
  std::string out;
  std::size_t consumed = 0;
  std::uint32_t bare_newlines = 0;
  bool end = false;
  bool refused = false;

  void Clear() {
    out.clear();
    consumed = 0;
    bare_newlines = 0;
    end = refused = false;
  }
};

// One octet at a time. What may still become the end, or a newline, is held back.
void Reference(std::string_view content, BareNewline mode, Framed* framed) {
  enum class Line { kStart, kStartBare, kInside };
  enum class Held { kNothing, kCr, kDot, kDotCr };
  Line line = Line::kStart;
  Held held = Held::kNothing;
  framed->Clear();
  const auto bare = [&] {
    ++framed->bare_newlines;
    framed->refused = mode == BareNewline::kReject;
  };
  for (std::size_t i = 0; i < content.size() && !framed->end && !framed->refused; ++i) {
    const char c = content[i];
    if (held == Held::kCr) {
      held = Held::kNothing;
      if (c == '\n') {
        framed->out += "\r\n";
        line = Line::kStart;
        continue;
      }
      bare();
      framed->out += ' ';
      line = Line::kInside;
    } else if (held == Held::kDot) {
      held = Held::kNothing;
      if (c == '\r') {
        held = Held::kDotCr;
        continue;
      }
      if (c == '\n') {
        bare();
        framed->out += "..\r\n";
        line = Line::kStartBare;
        continue;
      }
      framed->out += '.';
      line = Line::kInside;
    } else if (held == Held::kDotCr) {
      held = Held::kNothing;
      if (c == '\n') {
        framed->end = line == Line::kStart;
        framed->out += framed->end ? ".\r\n" : "..\r\n";
        framed->consumed = i + 1;
        line = Line::kStart;
        continue;
      }
      bare();
      framed->out += ". ";
      line = Line::kInside;
    }
    if (c == '\r') {
      held = Held::kCr;
    } else if (c == '\n') {
      bare();
      framed->out += "\r\n";
      line = Line::kStartBare;
    } else if (c == '.' && line != Line::kInside) {
      held = Held::kDot;
    } else {
      framed->out += c;
      line = Line::kInside;
    }
  }
  if (framed->end || framed->refused) return;
  framed->consumed = content.size() - (held == Held::kDotCr ? 2 : (held == Held::kNothing ? 0 : 1));
}

// What the relay does, with `draws` octets more at a time; all at once without.
void Frame(std::string_view content, BareNewline mode, SimRandom* draws, Framed* framed) {
  static std::string rewritten;
  ContentFramer framer;
  framer.Start();
  framed->Clear();
  std::size_t offered = draws == nullptr ? content.size() : 0;
  while (true) {
    const std::string_view readable = content.substr(framed->consumed, offered - framed->consumed);
    const ContentStep step = framer.Next(readable, mode, &rewritten, &framed->bare_newlines);
    RINGPOST_CHECK(step.octets <= readable.size());
    switch (step.kind) {
      case ContentStep::Kind::kForward:
      case ContentStep::Kind::kEnd:
        RINGPOST_CHECK(step.octets > 0);
        framed->out.append(readable.substr(0, step.octets));
        break;
      case ContentStep::Kind::kRewrite:
        RINGPOST_CHECK(step.octets > 0 && step.octets <= ContentFramer::kRewriteMax);
        RINGPOST_CHECK(mode == BareNewline::kNormalize);
        RINGPOST_CHECK(rewritten.size() <= 2 * step.octets);
        framed->out.append(rewritten);
        break;
      case ContentStep::Kind::kNeedInput:
        // At most ". CR" is held back.
        RINGPOST_CHECK(step.octets == 0 && readable.size() <= 2);
        if (offered == content.size()) return;
        offered += 1 + static_cast<std::size_t>(
                           draws->Below(std::min<std::size_t>(content.size() - offered, 40)));
        continue;
      case ContentStep::Kind::kBareNewline:
        RINGPOST_CHECK(mode == BareNewline::kReject);
        framed->refused = true;
        return;
    }
    framed->consumed += step.octets;
    if (step.kind == ContentStep::Kind::kEnd) {
      framed->end = true;
      return;
    }
    // A run that was forwarded whole may leave nothing to look at.
    if (framed->consumed == content.size()) return;
    if (framed->consumed == offered) {
      offered += 1 + static_cast<std::size_t>(
                         draws->Below(std::min<std::size_t>(content.size() - offered, 40)));
    }
  }
}

void Same(const Framed& framed, const Framed& reference) {
  RINGPOST_CHECK(framed.refused == reference.refused && framed.end == reference.end);
  if (framed.refused) {
    // How much of what comes before has gone on by then depends on when it came.
    RINGPOST_CHECK(reference.out.starts_with(framed.out));
    return;
  }
  RINGPOST_CHECK(framed.consumed == reference.consumed);
  RINGPOST_CHECK(framed.out == reference.out);
  RINGPOST_CHECK(framed.bare_newlines == reference.bare_newlines);
}

// A reader behind us finds the same end, whether or not it takes a bare LF for a newline.
void ReadBack(const Framed& framed, LineEnd line_end) {
  ContentReader reader;
  reader.Begin(line_end);
  std::string_view rest = framed.out;
  bool end = false;
  while (!rest.empty() && !end) {
    const ContentPiece piece = reader.Next(rest);
    RINGPOST_CHECK(piece.consumed <= rest.size());
    RINGPOST_CHECK(piece.consumed > 0 || !piece.content.empty());
    rest.remove_prefix(piece.consumed);
    end = piece.end;
  }
  RINGPOST_CHECK(end == framed.end && rest.empty());
}

void CheckNewlines(std::string_view out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] == '\n') RINGPOST_CHECK(i > 0 && out[i - 1] == '\r');
    if (out[i] == '\r') RINGPOST_CHECK(i + 1 < out.size() && out[i + 1] == '\n');
  }
}

void CheckScanner(std::string_view content) {
  std::size_t expected = 0;
  for (; expected < content.size(); ++expected) {
    const char c = content[expected];
    const char before = expected > 0 ? content[expected - 1] : '\0';
    const char after = expected + 1 < content.size() ? content[expected + 1] : '\0';
    if ((c == '\r' && after != '\n') || (c == '\n' && before != '\r') ||
        (c == '.' && before == '\n' &&
         (expected + 1 == content.size() || after == '\r' || after == '\n'))) {
      break;
    }
  }
  RINGPOST_CHECK(ScanContent(content) == expected);
  for (const ScannerVersion version :
       {ScannerVersion::kPortable, ScannerVersion::kAvx2, ScannerVersion::kAvx512}) {
    if (ScannerSupported(version)) RINGPOST_CHECK(ScanContentWith(version, content) == expected);
  }
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  static Framed reference;
  static Framed framed;
  const std::string_view content = fuzz::View(data, size);
  const std::uint64_t hash = fuzz::HashOf(content);
  SimRandom draws(hash);
  for (const BareNewline mode : {BareNewline::kNormalize, BareNewline::kReject}) {
    Reference(content, mode, &reference);
    Frame(content, mode, nullptr, &framed);
    Same(framed, reference);
    Frame(content, mode, &draws, &framed);
    Same(framed, reference);
    CheckNewlines(framed.out);
    // Conforming content stays as it is (PROTOCOL 20).
    if (framed.bare_newlines == 0 && !framed.refused) {
      RINGPOST_CHECK(framed.out == content.substr(0, framed.consumed));
    }
    if (!framed.refused) {
      ReadBack(framed, LineEnd::kStrict);
      ReadBack(framed, LineEnd::kLenient);
    }
  }
  CheckScanner(content.substr(draws.Below(size + 1)));
  return 0;
}
