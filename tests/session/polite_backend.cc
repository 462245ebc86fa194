// SPDX-License-Identifier: GPL-3.0-or-later
#include "polite_backend.h"

#include <gtest/gtest.h>

#include <utility>

#include "ringpost/identity/proxy_header.h"
#include "ringpost/session/session_table.h"

namespace ringpost {

PoliteBackend::~PoliteBackend() {
  for (const std::unique_ptr<Connection>& connection : connections_) {
    connection->peer.OnChange(nullptr);
  }
}

bool PoliteBackend::IsProbe(const SimPeer& peer) {
  const std::uint64_t packed = peer.user_data();
  return packed != SimPeer::kNoUserData && UserData::Unpack(packed).leg == UserData::kProbe;
}

void PoliteBackend::Take(SimPeer peer) {
  connections_.push_back(std::make_unique<Connection>());
  Connection& connection = *connections_.back();
  connection.peer = std::move(peer);
  connection.peer.OnChange([this, &connection] { Answer(connection); });
  Answer(connection);
}

// PROTOCOL 37. False: not yet.
bool PoliteBackend::Identified(Connection& connection) const {
  if (identity_ != BackendIdentity::kProxyV2 && identity_ != BackendIdentity::kProxyV1) {
    return true;
  }
  const ProxyHeader header = ParseProxyHeader(connection.in);
  if (header.result == ProxyParse::kNeedMore) {
    return false;
  }
  EXPECT_EQ(header.result, ProxyParse::kComplete) << testing::PrintToString(connection.in);
  connection.in.erase(0, header.length);
  return true;
}

void PoliteBackend::Answer(Connection& connection) {
  connection.in += connection.peer.Read();
  if (!connection.greeted) {
    if (!Identified(connection)) {
      return;
    }
    connection.greeted = true;
    connection.peer.Write("220 polite\r\n");
  }
  for (std::size_t end = 0; (end = connection.in.find("\r\n")) != std::string::npos;) {
    const std::string line = connection.in.substr(0, end);
    connection.in.erase(0, end + 2);
    if (line == "QUIT") {
      connection.peer.Write("221 polite\r\n");
      connection.peer.Close();
      return;
    }
    if (line.starts_with("EHLO ") && identity_ == BackendIdentity::kXclient) {
      connection.peer.Write("250-polite\r\n250 XCLIENT ADDR PORT DESTADDR DESTPORT\r\n");
    } else {
      connection.peer.Write(line.starts_with("XCLIENT ") ? "220 polite\r\n" : "250 polite\r\n");
    }
  }
  if (connection.peer.ended() || connection.peer.was_reset()) {
    connection.peer.Close();
  }
}

}  // namespace ringpost
