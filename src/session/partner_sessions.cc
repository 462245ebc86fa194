// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/partner_sessions.h"

#include <algorithm>
#include <utility>

namespace ringpost {
namespace {

// Neither has a space.
std::string KeyOf(const Endpoint& server) { return server.host + ' ' + server.text; }

}  // namespace

PartnerSession* PartnerSessions::Find(const Endpoint& server) {
  const auto found = sessions_.find(KeyOf(server));
  if (found == sessions_.end()) {
    return nullptr;
  }
  found->second.used = ++uses_;
  return &found->second.session;
}

void PartnerSessions::Keep(const Endpoint& server, PartnerSession session) {
  std::string key = KeyOf(server);
  if (sessions_.size() >= kServersMax && !sessions_.contains(key)) {
    sessions_.erase(std::min_element(
        sessions_.begin(), sessions_.end(),
        [](const auto& one, const auto& other) { return one.second.used < other.second.used; }));
  }
  sessions_.insert_or_assign(std::move(key), Entry{std::move(session), ++uses_});
}

void PartnerSessions::Forget(const Endpoint& server) { sessions_.erase(KeyOf(server)); }

}  // namespace ringpost
