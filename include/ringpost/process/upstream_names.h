// SPDX-License-Identifier: GPL-3.0-or-later
//
// The host names of upstreams, and the addresses that they have now. Each is looked up again when
// what is known of it has run out, but at most once in five seconds and at least once a minute. A
// look-up that fails changes nothing: the addresses that a name last had stay in use.
//
// Owner: the server. It belongs to the main thread; only what the resolver's thread finds is behind
// a mutex.
#ifndef RINGPOST_PROCESS_UPSTREAM_NAMES_H_
#define RINGPOST_PROCESS_UPSTREAM_NAMES_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "ringpost/config/config.h"
#include "ringpost/dns/resolver.h"

namespace ringpost {

class UpstreamNames {
 public:
  static constexpr std::chrono::seconds kLookupsApartMin{5};
  static constexpr std::chrono::seconds kLookupsApartMax{60};
  static constexpr std::chrono::seconds kRetryMin{1};  // doubled up to kLookupsApartMax

  struct Callbacks {
    // A name has other addresses than before; TakeChange() is true now.
    std::function<void()> changed;
    // One sentence each, for the log. Follow() returns after those about the names that it waited
    // for. They must not call back.
    std::function<void(std::string_view)> note;
    std::function<void(std::string_view)> warn;
  };

  // With a resolver as the configuration wants it. An error is a sentence.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<UpstreamNames>> Open(const Config& config,
                                                                           Callbacks callbacks);
  // The callbacks are called in the resolver's thread.
  UpstreamNames(std::unique_ptr<Resolver> resolver, Callbacks callbacks);
  ~UpstreamNames();
  UpstreamNames(const UpstreamNames&) = delete;
  UpstreamNames& operator=(const UpstreamNames&) = delete;

  // From here on the names of this configuration are looked up, too. Waits for the first answer to
  // each that is new, which the resolver gives within its time limit, or until `interrupted`.
  void Follow(const Config& config, const std::function<bool()>& interrupted = nullptr);
  // From here on no others are.
  void Forget(const Config& others_than);
  // `config`, as it was read, with the addresses that are known now. One that leads back to a
  // listener of its own is left out, with a warning.
  [[nodiscard]] std::shared_ptr<const Config> Fill(const Config& config) const;
  // Whether a name has got other addresses since the last call.
  [[nodiscard]] bool TakeChange();

 private:
  // What a name without addresses means: clients of ingress are not served, mail that leaves waits.
  struct Users {
    bool ingress = false;
    bool egress = false;
  };
  struct Name {
    std::vector<HostAddress> addresses;  // empty: none was ever found
    Users users;
    bool answered = false;
    bool failing = false;
    std::chrono::seconds retry = kRetryMin;
    std::uint64_t round = 0;  // of Follow(): answers to older ones of the same name are passed over
  };

  [[nodiscard]] static std::map<std::string, Users> HostsOf(const Config& config);
  [[nodiscard]] static std::string_view WithoutAddress(Users users);
  void Ask(const std::string& host, std::uint64_t round, std::chrono::milliseconds delay);
  void OnAnswer(const std::string& host, std::uint64_t round, HostAddresses answer);
  // Returns when to ask again.
  std::chrono::seconds Take(const std::string& host, Name& name, HostAddresses answer,
                            std::string* note, std::string* warning);

  const Callbacks callbacks_;
  mutable std::mutex mutex_;
  std::map<std::string, Name> names_;  // under the mutex, and so are:
  std::condition_variable answered_;
  std::uint64_t round_ = 0;
  bool changed_ = false;
  std::unique_ptr<Resolver> resolver_;  // first to go: its thread uses all of that
};

// Whether some upstream is given by a host name.
[[nodiscard]] bool HasHostNames(const Config& config);

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_UPSTREAM_NAMES_H_
