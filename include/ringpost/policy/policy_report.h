// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the policies have seen: for each route and partner the number of messages, how many met
// which level, and the faults. From it follows the strictest level that all traffic of the period
// already meets, so that an administrator can switch to it with confidence.
//
// One PolicyCounters for each shard and configuration: written by its shard alone, read by any
// thread.
#ifndef RINGPOST_POLICY_POLICY_REPORT_H_
#define RINGPOST_POLICY_POLICY_REPORT_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ringpost/base/policy_fault.h"
#include "ringpost/base/tls_policy.h"
#include "ringpost/policy/judge.h"

namespace ringpost {

// A sum over shards.
struct PolicyTotals {
  std::uint64_t messages = 0;     // MAIL commands that concerned this policy
  std::uint64_t met_encrypt = 0;  // at least
  std::uint64_t met_verify = 0;
  std::array<std::uint64_t, kPolicyFaultCount> faults{};  // [kNone] stays 0

  // nullopt: nothing was seen, so nothing can be said.
  [[nodiscard]] std::optional<TlsPolicy> strictest_met() const;
};

class PolicyCounters {
 public:
  // `subjects`: partners and routes, in an order that the owner knows.
  explicit PolicyCounters(std::size_t subjects);

  void Count(std::size_t subject, const PolicyDecision& decision);  // the owning shard
  void AddTo(std::size_t subject, PolicyTotals& totals) const;      // any thread
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Counters {
    std::atomic<std::uint64_t> messages{0};
    std::atomic<std::uint64_t> met_encrypt{0};
    std::atomic<std::uint64_t> met_verify{0};
    std::array<std::atomic<std::uint64_t>, kPolicyFaultCount> faults{};
  };
  std::size_t size_;
  std::unique_ptr<Counters[]> counters_;
};

// Whether what was counted is of the policy in force, or of one that a reload has replaced.
enum class PolicyEra : std::uint8_t { kInForce, kReplaced };

// The names of levels in a summary.
struct PolicyWords {
  std::string_view asked;
  std::string_view met_verify = "verify";  // of an egress route: its own level
};

// One sentence for the log: `partner "contoso" asks for encrypt (report): 120 messages, all met
// verify; would refuse 0` or `...: 100 of 120 messages met encrypt, 80 verify; would refuse 20:
// no-tls 20`. In enforce mode it says "refused"; of a policy that was replaced `partner "contoso"
// asked for encrypt (report) before a reload: ...`. `kind` is "partner" or "route".
[[nodiscard]] std::string PolicySummary(std::string_view kind, std::string_view name,
                                        PolicyWords words, PolicyMode mode,
                                        const PolicyTotals& totals,
                                        PolicyEra era = PolicyEra::kInForce);

// The same for the senders on a route that no policy by domain could read: `partners on route "mx"
// (report): 3 senders that could be read in two ways; would refuse 3`.
[[nodiscard]] std::string UnreadableSummary(std::string_view route, PolicyMode mode,
                                            const PolicyTotals& totals, PolicyEra era);

}  // namespace ringpost

#endif  // RINGPOST_POLICY_POLICY_REPORT_H_
