// SPDX-License-Identifier: GPL-3.0-or-later
//
// The test's end of a simulated connection.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "sim/sim_io.h"
#include "sim/sim_state.h"

namespace ringpost {

std::size_t SimPeer::Write(std::string_view octets) {
  if (end_->fin_out || end_->dead || end_->closed) {
    return 0;
  }
  SimEnd& other = *end_->other;
  if (other.closed) {
    io_->ResetBoth(*end_, ECONNRESET);
    return octets.size();
  }
  const std::size_t buffer = io_->options_.socket_buffer;
  const std::size_t n = std::min(octets.size(), buffer - std::min(buffer, other.in.size()));
  other.in += octets.substr(0, n);
  io_->trace_.Mix(n);
  if (n > 0) {
    io_->Poke(other);
  }
  return n;
}

std::string SimPeer::Read(std::size_t most) {
  std::string octets = end_->in.substr(0, most);
  end_->in.erase(0, octets.size());
  if (!octets.empty() && end_->other != nullptr) {
    io_->Poke(*end_->other);
  }
  return octets;
}

std::size_t SimPeer::readable() const { return end_->in.size(); }
bool SimPeer::ended() const { return end_->fin_in && end_->in.empty(); }
bool SimPeer::was_reset() const { return end_->dead; }
SimCut SimPeer::cut() const { return end_->cut; }
bool SimPeer::acknowledged() const {
  return end_->other == nullptr || (end_->other->in.empty() && !end_->other->ack_due);
}
std::size_t SimPeer::acks() const { return end_->other == nullptr ? 0 : end_->other->acks; }
void SimPeer::CloseSend() { io_->FinishSending(*end_); }
void SimPeer::Close() { io_->CloseEnd(*end_); }

void SimPeer::Reset() {
  io_->ResetBoth(*end_, 0);
  end_->closed = true;
}

void SimPeer::OnChange(std::function<void()> on_change) {
  end_->on_change = std::move(on_change);
  // What is there already counts as a change.
  if (end_->on_change && end_->other != nullptr) {
    io_->Poke(*end_);
  }
}

std::uint64_t SimPeer::user_data() const {
  return end_->other != nullptr ? end_->other->user_data : kNoUserData;
}

const SocketAddress& SimPeer::address() const { return end_->local; }

}  // namespace ringpost
