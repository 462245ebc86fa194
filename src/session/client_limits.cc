// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/client_limits.h"

#include <arpa/inet.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "ringpost/base/check.h"

namespace ringpost {
namespace {

constexpr TimeNs kMinute = 60 * kNsPerSecond;
constexpr std::uint32_t kSlotsMin = 64;  // of a stripe
// Slots looked at with each call; more where clients without a session fill the stripe.
constexpr std::uint32_t kSweepSteps = 2;
constexpr std::uint32_t kSweepStepsFull = 64;

// IPv4 and users are told from the /64s by what stands in front of them: 0:1::/32 and 0:2::/32 are
// in 0000::/8, which the IETF keeps (RFC 4291 2.4).
constexpr std::uint64_t kIpv4 = std::uint64_t{1} << 32;
constexpr std::uint64_t kUser = std::uint64_t{2} << 32;

std::uint64_t FromIpv4(std::uint32_t network_order) { return kIpv4 | ntohl(network_order); }

}  // namespace

std::optional<ClientNetwork> ClientNetwork::Of(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in ipv4;
    std::memcpy(&ipv4, &address, sizeof ipv4);
    return ClientNetwork(FromIpv4(ipv4.sin_addr.s_addr));
  }
  if (address.sa_family != AF_INET6) {
    return std::nullopt;
  }
  sockaddr_in6 ipv6;
  std::memcpy(&ipv6, &address, sizeof ipv6);
  const std::uint8_t* const octets = ipv6.sin6_addr.s6_addr;
  constexpr std::array<std::uint8_t, 12> kTranslated = {0, 0x64, 0xff, 0x9b, 0, 0,
                                                        0, 0,    0,    0,    0, 0};
  if (IN6_IS_ADDR_V4MAPPED(&ipv6.sin6_addr) ||
      std::equal(kTranslated.begin(), kTranslated.end(), octets)) {
    std::uint32_t ipv4 = 0;
    std::memcpy(&ipv4, octets + kTranslated.size(), sizeof ipv4);
    return ClientNetwork(FromIpv4(ipv4));
  }
  std::uint64_t prefix = 0;
  for (int octet = 0; octet < 8; ++octet) {
    prefix = prefix << 8 | octets[octet];
  }
  return ClientNetwork(prefix);
}

ClientNetwork ClientNetwork::OfUser(uid_t user) { return ClientNetwork(kUser | user); }

void ClientLimits::Freer::operator()(Slot* slots) const { std::free(slots); }

// Half full where every session is of another client, with room for clients that have left.
std::uint32_t ClientLimits::SlotsFor(std::uint32_t sessions_max) {
  return std::max(kSlotsMin, std::bit_ceil(2 * (sessions_max / kStripes)));
}

std::uint64_t ClientLimits::BytesFor(std::uint32_t sessions_max) {
  return std::uint64_t{kStripes} * SlotsFor(sessions_max) * sizeof(Slot);
}

ClientLimits::ClientLimits(std::uint32_t sessions_max)
    : ClientLimits(sessions_max, SipHash::RandomKey()) {}

ClientLimits::ClientLimits(std::uint32_t sessions_max, const HashKey& key)
    : key_(key),
      slot_mask_(SlotsFor(sessions_max) - 1),
      used_max_(SlotsFor(sessions_max) / 8 * 7),
      idle_max_(SlotsFor(sessions_max) / 4),
      slots_(static_cast<Slot*>(
          std::calloc(std::size_t{kStripes} * SlotsFor(sessions_max), sizeof(Slot)))) {
  RINGPOST_CHECK(slots_ != nullptr);
}

ClientLimits::~ClientLimits() {
  for (const Stripe& stripe : stripes_) {
    RINGPOST_CHECK(stripe.used == stripe.idle);
  }
}

ClientLimits::Entry ClientLimits::Enter(ClientNetwork client, std::uint32_t sessions_max,
                                        TimeNs now) {
  if (sessions_max == 0) {
    return Entry::kUncounted;
  }
  const Place place = PlaceOf(client.bits());
  const std::lock_guard lock(place.stripe->mutex);
  Slot* slot = Find(place, client.bits());
  if (slot == nullptr) {
    slot = Add(place, client.bits(), now);
    if (slot == nullptr) {
      return Entry::kUncounted;
    }
  } else if (slot->sessions >= sessions_max) {
    return Entry::kRefused;
  }
  place.stripe->idle -= slot->sessions == 0 ? 1 : 0;
  ++slot->sessions;
  return Entry::kCounted;
}

