// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/smtp/scanner.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "ringpost/base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define RINGPOST_SCANNER_X86 1
#else
#define RINGPOST_SCANNER_X86 0
#endif

namespace ringpost {
namespace {

constexpr char kCr = '\r';
constexpr char kLf = '\n';

constexpr std::size_t kNowhere = ~std::size_t{0};

bool IsLineEnd(char c) { return c == kCr || c == kLf; }

// How the vector versions see it: with a = content[i], b = content[i + 1], c = content[i + 2], the
// triple at i is marked if (a is CR) != (b is LF), or if b is LF and c is '.'. Three unaligned
// loads look at one vector's worth of triples, and nothing is carried from one vector to the next.
// The octet behind a dot, which decides about it, is looked at only then.
constexpr std::size_t kLookAhead = 3;

// Where in a marked triple the octet is that needs thought; kNowhere: a dot that is text.
std::size_t PositionInTriple(const char* triple) {
  if (triple[0] == kCr && triple[1] != kLf) return 0;
  if (triple[0] != kCr && triple[1] == kLf) return 1;
  return IsLineEnd(triple[3]) ? 2 : kNowhere;
}

// The definition, octet by octet, from `position` on.
std::size_t ScanFrom(std::string_view content, std::size_t position) {
  for (std::size_t i = position; i < content.size(); ++i) {
    const char c = content[i];
    const bool last = i + 1 == content.size();
    if (c == kCr) {
      if (last || content[i + 1] != kLf) return i;
    } else if (c == kLf) {
      if (i == 0 || content[i - 1] != kCr) return i;
    } else if (c == '.') {
      if (i > 0 && content[i - 1] == kLf && (last || IsLineEnd(content[i + 1]))) return i;
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

__attribute__((always_inline)) inline Vector Triples(const char* at) {
  const auto cr = Load(at) == static_cast<std::uint8_t>(kCr);
  const auto lf = Load(at + 1) == static_cast<std::uint8_t>(kLf);
  const auto dot = Load(at + 2) == static_cast<std::uint8_t>('.');
  return reinterpret_cast<Vector>((cr ^ lf) | (lf & dot));
}

constexpr std::size_t kPortableStride = 4 * sizeof(Vector);

// Where in a stride that has marked triples the first octet is that needs thought. Apart from the
// loop that finds them, because it is rarely asked.
__attribute__((noinline)) std::size_t FirstInStride(const char* at) {
  for (std::size_t from = 0; from < kPortableStride; from += sizeof(Vector)) {
    const Vector vector = Triples(at + from);
    std::array<std::uint8_t, sizeof(Vector)> marks;
    std::memcpy(marks.data(), &vector, sizeof vector);
    for (std::size_t n = 0; n < marks.size(); ++n) {
      if (marks[n] == 0) continue;
      if (const std::size_t position = PositionInTriple(at + from + n); position != kNowhere)
        return from + n + position;
    }
  }
  return kNowhere;
}

bool Any(Vector vector) {
  std::array<std::uint64_t, 2> halves;
  static_assert(sizeof halves == sizeof vector);
  std::memcpy(halves.data(), &vector, sizeof vector);
  return (halves[0] | halves[1]) != 0;
}

std::size_t ScanPortable(std::string_view content) {
  if (!content.empty() && content.front() == kLf) return 0;
  const char* const data = content.data();
  std::size_t i = 0;
  for (; i + kPortableStride + kLookAhead <= content.size(); i += kPortableStride) {
    const char* const at = data + i;
    const Vector found = (Triples(at) | Triples(at + 16)) | (Triples(at + 32) | Triples(at + 48));
    if (!Any(found)) [[likely]]
      continue;
    if (const std::size_t first = FirstInStride(at); first != kNowhere) return i + first;
  }
  return ScanFrom(content, i);
}

#if RINGPOST_SCANNER_X86
// The same of 64 triples, those that are marked having a bit each.
__attribute__((noinline)) std::size_t FirstOf(std::uint64_t marks, const char* at) {
  for (; marks != 0; marks &= marks - 1) {
    const auto n = static_cast<std::size_t>(std::countr_zero(marks));
    if (const std::size_t position = PositionInTriple(at + n); position != kNowhere)
      return n + position;
  }
  return kNowhere;
}

// Where a loop has called FirstOf(), GCC 12 forgets this, and all code for SSE that comes later is
// a multiple slower.
__attribute__((target("avx"), always_inline)) inline void LeaveAvx() { _mm256_zeroupper(); }

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
  std::size_t where = kNowhere;
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
    where = FirstOf(low, at);
    if (where != kNowhere) break;
    where = FirstOf(high, at + 64);
    if (where == kNowhere) continue;
    where += 64;
    break;
  }
  LeaveAvx();
  return where != kNowhere ? i + where : ScanFrom(content, i);
}

#define RINGPOST_TARGET_AVX512 __attribute__((target("avx512f,avx512bw"), always_inline)) inline

RINGPOST_TARGET_AVX512 std::uint64_t TriplesAvx512(const char* at) {
  const __mmask64 cr = _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(at), _mm512_set1_epi8(kCr));
  const __mmask64 lf = _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(at + 1), _mm512_set1_epi8(kLf));
  const __mmask64 dot =
      _mm512_mask_cmpeq_epi8_mask(lf, _mm512_loadu_si512(at + 2), _mm512_set1_epi8('.'));
  return (cr ^ lf) | dot;
}

__attribute__((target("avx512f,avx512bw"))) std::size_t ScanAvx512(std::string_view content) {
  if (!content.empty() && content.front() == kLf) return 0;
  constexpr std::size_t kStride = 64;
  const char* const data = content.data();
  std::size_t i = 0;
  std::size_t where = kNowhere;
  for (; i + kStride + kLookAhead <= content.size(); i += kStride) {
    const std::uint64_t marks = TriplesAvx512(data + i);
    if (marks == 0) [[likely]]
      continue;
    where = FirstOf(marks, data + i);
    if (where != kNowhere) break;
  }
  LeaveAvx();
  return where != kNowhere ? i + where : ScanFrom(content, i);
}
#endif

using ScanFunction = std::size_t (*)(std::string_view);

ScanFunction ChooseScan() {
#if RINGPOST_SCANNER_X86
  // The first CPUs with AVX-512, which have no VBMI, lower their clock for it.
  if (ScannerSupported(ScannerVersion::kAvx512) && __builtin_cpu_supports("avx512vbmi") != 0)
    return ScanAvx512;
  if (ScannerSupported(ScannerVersion::kAvx2)) return ScanAvx2;
#endif
  return ScanPortable;
}

const ScanFunction kScanChosen = ChooseScan();

}  // namespace

std::size_t ScanContent(std::string_view content) { return kScanChosen(content); }

bool ScannerSupported(ScannerVersion version) {
#if RINGPOST_SCANNER_X86
  __builtin_cpu_init();  // this may run before the constructors that would call it
  if (version == ScannerVersion::kAvx2) return __builtin_cpu_supports("avx2") != 0;
  if (version == ScannerVersion::kAvx512) return __builtin_cpu_supports("avx512bw") != 0;
#endif
  return version == ScannerVersion::kPortable;
}

std::size_t ScanContentWith(ScannerVersion version, std::string_view content) {
  RINGPOST_CHECK(ScannerSupported(version));
#if RINGPOST_SCANNER_X86
  if (version == ScannerVersion::kAvx2) return ScanAvx2(content);
  if (version == ScannerVersion::kAvx512) return ScanAvx512(content);
#endif
  return ScanPortable(content);
}

}  // namespace ringpost
