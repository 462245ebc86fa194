// SPDX-License-Identifier: GPL-3.0-or-later
//
// A certificate taken apart (RFC 5280 4): views into its DER, nothing judged, nothing copied. What
// a client presents is read with this, and so are our CAs.
//
// Why not wolfSSL's decoder: it does not say which octets it looked at, reads the machine's clock,
// and what it keeps of names cannot be told from what a hostile certificate makes it keep.
#ifndef RINGPOST_X509_X509_H_
#define RINGPOST_X509_X509_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ringpost/base/der.h"

namespace ringpost {

// Of the key usage extension, as DerNamedBits() gives them.
inline constexpr std::uint32_t kUsageDigitalSignature = 0x8000;
inline constexpr std::uint32_t kUsageCertificateSign = 0x0400;
inline constexpr std::uint32_t kUsageCrlSign = 0x0200;

struct X509View {
  std::string_view der;          // all of it
  std::string_view signed_part;  // tbsCertificate, whole
  std::string_view algorithm;    // AlgorithmIdentifier of the signature, whole
  std::string_view signature;
  int version = 1;
  std::string_view serial;  // without tag and length
  std::string_view issuer;  // Name, whole
  std::string_view subject;
  std::int64_t not_before = 0;  // seconds since the epoch
  std::int64_t not_after = 0;
  std::string_view public_key;  // SubjectPublicKeyInfo, whole

  bool ca = false;
  std::optional<std::int32_t> path_length;
  bool has_usage = false;
  std::uint32_t usage = 0;
  bool has_purposes = false;
  bool any_purpose = false;
  bool client_auth = false;
  bool server_auth = false;
  bool ocsp_signing = false;
  std::string_view alternative_names;  // content of the GeneralNames; empty: none
  std::string_view name_constraints;   // content of the extension's sequence; empty: none
  std::string_view key_id;             // subject key identifier; empty: none, or none to be read
  // The CRLDistributionPoints, not taken apart: see distribution_point.h. Empty: none.
  std::string_view distribution_points;
  bool unknown_critical = false;  // a critical extension that is none of ours

  [[nodiscard]] bool self_issued() const { return subject == issuer; }
  // May it do this with its key? An absent key usage allows everything (RFC 5280 4.2.1.3).
  [[nodiscard]] bool May(std::uint32_t bit) const { return !has_usage || (usage & bit) != 0; }
};

// nullopt: not a certificate, or one that breaks its own format.
[[nodiscard]] std::optional<X509View> ReadX509(std::string_view der);

// A serial number for comparison: there is one way to write it in, but some CAs use another.
[[nodiscard]] std::string_view WithoutZeros(std::string_view serial);

// `name` is a Name, whole. "CN=mail.contoso.example, O=Contoso", in the reverse of the
// certificate's order, as RFC 4514 writes it; everything that could be mistaken for something else
// is escaped, the rest is printable ASCII. At most `size_max` octets, cut with "...".
[[nodiscard]] std::string X509NameText(std::string_view name, std::size_t size_max);
// The one common name; empty if there is none, several, or one that is not plain text.
[[nodiscard]] std::string X509CommonName(std::string_view name);
// "2.5.29.28"; `object_id` without tag and length.
[[nodiscard]] std::string ObjectIdText(std::string_view object_id);
// Does the Name have an attribute of this type? `object_id` without tag and length.
[[nodiscard]] bool X509NameHas(std::string_view name, std::string_view object_id);

// Text in lower case that can be a host name, or a wildcard of at least three labels for one;
// empty: it cannot (PROTOCOL 44).
[[nodiscard]] std::string CleanDnsName(std::string_view text);
// The SAN dNSNames that are any good, in the certificate's order.
[[nodiscard]] std::vector<std::string> X509DnsNames(const X509View& certificate);
// Whether it has any, good or not: then its common name is no name (RFC 9525 6.3).
[[nodiscard]] bool X509HasDnsNames(const X509View& certificate);
// The SAN iPAddresses of 4 or 16 octets, in the certificate's order.
[[nodiscard]] std::vector<std::string> X509Addresses(const X509View& certificate);
// Its common name where that can stand for a host: as CleanDnsName() has it, and only if there are
// no dNSNames. What policies match and what name constraints are about is this, and never another
// reading of the common name.
[[nodiscard]] std::string X509CommonHostName(const X509View& certificate);

}  // namespace ringpost

#endif  // RINGPOST_X509_X509_H_
