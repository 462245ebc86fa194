// SPDX-License-Identifier: GPL-3.0-or-later
//
// Whether a certificate's name and a host name go together (RFC 9525 6.3). Pure.
#ifndef RINGPOST_BASE_NAME_MATCH_H_
#define RINGPOST_BASE_NAME_MATCH_H_

#include <string_view>

namespace ringpost {

// Does `pattern` cover `name`? Either it is the same name, or it is "*.example.com" and `name` has
// exactly one label in front of ".example.com". A wildcard is a whole left-most label before at
// least two others: "*.com" covers nothing, "m*.example.com" is no wildcard. ASCII letters in
// either case; an empty name is covered by nothing.
[[nodiscard]] bool NameMatches(std::string_view pattern, std::string_view name);

}  // namespace ringpost

#endif  // RINGPOST_BASE_NAME_MATCH_H_
