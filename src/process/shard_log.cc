// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/shard_log.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ringpost/io/socket.h"
#include "ringpost/policy/sender_address.h"
#include "upstream_words.h"

namespace ringpost {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

// Of which the last warning is remembered. A reload may bring others for as long as the process
// lives.
constexpr std::size_t kUpstreamsKept = 10'000;

// With the name of what to change.
const char* RefusalSentence(Refusal why) {
  switch (why) {
    case Refusal::kDraining:
      return "no new sessions before the end";
    case Refusal::kSessions:
      return "all sessions are in use (--sessions_max)";
    case Refusal::kRouteSessions:
      return "all sessions of the route are in use (its sessions_max)";
    case Refusal::kClientSessions:
      return "this client has all the sessions it may have (--sessions_per_client_max)";
    case Refusal::kClientRate:
      return "this client begins too many TLS handshakes (--handshakes_per_client_rate)";
    case Refusal::kDescriptors:
      return "no descriptor is left for its second connection; raise the limit of open files or "
             "lower --sessions_max";
  }
  return "";
}

std::uint64_t RefusedBy(const ShardStatus& status, Refusal why) {
  return status.refused[static_cast<std::size_t>(why)];
}

// The domain of the sender in MAIL's argument.
std::string SenderDomain(std::string_view mail) {
  if (mail.empty()) {
    return {};
  }
  Sender sender = ParseMailSender(mail);
  return sender.kind == SenderKind::kNull ? "<>" : std::move(sender.domain);
}

// Of a reply's first line what stands behind the code.
std::string_view WordsOf(std::string_view reply) {
  constexpr std::size_t kCode = 4;
  const std::string_view line = reply.substr(0, reply.find_first_of("\r\n"));
  return line.substr(std::min(line.size(), kCode));
}

// Of an egress route's session; null: it is another's. Views of the session's own.
std::optional<PartnerRecord> PartnerOf(const Session& session) {
  const std::optional<EgressConfig>& egress = session.listener().route->egress;
  if (!egress.has_value()) {
    return std::nullopt;
  }
  const PartnerFacts& facts = session.partner();
  const std::string_view reported =
      facts.fault != PolicyFault::kNone ? PolicyFaultName(facts.fault) : std::string_view();
  const PartnerTrouble& trouble = session.partner_trouble();
  return PartnerRecord{
      .host = session.backend().host,
      .level = EgressTlsName(egress->policy.tls),
      .reports = session.listener().route->policy.mode == PolicyMode::kReport,
      .fault = trouble.kind != PartnerTrouble::Kind::kNone ? trouble.name() : reported,
      .subject = facts.subject,
      .issuer = facts.issuer,
      .fingerprint = facts.fingerprint};
}

// Whether the peer's certificate is what the policy asks for; empty: there is none, or nobody asks.
std::string_view CertificateWord(const Session& session) {
  if (const std::optional<EgressConfig>& egress = session.listener().route->egress) {
    const bool judged = egress->policy.tls > EgressTls::kEncrypt &&
                        session.partner_trouble().kind == PartnerTrouble::Kind::kNone &&
                        session.partner().fault == PolicyFault::kNone;
    return session.tls_facts().version.empty() ? std::string_view()
           : judged                            ? std::string_view("verified")
                                               : std::string_view("unverified");
  }
  if (session.certificate() == nullptr) {
    return {};
  }
  return session.policy()->verified() ? "verified" : "unverified";
}

// Of a connection that was gone before anybody could ask whose it was.
constexpr std::string_view kUnknown = "unknown";

// "uid:1000" of who has come by a unix socket.
std::string_view ClientText(const SocketAddress& client, std::span<char> out) {
  if (client.any.sa_family == AF_UNSPEC) {
    return kUnknown;
  }
  if (client.any.sa_family != AF_UNIX) {
    return FormatHost(client, out);
  }
  constexpr std::string_view kPrefix = "uid:";
  kPrefix.copy(out.data(), kPrefix.size());
  const std::to_chars_result end =
      std::to_chars(out.data() + kPrefix.size(), out.data() + out.size(), client.unix_peer.user);
  return {out.data(), static_cast<std::size_t>(end.ptr - out.data())};
}

// What the client reached.
std::string_view ServerText(const Session& session, std::span<char> out) {
  switch (session.server().any.sa_family) {
    case AF_UNSPEC:
      return kUnknown;
    case AF_UNIX:
      return session.listener().listener->endpoint.text;
    default:
      return FormatHost(session.server(), out);
  }
}

}  // namespace

ShardLog::ShardLog(Logger* logger, int index)
    : logger_(logger), index_(index), id_prefix_(std::random_device()()) {}

// Unique enough to look for: the first half differs from shard to shard and from start to start.
std::string ShardLog::IdOf(const Session& session) const {
  return absl::StrCat(absl::Hex(id_prefix_, absl::kZeroPad8),
                      absl::Hex(session.number, absl::kZeroPad6));
}

