// SPDX-License-Identifier: GPL-3.0-or-later
//
// A log-linear histogram of durations: 128 buckets per power of two, so that what it reports is
// within 0.4 % of a recorded value, whatever its size. Fixed memory, no allocation after
// construction.
//
// Owner: whoever records; one thread. Invariant: min() and max() are exact, percentiles lie
// between.
#ifndef RINGPOST_TOOLS_HISTOGRAM_H_
#define RINGPOST_TOOLS_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ringpost {

class Histogram {
 public:
  Histogram() : buckets_(kBuckets) {}

  // Nanoseconds, or any other unit. A negative value is counted as 0, one of 2^44 or more (4.9
  // hours) in the last bucket.
  void Add(std::int64_t value);
  void Clear();

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::int64_t min() const { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] std::int64_t max() const { return max_; }
  [[nodiscard]] double mean() const;
  // The value below or at which `percent` (0 < percent <= 100) of all values lie; 0 if there is
  // none.
  [[nodiscard]] std::int64_t Percentile(double percent) const;

 private:
  static constexpr int kSubBits = 7;  // 2^7 buckets per octave: a bucket is at most 1/128 wide
  static constexpr int kValueBits = 44;
  static constexpr std::size_t kSub = std::size_t{1} << kSubBits;
  static constexpr std::size_t kBuckets = (kValueBits - kSubBits + 1) * kSub;

  static std::size_t IndexOf(std::int64_t value);
  static std::int64_t MiddleOf(std::size_t index);

  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::int64_t min_ = 0;
  std::int64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_HISTOGRAM_H_
