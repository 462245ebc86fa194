// SPDX-License-Identifier: GPL-3.0-or-later
//
// One thread, one ring, its sessions. Shards share nothing on the data path: each has its own
// listeners (SO_REUSEPORT), pool, wheel and TLS contexts. The exceptions are unix sockets, and
// listeners that a service manager gave the process, fewer than it has shards.
//
// One turn: hand the requests of the last turn to the kernel and wait → note each completion → pump
// each session that has something to do, once. Everything but Post() belongs to the shard's thread.
#ifndef RINGPOST_SESSION_SHARD_H_
#define RINGPOST_SESSION_SHARD_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ringpost/base/buffer_pool.h"
#include "ringpost/base/timer_wheel.h"
#include "ringpost/io/io.h"
#include "ringpost/session/client_limits.h"
#include "ringpost/session/client_shares.h"
#include "ringpost/session/health_probe.h"
#include "ringpost/session/runtime.h"
#include "ringpost/session/session.h"
#include "ringpost/session/session_table.h"

namespace ringpost {

// Why a connection gets no session.
enum class Refusal : std::uint8_t {
  kDraining,
  kSessions,        // --sessions_max
  kRouteSessions,   // sessions_max of the route
  kClientSessions,  // --sessions_per_client_max
  kClientRate,      // --handshakes_per_client_rate, where TLS comes first
  kDescriptors,
};
inline constexpr std::size_t kRefusalCount = static_cast<std::size_t>(Refusal::kDescriptors) + 1;

// A shard at one moment, in its own words.
struct ShardStatus {
  std::uint32_t sessions = 0;
  std::uint32_t sessions_max = 0;
  // Blocks lent to the ring for receives are free: nothing is in them.
  std::size_t blocks_large_free = 0;
  std::size_t blocks_large = 0;
  std::size_t blocks_small_free = 0;
  std::size_t blocks_small = 0;
  std::size_t starved = 0;  // sessions that wait for blocks
  bool accept_paused = false;
  std::array<std::uint64_t, kRefusalCount> refused{};  // since the start
  std::uint64_t reclaimed = 0;  // sessions ended since then because others waited for their blocks
};

// Told, in the shard's thread, what the log and the counters want to know. Must not block.
class ShardObserver {
 public:
  virtual ~ShardObserver() = default;
  virtual void SessionEnded(const Session& session, TimeNs now) = 0;
  virtual void SessionRefused(const ListenerRuntime& listener, const SocketAddress& client,
                              Refusal why, TimeNs now) = 0;
  // `error` is an errno, or 0 where the reason says it all.
  // `words`: what it said, where that was wrong; may be empty.
  virtual void BackendFailed(const UpstreamConfig& upstream, const Endpoint& endpoint,
                             CloseReason reason, int error, std::string_view words, TimeNs now) = 0;
  // It is used again: a probe, or a session, has seen its greeting.
  virtual void BackendRecovered(const UpstreamConfig& upstream, const Endpoint& endpoint,
                                TimeNs now) = 0;
  // A probe has proven it. `first`: since the start or a reload.
  virtual void UpstreamProven(const UpstreamConfig& upstream, const Endpoint& endpoint,
                              const ProbeResult& result, bool first) = 0;
  // A probe has failed, or shown that it does not take its identity: it gets no client.
  virtual void UpstreamNotProven(const UpstreamConfig& upstream, const Endpoint& endpoint,
                                 const ProbeResult& result, TimeNs now) = 0;
  // A probe has waited long for its greeting, and goes on waiting.
  virtual void UpstreamSlow(const UpstreamConfig& upstream, const Endpoint& endpoint,
                            TimeNs now) = 0;
  // A MAIL command that was refused for a policy, or would have been.
  virtual void PolicyNotMet(const Session& session, const PolicyDecision& decision,
                            std::string_view sender_domain) = 0;
  // TrustStore::complaint(), of a client's certificate.
  virtual void TrustComplaint(const std::string& sentence, TimeNs now) = 0;
  // No descriptor, or no memory, for another connection; accepting goes on when there is.
  virtual void AcceptPaused(int error, TimeNs now) = 0;
  // Asked for with PostStatusRequest().
  virtual void Status(const ShardStatus& status) = 0;
};

// kHandOver: another process serves the same sockets now. No new sessions; those that run go on as
// before until none is left, or a drain's time-out is over; then it drains.
enum class ShardCommand : std::uint8_t { kNone, kHandOver, kDrain, kStop };
// Of a listening socket: whether other shards accept from the very same one.
enum class SocketUse : std::uint8_t { kAlone, kShared };

// A new configuration for a shard that is running.
struct ShardUpdate {
  std::shared_ptr<const Runtime> runtime;
  // Per listener of `runtime`: its socket, or -1 where the shard has one for that endpoint already.
  std::vector<int> listeners;
  std::function<void()> applied;  // called by the shard's thread once new sessions use it
};
// One of them, as Post() takes it: handing it over needs no memory.
using ShardUpdateNode = std::list<ShardUpdate>;

class Shard final : public SessionHost {
 public:
  // `listeners` are the sockets in the order of `runtime->listeners`, -1 for none; they are closed
  // by the shard.
  // `control` is an eventfd of this shard alone, kept open by the caller; -1 where Post() is not
  // used. `registry` and `client_limits` may be null. All pointers must outlive the shard.
  Shard(Io* io, BufferPool* pool, std::shared_ptr<const Runtime> runtime,
        const std::vector<int>& listeners, std::uint32_t sessions_max, int control,
        ShardObserver* observer, SessionRegistry* registry = nullptr,
        ClientLimits* client_limits = nullptr);
  ~Shard() override;

