// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the log says about a session, once, at its end. Filled by the session; views need to live
// only as long as the call that formats them.
#ifndef RINGPOST_LOG_SESSION_RECORD_H_
#define RINGPOST_LOG_SESSION_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ringpost/base/outcome.h"
#include "ringpost/log/log_types.h"

namespace ringpost {

// Of a session on an egress route.
struct PartnerRecord {
  std::string_view host;   // as configured
  std::string_view level;  // that the route asks for: "verify"
  bool reports = false;    // where it is not met, the mail leaves all the same
  // Why the level was not met: "wrong-name", "no-starttls"; empty: it was. The certificate then
  // follows, if there was one.
  std::string_view fault;
  std::string_view subject;
  std::string_view issuer;
  std::string_view fingerprint;
};

struct SessionRecord {
  std::int64_t unix_ms = 0;  // the end, wall clock; 0: Logger::Session fills it in
  std::string_view id;       // the same in every line about this session
  std::string_view route;
  const PartnerRecord* out = nullptr;  // null: on a route of ingress
  std::string_view client_address;     // "192.0.2.1" or "2001:db8::1"
  std::uint16_t client_port = 0;
  std::string_view server_address;  // what the client reached
  std::uint16_t server_port = 0;
  // By a unix socket: no ports, and the addresses are "uid:1000" and "unix:/run/out".
  bool is_local = false;

  // With the client; on an egress route with the partner's server. Empty version: the session
  // stayed in clear.
  std::string_view tls_version;
  std::string_view tls_suite;
  std::string_view tls_group;
  bool tls_resumed = false;
  std::string_view sni;
  // "verified", "unverified": for the last MAIL that was let through, or before any for the route;
  // empty: the client presented none.
  std::string_view certificate;
  std::string_view partner;  // whose policy the last MAIL met; empty: nobody's
  std::string_view hello;    // the name that the client gave in EHLO or HELO; empty: none
  std::string_view sender;   // the domain of the last MAIL, or "<>"; empty: none
  // What the mail server said when it accepted the last message: "2.0.0 Ok: queued as 4FC0".
  std::string_view accepted;

  std::uint32_t messages_accepted = 0;
  std::uint32_t backend_refusals = 0;  // 4xx and 5xx of the mail server
  std::uint32_t commands_refused = 0;  // by ringpost
  std::string_view last_refused;       // the last of them: "MAIL 530 5.7.0"
  std::uint64_t octets_in = 0;         // from the client, as on the wire
  std::uint64_t octets_out = 0;        // to the client, as on the wire
  std::uint64_t content_octets = 0;
  std::uint32_t bare_newlines = 0;
  std::int64_t duration_ns = 0;
  CloseReason reason = CloseReason::kNone;
  std::string_view upstream;  // the address that was used
  std::string_view detail;    // one phrase: the TLS alert, the errno, the backend's words
};

// Writes the line without its newline to `out` (at least kLogLineMax octets) and returns its
// length.
[[nodiscard]] std::size_t FormatSession(const SessionRecord& record, LogFormat format,
                                        std::span<char> out);

}  // namespace ringpost

#endif  // RINGPOST_LOG_SESSION_RECORD_H_
