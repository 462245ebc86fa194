// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/session_table.h"

#include <sys/mman.h>

#include <new>

namespace ringpost {
namespace {

constexpr std::uint32_t kGenerationMask = (1U << 24) - 1;

}  // namespace

SessionTable::SessionTable(std::uint32_t slot_count)
    : mapped_bytes_(slot_count * sizeof(Session)), generations_(slot_count), used_(slot_count) {
  RINGPOST_CHECK(slot_count > 0 && slot_count <= UserData::kSlotMax);
  void* mapping = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  RINGPOST_CHECK(mapping != MAP_FAILED);
  memory_ = static_cast<std::byte*>(mapping);
  free_.reserve(slot_count);
  for (std::uint32_t slot = slot_count; slot > 0; --slot) {
    free_.push_back(slot - 1);
  }
}

SessionTable::~SessionTable() {
  RINGPOST_CHECK(size_ == 0);
  munmap(memory_, mapped_bytes_);
}

Session& SessionTable::Create(SessionHost* host, const std::shared_ptr<const Runtime>& runtime,
                              const ListenerRuntime* listener, int fd) {
  RINGPOST_CHECK(!full());
  const std::uint32_t slot = free_.back();
  const UserData user_data{.kind = 0, .leg = 0, .slot = slot, .generation = generations_[slot]};
  auto* session =
      new (memory_ + slot * sizeof(Session)) Session(host, runtime, listener, user_data.Pack(), fd);
  session->slot = slot;
  // Not before it is made: there may be no memory for it.
  free_.pop_back();
  used_[slot] = true;
  ++size_;
  return *session;
}

void SessionTable::Destroy(Session& session) {
  const std::uint32_t slot = session.slot;
  RINGPOST_CHECK(used_[slot]);
  session.~Session();
  used_[slot] = false;
  generations_[slot] = (generations_[slot] + 1) & kGenerationMask;
  free_.push_back(slot);
  --size_;
}

Session& SessionTable::Find(const UserData& user_data) {
  RINGPOST_CHECK(user_data.slot < used_.size() && used_[user_data.slot] &&
                 generations_[user_data.slot] == user_data.generation);
  return At(user_data.slot);
}

Session& SessionTable::At(std::uint32_t slot) {
  return *std::launder(reinterpret_cast<Session*>(memory_ + slot * sizeof(Session)));
}

}  // namespace ringpost
