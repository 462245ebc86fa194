// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/policy/policy_report.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ringpost/base/check.h"

namespace ringpost {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

// The counter's only writer needs no locked instruction. Release: see AddTo().
void Increment(std::atomic<std::uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

std::uint64_t Read(const std::atomic<std::uint64_t>& counter) {
  return counter.load(std::memory_order_acquire);
}

// "120 messages, all met verify", "100 of 120 messages met encrypt, 80 verify"
std::string MetText(const PolicyTotals& totals, absl::string_view verify) {
  const std::string messages =
      absl::StrCat(totals.messages, totals.messages == 1 ? " message" : " messages");
  if (totals.strictest_met() == TlsPolicy::kVerify)
    return absl::StrCat(messages, ", all met ", verify);
  std::string text = totals.strictest_met() == TlsPolicy::kEncrypt
                         ? absl::StrCat(messages, ", all met encrypt")
                         : absl::StrCat(totals.met_encrypt, " of ", messages, " met encrypt");
  if (totals.met_verify > 0) absl::StrAppend(&text, ", ", totals.met_verify, " ", verify);
  return text;
}

// "no-tls 20, expired 3", the most frequent first.
std::string FaultsText(const PolicyTotals& totals) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < totals.faults.size(); ++i) {
    if (totals.faults[i] > 0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&totals](std::size_t a, std::size_t b) {
    return totals.faults[a] > totals.faults[b];
  });
  std::string text;
  for (const std::size_t i : order) {
    absl::StrAppend(&text, text.empty() ? "" : ", ",
                    View(PolicyFaultName(static_cast<PolicyFault>(i))), " ", totals.faults[i]);
  }
  return text;
}

absl::string_view ModeText(PolicyMode mode) {
  return mode == PolicyMode::kEnforce ? "" : " (report)";
}

absl::string_view EraText(PolicyEra era) {
  return era == PolicyEra::kInForce ? "" : " before a reload";
}

absl::string_view RefusedText(PolicyMode mode, PolicyEra era) {
  if (mode == PolicyMode::kEnforce) return "; refused ";
  return era == PolicyEra::kInForce ? "; would refuse " : "; would have refused ";
}

}  // namespace

std::optional<TlsPolicy> PolicyTotals::strictest_met() const {
  if (messages == 0) return std::nullopt;
  if (met_verify == messages) return TlsPolicy::kVerify;
  if (met_encrypt == messages) return TlsPolicy::kEncrypt;
  return TlsPolicy::kMay;
}

PolicyCounters::PolicyCounters(std::size_t subjects)
    : size_(subjects), counters_(std::make_unique<Counters[]>(subjects)) {}

void PolicyCounters::Count(std::size_t subject, const PolicyDecision& decision) {
  RINGPOST_CHECK(subject < size_);
  Counters& counters = counters_[subject];
  Increment(counters.messages);
  if (decision.met >= TlsPolicy::kEncrypt) Increment(counters.met_encrypt);
  if (decision.met >= TlsPolicy::kVerify) Increment(counters.met_verify);
  if (decision.fault != PolicyFault::kNone) {
    Increment(counters.faults[static_cast<std::size_t>(decision.fault)]);
  }
}

void PolicyCounters::AddTo(std::size_t subject, PolicyTotals& totals) const {
  RINGPOST_CHECK(subject < size_);
  const Counters& counters = counters_[subject];
  // The opposite of Count()'s order, so that a message that is counted meanwhile may be missing
  // among those that met a level, but never fills the place of one that did not.
  for (std::size_t i = 0; i < totals.faults.size(); ++i)
    totals.faults[i] += Read(counters.faults[i]);
  totals.met_verify += Read(counters.met_verify);
  totals.met_encrypt += Read(counters.met_encrypt);
  totals.messages += Read(counters.messages);
}

std::string PolicySummary(std::string_view kind, std::string_view name, PolicyWords words,
                          PolicyMode mode, const PolicyTotals& totals, PolicyEra era) {
  const std::string start = absl::StrCat(
      View(kind), " \"", View(name), era == PolicyEra::kInForce ? "\" asks for " : "\" asked for ",
      View(words.asked), ModeText(mode), EraText(era), ": ");
  if (totals.messages == 0) return absl::StrCat(start, "no messages");
  const std::uint64_t refused =
      std::accumulate(totals.faults.begin(), totals.faults.end(), std::uint64_t{0});
  std::string text =
      absl::StrCat(start, MetText(totals, View(words.met_verify)), RefusedText(mode, era), refused);
  if (refused > 0) absl::StrAppend(&text, ": ", FaultsText(totals));
  return text;
}

std::string UnreadableSummary(std::string_view route, PolicyMode mode, const PolicyTotals& totals,
                              PolicyEra era) {
  return absl::StrCat("partners on route \"", View(route), "\"", ModeText(mode), EraText(era), ": ",
                      totals.messages, totals.messages == 1 ? " sender" : " senders",
                      " that could be read in two ways", RefusedText(mode, era), totals.messages);
}

}  // namespace ringpost
