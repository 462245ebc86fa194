// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/x509/x509.h"

#include <algorithm>
#include <array>
#include <string>

namespace ringpost {
namespace {

using namespace std::string_view_literals;

// Object identifiers without tag and length.
constexpr std::string_view kExtensionArc = "\x55\x1d"sv;  // 2.5.29
constexpr unsigned char kSubjectKeyId = 14;
constexpr unsigned char kKeyUsage = 15;
constexpr unsigned char kAlternativeName = 17;
constexpr unsigned char kBasicConstraints = 19;
constexpr unsigned char kNameConstraints = 30;
constexpr unsigned char kDistributionPoints = 31;
constexpr unsigned char kExtendedKeyUsage = 37;
// Critical in some CA certificates. They narrow down certificate policies, which nothing here asks
// for: policies, policy mappings, policy constraints, inhibit any policy. The other one, the
// issuer's key identifier, only helps to find things.
constexpr std::array<unsigned char, 5> kHarmless = {32, 33, 35, 36, 54};

constexpr std::string_view kClientAuth = "\x2b\x06\x01\x05\x05\x07\x03\x02"sv;
constexpr std::string_view kServerAuth = "\x2b\x06\x01\x05\x05\x07\x03\x01"sv;
constexpr std::string_view kOcspSigning = "\x2b\x06\x01\x05\x05\x07\x03\x09"sv;
constexpr std::string_view kAnyPurpose = "\x55\x1d\x25\x00"sv;

constexpr std::size_t kExtensionCountMax = 64;
constexpr std::size_t kNameCountMax = 1024;  // a handshake has room for some thousand

bool ReadExtension(unsigned char which, std::string_view value, X509View& view) {
  DerReader reader(value);
  switch (which) {
    case kKeyUsage: {
      const std::optional<std::uint32_t> bits = DerNamedBits(reader.Take(kDerBitString).content);
      view.has_usage = true;
      view.usage = bits.value_or(0);
      return bits.has_value() && reader.finished();
    }
    case kBasicConstraints: {
      DerReader fields(reader.Take(kDerSequence).content);
      if (const DerItem ca = fields.TakeIf(kDerBoolean); ca.tag != 0) {
        const std::optional<bool> value_of_ca = DerBoolean(ca.content);
        if (!value_of_ca.has_value()) {
          return false;
        }
        view.ca = *value_of_ca;
      }
      if (const DerItem length = fields.TakeIf(kDerInteger); length.tag != 0) {
        view.path_length = DerSmallInteger(length.content);
        // RFC 5280 4.2.1.9: only where CA is true.
        if (!view.path_length.has_value() || !view.ca) {
          return false;
        }
      }
      return fields.finished() && reader.finished();
    }
    case kExtendedKeyUsage: {
      DerReader purposes(reader.Take(kDerSequence).content);
      view.has_purposes = true;
      while (purposes.ok() && !purposes.empty()) {
        const std::string_view purpose = purposes.Take(kDerObjectId).content;
        view.any_purpose |= purpose == kAnyPurpose;
        view.client_auth |= purpose == kClientAuth;
        view.server_auth |= purpose == kServerAuth;
        view.ocsp_signing |= purpose == kOcspSigning;
      }
      return purposes.finished() && reader.finished();
    }
    case kAlternativeName: {
      view.alternative_names = reader.Take(kDerSequence).content;
      std::size_t count = 0;
      DerReader names(view.alternative_names);
      while (names.ok() && !names.empty() && ++count <= kNameCountMax) {
        names.Next();
      }
      return names.finished() && reader.finished() && count > 0;
    }
    case kNameConstraints:
      view.name_constraints = reader.Take(kDerSequence).content;
      return reader.finished() && !view.name_constraints.empty();
    case kSubjectKeyId:
      view.key_id = reader.Take(kDerOctetString).content;
      return true;
    case kDistributionPoints:
      view.distribution_points = value;
      return true;
    default:
      return true;
  }
}

bool ReadExtensions(std::string_view content, X509View& view) {
  DerReader outer(content);
  DerReader list(outer.Take(kDerSequence).content);
  std::array<bool, 256> seen{};
  std::size_t count = 0;
  while (list.ok() && !list.empty() && ++count <= kExtensionCountMax) {
    DerReader extension(list.Take(kDerSequence).content);
    const std::string_view id = extension.Take(kDerObjectId).content;
    bool critical = false;
    if (const DerItem flag = extension.TakeIf(kDerBoolean); flag.tag != 0) {
      const std::optional<bool> value = DerBoolean(flag.content);
      if (!value.has_value()) {
        return false;
      }
      critical = *value;
    }
    const std::string_view value = extension.Take(kDerOctetString).content;
    if (!extension.finished()) {
      return false;
    }
    const bool of_x509 = id.size() == 3 && id.starts_with(kExtensionArc);
    const auto which = static_cast<unsigned char>(of_x509 ? id[2] : 0);
    switch (of_x509 ? which : 0) {
      case kSubjectKeyId:
      case kKeyUsage:
      case kAlternativeName:
      case kBasicConstraints:
      case kNameConstraints:
      case kDistributionPoints:
      case kExtendedKeyUsage:
        // RFC 5280 4.2: never twice.
        if (seen[which] || !ReadExtension(which, value, view)) {
          return false;
        }
        seen[which] = true;
        break;
      default:
        if (critical &&
            (!of_x509 || std::find(kHarmless.begin(), kHarmless.end(), which) == kHarmless.end())) {
          view.unknown_critical = true;
        }
        break;
    }
  }
  return list.finished() && outer.finished();
}

bool ReadSignedPart(std::string_view content, std::string_view outer_algorithm, X509View& view) {
  DerReader reader(content);
  if (const DerItem version = reader.TakeIf(DerContextConstructed(0)); version.tag != 0) {
    DerReader number(version.content);
    const std::optional<std::int32_t> value = DerSmallInteger(number.Take(kDerInteger).content);
    if (!number.finished() || !value.has_value() || *value > 2) {
      return false;
    }
    view.version = *value + 1;
  }
  view.serial = reader.Take(kDerInteger).content;
  // RFC 5280 4.1.1.2: what is signed says the same as what is not.
  if (reader.Take(kDerSequence).whole != outer_algorithm) {
    return false;
  }
  view.issuer = reader.Take(kDerSequence).whole;
  DerReader validity(reader.Take(kDerSequence).content);
  const std::optional<std::int64_t> not_before = DerTime(validity.Next());
  const std::optional<std::int64_t> not_after = DerTime(validity.Next());
  view.subject = reader.Take(kDerSequence).whole;
  view.public_key = reader.Take(kDerSequence).whole;
  if (!reader.ok() || !validity.finished() || !not_before.has_value() || !not_after.has_value() ||
      view.serial.empty()) {
    return false;
  }
  view.not_before = *not_before;
  view.not_after = *not_after;
  reader.TakeIf(DerContext(1));  // unique identifiers: RFC 5280 4.1.2.8, nobody uses them
  reader.TakeIf(DerContext(2));
  if (const DerItem extensions = reader.TakeIf(DerContextConstructed(3)); extensions.tag != 0) {
    if (view.version != 3 || !ReadExtensions(extensions.content, view)) {
      return false;
    }
  }
  return reader.finished();
}

}  // namespace

std::string_view WithoutZeros(std::string_view serial) {
  while (serial.size() > 1 && serial.front() == 0) {
    serial.remove_prefix(1);
  }
  return serial;
}

std::optional<X509View> ReadX509(std::string_view der) {
  X509View view;
  view.der = der;
  DerReader outer(der);
  DerReader reader(outer.Take(kDerSequence).content);
  const DerItem signed_part = reader.Take(kDerSequence);
  view.signed_part = signed_part.whole;
  view.algorithm = reader.Take(kDerSequence).whole;
  const std::optional<std::string_view> signature =
      DerBitStringOctets(reader.Take(kDerBitString).content);
  if (!outer.finished() || !reader.finished() || !signature.has_value() ||
      !ReadSignedPart(signed_part.content, view.algorithm, view)) {
    return std::nullopt;
  }
  view.signature = *signature;
  return view;
}

}  // namespace ringpost
