// SPDX-License-Identifier: GPL-3.0-or-later
//
// Signs handshakes with an RSA key, by OpenSSL's libcrypto: half the time that wolfSSL's signature
// takes, which is most of what such a handshake costs (bench/NOTES.md). wolfSSL keeps the key too,
// and checks each signature with the certificate's public key before it is sent.
//
// One per certificate and shard: a signer is for one thread.
#ifndef RINGPOST_CRYPTO_RSA_SIGNER_H_
#define RINGPOST_CRYPTO_RSA_SIGNER_H_

#include <openssl/types.h>

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace ringpost {

class RsaSigner {
 public:
  // `key` is an RSAPrivateKey of two primes in DER (RFC 8017 A.1.2), and is not needed afterwards.
  // nullptr: it is something else, or there is no memory.
  static std::unique_ptr<RsaSigner> Make(std::string_view key);
  ~RsaSigner() = default;
  RsaSigner(const RsaSigner&) = delete;
  RsaSigner& operator=(const RsaSigner&) = delete;

  // RSASSA-PSS as TLS 1.3 has it: of a digest of SHA-256, SHA-384 or SHA-512, which its length
  // tells; the same hash for the mask, a salt as long as the digest (RFC 8446 4.2.3). Both write to
  // the front of `signature` and give the octets written; 0: it has no room, or the digest is none.
  std::size_t SignPss(std::span<const unsigned char> digest, std::span<unsigned char> signature);
  // RSASSA-PKCS1-v1_5 of a DigestInfo in DER (RFC 8017 9.2).
  std::size_t SignPkcs1(std::span<const unsigned char> digest_info,
                        std::span<unsigned char> signature);

 private:
  struct FreeKey {
    void operator()(EVP_PKEY* key) const;
  };
  struct FreeOperation {
    void operator()(EVP_PKEY_CTX* operation) const;
  };
  using Key = std::unique_ptr<EVP_PKEY, FreeKey>;
  using Operation = std::unique_ptr<EVP_PKEY_CTX, FreeOperation>;

  RsaSigner() = default;
  static Key ReadKey(std::string_view der);
  bool Prepare(Key key);

  // Each keeps a reference to the key.
  std::array<Operation, 3> pss_;  // SHA-256, SHA-384, SHA-512
  Operation pkcs1_;
};

}  // namespace ringpost

#endif  // RINGPOST_CRYPTO_RSA_SIGNER_H_
