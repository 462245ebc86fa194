// SPDX-License-Identifier: GPL-3.0-or-later
//
// How many sessions each client has, and how many TLS handshakes it has begun of late, in the whole
// process: SO_REUSEPORT spreads one client over all shards, so that each of them knows only a part.
// One table for all, exact, behind striped mutexes; asked once per connection and once per
// handshake, never where octets move.
//
// A client is an IPv4 address, or the /64 of an IPv6 one, which is what a single customer has at
// least. There is an entry only for clients that have a session or whose bucket of handshakes is
// not full again yet; what is neither is swept out, a few entries with each call. The table is made
// for a number of sessions and never grows: where an attacker with very many addresses has filled a
// stripe, clients without an entry are let through uncounted, since --sessions_max holds for them
// as well. The hash has a random key, so that nobody can choose addresses that meet in one place.
//
// Owner: the process, which outlives the shards. What is allowed is the caller's to say at each
// call, so that a reload needs nothing here.
#ifndef RINGPOST_SESSION_CLIENT_LIMITS_H_
#define RINGPOST_SESSION_CLIENT_LIMITS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "ringpost/base/sip_hash.h"
#include "ringpost/io/io.h"

namespace ringpost {

// Whom the limits take for one client.
class ClientNetwork {
 public:
  // nullopt: not a client that can be limited (a unix socket's). An IPv4 address within an IPv6 one
  // (::ffff:0:0/96, and 64:ff9b::/96 of RFC 6052) is that IPv4 address.
  [[nodiscard]] static std::optional<ClientNetwork> Of(const sockaddr& address);
  // Who comes by a unix socket, for what a client may take from the others (client_shares.h).
  [[nodiscard]] static ClientNetwork OfUser(uid_t user);
  [[nodiscard]] std::uint64_t bits() const { return bits_; }
  friend bool operator==(const ClientNetwork&, const ClientNetwork&) = default;

 private:
  explicit ClientNetwork(std::uint64_t bits) : bits_(bits) {}
  std::uint64_t bits_;
};

class ClientLimits {
 public:
  using HashKey = SipHash::Key;

  // Room for the clients of `sessions_max` sessions, all of different ones.
  explicit ClientLimits(std::uint32_t sessions_max);
  ClientLimits(std::uint32_t sessions_max, const HashKey& key);
  ~ClientLimits();  // CHECKs that every session that was counted has left
  ClientLimits(const ClientLimits&) = delete;
  ClientLimits& operator=(const ClientLimits&) = delete;

  // --- From any thread. `now` is the monotonic clock of all of them.
  enum class Entry : std::uint8_t {
    kCounted,    // Leave() must follow
    kUncounted,  // there is no limit, or no room: it must not
    kRefused,
  };
  // A session begins. `sessions_max` is for each client; 0: no limit.
  [[nodiscard]] Entry Enter(ClientNetwork client, std::uint32_t sessions_max, TimeNs now);
  void Leave(ClientNetwork client, TimeNs now);
  // A handshake would begin. False: the client has none left. `per_minute` is also how many may
  // come at once; 0: no limit.
  [[nodiscard]] bool BeginHandshake(ClientNetwork client, std::uint32_t per_minute, TimeNs now);

  // Clients that are known at present.
  [[nodiscard]] std::size_t size() const;
  // What the table takes once every page of it has been touched, in octets.
  [[nodiscard]] static std::uint64_t BytesFor(std::uint32_t sessions_max);

 private:
  struct Slot {
    std::uint64_t client;
    TimeNs full_at;  // when the bucket will be full again
    std::uint32_t sessions;
    std::uint32_t used;
  };
  struct alignas(64) Stripe {
    mutable std::mutex mutex;
    std::uint32_t used = 0;
    std::uint32_t idle = 0;  // of those, without a session
    std::uint32_t hand = 0;  // where sweeping goes on
  };
  struct Place {
    Stripe* stripe;
    Slot* slots;         // of the stripe
    std::uint32_t home;  // where the client's slot is, or the first place to look
  };
  struct Freer {
    void operator()(Slot* slots) const;
  };
  static constexpr std::uint32_t kStripes = 64;

  [[nodiscard]] static std::uint32_t SlotsFor(std::uint32_t sessions_max);
  [[nodiscard]] Place PlaceOf(std::uint64_t client);
  [[nodiscard]] Slot* Find(const Place& place, std::uint64_t client) const;
  // nullptr: there is no room.
  [[nodiscard]] Slot* Add(const Place& place, std::uint64_t client, TimeNs now);
  void Erase(const Place& place, Slot* slot);
  void Sweep(const Place& place, TimeNs now, std::uint32_t steps);

  const HashKey key_;
  const std::uint32_t slot_mask_;  // slots of a stripe, less one
  const std::uint32_t used_max_;   // of a stripe
  const std::uint32_t idle_max_;
  std::array<Stripe, kStripes> stripes_;
  // Zeroed by the kernel: a page costs nothing before its first client.
  std::unique_ptr<Slot[], Freer> slots_;
};

}  // namespace ringpost

#endif  // RINGPOST_SESSION_CLIENT_LIMITS_H_
