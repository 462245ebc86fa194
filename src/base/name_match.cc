// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/name_match.h"

#include <algorithm>
#include <cstddef>

namespace ringpost {
namespace {

constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool EqualNames(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

}  // namespace

bool NameMatches(std::string_view pattern, std::string_view name) {
  if (name.empty()) return false;
  if (!pattern.starts_with("*.")) return EqualNames(pattern, name);
  const std::string_view suffix = pattern.substr(1);
  // At least two labels after the star: nobody has a certificate for a whole top-level domain.
  if (suffix.find('.', 1) == std::string_view::npos) return false;
  const std::size_t dot = name.find('.');
  return dot != std::string_view::npos && dot > 0 && EqualNames(suffix, name.substr(dot));
}

}  // namespace ringpost
