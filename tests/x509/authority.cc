// SPDX-License-Identifier: GPL-3.0-or-later
#include "authority.h"

#include <gtest/gtest.h>
#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/rsa.h>
#include <wolfssl/wolfcrypt/signature.h>

#include <array>
#include <map>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"
#include "ringpost/base/der.h"
#include "ringpost/x509/peer_certificate_reader.h"
#include "ringpost/x509/signature.h"
#include "ringpost/x509/x509.h"

namespace ringpost::test {
namespace {

unsigned char* Octets(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* Octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

WC_RNG* Generator() {
  static WC_RNG* const generator = [] {
    EXPECT_EQ(wolfSSL_Init(), WOLFSSL_SUCCESS);
    auto* const made = new WC_RNG;
    EXPECT_EQ(wc_InitRng(made), 0);
    return made;
  }();
  return generator;
}

std::string BitString(std::string_view content, char unused = 0) {
  return Der(kDerBitString, std::string(1, unused) + std::string(content));
}

// Of the public key's BIT STRING.
std::string KeyOctets(const Party& party) {
  DerReader outer(party.key->public_info());
  DerReader info(outer.Take(kDerSequence).content);
  info.Take(kDerSequence);
  return std::string(DerBitStringOctets(info.Take(kDerBitString).content).value_or(""));
}

std::string NamedBits(std::uint16_t bits) { return BitString(Number(bits, 2)); }

class EccKey : public Key {
 public:
  explicit EccKey(int octets) {
    EXPECT_EQ(wc_ecc_init(&key_), 0);
    EXPECT_EQ(wc_ecc_make_key(Generator(), octets, &key_), 0);
    EXPECT_EQ(wc_ecc_set_rng(&key_, Generator()), 0);
    std::string der(1024, '\0');
    const int size = wc_EccKeyToDer(&key_, Octets(der), static_cast<word32>(der.size()));
    EXPECT_GT(size, 0);
    der.resize(static_cast<std::size_t>(size));
    pem_ = Pem("EC PRIVATE KEY", der);
    info_.resize(512);
    const int info_size =
        wc_EccPublicKeyToDer(&key_, Octets(info_), static_cast<word32>(info_.size()), 1);
    EXPECT_GT(info_size, 0);
    info_.resize(static_cast<std::size_t>(info_size));
  }
  ~EccKey() override { wc_ecc_free(&key_); }

  [[nodiscard]] std::string Sign(std::string_view message, Scheme /*scheme*/) const override {
    std::string signature(256, '\0');
    auto size = static_cast<word32>(signature.size());
    EXPECT_EQ(wc_SignatureGenerate(WC_HASH_TYPE_SHA256, WC_SIGNATURE_TYPE_ECC, Octets(message),
                                   static_cast<word32>(message.size()), Octets(signature), &size,
                                   &key_, sizeof(key_), Generator()),
              0);
    signature.resize(size);
    return signature;
  }
  [[nodiscard]] std::string Algorithm(Scheme scheme) const override {
    return Der(kDerSequence,
               test::DerObjectId(scheme == Scheme::kClaimsSha1 ? "1.2.840.10045.4.1"
                                                               : "1.2.840.10045.4.3.2"));
  }

 private:
  mutable ecc_key key_{};
};

class RsaKeyPair : public Key {
 public:
  explicit RsaKeyPair(int bits) {
    (void)Generator();
    const std::string base = TemporaryFolder() + "/rsa-" + std::to_string(bits);
    RunCommand("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:" + std::to_string(bits) +
               " -out '" + base + "' 2>/dev/null && openssl pkey -in '" + base +
               "' -pubout -outform DER -out '" + base + ".pub'");
    pem_ = ReadFile(base);
    info_ = ReadFile(base + ".pub");
    std::string der(8192, '\0');
    const int size = wc_KeyPemToDer(Octets(pem_), static_cast<int>(pem_.size()), Octets(der),
                                    static_cast<int>(der.size()), nullptr);
    EXPECT_GT(size, 0);
    EXPECT_EQ(wc_InitRsaKey(&key_, nullptr), 0);
    word32 index = 0;
    EXPECT_EQ(wc_RsaPrivateKeyDecode(Octets(der), &index, &key_, static_cast<word32>(size)), 0);
    EXPECT_EQ(wc_RsaSetRNG(&key_, Generator()), 0);
  }
  ~RsaKeyPair() override { wc_FreeRsaKey(&key_); }

  [[nodiscard]] std::string Sign(std::string_view message, Scheme scheme) const override {
    std::string signature(static_cast<std::size_t>(wc_RsaEncryptSize(&key_)), '\0');
    auto size = static_cast<word32>(signature.size());
    if (scheme == Scheme::kPss) {
      std::array<unsigned char, WC_SHA256_DIGEST_SIZE> digest;
      EXPECT_EQ(wc_Hash(WC_HASH_TYPE_SHA256, Octets(message), static_cast<word32>(message.size()),
                        digest.data(), digest.size()),
                0);
      EXPECT_EQ(wc_RsaPSS_Sign(digest.data(), digest.size(), Octets(signature), size,
                               WC_HASH_TYPE_SHA256, WC_MGF1SHA256, &key_, Generator()),
                static_cast<int>(size));
      return signature;
    }
    EXPECT_EQ(wc_SignatureGenerate(WC_HASH_TYPE_SHA256, WC_SIGNATURE_TYPE_RSA_W_ENC,
                                   Octets(message), static_cast<word32>(message.size()),
                                   Octets(signature), &size, &key_, sizeof(key_), Generator()),
              0);
    return signature;
  }
  [[nodiscard]] std::string Algorithm(Scheme scheme) const override {
    const std::string null = Der(kDerNull, "");
    switch (scheme) {
      case Scheme::kPlain:
        return Der(kDerSequence, test::DerObjectId("1.2.840.113549.1.1.11") + null);
      case Scheme::kClaimsSha1:
        return Der(kDerSequence, test::DerObjectId("1.2.840.113549.1.1.5") + null);
      case Scheme::kPss:
        break;
    }
    const std::string hash = Der(kDerSequence, test::DerObjectId("2.16.840.1.101.3.4.2.1"));
    const std::string mask = Der(kDerSequence, test::DerObjectId("1.2.840.113549.1.1.8") + hash);
    return Der(kDerSequence,
               test::DerObjectId("1.2.840.113549.1.1.10") +
                   Der(kDerSequence,
                       Der(DerContextConstructed(0), hash) + Der(DerContextConstructed(1), mask) +
                           Der(DerContextConstructed(2), Der(kDerInteger, std::string(1, 32)))));
  }

 private:
  mutable RsaKey key_{};
};

std::string Extensions(const CertificateSpec& spec) {
  std::string all;
  if (spec.ca.has_value()) {
    std::string content = *spec.ca ? Der(kDerBoolean, "\xff") : std::string();
    if (spec.path_length.has_value()) {
      content += Der(kDerInteger, Number(static_cast<std::uint64_t>(*spec.path_length), 1));
    }
    all += Extension("2.5.29.19", true, Der(kDerSequence, content));
  }
  if (spec.usage.has_value()) {
    all += Extension("2.5.29.15", true, NamedBits(*spec.usage));
  }
  if (!spec.purposes.empty()) {
    std::string content;
    for (const std::string& purpose : spec.purposes) {
      content += DerObjectId(purpose);
    }
    all += Extension("2.5.29.37", false, Der(kDerSequence, content));
  }
  if (!spec.names.empty() || !spec.addresses.empty()) {
    std::string content;
    for (const std::string& name : spec.names) {
      content += Der(DerContext(2), name);
    }
    for (const std::string& address : spec.addresses) {
      content += Der(DerContext(7), address);
    }
    all += Extension("2.5.29.17", false, Der(kDerSequence, content));
  }
  if (!spec.name_constraints.empty()) {
    all += Extension("2.5.29.30", true, Der(kDerSequence, spec.name_constraints));
  }
  return all + spec.extensions;
}

// A signed structure: the part, its algorithm, the signature.
std::string Sign(const std::string& part, const Key& key, Scheme scheme) {
  return Der(kDerSequence, part + key.Algorithm(scheme) + BitString(key.Sign(part, scheme)));
}

}  // namespace

std::string Der(unsigned tag, std::string_view content) {
  std::string length;
  const std::size_t size = content.size();
  if (size < 0x80) {
    length = Number(size, 1);
  } else if (size < 0x100) {
    length = Number(0x81, 1) + Number(size, 1);
  } else if (size < 0x10000) {
    length = Number(0x82, 1) + Number(size, 2);
  } else {
    length = Number(0x84, 1) + Number(size, 4);
    if (size < 0x1000000) {
      length = Number(0x83, 1) + Number(size, 3);
    }
  }
  return Number(tag, 1) + length + std::string(content);
}

std::string DerObjectId(const std::string& dotted) {
  std::istringstream in(dotted);
  std::vector<std::uint64_t> arcs;
  for (std::string arc; std::getline(in, arc, '.');) {
    arcs.push_back(std::stoull(arc));
  }
  arcs[1] += 40 * arcs[0];
  std::string content;
  for (std::size_t i = 1; i < arcs.size(); ++i) {
    std::string part(1, static_cast<char>(arcs[i] & 0x7f));
    for (std::uint64_t rest = arcs[i] >> 7; rest > 0; rest >>= 7) {
      part.insert(0, 1, static_cast<char>(0x80 | (rest & 0x7f)));
    }
    content += part;
  }
  return Der(kDerObjectId, content);
}

std::string DerUtcTime(std::int64_t seconds) {
  return Der(kDerUtcTime, absl::FormatTime("%y%m%d%H%M%SZ", absl::FromUnixSeconds(seconds),
                                           absl::UTCTimeZone()));
}

std::string DerGeneralizedTime(std::int64_t seconds) {
  return Der(kDerGeneralizedTime, absl::FormatTime("%Y%m%d%H%M%SZ", absl::FromUnixSeconds(seconds),
                                                   absl::UTCTimeZone()));
}

std::string DerName(const std::vector<std::pair<std::string, std::string>>& attributes) {
  std::string content;
  for (const auto& [type, value] : attributes) {
    content += Der(kDerSet, Der(kDerSequence, DerObjectId(type) + Der(kDerUtf8String, value)));
  }
  return Der(kDerSequence, content);
}

std::string CommonName(const std::string& name) {
  return DerName({{"2.5.4.10", "Contoso"}, {"2.5.4.3", name}});
}

std::string Pem(const std::string& label, std::string_view der) {
  const std::string text = absl::Base64Escape(absl::string_view(der.data(), der.size()));
  std::string pem = "-----BEGIN " + label + "-----\n";
  for (std::size_t i = 0; i < text.size(); i += 64) {
    pem += text.substr(i, 64) + "\n";
  }
  return pem + "-----END " + label + "-----\n";
}

std::string Extension(const std::string& object_id, bool critical, std::string_view value) {
  return Der(kDerSequence, DerObjectId(object_id) +
                               (critical ? Der(kDerBoolean, "\xff") : std::string()) +
                               Der(kDerOctetString, value));
}

std::shared_ptr<const Key> Key::Ecc(int octets) { return std::make_shared<EccKey>(octets); }

std::shared_ptr<const Key> Key::Rsa(int bits) {
  // Made once per size: this is the slow part.
  static std::map<int, std::shared_ptr<const Key>> keys;
  std::shared_ptr<const Key>& key = keys[bits];
  if (key == nullptr) {
    key = std::make_shared<RsaKeyPair>(bits);
  }
  return key;
}

CertificateSpec CertificateSpec::Ca(const std::string& name) {
  CertificateSpec spec;
  spec.subject = CommonName(name);
  spec.ca = true;
  spec.usage = kCertSign | kCrlSign;
  spec.purposes.clear();
  spec.names.clear();
  return spec;
}

CertificateSpec CertificateSpec::OcspSigner() {
  CertificateSpec spec;
  spec.subject = CommonName("OCSP responder");
  spec.purposes = {std::string(kOcspPurpose)};
  spec.names.clear();
  return spec;
}

Party Issue(const CertificateSpec& spec, const Party* issuer) {
  static std::uint64_t next_serial = 0x1000000;
  Party party;
  party.subject = spec.subject;
  party.key = spec.key != nullptr ? spec.key : Key::Ecc();
  party.serial = spec.serial.empty() ? Number(++next_serial, 4) : spec.serial;
  const Key& signer = issuer != nullptr ? *issuer->key : *party.key;
  std::string part;
  if (spec.version > 1) {
    part += Der(DerContextConstructed(0),
                Der(kDerInteger, Number(static_cast<std::uint64_t>(spec.version - 1), 1)));
  }
  part += Der(kDerInteger, party.serial) + signer.Algorithm(spec.scheme) +
          (issuer != nullptr ? issuer->subject : party.subject) +
          Der(kDerSequence, DerUtcTime(spec.not_before) + DerUtcTime(spec.not_after)) +
          party.subject + party.key->public_info();
  if (spec.version == 3) {
    part += Der(DerContextConstructed(3), Der(kDerSequence, Extensions(spec)));
  }
  party.der = Sign(Der(kDerSequence, part), signer, spec.scheme);
  return party;
}

std::string IssueCrl(const CrlSpec& spec, const Party& issuer) {
  std::string entries;
  for (const std::string& serial : spec.serials) {
    entries += Der(kDerSequence,
                   Der(kDerInteger, serial) + DerUtcTime(spec.this_update) +
                       (spec.entry_extensions.empty() ? std::string()
                                                      : Der(kDerSequence, spec.entry_extensions)));
  }
  std::string part = Der(kDerInteger, "\x01") + issuer.key->Algorithm(spec.scheme) +
                     issuer.subject + DerUtcTime(spec.this_update);
  if (spec.next_update.has_value()) {
    part += DerUtcTime(*spec.next_update);
  }
  if (!entries.empty()) {
    part += Der(kDerSequence, entries);
  }
  if (!spec.extensions.empty()) {
    part += Der(DerContextConstructed(0), Der(kDerSequence, spec.extensions));
  }
  return Sign(Der(kDerSequence, part), *issuer.key, spec.scheme);
}

std::string OcspSingle(const OcspSpec& spec, const Party& certificate, const Party& issuer) {
  const auto hash = [&](const std::string& octets) {
    if (spec.hash == OcspHash::kSha256) {
      const Fingerprint digest = Sha256Of(octets);
      return Der(kDerOctetString, std::string(digest.begin(), digest.end()));
    }
    const Sha1Digest digest = Sha1Of(octets);
    return Der(kDerOctetString, std::string(digest.begin(), digest.end()));
  };
  const std::string name = spec.hash == OcspHash::kSha1     ? "1.3.14.3.2.26"
                           : spec.hash == OcspHash::kSha256 ? "2.16.840.1.101.3.4.2.1"
                                                            : "1.2.3.4";
  std::string answer = Der(kDerSequence, Der(kDerSequence, DerObjectId(name) + Der(kDerNull, "")) +
                                             hash(issuer.subject) + hash(KeyOctets(issuer)) +
                                             Der(kDerInteger, certificate.serial));
  switch (spec.status) {
    case OcspStatus::kGood:
      answer += Der(DerContext(0), "");
      break;
    case OcspStatus::kRevoked:
      answer += Der(DerContextConstructed(1), DerGeneralizedTime(kNow - 86400));
      break;
    case OcspStatus::kUnknown:
      answer += Der(DerContext(2), "");
      break;
  }
  answer += DerGeneralizedTime(spec.this_update);
  if (spec.next_update.has_value()) {
    answer += Der(DerContextConstructed(0), DerGeneralizedTime(*spec.next_update));
  }
  if (!spec.single_extensions.empty()) {
    answer += Der(DerContextConstructed(1), Der(kDerSequence, spec.single_extensions));
  }
  return Der(kDerSequence, answer);
}

std::string IssueOcsp(const OcspSpec& spec, const Party& certificate, const Party& issuer) {
  constexpr unsigned kDerEnumerated = 0x0a;
  const Party& signer = spec.signer != nullptr ? *spec.signer : issuer;
  std::string part;
  if (spec.responder == OcspResponder::kByName) {
    part = Der(DerContextConstructed(1), signer.subject);
  } else {
    const Sha1Digest digest = Sha1Of(KeyOctets(signer));
    part = Der(DerContextConstructed(2),
               Der(kDerOctetString, std::string(digest.begin(), digest.end())));
  }
  part += DerGeneralizedTime(kNow - 3600) +
          Der(kDerSequence, spec.before + OcspSingle(spec, certificate, issuer));
  if (!spec.extensions.empty()) {
    part += Der(DerContextConstructed(1), Der(kDerSequence, spec.extensions));
  }
  part = Der(kDerSequence, part);
  std::string basic =
      part + signer.key->Algorithm(spec.scheme) + BitString(signer.key->Sign(part, spec.scheme));
  if (!spec.certificates.empty()) {
    std::string certificates;
    for (const Party& party : spec.certificates) {
      certificates += party.der;
    }
    basic += Der(DerContextConstructed(0), Der(kDerSequence, certificates));
  }
  std::string response =
      Der(kDerEnumerated, Number(static_cast<std::uint64_t>(spec.response_status), 1));
  if (spec.response_status == 0) {
    response += Der(DerContextConstructed(0),
                    Der(kDerSequence, DerObjectId("1.3.6.1.5.5.7.48.1.1") +
                                          Der(kDerOctetString, Der(kDerSequence, basic))));
  }
  return Der(kDerSequence, response);
}

PeerCertificate Presented(const std::vector<Party>& chain) {
  std::vector<std::string> ders;
  for (const Party& party : chain) {
    ders.push_back(party.der);
  }
  PeerCertificate certificate = *ReadPeerCertificate(std::move(ders));
  certificate.key_proven = true;
  return certificate;
}

LibraryClock::LibraryClock() {
  wc_SetTimeCb([](time_t* time) {
    if (time != nullptr) {
      *time = kNow;
    }
    return time_t{kNow};
  });
}

LibraryClock::~LibraryClock() { wc_SetTimeCb(nullptr); }

}  // namespace ringpost::test
