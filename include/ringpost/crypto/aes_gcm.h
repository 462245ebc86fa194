// SPDX-License-Identifier: GPL-3.0-or-later
//
// AES-GCM for the records of TLS, by intel-ipsec-mb: on a CPU with VAES and VPCLMULQDQ in 512 bits
// it needs a fifth of the time that wolfSSL's code for AES-NI takes for a full record
// (bench/NOTES.md). Our record layer uses it, and wolfSSL asks for it through a crypto callback;
// where the CPU has less, or the library is not there for it, wolfSSL's own code is used instead.
//
// Holds no key: the key schedule is made for each record (0.1 µs, where an idle session would
// otherwise have 2 KB of it) and wiped after it.
#ifndef RINGPOST_CRYPTO_AES_GCM_H_
#define RINGPOST_CRYPTO_AES_GCM_H_

#include <cstddef>
#include <span>
#include <string_view>

namespace ringpost {

constexpr std::size_t kGcmNonceBytes = 12;
constexpr std::size_t kGcmTagBytes = 16;
// More than any record. NIST SP 800-38D 5.2.1.1 would allow 2^36 - 32.
constexpr std::size_t kGcmTextBytesMax = 1 << 16;

struct GcmCall {
  std::span<const unsigned char> key;  // 16 or 32 octets
  const unsigned char* nonce;          // kGcmNonceBytes
  std::span<const unsigned char> associated;
  std::span<const unsigned char> in;
  unsigned char* out;  // as long as `in`; may be `in`
};

// Whether this CPU and this library can. Any thread; the first call takes 2 ms.
[[nodiscard]] bool AesGcmAvailable();

// Only where AesGcmAvailable(). False: the call is not one of those described above, and nothing
// was written.
[[nodiscard]] bool AesGcmSeal(const GcmCall& call, unsigned char* tag);
enum class GcmOpened : unsigned char { kYes, kForged, kUnsupported };
// kForged: `out` is all zeros.
[[nodiscard]] GcmOpened AesGcmOpen(const GcmCall& call, const unsigned char* tag);

// The same of a text that lies in pieces (`call.in` and `call.out` are not looked at). Its first
// octets go to `first`, what that has no room for to `rest`, which must have room for it. kForged:
// all that was written is zeros.
[[nodiscard]] GcmOpened AesGcmOpenPieces(const GcmCall& call,
                                         std::span<const std::string_view> pieces,
                                         std::span<unsigned char> first,
                                         std::span<unsigned char> rest, const unsigned char* tag);

}  // namespace ringpost

#endif  // RINGPOST_CRYPTO_AES_GCM_H_
