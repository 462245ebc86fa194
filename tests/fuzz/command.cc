// SPDX-License-Identifier: GPL-3.0-or-later
//
// Command lines (PROTOCOL 1, 19, 20, 21, 40). The input is one line, without its CRLF.
#include "ringpost/smtp/command.h"

#include <string_view>

#include "fuzz.h"

namespace ringpost {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// UTF-8 by the definition of RFC 3629 3: decode, then look at the number.
bool ValidUtf8(std::string_view text, bool* beyond_ascii) {
  *beyond_ascii = false;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    std::size_t follow = 0;
    std::uint32_t point = lead;
    if ((lead & 0x80) != 0) {
      *beyond_ascii = true;
      if ((lead & 0xe0) == 0xc0) {
        follow = 1;
        point = lead & 0x1f;
      } else if ((lead & 0xf0) == 0xe0) {
        follow = 2;
        point = lead & 0x0f;
      } else if ((lead & 0xf8) == 0xf0) {
        follow = 3;
        point = lead & 0x07;
      } else {
        return false;
      }
    }
    if (text.size() - i <= follow) return false;
    for (std::size_t k = 1; k <= follow; ++k) {
      const auto octet = static_cast<unsigned char>(text[i + k]);
      if ((octet & 0xc0) != 0x80) return false;
      point = point << 6 | (octet & 0x3f);
    }
    constexpr std::uint32_t kShortest[] = {0, 0x80, 0x800, 0x10000};
    if (point < kShortest[follow] || point > 0x10ffff) return false;
    if (point >= 0xd800 && point <= 0xdfff) return false;
    i += follow + 1;
  }
  return true;
}

void CheckFaults(std::string_view line) {
  const LineCheck check = CheckLine(line);
  bool beyond_ascii = false;
  const bool utf8 = ValidUtf8(line, &beyond_ascii);
  const bool blank = !line.empty() && (line[0] == ' ' || line[0] == '\t');
  const bool nul = line.find('\0') != std::string_view::npos;
  const bool newline = line.find_first_of("\r\n") != std::string_view::npos;
  RINGPOST_CHECK((check.fault == LineFault::kNone) ==
                 (!line.empty() && !blank && !nul && !newline && utf8));
  RINGPOST_CHECK((check.fault == LineFault::kEmpty) == line.empty());
  RINGPOST_CHECK((check.fault == LineFault::kLeadingBlank) == blank);
  if (check.fault == LineFault::kNul) RINGPOST_CHECK(nul);
  if (check.fault == LineFault::kBareNewline) RINGPOST_CHECK(newline);
  if (check.fault == LineFault::kInvalidUtf8) RINGPOST_CHECK(!utf8);
  if (check.fault == LineFault::kNone) {
    RINGPOST_CHECK((check.charset == LineCharset::kUtf8) == beyond_ascii);
  }
}

void CheckVerb(std::string_view line) {
  const CommandRule& rule = FindCommand(line);
  RINGPOST_CHECK(rule.line_max >= kCommandLineMax && rule.line_max <= kAuthLineMax);
  std::size_t end = 0;
  while (end < line.size() && line[end] != ' ' && line[end] != '\r' && line[end] != '\n') ++end;
  const std::string_view word = line.substr(0, end);
  // What follows the verb does not change what it is, and its case does not either.
  RINGPOST_CHECK(&FindCommand(word) == &rule);
  if (!rule.name.empty()) RINGPOST_CHECK(fuzz::EqualsIgnoringCase(word, rule.name));
  // PROTOCOL 40.
  for (const std::string_view name : {"XCLIENT", "XFORWARD"}) {
    if (fuzz::EqualsIgnoringCase(word, name)) RINGPOST_CHECK(rule.verb == Verb::kIdentity);
  }
  for (const std::string_view name : {"PROXY", "GET", "POST", "CONNECT", "Host:"}) {
    if (fuzz::EqualsIgnoringCase(word, name)) RINGPOST_CHECK(rule.verb == Verb::kForeign);
  }
  if (line.size() >= rule.name.size()) {
    const std::string_view argument = CommandArgument(line, rule);
    RINGPOST_CHECK(fuzz::Inside(argument, line));
    RINGPOST_CHECK(argument.empty() || (argument.back() != ' ' && argument.back() != '\t'));
  }
}

