// SPDX-License-Identifier: GPL-3.0-or-later
//
// A second opinion on a path that our own check has accepted: wolfSSL's certificate manager must
// accept it as well, one certificate after the other. Two readers have to be wrong in the same way
// before a stranger is trusted.
#ifndef RINGPOST_SRC_X509_LIBRARY_PATH_H_
#define RINGPOST_SRC_X509_LIBRARY_PATH_H_

#include <span>
#include <string>

#include "ringpost/x509/x509.h"

namespace ringpost {

// Empty if it accepts, else its words for why not. `path` has the leaf first and the trusted CA
// last, and at least two members. Dates are those of the machine's clock. Nothing of it is kept.
//
// wolfSSL 5.9.2 takes the common name of every certificate without alternative names for a host
// name, also that of a CA and one that no host can have ("Issuing CA 2"), and holds the issuer's
// constraints on host names against it. Where a certificate has no host name in truth, its issuer
// is therefore shown without them; all other constraints stay.
[[nodiscard]] std::string WhyLibraryRefuses(std::span<const X509View* const> path);

}  // namespace ringpost

#endif  // RINGPOST_SRC_X509_LIBRARY_PATH_H_
