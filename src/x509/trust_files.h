// SPDX-License-Identifier: GPL-3.0-or-later
//
// Files in the folders of client_ca and crl that are there for something else. Start-up and reload
// only.
#ifndef RINGPOST_SRC_X509_TRUST_FILES_H_
#define RINGPOST_SRC_X509_TRUST_FILES_H_

#include <cstdint>
#include <string>

#include "ringpost/x509/trust_store.h"

namespace ringpost {

enum class TrustFileKind : std::uint8_t { kCertificates, kRevocationLists };

// The sentence with which a file of a folder is passed over, because it is certain that nothing of
// the wanted kind is lost: it holds the other kind only, or is a README. Empty: it must be read.
// What is merely broken is never passed over: a list that is left out lets in whom it names.
[[nodiscard]] std::string WhyLeftOut(const NamedText& file, TrustFileKind wanted);

}  // namespace ringpost

#endif  // RINGPOST_SRC_X509_TRUST_FILES_H_
