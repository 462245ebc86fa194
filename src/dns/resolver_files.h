// SPDX-License-Identifier: GPL-3.0-or-later
//
// The part of resolv.conf(5) that libunbound leaves to its callers.
#ifndef RINGPOST_SRC_DNS_SEARCH_LIST_H_
#define RINGPOST_SRC_DNS_SEARCH_LIST_H_

#include <string>
#include <string_view>
#include <vector>

namespace ringpost {

struct SearchList {
  std::vector<std::string> domains;  // of the last "search" or "domain"; without final dots
  int ndots = 1;
};

// `text`: of a resolv.conf. What it does not understand it passes over, as everybody does.
[[nodiscard]] SearchList ReadSearchList(std::string_view text);

// The names to ask for in turn, until one has an address.
[[nodiscard]] std::vector<std::string> CandidatesOf(std::string_view host, const SearchList& list);

}  // namespace ringpost

#endif  // RINGPOST_SRC_DNS_SEARCH_LIST_H_
