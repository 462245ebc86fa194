// SPDX-License-Identifier: GPL-3.0-or-later
//
// wolfSSL 5.9.2 takes over what another function left in a vector register when it makes a public
// key of X25519. ringpost builds it with a correction
// (subprojects/packagefiles/wolfssl-x25519-first-digit.patch).
#include <gtest/gtest.h>

#include "ringpost/crypto/tls_library.h"
// The options come first.
#include <wolfssl/wolfcrypt/curve25519.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace ringpost::test {
namespace {

#if defined(__x86_64__)

using Key = std::array<unsigned char, CURVE25519_KEYSIZE>;

// All registers of AVX2 full of ones, or of zeros. Not written in C++, because a compiler clears
// their upper halves at the end of a function that uses them.
extern "C" void RingpostTestFillRegisters();
extern "C" void RingpostTestClearRegisters();
asm(R"(
  .text
RingpostTestFillRegisters:
  .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
  vpcmpeqd %ymm\number, %ymm\number, %ymm\number
  .endr
  ret
RingpostTestClearRegisters:
  vzeroall
  ret
)");

Key PublicKey(const Key& private_key) {
  Key made{};
  EXPECT_EQ(wc_curve25519_make_pub(CURVE25519_KEYSIZE, made.data(), CURVE25519_KEYSIZE,
                                   private_key.data()),
            0);
  return made;
}

TEST(X25519, PublicKeysDependOnThePrivateKeyAlone) {
  ASSERT_TRUE(TlsLibraryStart());
  if (__builtin_cpu_supports("avx2") == 0) {
    GTEST_SKIP() << "the correction is to code for AVX2";
  }
  for (unsigned first = 0; first < 256; first += 8) {  // RFC 7748 5: the low three bits are clear
    Key private_key{};
    for (std::size_t i = 0; i < private_key.size(); ++i) {
      private_key[i] = static_cast<unsigned char>(7 * i + 3);
    }
    private_key.front() = static_cast<unsigned char>(first);
    private_key.back() = 0x61;
    RingpostTestClearRegisters();
    const Key expected = PublicKey(private_key);
    RingpostTestFillRegisters();
    EXPECT_EQ(PublicKey(private_key), expected) << first;
  }
}

#endif

}  // namespace
}  // namespace ringpost::test
