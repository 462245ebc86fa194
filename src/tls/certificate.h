// SPDX-License-Identifier: GPL-3.0-or-later
//
// Reads what the start-up needs to know of a server certificate. Start-up only.
#ifndef RINGPOST_SRC_TLS_CERTIFICATE_H_
#define RINGPOST_SRC_TLS_CERTIFICATE_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "ringpost/tls/tls_context.h"

namespace ringpost {

struct CertificateFacts {
  TlsCertificateSummary summary;
  TlsKeyKind kind = TlsKeyKind::kRsa;
};

// Of `leaf`, the first certificate of `pem` in DER. Refuses what no sender should trust (RSA below
// 2048 bits, SHA-1 signatures) and what cannot be served: RSA above 4096 bits, other key types than
// RSA and P-256, P-384, P-521, the serial number 0.
absl::StatusOr<CertificateFacts> ReadCertificate(const TlsCertificatePem& pem,
                                                 std::string_view leaf);

// Finds the usual mistakes before wolfSSL is asked, whose words for them are few.
absl::Status CheckKeyPem(const TlsCertificatePem& pem);

// An ECDSA key in the older form (RFC 5915) that gives the numbers of its curve in place of the
// curve's name: wolfSSL does not read it.
[[nodiscard]] bool DescribesItsCurve(const TlsCertificatePem& pem);

// The key of a PEM that wolfSSL has accepted, in DER: of RSA the RSAPrivateKey (RFC 8017 A.1.2)
// without the envelope of PKCS #8. Empty: there is none.
Secret ReadKeyDer(const TlsCertificatePem& pem);

}  // namespace ringpost

#endif  // RINGPOST_SRC_TLS_CERTIFICATE_H_
