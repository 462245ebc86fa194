// SPDX-License-Identifier: GPL-3.0-or-later
//
// The closed set of ways in which a session ends. Exactly one per session, the first wins, and
// there is no "unknown". Names are what the session log prints.
#ifndef RINGPOST_BASE_OUTCOME_H_
#define RINGPOST_BASE_OUTCOME_H_

#include <cstdint>
#include <string_view>

namespace ringpost {

enum class CloseReason : std::uint8_t {
  kNone,  // the session is still running

  // The peers agreed.
  kQuit,        // QUIT and the backend's reply to it
  kClientEof,   // the client closed between commands
  kBackendEof,  // the backend closed between replies, its last words relayed
  kBackend421,  // the backend said 421 (RFC 5321 3.8), or with PROXY v1 greeted with a refusal

  // The client's fault: answered 5xx.
  kClientReset,          // reset, or gone while we were sending
  kClientTruncated,      // EOF in the middle of DATA, BDAT or a TLS record; the backend was aborted
  kClientProtocol,       // a broken rule of RFC 5321 or its extensions that ends the session
  kClientTooManyErrors,  // the budget of refused commands is used up
  kLineTooLong,          // the bounded discard of an over-long line ended (PROTOCOL 2)
  kStarttlsInjection,    // octets behind STARTTLS (RFC 3207, CVE-2011-0411)
  kBareNewline,          // a bare CR or LF in content under --bare_newline=reject
  kBdatSyntax,           // a malformed BDAT size (RFC 3030)
  kCrossProtocol,        // HTTP or a PROXY header where SMTP was due
  kTlsHandshake,         // the handshake failed; the alert is in the log
  kTlsProtocol,          // a fatal alert or error after the handshake
  kTlsFlood,             // too many records without content (PROTOCOL 31)

  // The backend's fault: answered 421.
  kBackendConnect,   // refused, unreachable
  kBackendIdentity,  // it closed on, or refused, PROXY or XCLIENT
  kBackendReset,     // reset or closed while a reply was due
  kBackendProtocol,  // a reply that breaks RFC 5321 4.2 (PROTOCOL 10)
  kBackendTimeout,   // no reply within RFC 5321 4.5.3.2
  kBackendTls,       // egress: TLS with the partner's server failed, or is not what is asked for

  // Ours, answered 421.
  kClientTimeout,     // no command, or content too slow
  kHandshakeTimeout,  // TLS not up within --handshake_timeout
  kClientRate,        // --handshakes_per_client_rate
  kPolicyChanged,     // a reload brought policies that this session cannot be judged by
  kOutOfResources,    // no descriptor, no block, no memory
  kDrain,             // SIGTERM and no transaction open, or --drain_timeout over
  kStop,              // SIGINT twice
};

inline constexpr int kCloseReasonCount = static_cast<int>(CloseReason::kStop) + 1;

// The stable name used in logs and metrics, for example "client_truncated".
std::string_view CloseReasonName(CloseReason reason);

}  // namespace ringpost

#endif  // RINGPOST_BASE_OUTCOME_H_
