// SPDX-License-Identifier: GPL-3.0-or-later
#include "search_list.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/str_split.h"

namespace ringpost {
namespace {

constexpr int kNdotsMax = 15;  // resolv.conf(5)

// The words of a line, without a comment.
std::vector<std::string> Words(std::string_view line) {
  line = line.substr(0, line.find_first_of("#;"));
  return absl::StrSplit(absl::string_view(line.data(), line.size()), absl::ByAnyChar(" \t\r"),
                        absl::SkipEmpty());
}

void ReadOption(std::string_view option, SearchList* list) {
  constexpr std::string_view kNdots = "ndots:";
  if (!option.starts_with(kNdots)) {
    return;
  }
  option.remove_prefix(kNdots.size());
  int ndots = 0;
  if (std::from_chars(option.data(), option.data() + option.size(), ndots).ec == std::errc{}) {
    list->ndots = std::clamp(ndots, 0, kNdotsMax);
  }
}

}  // namespace

SearchList ReadSearchList(std::string_view text) {
  SearchList list;
  for (const absl::string_view line :
       absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    std::vector<std::string> words = Words({line.data(), line.size()});
    if (words.empty()) {
      continue;
    }
    if (words.front() == "options") {
      for (const std::string& word : words) {
        ReadOption(word, &list);
      }
    } else if (words.front() == "search" || words.front() == "domain") {
      list.domains.clear();
      for (auto word = words.begin() + 1; word != words.end(); ++word) {
        while (word->ends_with('.')) {
          word->pop_back();
        }
        if (!word->empty()) {
          list.domains.push_back(std::move(*word));
        }
      }
    }
  }
  return list;
}

std::vector<std::string> CandidatesOf(std::string_view host, const SearchList& list) {
  if (host.ends_with('.')) {
    host.remove_suffix(1);
    return {std::string(host)};
  }
  std::vector<std::string> candidates;
  for (const std::string& domain : list.domains) {
    candidates.push_back(std::string(host) + "." + domain);
  }
  const bool as_is_first = std::count(host.begin(), host.end(), '.') >= list.ndots;
  candidates.insert(as_is_first ? candidates.begin() : candidates.end(), std::string(host));
  return candidates;
}

}  // namespace ringpost
