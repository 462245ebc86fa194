// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/x509/signature.h"

#include "ringpost/crypto/tls_library.h"
// The options come first.
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/hash.h>
#include <wolfssl/wolfcrypt/rsa.h>
#include <wolfssl/wolfcrypt/signature.h>

#include <algorithm>
#include <array>
#include <optional>

#include "ringpost/base/check.h"
#include "ringpost/base/der.h"

namespace ringpost {
namespace {

using namespace std::string_view_literals;

constexpr int kRsaBytesMin = 2048 / 8;
constexpr int kRsaBytesMax = 4096 / 8;  // what our wolfSSL is built for

enum class Scheme : std::uint8_t { kRsaPkcs1, kRsaPss, kEcdsa };

struct Algorithm {
  Scheme scheme;
  wc_HashType hash;
};

// Object identifiers without tag and length.
constexpr std::string_view kPkcs1Arc = "\x2a\x86\x48\x86\xf7\x0d\x01\x01"sv;  // 1.2.840.113549.1.1
constexpr std::string_view kEcdsaArc = "\x2a\x86\x48\xce\x3d\x04\x03"sv;      // 1.2.840.10045.4.3
constexpr std::string_view kHashArc = "\x60\x86\x48\x01\x65\x03\x04\x02"sv;  // 2.16.840.1.101.3.4.2

const unsigned char* Octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
word32 Size(std::string_view text) { return static_cast<word32>(text.size()); }

// The last octet of an identifier in this arc, -1 for one that is not.
int LeafOf(std::string_view arc, std::string_view object_id) {
  return object_id.size() == arc.size() + 1 && object_id.starts_with(arc)
             ? static_cast<unsigned char>(object_id.back())
             : -1;
}

bool IsAbsentOrNull(DerReader& reader) {
  if (const DerItem null = reader.TakeIf(kDerNull); null.tag != 0 && !null.content.empty()) {
    return false;
  }
  return reader.finished();
}

std::optional<wc_HashType> HashOf(std::string_view identifier) {
  DerReader reader(identifier);
  const int leaf = LeafOf(kHashArc, reader.Take(kDerObjectId).content);
  if (!IsAbsentOrNull(reader)) {
    return std::nullopt;
  }
  switch (leaf) {
    case 1:
      return WC_HASH_TYPE_SHA256;
    case 2:
      return WC_HASH_TYPE_SHA384;
    case 3:
      return WC_HASH_TYPE_SHA512;
    default:
      return std::nullopt;  // also SHA-1, which is the default of RSASSA-PSS
  }
}

// RFC 4055 3.1: hash, mask generation with the same hash, a salt as long as the hash.
std::optional<Algorithm> ReadPss(DerReader& reader) {
  constexpr unsigned kMaskLeaf = 8;
  DerReader fields(reader.Take(kDerSequence).content);
  DerReader hash_field(fields.Take(DerContextConstructed(0)).content);
  DerReader mask_field(fields.Take(DerContextConstructed(1)).content);
  DerReader salt_field(fields.Take(DerContextConstructed(2)).content);
  if (const DerItem trailer = fields.TakeIf(DerContextConstructed(3));
      trailer.tag != 0 && trailer.content != "\x02\x01\x01"sv) {
    return std::nullopt;
  }
  const std::optional<wc_HashType> hash = HashOf(hash_field.Take(kDerSequence).content);
  DerReader mask(mask_field.Take(kDerSequence).content);
  const int mask_leaf = LeafOf(kPkcs1Arc, mask.Take(kDerObjectId).content);
  const std::optional<wc_HashType> mask_hash = HashOf(mask.Take(kDerSequence).content);
  const std::optional<std::int32_t> salt = DerSmallInteger(salt_field.Take(kDerInteger).content);
  if (!reader.finished() || !fields.finished() || !hash_field.finished() ||
      !mask_field.finished() || !salt_field.finished() || !mask.finished() || !hash.has_value() ||
      mask_leaf != kMaskLeaf || mask_hash != hash || salt != wc_HashGetDigestSize(*hash)) {
    return std::nullopt;
  }
  return Algorithm{Scheme::kRsaPss, *hash};
}

std::optional<Algorithm> ReadAlgorithm(std::string_view identifier) {
  DerReader outer(identifier);
  DerReader reader(outer.Take(kDerSequence).content);
  const std::string_view object_id = reader.Take(kDerObjectId).content;
  if (LeafOf(kPkcs1Arc, object_id) == 10) {
    return ReadPss(reader);
  }
  if (!IsAbsentOrNull(reader)) {
    return std::nullopt;
  }
  switch (LeafOf(kPkcs1Arc, object_id)) {
    case 11:
      return Algorithm{Scheme::kRsaPkcs1, WC_HASH_TYPE_SHA256};
    case 12:
      return Algorithm{Scheme::kRsaPkcs1, WC_HASH_TYPE_SHA384};
    case 13:
      return Algorithm{Scheme::kRsaPkcs1, WC_HASH_TYPE_SHA512};
    default:
      break;
  }
  switch (LeafOf(kEcdsaArc, object_id)) {
    case 2:
      return Algorithm{Scheme::kEcdsa, WC_HASH_TYPE_SHA256};
    case 3:
      return Algorithm{Scheme::kEcdsa, WC_HASH_TYPE_SHA384};
    case 4:
      return Algorithm{Scheme::kEcdsa, WC_HASH_TYPE_SHA512};
    default:
      return std::nullopt;
  }
}

class RsaPublicKey {
 public:
  explicit RsaPublicKey(std::string_view info) {
    word32 index = 0;
    valid_ = wc_InitRsaKey(&key_, nullptr) == 0 &&
             wc_RsaPublicKeyDecode(Octets(info), &index, &key_, Size(info)) == 0;
  }
  ~RsaPublicKey() { wc_FreeRsaKey(&key_); }
  RsaPublicKey(const RsaPublicKey&) = delete;
  RsaPublicKey& operator=(const RsaPublicKey&) = delete;

