// SPDX-License-Identifier: GPL-3.0-or-later
//
// What clients may stumble over in a certificate chain that can be served. Nothing of it is an
// error: who trusts what is not known here. Start-up and reload only.
#ifndef RINGPOST_X509_CHAIN_WARNINGS_H_
#define RINGPOST_X509_CHAIN_WARNINGS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace ringpost {

// Sentences that name `path` and what to do. `chain` is what ReadCertificateChain() gave; the dates
// of the leaf are not looked at.
[[nodiscard]] std::vector<std::string> ChainWarnings(const std::vector<std::string>& chain,
                                                     const std::string& path, std::int64_t now);

}  // namespace ringpost

#endif  // RINGPOST_X509_CHAIN_WARNINGS_H_
