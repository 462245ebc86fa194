// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/sip_hash.h"

#include <sys/random.h>

#include "ringpost/base/check.h"

namespace ringpost {

SipHash::Key SipHash::RandomKey() {
  Key key;
  RINGPOST_CHECK(getrandom(key.data(), sizeof key, 0) == static_cast<ssize_t>(sizeof key));
  return key;
}

}  // namespace ringpost
