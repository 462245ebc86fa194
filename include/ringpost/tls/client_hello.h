// SPDX-License-Identifier: GPL-3.0-or-later
//
// Our own reader of the first flight of a TLS client. It decides before wolfSSL is given anything:
// which certificate fits, and whether the hello is refused. It only reads; the octets stay with the
// caller.
//
// Stateless: called again with more octets until it says something other than kNeedMore. `needed`
// tells the caller how many octets must be there before another call can say more, so that a hello
// that arrives octet by octet is not read from its start for each of them.
//
// Bound: record headers and all, a first flight has at most kClientHelloBytesMax octets.
#ifndef RINGPOST_TLS_CLIENT_HELLO_H_
#define RINGPOST_TLS_CLIENT_HELLO_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "ringpost/tls/tls_alert.h"

namespace ringpost {

// One large block: what a queue can make contiguous. Real hellos have 200 to 2,000 octets; one with
// X25519MLKEM768 and a ticket stays below 3,000.
inline constexpr std::size_t kClientHelloBytesMax = 16 * 1024;

enum class HelloStatus : std::uint8_t {
  kComplete,
  kNeedMore,
  kMalformed,  // answer with `alert`
  kNotTls,     // no alert: the peer would not understand it
};

struct HelloResult {
  HelloStatus status = HelloStatus::kNeedMore;
  TlsAlert alert = TlsAlert::kDecodeError;
  std::string_view reason;       // a phrase for the log, static storage
  std::size_t needed = 0;        // kNeedMore: octets in all before it is worth calling again
  std::size_t octets = 0;        // kComplete: length of the records that carry the hello
  std::size_t record_count = 0;  // kComplete: how many they are
  std::string_view message;      // kComplete: the handshake message with its four header octets
};

// What a client can verify, as far as it concerns the certificates that ringpost has.
enum HelloSignature : std::uint8_t {
  kSignatureEcdsaP256 = 1 << 0,  // ecdsa_secp256r1_sha256; in TLS 1.2 ECDSA with SHA-256, any curve
  kSignatureEcdsaP384 = 1 << 1,
  kSignatureEcdsaP521 = 1 << 2,
  kSignatureRsaPkcs1 = 1 << 3,  // rsa_pkcs1 with SHA-256, SHA-384 or SHA-512: TLS 1.2 only
  kSignatureRsaPss = 1 << 4,    // rsa_pss_rsae with one of them
};

enum HelloGroup : std::uint8_t {
  kGroupX25519MlKem768 = 1 << 0,
  kGroupX25519 = 1 << 1,
  kGroupP256 = 1 << 2,
  kGroupP384 = 1 << 3,
};

struct ClientHello {
  bool tls12 = false;
  bool tls13 = false;
  bool fallback_scsv = false;
  // At least one suite of ours of this kind is offered.
  bool suite_tls13 = false;
  bool suite_ecdsa = false;
  bool suite_rsa = false;

  bool has_signature_algorithms = false;
  std::uint8_t signatures = 0;  // HelloSignature
  bool has_groups = false;
  std::uint8_t groups = 0;  // HelloGroup

  bool has_alpn = false;
  bool alpn_smtp = false;
  bool has_pre_shared_key = false;
  bool has_psk_modes = false;
  bool psk_modes_dhe = false;  // psk_dhe_ke is among the psk_key_exchange_modes
  bool early_data = false;

  std::array<char, 255> sni_octets{};
  std::uint8_t sni_size = 0;
  // Lower case, without a final dot; empty if none was sent, or one that no host can have.
  [[nodiscard]] std::string_view sni() const { return {sni_octets.data(), sni_size}; }
};

// `received` starts with the first octet of the connection. A hello that came in several records is
// put together in `scratch`, which must have kClientHelloBytesMax octets; `message` then points
// there.
[[nodiscard]] HelloResult ReadClientHello(std::string_view received, std::span<char> scratch,
                                          ClientHello& hello);

struct HelloRefusal {
  TlsAlert alert;
  std::string_view reason;
};

// Refuses what no certificate could change: versions, fallback, ALPN, signatures, groups, suites.
[[nodiscard]] std::optional<HelloRefusal> JudgeClientHello(const ClientHello& hello);

}  // namespace ringpost

#endif  // RINGPOST_TLS_CLIENT_HELLO_H_
