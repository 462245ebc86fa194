// SPDX-License-Identifier: GPL-3.0-or-later
//
// Name constraints (RFC 5280 4.2.1.10): a CA may be allowed to sign for some names only. Knows host
// names, directory names and addresses; a certificate with a name of another kind that a constraint
// speaks of is refused. Stateless.
#ifndef RINGPOST_SRC_X509_NAME_CONSTRAINTS_H_
#define RINGPOST_SRC_X509_NAME_CONSTRAINTS_H_

#include <cstdint>
#include <string_view>

#include "ringpost/x509/x509.h"

namespace ringpost {

enum class CommonName : std::uint8_t {
  kMayBeHostName,  // of a leaf: X509CommonHostName() counts, since some policies accept it
  kIsNone,         // of a CA, which is no host
};

// `constraints` as X509View has them, not empty. May this certificate have the names that it has?
[[nodiscard]] bool NameConstraintsAllow(std::string_view constraints, const X509View& certificate,
                                        CommonName common_name);

}  // namespace ringpost

#endif  // RINGPOST_SRC_X509_NAME_CONSTRAINTS_H_
