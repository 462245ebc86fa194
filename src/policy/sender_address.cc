// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/policy/sender_address.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <utility>

namespace ringpost {
namespace {

constexpr std::size_t kDomainMax = 253;  // RFC 1035 2.3.4: 255 octets on the wire
constexpr std::size_t kLabelMax = 63;
// The same domain in UTF-8: no label of 63 octets in Punycode has more than 63 characters of four.
constexpr std::size_t kUtf8DomainMax = 4 * kDomainMax;
constexpr int kIdnFlags = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL;

constexpr bool IsBlank(char c) { return c == ' ' || c == '\t'; }
constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr bool IsLetter(char c) { return Lower(c) >= 'a' && Lower(c) <= 'z'; }
constexpr bool IsAscii(char c) { return static_cast<unsigned char>(c) < 0x80; }
constexpr bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// RFC 5321 4.1.2 sub-domain and its dots, with underscores (which are common) and UTF-8 (RFC 6531
// 3.3).
constexpr bool IsDomainOctet(char c) {
  return IsLetter(c) || IsDigit(c) || c == '-' || c == '_' || c == '.' || !IsAscii(c);
}

// RFC 5322 3.2.3 atext, with UTF-8 (RFC 6531 3.3), and the dot. Two dots in a row or at an end are
// against the grammar, but there are such mailboxes and nobody takes their domain for another.
constexpr bool IsDotStringOctet(char c) {
  constexpr std::string_view kOthers = "!#$%&'*+-/=?^_`{|}~.";
  return IsLetter(c) || IsDigit(c) || !IsAscii(c) || kOthers.find(c) != std::string_view::npos;
}

bool ContainsOnly(std::string_view text, bool (*is)(char)) {
  return std::all_of(text.begin(), text.end(), is);
}

// Removes the longest front of `text` whose octets are all `is`.
std::string_view Take(std::string_view& text, bool (*is)(char)) {
  const auto* const end = std::find_if_not(text.begin(), text.end(), is);
  const std::string_view taken = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(taken.size());
  return taken;
}

bool TakeOctet(std::string_view& text, char octet) {
  if (!text.starts_with(octet)) return false;
  text.remove_prefix(1);
  return true;
}

struct IdnFree {
  void operator()(char* text) const { idn2_free(text); }
};
using IdnText = std::unique_ptr<char, IdnFree>;

IdnText ToAscii(const char* text) {
  char* result = nullptr;
  if (idn2_to_ascii_8z(text, &result, kIdnFlags) != IDN2_OK) return nullptr;
  return IdnText(result);
}

// "xn--..." that is no A-label (RFC 5890 2.3.2.1): not Punycode, or Punycode of what would have
// been written otherwise. A backend that decodes it could see another domain, for example "partner"
// in "xn--partner-". What IDNA 2008 does not know at all (there are domains of symbols) may stay.
bool IsFakeALabel(std::string_view label) {
  if (!label.starts_with("xn--")) return false;
  std::array<char, kLabelMax + 1> terminated{};
  std::copy(label.begin(), label.end(), terminated.begin());
  char* decoded = nullptr;
  if (idn2_to_unicode_8z8z(terminated.data(), &decoded, 0) != IDN2_OK) return true;
  const IdnText unicode(decoded);
  const IdnText again = ToAscii(unicode.get());
  return again != nullptr && label != again.get();
}

// Whether `domain` is one, in ASCII and lower case.
bool IsPlainDomain(std::string_view domain) {
  if (!ContainsOnly(domain, [](char c) { return IsDomainOctet(c) && IsAscii(c); })) return false;
  std::size_t from = 0;
  while (from <= domain.size()) {
    const std::string_view label = domain.substr(from, domain.find('.', from) - from);
    if (label.empty() || label.size() > kLabelMax || IsFakeALabel(label)) return false;
    from += label.size() + 1;
  }
  return true;
}

std::optional<std::string> Plain(std::string_view domain) {
  if (domain.ends_with('.')) domain.remove_suffix(1);
  if (domain.size() > kDomainMax) return std::nullopt;
  std::string lower(domain);
  std::transform(lower.begin(), lower.end(), lower.begin(), Lower);
  if (!IsPlainDomain(lower)) return std::nullopt;
  return lower;
}

Sender Malformed() { return Sender{}; }
Sender NoDomain() { return Sender{SenderKind::kNoDomain, {}}; }

Sender FromDomain(std::string_view text) {
  std::optional<std::string> domain = NormalizeDomain(text);
  if (!domain) return Malformed();
  return Sender{SenderKind::kDomain, *std::move(domain)};
}

// What stands between the brackets of an address literal (RFC 5321 4.1.3). No tag but IPv6 was ever
// registered, so that a name in brackets is none.
bool IsAddressLiteral(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  constexpr std::string_view kIpv6 = "ipv6:";
  const std::string_view tag = text.substr(0, kIpv6.size());
  const bool ipv6 = std::equal(tag.begin(), tag.end(), kIpv6.begin(), kIpv6.end(),
                               [](char a, char b) { return Lower(a) == b; });
  if (ipv6) text.remove_prefix(kIpv6.size());
  if (text.size() >= terminated.size()) return false;
  if (!ContainsOnly(text, [](char c) { return IsLetter(c) || IsDigit(c) || c == '.' || c == ':'; }))
    return false;
  std::copy(text.begin(), text.end(), terminated.begin());
  in6_addr address{};
  return inet_pton(ipv6 ? AF_INET6 : AF_INET, terminated.data(), &address) == 1;
}

// Removes a quoted string from the front of `text`, both quotes included.
// RFC 5321 4.1.2: qtextSMTP, or a backslash and one octet from 32 to 126; RFC 6531 3.3: UTF-8 too.
bool TakeQuotedString(std::string_view& text, std::string_view* content) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (IsControl(text[i])) return false;
    if (text[i] == '"') {
      *content = text.substr(1, i - 1);
      text.remove_prefix(i + 1);
      return true;
    }
    if (text[i] != '\\') continue;
    ++i;
    if (i == text.size() || IsControl(text[i]) || !IsAscii(text[i])) return false;
  }
  return false;
}

