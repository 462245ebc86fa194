// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringpost-sink's connections on one ring: accepts, feeds each connection's SinkSession and sends
// its replies, at once or delayed. One thread.
//
// Owner: ringpost-sink's main(). Memory is bounded by the pool and the number of descriptors: a
// connection that does not take its replies is not read from.
#ifndef RINGPOST_TOOLS_SINK_SERVER_H_
#define RINGPOST_TOOLS_SINK_SERVER_H_

#include <cstdint>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "ringpost/base/buffer_pool.h"
#include "ringpost/io/io.h"
#include "ringpost/tools/channel.h"
#include "ringpost/tools/message_files.h"
#include "ringpost/tools/sink_session.h"

namespace ringpost {

struct SinkServerOptions {
  SinkOptions session;      // resolved
  TimeNs banner_delay = 0;  // before the greeting
  TimeNs reply_delay = 0;   // before every other reply
  TimeNs final_delay = 0;   // at least, before the reply that accepts a message
  bool print = false;       // one line per message and per session on standard output
};

struct SinkTotals {
  std::uint64_t sessions = 0;
  std::uint64_t messages = 0;
  std::uint64_t octets = 0;
};

class SinkServer {
 public:
  // All must outlive the server; `folder` may be null.
  SinkServer(const SinkServerOptions* options, MessageFolder* folder, Io* io, BufferPool* pool);
  ~SinkServer();
  SinkServer(const SinkServer&) = delete;
  SinkServer& operator=(const SinkServer&) = delete;

  void AddListener(int fd);  // takes it over
  // Serves until `stop_event`, an eventfd, becomes readable; then closes everything.
  SinkTotals Run(int stop_event);

 private:
  struct Connection;
  struct Listener;

  enum class TimerKind : std::uint8_t { kReply, kLinger, kAccept };
  struct Timer {
    TimeNs deadline = 0;
    TimerKind kind = TimerKind::kReply;
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;
    friend bool operator>(const Timer& a, const Timer& b) { return a.deadline > b.deadline; }
  };

  void Dispatch(const Completion& completion);
  void Accepted(Listener& listener, const Completion& completion);
  void Start(int fd);
  // Does all that can be done with what was received, then arms what is needed.
  void Process(Connection& connection);
  [[nodiscard]] bool ProcessStep(Connection& connection);
  void TakeStep(Connection& connection, const SinkStep& step, TimeNs delay);
  void SendHeld(Connection& connection);
  void StartLinger(Connection& connection);
  void TryFinish(Connection& connection);
  void Starve(Connection& connection);
  void RunTimers();
  void RunStarved();
  [[nodiscard]] TimeNs UntilNextTimer() const;
  void Stop();
  [[nodiscard]] Connection* Find(std::uint32_t slot, std::uint32_t generation);
  void PrintMessage(const Connection& connection) const;
  void PrintSession(const Connection& connection) const;

  const SinkServerOptions* options_;
  MessageFolder* folder_;
  Io* io_;
  BufferPool* pool_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<Connection>> connections_;  // by slot; null: free
  std::vector<std::uint32_t> generations_;
  std::vector<std::uint32_t> free_slots_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> starved_;  // slot, generation
  Operation stop_operation_;
  std::uint64_t stop_value_ = 0;
  bool stopping_ = false;
  SinkTotals totals_;
};

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_SINK_SERVER_H_
