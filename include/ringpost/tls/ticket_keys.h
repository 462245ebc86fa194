// SPDX-License-Identifier: GPL-3.0-or-later
//
// The keys that seal session tickets: one to issue and accept, the one before it to accept. Owned
// by the process, shared by all shards. Advance() is called now and then (once per timer tick of
// any shard); Seal() and Open() are called in handshakes and take no lock.
//
// Time is divided into periods of one hour. A key issues tickets in one period and opens them in
// that and the next one, so no ticket lives longer than two hours. Keys from FromSecret() are
// derived from the secret and the number of the period, so that machines with the same secret and
// roughly the same clock open each other's tickets; keys from Random() are forgotten for good when
// their time is over.
//
// Invariant: nobody but Advance() writes, and no half-written key is ever used (a sequence lock).
#ifndef RINGPOST_TLS_TICKET_KEYS_H_
#define RINGPOST_TLS_TICKET_KEYS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "ringpost/base/locked_memory.h"

namespace ringpost {

class TicketKeys {
 public:
  static constexpr std::int64_t kPeriodSeconds = 3600;
  // What `openssl rand 80` writes; nginx's ticket key files have the same size.
  static constexpr std::size_t kSecretBytes = 80;

  static constexpr std::size_t kNameBytes = 16;
  static constexpr std::size_t kNonceBytes = 12;
  static constexpr std::size_t kTagBytes = 16;

  // `now` is in seconds since the epoch, here and below.
  static std::unique_ptr<TicketKeys> Random(std::int64_t now);
  // `secret` is the content of `path`, which only serves the error text.
  static absl::StatusOr<std::unique_ptr<TicketKeys>> FromSecret(std::string_view secret,
                                                                std::string_view path,
                                                                std::int64_t now);
  // Of another process that has none of a secret: what its Export() gave, if its period is this one
  // or the one before. Null otherwise.
  static constexpr std::size_t kStateBytes = 104;
  static std::unique_ptr<TicketKeys> FromState(std::span<const unsigned char, kStateBytes> state,
                                               std::int64_t now);
  ~TicketKeys();
  // Whoever has these keys can read what was said under them: no core dump and no swap has them.
  static void* operator new(std::size_t bytes) { return AllocateLocked(bytes); }
  static void operator delete(void* memory) { FreeLocked(memory, sizeof(TicketKeys)); }
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  // Makes new keys if `now` lies in another period than at the last call. Any thread.
  void Advance(std::int64_t now);

  // The keys themselves, for a successor on this machine: to be wiped at once. False: they come
  // from a secret, which the successor reads itself.
  [[nodiscard]] bool Export(std::span<unsigned char, kStateBytes> state) const;

  // Encrypts `text` in place with AES-256-GCM under the current key. `bound` is authenticated with
  // it.
  [[nodiscard]] bool Seal(std::span<unsigned char> text, std::string_view bound,
                          std::span<unsigned char, kNameBytes> name,
                          std::span<unsigned char, kNonceBytes> nonce,
                          std::span<unsigned char, kTagBytes> tag) const;
  // The reverse. False: unknown or expired key, other `bound`, or forged.
  [[nodiscard]] bool Open(std::span<unsigned char> text, std::string_view bound,
                          std::span<const unsigned char, kNameBytes> name,
                          std::span<const unsigned char, kNonceBytes> nonce,
                          std::span<const unsigned char, kTagBytes> tag) const;

 private:
  static constexpr std::size_t kKeyBytes = 32;
  struct Key {
    std::array<unsigned char, kNameBytes> name{};
    std::array<unsigned char, kKeyBytes> key{};
  };
  struct Keys {
    Key current;
    Key previous;
  };
  static constexpr std::size_t kWordCount = sizeof(Keys) / sizeof(std::uint64_t);

  explicit TicketKeys(std::string_view secret);  // of kSecretBytes, or empty
  [[nodiscard]] std::string_view secret() const { return {secret_.data(), secret_bytes_}; }
  [[nodiscard]] Key MakeKey(std::int64_t period) const;
  void Publish(const Keys& keys);
  [[nodiscard]] Keys Snapshot() const;

  std::array<char, kSecretBytes> secret_{};
  std::size_t secret_bytes_ = 0;  // 0: random keys
  std::atomic<std::int64_t> period_{-1};
  std::mutex mutex_;  // one writer at a time; never taken by Seal() and Open()

  // Odd while the words below are being written.
  std::atomic<std::uint32_t> sequence_{0};
  std::array<std::atomic<std::uint64_t>, kWordCount> words_{};
};

}  // namespace ringpost

#endif  // RINGPOST_TLS_TICKET_KEYS_H_
