// SPDX-License-Identifier: GPL-3.0-or-later
//
// One connection of ringpost-load: connects, negotiates TLS, sends its messages, says QUIT, and
// records how long each step took.
//
// Owner: the runner, one per slot; it is used again for the next connection of the slot. It never
// decides when to start. Invariant: each start ends in exactly one of success and one failure.
#ifndef RINGPOST_TOOLS_LOAD_CONNECTION_H_
#define RINGPOST_TOOLS_LOAD_CONNECTION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "ringpost/base/byte_queue.h"
#include "ringpost/io/io.h"
#include "ringpost/tls/tls_client.h"
#include "ringpost/tls/tls_engine.h"
#include "ringpost/tools/channel.h"
#include "ringpost/tools/load_stats.h"

namespace ringpost {

enum class LoadTls : std::uint8_t { kPlain, kStarttls, kImplicit };
enum class LoadContent : std::uint8_t { kData, kBdat };

// What all connections share; immutable but for `stats`. Outlives them.
struct LoadPlan {
  Io* io = nullptr;
  BufferPool* pool = nullptr;
  LoadStats* stats = nullptr;
  const TlsClientContext* tls_context = nullptr;  // unless kPlain

  SocketAddress target{};
  socklen_t target_length = 0;
  LoadTls tls = LoadTls::kPlain;
  LoadContent content = LoadContent::kData;
  bool resume = false;
  bool pipelining = false;  // where the server offers it
  bool hold = false;        // stay idle after EHLO until Quit()
  std::uint32_t messages = 1;
  TimeNs step_timeout = 0;

  std::string sni;
  std::string ehlo;  // commands with their CRLFs
  std::string mail;
  std::string rcpt;
  std::string content_command;    // "DATA CRLF" or "BDAT n LAST CRLF"
  std::string content_octets;     // as sent, terminator included
  std::uint64_t mail_octets = 0;  // of the message itself
};

// The monotonic clock now; Io::Now() is only as fresh as the last Wait().
[[nodiscard]] TimeNs ReadMonotonicClock();

class LoadConnection {
 public:
  enum class Phase : std::uint8_t {
    kFree,
    kConnect,
    kHandshake,
    kGreeting,
    kEhloClear,  // before STARTTLS
    kStarttls,
    kEhlo,
    kHold,
    kMail,
    kRcpt,
    kData,
    kFinal,
    kQuit,
    kEnd,     // 221 received: only closing is left
    kClosed,  // failed, or closing
  };

  LoadConnection(const LoadPlan* plan, std::uint32_t slot);

  // Takes over `fd`, a socket not yet connected. Latencies count from `scheduled`.
  void Start(int fd, TimeNs scheduled);
  void Handle(ToolOperation kind, const Completion& completion);
  // Only in Phase::kHold.
  void Quit();
  // Fails, and says so, if the connection has made no progress for step_timeout.
  bool CheckDeadline(TimeNs now);
  void Fail(LoadFailure failure, std::string_view detail);
  // Tries again what the empty pool prevented, while starved().
  void RetryStarved();
  // To be called after any of the above: makes the connection free when its socket is closed.
  void TryFinish();

  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] bool free() const { return phase_ == Phase::kFree; }
  [[nodiscard]] bool starved() const { return starved_; }
  [[nodiscard]] std::uint32_t generation() const { return generation_; }

 private:
  void Pump();
  // Each returns false when the connection has failed or ended meanwhile.
  [[nodiscard]] bool PumpTls();
  [[nodiscard]] bool PumpReplies();
  [[nodiscard]] bool OnReply(int code, std::string_view text);
  [[nodiscard]] bool OnEhlo(std::string_view text);
  [[nodiscard]] bool FeedContent();
  void StartTls();
  void StartMessage();
  void Finish();
  void OnChannelFailed();
  void SendText(std::string_view text, Phase next);
  void SetPhase(Phase phase);
  bool Expect(bool as_expected, LoadFailure failure, std::string_view text);
  [[nodiscard]] bool BlocksFree();
  [[nodiscard]] ByteQueue& input() { return tls_ == nullptr ? channel_.received() : plain_in_; }
  [[nodiscard]] ByteQueue& output() { return tls_ == nullptr ? channel_.to_send() : plain_out_; }

  const LoadPlan* plan_;
  std::uint32_t slot_;
  std::uint32_t generation_ = 0;
  Phase phase_ = Phase::kFree;
  bool starved_ = false;
  bool pipelining_ = false;
  bool peer_closed_ = false;
  Channel channel_;
  ByteQueue plain_in_;
  ByteQueue plain_out_;
  std::unique_ptr<TlsEngine> tls_;
  std::unique_ptr<TlsSession> session_;  // of the slot's last connection that got a ticket
  std::string_view content_left_;
  std::uint32_t messages_left_ = 0;
  TimeNs scheduled_ = 0;
  TimeNs handshake_start_ = 0;
  TimeNs message_start_ = 0;
  TimeNs deadline_ = 0;
};

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_LOAD_CONNECTION_H_
