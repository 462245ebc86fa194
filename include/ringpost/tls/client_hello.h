// SPDX-License-Identifier: GPL-3.0-or-later
//
// What ringpost looks at in a ClientHello. It decides before wolfSSL is given anything: which
// certificate fits, and whether the hello is refused. It only reads; client_hello_reader.h puts the
// message together.
#ifndef RINGPOST_TLS_CLIENT_HELLO_H_
#define RINGPOST_TLS_CLIENT_HELLO_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "ringpost/tls/tls_alert.h"

namespace ringpost {

// Of a message, its header included. Real hellos have 200 to 2,000 octets; one with X25519MLKEM768
// and a ticket stays below 3,000. The RFCs know no limit.
inline constexpr std::size_t kClientHelloBytesMax = 4 + 64 * 1024;

// What a client can verify, as far as it concerns the certificates that ringpost has.
enum HelloSignature : std::uint8_t {
  kSignatureEcdsaP256 = 1 << 0,  // ecdsa_secp256r1_sha256; in TLS 1.2 ECDSA with SHA-256, any curve
  kSignatureEcdsaP384 = 1 << 1,
  kSignatureEcdsaP521 = 1 << 2,
  kSignatureRsaPkcs1 = 1 << 3,  // rsa_pkcs1 with SHA-256, SHA-384 or SHA-512: TLS 1.2 only
  kSignatureRsaPss = 1 << 4,    // rsa_pss_rsae with one of them
};

// More identities than these in pre_shared_key are refused: clients offer one or two, and wolfSSL
// looks each of them up among all of those before it, and keeps them.
inline constexpr std::size_t kPskIdentitiesMax = 64;

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

struct HelloRefusal {
  TlsAlert alert;
  std::string_view reason;  // a phrase for the log, static storage
};

// `message`: as a whole, with its four header octets. nullopt: it was well-formed.
[[nodiscard]] std::optional<HelloRefusal> ReadClientHello(std::string_view message,
                                                          ClientHello& hello);

// Refuses what no certificate could change: versions, fallback, ALPN, signatures, groups, suites.
[[nodiscard]] std::optional<HelloRefusal> JudgeClientHello(const ClientHello& hello);

}  // namespace ringpost

#endif  // RINGPOST_TLS_CLIENT_HELLO_H_
