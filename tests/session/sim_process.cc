// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim_process.h"

#include <sys/time.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "ringpost/base/check.h"
#include "ringpost/crypto/tls_library.h"
#include "sim/sim_random.h"
// The library's settings come first.
#include <wolfssl/wolfcrypt/memory.h>

namespace ringpost::sim_process {
namespace {

struct State {
  SimRandom entropy{1};
  SimRandom fortune{1};
  AllocationFaults faults;
  AllocationCounts counts;
  std::size_t library_octets = 0;
  std::size_t library_octets_max = 0;
  bool armed = false;
  const Io* clock = nullptr;
};

State& TheState() {
  static State state;
  return state;
}

void FillFrom(SimRandom& random, void* to, std::size_t n) {
  auto* octets = static_cast<unsigned char*>(to);
  while (n > 0) {
    const std::uint64_t word = random.Next();
    const std::size_t part = std::min(n, sizeof word);
    std::memcpy(octets, &word, part);
    octets += part;
    n -= part;
  }
}

// The library's blocks, each behind a note of its size and of whether it was counted.
struct alignas(16) Note {
  std::size_t octets = 0;
  bool counted = false;
};

void* Allocate(std::size_t octets) {
  State& state = TheState();
  if (state.armed && state.fortune.Happens(state.faults.library)) {
    ++state.counts.library_failed;
    return nullptr;
  }
  auto* const note = static_cast<Note*>(std::malloc(sizeof(Note) + octets));
  if (note == nullptr) {
    return nullptr;
  }
  *note = {.octets = octets, .counted = state.armed};
  if (state.armed) {
    state.library_octets += octets;
    state.library_octets_max = std::max(state.library_octets_max, state.library_octets);
  }
  return note + 1;
}

void Free(void* block) {
  if (block == nullptr) {
    return;
  }
  Note* const note = static_cast<Note*>(block) - 1;
  if (note->counted) {
    TheState().library_octets -= note->octets;
  }
  std::free(note);
}

void* Reallocate(void* block, std::size_t octets) {
  void* const moved = Allocate(octets);
  if (moved != nullptr && block != nullptr) {
    std::memcpy(moved, block, std::min(octets, (static_cast<Note*>(block) - 1)->octets));
    Free(block);
  }
  return moved;
}

// Before the library has taken anything.
const bool allocators_set = wolfSSL_SetAllocators(&Allocate, &Free, &Reallocate) == 0;

}  // namespace

void Restart(std::uint64_t seed, const AllocationFaults& faults) {
  RINGPOST_CHECK(allocators_set && TlsLibraryStart());
  State& state = TheState();
  state.entropy = SimRandom(seed ^ 0x5eed'5eed'5eed'5eedu);
  state.fortune = SimRandom(seed ^ 0xa110'ca7e'a110'ca7eu);
  state.faults = faults;
  state.library_octets_max = state.library_octets;
  state.armed = false;
}

void Arm(bool armed) { TheState().armed = armed; }
void UseClock(const Io* io) { TheState().clock = io; }

std::size_t library_octets() { return TheState().library_octets; }
std::size_t library_octets_max() { return TheState().library_octets_max; }
const AllocationCounts& allocation_counts() { return TheState().counts; }

bool ObjectFails() {
  State& state = TheState();
  if (!state.armed || !state.fortune.Happens(state.faults.objects)) {
    return false;
  }
  ++state.counts.objects_failed;
  return true;
}

}  // namespace ringpost::sim_process

// The C library's, for all of this program: ringpost's own random octets follow the seed too.
extern "C" int getentropy(void* buffer, std::size_t length) {
  ringpost::sim_process::FillFrom(ringpost::sim_process::TheState().entropy, buffer, length);
  return 0;
}

extern "C" int gettimeofday(timeval* now, void* /*zone*/) noexcept {
  timespec real{};
  if (const ringpost::Io* const clock = ringpost::sim_process::TheState().clock) {
    real.tv_sec = clock->WallClock();
    real.tv_nsec = clock->Now() % ringpost::kNsPerSecond;  // which it may be off by
  } else {
    clock_gettime(CLOCK_REALTIME, &real);
  }
  now->tv_sec = real.tv_sec;
  now->tv_usec = real.tv_nsec / 1'000;
  return 0;
}

extern "C" time_t time(time_t* result) noexcept {
  timeval now{};
  gettimeofday(&now, nullptr);
  if (result != nullptr) {
    *result = now.tv_sec;
  }
  return now.tv_sec;
}
