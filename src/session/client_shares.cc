// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/client_shares.h"

#include <bit>
#include <cstdlib>
#include <utility>

#include "ringpost/base/check.h"

namespace ringpost {
namespace {

std::uint32_t IndexSize(std::uint32_t sessions_max) { return std::bit_ceil(2 * sessions_max + 2); }

template <typename Value>
Value* Zeroed(std::size_t count) {
  auto* const values = static_cast<Value*>(std::calloc(count, sizeof(Value)));
  RINGPOST_CHECK(values != nullptr);
  return values;
}

}  // namespace

void ClientShares::Freer::operator()(void* memory) const { std::free(memory); }

ClientShares::ClientShares(BufferPool* pool, std::uint32_t sessions_max)
    : ClientShares(pool, sessions_max, SipHash::RandomKey()) {}

ClientShares::ClientShares(BufferPool* pool, std::uint32_t sessions_max, const SipHash::Key& key)
    : pool_(pool),
      key_(key),
      accounts_max_(sessions_max),
      index_mask_(IndexSize(sessions_max) - 1),
      floor_{pool->total_count(BlockSize::kLarge) / kFloorPart,
             pool->total_count(BlockSize::kSmall) / kFloorPart},
      accounts_(Zeroed<Account>(std::size_t{sessions_max} + 1)),
      index_(Zeroed<std::uint32_t>(IndexSize(sessions_max))) {
  pool_->SetHolderCount(std::size_t{sessions_max} + 1);
}

ClientShares::~ClientShares() { RINGPOST_CHECK(used_ == 0); }

void ClientShares::Enter(Member& member, const std::optional<ClientNetwork>& client) {
  RINGPOST_CHECK(member.account == 0);
  std::uint32_t place = 0;
  if (client) {
    for (place = Home(client->bits()); index_[place] != 0; place = (place + 1) & index_mask_) {
      if (accounts_[index_[place]].client == client->bits()) {
        member.account = index_[place];
        ++accounts_[member.account].sessions;
        return;
      }
    }
  }
  member.account = TakeAccount();
  Account& account = accounts_[member.account];
  account = {};
  account.sessions = 1;
  if (client) {
    account.client = client->bits();
    account.is_known = true;
    index_[place] = member.account;
  }
}

ClientShares::Member* ClientShares::Leave(Member& member) {
  if (member.account == 0) {
    return nullptr;
  }
  Member* const next = EndTurn(member);
  Account& account = accounts_[member.account];
  StopWaitingForShare(member);
  if (--account.sessions == 0) {
    Forget(member.account);
  }
  member.account = 0;
  return next;
}

bool ClientShares::TakeTurn(Member& member) {
  Account& account = accounts_[member.account];
  if (member.has_turn || member.waits_for == Member::WaitsFor::kTurn) {
    return member.has_turn;
  }
  if (account.turns < kTurns) {
    ++account.turns;
    GiveTurn(member);
    return true;
  }
  StopWaitingForShare(member);  // who waits for a turn is not read from either
  Append(account.for_turn, member);
  member.waits_for = Member::WaitsFor::kTurn;
  return false;
}

ClientShares::Member* ClientShares::EndTurn(Member& member) {
  Account& account = accounts_[member.account];
  if (member.waits_for == Member::WaitsFor::kTurn) {
    Remove(account.for_turn, member);
    return nullptr;
  }
  if (!std::exchange(member.has_turn, false)) {
    return nullptr;
  }
  Member* const next = account.for_turn.first;
  if (next == nullptr) {
    --account.turns;
    return nullptr;
  }
  Remove(account.for_turn, *next);
  GiveTurn(*next);
  return next;
}

void ClientShares::GiveTurn(Member& member) {
  member.has_turn = true;
  member.has_used_turn = false;
}

void ClientShares::WaitForShare(Member& member) {
  if (member.waits_for != Member::WaitsFor::kNothing) {
    return;
  }
  Account& account = accounts_[member.account];
  if (account.for_blocks.first == nullptr) {
    LinkWaiting(member.account);
  }
  Append(account.for_blocks, member);
  member.waits_for = Member::WaitsFor::kBlocks;
}

void ClientShares::StopWaitingForShare(Member& member) {
  if (member.waits_for != Member::WaitsFor::kBlocks) {
    return;
  }
  Account& account = accounts_[member.account];
  Remove(account.for_blocks, member);
  if (account.for_blocks.first == nullptr) {
    UnlinkWaiting(member.account);
  }
}

ClientShares::Member* ClientShares::NextWithinShare() {
  for (int looks = 0; looks < kLooks && first_waiting_ != 0; ++looks) {
    const std::uint32_t account = first_waiting_;
    Member* const member = next_is_within_share() ? accounts_[account].for_blocks.first : nullptr;
    UnlinkWaiting(account);
    LinkWaiting(account);  // behind the others
    if (member != nullptr) {
      StopWaitingForShare(*member);
      return member;
    }
  }
  return nullptr;
}

void ClientShares::LinkWaiting(std::uint32_t number) {
  Account& account = accounts_[number];
  account.next = 0;
  account.previous = last_waiting_;
  (last_waiting_ != 0 ? accounts_[last_waiting_].next : first_waiting_) = number;
  last_waiting_ = number;
}

void ClientShares::UnlinkWaiting(std::uint32_t number) {
  const Account& account = accounts_[number];
  (account.previous != 0 ? accounts_[account.previous].next : first_waiting_) = account.next;
  (account.next != 0 ? accounts_[account.next].previous : last_waiting_) = account.previous;
}

std::uint32_t ClientShares::Home(std::uint64_t client) const {
  return static_cast<std::uint32_t>(SipHash(key_).Of(client)) & index_mask_;
}

std::uint32_t ClientShares::TakeAccount() {
  ++used_;
  if (first_free_ != 0) {
    const std::uint32_t account = first_free_;
    first_free_ = accounts_[account].next;
    return account;
  }
  RINGPOST_CHECK(fresh_ <= accounts_max_);
  return fresh_++;
}

// Whoever was pushed on by it in the index moves back, so that a free place always ends the search.
void ClientShares::Forget(std::uint32_t number) {
  Account& account = accounts_[number];
  if (account.is_known) {
    account.is_known = false;
    std::uint32_t hole = Home(account.client);
    while (index_[hole] != number) {
      hole = (hole + 1) & index_mask_;
    }
    for (std::uint32_t place = (hole + 1) & index_mask_; index_[place] != 0;
         place = (place + 1) & index_mask_) {
      const std::uint32_t home = Home(accounts_[index_[place]].client);
      if (((place - home) & index_mask_) >= ((place - hole) & index_mask_)) {
        index_[hole] = index_[place];
        hole = place;
      }
    }
    index_[hole] = 0;
  }
  account.next = first_free_;
  first_free_ = number;
  --used_;
}

void ClientShares::Append(Line& line, Member& member) {
  member.next = nullptr;
  member.previous = line.last;
  (line.last != nullptr ? line.last->next : line.first) = &member;
  line.last = &member;
}

void ClientShares::Remove(Line& line, Member& member) {
  (member.previous != nullptr ? member.previous->next : line.first) = member.next;
  (member.next != nullptr ? member.next->previous : line.last) = member.previous;
  member.previous = member.next = nullptr;
  member.waits_for = Member::WaitsFor::kNothing;
}

}  // namespace ringpost
