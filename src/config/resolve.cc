// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/config/resolve.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "policies.h"
#include "readers.h"
#include "ringpost/config/address.h"
#include "ringpost/io/socket.h"

namespace ringpost {
namespace {

constexpr std::uint32_t kShardsMax = 256;
constexpr std::size_t kUpstreamAddressesMax = 64;  // UpstreamHealth::Pick()
constexpr std::uint32_t kSessionsMaxMax = 4'000'000;
// What is planned where nobody asked: with it, sessions alone stay below 1 GiB.
constexpr std::uint32_t kSessionsMaxAutomatic = 100'000;
constexpr std::uint32_t kSessionsFew = 1000;
// Of one client, where nobody asked: four addresses and not one may fill the proxy, and what a
// relay or a pool of hosts behind one address needs stays far below. Where there are few sessions
// at all, a quarter would be less than one honest server opens.
constexpr std::uint32_t kSessionsPerClientShare = 4;
constexpr std::uint32_t kSessionsPerClientMin = 20;
constexpr std::uint32_t kHandshakeRateMax = 100'000;
constexpr std::string_view kNoLimit = "no limit";
// A quarter is lent to receives; the rest must carry a few handshakes at once.
constexpr std::uint32_t kBuffersMin = 64;
constexpr std::uint32_t kBuffersSmallMax = 1 << 20;

// RFC 5321 4.5.3.2.7 and 4.5.3.2.5.
constexpr TimeNs kCommandTimeoutAsked = 300 * kNsPerSecond;
constexpr TimeNs kDataTimeoutAsked = 180 * kNsPerSecond;
// Between a summary of every second and one of every month.
constexpr TimeNs kSummaryIntervalMin = kNsPerSecond;
constexpr TimeNs kSummaryIntervalMax = 31 * kTimeoutMax;

// Descriptors that are no session's: standard streams, log, signals, rings, listeners.
constexpr std::uint64_t kDescriptorsReserved = 64;
constexpr std::uint64_t kDescriptorsPerShard = 4;

constexpr std::array kIdentities = {
    Choice<BackendIdentity>{"proxy-v2", BackendIdentity::kProxyV2},
    Choice<BackendIdentity>{"proxy-v1", BackendIdentity::kProxyV1},
    Choice<BackendIdentity>{"xclient", BackendIdentity::kXclient},
    Choice<BackendIdentity>{"none", BackendIdentity::kNone},
};
constexpr std::array kProxyTlvs = {
    Choice<ProxyTlvs>{"all", ProxyTlvs::kAll},
    Choice<ProxyTlvs>{"ssl", ProxyTlvs::kSsl},
    Choice<ProxyTlvs>{"none", ProxyTlvs::kNone},
};
constexpr std::array kBareNewlines = {
    Choice<BareNewline>{"normalize", BareNewline::kNormalize},
    Choice<BareNewline>{"reject", BareNewline::kReject},
};
constexpr std::array kStarttlsBackends = {
    Choice<StarttlsBackend>{"reconnect", StarttlsBackend::kReconnect},
    Choice<StarttlsBackend>{"keep", StarttlsBackend::kKeep},
};
constexpr std::array kSwitches = {
    Choice<bool>{"on", true},
    Choice<bool>{"off", false},
};
constexpr std::array kLogFormats = {
    Choice<LogFormat>{"text", LogFormat::kText},
    Choice<LogFormat>{"json", LogFormat::kJson},
};
constexpr std::array kLogLevels = {
    Choice<LogLevel>{"error", LogLevel::kError},
    Choice<LogLevel>{"warning", LogLevel::kWarning},
    Choice<LogLevel>{"info", LogLevel::kInfo},
    Choice<LogLevel>{"debug", LogLevel::kDebug},
};

// It opens every reply of ours, so it must be one word of a reply line (RFC 5321 4.2).
absl::Status CheckHostname(const Given& given) {
  constexpr std::size_t kDomainMax = 255;  // RFC 5321 4.5.3.1.2
  if (given.text.empty() || given.text.size() > kDomainMax) {
    return Refuse(given, "a host name has 1 to 255 octets");
  }
  for (const char c : given.text) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '.' || c == '[' || c == ']' || c == ':' || c == '_';
    if (!ok) return RefuseQuoted(given, "is not a host name; write for example mx.example.org");
  }
  return absl::OkStatus();
}

// --- The parts of a Config, in the order in which they depend on each other.

class Resolver {
 public:
  Resolver(const Settings& settings, const Machine& machine)
      : settings_(settings), machine_(machine), policies_(settings, &config_) {}

