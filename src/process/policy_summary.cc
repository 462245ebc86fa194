// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/policy_summary.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ringpost {
namespace {

// The log's ring holds more lines than these; then its writer needs a moment.
constexpr std::size_t kLinesAtOnce = 400;
constexpr std::chrono::milliseconds kWriterPause{50};

// Only what a policy asks for, or asks about, is worth a line.
bool Speaks(const RoutePolicy& policy) {
  return policy.tls >= TlsPolicy::kEncrypt || policy.mode == PolicyMode::kReport;
}

PolicyTotals Since(const PolicyTotals& now, const PolicyTotals& before) {
  PolicyTotals period;
  period.messages = now.messages - before.messages;
  period.met_encrypt = now.met_encrypt - before.met_encrypt;
  period.met_verify = now.met_verify - before.met_verify;
  for (std::size_t fault = 0; fault < kPolicyFaultCount; ++fault) {
    period.faults[fault] = now.faults[fault] - before.faults[fault];
  }
  return period;
}

void Add(const PolicyTotals& more, PolicyTotals& totals) {
  totals.messages += more.messages;
  totals.met_encrypt += more.met_encrypt;
  totals.met_verify += more.met_verify;
  for (std::size_t fault = 0; fault < kPolicyFaultCount; ++fault) {
    totals.faults[fault] += more.faults[fault];
  }
}

}  // namespace

void PolicySummaryLog::Watch(std::vector<std::shared_ptr<const Runtime>> runtimes) {
  const std::size_t subjects = runtimes.front()->counters->size();
  watched_.push_back(
      {.runtimes = std::move(runtimes), .reported = std::vector<PolicyTotals>(subjects)});
}

void PolicySummaryLog::Write(Period period) {
  Release();
  Lines lines = released_;
  for (Watched& watched : watched_) {
    Gather(watched, period, lines);
  }
  std::size_t written = 0;
  for (const auto& [key, line] : lines) {
    logger_->Event(LogLevel::kInfo, "policy-summary",
                   PolicySummary(line.kind, line.name, line.asked, line.mode, line.totals));
    if (++written % kLinesAtOnce == 0) std::this_thread::sleep_for(kWriterPause);
  }
  logger_->Event(LogLevel::kInfo, "policy-summary",
                 absl::StrCat("policies with traffic: ", lines.size()));
  if (period == Period::kEnds) released_.clear();
}

void PolicySummaryLog::Release() {
  for (std::size_t i = watched_.size() - 1; i-- > 0;) {
    Watched& watched = watched_[i];
    // What no session holds does not change any more.
    if (std::all_of(watched.runtimes.begin(), watched.runtimes.end(),
                    [](const auto& runtime) { return runtime.use_count() == 1; })) {
      Gather(watched, Period::kEnds, released_);
      watched_.erase(watched_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
}

void PolicySummaryLog::Gather(Watched& watched, Period period, Lines& lines) {
  const Config& config = *watched.runtimes.front()->config;
  const std::size_t partners = config.partners.size();
  for (std::size_t subject = 0; subject < watched.reported.size(); ++subject) {
    PolicyTotals now;
    for (const std::shared_ptr<const Runtime>& runtime : watched.runtimes) {
      runtime->counters->AddTo(subject, now);
    }
    const PolicyTotals totals = Since(now, watched.reported[subject]);
    if (period == Period::kEnds) watched.reported[subject] = now;
    const bool is_partner = subject < partners;
    if (totals.messages == 0 ||
        (!is_partner && !Speaks(config.ingress[subject - partners].policy))) {
      continue;
    }
    // What is asked is said as the newest configuration has it.
    Line line;
    line.kind = is_partner ? "partner" : "route";
    if (is_partner) {
      const Partner& partner = config.partners[subject];
      line.name = partner.name;
      line.asked = partner.tls;
      line.mode = partner.mode;
    } else {
      const IngressConfig& route = config.ingress[subject - partners];
      line.name = route.name;
      line.asked = route.policy.tls;
      line.mode = route.policy.mode;
    }
    Line& merged = lines[{line.kind, line.name}];
    line.totals = merged.totals;
    Add(totals, line.totals);
    merged = std::move(line);
  }
}

}  // namespace ringpost
