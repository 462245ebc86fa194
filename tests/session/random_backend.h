// SPDX-License-Identifier: GPL-3.0-or-later
//
// A mail server that draws its replies. Each reply carries a number of its own, so that one that
// ringpost had made up, or passed to the wrong command, is recognised.
#ifndef RINGPOST_TESTS_SESSION_RANDOM_BACKEND_H_
#define RINGPOST_TESTS_SESSION_RANDOM_BACKEND_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "script.h"
#include "session_world.h"

namespace ringpost {

struct RandomBackendOptions {
  unsigned refuse = 1'500;  // MAIL, RCPT, DATA, the message, in 1/10,000
  unsigned vanish = 0;      // closes or resets instead of a reply
  unsigned slow = 1'000;    // takes its time for a reply, and reads nothing meanwhile
};

class RandomBackend {
 public:
  RandomBackend(SessionWorld* world, const RandomBackendOptions& options);
  ~RandomBackend();

  // The connections for the client at this port, in order.
  [[nodiscard]] std::vector<const BackendLog*> LogsOf(std::uint16_t client_port) const;
  [[nodiscard]] int messages_stored() const { return messages_stored_; }

 private:
  struct Connection {
    SimPeer peer;
    BackendLog log;
    std::string in;   // read, not understood yet
    std::string out;  // said, not accepted by the socket yet
    std::string content;
    std::size_t chunk_left = 0;
    bool identified = false;
    std::uint16_t client_port = 0;
    bool in_content = false;
    bool in_chunk = false;
    bool last_chunk = false;
    bool mail = false;
    int recipients = 0;
    bool busy = false;
    bool over = false;
  };

  void OnAccept(SimPeer peer);
  void OnChange(Connection& connection);
  void Move(Connection& connection);
  // One command, line of content or part of a chunk; false if there is none complete.
  [[nodiscard]] bool Step(Connection& connection);
  [[nodiscard]] std::string Answer(Connection& connection, const std::string& line);
  void Reply(Connection& connection, const std::string& command, const std::string& reply);
  void Say(Connection& connection, const std::string& reply);
  [[nodiscard]] std::string Refusable(const std::string& yes, const std::string& no);
  [[nodiscard]] std::uint64_t Below(std::uint64_t n) { return world_->io().random().Below(n); }

  SessionWorld* world_;
  RandomBackendOptions options_;
  std::shared_ptr<RandomBackend*> alive_;
  std::vector<std::unique_ptr<Connection>> connections_;
  int messages_stored_ = 0;
  int number_ = 0;
};

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SESSION_RANDOM_BACKEND_H_