  absl::StatusOr<std::shared_ptr<const Config>> Run() {
    for (absl::Status (Resolver::*step)() :
         {&Resolver::ResolveTuning, &Resolver::ResolveTimeouts, &Resolver::ResolveHostname,
          &Resolver::ResolveUpstreams, &Resolver::ResolveNameServers, &Resolver::ResolveIngress,
          &Resolver::ResolveEgress, &Resolver::ResolvePartners, &Resolver::ResolvePolicyService,
          &Resolver::CheckListeners, &Resolver::ResolveShards, &Resolver::ResolveSessions,
          &Resolver::ResolveClientLimits, &Resolver::CheckRouteLimits, &Resolver::ResolveBuffers}) {
      const absl::Status status = (this->*step)();
      if (!status.ok()) return status;
    }
    for (std::string& warning : config_.warnings) PutOnOneLine(&warning);
    return std::make_shared<const Config>(std::move(config_));
  }

 private:
  [[nodiscard]] const Given* Find(std::string_view name) const {
    const auto found = settings_.tuning.find(name);
    return found == settings_.tuning.end() ? nullptr : &found->second;
  }

  void Warn(std::string sentence) { config_.warnings.push_back(std::move(sentence)); }

  template <typename Enum, std::size_t kCount>
  absl::Status TuneChoice(std::string_view name, const std::array<Choice<Enum>, kCount>& choices,
                          Enum* out) {
    const Given* const given = Find(name);
    return given == nullptr ? absl::OkStatus() : ReadChoice(*given, choices, out);
  }

  absl::Status TuneCount(std::string_view name, std::uint32_t min, std::uint32_t max,
                         std::uint32_t* out, std::string_view zero = "the automatic value") {
    const Given* const given = Find(name);
    return given == nullptr ? absl::OkStatus() : ReadCount(*given, min, max, out, zero);
  }

  absl::Status ResolveTuning() {
    absl::Status status;
    status.Update(TuneChoice("bare_newline", kBareNewlines, &config_.bare_newline));
    status.Update(TuneChoice("starttls_backend", kStarttlsBackends, &config_.starttls_backend));
    status.Update(TuneChoice("sandbox", kSwitches, &config_.sandbox));
    status.Update(TuneChoice("log_format", kLogFormats, &config_.log_format));
    status.Update(TuneChoice("log_level", kLogLevels, &config_.log_level));
    if (!status.ok()) return status;
    if (const Given* const file = Find("log_file"); file != nullptr) config_.log_file = file->text;
    if (const Given* const user = Find("user"); user != nullptr) config_.user = user->text;
    if (const Given* const group = Find("group"); group != nullptr) config_.group = group->text;
    if (const Given* const file = Find("ticket_key_file"); file != nullptr) {
      status = CheckSecret(*file, "a file of ticket keys");
      config_.ticket_key_file = file->text;
    }
    return status;
  }

  absl::Status ResolveTimeouts() {
    struct Timeout {
      std::string_view name;
      TimeNs Config::* member;
      TimeNs min;
    };
    constexpr std::array kTimeouts = {
        Timeout{"handshake_timeout", &Config::handshake_timeout, kTimeoutMin},
        Timeout{"command_timeout", &Config::command_timeout, kTimeoutMin},
        Timeout{"data_timeout", &Config::data_timeout, kTimeoutMin},
        Timeout{"drain_timeout", &Config::drain_timeout, 0},
        Timeout{"connect_timeout", &Config::connect_timeout, kTimeoutMin},
    };
    for (const Timeout& timeout : kTimeouts) {
      const Given* const given = Find(timeout.name);
      if (given == nullptr) continue;
      const absl::Status status =
          ReadDuration(*given, timeout.min, kTimeoutMax, &(config_.*timeout.member));
      if (!status.ok()) return status;
    }
    WarnIfBelow("command_timeout", config_.command_timeout, kCommandTimeoutAsked, "4.5.3.2.7");
    WarnIfBelow("data_timeout", config_.data_timeout, kDataTimeoutAsked, "4.5.3.2.5");
    return absl::OkStatus();
  }

  void WarnIfBelow(std::string_view name, TimeNs value, TimeNs asked, std::string_view clause) {
    if (value >= asked) return;
    Warn(absl::StrCat(View(name), " is ", absl::FormatDuration(absl::Nanoseconds(value)),
                      "; RFC 5321 ", View(clause), " asks for at least ", asked / kNsPerSecond,
                      "s, and slow but honest senders will be cut off"));
  }

