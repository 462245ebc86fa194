// SPDX-License-Identifier: GPL-3.0-or-later
//
// TLS alerts: their numbers, their names for the log, and the plaintext record that carries one
// before any key exists. Stateless.
#ifndef RINGPOST_TLS_TLS_ALERT_H_
#define RINGPOST_TLS_TLS_ALERT_H_

#include <array>
#include <cstdint>
#include <string_view>

namespace ringpost {

// The ones that ringpost sends by itself (RFC 8446 6.2); wolfSSL sends the others.
enum class TlsAlert : std::uint8_t {
  kCloseNotify = 0,
  kUnexpectedMessage = 10,
  kBadRecordMac = 20,
  kRecordOverflow = 22,
  kHandshakeFailure = 40,
  kIllegalParameter = 47,
  kDecodeError = 50,
  kDecryptError = 51,
  kProtocolVersion = 70,
  kInternalError = 80,
  kInappropriateFallback = 86,
  kMissingExtension = 109,
  kNoApplicationProtocol = 120,
};

// "handshake_failure"; "unknown_alert" for a number that the registry does not have.
[[nodiscard]] std::string_view TlsAlertName(int code);

inline constexpr std::size_t kAlertRecordBytes = 7;

// A fatal alert in a plaintext record. Its version is TLS 1.2, which every peer accepts there.
[[nodiscard]] constexpr std::array<char, kAlertRecordBytes> PlaintextAlertRecord(TlsAlert alert) {
  return {21, 3, 3, 0, 2, 2, static_cast<char>(alert)};
}

}  // namespace ringpost

#endif  // RINGPOST_TLS_TLS_ALERT_H_
