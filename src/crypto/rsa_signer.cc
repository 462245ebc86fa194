// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/crypto/rsa_signer.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <string>
#include <utility>

#include "ringpost/base/der.h"
#include "ringpost/base/secret.h"

namespace ringpost {
namespace {

// RSAPrivateKey: its version, then these.
constexpr std::array kNumbers = {OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
                                 OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
                                 OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
                                 OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};

struct PssHash {
  const EVP_MD* (*hash)();
  std::size_t bytes;
};
constexpr std::array<PssHash, 3> kPssHashes = {
    {{&EVP_sha256, 32}, {&EVP_sha384, 48}, {&EVP_sha512, 64}}};

// libcrypto reports errors in a queue of the thread, which is nobody's to read but ours.
bool Succeeded(int result) {
  if (result > 0) {
    return true;
  }
  ERR_clear_error();
  return false;
}

std::size_t Sign(EVP_PKEY_CTX* operation, std::span<const unsigned char> text,
                 std::span<unsigned char> signature) {
  if (signature.empty()) {
    return 0;  // without a buffer libcrypto would only tell the size
  }
  std::size_t bytes = signature.size();
  return Succeeded(EVP_PKEY_sign(operation, signature.data(), &bytes, text.data(), text.size()))
             ? bytes
             : 0;
}

}  // namespace

void RsaSigner::FreeKey::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

void RsaSigner::FreeOperation::operator()(EVP_PKEY_CTX* operation) const {
  EVP_PKEY_CTX_free(operation);
}

// By numbers rather than by libcrypto's own reader, whose buffers would keep the key.
RsaSigner::Key RsaSigner::ReadKey(std::string_view der) {
  DerReader whole(der);
  DerReader sequence(whole.Take(kDerSequence).content);
  bool usable = DerSmallInteger(sequence.Take(kDerInteger).content) == 0;  // two primes
  std::array<Secret, kNumbers.size()> numbers;  // least significant octet first
  std::array<OSSL_PARAM, kNumbers.size() + 1> parameters{};
  for (std::size_t i = 0; i < kNumbers.size(); ++i) {
    const std::string_view number = sequence.Take(kDerInteger).content;
    usable =
        usable && !number.empty() && (number.front() & '\x80') == 0;  // X.690 8.3: not negative
    numbers[i] = Secret(std::string(number.rbegin(), number.rend()));
    // OSSL_PARAM has no const; an import only reads.
    auto* const octets =
        reinterpret_cast<unsigned char*>(const_cast<char*>(numbers[i].view().data()));
    parameters[i] = OSSL_PARAM_construct_BN(kNumbers[i], octets, number.size());
  }
  parameters.back() = OSSL_PARAM_construct_end();
  if (!usable || !sequence.finished() || !whole.finished()) {
    return nullptr;
  }
  const Operation import(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  if (import == nullptr || !Succeeded(EVP_PKEY_fromdata_init(import.get())) ||
      !Succeeded(EVP_PKEY_fromdata(import.get(), &key, EVP_PKEY_KEYPAIR, parameters.data()))) {
    ERR_clear_error();
    return nullptr;
  }
  return Key(key);
}

bool RsaSigner::Prepare(Key key) {
  const auto signing = [&](int padding) {
    Operation operation(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
    const bool ok = operation != nullptr && Succeeded(EVP_PKEY_sign_init(operation.get())) &&
                    Succeeded(EVP_PKEY_CTX_set_rsa_padding(operation.get(), padding));
    return ok ? std::move(operation) : nullptr;
  };
  pkcs1_ = signing(RSA_PKCS1_PADDING);
  bool ok = pkcs1_ != nullptr;
  for (std::size_t i = 0; i < pss_.size(); ++i) {
    pss_[i] = signing(RSA_PKCS1_PSS_PADDING);
    ok = ok && pss_[i] != nullptr &&
         Succeeded(EVP_PKEY_CTX_set_signature_md(pss_[i].get(), kPssHashes[i].hash())) &&
         Succeeded(EVP_PKEY_CTX_set_rsa_pss_saltlen(pss_[i].get(), RSA_PSS_SALTLEN_DIGEST));
  }
  return ok;
}

std::unique_ptr<RsaSigner> RsaSigner::Make(std::string_view key) {
  Key read = ReadKey(key);
  std::unique_ptr<RsaSigner> signer(new RsaSigner);
  return read != nullptr && signer->Prepare(std::move(read)) ? std::move(signer) : nullptr;
}

std::size_t RsaSigner::SignPss(std::span<const unsigned char> digest,
                               std::span<unsigned char> signature) {
  const auto hash = std::find_if(kPssHashes.begin(), kPssHashes.end(), [&](const PssHash& known) {
    return known.bytes == digest.size();
  });
  if (hash == kPssHashes.end()) {
    return 0;
  }
  return Sign(pss_[static_cast<std::size_t>(hash - kPssHashes.begin())].get(), digest, signature);
}

std::size_t RsaSigner::SignPkcs1(std::span<const unsigned char> digest_info,
                                 std::span<unsigned char> signature) {
  return Sign(pkcs1_.get(), digest_info, signature);
}

}  // namespace ringpost
