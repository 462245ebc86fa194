// SPDX-License-Identifier: GPL-3.0-or-later
//
// PEM files (RFC 7468). Start-up and reload only.
#ifndef RINGPOST_SRC_TLS_PEM_H_
#define RINGPOST_SRC_TLS_PEM_H_

#include <string>
#include <string_view>
#include <vector>

namespace ringpost {

struct PemBlocks {
  std::vector<std::string> der;
  std::size_t broken = 0;  // blocks of this kind without an end or with bad base64
};

// The blocks between "-----BEGIN `label`-----" and its end. A file that starts like DER is taken
// for one such block.
[[nodiscard]] PemBlocks ReadPemBlocks(std::string_view text, std::string_view label);

}  // namespace ringpost

#endif  // RINGPOST_SRC_TLS_PEM_H_
