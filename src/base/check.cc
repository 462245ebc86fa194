// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace ringpost {

void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "ringpost: CHECK failed: %s at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace ringpost
