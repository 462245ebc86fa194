// SPDX-License-Identifier: GPL-3.0-or-later
//
// The shard's memory for bytes in transit: a fixed number of large blocks (receives, decrypted
// records, sealed records) and of small ones (replies, commands, the rest of a half-received line).
// Blocks are reference counted so that a slice of a received block can move from queue to queue
// without a copy.
//
// Each block in use is counted for a holder, say all sessions of one client: whoever set_holder()
// named when it was taken, or adopted.
//
// Owner: the shard; one thread. It never grows: running out is a normal day and shows as nullopt.
// Invariant: every block is free, or lent to the ring, or referenced by at least one ByteQueue
// slice.
#ifndef RINGPOST_BASE_BUFFER_POOL_H_
#define RINGPOST_BASE_BUFFER_POOL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ringpost {

using BlockId = std::uint32_t;
inline constexpr BlockId kNoBlock = ~BlockId{0};

enum class BlockSize : std::uint8_t { kLarge, kSmall };

class BufferPool {
 public:
  static constexpr std::size_t kLargeBytes = 16 * 1024;
  static constexpr std::size_t kSmallBytes = 2 * 1024;
  // Buffer ids in a provided-buffer ring are 16 bits wide, and large blocks are lent to it.
  static constexpr std::size_t kLargeCountMax = 65535;

  // Reserves address space for all blocks; pages are touched on first use only.
  BufferPool(std::size_t large_count, std::size_t small_count);
  ~BufferPool();  // CHECKs that every block is free: a leak test in every run
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // A block with one reference and `used() == 0`, or nullopt. The most recently freed comes first,
  // because it is still in the cache.
  [[nodiscard]] std::optional<BlockId> Take(BlockSize size);
  void AddReference(BlockId block);
  void Release(BlockId block);  // the last reference frees it

  // Holders are 0 to `count` - 1; 0 is nobody, for blocks that are lent to the ring or belong to no
  // client. While nobody else holds any.
  using Holder = std::uint32_t;
  static constexpr Holder kNobody = 0;
  void SetHolderCount(std::size_t count);
  // For whom blocks are taken and adopted from here on.
  void set_holder(Holder holder) { holder_ = holder; }
  // Counts a block of nobody's for the present holder.
  void Adopt(BlockId block);
  [[nodiscard]] std::size_t held_count(Holder holder, BlockSize size) const {
    return held_[holder][static_cast<std::size_t>(size)];
  }

  [[nodiscard]] std::byte* data(BlockId block) const;
  [[nodiscard]] std::size_t capacity(BlockId block) const;

  // How many octets at the front of the block hold data. Only the queue whose slice ends at used()
  // may append behind it; that makes appending safe while the octets before are shared or being
  // sent.
  [[nodiscard]] std::size_t used(BlockId block) const { return blocks_[block].used; }
  void set_used(BlockId block, std::size_t used) {
    blocks_[block].used = static_cast<std::uint16_t>(used);
  }

  [[nodiscard]] std::size_t free_count(BlockSize size) const;
  [[nodiscard]] std::size_t total_count(BlockSize size) const;

  // Slices are the queue's nodes; they live here so that an empty queue owns no memory.
  struct Slice {
    BlockId block = kNoBlock;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
    std::uint32_t next = 0;
  };
  [[nodiscard]] std::uint32_t TakeSlice();
  void ReleaseSlice(std::uint32_t index);
  [[nodiscard]] Slice& slice(std::uint32_t index) { return slices_[index]; }
  [[nodiscard]] const Slice& slice(std::uint32_t index) const { return slices_[index]; }

 private:
  struct Block {
    std::uint16_t used = 0;
    std::uint16_t references = 0;
    Holder holder = kNobody;
  };

  std::size_t large_count_;
  std::size_t small_count_;
  std::size_t mapped_bytes_;
  std::byte* memory_;
  std::vector<Block> blocks_;
  std::vector<std::array<std::uint32_t, 2>> held_;  // by holder, by size
  Holder holder_ = kNobody;
  std::vector<BlockId> free_large_;
  std::vector<BlockId> free_small_;
  std::vector<Slice> slices_;
  std::vector<std::uint32_t> free_slices_;
};

}  // namespace ringpost

#endif  // RINGPOST_BASE_BUFFER_POOL_H_
