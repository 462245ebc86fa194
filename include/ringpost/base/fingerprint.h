// SPDX-License-Identifier: GPL-3.0-or-later
//
// The SHA-256 of a certificate, or of its public key (SubjectPublicKeyInfo), as an administrator
// pins it. Written "AB:CD:..." in capitals, as openssl and Postfix print it; read with or without
// colons, in either case.
#ifndef RINGPOST_BASE_FINGERPRINT_H_
#define RINGPOST_BASE_FINGERPRINT_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ringpost {

using Fingerprint = std::array<std::uint8_t, 32>;

[[nodiscard]] std::string FormatFingerprint(const Fingerprint& fingerprint);
// nullopt: not 32 octets in hexadecimal.
[[nodiscard]] std::optional<Fingerprint> ParseFingerprint(std::string_view text);

}  // namespace ringpost

#endif  // RINGPOST_BASE_FINGERPRINT_H_
