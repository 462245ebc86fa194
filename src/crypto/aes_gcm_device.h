// SPDX-License-Identifier: GPL-3.0-or-later
//
// What wolfSSL asks its crypto device for. Everything but AES-GCM it is told to do itself.
#ifndef RINGPOST_SRC_CRYPTO_AES_GCM_DEVICE_H_
#define RINGPOST_SRC_CRYPTO_AES_GCM_DEVICE_H_

struct wc_CryptoInfo;  // NOLINT(readability-identifier-naming): wolfSSL's name

namespace ringpost {

// For all contexts, where this CPU has something better than wolfSSL (aes_gcm.h). 0, an error of
// wolfSSL's, or CRYPTOCB_UNAVAILABLE: wolfSSL does it itself.
int AesGcmDevice(int device, wc_CryptoInfo* info, void* context);

}  // namespace ringpost

#endif  // RINGPOST_SRC_CRYPTO_AES_GCM_DEVICE_H_
