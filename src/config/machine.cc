// SPDX-License-Identifier: GPL-3.0-or-later
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstddef>

#include "ringpost/config/resolve.h"

namespace ringpost {

Machine ThisMachine() {
  Machine machine;
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) == 0) machine.hostname = name.data();

  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    if (limit.rlim_cur < limit.rlim_max) {
      rlimit raised = limit;
      raised.rlim_cur = limit.rlim_max;
      if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    machine.descriptors_max = limit.rlim_cur;
  }

  // Sized at run time: a fixed cpu_set_t ends at 1024 and fails on larger machines.
  for (std::size_t count = 1024; count <= 1 << 16; count *= 2) {
    cpu_set_t* const cpus = CPU_ALLOC(count);
    if (cpus == nullptr) break;
    const std::size_t size = CPU_ALLOC_SIZE(count);
    const bool ok = sched_getaffinity(0, size, cpus) == 0;
    for (std::size_t cpu = 0; ok && cpu < count; ++cpu) {
      if (CPU_ISSET_S(cpu, size, cpus)) machine.cpus.push_back(static_cast<int>(cpu));
    }
    CPU_FREE(cpus);
    if (ok) break;
  }
  return machine;
}

}  // namespace ringpost
