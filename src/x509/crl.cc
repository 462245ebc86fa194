// SPDX-License-Identifier: GPL-3.0-or-later
#include "crl.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ringpost/base/der.h"
#include "ringpost/x509/pem.h"
#include "trust_files.h"
#include "utc_text.h"

namespace ringpost {
namespace {

using namespace std::string_view_literals;

bool NumberLess(std::string_view left, std::string_view right) {
  return std::tuple(left.size(), left) < std::tuple(right.size(), right);
}

// Object identifiers without tag and length.
constexpr std::string_view kReasonCode = "\x55\x1d\x15"sv;
constexpr std::string_view kHoldInstruction = "\x55\x1d\x17"sv;
constexpr std::string_view kInvalidityDate = "\x55\x1d\x18"sv;
constexpr std::string_view kCertificateIssuer = "\x55\x1d\x1d"sv;
constexpr std::string_view kIssuerNames = "\x55\x1d\x12"sv;
constexpr std::string_view kFreshestCrl = "\x55\x1d\x2e"sv;
constexpr std::string_view kCrlNumber = "\x55\x1d\x14"sv;
constexpr std::string_view kDeltaIndicator = "\x55\x1d\x1b"sv;
constexpr std::string_view kIssuingDistributionPoint = "\x55\x1d\x1c"sv;
constexpr std::string_view kAuthorityKeyId = "\x55\x1d\x23"sv;

// Sentences' ends: what the list is, and what to give instead.
constexpr std::string_view kNotAList = "it is not a revocation list in DER or PEM form";
constexpr std::string_view kDelta =
    "it is a delta list, which holds only what has changed since the last full one; give the CA's "
    "full list instead";
constexpr std::string_view kIndirect =
    "it is an indirect list, which may be about certificates of other CAs; give a list that each "
    "CA signs for its own certificates";
constexpr std::string_view kSomeReasons =
    "it leaves out certificates that were revoked for other reasons than its own; give the CA's "
    "list for all reasons";
constexpr std::string_view kAttributes =
    "it is for attribute certificates, which nobody presents in TLS; give the CA's list for public "
    "key certificates";
constexpr std::string_view kWeakSignature =
    "its signature is not one that is accepted, which are RSA and ECDSA with SHA-256, SHA-384 or "
    "SHA-512; ask the CA for a list signed that way";
constexpr std::string_view kBadPoint = "its issuing distribution point cannot be read";

struct ListExtension {
  std::string_view id;
  bool critical = false;
  std::string_view value;
};

// Visits each extension, of a list or of an entry, until one is complained about; returns that.
template <typename Visit>
std::string ForEachExtension(std::string_view content, Visit visit) {
  DerReader list(content);
  while (list.ok() && !list.empty()) {
    DerReader fields(list.Take(kDerSequence).content);
    ListExtension extension;
    extension.id = fields.Take(kDerObjectId).content;
    const DerItem critical = fields.TakeIf(kDerBoolean);
    extension.critical = critical.tag != 0 && critical.content != "\0"sv;
    extension.value = fields.Take(kDerOctetString).content;
    if (!fields.finished()) {
      return std::string(kNotAList);
    }
    if (std::string complaint = visit(extension); !complaint.empty()) {
      return complaint;
    }
  }
  return list.finished() ? std::string() : std::string(kNotAList);
}

// RFC 5280 5.2: what is critical and not known may change what the list means.
std::string UnknownCritical(std::string_view id) {
  return absl::StrCat("it has a critical extension that ringpost does not know (", ObjectIdText(id),
                      "); give the CA's full list without it");
}

std::string ReadEntryExtension(const ListExtension& extension) {
  if (extension.id == kCertificateIssuer) {
    return std::string(kIndirect);
  }
  const bool known = extension.id == kReasonCode || extension.id == kHoldInstruction ||
                     extension.id == kInvalidityDate;
  return extension.critical && !known ? UnknownCritical(extension.id) : std::string();
}

}  // namespace

std::unique_ptr<const Crl> Crl::Read(std::string der, std::string path, std::string& reason) {
  std::unique_ptr<Crl> list(new Crl);
  list->der_ = std::move(der);
  list->path_ = std::move(path);
  reason = list->Parse();
  return reason.empty() ? std::move(list) : nullptr;
}

std::string Crl::Parse() {
  if (der_.size() > std::numeric_limits<std::uint32_t>::max()) {
    return "it is too large";
  }
  DerReader outer(der_);
  DerReader reader(outer.Take(kDerSequence).content);
  const DerItem signed_part = reader.Take(kDerSequence);
  signed_part_ = signed_part.whole;
  algorithm_ = reader.Take(kDerSequence).whole;
  const std::optional<std::string_view> signature =
      DerBitStringOctets(reader.Take(kDerBitString).content);
  if (!outer.finished() || !reader.finished() || !signature.has_value()) {
    return std::string(kNotAList);
  }
  signature_ = *signature;
  if (std::string complaint = ParseSignedPart(signed_part.content); !complaint.empty()) {
    return complaint;
  }
  return IsStrongAlgorithm(algorithm_) ? std::string() : std::string(kWeakSignature);
}

std::string Crl::ParseSignedPart(std::string_view content) {
  DerReader reader(content);
  const DerItem version = reader.TakeIf(kDerInteger);
  if (version.tag != 0 && version.content != "\x01"sv) {
    return std::string(kNotAList);
  }
  const bool extensions_allowed = version.tag != 0;
  if (reader.Take(kDerSequence).whole != algorithm_) {
    return std::string(kNotAList);
  }
  issuer_ = reader.Take(kDerSequence).whole;
  const std::optional<std::int64_t> this_update = DerTime(reader.Next());
  if (reader.PeekTag() == kDerUtcTime || reader.PeekTag() == kDerGeneralizedTime) {
    next_update_ = DerTime(reader.Next());
    if (!next_update_.has_value()) {
      return std::string(kNotAList);
    }
  }
  const DerItem entries = reader.TakeIf(kDerSequence);
  const DerItem extensions = reader.TakeIf(DerContextConstructed(0));
  if (!reader.finished() || !this_update.has_value()) {
    return std::string(kNotAList);
  }
  this_update_ = *this_update;
  if (extensions.tag != 0) {
    DerReader list(extensions.content);
    const std::string_view inner = list.Take(kDerSequence).content;
    if (!list.finished() || !extensions_allowed) {
      return std::string(kNotAList);
    }
    if (std::string complaint = ParseExtensions(inner); !complaint.empty()) {
      return complaint;
    }
  }
  return ParseEntries(entries.content, extensions_allowed);
}

std::string Crl::ParseExtensions(std::string_view content) {
  return ForEachExtension(content, [this](const ListExtension& extension) {
    // What these say holds even where their maker forgot to say that they are critical.
    if (extension.id == kDeltaIndicator) {
      return std::string(kDelta);
    }
    if (extension.id == kIssuingDistributionPoint) {
      return ParsePoint(extension.value);
    }
    if (extension.id == kAuthorityKeyId) {
      DerReader reader(extension.value);
      key_id_ = DerReader(reader.Take(kDerSequence).content).TakeIf(DerContext(0)).content;
      return std::string();
    }
    const bool known =
        extension.id == kCrlNumber || extension.id == kIssuerNames || extension.id == kFreshestCrl;
    return extension.critical && !known ? UnknownCritical(extension.id) : std::string();
  });
}

std::string Crl::ParsePoint(std::string_view value) {
  const std::optional<IssuingDistributionPoint> point = ReadIssuingDistributionPoint(value);
  if (!point.has_value() || !point_.whole.empty()) {
    return std::string(kBadPoint);
  }
  point_ = *point;
  if (point_.indirect) {
    return std::string(kIndirect);
  }
  if (point_.only_some_reasons) {
    return std::string(kSomeReasons);
  }
  return point_.only_attribute_certificates ? std::string(kAttributes) : std::string();
}

std::string Crl::ParseEntries(std::string_view content, bool extensions_allowed) {
  DerReader reader(content);
  while (reader.ok() && !reader.empty()) {
    DerReader entry(reader.Take(kDerSequence).content);
    const DerItem serial = entry.Take(kDerInteger);
    const std::optional<std::int64_t> date = DerTime(entry.Next());
    const DerItem extensions = entry.TakeIf(kDerSequence);
    // Serial() counts on a length of one octet. RFC 5280 4.1.2.2: at most 20 octets.
    if (!entry.finished() || !date.has_value() || serial.content.empty() ||
        serial.content.size() > 0x7f || (extensions.tag != 0 && !extensions_allowed)) {
      return std::string(kNotAList);
    }
    if (std::string complaint = ForEachExtension(extensions.content, ReadEntryExtension);
        !complaint.empty()) {
      return complaint;
    }
    entries_.push_back(static_cast<std::uint32_t>(serial.whole.data() - der_.data()));
  }
  if (!reader.finished()) {
    return std::string(kNotAList);
  }
  std::sort(entries_.begin(), entries_.end(), [this](std::uint32_t left, std::uint32_t right) {
    return NumberLess(Serial(left), Serial(right));
  });
  entries_.shrink_to_fit();
  return {};
}

std::string_view Crl::Serial(std::uint32_t offset) const {
  const auto size = static_cast<unsigned char>(der_[offset + 1]);
  return WithoutZeros(std::string_view(der_).substr(offset + 2, size));
}

bool Crl::Names(std::string_view serial) const {
  const std::string_view wanted = WithoutZeros(serial);
  const auto found = std::lower_bound(entries_.begin(), entries_.end(), wanted,
                                      [this](std::uint32_t entry, std::string_view value) {
                                        return NumberLess(Serial(entry), value);
                                      });
  return found != entries_.end() && Serial(*found) == wanted;
}

bool Crl::IsForKindOf(const X509View& certificate) const {
  return !(certificate.ca ? point_.only_user_certificates : point_.only_ca_certificates);
}

SignatureVerdict Crl::CheckSignedWith(std::string_view public_key) const {
  return CheckSignature(algorithm_, signed_part_, signature_, public_key);
}

CrlSet::CrlSet(std::vector<std::unique_ptr<const Crl>> lists) : lists_(std::move(lists)) {
  std::stable_sort(lists_.begin(), lists_.end(), [](const auto& left, const auto& right) {
    return std::tuple(left->issuer(), right->this_update()) <
           std::tuple(right->issuer(), left->this_update());
  });
}

std::span<const std::unique_ptr<const Crl>> CrlSet::Of(std::string_view issuer) const {
  struct ByIssuer {
    bool operator()(const std::unique_ptr<const Crl>& list, std::string_view name) const {
      return list->issuer() < name;
    }
    bool operator()(std::string_view name, const std::unique_ptr<const Crl>& list) const {
      return name < list->issuer();
    }
  };
  const auto [first, last] = std::equal_range(lists_.begin(), lists_.end(), issuer, ByIssuer{});
  return {first, last};
}

absl::StatusOr<LoadedCrls> LoadCrls(const std::vector<NamedText>& files, std::int64_t now) {
  LoadedCrls loaded;
  std::vector<std::unique_ptr<const Crl>> lists;
  for (const NamedText& file : files) {
    if (std::string why =
            files.size() > 1 ? WhyLeftOut(file, TrustFileKind::kRevocationLists) : std::string();
        !why.empty()) {
      loaded.warnings.push_back(std::move(why));
      continue;
    }
    PemBlocks blocks = ReadPemOrDer(file.text, "X509 CRL");
    if (blocks.der.empty() || blocks.broken > 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          file.path,
          blocks.broken > 0 ? " holds a broken revocation list" : " holds no revocation list",
          "; a CRL in PEM form lies between \"-----BEGIN X509 CRL-----\" and \"-----END X509 "
          "CRL-----\""));
    }
    for (std::string& der : blocks.der) {
      std::string reason;
      std::unique_ptr<const Crl> list = Crl::Read(std::move(der), file.path, reason);
      if (list == nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat("the revocation list ", file.path,
                         reason == kNotAList ? " cannot be read: " : " cannot be used: ", reason));
      }
      if (!list->next_update().has_value()) {
        loaded.warnings.push_back(
            absl::StrCat("the revocation list ", file.path,
                         " does not say when the next one comes, so it never counts as fresh"));
      } else if (now >= *list->next_update()) {
        loaded.warnings.push_back(
            absl::StrCat("the revocation list ", file.path, " is out of date since ",
                         UtcText(*list->next_update()), "; fetch the next one"));
      } else if (now < list->this_update()) {
        loaded.warnings.push_back(absl::StrCat("the revocation list ", file.path,
                                               " begins to count only on ",
                                               UtcText(list->this_update())));
      }
      lists.push_back(std::move(list));
    }
  }
  if (lists.empty() && !files.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("crl names no file with a revocation list: ", loaded.warnings.front()));
  }
  loaded.crls = std::make_shared<const CrlSet>(std::move(lists));
  return loaded;
}

}  // namespace ringpost
