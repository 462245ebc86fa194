// SPDX-License-Identifier: GPL-3.0-or-later
//
// One direction of a TLS 1.3 connection: the traffic secret, the keys made of it, and the number of
// the next record (RFC 8446 5.2, 5.3, 7.2, 7.3). Opens and seals; knows no content type but that
// there is one.
//
// The schedule of a key is made for each record and wiped after it: 0.1 µs, for which an idle
// session would have 1 to 2 KB more.
//
// Owner: a RecordLayer. Never moves: keys are wiped where they are.
#ifndef RINGPOST_SRC_TLS_RECORD_CIPHER_H_
#define RINGPOST_SRC_TLS_RECORD_CIPHER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ringpost {

struct RecordSuite {
  std::uint16_t id;  // of the cipher suite
  int hash;          // wolfSSL's number of the suite's hash
  std::size_t hash_bytes;
  std::size_t key_bytes;
  bool aes_gcm;  // else ChaCha20-Poly1305
};

// nullptr: no suite of TLS 1.3 that ringpost speaks.
[[nodiscard]] const RecordSuite* FindRecordSuite(std::uint16_t id);

// What a direction begins with: its traffic secret, and what wolfSSL has made of it already.
struct RecordKeys {
  std::span<const unsigned char> secret;
  const unsigned char* key;  // as many octets as the suite's keys have
  const unsigned char* iv;   // 12
};

// Whose AES-GCM is used.
enum class AesGcmOf : std::uint8_t {
  kBest,     // aes_gcm.h, where it is available
  kLibrary,  // wolfSSL's
};

class RecordCipher {
 public:
  static constexpr std::size_t kHeaderBytes = 5;
  static constexpr std::size_t kTagBytes = 16;
  static constexpr std::size_t kSecretBytesMax = 48;
  static constexpr std::size_t kSealedBytesMax = (1 << 14) + 256;  // RFC 8446 5.2
  static constexpr std::size_t kPiecesMax = 8;

  RecordCipher() = default;
  ~RecordCipher();
  RecordCipher(const RecordCipher&) = delete;
  RecordCipher& operator=(const RecordCipher&) = delete;

  // `sequence`: the number of the next record. False: the secret is not one of the suite's.
  [[nodiscard]] bool Start(const RecordSuite& suite, const RecordKeys& keys, std::uint64_t sequence,
                           AesGcmOf aes_gcm = AesGcmOf::kBest);
  // The same of a traffic secret alone, for record 0 and what follows.
  [[nodiscard]] bool Start(const RecordSuite& suite, std::span<const unsigned char> secret);
  // To the next traffic secret and to record 0 (RFC 8446 7.2). False: wolfSSL failed; the cipher
  // must not be used any more.
  [[nodiscard]] bool Update();

  // Opens the record with this header, whose sealed octets, tag included, are `pieces`: at least
  // kTagBytes, at most kSealedBytesMax, in at most kPiecesMax. The first octets go to `first`, what
  // that has no room for to `rest`. False: it was not sealed with these keys and this number, and
  // nothing was given out.
  [[nodiscard]] bool Open(std::span<const unsigned char, kHeaderBytes> header,
                          std::span<const std::string_view> pieces, std::span<unsigned char> first,
                          std::span<unsigned char> rest);
  // Seals `text` in place; the tag goes behind it, for which there is room. False: wolfSSL failed.
  [[nodiscard]] bool Seal(std::span<const unsigned char, kHeaderBytes> header,
                          std::span<unsigned char> text);

  [[nodiscard]] std::uint64_t sequence() const { return sequence_; }

 private:
  using Nonce = std::array<unsigned char, 12>;

  [[nodiscard]] bool Expand(std::string_view label, std::span<unsigned char> out) const;
  [[nodiscard]] Nonce NextNonce();
  [[nodiscard]] bool OpenByLibrary(std::span<const unsigned char, kHeaderBytes> header,
                                   const Nonce& nonce, std::span<const std::string_view> pieces,
                                   std::span<unsigned char> first, std::span<unsigned char> rest);
  [[nodiscard]] std::span<const unsigned char> key() const;

  const RecordSuite* suite_ = nullptr;
  std::uint64_t sequence_ = 0;
  std::array<unsigned char, kSecretBytesMax> secret_{};
  std::array<unsigned char, 32> key_{};
  Nonce iv_{};
  bool by_library_ = false;
};

}  // namespace ringpost

#endif  // RINGPOST_SRC_TLS_RECORD_CIPHER_H_
