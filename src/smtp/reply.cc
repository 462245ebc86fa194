// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/smtp/reply.h"

#include <algorithm>
#include <array>

#include "ringpost/base/check.h"
#include "ringpost/smtp/command.h"

namespace ringpost {
namespace {

constexpr std::size_t kCodeDigits = 3;
constexpr std::string_view kCrlf = "\r\n";
constexpr std::size_t kLineHead = kCodeDigits + 1;
constexpr std::size_t kLineTextMax = kReplyLineMax - kLineHead - kCrlf.size();

// Keywords of the backend that hold true when its client is a proxy that relays everything. Not
// here, besides what nobody knows: STARTTLS (ours to offer), XCLIENT and XFORWARD (ours to use),
// REQUIRETLS (RFC 8689 is about the whole path), BINARYMIME and BURL (RFC 3030, 4468: content we do
// not frame).
constexpr std::array<std::string_view, 17> kRelayedKeywords = {
    "PIPELINING",           // RFC 2920
    "SIZE",                 // RFC 1870
    "8BITMIME",             // RFC 6152
    "DSN",                  // RFC 3461
    "ENHANCEDSTATUSCODES",  // RFC 2034
    "SMTPUTF8",             // RFC 6531
    "CHUNKING",             // RFC 3030
    "AUTH",                 // RFC 4954
    "VRFY",                 // RFC 5321
    "EXPN",                 // RFC 5321
    "HELP",                 // RFC 5321
    "ETRN",                 // RFC 1985
    "LIMITS",               // RFC 9422
    "DELIVERBY",            // RFC 2852
    "FUTURERELEASE",        // RFC 4865
    "MT-PRIORITY",          // RFC 6710
    "NO-SOLICITING",        // RFC 3865
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

constexpr int kAuthChallenge = 334;

// "AUTH PLAIN SCRAM-SHA-256-PLUS" without the mechanisms that bind to the channel; false if none is
// left.
bool AppendAuth(std::string_view line, std::string* out) {
  constexpr std::size_t kKeywordAndSeparator = 5;
  const std::size_t begin = out->size();
  out->append(line.substr(0, std::min(line.size(), kKeywordAndSeparator)));
  std::string_view rest = line.substr(std::min(line.size(), kKeywordAndSeparator));
  bool any = false;
  while (!rest.empty()) {
    const std::string_view mechanism = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), mechanism.size() + 1));
    if (mechanism.empty() || AsksForChannelBinding(mechanism)) continue;
    if (any) out->push_back(' ');
    out->append(mechanism);
    any = true;
  }
  if (!any) out->resize(begin);
  return any;
}

}  // namespace

std::string_view ReplyFaultText(ReplyFault fault) {
  switch (fault) {
    case ReplyFault::kNone:
      return {};
    case ReplyFault::kNoCode:
      return "no reply code";
    case ReplyFault::kOtherCode:
      return "another code within a reply";
    case ReplyFault::kBareNewline:
      return "bare CR or LF in a reply";
    case ReplyFault::kNul:
      return "NUL in a reply";
    case ReplyFault::kTooLong:
      return "reply too long";
    case ReplyFault::kCutShort:
      return "connection closed within a reply";
    case ReplyFault::kOutOfTurn:
      return "not a reply to this command";
    case ReplyFault::kUnasked:
      return "a reply that nothing asked for";
  }
  CheckFailed("ReplyFault is a closed set", __FILE__, __LINE__);
}

ReplyLine ParseReplyLine(std::string_view readable) {
  ReplyLine line;
  const auto malformed = [&line](ReplyFault fault) {
    line.status = ReplyStatus::kMalformed;
    line.fault = fault;
    return line;
  };
  // Judged as far as it is there, so that garbage is not waited for.
  for (std::size_t i = 0; i < std::min(readable.size(), kCodeDigits); ++i) {
    if (!IsDigit(readable[i]) || (i == 0 && (readable[0] < '2' || readable[0] > '5'))) {
      return malformed(ReplyFault::kNoCode);
    }
    line.code = line.code * 10 + (readable[i] - '0');
  }
  if (readable.size() > kCodeDigits) {
    const char separator = readable[kCodeDigits];
    // RFC 5321 4.2.1: a receiver should accept a code with nothing behind it.
    line.last = separator != '-';
    if (separator == '\n') return malformed(ReplyFault::kBareNewline);
    if (separator != ' ' && separator != '-' && separator != '\r') {
      return malformed(ReplyFault::kNoCode);
    }
  }
  for (std::size_t i = kCodeDigits; i < readable.size(); ++i) {
    if (readable[i] == '\0') return malformed(ReplyFault::kNul);
    if (readable[i] == '\n') return malformed(ReplyFault::kBareNewline);
    if (readable[i] != '\r') continue;
    if (i + 1 == readable.size()) break;
    if (readable[i + 1] != '\n') return malformed(ReplyFault::kBareNewline);
    line.status = ReplyStatus::kComplete;
    line.octets = i + kCrlf.size();
    return line;
  }
  return line;
}

