// SPDX-License-Identifier: GPL-3.0-or-later
//
// What of a backend's EHLO reply reaches the client (PROTOCOL 14, 17). The input is the reply.
#include <algorithm>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "ringpost/smtp/reply.h"

namespace ringpost {
namespace {

constexpr std::string_view kAllowed[] = {
    "PIPELINING",    "SIZE",          "8BITMIME", "DSN",       "ENHANCEDSTATUSCODES",
    "SMTPUTF8",      "CHUNKING",      "AUTH",     "VRFY",      "EXPN",
    "HELP",          "ETRN",          "LIMITS",   "DELIVERBY", "MT-PRIORITY",
    "FUTURERELEASE", "NO-SOLICITING",
};

std::string_view KeywordOf(std::string_view line) {
  return line.substr(0, line.find_first_of(" ="));
}

bool Is(std::string_view line, std::string_view keyword) {
  return fuzz::EqualsIgnoringCase(KeywordOf(line), keyword);
}

bool Contains(std::string_view reply, std::string_view wanted) {
  ReplyLines lines(reply);
  for (std::string_view line; lines.Next(&line);) {
    if (line == wanted) return true;
  }
  return false;
}

// Every mechanism that is offered is one of the backend's, and none needs the channel's end.
void CheckAuth(std::string_view line, std::string_view original) {
  std::string_view rest = line.substr(std::min<std::size_t>(line.size(), 5));
  RINGPOST_CHECK(!rest.empty());
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    RINGPOST_CHECK(!word.empty());
    RINGPOST_CHECK(word.size() < 5 ||
                   !fuzz::EqualsIgnoringCase(word.substr(word.size() - 5), "-PLUS"));
    RINGPOST_CHECK(original.find(word) != std::string_view::npos);
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
  }
}

void Check(std::string_view reply, int code, OfferStarttls starttls, OfferAuth auth) {
  static std::string out;
  static std::string again;
  Capabilities capabilities;
  FilterEhloReply(reply, starttls, auth, &capabilities, &out);

  // Still a reply, the same one, and no octet more than that.
  const Reply filtered = ParseReply(out);
  RINGPOST_CHECK(out.size() <= kReplyWholeMax && filtered.status == ReplyStatus::kComplete);
  RINGPOST_CHECK(!filtered.has_long_line);
  RINGPOST_CHECK(filtered.code == code && filtered.octets == out.size());

  ReplyLines lines(out);
  ReplyLines originals(reply);
  std::string_view line;
  std::string_view original;
  RINGPOST_CHECK(lines.Next(&line) && originals.Next(&original) && line == original);
  bool smtputf8 = false;
  bool chunking = false;
  int tls_offers = 0;
  for (bool second = true; lines.Next(&line); second = false) {
    if (Is(line, "STARTTLS")) {
      RINGPOST_CHECK(line == "STARTTLS" && second);
      ++tls_offers;
      continue;
    }
    RINGPOST_CHECK(std::any_of(std::begin(kAllowed), std::end(kAllowed),
                               [line](std::string_view name) { return Is(line, name); }));
    smtputf8 |= Is(line, "SMTPUTF8");
    chunking |= Is(line, "CHUNKING");
    if (Is(line, "AUTH")) {
      RINGPOST_CHECK(auth == OfferAuth::kYes);
      CheckAuth(line, reply);
    } else {
      RINGPOST_CHECK(Contains(reply, line));
    }
  }
  RINGPOST_CHECK(tls_offers == (starttls == OfferStarttls::kYes ? 1 : 0));
  RINGPOST_CHECK(capabilities.smtputf8 == smtputf8 && capabilities.chunking == chunking);
  // What may be offered, is.
  while (originals.Next(&original)) {
    const bool allowed =
        std::any_of(std::begin(kAllowed), std::end(kAllowed),
                    [original](std::string_view name) { return Is(original, name); });
    if (allowed && !Is(original, "AUTH")) RINGPOST_CHECK(Contains(out, original));
  }
  // Filtering what is clean changes nothing but the offer.
  Capabilities same;
  FilterEhloReply(out, starttls, auth, &same, &again);
  RINGPOST_CHECK(again == out);
  RINGPOST_CHECK(same.smtputf8 == smtputf8 && same.chunking == chunking);
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  const std::string_view text = fuzz::View(data, size);
  const Reply reply = ParseReply(text);
  if (reply.status != ReplyStatus::kComplete || reply.has_long_line) return 0;
  if (reply.octets > kReplyWholeMax - 100) return 0;  // not all of it may fit with STARTTLS
  const fuzz::Exact exact(text.substr(0, reply.octets));
  const std::uint64_t hash = fuzz::HashOf(text);
  Check(exact.view(), reply.code, (hash & 1) != 0 ? OfferStarttls::kYes : OfferStarttls::kNo,
        (hash & 2) != 0 ? OfferAuth::kYes : OfferAuth::kNo);
  return 0;
}
