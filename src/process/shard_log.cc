// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/shard_log.h"

#include <array>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "ringpost/io/socket.h"

namespace ringpost {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

void ShardLog::SessionEnded(const Session& session, TimeNs now) {
  if (!logger_->Wants(LogLevel::kInfo)) {
    return;
  }
  std::array<char, kAddressTextMax> client;
  std::array<char, kAddressTextMax> server;
  const TlsFacts& tls = session.tls_facts();
  const RelayStats& stats = session.stats();
  logger_->Session({.route = session.listener().route->name,
                    .client_address = FormatHost(session.client(), client),
                    .client_port = PortOf(session.client()),
                    .server_address = FormatHost(session.server(), server),
                    .server_port = PortOf(session.server()),
                    .tls_version = tls.version,
                    .tls_suite = tls.suite,
                    .tls_group = tls.group,
                    .tls_resumed = tls.resumed,
                    .sni = session.sni(),
                    .certificate = session.certificate() == nullptr ? std::string_view()
                                   : session.policy()->verified()   ? std::string_view("verified")
                                                                  : std::string_view("unverified"),
                    .partner = session.partners(),
                    .messages_accepted = stats.messages_accepted,
                    .messages_refused = stats.messages_refused,
                    .octets_in = session.front().octets_received(),
                    .octets_out = session.front().octets_sent(),
                    .content_octets = stats.content_octets,
                    .bare_newlines = stats.bare_newlines,
                    .duration_ns = now - session.started(),
                    .reason = session.close_reason(),
                    .upstream = session.backend().text,
                    .detail = session.detail()});
}

void ShardLog::SessionRefused(const ListenerRuntime& listener, const SocketAddress& client,
                              TimeNs now) {
  std::array<char, kAddressTextMax> text;
  logger_->Warning(
      refused_, now, "shard",
      absl::StrCat("route ", listener.route->name, ": refused ", View(FormatAddress(client, text)),
                   ", all sessions are in use (--sessions_max)"));
}

void ShardLog::BackendFailed(const UpstreamConfig& upstream, const Endpoint& endpoint,
                             CloseReason reason, int error, TimeNs now) {
  std::string what = absl::StrCat("upstream ", upstream.name, " (", endpoint.text,
                                  "): ", View(CloseReasonName(reason)));
  if (error != 0) {
    absl::StrAppend(&what, ": ", std::strerror(error));
  }
  logger_->Warning(backend_, now, "upstream", what);
}

void ShardLog::BackendRecovered(const UpstreamConfig& upstream, const Endpoint& endpoint,
                                TimeNs /*now*/) {
  logger_->Event(
      LogLevel::kInfo, "upstream",
      absl::StrCat("upstream ", upstream.name, " (", endpoint.text, "): is back and used again"));
}

void ShardLog::PolicyNotMet(const Session& session, const PolicyDecision& decision,
                            std::string_view sender_domain) {
  if (!logger_->Wants(LogLevel::kInfo)) {
    return;
  }
  std::array<char, kAddressTextMax> client;
  PolicyRecord record;
  record.route = session.listener().route->name;
  record.client_address = FormatHost(session.client(), client);
  record.client_port = PortOf(session.client());
  record.sender = sender_domain;
  record.asked = TlsPolicyName(decision.asked);
  record.mode = PolicyModeName(decision.mode);
  record.fault = decision.fault;
  if (decision.partner != nullptr) {
    record.partner = decision.partner->name;
  }
  std::string fingerprint;
  std::string public_key;
  if (const ClientCertificate* const certificate = session.certificate(); certificate != nullptr) {
    fingerprint = FormatFingerprint(certificate->certificate);
    public_key = FormatFingerprint(certificate->public_key);
    record.subject = certificate->subject;
    record.issuer = certificate->issuer;
    record.fingerprint = fingerprint;
    record.public_key = public_key;
  }
  logger_->Policy(record);
}

void ShardLog::AcceptPaused(int error, TimeNs now) {
  logger_->Warning(accept_, now, "shard",
                   absl::StrCat("accepting pauses: ", std::strerror(error),
                                "; raise the limit of open files or lower --sessions_max"));
}

}  // namespace ringpost
