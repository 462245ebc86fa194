// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace ringpost {
namespace {

TEST(HistogramTest, EmptyIsAllZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.Percentile(50), 0);
  EXPECT_EQ(histogram.min(), 0);
  EXPECT_EQ(histogram.max(), 0);
  EXPECT_EQ(histogram.mean(), 0);
}

TEST(HistogramTest, SmallValuesAreExact) {
  Histogram histogram;
  for (int value = 1; value <= 100; ++value) {
    histogram.Add(value);
  }
  EXPECT_EQ(histogram.Percentile(50), 50);
  EXPECT_EQ(histogram.Percentile(90), 90);
  EXPECT_EQ(histogram.Percentile(99), 99);
  EXPECT_EQ(histogram.Percentile(99.9), 100);
  EXPECT_EQ(histogram.Percentile(0.001), 1);
  EXPECT_EQ(histogram.mean(), 50.5);
}

// Every bucket's own value, at each power of two and around it.
TEST(HistogramTest, RelativeErrorIsBelowOnePercentEverywhere) {
  for (int bit = 0; bit < 44; ++bit) {
    const std::int64_t power = std::int64_t{1} << bit;
    for (const std::int64_t value :
         {power - 1, power, power + 1, power + power / 3, power + power / 2, 2 * power - 1}) {
      Histogram histogram;
      histogram.Add(value);
      histogram.Add(std::int64_t{1} << 50);  // so that neither clamp hides the bucket
      histogram.Add(0);
      const auto reported = static_cast<double>(histogram.Percentile(60));
      EXPECT_LE(std::abs(reported - static_cast<double>(value)), 0.01 * static_cast<double>(value))
          << value;
    }
  }
}

TEST(HistogramTest, AgreesWithSortedValues) {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> distribution(13, 2);
  Histogram histogram;
  std::vector<std::int64_t> values;
  for (int i = 0; i < 20000; ++i) {
    values.push_back(static_cast<std::int64_t>(distribution(random)));
    histogram.Add(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double percent : {1.0, 10.0, 50.0, 90.0, 99.0, 99.9}) {
    const auto rank = static_cast<std::size_t>(std::ceil(percent / 100 * 20000));
    const auto exact = static_cast<double>(values[rank - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.Percentile(percent)), exact, 0.01 * exact) << percent;
  }
  EXPECT_EQ(histogram.min(), values.front());
  EXPECT_EQ(histogram.max(), values.back());
  EXPECT_EQ(histogram.Percentile(100), values.back());
}

TEST(HistogramTest, OutOfRangeIsCountedAtTheEnds) {
  Histogram histogram;
  histogram.Add(-5);
  histogram.Add(std::int64_t{1} << 60);
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.Percentile(50), 0);
  EXPECT_EQ(histogram.max(), std::int64_t{1} << 60);
}

TEST(HistogramTest, ClearForgets) {
  Histogram histogram;
  histogram.Add(7);
  histogram.Clear();
  EXPECT_EQ(histogram.count(), 0u);
  histogram.Add(9);
  EXPECT_EQ(histogram.min(), 9);
  EXPECT_EQ(histogram.max(), 9);
  EXPECT_EQ(histogram.mean(), 9);
}

}  // namespace
}  // namespace ringpost
