// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/outcome.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace ringpost {
namespace {

TEST(OutcomeTest, EachReasonHasItsOwnPlainName) {
  std::set<std::string_view> names;
  for (int i = 0; i < kCloseReasonCount; ++i) {
    const std::string_view name = CloseReasonName(static_cast<CloseReason>(i));
    EXPECT_TRUE(names.insert(name).second) << name << " is used twice";
    EXPECT_FALSE(name.empty());
    // Metric labels and log fields use it as it is.
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"),
              std::string_view::npos)
        << name;
    EXPECT_EQ(name.find("unknown"), std::string_view::npos);
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(kCloseReasonCount));
}

TEST(OutcomeDeathTest, TheSetIsClosed) {
  EXPECT_DEATH((void)CloseReasonName(static_cast<CloseReason>(kCloseReasonCount)), "closed set");
}

}  // namespace
}  // namespace ringpost
