// SPDX-License-Identifier: GPL-3.0-or-later
//
// How much TLS a route or a partner asks for, in Postfix's words. Ordered: a stronger level asks
// for everything that a weaker one does.
#ifndef RINGPOST_BASE_TLS_POLICY_H_
#define RINGPOST_BASE_TLS_POLICY_H_

#include <cstdint>

namespace ringpost {

enum class TlsPolicy : std::uint8_t {
  kNone,     // never
  kMay,      // offered, not required (RFC 3207 asks for that on a public MX)
  kEncrypt,  // no mail in clear
  kVerify,   // and none from a client whose certificate is not the expected one
};

// Where clients may authenticate.
enum class AuthPolicy : std::uint8_t {
  kTls,        // only through TLS: in clear AUTH is neither offered nor passed on
  kAsBackend,  // wherever the backend offers it and the TLS policy lets them
};

// Whether a policy refuses, or only says that it would.
enum class PolicyMode : std::uint8_t { kEnforce, kReport };

}  // namespace ringpost

#endif  // RINGPOST_BASE_TLS_POLICY_H_
