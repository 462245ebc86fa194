// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/runtime.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "ringpost/x509/pem.h"
#include "ringpost/x509/x509.h"

namespace ringpost {
namespace {

// No certificate chain or key comes near the first, no bundle of CAs or revocation list the second.
constexpr std::size_t kKeyFileBytesMax = std::size_t{1} << 20;
constexpr std::size_t kTrustFileBytesMax = std::size_t{64} << 20;

// Without a stream, whose buffers would keep a copy of the key.
absl::StatusOr<Secret> ReadFile(const std::string& path, std::size_t octets_max) {
  const auto error = [&path] {
    return absl::NotFoundError(absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
  };
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return error();
  }
  struct stat status_of_file{};
  const bool sized = fstat(fd, &status_of_file) == 0 && S_ISREG(status_of_file.st_mode);
  const std::size_t expected =
      sized ? static_cast<std::size_t>(status_of_file.st_size) + 1 : kKeyFileBytesMax;
  std::string contents(std::min(expected, octets_max + 1), '\0');
  std::size_t length = 0;
  ssize_t got = 0;
  while (length < contents.size() &&
         (got = read(fd, contents.data() + length, contents.size() - length)) > 0) {
    length += static_cast<std::size_t>(got);
  }
  const absl::Status status = got < 0 ? error() : absl::OkStatus();
  close(fd);
  if (!status.ok()) {
    return status;
  }
  if (length > octets_max) {
    return absl::InvalidArgumentError(absl::StrCat(path, " has more than ", octets_max >> 20,
                                                   " MiB; that is no certificate, key or list"));
  }
  contents.resize(length);
  return Secret(std::move(contents));
}

// A file, or all files of a folder in the order of their names, without those whose names begin
// with a dot.
absl::StatusOr<std::vector<NamedText>> ReadFiles(const std::string& path) {
  namespace fs = std::filesystem;
  std::vector<std::string> paths;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    for (fs::directory_iterator entry(path, error), end; !error && entry != end;
         entry.increment(error)) {
      if (entry->is_regular_file(error) && !entry->path().filename().string().starts_with('.')) {
        paths.push_back(entry->path().string());
      }
    }
    if (error) {
      return absl::NotFoundError(
          absl::StrCat("cannot read the folder ", path, ": ", error.message()));
    }
    std::sort(paths.begin(), paths.end());
  } else {
    paths.push_back(path);
  }
  std::vector<NamedText> files;
  for (std::string& name : paths) {
    const absl::StatusOr<Secret> text = ReadFile(name, kTrustFileBytesMax);
    if (!text.ok()) {
      return text.status();
    }
    files.push_back({.path = std::move(name), .text = std::string(text->view())});
  }
  return files;
}

absl::StatusOr<TrustOptions> LoadTrust(const TrustConfig& trust, std::int64_t now,
                                       std::vector<std::string>& warnings) {
  TrustOptions options;
  options.revocation = trust.revocation;
  absl::StatusOr<std::vector<NamedText>> ca_files = ReadFiles(trust.client_ca);
  if (!ca_files.ok()) {
    return ca_files.status();
  }
  options.ca_files = *std::move(ca_files);
  if (trust.crl.empty()) {
    return options;
  }
  const absl::StatusOr<std::vector<NamedText>> crl_files = ReadFiles(trust.crl);
  if (!crl_files.ok()) {
    return crl_files.status();
  }
  absl::StatusOr<LoadedCrls> crls = LoadCrls(*crl_files, now);
  if (!crls.ok()) {
    return crls.status();
  }
  options.crls = std::move(crls->crls);
  warnings.insert(warnings.end(), crls->warnings.begin(), crls->warnings.end());
  return options;
}

RelayOptions MakeRelayOptions(const Config& config, const RouteConfig& route,
                              const ListenerConfig& listener) {
  RelayOptions options;
  options.hostname = config.hostname;
  // Where a policy only reports, nothing may be refused for it.
  options.tls_policy =
      route.policy.mode == PolicyMode::kReport ? TlsPolicy::kMay : route.policy.tls;
  // A password in clear is not mail: report mode does not let it pass.
  options.auth = route.auth;
  options.starttls_offered =
      !listener.implicit_tls && !route.certificates.empty() && route.policy.tls != TlsPolicy::kNone;
  options.bare_newline = config.bare_newline;
  if (route.egress.has_value()) {
    // What our own mail server may do wrong is not worth an end to its session.
    constexpr int kOwnRefusedCommandsMax = 10'000;
    options.greets = true;
    options.hello_name = route.egress->ehlo_name;
    options.refused_commands_max = kOwnRefusedCommandsMax;
    options.starttls_offered = false;
    options.tls_policy = TlsPolicy::kNone;
    return options;
  }
  const UpstreamConfig& upstream = config.upstreams[route.upstream];
  options.xclient = upstream.identity == BackendIdentity::kXclient;
  options.proxy_header = upstream.sends_proxy_header();
  options.prove_with_noop = upstream.identity == BackendIdentity::kProxyV1;
  return options;
}

// Of the certificate that partners' servers are shown.
std::vector<std::string> DateWarnings(const TlsCertificatePem& certificate, std::int64_t now) {
  const PemBlocks blocks = ReadPemBlocks(certificate.cert_pem, {"CERTIFICATE"});
  const std::optional<X509View> leaf =
      blocks.der.empty() ? std::nullopt : ReadX509(blocks.der.front());
  if (!leaf) {
    return {};  // wolfSSL says why
  }
  const auto text = [](std::int64_t seconds) {
    return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixSeconds(seconds),
                            absl::UTCTimeZone());
  };
  if (now >= leaf->not_after) {
    return {absl::StrCat("the certificate ", certificate.cert_path, " expired on ",
                         text(leaf->not_after),
                         "; partners' servers that ask for it will refuse it")};
  }
  if (now < leaf->not_before) {
    return {absl::StrCat("the certificate ", certificate.cert_path, " is valid only from ",
                         text(leaf->not_before))};
  }
  return {};
}

