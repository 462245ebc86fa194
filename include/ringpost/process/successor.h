// SPDX-License-Identifier: GPL-3.0-or-later
//
// A restart without loss, as the main thread of each of the two processes sees it. The old one has
// the new one started with all of its listening sockets and one end of a channel; the new one says
// there when it serves. The channel also brings the keys of session tickets, where they are random.
#ifndef RINGPOST_PROCESS_SUCCESSOR_H_
#define RINGPOST_PROCESS_SUCCESSOR_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "ringpost/process/start_helper.h"
#include "ringpost/tls/ticket_keys.h"

namespace ringpost {

// In the old process.
class Successor {
 public:
  using Clock = std::chrono::steady_clock;
  // How long the new one may take until it serves.
  static constexpr std::chrono::seconds kPatience{60};

  explicit Successor(StartHelper helper) : helper_(std::move(helper)) {}
  ~Successor();
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

  // Starts it. `sockets` stay the caller's. An error is a sentence.
  [[nodiscard]] absl::Status Begin(std::vector<HandedSocket> sockets, const TicketKeys& ticket_keys,
                                   Clock::time_point now);
  [[nodiscard]] bool under_way() const { return channel_ >= 0; }
  // After kReady: it waits to be told that nothing here waits for clients any more.
  [[nodiscard]] bool waits_for_release() const { return ready_ >= 0; }
  void TellReleased();
  // While it is under way, now and then.
  enum class Look : std::uint8_t { kWaits, kReady, kFailed };
  [[nodiscard]] Look LookAt(Clock::time_point now);
  [[nodiscard]] const std::string& failure() const { return failure_; }  // after kFailed
  [[nodiscard]] pid_t pid() const { return pid_; }                       // after kReady
  // It is not wanted any more, and is ended.
  void GiveUp();

 private:
  [[nodiscard]] bool SaysReady() const;
  [[nodiscard]] Look Fail(std::string failure);

  StartHelper helper_;
  int channel_ = -1;
  int ready_ = -1;  // the channel once it is ready
  pid_t pid_ = 0;
  Clock::time_point give_up_{};
  std::string failure_;
};

// In the new process.
class Predecessor {
 public:
  explicit Predecessor(int channel) : channel_(channel) {}  // -1: there is none
  ~Predecessor();
  Predecessor(const Predecessor&) = delete;
  Predecessor& operator=(const Predecessor&) = delete;

  [[nodiscard]] bool exists() const { return channel_ >= 0; }
  // Its keys, once; null where it has sent none that are of use.
  [[nodiscard]] std::unique_ptr<TicketKeys> TakeTicketKeys(std::int64_t now);
  // From here on it takes no new clients, and its sockets are ours. False: it has given this
  // process up, and goes on serving. True where there is none.
  [[nodiscard]] bool TellReady();
  // After that. True once: it does not wait for clients any more, or is gone.
  [[nodiscard]] bool HasReleased();

 private:
  int channel_;
};

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_SUCCESSOR_H_
