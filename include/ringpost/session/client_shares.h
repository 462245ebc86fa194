// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the sessions of one client may take from the others in a shard. A client is whom
// ClientNetwork takes for one; a session without such an address is a client of its own. Two things
// are shared:
//
// Blocks. A client may hold half as many as are free (Choudhury and Hahne's dynamic threshold): one
// client ends with a third of the pool, two with a quarter each, and some are always left for who
// comes next. Who holds more is not read from until it holds less. A few are everybody's, so that a
// small pool stops nobody.
//
// Turns. A session whose client has sent more commands than were answered takes part in turns: at
// most kTurns sessions of one client have such commands with the mail server at a time, the others
// wait in line. So a client's backlog stays with the client, and not in front of everybody's mail
// server.
//
// Owner: the shard; one thread. It allocates only when it is made: an account for each session
// there may be, and an index whose hash has a random key.
#ifndef RINGPOST_SESSION_CLIENT_SHARES_H_
#define RINGPOST_SESSION_CLIENT_SHARES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "ringpost/base/buffer_pool.h"
#include "ringpost/base/sip_hash.h"
#include "ringpost/session/client_limits.h"

namespace ringpost {

class Session;

class ClientShares {
 public:
  static constexpr std::uint32_t kTurns = 4;
  // A client may hold one block for each kShareOfFree that are free, and one in kFloorPart of all
  // in any case.
  static constexpr std::size_t kShareOfFree = 2;
  static constexpr std::size_t kFloorPart = 16;

  // A session's part in this; it stays where it is between Enter() and Leave().
  struct Member {
    enum class WaitsFor : std::uint8_t { kNothing, kTurn, kBlocks };
    Session* session = nullptr;
    Member* previous = nullptr;
    Member* next = nullptr;
    std::uint32_t account = 0;  // 0: none
    WaitsFor waits_for = WaitsFor::kNothing;
    bool has_turn = false;
    bool has_used_turn = false;  // the session's to say; it may give up its turn then
  };

  // Sets the pool's holders: an account's number is its holder.
  ClientShares(BufferPool* pool, std::uint32_t sessions_max);
  ClientShares(BufferPool* pool, std::uint32_t sessions_max, const SipHash::Key& key);
  ~ClientShares();  // CHECKs that all have left
  ClientShares(const ClientShares&) = delete;
  ClientShares& operator=(const ClientShares&) = delete;

  // At most `sessions_max` at a time.
  void Enter(Member& member, const std::optional<ClientNetwork>& client);
  // Returns who has its turn now, or nullptr.
  [[nodiscard]] Member* Leave(Member& member);

  // True: it has a turn. False: it waits in line for one.
  [[nodiscard]] bool TakeTurn(Member& member);
  // Ends its turn, or its waiting for one. Returns who has it now, or nullptr.
  [[nodiscard]] Member* EndTurn(Member& member);
  // Whether others of its client wait for a turn.
  [[nodiscard]] bool OthersWait(const Member& member) const {
    return accounts_[member.account].for_turn.first != nullptr;
  }

  // Whether sessions of its client wait because that client holds more blocks than its share.
  [[nodiscard]] bool ClientWaitsForShare(const Member& member) const {
    return accounts_[member.account].for_blocks.first != nullptr;
  }

  // Whether the client holds more blocks than its share.
  [[nodiscard]] bool IsOver(const Member& member) const {
    return IsOver(member.account, BlockSize::kLarge) || IsOver(member.account, BlockSize::kSmall);
  }
  // Until its client holds no more than its share.
  void WaitForShare(Member& member);
  // One that waits for that, and needs to no longer; nullptr: nobody. Clients come in turn. Looks
  // at kLooks of them at most.
  [[nodiscard]] Member* NextWithinShare();
  [[nodiscard]] bool any_waits_for_share() const { return first_waiting_ != 0; }
  // Whether the next client to be looked at has come within its share.
  [[nodiscard]] bool next_is_within_share() const {
    return first_waiting_ != 0 && !IsOver(first_waiting_, BlockSize::kLarge) &&
           !IsOver(first_waiting_, BlockSize::kSmall);
  }

  [[nodiscard]] std::uint32_t client_count() const { return used_; }

 private:
  struct Line {
    Member* first;
    Member* last;
  };
  struct Account {
    std::uint64_t client;
    Line for_turn;
    Line for_blocks;
    std::uint32_t sessions;
    std::uint32_t turns;
    std::uint32_t next;  // of the free ones, or of those with members that wait for blocks
    std::uint32_t previous;
    bool is_known;  // by the index
  };
  struct Freer {
    void operator()(void* memory) const;
  };
  static constexpr int kLooks = 16;

  [[nodiscard]] bool IsOver(std::uint32_t account, BlockSize size) const {
    const std::size_t held = pool_->held_count(account, size);
    return held > floor_[static_cast<std::size_t>(size)] &&
           held * kShareOfFree > pool_->free_count(size);
  }
  [[nodiscard]] std::uint32_t Home(std::uint64_t client) const;
  [[nodiscard]] std::uint32_t TakeAccount();
  void Forget(std::uint32_t account);
  void StopWaitingForShare(Member& member);
  void LinkWaiting(std::uint32_t account);
  void UnlinkWaiting(std::uint32_t account);
  static void GiveTurn(Member& member);
  static void Append(Line& line, Member& member);
  static void Remove(Line& line, Member& member);

  BufferPool* pool_;
  const SipHash::Key key_;
  const std::uint32_t accounts_max_;
  const std::uint32_t index_mask_;
  const std::array<std::size_t, 2> floor_;  // what everybody may hold, by size
  // Zeroed by the kernel: a page costs nothing before its first client.
  std::unique_ptr<Account[], Freer> accounts_;
  std::unique_ptr<std::uint32_t[], Freer> index_;  // accounts by client, open addressing; 0: free
  std::uint32_t fresh_ = 1;                        // accounts from here on were never used
  std::uint32_t first_free_ = 0;                   // of those that were
  std::uint32_t used_ = 0;
  std::uint32_t first_waiting_ = 0;  // of the accounts with members that wait for blocks
  std::uint32_t last_waiting_ = 0;
};

}  // namespace ringpost

#endif  // RINGPOST_SESSION_CLIENT_SHARES_H_
