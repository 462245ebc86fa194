// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/buffer_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <vector>

namespace ringpost {
namespace {

TEST(BufferPoolTest, GivesEachBlockOnceAndThenNone) {
  BufferPool pool(3, 5);
  std::set<BlockId> seen;
  for (const auto& [size, count, bytes] :
       {std::tuple{BlockSize::kLarge, 3u, BufferPool::kLargeBytes},
        std::tuple{BlockSize::kSmall, 5u, BufferPool::kSmallBytes}}) {
    for (unsigned i = 0; i < count; ++i) {
      EXPECT_EQ(pool.free_count(size), count - i);
      const std::optional<BlockId> block = pool.Take(size);
      ASSERT_TRUE(block.has_value());
      EXPECT_TRUE(seen.insert(*block).second);
      EXPECT_EQ(pool.capacity(*block), bytes);
      EXPECT_EQ(pool.used(*block), 0u);
    }
    EXPECT_FALSE(pool.Take(size).has_value());
    EXPECT_EQ(pool.total_count(size), count);
  }
  for (const BlockId block : seen) {
    pool.Release(block);
  }
  EXPECT_EQ(pool.free_count(BlockSize::kLarge), 3u);
  EXPECT_EQ(pool.free_count(BlockSize::kSmall), 5u);
}

TEST(BufferPoolTest, BlocksDoNotOverlap) {
  BufferPool pool(4, 4);
  std::vector<BlockId> blocks;
  for (const BlockSize size : {BlockSize::kLarge, BlockSize::kSmall}) {
    while (const std::optional<BlockId> block = pool.Take(size)) {
      std::memset(pool.data(*block), static_cast<int>(*block + 1), pool.capacity(*block));
      blocks.push_back(*block);
    }
  }
  ASSERT_EQ(blocks.size(), 8u);
  for (const BlockId block : blocks) {
    for (std::size_t i = 0; i < pool.capacity(block); ++i) {
      ASSERT_EQ(std::to_integer<unsigned>(pool.data(block)[i]), block + 1) << i;
    }
    pool.Release(block);
  }
}

TEST(BufferPoolTest, OnlyTheLastReferenceFrees) {
  BufferPool pool(1, 1);
  const std::optional<BlockId> block = pool.Take(BlockSize::kLarge);
  ASSERT_TRUE(block.has_value());
  pool.AddReference(*block);
  pool.Release(*block);
  EXPECT_EQ(pool.free_count(BlockSize::kLarge), 0u);
  pool.Release(*block);
  EXPECT_EQ(pool.free_count(BlockSize::kLarge), 1u);
}

TEST(BufferPoolTest, TheMostRecentlyFreedComesFirstAndClean) {
  BufferPool pool(3, 1);
  const BlockId first = pool.Take(BlockSize::kLarge).value();
  const BlockId second = pool.Take(BlockSize::kLarge).value();
  pool.set_used(first, BufferPool::kLargeBytes);
  EXPECT_EQ(pool.used(first), BufferPool::kLargeBytes);
  pool.Release(first);
  EXPECT_EQ(pool.Take(BlockSize::kLarge), first);
  EXPECT_EQ(pool.used(first), 0u);
  pool.Release(first);
  pool.Release(second);
}

TEST(BufferPoolTest, SlicesAreReused) {
  BufferPool pool(1, 1);
  const std::uint32_t first = pool.TakeSlice();
  const std::uint32_t second = pool.TakeSlice();
  EXPECT_NE(first, second);
  pool.ReleaseSlice(first);
  EXPECT_EQ(pool.TakeSlice(), first);
  pool.ReleaseSlice(first);
  pool.ReleaseSlice(second);
}

TEST(BufferPoolDeathTest, ALeakedBlockStopsTheProgram) {
  EXPECT_DEATH(
      {
        BufferPool pool(1, 1);
        (void)pool.Take(BlockSize::kSmall);
      },
      "CHECK failed: free_small_");
}

TEST(BufferPoolDeathTest, ASecondReleaseStopsTheProgram) {
  EXPECT_DEATH(
      {
        BufferPool pool(1, 1);
        const BlockId block = pool.Take(BlockSize::kLarge).value();
        pool.Release(block);
        pool.Release(block);
      },
      "CHECK failed");
}

}  // namespace
}  // namespace ringpost
