// SPDX-License-Identifier: GPL-3.0-or-later
//
// Certificates, revocation lists and OCSP responses made by hand, octet by octet, so that tests can
// present what no CA would issue.
#ifndef RINGPOST_TESTS_X509_AUTHORITY_H_
#define RINGPOST_TESTS_X509_AUTHORITY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/support.h"
#include "ringpost/x509/trust_store.h"

namespace ringpost::test {

std::string Der(unsigned tag, std::string_view content);
// "1.2.840"
std::string DerObjectId(const std::string& dotted);
std::string DerUtcTime(std::int64_t seconds);
std::string DerGeneralizedTime(std::int64_t seconds);
// Attributes in the certificate's order, for example {{"2.5.4.3", "mail.example"}}.
std::string DerName(const std::vector<std::pair<std::string, std::string>>& attributes);
std::string CommonName(const std::string& name);
std::string Pem(const std::string& label, std::string_view der);
// An extension, ready for CertificateSpec::extensions.
std::string Extension(const std::string& object_id, bool critical, std::string_view value);

enum class Scheme : std::uint8_t { kPlain, kPss, kClaimsSha1 };

class Key {
 public:
  static std::shared_ptr<const Key> Ecc(int octets = 32);
  static std::shared_ptr<const Key> Rsa(int bits = 2048);
  virtual ~Key() = default;

  [[nodiscard]] const std::string& pem() const { return pem_; }           // private
  [[nodiscard]] const std::string& public_info() const { return info_; }  // SubjectPublicKeyInfo
  // With SHA-256.
  [[nodiscard]] virtual std::string Sign(std::string_view message, Scheme scheme) const = 0;
  [[nodiscard]] virtual std::string Algorithm(Scheme scheme) const = 0;

 protected:
  std::string pem_;
  std::string info_;
};

inline constexpr std::uint16_t kDigitalSignature = 0x8000;
inline constexpr std::uint16_t kKeyEncipherment = 0x2000;
inline constexpr std::uint16_t kCertSign = 0x0400;
inline constexpr std::uint16_t kCrlSign = 0x0200;

inline constexpr std::string_view kClientPurpose = "1.3.6.1.5.5.7.3.2";
inline constexpr std::string_view kServerPurpose = "1.3.6.1.5.5.7.3.1";
inline constexpr std::string_view kOcspPurpose = "1.3.6.1.5.5.7.3.9";

// The defaults make a good client certificate.
struct CertificateSpec {
  std::string subject = CommonName("mail.contoso.example");
  std::string serial;  // content of the INTEGER; empty: a new one
  std::int64_t not_before = kNow - 86400;
  std::int64_t not_after = kNow + 86400;
  int version = 3;
  std::optional<bool> ca = false;  // nullopt: no basic constraints
  std::optional<int> path_length;
  std::optional<std::uint16_t> usage = kDigitalSignature;
  std::vector<std::string> purposes = {std::string(kClientPurpose)};
  std::vector<std::string> names = {"mail.contoso.example"};
  std::vector<std::string> addresses = {};  // octets of iPAddresses
  std::string name_constraints;             // content of the extension's sequence
  std::string extensions;                   // more of them
  std::shared_ptr<const Key> key;           // nullptr: a new P-256
  Scheme scheme = Scheme::kPlain;

  static CertificateSpec Ca(const std::string& name);
  static CertificateSpec OcspSigner();
};

struct Party {
  std::string der;
  std::string subject;
  std::string serial;
  std::shared_ptr<const Key> key;

  [[nodiscard]] std::string pem() const { return Pem("CERTIFICATE", der); }
};

// `issuer`: nullptr for a certificate that signs itself.
Party Issue(const CertificateSpec& spec, const Party* issuer);

struct CrlSpec {
  std::vector<std::string> serials = {};
  std::int64_t this_update = kNow - 3600;
  std::optional<std::int64_t> next_update = kNow + 3600;
  std::string extensions = {};        // of the list
  std::string entry_extensions = {};  // of each entry
  Scheme scheme = Scheme::kPlain;
};

std::string IssueCrl(const CrlSpec& spec, const Party& issuer);

enum class OcspStatus : std::uint8_t { kGood, kRevoked, kUnknown };
enum class OcspHash : std::uint8_t { kSha1, kSha256, kNone };
enum class OcspResponder : std::uint8_t { kByName, kByKey };

// The defaults make a good response, signed by the certificate's issuer.
struct OcspSpec {
  OcspStatus status = OcspStatus::kGood;
  OcspHash hash = OcspHash::kSha1;
  std::int64_t this_update = kNow - 3600;
  std::optional<std::int64_t> next_update = kNow + 3600;
  std::string single_extensions = {};  // of the answer
  std::string extensions = {};         // of the response
  std::string before = {};             // answers in front, from OcspSingle()
  OcspResponder responder = OcspResponder::kByName;
  const Party* signer = nullptr;         // nullptr: the issuer
  std::vector<Party> certificates = {};  // sent along
  Scheme scheme = Scheme::kPlain;
  int response_status = 0;
};

std::string OcspSingle(const OcspSpec& spec, const Party& certificate, const Party& issuer);
std::string IssueOcsp(const OcspSpec& spec, const Party& certificate, const Party& issuer);

// Facts of a chain as the engine gives them.
PeerCertificate Presented(const std::vector<Party>& chain);

// For as long as it lives, wolfSSL believes that it is kNow: it judges dates by its own clock.
class LibraryClock {
 public:
  LibraryClock();
  ~LibraryClock();
  LibraryClock(const LibraryClock&) = delete;
  LibraryClock& operator=(const LibraryClock&) = delete;
};

}  // namespace ringpost::test

#endif  // RINGPOST_TESTS_X509_AUTHORITY_H_
