// SPDX-License-Identifier: GPL-3.0-or-later
//
// A shard with its thread and all it owns: ring, pool, log, the sockets it listens on. Made and
// told what to do by the main thread.
#ifndef RINGPOST_PROCESS_SHARD_THREAD_H_
#define RINGPOST_PROCESS_SHARD_THREAD_H_

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "ringpost/config/config.h"
#include "ringpost/io/socket.h"
#include "ringpost/log/log.h"
#include "ringpost/process/shard_log.h"
#include "ringpost/process/unix_listeners.h"
#include "ringpost/session/client_limits.h"
#include "ringpost/session/runtime.h"
#include "ringpost/session/session_registry.h"
#include "ringpost/session/shard.h"

namespace ringpost {

// A listening socket of a shard, as the main thread knows it.
struct ShardSocket {
  std::size_t listener = 0;  // of Runtime::listeners
  int fd = -1;
  SocketUse use = SocketUse::kAlone;
  bool is_copy = false;  // dup(2): another shard, or UnixListeners, has the first
};

// A reload of one shard that can be carried out, or dropped: then its sockets are closed.
class PreparedReload {
 public:
  explicit PreparedReload(std::shared_ptr<const Runtime> next);
  ~PreparedReload();
  PreparedReload(PreparedReload&&) noexcept = default;
  PreparedReload& operator=(PreparedReload&&) = delete;
  PreparedReload(const PreparedReload&) = delete;
  PreparedReload& operator=(const PreparedReload&) = delete;

 private:
  friend class ShardThread;
  ShardUpdateNode update_;            // empty once it was posted
  std::vector<ShardSocket> sockets_;  // that the shard has then
  std::future<void> applied_;
};

class ShardThread {
 public:
  // Told to the process by a shard that has ended: SIGRTMIN.
  static const int kEndedSignal;

  // `registry` may be null; it, `logger` and `client_limits` outlive the thread.
  ShardThread(int index, std::shared_ptr<const Config> config,
              std::shared_ptr<const Runtime> runtime, Logger* logger, SessionRegistry* registry,
              ClientLimits* client_limits);
  ~ShardThread();  // joins
  ShardThread(const ShardThread&) = delete;
  ShardThread& operator=(const ShardThread&) = delete;

  // Before Start(). Of that listener of the runtime; an error is a sentence that names the address.
  // kLate: nobody can connect before Start(), so that nobody is lost if another shard has none.
  enum class Listen : std::uint8_t { kNow, kLate };
  [[nodiscard]] absl::Status OpenListener(std::size_t listener, Listen listen);
  // The same for a unix socket, of which it gets a duplicate.
  [[nodiscard]] absl::Status AddUnixListener(std::size_t listener,
                                             const UnixListeners& unix_listeners);
  // The same with a socket that is open already; its owner now.
  void AddListener(const ShardSocket& socket);
  // Its sockets; they stay open until a reload takes them away, or Post().
  [[nodiscard]] const std::vector<ShardSocket>& sockets() const { return sockets_; }
  // Returns when the shard is accepting, or with the reason why it cannot. `has_ring` is called in
  // the shard's thread when it has opened what it needs.
  [[nodiscard]] absl::Status Start(std::function<absl::Status()> has_ring);
  void Post(ShardCommand command);
  // As Shard has them.
  void PostAcceptAgain();
  [[nodiscard]] bool has_released() const { return shard_ == nullptr || shard_->has_released(); }
  // A line about itself in the log, from its own thread.
  void PostStatusRequest();

  // Opens the sockets that `next` needs and the shard has not. An error names the address.
  [[nodiscard]] absl::StatusOr<PreparedReload> PrepareReload(
      std::shared_ptr<const Runtime> next, const UnixListeners& unix_listeners) const;
  // Cannot fail. The future is ready when new sessions use the new configuration.
  [[nodiscard]] std::future<void> Reload(PreparedReload prepared);

  [[nodiscard]] bool ended() const { return ended_.load(std::memory_order_acquire); }
  // Its ring takes no requests any more, and it will never end: the process must, without waiting
  // for it. The sentence says why.
  [[nodiscard]] bool failed() const { return failed_.load(std::memory_order_acquire); }
  [[nodiscard]] const std::string& failure() const { return failure_; }
  // As the main thread knows it: what new sessions begin with.
  [[nodiscard]] const Runtime& runtime() const { return *runtime_; }

 private:
  void Main(std::promise<absl::Status>& started, const std::function<absl::Status()>& has_ring);
  void Pin() const;
  void Fail(std::string_view sentence);

  int index_;
  // The one of the start: what a reload cannot change.
  std::shared_ptr<const Config> config_;
  std::shared_ptr<const Runtime> runtime_;
  ShardLog log_;
  SessionRegistry* registry_;
  ClientLimits* client_limits_;
  int control_;
  std::vector<ShardSocket> sockets_;  // the shard's, once there is one
  std::vector<int> silent_;           // of them: those that do not listen yet
  // Made by the thread, kept until it is joined: Post() may come at any time before.
  std::unique_ptr<Shard> shard_;
  std::atomic<bool> ended_{false};
  std::atomic<bool> failed_{false};
  std::string failure_;  // before failed_
  std::thread thread_;
};

// How a listening socket of this kind is to be opened.
[[nodiscard]] ListenOptions ListenOptionsFor(const ListenerConfig& listener, PortSharing sharing);

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_SHARD_THREAD_H_
