// SPDX-License-Identifier: GPL-3.0-or-later
//
// A client's connection, the backend's, and the relay between them. Pump() is the only function
// that moves octets: what to do next is computed from the queues, never remembered in flags.
//
// Owner: the shard's session table; it never moves. It ends with exactly one CloseReason, the
// first; then it closes in steps (Close → the rest sent → lingering → both sockets shut down →
// nothing in flight) and tells its shard that its slot is free.
#ifndef RINGPOST_SESSION_SESSION_H_
#define RINGPOST_SESSION_SESSION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ringpost/base/outcome.h"
#include "ringpost/base/timer_wheel.h"
#include "ringpost/io/io.h"
#include "ringpost/session/backend.h"
#include "ringpost/session/client_limits.h"
#include "ringpost/session/client_shares.h"
#include "ringpost/session/leg.h"
#include "ringpost/session/runtime.h"
#include "ringpost/session/session_policy.h"
#include "ringpost/session/session_registry.h"
#include "ringpost/smtp/smtp_relay.h"

namespace ringpost {

class Session;

// What a session needs of its shard.
class SessionHost : public BackendHost {
 public:
  [[nodiscard]] virtual BufferPool& pool() = 0;
  [[nodiscard]] virtual TimerWheel& wheel() = 0;
  // The configuration in force, which may be younger than a session's own.
  [[nodiscard]] virtual const std::shared_ptr<const Runtime>& runtime() const = 0;
  // No transaction may begin any more; idle sessions end.
  [[nodiscard]] virtual bool draining() const = 0;
  // To be pumped again in the next turn, or when blocks have returned.
  virtual void MakeReady(Session& session) = 0;
  virtual void WaitForBlocks(Session& session) = 0;
  // What the sessions of one client may take from the others.
  [[nodiscard]] virtual ClientShares& shares() = 0;
  // It has no more commands than were answered, or ends: another of its client may have its turn.
  virtual void EndTurn(Session& session) = 0;
  // To be pumped again when a descriptor may be had; nothing is accepted before.
  virtual void WaitForDescriptor(Session& session, int error) = 0;
  // To be pumped again when a probe of an upstream has had its answer.
  virtual void WaitForProof(Session& session) = 0;
  // Whether this client may begin another TLS handshake; counts it.
  [[nodiscard]] virtual bool MayBeginHandshake(const SocketAddress& client) = 0;
  // Nothing is in flight and no socket open: the slot may be used again.
  virtual void Finished(Session& session) = 0;
  virtual void PolicyNotMet(const Session& session, const PolicyDecision& decision,
                            std::string_view sender_domain) = 0;
  // Where the policy service looks; nullptr: there is none.
  [[nodiscard]] virtual SessionRegistry* registry() = 0;
};

class Session final : private PolicyListener, private MailPolicy {
 public:
  // Blocks that must be free before a round: what the TLS engine may need at once, and a reply.
  static constexpr std::size_t kLargeNeeded = TlsEngine::kBlocksNeeded + 2;
  static constexpr std::size_t kSmallNeeded = 4;

  // The lowest octets of `user_data` are for the leg and the operation (see SessionUserData).
  Session(SessionHost* host, std::shared_ptr<const Runtime> runtime,
          const ListenerRuntime* listener, std::uint64_t user_data, int fd);
  ~Session() override;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // `client` is null where the peer was gone before it could be asked for. `backend_fd`: a socket
  // for the upstream's first choice, opened before the session was let in, so that it cannot lack
  // one; or -1.
  void Start(const SocketAddress* client, int backend_fd);
  void OnCompletion(Side side, OperationKind kind, const Completion& completion);
  void OnDeadline();
  // Moves octets until nothing moves or the turn's budget is used up.
  void Pump();
  // A drain has begun: ends the session if no transaction is open, else as soon as none is.
  void Drain();
  // Ends it now: `farewell` or not, nothing more is relayed. The first reason wins.
  enum class Farewell : std::uint8_t { kSay, kSilent };
  void Close(CloseReason reason, Farewell farewell);

  // Ends it without a word and without waiting for anybody.
  void Stop();

