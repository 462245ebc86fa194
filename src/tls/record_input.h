// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the files of the engine share to look at records that have come.
#ifndef RINGPOST_SRC_TLS_RECORD_INPUT_H_
#define RINGPOST_SRC_TLS_RECORD_INPUT_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

#include "record_cipher.h"
#include "ringpost/base/byte_queue.h"

namespace ringpost {

inline constexpr std::size_t kHeaderBytes = RecordCipher::kHeaderBytes;
inline constexpr std::size_t kMessageHeaderBytes = 4;               // of the handshake
inline constexpr std::size_t kPlainRecordMax = 1 << 14;             // RFC 8446 5.1
inline constexpr std::size_t kSealedRecordMax13 = (1 << 14) + 256;  // RFC 8446 5.2
inline constexpr unsigned kTypeChangeCipherSpec = 20;
inline constexpr unsigned kTypeHandshake = 22;
inline constexpr unsigned kTypeApplicationData = 23;

inline unsigned Octet(char c) { return static_cast<unsigned char>(c); }

// Copies the first octets of a queue, which may lie in several runs. Returns how many.
inline std::size_t CopyFront(const ByteQueue& queue, std::span<char> to) {
  if (const std::string_view front = queue.Front(); front.size() >= to.size()) {
    std::memcpy(to.data(), front.data(), to.size());
    return to.size();
  }
  std::array<std::string_view, 16> pieces;
  const std::size_t count = queue.Pieces(pieces);
  std::size_t copied = 0;
  for (std::size_t i = 0; i < count && copied < to.size(); ++i) {
    const std::size_t part = std::min(pieces[i].size(), to.size() - copied);
    std::memcpy(to.data() + copied, pieces[i].data(), part);
    copied += part;
  }
  return copied;
}

}  // namespace ringpost

#endif  // RINGPOST_SRC_TLS_RECORD_INPUT_H_