void ClientLimits::Leave(ClientNetwork client, TimeNs now) {
  const Place place = PlaceOf(client.bits());
  const std::lock_guard lock(place.stripe->mutex);
  Slot* const slot = Find(place, client.bits());
  RINGPOST_CHECK(slot != nullptr && slot->sessions > 0);
  if (--slot->sessions > 0) {
    return;
  }
  ++place.stripe->idle;
  if (slot->full_at <= now || place.stripe->idle > idle_max_) {
    Erase(place, slot);
  }
}

// A bucket of `per_minute` handshakes that fills evenly, kept as one number: the time at which it
// will be full. Each handshake puts that off by its share of a minute, but never beyond a minute.
bool ClientLimits::BeginHandshake(ClientNetwork client, std::uint32_t per_minute, TimeNs now) {
  if (per_minute == 0) {
    return true;
  }
  const TimeNs share = kMinute / per_minute;
  const Place place = PlaceOf(client.bits());
  const std::lock_guard lock(place.stripe->mutex);
  Slot* slot = Find(place, client.bits());
  if (slot == nullptr) {
    if (place.stripe->idle >= idle_max_) {
      Sweep(place, now, kSweepStepsFull);
    }
    slot = place.stripe->idle < idle_max_ ? Add(place, client.bits(), now) : nullptr;
    if (slot == nullptr) {
      return true;
    }
  }
  const TimeNs full_at = std::max(slot->full_at, now) + share;
  if (full_at > now + share * per_minute) {
    return false;
  }
  slot->full_at = full_at;
  return true;
}

std::size_t ClientLimits::size() const {
  std::size_t used = 0;
  for (const Stripe& stripe : stripes_) {
    const std::lock_guard lock(stripe.mutex);
    used += stripe.used;
  }
  return used;
}

ClientLimits::Place ClientLimits::PlaceOf(std::uint64_t client) {
  const std::uint64_t hash = SipHash(key_).Of(client);
  const std::size_t stripe = hash % kStripes;
  return {.stripe = &stripes_[stripe],
          .slots = slots_.get() + stripe * (std::size_t{slot_mask_} + 1),
          .home = static_cast<std::uint32_t>(hash >> 32) & slot_mask_};
}

ClientLimits::Slot* ClientLimits::Find(const Place& place, std::uint64_t client) const {
  for (std::uint32_t index = place.home; place.slots[index].used != 0;
       index = (index + 1) & slot_mask_) {
    if (place.slots[index].client == client) {
      return &place.slots[index];
    }
  }
  return nullptr;
}

ClientLimits::Slot* ClientLimits::Add(const Place& place, std::uint64_t client, TimeNs now) {
  Sweep(place, now, kSweepSteps);
  if (place.stripe->used >= used_max_) {
    return nullptr;
  }
  std::uint32_t index = place.home;
  while (place.slots[index].used != 0) {
    index = (index + 1) & slot_mask_;
  }
  ++place.stripe->used;
  ++place.stripe->idle;
  place.slots[index] = {.client = client, .full_at = now, .sessions = 0, .used = 1};
  return &place.slots[index];
}

// Of a client without a session. Whoever was pushed on by it moves back, so that a free slot always
// ends the search.
void ClientLimits::Erase(const Place& place, Slot* slot) {
  --place.stripe->used;
  --place.stripe->idle;
  auto hole = static_cast<std::uint32_t>(slot - place.slots);
  for (std::uint32_t index = (hole + 1) & slot_mask_; place.slots[index].used != 0;
       index = (index + 1) & slot_mask_) {
    const std::uint32_t home = PlaceOf(place.slots[index].client).home;
    if (((index - home) & slot_mask_) >= ((index - hole) & slot_mask_)) {
      place.slots[hole] = place.slots[index];
      hole = index;
    }
  }
  place.slots[hole].used = 0;
}

void ClientLimits::Sweep(const Place& place, TimeNs now, std::uint32_t steps) {
  for (; steps > 0; --steps) {
    std::uint32_t& hand = place.stripe->hand;
    Slot& slot = place.slots[hand];
    if (slot.used != 0 && slot.sessions == 0 && slot.full_at <= now) {
      Erase(place, &slot);  // another may have moved here
    } else {
      hand = (hand + 1) & slot_mask_;
    }
  }
}

}  // namespace ringpost
