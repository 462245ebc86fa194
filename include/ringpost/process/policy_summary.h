// SPDX-License-Identifier: GPL-3.0-or-later
//
// Tells the log what the policies have seen in a period: one line for each route and partner that
// had traffic, so that an administrator can switch from report to enforce with confidence.
//
// Owner: the server, on the main thread. It only reads the shards' counters.
#ifndef RINGPOST_PROCESS_POLICY_SUMMARY_H_
#define RINGPOST_PROCESS_POLICY_SUMMARY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
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
  // Lets go of configurations whose last session has ended; what they counted is kept.
  void Release();
  // Logs the period so far; with kEnds the next one begins.
  void Write(Period period);

 private:
  struct Watched {
    std::vector<std::shared_ptr<const Runtime>> runtimes;
    std::vector<PolicyTotals> reported;  // by subject: what earlier periods had
  };
  // A partner or a route, by its name, whatever configurations it was in.
  struct Line {
    std::string_view kind;
    std::string name;
    TlsPolicy asked = TlsPolicy::kMay;
    PolicyMode mode = PolicyMode::kEnforce;
    PolicyTotals totals;
  };
  using Lines = std::map<std::pair<std::string_view, std::string>, Line>;

  static void Gather(Watched& watched, Period period, Lines& lines);

  Logger* logger_;
  std::vector<Watched> watched_;  // the one in force last
  Lines released_;                // of this period, of configurations that are gone
};

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_POLICY_SUMMARY_H_
