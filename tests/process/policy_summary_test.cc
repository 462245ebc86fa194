// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/policy_summary.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ringpost {
namespace {

// A configuration with one partner and one route, on two shards.
std::vector<std::shared_ptr<const Runtime>> MakeRuntimes(TlsPolicy asked, PolicyMode mode) {
  auto config = std::make_shared<Config>();
  config->partners.emplace_back();
  config->partners.back().name = "contoso";
  config->partners.back().tls = asked;
  config->partners.back().mode = mode;
  config->routes.emplace_back();
  config->routes.back().name = "mx";
  config->partners.back().sender_domains = {"contoso.example"};
  std::vector<std::shared_ptr<const Runtime>> runtimes;
  for (int shard = 0; shard < 2; ++shard) {
    auto runtime = std::make_shared<Runtime>();
    runtime->config = config;
    runtime->partners = std::make_shared<const PartnerTable>(config->partners);
    runtime->counters = std::make_unique<PolicyCounters>(3);
    runtimes.push_back(std::move(runtime));
  }
  return runtimes;
}

void Count(const Runtime& runtime, TlsPolicy met, PolicyFault fault, std::size_t subject = 0) {
  PolicyDecision decision;
  decision.met = met;
  decision.fault = fault;
  runtime.counters->Count(subject, decision);
}

class PolicySummaryTest : public testing::Test {
 protected:
  PolicySummaryTest() {
    EXPECT_EQ(pipe(pipe_.data()), 0);
    log_ = std::make_unique<Log>(LogFormat::kText, LogLevel::kInfo, pipe_[1]);
    summary_ = std::make_unique<PolicySummaryLog>(log_->AddLogger());
  }
  ~PolicySummaryTest() override {
    close(pipe_[0]);
    close(pipe_[1]);
  }

  // Everything that was logged, without the times. The log is over then.
  std::string Lines() {
    log_->Stop();
    std::array<char, 8192> octets;
    const ssize_t got = read(pipe_[0], octets.data(), octets.size());
    std::string lines(octets.data(), static_cast<std::size_t>(got > 0 ? got : 0));
    constexpr std::string_view kComponent = "policy-summary: ";
    std::string bare;
    for (std::size_t at = 0; at < lines.size();) {
      const std::size_t end = lines.find('\n', at);
      const std::size_t text = lines.find(kComponent, at) + kComponent.size();
      bare += lines.substr(text, end - text) + "\n";
      at = end + 1;
    }
    return bare;
  }

