// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/client_shares.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <vector>

namespace ringpost {
namespace {

using Member = ClientShares::Member;

constexpr SipHash::Key kKey = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
constexpr std::size_t kLarge = 64;
constexpr std::size_t kSmall = 64;

std::optional<ClientNetwork> Numbered(std::uint32_t number) {
  SocketAddress address{};
  address.in.sin_family = AF_INET;
  address.in.sin_addr.s_addr = htonl(number);
  return ClientNetwork::Of(address.any);
}

class ClientSharesTest : public testing::Test {
 protected:
  ~ClientSharesTest() override {
    for (const BlockId block : taken_) {
      pool_.Release(block);
    }
  }

  void Take(const Member& member, std::size_t count) {
    pool_.set_holder(member.account);
    for (; count > 0; --count) {
      taken_.push_back(pool_.Take(BlockSize::kLarge).value());
    }
    pool_.set_holder(BufferPool::kNobody);
  }
  void GiveBack(std::size_t count) {  // the last ones
    for (; count > 0; --count) {
      pool_.Release(taken_.back());
      taken_.pop_back();
    }
  }

  BufferPool pool_{kLarge, kSmall};
  std::vector<BlockId> taken_;
  ClientShares shares_{&pool_, 100, kKey};
};

TEST_F(ClientSharesTest, SessionsOfOneAddressHaveOneAccount) {
  std::vector<Member> members(5);
  shares_.Enter(members[0], Numbered(1));
  shares_.Enter(members[1], Numbered(1));
  shares_.Enter(members[2], Numbered(2));
  shares_.Enter(members[3], std::nullopt);  // by unix socket: each for itself
  shares_.Enter(members[4], std::nullopt);
  EXPECT_EQ(members[0].account, members[1].account);
  EXPECT_EQ(shares_.client_count(), 4u);
  for (Member& member : members) {
    EXPECT_EQ(shares_.Leave(member), nullptr);
  }
  EXPECT_EQ(shares_.client_count(), 0u);
}

TEST_F(ClientSharesTest, ClientsComeAndGo) {
  constexpr std::size_t kMembers = 100;  // as many as there may be
  std::mt19937 random(1);
  std::vector<Member> members(kMembers);
  std::vector<std::uint32_t> clients(kMembers);
  for (int step = 0; step < 200'000; ++step) {
    const std::size_t at = random() % kMembers;
    if (members[at].account != 0) {
      EXPECT_EQ(shares_.Leave(members[at]), nullptr);
      continue;
    }
    clients[at] = static_cast<std::uint32_t>(random() % 150);
    shares_.Enter(members[at], Numbered(clients[at]));
    for (std::size_t other = 0; other < kMembers; ++other) {
      if (members[other].account != 0) {
        ASSERT_EQ(members[other].account == members[at].account, clients[other] == clients[at]);
      }
    }
  }
  for (Member& member : members) {
    EXPECT_EQ(shares_.Leave(member), nullptr);
  }
  EXPECT_EQ(shares_.client_count(), 0u);
}

TEST_F(ClientSharesTest, TurnsGoRoundAmongTheSessionsOfOneClient) {
  constexpr std::size_t kMembers = 3 * ClientShares::kTurns;
  std::vector<Member> members(kMembers);
  for (std::size_t i = 0; i < kMembers; ++i) {
    shares_.Enter(members[i], Numbered(1));
    EXPECT_EQ(shares_.TakeTurn(members[i]), i < ClientShares::kTurns) << i;
  }
  Member other;
  shares_.Enter(other, Numbered(2));
  EXPECT_TRUE(shares_.TakeTurn(other));
  EXPECT_FALSE(shares_.OthersWait(other));
  // Each that ends its turn goes to the end of the line: everybody has had one before anybody's
  // second.
  for (std::size_t step = 0; step < 5 * kMembers; ++step) {
    Member& ends = members[step % kMembers];
    ASSERT_TRUE(ends.has_turn) << step;
    EXPECT_TRUE(shares_.OthersWait(ends));
    EXPECT_EQ(shares_.EndTurn(ends), &members[(step + ClientShares::kTurns) % kMembers]);
    EXPECT_FALSE(shares_.TakeTurn(ends));
  }
  // Who leaves, whether it has a turn or waits for one, keeps nobody waiting.
  std::size_t with_turn = 0;
  for (std::size_t i = kMembers; i > 0; --i) {
    with_turn = 0;
    for (const Member& member : members) {
      with_turn += member.has_turn ? 1 : 0;
    }
    EXPECT_EQ(with_turn, std::min<std::size_t>(i, ClientShares::kTurns));
    (void)shares_.Leave(members[i - 1]);
  }
  (void)shares_.Leave(other);
}

TEST_F(ClientSharesTest, AClientHoldsHalfOfWhatIsFree) {
  Member first, second;
  shares_.Enter(first, Numbered(1));
  shares_.Enter(second, Numbered(2));
  Take(first, 21);  // 43 are free
  EXPECT_FALSE(shares_.IsOver(first));
  Take(first, 1);
  EXPECT_TRUE(shares_.IsOver(first));
  EXPECT_FALSE(shares_.IsOver(second));  // whoever came first
  Take(second, 14);                      // 28 are free
  EXPECT_FALSE(shares_.IsOver(second));
  Take(second, 1);
  EXPECT_TRUE(shares_.IsOver(second));
  GiveBack(15);
  EXPECT_TRUE(shares_.IsOver(first));
  GiveBack(1);
  EXPECT_FALSE(shares_.IsOver(first));
  (void)shares_.Leave(first);
  (void)shares_.Leave(second);
}

TEST_F(ClientSharesTest, AFewBlocksAreEverybodys) {
  Member hog, other;
  shares_.Enter(hog, Numbered(1));
  shares_.Enter(other, Numbered(2));
  Take(hog, kLarge - 5);
  Take(other, kLarge / ClientShares::kFloorPart);
  EXPECT_FALSE(shares_.IsOver(other));
  Take(other, 1);
  EXPECT_TRUE(shares_.IsOver(other));
  (void)shares_.Leave(hog);
  (void)shares_.Leave(other);
}

TEST_F(ClientSharesTest, WhoComesWithinItsShareIsReadFromAgainInTurn) {
  std::vector<Member> first(3), second(2);
  for (Member& member : first) shares_.Enter(member, Numbered(1));
  for (Member& member : second) shares_.Enter(member, Numbered(2));
  Take(second[0], 15);
  Take(first[0], 20);  // 29 are free
  for (Member& member : first) shares_.WaitForShare(member);
  for (Member& member : second) shares_.WaitForShare(member);
  EXPECT_EQ(shares_.NextWithinShare(), nullptr);
  EXPECT_TRUE(shares_.any_waits_for_share());
  GiveBack(1);  // 19 and 15 of 30: only the second is within its share
  EXPECT_EQ(shares_.NextWithinShare(), &second[0]);
  GiveBack(10);
  EXPECT_EQ(shares_.NextWithinShare(), &first[0]);
  EXPECT_EQ(shares_.NextWithinShare(), &second[1]);
  // One that leaves is not woken.
  (void)shares_.Leave(first[1]);
  EXPECT_EQ(shares_.NextWithinShare(), &first[2]);
  EXPECT_EQ(shares_.NextWithinShare(), nullptr);
  EXPECT_FALSE(shares_.any_waits_for_share());
  (void)shares_.Leave(first[0]);
  (void)shares_.Leave(first[2]);
  for (Member& member : second) (void)shares_.Leave(member);
}

}  // namespace
}  // namespace ringpost
