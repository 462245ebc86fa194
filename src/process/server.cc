// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/server.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "local_socket.h"
#include "reload_needs.h"
#include "ringpost/io/uring.h"
#include "ringpost/process/privileges.h"
#include "ringpost/process/start_log.h"

namespace ringpost {
namespace {

// How often the main thread looks whether ticket keys or a summary are due.
constexpr time_t kHousekeepingSeconds = 10;
// Housekeeping while another process has the sockets, too.
constexpr long kSoonNs = 20'000'000;

std::int64_t WallClock() { return std::time(nullptr); }

sigset_t WaitedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, ShardThread::kEndedSignal}) {
    sigaddset(&signals, signal);
  }
  return signals;
}

// Whether SIGTERM or SIGINT waits to be taken: nobody waits for a name server then.
bool IsAskedToEnd() {
  sigset_t pending;
  return sigpending(&pending) == 0 &&
         (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

// `watchdog`: zero for none.
timespec HousekeepingPause(std::chrono::microseconds watchdog) {
  std::chrono::nanoseconds pause = std::chrono::seconds(kHousekeepingSeconds);
  if (watchdog.count() > 0) {
    pause = std::min<std::chrono::nanoseconds>(pause, watchdog / 2);
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(pause);
  return {.tv_sec = seconds.count(), .tv_nsec = (pause - seconds).count()};
}

}  // namespace

Server::Server(std::shared_ptr<const Config> config, ConfigLoader load_config,
               ServerOptions options, std::string ring_features, std::unique_ptr<LogFile> log_file)
    : read_(std::move(config)),
      config_(read_),
      load_config_(std::move(load_config)),
      options_(std::move(options)),
      ring_features_(std::move(ring_features)),
      start_(std::move(options_.start)),
      predecessor_(start_.sockets.TakePredecessor()),
      successor_(std::move(start_.helper)),
      log_file_(std::move(log_file)),
      log_(config_->log_format, config_->log_level, log_file_->fd()),
      logger_(log_.AddLogger()),
      summary_(logger_) {
  if (options_.confines_process && config_->sandbox) {
    sandbox_ = LimitsOf(*config_);
  }
}

Server::~Server() = default;

void Server::HoldSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGHUP, SIGUSR1, SIGUSR2}) {
    sigaddset(&signals, signal);
  }
  sigprocmask(SIG_BLOCK, &signals, nullptr);
}

absl::StatusOr<std::unique_ptr<Server>> Server::Create(std::shared_ptr<const Config> config,
                                                       ConfigLoader load_config,
                                                       ServerOptions options) {
  absl::StatusOr<std::string> features = Uring::Probe();
  if (!features.ok()) {
    return features.status();
  }
  // Before the log, which is written until the very end.
  std::signal(SIGPIPE, SIG_IGN);
  auto log_file = std::make_unique<LogFile>(config->log_file);
  if (const int error = log_file->Open(); error < 0) {
    return absl::FailedPreconditionError(LogFileSentence(config->log_file, error));
  }
  std::unique_ptr<Server> server(new Server(std::move(config), std::move(load_config),
                                            std::move(options), *std::move(features),
                                            std::move(log_file)));
  for (absl::Status (Server::*step)() :
       {&Server::FollowNames, &Server::Load, &Server::OpenListeners, &Server::OpenPolicyService}) {
    if (absl::Status status = (server.get()->*step)(); !status.ok()) {
      return status;
    }
  }
  return server;
}

absl::Status Server::FollowNames() {
  absl::StatusOr<std::shared_ptr<const Config>> filled = LookUpNames(read_);
  if (!filled.ok()) {
    return filled.status();
  }
  config_ = *std::move(filled);
  return absl::OkStatus();
}

