// SPDX-License-Identifier: GPL-3.0-or-later
#include "reload_needs.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "ringpost/io/socket.h"

namespace ringpost {
namespace {

// A folder stands for the files in it.
void Add(const std::string& path, std::vector<std::string>* files) {
  namespace fs = std::filesystem;
  if (path.empty() || std::find(files->begin(), files->end(), path) != files->end()) {
    return;
  }
  files->push_back(path);
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    return;
  }
  for (fs::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    files->push_back(entry->path().string());
  }
}

}  // namespace

ReloadNeeds NeedsOfReload(const Config& config, const std::string& config_path) {
  ReloadNeeds needs;
  std::vector<std::string>& files = needs.files;
  Add(config_path, &files);
  for (const RouteConfig& route : config.routes) {
    for (const CertificateFiles& certificate : route.certificates) {
      Add(certificate.cert, &files);
      Add(certificate.key, &files);
    }
    if (route.egress.has_value() && route.egress->client_certificate.has_value()) {
      Add(route.egress->client_certificate->cert, &files);
      Add(route.egress->client_certificate->key, &files);
    }
    for (const ListenerConfig& listener : route.listeners) {
      const std::uint16_t port = PortOf(listener.endpoint.address);
      needs.low_ports = needs.low_ports || (port != 0 && port < FirstUnprivilegedPort());
    }
  }
  for (const TrustConfig& trust : config.trusts) {
    Add(trust.client_ca, &files);
    Add(trust.crl, &files);
  }
  Add(config.ticket_key_file, &files);
  return needs;
}

}  // namespace ringpost