  std::array<int, 2> pipe_{};
  std::unique_ptr<Log> log_;
  std::unique_ptr<PolicySummaryLog> summary_;
};

TEST_F(PolicySummaryTest, AddsUpShardsAndBeginsAnewWithEachPeriod) {
  const auto runtimes = MakeRuntimes(TlsPolicy::kEncrypt, PolicyMode::kReport);
  summary_->Watch(runtimes);
  Count(*runtimes[0], TlsPolicy::kEncrypt, PolicyFault::kNone);
  Count(*runtimes[1], TlsPolicy::kMay, PolicyFault::kNoTls);
  summary_->Write(PolicySummaryLog::Period::kGoesOn);
  summary_->Write(PolicySummaryLog::Period::kEnds);
  Count(*runtimes[1], TlsPolicy::kVerify, PolicyFault::kNone);
  summary_->Write(PolicySummaryLog::Period::kEnds);
  summary_->Write(PolicySummaryLog::Period::kEnds);
  const std::string first =
      "partner \"contoso\" asks for encrypt (report): 1 of 2 messages met encrypt; would refuse 1: "
      "no-tls 1\npolicies with traffic: 1\n";
  EXPECT_EQ(Lines(),
            first + first +
                "partner \"contoso\" asks for encrypt (report): 1 message, all met verify; "
                "would refuse 0\npolicies with traffic: 1\n"
                "policies with traffic: 0\n");
}

TEST_F(PolicySummaryTest, CountsSessionsOfTheConfigurationBefore) {
  auto old = MakeRuntimes(TlsPolicy::kEncrypt, PolicyMode::kReport);
  summary_->Watch(old);
  Count(*old[0], TlsPolicy::kEncrypt, PolicyFault::kNone);
  const auto young = MakeRuntimes(TlsPolicy::kEncrypt, PolicyMode::kReport);
  summary_->Watch(young);
  summary_->Release();  // a session still has it
  Count(*old[1], TlsPolicy::kMay, PolicyFault::kNoTls);
  const std::weak_ptr<const Runtime> seen = old[0];
  old.clear();
  summary_->Release();
  EXPECT_TRUE(seen.expired()) << "its keys stay in memory";
  Count(*young[0], TlsPolicy::kEncrypt, PolicyFault::kNone);
  summary_->Write(PolicySummaryLog::Period::kEnds);
  summary_->Write(PolicySummaryLog::Period::kEnds);
  EXPECT_EQ(
      Lines(),
      "partner \"contoso\" asks for encrypt (report): 2 of 3 messages met encrypt; would refuse 1: "
      "no-tls 1\n"
      "policies with traffic: 1\n"
      "policies with traffic: 0\n");
}

// Only addresses are new: sessions of before and after count in one place, once, also those that
// outlive the next reload.
TEST_F(PolicySummaryTest, OtherAddressesAreNoOtherPolicy) {
  auto first = MakeRuntimes(TlsPolicy::kEncrypt, PolicyMode::kReport);
  summary_->Watch(first);
  Count(*first[0], TlsPolicy::kEncrypt, PolicyFault::kNone);
  std::vector<std::shared_ptr<const Runtime>> moved;
  for (const std::shared_ptr<const Runtime>& runtime : first) {
    auto next = std::make_shared<Runtime>();
    next->config = runtime->config;
    next->partners = runtime->partners;
    next->counters = runtime->counters;
    EXPECT_TRUE(next->HasPoliciesOf(*runtime));
    moved.push_back(std::move(next));
  }
  summary_->Follow(moved);
  Count(*moved[1], TlsPolicy::kEncrypt, PolicyFault::kNone);
  moved.clear();
  summary_->Watch(MakeRuntimes(TlsPolicy::kEncrypt, PolicyMode::kReport));
  summary_->Release();
  Count(*first[1], TlsPolicy::kEncrypt, PolicyFault::kNone);
  summary_->Write(PolicySummaryLog::Period::kEnds);
  EXPECT_EQ(Lines(),
            "partner \"contoso\" asks for encrypt (report): 3 messages, all met encrypt; would "
            "refuse 0\npolicies with traffic: 1\n");
}

// What was let through in report mode is never called refused, and a partner that was repaired does
// not show what was counted before.
TEST_F(PolicySummaryTest, AChangedPolicyIsCountedAnewAndTheOldCountIsKept) {
  auto report = MakeRuntimes(TlsPolicy::kEncrypt, PolicyMode::kReport);
  summary_->Watch(report);
  Count(*report[0], TlsPolicy::kMay, PolicyFault::kNoTls);
  auto enforce = MakeRuntimes(TlsPolicy::kEncrypt, PolicyMode::kEnforce);
  summary_->Watch(enforce);
  summary_->Write(PolicySummaryLog::Period::kGoesOn);
  Count(*enforce[0], TlsPolicy::kEncrypt, PolicyFault::kNone);
  report.clear();
  summary_->Write(PolicySummaryLog::Period::kGoesOn);
  // The same again is a new beginning too, and sessions of the one before may outlive it.
  const auto again = MakeRuntimes(TlsPolicy::kEncrypt, PolicyMode::kReport);
  summary_->Watch(again);
  Count(*enforce[1], TlsPolicy::kEncrypt, PolicyFault::kNone);
  Count(*again[1], TlsPolicy::kVerify, PolicyFault::kNone);
  summary_->Write(PolicySummaryLog::Period::kEnds);
  const std::string before =
      "partner \"contoso\" asked for encrypt (report) before a reload: 0 of 1 message met encrypt; "
      "would have refused 1: no-tls 1\n";
  EXPECT_EQ(
      Lines(),
      before + "policies with traffic: 1\n" + before +
          "partner \"contoso\" asks for encrypt: 1 message, all met encrypt; refused 0\n"
          "policies with traffic: 2\n" +
          before +
          "partner \"contoso\" asked for encrypt before a reload: 2 messages, all met encrypt; "
          "refused 0\n"
          "partner \"contoso\" asks for encrypt (report): 1 message, all met verify; would "
          "refuse 0\n"
          "policies with traffic: 3\n");
}

TEST_F(PolicySummaryTest, SendersThatCannotBeReadAreCountedForTheirRoute) {
  const auto report = MakeRuntimes(TlsPolicy::kEncrypt, PolicyMode::kReport);
  summary_->Watch(report);
  Count(*report[0], TlsPolicy::kMay, PolicyFault::kUnreadableSender, 2);
  Count(*report[1], TlsPolicy::kMay, PolicyFault::kUnreadableSender, 2);
  summary_->Write(PolicySummaryLog::Period::kGoesOn);
  const auto enforce = MakeRuntimes(TlsPolicy::kEncrypt, PolicyMode::kEnforce);
  summary_->Watch(enforce);
  Count(*enforce[1], TlsPolicy::kMay, PolicyFault::kUnreadableSender, 2);
  summary_->Write(PolicySummaryLog::Period::kEnds);
  EXPECT_EQ(
      Lines(),
      "partners on route \"mx\" (report): 2 senders that could be read in two ways; would "
      "refuse 2\n"
      "policies with traffic: 1\n"
      "partners on route \"mx\" (report) before a reload: 2 senders that could be read in two "
      "ways; would have refused 2\n"
      "partners on route \"mx\": 1 sender that could be read in two ways; refused 1\n"
      "policies with traffic: 2\n");
}

}  // namespace
}  // namespace ringpost
