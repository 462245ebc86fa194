// SPDX-License-Identifier: GPL-3.0-or-later
//
// Judges a finished path of certificates (RFC 5280 6.1) except for its signatures and revocations:
// who may sign for whom, how deep, for which names, and when. Stateless.
#ifndef RINGPOST_SRC_X509_CERTIFICATE_PATH_H_
#define RINGPOST_SRC_X509_CERTIFICATE_PATH_H_

#include <cstdint>
#include <span>

#include "ringpost/base/policy_fault.h"
#include "ringpost/x509/x509.h"

namespace ringpost {

// kNone, or the first thing that is wrong, seen from the CA. `path` has the leaf first and the
// trusted CA last, and at least two members. A CA that is past its time signs for nobody, trusted
// or not.
[[nodiscard]] PolicyFault JudgePath(std::span<const X509View* const> path, std::int64_t now);

// Dates and key of one certificate.
[[nodiscard]] PolicyFault JudgeAlone(const X509View& certificate, std::int64_t now);

}  // namespace ringpost

#endif  // RINGPOST_SRC_X509_CERTIFICATE_PATH_H_
