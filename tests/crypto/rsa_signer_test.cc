// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/crypto/rsa_signer.h"

#include <gtest/gtest.h>

#include "../tls/tls_fixture.h"
#include "certificate.h"
#include "ringpost/crypto/tls_library.h"
// The options come first.
#include <wolfssl/wolfcrypt/rsa.h>

#include <array>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace ringpost::test {
namespace {

using Octets = std::vector<unsigned char>;

// Made on first use; in PKCS #8, or in PKCS #1 as older tools write it.
const TlsCertificatePem& RsaPem(int bits, bool pkcs1 = false) {
  static std::map<std::pair<int, bool>, TlsCertificatePem> made;
  TlsCertificatePem& pem = made[{bits, pkcs1}];
  if (pem.key_path.empty()) {
    const std::string base = TemporaryFolder() + "/signer" + std::to_string(bits);
    RunCommand("test -e " + base + ".key || openssl genpkey -algorithm RSA -pkeyopt " +
               "rsa_keygen_bits:" + std::to_string(bits) + " -out " + base + ".key 2>/dev/null");
    RunCommand("openssl rsa -traditional -in " + base + ".key -out " + base +
               ".pkcs1.key 2>/dev/null");
    pem.key_path = base + (pkcs1 ? ".pkcs1.key" : ".key");
    pem.key_pem = Secret(ReadFile(pem.key_path));
  }
  return pem;
}

// wolfSSL's view of the same key, to verify with.
class Verifier {
 public:
  explicit Verifier(const Secret& der) {
    EXPECT_EQ(wc_InitRsaKey(&key_, nullptr), 0);
    word32 index = 0;
    EXPECT_EQ(wc_RsaPrivateKeyDecode(reinterpret_cast<const unsigned char*>(der.view().data()),
                                     &index, &key_, static_cast<word32>(der.view().size())),
              0);
  }
  ~Verifier() { wc_FreeRsaKey(&key_); }
  Verifier(const Verifier&) = delete;
  Verifier& operator=(const Verifier&) = delete;

  bool Pss(Octets signature, const Octets& digest, wc_HashType hash, int mask) {
    Octets opened(signature.size());
    return wc_RsaPSS_VerifyCheck(signature.data(), static_cast<word32>(signature.size()),
                                 opened.data(), static_cast<word32>(opened.size()), digest.data(),
                                 static_cast<word32>(digest.size()), hash, mask, &key_) > 0;
  }
  Octets Pkcs1(const Octets& signature) {
    Octets opened(signature.size());
    const int size = wc_RsaSSL_Verify(signature.data(), static_cast<word32>(signature.size()),
                                      opened.data(), static_cast<word32>(opened.size()), &key_);
    opened.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return opened;
  }

