// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/runtime.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ringpost {
namespace {

// No certificate chain or key comes near this.
constexpr std::size_t kFileBytesMax = std::size_t{1} << 20;

// Without a stream, whose buffers would keep a copy of the key.
absl::StatusOr<Secret> ReadFile(const std::string& path) {
  const auto error = [&path] {
    return absl::NotFoundError(absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
  };
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return error();
  }
  std::string contents(kFileBytesMax, '\0');
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
  contents.resize(length);
  return Secret(std::move(contents));
}

RelayOptions MakeRelayOptions(const Config& config, const IngressConfig& route,
                              const ListenerConfig& listener) {
  RelayOptions options;
  options.hostname = config.hostname;
  options.tls_policy = route.tls_policy;
  options.starttls_offered =
      !listener.implicit_tls && !route.certificates.empty() && route.tls_policy != TlsPolicy::kNone;
  options.bare_newline = config.bare_newline;
  options.xclient = config.upstreams[route.upstream].identity == BackendIdentity::kXclient;
  return options;
}

}  // namespace

absl::StatusOr<LoadedCertificates> LoadCertificates(const Config& config) {
  LoadedCertificates loaded;
  for (const IngressConfig& route : config.ingress) {
    std::vector<TlsCertificatePem>& certificates = loaded.by_route.emplace_back();
    for (const CertificateFiles& files : route.certificates) {
      absl::StatusOr<Secret> cert = ReadFile(files.cert);
      if (!cert.ok()) {
        return cert.status();
      }
      absl::StatusOr<Secret> key = ReadFile(files.key);
      if (!key.ok()) {
        return key.status();
      }
      certificates.push_back({.cert_path = files.cert,
                              .key_path = files.key,
                              .cert_pem = std::string(cert->view()),
                              .key_pem = *std::move(key)});
    }
  }
  return loaded;
}

absl::StatusOr<std::unique_ptr<TicketKeys>> LoadTicketKeys(const Config& config, std::int64_t now) {
  if (config.ticket_key_file.empty()) {
    return TicketKeys::Random(now);
  }
  const absl::StatusOr<Secret> secret = ReadFile(config.ticket_key_file);
  if (!secret.ok()) {
    return secret.status();
  }
  return TicketKeys::FromSecret(secret->view(), config.ticket_key_file, now);
}

absl::StatusOr<std::shared_ptr<const Runtime>> MakeRuntime(std::shared_ptr<const Config> config,
                                                           const LoadedCertificates& certificates,
                                                           TicketKeys* ticket_keys,
                                                           std::int64_t now) {
  auto runtime = std::make_shared<Runtime>();
  for (std::size_t index = 0; index < config->ingress.size(); ++index) {
    const IngressConfig& route = config->ingress[index];
    std::shared_ptr<const TlsContextSet> contexts;
    if (!route.certificates.empty()) {
      absl::StatusOr<std::shared_ptr<const TlsContextSet>> loaded =
          TlsContextSet::Load({.certificates = certificates.by_route[index],
                               .route = route.name,
                               .ticket_keys = ticket_keys},
                              now);
      if (!loaded.ok()) {
        return loaded.status();
      }
      contexts = *std::move(loaded);
    }
    for (const ListenerConfig& listener : route.listeners) {
      runtime->listeners.push_back({.listener = &listener,
                                    .route = &route,
                                    .upstream = &config->upstreams[route.upstream],
                                    .contexts = contexts,
                                    .relay = MakeRelayOptions(*config, route, listener)});
    }
  }
  runtime->config = std::move(config);
  return runtime;
}

}  // namespace ringpost
