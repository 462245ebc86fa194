// SPDX-License-Identifier: GPL-3.0-or-later
//
// Tells the log what the policies have seen in a period: one line for each route and partner that
// had traffic, so that an administrator can switch from report to enforce with confidence. A reload
// that changes a policy, or its mode, begins a new era of it: what was counted before stays in a
// line of its own, in the words of the policy that it was counted for.
//
// Owner: the server, on the main thread. It only reads the shards' counters.
#ifndef RINGPOST_PROCESS_POLICY_SUMMARY_H_
#define RINGPOST_PROCESS_POLICY_SUMMARY_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "ringpost/log/log.h"
#include "ringpost/session/runtime.h"

namespace ringpost {

class PolicySummaryLog {
 public:
  enum class Period : std::uint8_t { kGoesOn, kEnds };

  explicit PolicySummaryLog(Logger* logger) : logger_(logger) {}

  // A configuration is in force: its runtimes, one for each shard. Sessions that began before go on
  // counting in those of the last one, which are watched until the last of them has ended.
  void Watch(std::vector<std::shared_ptr<const Runtime>> runtimes);
  // The same policies, and only upstreams have other addresses: all count together.
  void Follow(std::vector<std::shared_ptr<const Runtime>> runtimes);
  // Lets go of configurations whose last session has ended; what they counted is kept.
  void Release();
  // Logs the period so far; with kEnds the next one begins.
  void Write(Period period);

 private:
  enum class Kind : std::uint8_t { kPartner, kRoute, kUnreadable };
  struct Watched {
    std::vector<std::shared_ptr<const Runtime>> runtimes;
    std::vector<PolicyTotals> reported;  // by subject: what earlier periods had
    std::vector<std::uint64_t> eras;     // by subject; the same number: the same policy
  };
  // A partner or a route by its name, with one policy, in whatever configurations it was.
  struct Line {
    PolicyWords words;
    PolicyMode mode = PolicyMode::kEnforce;
    PolicyTotals totals;
  };
  struct Key {
    Kind kind = Kind::kPartner;
    std::string name;
    std::uint64_t era = 0;
    friend bool operator<(const Key& a, const Key& b) {
      return std::tie(a.kind, a.name, a.era) < std::tie(b.kind, b.name, b.era);
    }
  };
  using Lines = std::map<Key, Line>;

  // A subject of PolicyCounters, and the policy that it is counted for.
  struct Subject {
    Kind kind = Kind::kPartner;
    std::string name;
    PolicyWords words;
    PolicyMode mode = PolicyMode::kEnforce;
  };
  static Subject SubjectOf(const Runtime& runtime, std::size_t subject);
  // All of a policy that decides about mail; equal texts: nothing has changed.
  static std::string PolicyText(const Config& config, const Subject& subject, std::size_t index);
  static void Gather(Watched& watched, Period period, Lines& lines);

  Logger* logger_;
  std::vector<Watched> watched_;  // the one in force last
  std::uint64_t last_era_ = 0;
  Lines released_;  // of this period, of configurations that are gone
};

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_POLICY_SUMMARY_H_
