// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/policy/policy_report.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

namespace ringpost {
namespace {

PolicyDecision Decision(TlsPolicy met, PolicyFault fault = PolicyFault::kNone) {
  PolicyDecision decision;
  decision.met = met;
  decision.fault = fault;
  return decision;
}

void Repeat(int times, PolicyCounters& counters, const PolicyDecision& decision) {
  for (int i = 0; i < times; ++i) counters.Count(0, decision);
}

PolicyTotals TotalsOf(const PolicyCounters& counters) {
  PolicyTotals totals;
  counters.AddTo(0, totals);
  return totals;
}

std::string Summary(const PolicyCounters& counters, PolicyMode mode = PolicyMode::kReport) {
  return PolicySummary("partner", "contoso", {.asked = "encrypt"}, mode, TotalsOf(counters));
}

TEST(PolicyTotals, TheStrictestLevelThatAllMet) {
  PolicyCounters counters(1);
  EXPECT_EQ(TotalsOf(counters).strictest_met(), std::nullopt);
  counters.Count(0, Decision(TlsPolicy::kVerify));
  EXPECT_EQ(TotalsOf(counters).strictest_met(), TlsPolicy::kVerify);
  counters.Count(0, Decision(TlsPolicy::kEncrypt));
  EXPECT_EQ(TotalsOf(counters).strictest_met(), TlsPolicy::kEncrypt);
  counters.Count(0, Decision(TlsPolicy::kMay));
  EXPECT_EQ(TotalsOf(counters).strictest_met(), TlsPolicy::kMay);
  EXPECT_EQ(TotalsOf(counters).messages, 3U);
  EXPECT_EQ(TotalsOf(counters).met_encrypt, 2U);
  EXPECT_EQ(TotalsOf(counters).met_verify, 1U);
}

TEST(PolicyCounters, SubjectsAreApartAndShardsAddUp) {
  PolicyCounters one(2);
  PolicyCounters two(2);
  EXPECT_EQ(one.size(), 2U);
  one.Count(1, Decision(TlsPolicy::kMay, PolicyFault::kNoTls));
  two.Count(1, Decision(TlsPolicy::kEncrypt, PolicyFault::kExpired));
  two.Count(0, Decision(TlsPolicy::kVerify));
  PolicyTotals totals;
  one.AddTo(1, totals);
  two.AddTo(1, totals);
  EXPECT_EQ(totals.messages, 2U);
  EXPECT_EQ(totals.met_encrypt, 1U);
  EXPECT_EQ(totals.met_verify, 0U);
  EXPECT_EQ(totals.faults[static_cast<std::size_t>(PolicyFault::kNoTls)], 1U);
  EXPECT_EQ(totals.faults[static_cast<std::size_t>(PolicyFault::kExpired)], 1U);
  EXPECT_EQ(totals.faults[static_cast<std::size_t>(PolicyFault::kNone)], 0U);
}

// One message that met nothing comes first; however much is counted while somebody reads, the sum
// never says that all met a level.
TEST(PolicyCounters, AReaderNeverHidesAMessageThatMetNothing) {
  PolicyCounters counters(1);
  counters.Count(0, Decision(TlsPolicy::kMay, PolicyFault::kNoTls));
  std::atomic<bool> started{false};
  std::atomic<bool> enough{false};
  std::thread writer([&] {
    while (!enough) {
      Repeat(100, counters, Decision(TlsPolicy::kVerify));
      started = true;
    }
  });
  while (!started) std::this_thread::yield();
  int hidden = 0;
  for (int i = 0; i < 100000; ++i) {
    if (TotalsOf(counters).strictest_met() != TlsPolicy::kMay) ++hidden;
  }
  enough = true;
  writer.join();
  EXPECT_EQ(hidden, 0);
  EXPECT_GE(TotalsOf(counters).messages, 101U);
  EXPECT_EQ(TotalsOf(counters).met_verify, TotalsOf(counters).messages - 1);
}

TEST(PolicySummary, NothingSeen) {
  EXPECT_EQ(Summary(PolicyCounters(1)),
            "partner \"contoso\" asks for encrypt (report): no messages");
}

TEST(PolicySummary, AllMetTheStrictest) {
  PolicyCounters counters(1);
  Repeat(120, counters, Decision(TlsPolicy::kVerify));
  EXPECT_EQ(Summary(counters),
            "partner \"contoso\" asks for encrypt (report): 120 messages, all met verify; would "
            "refuse 0");
  EXPECT_EQ(Summary(counters, PolicyMode::kEnforce),
            "partner \"contoso\" asks for encrypt: 120 messages, all met verify; refused 0");
}

TEST(PolicySummary, AllMetEncryptAndSomeVerify) {
  PolicyCounters counters(1);
  counters.Count(0, Decision(TlsPolicy::kEncrypt));
  EXPECT_EQ(Summary(counters),
            "partner \"contoso\" asks for encrypt (report): 1 message, all met encrypt; would "
            "refuse 0");
  counters.Count(0, Decision(TlsPolicy::kVerify));
  EXPECT_EQ(Summary(counters),
            "partner \"contoso\" asks for encrypt (report): 2 messages, all met encrypt, 1 verify; "
            "would refuse 0");
}

TEST(PolicySummary, FaultsAreListedMostFrequentFirst) {
  PolicyCounters counters(1);
  Repeat(80, counters, Decision(TlsPolicy::kVerify));
  Repeat(15, counters, Decision(TlsPolicy::kEncrypt));
  Repeat(2, counters, Decision(TlsPolicy::kMay, PolicyFault::kNoTls));
  Repeat(20, counters, Decision(TlsPolicy::kEncrypt, PolicyFault::kWrongNetwork));
  Repeat(3, counters, Decision(TlsPolicy::kEncrypt, PolicyFault::kExpired));
  EXPECT_EQ(Summary(counters),
            "partner \"contoso\" asks for encrypt (report): 118 of 120 messages met encrypt, 80 "
            "verify; would refuse 25: wrong-network 20, expired 3, no-tls 2");
}

TEST(PolicySummary, WhatWasCountedForAPolicyThatIsGone) {
  PolicyCounters counters(1);
  counters.Count(0, Decision(TlsPolicy::kMay, PolicyFault::kNoTls));
  const auto text = [&counters](PolicyMode mode) {
    return PolicySummary("partner", "contoso", {.asked = "encrypt"}, mode, TotalsOf(counters),
                         PolicyEra::kReplaced);
  };
  EXPECT_EQ(text(PolicyMode::kReport),
            "partner \"contoso\" asked for encrypt (report) before a reload: 0 of 1 message met "
            "encrypt; would have refused 1: no-tls 1");
  EXPECT_EQ(text(PolicyMode::kEnforce),
            "partner \"contoso\" asked for encrypt before a reload: 0 of 1 message met encrypt; "
            "refused 1: no-tls 1");
}

TEST(PolicySummary, ARoutesLevelIsNamed) {
  PolicyCounters counters(1);
  counters.Count(0, Decision(TlsPolicy::kMay));
  EXPECT_EQ(PolicySummary("route", "mx", {.asked = "may"}, PolicyMode::kReport, TotalsOf(counters)),
            "route \"mx\" asks for may (report): 0 of 1 message met encrypt; would refuse 0");
}

}  // namespace
}  // namespace ringpost
