// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/byte_queue.h"

#include <algorithm>
#include <cstring>

#include "ringpost/base/check.h"

namespace ringpost {

void ByteQueue::CountBlocks(std::size_t* large, std::size_t* small) const {
  BlockId last = kNoBlock;
  for (std::uint32_t index = head_; index != kNoSlice; index = pool_->slice(index).next) {
    const BlockId block = pool_->slice(index).block;
    if (block != last) {
      ++*(pool_->capacity(block) == BufferPool::kLargeBytes ? large : small);
    }
    last = block;
  }
}

std::string_view ByteQueue::Front() const {
  if (head_ == kNoSlice) {
    return {};
  }
  const BufferPool::Slice& slice = pool_->slice(head_);
  return {reinterpret_cast<const char*>(pool_->data(slice.block)) + slice.offset, slice.length};
}

std::size_t ByteQueue::Pieces(std::span<std::string_view> pieces) const {
  std::size_t count = 0;
  for (std::uint32_t index = head_; index != kNoSlice && count < pieces.size();) {
    const BufferPool::Slice& slice = pool_->slice(index);
    pieces[count++] = {reinterpret_cast<const char*>(pool_->data(slice.block)) + slice.offset,
                       slice.length};
    index = slice.next;
  }
  return count;
}

Room ByteQueue::Linearize(std::size_t n) {
  n = std::min(n, size_);
  RINGPOST_CHECK(n <= BufferPool::kLargeBytes);
  if (Front().size() >= n) {
    return Room::kOk;
  }
  const BlockSize size = n <= BufferPool::kSmallBytes ? BlockSize::kSmall : BlockSize::kLarge;
  const std::optional<BlockId> block = pool_->Take(size);
  if (!block) {
    return Room::kNoBlocks;
  }
  char* to = reinterpret_cast<char*>(pool_->data(*block));
  for (std::size_t copied = 0; copied < n;) {
    const std::string_view front = Front().substr(0, n - copied);
    std::memcpy(to + copied, front.data(), front.size());
    copied += front.size();
    Consume(front.size());
  }
  pool_->set_used(*block, n);
  const std::uint32_t index = pool_->TakeSlice();
  pool_->slice(index) = {
      .block = *block, .offset = 0, .length = static_cast<std::uint32_t>(n), .next = head_};
  head_ = index;
  if (tail_ == kNoSlice) {
    tail_ = index;
  }
  size_ += n;
  return Room::kOk;
}

void ByteQueue::Consume(std::size_t n) {
  RINGPOST_CHECK(n <= size_);
  size_ -= n;
  while (n > 0) {
    BufferPool::Slice& slice = pool_->slice(head_);
    if (n < slice.length) {
      slice.offset += static_cast<std::uint32_t>(n);
      slice.length -= static_cast<std::uint32_t>(n);
      return;
    }
    n -= slice.length;
    pool_->Release(slice.block);
    pool_->ReleaseSlice(DetachHead());
  }
}

void ByteQueue::Clear() {
  while (head_ != kNoSlice) {
    pool_->Release(pool_->slice(head_).block);
    pool_->ReleaseSlice(DetachHead());
  }
  size_ = 0;
}

void ByteQueue::AppendBlock(BlockId block, std::size_t length) {
  RINGPOST_CHECK(length > 0 && length <= pool_->capacity(block));
  pool_->set_used(block, length);
  if (length <= kCopyMax && length <= TailRoom()) {
    CopyToTail(reinterpret_cast<const char*>(pool_->data(block)), length);
    pool_->Release(block);
    return;
  }
  pool_->Adopt(block);
  PushBackNew(block, 0, length);
}

Room ByteQueue::Append(std::string_view text) {
  // The rest that does not fit behind the tail goes into one new block; only a text of more than a
  // large block (a long EHLO reply) may need another.
  const std::size_t room = TailRoom();
  const std::size_t rest = text.size() > room ? text.size() - room : 0;
  RINGPOST_CHECK(rest <= BufferPool::kLargeBytes);
  std::optional<BlockId> block;
  if (rest > 0) {
    block = pool_->Take(rest <= BufferPool::kSmallBytes ? BlockSize::kSmall : BlockSize::kLarge);
    if (!block) {
      return Room::kNoBlocks;
    }
  }
  const std::size_t first = text.size() - rest;
  if (first > 0) {
    CopyToTail(text.data(), first);
  }
  if (block) {
    PushBackNew(*block, 0, 0);
    CopyToTail(text.data() + first, rest);
  }
  return Room::kOk;
}

void ByteQueue::MoveFront(std::size_t n, ByteQueue& to) {
  RINGPOST_CHECK(n <= size_ && to.pool_ == pool_ && &to != this);
  while (n > 0) {
    BufferPool::Slice& slice = pool_->slice(head_);
    const std::size_t length = std::min<std::size_t>(n, slice.length);
    n -= length;
    if (length <= kCopyMax && length <= to.TailRoom()) {
      to.CopyToTail(Front().data(), length);
      Consume(length);
    } else if (length == slice.length) {
      size_ -= length;
      to.PushBack(DetachHead());
    } else {
      pool_->AddReference(slice.block);
      to.PushBackNew(slice.block, slice.offset, length);  // may move the slice table
      Consume(length);
    }
  }
}

std::span<char> ByteQueue::PrepareTail(std::size_t minimum) {
  minimum = std::max<std::size_t>(minimum, 1);  // an empty span means: no blocks
  if (TailRoom() < minimum) {
    const BlockSize size =
        minimum <= BufferPool::kSmallBytes ? BlockSize::kSmall : BlockSize::kLarge;
    const std::optional<BlockId> block = pool_->Take(size);
    if (!block) {
      return {};
    }
    PushBackNew(*block, 0, 0);
  }
  const BufferPool::Slice& slice = pool_->slice(tail_);
  return {reinterpret_cast<char*>(pool_->data(slice.block)) + slice.offset + slice.length,
          TailRoom()};
}

void ByteQueue::Commit(std::size_t n) {
  RINGPOST_CHECK(n <= TailRoom());
  BufferPool::Slice& slice = pool_->slice(tail_);
  slice.length += static_cast<std::uint32_t>(n);
  pool_->set_used(slice.block, slice.offset + slice.length);
  size_ += n;
  if (slice.length == 0) {
    DropEmptyTail();
  }
}

void ByteQueue::Compact() {
  if (size_ == 0 || size_ > BufferPool::kSmallBytes ||
      (head_ == tail_ && pool_->capacity(pool_->slice(head_).block) == BufferPool::kSmallBytes)) {
    return;
  }
  const std::optional<BlockId> block = pool_->Take(BlockSize::kSmall);
  if (!block) {
    return;
  }
  ByteQueue compact(pool_);
  compact.PushBackNew(*block, 0, 0);
  for (std::uint32_t index = head_; index != kNoSlice; index = pool_->slice(index).next) {
    const BufferPool::Slice& slice = pool_->slice(index);
    compact.CopyToTail(reinterpret_cast<const char*>(pool_->data(slice.block)) + slice.offset,
                       slice.length);
  }
  Clear();
  std::swap(size_, compact.size_);
  std::swap(head_, compact.head_);
  std::swap(tail_, compact.tail_);
}

void ByteQueue::Wipe() {
  for (std::uint32_t index = head_; index != kNoSlice; index = pool_->slice(index).next) {
    const BufferPool::Slice& slice = pool_->slice(index);
    explicit_bzero(pool_->data(slice.block) + slice.offset, slice.length);
  }
  Clear();
}

std::size_t ByteQueue::TailRoom() const {
  if (tail_ == kNoSlice) {
    return 0;
  }
  const BufferPool::Slice& slice = pool_->slice(tail_);
  const std::size_t end = std::size_t{slice.offset} + slice.length;
  // Somebody else's octets follow if the block is used beyond this slice.
  return end == pool_->used(slice.block) ? pool_->capacity(slice.block) - end : 0;
}

void ByteQueue::CopyToTail(const char* octets, std::size_t n) {
  BufferPool::Slice& slice = pool_->slice(tail_);
  std::memcpy(pool_->data(slice.block) + slice.offset + slice.length, octets, n);
  slice.length += static_cast<std::uint32_t>(n);
  pool_->set_used(slice.block, slice.offset + slice.length);
  size_ += n;
}

void ByteQueue::PushBack(std::uint32_t slice) {
  pool_->slice(slice).next = kNoSlice;
  if (tail_ == kNoSlice) {
    head_ = slice;
  } else {
    pool_->slice(tail_).next = slice;
  }
  tail_ = slice;
  size_ += pool_->slice(slice).length;
}

void ByteQueue::PushBackNew(BlockId block, std::size_t offset, std::size_t length) {
  const std::uint32_t index = pool_->TakeSlice();
  pool_->slice(index) = {.block = block,
                         .offset = static_cast<std::uint32_t>(offset),
                         .length = static_cast<std::uint32_t>(length),
                         .next = kNoSlice};
  PushBack(index);
}

std::uint32_t ByteQueue::DetachHead() {
  const std::uint32_t index = head_;
  head_ = pool_->slice(index).next;
  if (head_ == kNoSlice) {
    tail_ = kNoSlice;
  }
  return index;
}

void ByteQueue::DropEmptyTail() {
  const std::uint32_t empty = tail_;
  if (head_ == empty) {
    head_ = tail_ = kNoSlice;
  } else {
    std::uint32_t before = head_;
    while (pool_->slice(before).next != empty) {
      before = pool_->slice(before).next;
    }
    pool_->slice(before).next = kNoSlice;
    tail_ = before;
  }
  pool_->Release(pool_->slice(empty).block);
  pool_->ReleaseSlice(empty);
}

}  // namespace ringpost
