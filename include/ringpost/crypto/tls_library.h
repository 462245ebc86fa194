// SPDX-License-Identifier: GPL-3.0-or-later
//
// wolfSSL as a whole: which release is accepted, its start and its end. The only place that
// includes <wolfssl/options.h>; every file that uses wolfSSL includes this one first.
#ifndef RINGPOST_CRYPTO_TLS_LIBRARY_H_
#define RINGPOST_CRYPTO_TLS_LIBRARY_H_

#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/ssl.h>
#include <wolfssl/version.h>

#if LIBWOLFSSL_VERSION_HEX < 0x05009002
#error \
    "ringpost needs wolfSSL 5.9.2 or later: earlier releases have known vulnerabilities. \
Remove the folder subprojects/wolfssl-* and set up the build again."
#endif

#include <string>

namespace ringpost {

inline constexpr int kVersionTls13 = 0x0304;  // of wolfSSL_version()

// Starts wolfSSL before its first use and ends it when the process exits. Any thread, any number of
// times. False: it could not be started.
[[nodiscard]] bool TlsLibraryStart();

// The crypto device for connections whose records wolfSSL seals: AesGcmDevice(), or none.
// After TlsLibraryStart().
[[nodiscard]] int TlsCryptoDevice();

// wolfSSL's own words for an error code.
[[nodiscard]] std::string TlsLibraryError(int code);

}  // namespace ringpost

#endif  // RINGPOST_CRYPTO_TLS_LIBRARY_H_
