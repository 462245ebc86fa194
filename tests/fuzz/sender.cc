// SPDX-License-Identifier: GPL-3.0-or-later
//
// The sender of a MAIL command, on whose domain policies hang. The input is what follows "MAIL ".
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "ringpost/policy/sender_address.h"

namespace ringpost {
namespace {

void CheckDomain(std::string_view domain) {
  RINGPOST_CHECK(!domain.empty() && domain.size() <= 253);
  std::size_t label = 0;
  for (const char c : domain) {
    if (c == '.') {
      RINGPOST_CHECK(label > 0);
      label = 0;
      continue;
    }
    RINGPOST_CHECK((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_');
    RINGPOST_CHECK(++label <= 63);
  }
  RINGPOST_CHECK(label > 0);
  // What a lenient backend would decode to plain ASCII is nobody's A-label.
  for (std::size_t at = 0; at < domain.size();
       at = std::min(domain.size(), domain.find('.', at)) + 1) {
    const std::string_view word = domain.substr(at, domain.find('.', at) - at);
    RINGPOST_CHECK(!word.starts_with("xn--") || (word.size() > 4 && !word.ends_with('-')));
  }
  // In its final form already.
  RINGPOST_CHECK(NormalizeDomain(domain) == domain);
}

void Check(const Sender& sender) {
  if (sender.kind == SenderKind::kDomain) {
    CheckDomain(sender.domain);
  } else {
    RINGPOST_CHECK(sender.domain.empty());
  }
  RINGPOST_CHECK(sender.inner_domains.size() <= kInnerDomainsMax);
  for (const std::string& domain : sender.inner_domains) CheckDomain(domain);
  const bool none = sender.inner_domains.empty() && !sender.inner_unsure && !sender.inner_torn;
  RINGPOST_CHECK(none || sender.kind == SenderKind::kDomain ||
                 sender.kind == SenderKind::kNoDomain);
}

bool Same(const Sender& a, const Sender& b) {
  return a.kind == b.kind && a.domain == b.domain && a.inner_domains == b.inner_domains &&
         a.inner_unsure == b.inner_unsure && a.inner_torn == b.inner_torn;
}

// "<a%b.example@c.example>" and nothing unusual about it: what Postfix would read in c.example.
void CheckPercent(std::string_view argument, const Sender& sender) {
  if (!fuzz::EqualsIgnoringCase(argument.substr(0, 6), "FROM:<") || !argument.ends_with('>'))
    return;
  const std::string_view path = argument.substr(6, argument.size() - 7);
  const std::size_t percent = path.rfind('%');
  const std::size_t at = path.find('@');
  if (percent == std::string_view::npos || at == std::string_view::npos || percent > at) return;
  if (path.find_first_of("@\"<>\\ \t,:", at + 1) != std::string_view::npos ||
      path.find_first_of("\"<>\\ \t,:!") != std::string_view::npos) {
    return;
  }
  if (sender.kind == SenderKind::kMalformed) return;
  const std::optional<std::string> domain =
      NormalizeDomain(path.substr(percent + 1, at - percent - 1));
  const auto& inner = sender.inner_domains;
  RINGPOST_CHECK(domain ? std::find(inner.begin(), inner.end(), *domain) != inner.end()
                        : sender.inner_unsure);
}

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// "FROM:<local@domain>" and nothing unusual about it: what anybody would read.
void CheckPlain(std::string_view argument, const Sender& sender) {
  if (!fuzz::EqualsIgnoringCase(argument.substr(0, 6), "FROM:<") || !argument.ends_with('>'))
    return;
  const std::string_view path = argument.substr(6, argument.size() - 7);
  const auto usual = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '@' || c == '-';
  };
  if (!std::all_of(path.begin(), path.end(), usual)) return;
  if (path.empty()) {
    RINGPOST_CHECK(sender.kind == SenderKind::kNull);
    return;
  }
  const std::size_t at = path.find('@');
  if (at == 0 || at != path.rfind('@') || at == std::string_view::npos) return;
  std::string domain(path.substr(at + 1));
  std::transform(domain.begin(), domain.end(), domain.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (domain.ends_with('.')) domain.pop_back();
  if (sender.kind == SenderKind::kDomain) {
    RINGPOST_CHECK(sender.domain == domain);
  } else {
    // Refused for a reason.
    RINGPOST_CHECK(sender.kind == SenderKind::kMalformed);
    RINGPOST_CHECK(domain.empty() || domain.size() > 253 || domain.front() == '.' ||
                   domain.back() == '.' || domain.find("..") != std::string::npos ||
                   domain.find("xn--") != std::string::npos || domain.size() > 63);
  }
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  const fuzz::Exact exact(fuzz::View(data, size));
  const std::string_view argument = exact.view();
  const Sender sender = ParseMailSender(argument);
  Check(sender);
  CheckPlain(argument, sender);
  CheckPercent(argument, sender);
  const Sender bare = ParseBareSender(argument);
  Check(bare);
  if (bare.kind == SenderKind::kDomain) {
    // The last "@" is the one that counts.
    RINGPOST_CHECK(NormalizeDomain(argument.substr(argument.rfind('@') + 1)) == bare.domain);
  }
  if (const std::optional<std::string> domain = NormalizeDomain(argument)) CheckDomain(*domain);

  if (sender.kind == SenderKind::kMalformed) return 0;
  // One more parameter, and blanks that every MTA takes, change nothing: but where Exim would take
  // the parameter for the rest of the domain.
  static std::string other;
  other.assign(argument);
  const std::size_t last = other.find_last_not_of(" \t");
  if (!other.ends_with('\t') && !other.ends_with(' ')) other += ' ';
  other += "SIZE=10";
  const bool dot = other[last] == '.' && other.find('<') == std::string::npos;
  const Sender more = ParseMailSender(other);
  RINGPOST_CHECK(Same(more, sender) || (dot && more.kind == SenderKind::kMalformed));
  const std::size_t colon = argument.find(':');
  RINGPOST_CHECK(colon != std::string_view::npos);
  other.assign(argument.substr(0, colon + 1)).append(" ").append(argument.substr(colon + 1));
  RINGPOST_CHECK(Same(ParseMailSender(other), sender));
  // The policy service is asked about the same sender in Postfix's form: no other partner's.
  if (sender.kind == SenderKind::kDomain && IsAscii(argument)) {
    const std::size_t begin =
        argument.find_first_not_of(" \t", colon + 1);  // what comes later is a parameter
    const std::size_t end = argument.rfind('>');
    if (begin != std::string_view::npos && argument[begin] == '<' &&
        end != std::string_view::npos && begin < end) {
      const std::string_view address = argument.substr(begin + 1, end - begin - 1);
      if (address.find_first_of("\"<> \t:") == std::string_view::npos) {
        RINGPOST_CHECK(Same(ParseBareSender(address), sender));
      }
    }
  }
  return 0;
}