  absl::Status ResolveHostname() {
    const Given* const given = Find("hostname");
    const Given name = given != nullptr
                           ? *given
                           : Given{machine_.hostname, "this machine's name (set --hostname)"};
    config_.hostname = name.text;
    return CheckHostname(name);
  }

  absl::Status ResolveUpstreams() {
    std::set<std::string_view> names;
    for (const UpstreamSettings& from : settings_.upstreams) {
      if (!names.insert(from.name.text).second) {
        return RefuseQuoted(from.name, "names two upstreams; give each its own name");
      }
      UpstreamConfig upstream;
      upstream.name = from.name.text;
      if (from.addresses.empty()) {
        return RefuseQuoted(from.name, "has no addresses; add addresses = [\"127.0.0.1:10025\"]");
      }
      if (const absl::Status status = ResolveAddresses(from.name, from.addresses, &upstream);
          !status.ok()) {
        return status;
      }
      if (from.identity.has_value()) {
        const absl::Status status = ReadChoice(*from.identity, kIdentities, &upstream.identity);
        if (!status.ok()) return status;
      }
      if (from.proxy_tlvs.has_value()) {
        const absl::Status status = ReadChoice(*from.proxy_tlvs, kProxyTlvs, &upstream.proxy_tlvs);
        if (!status.ok()) return status;
        if (upstream.identity != BackendIdentity::kProxyV2) {
          return Refuse(*from.proxy_tlvs,
                        "TLVs are a part of PROXY version 2 only; set identity to "
                        "proxy-v2 or leave proxy_tlvs out");
        }
      }
      if (upstream.identity == BackendIdentity::kNone) {
        Warn(absl::StrCat("upstream \"", upstream.name,
                          "\" is not told who the client is (identity none): to the mail server "
                          "every client has ringpost's own address, so that permit_mynetworks "
                          "makes it an open relay"));
      }
      config_.upstreams.push_back(std::move(upstream));
    }
    return absl::OkStatus();
  }

  absl::Status ResolveAddresses(const Given& name, const std::vector<Given>& from,
                                UpstreamConfig* upstream) {
    if (from.size() > kUpstreamAddressesMax) {
      return RefuseQuoted(name, absl::StrCat("has ", from.size(), " addresses; at most ",
                                             kUpstreamAddressesMax, " can be told apart"));
    }
    for (const Given& address : from) {
      absl::StatusOr<UpstreamTarget> target =
          ParseUpstreamTarget(address.text, upstream->is_partner ? "25" : "10025");
      if (!target.ok()) return Refuse(address, std::string(target.status().message()));
      WarnOfMissingFolder(*upstream, target->endpoint);
      upstream->addresses.push_back(target->endpoint);
      upstream->targets.push_back(*std::move(target));
    }
    return absl::OkStatus();
  }

  // No error: the mail server may start later, and make it.
  void WarnOfMissingFolder(const UpstreamConfig& upstream, const Endpoint& endpoint) {
    if (endpoint.address.any.sa_family != AF_UNIX) return;
    const std::filesystem::path folder =
        std::filesystem::path(endpoint.address.un.sun_path).parent_path();
    std::error_code error;
    const auto kind = std::filesystem::status(folder.empty() ? "." : folder, error).type();
    if (kind == std::filesystem::file_type::not_found) {
      Warn(absl::StrCat("upstream \"", upstream.name, "\": there is no folder ", folder.string(),
                        " for the socket ", endpoint.text,
                        upstream.is_partner
                            ? "; MAIL is answered with 451 until its server has made both"
                            : "; clients are told 421 until the mail server has made both"));
    }
  }

  absl::Status ResolveCertificates(const std::vector<CertificateSettings>& from,
                                   RouteConfig* ingress) {
    for (const CertificateSettings& pair : from) {
      absl::Status status = CheckReadable(pair.cert, "a certificate");
      if (status.ok()) status = CheckSecret(pair.key, "a private key");
      if (!status.ok()) return status;
      ingress->certificates.push_back({pair.cert.text, pair.key.text});
    }
    return absl::OkStatus();
  }

