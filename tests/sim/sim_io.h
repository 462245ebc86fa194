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
  unsigned no_buffers = 0;      // -ENOBUFS though blocks are free
  unsigned no_descriptors = 0;  // -EMFILE for accept and OpenSocket
  unsigned cancel_late = 0;     // a cancel finds its target already on its way
  bool shuffle = false;         // completions of one turn come in any order
};

struct SimOptions {
  std::uint64_t seed = 1;
  SimFaults faults = {};
  std::size_t socket_buffer = 64 * 1024;  // octets that a connection holds per direction
  // As in UringOptions.
  unsigned lent_blocks = 256;
  std::size_t reserve_blocks = 16;
  std::size_t descriptors_max = 100'000;
  std::size_t backlog = 1'000;
};

// What the simulation did to a connection, for oracles that must know.
enum class SimCut : std::uint8_t { kNone, kReset, kEof };

// What a simulated backend does with a connection request.
enum class SimBackend : std::uint8_t { kAccept, kRefuse, kSilent };

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
  void CloseSend();  // FIN, and go on reading
  void Close();      // as close(2): with unread octets it is a reset
  void Reset();      // RST now

  // Called from Wait() after anything changed: octets, room, FIN, RST. May do whatever a peer may
  // do.
  void OnChange(std::function<void()> on_change);
  [[nodiscard]] const SocketAddress& address() const;  // this end's

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
  void set_descriptors_max(std::size_t n) { options_.descriptors_max = n; }
  [[nodiscard]] std::size_t in_flight() const { return requests_.size() + ready_.size(); }
  [[nodiscard]] std::size_t open_sockets() const { return ends_.size(); }  // listeners excluded
  [[nodiscard]] SimRandom& random() { return random_; }
  [[nodiscard]] std::uint64_t seed() const { return options_.seed; }

  // --- Io
  void Accept(Operation& operation, int listener) override;
  void Connect(Operation& operation, int fd, const sockaddr* address, socklen_t length) override;
  void Recv(Operation& operation, int fd, RecvHint hint) override;
  void Send(SendOperation& operation, int fd, std::span<const std::string_view> pieces) override;
  void ReadEvent(Operation& operation, int fd, std::uint64_t* value) override;
  void Cancel(Operation& operation, const Operation& target) override;

  [[nodiscard]] int OpenSocket(int family) override;
  void ShutdownSend(int fd) override;
  void ShutdownBoth(int fd) override;
  void CloseSocket(int fd) override;
  void TrySend(int fd, std::string_view text) override;
  [[nodiscard]] int PeerAddress(int fd, SocketAddress* address) override;
  [[nodiscard]] int LocalAddress(int fd, SocketAddress* address) override;

  [[nodiscard]] std::size_t Wait(TimeNs timeout, std::span<Completion> completions) override;
  [[nodiscard]] bool CanReceive() const override;
  [[nodiscard]] TimeNs Now() const override { return now_; }

 private:
  friend class SimPeer;

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
  [[nodiscard]] bool Happens(unsigned per_ten_thousand) {
    return random_.Happens(per_ten_thousand);
  }

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
  void RunAccept(SimRequest& request);
  void RunConnect(SimRequest& request);
  void RunRecv(SimRequest& request);
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

// 192.0.2.7:25 and the like.
[[nodiscard]] SocketAddress SimAddress(const char* ipv4, std::uint16_t port);

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SIM_SIM_IO_H_
