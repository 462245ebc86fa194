// SPDX-License-Identifier: GPL-3.0-or-later
//
// Memory for keys that live as long as the process: pages of their own, which are in no core dump,
// come back empty in a child process, and are not swapped out where RLIMIT_MEMLOCK allows.
#ifndef RINGPOST_BASE_LOCKED_MEMORY_H_
#define RINGPOST_BASE_LOCKED_MEMORY_H_

#include <cstddef>

namespace ringpost {

// Zeroed; throws std::bad_alloc.
[[nodiscard]] void* AllocateLocked(std::size_t bytes);
// Wipes. `bytes` as they were asked for.
void FreeLocked(void* memory, std::size_t bytes);

}  // namespace ringpost

#endif  // RINGPOST_BASE_LOCKED_MEMORY_H_
