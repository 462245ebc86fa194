// SPDX-License-Identifier: GPL-3.0-or-later
//
// For which certificates a revocation list is (RFC 5280 5.2.5), and where a certificate says that
// its list is found (4.2.1.13). Only the names are compared; nothing is ever fetched from there.
// Stateless.
#ifndef RINGPOST_SRC_X509_DISTRIBUTION_POINT_H_
#define RINGPOST_SRC_X509_DISTRIBUTION_POINT_H_

#include <optional>
#include <string_view>

namespace ringpost {

// Views into the list.
struct IssuingDistributionPoint {
  std::string_view whole;  // the extension's value; empty: the list has none
  std::string_view name;   // the DistributionPointName, whole; empty: it has none
  bool only_user_certificates = false;
  bool only_ca_certificates = false;
  bool only_attribute_certificates = false;
  bool only_some_reasons = false;
  bool indirect = false;
};

// nullopt: malformed.
[[nodiscard]] std::optional<IssuingDistributionPoint> ReadIssuingDistributionPoint(
    std::string_view value);

// RFC 5280 6.3.3 (b) (2) (i): is `name`, of a list's point, one of those in a certificate's
// distribution points? Points for some reasons only, or with a list of another issuer, do not
// count, and nothing in malformed ones does.
[[nodiscard]] bool IsAmongDistributionPoints(std::string_view name, std::string_view points);

}  // namespace ringpost

#endif  // RINGPOST_SRC_X509_DISTRIBUTION_POINT_H_
