// SPDX-License-Identifier: GPL-3.0-or-later
//
// Takes what a server stapled from wolfSSL, which judges nothing of it
// (wolfssl-stapled-response.patch): a response that is damaged or out of date must not end the
// handshake. What it is worth is TrustStore's to say.
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "ringpost/tls/tls_engine.h"
#include "tls_callbacks.h"

namespace ringpost {

// Its size is bounded by that of a handshake message, some 18 KiB. In TLS 1.3 it comes before the
// certificates are handed over, with each of them; in TLS 1.2 after them, for the leaf alone.
int TlsCallbacks::StapledResponse(WOLFSSL* ssl, unsigned index, const unsigned char* response,
                                  unsigned size) {
  auto* const engine = static_cast<TlsEngine*>(wolfSSL_GetIOReadCtx(ssl));
  if (engine == nullptr) {
    return BAD_FUNC_ARG;
  }
  if (index != 0) {
    return 0;
  }
  try {
    auto kept = std::make_unique<std::string>(reinterpret_cast<const char*>(response), size);
    if (engine->peer_certificate_ != nullptr) {
      engine->peer_certificate_->stapled_response = std::move(*kept);
    } else {
      engine->stapled_response_ = std::move(kept);
    }
  } catch (const std::bad_alloc&) {
    return MEMORY_E;  // no exception may pass through wolfSSL
  }
  return 0;
}

}  // namespace ringpost
