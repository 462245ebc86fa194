// SPDX-License-Identifier: GPL-3.0-or-later
#include "library_path.h"

#include <memory>

#include "name_constraints.h"
#include "ringpost/crypto/tls_library.h"
#include "without_dns_constraints.h"

namespace ringpost {
namespace {

struct FreeManager {
  void operator()(WOLFSSL_CERT_MANAGER* manager) const { wolfSSL_CertManagerFree(manager); }
};

const unsigned char* Octets(std::string_view der) {
  return reinterpret_cast<const unsigned char*>(der.data());
}

// One step of the path, by a manager that knows nobody but the issuer: of two CAs with one name it
// might take the other. 1 or wolfSSL's error.
int VerifyStep(std::string_view certificate, std::string_view issuer) {
  const std::unique_ptr<WOLFSSL_CERT_MANAGER, FreeManager> manager(wolfSSL_CertManagerNew());
  if (manager == nullptr) {
    return MEMORY_E;
  }
  const int loaded = wolfSSL_CertManagerLoadCABuffer(
      manager.get(), Octets(issuer), static_cast<long>(issuer.size()), WOLFSSL_FILETYPE_ASN1);
  return loaded != WOLFSSL_SUCCESS
             ? loaded
             : wolfSSL_CertManagerVerifyBuffer(manager.get(), Octets(certificate),
                                               static_cast<long>(certificate.size()),
                                               WOLFSSL_FILETYPE_ASN1);
}

bool HasHostName(const X509View& certificate, CommonName common_name) {
  return X509HasDnsNames(certificate) ||
         (common_name == CommonName::kMayBeHostName && !X509CommonHostName(certificate).empty());
}

}  // namespace

std::string WhyLibraryRefuses(std::span<const X509View* const> path) {
  for (std::size_t i = path.size() - 1; i > 0; --i) {
    const X509View& issuer = *path[i];
    const X509View& certificate = *path[i - 1];
    const CommonName common_name = i == 1 ? CommonName::kMayBeHostName : CommonName::kIsNone;
    const bool whole = issuer.name_constraints.empty() || HasHostName(certificate, common_name);
    const int result = whole ? VerifyStep(certificate.der, issuer.der)
                             : VerifyStep(certificate.der, WithoutDnsConstraints(issuer));
    if (result != WOLFSSL_SUCCESS) {
      return TlsLibraryError(result);
    }
  }
  return {};
}

}  // namespace ringpost
