// SPDX-License-Identifier: GPL-3.0-or-later
#include "certificate.h"

#include "ringpost/crypto/tls_library.h"
// The options come first.
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/rsa.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ringpost/base/der.h"
#include "ringpost/x509/pem.h"
#include "ringpost/x509/x509.h"

namespace ringpost {
namespace {

constexpr int kRsaBitsMin = 2048;
constexpr int kRsaBitsMax = 4096;  // what our wolfSSL is built for; 8192 would cost 40 ms each

constexpr std::string_view kRsaRemedy =
    "use one of 2048 or 3072 bits, or ECDSA P-256, which costs the least";

struct FreeDerBuffer {
  void operator()(DerBuffer* der) const { wc_FreeDer(&der); }
};

// wolfSSL's decoded certificate is large and is used in pairs of calls.
class Decoded {
 public:
  explicit Decoded(std::string_view der) : certificate_(std::make_unique<DecodedCert>()) {
    wc_InitDecodedCert(certificate_.get(), reinterpret_cast<const unsigned char*>(der.data()),
                       static_cast<word32>(der.size()), nullptr);
    error_ = wc_ParseCert(certificate_.get(), CERT_TYPE, NO_VERIFY, nullptr);
  }
  ~Decoded() { wc_FreeDecodedCert(certificate_.get()); }
  Decoded(const Decoded&) = delete;
  Decoded& operator=(const Decoded&) = delete;

  [[nodiscard]] int error() const { return error_; }
  const DecodedCert* operator->() const { return certificate_.get(); }

 private:
  std::unique_ptr<DecodedCert> certificate_;
  int error_;
};

std::int64_t DateSeconds(const unsigned char* date, int length) {
  const unsigned char* text = nullptr;
  unsigned char format = 0;
  int text_length = 0;
  std::tm calendar{};
  if (date == nullptr || wc_GetDateInfo(date, length, &text, &format, &text_length) != 0 ||
      wc_GetDateAsCalendarTime(text, text_length, format, &calendar) != 0) {
    return 0;
  }
  return timegm(&calendar);
}

int RsaBits(const Decoded& certificate) {
  RsaKey key;
  if (wc_InitRsaKey(&key, nullptr) != 0) {
    return 0;
  }
  word32 index = 0;
  int bits = 0;
  if (wc_RsaPublicKeyDecode(certificate->publicKey, &index, &key, certificate->pubKeySize) == 0) {
    bits = wc_RsaEncryptSize(&key) * 8;
  }
  wc_FreeRsaKey(&key);
  return bits;
}

// The common name if there is one; wolfSSL gives the whole name as "/C=.../O=.../CN=...".
std::string IssuerName(const Decoded& certificate) {
  const std::string issuer = certificate->issuer;
  const std::size_t common_name = issuer.rfind("/CN=");
  return common_name == std::string::npos ? issuer : issuer.substr(common_name + 4);
}

std::vector<std::string> Names(const Decoded& certificate) {
  std::vector<std::string> names;
  for (const DNS_entry* entry = certificate->altNames; entry != nullptr; entry = entry->next) {
    if (entry->type != ASN_DNS_TYPE || entry->len <= 0) {
      continue;
    }
    std::string name(entry->name, static_cast<std::size_t>(entry->len));
    if (name.find('\0') == std::string::npos) {
      names.push_back(absl::AsciiStrToLower(name));
    }
  }
  std::reverse(names.begin(), names.end());  // wolfSSL's list has the last one first
  if (names.empty() && certificate->subjectCN != nullptr && certificate->subjectCNLen > 0) {
    // For choosing and printing only; nobody is verified by it.
    names.push_back(absl::AsciiStrToLower(
        std::string(certificate->subjectCN, static_cast<std::size_t>(certificate->subjectCNLen))));
  }
  return names;
}

bool HasSerialZero(std::string_view leaf) {
  const std::optional<X509View> view = ReadX509(leaf);
  return view.has_value() && view->serial.find_first_not_of('\0') == std::string_view::npos;
}

absl::Status UnsupportedKey(const TlsCertificatePem& pem) {
  return absl::InvalidArgumentError(absl::StrCat(
      "the key type of ", pem.cert_path,
      " is not supported; use RSA (2048 bits or more) or ECDSA P-256, P-384 or P-521"));
}

}  // namespace

absl::StatusOr<CertificateFacts> ReadCertificate(const TlsCertificatePem& pem,
                                                 std::string_view leaf) {
  const Decoded certificate(leaf);
  if (certificate.error() == ASN_UNKNOWN_OID_E) {
    return UnsupportedKey(pem);
  }
  if (certificate.error() != 0 && HasSerialZero(leaf)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the certificate in ", pem.cert_path,
                     " has the serial number 0, which is not allowed (RFC 5280 4.1.2.2) and which "
                     "some clients refuse; have it issued again with another one"));
  }
  if (certificate.error() != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the first certificate in ", pem.cert_path,
                     " cannot be read: ", TlsLibraryError(certificate.error())));
  }
  if (certificate->signatureOID == CTC_SHAwRSA || certificate->signatureOID == CTC_SHAwECDSA ||
      certificate->signatureOID == CTC_MD5wRSA) {
    return absl::InvalidArgumentError(
        absl::StrCat("the certificate in ", pem.cert_path,
                     " is signed with SHA-1 or MD5, which senders refuse; have it issued again"));
  }

  CertificateFacts facts;
  facts.summary.cert_path = pem.cert_path;
  facts.summary.names = Names(certificate);
  facts.summary.issuer = IssuerName(certificate);
  facts.summary.not_before = DateSeconds(certificate->beforeDate, certificate->beforeDateLen);
  facts.summary.not_after = DateSeconds(certificate->afterDate, certificate->afterDateLen);

  if (certificate->keyOID == RSAk) {
    const int bits = RsaBits(certificate);
    if (bits < kRsaBitsMin) {
      return absl::InvalidArgumentError(absl::StrCat("the RSA key of ", pem.cert_path, " has ",
                                                     bits, " bits; at least ", kRsaBitsMin,
                                                     " are needed"));
    }
    if (bits > kRsaBitsMax) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the RSA key of ", pem.cert_path, " has ", bits, " bits; at most ", kRsaBitsMax,
          " can be used: ", absl::string_view(kRsaRemedy.data(), kRsaRemedy.size())));
    }
    facts.kind = TlsKeyKind::kRsa;
    facts.summary.key = absl::StrCat("RSA ", bits);
    return facts;
  }
  if (certificate->keyOID == ECDSAk) {
    switch (certificate->pkCurveOID) {
      case ECC_SECP256R1_OID:
        facts.kind = TlsKeyKind::kEcdsaP256;
        facts.summary.key = "ECDSA P-256";
        return facts;
      case ECC_SECP384R1_OID:
        facts.kind = TlsKeyKind::kEcdsaP384;
        facts.summary.key = "ECDSA P-384";
        return facts;
      case ECC_SECP521R1_OID:
        facts.kind = TlsKeyKind::kEcdsaP521;
        facts.summary.key = "ECDSA P-521";
        return facts;
      default:
        break;
    }
  }
  return UnsupportedKey(pem);
}

