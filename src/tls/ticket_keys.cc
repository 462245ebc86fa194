// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tls/ticket_keys.h"

#include "ringpost/crypto/tls_library.h"
// The options come first.
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/hmac.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "ringpost/base/check.h"
#include "ringpost/crypto/random_octets.h"

namespace ringpost {
namespace {

// A key on the stack, gone when its scope ends.
template <typename T>
class Wiped {
 public:
  explicit Wiped(const T& value) : value_(value) {}
  ~Wiped() { explicit_bzero(&value_, sizeof(value_)); }
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  const T& operator*() const { return value_; }

 private:
  T value_;
};

class AesGcm {
 public:
  explicit AesGcm(std::span<const unsigned char> key) {
    ready_ = wc_AesInit(&aes_, nullptr, INVALID_DEVID) == 0 &&
             wc_AesGcmSetKey(&aes_, key.data(), static_cast<word32>(key.size())) == 0;
  }
  ~AesGcm() {
    wc_AesFree(&aes_);
    explicit_bzero(&aes_, sizeof(aes_));
  }
  AesGcm(const AesGcm&) = delete;
  AesGcm& operator=(const AesGcm&) = delete;

  [[nodiscard]] bool ready() const { return ready_; }
  Aes* get() { return &aes_; }

 private:
  Aes aes_;
  bool ready_;
};

const unsigned char* Octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::unique_ptr<TicketKeys> TicketKeys::Random(std::int64_t now) {
  std::unique_ptr<TicketKeys> keys(new TicketKeys(std::string_view()));
  keys->Advance(now);
  return keys;
}

absl::StatusOr<std::unique_ptr<TicketKeys>> TicketKeys::FromSecret(std::string_view secret,
                                                                   std::string_view path,
                                                                   std::int64_t now) {
  if (secret.size() != kSecretBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the ticket key file ", absl::string_view(path.data(), path.size()), " has ", secret.size(),
        " octets, not ", kSecretBytes, "; make it with: openssl rand -out FILE ", kSecretBytes));
  }
  if (std::all_of(secret.begin(), secret.end(), [&](char octet) { return octet == secret[0]; })) {
    return absl::InvalidArgumentError(
        absl::StrCat("the ticket key file ", absl::string_view(path.data(), path.size()),
                     " is not random; make it with: openssl rand -out FILE ", kSecretBytes));
  }
  std::unique_ptr<TicketKeys> keys(new TicketKeys(secret));
  keys->Advance(now);
  return keys;
}

std::unique_ptr<TicketKeys> TicketKeys::FromState(std::span<const unsigned char, kStateBytes> state,
                                                  std::int64_t now) {
  static_assert(kStateBytes == sizeof(std::int64_t) + sizeof(Keys));
  std::int64_t period = 0;
  std::memcpy(&period, state.data(), sizeof period);
  const std::int64_t current = std::max<std::int64_t>(now, 0) / kPeriodSeconds;
  if (period != current && period != current - 1) {
    return nullptr;
  }
  std::unique_ptr<TicketKeys> keys(new TicketKeys(std::string_view()));
  Keys words;
  std::memcpy(&words, state.data() + sizeof period, sizeof words);
  keys->Publish(words);
  explicit_bzero(&words, sizeof words);
  keys->period_.store(period, std::memory_order_relaxed);
  keys->Advance(now);
  return keys;
}

bool TicketKeys::Export(std::span<unsigned char, kStateBytes> state) const {
  if (secret_bytes_ > 0) {
    return false;
  }
  const std::int64_t period = period_.load(std::memory_order_relaxed);
  std::memcpy(state.data(), &period, sizeof period);
  const Wiped<Keys> keys(Snapshot());
  std::memcpy(state.data() + sizeof period, &*keys, sizeof(Keys));
  return true;
}

TicketKeys::TicketKeys(std::string_view secret) : secret_bytes_(secret.size()) {
  RINGPOST_CHECK(secret.size() <= secret_.size());
  std::copy(secret.begin(), secret.end(), secret_.begin());
}

TicketKeys::~TicketKeys() {
  explicit_bzero(secret_.data(), secret_.size());
  Publish(Keys{});
}

