// SPDX-License-Identifier: GPL-3.0-or-later
#include "trust_files.h"

#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "crl.h"
#include "ringpost/x509/pem.h"
#include "ringpost/x509/x509.h"

namespace ringpost {
namespace {

constexpr std::string_view kCertificate = "CERTIFICATE";
constexpr std::string_view kList = "X509 CRL";

bool IsReadme(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return absl::StartsWithIgnoreCase(absl::string_view(name.data(), name.size()), "README");
}

// PEM blocks of the one label, all of them whole, and none of the other.
bool HoldsOnly(std::string_view text, std::string_view label, std::string_view other) {
  const PemBlocks blocks = ReadPemBlocks(text, {label});
  return !blocks.der.empty() && blocks.broken == 0 &&
         text.find(std::string(other) + "-----") == std::string_view::npos;
}

bool HoldsOnlyCertificates(std::string_view text) {
  return HoldsOnly(text, kCertificate, kList) || ReadX509(text).has_value();
}

bool HoldsOnlyLists(const NamedText& file) {
  std::string unused;
  return HoldsOnly(file.text, kList, kCertificate) ||
         (file.text.starts_with('\x30') && Crl::Read(file.text, file.path, unused) != nullptr);
}

}  // namespace

std::string WhyLeftOut(const NamedText& file, TrustFileKind wanted) {
  if (wanted == TrustFileKind::kCertificates && HoldsOnlyLists(file)) {
    return absl::StrCat(file.path, " is left out of the CAs: it holds revocation lists, and no CA");
  }
  if (wanted == TrustFileKind::kRevocationLists && HoldsOnlyCertificates(file.text)) {
    return absl::StrCat(file.path,
                        " is left out of crl: it holds certificates, and no revocation list");
  }
  const std::string_view label = wanted == TrustFileKind::kCertificates ? kCertificate : kList;
  if (IsReadme(file.path) && file.text.find(std::string(label) + "-----") == std::string::npos) {
    return absl::StrCat(file.path, " is left out of ",
                        wanted == TrustFileKind::kCertificates ? "the CAs" : "crl",
                        ": going by its name it is only to be read");
  }
  return {};
}

}  // namespace ringpost