  // What it keeps from others, and who is to blame that it does.
  struct Holding {
    enum class For : std::uint8_t { kItself, kClient, kPipeline, kBackend };
    std::size_t blocks_large = 0;
    std::size_t blocks_small = 0;
    TimeNs since = 0;  // when something last moved; kPipeline: when all that was said was last read
    // kItself: it waits for blocks, or for its turn. kPipeline: the client has sent more commands
    // than its backend has answered.
    For who = For::kItself;
  };
  [[nodiscard]] Holding holding() const;
  // Ends it so that its blocks return soon: others wait for them.
  void Reclaim();

  // What the log says of it.
  [[nodiscard]] CloseReason close_reason() const { return close_reason_; }
  [[nodiscard]] const ListenerRuntime& listener() const { return *listener_; }
  [[nodiscard]] const Config& config() const { return *runtime_->config; }
  [[nodiscard]] const SocketAddress& client() const { return client_; }
  [[nodiscard]] const SocketAddress& server() const { return server_; }  // what the client reached
  // The address of the upstream that was used, or tried last.
  [[nodiscard]] const Endpoint& backend() const { return backend_.endpoint(); }
  // Of an egress route's.
  [[nodiscard]] const PartnerFacts& partner() const { return backend_.partner(); }
  [[nodiscard]] const PartnerTrouble& partner_trouble() const { return backend_.trouble(); }
  [[nodiscard]] const RelayStats& stats() const { return relay_.stats(); }
  [[nodiscard]] const Leg& front() const { return front_; }
  [[nodiscard]] const TlsFacts& tls_facts() const { return tls_facts_; }
  [[nodiscard]] const std::string& sni() const { return sni_; }
  [[nodiscard]] const SessionPolicy* policy() const { return policy_.get(); }
  // Nullptr: the client presented none, or nobody asked.
  [[nodiscard]] const PeerCertificate* certificate() const {
    return policy_ != nullptr ? policy_->certificate() : nullptr;
  }
  // What client and mail server have said of the mail, each part cut to a length; empty: nothing.
  struct MailNotes {
    static constexpr std::size_t kHelloMax = 128;
    static constexpr std::size_t kMailMax = 320;  // RFC 5321 4.5.3.1.3: a path has 256
    static constexpr std::size_t kAcceptedMax = 128;
    std::string hello;     // the name in the last EHLO or HELO
    std::string mail;      // the argument of the last MAIL: "FROM:<a@example.com> SIZE=10"
    std::string accepted;  // the reply to the last message that was accepted, code and all
  };
  // Nullptr: neither has said anything.
  [[nodiscard]] const MailNotes* notes() const { return notes_.get(); }
  // Of the last MAIL that was let through; by comma.
  [[nodiscard]] const std::string& partners() const { return partners_; }
  [[nodiscard]] std::string_view detail() const { return detail_; }
  [[nodiscard]] TimeNs started() const { return started_; }

  // The wheel's and the shard's: its deadline, its place in their lists, its slot in the table.
  struct Timer : TimerWheel::Entry {
    Session* session = nullptr;
  };
  Timer timer;
  Session* next_ready = nullptr;
  std::uint32_t slot = 0;
  std::uint64_t number = 0;                 // of all that its shard has had, from 1
  std::uint32_t* route_sessions = nullptr;  // the shard's count for this route
  std::optional<ClientNetwork> counted;     // in ClientLimits, until it is finished
  ClientShares::Member share;
  bool is_ready = false;
  bool is_starved = false;
  bool needs_round = false;  // starved in the middle of what it had to do, not only by a receive
  bool is_short_of_descriptor = false;
  bool is_waiting_for_proof = false;
  bool is_finished = false;

 private:
  enum class Phase : std::uint8_t {
    kRunning,
    kFlushing,   // the last words are being sent to the client
    kLingering,  // FIN sent; waiting for the client's
    kJoining,    // both sockets are shut down
  };
  // What one round of the pump achieved.
  enum class Moved : std::uint8_t { kNothing, kSomething };

  [[nodiscard]] bool running() const { return phase_ == Phase::kRunning; }
  void PumpRelay();
  void PumpClosing();
  void PumpGoodbye();
  void Join();
  [[nodiscard]] Moved PumpFrontTls();
  [[nodiscard]] Moved PumpPartner();
  void OpenPartner(const Step& step);
  void PartnerReady();
  void PartnerUnusable();
  void PartnerTlsFailed();
  [[nodiscard]] Moved RelayFrom(Side side);
  void CarryOut(const Step& step, Side side);
  void SealAndArm();
  void ArmSend(Leg& leg, SendHint hint = SendHint::kAtOnce);
  void AckUnanswered();
  [[nodiscard]] bool HasBlocks();
  // A client that has sent more commands than were answered.
  void NoteOverrun(Side side);
  void EndOverrun();
  [[nodiscard]] bool MayGoOn();
  void ArmFrontRecv();
  // While few blocks are free no session takes more than its share of them.
  [[nodiscard]] bool IsTight() const;