// Waits for the name servers where a name is new.
absl::StatusOr<std::shared_ptr<const Config>> Server::LookUpNames(
    const std::shared_ptr<const Config>& read) {
  if (names_ == nullptr) {
    if (!HasHostNames(*read)) {
      return read;
    }
    names_logger_ = log_.AddLogger();
    const absl::Status opened = MakeThreads(ThreadRole::kNames, [&] { return OpenNames(*read); });
    if (!opened.ok()) {
      return opened;
    }
  }
  names_->Follow(*read, IsAskedToEnd);
  (void)names_->TakeChange();
  return names_->Fill(*read);
}

absl::Status Server::OpenNames(const Config& read) {
  absl::StatusOr<std::unique_ptr<UpstreamNames>> names = UpstreamNames::Open(
      read, {.changed =
                 [this] {
                   if (takes_signals_.load(std::memory_order_acquire)) {
                     kill(getpid(), ShardThread::kEndedSignal);  // wakes the main thread
                   }
                 },
             .note =
                 [this](std::string_view sentence) {
                   names_logger_->Event(LogLevel::kInfo, "names", sentence);
                 },
             .warn =
                 [this](std::string_view sentence) {
                   names_logger_->Event(LogLevel::kWarning, "names", sentence);
                 }});
  if (!names.ok()) {
    return names.status();
  }
  names_ = *std::move(names);
  return absl::OkStatus();
}

absl::Status Server::Load() {
  if (config_->ticket_key_file.empty()) {
    ticket_keys_ = predecessor_.TakeTicketKeys(WallClock());
  }
  if (ticket_keys_ == nullptr) {
    absl::StatusOr<std::unique_ptr<TicketKeys>> keys = LoadTicketKeys(*config_, WallClock());
    if (!keys.ok()) {
      return keys.status();
    }
    ticket_keys_ = *std::move(keys);
  }
  absl::StatusOr<std::vector<std::shared_ptr<const Runtime>>> runtimes = MakeRuntimes(config_);
  if (!runtimes.ok()) {
    return runtimes.status();
  }
  client_limits_ = std::make_unique<ClientLimits>(config_->sessions_max);
  for (int index = 0; index < config_->shards; ++index) {
    SessionRegistry* registry = nullptr;
    if (config_->policy_service.has_value()) {
      registry = registries_.emplace_back(std::make_unique<SessionRegistry>()).get();
    }
    shards_.push_back(
        std::make_unique<ShardThread>(index, config_, (*runtimes)[static_cast<std::size_t>(index)],
                                      log_.AddLogger(), registry, client_limits_.get()));
  }
  summary_.Watch(*std::move(runtimes));
  return absl::OkStatus();
}

// One for each shard.
absl::StatusOr<std::vector<std::shared_ptr<const Runtime>>> Server::MakeRuntimes(
    const std::shared_ptr<const Config>& config) {
  absl::StatusOr<LoadedFiles> files = LoadFiles(*config, WallClock());
  if (!files.ok()) {
    return files.status();
  }
  std::vector<std::shared_ptr<const Runtime>> runtimes;
  for (int index = 0; index < config->shards; ++index) {
    absl::StatusOr<std::shared_ptr<const Runtime>> runtime =
        MakeRuntime(config, *files, ticket_keys_.get(), WallClock());
    if (!runtime.ok()) {
      return runtime.status();
    }
    runtimes.push_back(*std::move(runtime));
  }
  file_warnings_ = std::move(files->warnings);
  return runtimes;
}

absl::Status Server::Run() {
  // Blocked here, the signals are blocked in the shards as well; only WaitForEnd() takes them.
  const sigset_t signals = WaitedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  takes_signals_.store(true, std::memory_order_release);
  rest_ = start_.sockets.CloseRest();
  if (sandbox_.has_value()) {
    AllowRemoval(rest_.paths, &*sandbox_);
  }
  absl::Status status = StartThreads();
  if (status.ok()) {
    status = Confine();
  }
  if (!status.ok()) {
    PostAll(ShardCommand::kStop);
    return status;
  }
  logger_->Event(LogLevel::kInfo, "start", "ringpost: ready");
  if (predecessor_.TellReady()) {
    OwnSockets();
  }
  notify_.Ready();
  WaitForEnd();
  summary_.Write(PolicySummaryLog::Period::kEnds);
  return absl::OkStatus();
}

