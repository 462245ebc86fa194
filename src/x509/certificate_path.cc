// SPDX-License-Identifier: GPL-3.0-or-later
#include "certificate_path.h"

#include <algorithm>
#include <limits>
#include <string_view>

#include "name_constraints.h"
#include "ringpost/base/der.h"
#include "ringpost/x509/signature.h"

namespace ringpost {
namespace {

PolicyFault JudgeDates(const X509View& certificate, std::int64_t now) {
  if (now > certificate.not_after) {  // RFC 5280 4.1.2.5: both ends belong to the period
    return PolicyFault::kExpired;
  }
  return now < certificate.not_before ? PolicyFault::kNotYetValid : PolicyFault::kNone;
}

bool MaySign(const X509View& ca, bool trusted) {
  // Before version 3 nothing says who is a CA; a trusted one is what the administrator says.
  const bool is_ca = ca.ca || (trusted && ca.version < 3);
  return is_ca && ca.May(kUsageCertificateSign) && !ca.unknown_critical;
}

// No host's name has a NUL, which one reader may take for its end and another not (PROTOCOL 44).
bool HasNulInHostName(const X509View& certificate) {
  DerReader names(certificate.alternative_names);
  while (names.ok() && !names.empty()) {
    const DerItem name = names.Next();
    if (name.tag == DerContext(2) && name.content.find('\0') != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

PolicyFault JudgeAlone(const X509View& certificate, std::int64_t now) {
  if (const PolicyFault fault = JudgeDates(certificate, now); fault != PolicyFault::kNone) {
    return fault;
  }
  return IsStrongKey(certificate.public_key) && !certificate.unknown_critical &&
                 !HasNulInHostName(certificate)
             ? PolicyFault::kNone
             : PolicyFault::kMalformed;
}

PolicyFault JudgePath(std::span<const X509View* const> path, std::int64_t now) {
  // How many more certificates may follow that are not self-issued, the leaf not counted.
  std::int32_t depth_left = std::numeric_limits<std::int32_t>::max();
  for (std::size_t i = path.size() - 1; i > 0; --i) {
    const X509View& ca = *path[i];
    const bool trusted = i == path.size() - 1;
    if (const PolicyFault fault = JudgeDates(ca, now); fault != PolicyFault::kNone) {
      return fault;
    }
    if (!MaySign(ca, trusted)) {
      return PolicyFault::kInvalidCa;
    }
    if (!trusted && !ca.self_issued()) {  // RFC 5280 6.1.4 (l)
      if (depth_left == 0) {
        return PolicyFault::kInvalidCa;
      }
      --depth_left;
    }
    if (ca.path_length.has_value()) {
      depth_left = std::min(depth_left, *ca.path_length);
    }
    if (!ca.name_constraints.empty()) {
      for (std::size_t below = i; below-- > 0;) {
        // RFC 5280 6.1.3 (b): a self-issued certificate only has them applied if it is the leaf.
        const bool exempt = below > 0 && path[below]->self_issued();
        const CommonName common_name =
            below == 0 ? CommonName::kMayBeHostName : CommonName::kIsNone;
        if (!exempt && !NameConstraintsAllow(ca.name_constraints, *path[below], common_name)) {
          return PolicyFault::kInvalidCa;
        }
      }
    }
  }
  return JudgeAlone(*path[0], now);
}

}  // namespace ringpost
