// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a simulated run shares with its whole process, tamed: what ringpost draws at random, for
// itself and for wolfSSL (getentropy), what time it is, and whose memory is refused. From
// Restart() on all of it follows from the seed, so that TLS is the same octet for octet whenever a
// seed is run again.
//
// Memory is counted, and refused, only between Arm(true) and Arm(false): while the shard is at
// work, not the test.
//
// Owner: the process; one thread. Linked into a test it takes effect before main().
#ifndef RINGPOST_TESTS_SESSION_SIM_PROCESS_H_
#define RINGPOST_TESTS_SESSION_SIM_PROCESS_H_

#include <cstddef>
#include <cstdint>

#include "ringpost/io/io.h"

namespace ringpost::sim_process {

// How often an allocation fails, in 1/10,000.
struct AllocationFaults {
  unsigned library = 0;  // of wolfSSL
  unsigned objects = 0;  // of operator new; only where allocation_faults.cc is linked in
};

void Restart(std::uint64_t seed, const AllocationFaults& faults = {});
void Arm(bool armed);
// wolfSSL's clocks, time(2) and gettimeofday(2), are this one's from here on; null: the machine's.
void UseClock(const Io* io);

// Octets that wolfSSL has taken while armed and not given back.
[[nodiscard]] std::size_t library_octets();
// The most of them since Restart().
[[nodiscard]] std::size_t library_octets_max();

struct AllocationCounts {
  std::uint64_t library_failed = 0;
  std::uint64_t objects_failed = 0;
};
[[nodiscard]] const AllocationCounts& allocation_counts();

// For allocation_faults.cc: whether this one fails.
[[nodiscard]] bool ObjectFails();

}  // namespace ringpost::sim_process

#endif  // RINGPOST_TESTS_SESSION_SIM_PROCESS_H_
