// SPDX-License-Identifier: GPL-3.0-or-later
#include "repeated_flags.h"

#include <algorithm>
#include <array>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/str_cat.h"
#include "readers.h"

namespace ringpost {
namespace {

// Those whose values are lists, separated by commas.
constexpr auto kListFlags = std::to_array<std::string_view>(
    {"listen", "listen_tls", "upstream", "cert", "key", "certificate_names", "fingerprints",
     "egress_listen", "egress_upstream", "egress_match", "egress_fingerprints", "own_domains",
     "resolver"});

}  // namespace

absl::Status RepeatedFlags::Add(std::string_view name, std::string_view value) {
  const auto [at, is_new] = values_.try_emplace(std::string(name), value);
  // Several certificates may have one key, and files are paired by their number.
  const bool paired = name == "cert" || name == "key";
  if (is_new || (at->second == value && !paired)) return absl::OkStatus();
  if (std::find(kListFlags.begin(), kListFlags.end(), name) == kListFlags.end()) {
    return absl::InvalidArgumentError(absl::StrCat("--", View(name), " is given twice, as \"",
                                                   at->second, "\" and as \"", View(value),
                                                   "\"; leave one of them out"));
  }
  absl::StrAppend(&at->second, ",", View(value));
  repeated_.insert(at->first);
  return absl::OkStatus();
}

void RepeatedFlags::Join() const {
  for (const std::string& name : repeated_) {
    std::string ignored;  // a text cannot be wrong
    absl::FindCommandLineFlag(name)->ParseFrom(values_.find(name)->second, &ignored);
  }
}

}  // namespace ringpost
