// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef RINGPOST_INCLUDE_PRECOMPILED_H_
#define RINGPOST_INCLUDE_PRECOMPILED_H_

// What the layers with Abseil take longest to read: read once per layer instead of once per file.
// Only headers of the system, so that no edit of ours has them read again. A file still includes
// what it uses: the builds in which warnings are errors do without this one (meson.build).

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#endif  // RINGPOST_INCLUDE_PRECOMPILED_H_
