// SPDX-License-Identifier: GPL-3.0-or-later
//
// The single values of TLS policies: names, domains, fingerprints, replies. Pure functions.
#ifndef RINGPOST_CONFIG_POLICY_VALUES_H_
#define RINGPOST_CONFIG_POLICY_VALUES_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "ringpost/base/fingerprint.h"
#include "ringpost/config/settings.h"

namespace ringpost {

// "mail.example.com" or "*.example.com", in lower case and A-labels.
absl::Status ReadCertificateName(const Given& given, std::string* out);
// "example.com" or ".example.com" (its subdomains), the same way.
absl::Status ReadSenderDomain(const Given& given, std::string* out);
absl::Status ReadFingerprint(const Given& given, Fingerprint* out);
// A whole reply line without CRLF. Not given: as it is.
absl::Status ReadReply(const std::optional<Given>& given, std::string* out);

}  // namespace ringpost

#endif  // RINGPOST_CONFIG_POLICY_VALUES_H_
