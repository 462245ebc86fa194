// SPDX-License-Identifier: GPL-3.0-or-later
//
// Each case is a table of events and what is answered to them, in order.
#include "ringpost/session/upstream_health.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace ringpost {
namespace {

enum class Event {
  kSession,
  kPick,
  kFailed,
  kRefuted,
  kDoubted,
  kSuspected,
  kSucceeded,
  kProven,
  kTake,
  kNext
};

constexpr TimeNs kMs = kNsPerMs;
constexpr int kNone = -1;        // no address, no time
constexpr int kWait = -2;        // picked: a probe will tell
constexpr int kAgain = 300'000;  // when an address that was proven at 0 is probed again

// `at` is the time in ms, or for kPick the addresses that were tried (and its time that of the last
// event). `expected` is an address, a time in ms, or for what is told 1 where it is news.
struct Row {
  Event event;
  std::size_t address;
  int at;
  int expected;
};

enum class Begin { kProven, kUnproven };

void Play(std::size_t addresses, const std::vector<Row>& rows, Begin begin = Begin::kProven) {
  UpstreamHealth health(addresses);
  for (std::size_t i = 0; begin == Begin::kProven && i < addresses; ++i) {
    EXPECT_FALSE(health.Proven(i, 0));
  }
  TimeNs last = 0;
  TimeNs since = 0;  // of the session that picks: it came with the last kSession
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    int got = kNone;
    last = row.event == Event::kPick ? last : row.at * kMs;
    switch (row.event) {
      case Event::kSession:
        since = last;
        break;
      case Event::kPick: {
        const auto picked = health.Pick(static_cast<std::uint64_t>(row.at), last, since);
        got = picked.choice == UpstreamHealth::Choice::kAddress ? static_cast<int>(picked.address)
              : picked.choice == UpstreamHealth::Choice::kWait  ? kWait
                                                                : kNone;
        break;
      }
      case Event::kRefuted:
        got = health.Refuted(row.address, row.at * kMs) ? 1 : 0;
        break;
      case Event::kDoubted:
        health.Doubted(row.address, row.at * kMs);
        break;
      case Event::kProven:
        got = health.Proven(row.address, row.at * kMs) ? 1 : 0;
        EXPECT_FALSE(health.down(row.address)) << "row " << i;
        break;
      case Event::kFailed:
        got = health.Failed(row.address, row.at * kMs) ? 1 : 0;
        EXPECT_TRUE(health.down(row.address)) << "row " << i;
        break;
      case Event::kSuspected:
        health.Suspected(row.address, row.at * kMs);
        break;
      case Event::kSucceeded:
        got = health.Succeeded(row.address) ? 1 : 0;
        EXPECT_FALSE(health.down(row.address)) << "row " << i;
        break;
      case Event::kTake:
        if (const auto taken = health.TakeDueProbe(row.at * kMs)) {
          got = static_cast<int>(*taken);
        }
        break;
      case Event::kNext:
        if (const auto next = health.NextProbe()) {
          got = static_cast<int>(*next / kMs);
        }
        break;
    }
    EXPECT_EQ(got, row.expected) << "row " << i;
  }
}

TEST(UpstreamHealthTest, PicksInOrderAndTheDownLast) {
  Play(3, {
              {Event::kPick, 0, 0b000, 0},
              {Event::kPick, 0, 0b001, 1},
              {Event::kPick, 0, 0b011, 2},
              {Event::kPick, 0, 0b111, kNone},
              {Event::kFailed, 0, 0, 1},
              {Event::kPick, 0, 0b000, 1},
              {Event::kPick, 0, 0b010, 2},
              {Event::kPick, 0, 0b110, 0},
              {Event::kPick, 0, 0b111, kNone},
              {Event::kFailed, 1, 0, 1},
              {Event::kFailed, 2, 0, 1},
              // Being wrong about all of them costs nothing.
              {Event::kPick, 0, 0b000, 0},
              {Event::kPick, 0, 0b001, 1},
              {Event::kSucceeded, 2, 0, 1},
              {Event::kPick, 0, 0b000, 2},
          });
}