absl::Status CheckKeyPem(const TlsCertificatePem& pem) {
  if (pem.key_pem.view().find("ENCRYPTED") != std::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the key ", pem.key_path, " is encrypted; remove its passphrase with: openssl pkey -in ",
        pem.key_path, " -out NEW.key"));
  }
  if (pem.key_pem.view().find("PRIVATE KEY-----") == std::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        pem.key_path,
        " holds no private key in PEM form (it should contain \"-----BEGIN PRIVATE KEY-----\")"));
  }
  return absl::OkStatus();
}

bool DescribesItsCurve(const TlsCertificatePem& pem) {
  PemBlocks blocks = ReadPemBlocks(pem.key_pem.view(), {"EC PRIVATE KEY"});
  bool describes = false;
  for (std::string& block : blocks.der) {
    const Secret der(std::move(block));
    DerReader reader(DerReader(der.view()).Take(kDerSequence).content);
    reader.Take(kDerInteger);
    reader.Take(kDerOctetString);
    DerReader curve(reader.TakeIf(DerContextConstructed(0)).content);
    describes = describes || curve.PeekTag() == kDerSequence;
  }
  return describes;
}

Secret ReadKeyDer(const TlsCertificatePem& pem) {
  DerBuffer* raw = nullptr;
  const int read = wc_PemToDer(reinterpret_cast<const unsigned char*>(pem.key_pem.view().data()),
                               static_cast<long>(pem.key_pem.view().size()), PRIVATEKEY_TYPE, &raw,
                               nullptr, nullptr, nullptr);
  const std::unique_ptr<DerBuffer, FreeDerBuffer> der(raw);  // which overwrites a private key
  if (read != 0 || der == nullptr) {
    return {};
  }
  // wolfSSL has taken it out of its PKCS #8 envelope, if it had one.
  return Secret(std::string(reinterpret_cast<const char*>(der->buffer), der->length));
}

}  // namespace ringpost
