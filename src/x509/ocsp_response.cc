// SPDX-License-Identifier: GPL-3.0-or-later
#include "ocsp_response.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "certificate_path.h"
#include "ringpost/base/der.h"
#include "ringpost/base/policy_fault.h"
#include "ringpost/x509/signature.h"
#include "utc_text.h"

namespace ringpost {
namespace {

using namespace std::string_view_literals;

constexpr unsigned kDerEnumerated = 0x0a;
constexpr int kResponderCertificatesMax = 4;  // one is usual

// Object identifiers without tag and length.
constexpr std::string_view kBasicResponse = "\x2b\x06\x01\x05\x05\x07\x30\x01\x01"sv;
constexpr std::string_view kSha1 = "\x2b\x0e\x03\x02\x1a"sv;
constexpr std::string_view kSha256 = "\x60\x86\x48\x01\x65\x03\x04\x02\x01"sv;

// Sentences' ends.
constexpr std::string_view kUnreadable = "it is no OCSP response that can be read";
constexpr std::string_view kOtherCertificate = "it is about another certificate";
constexpr std::string_view kWeak =
    "it is not signed in a way that is accepted, which are RSA and ECDSA with SHA-256, SHA-384 or "
    "SHA-512";
constexpr std::string_view kBadSignature = "its signature is wrong, so it is damaged or forged";
constexpr std::string_view kWrongResponder =
    "it is signed neither by the CA of the certificate nor by one whom that CA lets sign";
constexpr std::string_view kNoPurpose =
    "its signer's certificate is not for signing OCSP responses (OCSPSigning)";
constexpr std::string_view kBadResponder = "its signer's certificate cannot be used";
constexpr std::string_view kRevokedResponder = "its signer's certificate has been revoked";
constexpr std::string_view kUnknown = "its responder does not know the certificate";
constexpr std::string_view kTooMany = "too many signatures would have to be checked";

// One SingleResponse.
struct Single {
  std::string_view hash;  // object identifier
  std::string_view issuer_name_hash;
  std::string_view issuer_key_hash;
  std::string_view serial;
  OcspAnswer::Status status = OcspAnswer::Status::kNone;  // kNone: unknown
  std::int64_t this_update = 0;
  std::optional<std::int64_t> next_update;
  std::string_view critical;  // an extension of its; empty: none
};

std::string CriticalText(std::string_view id) {
  constexpr std::size_t kIdMax = 32;  // a hostile one may have thousands of numbers
  return absl::StrCat("it has a critical extension that ringpost does not know (",
                      id.size() <= kIdMax ? ObjectIdText(id) : "a long one", ")");
}

// `field` is the content of an explicit tag with Extensions in it. False: not to be read.
bool FindCritical(std::string_view field, std::string_view& critical) {
  DerReader outer(field);
  DerReader list(outer.Take(kDerSequence).content);
  while (list.ok() && !list.empty()) {
    DerReader fields(list.Take(kDerSequence).content);
    const std::string_view id = fields.Take(kDerObjectId).content;
    const DerItem is_critical = fields.TakeIf(kDerBoolean);
    fields.Take(kDerOctetString);
    if (!fields.finished() || id.empty()) {
      return false;
    }
    if (is_critical.tag != 0 && is_critical.content != "\0"sv) {
      critical = id;
    }
  }
  return list.finished() && outer.finished();
}

// RFC 6960 4.2.2.1 knows this form of a time only.
std::optional<std::int64_t> TakeTime(DerReader& reader) {
  return DerTime(reader.Take(kDerGeneralizedTime));
}

bool ReadSingle(std::string_view content, Single& single) {
  DerReader reader(content);
  DerReader id(reader.Take(kDerSequence).content);
  DerReader hash(id.Take(kDerSequence).content);
  single.hash = hash.Take(kDerObjectId).content;
  single.issuer_name_hash = id.Take(kDerOctetString).content;
  single.issuer_key_hash = id.Take(kDerOctetString).content;
  single.serial = id.Take(kDerInteger).content;
  const DerItem status = reader.Next();
  switch (status.tag) {
    case DerContext(0):
      single.status = OcspAnswer::Status::kGood;
      break;
    case DerContextConstructed(1):
      single.status = OcspAnswer::Status::kRevoked;
      break;
    case DerContext(2):
      break;
    default:
      return false;
  }
  const std::optional<std::int64_t> this_update = TakeTime(reader);
  if (const DerItem field = reader.TakeIf(DerContextConstructed(0)); field.tag != 0) {
    DerReader next(field.content);
    single.next_update = TakeTime(next);
    if (!next.finished() || !single.next_update.has_value()) {
      return false;
    }
  }
  if (const DerItem field = reader.TakeIf(DerContextConstructed(1)); field.tag != 0) {
    if (!FindCritical(field.content, single.critical)) {
      return false;
    }
  }
  single.this_update = this_update.value_or(0);
  return reader.finished() && id.finished() && hash.ok() && !single.serial.empty() &&
         this_update.has_value();
}

// What hashes of keys are over: the octets of the BIT STRING (RFC 6960 4.1.1).
std::string_view KeyOctets(std::string_view public_key) {
  DerReader outer(public_key);
  DerReader info(outer.Take(kDerSequence).content);
  info.Take(kDerSequence);
  return DerBitStringOctets(info.Take(kDerBitString).content).value_or(std::string_view());
}

template <typename Digest>
bool Equals(std::string_view octets, const Digest& digest) {
  return std::equal(
      octets.begin(), octets.end(), digest.begin(), digest.end(),
      [](char left, unsigned char right) { return static_cast<unsigned char>(left) == right; });
}

// Finds what is said of one certificate.
class CertificateId {
 public:
  CertificateId(const X509View& certificate, const X509View& issuer)
      : serial_(WithoutZeros(certificate.serial)),
        name_sha1_(Sha1Of(certificate.issuer)),
        key_sha1_(Sha1Of(KeyOctets(issuer.public_key))),
        name_sha256_(Sha256Of(certificate.issuer)),
        key_sha256_(Sha256Of(KeyOctets(issuer.public_key))) {}