// How the mail of this route leaves; null: it is one of ingress.
absl::StatusOr<std::shared_ptr<const PartnerRoute>> MakePartnerRoute(
    const RouteConfig& route, const std::vector<TlsCertificatePem>& certificates,
    const Runtime& runtime, std::int64_t now) {
  if (!route.egress.has_value()) {
    return nullptr;
  }
  auto made = std::make_shared<PartnerRoute>();
  made->config = *route.egress;
  made->mode = route.policy.mode;
  const ServerPolicy& policy = route.egress->policy;
  if (policy.trust != kNoTrust) {
    made->trust = runtime.trusts[policy.trust];
  }
  if (policy.tls == EgressTls::kNone) {
    return made;
  }
  TlsClientOptions options;
  options.groups = {"X25519MLKEM768", "X25519", "P-256", "P-384"};
  options.key_shares = 2;
  options.server_certificates = ServerCertificates::kTaken;
  options.resumption = TlsResumption::kOn;
  if (made->trust != nullptr && made->trust->revocation() != Revocation::kOff) {
    options.ocsp_stapling = OcspStapling::kOn;
  }
  if (!certificates.empty()) {
    made->warnings = DateWarnings(certificates.front(), now);
    options.cert_pem = certificates.front().cert_pem;
    options.key_pem = Secret(std::string(certificates.front().key_pem.view()));
  }
  absl::StatusOr<std::unique_ptr<TlsClientContext>> client = TlsClientContext::Create(options);
  if (!client.ok()) {
    return absl::Status(client.status().code(), absl::StrCat("egress route \"", route.name,
                                                             "\": ", client.status().message()));
  }
  made->client = *std::move(client);
  return made;
}

// What is there once trust, partners, counters and the contexts of each route are.
void Finish(Runtime& runtime, std::shared_ptr<const Config> config,
            const std::vector<std::shared_ptr<const TlsContextSet>>& contexts) {
  for (const UpstreamConfig& upstream : config->upstreams) {
    runtime.health.push_back(std::make_unique<UpstreamHealth>(
        upstream.addresses.size(),
        upstream.is_partner ? UpstreamHealth::Proofs::kNone : UpstreamHealth::Proofs::kProbes));
  }
  for (std::size_t index = 0; index < config->routes.size(); ++index) {
    const RouteConfig& route = config->routes[index];
    const bool partners = route.partners && !runtime.partners->empty();
    for (const ListenerConfig& listener : route.listeners) {
      runtime.listeners.push_back(
          {.listener = &listener,
           .route = &route,
           .next_hop =
               NextHop(&config->upstreams[route.upstream], runtime.health[route.upstream].get(),
                       runtime.partner_routes[index].get()),
           .contexts = contexts[index],
           .partners = partners ? runtime.partners.get() : nullptr,
           .route_subject = config->partners.size() + index,
           .unreadable_subject = config->partners.size() + config->routes.size() + index,
           .relay = MakeRelayOptions(*config, route, listener)});
    }
  }
  runtime.config = std::move(config);
}

}  // namespace

