// SPDX-License-Identifier: GPL-3.0-or-later
//
// Several queues over one tiny pool against one std::string each. The pool is small enough to run
// dry in every case, so that each "no blocks" path is taken thousands of times. BASE_SEED=n runs
// one seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "ringpost/base/buffer_pool.h"
#include "ringpost/base/byte_queue.h"

namespace ringpost {
namespace {

constexpr std::size_t kQueues = 4;
constexpr int kSteps = 4'000;
constexpr std::uint64_t kSeeds = 40;

struct Counts {
  int no_blocks = 0;
  int shared = 0;
  int appended_in_place = 0;
};

class Model {
 public:
  Model(std::uint64_t seed, Counts* counts)
      : random_(seed), counts_(counts), pool_(1 + Draw(4), 1 + Draw(4)) {}

  void Run() {
    for (int step = 0; step < kSteps && !testing::Test::HasFailure(); ++step) {
      Step(Draw(kQueues));
      for (std::size_t i = 0; i < kQueues; ++i) {
        Compare(i, step);
      }
    }
    for (ByteQueue& queue : queues_) {
      queue.Clear();
    }
    EXPECT_EQ(pool_.free_count(BlockSize::kLarge), pool_.total_count(BlockSize::kLarge));
    EXPECT_EQ(pool_.free_count(BlockSize::kSmall), pool_.total_count(BlockSize::kSmall));
  }

 private:
  std::size_t Draw(std::size_t n) { return random_() % n; }

  // Lengths around every boundary the queue knows.
  std::size_t DrawLength() {
    switch (Draw(6)) {
      case 0:
        return Draw(4);
      case 1:
        return 510 + Draw(5);
      case 2:
        return BufferPool::kSmallBytes - 2 + Draw(5);
      case 3:
        return BufferPool::kLargeBytes - Draw(3);
      case 4:
        return Draw(BufferPool::kLargeBytes);
      default:
        return Draw(300);
    }
  }

  std::string DrawText(std::size_t length) {
    std::string text(length, '\0');
    const char first = static_cast<char>('A' + Draw(26));
    for (std::size_t i = 0; i < length; ++i) {
      text[i] = static_cast<char>(first + static_cast<char>(i % 32));
    }
    return text;
  }

  void Step(std::size_t at) {
    ByteQueue& queue = queues_[at];
    std::string& model = models_[at];
    switch (Draw(10)) {
      case 0: {
        const std::string text = DrawText(DrawLength());
        if (queue.Append(text) == Room::kOk) {
          model += text;
        } else {
          ++counts_->no_blocks;
        }
        break;
      }
      case 1: {
        const std::optional<BlockId> block =
            pool_.Take(Draw(2) == 0 ? BlockSize::kLarge : BlockSize::kSmall);
        if (!block) {
          ++counts_->no_blocks;
          break;
        }
        const std::string text =
            DrawText(std::clamp<std::size_t>(DrawLength(), 1, pool_.capacity(*block)));
        std::memcpy(pool_.data(*block), text.data(), text.size());
        queue.AppendBlock(*block, text.size());
        model += text;
        break;
      }
      case 2:
      case 3: {
        const std::size_t target = (at + 1 + Draw(kQueues - 1)) % kQueues;
        const std::size_t n = std::min(DrawLength(), model.size());
        const std::size_t free_before = pool_.free_count(BlockSize::kLarge);
        queue.MoveFront(n, queues_[target]);
        models_[target] += model.substr(0, n);
        model.erase(0, n);
        counts_->shared +=
            n > 512 && !model.empty() && pool_.free_count(BlockSize::kLarge) == free_before ? 1 : 0;
        break;
      }
      case 4: {
        const std::size_t minimum = std::max<std::size_t>(1, DrawLength());
        const char* end = queue.empty() ? nullptr : End(queue);
        const std::span<char> room = queue.PrepareTail(minimum);
        if (room.empty()) {
          ++counts_->no_blocks;
          break;
        }
        ASSERT_GE(room.size(), minimum);
        counts_->appended_in_place += room.data() == end ? 1 : 0;
        const std::string text = Draw(4) == 0 ? "" : DrawText(1 + Draw(room.size()));
        // The whole room is the queue's to scribble in, whatever it commits.
        std::memset(room.data(), '#', room.size());
        std::memcpy(room.data(), text.data(), text.size());
        queue.Commit(text.size());
        model += text;
        break;
      }
      case 5: {
        const std::size_t n = DrawLength();
        if (queue.Linearize(n) == Room::kOk) {
          ASSERT_GE(queue.Front().size(), std::min(n, model.size()));
        } else {
          ++counts_->no_blocks;
        }
        break;
      }
      case 6:
        queue.Compact();
        break;
      case 7:
        if (Draw(20) == 0) {
          Draw(2) == 0 ? queue.Clear() : queue.Wipe();
          model.clear();
        }
        break;
      default: {
        const std::size_t n = std::min(DrawLength(), model.size());
        queue.Consume(n);
        model.erase(0, n);
      }
    }
  }

  static const char* End(const ByteQueue& queue) {
    std::array<std::string_view, 4096> pieces;
    const std::size_t count = queue.Pieces(pieces);
    return pieces[count - 1].data() + pieces[count - 1].size();
  }

  void Compare(std::size_t at, int step) {
    const ByteQueue& queue = queues_[at];
    const std::string& model = models_[at];
    ASSERT_EQ(queue.size(), model.size()) << "queue " << at << ", step " << step;
    std::array<std::string_view, 4096> pieces;
    const std::size_t count = queue.Pieces(pieces);
    std::size_t position = 0;
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_FALSE(pieces[i].empty());
      ASSERT_TRUE(model.compare(position, pieces[i].size(), pieces[i]) == 0)
          << "queue " << at << ", step " << step << ", piece " << i;
      position += pieces[i].size();
    }
    ASSERT_EQ(position, model.size());
  }

  std::mt19937_64 random_;
  Counts* counts_;
  BufferPool pool_;
  std::array<ByteQueue, kQueues> queues_{ByteQueue(&pool_), ByteQueue(&pool_), ByteQueue(&pool_),
                                         ByteQueue(&pool_)};
  std::array<std::string, kQueues> models_;
};

TEST(ByteQueueModelTest, BehavesLikeStrings) {
  std::uint64_t first = 1;
  std::uint64_t last = kSeeds;
  if (const char* text = std::getenv("BASE_SEED")) {
    first = last = std::strtoull(text, nullptr, 10);
  }
  Counts counts;
  for (std::uint64_t seed = first; seed <= last && !HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "replay with BASE_SEED=" << seed);
    Model(seed, &counts).Run();
  }
  // The test reaches what it is for.
  EXPECT_GT(counts.no_blocks, 100);
  EXPECT_GT(counts.shared, 100);
  EXPECT_GT(counts.appended_in_place, 100);
}

}  // namespace
}  // namespace ringpost
