// SPDX-License-Identifier: GPL-3.0-or-later
//
// Reads DER (X.690) from the front: tags of one octet, definite lengths in their shortest form. It
// only looks; the octets stay with the caller. Once it has failed it stays failed and yields
// nothing, so that a reader of a structure asks once, at its end.
#ifndef RINGPOST_BASE_DER_H_
#define RINGPOST_BASE_DER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ringpost {

inline constexpr unsigned kDerBoolean = 0x01;
inline constexpr unsigned kDerInteger = 0x02;
inline constexpr unsigned kDerBitString = 0x03;
inline constexpr unsigned kDerOctetString = 0x04;
inline constexpr unsigned kDerNull = 0x05;
inline constexpr unsigned kDerObjectId = 0x06;
inline constexpr unsigned kDerUtf8String = 0x0c;
inline constexpr unsigned kDerPrintableString = 0x13;
inline constexpr unsigned kDerTeletexString = 0x14;
inline constexpr unsigned kDerIa5String = 0x16;
inline constexpr unsigned kDerUtcTime = 0x17;
inline constexpr unsigned kDerGeneralizedTime = 0x18;
inline constexpr unsigned kDerBmpString = 0x1e;
inline constexpr unsigned kDerSequence = 0x30;
inline constexpr unsigned kDerSet = 0x31;
// [number], primitive and constructed.
constexpr unsigned DerContext(unsigned number) { return 0x80 | number; }
constexpr unsigned DerContextConstructed(unsigned number) { return 0xa0 | number; }

struct DerItem {
  unsigned tag = 0;        // 0: there was none
  std::string_view whole;  // with tag and length
  std::string_view content;
};

class DerReader {
 public:
  explicit DerReader(std::string_view octets) : rest_(octets) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  // Nothing was wrong and nothing is left.
  [[nodiscard]] bool finished() const { return ok_ && rest_.empty(); }
  [[nodiscard]] std::string_view rest() const { return rest_; }
  // The next tag; 0 if nothing is left.
  [[nodiscard]] unsigned PeekTag() const {
    return rest_.empty() ? 0 : static_cast<unsigned char>(rest_.front());
  }

  DerItem Next();
  // The next item, which must have this tag.
  DerItem Take(unsigned tag);
  // The next item if it has this tag; else an empty one, which is no failure.
  DerItem TakeIf(unsigned tag) { return PeekTag() == tag ? Next() : DerItem{}; }
  void Fail();

 private:
  std::string_view rest_;
  bool ok_ = true;
};

// What a BIT STRING holds if it has a whole number of octets, as keys and signatures have.
[[nodiscard]] std::optional<std::string_view> DerBitStringOctets(std::string_view content);
// Of up to 16 named bits; bit 0 is the most significant one of the result's lower 16.
[[nodiscard]] std::optional<std::uint32_t> DerNamedBits(std::string_view content);
// A UTCTime or GeneralizedTime as RFC 5280 4.1.2.5 allows them, in seconds since the epoch.
[[nodiscard]] std::optional<std::int64_t> DerTime(const DerItem& item);
// Non-negative and below 2^31.
[[nodiscard]] std::optional<std::int32_t> DerSmallInteger(std::string_view content);
[[nodiscard]] std::optional<bool> DerBoolean(std::string_view content);

// The other way round: an item of this tag.
[[nodiscard]] std::string DerItemOf(unsigned tag, std::string_view content);

}  // namespace ringpost

#endif  // RINGPOST_BASE_DER_H_
