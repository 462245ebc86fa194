// SPDX-License-Identifier: GPL-3.0-or-later
//
// The TLS policies of Settings, judged: those of routes and of partners, and the trust that both
// share. Lives as long as one ResolveConfig(); everything that it finds goes into the Config.
#ifndef RINGPOST_CONFIG_POLICIES_H_
#define RINGPOST_CONFIG_POLICIES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/status/status.h"
#include "ringpost/config/config.h"
#include "ringpost/config/settings.h"

namespace ringpost {

class PolicyResolver {
 public:
  // Both outlive the resolver.
  PolicyResolver(const Settings& settings, Config* config)
      : settings_(settings), config_(*config) {}

  // In this order.
  absl::Status CheckDefaults();  // [tls]
  absl::Status ResolveRoute(const IngressSettings& from, RouteConfig* ingress);
  // Of an egress route: policy and mode.
  absl::Status ResolveEgress(const EgressSettings& from, ServerPolicy* policy, PolicyMode* mode);
  absl::Status ResolvePartners();
  absl::Status ResolveOwnDomains();  // once Config::hostname is known
  // Once routes and partners are known: whom a handshake asks for a certificate, and what should
  // be known of all policies together.
  void Finish();

 private:
  // Whose certificates: servers may staple to theirs what else only a list says.
  enum class TrustOf : std::uint8_t { kClients, kServers };
  // The keys of a partner's or route's own trust before those of [tls].
  absl::Status JudgeTrust(const TrustSettings& own, const TrustSettings& common, TrustConfig* out,
                          TrustOf whose = TrustOf::kClients);
  [[nodiscard]] std::size_t AddTrust(TrustConfig trust);
  absl::Status ReadFingerprints(const std::vector<Given>& from, std::vector<Fingerprint>* out);
  absl::Status ResolveRule(const CertificateRuleSettings& from, CertificateRule* rule);
  // `asking`: the value by which mail is refused without the certificate.
  absl::Status CheckAsked(const CertificateRule& rule, const Given& asking,
                          const std::string& subject);
  absl::Status ResolvePartner(const PartnerSettings& from, Partner* partner);
  absl::Status ResolveDomains(const PartnerSettings& from, Partner* partner);
  absl::Status ResolveNetworks(const PartnerSettings& from, Partner* partner);
  absl::Status CheckFiles(const Given& given, std::string_view what);
  void Warn(std::string sentence) { config_.warnings.push_back(std::move(sentence)); }

  const Settings& settings_;
  Config& config_;
  using Networks = std::unordered_map<Network, const Given*, absl::Hash<Network>>;

  std::unordered_map<std::string, std::size_t> trusts_;     // to Config::trusts
  std::unordered_set<std::string> readable_;                // paths that were looked at
  std::unordered_map<std::string, const Given*> domains_;   // of all partners
  Networks networks_;                                       // of partners without domains
  std::unordered_map<std::string, const Given*> partners_;  // by name
  std::vector<std::string> any_certificate_;                // who takes every certificate of a CA
  std::vector<std::string> common_name_;                    // who accepts a common name
};

}  // namespace ringpost

#endif  // RINGPOST_CONFIG_POLICIES_H_
