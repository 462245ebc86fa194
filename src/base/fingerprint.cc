// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/fingerprint.h"

#include <cstddef>
#include <tuple>

namespace ringpost {
namespace {

constexpr int kNotHexadecimal = -1;

constexpr int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return kNotHexadecimal;
}

}  // namespace

std::string FormatFingerprint(const Fingerprint& fingerprint) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text;
  text.reserve(3 * fingerprint.size());
  for (const std::uint8_t octet : fingerprint) {
    if (!text.empty()) text += ':';
    text += kDigits[octet >> 4];
    text += kDigits[octet & 0xF];
  }
  return text;
}

std::optional<Fingerprint> ParseFingerprint(std::string_view text) {
  Fingerprint fingerprint{};
  constexpr std::size_t kPlain = 2 * std::tuple_size_v<Fingerprint>;
  constexpr std::size_t kWithColons = kPlain + std::tuple_size_v<Fingerprint> - 1;
  // All the colons or none.
  if (text.size() != kPlain && text.size() != kWithColons) return std::nullopt;
  const bool colons = text.size() == kWithColons;
  for (std::size_t i = 0; i < fingerprint.size(); ++i) {
    const std::size_t at = i * (colons ? 3 : 2);
    if (colons && i > 0 && text[at - 1] != ':') return std::nullopt;
    const int high = HexValue(text[at]);
    const int low = HexValue(text[at + 1]);
    if (high == kNotHexadecimal || low == kNotHexadecimal) return std::nullopt;
    fingerprint[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return fingerprint;
}

}  // namespace ringpost
