// SPDX-License-Identifier: GPL-3.0-or-later
//
// Reads what the start-up needs to know of a server certificate. Start-up only.
#ifndef RINGPOST_SRC_TLS_CERTIFICATE_H_
#define RINGPOST_SRC_TLS_CERTIFICATE_H_

#include "absl/status/statusor.h"
#include "ringpost/tls/tls_context.h"

namespace ringpost {

struct CertificateFacts {
  TlsCertificateSummary summary;
  TlsKeyKind kind = TlsKeyKind::kRsa;
};

// Of the first certificate in `pem.cert_pem`. Refuses what no sender should trust: RSA below 2048
// bits, other key types than RSA and P-256, P-384, P-521, SHA-1 signatures.
absl::StatusOr<CertificateFacts> ReadCertificate(const TlsCertificatePem& pem);

// Finds the usual mistakes before wolfSSL is asked, whose words for them are few.
absl::Status CheckKeyPem(const TlsCertificatePem& pem);

// The RSAPrivateKey (RFC 8017 A.1.2) of a PEM that wolfSSL has accepted, in DER without the
// envelope of PKCS #8. Empty: there is none.
Secret ReadRsaKey(const TlsCertificatePem& pem);

}  // namespace ringpost

#endif  // RINGPOST_SRC_TLS_CERTIFICATE_H_
