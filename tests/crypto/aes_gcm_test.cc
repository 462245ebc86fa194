// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/crypto/aes_gcm.h"

#include <gtest/gtest.h>

#include "ringpost/crypto/tls_library.h"
// The options come first.
#include <wolfssl/wolfcrypt/aes.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

namespace ringpost::test {
namespace {

using Octets = std::vector<unsigned char>;

Octets Counting(std::size_t size, unsigned char first) {
  Octets octets(size);
  std::iota(octets.begin(), octets.end(), first);
  return octets;
}

// wolfSSL's own code, without the device.
class Reference {
 public:
  explicit Reference(const Octets& key) {
    EXPECT_EQ(wc_AesInit(&aes_, nullptr, INVALID_DEVID), 0);
    EXPECT_EQ(wc_AesGcmSetKey(&aes_, key.data(), static_cast<word32>(key.size())), 0);
  }
  ~Reference() { wc_AesFree(&aes_); }
  Reference(const Reference&) = delete;
  Reference& operator=(const Reference&) = delete;

  Octets Seal(const Octets& text, const Octets& nonce, const Octets& associated, Octets* tag) {
    Octets sealed(text.size());
    tag->resize(kGcmTagBytes);
    EXPECT_EQ(
        wc_AesGcmEncrypt(&aes_, sealed.data(), text.data(), static_cast<word32>(text.size()),
                         nonce.data(), static_cast<word32>(nonce.size()), tag->data(), kGcmTagBytes,
                         associated.data(), static_cast<word32>(associated.size())),
        0);
    return sealed;
  }

 private:
  Aes aes_{};
};

struct Sample {
  Octets key;
  Octets nonce;
  Octets associated;
  Octets text;
  Octets sealed;
  Octets tag;

  Sample(std::size_t key_bytes, std::size_t text_bytes)
      : key(Counting(key_bytes, static_cast<unsigned char>(text_bytes))),
        nonce(Counting(kGcmNonceBytes, static_cast<unsigned char>(text_bytes >> 3))),
        associated(Counting(text_bytes % 3 == 0 ? 13 : 5, 7)),  // of TLS 1.2; of TLS 1.3
        text(Counting(text_bytes, 1)) {
    Reference reference(key);
    sealed = reference.Seal(text, nonce, associated, &tag);
  }

  [[nodiscard]] GcmCall Call(std::span<const unsigned char> in, unsigned char* out) const {
    return {.key = key, .nonce = nonce.data(), .associated = associated, .in = in, .out = out};
  }
};

class AesGcmTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(TlsLibraryStart());
    if (!AesGcmAvailable()) {
      GTEST_SKIP() << "this CPU has no VAES in 512 bits: wolfSSL's own code is used";
    }
  }
};

constexpr std::array<std::size_t, 2> kKeySizes = {16, 32};

// Every length up to four vectors of eight blocks, then around those of records.
std::vector<std::size_t> TextSizes() {
  std::vector<std::size_t> sizes(1200);
  std::iota(sizes.begin(), sizes.end(), 1);
  for (const std::size_t size : {2048, 4096, 16383, 16384, 16385, 16640, 1 << 16}) {
    sizes.push_back(size);
  }
  return sizes;
}

TEST_F(AesGcmTest, SealsAsWolfsslDoes) {
  for (const std::size_t key_bytes : kKeySizes) {
    for (const std::size_t size : TextSizes()) {
      const Sample sample(key_bytes, size);
      Octets out(size + 1, 0xee);
      Octets tag(kGcmTagBytes);
      ASSERT_TRUE(AesGcmSeal(sample.Call(sample.text, out.data()), tag.data()));
      ASSERT_EQ(out.back(), 0xee) << size;
      out.pop_back();
      ASSERT_EQ(out, sample.sealed) << size;
      ASSERT_EQ(tag, sample.tag) << size;
    }
  }
}

TEST_F(AesGcmTest, OpensInPlace) {
  for (const std::size_t key_bytes : kKeySizes) {
    for (const std::size_t size : TextSizes()) {
      const Sample sample(key_bytes, size);
      Octets octets = sample.sealed;
      ASSERT_EQ(AesGcmOpen(sample.Call(octets, octets.data()), sample.tag.data()), GcmOpened::kYes);
      ASSERT_EQ(octets, sample.text) << size;
    }
  }
}

