// SPDX-License-Identifier: GPL-3.0-or-later
//
// Answers Postfix's check_policy_service (Postfix, SMTPD_POLICY_README) about sessions that came
// through ringpost: PREPEND with a trace field that says how the client was encrypted and who it
// was, or the refusal of a partner whose policy the session was never asked to meet. A session that
// is not ours gets DUNNO: client and server, addresses and ports, must all be those of the request.
//
// The field is one line of printable ASCII, at most 900 octets, its parts always in this order:
//
//   Ringpost-TLS: HOSTNAME; version=TLSv1.3; suite=TLS_AES_128_GCM_SHA256; group=X25519MLKEM768;
//     resumed=yes; sni=mx.example.com; certificate=verified "mail.contoso.example"; route=mx;
//     partner=contoso
//
// HOSTNAME and version are always there; version=none is a session in clear, which has neither
// suite, group, resumed, sni nor certificate. certificate is about this message, by the rules that
// concern it: none, unverified, or verified and what proved it, a name of the certificate that the
// rule expects (or, to a route that takes all of its CA's, its first one), fingerprint=9F:86:...
// where a pinned one decided, or nothing where a partner takes any certificate of its CA. The
// partner of the sender's domain comes before that of the network, and both before the route. Of
// the others a part that is not known, or does not fit, is left out;
// several partners are separated by commas. In values every octet but letters, digits and -._:*@/+,
// (within quotes: a blank, but no comma) is written %HH: nothing a peer chose can end its part.
//
// It is said once for each message: Postfix asks for each recipient, with the same "instance" and
// on the same connection.
//
// One thread of its own with poll(2), few connections, small bounded buffers; it shares nothing
// with the shards but the registries.
#ifndef RINGPOST_PROCESS_POLICY_SERVICE_H_
#define RINGPOST_PROCESS_POLICY_SERVICE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "ringpost/config/config.h"
#include "ringpost/session/session_registry.h"

namespace ringpost {

struct PolicyServiceOptions {
  // Beyond this the connection that has been quiet longest is closed: Postfix opens another when it
  // needs one.
  std::size_t connections_max = 256;
  // Postfix closes what was unused for 300 s (smtpd_policy_service_max_idle), and every connection
  // after 1000 s.
  std::chrono::milliseconds idle_timeout = std::chrono::seconds(1000);
  // One sentence, from the service's thread, at most one in ten seconds. May be empty.
  std::function<void(std::string_view)> warn;
  // A socket that listens at the endpoint already, the service's now; -1: it opens one.
  int socket = -1;
  // Of that socket, if it is a unix one: the file is to be ours, from Own() on.
  bool may_own_file = false;
};

class PolicyService {
 public:
  // Opens the socket (a unix one is made for owner and group, 0660, after a stale one was removed)
  // or says what to change. `registries` outlive the service.
  static absl::StatusOr<std::unique_ptr<PolicyService>> Open(
      const Endpoint& endpoint, std::string hostname,
      std::vector<const SessionRegistry*> registries, PolicyServiceOptions options = {});
  ~PolicyService();  // Stop()
  PolicyService(const PolicyService&) = delete;
  PolicyService& operator=(const PolicyService&) = delete;

  void Start();  // once
  // Gives the port, or the unix socket's file, up to a successor, soon. Connections are served on,
  // about our own sessions: one that asks about a message of another is closed, so that it asks the
  // successor.
  void Release();
  // The same where the successor has this very socket: who waits in its queue waits for that one,
  // and a unix socket's file stays.
  void HandOver();
  // The predecessor that the socket is from serves no more: Stop() removes its file. Not beside the
  // commands above.
  void Own();
  // The socket, to be handed over; until Release(), HandOver() and Stop().
  [[nodiscard]] int socket() const;
  [[nodiscard]] bool owns_file() const;
  // Ends the thread, closes everything and removes the unix socket.
  void Stop();

  // The TCP port, for whoever asked for port 0.
  [[nodiscard]] std::uint16_t port() const;

 private:
  PolicyService();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The answer to one request ("name=value\n" lines, without the empty line that ends it), for tests:
// "action=DUNNO\n\n"; empty if the request is malformed, which gets none. It does not remember
// instances: a session of ours always gets its field.
[[nodiscard]] std::string AnswerPolicyRequest(
    std::string_view request, std::string_view hostname,
    const std::vector<const SessionRegistry*>& registries);

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_POLICY_SERVICE_H_
