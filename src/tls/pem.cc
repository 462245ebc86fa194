// SPDX-License-Identifier: GPL-3.0-or-later
#include "pem.h"

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"

namespace ringpost {

PemBlocks ReadPemBlocks(std::string_view text, std::string_view label) {
  PemBlocks blocks;
  if (text.starts_with('\x30')) {  // a SEQUENCE of DER; in PEM it would be the digit "0"
    blocks.der.emplace_back(text);
    return blocks;
  }
  const std::string begin = "-----BEGIN " + std::string(label) + "-----";
  const std::string end = "-----END " + std::string(label) + "-----";
  std::size_t at = 0;
  while ((at = text.find(begin, at)) != std::string_view::npos) {
    at += begin.size();
    const std::size_t stop = text.find("-----", at);
    std::string der;
    if (stop == std::string_view::npos || text.substr(stop, end.size()) != end ||
        !absl::Base64Unescape(absl::string_view(text.data() + at, stop - at), &der)) {
      ++blocks.broken;
      continue;
    }
    blocks.der.push_back(std::move(der));
    at = stop + end.size();
  }
  return blocks;
}

}  // namespace ringpost
