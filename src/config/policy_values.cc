// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy_values.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "readers.h"
#include "ringpost/policy/sender_address.h"

namespace ringpost {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// No top-level domain consists of digits; an IPv4 address would look like a name otherwise.
bool LooksLikeAddress(std::string_view domain) {
  const std::string_view last = domain.substr(domain.rfind('.') + 1);
  return std::all_of(last.begin(), last.end(), IsDigit);
}

// RFC 3463 2: class "." subject "." detail, the latter two of at most three digits.
bool IsEnhancedCode(std::string_view text) {
  std::size_t numbers = 0;
  while (numbers < 3) {
    const std::size_t dot = std::min(text.find('.'), text.size());
    const std::string_view number = text.substr(0, dot);
    const std::size_t digits_max = numbers == 0 ? 1 : 3;
    if (number.empty() || number.size() > digits_max ||
        !std::all_of(number.begin(), number.end(), IsDigit)) {
      return false;
    }
    ++numbers;
    if (dot == text.size()) break;
    text.remove_prefix(dot + 1);
    if (text.empty()) return false;
  }
  return numbers == 3 && text.find('.') == std::string_view::npos;
}

}  // namespace

absl::Status ReadCertificateName(const Given& given, std::string* out) {
  constexpr std::string_view kWildcard = "*.";
  std::string_view rest = given.text;
  const bool wildcard = rest.starts_with(kWildcard);
  if (wildcard) rest.remove_prefix(kWildcard.size());
  const std::optional<std::string> name = NormalizeDomain(rest);
  if (!name.has_value() || name->find('_') != std::string::npos || LooksLikeAddress(*name)) {
    return RefuseQuoted(given,
                        "is not a host name that a certificate can have; write for example "
                        "mail.contoso.example or *.contoso.example");
  }
  if (wildcard && name->find('.') == std::string::npos) {
    return RefuseQuoted(given, absl::StrCat("would take everyone under .", *name,
                                            "; name at least two labels behind the asterisk"));
  }
  *out = wildcard ? absl::StrCat(View(kWildcard), *name) : *name;
  return absl::OkStatus();
}

absl::Status ReadSenderDomain(const Given& given, std::string* out) {
  std::string_view rest = given.text;
  if (rest.starts_with("*.")) {
    return RefuseQuoted(given, absl::StrCat("has an asterisk; write \"", View(rest.substr(1)),
                                            "\" for the subdomains"));
  }
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    return RefuseQuoted(given, absl::StrCat("is an address; write its domain, \"",
                                            View(rest.substr(at + 1)), "\""));
  }
  const bool subdomains = rest.starts_with('.');
  if (subdomains) rest.remove_prefix(1);
  const std::optional<std::string> domain = NormalizeDomain(rest);
  if (!domain.has_value()) {
    return RefuseQuoted(given,
                        "is not a domain; write for example contoso.example, or "
                        ".contoso.example for its subdomains");
  }
  if (LooksLikeAddress(*domain)) {
    return RefuseQuoted(given, "is not a domain; an address belongs into networks");
  }
  *out = subdomains ? absl::StrCat(".", *domain) : *domain;
  return absl::OkStatus();
}

absl::Status ReadFingerprint(const Given& given, Fingerprint* out) {
  const std::optional<Fingerprint> fingerprint = ParseFingerprint(given.text);
  if (!fingerprint.has_value()) {
    return RefuseQuoted(given,
                        "is not a SHA-256 fingerprint; write its 64 hexadecimal digits as "
                        "openssl x509 -noout -fingerprint -sha256 prints them");
  }
  *out = *fingerprint;
  return absl::OkStatus();
}

absl::Status ReadReply(const std::optional<Given>& given, std::string* out) {
  // With "{reason}" and CRLF it stays below the 512 octets of RFC 5321 4.5.3.1.5.
  constexpr std::size_t kReplyMax = 400;
  constexpr std::string_view kExample = "; write one line such as 550 5.7.0 Certificate required";
  if (!given.has_value()) return absl::OkStatus();
  const std::string_view text = given->text;
  const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
  if (text.size() > kReplyMax) {
    return Refuse(*given, absl::StrCat("the reply has ", text.size(), " octets; at most ",
                                       kReplyMax, " fit"));
  }
  // Not quoted: it would bring its line ends into the error message.
  if (!std::all_of(text.begin(), text.end(), printable)) {
    return Refuse(*given, absl::StrCat("a reply is printable ASCII", View(kExample)));
  }
  // RFC 5321 4.2: Reply-code = %x32-35 %x30-35 %x30-39.
  if (text.size() < 5 || (text[0] != '4' && text[0] != '5') || text[1] < '0' || text[1] > '5' ||
      !IsDigit(text[2]) || text[3] != ' ') {
    return RefuseQuoted(*given,
                        absl::StrCat("does not begin with a code from 400 to 559", View(kExample)));
  }
  // RFC 5321 3.8: it would announce that the connection ends, which it does not.
  if (text.starts_with("421")) {
    return RefuseQuoted(*given, "says that the connection is closed; write 450 or 451");
  }
  std::string_view words = text.substr(4);
  const std::string_view first = words.substr(0, words.find(' '));
  if (IsEnhancedCode(first)) {
    // RFC 2034 4: the class is that of the reply code.
    if (first[0] != text[0]) {
      return RefuseQuoted(
          *given, absl::StrCat("contradicts itself: ", View(first), " is not of the class of ",
                               View(text.substr(0, 3))));
    }
    words.remove_prefix(first.size());
  }
  if (std::all_of(words.begin(), words.end(), [](char c) { return c == ' '; })) {
    return RefuseQuoted(*given, absl::StrCat("has no text", View(kExample)));
  }
  *out = given->text;
  return absl::OkStatus();
}

}  // namespace ringpost
