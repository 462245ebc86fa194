// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/session_table.h"

#include <gtest/gtest.h>

#include <memory>

#include "ringpost/base/buffer_pool.h"
#include "session_world.h"

namespace ringpost {
namespace {

// A completion of a session that has ended must never be taken for one of the session that has its
// slot now. The shard waits until nothing is in flight before it gives a slot away; this is the net
// below that.
class SessionTableTest : public testing::Test {
 protected:
  SessionTableTest() {
    listener_.listener = &config_;
    listener_.route = &route_;
    listener_.next_hop = NextHop(&upstream_, nullptr);
  }

  Session& Create() { return table_.Create(&world_.shard(), nullptr, &listener_, -1); }
  static UserData Of(const Session& session, std::uint32_t generation) {
    return {.kind = 0, .leg = UserData::kFront, .slot = session.slot, .generation = generation};
  }

  WorldOptions options_;
  SessionWorld world_{options_};
  ListenerConfig config_;
  RouteConfig route_;
  UpstreamConfig upstream_;
  ListenerRuntime listener_;
  SessionTable table_{1};
};

TEST_F(SessionTableTest, FindsTheSessionOfASlotAndGeneration) {
  Session& first = Create();
  EXPECT_EQ(&table_.Find(Of(first, 0)), &first);
  EXPECT_TRUE(table_.full());
  table_.Destroy(first);
  EXPECT_EQ(table_.size(), 0u);
  Session& second = Create();
  EXPECT_EQ(&table_.Find(Of(second, 1)), &second);
  table_.Destroy(second);
}

TEST_F(SessionTableTest, ACompletionOfAnEarlierSessionIsNotTheNextOnes) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  table_.Destroy(Create());
  Session& second = Create();
  EXPECT_DEATH((void)table_.Find(Of(second, 0)), "CHECK failed");
  table_.Destroy(second);
  EXPECT_DEATH((void)table_.Find(UserData{.kind = 0, .leg = 0, .slot = 0, .generation = 2}),
               "CHECK failed");
}

}  // namespace
}  // namespace ringpost
