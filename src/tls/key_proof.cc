// SPDX-License-Identifier: GPL-3.0-or-later
#include "key_proof.h"

#include "ringpost/crypto/tls_library.h"
// The options come first.
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "certificate.h"
#include "ringpost/base/der.h"
#include "ringpost/crypto/rsa_signer.h"
#include "ringpost/x509/signature.h"

namespace ringpost {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kText = "ringpost signs once before it listens";
using Digest = std::array<unsigned char, WC_SHA256_DIGEST_SIZE>;

std::string_view View(std::span<const unsigned char> octets) {
  return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

// RFC 4055 3.1 and RFC 5758 3.2: AlgorithmIdentifiers of RSASSA-PSS and ECDSA with SHA-256.
std::string PssAlgorithm() {
  const std::string hash =
      DerItemOf(kDerSequence, DerItemOf(kDerObjectId, "\x60\x86\x48\x01\x65\x03\x04\x02\x01"sv));
  const std::string mask = DerItemOf(
      kDerSequence, DerItemOf(kDerObjectId, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"sv) + hash);
  return DerItemOf(
      kDerSequence,
      DerItemOf(kDerObjectId, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"sv) +
          DerItemOf(kDerSequence, DerItemOf(DerContextConstructed(0), hash) +
                                      DerItemOf(DerContextConstructed(1), mask) +
                                      DerItemOf(DerContextConstructed(2),
                                                DerItemOf(kDerInteger, "\x20"sv))));  // the salt
}

std::string EcdsaAlgorithm() {
  return DerItemOf(kDerSequence, DerItemOf(kDerObjectId, "\x2a\x86\x48\xce\x3d\x04\x03\x02"sv));
}

// The SubjectPublicKeyInfo as wolfSSL finds it; empty: it finds none.
std::string PublicKeyOf(std::string_view certificate) {
  std::string key(certificate.size(), '\0');
  auto size = static_cast<word32>(key.size());
  const int read = wc_GetSubjectPubKeyInfoDerFromCert(
      reinterpret_cast<const unsigned char*>(certificate.data()),
      static_cast<word32>(certificate.size()), reinterpret_cast<unsigned char*>(key.data()), &size);
  key.resize(read == 0 ? size : 0);
  return key;
}

std::string SignWithRsa(std::string_view key, const Digest& digest) {
  std::array<unsigned char, 512> signature;  // of 4096 bits
  const std::unique_ptr<RsaSigner> signer = RsaSigner::Make(key);
  const std::size_t size = signer == nullptr ? 0 : signer->SignPss(digest, signature);
  return std::string(View(std::span(signature).first(size)));
}

// With wolfSSL, as it signs handshakes itself.
std::string SignWithEcdsa(std::string_view key_der, const Digest& digest) {
  std::array<unsigned char, ECC_MAX_SIG_SIZE> signature;
  auto size = static_cast<word32>(signature.size());
  word32 index = 0;
  ecc_key key;
  WC_RNG random;
  if (wc_ecc_init(&key) != 0) {
    return {};
  }
  bool ok = wc_EccPrivateKeyDecode(reinterpret_cast<const unsigned char*>(key_der.data()), &index,
                                   &key, static_cast<word32>(key_der.size())) == 0;
  if (ok && wc_InitRng(&random) == 0) {
    ok = wc_ecc_set_rng(&key, &random) == 0 &&
         wc_ecc_sign_hash(digest.data(), static_cast<word32>(digest.size()), signature.data(),
                          &size, &random, &key) == 0;
    wc_FreeRng(&random);
  } else {
    ok = false;
  }
  wc_ecc_free(&key);
  return ok ? std::string(View(std::span(signature).first(size))) : std::string();
}

}  // namespace

bool KeySigns(const TlsCertificatePem& pem, TlsKeyKind kind, std::string_view leaf) {
  Digest digest;
  if (wc_Sha256Hash(reinterpret_cast<const unsigned char*>(kText.data()),
                    static_cast<word32>(kText.size()), digest.data()) != 0) {
    return false;
  }
  const Secret key = ReadKeyDer(pem);
  const bool rsa = kind == TlsKeyKind::kRsa;
  const std::string signature =
      rsa ? SignWithRsa(key.view(), digest) : SignWithEcdsa(key.view(), digest);
  return !signature.empty() &&
         CheckSignature(rsa ? PssAlgorithm() : EcdsaAlgorithm(), kText, signature,
                        PublicKeyOf(leaf)) == SignatureVerdict::kGood;
}

}  // namespace ringpost
