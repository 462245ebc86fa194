// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/session_registry.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace ringpost {
namespace {

// More than a client can have pipelined; what it did before is no longer asked about.
constexpr std::size_t kJudgedMax = 32;

// Behind a BDAT the next MAIL may already have been judged when the backend asks about the one
// before (RFC 3030 4.2), and what the session has met once it still meets.
std::vector<JudgedPartner> JoinJudged(std::vector<JudgedPartner> older,
                                      std::vector<JudgedPartner> newer) {
  std::erase_if(older, [&newer](const JudgedPartner& before) {
    return std::any_of(newer.begin(), newer.end(), [&before](const JudgedPartner& partner) {
      return partner.name == before.name;
    });
  });
  std::move(newer.begin(), newer.end(), std::back_inserter(older));
  if (older.size() > kJudgedMax) {
    older.erase(older.begin(), older.end() - kJudgedMax);
  }
  return older;
}

}  // namespace

CertificateProof ProofOf(const CertificateMatch& match) {
  CertificateProof proof{.by = match.by, .text = std::string(match.name)};
  if (match.by == CertificateMatch::By::kFingerprint) {
    proof.text = FormatFingerprint(match.fingerprint);
  }
  return proof;
}

void SessionRegistry::Put(const SessionKey& key, std::uint64_t id, RegisteredSession session) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Entry>& entries = sessions_[key];
  for (Entry& entry : entries) {
    if (entry.id == id) {
      session.mail.judged =
          JoinJudged(std::move(entry.session.mail.judged), std::move(session.mail.judged));
      std::swap(entry.session, session);
      return;
    }
  }
  entries.push_back({.id = id, .session = std::move(session)});
  ++size_;
}

void SessionRegistry::SetMail(const SessionKey& key, std::uint64_t id, SessionMail mail) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = sessions_.find(key);
  if (found == sessions_.end()) {
    return;
  }
  for (Entry& entry : found->second) {
    if (entry.id == id) {
      SessionMail& current = entry.session.mail;
      current.judged = JoinJudged(std::move(current.judged), std::move(mail.judged));
      return;
    }
  }
}

void SessionRegistry::Remove(const SessionKey& key, std::uint64_t id) {
  // Declared before the lock, so that what it keeps alive is let go after it: the last reference to
  // a configuration can be a lot of work. No memory may be needed here: a session has to end.
  std::optional<Entry> removed;
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = sessions_.find(key);
  if (found == sessions_.end()) {
    return;
  }
  std::vector<Entry>& entries = found->second;
  const auto of_id = std::find_if(entries.begin(), entries.end(),
                                  [id](const Entry& entry) { return entry.id == id; });
  if (of_id != entries.end()) {
    removed = std::move(*of_id);
    entries.erase(of_id);
    --size_;
  }
  if (entries.empty()) {  // also where there was no memory for the first
    sessions_.erase(found);
  }
}

void SessionRegistry::Find(const SessionKey& key, std::vector<RegisteredSession>& out) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = sessions_.find(key);
  if (found == sessions_.end()) {
    return;
  }
  for (const Entry& entry : found->second) {
    out.push_back(entry.session);
  }
}

std::size_t SessionRegistry::size() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return size_;
}

}  // namespace ringpost