// RFC 3030 2, octet by octet; 19 digits cannot overflow.
void CheckBdat(std::string_view line) {
  const std::optional<BdatArgument> argument = ParseBdatArgument(line);
  const auto blanks = [line](std::size_t from) {
    std::size_t end = from;
    while (end < line.size() && (line[end] == ' ' || line[end] == '\t')) ++end;
    return end;
  };
  const std::size_t digits = blanks(std::min<std::size_t>(line.size(), 4));
  std::size_t i = digits;
  std::uint64_t value = 0;
  while (i < line.size() && IsDigit(line[i]) && i - digits < 19) {
    value = value * 10 + static_cast<std::uint64_t>(line[i++] - '0');
  }
  bool good =
      digits > 4 && i > digits && i - digits <= 18 && (line[digits] != '0' || i == digits + 1);
  const std::size_t word = blanks(i);
  const bool last = word > i && fuzz::EqualsIgnoringCase(line.substr(word, 4), "LAST");
  good = good && blanks(word + (last ? 4 : 0)) == line.size();
  RINGPOST_CHECK(argument.has_value() == good);
  if (!good) return;
  RINGPOST_CHECK(argument->octets == value && argument->last == last);
  std::string canonical = std::string(line.substr(0, 4)) + " " + std::to_string(value);
  if (last) canonical += " " + std::string(line.substr(word, 4));
  RINGPOST_CHECK(argument->canonical == (line == canonical));
}

void CheckForeign(std::string_view octets, std::size_t cut) {
  const ForeignBinary part = CheckForeignBinary(octets.substr(0, cut));
  const ForeignBinary whole = CheckForeignBinary(octets);
  // More octets settle what was open and change nothing else.
  if (part != ForeignBinary::kUnknown) RINGPOST_CHECK(part == whole);
  constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
  if (octets.starts_with(kSignature)) RINGPOST_CHECK(whole == ForeignBinary::kYes);
  if (!octets.empty() && octets[0] >= ' ') RINGPOST_CHECK(whole == ForeignBinary::kNo);
}

// What a terminal would obey, or a line's end.
bool HasControl(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto octet = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (octet < 0x20 || octet == 0x7f) return true;
    if (octet == 0xc2 && next >= 0x80 && next < 0xa0) return true;
  }
  return false;
}

void CheckHelloName(std::string_view name) {
  const bool may_be = MayBeHelloName(name);
  if (IsPlainHelloName(name)) RINGPOST_CHECK(may_be);
  if (HasControl(name)) RINGPOST_CHECK(!may_be);
  if (may_be || HasControl(name)) return;
  // Then it is in xtext.
  const std::size_t plus = name.find('+');
  RINGPOST_CHECK(plus != std::string_view::npos && name.size() - plus >= 3);
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  const std::string_view line = fuzz::View(data, size);
  CheckFaults(line);
  CheckVerb(line);
  CheckBdat(line);
  CheckForeign(line, fuzz::HashOf(line) % (size + 1));
  CheckHelloName(line);
  // Whoever announces a chunk is not taken for somebody else.
  if (ParseBdatArgument(line).has_value() && FindCommand(line).verb == Verb::kBdat) {
    RINGPOST_CHECK(LooksLikeBdat(line));
  }
  if (line.size() > 5 && fuzz::EqualsIgnoringCase(line.substr(line.size() - 5), "-PLUS")) {
    RINGPOST_CHECK(AsksForChannelBinding(line) || line.find(' ') != std::string_view::npos);
  }
  return 0;
}
