// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/locked_memory.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

namespace ringpost {

void* AllocateLocked(std::size_t bytes) {
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::bad_alloc();
  }
  (void)madvise(memory, bytes, MADV_DONTDUMP);
  (void)madvise(memory, bytes, MADV_WIPEONFORK);
  (void)mlock(memory, bytes);
  return memory;
}

void FreeLocked(void* memory, std::size_t bytes) {
  if (memory != nullptr) {
    explicit_bzero(memory, bytes);
    munmap(memory, bytes);
  }
}

}  // namespace ringpost
