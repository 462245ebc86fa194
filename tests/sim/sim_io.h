// SPDX-License-Identifier: GPL-3.0-or-later
//
// A simulated kernel for tests: the Io of io/io.h with its own clock, its own TCP and no real
// descriptor. One thread; everything follows from one 64-bit seed, so a failure is replayed by its
// seed.
//
// Owner: a test. The pool must outlive it, and every SimPeer must be dropped or unused by its end.
// It never sleeps: Wait() moves the clock to the next event. What a caller must not do (a closed
// descriptor, two sends on one socket, octets that change while they are sent, ...) is a test
// failure with the seed in it.
//
// Invariant: the octets of one direction of a connection arrive in order, none twice, none missing
// up to the point where the connection was cut.
#ifndef RINGPOST_TESTS_SIM_SIM_IO_H_
#define RINGPOST_TESTS_SIM_SIM_IO_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ringpost/base/buffer_pool.h"
#include "ringpost/io/io.h"
#include "sim/sim_random.h"
#include "sim/sim_trace.h"

namespace ringpost {

// How often each misfortune happens, in 1/10,000 per opportunity. All zero: a kernel on a good day.
struct SimFaults {
  unsigned short_recv = 0;   // a receive returns fewer octets than are there (>= 1)
  std::size_t recv_max = 0;  // no receive returns more than this (0: a block)
  unsigned short_send = 0;   // a send reaches the peer in several parts
  unsigned delay = 0;        // a completion comes later, so that others overtake it
  TimeNs delay_max = 50 * kNsPerMs;
  unsigned reset = 0;  // the connection is reset at any octet
  unsigned eof = 0;    // the peer seems to close at any octet
  unsigned connect_refused = 0;
  unsigned connect_silent = 0;  // no answer at all
  unsigned connect_late = 0;    // an answer after up to this long
  TimeNs connect_late_max = 20 * kNsPerSecond;
  unsigned accept_failed = 0;   // -ECONNABORTED: the client was gone before it was accepted
  unsigned no_buffers = 0;      // -ENOBUFS though blocks are free
  unsigned no_descriptors = 0;  // -EMFILE for accept and OpenSocket
  unsigned cancel_late = 0;     // a cancel finds its target already on its way
  // The clock leaps to just before, to, or past the caller's next deadline, and what was complete
  // by then is held back until the next Wait().
  unsigned clock_leap = 0;
  TimeNs clock_leap_max = 700 * kNsPerSecond;
  bool shuffle = false;  // completions of one turn come in any order
};

// Each misfortune that was drawn is counted, so that a run can show that it met them all.
enum class SimFault : std::uint8_t {
  kShortRecv,
  kShortSend,
  kDelay,
  kReset,
  kEof,
  kConnectRefused,
  kConnectSilent,
  kConnectLate,
  kAcceptFailed,
  kNoBuffers,
  kNoDescriptors,
  kCancelLate,
  kClockLeap,
  kCount,
};
using SimFaultCounts = std::array<std::uint64_t, static_cast<std::size_t>(SimFault::kCount)>;
[[nodiscard]] std::string_view SimFaultName(SimFault fault);

struct SimOptions {
  std::uint64_t seed = 1;
  SimFaults faults = {};
  std::size_t socket_buffer = 64 * 1024;  // octets that a connection holds per direction
  // As in UringOptions.
  unsigned lent_blocks = 256;
  std::size_t reserve_blocks = 16;
  std::size_t descriptors_max = 100'000;
  std::size_t backlog = 1'000;
  std::int64_t wall_clock = 1'800'000'000;  // seconds since the epoch when it begins
};

// What the simulation did to a connection, for oracles that must know.
enum class SimCut : std::uint8_t { kNone, kReset, kEof };

// What a simulated backend does with a connection request.
enum class SimBackend : std::uint8_t { kAccept, kRefuse, kSilent };

// Sees what the system under test does on its sockets, as it happens.
class SimWire {
 public:
  virtual ~SimWire() = default;
  enum class From : std::uint8_t { kAccepted, kConnected };
  virtual void Opened(int fd, From from, const SocketAddress& local) = 0;
  // Octets on their way to the peer.
  virtual void Sent(int fd, std::string_view octets) = 0;
  // Octets handed to the system under test.
  virtual void Received(int fd, std::string_view octets) = 0;
  // The system under test is at work from here on, or is not any more.
  virtual void InShard(bool inside) = 0;
};

class SimIo;
struct SimEnd;
struct SimRequest;

// The test's end of a connection. A cheap handle; copies mean the same end.
class SimPeer {
 public:
  SimPeer() = default;
  SimPeer(SimIo* io, std::shared_ptr<SimEnd> end) : io_(io), end_(std::move(end)) {}

