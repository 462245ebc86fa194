// SPDX-License-Identifier: GPL-3.0-or-later
//
// The TOML file. The input is one. It is refused with one sentence, or it becomes a Config whose
// description becomes the same Config again.
#include "ringpost/config/config.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz.h"
#include "ringpost/config/address.h"
#include "ringpost/config/file.h"
#include "ringpost/config/resolve.h"

namespace ringpost {
namespace {

// With the files that a corpus names: cert.pem, key.pem, ca.pem, list.crl.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "ringpost-fuzz-XXXXXX").string();
    RINGPOST_CHECK(mkdtemp(name.data()) != nullptr);
    path_ = name;
    for (const char* file : {"cert.pem", "key.pem", "ca.pem", "list.crl"}) {
      const std::string path = path_ + "/" + file;
      std::ofstream(path) << "not judged by this layer";
      RINGPOST_CHECK(chmod(path.c_str(), 0600) == 0);
    }
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string file() const { return path_ + "/ringpost.toml"; }

 private:
  std::string path_;
};

void CheckSentence(const absl::Status& status) {
  RINGPOST_CHECK(!status.message().empty());
  for (const char c : status.message()) {
    RINGPOST_CHECK(static_cast<unsigned char>(c) >= 32 && c != 127);
  }
}

bool SameRule(const CertificateRule& a, const Config& a_config, const CertificateRule& b,
              const Config& b_config) {
  const bool same_trust = a.trust == kNoTrust || b.trust == kNoTrust
                              ? a.trust == b.trust
                              : a_config.trusts[a.trust] == b_config.trusts[b.trust];
  return same_trust && a.names == b.names && a.fingerprints == b.fingerprints &&
         a.accept_common_name == b.accept_common_name &&
         a.accept_server_auth_purpose == b.accept_server_auth_purpose;
}

bool SameReplies(const PolicyReplies& a, const PolicyReplies& b) {
  return a.tls == b.tls && a.certificate == b.certificate && a.network == b.network;
}

void SameIngress(const RouteConfig& a, const Config& a_config, const RouteConfig& b,
                 const Config& b_config) {
  RINGPOST_CHECK(a.name == b.name && a.upstream == b.upstream && a.partners == b.partners);
  RINGPOST_CHECK(a.policy.tls == b.policy.tls && a.policy.mode == b.policy.mode);
  RINGPOST_CHECK(SameRule(a.policy.certificate, a_config, b.policy.certificate, b_config));
  RINGPOST_CHECK(SameReplies(a.policy.replies, b.policy.replies));
  RINGPOST_CHECK(a.ask_certificate == b.ask_certificate && a.sessions_max == b.sessions_max);
  RINGPOST_CHECK(a.handshake_timeout == b.handshake_timeout);
  RINGPOST_CHECK(a.command_timeout == b.command_timeout && a.data_timeout == b.data_timeout);
  RINGPOST_CHECK(a.listeners.size() == b.listeners.size());
  // STARTTLS listeners are described before the others.
  for (const bool implicit_tls : {false, true}) {
    std::vector<std::string> texts[2];
    for (const ListenerConfig& listener : a.listeners) {
      if (listener.implicit_tls == implicit_tls) texts[0].push_back(listener.endpoint.text);
    }
    for (const ListenerConfig& listener : b.listeners) {
      if (listener.implicit_tls == implicit_tls) texts[1].push_back(listener.endpoint.text);
    }
    RINGPOST_CHECK(texts[0] == texts[1]);
  }
  RINGPOST_CHECK(a.certificates.size() == b.certificates.size());
  for (std::size_t i = 0; i < a.certificates.size(); ++i) {
    RINGPOST_CHECK(a.certificates[i].cert == b.certificates[i].cert);
    RINGPOST_CHECK(a.certificates[i].key == b.certificates[i].key);
  }
}

void SamePartner(const Partner& a, const Config& a_config, const Partner& b,
                 const Config& b_config) {
  RINGPOST_CHECK(a.name == b.name && a.sender_domains == b.sender_domains);
  RINGPOST_CHECK(a.networks == b.networks && a.tls == b.tls && a.mode == b.mode);
  RINGPOST_CHECK(SameRule(a.certificate, a_config, b.certificate, b_config));
  RINGPOST_CHECK(a.restrict_to_networks == b.restrict_to_networks);
  RINGPOST_CHECK(a.restrict_to_certificate == b.restrict_to_certificate);
  RINGPOST_CHECK(SameReplies(a.replies, b.replies));
}

void Same(const Config& a, const Config& b) {
  RINGPOST_CHECK(a.hostname == b.hostname && a.shards == b.shards && a.cpus == b.cpus);
  RINGPOST_CHECK(a.policy_service.has_value() == b.policy_service.has_value());
  RINGPOST_CHECK(!a.policy_service || a.policy_service->text == b.policy_service->text);
  RINGPOST_CHECK(a.policy_summary_interval == b.policy_summary_interval);
  RINGPOST_CHECK(a.bare_newline == b.bare_newline && a.starttls_backend == b.starttls_backend);
  RINGPOST_CHECK(a.handshake_timeout == b.handshake_timeout);
  RINGPOST_CHECK(a.command_timeout == b.command_timeout && a.data_timeout == b.data_timeout);
  RINGPOST_CHECK(a.drain_timeout == b.drain_timeout && a.connect_timeout == b.connect_timeout);
  RINGPOST_CHECK(a.sessions_max == b.sessions_max);
  RINGPOST_CHECK(a.sessions_per_client_max == b.sessions_per_client_max);
  RINGPOST_CHECK(a.handshakes_per_client_rate == b.handshakes_per_client_rate);
  RINGPOST_CHECK(a.buffers_large == b.buffers_large && a.buffers_small == b.buffers_small);
  RINGPOST_CHECK(a.ticket_key_file == b.ticket_key_file);
  RINGPOST_CHECK(a.log_format == b.log_format && a.log_level == b.log_level);
  RINGPOST_CHECK(a.warnings == b.warnings);
  RINGPOST_CHECK(a.resolver.size() == b.resolver.size());
  for (std::size_t i = 0; i < a.resolver.size(); ++i) {
    RINGPOST_CHECK(SameEndpoint(a.resolver[i], b.resolver[i]));
  }
  RINGPOST_CHECK(a.upstreams.size() == b.upstreams.size());
  for (std::size_t i = 0; i < a.upstreams.size(); ++i) {
    RINGPOST_CHECK(a.upstreams[i].name == b.upstreams[i].name);
    RINGPOST_CHECK(a.upstreams[i].identity == b.upstreams[i].identity);
    RINGPOST_CHECK(a.upstreams[i].targets.size() == a.upstreams[i].addresses.size());
    RINGPOST_CHECK(a.upstreams[i].addresses.size() == b.upstreams[i].addresses.size());
    for (std::size_t k = 0; k < a.upstreams[i].addresses.size(); ++k) {
      RINGPOST_CHECK(a.upstreams[i].addresses[k].text == b.upstreams[i].addresses[k].text);
    }
  }
  RINGPOST_CHECK(a.routes.size() == b.routes.size());
  for (std::size_t i = 0; i < a.routes.size(); ++i) SameIngress(a.routes[i], a, b.routes[i], b);
  RINGPOST_CHECK(a.partners.size() == b.partners.size());
  for (std::size_t i = 0; i < a.partners.size(); ++i) {
    SamePartner(a.partners[i], a, b.partners[i], b);
  }
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  static const Folder folder;
  static const std::string file = folder.file();
  static const Machine machine{"mx.example.test", {0, 1, 2, 3}, 20'064};
  const std::string_view text = fuzz::View(data, size);
  const absl::StatusOr<Settings> settings = ParseConfigText(text, file);
  if (!settings.ok()) {
    CheckSentence(settings.status());
    return 0;
  }
  const auto config = ResolveConfig(*settings, machine);
  if (!config.ok()) {
    CheckSentence(config.status());
    return 0;
  }
  RINGPOST_CHECK((*config)->shards >= 1 && (*config)->sessions_max >= 1);
  for (const std::string& warning : (*config)->warnings) {
    RINGPOST_CHECK(warning.find('\n') == std::string::npos);
  }
  const std::string described = DescribeConfig(**config);
  const absl::StatusOr<Settings> settings_again = ParseConfigText(described, file);
  RINGPOST_CHECK(settings_again.ok());
  const auto config_again = ResolveConfig(*settings_again, machine);
  RINGPOST_CHECK(config_again.ok());
  RINGPOST_CHECK(DescribeConfig(**config_again) == described);
  Same(**config, **config_again);
  return 0;
}
