// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/server.h"

#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <csignal>
#include <ctime>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "ringpost/io/socket.h"
#include "ringpost/io/uring.h"
#include "ringpost/process/shard_log.h"

namespace ringpost {
namespace {

// Told to the main thread by a shard that has ended.
constexpr int kShardEnded = SIGUSR1;
// How often the main thread looks whether the ticket keys are due.
constexpr time_t kHousekeepingSeconds = 10;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::int64_t WallClock() { return std::time(nullptr); }

sigset_t WaitedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, kShardEnded}) {
    sigaddset(&signals, signal);
  }
  return signals;
}

ListenOptions OptionsFor(const ListenerConfig& listener, PortSharing sharing) {
  ListenOptions options;
  options.sharing = sharing;
  options.defer = listener.implicit_tls ? DeferAccept::kYes : DeferAccept::kNo;
  return options;
}

}  // namespace

// A shard with its thread and all it owns. The listeners are opened before the thread starts.
class Server::ShardThread {
 public:
  ShardThread(int index, std::shared_ptr<const Config> config,
              std::shared_ptr<const Runtime> runtime, Logger* logger)
      : index_(index),
        config_(std::move(config)),
        runtime_(std::move(runtime)),
        log_(logger),
        control_(eventfd(0, EFD_CLOEXEC)) {}

  ~ShardThread() {
    if (thread_.joinable()) {
      thread_.join();
    }
    for (const int fd : listeners_) {
      close(fd);
    }
    close(control_);
  }
  ShardThread(const ShardThread&) = delete;
  ShardThread& operator=(const ShardThread&) = delete;

  [[nodiscard]] absl::Status OpenListeners() {
    for (const ListenerRuntime& listener : runtime_->listeners) {
      const Endpoint& endpoint = listener.listener->endpoint;
      absl::StatusOr<int> fd =
          OpenListener(&endpoint.address.any, endpoint.length, endpoint.text,
                       OptionsFor(*listener.listener, PortSharing::kReusePort));
      if (!fd.ok()) {
        return fd.status();
      }
      listeners_.push_back(*fd);
    }
    return absl::OkStatus();
  }

  // Returns when the shard is accepting, or with the reason why it cannot.
  [[nodiscard]] absl::Status Start() {
    std::promise<absl::Status> started;
    std::future<absl::Status> result = started.get_future();
    thread_ = std::thread([this, &started] { Main(started); });
    return result.get();
  }

  void Post(ShardCommand command) {
    if (shard_ != nullptr) {
      shard_->Post(command);
    }
  }
  [[nodiscard]] bool ended() const { return ended_.load(std::memory_order_acquire); }
  [[nodiscard]] const Runtime& runtime() const { return *runtime_; }

 private:
  void Main(std::promise<absl::Status>& started) {
    Pin();
    BufferPool pool(config_->buffers_large, config_->buffers_small);
    UringOptions options;
    // Most of a small pool must stay with the output, or a busy shard starves.
    options.lent_blocks = std::min(options.lent_blocks, std::bit_floor(config_->buffers_large / 4));
    absl::StatusOr<std::unique_ptr<Uring>> uring = Uring::Create(options, &pool);
    if (!uring.ok()) {
      started.set_value(uring.status());
      return;
    }
    const auto shards = static_cast<std::uint32_t>(config_->shards);
    const std::uint32_t sessions_max = (config_->sessions_max + shards - 1) / shards;
    shard_ = std::make_unique<Shard>(uring->get(), &pool, runtime_, std::exchange(listeners_, {}),
                                     sessions_max, control_, &log_);
    started.set_value(absl::OkStatus());
    shard_->Run();
    ended_.store(true, std::memory_order_release);
    kill(getpid(), kShardEnded);
  }

  void Pin() const {
    if (config_->cpus.empty()) {
      return;
    }
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(static_cast<std::size_t>(config_->cpus[static_cast<std::size_t>(index_)]), &cpus);
    pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
  }

