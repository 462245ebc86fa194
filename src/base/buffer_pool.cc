// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/buffer_pool.h"

#include <sys/mman.h>

#include "ringpost/base/check.h"

namespace ringpost {
namespace {

// A slice of a large block is longer than ByteQueue::kCopyMax unless the pool ran dry, so a block
// rarely has more than a handful; the table grows once in a blue moon rather than reserving for the
// worst case.
constexpr std::size_t kSlicesPerBlock = 4;

}  // namespace

BufferPool::BufferPool(std::size_t large_count, std::size_t small_count)
    : large_count_(large_count),
      small_count_(small_count),
      mapped_bytes_(large_count * kLargeBytes + small_count * kSmallBytes) {
  RINGPOST_CHECK(large_count > 0 && large_count <= kLargeCountMax);
  RINGPOST_CHECK(small_count > 0);
  void* mapping = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  RINGPOST_CHECK(mapping != MAP_FAILED);
  memory_ = static_cast<std::byte*>(mapping);

  blocks_.resize(large_count + small_count);
  held_.resize(1);
  // Back to front, so that Take() begins with the lowest addresses.
  free_large_.reserve(large_count);
  for (std::size_t id = large_count; id > 0; --id) {
    free_large_.push_back(static_cast<BlockId>(id - 1));
  }
  free_small_.reserve(small_count);
  for (std::size_t id = large_count + small_count; id > large_count; --id) {
    free_small_.push_back(static_cast<BlockId>(id - 1));
  }
  slices_.reserve(blocks_.size() * kSlicesPerBlock);
  free_slices_.reserve(blocks_.size() * kSlicesPerBlock);
}

BufferPool::~BufferPool() {
  RINGPOST_CHECK(free_large_.size() == large_count_);
  RINGPOST_CHECK(free_small_.size() == small_count_);
  RINGPOST_CHECK(free_slices_.size() == slices_.size());
  munmap(memory_, mapped_bytes_);
}

std::optional<BlockId> BufferPool::Take(BlockSize size) {
  std::vector<BlockId>& free = size == BlockSize::kLarge ? free_large_ : free_small_;
  if (free.empty()) {
    return std::nullopt;
  }
  const BlockId block = free.back();
  free.pop_back();
  blocks_[block] = {.used = 0, .references = 1, .holder = holder_};
  ++held_[holder_][static_cast<std::size_t>(size)];
  return block;
}

void BufferPool::AddReference(BlockId block) {
  RINGPOST_CHECK(blocks_[block].references > 0);
  RINGPOST_CHECK(++blocks_[block].references != 0);
}

void BufferPool::Release(BlockId block) {
  RINGPOST_CHECK(blocks_[block].references > 0);
  if (--blocks_[block].references == 0) {
    const BlockSize size = block < large_count_ ? BlockSize::kLarge : BlockSize::kSmall;
    --held_[blocks_[block].holder][static_cast<std::size_t>(size)];
    (size == BlockSize::kLarge ? free_large_ : free_small_).push_back(block);
  }
}

void BufferPool::SetHolderCount(std::size_t count) {
  RINGPOST_CHECK(count > 0 && holder_ == kNobody);
  RINGPOST_CHECK(free_large_.size() + free_small_.size() ==
                 blocks_.size() - held_[kNobody][0] - held_[kNobody][1]);
  held_.resize(count);
}

void BufferPool::Adopt(BlockId block) {
  Block& adopted = blocks_[block];
  if (adopted.holder == kNobody) {
    const auto size =
        static_cast<std::size_t>(block < large_count_ ? BlockSize::kLarge : BlockSize::kSmall);
    --held_[kNobody][size];
    ++held_[holder_][size];
    adopted.holder = holder_;
  }
}

std::byte* BufferPool::data(BlockId block) const {
  return block < large_count_
             ? memory_ + block * kLargeBytes
             : memory_ + large_count_ * kLargeBytes + (block - large_count_) * kSmallBytes;
}

std::size_t BufferPool::capacity(BlockId block) const {
  return block < large_count_ ? kLargeBytes : kSmallBytes;
}

std::size_t BufferPool::free_count(BlockSize size) const {
  return size == BlockSize::kLarge ? free_large_.size() : free_small_.size();
}

std::size_t BufferPool::total_count(BlockSize size) const {
  return size == BlockSize::kLarge ? large_count_ : small_count_;
}

std::uint32_t BufferPool::TakeSlice() {
  if (free_slices_.empty()) {
    slices_.emplace_back();
    return static_cast<std::uint32_t>(slices_.size() - 1);
  }
  const std::uint32_t index = free_slices_.back();
  free_slices_.pop_back();
  return index;
}

void BufferPool::ReleaseSlice(std::uint32_t index) { free_slices_.push_back(index); }

}  // namespace ringpost