void TicketKeys::Advance(std::int64_t now) {
  const std::int64_t period = std::max<std::int64_t>(now, 0) / kPeriodSeconds;
  if (period_.load(std::memory_order_relaxed) == period) {
    return;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::int64_t before = period_.load(std::memory_order_relaxed);
  if (before == period) {
    return;
  }
  Keys keys;
  keys.current = MakeKey(period);
  if (!secret().empty()) {
    keys.previous = MakeKey(period - 1);
  } else if (before == period - 1) {
    keys.previous = (*Wiped(Snapshot())).current;
  } else {
    // The clock jumped: nothing issued before is accepted any more.
    keys.previous = MakeKey(period - 1);
  }
  Publish(keys);
  explicit_bzero(&keys, sizeof(keys));
  period_.store(period, std::memory_order_relaxed);
}

TicketKeys::Key TicketKeys::MakeKey(std::int64_t period) const {
  Key key;
  if (secret().empty()) {
    RandomOctets(key.name);
    RandomOctets(key.key);
    return key;
  }
  // HKDF (RFC 5869) with a label and the period's number as its info.
  const std::string info = absl::StrCat("ringpost ticket key ", period);
  std::array<unsigned char, kNameBytes + kKeyBytes> out;
  RINGPOST_CHECK(wc_HKDF(WC_SHA256, Octets(secret()), static_cast<word32>(secret().size()), nullptr,
                         0, Octets(info), static_cast<word32>(info.size()), out.data(),
                         out.size()) == 0);
  std::memcpy(key.name.data(), out.data(), kNameBytes);
  std::memcpy(key.key.data(), out.data() + kNameBytes, kKeyBytes);
  explicit_bzero(out.data(), out.size());
  return key;
}

void TicketKeys::Publish(const Keys& keys) {
  auto words = std::bit_cast<std::array<std::uint64_t, kWordCount>>(keys);
  const std::uint32_t sequence = sequence_.load(std::memory_order_relaxed);
  sequence_.store(sequence + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  for (std::size_t i = 0; i < kWordCount; ++i) {
    words_[i].store(words[i], std::memory_order_relaxed);
  }
  sequence_.store(sequence + 2, std::memory_order_release);
  explicit_bzero(words.data(), sizeof(words));
}

TicketKeys::Keys TicketKeys::Snapshot() const {
  std::array<std::uint64_t, kWordCount> words;
  while (true) {
    const std::uint32_t before = sequence_.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < kWordCount; ++i) {
      words[i] = words_[i].load(std::memory_order_relaxed);
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    if (before % 2 == 0 && sequence_.load(std::memory_order_relaxed) == before) {
      const Keys keys = std::bit_cast<Keys>(words);
      explicit_bzero(words.data(), sizeof(words));
      return keys;
    }
  }
}

bool TicketKeys::Seal(std::span<unsigned char> text, std::string_view bound,
                      std::span<unsigned char, kNameBytes> name,
                      std::span<unsigned char, kNonceBytes> nonce,
                      std::span<unsigned char, kTagBytes> tag) const {
  const Wiped keys(Snapshot());
  AesGcm aes((*keys).current.key);
  // A random nonce of 96 bits is good for 2^32 tickets (NIST SP 800-38D 8.3); a key lives one hour.
  RandomOctets(nonce);
  std::copy((*keys).current.name.begin(), (*keys).current.name.end(), name.begin());
  return aes.ready() &&
         wc_AesGcmEncrypt(aes.get(), text.data(), text.data(), static_cast<word32>(text.size()),
                          nonce.data(), kNonceBytes, tag.data(), kTagBytes, Octets(bound),
                          static_cast<word32>(bound.size())) == 0;
}

bool TicketKeys::Open(std::span<unsigned char> text, std::string_view bound,
                      std::span<const unsigned char, kNameBytes> name,
                      std::span<const unsigned char, kNonceBytes> nonce,
                      std::span<const unsigned char, kTagBytes> tag) const {
  const Wiped keys(Snapshot());
  const Key* key = nullptr;
  for (const Key* candidate : {&(*keys).current, &(*keys).previous}) {
    if (std::equal(name.begin(), name.end(), candidate->name.begin())) {
      key = candidate;
    }
  }
  if (key == nullptr) {
    return false;
  }
  AesGcm aes(key->key);
  return aes.ready() &&
         wc_AesGcmDecrypt(aes.get(), text.data(), text.data(), static_cast<word32>(text.size()),
                          nonce.data(), kNonceBytes, tag.data(), kTagBytes, Octets(bound),
                          static_cast<word32>(bound.size())) == 0;
}

}  // namespace ringpost
