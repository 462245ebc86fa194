// SPDX-License-Identifier: GPL-3.0-or-later
//
// Addresses of host names, as /etc/hosts and the DNS have them; libunbound does the work. One
// thread of its own waits for the answers, so that no shard ever waits for a name server, and calls
// back from there.
//
// libunbound 1.17 takes 17 s to give up on a name server that is silent, and does not say so sooner
// of a closed port: each look-up has a time limit of ours.
#ifndef RINGPOST_DNS_RESOLVER_H_
#define RINGPOST_DNS_RESOLVER_H_

#include <netinet/in.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

namespace ringpost {

using HostAddress = std::variant<in6_addr, in_addr>;

struct HostAddresses {
  enum class Outcome : std::uint8_t {
    kFound,
    kNoAddress,  // there is no such name, or it has no address
    kFailed,     // nobody knows: a later look-up may
  };
  Outcome outcome = Outcome::kFailed;
  std::vector<HostAddress> addresses;  // kFound: at least one; IPv6 first, each family as it came
  std::chrono::seconds ttl{0};         // kFound: for how long that holds
  std::string why;                     // else: a phrase for the log
};

struct ResolverOptions {
  // Name servers, "127.0.0.1@5353" with a port; empty: those of `resolv_conf`.
  std::vector<std::string> servers;
  std::string resolv_conf = "/etc/resolv.conf";
  std::string hosts = "/etc/hosts";
  std::chrono::milliseconds time_limit{10'000};  // of a look-up, all its candidates together
  std::size_t at_once = 256;                     // more wait
};

class Resolver {
 public:
  using Done = std::function<void(HostAddresses)>;

  // An error is a sentence.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Resolver>> Start(ResolverOptions options);
  // Joins the thread. What was asked for and has not been answered is forgotten.
  virtual ~Resolver() = default;

  // From any thread: looks `host` up when `delay` has passed, and calls `done` once, in the
  // resolver's thread. `search` domains and `ndots` of resolv.conf hold (resolv.conf(5)); a name
  // with a dot at its end is taken as it stands. Both files are read again once they have changed.
  virtual void Find(std::string host, std::chrono::milliseconds delay, Done done) = 0;

 protected:
  Resolver() = default;
};

}  // namespace ringpost

#endif  // RINGPOST_DNS_RESOLVER_H_
