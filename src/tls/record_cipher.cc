// SPDX-License-Identifier: GPL-3.0-or-later
#include "record_cipher.h"

#include <algorithm>
#include <cstring>

#include "ringpost/base/check.h"
#include "ringpost/crypto/aes_gcm.h"
#include "ringpost/crypto/tls_library.h"
// The options come first.
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/chacha20_poly1305.h>
#include <wolfssl/wolfcrypt/kdf.h>

namespace ringpost {
namespace {

constexpr std::array<RecordSuite, 3> kSuites = {{
    {0x1301, WC_SHA256, 32, 16, true},
    {0x1302, WC_SHA384, 48, 32, true},
    {0x1303, WC_SHA256, 32, 32, false},
}};

word32 Length(std::size_t size) { return static_cast<word32>(size); }

const unsigned char* Octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

template <std::size_t kSize>
void Wipe(std::array<unsigned char, kSize>& octets) {
  explicit_bzero(octets.data(), octets.size());
}

// wolfSSL's AES with a key, wiped at its end.
class LibraryAes {
 public:
  explicit LibraryAes(std::span<const unsigned char> key)
      : ready_(wc_AesInit(&aes_, nullptr, INVALID_DEVID) == 0 &&
               wc_AesGcmSetKey(&aes_, key.data(), Length(key.size())) == 0) {}
  ~LibraryAes() { wc_AesFree(&aes_); }
  LibraryAes(const LibraryAes&) = delete;
  LibraryAes& operator=(const LibraryAes&) = delete;
  // nullptr: wolfSSL refused the key, and refuses whatever is asked of none.
  [[nodiscard]] Aes* get() { return ready_ ? &aes_ : nullptr; }

 private:
  Aes aes_{};
  bool ready_;
};

// The last octets of a text in pieces, and the pieces without them.
class Tail {
 public:
  Tail(std::span<const std::string_view> pieces, std::span<unsigned char> tail) {
    RINGPOST_CHECK(pieces.size() <= pieces_.size());
    std::copy(pieces.begin(), pieces.end(), pieces_.begin());
    count_ = pieces.size();
    for (std::size_t left = tail.size(); left > 0;) {
      RINGPOST_CHECK(count_ > 0);
      std::string_view& last = pieces_[count_ - 1];
      const std::size_t part = std::min(left, last.size());
      std::memcpy(tail.data() + left - part, last.data() + last.size() - part, part);
      last.remove_suffix(part);
      left -= part;
      if (last.empty()) {
        --count_;
      }
    }
  }
  [[nodiscard]] std::span<const std::string_view> before() const {
    return std::span(pieces_).first(count_);
  }