TEST_F(AesGcmTest, OpensInPieces) {
  for (const std::size_t key_bytes : kKeySizes) {
    for (const std::size_t size : {1, 15, 16, 17, 1000, 16385, 16624}) {
      const Sample sample(key_bytes, size);
      for (const std::size_t cut : {std::size_t{0}, size / 3, size - 1, size}) {
        for (const std::size_t in_first : {std::size_t{0}, size / 2, size - 1, size}) {
          const std::string_view sealed(reinterpret_cast<const char*>(sample.sealed.data()), size);
          const std::array pieces = {sealed.substr(0, cut), sealed.substr(cut)};
          Octets out(size);
          const std::span<unsigned char> first = std::span(out).first(in_first);
          Octets rest(size - in_first);
          ASSERT_EQ(
              AesGcmOpenPieces(sample.Call({}, nullptr), pieces, first, rest, sample.tag.data()),
              GcmOpened::kYes);
          std::copy(rest.begin(), rest.end(), out.begin() + static_cast<long>(in_first));
          ASSERT_EQ(out, sample.text) << size << ' ' << cut << ' ' << in_first;
          Octets tag = sample.tag;
          tag.back() ^= 1;
          ASSERT_EQ(AesGcmOpenPieces(sample.Call({}, nullptr), pieces, first, rest, tag.data()),
                    GcmOpened::kForged);
          ASSERT_EQ(std::count(first.begin(), first.end(), 0), static_cast<long>(first.size()));
          ASSERT_EQ(std::count(rest.begin(), rest.end(), 0), static_cast<long>(rest.size()));
        }
      }
      Octets small(size - 1);
      const std::array pieces = {
          std::string_view(reinterpret_cast<const char*>(sample.sealed.data()), size)};
      EXPECT_EQ(AesGcmOpenPieces(sample.Call({}, nullptr), pieces, small, {}, sample.tag.data()),
                GcmOpened::kUnsupported);
    }
  }
}

TEST_F(AesGcmTest, GivesNothingOfAForgedText) {
  for (const std::size_t key_bytes : kKeySizes) {
    for (const std::size_t size : {1, 16, 2048, 16384}) {
      const Sample sample(key_bytes, size);
      const Octets zeros(size);
      for (std::size_t bit = 0; bit < 8 * kGcmTagBytes; ++bit) {
        Octets out(size, 0xee);
        Octets tag = sample.tag;
        tag[bit / 8] ^= static_cast<unsigned char>(1U << bit % 8);
        ASSERT_EQ(AesGcmOpen(sample.Call(sample.sealed, out.data()), tag.data()),
                  GcmOpened::kForged);
        ASSERT_EQ(out, zeros);
      }
      Octets sealed = sample.sealed;
      sealed.back() ^= 0x80;
      Octets out(size, 0xee);
      EXPECT_EQ(AesGcmOpen(sample.Call(sealed, out.data()), sample.tag.data()), GcmOpened::kForged);
      EXPECT_EQ(out, zeros);
      Sample other = sample;
      other.associated.front() ^= 1;
      EXPECT_EQ(AesGcmOpen(other.Call(sample.sealed, out.data()), sample.tag.data()),
                GcmOpened::kForged);
    }
  }
}

TEST_F(AesGcmTest, LeavesOtherCallsToWolfssl) {
  Sample sample(16, 4096);
  Octets out(1 << 17, 0xee);
  const Octets untouched = out;
  for (const std::size_t key_bytes : {0, 15, 24, 33}) {
    sample.key = Counting(key_bytes, 1);
    Octets tag(kGcmTagBytes, 0xee);
    EXPECT_FALSE(AesGcmSeal(sample.Call(sample.text, out.data()), tag.data()));
    EXPECT_EQ(AesGcmOpen(sample.Call(sample.sealed, out.data()), tag.data()),
              GcmOpened::kUnsupported);
  }
  sample.key = Counting(16, 1);
  const Octets longer((1 << 16) + 1);
  EXPECT_FALSE(AesGcmSeal(sample.Call(longer, out.data()), out.data()));
  EXPECT_EQ(out, untouched);
}

// By the way that records go: through wolfSSL and its device.
TEST_F(AesGcmTest, IsWolfsslsDevice) {
  ASSERT_NE(TlsCryptoDevice(), INVALID_DEVID);
  for (const std::size_t key_bytes : kKeySizes) {
    for (const std::size_t size : {1, 2047, 2048, 2049, 16384}) {
      Sample sample(key_bytes, size);
      Aes aes{};
      ASSERT_EQ(wc_AesInit(&aes, nullptr, TlsCryptoDevice()), 0);
      ASSERT_EQ(wc_AesGcmSetKey(&aes, sample.key.data(), static_cast<word32>(key_bytes)), 0);
      Octets octets = sample.sealed;
      const auto open = [&] {
        return wc_AesGcmDecrypt(&aes, octets.data(), octets.data(), static_cast<word32>(size),
                                sample.nonce.data(), kGcmNonceBytes, sample.tag.data(),
                                kGcmTagBytes, sample.associated.data(),
                                static_cast<word32>(sample.associated.size()));
      };
      EXPECT_EQ(open(), 0);
      EXPECT_EQ(octets, sample.text);
      sample.tag[3] ^= 1;
      EXPECT_EQ(open(), AES_GCM_AUTH_E);
      wc_AesFree(&aes);
    }
  }
}

}  // namespace
}  // namespace ringpost::test
