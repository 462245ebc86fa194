// SPDX-License-Identifier: GPL-3.0-or-later
//
// How much TLS the mail that leaves by a route must have, and what the partner's server must prove
// to be. Validated, immutable parts of the configuration; the decision is a pure function.
#ifndef RINGPOST_POLICY_SERVER_POLICY_H_
#define RINGPOST_POLICY_SERVER_POLICY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ringpost/base/fingerprint.h"
#include "ringpost/base/policy_fault.h"
#include "ringpost/policy/judge.h"
#include "ringpost/policy/partner.h"
#include "ringpost/x509/peer_certificate.h"

namespace ringpost {

// Postfix's smtp_tls_security_level, and one of ours: kTrusted.
enum class EgressTls : std::uint8_t {
  kNone,         // never
  kMay,          // if it is offered and works, else in clear (RFC 3207)
  kEncrypt,      // no mail in clear; any certificate will do
  kTrusted,      // and the certificate chains to a CA of ours, is for servers, and is not revoked
  kVerify,       // and it has the name of the host that was configured
  kSecure,       // kTrusted, and it has one of `names`
  kFingerprint,  // kEncrypt, and its fingerprint, or its public key's, is one of `fingerprints`
};

struct ServerPolicy {
  EgressTls tls = EgressTls::kMay;
  std::size_t trust = kNoTrust;  // index into Config::trusts; of kTrusted, kVerify and kSecure
  // Of kSecure. Lower case, A-labels: "mx.example.com" is that host, ".example.com" each name below
  // that domain, and not the domain itself.
  std::vector<std::string> names;
  std::vector<Fingerprint> fingerprints;  // of kFingerprint

  // Mail may leave in clear where the server offers no TLS, or none that works.
  [[nodiscard]] bool takes_clear() const { return tls <= EgressTls::kMay; }
};

// Whether the certificate has this name (RFC 9525 6): of its dNSNames one, where a wildcard is the
// whole left-most label; for an address ("192.0.2.1", "2001:db8::1") of its iPAddresses one, and
// never a dNSName. `host` in lower case, as A-labels, without a final dot.
[[nodiscard]] bool HasServerName(const PeerCertificate& certificate, std::string_view host);

// kNone: a server that presented `certificate` in a full handshake is who the policy asks for.
// `host`: the configured one, a name or an address. kNone and kMay are always met.
// Order of faults: key not proven, chain, purpose, name or fingerprint.
[[nodiscard]] PolicyFault JudgeServer(const ServerPolicy& policy,
                                      const PeerCertificate& certificate, std::string_view host,
                                      ChainVerifier& chain);
// As PolicyFaultPhrase(), of a server: "the certificate has expired".
[[nodiscard]] std::string_view ServerFaultPhrase(PolicyFault fault);

}  // namespace ringpost

#endif  // RINGPOST_POLICY_SERVER_POLICY_H_
