// SPDX-License-Identifier: GPL-3.0-or-later
#include "fixed_entropy.h"

#include <cstddef>

#include "sim/sim_random.h"

namespace ringpost::fuzz {
namespace {

SimRandom& Source() {
  static SimRandom source(1);
  return source;
}

}  // namespace

void StartEntropyAnew() { Source() = SimRandom(1); }

}  // namespace ringpost::fuzz

// The C library's, for all of this program: ringpost draws from it, for wolfSSL too.
extern "C" int getentropy(void* buffer, std::size_t length) {
  auto* const octets = static_cast<unsigned char*>(buffer);
  for (std::size_t i = 0; i < length; ++i) {
    octets[i] = static_cast<unsigned char>(ringpost::fuzz::Source().Next());
  }
  return 0;
}
