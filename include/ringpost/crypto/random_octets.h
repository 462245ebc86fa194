// SPDX-License-Identifier: GPL-3.0-or-later
//
// Random octets, from the kernel's generator alone: for ringpost, and for wolfSSL, which has no
// generator of its own here (subprojects/packagefiles/wolfssl/ringpost_random.h).
#ifndef RINGPOST_CRYPTO_RANDOM_OCTETS_H_
#define RINGPOST_CRYPTO_RANDOM_OCTETS_H_

#include <array>
#include <cstddef>
#include <span>

namespace ringpost {

// Any thread. Aborts where there is no generator: nothing may go on without.
void RandomOctets(std::span<unsigned char> octets);

// While one of these lives, the small draws of its thread share one system call: a handshake makes
// five within some 50 µs. Each octet is given once and wiped as it is; what is left is wiped at the
// end. Not to live longer than a call: octets drawn early are octets that a copy of the memory (a
// snapshot of the machine that is started twice) would repeat.
class RandomBatch {
 public:
  static constexpr std::size_t kOctets = 128;  // of the five: 112

  RandomBatch();  // the thread has no other one
  ~RandomBatch();
  RandomBatch(const RandomBatch&) = delete;
  RandomBatch& operator=(const RandomBatch&) = delete;

  // False: there are not as many left.
  [[nodiscard]] bool Take(std::span<unsigned char> octets);

 private:
  std::array<unsigned char, kOctets> octets_;
  std::size_t left_ = kOctets;
  bool drawn_ = false;
};

}  // namespace ringpost

#endif  // RINGPOST_CRYPTO_RANDOM_OCTETS_H_
