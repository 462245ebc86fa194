// SPDX-License-Identifier: GPL-3.0-or-later
//
// The oracle that sits on the wire: it sees each octet that ringpost sends to clients and knows,
// from those octets alone, from when on there must be TLS records and nothing else: from the first
// octet where TLS is implicit, from behind ringpost's own 220 to STARTTLS elsewhere. Content types
// and lengths must be those of TLS 1.2 or 1.3, nothing encrypted comes before a handshake record,
// and in TLS 1.2, where it can be seen, nothing comes after a fatal alert or close_notify.
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

#include "sim/sim_io.h"

namespace ringpost {

class WireWatch final : public SimWire {
 public:
  // `io` says the time in failures.
  explicit WireWatch(SimIo* io) : io_(io) {}
  void set_implicit_tls(bool implicit_tls) { implicit_tls_ = implicit_tls; }
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
    bool handshake_seen = false;
    bool over = false;
    std::string line;    // clear: the present one
    std::string header;  // TLS: of the present record, five octets once it is complete
    std::size_t left = 0;
  };
  void Clear(Stream& stream, std::string_view& octets);
  void Records(Stream& stream, std::string_view& octets);
  void JudgeHeader(Stream& stream);

  SimIo* io_;
  bool implicit_tls_ = false;
  bool arming_ = false;
  std::uint64_t records_ = 0;
  std::map<int, Stream> streams_;  // of clients
};

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SESSION_WIRE_WATCH_H_