  // One more socket of `runtime->listeners[index]`; closed by the shard. Before the first turn.
  void AddListener(std::size_t index, int fd, SocketUse use);

  void Run();   // until finished()
  void Turn();  // one turn of the loop
  [[nodiscard]] bool finished() const { return finished_; }
  [[nodiscard]] std::uint32_t session_count() const { return sessions_.size(); }

  // From any thread. A later command is never weaker than an earlier one.
  void Post(ShardCommand command);
  // From any thread. Sessions that run keep what they began with, but for the policies that their
  // next MAIL is judged by; listeners that are not named any more are closed. Updates are taken one
  // after the other, each as a whole; one that is refused memory is tried again. Without effect
  // once a drain has begun.
  void Post(ShardUpdateNode update);
  // From any thread. Looks again for clients that wait to be accepted: of one of them only the
  // process may have been told that has left the same sockets since.
  void PostAcceptAgain();
  // From any thread. It was handed over, and does not wait at any listener any more.
  [[nodiscard]] bool has_released() const { return released_.load(std::memory_order_acquire); }
  // From any thread: the observer is told the status. Without effect at the very end of a stop.
  void PostStatusRequest();

  // --- SessionHost
  [[nodiscard]] Io& io() override { return *io_; }
  [[nodiscard]] BufferPool& pool() override { return *pool_; }
  [[nodiscard]] TimerWheel& wheel() override { return wheel_; }
  [[nodiscard]] const std::shared_ptr<const Runtime>& runtime() const override { return runtime_; }
  [[nodiscard]] bool draining() const override { return draining_; }
  void MakeReady(Session& session) override;
  void WaitForBlocks(Session& session) override;
  [[nodiscard]] ClientShares& shares() override { return shares_; }
  void EndTurn(Session& session) override { HaveTurn(shares_.EndTurn(session.share)); }
  void WaitForDescriptor(Session& session, int error) override;
  void WaitForProof(Session& session) override;
  void HealthChanged() override { probes_at_ = 0; }
  [[nodiscard]] bool MayBeginHandshake(const SocketAddress& client) override;
  void Finished(Session& session) override;
  void BackendFailed(const UpstreamConfig& upstream, const Endpoint& endpoint, CloseReason reason,
                     int error, std::string_view words) override;
  void BackendRecovered(const UpstreamConfig& upstream, const Endpoint& endpoint) override;
  void PolicyNotMet(const Session& session, const PolicyDecision& decision,
                    std::string_view sender_domain) override;
  void TrustComplaint(const std::string& sentence) override;
  [[nodiscard]] std::int64_t WallClock() const override;
  [[nodiscard]] SessionRegistry* registry() override { return registry_; }

