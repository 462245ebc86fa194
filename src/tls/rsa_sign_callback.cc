// SPDX-License-Identifier: GPL-3.0-or-later
//
// What wolfSSL asks for when it has a handshake to sign with an RSA key.
#include <span>

#include "ringpost/crypto/rsa_signer.h"
#include "ringpost/crypto/tls_library.h"
#include "tls_callbacks.h"
// The options come first.
#include <wolfssl/wolfcrypt/error-crypt.h>

namespace ringpost {
namespace {

int Result(std::size_t bytes, unsigned* out_size) {
  if (bytes == 0) {
    return RSA_BUFFER_E;
  }
  *out_size = static_cast<unsigned>(bytes);
  return 0;
}

}  // namespace

// TLS 1.2 with a client that knows no PSS: `in` is a DigestInfo.
int TlsCallbacks::RsaSign(WOLFSSL* /*ssl*/, const unsigned char* in, unsigned in_size,
                          unsigned char* out, unsigned* out_size, const unsigned char* /*key*/,
                          unsigned /*key_size*/, void* signer) {
  return Result(
      static_cast<RsaSigner*>(signer)->SignPkcs1(std::span(in, in_size), std::span(out, *out_size)),
      out_size);
}

// `in` is a digest. TLS has one hash for the digest and for the mask, so neither needs to be told.
int TlsCallbacks::RsaPssSign(WOLFSSL* /*ssl*/, const unsigned char* in, unsigned in_size,
                             unsigned char* out, unsigned* out_size, int /*hash*/, int /*mgf*/,
                             const unsigned char* /*key*/, unsigned /*key_size*/, void* signer) {
  return Result(
      static_cast<RsaSigner*>(signer)->SignPss(std::span(in, in_size), std::span(out, *out_size)),
      out_size);
}

}  // namespace ringpost
