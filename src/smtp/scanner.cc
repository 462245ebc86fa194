// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/smtp/scanner.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "ringpost/base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define RINGPOST_SCANNER_AVX2 1
#else
#define RINGPOST_SCANNER_AVX2 0
#endif

namespace ringpost {
namespace {

constexpr char kCr = '\r';
constexpr char kLf = '\n';

// How the vector versions see it: with a = content[i], b = content[i + 1], c = content[i + 2], the
// triple at i needs thought if (a is CR) != (b is LF), or if b is LF and c is '.'. Three unaligned
// loads look at one vector's worth of triples, and nothing is carried from one vector to the next.
constexpr std::size_t kLookAhead = 2;

// Where in a triple that needs thought the octet itself is.
std::size_t PositionInTriple(const char* triple) {
  if (triple[0] == kCr && triple[1] != kLf) return 0;
  if (triple[0] != kCr && triple[1] == kLf) return 1;
  return 2;
}

// The definition, octet by octet, from `position` on.
std::size_t ScanFrom(std::string_view content, std::size_t position) {
  for (std::size_t i = position; i < content.size(); ++i) {
    const char c = content[i];
    if (c == kCr) {
      if (i + 1 == content.size() || content[i + 1] != kLf) return i;
    } else if (c == kLf) {
      if (i == 0 || content[i - 1] != kCr) return i;
    } else if (c == '.') {
      if (i > 0 && content[i - 1] == kLf) return i;
    }
  }
  return content.size();
}

// 16 octets fit the baseline of x86-64 (SSE2) and aarch64 (NEON); elsewhere the compiler splits
// them.
using Vector = std::uint8_t __attribute__((vector_size(16)));

Vector Load(const char* at) {
  Vector vector;
  std::memcpy(&vector, at, sizeof vector);
  return vector;
}

Vector Triples(const char* at) {
  const auto cr = Load(at) == static_cast<std::uint8_t>(kCr);
  const auto lf = Load(at + 1) == static_cast<std::uint8_t>(kLf);
  const auto dot = Load(at + 2) == static_cast<std::uint8_t>('.');
  return reinterpret_cast<Vector>((cr ^ lf) | (lf & dot));
}

bool Any(Vector vector) {
  std::array<std::uint64_t, 2> halves;
  static_assert(sizeof halves == sizeof vector);
  std::memcpy(halves.data(), &vector, sizeof vector);
  return (halves[0] | halves[1]) != 0;
}

std::size_t ScanPortable(std::string_view content) {
  if (!content.empty() && content.front() == kLf) return 0;
  constexpr std::size_t kStride = 4 * sizeof(Vector);
  const char* const data = content.data();
  std::size_t i = 0;
  for (; i + kStride + kLookAhead <= content.size(); i += kStride) {
    const char* const at = data + i;
    const Vector found = (Triples(at) | Triples(at + 16)) | (Triples(at + 32) | Triples(at + 48));
    // Lines that begin with a dot are rare: finding the place may be slow.
    if (Any(found)) [[unlikely]]
      return ScanFrom(content, i);
  }
  return ScanFrom(content, i);
}

#if RINGPOST_SCANNER_AVX2
#define RINGPOST_TARGET_AVX2 __attribute__((target("avx2"), always_inline)) inline

RINGPOST_TARGET_AVX2 __m256i LoadAvx2(const char* at) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}

RINGPOST_TARGET_AVX2 __m256i TriplesAvx2(const char* at) {
  const __m256i cr = _mm256_cmpeq_epi8(LoadAvx2(at), _mm256_set1_epi8(kCr));
  const __m256i lf = _mm256_cmpeq_epi8(LoadAvx2(at + 1), _mm256_set1_epi8(kLf));
  const __m256i dot = _mm256_cmpeq_epi8(LoadAvx2(at + 2), _mm256_set1_epi8('.'));
  return _mm256_or_si256(_mm256_xor_si256(cr, lf), _mm256_and_si256(lf, dot));
}

RINGPOST_TARGET_AVX2 std::uint64_t MaskAvx2(__m256i vector) {
  return static_cast<std::uint32_t>(_mm256_movemask_epi8(vector));
}

__attribute__((target("avx2"))) std::size_t ScanAvx2(std::string_view content) {
  if (!content.empty() && content.front() == kLf) return 0;
  constexpr std::size_t kStride = 128;
  const char* const data = content.data();
  std::size_t i = 0;
  for (; i + kStride + kLookAhead <= content.size(); i += kStride) {
    const char* const at = data + i;
    const __m256i first = TriplesAvx2(at);
    const __m256i second = TriplesAvx2(at + 32);
    const __m256i third = TriplesAvx2(at + 64);
    const __m256i fourth = TriplesAvx2(at + 96);
    const __m256i found =
        _mm256_or_si256(_mm256_or_si256(first, second), _mm256_or_si256(third, fourth));
    if (_mm256_testz_si256(found, found) != 0) [[likely]]
      continue;
    const std::uint64_t low = MaskAvx2(first) | MaskAvx2(second) << 32;
    const std::uint64_t high = MaskAvx2(third) | MaskAvx2(fourth) << 32;
    const std::size_t triple = i + static_cast<std::size_t>(low != 0 ? std::countr_zero(low)
                                                                     : 64 + std::countr_zero(high));
    return triple + PositionInTriple(data + triple);
  }
  return ScanFrom(content, i);
}
#endif

using ScanFunction = std::size_t (*)(std::string_view);

ScanFunction ChooseScan() {
#if RINGPOST_SCANNER_AVX2
  if (ScannerSupported(ScannerVersion::kAvx2)) return ScanAvx2;
#endif
  return ScanPortable;
}

const ScanFunction kScanChosen = ChooseScan();

}  // namespace

std::size_t ScanContent(std::string_view content) { return kScanChosen(content); }

bool ScannerSupported(ScannerVersion version) {
  if (version == ScannerVersion::kPortable) return true;
#if RINGPOST_SCANNER_AVX2
  __builtin_cpu_init();  // this may run before the constructors that would call it
  return __builtin_cpu_supports("avx2") != 0;
#else
  return false;
#endif
}

std::size_t ScanContentWith(ScannerVersion version, std::string_view content) {
  RINGPOST_CHECK(ScannerSupported(version));
#if RINGPOST_SCANNER_AVX2
  if (version == ScannerVersion::kAvx2) return ScanAvx2(content);
#endif
  return ScanPortable(content);
}

}  // namespace ringpost
