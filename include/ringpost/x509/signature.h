// SPDX-License-Identifier: GPL-3.0-or-later
//
// Checks the signatures of certificates and revocation lists. RSA (PKCS #1 v1.5 and PSS) and ECDSA,
// each with SHA-256, SHA-384 or SHA-512; RSA keys from 2048 bits, P-256, P-384 and P-521.
// Stateless.
#ifndef RINGPOST_X509_SIGNATURE_H_
#define RINGPOST_X509_SIGNATURE_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "ringpost/base/fingerprint.h"

namespace ringpost {

enum class SignatureVerdict : std::uint8_t {
  kGood,
  kBad,   // not made with this key
  kWeak,  // an algorithm or a key that is not accepted
};

// `algorithm` is an AlgorithmIdentifier and `public_key` a SubjectPublicKeyInfo, both whole.
[[nodiscard]] SignatureVerdict CheckSignature(std::string_view algorithm, std::string_view message,
                                              std::string_view signature,
                                              std::string_view public_key);

// Is the algorithm one of the above? What it says is not looked at any further.
[[nodiscard]] bool IsStrongAlgorithm(std::string_view algorithm);
// An RSA key that our wolfSSL was not built for: what it signs cannot be checked.
[[nodiscard]] bool IsTooLongRsaKey(std::string_view public_key);
// Is the key one of the above?
[[nodiscard]] bool IsStrongKey(std::string_view public_key);

[[nodiscard]] Fingerprint Sha256Of(std::string_view octets);
// By which OCSP names issuers and keys (RFC 6960 4.1.1). Nothing must rest on its strength.
using Sha1Digest = std::array<unsigned char, 20>;
[[nodiscard]] Sha1Digest Sha1Of(std::string_view octets);

}  // namespace ringpost

#endif  // RINGPOST_X509_SIGNATURE_H_