  int index_;
  std::shared_ptr<const Config> config_;
  std::shared_ptr<const Runtime> runtime_;
  ShardLog log_;
  int control_;
  std::vector<int> listeners_;
  // Made by the thread, kept until it is joined: Post() may come at any time before.
  std::unique_ptr<Shard> shard_;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

Server::Server(std::shared_ptr<const Config> config, std::string ring_features)
    : config_(std::move(config)),
      ring_features_(std::move(ring_features)),
      log_(config_->log_format, config_->log_level),
      logger_(log_.AddLogger()) {}

Server::~Server() = default;

absl::StatusOr<std::unique_ptr<Server>> Server::Create(std::shared_ptr<const Config> config) {
  absl::StatusOr<std::string> features = Uring::Probe();
  if (!features.ok()) {
    return features.status();
  }
  // Before the log, which is written until the very end.
  std::signal(SIGPIPE, SIG_IGN);
  std::unique_ptr<Server> server(new Server(std::move(config), *std::move(features)));
  if (absl::Status status = server->Load(); !status.ok()) {
    return status;
  }
  if (absl::Status status = server->OpenListeners(); !status.ok()) {
    return status;
  }
  return server;
}

absl::Status Server::CheckCertificates(const std::shared_ptr<const Config>& config) {
  const absl::StatusOr<LoadedCertificates> certificates = LoadCertificates(*config);
  if (!certificates.ok()) {
    return certificates.status();
  }
  const absl::StatusOr<std::unique_ptr<TicketKeys>> keys = LoadTicketKeys(*config, WallClock());
  if (!keys.ok()) {
    return keys.status();
  }
  return MakeRuntime(config, *certificates, keys->get(), WallClock()).status();
}

absl::Status Server::Load() {
  absl::StatusOr<LoadedCertificates> certificates = LoadCertificates(*config_);
  if (!certificates.ok()) {
    return certificates.status();
  }
  absl::StatusOr<std::unique_ptr<TicketKeys>> keys = LoadTicketKeys(*config_, WallClock());
  if (!keys.ok()) {
    return keys.status();
  }
  ticket_keys_ = *std::move(keys);
  for (int index = 0; index < config_->shards; ++index) {
    absl::StatusOr<std::shared_ptr<const Runtime>> runtime =
        MakeRuntime(config_, *certificates, ticket_keys_.get(), WallClock());
    if (!runtime.ok()) {
      return runtime.status();
    }
    shards_.push_back(
        std::make_unique<ShardThread>(index, config_, *std::move(runtime), log_.AddLogger()));
  }
  return absl::OkStatus();
}

absl::Status Server::OpenListeners() {
  // SO_REUSEPORT would share the port with another ringpost unnoticed: bind it once without.
  for (const ListenerRuntime& listener : shards_.front()->runtime().listeners) {
    const Endpoint& endpoint = listener.listener->endpoint;
    const absl::StatusOr<int> fd =
        OpenListener(&endpoint.address.any, endpoint.length, endpoint.text,
                     OptionsFor(*listener.listener, PortSharing::kExclusive));
    if (!fd.ok()) {
      return fd.status();
    }
    close(*fd);
  }
  for (const std::unique_ptr<ShardThread>& shard : shards_) {
    if (absl::Status status = shard->OpenListeners(); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status Server::Run() {
  // Blocked here, the signals are blocked in the shards as well; only WaitForEnd() takes them.
  const sigset_t signals = WaitedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  log_.Start();
  LogStart();
  for (const std::unique_ptr<ShardThread>& shard : shards_) {
    if (absl::Status status = shard->Start(); !status.ok()) {
      PostAll(ShardCommand::kStop);
      return status;
    }
  }
  logger_->Event(LogLevel::kInfo, "start", "ringpost: ready");
  WaitForEnd();
  return absl::OkStatus();
}

void Server::PostAll(ShardCommand command) {
  for (const std::unique_ptr<ShardThread>& shard : shards_) {
    shard->Post(command);
  }
}

void Server::WaitForEnd() {
  const sigset_t signals = WaitedSignals();
  const timespec housekeeping{.tv_sec = kHousekeepingSeconds, .tv_nsec = 0};
  int interrupts = 0;
  bool draining = false;
  while (!std::all_of(shards_.begin(), shards_.end(),
                      [](const auto& shard) { return shard->ended(); })) {
    const int signal = sigtimedwait(&signals, nullptr, &housekeeping);
    ticket_keys_->Advance(WallClock());
    if (signal == SIGHUP) {
      logger_->Event(LogLevel::kWarning, "reload",
                     "SIGHUP: this version does not reload; restart to change the configuration");
    }
    if (signal != SIGTERM && signal != SIGINT) {
      continue;
    }
    interrupts += signal == SIGINT ? 1 : 0;
    if (interrupts >= 2) {
      logger_->Event(LogLevel::kWarning, "stop", "SIGINT again: ending all sessions now");
      PostAll(ShardCommand::kStop);
    } else if (!draining) {
      draining = true;
      logger_->Event(LogLevel::kInfo, "drain",
                     absl::StrCat("no new sessions; transactions have ",
                                  config_->drain_timeout / kNsPerSecond, " s to finish"));
      PostAll(ShardCommand::kDrain);
    }
  }
}

void Server::LogStart() {
  const auto info = [this](std::string_view component, const std::string& text) {
    logger_->Event(LogLevel::kInfo, component, text);
  };
  info("start", absl::StrCat("ringpost ", RINGPOST_VERSION, " on ", config_->hostname, ", ",
                             config_->shards, " shard(s), up to ", config_->sessions_max,
                             " sessions, memory planned ", PlannedMemory(*config_) >> 20, " MiB"));
  info("ring", ring_features_);
  const Runtime& runtime = shards_.front()->runtime();
  const TlsContextSet* described = nullptr;
  for (const ListenerRuntime& listener : runtime.listeners) {
    info("route",
         absl::StrCat(listener.route->name, ": ", listener.listener->endpoint.text, " (",
                      listener.listener->implicit_tls   ? "implicit TLS"
                      : listener.relay.starttls_offered ? "STARTTLS"
                                                        : "clear text",
                      ", ", View(TlsPolicyName(listener.route->tls_policy)), ") -> ",
                      listener.upstream->name, " ", listener.upstream->addresses.front().text, " (",
                      View(BackendIdentityName(listener.upstream->identity)), ")"));
    if (listener.contexts == nullptr || listener.contexts.get() == described) {
      continue;
    }
    described = listener.contexts.get();
    for (const TlsCertificateSummary& summary : described->summaries()) {
      info("certificate",
           absl::StrCat(summary.cert_path, ": ", summary.key, " for ",
                        absl::StrJoin(summary.names, ", "), ", issued by ", summary.issuer,
                        ", expires ",
                        absl::FormatTime("%Y-%m-%d", absl::FromUnixSeconds(summary.not_after),
                                         absl::UTCTimeZone())));
    }
    for (const std::string& warning : described->warnings()) {
      logger_->Event(LogLevel::kWarning, "certificate", warning);
    }
  }
  for (const std::string& warning : config_->warnings) {
    logger_->Event(LogLevel::kWarning, "config", warning);
  }
}

}  // namespace ringpost
