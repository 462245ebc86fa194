// SPDX-License-Identifier: GPL-3.0-or-later
//
// One TLS connection in memory: octets in, octets out, no socket. The leg owns it and the queues it is
// handed on each call; the engine keeps no octet of its own outside wolfSSL.
//
// Contract with the caller: before each call the pool has at least kBlocksNeeded large blocks free, so
// that output never fails half-way; where it does anyway, the outcome is kFailed.
#ifndef RINGPOST_TLS_TLS_ENGINE_H_
#define RINGPOST_TLS_TLS_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "ringpost/base/byte_queue.h"

typedef struct WOLFSSL WOLFSSL;

namespace ringpost {

class TlsContextSet;

enum class TlsOutcome : std::uint8_t {
  kDone,        // handshake complete, or: all that could be done was done
  kNeedInput,   // more octets from the peer are needed
  kPeerClosed,  // close_notify received: nothing may be read from this connection again (PROTOCOL 36)
  kFlood,       // too many records without content (PROTOCOL 31)
  kFailed,      // fatal; an alert, if one is due, is in the output; error() says what
};

// What the log, the PROXY header and the policy service say of a connection.
struct TlsFacts {
  std::string_view version;  // "TLSv1.3"
  std::string_view suite;    // IANA name, "TLS_AES_128_GCM_SHA256"
  std::string_view group;    // "X25519"
  bool resumed = false;
};

class TlsEngine {
 public:
  static constexpr std::size_t kBlocksNeeded = 6;

  // Server: the ClientHello is at the front of `cipher_in` on the first calls and is read by our own
  // reader until the certificate is chosen; nothing is allocated in wolfSSL before. `contexts` must
  // outlive the engine (the session holds a reference).
  static std::unique_ptr<TlsEngine> Server(const TlsContextSet* contexts);

  ~TlsEngine();  // wipes keys

  // Consumes from `cipher_in`, appends to `cipher_out`. kDone once the handshake is complete.
  [[nodiscard]] TlsOutcome Handshake(ByteQueue& cipher_in, ByteQueue& cipher_out);
  // After the handshake. Decrypts until `cipher_in` holds no complete record or `plain_in` holds
  // `plain_max` octets. May append alerts and KeyUpdate answers to `cipher_out`.
  [[nodiscard]] TlsOutcome Read(ByteQueue& cipher_in, ByteQueue& plain_in, std::size_t plain_max,
                                ByteQueue& cipher_out);
  // Seals from the front of `plain_out` until it is empty or `cipher_out` holds `cipher_max` octets.
  [[nodiscard]] TlsOutcome Write(ByteQueue& plain_out, ByteQueue& cipher_out,
                                 std::size_t cipher_max);
  // Appends close_notify, once.
  void CloseNotify(ByteQueue& cipher_out);

  [[nodiscard]] bool handshake_complete() const;
  [[nodiscard]] TlsFacts facts() const;          // after the handshake
  [[nodiscard]] std::string_view sni() const;    // lower case; empty if none was sent
  [[nodiscard]] std::string_view error() const;  // one phrase for the log, after kFailed

  // --- the private part is the implementer's ---
};

}  // namespace ringpost

#endif  // RINGPOST_TLS_TLS_ENGINE_H_
