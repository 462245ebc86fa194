// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/policy_summary.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ringpost {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

// The log's ring holds more lines than these; then its writer needs a moment.
constexpr std::size_t kLinesAtOnce = 400;
constexpr std::chrono::milliseconds kWriterPause{50};

// Only what a policy asks for, or asks about, is worth a line; and whether a partner to which mail
// leaves in clear, if need be, has always had TLS.
bool Speaks(const RouteConfig& route) {
  return route.policy.tls >= TlsPolicy::kEncrypt || route.policy.mode == PolicyMode::kReport ||
         (route.egress.has_value() && route.egress->policy.tls != EgressTls::kNone);
}

PolicyWords WordsOf(const RouteConfig& route) {
  if (!route.egress.has_value()) {
    return {.asked = TlsPolicyName(route.policy.tls)};
  }
  const std::string_view level = EgressTlsName(route.egress->policy.tls);
  return {.asked = level, .met_verify = level};
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

std::string RuleText(const Config& config, const CertificateRule& rule) {
  std::string text;
  if (rule.trust != kNoTrust) {
    const TrustConfig& trust = config.trusts[rule.trust];
    absl::StrAppend(&text, trust.client_ca, "\n", trust.crl, "\n",
                    static_cast<int>(trust.revocation));
  }
  absl::StrAppend(&text, "\n", rule.accept_common_name, rule.accept_server_auth_purpose, "\n",
                  absl::StrJoin(rule.names, " "), "\n");
  for (const Fingerprint& fingerprint : rule.fingerprints) {
    absl::StrAppend(&text, FormatFingerprint(fingerprint), " ");
  }
  return text;
}

std::string EgressText(const Config& config, const EgressConfig& egress) {
  const ServerPolicy& policy = egress.policy;
  CertificateRule rule;
  rule.trust = policy.trust;
  rule.names = policy.names;
  rule.fingerprints = policy.fingerprints;
  return absl::StrCat(View(EgressTlsName(policy.tls)), "\n", RuleText(config, rule));
}

std::string PartnerText(const Config& config, const Partner& partner) {
  std::string text = absl::StrCat(static_cast<int>(partner.tls), static_cast<int>(partner.mode),
                                  partner.restrict_to_networks, partner.restrict_to_certificate,
                                  "\n", absl::StrJoin(partner.sender_domains, " "), "\n");
  for (const Network& network : partner.networks) {
    text.append(network.prefix.begin(), network.prefix.end());
    absl::StrAppend(&text, "/", network.length);
  }
  return absl::StrCat(text, "\n", RuleText(config, partner.certificate));
}

}  // namespace

PolicySummaryLog::Subject PolicySummaryLog::SubjectOf(const Runtime& runtime, std::size_t subject) {
  const Config& config = *runtime.config;
  if (subject < config.partners.size()) {
    const Partner& partner = config.partners[subject];
    return {.kind = Kind::kPartner,
            .name = partner.name,
            .words = {.asked = TlsPolicyName(partner.tls)},
            .mode = partner.mode};
  }
  subject -= config.partners.size();
  if (subject < config.routes.size()) {
    const RouteConfig& route = config.routes[subject];
    return {.kind = Kind::kRoute,
            .name = route.name,
            .words = WordsOf(route),
            .mode = route.policy.mode};
  }
  const bool enforced = runtime.partners != nullptr && runtime.partners->enforces_domains();
  return {.kind = Kind::kUnreadable,
          .name = config.routes[subject - config.routes.size()].name,
          .words = {},
          .mode = enforced ? PolicyMode::kEnforce : PolicyMode::kReport};
}

