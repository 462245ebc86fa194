// SPDX-License-Identifier: GPL-3.0-or-later
//
// A mail server that draws its replies. Each reply carries a number of its own, so that one that
// ringpost had made up, or passed to the wrong command, is recognised. It holds ringpost to what a
// backend is promised: who calls is said first, once and truly; no bare CR or LF arrives; nothing
// that is not SMTP; no command before the reply to one that ends a group. Now and then it breaks
// the rules itself.
//
// Owner: one simulated run. It serves all addresses of the upstream.
#ifndef RINGPOST_TESTS_SESSION_RANDOM_BACKEND_H_
#define RINGPOST_TESTS_SESSION_RANDOM_BACKEND_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "script.h"
#include "session_world.h"

namespace ringpost {

// How a backend breaks the rules.
enum class Rogue : std::uint8_t {
  kGarbage,      // no reply at all
  kBareLf,       // a reply that ends in LF
  kChangedCode,  // "250-a", "550 b"
  kLongLine,     // longer than RFC 5321 allows, which is to pass
  kWrongClass,   // asks for more where nobody may
  k421,          // not a broken rule, but as sudden
  kSilence,      // says nothing and reads nothing any more
  kCutReply,     // goes away in the middle of a reply
  kEarlyReply,   // a reply too many
  kGreeting,     // greets with a refusal, with something else, or not at all
  kHeader,       // takes the PROXY header for commands, and answers them after its greeting
  kCount,
};
[[nodiscard]] std::string_view RogueName(Rogue rogue);

struct RandomBackendOptions {
  BackendIdentity identity = BackendIdentity::kProxyV2;
  unsigned refuse = 1'500;         // MAIL, RCPT, DATA, the message, in 1/10,000
  unsigned vanish = 0;             // closes or resets instead of a reply
  unsigned slow = 1'000;           // takes its time for a reply, and reads nothing meanwhile
  unsigned rogue = 0;              // per reply
  unsigned no_identity = 0;        // refuses, or does not offer, XCLIENT
  unsigned no_pipelining = 1'500;  // does not offer PIPELINING
};

class RandomBackend {
 public:
  RandomBackend(SessionWorld* world, const RandomBackendOptions& options);
  ~RandomBackend();

  // Of a session: what its operations have in common.
  static constexpr std::uint64_t kNoSession = ~std::uint64_t{0};
  [[nodiscard]] static std::uint64_t SessionOf(const SimPeer& peer);
  // What `client` truly is, for the oracle over identities. Empty: it has no session.
  void OnWho(std::function<bool(std::uint64_t session, const std::string& client)> who) {
    who_ = std::move(who);
  }

  // The connections of this session, in order.
  [[nodiscard]] std::vector<const BackendLog*> LogsOf(std::uint64_t session) const;
  [[nodiscard]] int messages_stored() const { return messages_stored_; }
  [[nodiscard]] int probes() const { return probes_; }
  // Of them, those that were not answered as they should be.
  [[nodiscard]] int probes_spoilt() const { return probes_spoilt_; }
  using RogueCounts = std::array<std::uint64_t, static_cast<std::size_t>(Rogue::kCount)>;
  [[nodiscard]] const RogueCounts& rogue_counts() const { return rogue_counts_; }

 private:
  enum class Stage : std::uint8_t { kHeader, kNoop, kXclientHello, kXclient, kReady };
  struct Connection {
    SimPeer peer;
    BackendLog log;
    std::string in;   // read, not understood yet
    std::string out;  // said, not accepted by the socket yet
    std::string content;
    std::string name;  // for the trace
    std::size_t chunk_left = 0;
    std::uint64_t session = kNoSession;  // of a probe: none
    Stage stage = Stage::kHeader;
    bool probe = false;
    bool greeted = false;
    bool refusing = false;  // greeted with a refusal
    bool in_content = false;
    bool in_chunk = false;
    bool last_chunk = false;
    bool mail = false;
    bool pipelining = false;     // offered
    bool last_of_group = false;  // the command at hand is
    int recipients = 0;
    int auth_steps = 0;
    bool busy = false;
    bool silent = false;
    bool over = false;
  };

  void OnAccept(SimPeer peer);
  void OnChange(Connection& connection);
  void Move(Connection& connection);
  [[nodiscard]] bool Identify(Connection& connection);
  void CheckSource(Connection& connection, std::string_view address, std::string_view port);
  void Greet(Connection& connection);
  void TakeHeaderForCommands(Connection& connection);
  // One command, line of content or part of a chunk; false if there is none complete.
  [[nodiscard]] bool Step(Connection& connection);
  [[nodiscard]] bool Chunk(Connection& connection);
  void Xclient(Connection& connection, const std::string& line);
  [[nodiscard]] static bool EndsGroup(const Connection& connection, const std::string& line);
  void ExpectSilence(Connection& connection, const std::string& command);
  [[nodiscard]] std::string Answer(Connection& connection, const std::string& line);
  [[nodiscard]] std::string AnswerAuth(Connection& connection, const std::string& line);
  void Reply(Connection& connection, const std::string& command, const std::string& reply);
  void BreakRules(Connection& connection, const std::string& command, const std::string& reply);
  void SayMuch(Connection& connection, const std::string& command, const std::string& reply);
  void Count(Connection& connection, Rogue rogue);
  void Say(Connection& connection, const std::string& reply);
  void Leave(Connection& connection);
  [[nodiscard]] std::string Number(const std::string& reply);
  [[nodiscard]] std::string Refusable(const std::string& yes, const std::string& no);
  [[nodiscard]] std::uint64_t Below(std::uint64_t n) { return world_->io().random().Below(n); }
  [[nodiscard]] bool Happens(unsigned chance) { return world_->io().random().Happens(chance); }

  SessionWorld* world_;
  RandomBackendOptions options_;
  std::function<bool(std::uint64_t, const std::string&)> who_;
  std::shared_ptr<RandomBackend*> alive_;
  std::vector<std::unique_ptr<Connection>> connections_;
  RogueCounts rogue_counts_{};
  int messages_stored_ = 0;
  int probes_ = 0;
  int probes_spoilt_ = 0;
  int number_ = 0;
};

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SESSION_RANDOM_BACKEND_H_
