// SPDX-License-Identifier: GPL-3.0-or-later
//
// The process: everything that can fail at start fails here, before the first client is accepted;
// then one thread per shard, and the main thread waits for signals.
//
// SIGHUP: the configuration is read again, validated as a whole, and, if all of it is good, used
// for new sessions. SIGUSR2: the policies' summary and a line about each shard go to the log.
// Other addresses of an upstream's host name are used for new sessions, too.
// SIGUSR1: the program is started anew and gets all listening sockets. Once it serves, this one
// takes no new sessions, lets those that run go on, up to --drain_timeout, and ends.
// SIGTERM, SIGINT: give up all ports, let transactions finish up to --drain_timeout. SIGINT again:
// at once.
#ifndef RINGPOST_PROCESS_SERVER_H_
#define RINGPOST_PROCESS_SERVER_H_

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ringpost/config/config.h"
#include "ringpost/log/log.h"
#include "ringpost/log/log_file.h"
#include "ringpost/process/inherited_sockets.h"
#include "ringpost/process/notify.h"
#include "ringpost/process/policy_service.h"
#include "ringpost/process/policy_summary.h"
#include "ringpost/process/sandbox.h"
#include "ringpost/process/shard_thread.h"
#include "ringpost/process/start_helper.h"
#include "ringpost/process/start_log.h"
#include "ringpost/process/successor.h"
#include "ringpost/process/unix_listeners.h"
#include "ringpost/process/upstream_names.h"
#include "ringpost/session/client_limits.h"
#include "ringpost/session/runtime.h"
#include "ringpost/tls/ticket_keys.h"

namespace ringpost {

// Reads the configuration again, as at the start.
using ConfigLoader = std::function<absl::StatusOr<std::shared_ptr<const Config>>()>;

// What the process was started with, besides its configuration.
struct ServerStart {
  InheritedSockets sockets;
  StartHelper helper;  // which SIGUSR1 needs
};

// What the process is made of that a test in its own process has not.
struct ServerOptions {
  ServerStart start;
  std::string runs_as;      // "user:group", for the log
  std::string config_path;  // empty: no file
  // When the start is complete, the process gives up what it does not need any more.
  bool confines_process = false;
};

class Server {
 public:
  // Certificates, ring, listeners: all of it, or a sentence that says what to change.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Server>> Create(
      std::shared_ptr<const Config> config, ConfigLoader load_config, ServerOptions options = {});
  ~Server();
  // Signals to one that serves wait until it does: a SIGHUP meanwhile must not end it. SIGTERM and
  // SIGINT end it at once.
  static void HoldSignals();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Blocks the signals it waits for, serves until one ends it, and returns when every session is
  // over. An error means that a shard could not start; whoever was accepted meanwhile is cut off.
  [[nodiscard]] absl::Status Run();

 private:
  // A configuration that the shards have been given.
  struct GivenReload {
    std::vector<std::future<void>> applied;  // ready: that shard's new sessions use it
    std::vector<std::string> restart_only;   // sentences about what it does not change
    std::vector<std::string> changes;        // and about what it does
  };

  Server(std::shared_ptr<const Config> config, ConfigLoader load_config, ServerOptions options,
         std::string ring_features, std::unique_ptr<LogFile> log_file);
  [[nodiscard]] absl::Status FollowNames();
  [[nodiscard]] absl::Status Load();
  [[nodiscard]] absl::Status OpenListeners();
  [[nodiscard]] absl::Status OpenNewListener(std::size_t index);
  [[nodiscard]] absl::Status OpenUnixListener(std::size_t index);
  [[nodiscard]] absl::Status AdoptListeners(std::size_t index,
                                            const std::vector<InheritedSockets::Socket>& given);
  [[nodiscard]] absl::Status OpenPolicyService();
  [[nodiscard]] absl::StatusOr<std::vector<std::shared_ptr<const Runtime>>> MakeRuntimes(
      const std::shared_ptr<const Config>& config);
  [[nodiscard]] absl::Status MakeThreads(ThreadRole role,
                                         const std::function<absl::Status()>& make);
  [[nodiscard]] absl::Status StartThreads();
  [[nodiscard]] absl::Status Confine();
  void LogStart();
  void WaitForEnd();
  void OwnSockets();
  void StartSuccessor();
  [[nodiscard]] bool WaitsForAnother() const;
  void LookAtOthers();
  void LookAtSuccessor();
  void HandOver();
  void Drain();
  [[noreturn]] void EndAtOnce(std::string_view sentence);
  void LogChanges(const std::vector<std::string>& changes);
  void LogConfiguration();
  void ReopenLog();
  void Reload();
  [[nodiscard]] absl::StatusOr<GivenReload> GiveReload();
  [[nodiscard]] absl::StatusOr<GivenReload> GiveReload(const std::shared_ptr<const Config>& read);
  [[nodiscard]] absl::StatusOr<std::shared_ptr<const Config>> LookUpNames(
      const std::shared_ptr<const Config>& read);
  [[nodiscard]] absl::Status OpenNames(const Config& read);
  void TakeOtherAddresses();
  void GiveOtherAddresses();
  void PostAll(ShardCommand command);

  std::shared_ptr<const Config> read_;    // in force, as it was read: without addresses of names
  std::shared_ptr<const Config> config_;  // in force
  ConfigLoader load_config_;
  ServerOptions options_;
  std::optional<SandboxLimits> sandbox_;  // where there is one
  std::string ring_features_;
  ServerStart start_;
  std::vector<std::string> given_;  // addresses of the sockets in it that are in use
  InheritedSockets::Rest rest_;     // of those that are not
  Notify notify_;
  Predecessor predecessor_;
  Successor successor_;
  bool ending_ = false;  // no new sessions
  std::unique_ptr<TicketKeys> ticket_keys_;
  std::vector<std::string> file_warnings_;
  std::vector<StartLine> said_;  // of the configuration in force
  // Outlives the shards, whose last lines it writes.
  std::unique_ptr<LogFile> log_file_;
  Log log_;
  Logger* logger_;
  PolicySummaryLog summary_;
  // One for each shard where there is a policy service; they outlive both.
  std::vector<std::unique_ptr<SessionRegistry>> registries_;
  std::unique_ptr<ClientLimits> client_limits_;  // of all shards, which it outlives
  UnixListeners unix_listeners_;
  std::vector<std::unique_ptr<ShardThread>> shards_;
  std::unique_ptr<PolicyService> policy_service_;
  Logger* names_logger_ = nullptr;  // of the resolver's thread
  std::atomic<bool> takes_signals_{false};
  std::unique_ptr<UpstreamNames> names_;  // where some upstream was ever given by a host name
};

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_SERVER_H_
