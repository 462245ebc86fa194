// SPDX-License-Identifier: GPL-3.0-or-later
//
// One seed, played: several clients, a mail server with one or more addresses and a kernel that all
// draw what they do from it, around the real shard, sessions, relay and TLS. The oracles, in every
// turn or at the end:
// - the backend gets the client's octets, less what the relay may drop; a prefix where it was cut;
// - each reply is the backend's to that very command, or a refusal of ours: no 2xx is made up;
// - nothing but TLS records on a TLS leg (wire_watch.h);
// - who calls is said to the backend first, once and truly;
// - nobody is left waiting, in whatever weather: every session ends, and within its time-outs;
// - one CloseReason per session, the one that fits where it is known what happened;
// - of a world where mail leaves (every fourth seed is one more, egress_simulation.h), what stands
//   there;
// - nothing in flight, no socket open, the pool full, wolfSSL's memory returned at the end, and no
//   more of it in between than planned.
#ifndef RINGPOST_TESTS_SESSION_SIMULATION_H_
#define RINGPOST_TESTS_SESSION_SIMULATION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "mischief.h"
#include "partner_server.h"
#include "plan.h"
#include "random_backend.h"
#include "ringpost/base/outcome.h"
#include "sim/sim_io.h"

namespace ringpost {

// Of the worlds where mail leaves.
struct EgressTotals {
  std::uint64_t seeds = 0;
  std::uint64_t sessions = 0;
  std::uint64_t completed = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t in_tls = 0;   // of the messages that were stored
  std::uint64_t resumed = 0;  // ... in a resumed session
  std::uint64_t held = 0;     // refusals of ours to MAIL
  PartnerServer::FaultCounts faults{};
};

// Over many seeds: that they reach what they are for.
struct SimulationTotals {
  std::uint64_t seeds = 0;
  std::uint64_t sessions = 0;
  std::uint64_t completed = 0;
  std::uint64_t messages_accepted = 0;
  std::uint64_t handshakes = 0;
  std::uint64_t resumed = 0;
  std::uint64_t refused = 0;
  std::uint64_t accept_pauses = 0;
  std::uint64_t backend_failures = 0;
  std::uint64_t backend_recoveries = 0;
  std::uint64_t probes = 0;
  std::uint64_t tls_records = 0;
  std::uint64_t library_allocations_failed = 0;
  std::uint64_t object_allocations_failed = 0;
  std::size_t library_octets_max = 0;              // at any moment
  std::size_t library_octets_max_per_session = 0;  // ... for each session there was
  std::array<std::uint64_t, static_cast<std::size_t>(Weather::kCount)> weathers{};
  std::array<std::uint64_t, static_cast<std::size_t>(kCloseReasonCount)> reasons{};
  std::array<std::uint64_t, static_cast<std::size_t>(Mischief::kCount)> mischiefs{};
  RandomBackend::RogueCounts rogues{};
  SimFaultCounts faults{};
  EgressTotals egress;
};
// As a table for a person.
[[nodiscard]] std::string Describe(const SimulationTotals& totals);

struct SimulationResult {
  std::uint64_t trace = 0;            // the same if and only if everything was the same
  std::vector<std::string> failures;  // empty: all oracles are content
};

// Its plans, in words.
[[nodiscard]] std::string DescribeSeed(std::uint64_t seed);
// `print` may be null; else it gets the whole story, line by line.
[[nodiscard]] SimulationResult Simulate(std::uint64_t seed, SimulationTotals* totals,
                                        const std::function<void(std::string_view)>& print = {});

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SESSION_SIMULATION_H_
