// SPDX-License-Identifier: GPL-3.0-or-later
#include "crl.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "der.h"
#include "pem.h"
#include "signature.h"

namespace ringpost {
namespace {

using namespace std::string_view_literals;

// The same number is written in one way only, but some CAs write it in another.
std::string_view WithoutZeros(std::string_view serial) {
  while (serial.size() > 1 && serial.front() == 0) {
    serial.remove_prefix(1);
  }
  return serial;
}

bool NumberLess(std::string_view left, std::string_view right) {
  return std::tuple(left.size(), left) < std::tuple(right.size(), right);
}

// Extensions of a list or of an entry, all of which must be ones that change nothing if they are
// critical. RFC 5280 5.2 and 5.3: others change what the list means, for example to a part of the
// certificates (issuing distribution point), to changes only (delta), to another issuer.
bool NothingCriticalIn(std::string_view content) {
  constexpr std::string_view kReasonCode = "\x55\x1d\x15"sv;
  constexpr std::string_view kCrlNumber = "\x55\x1d\x14"sv;
  constexpr std::string_view kAuthorityKeyId = "\x55\x1d\x23"sv;
  constexpr std::string_view kDeltaIndicator = "\x55\x1d\x1b"sv;
  DerReader list(content);
  while (list.ok() && !list.empty()) {
    DerReader extension(list.Take(kDerSequence).content);
    const std::string_view id = extension.Take(kDerObjectId).content;
    const DerItem critical = extension.TakeIf(kDerBoolean);
    extension.Take(kDerOctetString);
    const bool known = id == kReasonCode || id == kCrlNumber || id == kAuthorityKeyId;
    // A delta is none of ours even where its maker forgot to say that it is critical.
    if (!extension.finished() || id == kDeltaIndicator ||
        (critical.tag != 0 && critical.content != "\0"sv && !known)) {
      return false;
    }
  }
  return list.finished();
}

std::string Day(std::int64_t seconds) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixSeconds(seconds),
                          absl::UTCTimeZone());
}

constexpr std::string_view kNotAList = "it is not a revocation list in DER or PEM form";
constexpr std::string_view kSpecial =
    "it is a delta, a partial or an indirect list, which are not supported; give the CA's full one";

}  // namespace

std::unique_ptr<const Crl> Crl::Read(std::string der, std::string path, std::string& reason) {
  std::unique_ptr<Crl> list(new Crl);
  list->der_ = std::move(der);
  list->path_ = std::move(path);
  reason = list->Parse();
  return reason.empty() ? std::move(list) : nullptr;
}

std::string_view Crl::Parse() {
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
    return kNotAList;
  }
  signature_ = *signature;
  return ParseSignedPart(signed_part.content);
}

std::string_view Crl::ParseSignedPart(std::string_view content) {
  DerReader reader(content);
  const DerItem version = reader.TakeIf(kDerInteger);
  if (version.tag != 0 && version.content != "\x01"sv) {
    return kNotAList;
  }
  const bool extensions_allowed = version.tag != 0;
  if (reader.Take(kDerSequence).whole != algorithm_) {
    return kNotAList;
  }
  issuer_ = reader.Take(kDerSequence).whole;
  const std::optional<std::int64_t> this_update = DerTime(reader.Next());
  if (reader.PeekTag() == kDerUtcTime || reader.PeekTag() == kDerGeneralizedTime) {
    next_update_ = DerTime(reader.Next());
    if (!next_update_.has_value()) {
      return kNotAList;
    }
  }
  const DerItem entries = reader.TakeIf(kDerSequence);
  const DerItem extensions = reader.TakeIf(DerContextConstructed(0));
  if (!reader.finished() || !this_update.has_value()) {
    return kNotAList;
  }
  this_update_ = *this_update;
  if (extensions.tag != 0) {
    DerReader list(extensions.content);
    const std::string_view inner = list.Take(kDerSequence).content;
    if (!list.finished() || !extensions_allowed) {
      return kNotAList;
    }
    if (!NothingCriticalIn(inner)) {
      return kSpecial;
    }
  }
  return ParseEntries(entries.content, extensions_allowed);
}

std::string_view Crl::ParseEntries(std::string_view content, bool extensions_allowed) {
  DerReader reader(content);
  while (reader.ok() && !reader.empty()) {
    DerReader entry(reader.Take(kDerSequence).content);
    const DerItem serial = entry.Take(kDerInteger);
    const std::optional<std::int64_t> date = DerTime(entry.Next());
    const DerItem extensions = entry.TakeIf(kDerSequence);
    // Serial() counts on a length of one octet. RFC 5280 4.1.2.2: at most 20 octets.
    if (!entry.finished() || !date.has_value() || serial.content.empty() ||
        serial.content.size() > 0x7f || (extensions.tag != 0 && !extensions_allowed)) {
      return kNotAList;
    }
    if (extensions.tag != 0 && !NothingCriticalIn(extensions.content)) {
      return kSpecial;
    }
    entries_.push_back(static_cast<std::uint32_t>(serial.whole.data() - der_.data()));
  }
  if (!reader.finished()) {
    return kNotAList;
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

bool Crl::IsSignedWith(std::string_view public_key) const {
  return CheckSignature(algorithm_, signed_part_, signature_, public_key) ==
         SignatureVerdict::kGood;
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
    PemBlocks blocks = ReadPemBlocks(file.text, "X509 CRL");
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
      if (list == nullptr && reason == kNotAList) {
        return absl::InvalidArgumentError(
            absl::StrCat("the revocation list ", file.path, " cannot be read: ", reason));
      }
      if (list == nullptr) {
        loaded.warnings.push_back(
            absl::StrCat("the revocation list ", file.path, " is not used: ", reason));
        continue;
      }
      if (!list->next_update().has_value()) {
        loaded.warnings.push_back(
            absl::StrCat("the revocation list ", file.path,
                         " does not say when the next one comes, so it never counts as fresh"));
      } else if (now >= *list->next_update()) {
        loaded.warnings.push_back(absl::StrCat("the revocation list ", file.path,
                                               " is out of date since ", Day(*list->next_update()),
                                               "; fetch the next one"));
      } else if (now < list->this_update()) {
        loaded.warnings.push_back(absl::StrCat("the revocation list ", file.path,
                                               " begins to count only on ",
                                               Day(list->this_update())));
      }
      lists.push_back(std::move(list));
    }
  }
  loaded.crls = std::make_shared<const CrlSet>(std::move(lists));
  return loaded;
}

}  // namespace ringpost