 private:
  struct Listener {
    Operation accept;
    Operation cancel;
    int fd = -1;
    // What it was opened for; a reload that keeps it gives it the new ones.
    std::shared_ptr<const Runtime> runtime;
    const ListenerRuntime* listener = nullptr;
    SocketUse use = SocketUse::kAlone;
    bool closing = false;
  };
  // What has been made for a slot of its own, and is not yet in it.
  template <typename Value>
  using Prepared = std::vector<std::pair<std::size_t, std::unique_ptr<Value>>>;
  // The first free slot from `from` on; made if there is none.
  template <typename Value>
  static std::size_t FreeSlot(std::vector<std::unique_ptr<Value>>& slots, std::size_t from) {
    while (from < slots.size() && slots[from] != nullptr) {
      ++from;
    }
    if (from >= slots.size()) {
      slots.resize(from + 1);
    }
    return from;
  }
  template <typename Value>
  static void Place(Prepared<Value> prepared, std::vector<std::unique_ptr<Value>>& slots) {
    for (auto& [slot, value] : prepared) {
      slots[slot] = std::move(value);
    }
  }
  // The probe of one upstream of one configuration, which it keeps alive.
  struct Prober {
    std::shared_ptr<const Runtime> runtime;
    const UpstreamConfig* upstream = nullptr;
    UpstreamHealth* health = nullptr;
    std::unique_ptr<HealthProbe> probe;
    std::size_t header_octets = 0;  // of the PROXY v2 header that the next probe shows
    // It has taken a shorter header than the longest; now that one is shown to it once more.
    std::optional<ProbeResult> took_shorter;
    bool any_proven = false;
  };

  // The kinds of operations in user_data.
  enum ControlKind : std::uint8_t { kControlRead, kControlCancel };
  enum ListenerKind : std::uint8_t { kAccept, kAcceptCancel };

  // Memory that is refused costs the session that wanted it, not the process. No session may be
  // left half-way: Session::Close() needs none where nothing is said.
  template <typename Work>
  void Guarded(Session& session, const Work& work) {
    pool_->set_holder(session.share.account);
    try {
      work();
    } catch (const std::bad_alloc&) {
      session.Close(CloseReason::kOutOfResources, Session::Farewell::kSilent);
    }
  }

  // The same for what belongs to no session: it is left undone, or looked at again in the next
  // turn.
  template <typename Work>
  void Shielded(const Work& work) {
    try {
      work();
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): that is what it is for
    }
  }

