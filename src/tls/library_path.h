// SPDX-License-Identifier: GPL-3.0-or-later
//
// A second opinion on a path that our own check has accepted: wolfSSL's certificate manager must
// accept it as well, one certificate after the other. Two readers have to be wrong in the same way
// before a stranger is trusted.
#ifndef RINGPOST_SRC_TLS_LIBRARY_PATH_H_
#define RINGPOST_SRC_TLS_LIBRARY_PATH_H_

#include <span>
#include <string_view>

namespace ringpost {

// `path` holds DER, the leaf first and the trusted CA last, at least two. Dates are those of the
// machine's clock. Nothing of it is kept.
[[nodiscard]] bool LibraryAcceptsPath(std::span<const std::string_view> path);

}  // namespace ringpost

#endif  // RINGPOST_SRC_TLS_LIBRARY_PATH_H_
