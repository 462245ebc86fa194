// SPDX-License-Identifier: GPL-3.0-or-later
//
// A first-in first-out of octets, made of slices of pool blocks. It owns no memory while empty.
// Moving octets from one queue to another moves references, not octets (short runs are copied so
// that a 20-octet reply does not pin a 16 KiB block).
//
// Owner: a leg. One thread. The pool must outlive the queue.
#ifndef RINGPOST_BASE_BYTE_QUEUE_H_
#define RINGPOST_BASE_BYTE_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ringpost/base/buffer_pool.h"

namespace ringpost {

enum class Room : std::uint8_t { kOk, kNoBlocks };

class ByteQueue {
 public:
  explicit ByteQueue(BufferPool* pool) : pool_(pool) {}
  ~ByteQueue() { Clear(); }
  ByteQueue(const ByteQueue&) = delete;
  ByteQueue& operator=(const ByteQueue&) = delete;

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] BufferPool* pool() const { return pool_; }

  // Adds up how many blocks the queue holds on to; one that another queue holds as well counts for
  // both. Walks the whole queue: not for the data path.
  void CountBlocks(std::size_t* large, std::size_t* small) const;

  // The first contiguous run; empty only if the queue is.
  [[nodiscard]] std::string_view Front() const;
  // Up to `pieces.size()` runs from the front; returns how many were filled.
  [[nodiscard]] std::size_t Pieces(std::span<std::string_view> pieces) const;
  // Makes at least min(n, size()) octets contiguous at the front. `n` <= kLargeBytes.
  [[nodiscard]] Room Linearize(std::size_t n);

  void Consume(std::size_t n);  // n <= size()
  void Clear();

  // Takes over the caller's reference to a block that holds `length` > 0 octets from its start.
  void AppendBlock(BlockId block, std::size_t length);
  // Copies. Either all of `text` is appended or, with kNoBlocks, nothing. At most kLargeBytes.
  [[nodiscard]] Room Append(std::string_view text);
  // Moves n <= size() octets to the end of `to` (another queue over the same pool). Cannot fail.
  void MoveFront(std::size_t n, ByteQueue& to);

  // Writable room of at least `minimum` (<= kLargeBytes) octets behind the last one; empty if the
  // pool is. Commit(n) makes the first n of them part of the queue and must follow before any other
  // call.
  [[nodiscard]] std::span<char> PrepareTail(std::size_t minimum);
  void Commit(std::size_t n);

  // Moves a short rest out of large blocks into one small block, so that an idle peer that stopped
  // in the middle of a line holds 2 KiB, not 16. Does nothing where that is not possible.
  void Compact();

  // Overwrites with zeros what Clear() would release, then clears: for content that must not stay.
  void Wipe();

 private:
  // Runs up to this long are copied rather than shared: cheaper than pinning a block for them.
  static constexpr std::size_t kCopyMax = 512;
  static constexpr std::uint32_t kNoSlice = ~std::uint32_t{0};

  [[nodiscard]] std::size_t TailRoom() const;
  void CopyToTail(const char* octets, std::size_t n);  // n <= TailRoom()
  void PushBack(std::uint32_t slice);
  void PushBackNew(BlockId block, std::size_t offset, std::size_t length);
  [[nodiscard]] std::uint32_t DetachHead();
  void DropEmptyTail();

  BufferPool* pool_;
  std::size_t size_ = 0;
  std::uint32_t head_ = kNoSlice;
  std::uint32_t tail_ = kNoSlice;
};

}  // namespace ringpost

#endif  // RINGPOST_BASE_BYTE_QUEUE_H_