  absl::Status ResolveListeners(const std::vector<Given>& from, bool implicit_tls,
                                RouteConfig* ingress) {
    for (const Given& text : from) {
      absl::StatusOr<Endpoint> endpoint = ParseEndpoint(text.text);
      if (!endpoint.ok()) return Refuse(text, std::string(endpoint.status().message()));
      // A client without an address is nobody whom the mail server could be told of.
      if (endpoint->address.any.sa_family == AF_UNIX && !ingress->egress.has_value()) {
        return RefuseQuoted(text, "is a unix socket; clients come over TCP, write 0.0.0.0:25");
      }
      ingress->listeners.push_back({*std::move(endpoint), implicit_tls});
      listener_texts_.push_back(&text);
    }
    return absl::OkStatus();
  }

  absl::Status ResolveIngress() {
    if (settings_.ingress.empty() && settings_.egress.empty()) {
      return absl::InvalidArgumentError(
          "nothing to listen on; give --listen and --upstream, or a --config file with [[ingress]] "
          "and [[upstream]]");
    }
    const absl::Status defaults = policies_.CheckDefaults();
    if (!defaults.ok()) return defaults;
    std::set<std::string_view> names;
    std::set<std::size_t> used;
    for (const IngressSettings& from : settings_.ingress) {
      if (!names.insert(from.name.text).second) {
        return RefuseQuoted(from.name, "names two ingress routes; give each its own name");
      }
      RouteConfig ingress;
      ingress.name = from.name.text;
      absl::Status status = ResolveListeners(from.listen, false, &ingress);
      if (status.ok()) status = ResolveListeners(from.listen_tls, true, &ingress);
      if (status.ok()) status = policies_.ResolveRoute(from, &ingress);
      if (status.ok()) {
        status = ResolveCertificates(
            from.certificates.empty() ? settings_.certificates : from.certificates, &ingress);
      }
      if (status.ok()) status = FindUpstream(from, &ingress.upstream);
      if (status.ok()) status = ResolveLimits(from.limits, &ingress);
      if (status.ok()) status = CheckRoute(from, ingress);
      if (!status.ok()) return status;
      used.insert(ingress.upstream);
      config_.routes.push_back(std::move(ingress));
    }
    for (std::size_t i = 0; i < config_.upstreams.size(); ++i) {
      if (!used.contains(i)) {
        Warn(absl::StrCat("upstream \"", config_.upstreams[i].name, "\" is used by no route"));
      }
    }
    return absl::OkStatus();
  }

  // Each has an upstream of its own, with its own name.
  absl::Status ResolveEgress() {
    for (const EgressSettings& from : settings_.egress) {
      const auto is_taken = [&from](const auto& other) { return other.name == from.name.text; };
      if (std::any_of(config_.routes.begin(), config_.routes.end(), is_taken) ||
          std::any_of(config_.upstreams.begin(), config_.upstreams.end(), is_taken)) {
        return RefuseQuoted(from.name,
                            "is the name of another route or upstream; give each its own name");
      }
      RouteConfig route;
      route.name = from.name.text;
      route.upstream = config_.upstreams.size();
      route.policy.tls = TlsPolicy::kNone;
      route.auth = AuthPolicy::kAsBackend;
      route.partners = false;
      route.egress.emplace();
      UpstreamConfig upstream;
      upstream.name = from.name.text;
      upstream.identity = BackendIdentity::kNone;
      upstream.is_partner = true;
      absl::Status status = ResolveListeners(from.listen, false, &route);
      if (status.ok()) status = CheckEgressListeners(from, route);
      if (status.ok()) status = ResolvePartnerServers(from, &upstream);
      if (status.ok()) {
        status = policies_.ResolveEgress(from, &route.egress->policy, &route.policy.mode);
      }
      if (status.ok()) status = CheckPartnerNames(from, route.egress->policy.tls);
      if (status.ok()) status = ResolveEgressTls(from, &*route.egress);
      if (status.ok()) status = ResolveLimits(from.limits, &route);
      if (!status.ok()) return status;
      WarnOfEgress(route, upstream);
      config_.upstreams.push_back(std::move(upstream));
      config_.routes.push_back(std::move(route));
    }
    return absl::OkStatus();
  }

