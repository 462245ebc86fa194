// SPDX-License-Identifier: GPL-3.0-or-later
//
// Revocation lists (RFC 5280 5), read once, looked up in O(log n). A set holds what its files say;
// whether a list is really its issuer's is for TrustStore to find out, which knows the issuer's
// key.
//
// A list may be for a part of its issuer's certificates only (RFC 5280 5.2.5): for those of users
// or of CAs, or for those that name its distribution point. What it names is revoked all the same;
// that it does not name a certificate counts only if the certificate is one of that part.
//
// Memory: the list itself, which the signature is over, and four octets for each entry.
#ifndef RINGPOST_SRC_X509_CRL_H_
#define RINGPOST_SRC_X509_CRL_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "distribution_point.h"
#include "ringpost/x509/signature.h"
#include "ringpost/x509/trust_store.h"
#include "ringpost/x509/x509.h"

namespace ringpost {

class Crl {
 public:
  // nullptr: `reason` says why the list cannot be used.
  static std::unique_ptr<const Crl> Read(std::string der, std::string path, std::string& reason);
  Crl(const Crl&) = delete;
  Crl& operator=(const Crl&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string_view issuer() const { return issuer_; }  // Name, whole
  [[nodiscard]] std::int64_t this_update() const { return this_update_; }
  // Lists of one issuer with the same one replace each other; empty: for all certificates.
  [[nodiscard]] std::string_view scope() const { return point_.whole; }
  [[nodiscard]] std::string_view point_name() const { return point_.name; }  // empty: none
  // Is it for certificates of users, or of CAs, as this one is?
  [[nodiscard]] bool IsForKindOf(const X509View& certificate) const;
  // Which of its issuer's keys signed it, as the list says; empty: it does not.
  [[nodiscard]] std::string_view key_id() const { return key_id_; }
  // Is this still the last word on its certificates?
  [[nodiscard]] bool IsFresh(std::int64_t now) const {
    return now >= this_update_ && next_update_.has_value() && now < *next_update_;
  }
  // `serial` as a certificate has it, without tag and length.
  [[nodiscard]] bool Names(std::string_view serial) const;
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  // Some milliseconds for each MiB: the whole list is hashed.
  [[nodiscard]] SignatureVerdict CheckSignedWith(std::string_view public_key) const;
  [[nodiscard]] std::optional<std::int64_t> next_update() const { return next_update_; }

 private:
  Crl() = default;
  // A sentence's end, or empty if all is well.
  [[nodiscard]] std::string Parse();
  [[nodiscard]] std::string ParseSignedPart(std::string_view content);
  [[nodiscard]] std::string ParseExtensions(std::string_view content);
  [[nodiscard]] std::string ParsePoint(std::string_view value);
  [[nodiscard]] std::string ParseEntries(std::string_view content, bool extensions_allowed);
  [[nodiscard]] std::string_view Serial(std::uint32_t offset) const;

  std::string der_;
  std::string path_;
  std::string_view signed_part_;
  std::string_view algorithm_;
  std::string_view signature_;
  std::string_view issuer_;
  std::string_view key_id_;
  IssuingDistributionPoint point_;
  std::int64_t this_update_ = 0;
  std::optional<std::int64_t> next_update_;
  std::vector<std::uint32_t> entries_;  // where in der_ each serial number is, sorted by number
};

class CrlSet {
 public:
  explicit CrlSet(std::vector<std::unique_ptr<const Crl>> lists);

  // Those of this issuer, the newest first.
  [[nodiscard]] std::span<const std::unique_ptr<const Crl>> Of(std::string_view issuer) const;
  [[nodiscard]] std::span<const std::unique_ptr<const Crl>> all() const { return lists_; }

 private:
  std::vector<std::unique_ptr<const Crl>> lists_;  // by issuer, then the newest first
};

}  // namespace ringpost

#endif  // RINGPOST_SRC_X509_CRL_H_
