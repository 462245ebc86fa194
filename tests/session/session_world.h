// SPDX-License-Identifier: GPL-3.0-or-later
//
// A shard with its sessions on a simulated kernel, between clients and backends that the test
// plays. Only the kernel is simulated: shard, session, relay and TLS are the real ones.
//
// Owner: one test case. Invariant, checked when it goes: every session ended with exactly one
// reason, nothing is in flight, every socket is closed, the pool is full.
#ifndef RINGPOST_TESTS_SESSION_SESSION_WORLD_H_
#define RINGPOST_TESTS_SESSION_SESSION_WORLD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "polite_backend.h"
#include "ringpost/base/buffer_pool.h"
#include "ringpost/config/config.h"
#include "ringpost/session/runtime.h"
#include "ringpost/session/shard.h"
#include "ringpost/tls/tls_client.h"
#include "ringpost/tls/tls_engine.h"
#include "sim/sim_io.h"

namespace ringpost {

struct WorldOptions {
  SimOptions io;
  std::size_t large_blocks = 1'024;
  std::size_t small_blocks = 512;
  std::uint32_t sessions_max = 100;
  const char* route = "mx";
  bool ask_certificate = false;
  RoutePolicy policy;
  AuthPolicy auth = AuthPolicy::kTls;
  std::vector<Partner> partners;
  std::uint32_t route_sessions_max = 0;
  std::uint32_t sessions_per_client_max = 0;
  std::uint32_t handshakes_per_client_rate = 0;
  TimeNs command_timeout = 300 * kNsPerSecond;
  BareNewline bare_newline = BareNewline::kNormalize;
  BackendIdentity identity = BackendIdentity::kNone;
  StarttlsBackend starttls_backend = StarttlsBackend::kReconnect;
  ProxyTlvs proxy_tlvs = ProxyTlvs::kAll;
  // The backends' identity is as good as proven: no probe comes before the first session.
  bool proven = true;
  bool implicit_tls = false;
  bool certificate = true;
  std::vector<SimBackend> backends = {SimBackend::kAccept};
  const char* listen = "198.51.100.1";  // port 25; or "unix:/run/out"
  // The route is one on which mail leaves, and the backends are a partner's servers.
  std::optional<EgressConfig> egress = std::nullopt;
  // What they are configured as; empty: their addresses.
  std::string partner_host = {};
  // What EgressConfig's policy may name.
  std::vector<TrustOptions> trusts = {};
  // Instead of one that is made once per process; not owned.
  const TlsCertificatePem* certificate_pem = nullptr;
  TicketKeys* ticket_keys = nullptr;  // not owned; null: no tickets
};

struct EndedSession {
  std::string client;  // "192.0.2.7:40000"
  CloseReason reason = CloseReason::kNone;
  RelayStats stats;
  std::string tls_version;
  std::string detail;
};

class SessionWorld final : public ShardObserver {
 public:
  explicit SessionWorld(const WorldOptions& options);
  ~SessionWorld() override;

  [[nodiscard]] SimIo& io() { return *io_; }
  [[nodiscard]] const BufferPool& pool() const { return *pool_; }
  [[nodiscard]] BufferPool& pool() { return *pool_; }
  [[nodiscard]] Shard& shard() { return *shard_; }
  [[nodiscard]] const Shard& shard() const { return *shard_; }
  [[nodiscard]] static SocketAddress BackendAddress(std::size_t index);
  [[nodiscard]] SimPeer Connect(const SocketAddress& client);
  // What it connects to.
  [[nodiscard]] int listener() const { return listener_; }

  // Called with each connection that a session makes to a backend; those of probes are answered as
  // a mail server does.
  void OnSessionBackend(std::function<void(SimPeer)> on_accept);

  // Turns of the shard until `done` or until `limit` of simulated time is over; false then.
  bool Until(const std::function<bool()>& done, TimeNs limit);
  // Called after each turn.
  void OnTurn(std::function<void()> on_turn) { on_turn_ = std::move(on_turn); }
  // A new configuration; listens on a socket of its own if it names another address.
  void Reload(const WorldOptions& options);
  // The same, without waiting until the shard uses it.
  void PostReload(const WorldOptions& options, std::function<void()> applied = [] {});
  // Lets simulated time pass.
  void Pass(TimeNs duration);
  // Ends the shard: by itself if no session is left, else with SIGINT's command.
  void Finish();

  [[nodiscard]] const std::vector<EndedSession>& ended() const { return ended_; }
  [[nodiscard]] int refused() const { return refused_; }
  [[nodiscard]] ClientLimits& client_limits() { return client_limits_; }
  // The last one that was asked for.
  [[nodiscard]] const ShardStatus& status() const { return status_; }
  [[nodiscard]] int backend_failures() const { return backend_failures_; }
  [[nodiscard]] int accept_pauses() const { return accept_pauses_; }