  // Who reaches them can send mail through them.
  absl::Status CheckEgressListeners(const EgressSettings& from, const RouteConfig& route) {
    if (route.listeners.empty()) {
      return RefuseQuoted(from.name, "listens nowhere; add listen = [\"127.0.0.1:10026\"]");
    }
    bool allow_networks = false;
    const absl::Status status = ReadBoolean(from.allow_networks, &allow_networks);
    if (!status.ok()) return status;
    for (std::size_t i = 0; i < route.listeners.size(); ++i) {
      if (IsLocal(route.listeners[i].endpoint)) continue;
      if (!allow_networks) {
        return RefuseQuoted(from.listen[i],
                            "can be reached from outside, and everyone who does can send mail "
                            "through it; write 127.0.0.1:10026, or allow_networks = true where "
                            "something else keeps strangers away");
      }
      Warn(absl::StrCat("egress route \"", route.name, "\": everyone who reaches ",
                        route.listeners[i].endpoint.text,
                        " can send mail through it (allow_networks = true)"));
    }
    return absl::OkStatus();
  }

  absl::Status ResolvePartnerServers(const EgressSettings& from, UpstreamConfig* upstream) {
    if (from.upstream.empty()) {
      return RefuseQuoted(from.name, "has no upstream; add upstream = [\"mx.partner.example:25\"]");
    }
    return ResolveAddresses(from.name, from.upstream, upstream);
  }

  // A path is no name that a certificate could have.
  static absl::Status CheckPartnerNames(const EgressSettings& from, EgressTls tls) {
    constexpr std::string_view kUnix = "unix:";
    for (const Given& server : from.upstream) {
      if (tls == EgressTls::kVerify && server.text.starts_with(kUnix)) {
        return RefuseQuoted(server,
                            "has no name that tls = \"verify\" could look for; write tls = "
                            "\"secure\" and match = [\"mx.partner.example\"]");
      }
    }
    return absl::OkStatus();
  }

  // What no mail would leave by, as far as one can tell.
  void WarnOfEgress(const RouteConfig& route, const UpstreamConfig& upstream) {
    constexpr std::uint16_t kSmtp = 25;
    constexpr std::uint16_t kSubmissions = 465;
    const EgressConfig& egress = *route.egress;
    const std::string who = absl::StrCat("egress route \"", route.name, "\": ");
    for (const UpstreamTarget& target : upstream.targets) {
      const std::uint16_t port =
          target.host.empty() ? PortOf(target.endpoint.address) : ntohs(target.port);
      if (port == kSubmissions && !egress.implicit_tls) {
        Warn(absl::StrCat(who, "on port 465 a server begins with TLS (", target.endpoint.text,
                          "), and ringpost waits for its greeting; write implicit_tls = true"));
      } else if (port == kSmtp && egress.implicit_tls) {
        Warn(absl::StrCat(who, "on port 25 a server begins with its greeting (",
                          target.endpoint.text, "), and not with TLS; leave implicit_tls out"));
      }
    }
    if (egress.policy.trust == kNoTrust) return;
    const TrustConfig& trust = config_.trusts[egress.policy.trust];
    if (trust.revocation == Revocation::kHard && trust.crl.empty()) {
      Warn(absl::StrCat(who,
                        "revocation = \"hard\" without a crl refuses every server that staples no "
                        "OCSP response, or whose certificate an intermediate CA has signed, as "
                        "most are; add the crl of the CA above it"));
    }
  }

  absl::Status ResolveEgressTls(const EgressSettings& from, EgressConfig* egress) {
    absl::Status status = ReadBoolean(from.implicit_tls, &egress->implicit_tls);
    status.Update(ReadBoolean(from.hard_bounce, &egress->hard_bounce));
    if (!status.ok()) return status;
    const bool none = egress->policy.tls == EgressTls::kNone;
    if (none && egress->implicit_tls) {
      return RefuseQuoted(*from.implicit_tls, "begins with TLS, and tls is none; leave one out");
    }
    if (from.hostname.has_value()) {
      status = CheckHostname(*from.hostname);
      if (!status.ok()) return status;
      egress->ehlo_name = from.hostname->text;
    }
    if (from.client_cert.has_value() != from.client_key.has_value()) {
      const bool cert = from.client_cert.has_value();
      return RefuseQuoted(cert ? *from.client_cert : *from.client_key,
                          cert ? "has no key; add client_key = \"privkey.pem\""
                               : "has no certificate; add client_cert = \"fullchain.pem\"");
    }
    if (!from.client_cert.has_value()) return absl::OkStatus();
    if (none) {
      return RefuseQuoted(*from.client_cert,
                          "is shown in TLS only, and tls is none; leave one out");
    }
    status = CheckReadable(*from.client_cert, "a certificate");
    if (status.ok()) status = CheckSecret(*from.client_key, "a private key");
    egress->client_certificate = {.cert = from.client_cert->text, .key = from.client_key->text};
    return status;
  }