// Until here a predecessor would have gone on serving with them, had anything failed.
void Server::OwnSockets() {
  unix_listeners_.Own();
  if (policy_service_ != nullptr) {
    policy_service_->Own();
  }
  for (const std::string& path : rest_.paths) {
    LocalSocket::RemoveFile(path);
  }
}

// Threads are what their maker is: this one has no capabilities, and for most roles no more of the
// file system and the network than they need. Shards need some until they have their ring.
absl::Status Server::MakeThreads(ThreadRole role, const std::function<absl::Status()>& make) {
  return WithoutCapabilities([&] {
    absl::Status status;
    if (sandbox_.has_value() && role != ThreadRole::kShard) {
      status = RestrictThread(role, *sandbox_);
    }
    return status.ok() ? make() : status;
  });
}

absl::Status Server::StartThreads() {
  absl::Status status = MakeThreads(ThreadRole::kQuiet, [this] {
    log_.Start();
    LogStart();
    if (policy_service_ != nullptr) {
      policy_service_->Start();
    }
    return absl::OkStatus();
  });
  if (!status.ok()) {
    return status;
  }
  return MakeThreads(ThreadRole::kShard, [this] {
    const auto has_ring = [this] {
      return sandbox_.has_value() ? RestrictThread(ThreadRole::kShard, *sandbox_)
                                  : absl::OkStatus();
    };
    absl::Status started;
    for (const std::unique_ptr<ShardThread>& shard : shards_) {
      if (started.ok()) {
        started = shard->Start(has_ring);
      }
    }
    return started;
  });
}

absl::Status Server::Confine() {
  if (!options_.confines_process) {
    return absl::OkStatus();
  }
  const absl::StatusOr<std::string> kept =
      KeepForReload(NeedsOfReload(*config_, options_.config_path));
  if (!kept.ok()) {
    return kept.status();
  }
  std::string sandbox = "off";
  if (sandbox_.has_value()) {
    if (absl::Status status = RestrictThread(ThreadRole::kMain, *sandbox_); !status.ok()) {
      return status;
    }
    const absl::StatusOr<bool> filtered = FilterSystemCalls(*sandbox_);
    if (!filtered.ok()) {
      return filtered.status();
    }
    const int version = LandlockVersion();
    sandbox = absl::StrCat(
        *filtered ? "seccomp" : "no seccomp here",
        version == 0 ? ", no Landlock here" : absl::StrCat(", Landlock version ", version),
        version == 0 || RestrictsPorts(version) ? "" : " (without ports)");
  }
  logger_->Event(
      LogLevel::kInfo, "start",
      absl::StrCat("runs as ", options_.runs_as, " with ", *kept, "; sandbox: ", sandbox));
  return absl::OkStatus();
}

void Server::PostAll(ShardCommand command) {
  for (const std::unique_ptr<ShardThread>& shard : shards_) {
    shard->Post(command);
  }
}

