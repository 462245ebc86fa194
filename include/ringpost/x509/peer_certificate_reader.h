// SPDX-License-Identifier: GPL-3.0-or-later
//
// Reads the facts of a presented chain.
#ifndef RINGPOST_X509_PEER_CERTIFICATE_READER_H_
#define RINGPOST_X509_PEER_CERTIFICATE_READER_H_

#include <memory>
#include <string>
#include <vector>

#include "ringpost/x509/peer_certificate.h"

namespace ringpost {

// Never fails: of a leaf that breaks its own format only the fingerprint of the whole is known, it
// has no names and no purpose, and TrustStore calls it malformed. `chain` is not empty.
[[nodiscard]] std::unique_ptr<PeerCertificate> ReadPeerCertificate(std::vector<std::string> chain);

}  // namespace ringpost

#endif  // RINGPOST_X509_PEER_CERTIFICATE_READER_H_
