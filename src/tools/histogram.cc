// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace ringpost {

void Histogram::Add(std::int64_t value) {
  value = std::max<std::int64_t>(value, 0);
  ++buckets_[IndexOf(value)];
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = std::max(max_, value);
  sum_ += static_cast<double>(value);
  ++count_;
}

void Histogram::Clear() {
  std::fill(buckets_.begin(), buckets_.end(), 0);
  count_ = 0;
  min_ = max_ = 0;
  sum_ = 0;
}

double Histogram::mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

std::int64_t Histogram::Percentile(double percent) const {
  if (count_ == 0) {
    return 0;
  }
  const double exact = percent / 100 * static_cast<double>(count_);
  // The multiplication may come out a hair above a whole number; that must not move the rank.
  const auto rank = static_cast<std::uint64_t>(std::ceil(exact - 1e-9 * exact));
  const std::uint64_t wanted = std::clamp<std::uint64_t>(rank, 1, count_);
  if (wanted == count_) {
    return max_;
  }
  std::uint64_t seen = 0;
  std::size_t index = 0;
  for (; index < kBuckets; ++index) {
    seen += buckets_[index];
    if (seen >= wanted) {
      break;
    }
  }
  return std::clamp(MiddleOf(index), min_, max_);
}

// Values below 2 * kSub have a bucket of their own; above, `shift` low bits are dropped so that
// kSubBits + 1 significant bits remain.
std::size_t Histogram::IndexOf(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  const auto width = static_cast<int>(std::bit_width(bits));
  if (width > kValueBits) {
    return kBuckets - 1;
  }
  const int shift = std::max(width - (kSubBits + 1), 0);
  return static_cast<std::size_t>(shift) * kSub + static_cast<std::size_t>(bits >> shift);
}

std::int64_t Histogram::MiddleOf(std::size_t index) {
  if (index < 2 * kSub) {
    return static_cast<std::int64_t>(index);
  }
  const std::size_t shift = index / kSub - 1;
  const std::size_t low = (index - shift * kSub) << shift;
  return static_cast<std::int64_t>(low + ((std::size_t{1} << shift) - 1) / 2);
}

}  // namespace ringpost
