// SPDX-License-Identifier: GPL-3.0-or-later
//
// PEM files (RFC 7468). Start-up and reload only.
#ifndef RINGPOST_X509_PEM_H_
#define RINGPOST_X509_PEM_H_

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace ringpost {

struct PemBlocks {
  std::vector<std::string> der;
  std::size_t broken = 0;        // blocks of this kind without an end or with bad base64
  std::size_t first_broken = 0;  // which of all these blocks, from 1; 0: none
};

// The blocks between "-----BEGIN LABEL-----" and its end, for any of `labels`.
[[nodiscard]] PemBlocks ReadPemBlocks(std::string_view text,
                                      std::initializer_list<std::string_view> labels);
// The same; but a file that is DER is taken for one such block.
[[nodiscard]] PemBlocks ReadPemOrDer(std::string_view text, std::string_view label);

}  // namespace ringpost

#endif  // RINGPOST_X509_PEM_H_