  [[nodiscard]] bool connected() const { return end_ != nullptr; }
  // Sends what there is room for and returns how much that was.
  std::size_t Write(std::string_view octets);
  // Everything received, up to `most` octets.
  std::string Read(std::size_t most = std::string::npos);
  [[nodiscard]] std::size_t readable() const;
  // The other end has finished sending (FIN) and everything was read.
  [[nodiscard]] bool ended() const;
  [[nodiscard]] bool was_reset() const;
  [[nodiscard]] SimCut cut() const;
  // All that was written has been read and acknowledged, with something sent since or at once: what
  // a client waits for that writes twice before it reads (RFC 896). There are no other ACKs here.
  [[nodiscard]] bool acknowledged() const;
  // How often the other end has asked for an ACK without octets.
  [[nodiscard]] std::size_t acks() const;
  void CloseSend();  // FIN, and go on reading
  void Close();      // as close(2): with unread octets it is a reset
  void Reset();      // RST now

  // Called from Wait() after anything changed: octets, room, FIN, RST. May do whatever a peer may
  // do.
  void OnChange(std::function<void()> on_change);
  [[nodiscard]] const SocketAddress& address() const;  // this end's
  // Of the latest operation on the other end: an oracle's way to know whose connection this is.
  static constexpr std::uint64_t kNoUserData = ~std::uint64_t{0};
  [[nodiscard]] std::uint64_t user_data() const;

 private:
  SimIo* io_ = nullptr;
  std::shared_ptr<SimEnd> end_;
};

class SimIo final : public Io {
 public:
  SimIo(const SimOptions& options, BufferPool* pool);
  ~SimIo() override;

  // --- The test's side.
  [[nodiscard]] int OpenListener(const SocketAddress& local);
  // Connects to a listener; refused (no peer) if its backlog is full or it is shut.
  [[nodiscard]] SimPeer ConnectFrom(int listener, const SocketAddress& client);
  // Connections to `address` meet this backend; without one they are refused.
  void SetBackend(const SocketAddress& address, SimBackend backend);
  // For each connection that SimBackend::kAccept takes, in order. Without it: TakeAccepted().
  void OnBackendAccept(std::function<void(SimPeer)> on_accept);
  [[nodiscard]] std::optional<SimPeer> TakeAccepted();
  // Runs inside Wait(), `delay` from now; that Wait() then returns, as after a signal.
  void After(TimeNs delay, std::function<void()> action);
  // A real eventfd(2), for ReadEvent and for whoever writes to it; closed by the SimIo.
  [[nodiscard]] int OpenEvent();

  void set_faults(const SimFaults& faults) { options_.faults = faults; }
  [[nodiscard]] const SimFaultCounts& fault_counts() const { return fault_counts_; }
  // How many FINs left in one segment with the last octets.
  [[nodiscard]] std::size_t fins_with_octets() const { return fins_with_octets_; }
  void set_wire(SimWire* wire) { wire_ = wire; }  // null: nobody looks; else outlives its use
  [[nodiscard]] SimTrace& trace() { return trace_; }
  // Since the beginning.
  [[nodiscard]] TimeNs elapsed() const;
  // One line of the trace, from whoever takes part: counts for the hash, and is printed if asked
  // for.
  void Say(std::string_view who, std::string_view what);
  void set_descriptors_max(std::size_t n) { options_.descriptors_max = n; }
  [[nodiscard]] std::size_t in_flight() const { return requests_.size() + ready_.size(); }
  [[nodiscard]] std::size_t open_sockets() const { return ends_.size(); }  // listeners excluded
  [[nodiscard]] SimRandom& random() { return random_; }
  [[nodiscard]] std::uint64_t seed() const { return options_.seed; }

  // --- Io
  void Accept(Operation& operation, int listener) override;
  void AcceptOne(Operation& operation, int listener) override;
  void Connect(Operation& operation, int fd, const sockaddr* address, socklen_t length,
               ConnectHint hint) override;
  void Recv(Operation& operation, int fd, RecvHint hint) override;
  void Send(SendOperation& operation, int fd, std::span<const std::string_view> pieces,
            SendHint hint) override;
  void ReadEvent(Operation& operation, int fd, std::uint64_t* value) override;
  void Cancel(Operation& operation, const Operation& target) override;

  [[nodiscard]] int OpenSocket(int family) override;
  void ShutdownSend(int fd) override;
  void ShutdownBoth(int fd) override;
  void CloseSocket(int fd) override;
  [[nodiscard]] int RecvNow(int fd, std::span<const BlockId> blocks) override;
  void TrySend(int fd, std::string_view text) override;
  void AckNow(int fd, AckHint hint) override;
  [[nodiscard]] int PeerAddress(int fd, SocketAddress* address) override;
  [[nodiscard]] int LocalAddress(int fd, SocketAddress* address) override;

  [[nodiscard]] std::size_t Wait(TimeNs timeout, std::span<Completion> completions) override;
  [[nodiscard]] bool CanReceive() const override;
  [[nodiscard]] std::size_t LentBlocks() const override { return lent_.size(); }
  [[nodiscard]] TimeNs Now() const override { return now_; }
  [[nodiscard]] std::int64_t WallClock() const override {
    return options_.wall_clock + elapsed() / kNsPerSecond;
  }

