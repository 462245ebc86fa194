// SPDX-License-Identifier: GPL-3.0-or-later
//
// One client after the other, each served by the real shard, relay and TLS engine on the simulated
// kernel, in front of a backend that takes everything: work of a fixed kind, for counting its
// instructions and its time. Entropy is the seed's, so that a run repeats; the certificate is made
// anew, which moves a count by a few hundred instructions at most.
//
// Owner: a program. What goes wrong is a gtest failure (FailedExpectations()).
#ifndef RINGPOST_BENCH_SCENARIO_H_
#define RINGPOST_BENCH_SCENARIO_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../tests/session/session_world.h"
#include "ringpost/tls/ticket_keys.h"
#include "ringpost/tls/tls_client.h"

namespace ringpost::bench {

class Scenario {
 public:
  // `meter` is told when the shard is at work; it must outlive the scenario.
  explicit Scenario(SimWire* meter);
  ~Scenario();
  Scenario(const Scenario&) = delete;
  Scenario& operator=(const Scenario&) = delete;

  enum class Tls : std::uint8_t { kNone, kFull, kResumed };
  // Connects and says EHLO, before STARTTLS and after it. kResumed: there was a session with kFull.
  void Begin(Tls tls);
  void Message(std::string_view text);
  // QUIT, and until nothing is left of the session.
  void End();

 private:
  class Backend;

  void Ask(std::string_view command);
  void Expect(std::string_view code);

  std::unique_ptr<TicketKeys> keys_;
  std::unique_ptr<SessionWorld> world_;
  std::unique_ptr<TlsClientContext> context_;
  std::unique_ptr<TlsSession> session_;
  std::unique_ptr<ClientEnd> client_;
  std::vector<std::unique_ptr<Backend>> backends_;
  std::uint16_t port_;
};

// A message of at least so many octets, in lines of ordinary length.
[[nodiscard]] std::string MessageText(std::size_t octets);

// Whether the world or a scenario has failed in any way so far.
[[nodiscard]] bool FailedExpectations();

}  // namespace ringpost::bench

#endif  // RINGPOST_BENCH_SCENARIO_H_
