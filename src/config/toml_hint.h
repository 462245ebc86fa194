// SPDX-License-Identifier: GPL-3.0-or-later
//
// What was probably meant by a line that is no TOML. The library's words are about its grammar;
// these are about the line. Private to the config layer.
#ifndef RINGPOST_CONFIG_TOML_HINT_H_
#define RINGPOST_CONFIG_TOML_HINT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace ringpost {

// A sentence's end that begins with "; ", or nothing. `line` counts from 1, as errors do.
[[nodiscard]] std::string TomlHint(std::string_view text, std::size_t line);

}  // namespace ringpost

#endif  // RINGPOST_CONFIG_TOML_HINT_H_