 private:
  friend class SimPeer;
  friend class SimScope;

  struct Listener {
    SocketAddress local{};
    std::deque<std::shared_ptr<SimEnd>> backlog;  // the accepting side's ends
    SimRequest* accept = nullptr;
    bool shut = false;
  };
  struct Event {
    TimeNs due = 0;
    std::uint64_t order = 0;
    std::function<void()> action;
  };
  struct EventLater {
    bool operator()(const Event& a, const Event& b) const {
      return a.due != b.due ? a.due > b.due : a.order > b.order;
    }
  };

  void Misuse(const std::string& what) const;
  [[nodiscard]] bool Happens(SimFault fault, unsigned per_ten_thousand) {
    if (!random_.Happens(per_ten_thousand)) {
      return false;
    }
    ++fault_counts_[static_cast<std::size_t>(fault)];
    return true;
  }
  [[nodiscard]] bool LeapClock(TimeNs timeout);

  // Requests: collected until Wait(), then started in order.
  SimRequest& AddRequest(Operation& operation, int kind, int fd);
  [[nodiscard]] SimRequest* Find(std::uint64_t user_data);
  void Start(std::uint64_t id);
  void StartConnect(SimRequest& request);
  void StartRecv(SimRequest& request);
  void StartSend(SimRequest& request);
  void StartCancel(SimRequest& request);
  void Finish(SimRequest& request, std::int32_t result, BlockId block = kNoBlock);
  void Schedule(SimRequest& request);  // its condition holds: run it soon
  void Run(SimRequest& request);
  SimRequest& AddAccept(Operation& operation, int listener);
  void RunAccept(SimRequest& request);
  void RunConnect(SimRequest& request);
  void RunRecv(SimRequest& request);
  [[nodiscard]] std::int32_t TakeOctets(int fd, SimEnd& end, std::span<const BlockId> blocks);
  void RunSend(SimRequest& request);
  void VerifyPieces(const SimRequest& request) const;
  [[nodiscard]] TimeNs DrawDelay();
  void AddEvent(TimeNs delay, std::function<void()> action);

  // Sockets.
  [[nodiscard]] SimEnd* EndOf(int fd, const char* use);
  [[nodiscard]] std::shared_ptr<SimEnd> NewEnd(const SocketAddress& local,
                                               const SocketAddress& remote);
  [[nodiscard]] int NewDescriptor();
  void Poke(SimEnd& end);  // something changed: whoever waits for it may go on
  void FinishSending(SimEnd& end);
  void ResetBoth(SimEnd& end, int error_here);
  void CloseEnd(SimEnd& end);
  void Cut(SimEnd& end, SimCut cut);

  void LendBlocks();
  void RunDue();
  [[nodiscard]] std::size_t TakeReady(std::span<Completion> completions);

  SimOptions options_;
  BufferPool* pool_;
  SimRandom random_;
  SimTrace trace_;
  SimFaultCounts fault_counts_{};
  std::size_t fins_with_octets_ = 0;
  SimWire* wire_ = nullptr;
  bool in_shard_ = false;
  TimeNs now_;
  std::uint64_t next_id_ = 1;
  int next_fd_;
  std::uint16_t next_port_ = 40'000;
  int idle_turns_ = 0;
  bool interrupted_ = false;
  std::map<std::uint64_t, std::unique_ptr<SimRequest>> requests_;  // by id
  std::vector<std::uint64_t> collected_;
  std::deque<Completion> ready_;
  std::priority_queue<Event, std::vector<Event>, EventLater> events_;
  std::deque<BlockId> lent_;
  std::map<int, std::shared_ptr<SimEnd>> ends_;
  std::map<int, Listener> listeners_;
  std::map<int, SimRequest*> event_descriptors_;  // and the read that waits for it, or null
  std::map<std::string, SimBackend> backends_;    // by the address's octets
  std::function<void(SimPeer)> on_backend_accept_;
  std::deque<SimPeer> accepted_;
  std::vector<std::weak_ptr<SimEnd>> all_ends_;
};

// Who is at work until the end of the scope. The simulated kernel says so itself; what an observer
// or a backend does in between is the test's.
class SimScope {
 public:
  enum class Who : std::uint8_t { kShard, kTest };
  SimScope(SimIo& io, Who who) : io_(io), before_(io.in_shard_) { Set(who == Who::kShard); }
  ~SimScope() { Set(before_); }
  SimScope(const SimScope&) = delete;
  SimScope& operator=(const SimScope&) = delete;

 private:
  void Set(bool in_shard) {
    if (io_.in_shard_ != in_shard) {
      io_.in_shard_ = in_shard;
      if (io_.wire_ != nullptr) {
        io_.wire_->InShard(in_shard);
      }
    }
  }

  SimIo& io_;
  bool before_;
};

// 192.0.2.7:25 and the like.
[[nodiscard]] SocketAddress SimAddress(const char* ipv4, std::uint16_t port);

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SIM_SIM_IO_H_