// A local part without a domain gets one from the backend; and where it holds what some servers
// take for an "@" ("user%partner.example", "partner.example!user", a quoted or a full-width "@"),
// which one cannot be known. "=": an empty path and a parameter.
Sender WithoutDomain(std::string_view local) {
  const bool sure = !local.empty() && ContainsOnly(local, [](char c) {
    constexpr std::string_view kTelling = "%!@=\\\"";
    return IsAscii(c) && kTelling.find(c) == std::string_view::npos;
  });
  return sure ? NoDomain() : Malformed();
}

// The percent hack, the bang path, and an "@" that was quoted.
constexpr bool IsRoutingOperator(char c) { return c == '%' || c == '!' || c == '@'; }

// What is neither an operator nor separates words; such octets stand in quoted strings only, where
// readers that crack them open find blanks, comments, literals and other quoted strings.
bool SeparatesWords(char c) { return !IsDotStringOctet(c) && c != '@'; }

// Finds the domains that a backend could read in `local`, a local part without quotes, once it has
// dropped `sender`'s own domain.
Sender WithInnerDomains(Sender sender, std::string_view local) {
  if (sender.kind == SenderKind::kMalformed ||
      ContainsOnly(local, [](char c) { return !IsRoutingOperator(c); })) {
    return sender;
  }
  const bool torn = !ContainsOnly(local, [](char c) { return !SeparatesWords(c); });
  sender.inner_torn = torn;
  const auto ends_word = [](char c) { return IsRoutingOperator(c) || SeparatesWords(c); };
  for (auto begin = local.begin(); begin <= local.end();) {
    const auto end = std::find_if(begin, local.end(), ends_word);
    // "user%domain", "user@domain", "domain!user"; where words are torn apart, any of them.
    const bool is_domain = torn || (begin != local.begin() && *(begin - 1) != '!') ||
                           (end != local.end() && *end == '!');
    if (is_domain) {
      std::optional<std::string> domain = NormalizeDomain({begin, end});
      if (!domain) {
        sender.inner_unsure = true;
      } else if (sender.inner_domains.size() == kInnerDomainsMax) {
        return Malformed();
      } else {
        sender.inner_domains.push_back(*std::move(domain));
      }
    }
    if (end == local.end()) break;
    begin = end + 1;
  }
  return sender;
}

// A quoted string's content without its backslashes.
std::string Dequoted(std::string_view content) {
  std::string plain;
  plain.reserve(content.size());
  for (std::size_t i = 0; i < content.size(); ++i) {
    if (content[i] == '\\' && i + 1 < content.size()) ++i;
    plain.push_back(content[i]);
  }
  return plain;
}

// What stands behind the "@".
Sender TakeDomain(std::string_view& text) {
  if (!TakeOctet(text, '[')) return FromDomain(Take(text, IsDomainOctet));
  const std::string_view literal = Take(text, [](char c) { return c != ']'; });
  return TakeOctet(text, ']') && IsAddressLiteral(literal) ? NoDomain() : Malformed();
}

// Mailbox of RFC 5321 4.1.2, or its local part alone. What follows it stays in `text`.
Sender TakeMailbox(std::string_view& text) {
  std::string_view local;
  const bool quoted = text.starts_with('"');
  if (quoted) {
    if (!TakeQuotedString(text, &local)) return Malformed();
  } else {
    local = Take(text, IsDotStringOctet);
    if (local.empty()) return Malformed();
  }
  if (!TakeOctet(text, '@')) return WithoutDomain(local);
  if (!quoted) return WithInnerDomains(TakeDomain(text), local);
  return WithInnerDomains(TakeDomain(text), Dequoted(local));
}

