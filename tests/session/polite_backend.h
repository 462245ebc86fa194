// SPDX-License-Identifier: GPL-3.0-or-later
//
// A mail server for probes: it takes the identity that it is told, answers whatever it is asked,
// and goes when it is told to. Tests whose sessions' backends are played by hand leave probes to
// it.
#ifndef RINGPOST_TESTS_SESSION_POLITE_BACKEND_H_
#define RINGPOST_TESTS_SESSION_POLITE_BACKEND_H_

#include <memory>
#include <string>
#include <vector>

#include "ringpost/config/config.h"
#include "sim/sim_io.h"

namespace ringpost {

class PoliteBackend {
 public:
  explicit PoliteBackend(BackendIdentity identity) : identity_(identity) {}
  ~PoliteBackend();
  PoliteBackend(const PoliteBackend&) = delete;
  PoliteBackend& operator=(const PoliteBackend&) = delete;

  // Whether a shard's probe made this connection, and no session.
  [[nodiscard]] static bool IsProbe(const SimPeer& peer);
  void Take(SimPeer peer);

 private:
  struct Connection {
    SimPeer peer;
    std::string in;
    bool greeted = false;
  };
  void Answer(Connection& connection);
  [[nodiscard]] bool Identified(Connection& connection) const;

  BackendIdentity identity_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SESSION_POLITE_BACKEND_H_