 private:
  RsaKey key_{};
};

Octets Counting(std::size_t size) {
  Octets octets(size);
  std::iota(octets.begin(), octets.end(), static_cast<unsigned char>(1));
  return octets;
}

TEST(RsaSignerTest, WolfsslVerifies) {
  struct Hash {
    std::size_t bytes;
    wc_HashType type;
    int mask;
  };
  const std::array<Hash, 3> hashes = {{{32, WC_HASH_TYPE_SHA256, WC_MGF1SHA256},
                                       {48, WC_HASH_TYPE_SHA384, WC_MGF1SHA384},
                                       {64, WC_HASH_TYPE_SHA512, WC_MGF1SHA512}}};
  for (const int bits : {2048, 3072, 4096}) {
    for (const bool pkcs1 : {false, true}) {
      SCOPED_TRACE(std::to_string(bits) + (pkcs1 ? " PKCS #1" : " PKCS #8"));
      const Secret der = ReadKeyDer(RsaPem(bits, pkcs1));
      const auto signer = RsaSigner::Make(der.view());
      ASSERT_NE(signer, nullptr);
      Verifier verifier(der);
      const std::size_t size = static_cast<std::size_t>(bits) / 8;
      Octets signature(size + 100, 0xee);
      for (const Hash& hash : hashes) {
        Octets digest = Counting(hash.bytes);
        ASSERT_EQ(signer->SignPss(digest, signature), size);
        EXPECT_EQ(signature[size], 0xee);
        const Octets exact(signature.begin(), signature.begin() + static_cast<long>(size));
        EXPECT_TRUE(verifier.Pss(exact, digest, hash.type, hash.mask));
        digest[0] ^= 1;
        EXPECT_FALSE(verifier.Pss(exact, digest, hash.type, hash.mask));
      }
      const Octets info = Counting(51);
      ASSERT_EQ(signer->SignPkcs1(info, signature), size);
      EXPECT_EQ(
          verifier.Pkcs1(Octets(signature.begin(), signature.begin() + static_cast<long>(size))),
          info);
    }
  }
}

TEST(RsaSignerTest, SaltsEverySignature) {
  const auto signer = RsaSigner::Make(ReadKeyDer(RsaPem(2048)).view());
  ASSERT_NE(signer, nullptr);
  Octets first(256);
  Octets second(256);
  ASSERT_EQ(signer->SignPss(Counting(32), first), 256U);
  ASSERT_EQ(signer->SignPss(Counting(32), second), 256U);
  EXPECT_NE(first, second);
}

TEST(RsaSignerTest, RefusesWhatItCannotSign) {
  const auto signer = RsaSigner::Make(ReadKeyDer(RsaPem(2048)).view());
  ASSERT_NE(signer, nullptr);
  Octets signature(256, 0xee);
  for (const std::size_t bytes : {0U, 20U, 31U, 33U, 65U}) {
    EXPECT_EQ(signer->SignPss(Counting(bytes), signature), 0U) << bytes;
  }
  EXPECT_EQ(signer->SignPkcs1(Counting(246), signature), 0U);  // padding needs 11 octets
  Octets small(255, 0xee);
  EXPECT_EQ(signer->SignPss(Counting(32), small), 0U);
  EXPECT_EQ(signer->SignPkcs1(Counting(51), small), 0U);
  EXPECT_EQ(small, Octets(255, 0xee));
  EXPECT_EQ(signer->SignPss(Counting(32), {}), 0U);
  EXPECT_EQ(signer->SignPkcs1(Counting(51), {}), 0U);
  // And goes on.
  EXPECT_EQ(signer->SignPkcs1(Counting(245), signature), 256U);
}

TEST(RsaSignerTest, RefusesOtherKeys) {
  const std::string good(ReadKeyDer(RsaPem(2048)).view());
  EXPECT_EQ(RsaSigner::Make(""), nullptr);
  EXPECT_EQ(RsaSigner::Make("no key"), nullptr);
  EXPECT_EQ(RsaSigner::Make(good.substr(0, good.size() - 1)), nullptr);
  EXPECT_EQ(RsaSigner::Make(good + '\0'), nullptr);
  std::string more_primes = good;  // its version follows two headers
  ASSERT_EQ(more_primes.substr(4, 3), std::string("\x02\x01\x00", 3));
  more_primes[6] = '\x01';
  EXPECT_EQ(RsaSigner::Make(more_primes), nullptr);
  EXPECT_EQ(RsaSigner::Make(ReadKeyDer(Certificate("ecdsa")).view()), nullptr);
}

TEST(RsaSignerTest, ReadsNoNegativeNumbers) {
  std::string negative(ReadKeyDer(RsaPem(2048)).view());
  // 30 82 xx xx 02 01 00 02 82 01 01 00 N...: without the zero in front, N is negative.
  ASSERT_EQ(negative.substr(7, 5), std::string("\x02\x82\x01\x01\x00", 5));
  negative.erase(11, 1);
  negative[10] = '\x00';
  const std::size_t length = negative.size() - 4;
  negative[2] = static_cast<char>(length >> 8);
  negative[3] = static_cast<char>(length & 0xff);
  EXPECT_EQ(RsaSigner::Make(negative), nullptr);
}

}  // namespace
}  // namespace ringpost::test