  [[nodiscard]] bool strong() const {
    const int size = valid_ ? wc_RsaEncryptSize(&key_) : 0;
    return size >= kRsaBytesMin && size <= kRsaBytesMax;
  }
  RsaKey* get() { return &key_; }

 private:
  RsaKey key_{};
  bool valid_ = false;
};

class EccPublicKey {
 public:
  explicit EccPublicKey(std::string_view info) {
    word32 index = 0;
    valid_ = wc_ecc_init(&key_) == 0 &&
             wc_EccPublicKeyDecode(Octets(info), &index, &key_, Size(info)) == 0;
  }
  ~EccPublicKey() { wc_ecc_free(&key_); }
  EccPublicKey(const EccPublicKey&) = delete;
  EccPublicKey& operator=(const EccPublicKey&) = delete;

  [[nodiscard]] bool strong() {
    if (!valid_) {
      return false;
    }
    const int curve = wc_ecc_get_curve_id(key_.idx);
    return curve == ECC_SECP256R1 || curve == ECC_SECP384R1 || curve == ECC_SECP521R1;
  }
  ecc_key* get() { return &key_; }

 private:
  ecc_key key_{};
  bool valid_ = false;
};

SignatureVerdict Verdict(bool good) {
  return good ? SignatureVerdict::kGood : SignatureVerdict::kBad;
}

SignatureVerdict CheckPss(wc_HashType hash, std::string_view message, std::string_view signature,
                          RsaKey* key) {
  std::array<unsigned char, WC_MAX_DIGEST_SIZE> digest;
  std::array<unsigned char, kRsaBytesMax> scratch;
  const auto digest_size = static_cast<word32>(wc_HashGetDigestSize(hash));
  if (wc_Hash(hash, Octets(message), Size(message), digest.data(), digest_size) != 0) {
    return SignatureVerdict::kBad;
  }
  const int mask = hash == WC_HASH_TYPE_SHA256   ? WC_MGF1SHA256
                   : hash == WC_HASH_TYPE_SHA384 ? WC_MGF1SHA384
                                                 : WC_MGF1SHA512;
  return Verdict(wc_RsaPSS_VerifyCheck(Octets(signature), Size(signature), scratch.data(),
                                       static_cast<word32>(scratch.size()), digest.data(),
                                       digest_size, hash, mask, key) > 0);
}

enum class KeyKind : std::uint8_t { kRsa, kEcc, kOther };

KeyKind KindOf(std::string_view public_key) {
  constexpr std::string_view kEccKey = "\x2a\x86\x48\xce\x3d\x02\x01"sv;  // 1.2.840.10045.2.1
  DerReader outer(public_key);
  DerReader info(outer.Take(kDerSequence).content);
  DerReader algorithm(info.Take(kDerSequence).content);
  const std::string_view object_id = algorithm.Take(kDerObjectId).content;
  if (LeafOf(kPkcs1Arc, object_id) == 1) {
    return KeyKind::kRsa;
  }
  return object_id == kEccKey ? KeyKind::kEcc : KeyKind::kOther;
}

}  // namespace

SignatureVerdict CheckSignature(std::string_view algorithm, std::string_view message,
                                std::string_view signature, std::string_view public_key) {
  const std::optional<Algorithm> read = ReadAlgorithm(algorithm);
  if (!read.has_value()) {
    return SignatureVerdict::kWeak;
  }
  const KeyKind kind = KindOf(public_key);
  if (kind == KeyKind::kOther) {
    return SignatureVerdict::kWeak;
  }
  if ((kind == KeyKind::kEcc) != (read->scheme == Scheme::kEcdsa)) {
    return SignatureVerdict::kBad;
  }
  if (read->scheme == Scheme::kEcdsa) {
    EccPublicKey key(public_key);
    if (!key.strong()) {
      return SignatureVerdict::kWeak;
    }
    return Verdict(wc_SignatureVerify(read->hash, WC_SIGNATURE_TYPE_ECC, Octets(message),
                                      Size(message), Octets(signature), Size(signature), key.get(),
                                      sizeof(ecc_key)) == 0);
  }
  RsaPublicKey key(public_key);
  if (!key.strong()) {
    return SignatureVerdict::kWeak;
  }
  // RFC 8017 8.1.2 and 8.2.2: as long as the modulus, exactly.
  if (static_cast<int>(signature.size()) != wc_RsaEncryptSize(key.get())) {
    return SignatureVerdict::kBad;
  }
  if (read->scheme == Scheme::kRsaPss) {
    return CheckPss(read->hash, message, signature, key.get());
  }
  return Verdict(wc_SignatureVerify(read->hash, WC_SIGNATURE_TYPE_RSA_W_ENC, Octets(message),
                                    Size(message), Octets(signature), Size(signature), key.get(),
                                    sizeof(RsaKey)) == 0);
}

bool IsStrongAlgorithm(std::string_view algorithm) { return ReadAlgorithm(algorithm).has_value(); }

bool IsTooLongRsaKey(std::string_view public_key) {
  DerReader outer(public_key);
  DerReader info(outer.Take(kDerSequence).content);
  DerReader algorithm(info.Take(kDerSequence).content);
  const int leaf = LeafOf(kPkcs1Arc, algorithm.Take(kDerObjectId).content);
  const std::optional<std::string_view> key = DerBitStringOctets(info.Take(kDerBitString).content);
  if ((leaf != 1 && leaf != 10) || !key.has_value()) {  // rsaEncryption, RSASSA-PSS
    return false;
  }
  DerReader key_reader(*key);
  DerReader numbers(key_reader.Take(kDerSequence).content);
  const std::string_view modulus = numbers.Take(kDerInteger).content;
  const std::size_t zeros = std::min(modulus.find_first_not_of('\0'), modulus.size());
  return modulus.size() - zeros > kRsaBytesMax;
}

bool IsStrongKey(std::string_view public_key) {
  switch (KindOf(public_key)) {
    case KeyKind::kRsa:
      return RsaPublicKey(public_key).strong();
    case KeyKind::kEcc:
      return EccPublicKey(public_key).strong();
    case KeyKind::kOther:
      return false;
  }
  return false;
}

Fingerprint Sha256Of(std::string_view octets) {
  Fingerprint digest{};
  RINGPOST_CHECK(wc_Sha256Hash(Octets(octets), Size(octets), digest.data()) == 0);
  return digest;
}

Sha1Digest Sha1Of(std::string_view octets) {
  Sha1Digest digest{};
  RINGPOST_CHECK(wc_ShaHash(Octets(octets), Size(octets), digest.data()) == 0);
  return digest;
}

}  // namespace ringpost
