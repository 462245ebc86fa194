// SPDX-License-Identifier: GPL-3.0-or-later
#include "library_path.h"

#include <memory>

#include "tls_library.h"

namespace ringpost {
namespace {

struct FreeManager {
  void operator()(WOLFSSL_CERT_MANAGER* manager) const { wolfSSL_CertManagerFree(manager); }
};

const unsigned char* Octets(std::string_view der) {
  return reinterpret_cast<const unsigned char*>(der.data());
}

// One step of the path, by a manager that knows nobody but the issuer: of two CAs with one name it
// might take the other.
bool LibraryAcceptsStep(std::string_view certificate, std::string_view issuer) {
  const std::unique_ptr<WOLFSSL_CERT_MANAGER, FreeManager> manager(wolfSSL_CertManagerNew());
  return manager != nullptr &&
         wolfSSL_CertManagerLoadCABuffer(manager.get(), Octets(issuer),
                                         static_cast<long>(issuer.size()),
                                         WOLFSSL_FILETYPE_ASN1) == WOLFSSL_SUCCESS &&
         wolfSSL_CertManagerVerifyBuffer(manager.get(), Octets(certificate),
                                         static_cast<long>(certificate.size()),
                                         WOLFSSL_FILETYPE_ASN1) == WOLFSSL_SUCCESS;
}

}  // namespace

bool LibraryAcceptsPath(std::span<const std::string_view> path) {
  for (std::size_t i = path.size() - 1; i > 0; --i) {
    if (!LibraryAcceptsStep(path[i - 1], path[i])) {
      return false;
    }
  }
  return true;
}

}  // namespace ringpost
