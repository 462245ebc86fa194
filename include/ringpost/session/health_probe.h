// SPDX-License-Identifier: GPL-3.0-or-later
//
// Asks one address of an upstream whether it is a mail server, and whether it takes the identity
// that clients would be given there. It says of itself that it is the proxy (PROXY v2: LOCAL; v1
// and XCLIENT: 127.0.0.1), and proves in turn:
//
//   PROXY     it says nothing before it has the header: one that greets does not wait for any
//   greeting  one reply, 220
//   XCLIENT   offered, and answered by 220
//   NOOP      one reply, 250: a header that was taken for a command would have been answered first
//   EHLO      without an identity, in place of NOOP: it, or HELO, is known. LMTP knows neither
//   EHLO      taken twice; only where that is asked
//   QUIT      one reply, 221, or the end
//
// Owner: the shard, one for each upstream; it never moves. It holds a socket only between Start()
// and the end of the last operation, and a block only while one is needed.
#ifndef RINGPOST_SESSION_HEALTH_PROBE_H_
#define RINGPOST_SESSION_HEALTH_PROBE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ringpost/config/config.h"
#include "ringpost/io/io.h"
#include "ringpost/session/leg.h"
#include "ringpost/smtp/reply.h"

namespace ringpost {

// What was wrong with an address. From kGreetsUntold on it has shown that it does not take its
// identity; before, it could not be asked.
enum class ProbeFault : std::uint8_t {
  kNone,
  kNoAddress,     // nobody has told the addresses of its name
  kNoSocket,      // `error` says why
  kConnect,       // `error` says why
  kClosed,        // it closed before it was asked everything
  kSilent,        // no reply in time
  kNotReady,      // it greeted with 4yz or 5yz
  kGreetsUntold,  // it greeted before it had the PROXY header
  kNotSmtp,       // it said what is no reply
  kUnaskedReply,  // more replies than questions
  kNoXclient,     // it does not offer XCLIENT, or not ADDR
  kXclientRefused,
  kNoopRefused,
  kHelloRefused,  // without an identity: it knows neither EHLO nor HELO
};

struct ProbeResult {
  enum class Kind : std::uint8_t { kNone, kProven, kFailed, kRefuted };
  Kind kind = Kind::kNone;
  ProbeFault fault = ProbeFault::kNone;
  int error = 0;
  // Of kProven the greeting, else the line that was wrong; printable, without CRLF, may be empty.
  std::string words;
  std::size_t header_octets = 0;    // of the PROXY v2 header that it was shown
  bool asked_second_hello = false;  // STARTTLS is to keep the connection
  bool refuses_second_hello = false;
};

class HealthProbe {
 public:
  // Without a greeting for that long, somebody should be told (see TakeNotice()).
  static constexpr TimeNs kSlowGreeting = 10 * kNsPerSecond;
  // How long it has for its greeting, and for each other reply. Servers wait on purpose (Postfix's
  // postscreen for 6 s), and clients wait for longer.
  static constexpr TimeNs kReplyTimeout = 60 * kNsPerSecond;
  // How long it is listened to before it has the header.
  static constexpr TimeNs kSilence = 200 * kNsPerMs;

  enum class SecondHello : std::uint8_t { kSkip, kAsk };

  // `user_data` has room for the OperationKind in its lowest octet. `hostname` outlives the probe.
  HealthProbe(Io* io, BufferPool* pool, const UpstreamConfig* upstream, std::string_view hostname,
              SecondHello second_hello, std::uint64_t user_data);
  ~HealthProbe();  // idle()
  HealthProbe(const HealthProbe&) = delete;
  HealthProbe& operator=(const HealthProbe&) = delete;

  // idle(). A PROXY v2 header will have `header_octets`, as far as it can be filled. `deadline` is
  // for the connect.
  void Start(std::size_t address, std::size_t header_octets, TimeNs deadline);
  void OnCompletion(OperationKind kind, const Completion& completion);
  // To be called when deadline() has passed, and as often as one likes.
  void OnTime(TimeNs now);
  // Ends it; idle() follows when nothing is in flight. A result that was not taken is dropped.
  void Stop();

  // Once per Start() as soon as it is known; kNone before and after.
  [[nodiscard]] ProbeResult TakeResult();
  // Once per Start(): true when the address has kept its greeting to itself for kSlowGreeting.
  [[nodiscard]] bool TakeNotice();
  [[nodiscard]] std::size_t address() const { return address_; }
  // No socket, nothing in flight.
  [[nodiscard]] bool idle() const { return leg_.state() == LegState::kIdle; }
  // When OnTime() has something to do; negative: never.
  [[nodiscard]] TimeNs deadline() const { return deadline_; }

 private:
  enum class Phase : std::uint8_t {
    kIdle,
    kConnecting,
    kSilence,   // nothing may come before the PROXY header
    kGreeting,  // from here on: which reply is waited for
    kXclientHello,
    kXclient,
    kNoop,
    kHello,
    kHelo,
    kSecondHello,
    kQuit,
    kLeaving,  // FIN sent; waiting for the backend's
    kEnding,   // shut down; waiting for the operations in flight
  };

  [[nodiscard]] bool IsAsking() const {
    return phase_ >= Phase::kSilence && phase_ <= Phase::kQuit;
  }
  void Advance();
  void AdvanceAsking();
  void AdvanceLeaving();
  void Connected();
  void TellIdentity();
  void OnReply(std::string_view text, const Reply& reply);
  void OnXclientHello(std::string_view text, const Reply& reply);
  void NextXclientCommand();
  void AskNoop();
  void AskHello(Phase phase);
  void AskQuit();
  void Ask(std::string_view command, Phase phase);
  void WaitFor(Phase phase, TimeNs timeout);
  void Prove();
  void Fail(ProbeFault fault, int error = 0, std::string_view words = {});
  void Leave();
  void End();
  void WaitForBlocks();

  Io* io_;
  BufferPool* pool_;
  const UpstreamConfig* upstream_;
  std::string_view hostname_;
  SecondHello second_hello_;
  Leg leg_;
  std::size_t address_ = 0;
  std::size_t header_octets_ = 0;
  std::string unsent_;                         // what there was no block for
  std::string greeting_;                       // its first line
  std::vector<std::string> xclient_commands_;  // the ones to be sent, last first
  TimeNs give_up_ = -1;                        // when the phase must be over
  TimeNs notice_at_ = -1;
  TimeNs deadline_ = -1;
  Phase phase_ = Phase::kIdle;
  ProbeResult result_;
  bool notice_ = false;
  bool refuses_second_hello_ = false;
};

}  // namespace ringpost

#endif  // RINGPOST_SESSION_HEALTH_PROBE_H_