  absl::Status FindUpstream(const IngressSettings& from, std::size_t* index) const {
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < config_.upstreams.size(); ++i) {
      if (config_.upstreams[i].name == from.upstream.text) {
        *index = i;
        return absl::OkStatus();
      }
      names.push_back(config_.upstreams[i].name);
    }
    return RefuseQuoted(from.upstream, absl::StrCat("is the name of no [[upstream]]",
                                                    Suggestion(from.upstream.text, names)));
  }

  absl::Status CheckRoute(const IngressSettings& from, const RouteConfig& ingress) {
    if (ingress.listeners.empty()) {
      return RefuseQuoted(from.name, "listens nowhere; add listen = [\"0.0.0.0:25\"]");
    }
    WarnOfAuth(ingress);
    if (!ingress.certificates.empty()) return absl::OkStatus();
    // Neither can work without one, and clear text in its place is what nobody asked for.
    constexpr std::string_view kRemedy = "needs a certificate; give cert and key";
    if (!from.listen_tls.empty()) {
      return RefuseQuoted(from.listen_tls.front(),
                          absl::StrCat("is an implicit-TLS listener and ", View(kRemedy)));
    }
    if (ingress.policy.tls >= TlsPolicy::kEncrypt) {
      return RefuseQuoted(*from.tls, absl::StrCat("as the TLS policy ", View(kRemedy)));
    }
    Warn(absl::StrCat("route \"", ingress.name,
                      "\" has no certificate: STARTTLS is not offered and all mail to it travels "
                      "in clear",
                      ingress.auth == AuthPolicy::kTls
                          ? "; nor is AUTH, which waits for TLS (auth = \"tls\")"
                          : ""));
    return absl::OkStatus();
  }

  void WarnOfAuth(const RouteConfig& ingress) {
    const bool in_clear = std::any_of(ingress.listeners.begin(), ingress.listeners.end(),
                                      [](const auto& listener) { return !listener.implicit_tls; });
    if (ingress.auth == AuthPolicy::kTls || !in_clear) return;
    const bool enforced =
        ingress.policy.tls >= TlsPolicy::kEncrypt && ingress.policy.mode == PolicyMode::kEnforce;
    Warn(absl::StrCat("route \"", ingress.name, "\": auth = \"as_backend\" ",
                      enforced ? absl::StrCat("has no effect where tls is ",
                                              View(TlsPolicyName(ingress.policy.tls)),
                                              ": AUTH is not offered before TLS")
                               : "passes AUTH on in clear: passwords may travel unencrypted"));
  }

