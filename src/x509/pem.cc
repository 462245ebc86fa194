// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/x509/pem.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "ringpost/base/der.h"

namespace ringpost {
namespace {

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kDashes = "-----";

// A SEQUENCE begins with 0x30, which is the digit "0" in a text.
bool IsDer(std::string_view text) {
  if (!text.starts_with('\x30')) {
    return false;
  }
  DerReader reader(text);
  reader.Take(kDerSequence);
  return reader.finished() || text.find(kBegin) == std::string_view::npos;
}

}  // namespace

PemBlocks ReadPemBlocks(std::string_view text, std::initializer_list<std::string_view> labels) {
  PemBlocks blocks;
  std::size_t at = 0;
  while ((at = text.find(kBegin, at)) != std::string_view::npos) {
    at += kBegin.size();
    const std::string_view rest = text.substr(at);
    const auto* const label =
        std::find_if(labels.begin(), labels.end(), [rest](std::string_view candidate) {
          return rest.starts_with(candidate) && rest.substr(candidate.size()).starts_with(kDashes);
        });
    if (label == labels.end()) {
      continue;
    }
    at += label->size() + kDashes.size();
    const std::string end = "-----END " + std::string(*label) + "-----";
    const std::size_t stop = text.find(kDashes, at);
    std::string der;
    if (stop == std::string_view::npos || text.substr(stop, end.size()) != end ||
        !absl::Base64Unescape(absl::string_view(text.data() + at, stop - at), &der)) {
      if (++blocks.broken == 1) {
        blocks.first_broken = blocks.der.size() + 1;
      }
      continue;
    }
    blocks.der.push_back(std::move(der));
    at = stop + end.size();
  }
  return blocks;
}

PemBlocks ReadPemOrDer(std::string_view text, std::string_view label) {
  if (IsDer(text)) {
    return {.der = {std::string(text)}};
  }
  return ReadPemBlocks(text, {label});
}

}  // namespace ringpost
