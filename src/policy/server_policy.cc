// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/policy/server_policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <optional>

#include "ringpost/base/name_match.h"

namespace ringpost {
namespace {

// In network order, as a certificate has it; nullopt: `host` is a name.
std::optional<std::string> AddressOctets(std::string_view host) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (host.size() >= terminated.size()) return std::nullopt;
  std::copy(host.begin(), host.end(), terminated.begin());
  std::array<char, sizeof(in6_addr)> octets;
  if (inet_pton(AF_INET, terminated.data(), octets.data()) == 1) {
    return std::string(octets.data(), sizeof(in_addr));
  }
  if (inet_pton(AF_INET6, terminated.data(), octets.data()) == 1) {
    return std::string(octets.data(), sizeof(in6_addr));
  }
  return std::nullopt;
}

// Whether `name`, of a certificate, is below the domain of `suffix`, which begins with a dot.
bool IsBelow(std::string_view name, std::string_view suffix) {
  if (name.size() <= suffix.size()) return false;
  return NameMatches(suffix, name.substr(name.size() - suffix.size()));
}

bool HasExpectedName(const PeerCertificate& certificate, std::string_view expected) {
  if (!expected.starts_with('.')) return HasServerName(certificate, expected);
  return std::any_of(certificate.names.begin(), certificate.names.end(),
                     [expected](const std::string& name) { return IsBelow(name, expected); });
}

PolicyFault JudgeFingerprint(const ServerPolicy& policy, const PeerCertificate& certificate) {
  const bool pinned =
      std::any_of(policy.fingerprints.begin(), policy.fingerprints.end(),
                  [&certificate](const Fingerprint& pin) {
                    return pin == certificate.certificate || pin == certificate.public_key;
                  });
  return pinned ? PolicyFault::kNone : PolicyFault::kWrongFingerprint;
}

PolicyFault JudgeName(const ServerPolicy& policy, const PeerCertificate& certificate,
                      std::string_view host) {
  bool met = true;  // kTrusted
  if (policy.tls == EgressTls::kVerify) {
    met = HasServerName(certificate, host);
  } else if (policy.tls == EgressTls::kSecure) {
    met = std::any_of(policy.names.begin(), policy.names.end(),
                      [&certificate](const std::string& expected) {
                        return HasExpectedName(certificate, expected);
                      });
  }
  return met ? PolicyFault::kNone : PolicyFault::kWrongName;
}

}  // namespace

bool HasServerName(const PeerCertificate& certificate, std::string_view host) {
  if (const std::optional<std::string> address = AddressOctets(host)) {
    return std::find(certificate.addresses.begin(), certificate.addresses.end(), *address) !=
           certificate.addresses.end();
  }
  return std::any_of(certificate.names.begin(), certificate.names.end(),
                     [host](const std::string& name) { return NameMatches(name, host); });
}

PolicyFault JudgeServer(const ServerPolicy& policy, const PeerCertificate& certificate,
                        std::string_view host, ChainVerifier& chain) {
  if (policy.tls <= EgressTls::kEncrypt) return PolicyFault::kNone;
  if (!certificate.key_proven) return PolicyFault::kUnsupportedKey;
  // As with Postfix a pin is all that counts: neither CA nor dates.
  if (policy.tls == EgressTls::kFingerprint) return JudgeFingerprint(policy, certificate);
  if (policy.trust == kNoTrust) return PolicyFault::kUntrusted;
  const PolicyFault trust = chain.VerifyChain(policy.trust);
  if (trust != PolicyFault::kNone) return trust;
  if (!certificate.server_auth) return PolicyFault::kWrongPurpose;
  return JudgeName(policy, certificate, host);
}

std::string_view ServerFaultPhrase(PolicyFault fault) {
  switch (fault) {
    case PolicyFault::kNone:
    case PolicyFault::kNoTls:
    case PolicyFault::kWrongNetwork:
    case PolicyFault::kUnreadableSender:
      break;
    case PolicyFault::kNoCertificate:
      return "no certificate was presented";
    case PolicyFault::kUntrusted:
      return "the certificate is not signed by a trusted CA";
    case PolicyFault::kSelfSigned:
      return "the certificate is self-signed";
    case PolicyFault::kExpired:
      return "the certificate has expired";
    case PolicyFault::kNotYetValid:
      return "the certificate is not yet valid";
    case PolicyFault::kInvalidCa:
      return "the certificate is signed with one that may not sign it";
    case PolicyFault::kMalformed:
      return "the certificate is malformed or too weak";
    case PolicyFault::kRefusedByLibrary:
      return "the certificate is refused by the TLS library";
    case PolicyFault::kUnsupportedKey:
      return "the certificate has a key that is not supported";
    case PolicyFault::kWrongPurpose:
      return "the certificate is not for TLS servers";
    case PolicyFault::kWrongName:
      return "the certificate does not have the expected name";
    case PolicyFault::kWrongFingerprint:
      return "the certificate does not have the expected fingerprint";
    case PolicyFault::kRevoked:
      return "the certificate has been revoked";
    case PolicyFault::kNoFreshCrl:
      return "cannot tell whether the certificate has been revoked";
  }
  return PolicyFaultPhrase(fault);  // says nothing of a certificate
}

}  // namespace ringpost
