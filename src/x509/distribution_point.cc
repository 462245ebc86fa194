// SPDX-License-Identifier: GPL-3.0-or-later
#include "distribution_point.h"

#include "ringpost/base/der.h"

namespace ringpost {
namespace {

// Of a DistributionPointName, which is a choice.
constexpr unsigned kFullName = DerContextConstructed(0);
constexpr unsigned kNameRelativeToIssuer = DerContextConstructed(1);

// The choice within [0]; an empty item: malformed.
DerItem ReadPointName(std::string_view content) {
  DerReader reader(content);
  const DerItem choice = reader.Next();
  const bool known = choice.tag == kFullName || choice.tag == kNameRelativeToIssuer;
  return reader.finished() && known && !choice.content.empty() ? choice : DerItem{};
}

// RFC 5280 5.2.5: a CA writes a point's name in the same octets in its certificates and its lists.
bool ShareName(const DerItem& left, const DerItem& right) {
  if (left.tag != right.tag) {
    return false;
  }
  if (left.tag == kNameRelativeToIssuer) {
    return left.content == right.content;
  }
  constexpr int kPairsMax = 4096;  // real points have one or two names
  int pairs = 0;
  DerReader names(left.content);
  while (names.ok() && !names.empty()) {
    const DerItem name = names.Next();
    DerReader others(right.content);
    while (others.ok() && !others.empty() && ++pairs <= kPairsMax) {
      if (name.tag != 0 && name.whole == others.Next().whole) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

std::optional<IssuingDistributionPoint> ReadIssuingDistributionPoint(std::string_view value) {
  IssuingDistributionPoint point;
  point.whole = value;
  DerReader outer(value);
  DerReader fields(outer.Take(kDerSequence).content);
  if (const DerItem name = fields.TakeIf(DerContextConstructed(0)); name.tag != 0) {
    point.name = ReadPointName(name.content).whole;
    if (point.name.empty()) {
      return std::nullopt;
    }
  }
  bool booleans_are_good = true;
  const auto read_boolean = [&](unsigned number, bool& flag) {
    if (const DerItem item = fields.TakeIf(DerContext(number)); item.tag != 0) {
      const std::optional<bool> read = DerBoolean(item.content);
      booleans_are_good &= read.has_value();
      flag = read.value_or(false);
    }
  };
  read_boolean(1, point.only_user_certificates);
  read_boolean(2, point.only_ca_certificates);
  point.only_some_reasons = fields.TakeIf(DerContext(3)).tag != 0;
  read_boolean(4, point.indirect);
  read_boolean(5, point.only_attribute_certificates);
  // RFC 5280 5.2.5: at most one of the three.
  const int kinds = static_cast<int>(point.only_user_certificates) +
                    static_cast<int>(point.only_ca_certificates) +
                    static_cast<int>(point.only_attribute_certificates);
  if (!fields.finished() || !outer.finished() || !booleans_are_good || kinds > 1) {
    return std::nullopt;
  }
  return point;
}

bool IsAmongDistributionPoints(std::string_view name, std::string_view points) {
  const DerItem wanted = DerReader(name).Next();
  DerReader outer(points);
  DerReader list(outer.Take(kDerSequence).content);
  while (list.ok() && !list.empty()) {
    DerReader fields(list.Take(kDerSequence).content);
    const DerItem point = fields.TakeIf(DerContextConstructed(0));
    // What may follow, reasons and a list's issuer, narrows the point down or leads elsewhere.
    if (point.tag != 0 && fields.finished() && ShareName(wanted, ReadPointName(point.content))) {
      return true;
    }
  }
  return false;
}

}  // namespace ringpost
