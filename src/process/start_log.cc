// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/start_log.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "ringpost/config/resolve.h"

namespace ringpost {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::string EgressSentence(const ListenerRuntime& listener) {
  const EgressConfig& egress = *listener.route->egress;
  // As they were given: of a name the log says itself which addresses it has.
  const std::string servers = absl::StrJoin(
      listener.next_hop.upstream().targets, " or ",
      [](std::string* out, const UpstreamTarget& target) { out->append(target.endpoint.text); });
  return absl::StrCat("egress \"", listener.route->name, "\": ", listener.listener->endpoint.text,
                      " -> ", servers, ", ", View(EgressTlsName(egress.policy.tls)),
                      egress.implicit_tls ? ", implicit TLS" : "",
                      egress.client_certificate.has_value() ? ", has a certificate of its own" : "",
                      egress.hard_bounce ? ", hard_bounce" : "",
                      listener.route->policy.mode == PolicyMode::kReport ? ", report only" : "");
}

std::string RouteSentence(const ListenerRuntime& listener) {
  if (listener.route->egress.has_value()) {
    return EgressSentence(listener);
  }
  const RoutePolicy& policy = listener.route->policy;
  const UpstreamConfig& upstream = listener.next_hop.upstream();
  return absl::StrCat(
      listener.route->name, ": ", listener.listener->endpoint.text, " (",
      listener.listener->implicit_tls   ? "implicit TLS"
      : listener.relay.starttls_offered ? "STARTTLS"
                                        : "clear text",
      ", ", View(TlsPolicyName(policy.tls)),
      policy.mode == PolicyMode::kReport ? ", report only" : "",
      listener.route->ask_certificate ? ", asks for certificates" : "", ") -> ", upstream.name, " ",
      absl::StrJoin(upstream.addresses, ", ",
                    [](std::string* out, const Endpoint& endpoint) { out->append(endpoint.text); }),
      " (", View(BackendIdentityName(upstream.identity)), ")");
}

// Whose certificates they sign: those of clients, of partners' servers, or of both.
std::string TrustSentence(const Config& config, std::size_t index) {
  const bool servers =
      std::any_of(config.routes.begin(), config.routes.end(), [index](const RouteConfig& route) {
        return route.egress.has_value() && route.egress->policy.trust == index;
      });
  const bool clients =
      std::any_of(
          config.routes.begin(), config.routes.end(),
          [index](const RouteConfig& route) { return route.policy.certificate.trust == index; }) ||
      std::any_of(config.partners.begin(), config.partners.end(),
                  [index](const Partner& partner) { return partner.certificate.trust == index; });
  const TrustConfig& trust = config.trusts[index];
  return absl::StrCat(servers && clients ? "client and server"
                      : servers          ? "server"
                                         : "client",
                      " certificates signed by ", trust.client_ca, ", revocation ",
                      View(RevocationName(trust.revocation)),
                      trust.crl.empty() ? "" : absl::StrCat(" by ", trust.crl));
}

std::string CertificateSentence(const TlsCertificateSummary& summary) {
  return absl::StrCat(
      summary.cert_path, ": ", summary.key, " for ", absl::StrJoin(summary.names, ", "),
      ", issued by ", summary.issuer, ", expires ",
      absl::FormatTime("%Y-%m-%d", absl::FromUnixSeconds(summary.not_after), absl::UTCTimeZone()));
}

// `hostname` is the only name that is known of a listener. It counts where somebody has chosen it:
// a machine's own name need not be the one that clients look for.
std::vector<std::string> HostnameWarning(const Runtime& runtime) {
  const std::string& hostname = runtime.config->hostname;
  if (hostname == ThisMachine().hostname || hostname.find('[') != std::string::npos) {
    return {};
  }
  const std::string wanted = absl::AsciiStrToLower(hostname);
  std::vector<std::string> names;
  for (const ListenerRuntime& listener : runtime.listeners) {
    if (listener.contexts == nullptr) {
      continue;
    }
    for (const TlsCertificateSummary& summary : listener.contexts->summaries()) {
      names.insert(names.end(), summary.names.begin(), summary.names.end());
    }
  }
  const bool any = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return TlsNameMatches(name, wanted);
  });
  if (names.empty() || any) {
    return {};
  }
  constexpr std::size_t kNamesMax = 8;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  const bool more = names.size() > kNamesMax;
  names.resize(std::min(names.size(), kNamesMax));
  return {absl::StrCat("no certificate is for ", hostname, " (hostname), but for ",
                       absl::StrJoin(names, ", "), more ? ", ..." : "",
                       "; clients that verify look for the name by which they know this server, "
                       "such as that of its MX record")};
}

}  // namespace

std::string LogFileSentence(const std::string& path, int error) {
  return absl::StrCat("cannot open the log file ", path, ": ", std::strerror(-error));
}

std::vector<StartLine> StartLines(const Runtime& runtime,
                                  const std::vector<std::string>& file_warnings) {
  const Config& config = *runtime.config;
  std::vector<StartLine> lines;
  const auto say = [&lines](std::string_view component, std::string sentence) {
    lines.push_back({LogLevel::kInfo, component, std::move(sentence)});
  };
  const TlsContextSet* described = nullptr;
  for (const ListenerRuntime& listener : runtime.listeners) {
    say("route", RouteSentence(listener));
    if (listener.contexts == nullptr || listener.contexts.get() == described) {
      continue;
    }
    described = listener.contexts.get();
    for (const TlsCertificateSummary& summary : described->summaries()) {
      say("certificate", CertificateSentence(summary));
    }
  }
  if (!config.partners.empty()) {
    say("partners", absl::StrCat(config.partners.size(), " partner(s)"));
  }
  for (std::size_t index = 0; index < config.trusts.size(); ++index) {
    say("trust", TrustSentence(config, index));
  }
  for (StartWarning& warning : StartWarnings(runtime, file_warnings)) {
    lines.push_back({LogLevel::kWarning, warning.component, std::move(warning.sentence)});
  }
  return lines;
}

void LogLines(Logger& logger, const std::vector<StartLine>& lines,
              const std::vector<StartLine>& said) {
  const std::set<StartLine> known(said.begin(), said.end());
  for (const StartLine& line : lines) {
    if (!known.contains(line)) {
      logger.Event(line.level, line.component, line.sentence);
    }
  }
}

std::vector<StartWarning> StartWarnings(const Runtime& runtime,
                                        const std::vector<std::string>& file_warnings) {
  std::vector<StartWarning> warnings;
  // Routes may share a certificate, and what is to be said of it.
  const auto add = [&warnings](std::string_view component, const std::vector<std::string>& more) {
    for (const std::string& sentence : more) {
      const bool known =
          std::any_of(warnings.begin(), warnings.end(),
                      [&](const StartWarning& warning) { return warning.sentence == sentence; });
      if (!known) {
        warnings.push_back({component, sentence});
      }
    }
  };
  for (const ListenerRuntime& listener : runtime.listeners) {
    if (listener.contexts != nullptr) {
      add("certificate", listener.contexts->warnings());
    }
  }
  for (const std::shared_ptr<const PartnerRoute>& partner : runtime.partner_routes) {
    if (partner != nullptr) {
      add("certificate", partner->warnings);
    }
  }
  for (const std::shared_ptr<TrustStore>& trust : runtime.trusts) {
    add("trust", trust->warnings());
  }
  add("trust", file_warnings);
  add("certificate", HostnameWarning(runtime));
  add("config", runtime.config->warnings);
  return warnings;
}

}  // namespace ringpost
