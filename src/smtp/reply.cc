// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/smtp/reply.h"

#include <algorithm>
#include <array>

#include "ringpost/smtp/command.h"

namespace ringpost {
namespace {

constexpr std::size_t kCodeDigits = 3;
constexpr std::string_view kCrlf = "\r\n";

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

struct LineShape {
  ReplyStatus status = ReplyStatus::kIncomplete;
  std::size_t octets = 0;
  int code = 0;
  bool last = false;
};

LineShape ParseLine(std::string_view readable) {
  LineShape shape;
  const std::string_view window = readable.substr(0, kReplyLineMax);
  // Judged as far as it is there, so that garbage is not waited for.
  for (std::size_t i = 0; i < std::min(window.size(), kCodeDigits); ++i) {
    if (!IsDigit(window[i]) || (i == 0 && (window[0] < '2' || window[0] > '5'))) {
      shape.status = ReplyStatus::kMalformed;
      return shape;
    }
    shape.code = shape.code * 10 + (window[i] - '0');
  }
  if (window.size() > kCodeDigits) {
    const char separator = window[kCodeDigits];
    // RFC 5321 4.2.1: a receiver should accept a code with nothing behind it.
    shape.last = separator != '-';
    if (separator != ' ' && separator != '-' && separator != '\r') {
      shape.status = ReplyStatus::kMalformed;
      return shape;
    }
  }
  for (std::size_t i = kCodeDigits; i < window.size(); ++i) {
    if (window[i] == '\0' || window[i] == '\n') {
      shape.status = ReplyStatus::kMalformed;
      return shape;
    }
    if (window[i] != '\r') continue;
    if (i + 1 == window.size()) break;
    const bool whole = window[i + 1] == '\n';
    shape.status = whole ? ReplyStatus::kComplete : ReplyStatus::kMalformed;
    shape.octets = i + kCrlf.size();
    return shape;
  }
  if (window.size() == kReplyLineMax) shape.status = ReplyStatus::kMalformed;
  return shape;
}

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

Reply ParseReply(std::string_view readable) {
  const std::string_view window = readable.substr(0, kReplyOctetsMax);
  Reply reply;
  for (int lines = 1; reply.octets < window.size(); ++lines) {
    const LineShape line = ParseLine(window.substr(reply.octets));
    const bool code_is_whole = window.size() - reply.octets >= kCodeDigits;
    if (line.status == ReplyStatus::kMalformed || lines > kReplyLinesMax ||
        (lines > 1 && code_is_whole && line.code != reply.code)) {
      reply.status = ReplyStatus::kMalformed;
      return reply;
    }
    if (line.status == ReplyStatus::kIncomplete) break;
    reply.code = line.code;
    reply.octets += line.octets;
    if (line.last) {
      reply.status = ReplyStatus::kComplete;
      return reply;
    }
  }
  if (readable.size() >= kReplyOctetsMax) reply.status = ReplyStatus::kMalformed;
  return reply;
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
  rest_.remove_prefix(line.size() + kCrlf.size());
  *text = line.substr(std::min(line.size(), kCodeDigits + 1));
  return true;
}

void FilterEhloReply(std::string_view complete_reply, OfferStarttls starttls, OfferAuth auth,
                     Capabilities* capabilities, std::string* out) {
  const std::string_view code = complete_reply.substr(0, kCodeDigits);
  *capabilities = Capabilities{};
  out->clear();
  std::size_t last_line = 0;
  const auto begin_line = [&] {
    last_line = out->size();
    out->append(code);
    out->push_back('-');
  };

  ReplyLines lines(complete_reply);
  std::string_view line;
  for (bool first = true; lines.Next(&line); first = false) {
    if (first) {
      begin_line();
      out->append(line);
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

}  // namespace ringpost
