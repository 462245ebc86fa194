// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/byte_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>

namespace ringpost {
namespace {

std::string Contents(const ByteQueue& queue) {
  std::array<std::string_view, 4096> pieces;
  const std::size_t count = queue.Pieces(pieces);
  std::string contents;
  for (std::size_t i = 0; i < count; ++i) {
    EXPECT_FALSE(pieces[i].empty()) << "an empty piece";
    contents += pieces[i];
  }
  EXPECT_EQ(contents.size(), queue.size());
  return contents;
}

// A block as a receive hands it over.
void AppendReceived(BufferPool& pool, ByteQueue& queue, std::string_view octets) {
  const BlockId block = pool.Take(BlockSize::kLarge).value();
  std::memcpy(pool.data(block), octets.data(), octets.size());
  queue.AppendBlock(block, octets.size());
}

TEST(ByteQueueTest, AnEmptyQueueOwnsNothing) {
  BufferPool pool(1, 1);
  ByteQueue queue(&pool);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.Front(), "");
  EXPECT_EQ(queue.Linearize(100), Room::kOk);
  ASSERT_EQ(queue.Append(""), Room::kOk);
  EXPECT_EQ(pool.free_count(BlockSize::kSmall), 1u);
  ASSERT_EQ(queue.Append("abc"), Room::kOk);
  EXPECT_EQ(pool.free_count(BlockSize::kSmall), 0u);
  queue.Consume(3);
  EXPECT_EQ(pool.free_count(BlockSize::kSmall), 1u);
}

TEST(ByteQueueTest, AppendIsAllOrNothing) {
  BufferPool pool(1, 1);
  ByteQueue queue(&pool);
  const std::string text(BufferPool::kSmallBytes - 10, 'a');
  ASSERT_EQ(queue.Append(text), Room::kOk);
  ASSERT_EQ(queue.Append("0123456789ABC"), Room::kNoBlocks);
  EXPECT_EQ(Contents(queue), text);
  ASSERT_EQ(queue.Append("0123456789"), Room::kOk);
  EXPECT_EQ(Contents(queue), text + "0123456789");
}

TEST(ByteQueueTest, AppendOfMoreThanASmallBlockTakesALargeOne) {
  BufferPool pool(1, 1);
  ByteQueue queue(&pool);
  const std::string text(BufferPool::kLargeBytes, 'a');
  ASSERT_EQ(queue.Append(text), Room::kOk);
  EXPECT_EQ(pool.free_count(BlockSize::kLarge), 0u);
  EXPECT_EQ(queue.Front(), text);
}

TEST(ByteQueueTest, PrepareAndCommit) {
  BufferPool pool(1, 1);
  ByteQueue queue(&pool);
  const std::span<char> room = queue.PrepareTail(100);
  ASSERT_GE(room.size(), 100u);
  std::memcpy(room.data(), "hello", 5);
  queue.Commit(5);
  EXPECT_EQ(queue.Front(), "hello");

  // Behind the tail there is room: the same block goes on.
  const std::span<char> more = queue.PrepareTail(200);
  EXPECT_EQ(more.data(), room.data() + 5);
  queue.Commit(0);
  EXPECT_EQ(Contents(queue), "hello");

  // More than the rest of the small block: a large one, given back by Commit(0).
  ASSERT_GE(queue.PrepareTail(BufferPool::kLargeBytes).size(), BufferPool::kLargeBytes);
  EXPECT_EQ(pool.free_count(BlockSize::kLarge), 0u);
  queue.Commit(0);
  EXPECT_EQ(pool.free_count(BlockSize::kLarge), 1u);
  EXPECT_EQ(Contents(queue), "hello");
  ASSERT_EQ(queue.Append(" world"), Room::kOk);
  EXPECT_EQ(queue.Front(), "hello world");
}

TEST(ByteQueueTest, PrepareTailOnAnEmptyQueueWithCommitOfNothing) {
  BufferPool pool(1, 1);
  ByteQueue queue(&pool);
  ASSERT_FALSE(queue.PrepareTail(1).empty());
  queue.Commit(0);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(pool.free_count(BlockSize::kSmall), 1u);
  ASSERT_FALSE(queue.PrepareTail(0).empty());  // "writable room": at least an octet
  queue.Commit(0);
}

TEST(ByteQueueTest, PrepareTailWithoutBlocksIsEmpty) {
  BufferPool pool(1, 1);
  ByteQueue hog(&pool);
  ASSERT_EQ(hog.Append("x"), Room::kOk);
  ByteQueue queue(&pool);
  EXPECT_TRUE(queue.PrepareTail(1).empty());
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(hog.PrepareTail(BufferPool::kSmallBytes - 1).empty());
  hog.Commit(0);
}

TEST(ByteQueueTest, MoveFrontSharesLongRunsAndCopiesShortOnes) {
  BufferPool pool(4, 4);
  ByteQueue from(&pool);
  ByteQueue to(&pool);
  std::string octets;
  for (int i = 0; i < 10'000; ++i) {
    octets += static_cast<char>('a' + i % 26);
  }
  AppendReceived(pool, from, octets);
  const char* start = from.Front().data();
  from.MoveFront(6'000, to);
  EXPECT_EQ(to.Front().data(), start) << "a long run is moved by reference";
  EXPECT_EQ(pool.free_count(BlockSize::kLarge), 3u);
  EXPECT_EQ(Contents(to), octets.substr(0, 6'000));
  EXPECT_EQ(Contents(from), octets.substr(6'000));

  // Behind the shared part there is no room for `to`: the next octets are `from`'s.
  ASSERT_EQ(to.Append("INJECTED"), Room::kOk);
  EXPECT_EQ(Contents(from), octets.substr(6'000));
  EXPECT_EQ(Contents(to), octets.substr(0, 6'000) + "INJECTED");
  // `from` ends where the block's octets end and may go on in place.
  ASSERT_EQ(from.Append("TAIL"), Room::kOk);
  EXPECT_EQ(from.Front(), octets.substr(6'000) + "TAIL");

  // A short run is copied behind the tail.
  from.MoveFront(100, to);
  EXPECT_EQ(Contents(to), octets.substr(0, 6'000) + "INJECTED" + octets.substr(6'000, 100));
  const std::size_t rest = from.size();
  from.MoveFront(rest, to);
  EXPECT_TRUE(from.empty());
  EXPECT_EQ(Contents(to), octets.substr(0, 6'000) + "INJECTED" + octets.substr(6'000) + "TAIL");
  to.Consume(6'000 + 8 + 100);
  EXPECT_EQ(pool.free_count(BlockSize::kLarge), 3u) << "the block's last owner still holds it";
  to.Clear();
  EXPECT_EQ(pool.free_count(BlockSize::kLarge), 4u);
}

TEST(ByteQueueTest, MoveFrontDoesNotCopyALongRunEvenWhereThereIsRoom) {
  BufferPool pool(2, 1);
  ByteQueue from(&pool);
  ByteQueue to(&pool);
  AppendReceived(pool, to, "250 ok\r\n");
  AppendReceived(pool, from, std::string(4'000, 'x'));
  from.MoveFront(4'000, to);
  EXPECT_EQ(pool.free_count(BlockSize::kLarge), 0u);
  EXPECT_EQ(Contents(to), "250 ok\r\n" + std::string(4'000, 'x'));
}

TEST(ByteQueueTest, AppendingBehindOctetsBeingSentLeavesThemInPlace) {
  BufferPool pool(2, 2);
  ByteQueue queue(&pool);
  ASSERT_EQ(queue.Append("220 being sent\r\n"), Room::kOk);
  const std::string_view pinned = queue.Front();
  for (int i = 0; i < 500; ++i) {
    if (queue.Append("250 behind it\r\n") == Room::kNoBlocks) {
      break;
    }
  }
  EXPECT_EQ(pinned, "220 being sent\r\n");
  EXPECT_EQ(queue.Front().data(), pinned.data());
}

TEST(ByteQueueTest, LinearizeAcrossBlocks) {
  BufferPool pool(4, 1);
  ByteQueue queue(&pool);
  AppendReceived(pool, queue, std::string(1'000, 'a'));
  AppendReceived(pool, queue, std::string(1'000, 'b'));
  AppendReceived(pool, queue, std::string(1'000, 'c'));
  const std::string all = Contents(queue);
  ASSERT_LT(queue.Front().size(), 1'500u);
  ASSERT_EQ(queue.Linearize(1'500), Room::kOk);
  EXPECT_EQ(queue.Front().size(), 1'500u);
  EXPECT_EQ(Contents(queue), all);
  // The small block is taken: 2,048 octets and fewer cannot be had, more can.
  ASSERT_EQ(queue.Linearize(2'048), Room::kNoBlocks);
  EXPECT_EQ(Contents(queue), all);
  ASSERT_EQ(queue.Linearize(BufferPool::kLargeBytes), Room::kOk);
  EXPECT_EQ(queue.Front(), all);
  ASSERT_EQ(queue.Append("behind"), Room::kOk);
  EXPECT_EQ(queue.Front(), all + "behind");
}

TEST(ByteQueueTest, CompactFreesTheLargeBlock) {
  BufferPool pool(2, 1);
  ByteQueue queue(&pool);
  AppendReceived(pool, queue, std::string(5'000, 'x') + "EHLO mail.exam");
  queue.Compact();  // too long: nothing happens
  EXPECT_EQ(pool.free_count(BlockSize::kLarge), 1u);
  queue.Consume(5'000);
  queue.Compact();
  EXPECT_EQ(pool.free_count(BlockSize::kLarge), 2u);
  EXPECT_EQ(pool.free_count(BlockSize::kSmall), 0u);
  EXPECT_EQ(Contents(queue), "EHLO mail.exam");
  ASSERT_EQ(queue.Append("ple\r\n"), Room::kOk);
  EXPECT_EQ(queue.Front(), "EHLO mail.example\r\n");
  queue.Compact();  // is small already
  EXPECT_EQ(queue.Front(), "EHLO mail.example\r\n");
}

TEST(ByteQueueTest, CompactWithoutASmallBlockDoesNothing) {
  BufferPool pool(1, 1);
  ByteQueue hog(&pool);
  ASSERT_EQ(hog.Append("x"), Room::kOk);
  ByteQueue queue(&pool);
  AppendReceived(pool, queue, "abc");
  queue.Compact();
  EXPECT_EQ(Contents(queue), "abc");
}

TEST(ByteQueueTest, WipeLeavesZerosAndOnlyWhereItsOctetsWere) {
  BufferPool pool(1, 1);
  ByteQueue secret(&pool);
  ByteQueue other(&pool);
  AppendReceived(pool, secret, std::string(4'000, 's') + std::string(4'000, 'k'));
  secret.MoveFront(4'000, other);
  const char* memory = secret.Front().data();
  secret.Wipe();
  EXPECT_TRUE(secret.empty());
  EXPECT_EQ(std::count(memory, memory + 4'000, '\0'), 4'000);  // `other` still holds the block
  EXPECT_EQ(Contents(other), std::string(4'000, 's'));
}

TEST(ByteQueueDeathTest, ConsumingMoreThanThereIsStopsTheProgram) {
  EXPECT_DEATH(
      {
        BufferPool pool(1, 1);
        ByteQueue queue(&pool);
        (void)queue.Append("abc");
        queue.Consume(4);
      },
      "CHECK failed: n <= size_");
}

}  // namespace
}  // namespace ringpost