TEST(UpstreamHealthTest, ASuspectIsProbedAndStaysUpUntilTheProbeSaysOtherwise) {
  Play(2, {
              {Event::kSuspected, 0, 100, kNone},
              {Event::kPick, 0, 0b00, 0},
              {Event::kNext, 0, 0, 100},
              {Event::kTake, 0, 100, 0},
              {Event::kSuspected, 0, 110, kNone},  // under way
              {Event::kNext, 0, 0, kAgain},        // the other's
              {Event::kProven, 0, 115, 0},
              {Event::kSuspected, 0, 120, kNone},  // not more often than once a second
              {Event::kNext, 0, 0, 1'100},
              {Event::kTake, 0, 1'099, kNone},
              {Event::kTake, 0, 1'100, 0},
              {Event::kFailed, 0, 1'110, 1},
              {Event::kPick, 0, 0b00, 1},
              {Event::kSuspected, 0, 1'120, kNone},
              {Event::kNext, 0, 0, 2'110},
          });
}

TEST(UpstreamHealthTest, SaysOnceThatAnAddressWentDownOrCameBack) {
  Play(1, {
              {Event::kSucceeded, 0, 0, 0},
              {Event::kFailed, 0, 0, 1},
              {Event::kFailed, 0, 0, 0},
              {Event::kSucceeded, 0, 0, 1},
              {Event::kSucceeded, 0, 0, 0},
              {Event::kFailed, 0, 0, 1},
          });
}

TEST(UpstreamHealthTest, TheBackoffDoublesUpToAMinuteAndBeginsAnew) {
  std::vector<Row> rows = {{Event::kNext, 0, 0, kAgain}, {Event::kFailed, 0, 500, 1}};
  int now = 500;
  for (const int backoff : {1'000, 2'000, 4'000, 8'000, 16'000, 32'000, 60'000, 60'000, 60'000}) {
    rows.push_back({Event::kNext, 0, 0, now + backoff});
    rows.push_back({Event::kTake, 0, now + backoff - 1, kNone});
    now += backoff;
    rows.push_back({Event::kTake, 0, now, 0});
    rows.push_back({Event::kNext, 0, 0, kNone});
    rows.push_back({Event::kTake, 0, now + 100'000, kNone});  // under way
    now += 5;
    rows.push_back({Event::kFailed, 0, now, 0});
  }
  rows.push_back({Event::kProven, 0, now, 1});
  rows.push_back({Event::kNext, 0, 0, now + kAgain});
  rows.push_back({Event::kFailed, 0, now, 1});
  rows.push_back({Event::kNext, 0, 0, now + 1'000});
  Play(1, rows);
}

TEST(UpstreamHealthTest, SessionsThatFailDoNotPutOffTheProbe) {
  Play(1, {
              {Event::kFailed, 0, 0, 1},
              {Event::kFailed, 0, 900, 0},
              {Event::kFailed, 0, 950, 0},
              {Event::kNext, 0, 0, 1'000},
              {Event::kTake, 0, 1'000, 0},
              {Event::kFailed, 0, 1'001, 0},
              {Event::kNext, 0, 0, 3'001},
          });
}

TEST(UpstreamHealthTest, ASessionMayFindItUpWhileItIsProbed) {
  Play(1, {
              {Event::kFailed, 0, 0, 1},
              {Event::kTake, 0, 1'000, 0},
              {Event::kSucceeded, 0, 1'001, 1},
              {Event::kNext, 0, 0, kNone},
              {Event::kProven, 0, 1'002, 0},  // the probe's own
              {Event::kNext, 0, 0, 1'002 + kAgain},
          });
}

TEST(UpstreamHealthTest, ProbesTheLongestOverdueFirst) {
  Play(3, {
              {Event::kFailed, 2, 0, 1},
              {Event::kFailed, 0, 10, 1},
              {Event::kNext, 0, 0, 1'000},
              {Event::kTake, 0, 1'010, 2},
              {Event::kNext, 0, 0, 1'010},
              {Event::kTake, 0, 1'010, 0},
              {Event::kTake, 0, 1'010, kNone},
          });
}

// `tried` has a bit for each of 64 addresses: one without a bit would be picked for ever.
TEST(UpstreamHealthTest, NeverPicksWhatCannotBeMarkedAsTried) {
  UpstreamHealth health(70);
  for (std::size_t address = 0; address < 70; ++address) {
    (void)health.Proven(address, 0);
  }
  std::uint64_t tried = 0;
  for (std::size_t expected = 0; expected < 64; ++expected) {
    const UpstreamHealth::Picked picked = health.Pick(tried, 0, 0);
    ASSERT_EQ(picked.choice, UpstreamHealth::Choice::kAddress);
    ASSERT_EQ(picked.address, expected);
    tried |= std::uint64_t{1} << expected;
  }
  EXPECT_EQ(health.Pick(tried, 0, 0).choice, UpstreamHealth::Choice::kNone);
  EXPECT_FALSE(health.HasOther(tried));
}

TEST(UpstreamHealthTest, NoAddressesNoPick) {
  UpstreamHealth health(0);
  EXPECT_EQ(health.Pick(0, 0, 0).choice, UpstreamHealth::Choice::kNone);
  EXPECT_EQ(health.TakeDueProbe(0), std::nullopt);
  EXPECT_EQ(health.NextProbe(), std::nullopt);
}

// --- Proofs

TEST(UpstreamHealthTest, NothingIsUsedBeforeItIsProven) {
  Play(2,
       {
           {Event::kPick, 0, 0b00, kWait},
           {Event::kTake, 0, 0, 0},
           {Event::kTake, 0, 0, 1},
           {Event::kPick, 0, 0b00, kWait},
           {Event::kProven, 1, 300, 0},
           {Event::kPick, 0, 0b00, 1},
           {Event::kPick, 0, 0b10, kWait},  // for the first
           {Event::kRefuted, 0, 400, 1},
           {Event::kPick, 0, 0b10, kNone},
           {Event::kPick, 0, 0b00, 1},
           {Event::kNext, 0, 0, 1'400},
       },
       Begin::kUnproven);
}

// A mail server that is started after ringpost is used as soon as somebody asks for it.
TEST(UpstreamHealthTest, AClientBringsAboutAProbeOfWhatFailed) {
  Play(1,
       {
           {Event::kTake, 0, 0, 0},
           {Event::kPick, 0, 0b0, kWait},
           {Event::kFailed, 0, 5, 1},
           {Event::kPick, 0, 0b0, kNone},  // that was the answer
           {Event::kNext, 0, 6, 1'005},
           {Event::kSession, 0, 20, kNone},  // but not to this one
           {Event::kPick, 0, 0b0, kWait},
           {Event::kNext, 0, 20, 20},
           {Event::kTake, 0, 20, 0},
           {Event::kPick, 0, 0b0, kWait},
           {Event::kProven, 0, 26, 1},
           {Event::kPick, 0, 0b0, 0},
       },
       Begin::kUnproven);
}

TEST(UpstreamHealthTest, WhatIsRefutedIsAskedAgainOnceASecondAtMost) {
  Play(1,
       {
           {Event::kTake, 0, 0, 0},
           {Event::kRefuted, 0, 5, 1},
           {Event::kSession, 0, 500, kNone},
           {Event::kPick, 0, 0b0, kNone},
           {Event::kTake, 0, 1'004, kNone},
           {Event::kTake, 0, 1'005, 0},
           {Event::kRefuted, 0, 1'010, 0},
           {Event::kNext, 0, 1'011, 3'010},  // by itself after twice the time
           {Event::kPick, 0, 0b0, kNone},
           {Event::kNext, 0, 2'010, 3'010},
           {Event::kPick, 0, 0b0, kWait},  // for a client sooner
           {Event::kTake, 0, 2'010, 0},
           {Event::kProven, 0, 2'020, 1},
           {Event::kPick, 0, 0b0, 0},
       },
       Begin::kUnproven);
}

TEST(UpstreamHealthTest, WhatIsDoubtedIsNotUsedUntilItIsProvenAgain) {
  Play(1, {
              {Event::kDoubted, 0, 5'000, kNone},
              {Event::kPick, 0, 0b0, kWait},
              {Event::kNext, 0, 5'000, 5'000},
              {Event::kTake, 0, 5'000, 0},
              {Event::kProven, 0, 5'001, 0},
              {Event::kPick, 0, 0b0, 0},
              {Event::kDoubted, 0, 5'100, kNone},  // once a second at most
              {Event::kNext, 0, 5'100, 6'000},
              {Event::kPick, 0, 0b0, kWait},
          });
}

TEST(UpstreamHealthTest, TwoConfigurationsKnowTheSameAndProveItAnew) {
  UpstreamHealth before(1);
  (void)before.Proven(0, 0);
  before.set_proxy_header_max(107);
  UpstreamHealth after(1);
  after.ShareWith(before);
  EXPECT_EQ(after.proof(0), UpstreamHealth::Proof::kProven);
  EXPECT_EQ(after.proxy_header_max(), 107u);
  EXPECT_EQ(after.TakeDueProbe(kMs), std::optional<std::size_t>(0));
  (void)after.Refuted(0, 2 * kMs);
  EXPECT_EQ(before.Pick(0, 3 * kMs, 0).choice, UpstreamHealth::Choice::kNone);
}

TEST(UpstreamHealthTest, AnAddressThatStaysKeepsWhatIsKnownOfIt) {
  UpstreamHealth before(2);
  (void)before.Proven(1, 0);
  before.set_proxy_header_max(107);
  UpstreamHealth after(3);
  after.Keep(2, before, 1);
  EXPECT_EQ(after.proof(2), UpstreamHealth::Proof::kProven);
  EXPECT_EQ(after.proof(0), UpstreamHealth::Proof::kPending);
  EXPECT_EQ(after.proxy_header_max(), 107u);
  EXPECT_EQ(after.Preferred(), 2u);
  // The other one goes on by itself.
  (void)after.Refuted(2, kMs);
  EXPECT_EQ(before.proof(1), UpstreamHealth::Proof::kProven);
}

// The header that is to be shown to it must not be shown to another.
TEST(UpstreamHealthTest, WhatIsProbedAgainComesBeforeTheOthers) {
  UpstreamHealth health(3);
  (void)health.Proven(0, 0);
  health.Suspected(0, 2'000 * kMs);
  ASSERT_EQ(health.TakeDueProbe(3'000 * kMs), std::optional<std::size_t>(1));
  health.ProbeAgain(1);
  EXPECT_EQ(health.TakeDueProbe(3'000 * kMs), std::optional<std::size_t>(1));
}

}  // namespace
}  // namespace ringpost
