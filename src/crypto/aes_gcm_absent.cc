// SPDX-License-Identifier: GPL-3.0-or-later
//
// In place of aes_gcm.cc where there is no intel-ipsec-mb.
#include "ringpost/crypto/aes_gcm.h"

namespace ringpost {

bool AesGcmAvailable() { return false; }

bool AesGcmSeal(const GcmCall& /*call*/, unsigned char* /*tag*/) { return false; }

GcmOpened AesGcmOpen(const GcmCall& /*call*/, const unsigned char* /*tag*/) {
  return GcmOpened::kUnsupported;
}

GcmOpened AesGcmOpenPieces(const GcmCall& /*call*/, std::span<const std::string_view> /*pieces*/,
                           std::span<unsigned char> /*first*/, std::span<unsigned char> /*rest*/,
                           const unsigned char* /*tag*/) {
  return GcmOpened::kUnsupported;
}

}  // namespace ringpost