// A-d-l and its colon: "@one.example,@two.example:". RFC 5321 4.1.1.3 and appendix C: accepted and
// ignored.
bool TakeSourceRoute(std::string_view& text) {
  do {
    if (!TakeOctet(text, '@')) return false;
    if (!NormalizeDomain(Take(text, IsDomainOctet))) return false;
  } while (TakeOctet(text, ','));
  return TakeOctet(text, ':');
}

// A mailbox without angle brackets. `text` is all that is left of the command.
Sender TakeBarePath(std::string_view& text) {
  // "a@b.example ENVID="@c.example: do quotes or blanks come first?
  if (text.starts_with('"')) return Malformed();
  std::string_view mailbox = text;
  Sender sender = TakeMailbox(text);
  mailbox.remove_suffix(text.size());
  // "x X=<a@b.example>": one parameter, or to Exim a display name and its address?
  if (text.find_first_of("<>@") != std::string_view::npos) return Malformed();
  // "a@b. example": Exim sees no blank behind a dot.
  return mailbox.ends_with('.') && !ContainsOnly(text, IsBlank) ? Malformed() : sender;
}

// Path of RFC 5321 4.1.2, "<>" included.
Sender TakePath(std::string_view& text) {
  if (!TakeOctet(text, '<')) return TakeBarePath(text);
  if (TakeOctet(text, '>')) return Sender{SenderKind::kNull, {}};
  const bool routed = text.starts_with('@');
  if (routed && !TakeSourceRoute(text)) return Malformed();
  std::string_view mailbox = text;
  Sender sender = TakeMailbox(text);
  mailbox.remove_suffix(text.size());
  if (!TakeOctet(text, '>')) return Malformed();
  // "<@partner.example:user>": some would say that partner.example is all the domain there is.
  const bool without_domain = sender.kind == SenderKind::kNoDomain && !mailbox.ends_with(']');
  if (routed && without_domain) return Malformed();
  return sender;
}

// RFC 5321 4.1.2: esmtp-keyword ["=" esmtp-value]. What does not begin like one could be taken for
// another piece of the address.
bool AreParameters(std::string_view text) {
  while (true) {
    if (text.empty()) return true;
    if (Take(text, IsBlank).empty()) return false;
    if (text.empty()) return true;
    const std::string_view keyword =
        Take(text, [](char c) { return IsLetter(c) || IsDigit(c) || c == '-'; });
    if (keyword.empty() || keyword.front() == '-') return false;
    if (TakeOctet(text, '=')) {
      Take(text, [](char c) { return !IsBlank(c) && !IsControl(c); });
    }
  }
}

}  // namespace

std::optional<std::string> NormalizeDomain(std::string_view domain) {
  if (ContainsOnly(domain, IsAscii)) return Plain(domain);
  if (domain.size() > kUtf8DomainMax || !ContainsOnly(domain, IsDomainOctet)) return std::nullopt;
  std::array<char, kUtf8DomainMax + 1> terminated{};
  std::copy(domain.begin(), domain.end(), terminated.begin());
  const IdnText ascii = ToAscii(terminated.data());
  if (ascii == nullptr) return std::nullopt;
  // UTS 46 maps some characters to what no domain has, such as "@" and "/", or to nothing.
  return Plain(ascii.get());
}

Sender ParseMailSender(std::string_view argument) {
  constexpr std::string_view kFrom = "from:";
  Take(argument, IsBlank);
  const std::string_view word = argument.substr(0, kFrom.size());
  if (!std::equal(word.begin(), word.end(), kFrom.begin(), kFrom.end(),
                  [](char a, char b) { return Lower(a) == b; })) {
    return Malformed();
  }
  argument.remove_prefix(kFrom.size());
  Take(argument, IsBlank);
  Sender sender = TakePath(argument);
  if (!AreParameters(argument)) return Malformed();
  return sender;
}

Sender ParseBareSender(std::string_view address) {
  if (address.empty()) return Sender{SenderKind::kNull, {}};
  if (std::any_of(address.begin(), address.end(), IsControl)) return Malformed();
  // Whether quoted or, in Postfix's internal form, with the quotes gone: the last "@" is the one
  // that counts.
  const std::size_t at = address.rfind('@');
  if (at == std::string_view::npos) {
    return address.find_first_of("<>") == std::string_view::npos ? WithoutDomain(address)
                                                                 : Malformed();
  }
  std::string_view domain = address.substr(at + 1);
  Sender sender = TakeDomain(domain);
  if (!domain.empty()) return Malformed();
  std::string_view local = address.substr(0, at);
  std::string_view content;
  std::string_view rest = local;
  const bool quoted = local.starts_with('"') && TakeQuotedString(rest, &content) && rest.empty();
  if (!quoted) return WithInnerDomains(std::move(sender), local);
  return WithInnerDomains(std::move(sender), Dequoted(content));
}

}  // namespace ringpost
