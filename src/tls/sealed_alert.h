// SPDX-License-Identifier: GPL-3.0-or-later
//
// A fatal alert in a TLS 1.2 record under the connection's write key. wolfSSL offers no way to send
// an alert of the caller's choice, and is silent itself where a record is too long. Nothing may be
// sent on the connection after it.
#ifndef RINGPOST_SRC_TLS_SEALED_ALERT_H_
#define RINGPOST_SRC_TLS_SEALED_ALERT_H_

#include <array>
#include <cstddef>
#include <string_view>

#include "ringpost/crypto/tls_library.h"
#include "ringpost/tls/tls_alert.h"

namespace ringpost {

struct SealedAlert {
  // Header, explicit nonce, the alert, tag.
  std::array<char, 5 + 8 + 2 + 16> octets{};
  std::size_t size = 0;  // 0: could not be sealed
  [[nodiscard]] std::string_view text() const { return {octets.data(), size}; }
};

[[nodiscard]] SealedAlert SealAlertTls12(WOLFSSL* ssl, TlsAlert alert);

}  // namespace ringpost

#endif  // RINGPOST_SRC_TLS_SEALED_ALERT_H_
