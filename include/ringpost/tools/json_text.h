// SPDX-License-Identifier: GPL-3.0-or-later
//
// Strings as JSON (RFC 8259). Whatever a peer put into them comes out as valid JSON on one line:
// control characters are escaped, octets that are not UTF-8 become U+FFFD.
#ifndef RINGPOST_TOOLS_JSON_TEXT_H_
#define RINGPOST_TOOLS_JSON_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace ringpost {

// Appends `text` with its quotation marks.
void AppendJson(std::string& out, std::string_view text);
// Append `"name":value`, with a comma in front unless `out` is empty or ends with '{' or '['.
void AppendJsonText(std::string& out, std::string_view name, std::string_view text);
void AppendJsonCount(std::string& out, std::string_view name, std::uint64_t value);
void AppendJsonReal(std::string& out, std::string_view name, double value);  // three decimals
void AppendJsonBool(std::string& out, std::string_view name, bool value);

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_JSON_TEXT_H_
