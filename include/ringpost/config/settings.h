// SPDX-License-Identifier: GPL-3.0-or-later
//
// What was asked for, before anybody judged it: texts with the place they came from. Flags and file
// both produce Settings; resolve.h makes the one Config out of them, so that both are validated by
// the same code and complain in the same words.
#ifndef RINGPOST_CONFIG_SETTINGS_H_
#define RINGPOST_CONFIG_SETTINGS_H_

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

struct UpstreamSettings {
  Given name;
  std::vector<Given> addresses;
  std::optional<Given> identity;
};

struct IngressSettings {
  Given name;
  std::vector<Given> listen;      // STARTTLS
  std::vector<Given> listen_tls;  // implicit TLS
  Given upstream;                 // an UpstreamSettings::name
  std::optional<Given> tls;
  std::vector<CertificateSettings> certificates;  // none: Settings::certificates
};

struct Settings {
  // Flag and key names of kTuning, and their values.
  std::map<std::string, Given, std::less<>> tuning;
  std::vector<CertificateSettings> certificates;
  std::vector<UpstreamSettings> upstreams;
  std::vector<IngressSettings> ingress;

  [[nodiscard]] bool has_routes() const { return !upstreams.empty() || !ingress.empty(); }
};

// Everything that is neither a route nor a certificate. The names are flags and also top-level keys
// of the file; there, counts are integers and the others are strings.
enum class TuningType : std::uint8_t { kText, kCount, kDuration, kPath };
struct Tuning {
  std::string_view name;
  TuningType type;
};
[[nodiscard]] std::span<const Tuning> AllTuning();

// The candidate that `word` was probably meant to be, as ` (did you mean "x"?)`; empty if none is
// near.
[[nodiscard]] std::string Suggestion(std::string_view word,
                                     std::span<const std::string_view> candidates);

}  // namespace ringpost

#endif  // RINGPOST_CONFIG_SETTINGS_H_
