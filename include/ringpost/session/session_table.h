// SPDX-License-Identifier: GPL-3.0-or-later
//
// The sessions of a shard, in slots that never move: the kernel holds pointers into them. A slot
// that is used again has another generation, so that a completion can never reach the wrong
// session.
//
// Owner: the shard. Address space for all slots is reserved at once; a slot costs memory from its
// first use on, and the one freed last is used first.
#ifndef RINGPOST_SESSION_SESSION_TABLE_H_
#define RINGPOST_SESSION_SESSION_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "ringpost/session/session.h"

namespace ringpost {

// What a completion is about, packed into its user_data: kind, leg, slot, generation (low to high).
struct UserData {
  static constexpr unsigned kLegShift = 8;
  static constexpr unsigned kSlotShift = 16;
  static constexpr unsigned kGenerationShift = 40;
  static constexpr std::uint32_t kSlotMax = (1U << 24) - 1;

  // 0 and 1 are a session's legs.
  enum Leg : std::uint8_t { kFront = 0, kBack = 1, kListener = 2, kControl = 3, kProbe = 4 };

  std::uint8_t kind = 0;
  std::uint8_t leg = 0;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;

  [[nodiscard]] static constexpr UserData Unpack(std::uint64_t packed) {
    return {.kind = static_cast<std::uint8_t>(packed & 0xff),
            .leg = static_cast<std::uint8_t>((packed >> kLegShift) & 0xff),
            .slot = static_cast<std::uint32_t>((packed >> kSlotShift) & kSlotMax),
            .generation = static_cast<std::uint32_t>(packed >> kGenerationShift)};
  }
  [[nodiscard]] constexpr std::uint64_t Pack() const {
    return std::uint64_t{kind} | std::uint64_t{leg} << kLegShift |
           std::uint64_t{slot} << kSlotShift | std::uint64_t{generation} << kGenerationShift;
  }
};

class SessionTable {
 public:
  explicit SessionTable(std::uint32_t slot_count);
  ~SessionTable();  // CHECKs that no session is left
  SessionTable(const SessionTable&) = delete;
  SessionTable& operator=(const SessionTable&) = delete;

  [[nodiscard]] bool full() const { return free_.empty(); }
  [[nodiscard]] std::uint32_t size() const { return size_; }
  [[nodiscard]] std::uint32_t slot_count() const {
    return static_cast<std::uint32_t>(used_.size());
  }

  // !full().
  Session& Create(SessionHost* host, const std::shared_ptr<const Runtime>& runtime,
                  const ListenerRuntime* listener, int fd);
  void Destroy(Session& session);
  // The session that `user_data` belongs to. CHECKs that it is the one the request was made for.
  [[nodiscard]] Session& Find(const UserData& user_data);

  template <typename Function>
  void ForEach(Function&& function) {
    for (std::uint32_t slot = 0; slot < used_.size(); ++slot) {
      if (used_[slot]) {
        function(At(slot));
      }
    }
  }

 private:
  [[nodiscard]] Session& At(std::uint32_t slot);

  std::uint32_t size_ = 0;
  std::byte* memory_;
  std::size_t mapped_bytes_;
  std::vector<std::uint32_t> generations_;
  std::vector<bool> used_;
  std::vector<std::uint32_t> free_;
};

}  // namespace ringpost

#endif  // RINGPOST_SESSION_SESSION_TABLE_H_
