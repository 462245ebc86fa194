// SPDX-License-Identifier: GPL-3.0-or-later
//
// The CAs that may sign certificates of clients, or of partners' servers, and what is known of
// revocations: one for each CA/crl/revocation combination of the configuration. Judges a chain;
// names, fingerprints and purposes are the policy's.
//
// Each shard has its own store: wolfSSL's objects are not shared between cores, and Verify() adds
// the client's intermediates for the duration of the call. The parsed CRLs are shared.
// It never touches a socket or a file, and never fetches anything.
#ifndef RINGPOST_X509_TRUST_STORE_H_
#define RINGPOST_X509_TRUST_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ringpost/base/policy_fault.h"
#include "ringpost/x509/peer_certificate.h"

namespace ringpost {

enum class Revocation : std::uint8_t {
  kOff,
  // Refuses what a list of its issuer names, fresh or not, and what has a list that cannot be used:
  // that one may name it.
  kSoft,
  // And what has no fresh list of its issuer, for each certificate below the CA. For the leaf a
  // stapled OCSP response that is good will do, too.
  kHard,
};

// A file's contents and the path that error texts name.
struct NamedText {
  std::string path;
  std::string text;
};

class CrlSet;  // parsed lists, sorted by issuer; immutable, shared by all shards

// CRLs in PEM (several in a file are welcome) or DER. Errors name the file; one that cannot be
// used, as a delta, an indirect list or one with a signature that is too weak, is an error. A list
// that is past its next update is only warned about.
struct LoadedCrls {
  std::shared_ptr<const CrlSet> crls;
  std::vector<std::string> warnings;
};
[[nodiscard]] absl::StatusOr<LoadedCrls> LoadCrls(const std::vector<NamedText>& files,
                                                  std::int64_t now);

struct TrustOptions {
  std::vector<NamedText> ca_files;  // PEM, any number of certificates in each; at least one in all
  std::shared_ptr<const CrlSet> crls;  // null: none
  Revocation revocation = Revocation::kOff;
};

class TrustStore {
 public:
  // An error is a sentence that names the file and what to do; a list that one of the CAs should
  // have signed, and has not, is one. Expired CAs are warned about, not refused. `now` is in
  // seconds since the epoch, here and below.
  static absl::StatusOr<std::unique_ptr<TrustStore>> Load(const TrustOptions& options,
                                                          std::int64_t now);
  ~TrustStore();
  TrustStore(const TrustStore&) = delete;
  TrustStore& operator=(const TrustStore&) = delete;

  // kNone: the leaf chains to one of the CAs, everything in between is valid now and may sign, and
  // nothing is revoked. Purposes are not looked at. Some 100 µs (one signature for each certificate
  // of the chain).
  [[nodiscard]] PolicyFault Verify(const PeerCertificate& certificate, std::int64_t now);
  // What the administrator should hear of the last Verify(), as the client cannot mend it: a list
  // that cannot be used, a stapled OCSP response that cannot and was needed, or wolfSSL's reason
  // for kRefusedByLibrary. A sentence; empty: nothing.
  [[nodiscard]] const std::string& complaint() const;
  // After a Verify() that was kNone: from when on it may be another, as a certificate ends, or the
  // list or response that was counted on. Seconds since the epoch.
  [[nodiscard]] std::int64_t good_until() const;
  [[nodiscard]] Revocation revocation() const;

  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  TrustStore();
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::vector<std::string> warnings_;
};

}  // namespace ringpost

#endif  // RINGPOST_X509_TRUST_STORE_H_
