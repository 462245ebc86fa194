// SPDX-License-Identifier: GPL-3.0-or-later
//
// Everything about TLS that the connections of one route share on one shard: certificates, keys,
// suites, groups, the ticket keys. Made at start-up and at reload, immutable after; the session
// holds a reference, so that running sessions keep the set they began with. Each shard loads its
// own, so that wolfSSL's reference counts stay on one core.
//
// It never touches a socket or a file: the caller reads the files once, so that all shards agree.
#ifndef RINGPOST_TLS_TLS_CONTEXT_H_
#define RINGPOST_TLS_TLS_CONTEXT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "ringpost/base/secret.h"
#include "ringpost/tls/client_hello.h"
#include "ringpost/tls/ticket_keys.h"

typedef struct WOLFSSL_CTX WOLFSSL_CTX;

namespace ringpost {

class RsaSigner;

// The paths only serve error texts.
struct TlsCertificatePem {
  std::string cert_path;
  std::string key_path;
  std::string cert_pem;
  Secret key_pem;
};

struct TlsContextOptions {
  // In the order of the configuration. The first one, and those that share a name with it, serve
  // clients that ask for no name or for an unknown one.
  std::vector<TlsCertificatePem> certificates;
  std::string route;                  // tickets are bound to it
  TicketKeys* ticket_keys = nullptr;  // shared by all shards, outlives the set; nullptr: no tickets
  // Clients are asked for a certificate. They may have none, or any: the handshake succeeds as long
  // as the client proves that it holds the key; see TlsEngine::TakePeerCertificate(). No tickets
  // are issued or taken then, whatever `ticket_keys` says (PROTOCOL 30).
  bool ask_certificate = false;
};

enum class TlsKeyKind : std::uint8_t { kEcdsaP256, kEcdsaP384, kEcdsaP521, kRsa };

// For the start-up print and the expiry metric.
struct TlsCertificateSummary {
  std::string cert_path;
  std::vector<std::string> names;  // SAN dNSNames, lower case; the common name where there is none
  std::string issuer;
  std::string key;              // "ECDSA P-256", "RSA 2048"
  std::int64_t not_before = 0;  // seconds since the epoch
  std::int64_t not_after = 0;
};

class TlsContextSet {
 public:
  // An error is a sentence that names the file and what to do. A certificate that is expired or not
  // yet valid is no error: see warnings(). `now` is in seconds since the epoch.
  static absl::StatusOr<std::shared_ptr<const TlsContextSet>> Load(const TlsContextOptions& options,
                                                                   std::int64_t now);
  // Signs once with the key and checks the signature with the certificate: what Load() takes must
  // serve. An error is a sentence, also for what Load() would refuse. Up to 5 ms (RSA 4096), so
  // once for all shards.
  [[nodiscard]] static absl::Status ProveKey(const TlsCertificatePem& certificate);
  ~TlsContextSet();
  TlsContextSet(const TlsContextSet&) = delete;
  TlsContextSet& operator=(const TlsContextSet&) = delete;

  // The context for this client: by name (exact, then wildcard, then the default), then ECDSA
  // before RSA if the client can do it. nullptr: it can verify none of them.
  [[nodiscard]] WOLFSSL_CTX* Choose(const ClientHello& hello) const;
  // What signs for a context of this set; nullptr if wolfSSL itself does.
  [[nodiscard]] RsaSigner* SignerOf(const WOLFSSL_CTX* context) const;

  [[nodiscard]] const std::string& route() const { return route_; }
  [[nodiscard]] const TicketKeys* ticket_keys() const { return ticket_keys_; }
  [[nodiscard]] bool ask_certificate() const { return ask_certificate_; }
  [[nodiscard]] const std::vector<TlsCertificateSummary>& summaries() const { return summaries_; }
  // Sentences for the log, for example about expiry.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  struct Entry {
    WOLFSSL_CTX* context = nullptr;
    std::unique_ptr<RsaSigner> signer;
    TlsKeyKind kind = TlsKeyKind::kRsa;
    bool is_default = false;
  };
  enum class Match : std::uint8_t { kNone, kDefault, kWildcard, kExact };

  TlsContextSet();
  absl::Status Add(const TlsCertificatePem& certificate, std::int64_t now);
  void MarkDefaults();
  [[nodiscard]] Match MatchName(std::size_t index, std::string_view name) const;

  std::string route_;
  const TicketKeys* ticket_keys_ = nullptr;
  bool ask_certificate_ = false;
  std::vector<Entry> entries_;
  std::vector<TlsCertificateSummary> summaries_;  // same order as entries_
  std::vector<std::string> warnings_;
};

// Does `pattern`, a SAN dNSName in lower case, cover `name`? A wildcard is one whole left-most
// label (PROTOCOL 44, RFC 9525 6.3).
[[nodiscard]] bool TlsNameMatches(std::string_view pattern, std::string_view name);

// For --list_ciphers: one line each, best first, "TLSv1.3 TLS_AES_128_GCM_SHA256"; then the groups.
[[nodiscard]] std::vector<std::string> OfferedCiphers();
[[nodiscard]] std::vector<std::string> OfferedGroups();

}  // namespace ringpost

#endif  // RINGPOST_TLS_TLS_CONTEXT_H_
