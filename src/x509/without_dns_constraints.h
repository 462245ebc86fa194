// SPDX-License-Identifier: GPL-3.0-or-later
//
// A CA's certificate as it would be without name constraints on host names, for the second opinion
// (library_path.h). Stateless.
#ifndef RINGPOST_SRC_X509_WITHOUT_DNS_CONSTRAINTS_H_
#define RINGPOST_SRC_X509_WITHOUT_DNS_CONSTRAINTS_H_

#include <string>

#include "ringpost/x509/x509.h"

namespace ringpost {

// DER, in which everything else is as it was, the signature included, which is therefore wrong:
// whoever takes a certificate for a CA on somebody's word does not look at it.
[[nodiscard]] std::string WithoutDnsConstraints(const X509View& ca);

}  // namespace ringpost

#endif  // RINGPOST_SRC_X509_WITHOUT_DNS_CONSTRAINTS_H_