  void CountRoutes(const Runtime& runtime);
  void Dispatch(const Completion& completion);
  void OnAccept(std::size_t index, const Completion& completion);
  void TakeClient(const Listener& from, int fd);
  [[nodiscard]] std::uint32_t ShareOf(const ListenerRuntime& listener) const;
  [[nodiscard]] std::optional<Refusal> RefusalOf(const ListenerRuntime& listener,
                                                 std::uint32_t route_sessions) const;
  [[nodiscard]] std::optional<Refusal> CountClient(const ListenerRuntime& listener,
                                                   const SocketAddress& client,
                                                   std::optional<ClientNetwork>* counted);
  void Leave(const std::optional<ClientNetwork>& counted);
  void Refuse(const ListenerRuntime& listener, int fd, const SocketAddress* client, Refusal why);
  void PauseAccepts(int error);
  void CancelAccepts();
  void TellStatus();
  void OnControl(const Completion& completion);
  void TakeUpdates();
  void Apply(ShardUpdate& update);
  [[nodiscard]] Prepared<Listener> PrepareListeners(const std::shared_ptr<const Runtime>& runtime,
                                                    const std::vector<int>& sockets);
  void KeepListeners(const ListenerRuntime& listener);
  void ReleaseListeners();
  [[nodiscard]] Prepared<Prober> PrepareProbers(const std::shared_ptr<const Runtime>& runtime);
  void RunProbes();
  void TakeProbeResult(Prober& prober, const ProbeResult& result, TimeNs now);
  void TakeProof(Prober& prober, const ProbeResult& result, TimeNs now);
  [[nodiscard]] bool TryAnotherHeader(Prober& prober, const ProbeResult& result);
  [[nodiscard]] TimeNs NextProbesAt() const;
  void WakeProofWaiters();
  [[nodiscard]] bool ProbesIdle() const;
  void ArmAccepts();
  void PumpReady();
  [[nodiscard]] bool HasBlocksForRound() const;
  [[nodiscard]] bool CanWakeStarved() const;
  void WakeStarved();
  void HaveTurn(const ClientShares::Member* member);
  void WakeWithinShare();
  [[nodiscard]] bool CanWakeShort() const;
  void WakeShort();
  void ReclaimBlocks();
  // `enough`: blocks are not short, but sessions wait for their client's share.
  void EndHolders(TimeNs now, bool enough);
  void HandOver();
  void Drain();
  void Stop();
  void CloseListeners();
  void Close(Listener& listener);
  [[nodiscard]] bool listening() const;
  void TryFinish();
  [[nodiscard]] TimeNs WaitTimeout() const;

  Io* io_;
  BufferPool* pool_;
  std::shared_ptr<const Runtime> runtime_;
  ShardObserver* observer_;
  TimerWheel wheel_;
  ClientShares shares_;
  SessionTable sessions_;
  // By the slot in their user_data; null once closed.
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<Prober>> probers_;
  std::map<std::string, std::uint32_t, std::less<>> route_sessions_;  // by the route's name

  Session* ready_head_ = nullptr;
  Session* ready_tail_ = nullptr;
  std::vector<Session*> starved_;
  std::vector<Session*> short_of_descriptor_;
  std::vector<Session*> proof_waiters_;
  TimeNs probes_at_ = 0;  // when to look at the probes; negative: when one of their operations ends
  bool rounds_starved_ = false;  // some of them need no receive, only blocks for what they have
  bool starved_lately_ = false;  // since blocks were last reclaimed, or looked for
  TimeNs reclaim_at_ = -1;       // when to look for holders; negative: there are blocks
  std::uint64_t reclaimed_ = 0;
  std::uint64_t sessions_begun_ = 0;

  SessionRegistry* registry_;
  ClientLimits* client_limits_;
  std::uint32_t counted_ = 0;  // sessions that client_limits_ counts
  std::array<std::uint64_t, kRefusalCount> refused_{};
  std::mutex updates_mutex_;  // of updates_; never taken on the data path
  std::list<ShardUpdate> updates_;
  TimeNs updates_retry_at_ = -1;  // when to try the first again; negative: none was refused memory

  int control_;
  Operation control_read_;
  Operation control_cancel_;
  std::uint64_t control_value_ = 0;
  std::atomic<ShardCommand> command_{ShardCommand::kNone};
  std::atomic<bool> status_wanted_{false};
  std::atomic<bool> accept_again_{false};
  std::atomic<bool> released_{false};

  TimeNs accept_paused_until_ = 0;
  TimeNs drain_deadline_ = 0;  // once handed over: when the drain begins
  bool handed_over_ = false;
  bool draining_ = false;
  bool stopping_ = false;
  bool finished_ = false;

  std::array<Completion, 1024> completions_;
};

}  // namespace ringpost

#endif  // RINGPOST_SESSION_SHARD_H_
