// SPDX-License-Identifier: GPL-3.0-or-later
//
// The sender of a MAIL command, read as RFC 5321 4.1.2 and RFC 6531 say, for the one thing that the
// policies need: its domain. Strict where a lenient reading could hide a domain from us that the
// backend then sees; tolerant only of what every MTA takes in the same way (blanks after the colon,
// a missing pair of angle brackets, one trailing dot). What MTAs take in different ways, domains
// within the local part, is kept for judge.h.
//
// Pure functions over one line; nothing is kept.
#ifndef RINGPOST_POLICY_SENDER_ADDRESS_H_
#define RINGPOST_POLICY_SENDER_ADDRESS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringpost {

enum class SenderKind : std::uint8_t {
  kMalformed,  // no reading that is sure: a policy by domain cannot be applied
  kNull,       // <>
  kNoDomain,   // <postmaster>, or an address literal
  kDomain,
};

// The most domains that are looked for in one local part. More of them: kMalformed. RFC 5321
// 4.5.3.1.1 gives a local part 64 octets, and nobody routes mail over 16 hops.
inline constexpr std::size_t kInnerDomainsMax = 16;

struct Sender {
  SenderKind kind = SenderKind::kMalformed;
  std::string domain;  // kDomain: lower case, A-labels, without a trailing dot
  // The domains within the local part: "b.example" in "a%b.example@localhost", "b.example!a@..."
  // and
  // "\"a@b.example\"@...". A backend that takes the outer domain for one of its own (RFC 5321 and
  // Postfix: an address literal, too) drops it and reads the next one instead. Normalized.
  std::vector<std::string> inner_domains = {};
  // There is more where a domain belongs, but it is none: "100%@...", "a%b..example@...".
  bool inner_unsure = false;
  // Quotes, blanks, comments or the like stand among them: what they are cannot be told.
  bool inner_torn = false;
};

// `argument` is what follows "MAIL" and the blank: "FROM:<a@example.com> SIZE=10". Source routes
// are skipped, quoted local parts understood, a domain in UTF-8 turned into A-labels (IDNA 2008,
// UTS 46 non-transitional).
[[nodiscard]] Sender ParseMailSender(std::string_view argument);
// The same for a bare address, as Postfix's policy protocol has it: "a@example.com", "" for <>.
[[nodiscard]] Sender ParseBareSender(std::string_view address);

// A domain as an administrator or a client writes it, in lower case and A-labels; nullopt if it is
// none (empty labels, over 63 or 253 octets, characters that are no letters, digits, hyphens or
// underscores). One trailing dot is dropped.
[[nodiscard]] std::optional<std::string> NormalizeDomain(std::string_view domain);

}  // namespace ringpost

#endif  // RINGPOST_POLICY_SENDER_ADDRESS_H_
