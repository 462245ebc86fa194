// SPDX-License-Identifier: GPL-3.0-or-later
#include "name_constraints.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ringpost {
namespace {

using namespace std::string_view_literals;

// GeneralName, RFC 5280 4.2.1.6.
constexpr unsigned kRfc822Name = DerContext(1);
constexpr unsigned kDnsName = DerContext(2);
constexpr unsigned kDirectoryName = DerContextConstructed(4);
constexpr unsigned kIpAddress = DerContext(7);

constexpr std::string_view kEmailAddress = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"sv;

enum class Side : std::uint8_t { kPermitted, kExcluded };

struct Name {
  unsigned tag = 0;
  std::string content;  // host names in lower case; directory names as content of their sequence
};

using Names = std::vector<Name>;

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') {
      c = static_cast<char>(c - 'A' + 'a');
    }
  }
  return lower;
}

// nullopt: broken.
std::optional<Name> ReadName(const DerItem& item) {
  switch (item.tag) {
    case kDnsName:
      return Name{item.tag, LowerCase(item.content)};
    case kDirectoryName: {
      DerReader reader(item.content);
      const std::string_view content = reader.Take(kDerSequence).content;
      return reader.finished() ? std::optional<Name>({item.tag, std::string(content)})
                               : std::nullopt;
    }
    default:
      return Name{item.tag, std::string(item.content)};
  }
}

std::optional<Names> NamesOf(const X509View& certificate, CommonName common_name) {
  Names names;
  DerReader subject(certificate.subject);
  if (const std::string_view content = subject.Take(kDerSequence).content; !content.empty()) {
    names.push_back({kDirectoryName, std::string(content)});
  }
  if (X509NameHas(certificate.subject, kEmailAddress)) {
    names.push_back({kRfc822Name, {}});
  }
  if (common_name == CommonName::kMayBeHostName) {
    if (std::string name = X509CommonHostName(certificate); !name.empty()) {
      names.push_back({kDnsName, std::move(name)});
    }
  }
  DerReader reader(certificate.alternative_names);
  while (reader.ok() && !reader.empty()) {
    std::optional<Name> name = ReadName(reader.Next());
    if (!name.has_value()) {
      return std::nullopt;
    }
    names.push_back(*std::move(name));
  }
  return names;
}

// Is `name` `base` itself or below it? ".example.com" is only what is below.
bool DnsNameWithin(std::string_view name, std::string_view base) {
  if (base.empty()) {
    return true;
  }
  if (base.front() == '.') {
    return name.size() > base.size() && name.ends_with(base);
  }
  return name == base || (name.size() > base.size() && name.ends_with(base) &&
                          name[name.size() - base.size() - 1] == '.');
}

bool AddressWithin(std::string_view address, std::string_view base) {
  if (base.size() != 2 * address.size()) {
    return false;
  }
  for (std::size_t i = 0; i < address.size(); ++i) {
    if (((address[i] ^ base[i]) & base[address.size() + i]) != 0) {
      return false;
    }
  }
  return true;
}

bool Within(const Name& name, const Name& base, Side side) {
  switch (base.tag) {
    case kDnsName:
      // A wildcard is also for names below it that may be excluded.
      return DnsNameWithin(name.content, base.content) ||
             (side == Side::kExcluded && name.content.starts_with("*.") &&
              DnsNameWithin(base.content, std::string_view(name.content).substr(1)));
    case kDirectoryName:
      // Whole parts: both are made of them.
      return name.content.starts_with(base.content);
    case kIpAddress:
      return AddressWithin(name.content, base.content);
    default:
      return side == Side::kExcluded;  // of a kind that is not known: refused
  }
}

std::optional<Names> ReadSubtrees(std::string_view content) {
  constexpr std::size_t kCountMax = 1024;
  Names bases;
  DerReader reader(content);
  while (reader.ok() && !reader.empty() && bases.size() < kCountMax) {
    DerReader subtree(reader.Take(kDerSequence).content);
    std::optional<Name> base = ReadName(subtree.Next());
    // RFC 5280: minimum is zero, which DER leaves out, and maximum is absent.
    if (!base.has_value() || !subtree.finished()) {
      return std::nullopt;
    }
    bases.push_back(*std::move(base));
  }
  return reader.finished() && !bases.empty() ? std::optional<Names>(std::move(bases))
                                             : std::nullopt;
}

bool AnyWithin(const Name& name, const Names& bases, Side side, bool& spoken_of) {
  for (const Name& base : bases) {
    if (base.tag == name.tag) {
      spoken_of = true;
      if (Within(name, base, side)) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

bool NameConstraintsAllow(std::string_view constraints, const X509View& certificate,
                          CommonName common_name) {
  Names permitted;
  Names excluded;
  DerReader reader(constraints);
  if (const DerItem item = reader.TakeIf(DerContextConstructed(0)); item.tag != 0) {
    std::optional<Names> bases = ReadSubtrees(item.content);
    if (!bases.has_value()) {
      return false;
    }
    permitted = *std::move(bases);
  }
  if (const DerItem item = reader.TakeIf(DerContextConstructed(1)); item.tag != 0) {
    std::optional<Names> bases = ReadSubtrees(item.content);
    if (!bases.has_value()) {
      return false;
    }
    excluded = *std::move(bases);
  }
  const std::optional<Names> names = NamesOf(certificate, common_name);
  if (!reader.finished() || !names.has_value()) {
    return false;
  }
  for (const Name& name : *names) {
    bool spoken_of = false;
    if (AnyWithin(name, excluded, Side::kExcluded, spoken_of)) {
      return false;
    }
    spoken_of = false;
    if (!AnyWithin(name, permitted, Side::kPermitted, spoken_of) && spoken_of) {
      return false;
    }
  }
  return true;
}

}  // namespace ringpost
