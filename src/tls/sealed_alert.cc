// SPDX-License-Identifier: GPL-3.0-or-later
#include "sealed_alert.h"

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/chacha20_poly1305.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "ringpost/crypto/random_octets.h"

namespace ringpost {
namespace {

constexpr unsigned char kTypeAlert = 21;
constexpr std::size_t kHeaderBytes = 5;
constexpr std::size_t kExplicitNonceBytes = 8;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kAlertBytes = 2;

void PutNumber(std::uint64_t value, std::span<unsigned char> to) {
  for (std::size_t i = to.size(); i > 0; --i) {
    to[i - 1] = static_cast<unsigned char>(value);
    value >>= 8;
  }
}

bool SealAesGcm(std::span<const unsigned char> key, std::span<const unsigned char> nonce,
                std::span<const unsigned char> bound, std::span<unsigned char> text,
                std::span<unsigned char> tag) {
  Aes aes;
  if (wc_AesInit(&aes, nullptr, INVALID_DEVID) != 0) {
    return false;
  }
  const bool sealed =
      wc_AesGcmSetKey(&aes, key.data(), static_cast<word32>(key.size())) == 0 &&
      wc_AesGcmEncrypt(&aes, text.data(), text.data(), static_cast<word32>(text.size()),
                       nonce.data(), static_cast<word32>(nonce.size()), tag.data(),
                       static_cast<word32>(tag.size()), bound.data(),
                       static_cast<word32>(bound.size())) == 0;
  wc_AesFree(&aes);
  explicit_bzero(&aes, sizeof(aes));
  return sealed;
}

}  // namespace

SealedAlert SealAlertTls12(WOLFSSL* ssl, TlsAlert alert) {
  SealedAlert out;
  const bool server = wolfSSL_is_server(ssl) != 0;
  const unsigned char* const key =
      server ? wolfSSL_GetServerWriteKey(ssl) : wolfSSL_GetClientWriteKey(ssl);
  const unsigned char* const fixed_nonce =
      server ? wolfSSL_GetServerWriteIV(ssl) : wolfSSL_GetClientWriteIV(ssl);
  const int key_size = wolfSSL_GetKeySize(ssl);
  word64 sequence = 0;
  wolfSSL_GetSequenceNumber(ssl, &sequence);  // its result only tells whether it is zero
  if (key == nullptr || fixed_nonce == nullptr || key_size <= 0) {
    return out;
  }

  const int suite = wolfSSL_get_current_cipher_suite(ssl);
  const bool chacha = suite == 0xcca8 || suite == 0xcca9;
  const std::size_t explicit_bytes = chacha ? 0 : kExplicitNonceBytes;
  const auto octets =
      std::span(reinterpret_cast<unsigned char*>(out.octets.data()), out.octets.size());
  const std::size_t length = explicit_bytes + kAlertBytes + kTagBytes;
  octets[0] = kTypeAlert;
  octets[1] = 3;
  octets[2] = 3;
  PutNumber(length, octets.subspan(3, 2));
  const auto text = octets.subspan(kHeaderBytes + explicit_bytes, kAlertBytes);
  text[0] = 2;  // fatal
  text[1] = static_cast<unsigned char>(alert);
  const auto tag = octets.subspan(kHeaderBytes + explicit_bytes + kAlertBytes, kTagBytes);

  // RFC 5246 6.2.3.3: sequence number, type, version, length of the plaintext.
  std::array<unsigned char, 13> bound;
  PutNumber(sequence, std::span(bound).first(8));
  bound[8] = kTypeAlert;
  bound[9] = 3;
  bound[10] = 3;
  PutNumber(kAlertBytes, std::span(bound).last(2));

  std::array<unsigned char, kNonceBytes> nonce;
  bool sealed = false;
  if (chacha) {
    // RFC 7905 2: the fixed nonce XOR the sequence number.
    std::memcpy(nonce.data(), fixed_nonce, nonce.size());
    for (std::size_t i = 0; i < 8; ++i) {
      nonce[4 + i] ^= bound[i];
    }
    sealed =
        wc_ChaCha20Poly1305_Encrypt(key, nonce.data(), bound.data(), bound.size(), text.data(),
                                    static_cast<word32>(text.size()), text.data(), tag.data()) == 0;
  } else {
    // RFC 5288 3: four fixed octets, eight explicit ones. wolfSSL counts up from a random start; a
    // random value meets one of its own with a chance of 2^-64 times the number of records.
    const auto explicit_nonce = octets.subspan(kHeaderBytes, kExplicitNonceBytes);
    RandomOctets(explicit_nonce);
    std::memcpy(nonce.data(), fixed_nonce, 4);
    std::copy(explicit_nonce.begin(), explicit_nonce.end(), nonce.begin() + 4);
    sealed = SealAesGcm({key, static_cast<std::size_t>(key_size)}, nonce, bound, text, tag);
  }
  out.size = sealed ? kHeaderBytes + length : 0;
  return out;
}

}  // namespace ringpost
