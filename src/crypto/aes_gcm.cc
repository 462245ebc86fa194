// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/crypto/aes_gcm.h"

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <utility>

namespace ringpost {
namespace {

// The functions for one key length.
struct Cipher {
  aes_gcm_pre_t prepare = nullptr;
  aes_gcm_enc_dec_t seal = nullptr;
  aes_gcm_enc_dec_t open = nullptr;
  aes_gcm_init_t begin = nullptr;
  aes_gcm_enc_dec_update_t open_piece = nullptr;
  aes_gcm_enc_dec_finalize_t finish = nullptr;
};

struct Ciphers {
  bool available = false;
  Cipher aes128;
  Cipher aes256;
};

// The manager, some 300 KB of it for other uses, is only asked for its choice of functions.
Ciphers Choose() {
  struct FreeManager {
    void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
  };
  constexpr std::uint64_t kWanted =
      IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ | IMB_FEATURE_AVX512_SKX;
  const std::unique_ptr<IMB_MGR, FreeManager> manager(alloc_mb_mgr(0));
  if (manager == nullptr) {
    return {};
  }
  IMB_ARCH arch = IMB_ARCH_NONE;
  init_mb_mgr_auto(manager.get(), &arch);
  if (imb_get_errno(manager.get()) != 0 || arch != IMB_ARCH_AVX512 ||
      (manager->features & kWanted) != kWanted) {
    return {};
  }
  return {
      .available = true,
      .aes128 = {manager->gcm128_pre, manager->gcm128_enc, manager->gcm128_dec,
                 manager->gcm128_init, manager->gcm128_dec_update, manager->gcm128_dec_finalize},
      .aes256 = {manager->gcm256_pre, manager->gcm256_enc, manager->gcm256_dec,
                 manager->gcm256_init, manager->gcm256_dec_update, manager->gcm256_dec_finalize}};
}

const Ciphers& Chosen() {
  static const Ciphers ciphers = Choose();
  return ciphers;
}

const Cipher* CipherFor(const GcmCall& call, std::size_t text_bytes) {
  if (text_bytes > kGcmTextBytesMax) {
    return nullptr;
  }
  switch (call.key.size()) {
    case 16:
      return &Chosen().aes128;
    case 32:
      return &Chosen().aes256;
    default:
      return nullptr;
  }
}

// A key schedule and the state of one call, wiped when it is over.
class Schedule {
 public:
  Schedule(const Cipher& cipher, const GcmCall& call) { cipher.prepare(call.key.data(), &key_); }
  ~Schedule() {
    OPENSSL_cleanse(&key_, sizeof key_);
    OPENSSL_cleanse(&state_, sizeof state_);
  }
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;

  void Run(aes_gcm_enc_dec_t function, const GcmCall& call, unsigned char* tag) {
    function(&key_, &state_, call.out, call.in.data(), call.in.size(), call.nonce,
             call.associated.data(), call.associated.size(), tag, kGcmTagBytes);
  }
  void Begin(const Cipher& cipher, const GcmCall& call) {
    cipher.begin(&key_, &state_, call.nonce, call.associated.data(), call.associated.size());
  }
  void OpenPiece(const Cipher& cipher, std::string_view in, unsigned char* out) {
    cipher.open_piece(&key_, &state_, out, reinterpret_cast<const unsigned char*>(in.data()),
                      in.size());
  }
  void Finish(const Cipher& cipher, unsigned char* tag) {
    cipher.finish(&key_, &state_, tag, kGcmTagBytes);
  }

 private:
  gcm_key_data key_;  // its alignment is the type's own
  gcm_context_data state_;
};

}  // namespace

bool AesGcmAvailable() { return Chosen().available; }

bool AesGcmSeal(const GcmCall& call, unsigned char* tag) {
  const Cipher* const cipher = CipherFor(call, call.in.size());
  if (cipher == nullptr) {
    return false;
  }
  Schedule(*cipher, call).Run(cipher->seal, call, tag);
  return true;
}

GcmOpened AesGcmOpen(const GcmCall& call, const unsigned char* tag) {
  const Cipher* const cipher = CipherFor(call, call.in.size());
  if (cipher == nullptr) {
    return GcmOpened::kUnsupported;
  }
  std::array<unsigned char, kGcmTagBytes> computed;
  Schedule(*cipher, call).Run(cipher->open, call, computed.data());
  if (CRYPTO_memcmp(computed.data(), tag, computed.size()) != 0) {
    std::fill_n(call.out, call.in.size(), static_cast<unsigned char>(0));
    return GcmOpened::kForged;
  }
  return GcmOpened::kYes;
}

GcmOpened AesGcmOpenPieces(const GcmCall& call, std::span<const std::string_view> pieces,
                           std::span<unsigned char> first, std::span<unsigned char> rest,
                           const unsigned char* tag) {
  std::size_t text_bytes = 0;
  for (const std::string_view piece : pieces) {
    text_bytes += piece.size();
  }
  const Cipher* const cipher = CipherFor(call, text_bytes);
  if (cipher == nullptr || text_bytes > first.size() + rest.size()) {
    return GcmOpened::kUnsupported;
  }
  Schedule schedule(*cipher, call);
  schedule.Begin(*cipher, call);
  std::span<unsigned char> room = first;
  std::span<unsigned char> other = rest;
  for (std::string_view piece : pieces) {
    while (!piece.empty()) {
      if (room.empty()) {
        room = std::exchange(other, {});
      }
      const std::string_view part = piece.substr(0, room.size());
      schedule.OpenPiece(*cipher, part, room.data());
      room = room.subspan(part.size());
      piece.remove_prefix(part.size());
    }
  }
  std::array<unsigned char, kGcmTagBytes> computed;
  schedule.Finish(*cipher, computed.data());
  if (CRYPTO_memcmp(computed.data(), tag, computed.size()) != 0) {
    const std::size_t in_first = std::min(text_bytes, first.size());
    std::fill_n(first.begin(), in_first, static_cast<unsigned char>(0));
    std::fill_n(rest.begin(), text_bytes - in_first, static_cast<unsigned char>(0));
    return GcmOpened::kForged;
  }
  return GcmOpened::kYes;
}

}  // namespace ringpost
