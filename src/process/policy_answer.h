// SPDX-License-Identifier: GPL-3.0-or-later
//
// What one request of the policy service is answered with. Pure but for the look-up in the
// registries; knows no sockets and remembers nothing. Private to the process layer.
#ifndef RINGPOST_PROCESS_POLICY_ANSWER_H_
#define RINGPOST_PROCESS_POLICY_ANSWER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ringpost/session/session_registry.h"

namespace ringpost {

// Postfix's own requests have about 1 KiB; the longest values are two addresses.
inline constexpr std::size_t kPolicyRequestMax = 16 * 1024;
inline constexpr std::size_t kPolicyLineMax = 4096;

// The longest field, name included. RFC 5322 2.1.1 allows 998 octets in a line.
inline constexpr std::size_t kTraceFieldMax = 900;

enum class PolicyAction : std::uint8_t { kDunno, kPrepend, kRefuse };

struct PolicyAnswer {
  PolicyAction action = PolicyAction::kDunno;
  std::string text;  // the field, or the reply
  // kPrepend: for which session and message, so that it is said once.
  SessionKey key;
  std::string_view instance;  // in the request
  // kDunno: about a message of a session that is not ours.
  bool stranger = false;
};

// nullopt: malformed, which gets no answer at all (SMTPD_POLICY_README: in case of trouble the
// server must not reply but disconnect).
[[nodiscard]] std::optional<PolicyAnswer> DecidePolicyAnswer(
    std::string_view request, std::string_view hostname,
    const std::vector<const SessionRegistry*>& registries);

[[nodiscard]] std::string FormatPolicyAnswer(const PolicyAnswer& answer);

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_POLICY_ANSWER_H_