Reply ParseReply(std::string_view readable) {
  const std::string_view window = readable.substr(0, kReplyWholeMax);
  Reply reply;
  const auto malformed = [&reply](ReplyFault fault) {
    reply.status = ReplyStatus::kMalformed;
    reply.fault = fault;
    return reply;
  };
  while (reply.octets < window.size()) {
    const std::string_view rest = window.substr(reply.octets);
    const ReplyLine line = ParseReplyLine(rest);
    if (line.status == ReplyStatus::kMalformed) return malformed(line.fault);
    const bool first = reply.octets == 0;
    const bool code_is_whole = rest.size() >= kCodeDigits;
    if (!first && code_is_whole && line.code != reply.code)
      return malformed(ReplyFault::kOtherCode);
    if (first && code_is_whole) reply.code = line.code;
    const std::size_t octets = line.octets > 0 ? line.octets : rest.size();
    if (reply.code == kAuthChallenge && octets > kChallengeLineMax) {
      return malformed(ReplyFault::kTooLong);
    }
    if (line.status == ReplyStatus::kIncomplete) break;
    if (octets > kReplyLineMax && reply.code != kAuthChallenge) reply.has_long_line = true;
    reply.octets += line.octets;
    if (line.last) {
      reply.status = ReplyStatus::kComplete;
      return reply;
    }
  }
  if (window.size() == kReplyWholeMax) reply.status = ReplyStatus::kLong;
  return reply;
}

std::size_t CutLine(std::string_view line, std::size_t octets_max) {
  constexpr std::size_t kUtf8More = 3;  // octets of a sequence behind its first
  if (line.size() <= octets_max) return line.size();
  const auto continues = [line](std::size_t i) {
    return (static_cast<unsigned char>(line[i]) & 0xC0) == 0x80;
  };
  std::size_t end = octets_max;
  while (end > 0 && octets_max - end < kUtf8More && continues(end)) --end;
  return continues(end) ? octets_max : end;  // not UTF-8: anywhere
}

void ShortenLines(std::string_view complete_reply, std::string* out) {
  out->clear();
  while (!complete_reply.empty()) {
    const std::string_view line = complete_reply.substr(0, complete_reply.find(kCrlf));
    complete_reply.remove_prefix(line.size() + kCrlf.size());
    out->append(line.substr(0, CutLine(line, kReplyLineMax - kCrlf.size())));
    out->append(kCrlf);
  }
}

std::string QuotableLine(std::string_view said) {
  constexpr std::size_t kQuotedMax = 200;
  std::string line(said.substr(0, std::min(said.find_first_of("\r\n"), kQuotedMax)));
  for (char& c : line) {
    if (c < ' ' || c > '~') c = '?';
    if (c == '"') c = '\'';
  }
  return line;
}

bool ReplyLines::Next(std::string_view* text) {
  if (rest_.empty()) return false;
  std::string_view line = rest_.substr(0, rest_.find(kCrlf));
  rest_.remove_prefix(std::min(rest_.size(), line.size() + kCrlf.size()));
  *text = line.substr(std::min(line.size(), kLineHead));
  return true;
}

void FilterEhloReply(std::string_view lines_of_reply, OfferStarttls starttls, OfferAuth auth,
                     Capabilities* capabilities, std::string* out) {
  const std::string_view code = lines_of_reply.substr(0, kCodeDigits);
  *capabilities = Capabilities{};
  out->clear();
  std::size_t last_line = 0;
  const auto begin_line = [&] {
    last_line = out->size();
    out->append(code);
    out->push_back('-');
  };

  ReplyLines lines(lines_of_reply);
  std::string_view line;
  for (bool first = true; lines.Next(&line); first = false) {
    if (first) {
      begin_line();
      out->append(line.substr(0, CutLine(line, kLineTextMax)));
      out->append(kCrlf);
      // First, because clients exist that look for "250-STARTTLS": never the last line, unless it
      // is the only keyword.
      if (starttls == OfferStarttls::kYes) {
        begin_line();
        out->append("STARTTLS");
        out->append(kCrlf);
      }
      continue;
    }
    // Some servers say "AUTH=PLAIN" for clients of before RFC 2554.
    const std::string_view keyword = line.substr(0, line.find_first_of(" ="));
    const auto is = [keyword](std::string_view name) { return EqualsIgnoreCase(keyword, name); };
    if (std::none_of(kRelayedKeywords.begin(), kRelayedKeywords.end(), is)) continue;
    const std::size_t room = kReplyWholeMax - out->size();
    if (line.size() > kLineTextMax || kLineHead + line.size() + kCrlf.size() > room) continue;
    if (is("AUTH")) {
      if (auth == OfferAuth::kNo) continue;
      const std::size_t previous = last_line;
      const std::size_t size = out->size();
      begin_line();
      if (AppendAuth(line, out)) {
        out->append(kCrlf);
      } else {
        out->resize(size);
        last_line = previous;
      }
      continue;
    }
    if (is("PIPELINING")) capabilities->pipelining = true;
    if (is("SMTPUTF8")) capabilities->smtputf8 = true;
    if (is("CHUNKING")) capabilities->chunking = true;
    begin_line();
    out->append(line);
    out->append(kCrlf);
  }
  (*out)[last_line + kCodeDigits] = ' ';
}

std::string KeptKeywords(std::string_view filtered_reply, std::size_t octets_max) {
  std::string kept;
  ReplyLines lines(filtered_reply);
  std::string_view line;
  const bool more = lines.Next(&line);  // the first is a name
  while (more && lines.Next(&line)) {
    const bool is_auth = EqualsIgnoreCase(line.substr(0, line.find_first_of(" =")), "AUTH");
    if (is_auth || kept.size() + line.size() + kCrlf.size() > octets_max) continue;
    kept.append(line).append(kCrlf);
  }
  return kept;
}

}  // namespace ringpost