  void StartTls(const Step& step);
  void TlsComplete();
  void TlsFailed(TlsOutcome outcome);
  [[nodiscard]] bool IsRejected(CloseReason reason) const;

  // What becomes of the session by what its backend answers.
  void Hear(const Backend::Answer& answer);
  void Introduce();
  [[nodiscard]] SessionKey RegistryKey() const;
  void Register();

  // --- MailPolicy
  [[nodiscard]] std::string_view Judge(std::string_view argument) override;
  void RefusedInClear(std::string_view argument) override;
  void RefusedUnusable() override;
  void ClientSays(Verb verb, std::string_view argument) override;
  void MessageAccepted(std::string_view reply) override;
  void BackendOffers(std::string_view filtered_reply) override;
  void CountPartner(PolicyFault fault, bool in_tls);
  enum class Policies : std::uint8_t { kTaken, kOutOfReach };
  [[nodiscard]] Policies TakePolicies(const std::shared_ptr<const Runtime>& runtime);

  // --- PolicyListener
  [[nodiscard]] std::int64_t WallClock() const override { return host_->WallClock(); }
  void PolicyNotMet(const PolicyDecision& decision, std::string_view sender_domain) override;
  void TrustComplaint(const std::string& sentence) override;
  void MailAllowed(const PolicyDecisions& decisions) override;

  // What the deadline is for; a new one begins whenever this, or the relay's progress, changes.
  enum class Wait : std::uint8_t {
    kNothing,
    kProof,
    kConnect,
    kOpening,
    kPartnerTls,
    kHandshake,
    kRelay
  };
  [[nodiscard]] Wait WaitsFor() const;
  [[nodiscard]] RelayWait Waiting() const;
  void UpdateDeadline();
  [[nodiscard]] TimeNs Deadline() const;
  [[nodiscard]] TimeNs RelayDeadline() const;
  [[nodiscard]] bool IsOpeningOver() const;
  [[nodiscard]] TimeNs ConnectDeadline() const;
  [[nodiscard]] TimeNs OpeningDeadline() const;

  SessionHost* host_;
  std::shared_ptr<const Runtime> runtime_;
  const ListenerRuntime* listener_;
  // Whose policies its mail is judged by: at first its own, from the first MAIL after a reload on
  // those of the configuration in force.
  std::shared_ptr<const Runtime> policies_;
  const ListenerRuntime* judged_as_;
  std::uint64_t user_data_;
  Leg front_;
  Leg back_;
  // XCLIENT's texts; only where that is the upstream's identity.
  struct XclientTexts;
  std::unique_ptr<XclientTexts> xclient_;
  // Only where there is a policy to hold.
  std::unique_ptr<SessionPolicy> policy_;
  SmtpRelay relay_;
  SocketAddress client_{};
  SocketAddress server_{};
  TlsFacts tls_facts_;
  std::string sni_;
  std::string detail_;
  std::string partners_;
  std::unique_ptr<MailNotes> notes_;

  TimeNs started_ = 0;
  TimeNs handshake_deadline_ = 0;
  TimeNs opening_deadline_ = 0;
  TimeNs content_started_ = 0;
  // When a send last began, or a command, a reply or content was last understood. What a peer sends
  // does not count: a drip would keep the blocks.
  TimeNs moved_ = 0;
  TimeNs input_read_ = 0;  // when nothing of the client's was left after a turn
  std::uint64_t content_octets_before_ = 0;
  std::size_t turn_octets_ = 0;
  Backend backend_;
  std::uint32_t progress_seen_ = 0;
  RelayWait wait_seen_ = RelayWait::kBackendGreeting;
  Phase phase_ = Phase::kRunning;
  CloseReason close_reason_ = CloseReason::kNone;
  Wait wait_ = Wait::kNothing;
  bool tls_established_ = false;
  bool heard_in_tls_ = false;  // the client has said something inside it
  bool overran_ = false;       // the client has sent more commands than were answered
};

}  // namespace ringpost

#endif  // RINGPOST_SESSION_SESSION_H_
