// SPDX-License-Identifier: GPL-3.0-or-later
//
// Letters and digits of SMTP, which are ASCII whatever the locale says.
#ifndef RINGPOST_TOOLS_ASCII_H_
#define RINGPOST_TOOLS_ASCII_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ringpost {

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr char ToUpper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

constexpr bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return ToUpper(x) == ToUpper(y); });
}

// Only digits, at least one, at most `max`; nullopt otherwise.
constexpr std::optional<std::uint64_t> ParseDecimal(std::string_view text, std::uint64_t max) {
  if (text.empty()) {
    return std::nullopt;
  }
  std::uint64_t value = 0;
  for (const char c : text) {
    if (!IsDigit(c)) {
      return std::nullopt;
    }
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (digit > max || value > (max - digit) / 10) {
      return std::nullopt;
    }
    value = value * 10 + digit;
  }
  return value;
}

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_ASCII_H_
