// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/policy_fault.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace ringpost {
namespace {

TEST(PolicyFault, EachHasItsOwnNameAndAPhraseForAReply) {
  std::set<std::string_view> names;
  std::set<std::string_view> phrases;
  for (std::size_t i = 0; i < kPolicyFaultCount; ++i) {
    const auto fault = static_cast<PolicyFault>(i);
    const std::string_view name = PolicyFaultName(fault);
    const std::string_view phrase = PolicyFaultPhrase(fault);
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_TRUE(phrases.insert(phrase).second) << phrase;
    for (const char c : name) EXPECT_TRUE((c >= 'a' && c <= 'z') || c == '-') << name;
    for (const char c : phrase) EXPECT_TRUE(c >= ' ' && c <= '~') << phrase;
    ASSERT_FALSE(phrase.empty());
    EXPECT_TRUE(phrase.front() >= 'a' && phrase.front() <= 'z') << phrase;
    EXPECT_NE(phrase.back(), '.');
  }
  EXPECT_EQ(PolicyFaultName(PolicyFault::kNone), "none");
  EXPECT_EQ(PolicyFaultName(PolicyFault::kNoTls), "no-tls");
  EXPECT_EQ(PolicyFaultName(PolicyFault::kWrongNetwork), "wrong-network");
  EXPECT_EQ(PolicyFaultPhrase(PolicyFault::kExpired), "client certificate has expired");
}

}  // namespace
}  // namespace ringpost
