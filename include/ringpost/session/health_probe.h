// SPDX-License-Identifier: GPL-3.0-or-later
//
// Asks one address of an upstream whether it is a mail server again: connects, tells a backend that
// expects a PROXY header that this is the proxy itself (v2: LOCAL, v1: UNKNOWN), waits for a whole
// greeting, and leaves with QUIT. Only a 220 counts.
//
// Owner: the shard, one for each upstream; it never moves. It holds a socket only between Start()
// and the end of the last operation, and a block only while one is needed.
#ifndef RINGPOST_SESSION_HEALTH_PROBE_H_
#define RINGPOST_SESSION_HEALTH_PROBE_H_

#include <cstddef>
#include <cstdint>

#include "ringpost/config/config.h"
#include "ringpost/io/io.h"
#include "ringpost/session/leg.h"

namespace ringpost {

class HealthProbe {
 public:
  enum class Result : std::uint8_t { kNone, kUp, kDown };

  // `user_data` has room for the OperationKind in its lowest octet.
  HealthProbe(Io* io, BufferPool* pool, const UpstreamConfig* upstream, std::uint64_t user_data);
  ~HealthProbe();  // idle()
  HealthProbe(const HealthProbe&) = delete;
  HealthProbe& operator=(const HealthProbe&) = delete;

  // idle(). `deadline` is for everything up to the greeting.
  void Start(std::size_t address, TimeNs deadline);
  void OnCompletion(OperationKind kind, const Completion& completion);
  // To be called when deadline() has passed, and as often as one likes.
  void OnTime(TimeNs now);
  // Ends it; idle() follows when nothing is in flight. A result that was not taken is dropped.
  void Stop();

  // Once per Start(): kUp or kDown as soon as it is known, kNone before and after.
  [[nodiscard]] Result TakeResult();
  [[nodiscard]] int error() const { return error_; }  // errno of kDown, 0: no proper greeting
  [[nodiscard]] std::size_t address() const { return address_; }
  // No socket, nothing in flight.
  [[nodiscard]] bool idle() const { return leg_.state() == LegState::kIdle; }
  // When OnTime() has something to do; negative: never.
  [[nodiscard]] TimeNs deadline() const { return deadline_; }

 private:
  enum class Phase : std::uint8_t {
    kIdle,
    kGreeting,  // connecting, telling who we are, and waiting for the whole greeting
    kQuitting,  // QUIT is being sent
    kLeaving,   // FIN sent; waiting for the backend's
    kEnding,    // shut down; waiting for the operations in flight
  };

  void Advance();
  void AdvanceGreeting();
  void AdvanceQuit();
  [[nodiscard]] Room TellIdentity();
  void Finish(Result result, int error);
  void Quit();
  void End();
  void WaitForBlocks();

  Io* io_;
  BufferPool* pool_;
  const UpstreamConfig* upstream_;
  Leg leg_;
  std::size_t address_ = 0;
  TimeNs give_up_ = -1;  // when the phase must be over
  TimeNs deadline_ = -1;
  int error_ = 0;
  Phase phase_ = Phase::kIdle;
  Result result_ = Result::kNone;
  bool identity_due_ = false;
};

}  // namespace ringpost

#endif  // RINGPOST_SESSION_HEALTH_PROBE_H_
