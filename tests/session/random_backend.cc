// SPDX-License-Identifier: GPL-3.0-or-later
#include "random_backend.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "ringpost/identity/proxy_header.h"

namespace ringpost {

RandomBackend::RandomBackend(SessionWorld* world, const RandomBackendOptions& options)
    : world_(world), options_(options), alive_(std::make_shared<RandomBackend*>(this)) {
  world_->io().OnBackendAccept([this](SimPeer peer) { OnAccept(std::move(peer)); });
}

RandomBackend::~RandomBackend() {
  *alive_ = nullptr;
  world_->io().OnBackendAccept(nullptr);
  for (const std::unique_ptr<Connection>& connection : connections_) {
    connection->peer.OnChange(nullptr);
  }
}

std::vector<const BackendLog*> RandomBackend::LogsOf(std::uint16_t client_port) const {
  std::vector<const BackendLog*> logs;
  for (const std::unique_ptr<Connection>& connection : connections_) {
    if (connection->client_port == client_port) {
      logs.push_back(&connection->log);
    }
  }
  return logs;
}

void RandomBackend::OnAccept(SimPeer peer) {
  connections_.push_back(std::make_unique<Connection>());
  Connection& connection = *connections_.back();
  connection.peer = std::move(peer);
  connection.peer.OnChange([this, &connection] { OnChange(connection); });
}

void RandomBackend::OnChange(Connection& connection) {
  if (!connection.over) {
    Move(connection);
  }
}

void RandomBackend::Move(Connection& connection) {
  connection.out.erase(0, connection.peer.Write(connection.out));
  while (!connection.busy && !connection.over) {
    const std::string octets = connection.peer.Read();
    connection.in += octets;
    if (connection.identified) {
      connection.log.received += octets;
    } else {
      const ProxyHeader header = ParseProxyHeader(connection.in);
      if (header.result == ProxyParse::kNeedMore) {
        break;  // or the session ended while it was being sent
      }
      ASSERT_EQ(header.result, ProxyParse::kComplete);
      EXPECT_FALSE(header.local);
      connection.identified = true;
      connection.client_port = header.source.port;
      connection.in.erase(0, header.length);
      connection.log.received = connection.in;
      Reply(connection, "", "220 backend ready");
    }
    if (connection.busy || connection.over || !Step(connection)) {
      break;
    }
  }
  if (!connection.over && !connection.busy && connection.peer.readable() == 0 &&
      (connection.peer.ended() || connection.peer.was_reset())) {
    connection.over = true;
    connection.peer.Close();
  }
}

bool RandomBackend::Step(Connection& connection) {
  if (connection.in_chunk) {
    const std::size_t n = std::min(connection.in.size(), connection.chunk_left);
    connection.content += connection.in.substr(0, n);
    connection.in.erase(0, n);
    connection.chunk_left -= n;
    if (connection.chunk_left > 0) {
      return false;
    }
    connection.in_chunk = false;
    const std::string reply = Refusable("250 2.0.0 chunk", "452 4.3.1 no space");
    if (connection.last_chunk) {
      messages_stored_ += reply[0] == '2' ? 1 : 0;
      connection.mail = false;
    }
    Reply(connection, std::exchange(connection.content, {}), reply);
    return true;
  }
  const std::size_t end = connection.in.find("\r\n");
  if (end == std::string::npos) {
    return false;
  }
  const std::string line = connection.in.substr(0, end + 2);
  connection.in.erase(0, end + 2);
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << "a bare LF at the backend";
  if (!connection.in_content) {
    const std::string reply = Answer(connection, line);
    if (!reply.empty()) {
      Reply(connection, line, reply);
    }
    return true;
  }
  EXPECT_EQ(std::count(line.begin(), line.end(), '\r'), 1) << "a bare CR at the backend";
  connection.content += line;
  if (line == ".\r\n") {
    connection.in_content = connection.mail = false;
    const std::string reply = Refusable("250 2.0.0 queued", "554 5.7.1 refused");
    messages_stored_ += reply[0] == '2' ? 1 : 0;
    Reply(connection, std::exchange(connection.content, {}), reply);
  }
  return true;
}

std::string RandomBackend::Answer(Connection& connection, const std::string& line) {
  const std::string verb = line.substr(0, 4);
  if (verb == "EHLO") {
    connection.mail = false;
    return "250-backend\r\n250-PIPELINING\r\n250-XCLIENT ADDR\r\n250-STARTTLS\r\n250-SIZE "
           "9999999\r\n"
           "250-8BITMIME\r\n250 CHUNKING";
  }
  if (verb == "MAIL") {
    const std::string reply = Refusable("250 2.1.0 sender", "451 4.7.1 later");
    connection.mail = reply[0] == '2';
    connection.recipients = 0;
    return reply;
  }
  if (verb == "RCPT") {
    if (!connection.mail) {
      return "503 5.5.1 MAIL first";
    }
    const std::string reply =
        Refusable("250-2.1.5 recipient\r\n250 2.1.5 is fine", "550 5.1.1 unknown");
    connection.recipients += reply[0] == '2' ? 1 : 0;
    return reply;
  }
  if (verb == "DATA") {
    if (!connection.mail || connection.recipients == 0) {
      return "554 5.5.1 no valid recipients";
    }
    const std::string reply = Refusable("354 go ahead", "452 4.3.1 no space");
    connection.in_content = reply[0] == '3';
    return reply;
  }
  if (verb == "BDAT") {
    connection.chunk_left = std::stoul(line.substr(5));
    connection.last_chunk = line.find("LAST") != std::string::npos;
    connection.in_chunk = true;
    connection.content = line;
    return "";
  }
  if (verb == "RSET") {
    connection.mail = false;
    return "250 2.0.0 reset";
  }
  if (verb == "NOOP") {
    return "250 2.0.0 nothing";
  }
  if (verb == "QUIT") {
    return "221 2.0.0 bye";
  }
  ADD_FAILURE() << "the backend got " << line;
  return "500 5.5.2 what";
}

std::string RandomBackend::Refusable(const std::string& yes, const std::string& no) {
  return world_->io().random().Happens(options_.refuse) ? no : yes;
}

void RandomBackend::Reply(Connection& connection, const std::string& command,
                          const std::string& reply) {
  if (world_->io().random().Happens(options_.vanish)) {
    connection.log.vanished = connection.over = true;
    if (Below(2) == 0) {
      connection.peer.Reset();
    } else {
      connection.peer.Close();
    }
    return;
  }
  const std::string numbered = reply + " #" + std::to_string(++number_) + "\r\n";
  if (!command.empty()) {
    connection.log.replies.push_back({command, numbered});
  }
  if (!world_->io().random().Happens(options_.slow)) {
    Say(connection, numbered);
    return;
  }
  connection.busy = true;
  world_->io().After(static_cast<TimeNs>(Below(5'000)) * kNsPerMs,
                     [alive = alive_, &connection, numbered] {
                       if (*alive != nullptr) {
                         connection.busy = false;
                         (*alive)->Say(connection, numbered);
                         (*alive)->OnChange(connection);
                       }
                     });
}

void RandomBackend::Say(Connection& connection, const std::string& reply) {
  connection.out += reply;
  connection.out.erase(0, connection.peer.Write(connection.out));
  if (reply.starts_with("221")) {
    connection.over = true;
    connection.peer.CloseSend();
  }
}

}  // namespace ringpost