std::string PolicySummaryLog::PolicyText(const Config& config, const Subject& subject,
                                         std::size_t index) {
  switch (subject.kind) {
    case Kind::kPartner:
      return PartnerText(config, config.partners[index]);
    case Kind::kRoute: {
      const RouteConfig& route = config.routes[index - config.partners.size()];
      return absl::StrCat(static_cast<int>(route.policy.tls), static_cast<int>(route.policy.mode),
                          RuleText(config, route.policy.certificate),
                          route.egress.has_value() ? EgressText(config, *route.egress) : "");
    }
    case Kind::kUnreadable:
      break;
  }
  return absl::StrCat(static_cast<int>(subject.mode));
}

void PolicySummaryLog::Watch(std::vector<std::shared_ptr<const Runtime>> runtimes) {
  std::map<std::pair<Kind, std::string>, std::pair<std::string, std::uint64_t>> before;
  if (!watched_.empty()) {
    const Watched& last = watched_.back();
    const Runtime& runtime = *last.runtimes.front();
    for (std::size_t index = 0; index < last.eras.size(); ++index) {
      const Subject subject = SubjectOf(runtime, index);
      before[{subject.kind, subject.name}] = {PolicyText(*runtime.config, subject, index),
                                              last.eras[index]};
    }
  }
  const Runtime& runtime = *runtimes.front();
  const std::size_t subjects = runtime.counters->size();
  std::vector<std::uint64_t> eras;
  for (std::size_t index = 0; index < subjects; ++index) {
    const Subject subject = SubjectOf(runtime, index);
    const auto known = before.find({subject.kind, subject.name});
    const bool same =
        known != before.end() && known->second.first == PolicyText(*runtime.config, subject, index);
    eras.push_back(same ? known->second.second : ++last_era_);
  }
  watched_.push_back({.runtimes = std::move(runtimes),
                      .reported = std::vector<PolicyTotals>(subjects),
                      .eras = std::move(eras)});
}

void PolicySummaryLog::Follow(std::vector<std::shared_ptr<const Runtime>> runtimes) {
  watched_.back().runtimes = std::move(runtimes);
}

void PolicySummaryLog::Write(Period period) {
  Release();
  Lines lines = released_;
  for (Watched& watched : watched_) {
    Gather(watched, period, lines);
  }
  const std::vector<std::uint64_t>& eras = watched_.back().eras;
  const std::set<std::uint64_t> in_force(eras.begin(), eras.end());
  std::size_t written = 0;
  for (const auto& [key, line] : lines) {
    const PolicyEra era = in_force.contains(key.era) ? PolicyEra::kInForce : PolicyEra::kReplaced;
    logger_->Event(LogLevel::kInfo, "policy-summary",
                   key.kind == Kind::kUnreadable
                       ? UnreadableSummary(key.name, line.mode, line.totals, era)
                       : PolicySummary(key.kind == Kind::kPartner ? "partner" : "route", key.name,
                                       line.words, line.mode, line.totals, era));
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
    if (std::all_of(watched.runtimes.begin(), watched.runtimes.end(), [](const auto& runtime) {
          return runtime.use_count() == 1 && runtime->counters.use_count() == 1;
        })) {
      Gather(watched, Period::kEnds, released_);
      watched_.erase(watched_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
}

void PolicySummaryLog::Gather(Watched& watched, Period period, Lines& lines) {
  const Runtime& runtime = *watched.runtimes.front();
  const std::size_t partners = runtime.config->partners.size();
  for (std::size_t index = 0; index < watched.reported.size(); ++index) {
    PolicyTotals now;
    for (const std::shared_ptr<const Runtime>& shard : watched.runtimes) {
      shard->counters->AddTo(index, now);
    }
    const PolicyTotals totals = Since(now, watched.reported[index]);
    if (period == Period::kEnds) watched.reported[index] = now;
    if (totals.messages == 0) continue;
    const Subject subject = SubjectOf(runtime, index);
    if (subject.kind == Kind::kRoute && !Speaks(runtime.config->routes[index - partners])) {
      continue;
    }
    Line& line = lines[{subject.kind, subject.name, watched.eras[index]}];
    line.words = subject.words;
    line.mode = subject.mode;
    Add(totals, line.totals);
  }
}

}  // namespace ringpost
