// SPDX-License-Identifier: GPL-3.0-or-later
//
// Why mail does not meet a TLS policy: a closed set, so that it can be counted, logged and said to
// the client in the same words everywhere.
#ifndef RINGPOST_BASE_POLICY_FAULT_H_
#define RINGPOST_BASE_POLICY_FAULT_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringpost {

enum class PolicyFault : std::uint8_t {
  kNone,
  kNoTls,          // the connection is in clear
  kNoCertificate,  // the client presented none
  kUntrusted,      // does not chain to the CA
  kSelfSigned,     // signed by itself, and not a CA we trust
  kExpired,        // it, or a certificate between it and the CA
  kNotYetValid,    // the same
  kInvalidCa,  // signed with a certificate that may not sign (CA:FALSE, path length, constraints)
  kMalformed,  // cannot be read, or uses a key or signature that is too weak
  kRefusedByLibrary,  // our own check accepts it, wolfSSL does not
  kUnsupportedKey,    // nobody could check whether the client holds its key
  kWrongPurpose,      // not for TLS clients
  kWrongName,         // none of the expected names
  kWrongFingerprint,  // none of the expected fingerprints
  kRevoked,
  kNoFreshCrl,        // no list, or only one past its next update, says whether it is revoked
  kWrongNetwork,      // mail of this domain does not come from there
  kUnreadableSender,  // two readers could see two domains in it, so no policy by domain applies
};
inline constexpr std::size_t kPolicyFaultCount =
    static_cast<std::size_t>(PolicyFault::kUnreadableSender) + 1;

// For the log and the counters: "none", "no-tls", "no-certificate", "wrong-name", ...
[[nodiscard]] std::string_view PolicyFaultName(PolicyFault fault);
// For the client: "client certificate has expired"; printable ASCII, no capital, no full stop.
[[nodiscard]] std::string_view PolicyFaultPhrase(PolicyFault fault);

}  // namespace ringpost

#endif  // RINGPOST_BASE_POLICY_FAULT_H_
