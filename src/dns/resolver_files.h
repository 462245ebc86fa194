// SPDX-License-Identifier: GPL-3.0-or-later
//
// The files that say how host names are looked up, read as resolv.conf(5) and hosts(5) have it:
// what is not understood is passed over. libunbound refuses a whole file for one such line, and
// leaves the search list to its callers.
#ifndef RINGPOST_SRC_DNS_RESOLVER_FILES_H_
#define RINGPOST_SRC_DNS_RESOLVER_FILES_H_

#include <string>
#include <string_view>
#include <vector>

namespace ringpost {

struct ResolvConf {
  std::vector<std::string> servers;  // addresses
  std::vector<std::string> domains;  // of the last "search" or "domain"; without final dots
  int ndots = 1;
};

// `text`: of a resolv.conf.
[[nodiscard]] ResolvConf ReadResolvConf(std::string_view text);

// The names to ask for in turn, until one has an address.
[[nodiscard]] std::vector<std::string> CandidatesOf(std::string_view host, const ResolvConf& conf);

// `text`: of a hosts file. The same without what libunbound would not take: one address and one
// name in each line.
[[nodiscard]] std::string CleanHosts(std::string_view text);

}  // namespace ringpost

#endif  // RINGPOST_SRC_DNS_RESOLVER_FILES_H_
