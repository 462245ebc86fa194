// SPDX-License-Identifier: GPL-3.0-or-later
//
// A client that knows its own write key after the handshake and so can seal any record, also those
// that no library sends. Always ECDSA or RSA with AES-128-GCM-SHA256.
#ifndef RINGPOST_TESTS_TLS_RAW_CLIENT_H_
#define RINGPOST_TESTS_TLS_RAW_CLIENT_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "raw_channel.h"
#include "tls_fixture.h"

typedef struct WOLFSSL WOLFSSL;
typedef struct WOLFSSL_CTX WOLFSSL_CTX;
typedef struct WOLFSSL_SESSION WOLFSSL_SESSION;

namespace ringpost::test {

// RFC 8446 7.1, of SHA-256, with an empty context.
std::string ExpandLabel(const std::string& secret, const std::string& label, std::size_t length);

class RawClient {
 public:
  explicit RawClient(TlsVersions versions);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // Before the handshake: offers this session, with psk_ke as the only mode if so wanted.
  enum class PskMode : std::uint8_t { kWithDhe, kAlone };
  void Resume(WOLFSSL_SESSION* session, PskMode mode);
  [[nodiscard]] WOLFSSL_SESSION* TakeSession();
  [[nodiscard]] bool resumed() const;

  // Before the handshake: offers no other group than X25519.
  void UseX25519();
  // Before the handshake: TLS 1.2 gives none unasked.
  void AskForTicket();
  // Before the handshake, TLS 1.2: the keys then do not depend on what was said (RFC 7627).
  void NoExtendedMasterSecret();

  // Before the handshake: shows this certificate and signs with this key, whether or not they
  // belong together. PEM.
  void UseCertificate(const std::string& cert_pem, const std::string& key_pem);
  // Changes the CertificateVerify in the flight that ends the client's part of the handshake, or
  // takes it out if `change` empties it; in TLS 1.3 it and what comes after it are sealed anew.
  // False: there is none in it.
  using Change = std::function<void(std::string& message)>;
  [[nodiscard]] bool ChangeCertificateVerify(std::string& flight, const Change& change) const;

  // With a server engine; fails the test if it does not succeed. `tamper` sees each flight of ours.
  void Handshake(Side& server, const Tamper& tamper = nullptr);
  bool TryHandshake(Side& server, const Tamper& tamper = nullptr);
  // The next record under our write key. In TLS 1.3 `type` is the inner one.
  [[nodiscard]] std::string Seal(unsigned type, std::string_view content);
  // TLS 1.3: a KeyUpdate that asks for none; what Seal() gives after it is under the next key.
  [[nodiscard]] std::string SealKeyUpdate();
  // Lets the library read `octets`; gives the plaintext. Alerts show in alert().
  [[nodiscard]] std::string Open(std::string_view octets);
  // The last alert that the server sent, -1 for none.
  [[nodiscard]] int alert() const;

 private:
  [[nodiscard]] bool tls13() const { return versions_ == TlsVersions::kTls13Only; }
  void TakeKeys();
  void TakeKeys13();

  TlsVersions versions_;
  WOLFSSL_CTX* context_;
  WOLFSSL* ssl_;
  RawChannel channel_;
  std::string secret_;
  std::array<unsigned char, 16> key_{};
  std::array<unsigned char, 12> nonce_{};
  std::uint64_t sequence_ = 0;
};

}  // namespace ringpost::test

#endif  // RINGPOST_TESTS_TLS_RAW_CLIENT_H_
