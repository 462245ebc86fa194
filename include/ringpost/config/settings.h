// SPDX-License-Identifier: GPL-3.0-or-later
//
// What was asked for, before anybody judged it: texts with the place they came from. Flags and file
// both produce Settings; resolve.h makes the one Config out of them, so that both are validated by
// the same code and complain in the same words.
#ifndef RINGPOST_CONFIG_SETTINGS_H_
#define RINGPOST_CONFIG_SETTINGS_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringpost {

// A text and where it stands: "--listen" or "/etc/ringpost.toml:3:10: listen".
struct Given {
  std::string text;
  std::string where;
};

struct CertificateSettings {
  Given cert;
  Given key;
};

// Who signs client certificates. Not given and given as empty differ: the first inherits.
struct TrustSettings {
  std::optional<Given> client_ca = std::nullopt;
  std::optional<Given> crl = std::nullopt;
  std::optional<Given> revocation = std::nullopt;
};

// What a client's certificate must be. Booleans are "true" or "false".
struct CertificateRuleSettings {
  TrustSettings trust = {};
  std::vector<Given> names = {};
  std::vector<Given> fingerprints = {};
  std::optional<Given> accept_common_name = std::nullopt;
  std::optional<Given> accept_server_auth_purpose = std::nullopt;
};

struct UpstreamSettings {
  Given name = {};
  std::vector<Given> addresses = {};
  std::optional<Given> identity = std::nullopt;
  std::optional<Given> proxy_tlvs = std::nullopt;
};

struct IngressSettings {
  Given name = {};
  std::vector<Given> listen = {};      // STARTTLS
  std::vector<Given> listen_tls = {};  // implicit TLS
  Given upstream = {};                 // an UpstreamSettings::name
  std::optional<Given> tls = std::nullopt;
  std::optional<Given> auth = std::nullopt;
  std::vector<CertificateSettings> certificates = {};  // none: Settings::certificates
  CertificateRuleSettings rule = {};
  std::optional<Given> mode = std::nullopt;
  std::optional<Given> certificate_reply = std::nullopt;
  std::optional<Given> partners = std::nullopt;  // "true" or "false"
  // By name: kRouteLimits.
  std::map<std::string, Given, std::less<>> limits = {};
};

struct PartnerSettings {
  Given name = {};
  std::vector<Given> sender_domains = {};
  std::vector<Given> networks = {};
  Given tls = {};
  CertificateRuleSettings rule = {};
  std::optional<Given> restrict_to_networks = std::nullopt;
  std::optional<Given> restrict_to_certificate = std::nullopt;
  std::optional<Given> mode = std::nullopt;
  std::optional<Given> tls_reply = std::nullopt;
  std::optional<Given> certificate_reply = std::nullopt;
  std::optional<Given> network_reply = std::nullopt;
};

// Mail that leaves. Booleans are "true" or "false".
struct EgressSettings {
  Given name = {};
  std::vector<Given> listen = {};
  std::vector<Given> upstream = {};
  std::optional<Given> tls = std::nullopt;
  std::vector<Given> match = {};
  TrustSettings trust = {};
  std::vector<Given> fingerprints = {};
  std::optional<Given> client_cert = std::nullopt;
  std::optional<Given> client_key = std::nullopt;
  std::optional<Given> implicit_tls = std::nullopt;
  std::optional<Given> hostname = std::nullopt;
  std::optional<Given> mode = std::nullopt;
  std::optional<Given> hard_bounce = std::nullopt;
  std::optional<Given> allow_networks = std::nullopt;
  // By name: kRouteLimits.
  std::map<std::string, Given, std::less<>> limits = {};
};

struct Settings {
  // Flag and key names of AllTuning(), and their values.
  std::map<std::string, Given, std::less<>> tuning;
  std::vector<CertificateSettings> certificates;
  TrustSettings trust;  // for routes and partners that name none
  std::vector<Given> own_domains;
  std::vector<Given> resolver;
  std::vector<UpstreamSettings> upstreams;
  std::vector<IngressSettings> ingress;
  std::vector<EgressSettings> egress;
  std::vector<PartnerSettings> partners;

  [[nodiscard]] bool has_routes() const {
    return !upstreams.empty() || !ingress.empty() || !egress.empty();
  }
};

// Everything that is neither a route nor a certificate. The names are flags and also top-level keys
// of the file; there, counts are integers and the others are strings.
enum class TuningType : std::uint8_t { kText, kCount, kDuration, kPath, kEndpoint };
struct Tuning {
  std::string_view name;
  TuningType type;
};
[[nodiscard]] std::span<const Tuning> AllTuning();
// Those that a route may set for itself.
inline constexpr std::array<Tuning, 4> kRouteLimits = {{
    {"sessions_max", TuningType::kCount},
    {"handshake_timeout", TuningType::kDuration},
    {"command_timeout", TuningType::kDuration},
    {"data_timeout", TuningType::kDuration},
}};

// The candidate that `word` was probably meant to be, as ` (did you mean "x"?)`; empty if none is
// near.
[[nodiscard]] std::string Suggestion(std::string_view word,
                                     std::span<const std::string_view> candidates);

}  // namespace ringpost

#endif  // RINGPOST_CONFIG_SETTINGS_H_
