// SPDX-License-Identifier: GPL-3.0-or-later
//
// Names in certificates: octets from strangers, made fit for a log and for comparing.
#include <algorithm>
#include <array>
#include <string>

#include "ringpost/x509/x509.h"

namespace ringpost {
namespace {

using namespace std::string_view_literals;

struct AttributeName {
  std::string_view object_id;
  std::string_view text;
};

constexpr std::string_view kCommonName = "\x55\x04\x03"sv;

// RFC 4514 3, and what else is common.
constexpr std::array<AttributeName, 9> kAttributeNames = {{
    {kCommonName, "CN"},
    {"\x55\x04\x0a"sv, "O"},
    {"\x55\x04\x0b"sv, "OU"},
    {"\x55\x04\x06"sv, "C"},
    {"\x55\x04\x07"sv, "L"},
    {"\x55\x04\x08"sv, "ST"},
    {"\x55\x04\x05"sv, "serialNumber"},
    {"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"sv, "DC"},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"sv, "emailAddress"},
}};

unsigned Octet(char c) { return static_cast<unsigned char>(c); }

void AppendUtf8(std::uint32_t point, std::string& text) {
  if (point < 0x80) {
    text += static_cast<char>(point);
  } else if (point < 0x800) {
    text += static_cast<char>(0xc0 | point >> 6);
    text += static_cast<char>(0x80 | (point & 0x3f));
  } else {
    text += static_cast<char>(0xe0 | point >> 12);
    text += static_cast<char>(0x80 | (point >> 6 & 0x3f));
    text += static_cast<char>(0x80 | (point & 0x3f));
  }
}

// As UTF-8 where it is one of the usual string types; whatever the octets are, in the others.
std::string ValueText(const DerItem& value) {
  if (value.tag != kDerBmpString || value.content.size() % 2 != 0) {
    return std::string(value.content);
  }
  std::string text;
  for (std::size_t i = 0; i < value.content.size(); i += 2) {
    AppendUtf8(Octet(value.content[i]) << 8 | Octet(value.content[i + 1]), text);
  }
  return text;
}

void AppendEscaped(std::string_view value, std::string& text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  constexpr std::string_view kSpecial = ",+\"\\<>;=";
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    const bool edge_space = c == ' ' && (i == 0 || i + 1 == value.size());
    if (Octet(c) < 0x20 || Octet(c) >= 0x7f) {
      text += '\\';
      text += kHex[Octet(c) >> 4];
      text += kHex[Octet(c) & 0xf];
    } else {
      if (edge_space || kSpecial.find(c) != std::string_view::npos || (c == '#' && i == 0)) {
        text += '\\';
      }
      text += c;
    }
  }
}

// Calls back with (object id, value) for each attribute, in the certificate's order; false: broken.
template <typename Visit>
bool ForEachAttribute(std::string_view name, Visit visit) {
  DerReader outer(name);
  DerReader names(outer.Take(kDerSequence).content);
  while (names.ok() && !names.empty()) {
    DerReader set(names.Take(kDerSet).content);
    while (set.ok() && !set.empty()) {
      DerReader attribute(set.Take(kDerSequence).content);
      const std::string_view id = attribute.Take(kDerObjectId).content;
      const DerItem value = attribute.Next();
      if (!attribute.finished()) {
        return false;
      }
      visit(id, value);
    }
    if (!set.finished()) {
      return false;
    }
  }
  return names.finished() && outer.finished();
}

// Valid UTF-8 without control characters.
bool IsPlainText(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const unsigned lead = Octet(text[i]);
    const std::size_t length = lead < 0x80    ? 1
                               : lead < 0xc2  ? 0
                               : lead < 0xe0  ? 2
                               : lead < 0xf0  ? 3
                               : lead <= 0xf4 ? 4
                                              : 0;
    if (length == 0 || i + length > text.size()) {
      return false;
    }
    std::uint32_t point = length == 1 ? lead : lead & (0x7fU >> length);
    for (std::size_t k = 1; k < length; ++k) {
      if ((Octet(text[i + k]) & 0xc0) != 0x80) {
        return false;
      }
      point = point << 6 | (Octet(text[i + k]) & 0x3f);
    }
    const bool too_long = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
    const bool surrogate = point >= 0xd800 && point <= 0xdfff;
    const bool control = point < 0x20 || (point >= 0x7f && point < 0xa0);
    if (too_long || surrogate || point > 0x10ffff || control) {
      return false;
    }
    i += length;
  }
  return true;
}

}  // namespace