absl::StatusOr<LoadedFiles> LoadFiles(const Config& config, std::int64_t now) {
  LoadedFiles loaded;
  std::set<std::pair<std::string_view, std::string_view>> proven;
  for (const RouteConfig& route : config.routes) {
    std::vector<TlsCertificatePem>& certificates = loaded.certificates.emplace_back();
    std::vector<CertificateFiles> all = route.certificates;
    if (route.egress.has_value() && route.egress->client_certificate.has_value()) {
      all.push_back(*route.egress->client_certificate);
    }
    for (const CertificateFiles& files : all) {
      absl::StatusOr<Secret> cert = ReadFile(files.cert, kKeyFileBytesMax);
      if (!cert.ok()) {
        return cert.status();
      }
      absl::StatusOr<Secret> key = ReadFile(files.key, kKeyFileBytesMax);
      if (!key.ok()) {
        return key.status();
      }
      certificates.push_back({.cert_path = files.cert,
                              .key_path = files.key,
                              .cert_pem = std::string(cert->view()),
                              .key_pem = *std::move(key)});
      if (proven.emplace(files.cert, files.key).second) {
        if (absl::Status status = TlsContextSet::ProveKey(certificates.back()); !status.ok()) {
          return status;
        }
      }
    }
  }
  for (const TrustConfig& trust : config.trusts) {
    absl::StatusOr<TrustOptions> options = LoadTrust(trust, now, loaded.warnings);
    if (!options.ok()) {
      return options.status();
    }
    loaded.trusts.push_back(*std::move(options));
  }
  loaded.partners = std::make_shared<const PartnerTable>(config.partners, config.own_domains);
  return loaded;
}

absl::StatusOr<std::unique_ptr<TicketKeys>> LoadTicketKeys(const Config& config, std::int64_t now) {
  if (config.ticket_key_file.empty()) {
    return TicketKeys::Random(now);
  }
  const absl::StatusOr<Secret> secret = ReadFile(config.ticket_key_file, kKeyFileBytesMax);
  if (!secret.ok()) {
    return secret.status();
  }
  return TicketKeys::FromSecret(secret->view(), config.ticket_key_file, now);
}

absl::StatusOr<std::shared_ptr<const Runtime>> MakeRuntime(std::shared_ptr<const Config> config,
                                                           const LoadedFiles& files,
                                                           TicketKeys* ticket_keys,
                                                           std::int64_t now) {
  auto runtime = std::make_shared<Runtime>();
  for (const TrustOptions& options : files.trusts) {
    absl::StatusOr<std::unique_ptr<TrustStore>> trust = TrustStore::Load(options, now);
    if (!trust.ok()) {
      return trust.status();
    }
    runtime->trusts.push_back(*std::move(trust));
  }
  runtime->partners = files.partners;
  runtime->counters =
      std::make_shared<PolicyCounters>(config->partners.size() + 2 * config->routes.size());
  std::vector<std::shared_ptr<const TlsContextSet>> contexts(config->routes.size());
  for (std::size_t index = 0; index < config->routes.size(); ++index) {
    const RouteConfig& route = config->routes[index];
    absl::StatusOr<std::shared_ptr<const PartnerRoute>> partner =
        MakePartnerRoute(route, files.certificates[index], *runtime, now);
    if (!partner.ok()) {
      return partner.status();
    }
    runtime->partner_routes.push_back(*std::move(partner));
    if (route.certificates.empty()) {
      continue;
    }
    absl::StatusOr<std::shared_ptr<const TlsContextSet>> loaded =
        TlsContextSet::Load({.certificates = files.certificates[index],
                             .route = route.name,
                             .ticket_keys = ticket_keys,
                             .ask_certificate = route.ask_certificate},
                            now);
    if (!loaded.ok()) {
      return loaded.status();
    }
    contexts[index] = *std::move(loaded);
  }
  Finish(*runtime, std::move(config), contexts);
  return runtime;
}

std::shared_ptr<const Runtime> WithOtherAddresses(const Runtime& running,
                                                  std::shared_ptr<const Config> config) {
  auto runtime = std::make_shared<Runtime>();
  runtime->trusts = running.trusts;
  runtime->partners = running.partners;
  runtime->counters = running.counters;
  runtime->partner_routes = running.partner_routes;
  std::vector<std::shared_ptr<const TlsContextSet>> contexts(config->routes.size());
  for (const ListenerRuntime& listener : running.listeners) {
    const std::size_t route =
        static_cast<std::size_t>(listener.route - running.config->routes.data());
    contexts[route] = listener.contexts;
  }
  Finish(*runtime, std::move(config), contexts);
  return runtime;
}

}  // namespace ringpost
