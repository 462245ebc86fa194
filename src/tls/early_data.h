// SPDX-License-Identifier: GPL-3.0-or-later
//
// 0-RTT data of a client that has a ticket of another server. ringpost accepts none and cannot open
// it, so it is skipped (RFC 8446 4.2.10): the records until one opens with the client's handshake
// key, or, after HelloRetryRequest, until the second hello. wolfSSL would take them for forgeries.
//
// Owner: a TlsEngine, from a hello that offers early data until its end is found.
#ifndef RINGPOST_SRC_TLS_EARLY_DATA_H_
#define RINGPOST_SRC_TLS_EARLY_DATA_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "record_cipher.h"
#include "ringpost/base/byte_queue.h"

namespace ringpost {

class EarlyData {
 public:
  // 16 KiB, the max_early_data of most servers, and what records add. Counted in octets of records,
  // headers included.
  static constexpr std::size_t kBytesMax = (1 << 14) + 4096;
  // Each is tried with a key. Records of 256 octets still fit.
  static constexpr unsigned kRecordsMax = 128;

  EarlyData() = default;
  ~EarlyData();
  EarlyData(const EarlyData&) = delete;
  EarlyData& operator=(const EarlyData&) = delete;

  // client_handshake_traffic_secret. False: it is too long to be one.
  [[nodiscard]] bool Keep(std::span<const unsigned char> secret);
  [[nodiscard]] bool has_secret() const { return secret_bytes_ > 0; }

  enum class Whose : std::uint8_t {
    kUnknown,  // early data, or the first record under the client's handshake key
    kDropped,  // early data
  };
  // Begins a record of so many octets, header included. False: it is too much.
  [[nodiscard]] bool Begin(std::size_t record_bytes, Whose whose);
  [[nodiscard]] bool pending() const { return left_ > 0; }
  // Takes what has come of it off the queue. True: it is whole.
  [[nodiscard]] bool Take(ByteQueue& in);

  // Was the record that is whole now sealed with the client's handshake key?
  [[nodiscard]] bool IsHandshake(std::uint16_t suite) const;
  // It, header included, once it was.
  [[nodiscard]] std::string TakeRecord() { return std::move(record_); }

 private:
  std::array<unsigned char, RecordCipher::kSecretBytesMax> secret_{};
  std::size_t secret_bytes_ = 0;
  std::size_t counted_ = 0;
  unsigned records_ = 0;
  std::size_t left_ = 0;  // of the record at hand, still to come
  Whose whose_ = Whose::kDropped;
  std::string record_;  // what has come of one that is not dropped
};

}  // namespace ringpost

#endif  // RINGPOST_SRC_TLS_EARLY_DATA_H_