std::string ObjectIdText(std::string_view object_id) {
  std::string text;
  std::uint64_t value = 0;
  bool first = true;
  for (const char octet : object_id) {
    if (value >> 50 != 0) {
      return "?";
    }
    value = value << 7 | (Octet(octet) & 0x7f);
    if ((Octet(octet) & 0x80) != 0) {
      continue;
    }
    if (first) {
      const std::uint64_t top = std::min<std::uint64_t>(value / 40, 2);
      text += std::to_string(top);
      value -= top * 40;
      first = false;
    }
    text += '.';
    text += std::to_string(value);
    value = 0;
  }
  return text.empty() ? "?" : text;
}

std::string X509NameText(std::string_view name, std::size_t size_max) {
  constexpr std::string_view kCut = "...";
  std::string text;
  const bool whole = ForEachAttribute(name, [&](std::string_view id, const DerItem& value) {
    const auto* const known =
        std::find_if(kAttributeNames.begin(), kAttributeNames.end(),
                     [&](const AttributeName& attribute) { return attribute.object_id == id; });
    std::string part(known != kAttributeNames.end() ? known->text : ObjectIdText(id));
    part += '=';
    // A hostile name may have 60,000 octets: no more of it is looked at than is shown.
    AppendEscaped(std::string_view(ValueText(value)).substr(0, size_max), part);
    if (!text.empty()) {
      part += ", ";
    }
    text.insert(0, part);
    // What is shown is the front, which was written last in the certificate.
    text.resize(std::min(text.size(), 4 * size_max));
  });
  if (!whole) {
    return "(malformed)";
  }
  if (text.size() > size_max) {
    text.resize(size_max - kCut.size());
    text += kCut;
  }
  return text;
}

std::string X509CommonName(std::string_view name) {
  std::string common_name;
  int count = 0;
  const bool whole = ForEachAttribute(name, [&](std::string_view id, const DerItem& value) {
    if (id == kCommonName && ++count == 1) {
      common_name = ValueText(value);
    }
  });
  constexpr std::size_t kSizeMax = 255;  // more than any host name has
  if (!whole || count != 1 || common_name.size() > kSizeMax || !IsPlainText(common_name)) {
    return {};
  }
  return common_name;
}

bool X509NameHas(std::string_view name, std::string_view object_id) {
  bool has = false;
  const bool whole =
      ForEachAttribute(name, [&](std::string_view id, const DerItem&) { has |= id == object_id; });
  return has || !whole;
}

std::string CleanDnsName(std::string_view text) {
  constexpr std::size_t kNameMax = 253;
  constexpr std::size_t kLabelMax = 63;
  std::string name;
  std::size_t label = 0;  // octets of the one at hand
  int dots = 0;
  bool numeric = true;  // the label at hand
  const bool wildcard = text.starts_with("*.");
  if (text.empty() || text.size() > kNameMax) {
    return {};
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '.') {
      if (label == 0 || i + 1 == text.size()) {
        return {};
      }
      ++dots;
      label = 0;
      numeric = true;
    } else {
      if (c >= 'A' && c <= 'Z') {
        c = static_cast<char>(c - 'A' + 'a');
      }
      const bool digit = c >= '0' && c <= '9';
      const bool allowed = (c >= 'a' && c <= 'z') || digit || c == '-' || c == '_' ||
                           (c == '*' && i == 0 && wildcard);
      if (!allowed || ++label > kLabelMax) {
        return {};
      }
      numeric &= digit;
    }
    name += c;
  }
  // An address is never a dNSName; nobody has a certificate for a whole top-level domain
  // (PROTOCOL 44).
  return numeric || (wildcard && dots < 2) ? std::string() : name;
}

std::vector<std::string> X509DnsNames(const X509View& certificate) {
  std::vector<std::string> names;
  DerReader reader(certificate.alternative_names);
  while (reader.ok() && !reader.empty()) {
    if (const DerItem name = reader.Next(); name.tag == DerContext(2)) {
      if (std::string clean = CleanDnsName(name.content); !clean.empty()) {
        names.push_back(std::move(clean));
      }
    }
  }
  return names;
}

bool X509HasDnsNames(const X509View& certificate) {
  DerReader reader(certificate.alternative_names);
  while (reader.ok() && !reader.empty()) {
    if (reader.Next().tag == DerContext(2)) {
      return true;
    }
  }
  return false;
}

std::vector<std::string> X509Addresses(const X509View& certificate) {
  constexpr std::size_t kIpv4Octets = 4;
  constexpr std::size_t kIpv6Octets = 16;
  std::vector<std::string> addresses;
  DerReader reader(certificate.alternative_names);
  while (reader.ok() && !reader.empty()) {
    const DerItem name = reader.Next();
    if (name.tag == DerContext(7) &&
        (name.content.size() == kIpv4Octets || name.content.size() == kIpv6Octets)) {
      addresses.emplace_back(name.content);
    }
  }
  return addresses;
}

std::string X509CommonHostName(const X509View& certificate) {
  return X509HasDnsNames(certificate) ? std::string()
                                      : CleanDnsName(X509CommonName(certificate.subject));
}

}  // namespace ringpost
