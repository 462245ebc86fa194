// SPDX-License-Identifier: GPL-3.0-or-later
//
// The record layer of one end of a TLS 1.3 connection once the handshake is over (RFC 8446 5):
// opens records from the blocks they were received in to the blocks they are forwarded from, and
// seals. After the handshake it takes wolfSSL's place, whose connection is then freed.
//
// What it has to know of the handshake protocol is KeyUpdate (4.6.3), the one message that a client
// may still send, and that a server may send tickets (4.6.1), which it drops; of the alert
// protocol, close_notify and that all other alerts are the end.
//
// Owner: a TlsEngine, which gives it one whole record at a time and counts those without content.
// After kRefused and kPeerAlert nothing may be asked of it any more.
#ifndef RINGPOST_SRC_TLS_RECORD_LAYER_H_
#define RINGPOST_SRC_TLS_RECORD_LAYER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "record_cipher.h"
#include "ringpost/base/byte_queue.h"
#include "ringpost/tls/tls_alert.h"

namespace ringpost {

// client_application_traffic_secret_0 and server_application_traffic_secret_0 (RFC 8446 7.1), from
// the moment that wolfSSL tells them until there is a RecordLayer. Wiped.
struct TrafficSecrets {
  using Secret = std::array<unsigned char, RecordCipher::kSecretBytesMax>;

  TrafficSecrets() = default;
  ~TrafficSecrets();
  TrafficSecrets(const TrafficSecrets&) = delete;
  TrafficSecrets& operator=(const TrafficSecrets&) = delete;

  Secret client{};
  Secret server{};
  std::size_t client_bytes = 0;  // 0: not known yet
  std::size_t server_bytes = 0;
};

class RecordLayer {
 public:
  static constexpr std::size_t kHeaderBytes = RecordCipher::kHeaderBytes;
  static constexpr std::size_t kPlainBytesMax = 1 << 14;  // RFC 8446 5.1
  static constexpr std::size_t kSealedBytesMax = RecordCipher::kSealedBytesMax;
  static constexpr std::size_t kPiecesMax = RecordCipher::kPiecesMax;
  // Our keys are changed after so many records: 2^24.5 full ones are what AES-GCM allows (5.5).
  static constexpr std::uint64_t kRecordsPerKeyMax = std::uint64_t{1} << 23;

  enum class End : std::uint8_t { kServer, kClient };
  // What wolfSSL has done with the keys of a direction: so many records are behind it.
  struct Direction {
    RecordKeys keys;
    std::uint64_t sequence = 0;
  };
  // nullptr: no memory, or the suite is not one of TLS 1.3.
  static std::unique_ptr<RecordLayer> Make(End end, std::uint16_t suite, const Direction& peer,
                                           const Direction& own,
                                           std::uint64_t records_per_key_max = kRecordsPerKeyMax);

  enum class Opened : std::uint8_t {
    kContent,     // `plain_in` has grown
    kNothing,     // no content: a KeyUpdate, a ticket, an empty record, a warning
    kPeerClosed,  // close_notify
    kPeerAlert,   // any other alert, whose number is `alert`
    kRefused,     // `alert` says why and is in the output
    kNoBlocks,    // the pool is empty
  };
  struct Result {
    Opened opened;
    int alert = 0;
    std::string_view reason = {};
  };
  // Opens the record of this header (its type is application_data, its length that of the pieces
  // together, at least one, at most kSealedBytesMax, in at most kPiecesMax). An answer, if one is
  // due, goes to `cipher_out`.
  [[nodiscard]] Result Open(std::span<const unsigned char, kHeaderBytes> header,
                            std::span<const std::string_view> pieces, ByteQueue& plain_in,
                            ByteQueue& cipher_out);
  // Refuses what is no record of this layer, in the same way.
  Result Refuse(TlsAlert alert, std::string_view reason, ByteQueue& cipher_out);

  // Seals the front of `plain_out`, at most kPlainBytesMax octets, as one record, and consumes it.
  // False: no block, or wolfSSL failed.
  [[nodiscard]] bool SealFront(ByteQueue& plain_out, ByteQueue& cipher_out);
  // A record of wolfSSL's that goes out in front of the first of ours.
  void SendFirst(std::unique_ptr<char[]> record, std::size_t bytes);
  // Nothing can be sealed after it.
  void CloseNotify(ByteQueue& cipher_out);

 private:
  enum class ContentType : std::uint8_t { kAlert = 21, kHandshake = 22, kApplicationData = 23 };
  enum class KeyUpdateRequest : std::uint8_t { kNotRequested = 0, kRequested = 1 };

  RecordLayer(End end, std::uint64_t records_per_key_max)
      : end_(end), records_per_key_max_(records_per_key_max) {}

  [[nodiscard]] Result TakeAlert(std::string_view text, ByteQueue& cipher_out);
  [[nodiscard]] Result TakeHandshake(std::string_view text, ByteQueue& cipher_out);
  [[nodiscard]] Result BeginTicket(ByteQueue& cipher_out);
  [[nodiscard]] Result TakeKeyUpdate(std::size_t behind, ByteQueue& cipher_out);
  // Changes our own keys, after having said so.
  [[nodiscard]] bool UpdateOurs(ByteQueue& cipher_out);
  // Seals the first `size` octets of Sealing().
  [[nodiscard]] bool Seal(ContentType type, std::size_t size, ByteQueue& cipher_out);
  [[nodiscard]] bool SealText(ContentType type, std::string_view text, ByteQueue& cipher_out);

  static constexpr std::size_t kKeyUpdateBytes = 5;  // RFC 8446 4, 4.6.3

  RecordCipher peer_;
  RecordCipher own_;
  End end_;
  std::uint32_t ticket_left_ = 0;  // octets that are still to come of it
  std::uint64_t records_per_key_max_;
  std::array<char, kKeyUpdateBytes> message_{};  // of the handshake protocol, as far as it has come
  std::uint8_t message_bytes_ = 0;
  bool closed_ = false;  // close_notify or a fatal alert has been sealed
  std::uint32_t first_bytes_ = 0;
  std::unique_ptr<char[]> first_;  // SendFirst(), until it is sent
};

}  // namespace ringpost

#endif  // RINGPOST_SRC_TLS_RECORD_LAYER_H_