 private:
  std::array<std::string_view, RecordCipher::kPiecesMax> pieces_;
  std::size_t count_ = 0;
};

}  // namespace

const RecordSuite* FindRecordSuite(std::uint16_t id) {
  const auto* const suite = std::find_if(kSuites.begin(), kSuites.end(),
                                         [&](const RecordSuite& known) { return known.id == id; });
  return suite == kSuites.end() ? nullptr : suite;
}

RecordCipher::~RecordCipher() {
  Wipe(secret_);
  Wipe(key_);
  Wipe(iv_);
}

std::span<const unsigned char> RecordCipher::key() const {
  return std::span(key_).first(suite_->key_bytes);
}

bool RecordCipher::Start(const RecordSuite& suite, const RecordKeys& keys, std::uint64_t sequence,
                         AesGcmOf aes_gcm) {
  if (keys.secret.size() != suite.hash_bytes || keys.key == nullptr || keys.iv == nullptr) {
    return false;
  }
  suite_ = &suite;
  sequence_ = sequence;
  std::copy(keys.secret.begin(), keys.secret.end(), secret_.begin());
  std::copy_n(keys.key, suite.key_bytes, key_.begin());
  std::copy_n(keys.iv, iv_.size(), iv_.begin());
  by_library_ = !suite.aes_gcm || aes_gcm == AesGcmOf::kLibrary || !AesGcmAvailable();
  return true;
}

bool RecordCipher::Start(const RecordSuite& suite, std::span<const unsigned char> secret) {
  if (secret.size() != suite.hash_bytes) {
    return false;
  }
  suite_ = &suite;
  sequence_ = 0;
  std::copy(secret.begin(), secret.end(), secret_.begin());
  by_library_ = !suite.aes_gcm || !AesGcmAvailable();
  return Expand("key", std::span(key_).first(suite.key_bytes)) && Expand("iv", iv_);
}

// HKDF-Expand-Label with an empty context (RFC 8446 7.1).
bool RecordCipher::Expand(std::string_view label, std::span<unsigned char> out) const {
  constexpr std::string_view kProtocol = "tls13 ";
  return wc_Tls13_HKDF_Expand_Label(out.data(), Length(out.size()), secret_.data(),
                                    Length(suite_->hash_bytes), Octets(kProtocol),
                                    Length(kProtocol.size()), Octets(label), Length(label.size()),
                                    nullptr, 0, suite_->hash) == 0;
}

bool RecordCipher::Update() {
  std::array<unsigned char, kSecretBytesMax> next{};
  const bool ok = Expand("traffic upd", std::span(next).first(suite_->hash_bytes));
  secret_ = next;
  Wipe(next);
  sequence_ = 0;
  return ok && Expand("key", std::span(key_).first(suite_->key_bytes)) && Expand("iv", iv_);
}

// RFC 8446 5.3. The number cannot wrap: nobody sends 2^64 records.
RecordCipher::Nonce RecordCipher::NextNonce() {
  Nonce nonce = iv_;
  for (std::size_t i = 0; i < sizeof sequence_; ++i) {
    nonce[nonce.size() - 1 - i] ^= static_cast<unsigned char>(sequence_ >> 8 * i);
  }
  ++sequence_;
  return nonce;
}

bool RecordCipher::Open(std::span<const unsigned char, kHeaderBytes> header,
                        std::span<const std::string_view> pieces, std::span<unsigned char> first,
                        std::span<unsigned char> rest) {
  const Nonce nonce = NextNonce();
  if (by_library_) {
    return OpenByLibrary(header, nonce, pieces, first, rest);
  }
  std::array<unsigned char, kTagBytes> tag;
  const Tail text(pieces, tag);
  const GcmCall call{
      .key = key(), .nonce = nonce.data(), .associated = header, .in = {}, .out = nullptr};
  return AesGcmOpenPieces(call, text.before(), first, rest, tag.data()) == GcmOpened::kYes;
}

// wolfSSL wants the text in one piece and gives it out in one.
bool RecordCipher::OpenByLibrary(std::span<const unsigned char, kHeaderBytes> header,
                                 const Nonce& nonce, std::span<const std::string_view> pieces,
                                 std::span<unsigned char> first, std::span<unsigned char> rest) {
  thread_local std::array<unsigned char, kSealedBytesMax> scratch;
  std::size_t size = 0;
  for (const std::string_view piece : pieces) {
    RINGPOST_CHECK(piece.size() <= scratch.size() - size);
    std::memcpy(scratch.data() + size, piece.data(), piece.size());
    size += piece.size();
  }
  RINGPOST_CHECK(size >= kTagBytes);
  const std::size_t text_bytes = size - kTagBytes;
  unsigned char* const text = scratch.data();
  int result = 0;
  if (suite_->aes_gcm) {
    LibraryAes aes(key());
    result = wc_AesGcmDecrypt(aes.get(), text, text, Length(text_bytes), nonce.data(),
                              Length(nonce.size()), text + text_bytes, kTagBytes, header.data(),
                              Length(header.size()));
  } else {
    result =
        wc_ChaCha20Poly1305_Decrypt(key_.data(), nonce.data(), header.data(), Length(header.size()),
                                    text, Length(text_bytes), text + text_bytes, text);
  }
  if (result != 0 || text_bytes > first.size() + rest.size()) {
    return false;
  }
  const std::size_t in_first = std::min(text_bytes, first.size());
  std::copy_n(text, in_first, first.begin());
  std::copy_n(text + in_first, text_bytes - in_first, rest.begin());
  return true;
}

bool RecordCipher::Seal(std::span<const unsigned char, kHeaderBytes> header,
                        std::span<unsigned char> text) {
  const Nonce nonce = NextNonce();
  unsigned char* const tag = text.data() + text.size();
  if (!suite_->aes_gcm) {
    return wc_ChaCha20Poly1305_Encrypt(key_.data(), nonce.data(), header.data(),
                                       Length(header.size()), text.data(), Length(text.size()),
                                       text.data(), tag) == 0;
  }
  if (by_library_) {
    LibraryAes aes(key());
    return wc_AesGcmEncrypt(aes.get(), text.data(), text.data(), Length(text.size()), nonce.data(),
                            Length(nonce.size()), tag, kTagBytes, header.data(),
                            Length(header.size())) == 0;
  }
  return AesGcmSeal(
      {.key = key(), .nonce = nonce.data(), .associated = header, .in = text, .out = text.data()},
      tag);
}

}  // namespace ringpost
