// SPDX-License-Identifier: GPL-3.0-or-later
//
// SipHash-2-4 (Aumasson, Bernstein 2012) of one word: for hash tables whose keys a peer chooses.
// With a random key nobody can choose keys that meet in one place.
#ifndef RINGPOST_BASE_SIP_HASH_H_
#define RINGPOST_BASE_SIP_HASH_H_

#include <array>
#include <bit>
#include <cstdint>

namespace ringpost {

class SipHash {
 public:
  using Key = std::array<std::uint64_t, 2>;
  // From the kernel.
  [[nodiscard]] static Key RandomKey();

  explicit SipHash(const Key& key)
      : a_(key[0] ^ 0x736f6d6570736575),
        b_(key[1] ^ 0x646f72616e646f6d),
        c_(key[0] ^ 0x6c7967656e657261),
        d_(key[1] ^ 0x7465646279746573) {}

  [[nodiscard]] std::uint64_t Of(std::uint64_t word) {
    Word(word);
    Word(sizeof word << 56);
    c_ ^= 0xff;
    for (int round = 0; round < 4; ++round) Round();
    return a_ ^ b_ ^ c_ ^ d_;
  }

 private:
  void Word(std::uint64_t word) {
    d_ ^= word;
    Round();
    Round();
    a_ ^= word;
  }
  void Round() {
    a_ += b_;
    c_ += d_;
    b_ = std::rotl(b_, 13) ^ a_;
    d_ = std::rotl(d_, 16) ^ c_;
    a_ = std::rotl(a_, 32);
    c_ += b_;
    a_ += d_;
    b_ = std::rotl(b_, 17) ^ c_;
    d_ = std::rotl(d_, 21) ^ a_;
    c_ = std::rotl(c_, 32);
  }

  std::uint64_t a_;
  std::uint64_t b_;
  std::uint64_t c_;
  std::uint64_t d_;
};

}  // namespace ringpost

#endif  // RINGPOST_BASE_SIP_HASH_H_
