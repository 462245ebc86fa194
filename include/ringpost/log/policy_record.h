// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the log says about one MAIL command that does not meet a TLS policy, whether it was refused
// or, in report mode, let through. Views need to live only as long as the call that formats them.
#ifndef RINGPOST_LOG_POLICY_RECORD_H_
#define RINGPOST_LOG_POLICY_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ringpost/base/policy_fault.h"
#include "ringpost/log/log_types.h"

namespace ringpost {

struct PolicyRecord {
  std::int64_t unix_ms = 0;  // 0: Logger::Policy fills it in
  std::string_view id;       // the session's, as in its own line
  std::string_view route;
  std::string_view client_address;  // "192.0.2.1" or "2001:db8::1"
  std::uint16_t client_port = 0;
  std::string_view partner;  // empty: the route's own policy
  std::string_view sender;   // the domain; empty: <>, or an address without one
  std::string_view asked;    // "encrypt", "verify"
  std::string_view mode;     // "enforce": refused; "report": it would have been
  PolicyFault fault = PolicyFault::kNone;

  // Empty subject and fingerprint: the client presented no certificate.
  std::string_view subject;
  std::string_view issuer;
  std::string_view fingerprint;  // of the certificate
  std::string_view public_key;   // the fingerprint of its public key
};

// Writes the line without its newline to `out` (at least kLogLineMax octets) and returns its
// length.
[[nodiscard]] std::size_t FormatPolicy(const PolicyRecord& record, LogFormat format,
                                       std::span<char> out);

}  // namespace ringpost

#endif  // RINGPOST_LOG_POLICY_RECORD_H_
