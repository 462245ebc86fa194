// SPDX-License-Identifier: GPL-3.0-or-later
#include "without_dns_constraints.h"

#include "ringpost/base/der.h"

namespace ringpost {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kNameConstraints = "\x55\x1d\x1e"sv;
constexpr unsigned kDnsName = DerContext(2);

// GeneralSubtrees, of which at least one must stay; empty: none did.
std::string WithoutDnsSubtrees(const DerItem& list) {
  std::string kept;
  DerReader reader(list.content);
  while (reader.ok() && !reader.empty()) {
    const DerItem subtree = reader.Next();
    if (DerReader(subtree.content).PeekTag() != kDnsName) {
      kept += subtree.whole;
    }
  }
  return kept.empty() ? kept : DerItemOf(list.tag, kept);
}

// An Extension, whole; empty if nothing is left of it.
std::string WithoutDnsSubtreesInExtension(std::string_view extension) {
  DerReader fields(DerReader(extension).Next().content);
  std::string kept(fields.Take(kDerObjectId).whole);
  kept += fields.TakeIf(kDerBoolean).whole;
  DerReader value(fields.Take(kDerOctetString).content);
  DerReader lists(value.Take(kDerSequence).content);
  std::string constraints;
  while (lists.ok() && !lists.empty()) {
    constraints += WithoutDnsSubtrees(lists.Next());
  }
  if (constraints.empty()) {
    return {};
  }
  kept += DerItemOf(kDerOctetString, DerItemOf(kDerSequence, constraints));
  return DerItemOf(kDerSequence, kept);
}

// What [3] of a TBSCertificate holds; empty: no extension is left.
std::string WithoutDnsSubtreesInExtensions(std::string_view content) {
  std::string kept;
  DerReader list(DerReader(content).Next().content);
  while (list.ok() && !list.empty()) {
    const std::string_view extension = list.Next().whole;
    DerReader fields(DerReader(extension).Next().content);
    if (fields.Take(kDerObjectId).content == kNameConstraints) {
      kept += WithoutDnsSubtreesInExtension(extension);
    } else {
      kept += extension;
    }
  }
  return kept.empty() ? kept : DerItemOf(kDerSequence, kept);
}

}  // namespace

std::string WithoutDnsConstraints(const X509View& ca) {
  constexpr unsigned kExtensions = DerContextConstructed(3);
  std::string kept;
  DerReader fields(DerReader(ca.signed_part).Next().content);
  while (fields.ok() && !fields.empty()) {
    const DerItem field = fields.Next();
    if (field.tag != kExtensions) {
      kept += field.whole;
    } else if (const std::string inner = WithoutDnsSubtreesInExtensions(field.content);
               !inner.empty()) {
      kept += DerItemOf(kExtensions, inner);
    }
  }
  DerReader outer(DerReader(ca.der).Next().content);
  outer.Take(kDerSequence);  // what was rebuilt
  return DerItemOf(kDerSequence, DerItemOf(kDerSequence, kept).append(outer.rest()));
}

}  // namespace ringpost
