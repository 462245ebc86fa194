// SPDX-License-Identifier: GPL-3.0-or-later
//
// Who must use TLS, how strongly, and what is said otherwise: validated, immutable parts of the
// configuration.
#ifndef RINGPOST_POLICY_PARTNER_H_
#define RINGPOST_POLICY_PARTNER_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "ringpost/base/fingerprint.h"
#include "ringpost/base/tls_policy.h"
#include "ringpost/policy/network.h"

namespace ringpost {

inline constexpr std::size_t kNoTrust = std::numeric_limits<std::size_t>::max();

// What a client's certificate must be. It chains to the CA of `trust` and, where names or
// fingerprints are given, matches one of them. Without a CA a fingerprint alone decides, but the
// certificate must still be within its dates and for its purpose.
struct CertificateRule {
  std::size_t trust = kNoTrust;    // index into Config::trusts
  std::vector<std::string> names;  // lower case, A-labels: "mail.example.com", "*.example.com"
  std::vector<Fingerprint> fingerprints;  // of a certificate or of its public key
  bool accept_common_name = false;        // where the certificate has no dNSName at all
  bool accept_server_auth_purpose = false;
};

// Whole replies without CRLF: code, text, and "{reason}" where the fault's phrase goes. 4xx or 5xx.
struct PolicyReplies {
  std::string tls = "530 5.7.0 Must issue a STARTTLS command first";
  std::string certificate = "550 5.7.0 Client certificate required: {reason}";
  std::string network = "550 5.7.0 Mail from this domain is not accepted from your network";
};

struct Partner {
  std::string name;
  // Lower case, A-labels; ".example.com" stands for every subdomain and not for the domain itself.
  std::vector<std::string> sender_domains;
  std::vector<Network> networks;
  TlsPolicy tls = TlsPolicy::kEncrypt;  // or kVerify
  CertificateRule certificate;
  bool restrict_to_networks = false;     // mail of these domains comes from nowhere else
  bool restrict_to_certificate = false;  // nor from anyone without the certificate
  PolicyMode mode = PolicyMode::kEnforce;
  PolicyReplies replies;
};

}  // namespace ringpost

#endif  // RINGPOST_POLICY_PARTNER_H_
