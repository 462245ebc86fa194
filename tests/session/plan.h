// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a seed means: the weather, the configuration, who takes part, what happens when.
#ifndef RINGPOST_TESTS_SESSION_PLAN_H_
#define RINGPOST_TESTS_SESSION_PLAN_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "random_backend.h"
#include "random_client.h"
#include "session_world.h"
#include "sim_process.h"

namespace ringpost {

// In the first three nothing is lost, so that whoever keeps the rules must be served.
enum class Weather : std::uint8_t {
  kCalm,
  kSoft,    // late, short, in any order
  kTight,   // ... with few blocks
  kHard,    // resets, ends, no descriptors, nobody there
  kLeaps,   // ... and the clock leaps
  kMemory,  // allocations fail
  kCount,
};
[[nodiscard]] std::string_view WeatherName(Weather weather);

enum class Versions : std::uint8_t { kBoth, kTls12, kTls13 };

struct Plan {
  Weather weather = Weather::kCalm;
  WorldOptions world;
  RandomBackendOptions backend;
  RandomClientOptions client;
  Versions versions = Versions::kBoth;
  sim_process::AllocationFaults allocation;
  unsigned mischief = 0;  // how many clients in 10,000 misbehave
  int clients = 1;
  bool resume = false;
  bool failover = false;       // more than one backend; some go down
  std::size_t backend_up = 0;  // but not this one
  bool limits = false;         // for each client address, and they all have the same
  bool new_partner = false;    // at the reload: one that reports on everybody
  bool asks_anew = false;      // at the reload: the route asks for certificates
  bool drain = false;
  bool stop = false;
  bool reload = false;
  bool new_listener = false;  // with the reload

  // Nothing is lost, and nothing ends before its time.
  [[nodiscard]] bool lossless() const {
    return weather <= Weather::kTight && !drain && !stop && !new_listener && !limits && !asks_anew;
  }
};

[[nodiscard]] Plan DrawPlan(std::uint64_t seed);
[[nodiscard]] std::string Describe(const Plan& plan);

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SESSION_PLAN_H_
