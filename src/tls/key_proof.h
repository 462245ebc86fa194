// SPDX-License-Identifier: GPL-3.0-or-later
//
// Does a private key do what handshakes will ask of it? Start-up and reload only.
#ifndef RINGPOST_SRC_TLS_KEY_PROOF_H_
#define RINGPOST_SRC_TLS_KEY_PROOF_H_

#include <string_view>

#include "ringpost/tls/tls_context.h"

namespace ringpost {

// Signs once as a handshake does, and checks the signature with the public key of `leaf`, a
// certificate in DER. `pem` is one that TlsContextSet::Load() has accepted.
[[nodiscard]] bool KeySigns(const TlsCertificatePem& pem, TlsKeyKind kind, std::string_view leaf);

}  // namespace ringpost

#endif  // RINGPOST_SRC_TLS_KEY_PROOF_H_