  // --- ShardObserver
  void SessionEnded(const Session& session, TimeNs now) override;
  void SessionRefused(const ListenerRuntime& listener, const SocketAddress& client, Refusal why,
                      TimeNs now) override;
  void Status(const ShardStatus& status) override { status_ = status; }
  void BackendFailed(const UpstreamConfig& upstream, const Endpoint& endpoint, CloseReason reason,
                     int error, std::string_view words, TimeNs now) override;
  void BackendRecovered(const UpstreamConfig& upstream, const Endpoint& endpoint,
                        TimeNs now) override;
  void UpstreamProven(const UpstreamConfig& upstream, const Endpoint& endpoint,
                      const ProbeResult& result, bool first) override;
  void UpstreamNotProven(const UpstreamConfig& upstream, const Endpoint& endpoint,
                         const ProbeResult& result, TimeNs now) override;
  void UpstreamSlow(const UpstreamConfig& upstream, const Endpoint& endpoint, TimeNs now) override;
  // What probes have found, one line each: "proven OCTETS" (of the PROXY header), "failed WORDS",
  // "refuted WORDS", "slow".
  [[nodiscard]] const std::vector<std::string>& probes() const { return probes_; }
  void PolicyNotMet(const Session& session, const PolicyDecision& decision,
                    std::string_view sender_domain) override;
  void TrustComplaint(const std::string& sentence, TimeNs now) override;
  void AcceptPaused(int error, TimeNs now) override;
  // "contoso.example no-tls", and " reported" where nothing was refused; "-": no domain.
  [[nodiscard]] const std::vector<std::string>& policy_faults() const { return policy_faults_; }
  // What the one route's policy has seen.
  [[nodiscard]] PolicyTotals RouteTotals() const;
  [[nodiscard]] int backend_recoveries() const { return backend_recoveries_; }
  [[nodiscard]] const SessionRegistry& registry() const { return registry_; }

 private:
  std::unique_ptr<BufferPool> pool_;
  std::unique_ptr<SimIo> io_;
  std::shared_ptr<const Runtime> runtime_;
  SessionRegistry registry_;
  ClientLimits client_limits_{1'000, {1, 2}};
  ShardStatus status_;
  std::unique_ptr<Shard> shard_;
  std::function<void()> on_turn_;
  std::unique_ptr<PoliteBackend> polite_;  // for probes
  std::string listen_;
  int listener_ = -1;
  std::vector<EndedSession> ended_;
  int refused_ = 0;
  int backend_failures_ = 0;
  int accept_pauses_ = 0;
  int backend_recoveries_ = 0;
  std::vector<std::string> policy_faults_;
  std::vector<std::string> probes_;
};

// The client's end of a connection: text in, text out, TLS when told so.
class ClientEnd {
 public:
  explicit ClientEnd(SimPeer peer);

  void OnChange(std::function<void()> on_change) { on_change_ = std::move(on_change); }
  void Say(std::string_view text);
  // What has arrived, decrypted, and has not been taken.
  [[nodiscard]] std::string& received() { return received_; }
  // Null: a context of the tests' own, which offers both versions.
  void StartTls(const TlsClientContext* context = nullptr, const TlsSession* session = nullptr);
  // The other side: this end is a server, which waits for the ClientHello. `contexts` outlives it.
  void AcceptTls(const TlsContextSet* contexts);
  [[nodiscard]] bool tls_ready() const { return tls_ != nullptr && tls_->handshake_complete(); }
  // Also where it has failed since: the last that came may have come before.
  [[nodiscard]] bool tls_was_ready() const {
    return tls_ != nullptr && !tls_->facts().version.empty();
  }
  [[nodiscard]] bool tls_failed() const { return tls_failed_; }
  [[nodiscard]] bool notified() const { return notified_; }  // close_notify received
  // FIN (or RST) received and everything before it read.
  [[nodiscard]] bool ended() const;
  [[nodiscard]] bool all_sent() const { return out_.empty() && plain_out_.empty(); }
  [[nodiscard]] SimPeer& peer() { return peer_; }
  [[nodiscard]] TlsEngine* tls() { return tls_.get(); }
  // Octets beside TLS.
  void Raw(std::string_view octets);
  // Only so many octets more reach the socket; what else is said is lost.
  void set_octets_left(std::size_t n) { octets_left_ = n; }
  void Notify();     // close_notify
  void Close();      // close_notify where there is TLS, then close
  void CloseSend();  // FIN without a word
  void Reset() { peer_.Reset(); }
  // A client that does not read for a while.
  void set_reading(bool reading);

 private:
  void Move();
  void MoveTls();
  void Write();

  SimPeer peer_;
  std::function<void()> on_change_;
  ByteQueue cipher_in_;
  ByteQueue cipher_out_;
  ByteQueue plain_in_;
  ByteQueue plain_queue_;
  std::unique_ptr<TlsEngine> tls_;
  std::string out_;        // to the socket
  std::string plain_out_;  // to be sealed
  std::string received_;
  std::size_t octets_left_ = std::string::npos;
  bool tls_failed_ = false;
  bool notified_ = false;
  bool reading_ = true;
};

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SESSION_SESSION_WORLD_H_
