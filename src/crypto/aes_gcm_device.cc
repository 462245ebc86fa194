// SPDX-License-Identifier: GPL-3.0-or-later
#include "aes_gcm_device.h"

#include <span>

#include "ringpost/crypto/aes_gcm.h"
#include "ringpost/crypto/tls_library.h"
// The options come first.
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/cryptocb.h>

namespace ringpost {
namespace {

// Making a key schedule for a shorter text takes longer than is saved (bench/NOTES.md).
constexpr unsigned kWorthIt = 2048;

// The two halves of wolfSSL's union have the same members.
template <typename Request>
GcmCall CallOf(const Request& request) {
  return {.key = {reinterpret_cast<const unsigned char*>(request.aes->devKey),
                  static_cast<std::size_t>(request.aes->keylen)},
          .nonce = request.iv,
          .associated = {request.authIn, request.authInSz},
          .in = {request.in, request.sz},
          .out = request.out};
}

template <typename Request>
bool Usual(const Request& request) {
  return request.sz >= kWorthIt && request.aes != nullptr && request.ivSz == kGcmNonceBytes &&
         request.authTagSz == kGcmTagBytes;
}

}  // namespace

int AesGcmDevice(int /*device*/, wc_CryptoInfo* info, void* /*context*/) {
  if (info->algo_type != WC_ALGO_TYPE_CIPHER || info->cipher.type != WC_CIPHER_AES_GCM) {
    return CRYPTOCB_UNAVAILABLE;
  }
  if (info->cipher.enc != 0) {
    const auto& request = info->cipher.aesgcm_enc;
    return Usual(request) && AesGcmSeal(CallOf(request), request.authTag) ? 0
                                                                          : CRYPTOCB_UNAVAILABLE;
  }
  const auto& request = info->cipher.aesgcm_dec;
  if (!Usual(request)) {
    return CRYPTOCB_UNAVAILABLE;
  }
  switch (AesGcmOpen(CallOf(request), request.authTag)) {
    case GcmOpened::kYes:
      return 0;
    case GcmOpened::kForged:
      return AES_GCM_AUTH_E;
    case GcmOpened::kUnsupported:
      break;
  }
  return CRYPTOCB_UNAVAILABLE;
}

}  // namespace ringpost
