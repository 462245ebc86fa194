// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/smtp/command.h"

#include <algorithm>
#include <array>

namespace ringpost {
namespace {

// What extensions add to a MAIL line: the RFC's number, or the longest parameter of its grammar
// with the blank before it.
constexpr std::size_t kMailGrowth = 26     // SIZE, RFC 1870 3
                                    + 17   // BODY, RFC 6152 2
                                    + 500  // AUTH, RFC 4954 3
                                    + 9    // RET=HDRS, RFC 3461
                                    + 107  // ENVID= and 100 octets, RFC 3461
                                    + 10   // SMTPUTF8, RFC 6531 3.1
                                    + 17   // BY=-999999999;RT, RFC 2852
                                    + 34   // HOLDUNTIL, RFC 4865
                                    + 15;  // MT-PRIORITY=-9, RFC 6710
// And to an RCPT line.
constexpr std::size_t kRcptGrowth = 29      // NOTIFY=SUCCESS,FAILURE,DELAY, RFC 3461
                                    + 507;  // ORCPT= and 500 octets, RFC 3461

constexpr std::uint16_t kBase = kCommandLineMax;
constexpr std::uint16_t kMailMax = kCommandLineMax + kMailGrowth;
constexpr std::uint16_t kRcptMax = kCommandLineMax + kRcptGrowth;
// RFC 6531 3.1: VRFY and EXPN may carry SMTPUTF8 as well.
constexpr std::uint16_t kUtf8Max = kCommandLineMax + 10;

constexpr auto kPipelined = CommandEnd::kPipelined;
constexpr auto kReply = CommandEnd::kReply;

constexpr std::array kCommands = {
    //          name        verb             before TLS  needs hello  end         line
    CommandRule{"MAIL", Verb::kMail, false, true, kPipelined, kMailMax},
    CommandRule{"RCPT", Verb::kRcpt, false, true, kPipelined, kRcptMax},
    CommandRule{"DATA", Verb::kData, false, true, kReply, kBase},
    CommandRule{"BDAT", Verb::kBdat, false, true, kPipelined, kBase},
    CommandRule{"EHLO", Verb::kEhlo, true, false, kReply, kBase},
    CommandRule{"HELO", Verb::kHelo, true, false, kReply, kBase},
    CommandRule{"RSET", Verb::kRset, true, false, kPipelined, kBase},
    CommandRule{"NOOP", Verb::kNoop, true, false, kReply, kBase},
    CommandRule{"QUIT", Verb::kQuit, true, false, kReply, kBase},
    CommandRule{"STARTTLS", Verb::kStarttls, true, false, kReply, kBase},
    CommandRule{"AUTH", Verb::kAuth, false, true, kReply, kAuthLineMax},
    CommandRule{"VRFY", Verb::kVrfy, false, true, kReply, kUtf8Max},
    CommandRule{"EXPN", Verb::kExpn, false, true, kReply, kUtf8Max},
    CommandRule{"HELP", Verb::kHelp, false, false, kReply, kBase},
    CommandRule{"ETRN", Verb::kEtrn, false, true, kReply, kBase},
    // Never forwarded.
    CommandRule{"XCLIENT", Verb::kIdentity, true, false, kPipelined, kBase},
    CommandRule{"XFORWARD", Verb::kIdentity, true, false, kPipelined, kBase},
    CommandRule{"PROXY", Verb::kForeign, true, false, kPipelined, kBase},
    CommandRule{"GET", Verb::kForeign, true, false, kPipelined, kBase},
    CommandRule{"POST", Verb::kForeign, true, false, kPipelined, kBase},
    CommandRule{"PUT", Verb::kForeign, true, false, kPipelined, kBase},
    CommandRule{"HEAD", Verb::kForeign, true, false, kPipelined, kBase},
    CommandRule{"DELETE", Verb::kForeign, true, false, kPipelined, kBase},
    CommandRule{"OPTIONS", Verb::kForeign, true, false, kPipelined, kBase},
    CommandRule{"CONNECT", Verb::kForeign, true, false, kPipelined, kBase},
    CommandRule{"TRACE", Verb::kForeign, true, false, kPipelined, kBase},
    CommandRule{"PATCH", Verb::kForeign, true, false, kPipelined, kBase},
    CommandRule{"PRI", Verb::kForeign, true, false, kPipelined, kBase},  // RFC 9113 3.4
};
constexpr CommandRule kHeaderLine{"", Verb::kForeign, true, false, kPipelined, kBase};
constexpr CommandRule kUnknownCommand{"", Verb::kUnknown, true, false, kPipelined, kBase};

constexpr std::size_t kHelloNameMax = 255;  // RFC 5321 4.5.3.1.2
constexpr std::size_t kBdatDigitsMax = 18;  // 10^18 - 1 fits 63 bits: no overflow to check for

constexpr std::string_view kProxySignature("\r\n\r\n\0\r\nQUIT\n", 12);
// By its fifth octet nothing else begins like that.
constexpr std::size_t kProxySignatureTelling = 5;

constexpr char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool IsLetter(char c) { return Upper(c) >= 'A' && Upper(c) <= 'Z'; }
constexpr bool IsBlank(char c) { return c == ' ' || c == '\t'; }

constexpr bool IsControlOctet(char c) { return (c >= 0 && c < ' ') || c == '\x7F'; }

// C0, DEL, and C1 as UTF-8 writes it (C2 80 to C2 9F).
bool IsControl(std::string_view text) {
  constexpr char kC1Lead = '\xC2';
  if (IsControlOctet(text.front())) return true;
  if (text.front() != kC1Lead || text.size() < 2) return false;
  const auto next = static_cast<unsigned char>(text[1]);
  return next >= 0x80 && next <= 0x9F;
}

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  const char upper = Upper(c);
  return upper >= 'A' && upper <= 'F' ? upper - 'A' + 10 : -1;
}

bool IsEnd(char c) { return c == ' ' || c == '\r' || c == '\n'; }

std::size_t SkipBlanks(std::string_view* text) {
  const auto* const end = std::find_if_not(text->begin(), text->end(), IsBlank);
  const auto blanks = static_cast<std::size_t>(end - text->begin());
  text->remove_prefix(blanks);
  return blanks;
}

// "Host:", "Subject:"
bool IsHeaderName(std::string_view word) {
  if (word.size() < 2 || word.back() != ':') return false;
  word.remove_suffix(1);
  return std::all_of(word.begin(), word.end(),
                     [](char c) { return IsLetter(c) || IsDigit(c) || c == '-'; });
}

// The length of the UTF-8 sequence at the front, 0 if there is no valid one (RFC 3629 4).
std::size_t Utf8Sequence(std::string_view text) {
  const auto octet = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = octet(0);
  if (first < 0x80) return 1;
  std::size_t length = 0;
  unsigned low = 0x80;
  unsigned high = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    if (first == 0xE0) low = 0xA0;   // nothing over-long
    if (first == 0xED) high = 0x9F;  // no surrogates
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    if (first == 0xF0) low = 0x90;   // nothing over-long
    if (first == 0xF4) high = 0x8F;  // nothing above U+10FFFF
  } else {
    return 0;
  }
  if (text.size() < length) return 0;
  if (octet(1) < low || octet(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if ((octet(i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

bool EqualsIgnoreCase(std::string_view text, std::string_view upper_case) {
  return std::equal(text.begin(), text.end(), upper_case.begin(), upper_case.end(),
                    [](char a, char b) { return Upper(a) == b; });
}

const CommandRule& FindCommand(std::string_view line) {
  const auto* const end = std::find_if(line.begin(), line.end(), IsEnd);
  const std::string_view word = line.substr(0, static_cast<std::size_t>(end - line.begin()));
  for (const CommandRule& rule : kCommands) {
    if (EqualsIgnoreCase(word, rule.name)) return rule;
  }
  return IsHeaderName(word) ? kHeaderLine : kUnknownCommand;
}

LineCheck CheckLine(std::string_view line) {
  LineCheck check;
  if (line.empty()) {
    check.fault = LineFault::kEmpty;
    return check;
  }
  if (IsBlank(line.front())) {
    check.fault = LineFault::kLeadingBlank;
    return check;
  }
  for (std::size_t i = 0; i < line.size();) {
    const char c = line[i];
    if (c == '\0') {
      check.fault = LineFault::kNul;  // PROTOCOL 20
      return check;
    }
    if (c == '\r' || c == '\n') {
      check.fault = LineFault::kBareNewline;
      return check;
    }
    const std::size_t length = Utf8Sequence(line.substr(i));
    // The others come first: some lines may have any octet but those.
    if (length == 0) check.fault = LineFault::kInvalidUtf8;
    if (length > 1) check.charset = LineCharset::kUtf8;
    i += std::max<std::size_t>(length, 1);
  }
  return check;
}

std::string_view CommandArgument(std::string_view line, const CommandRule& rule) {
  std::string_view argument = line.substr(std::min(line.size(), rule.name.size() + 1));
  while (!argument.empty() && IsBlank(argument.back())) argument.remove_suffix(1);
  return argument;
}

bool MayBeHelloName(std::string_view argument) {
  for (std::size_t i = 0; i < argument.size(); ++i) {
    if (IsControl(argument.substr(i))) return false;
    // RFC 3461 4: upper case only, but who decodes it may know less.
    constexpr std::size_t kXtextOctets = 3;
    if (argument[i] != '+' || argument.size() - i < kXtextOctets) continue;
    const int high = HexValue(argument[i + 1]);
    const int low = HexValue(argument[i + 2]);
    if (high < 0 || low < 0) continue;
    if (IsControlOctet(static_cast<char>(high * 16 + low))) return false;
  }
  return true;
}

bool IsPlainHelloName(std::string_view argument) {
  if (argument.empty() || argument.size() > kHelloNameMax) return false;
  constexpr std::string_view kOthers = "-._:[]";
  return std::all_of(argument.begin(), argument.end(), [kOthers](char c) {
    return IsLetter(c) || IsDigit(c) || kOthers.find(c) != std::string_view::npos;
  });
}

std::optional<BdatArgument> ParseBdatArgument(std::string_view line) {
  constexpr std::size_t kVerb = 4;
  constexpr std::string_view kLast = "LAST";
  std::string_view rest = line.substr(std::min(line.size(), kVerb));
  BdatArgument argument;
  argument.canonical = rest.find('\t') == std::string_view::npos && !rest.ends_with(' ');
  while (!rest.empty() && IsBlank(rest.back())) rest.remove_suffix(1);

  const std::size_t before_size = SkipBlanks(&rest);
  const auto* const end = std::find_if_not(rest.begin(), rest.end(), IsDigit);
  const std::string_view digits = rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
  rest.remove_prefix(digits.size());
  if (before_size == 0) return std::nullopt;
  if (digits.empty() || digits.size() > kBdatDigitsMax) return std::nullopt;
  // "010": eight for who reads it as C does.
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  for (const char digit : digits) {
    argument.octets = argument.octets * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  argument.canonical = argument.canonical && before_size == 1;
  if (rest.empty()) return argument;

  const std::size_t before_last = SkipBlanks(&rest);
  if (before_last == 0 || !EqualsIgnoreCase(rest, kLast)) return std::nullopt;
  argument.last = true;
  argument.canonical = argument.canonical && before_last == 1;
  return argument;
}

bool AsksForChannelBinding(std::string_view auth_argument) {
  constexpr std::string_view kSuffix = "-PLUS";
  const std::string_view mechanism = auth_argument.substr(0, auth_argument.find(' '));
  return mechanism.size() >= kSuffix.size() &&
         EqualsIgnoreCase(mechanism.substr(mechanism.size() - kSuffix.size()), kSuffix);
}

bool LooksLikeBdat(std::string_view line) {
  while (!line.empty() && !IsLetter(line.front())) line.remove_prefix(1);
  return EqualsIgnoreCase(line.substr(0, 4), "BDAT");
}

ForeignBinary CheckForeignBinary(std::string_view readable) {
  constexpr char kTlsHandshakeRecord = 0x16;
  if (readable.empty()) return ForeignBinary::kUnknown;
  if (readable.front() == '\0' || readable.front() == kTlsHandshakeRecord)
    return ForeignBinary::kYes;
  const std::string_view telling = readable.substr(0, kProxySignatureTelling);
  if (!kProxySignature.starts_with(telling)) return ForeignBinary::kNo;
  return telling.size() == kProxySignatureTelling ? ForeignBinary::kYes : ForeignBinary::kUnknown;
}

}  // namespace ringpost