  // What the route does not set for itself is the process's.
  absl::Status ResolveLimits(const std::map<std::string, Given, std::less<>>& limits,
                             RouteConfig* ingress) {
    ingress->handshake_timeout = config_.handshake_timeout;
    ingress->command_timeout = config_.command_timeout;
    ingress->data_timeout = config_.data_timeout;
    for (const auto& [name, given] : limits) {
      const std::string subject = absl::StrCat("route \"", ingress->name, "\": ", name);
      absl::Status status;
      if (name == "sessions_max") {
        status = ReadCount(given, 1, kSessionsMaxMax, &ingress->sessions_max);
      } else if (name == "handshake_timeout") {
        status = ReadDuration(given, kTimeoutMin, kTimeoutMax, &ingress->handshake_timeout);
      } else if (name == "command_timeout") {
        status = ReadDuration(given, kTimeoutMin, kTimeoutMax, &ingress->command_timeout);
        // Of the process's own value the process is warned.
        if (status.ok() && ingress->command_timeout != config_.command_timeout) {
          WarnIfBelow(subject, ingress->command_timeout, kCommandTimeoutAsked, "4.5.3.2.7");
        }
      } else {
        status = ReadDuration(given, kTimeoutMin, kTimeoutMax, &ingress->data_timeout);
        if (status.ok() && ingress->data_timeout != config_.data_timeout) {
          WarnIfBelow(subject, ingress->data_timeout, kDataTimeoutAsked, "4.5.3.2.5");
        }
      }
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status CheckRouteLimits() {
    for (std::size_t i = 0; i < config_.routes.size(); ++i) {
      if (config_.routes[i].sessions_max <= config_.sessions_max) continue;
      const std::size_t ingress = settings_.ingress.size();
      const auto& limits =
          i < ingress ? settings_.ingress[i].limits : settings_.egress[i - ingress].limits;
      return RefuseQuoted(
          limits.find("sessions_max")->second,
          absl::StrCat("sessions are more than the whole process takes (", config_.sessions_max,
                       "); ask for fewer, or raise the file's "
                       "sessions_max"));
    }
    return absl::OkStatus();
  }

  absl::Status ResolvePartners() {
    absl::Status status = policies_.ResolvePartners();
    status.Update(policies_.ResolveOwnDomains());
    if (status.ok()) policies_.Finish();
    return status;
  }

  absl::Status ResolvePolicyService() {
    if (const Given* const given = Find("policy_summary_interval"); given != nullptr) {
      const absl::Status status =
          ReadDuration(*given, 0, kSummaryIntervalMax, &config_.policy_summary_interval);
      if (!status.ok()) return status;
      if (config_.policy_summary_interval > 0 &&
          config_.policy_summary_interval < kSummaryIntervalMin) {
        return RefuseQuoted(*given,
                            "is less than 1s; write for example 24h, or 0 for no summaries");
      }
    }
    const Given* const given = Find("policy_service");
    if (given == nullptr || given->text.empty()) return absl::OkStatus();
    absl::StatusOr<Endpoint> endpoint = ParseEndpoint(given->text);
    if (!endpoint.ok()) return Refuse(*given, std::string(endpoint.status().message()));
    if (!IsLocal(*endpoint)) {
      return RefuseQuoted(*given,
                          "can be reached from outside, and tells everyone who asks about every "
                          "session; write 127.0.0.1:10040, [::1]:10040 or unix:/path");
    }
    for (const UpstreamConfig& upstream : config_.upstreams) {
      for (const Endpoint& address : upstream.addresses) {
        if (!SameEndpoint(address, *endpoint)) continue;
        return RefuseQuoted(*given, absl::StrCat("is also an address of upstream \"", upstream.name,
                                                 "\"; give the policy service its own"));
      }
      if (upstream.identity == BackendIdentity::kNone && !upstream.is_partner) {
        Warn(absl::StrCat("upstream \"", upstream.name,
                          "\" is not told who the client is (identity none), so that the policy "
                          "service cannot find its sessions"));
      }
    }
    config_.policy_service = *std::move(endpoint);
    return absl::OkStatus();
  }

  absl::Status ResolveNameServers() {
    for (const Given& given : settings_.resolver) {
      absl::StatusOr<Endpoint> server = ParseNameServer(given.text);
      if (!server.ok()) return Refuse(given, std::string(server.status().message()));
      config_.resolver.push_back(*std::move(server));
    }
    return absl::OkStatus();
  }

  absl::Status CheckListeners() {
    std::vector<const Endpoint*> endpoints;
    std::size_t of_ingress = 0;
    for (const RouteConfig& route : config_.routes) {
      for (const ListenerConfig& listener : route.listeners) {
        endpoints.push_back(&listener.endpoint);
      }
      if (!route.egress.has_value()) of_ingress = endpoints.size();
    }
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (SameEndpoint(*endpoints[i], *endpoints[j])) {
          return RefuseQuoted(*listener_texts_[i],
                              absl::StrCat("is already listened on; the first time is ",
                                           listener_texts_[j]->where));
        }
      }
    }
    for (std::size_t i = 0; config_.policy_service.has_value() && i < endpoints.size(); ++i) {
      if (!ReachesListener(*config_.policy_service, *endpoints[i])) continue;
      return RefuseQuoted(
          *Find("policy_service"),
          absl::StrCat("is already listened on, by the route of ", listener_texts_[i]->where));
    }
    for (const UpstreamConfig& upstream : config_.upstreams) {
      for (const Endpoint& address : upstream.addresses) {
        // Mail that leaves may come in again, by a route of ingress.
        for (std::size_t i = upstream.is_partner ? of_ingress : 0; i < endpoints.size(); ++i) {
          if (!ReachesListener(address, *endpoints[i])) continue;
          return RefuseQuoted(*listener_texts_[i],
                              absl::StrCat("is where upstream ", address.text,
                                           " leads: ringpost would connect to itself"));
        }
      }
    }
    return absl::OkStatus();
  }

