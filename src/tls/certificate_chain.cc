// SPDX-License-Identifier: GPL-3.0-or-later
#include "certificate_chain.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "ringpost/x509/pem.h"

namespace ringpost {
namespace {

// What the SEQUENCE in front says of its own length, header included; 0: there is none, or not all
// of it. Takes lengths that are longer than needed, as wolfSSL does.
std::size_t SequenceLength(std::string_view der) {
  const auto octet = [der](std::size_t at) { return static_cast<unsigned char>(der[at]); };
  if (der.size() < 2 || der.front() != '\x30') {
    return 0;
  }
  std::size_t header = 2;
  std::size_t length = octet(1);
  if (length >= 0x80) {
    const std::size_t count = length & 0x7f;
    if (count == 0 || count > 4 || der.size() < header + count) {
      return 0;
    }
    length = 0;
    for (std::size_t i = 0; i < count; ++i) {
      length = length << 8 | octet(header + i);
    }
    header += count;
  }
  return length <= der.size() - header ? header + length : 0;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadCertificateChain(const TlsCertificatePem& pem) {
  PemBlocks blocks = ReadPemBlocks(pem.cert_pem, {"CERTIFICATE", "TRUSTED CERTIFICATE"});
  if (blocks.broken > 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "certificate number ", blocks.first_broken, " in ", pem.cert_path,
        " cannot be read: it is no base64, or has no \"-----END CERTIFICATE-----\"; was the file "
        "copied as a whole?"));
  }
  if (blocks.der.empty()) {
    const std::size_t length = SequenceLength(pem.cert_pem);
    const bool der = length > 0 && length == pem.cert_pem.size();
    return absl::InvalidArgumentError(absl::StrCat(
        pem.cert_path,
        " holds no certificate in PEM form (it should contain \"-----BEGIN CERTIFICATE-----\")",
        der ? absl::StrCat("; if it is one in DER, write it anew with: openssl x509 -inform DER "
                           "-in ",
                           pem.cert_path, " -out NEW.pem")
            : ""));
  }
  for (std::size_t i = 0; i < blocks.der.size(); ++i) {
    const std::size_t length = SequenceLength(blocks.der[i]);
    if (length == 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "certificate number ", i + 1, " in ", pem.cert_path,
          " cannot be read: it is damaged or not all there; take it out or copy it again"));
    }
    blocks.der[i].resize(length);
  }
  return std::move(blocks.der);
}

std::string CertificateChainPem(const std::vector<std::string>& chain) {
  constexpr std::size_t kLine = 64;  // RFC 7468 2
  std::string pem;
  for (const std::string& der : chain) {
    const std::string base64 = absl::Base64Escape(der);
    pem += "-----BEGIN CERTIFICATE-----\n";
    for (std::size_t at = 0; at < base64.size(); at += kLine) {
      absl::StrAppend(&pem, base64.substr(at, kLine), "\n");
    }
    pem += "-----END CERTIFICATE-----\n";
  }
  return pem;
}

}  // namespace ringpost
