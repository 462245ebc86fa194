// SPDX-License-Identifier: GPL-3.0-or-later
//
// The validated configuration. Flags and the TOML file both end here; nothing behind this point
// parses or doubts it. Immutable; shared by reference count, because running sessions keep the one
// they began with. All durations are in nanoseconds (TimeNs), all sizes in octets.
#ifndef RINGPOST_CONFIG_CONFIG_H_
#define RINGPOST_CONFIG_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ringpost/base/tls_policy.h"
#include "ringpost/identity/proxy_header.h"
#include "ringpost/io/io.h"
#include "ringpost/log/log_types.h"
#include "ringpost/policy/judge.h"
#include "ringpost/policy/partner.h"
#include "ringpost/policy/server_policy.h"
#include "ringpost/smtp/smtp_relay.h"
#include "ringpost/x509/trust_store.h"

namespace ringpost {

enum class BackendIdentity : std::uint8_t { kProxyV2, kProxyV1, kXclient, kNone };
// What becomes of the backend connection when STARTTLS succeeds (docs/ARCHITECTURE.md).
enum class StarttlsBackend : std::uint8_t { kReconnect, kKeep };

struct Endpoint {
  std::string text;  // as configured: "127.0.0.1:10025", "[::1]:10025", "unix:/path"
  // Of an upstream's: what it was given as, without the port, a name in lower case without a final
  // dot or an address without brackets; empty of a unix socket.
  std::string host;
  SocketAddress address{};
  socklen_t length = 0;

  // False: of a host name whose addresses nobody has told yet; `text` is that name.
  [[nodiscard]] bool known() const { return length > 0; }
};

// What an administrator gives as an address of an upstream: one, or a host name for several.
struct UpstreamTarget {
  Endpoint endpoint;   // not known(): a host
  std::string host;    // as given, without the port
  in_port_t port = 0;  // of a host; in network order
};

struct CertificateFiles {
  std::string cert;  // PEM, leaf first
  std::string key;   // PEM, unencrypted
};

// Who signs client certificates, and how their revocation is learnt. Routes and partners that ask
// for the same share one entry of Config::trusts.
struct TrustConfig {
  std::string client_ca;  // PEM file, or a folder of them
  std::string crl;        // PEM or DER file, or a folder of them; empty: none
  Revocation revocation = Revocation::kOff;
  friend bool operator==(const TrustConfig&, const TrustConfig&) = default;
};

struct UpstreamConfig {
  std::string name;
  std::vector<UpstreamTarget> targets;  // at least one, as configured
  // What they stand for, in their order: at least one for each. Of a host as many as it has, and
  // one that is not known() as long as nobody has told any.
  std::vector<Endpoint> addresses;
  BackendIdentity identity = BackendIdentity::kProxyV2;
  ProxyTlvs proxy_tlvs = ProxyTlvs::kAll;  // of kProxyV2
  // Of an egress route: nobody asks it how it is but who has mail for it.
  bool is_partner = false;

  // Before anything else is said, and before the greeting.
  [[nodiscard]] bool sends_proxy_header() const {
    return identity == BackendIdentity::kProxyV2 || identity == BackendIdentity::kProxyV1;
  }
  [[nodiscard]] ConnectHint connect_hint() const {
    return sends_proxy_header() ? ConnectHint::kOctetsFollow : ConnectHint::kAtOnce;
  }
};

struct ListenerConfig {
  Endpoint endpoint;
  bool implicit_tls = false;
};

// What a route has on which mail leaves: its clients are our own, in clear, and its upstream is a
// partner's server.
struct EgressConfig {
  ServerPolicy policy;
  // Shown to a server that asks for one.
  std::optional<CertificateFiles> client_certificate;
  bool implicit_tls = false;  // TLS from the first octet (RFC 8314), without STARTTLS
  std::string ehlo_name;      // said in EHLO; empty: what the client said
  // What the policy refuses, it refuses with 5xx: the mail goes back to its sender at once.
  bool hard_bounce = false;
};

struct RouteConfig {
  std::string name;
  std::vector<ListenerConfig> listeners;
  std::size_t upstream = 0;  // index into Config::upstreams
  std::optional<EgressConfig> egress;
  RoutePolicy policy;  // of an egress route only the mode
  AuthPolicy auth = AuthPolicy::kTls;
  // Partners' policies hold for mail on this route.
  bool partners = true;
  // The handshake asks clients for a certificate: some policy of this route looks at one. Then no
  // session tickets are issued or taken (PROTOCOL 30).
  bool ask_certificate = false;
  std::vector<CertificateFiles> certificates;  // the route's own, or the file's [tls] ones
  std::uint32_t sessions_max = 0;              // of this route, per process; 0: only Config's
  TimeNs handshake_timeout = 0;                // resolved: Config's where the route names none
  TimeNs command_timeout = 0;
  TimeNs data_timeout = 0;
};

struct Config {
  std::string hostname;
  int shards = 0;         // resolved: at least 1
  std::vector<int> cpus;  // one per shard: where its thread is pinned; empty: not pinned
  std::vector<UpstreamConfig> upstreams;
  std::vector<RouteConfig> routes;  // those of ingress first
  std::vector<Partner> partners;
  std::vector<TrustConfig> trusts;
  // Domains that the mail servers take for their own, beside all address literals: `hostname`,
  // "localhost", and those that were given. Lower case, A-labels; ".example.com": its subdomains.
  std::vector<std::string> own_domains;

