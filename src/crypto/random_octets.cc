// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/crypto/random_octets.h"

#include <openssl/crypto.h>
#include <sys/random.h>

#include <algorithm>

#include "ringpost/base/check.h"

namespace ringpost {
namespace {

thread_local RandomBatch* batch = nullptr;

void Draw(std::span<unsigned char> octets) {
  constexpr std::size_t kAtOnce = 256;  // getentropy(3) gives no more
  while (!octets.empty()) {
    const std::size_t count = std::min(octets.size(), kAtOnce);
    RINGPOST_CHECK(getentropy(octets.data(), count) == 0);
    octets = octets.subspan(count);
  }
}

}  // namespace

RandomBatch::RandomBatch() {
  RINGPOST_CHECK(batch == nullptr);
  batch = this;
}

RandomBatch::~RandomBatch() {
  batch = nullptr;
  if (drawn_) {
    OPENSSL_cleanse(octets_.data(), octets_.size());
  }
}

bool RandomBatch::Take(std::span<unsigned char> octets) {
  if (octets.size() > left_) {
    return false;
  }
  if (!drawn_) {
    Draw(octets_);
    drawn_ = true;
  }
  left_ -= octets.size();
  unsigned char* const given = octets_.data() + left_;
  std::copy_n(given, octets.size(), octets.begin());
  OPENSSL_cleanse(given, octets.size());
  return true;
}

void RandomOctets(std::span<unsigned char> octets) {
  if (batch == nullptr || !batch->Take(octets)) {
    Draw(octets);
  }
}

}  // namespace ringpost

// Named in subprojects/packagefiles/wolfssl/ringpost_random.h.
extern "C" int RingpostRandomBlock(unsigned char* octets, unsigned size) {
  ringpost::RandomOctets({octets, size});
  return 0;
}
