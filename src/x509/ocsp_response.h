// SPDX-License-Identifier: GPL-3.0-or-later
//
// An OCSP response that a server stapled to its handshake (RFC 6960), hostile until its signature
// says otherwise. It is read once, and says of one certificate whether it has been revoked.
//
// Who may sign it: the certificate's issuer, or somebody with a certificate of that issuer's own
// for signing OCSP responses (RFC 6960 4.2.2.2). Nobody else is ever asked, and nothing is fetched.
//
// Views into the octets it was read from, which must outlive it.
#ifndef RINGPOST_SRC_X509_OCSP_RESPONSE_H_
#define RINGPOST_SRC_X509_OCSP_RESPONSE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "ringpost/x509/x509.h"

namespace ringpost {

struct OcspAnswer {
  enum class Status : std::uint8_t {
    kGood,     // not revoked, as of a fresh response
    kRevoked,  // fresh or not, as with lists
    kNone,     // the response is of no use here, as `reason` says
  };
  Status status = Status::kNone;
  std::int64_t fresh_until = 0;  // of kGood: it no longer is at that second
  // A sentence's end: "it is out of date since ..."; printable, whatever the server sent.
  std::string reason;
};

class OcspResponse {
 public:
  // How long a response counts that does not say when the next one comes.
  static constexpr std::int64_t kSecondsWithoutEnd = std::int64_t{7} * 24 * 3600;
  // Signatures that one response can make us check, however many issuers it is asked about.
  static constexpr int kSignaturesMax = 8;

  // Of what cannot be read, About() is always kNone.
  explicit OcspResponse(std::string_view der);

  // `is_revoked` says of a certificate that the issuer signed whether a list names it: then it
  // signs no responses. Some 100 µs for each signature, of which there are one or two.
  [[nodiscard]] OcspAnswer About(const X509View& certificate, const X509View& issuer,
                                 std::int64_t now,
                                 const std::function<bool(const X509View&)>& is_revoked);

 private:
  // Sentences' ends; empty: nothing is wrong.
  [[nodiscard]] std::string Parse(std::string_view der);
  [[nodiscard]] std::string ParseBasic(std::string_view content);
  [[nodiscard]] std::string ParseSignedPart(std::string_view content);
  [[nodiscard]] std::string WhyNotSignedFor(const X509View& issuer, std::int64_t now,
                                            const std::function<bool(const X509View&)>& is_revoked);
  [[nodiscard]] bool IsSignedWith(std::string_view public_key);
  [[nodiscard]] bool IsResponder(std::string_view name, std::string_view public_key) const;

  std::string unreadable_;  // why nothing of it counts
  std::string_view signed_part_;
  std::string_view algorithm_;
  std::string_view signature_;
  std::string_view responder_name_;      // Name, whole; or
  std::string_view responder_key_hash_;  // SHA-1 of its public key
  std::string_view answers_;             // the content of their sequence
  std::string_view certificates_;        // of theirs; empty: none
  int signatures_left_ = kSignaturesMax;
};

}  // namespace ringpost

#endif  // RINGPOST_SRC_X509_OCSP_RESPONSE_H_