  std::optional<Endpoint> policy_service;  // where Postfix asks about its sessions
  // How often the policies' summary is logged; 0: only at the end and on SIGUSR2.
  TimeNs policy_summary_interval = 24 * 3600 * kNsPerSecond;

  BareNewline bare_newline = BareNewline::kNormalize;
  StarttlsBackend starttls_backend = StarttlsBackend::kReconnect;
  TimeNs handshake_timeout = 30 * kNsPerSecond;
  TimeNs command_timeout = 300 * kNsPerSecond;  // RFC 5321 4.5.3.2.7
  TimeNs data_timeout = 180 * kNsPerSecond;     // RFC 5321 4.5.3.2.5, from the client
  TimeNs drain_timeout = 30 * kNsPerSecond;
  TimeNs connect_timeout = 10 * kNsPerSecond;

  std::uint32_t sessions_max = 0;  // per process; resolved: at least 1 (two descriptors a session)
  // Of one client (client_limits.h), in the whole process; 0: no limit.
  std::uint32_t sessions_per_client_max = 0;
  std::uint32_t handshakes_per_client_rate = 0;  // TLS handshakes begun in a minute
  std::uint32_t buffers_large = 0;               // 16 KiB blocks per shard; resolved
  std::uint32_t buffers_small = 0;               // 2 KiB blocks per shard; resolved

  std::vector<Endpoint> resolver;  // name servers; empty: those of resolv.conf
  std::string ticket_key_file;     // empty: random keys, rotated
  std::string log_file;            // empty: standard error
  std::string user;                // whom root becomes; empty: "ringpost" where there is one
  std::string group;               // empty: the user's own
  bool sandbox = true;
  LogFormat log_format = LogFormat::kText;
  LogLevel log_level = LogLevel::kInfo;

  // What is allowed but should be known: one sentence each, to be logged at every start.
  std::vector<std::string> warnings;
};

// As written in flags and file: "proxy-v2", "encrypt".
[[nodiscard]] std::string_view BackendIdentityName(BackendIdentity identity);
[[nodiscard]] std::string_view ProxyTlvsName(ProxyTlvs tlvs);
[[nodiscard]] std::string_view TlsPolicyName(TlsPolicy policy);
[[nodiscard]] std::string_view EgressTlsName(EgressTls tls);
[[nodiscard]] std::string_view AuthPolicyName(AuthPolicy policy);
[[nodiscard]] std::string_view PolicyModeName(PolicyMode mode);
[[nodiscard]] std::string_view RevocationName(Revocation revocation);

// The configuration as a TOML file that would give the same one again: what --check_config prints.
[[nodiscard]] std::string DescribeConfig(const Config& config);

// What the process will need, in octets of resident memory, as measured (memory_plan.cc). CAs,
// revocation lists and partners come on top; they are as large as their files, and shared.
struct MemoryPlan {
  std::uint64_t fixed = 0;          // program, libraries, and what shards touch when they work
  std::uint64_t session_idle = 0;   // of each session that is through its TLS 1.3 handshake
  std::uint64_t session_tls12 = 0;  // more, of each one with TLS 1.2
  // More, at most, of each one whose client has shown a certificate; 0: nobody is asked for one.
  std::uint64_t session_certificate = 0;
  std::uint64_t session_record = 0;  // more, of each one whose client stopped within a TLS record
  std::uint64_t buffers = 0;         // all blocks of all shards, beyond what `fixed` has
  std::uint64_t sessions = 0;
  // All sessions are open with TLS 1.3 and quiet, without certificates. Lower than that is the
  // normal day: memory is taken when it is first used.
  [[nodiscard]] std::uint64_t idle() const { return fixed + sessions * session_idle; }
  // And nothing that a peer can do makes it more.
  [[nodiscard]] std::uint64_t most() const {
    return idle() + sessions * (session_tls12 + session_certificate + session_record) + buffers;
  }
};
[[nodiscard]] MemoryPlan PlanMemory(const Config& config);
// One line: "memory: 15.5 MiB and 2450 octets for each idle TLS session (3250 more with TLS 1.2):
// 37 MiB with all 9968; ...".
[[nodiscard]] std::string MemorySentence(const MemoryPlan& plan);

}  // namespace ringpost

#endif  // RINGPOST_CONFIG_CONFIG_H_
