// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the policy service may say about the sessions of one shard, found by the client's address
// and port. Written by the shard when TLS is up, at each MAIL and at the end; read by the service's
// thread. A mutex of its own for each shard, held for a look-up and a copy: the shard never waits
// for another shard, and without --policy_service there is no registry at all.
#ifndef RINGPOST_SESSION_SESSION_REGISTRY_H_
#define RINGPOST_SESSION_SESSION_REGISTRY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/hash/hash.h"
#include "ringpost/policy/judge.h"
#include "ringpost/policy/network.h"

namespace ringpost {

struct Config;

struct SessionKey {
  IpAddress client{};
  std::uint16_t client_port = 0;
  friend bool operator==(const SessionKey&, const SessionKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const SessionKey& key) {
    return H::combine(std::move(h), key.client, key.client_port);
  }
};

// What proved who the client is, to one rule.
struct CertificateProof {
  CertificateMatch::By by = CertificateMatch::By::kNothing;
  std::string text;  // the name, or the fingerprint as it is printed
  [[nodiscard]] bool says_who() const { return !text.empty(); }
};
[[nodiscard]] CertificateProof ProofOf(const CertificateMatch& match);

// Everything about the connection that does not change with the message; empty texts: not known.
struct SessionTrace {
  std::string route;
  std::string tls_version;  // empty: in clear
  std::string tls_suite;
  std::string tls_group;
  std::string sni;
  bool resumed = false;
  bool certificate = false;  // the client presented one
  CertificateProof proof;    // to the route's own rule
};

// A partner whose policy was judged at a MAIL that was let through. What came of it depends on the
// session and not on the message: which messages concern the partner is found anew for each.
struct JudgedPartner {
  std::string name;
  bool met = false;  // else only reported
  CertificateProof proof;
};

// What MAIL FROM led to.
struct SessionMail {
  std::vector<JudgedPartner> judged;
};

struct RegisteredSession {
  IpAddress server{};  // what the client reached
  std::uint16_t server_port = 0;
  SessionTrace trace;
  SessionMail mail;
  // Holds the partners; null: partners do not count on this route.
  std::shared_ptr<const Config> config;
  const PartnerTable* partners = nullptr;  // belongs to the session's runtime; see `keep`
  std::shared_ptr<const void> keep;        // keeps `partners` alive
};

class SessionRegistry {
 public:
  // The shard. `id` is the session's own (slot and generation). A second Put() of an id replaces
  // the first; SetMail() and Remove() of what is not there do nothing.
  //
  // What was judged before in a session still counts after both Put() and SetMail(), with what came
  // of it: a client may have pipelined this MAIL behind a message that the backend has yet to ask
  // about.
  void Put(const SessionKey& key, std::uint64_t id, RegisteredSession session);
  void SetMail(const SessionKey& key, std::uint64_t id, SessionMail mail);
  void Remove(const SessionKey& key, std::uint64_t id);

  // Any thread: all sessions of that client address and port (more than one only where the client
  // reached different addresses of ours from the same port), appended to `out`.
  void Find(const SessionKey& key, std::vector<RegisteredSession>& out) const;
  [[nodiscard]] std::size_t size() const;  // sessions

 private:
  struct Entry {
    std::uint64_t id = 0;
    RegisteredSession session;
  };
  mutable std::mutex mutex_;
  // Not Abseil's: that one does not survive the lack of memory for another entry.
  std::unordered_map<SessionKey, std::vector<Entry>, absl::Hash<SessionKey>> sessions_;
  std::size_t size_ = 0;
};

}  // namespace ringpost

#endif  // RINGPOST_SESSION_SESSION_REGISTRY_H_
