// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/crypto/tls_library.h"

#include <openssl/crypto.h>
#include <wolfssl/wolfcrypt/cryptocb.h>

#include <array>

#include "aes_gcm_device.h"
#include "ringpost/crypto/aes_gcm.h"

namespace ringpost {
namespace {

constexpr int kCryptoDevice = 1;

class Library {
 public:
  // libcrypto signs with RSA keys (rsa_signer.h). No openssl.cnf has a say in how.
  Library()
      : started_(OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) == 1 &&
                 wolfSSL_Init() == WOLFSSL_SUCCESS &&
                 (!AesGcmAvailable() ||
                  wc_CryptoCb_RegisterDevice(kCryptoDevice, &AesGcmDevice, nullptr) == 0)) {}
  ~Library() {
    if (started_) {
      wolfSSL_Cleanup();
    }
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  [[nodiscard]] bool started() const { return started_; }

 private:
  bool started_;
};

}  // namespace

bool TlsLibraryStart() {
  static const Library library;
  return library.started();
}

int TlsCryptoDevice() { return AesGcmAvailable() ? kCryptoDevice : INVALID_DEVID; }

std::string TlsLibraryError(int code) {
  std::array<char, WOLFSSL_MAX_ERROR_SZ> text{};
  wolfSSL_ERR_error_string_n(static_cast<unsigned long>(code), text.data(), text.size());
  return text.data();
}

}  // namespace ringpost
