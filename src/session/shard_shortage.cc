// SPDX-License-Identifier: GPL-3.0-or-later
//
// Too few blocks or descriptors: who waits for them, and who has to give blocks back.
#include <algorithm>
#include <array>
#include <limits>

#include "ringpost/session/shard.h"

namespace ringpost {
namespace {

// How often the holders of blocks are looked for while blocks are short, and how many are ended
// then at most.
constexpr TimeNs kReclaimInterval = 250 * kNsPerMs;
constexpr std::size_t kReclaimMost = 64;
// How long a session may hold blocks without moving. A client that does not read, or does not end
// its line, has no claim against those who wait; while nobody does, it has more patience. A backend
// that stalls stalls many, who will go on with it: they have the time that an honest one takes.
constexpr TimeNs kClientHolds = kNsPerSecond;
constexpr TimeNs kClientHoldsBeforeShortage = 10 * kNsPerSecond;
constexpr TimeNs kBackendHolds = 30 * kNsPerSecond;
// A small block or two is every session's share; who holds more has output that is not taken.
constexpr std::size_t kSmallBlocksShare = 3;
// Blocks are short when less than this part of them, without those lent to the ring, is free.
constexpr std::size_t kShortPart = 8;
// How many sessions of clients that have come within their share are read from again in one turn.
constexpr int kWithinShareMost = 16;

enum class Wanted : std::uint8_t {
  kNo,        // blocks are only short
  kByClient,  // there are some, but other sessions of the same client wait for its share of them
  kByOthers,
};

// How long a session may hold blocks.
TimeNs PatienceWith(Session::Holding::For who, Wanted wanted) {
  const bool starved = wanted == Wanted::kByOthers;
  using For = Session::Holding::For;
  constexpr TimeNs kForever = std::numeric_limits<TimeNs>::max();
  switch (who) {
    case For::kItself:
      break;
    case For::kClient:
      return starved ? kClientHolds : kClientHoldsBeforeShortage;
    case For::kPipeline:
      return starved ? kClientHolds : kForever;
    case For::kBackend:
      return wanted != Wanted::kNo ? kBackendHolds : kForever;
  }
  return kForever;
}

}  // namespace

void Shard::WaitForBlocks(Session& session) {
  starved_lately_ = true;
  rounds_starved_ = rounds_starved_ || session.needs_round;
  if (!session.is_starved) {
    session.is_starved = true;
    starved_.push_back(&session);
  }
}

// Blocks return when peers read, and a crowd of peers that do not read could keep all of them until
// its sessions time out. So while blocks are short, those who have held some for longest without
// moving are ended.
void Shard::ReclaimBlocks() {
  const std::size_t large = pool_->total_count(BlockSize::kLarge) - io_->LentBlocks();
  const bool enough =
      pool_->free_count(BlockSize::kLarge) * kShortPart >= large &&
      pool_->free_count(BlockSize::kSmall) * kShortPart >= pool_->total_count(BlockSize::kSmall);
  if (enough && starved_.empty() && !shares_.any_waits_for_share()) [[likely]] {
    reclaim_at_ = -1;
    starved_lately_ = false;
    return;
  }
  const TimeNs now = io_->Now();
  if (reclaim_at_ >= 0 && now >= reclaim_at_) {
    EndHolders(now, enough);
    starved_lately_ = !starved_.empty();
    reclaim_at_ = -1;
  }
  if (reclaim_at_ < 0) {
    reclaim_at_ = now + kReclaimInterval;
  }
}

// The ones that have not moved for longest.
void Shard::EndHolders(TimeNs now, bool enough) {
  struct Candidate {
    Session* session;
    TimeNs since;
    bool operator<(const Candidate& other) const { return since < other.since; }
  };
  std::array<Candidate, kReclaimMost> oldest;
  std::size_t count = 0;
  const bool all = starved_lately_ || !enough;
  sessions_.ForEach([&](Session& session) {
    const bool wanted_by_client = shares_.ClientWaitsForShare(session.share);
    if (!all && !wanted_by_client) {
      return;
    }
    const Wanted wanted = starved_lately_    ? Wanted::kByOthers
                          : wanted_by_client ? Wanted::kByClient
                                             : Wanted::kNo;
    const Session::Holding held = session.holding();
    if (session.is_finished || now - held.since < PatienceWith(held.who, wanted) ||
        (held.blocks_large == 0 && held.blocks_small < kSmallBlocksShare)) {
      return;
    }
    // A heap, the youngest in front.
    if (count == oldest.size()) {
      if (held.since >= oldest.front().since) {
        return;
      }
      std::pop_heap(oldest.begin(), oldest.end());
      --count;
    }
    oldest[count++] = {.session = &session, .since = held.since};
    std::push_heap(oldest.begin(), oldest.begin() + static_cast<std::ptrdiff_t>(count));
  });
  for (std::size_t i = 0; i < count; ++i) {
    reclaimed_ += oldest[i].session->close_reason() == CloseReason::kNone ? 1 : 0;
    oldest[i].session->Reclaim();
  }
}

// Whether there is enough for a whole round of a session.
bool Shard::HasBlocksForRound() const {
  return pool_->free_count(BlockSize::kLarge) >= Session::kLargeNeeded &&
         pool_->free_count(BlockSize::kSmall) >= Session::kSmallNeeded;
}

bool Shard::CanWakeStarved() const {
  return !starved_.empty() &&
         (stopping_ || (HasBlocksForRound() && (rounds_starved_ || io_->CanReceive())));
}

// Who was only refused a receive would be refused again while the ring can borrow none; who has
// octets to pass on may give blocks back by it, and must not wait for the others.
void Shard::WakeStarved() {
  if (!CanWakeStarved()) {
    return;
  }
  const bool all = stopping_ || io_->CanReceive();
  std::erase_if(starved_, [this, all](Session* session) {
    const bool wake = all || session->needs_round;
    if (wake) {
      session->is_starved = false;
      MakeReady(*session);
    }
    return wake;
  });
  rounds_starved_ = false;
}

void Shard::HaveTurn(const ClientShares::Member* member) {
  if (member != nullptr) {
    MakeReady(*member->session);
  }
}

void Shard::WakeWithinShare() {
  for (int woken = 0; woken < kWithinShareMost && shares_.any_waits_for_share(); ++woken) {
    const ClientShares::Member* const member = shares_.NextWithinShare();
    if (member == nullptr) {
      return;
    }
    MakeReady(*member->session);
  }
}

void Shard::WaitForDescriptor(Session& session, int error) {
  if (!session.is_short_of_descriptor) {
    session.is_short_of_descriptor = true;
    short_of_descriptor_.push_back(&session);
  }
  PauseAccepts(error);
}

bool Shard::CanWakeShort() const {
  return !short_of_descriptor_.empty() && (stopping_ || io_->Now() >= accept_paused_until_);
}

void Shard::WakeShort() {
  if (!CanWakeShort()) {
    return;
  }
  for (Session* session : short_of_descriptor_) {
    session->is_short_of_descriptor = false;
    MakeReady(*session);
  }
  short_of_descriptor_.clear();
}

}  // namespace ringpost
