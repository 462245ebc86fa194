// SPDX-License-Identifier: GPL-3.0-or-later
//
// The servers of a partner, to which mail leaves: each connection draws how its server fails to do
// its part, in clear, in the TLS handshake, by its certificate or behind it. It holds ringpost to
// what the route's policy promises: MAIL comes only where the policy is met, STARTTLS only where it
// was offered, and what is stored is what the sender has sent, whole. Each reply has a number, so
// that one that nobody has said is recognised.
//
// Owner: one simulated run. It serves all addresses of the upstream.
#ifndef RINGPOST_TESTS_SESSION_PARTNER_SERVER_H_
#define RINGPOST_TESTS_SESSION_PARTNER_SERVER_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ringpost/config/config.h"
#include "ringpost/tls/ticket_keys.h"
#include "ringpost/tls/tls_context.h"
#include "session_world.h"

namespace ringpost {

// What a server does not do as it should, from its greeting to the reply to the last EHLO.
enum class PartnerFault : std::uint8_t {
  kNone,
  kRefusesToTalk,
  kGarbageGreeting,
  kSilentGreeting,
  kGoneAtGreeting,
  kGoneAtHello,
  kNoStarttls,
  kRefusesStarttls,
  kForeignReply,  // to STARTTLS
  kInjection,     // octets behind the 220
  kGoneAtStarttls,
  kGarbageHandshake,
  kCutHandshake,
  kSilentHandshake,
  kUntrusted,  // its certificate
  kWrongName,
  kExpired,
  kGoneInTls,  // when the handshake is over
  kCount,
};
[[nodiscard]] std::string_view PartnerFaultName(PartnerFault fault);

// What senders send and servers store.
struct Message {
  std::string content;                  // with what ends it
  std::vector<std::string> recipients;  // that were accepted, as the sender heard
  bool acknowledged = false;
  int stored = 0;
};
using Ledger = std::map<std::string, Message>;  // by sender

struct PartnerOptions {
  ServerPolicy policy;
  PolicyMode mode = PolicyMode::kEnforce;
  bool implicit_tls = false;
  bool tickets = false;
  std::string ehlo_name;  // what EHLO must say; empty: the sender's
  unsigned fault = 0;     // of a connection, in 1/10,000, as the rest
  unsigned refuse = 1'000;
  unsigned vanish = 0;
  unsigned slow = 1'000;
  unsigned split = 1'000;  // a reply in two parts
};

// Of the good certificate, and what vouches for it.
inline constexpr std::string_view kPartnerHost = "mx.partner.example";
[[nodiscard]] const std::string& PartnerCaPem();
[[nodiscard]] const Fingerprint& PartnerFingerprint();
// Made once per process, and the same in every process.
void MakePartnerCertificates();

class PartnerServer {
 public:
  PartnerServer(SessionWorld* world, const PartnerOptions& options, Ledger* ledger);
  ~PartnerServer();

  // Whether it has said this, to that command.
  [[nodiscard]] bool HasSaid(const std::string& reply, const std::string& command) const;
  using FaultCounts = std::array<std::uint64_t, static_cast<std::size_t>(PartnerFault::kCount)>;
  [[nodiscard]] const FaultCounts& fault_counts() const { return fault_counts_; }
  // Some connection was what a policy refuses for good.
  [[nodiscard]] bool has_failed_for_good() const { return failed_for_good_; }
  [[nodiscard]] int messages_stored() const { return messages_stored_; }
  [[nodiscard]] int messages_in_tls() const { return messages_in_tls_; }
  [[nodiscard]] int resumed() const { return resumed_; }  // of them

 private:
  struct Connection {
    explicit Connection(SimPeer peer) : end(std::move(peer)) {}
    ClientEnd end;
    std::string name;  // for the trace
    PartnerFault fault = PartnerFault::kNone;
    std::string sender;
    std::vector<std::string> recipients;
    std::size_t chunk = 0;
    bool greeted = false;
    bool offered = false;  // STARTTLS
    bool asked = false;    // for it
    bool deaf = false;     // and dumb, where the handshake would be
    bool in_content = false;
    bool in_chunk = false;
    bool busy = false;
    bool over = false;
  };

  void OnAccept(SimPeer peer);
  void Move(Connection& connection);
  // One command or the end of content; false if there is none complete.
  [[nodiscard]] bool Step(Connection& connection);
  [[nodiscard]] bool Content(Connection& connection);
  void Command(Connection& connection, const std::string& line);
  void Hello(Connection& connection, const std::string& line);
  void Starttls(Connection& connection);
  void BeginTls(Connection& connection);
  void Store(Connection& connection, const std::string& content);
  [[nodiscard]] const TlsContextSet* ContextsFor(PartnerFault fault);
  [[nodiscard]] bool MayHaveMail(const Connection& connection) const;
  [[nodiscard]] std::string Refusable(const std::string& yes, const std::string& no);
  void Reply(Connection& connection, const std::string& command, const std::string& reply);
  void Say(Connection& connection, const std::string& text);
  void After(Connection& connection, TimeNs delay, void (PartnerServer::*action)(Connection&));
  void Greet(Connection& connection);
  void Leave(Connection& connection);
  [[nodiscard]] std::uint64_t Below(std::uint64_t n) { return world_->io().random().Below(n); }
  [[nodiscard]] bool Happens(unsigned chance) { return world_->io().random().Happens(chance); }

  SessionWorld* world_;
  PartnerOptions options_;
  Ledger* ledger_;
  std::shared_ptr<PartnerServer*> alive_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::map<std::string, std::string> said_;  // reply: command
  std::array<std::unique_ptr<TicketKeys>, 4> ticket_keys_;
  std::array<std::shared_ptr<const TlsContextSet>, 4> contexts_;  // made when first used
  FaultCounts fault_counts_{};
  bool failed_for_good_ = false;
  int messages_stored_ = 0;
  int messages_in_tls_ = 0;
  int resumed_ = 0;
  int number_ = 0;
};

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SESSION_PARTNER_SERVER_H_