  absl::Status ResolveShards() {
    const auto cpu_count = static_cast<std::uint32_t>(machine_.cpus.size());
    std::uint32_t shards = 0;
    const absl::Status status = TuneCount("shards", 1, kShardsMax, &shards);
    if (!status.ok()) return status;
    if (shards == 0) shards = std::clamp<std::uint32_t>(cpu_count, 1, kShardsMax);
    config_.shards = static_cast<int>(shards);
    if (shards <= cpu_count) {
      config_.cpus.assign(machine_.cpus.begin(), machine_.cpus.begin() + config_.shards);
    } else if (cpu_count > 0) {
      Warn(absl::StrCat("shards is ", shards, " but only ", cpu_count,
                        " CPUs may be used: the threads are not pinned and get in each other's "
                        "way"));
    }
    return absl::OkStatus();
  }

  absl::Status ResolveSessions() {
    std::uint64_t listeners = 0;
    std::uint64_t paths = 0;  // of which the main thread has the socket as well
    for (const RouteConfig& route : config_.routes) {
      listeners += route.listeners.size();
      for (const ListenerConfig& listener : route.listeners) {
        paths += listener.endpoint.address.any.sa_family == AF_UNIX ? 1 : 0;
      }
    }
    const std::uint64_t reserved =
        std::max(kDescriptorsReserved, 16 + paths +
                                           static_cast<std::uint64_t>(config_.shards) *
                                               (listeners + kDescriptorsPerShard));
    const std::uint64_t limit = machine_.descriptors_max;
    const std::uint64_t fit = limit > reserved ? (limit - reserved) / 2 : 0;
    if (fit == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("the limit of open files is ", limit,
                       ", which leaves no room for sessions; raise it "
                       "(LimitNOFILE= in the systemd unit, or ulimit -n)"));
    }

    std::uint32_t asked = 0;
    const absl::Status status = TuneCount("sessions_max", 1, kSessionsMaxMax, &asked);
    if (!status.ok()) return status;
    if (asked > fit) {
      return RefuseQuoted(
          *Find("sessions_max"),
          absl::StrCat("sessions need ", 2 * std::uint64_t{asked} + reserved,
                       " descriptors, but the limit of open files is ", limit,
                       "; raise it (LimitNOFILE= in the systemd unit, or ulimit -n) or ask for ",
                       fit, " sessions"));
    }
    if (asked == 0) {
      asked = static_cast<std::uint32_t>(std::min<std::uint64_t>(fit, kSessionsMaxAutomatic));
    }
    if (asked == fit && asked < kSessionsFew) {
      Warn(absl::StrCat("the limit of open files (", limit, ") allows only ", asked,
                        " sessions; raise it with LimitNOFILE= in the systemd unit or ulimit -n"));
    }
    config_.sessions_max = asked;
    return absl::OkStatus();
  }

  // 0 is no limit, so that not given must differ from it.
  absl::Status ResolveClientLimits() {
    config_.sessions_per_client_max =
        std::max(config_.sessions_max / kSessionsPerClientShare, kSessionsPerClientMin);
    absl::Status status = TuneCount("sessions_per_client_max", 1, kSessionsMaxMax,
                                    &config_.sessions_per_client_max, kNoLimit);
    status.Update(TuneCount("handshakes_per_client_rate", 1, kHandshakeRateMax,
                            &config_.handshakes_per_client_rate, kNoLimit));
    return status;
  }

  absl::Status ResolveBuffers() {
    const auto shards = static_cast<std::uint32_t>(config_.shards);
    const std::uint32_t sessions = (config_.sessions_max + shards - 1) / shards;  // of one shard
    absl::Status status =
        TuneCount("buffers_large", kBuffersMin, std::uint32_t{BufferPool::kLargeCountMax},
                  &config_.buffers_large);
    status.Update(
        TuneCount("buffers_small", kBuffersMin, kBuffersSmallMax, &config_.buffers_small));
    // Large blocks are held while octets move, which few sessions do at once; a small one may be
    // held by every session that stopped in the middle of a line, and by its backend.
    if (config_.buffers_large == 0) config_.buffers_large = std::clamp(sessions / 8, 256U, 4096U);
    if (config_.buffers_small == 0) config_.buffers_small = std::clamp(sessions * 2, 1024U, 65536U);
    return status;
  }

  const Settings& settings_;
  const Machine& machine_;
  Config config_;
  PolicyResolver policies_;
  std::vector<const Given*> listener_texts_;  // in the order of the listeners
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Config>> ResolveConfig(const Settings& settings,
                                                            const Machine& machine) {
  absl::StatusOr<std::shared_ptr<const Config>> config = Resolver(settings, machine).Run();
  if (!config.ok()) return OnOneLine(config.status());
  return config;
}

}  // namespace ringpost