void Server::WaitForEnd() {
  const sigset_t signals = WaitedSignals();
  const timespec housekeeping = HousekeepingPause(notify_.watchdog_interval());
  const timespec soon{.tv_sec = 0, .tv_nsec = kSoonNs};
  auto period_began = std::chrono::steady_clock::now();
  int interrupts = 0;
  bool draining = false;  // by a signal
  while (!std::all_of(shards_.begin(), shards_.end(),
                      [](const auto& shard) { return shard->ended(); })) {
    notify_.Alive(std::chrono::steady_clock::now());
    const int signal = sigtimedwait(&signals, nullptr, WaitsForAnother() ? &soon : &housekeeping);
    for (const std::unique_ptr<ShardThread>& shard : shards_) {
      if (shard->failed()) {
        EndAtOnce(shard->failure());
      }
    }
    ticket_keys_->Advance(WallClock());
    summary_.Release();
    LookAtOthers();
    if (names_ != nullptr && !ending_ && names_->TakeChange()) {
      TakeOtherAddresses();
    }
    const std::chrono::nanoseconds interval(config_->policy_summary_interval);
    if (interval.count() > 0 && std::chrono::steady_clock::now() - period_began >= interval) {
      period_began = std::chrono::steady_clock::now();
      summary_.Write(PolicySummaryLog::Period::kEnds);
    }
    switch (signal) {
      case SIGHUP:
        ReopenLog();
        if (!ending_) {
          notify_.Reloading();
          Reload();
          notify_.Ready();
        }
        break;
      case SIGUSR1:
        StartSuccessor();
        break;
      case SIGUSR2:
        summary_.Write(PolicySummaryLog::Period::kGoesOn);
        for (const std::unique_ptr<ShardThread>& shard : shards_) {
          shard->PostStatusRequest();
        }
        break;
      case SIGTERM:
      case SIGINT:
        interrupts += signal == SIGINT ? 1 : 0;
        if (interrupts >= 2) {
          logger_->Event(LogLevel::kWarning, "stop", "SIGINT again: ending all sessions now");
          PostAll(ShardCommand::kStop);
        } else if (!draining) {
          draining = true;
          Drain();
        }
        break;
      default:
        break;
    }
  }
}

void Server::Drain() {
  if (successor_.under_way()) {
    logger_->Event(LogLevel::kWarning, "upgrade", "this one is asked to end; so is the new one");
    successor_.GiveUp();
  }
  logger_->Event(LogLevel::kInfo, "drain",
                 absl::StrCat("no new sessions; transactions have ",
                              config_->drain_timeout / kNsPerSecond, " s to finish"));
  unix_listeners_.Close();
  PostAll(ShardCommand::kDrain);
  if (!ending_) {  // or it is the new one's to say, and its socket
    notify_.Stopping();
    if (policy_service_ != nullptr) {
      policy_service_->Release();
    }
  }
  ending_ = true;
}

// A shard that cannot use its ring cannot be waited for, and what it has in flight never ends: no
// destructor may run.
void Server::EndAtOnce(std::string_view sentence) {
  logger_->Event(LogLevel::kError, "ring", sentence);
  unix_listeners_.Close();
  if (policy_service_ != nullptr) {
    policy_service_->Stop();  // removes its file
  }
  log_.Stop();
  _exit(1);
}

void Server::LogStart() {
  logger_->Event(
      LogLevel::kInfo, "start",
      absl::StrCat("ringpost ", RINGPOST_VERSION, " on ", config_->hostname, ", ", config_->shards,
                   " shard(s), up to ", config_->sessions_max, " sessions"));
  logger_->Event(LogLevel::kInfo, "start", MemorySentence(PlanMemory(*config_)));
  logger_->Event(LogLevel::kInfo, "ring", ring_features_);
  if (!given_.empty()) {
    logger_->Event(
        LogLevel::kInfo, "start",
        absl::StrCat("listens on sockets that it was started with: ", absl::StrJoin(given_, ", ")));
  }
  for (const std::string& address : rest_.addresses) {
    logger_->Event(
        LogLevel::kWarning, "start",
        absl::StrCat("was started with a socket for ", address,
                     ", which the configuration does not name; it is closed, and clients "
                     "that waited in its queue are turned away"));
  }
  if (config_->policy_service.has_value()) {
    logger_->Event(LogLevel::kInfo, "policy-service",
                   absl::StrCat("answers on ", config_->policy_service->text));
  }
  LogConfiguration();
}

// After a reload what is new: the others were said before.
void Server::LogConfiguration() {
  std::vector<StartLine> lines = StartLines(shards_.front()->runtime(), file_warnings_);
  LogLines(*logger_, lines, said_);
  said_ = std::move(lines);
}

}  // namespace ringpost
