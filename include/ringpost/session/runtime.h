// SPDX-License-Identifier: GPL-3.0-or-later
//
// A configuration made ready for one shard: relay options and TLS contexts per listener, trust,
// partners, the health of the upstreams. Sessions hold a reference, so that those begun before a
// reload end as they began; only their mail is judged by the policies in force (session_mail.cc).
// One per shard, so that reference counts and what changes (counters, health, a trust store at
// work) are never shared between cores; what is only read (the configuration, partners, revocation
// lists) is.
#ifndef RINGPOST_SESSION_RUNTIME_H_
#define RINGPOST_SESSION_RUNTIME_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "ringpost/config/config.h"
#include "ringpost/policy/partner_table.h"
#include "ringpost/policy/policy_report.h"
#include "ringpost/session/next_hop.h"
#include "ringpost/session/upstream_health.h"
#include "ringpost/smtp/smtp_relay.h"
#include "ringpost/tls/tls_context.h"
#include "ringpost/x509/trust_store.h"

namespace ringpost {

struct ListenerRuntime {
  const ListenerConfig* listener = nullptr;
  const RouteConfig* route = nullptr;
  NextHop next_hop;
  std::shared_ptr<const TlsContextSet> contexts;  // null: no certificate, no STARTTLS
  const PartnerTable* partners = nullptr;         // null: no partner's policy holds here
  std::size_t route_subject = 0;                  // in Runtime::counters
  std::size_t unreadable_subject = 0;             // the same, for senders that cannot be read
  RelayOptions relay;
};

struct Runtime {
  std::shared_ptr<const Config> config;
  std::vector<ListenerRuntime> listeners;  // in the order of routes and of their listeners
  std::vector<std::unique_ptr<UpstreamHealth>> health;  // in the order of Config::upstreams
  std::vector<std::shared_ptr<TrustStore>> trusts;      // in the order of Config::trusts
  // In the order of Config::routes; null: of ingress.
  std::vector<std::shared_ptr<const PartnerRoute>> partner_routes;
  std::shared_ptr<const PartnerTable> partners;
  // Partners first, then routes, then the unreadable senders of each route.
  std::shared_ptr<PolicyCounters> counters;

  // The policies are the very same, and only upstreams have other addresses.
  [[nodiscard]] bool HasPoliciesOf(const Runtime& other) const {
    return counters == other.counters;
  }
};

// Everything that the configuration names and that is not the configuration itself, read once, so
// that all shards agree, and parsed once where shards can share it.
struct LoadedFiles {
  std::vector<std::vector<TlsCertificatePem>> certificates;  // by route; of egress: the client's
  std::vector<TrustOptions> trusts;                          // as Config::trusts
  std::shared_ptr<const PartnerTable> partners;
  std::vector<std::string> warnings;
};
// Each private key has signed once, and its certificate has verified that. `now` is in seconds
// since the epoch, here and below. Errors name the file and what is wrong with it.
[[nodiscard]] absl::StatusOr<LoadedFiles> LoadFiles(const Config& config, std::int64_t now);

// Random keys, or those of --ticket_key_file.
[[nodiscard]] absl::StatusOr<std::unique_ptr<TicketKeys>> LoadTicketKeys(const Config& config,
                                                                         std::int64_t now);

// `ticket_keys` must outlive the result; `files` are those of `config`.
[[nodiscard]] absl::StatusOr<std::shared_ptr<const Runtime>> MakeRuntime(
    std::shared_ptr<const Config> config, const LoadedFiles& files, TicketKeys* ticket_keys,
    std::int64_t now);

// The same once more for `config`, which differs from that of `running` in nothing but
// UpstreamConfig::addresses: certificates, trust and counters are shared, no file is read.
[[nodiscard]] std::shared_ptr<const Runtime> WithOtherAddresses(
    const Runtime& running, std::shared_ptr<const Config> config);

}  // namespace ringpost

#endif  // RINGPOST_SESSION_RUNTIME_H_
