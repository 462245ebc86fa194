// SPDX-License-Identifier: GPL-3.0-or-later
//
// The one table of the suites and groups that ringpost speaks (PROTOCOL 23, 24), in the order of
// its preference: forward secrecy and authenticated encryption only. AES before ChaCha20, because
// wolfSSL's AES-GCM is about twice as fast where the CPU has AES instructions.
#ifndef RINGPOST_SRC_TLS_SUITES_H_
#define RINGPOST_SRC_TLS_SUITES_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "ringpost/crypto/tls_library.h"

namespace ringpost {

struct TlsSuite {
  std::uint16_t id;
  std::string_view version;
  std::string_view name;  // IANA
  std::string_view library_name;
};

inline constexpr std::array<TlsSuite, 9> kTlsSuites = {{
    {0x1301, "TLSv1.3", "TLS_AES_128_GCM_SHA256", "TLS13-AES128-GCM-SHA256"},
    {0x1302, "TLSv1.3", "TLS_AES_256_GCM_SHA384", "TLS13-AES256-GCM-SHA384"},
    {0x1303, "TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256", "TLS13-CHACHA20-POLY1305-SHA256"},
    {0xc02b, "TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {0xc02f, "TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"},
    {0xc02c, "TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {0xc030, "TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"},
    {0xcca9, "TLSv1.2", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
     "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {0xcca8, "TLSv1.2", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
     "ECDHE-RSA-CHACHA20-POLY1305"},
}};

struct TlsGroup {
  int id;
  std::string_view name;
  std::string_view library_name;
};

// wolfSSL's own order puts X25519, the fastest, last.
inline constexpr std::array<TlsGroup, 4> kTlsGroups = {{
    {WOLFSSL_X25519MLKEM768, "X25519MLKEM768", "X25519MLKEM768"},
    {WOLFSSL_ECC_X25519, "X25519", "X25519"},
    {WOLFSSL_ECC_SECP256R1, "P-256", "SECP256R1"},
    {WOLFSSL_ECC_SECP384R1, "P-384", "SECP384R1"},
}};

}  // namespace ringpost

#endif  // RINGPOST_SRC_TLS_SUITES_H_
