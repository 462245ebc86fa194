// SPDX-License-Identifier: GPL-3.0-or-later
//
// The certificates of a server's file, as they are sent: the leaf first, then whoever signed it.
// Start-up and reload only.
#ifndef RINGPOST_SRC_TLS_CERTIFICATE_CHAIN_H_
#define RINGPOST_SRC_TLS_CERTIFICATE_CHAIN_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "ringpost/tls/tls_context.h"

namespace ringpost {

// In DER, in the file's order, at least one. What stands behind a certificate within its PEM block,
// as in "BEGIN TRUSTED CERTIFICATE", is not a part of it and is left out. A block that no client
// could read is an error.
[[nodiscard]] absl::StatusOr<std::vector<std::string>> ReadCertificateChain(
    const TlsCertificatePem& pem);

// The same as PEM.
[[nodiscard]] std::string CertificateChainPem(const std::vector<std::string>& chain);

}  // namespace ringpost

#endif  // RINGPOST_SRC_TLS_CERTIFICATE_CHAIN_H_
