// SPDX-License-Identifier: GPL-3.0-or-later
//
// What SimIo keeps of a request and of one end of a connection. Private to tests/sim.
#ifndef RINGPOST_TESTS_SIM_SIM_STATE_H_
#define RINGPOST_TESTS_SIM_SIM_STATE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ringpost/io/io.h"
#include "sim/sim_io.h"

namespace ringpost {

enum class SimKind : std::uint8_t { kAccept, kConnect, kRecv, kSend, kReadEvent, kCancel };

struct SimRequest {
  std::uint64_t id = 0;
  SimKind kind = SimKind::kRecv;
  Operation* operation = nullptr;
  std::uint64_t user_data = 0;
  int fd = -1;
  bool started = false;    // handed to the "kernel" by Wait()
  bool scheduled = false;  // an event that runs it is due
  RecvHint hint = RecvHint::kDataUnlikely;
  SocketAddress address{};               // connect
  std::vector<std::string_view> pieces;  // send: the caller's memory
  std::string copy;                      // ... and what it held when it was handed over
  bool fin_follows = false;
  bool accepts_one = false;
  std::size_t done = 0;
  std::uint64_t* value = nullptr;  // event
  std::uint64_t target = 0;        // cancel: user_data
};

struct SimEnd : std::enable_shared_from_this<SimEnd> {
  int fd = -1;                                     // -1: the test's end, or not accepted yet
  std::uint64_t user_data = SimPeer::kNoUserData;  // of the latest operation
  SocketAddress local{};
  SocketAddress remote{};
  std::shared_ptr<SimEnd> other;
  std::string in;        // arrived, not read
  std::string held;      // sent, and kept back until the FIN
  bool fin_in = false;   // the other's FIN is behind `in`
  bool fin_out = false;  // ours is sent
  bool recv_shut = false;
  bool dead = false;    // a RST came or was sent
  bool closed = false;  // nobody is here: what arrives is answered by a RST
  int error = 0;        // SO_ERROR: reported once
  SimCut cut = SimCut::kNone;
  SimRequest* recv = nullptr;
  SimRequest* send = nullptr;
  SimRequest* connect = nullptr;
  std::function<void()> on_change;
  bool change_due = false;
  bool ack_due = false;  // octets were read, and nothing was sent since
  bool acked_until_answered = false;
  std::size_t acks = 0;  // calls of AckNow()

  [[nodiscard]] bool recv_ready() const {
    return !in.empty() || fin_in || recv_shut || dead || error != 0;
  }
  [[nodiscard]] bool send_failed() const { return fin_out || dead || error != 0; }
};

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SIM_SIM_STATE_H_