  [[nodiscard]] bool Is(const Single& single) const {
    if (WithoutZeros(single.serial) != serial_) {
      return false;
    }
    if (single.hash == kSha1) {
      return Equals(single.issuer_name_hash, name_sha1_) &&
             Equals(single.issuer_key_hash, key_sha1_);
    }
    return single.hash == kSha256 && Equals(single.issuer_name_hash, name_sha256_) &&
           Equals(single.issuer_key_hash, key_sha256_);
  }

 private:
  std::string_view serial_;
  Sha1Digest name_sha1_;
  Sha1Digest key_sha1_;
  Fingerprint name_sha256_;
  Fingerprint key_sha256_;
};

// What one answer is worth at this time, where its signature is good.
OcspAnswer Judge(const Single& single, std::int64_t now) {
  OcspAnswer answer;
  if (single.status == OcspAnswer::Status::kNone) {
    answer.reason = kUnknown;
  } else if (!single.critical.empty()) {
    answer.reason = CriticalText(single.critical);
  } else if (single.status == OcspAnswer::Status::kRevoked) {
    answer.status = single.status;
  } else if (now < single.this_update) {
    answer.reason = absl::StrCat("it begins to count only on ", UtcText(single.this_update));
  } else {
    answer.fresh_until =
        single.next_update.value_or(single.this_update + OcspResponse::kSecondsWithoutEnd);
    if (now < answer.fresh_until) {
      answer.status = single.status;
    } else if (single.next_update.has_value()) {
      answer.reason = absl::StrCat("it is out of date since ", UtcText(*single.next_update));
    } else {
      answer.reason = absl::StrCat("it is of ", UtcText(single.this_update),
                                   " and does not say when the next one comes, so it counted for "
                                   "7 days");
    }
  }
  return answer;
}

bool IsForSigningResponses(const X509View& certificate) {
  // RFC 5280 4.2.1.12. "Any purpose" is not enough (RFC 6960 4.2.2.2).
  constexpr std::uint32_t kUsageNonRepudiation = 0x4000;
  return certificate.ocsp_signing && certificate.May(kUsageDigitalSignature | kUsageNonRepudiation);
}

}  // namespace

OcspResponse::OcspResponse(std::string_view der) { unreadable_ = Parse(der); }

std::string OcspResponse::Parse(std::string_view der) {
  DerReader outer(der);
  DerReader reader(outer.Take(kDerSequence).content);
  const std::optional<std::int32_t> status = DerSmallInteger(reader.Take(kDerEnumerated).content);
  const DerItem field = reader.TakeIf(DerContextConstructed(0));
  if (!outer.finished() || !reader.finished() || !status.has_value()) {
    return std::string(kUnreadable);
  }
  if (*status != 0) {  // RFC 6960 4.2.1: for example tryLater (3)
    return absl::StrCat("its responder gave no answer (status ", *status, ")");
  }
  DerReader bytes_field(field.content);
  DerReader bytes(bytes_field.Take(kDerSequence).content);
  const std::string_view type = bytes.Take(kDerObjectId).content;
  DerReader basic(bytes.Take(kDerOctetString).content);
  const std::string_view content = basic.Take(kDerSequence).content;
  if (!bytes_field.finished() || !bytes.finished() || type != kBasicResponse || !basic.finished()) {
    return std::string(kUnreadable);
  }
  return ParseBasic(content);
}

std::string OcspResponse::ParseBasic(std::string_view content) {
  DerReader reader(content);
  const DerItem signed_part = reader.Take(kDerSequence);
  signed_part_ = signed_part.whole;
  algorithm_ = reader.Take(kDerSequence).whole;
  const std::optional<std::string_view> signature =
      DerBitStringOctets(reader.Take(kDerBitString).content);
  if (const DerItem field = reader.TakeIf(DerContextConstructed(0)); field.tag != 0) {
    DerReader list(field.content);
    certificates_ = list.Take(kDerSequence).content;
    if (!list.finished()) {
      return std::string(kUnreadable);
    }
  }
  if (!reader.finished() || !signature.has_value()) {
    return std::string(kUnreadable);
  }
  signature_ = *signature;
  if (std::string reason = ParseSignedPart(signed_part.content); !reason.empty()) {
    return reason;
  }
  return IsStrongAlgorithm(algorithm_) ? std::string() : std::string(kWeak);
}

std::string OcspResponse::ParseSignedPart(std::string_view content) {
  DerReader reader(content);
  if (const DerItem version = reader.TakeIf(DerContextConstructed(0));
      version.tag != 0 && version.content != "\x02\x01\x00"sv) {
    return std::string(kUnreadable);
  }
  if (const DerItem name = reader.TakeIf(DerContextConstructed(1)); name.tag != 0) {
    DerReader field(name.content);
    responder_name_ = field.Take(kDerSequence).whole;
    if (!field.finished()) {
      return std::string(kUnreadable);
    }
  } else {
    DerReader field(reader.Take(DerContextConstructed(2)).content);
    responder_key_hash_ = field.Take(kDerOctetString).content;
    if (!field.finished()) {
      return std::string(kUnreadable);
    }
  }
  const std::optional<std::int64_t> produced = TakeTime(reader);
  answers_ = reader.Take(kDerSequence).content;
  std::string_view critical;
  if (const DerItem field = reader.TakeIf(DerContextConstructed(1)); field.tag != 0) {
    if (!FindCritical(field.content, critical)) {
      return std::string(kUnreadable);
    }
  }
  if (!reader.finished() || !produced.has_value()) {
    return std::string(kUnreadable);
  }
  DerReader list(answers_);
  while (list.ok() && !list.empty()) {
    Single single;
    if (!ReadSingle(list.Take(kDerSequence).content, single)) {
      return std::string(kUnreadable);
    }
  }
  if (!list.finished()) {
    return std::string(kUnreadable);
  }
  return critical.empty() ? std::string() : CriticalText(critical);
}

bool OcspResponse::IsResponder(std::string_view name, std::string_view public_key) const {
  return responder_name_.empty() ? Equals(responder_key_hash_, Sha1Of(KeyOctets(public_key)))
                                 : responder_name_ == name;
}

bool OcspResponse::IsSignedWith(std::string_view public_key) {
  return --signatures_left_ >= 0 && CheckSignature(algorithm_, signed_part_, signature_,
                                                   public_key) == SignatureVerdict::kGood;
}

std::string OcspResponse::WhyNotSignedFor(const X509View& issuer, std::int64_t now,
                                          const std::function<bool(const X509View&)>& is_revoked) {
  std::string_view reason = kWrongResponder;
  if (IsResponder(issuer.subject, issuer.public_key)) {
    if (IsSignedWith(issuer.public_key)) {
      return {};
    }
    reason = kBadSignature;
  }
  DerReader list(certificates_);
  for (int i = 0; i < kResponderCertificatesMax && list.ok() && !list.empty(); ++i) {
    const std::optional<X509View> signer = ReadX509(list.Take(kDerSequence).whole);
    // Who it is, first: what else lies beside it does not matter.
    if (!signer.has_value() || !IsResponder(signer->subject, signer->public_key) ||
        signer->issuer != issuer.subject) {
      continue;
    }
    if (--signatures_left_ < 0 ||
        CheckSignature(signer->algorithm, signer->signed_part, signer->signature,
                       issuer.public_key) != SignatureVerdict::kGood) {
      continue;
    }
    if (!IsForSigningResponses(*signer)) {
      reason = kNoPurpose;
    } else if (const PolicyFault fault = JudgeAlone(*signer, now); fault == PolicyFault::kExpired) {
      return absl::StrCat("its signer's certificate expired on ", UtcText(signer->not_after));
    } else if (fault != PolicyFault::kNone) {
      reason = kBadResponder;
    } else if (is_revoked(*signer)) {
      reason = kRevokedResponder;
    } else if (IsSignedWith(signer->public_key)) {
      return {};
    } else {
      reason = kBadSignature;
    }
  }
  return std::string(signatures_left_ < 0 ? kTooMany : reason);
}

OcspAnswer OcspResponse::About(const X509View& certificate, const X509View& issuer,
                               std::int64_t now,
                               const std::function<bool(const X509View&)>& is_revoked) {
  OcspAnswer answer;
  answer.reason = unreadable_;
  if (!answer.reason.empty()) {
    return answer;
  }
  answer.reason = kOtherCertificate;
  const CertificateId wanted(certificate, issuer);
  DerReader list(answers_);
  while (list.ok() && !list.empty() && answer.status != OcspAnswer::Status::kRevoked) {
    Single single;
    if (!ReadSingle(list.Take(kDerSequence).content, single) || !wanted.Is(single)) {
      continue;
    }
    OcspAnswer one = Judge(single, now);
    // That it is revoked counts more than anything else, and a good answer more than a bad one.
    if (answer.status == OcspAnswer::Status::kNone || one.status == OcspAnswer::Status::kRevoked) {
      answer = std::move(one);
    }
  }
  if (answer.status == OcspAnswer::Status::kNone) {
    return answer;
  }
  if (std::string reason = WhyNotSignedFor(issuer, now, is_revoked); !reason.empty()) {
    return {.status = OcspAnswer::Status::kNone, .fresh_until = 0, .reason = std::move(reason)};
  }
  answer.reason.clear();
  return answer;
}

}  // namespace ringpost
