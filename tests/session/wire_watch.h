// SPDX-License-Identifier: GPL-3.0-or-later
//
// The oracle that sits on the wire: it sees each octet that ringpost sends to clients and knows,
// from those octets alone, from when on there must be TLS records and nothing else: from the first
// octet where TLS is implicit, from behind ringpost's own 220 to STARTTLS elsewhere. Content types
// and lengths must be those of TLS 1.2 or 1.3, nothing encrypted comes before a handshake record,
// and in TLS 1.2, where it can be seen, nothing comes after a fatal alert or close_notify.
//
// Of mail that leaves it sees what is sent to a partner's servers instead: from behind our STARTTLS
// on there must be records, or, where the route takes that, clear text once more; and where it does
// not, nothing is said in clear but EHLO, HELO and STARTTLS (PROTOCOL 42).
//
// It also tells the process when the shard is at work (sim_process.h).
//
// Owner: a SessionWorld.
#ifndef RINGPOST_TESTS_SESSION_WIRE_WATCH_H_
#define RINGPOST_TESTS_SESSION_WIRE_WATCH_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "sim/sim_io.h"

namespace ringpost {

class WireWatch final : public SimWire {
 public:
  // `io` says the time in failures.
  explicit WireWatch(SimIo* io) : io_(io) {}
  void set_implicit_tls(bool implicit_tls) { implicit_tls_ = implicit_tls; }
  enum class Outbound : std::uint8_t { kNone, kTakesClear, kForced };
  // Of kForced: `hello` is what EHLO and HELO say.
  void set_outbound(Outbound outbound, std::string hello) {
    outbound_ = outbound;
    hello_ = std::move(hello);
  }
  // No memory is refused or counted unless this is on.
  void set_arming(bool arming) { arming_ = arming; }

  void Opened(int fd, From from, const SocketAddress& local) override;
  void Sent(int fd, std::string_view octets) override;
  void Received(int fd, std::string_view octets) override;
  void InShard(bool inside) override;

  [[nodiscard]] std::uint64_t records() const { return records_; }

 private:
  struct Stream {
    bool tls = false;
    bool asked = false;  // outbound: STARTTLS was said
    bool handshake_seen = false;
    bool over = false;
    std::string line;    // clear: the present one
    std::string header;  // TLS: of the present record, five octets once it is complete
    std::size_t left = 0;
  };
  void Clear(Stream& stream, std::string_view& octets);
  void Outwards(Stream& stream, std::string_view& octets);
  void Records(Stream& stream, std::string_view& octets);
  void JudgeHeader(Stream& stream);

  SimIo* io_;
  bool implicit_tls_ = false;
  Outbound outbound_ = Outbound::kNone;
  std::string hello_;
  bool arming_ = false;
  std::uint64_t records_ = 0;
  std::map<int, Stream> streams_;  // of clients, or of a partner's servers
};

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SESSION_WIRE_WATCH_H_
