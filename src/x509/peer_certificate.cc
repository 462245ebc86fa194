// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/x509/peer_certificate.h"

#include <optional>
#include <utility>

#include "ringpost/x509/peer_certificate_reader.h"
#include "ringpost/x509/signature.h"
#include "ringpost/x509/x509.h"

namespace ringpost {
namespace {

constexpr std::size_t kAllocation = 16;  // what glibc adds to each, and rounds up to

std::size_t MemoryOf(const std::string& text) {
  const bool within = text.capacity() <= std::string().capacity();
  return within ? 0 : text.capacity() + 1 + kAllocation;
}

std::size_t MemoryOf(const std::vector<std::string>& texts) {
  std::size_t octets = texts.capacity() * sizeof(std::string) + kAllocation;
  for (const std::string& text : texts) {
    octets += MemoryOf(text);
  }
  return octets;
}

}  // namespace

std::size_t PeerCertificate::MemoryOctets() const {
  return sizeof(PeerCertificate) + kAllocation + MemoryOf(chain) + MemoryOf(stapled_response) +
         MemoryOf(names) + MemoryOf(addresses) + MemoryOf(subject) + MemoryOf(issuer) +
         MemoryOf(common_name) + MemoryOf(common_host_name);
}

std::unique_ptr<PeerCertificate> ReadPeerCertificate(std::vector<std::string> chain) {
  constexpr std::size_t kTextMax = 256;
  auto certificate = std::make_unique<PeerCertificate>();
  certificate->chain = std::move(chain);
  const std::string& leaf = certificate->chain.front();
  certificate->certificate = Sha256Of(leaf);
  const std::optional<X509View> view = ReadX509(leaf);
  if (!view.has_value()) {
    return certificate;
  }
  certificate->subject = X509NameText(view->subject, kTextMax);
  certificate->issuer = X509NameText(view->issuer, kTextMax);
  certificate->common_name = X509CommonName(view->subject);
  certificate->common_host_name = X509CommonHostName(*view);
  certificate->names = X509DnsNames(*view);
  certificate->has_dns_names = X509HasDnsNames(*view);
  certificate->addresses = X509Addresses(*view);
  certificate->public_key = Sha256Of(view->public_key);
  certificate->not_before = view->not_before;
  certificate->not_after = view->not_after;
  // RFC 5280 4.2.1.12. A client proves its key with a signature, whatever the purpose is called.
  const bool any = !view->has_purposes || view->any_purpose;
  const bool may_sign = view->May(kUsageDigitalSignature);
  certificate->client_auth = may_sign && (any || view->client_auth);
  certificate->server_auth = may_sign && (any || view->server_auth);
  return certificate;
}

}  // namespace ringpost
