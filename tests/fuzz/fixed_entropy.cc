// SPDX-License-Identifier: GPL-3.0-or-later
#include "fixed_entropy.h"

#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/wolfcrypt/random.h>

#include "ringpost/base/check.h"
#include "sim/sim_random.h"

namespace ringpost::fuzz {
namespace {

SimRandom& Source() {
  static SimRandom source(1);
  return source;
}

int Fill(OS_Seed* /*unused*/, byte* seed, word32 size) {
  for (word32 i = 0; i < size; ++i) seed[i] = static_cast<byte>(Source().Next());
  return 0;
}

}  // namespace

void StartEntropyAnew() {
  Source() = SimRandom(1);
  static const int result = wc_SetSeed_Cb(&Fill);
  RINGPOST_CHECK(result == 0);
}

}  // namespace ringpost::fuzz
