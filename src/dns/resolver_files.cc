// SPDX-License-Identifier: GPL-3.0-or-later
#include "resolver_files.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "absl/strings/ascii.h"
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

bool IsAddress(const std::string& text) {
  in6_addr octets{};
  return inet_pton(AF_INET, text.c_str(), &octets) == 1 ||
         inet_pton(AF_INET6, text.c_str(), &octets) == 1;
}

// Letters, digits and what else names of hosts have, in labels of a length that the DNS has.
bool IsName(std::string_view name) {
  constexpr std::size_t kNameMax = 253;
  constexpr std::size_t kLabelMax = 63;
  if (name.ends_with('.')) {
    name.remove_suffix(1);
  }
  std::size_t label = 0;
  for (const char c : name) {
    if (c == '.' && label > 0) {
      label = 0;
      continue;
    }
    ++label;
    if (label > kLabelMax ||
        (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_')) {
      return false;
    }
  }
  return label > 0 && name.size() <= kNameMax;
}

void ReadOption(std::string_view option, ResolvConf* list) {
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

ResolvConf ReadResolvConf(std::string_view text) {
  ResolvConf list;
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
    } else if (words.front() == "nameserver" && words.size() > 1 && IsAddress(words[1])) {
      list.servers.push_back(words[1]);
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

std::string CleanHosts(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) {
    text.remove_prefix(kByteOrderMark.size());
  }
  std::string clean;
  for (const absl::string_view line :
       absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    const std::vector<std::string> words = Words({line.data(), line.size()});
    if (words.empty() || !IsAddress(words.front())) {
      continue;
    }
    for (auto word = words.begin() + 1; word != words.end(); ++word) {
      if (IsName(*word)) {
        clean += words.front() + " " + *word + "\n";
      }
    }
  }
  return clean;
}

std::vector<std::string> CandidatesOf(std::string_view host, const ResolvConf& list) {
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