void ShardLog::SessionEnded(const Session& session, TimeNs now) {
  if (!logger_->Wants(LogLevel::kInfo)) {
    return;
  }
  std::array<char, kAddressTextMax> client;
  std::array<char, kAddressTextMax> server;
  const TlsFacts& tls = session.tls_facts();
  const RelayStats& stats = session.stats();
  const std::optional<PartnerRecord> partner = PartnerOf(session);
  const Session::MailNotes nothing;
  const Session::MailNotes& notes = session.notes() != nullptr ? *session.notes() : nothing;
  const std::string id = IdOf(session);
  const std::string sender = SenderDomain(notes.mail);
  logger_->Session({.id = id,
                    .route = session.listener().route->name,
                    .out = partner ? &*partner : nullptr,
                    .client_address = ClientText(session.client(), client),
                    .client_port = PortOf(session.client()),
                    .server_address = ServerText(session, server),
                    .server_port = PortOf(session.server()),
                    .is_local = session.server().any.sa_family == AF_UNIX,
                    .tls_version = tls.version,
                    .tls_suite = tls.suite,
                    .tls_group = tls.group,
                    .tls_resumed = tls.resumed,
                    .sni = session.sni(),
                    .certificate = CertificateWord(session),
                    .partner = session.partners(),
                    .hello = notes.hello,
                    .sender = sender,
                    .accepted = WordsOf(notes.accepted),
                    .messages_accepted = stats.messages_accepted,
                    .backend_refusals = stats.backend_refusals,
                    .commands_refused = stats.commands_refused,
                    .last_refused = stats.last_refused.text(),
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
                              Refusal why, TimeNs now) {
  WarningLimiter& limiter = refused_[static_cast<std::size_t>(why)];
  if (limiter.Suppress(now)) {
    return;  // a flood must not cost a sentence for each of its connections
  }
  std::array<char, kAddressTextMax> text;
  logger_->Warning(limiter, now, "shard",
                   absl::StrCat("route ", listener.route->name, ": refused ",
                                View(client.any.sa_family == AF_UNIX ? ClientText(client, text)
                                                                     : FormatAddress(client, text)),
                                ", ", RefusalSentence(why)));
}

void ShardLog::Status(const ShardStatus& status) {
  logger_->Shard({.shard = index_,
                  .sessions = status.sessions,
                  .sessions_max = status.sessions_max,
                  .blocks_large_free = status.blocks_large_free,
                  .blocks_large = status.blocks_large,
                  .blocks_small_free = status.blocks_small_free,
                  .blocks_small = status.blocks_small,
                  .starved = status.starved,
                  .accept_paused = status.accept_paused,
                  .refused_sessions = RefusedBy(status, Refusal::kSessions) +
                                      RefusedBy(status, Refusal::kRouteSessions),
                  .refused_client_sessions = RefusedBy(status, Refusal::kClientSessions),
                  .refused_client_rate = RefusedBy(status, Refusal::kClientRate),
                  .refused_descriptors = RefusedBy(status, Refusal::kDescriptors),
                  .reclaimed = status.reclaimed});
}

WarningLimiter& ShardLog::LimiterOf(const UpstreamConfig& upstream, Limiters& limiters) {
  if (limiters.size() >= kUpstreamsKept && !limiters.contains(upstream.name)) {
    limiters.clear();
  }
  return limiters[upstream.name];
}

void ShardLog::BackendFailed(const UpstreamConfig& upstream, const Endpoint& endpoint,
                             CloseReason reason, int error, std::string_view words, TimeNs now) {
  logger_->Warning(LimiterOf(upstream, failed_), now, "upstream",
                   FailedSentence(upstream, endpoint, reason, error, words));
}

void ShardLog::BackendRecovered(const UpstreamConfig& upstream, const Endpoint& endpoint,
                                TimeNs /*now*/) {
  logger_->Event(LogLevel::kInfo, "upstream", RecoveredSentence(upstream, endpoint));
}

// Every shard asks the same server, and hears the same: the first one speaks.
void ShardLog::UpstreamProven(const UpstreamConfig& upstream, const Endpoint& endpoint,
                              const ProbeResult& result, bool first) {
  if (!first || index_ != 0) {
    return;
  }
  logger_->Event(LogLevel::kInfo, "upstream", ProvenSentence(upstream, endpoint, result));
  for (const std::string& advice : ProvenAdvice(upstream, endpoint, result)) {
    logger_->Event(LogLevel::kWarning, "upstream", advice);
  }
}

void ShardLog::UpstreamNotProven(const UpstreamConfig& upstream, const Endpoint& endpoint,
                                 const ProbeResult& result, TimeNs now) {
  logger_->Warning(LimiterOf(upstream, probed_), now, "upstream",
                   NotProvenSentence(upstream, endpoint, result));
}

void ShardLog::UpstreamSlow(const UpstreamConfig& upstream, const Endpoint& endpoint, TimeNs now) {
  logger_->Warning(LimiterOf(upstream, probed_), now, "upstream", SlowSentence(upstream, endpoint));
}

void ShardLog::PolicyNotMet(const Session& session, const PolicyDecision& decision,
                            std::string_view sender_domain) {
  if (!logger_->Wants(LogLevel::kInfo)) {
    return;
  }
  std::array<char, kAddressTextMax> client;
  PolicyRecord record;
  const std::string id = IdOf(session);
  record.id = id;
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
  if (const PeerCertificate* const certificate = session.certificate(); certificate != nullptr) {
    fingerprint = FormatFingerprint(certificate->certificate);
    public_key = FormatFingerprint(certificate->public_key);
    record.subject = certificate->subject;
    record.issuer = certificate->issuer;
    record.fingerprint = fingerprint;
    record.public_key = public_key;
  }
  logger_->Policy(record);
}

void ShardLog::TrustComplaint(const std::string& sentence, TimeNs now) {
  logger_->Warning(trust_, now, "trust", sentence);
}

void ShardLog::AcceptPaused(int error, TimeNs now) {
  logger_->Warning(accept_, now, "shard",
                   absl::StrCat("accepting pauses: ", std::strerror(error),
                                "; raise the limit of open files or lower --sessions_max"));
}

}  // namespace ringpost
