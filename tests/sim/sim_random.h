// SPDX-License-Identifier: GPL-3.0-or-later
//
// Random numbers that are the same for the same seed on every machine and library (SplitMix64). The
// standard distributions are not, so there are none here.
#ifndef RINGPOST_TESTS_SIM_SIM_RANDOM_H_
#define RINGPOST_TESTS_SIM_SIM_RANDOM_H_

#include <cstdint>

namespace ringpost {

class SimRandom {
 public:
  explicit SimRandom(std::uint64_t seed) : state_(seed) {}

  [[nodiscard]] std::uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // 0 <= result < n; n > 0.
  [[nodiscard]] std::uint64_t Below(std::uint64_t n) { return Next() % n; }
  // Draws only if it can happen, so that switching a fault off leaves the others' draws alone.
  [[nodiscard]] bool Happens(unsigned per_ten_thousand) {
    return per_ten_thousand > 0 && Below(10'000) < per_ten_thousand;
  }

 private:
  std::uint64_t state_;
};

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SIM_SIM_RANDOM_H_
