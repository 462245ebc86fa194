// SPDX-License-Identifier: GPL-3.0-or-later
//
// The client's side of TLS, for mail that leaves, the load generator and the tests: what all its
// connections share, and the session that a later one resumes. Immutable once made; any number of
// engines use one context, on the thread that made it.
#ifndef RINGPOST_TLS_TLS_CLIENT_H_
#define RINGPOST_TLS_TLS_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ringpost/base/secret.h"

typedef struct WOLFSSL_CTX WOLFSSL_CTX;
typedef struct WOLFSSL_SESSION WOLFSSL_SESSION;

namespace ringpost {

enum class TlsVersions : std::uint8_t { kBoth, kTls12Only, kTls13Only };
enum class TlsResumption : std::uint8_t { kOff, kOn };
// What becomes of the server's certificates.
enum class ServerCertificates : std::uint8_t {
  kLibrary,  // wolfSSL's to judge: by `ca_pem`, or where that is empty not at all
  // Whatever they are worth, the handshake goes on; TakePeerCertificate() says what was presented.
  kTaken,
};

// Whether the server is asked for a stapled OCSP response (RFC 6066 8): PeerCertificate has it.
enum class OcspStapling : std::uint8_t { kOff, kOn };

struct TlsClientOptions {
  TlsVersions versions = TlsVersions::kBoth;
  // As OfferedGroups() names them, best first. In TLS 1.3 a key share is sent for the first
  // `key_shares` of them, or for all if there are fewer.
  std::vector<std::string> groups = {"X25519"};
  std::size_t key_shares = 1;
  ServerCertificates server_certificates = ServerCertificates::kLibrary;
  OcspStapling ocsp_stapling = OcspStapling::kOff;  // kOn: with kTaken only
  // No key share in the first hello: the server must answer with HelloRetryRequest.
  bool empty_key_shares = false;
  // IANA names; empty: all that ringpost speaks.
  std::vector<std::string> suites;
  TlsResumption resumption = TlsResumption::kOff;
  // PEM, for kLibrary. Empty: nothing is verified. Else chain and name (the engine's `sni`) are.
  std::string ca_pem;
  // PEM: the certificate, with its chain, and the key that a server which asks is shown. Both or
  // none.
  std::string cert_pem;
  Secret key_pem;
};

class TlsClientContext {
 public:
  static absl::StatusOr<std::unique_ptr<TlsClientContext>> Create(const TlsClientOptions& options);
  ~TlsClientContext();
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;

  [[nodiscard]] WOLFSSL_CTX* context() const { return context_; }
  [[nodiscard]] ServerCertificates server_certificates() const { return server_certificates_; }
  [[nodiscard]] bool verifies_name() const { return verifies_name_; }
  [[nodiscard]] bool resumes() const { return resumes_; }
  [[nodiscard]] bool empty_key_shares() const { return empty_key_shares_; }
  // wolfSSL's numbers; empty: TLS 1.3 is not offered.
  [[nodiscard]] const std::vector<int>& key_share_groups() const { return key_share_groups_; }

 private:
  // Keeps no copy of the options: wolfSSL has the key, and nobody else needs it.
  explicit TlsClientContext(const TlsClientOptions& options)
      : server_certificates_(options.server_certificates),
        verifies_name_(!options.ca_pem.empty()),
        resumes_(options.resumption == TlsResumption::kOn),
        empty_key_shares_(options.empty_key_shares) {}

  WOLFSSL_CTX* context_ = nullptr;
  std::vector<int> key_share_groups_;
  ServerCertificates server_certificates_;
  bool verifies_name_;
  bool resumes_;
  bool empty_key_shares_;
};

// A ticket and its secret. Wiped when it goes.
class TlsSession {
 public:
  explicit TlsSession(WOLFSSL_SESSION* session) : session_(session) {}
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  [[nodiscard]] WOLFSSL_SESSION* get() const { return session_; }

 private:
  WOLFSSL_SESSION* session_;
};

}  // namespace ringpost

#endif  // RINGPOST_TLS_TLS_CLIENT_H_
