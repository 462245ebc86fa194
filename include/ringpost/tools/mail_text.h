// SPDX-License-Identifier: GPL-3.0-or-later
//
// The message that ringpost-load sends: a header and ordinary lines, made once and used for all.
#ifndef RINGPOST_TOOLS_MAIL_TEXT_H_
#define RINGPOST_TOOLS_MAIL_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace ringpost {

// Exactly `octets` octets (at least kMailOctetsMin) of mail: header, blank line, lines of about 70
// octets, each with its CRLF. Some lines begin with a dot. Not yet dot-stuffed.
inline constexpr std::size_t kMailOctetsMin = 256;
[[nodiscard]] std::string MakeMail(std::size_t octets);

// `content` as DATA carries it: dots doubled (RFC 5321 4.5.2) and the final ".CRLF" behind it.
// `content` ends with CRLF.
[[nodiscard]] std::string DotStuff(std::string_view content);

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_MAIL_TEXT_H_
