// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/server.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <future>
#include <new>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "local_socket.h"
#include "port_owner.h"
#include "reload_needs.h"
#include "ringpost/base/check.h"
#include "ringpost/config/reload.h"
#include "ringpost/io/socket.h"
#include "ringpost/io/uring.h"
#include "ringpost/process/privileges.h"
#include "ringpost/process/start_log.h"

namespace ringpost {
namespace {

// How often the main thread looks whether ticket keys or a summary are due.
constexpr time_t kHousekeepingSeconds = 10;
// How long a start waits for an address that another ringpost has, and how often it tries.
constexpr std::chrono::seconds kPortPatience{2};
constexpr std::chrono::milliseconds kPortPause{20};
// Housekeeping while another process has the sockets, too.
constexpr long kSoonNs = 20'000'000;
// A shard takes a new configuration in its next turn; one that does not is stuck.
constexpr std::chrono::seconds kApplyTimeout{10};

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

// SO_REUSEPORT would share the port with another ringpost unnoticed: bind it once without.
absl::Status CheckPortIsFree(const ListenerConfig& listener) {
  const Endpoint& endpoint = listener.endpoint;
  if (IsUnix(endpoint)) {  // of which UnixListeners makes sure
    return absl::OkStatus();
  }
  const absl::StatusOr<int> fd = OpenListener(&endpoint.address.any, endpoint.length, endpoint.text,
                                              ListenOptionsFor(listener, PortSharing::kExclusive));
  if (!fd.ok()) {
    return fd.status();
  }
  close(*fd);
  return absl::OkStatus();
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

// Or by a program that this user cannot see: one that runs confined, as ringpost does.
bool MayBeHeldByRingpost(const Endpoint& endpoint) {
  if (IsUnix(endpoint)) {
    const absl::StatusOr<LocalSocket::Occupant> occupant =
        LocalSocket::OccupantOf(endpoint, UnixListeners::kName);
    return occupant.ok() && occupant->answers && IsThisProgram(ProgramOf(occupant->pid));
  }
  const std::vector<PortOwner> owners = PortOwners(endpoint);
  return owners.empty() || std::any_of(owners.begin(), owners.end(), [](const PortOwner& owner) {
           return IsThisProgram(owner.program);
         });
}

// One that was told to end a moment ago has not given up its sockets yet.
absl::Status OnceFree(const Endpoint& endpoint, const std::function<absl::Status()>& open) {
  const auto give_up = std::chrono::steady_clock::now() + kPortPatience;
  for (;;) {
    absl::Status status = open();
    if (!absl::IsFailedPrecondition(status) || std::chrono::steady_clock::now() >= give_up) {
      return status;
    }
    if (!MayBeHeldByRingpost(endpoint)) {
      return open();  // it may have let go in between
    }
    std::this_thread::sleep_for(kPortPause);
  }
}

bool ListensOnPort(const Runtime& runtime, std::uint16_t port) {
  return std::any_of(runtime.listeners.begin(), runtime.listeners.end(),
                     [port](const ListenerRuntime& listener) {
                       return PortOf(listener.listener->endpoint.address) == port;
                     });
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

absl::Status Server::OpenListeners() {
  const std::vector<ListenerRuntime>& listeners = shards_.front()->runtime().listeners;
  for (const ListenerRuntime& listener : listeners) {
    // Where one was given to us, it is our own socket that would be in the way.
    if (start_.sockets.HadPort(PortOf(listener.listener->endpoint.address))) {
      continue;
    }
    absl::Status status =
        OnceFree(listener.listener->endpoint, [&] { return CheckPortIsFree(*listener.listener); });
    if (!status.ok()) {
      return status;
    }
  }
  for (std::size_t index = 0; index < listeners.size(); ++index) {
    const Endpoint& endpoint = listeners[index].listener->endpoint;
    absl::Status status;
    if (IsUnix(endpoint)) {
      status = OpenUnixListener(index);
    } else if (const auto given = start_.sockets.TakeFor(endpoint); given.empty()) {
      status = OpenNewListener(index);
    } else {
      status = AdoptListeners(index, given);
    }
    if (!status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

// One for all shards.
absl::Status Server::OpenUnixListener(std::size_t index) {
  const Endpoint& endpoint = shards_.front()->runtime().listeners[index].listener->endpoint;
  std::vector<InheritedSockets::Socket> given = start_.sockets.TakeFor(endpoint);
  if (!given.empty()) {
    given_.push_back(endpoint.text);
  }
  absl::Status status = unix_listeners_.Adopt(endpoint, std::move(given));
  if (status.ok()) {
    status = OnceFree(endpoint, [&] { return unix_listeners_.Open(endpoint); });
  }
  for (const std::unique_ptr<ShardThread>& shard : shards_) {
    if (status.ok()) {
      status = shard->AddUnixListener(index, unix_listeners_);
    }
  }
  return status;
}

absl::Status Server::OpenNewListener(std::size_t index) {
  for (const std::unique_ptr<ShardThread>& shard : shards_) {
    absl::Status status = shard->OpenListener(index, ShardThread::Listen::kNow);
    if (!status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

// Every socket is served: connections to one of a group that nobody accepts from would be lost. A
// shard for which there is none opens one of its own, or, where SO_REUSEPORT is not set or they are
// another user's, serves another shard's as well.
absl::Status Server::AdoptListeners(std::size_t index,
                                    const std::vector<InheritedSockets::Socket>& given) {
  const ListenerConfig& listener = *shards_.front()->runtime().listeners[index].listener;
  const DeferAccept defer = ListenOptionsFor(listener, PortSharing::kReusePort).defer;
  std::vector<ShardSocket> sockets;
  absl::Status status;
  for (const InheritedSockets::Socket& socket : given) {
    if (const int error = AdoptListener(socket.fd, defer); error != 0) {
      status =
          absl::InternalError(absl::StrCat("cannot use the socket that was given for ",
                                           listener.endpoint.text, ": ", std::strerror(-error)));
    }
    sockets.push_back({.listener = index, .fd = socket.fd});
  }
  for (std::size_t shard = given.size(); shard < shards_.size(); ++shard) {
    if (shards_[shard]->OpenListener(index, ShardThread::Listen::kLate).ok()) {
      continue;
    }
    ShardSocket& shared = sockets[shard % given.size()];
    shared.use = SocketUse::kShared;
    ShardSocket copy = shared;
    copy.is_copy = true;
    copy.fd = fcntl(shared.fd, F_DUPFD_CLOEXEC, 0);
    if (copy.fd < 0) {
      status = absl::ResourceExhaustedError(absl::StrCat("dup: ", std::strerror(errno)));
    } else {
      shards_[shard]->AddListener(copy);
    }
  }
  for (std::size_t socket = 0; socket < sockets.size(); ++socket) {
    shards_[socket % shards_.size()]->AddListener(sockets[socket]);
  }
  given_.push_back(absl::StrCat(listener.endpoint.text,
                                given.size() > 1 ? absl::StrCat(" (", given.size(), ")") : ""));
  return status;
}

absl::Status Server::OpenPolicyService() {
  if (!config_->policy_service.has_value()) {
    return absl::OkStatus();
  }
  std::vector<const SessionRegistry*> registries;
  for (const std::unique_ptr<SessionRegistry>& registry : registries_) {
    registries.push_back(registry.get());
  }
  Logger* const logger = log_.AddLogger();  // of the service's thread
  PolicyServiceOptions options;
  for (const InheritedSockets::Socket& given : start_.sockets.TakeFor(*config_->policy_service)) {
    if (options.socket >= 0) {
      close(given.fd);  // nobody makes two
      continue;
    }
    options.socket = given.fd;
    options.owns_file = given.name == InheritedSockets::kOwnedFile;
    given_.push_back(given.endpoint.text);
  }
  options.warn = [logger](std::string_view sentence) {
    logger->Event(LogLevel::kWarning, "policy-service", sentence);
  };
  return OnceFree(*config_->policy_service, [&] {
    absl::StatusOr<std::unique_ptr<PolicyService>> service =
        PolicyService::Open(*config_->policy_service, config_->hostname, registries, options);
    if (!service.ok()) {
      return service.status();
    }
    policy_service_ = *std::move(service);
    return absl::OkStatus();
  });
}

absl::Status Server::Run() {
  // Blocked here, the signals are blocked in the shards as well; only WaitForEnd() takes them.
  const sigset_t signals = WaitedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  takes_signals_.store(true, std::memory_order_release);
  absl::Status status = StartThreads();
  if (status.ok()) {
    status = Confine();
  }
  if (!status.ok()) {
    PostAll(ShardCommand::kStop);
    return status;
  }
  logger_->Event(LogLevel::kInfo, "start", "ringpost: ready");
  predecessor_.TellReady();
  notify_.Ready();
  WaitForEnd();
  summary_.Write(PolicySummaryLog::Period::kEnds);
  return absl::OkStatus();
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

void Server::StartSuccessor() {
  if (ending_) {
    logger_->Event(LogLevel::kWarning, "upgrade", "SIGUSR1: this one ends already");
    return;
  }
  std::vector<HandedSocket> sockets;
  for (const std::unique_ptr<ShardThread>& shard : shards_) {
    for (const ShardSocket& socket : shard->sockets()) {
      if (!socket.is_copy) {
        sockets.push_back({.fd = socket.fd, .kind = HandedKind::kListener});
      }
    }
  }
  unix_listeners_.AppendTo(&sockets);
  if (policy_service_ != nullptr) {
    sockets.push_back(
        {.fd = policy_service_->socket(),
         .kind = policy_service_->owns_file() ? HandedKind::kOwnedFile : HandedKind::kListener});
  }
  const std::size_t count = sockets.size();
  const absl::Status status =
      successor_.Begin(std::move(sockets), *ticket_keys_, Successor::Clock::now());
  if (status.ok()) {
    logger_->Event(LogLevel::kInfo, "upgrade",
                   absl::StrCat("SIGUSR1: starting the program anew, with ", count, " socket(s)"));
  } else {
    logger_->Event(LogLevel::kError, "upgrade", absl::StrCat("SIGUSR1: ", status.message()));
  }
}

bool Server::WaitsForAnother() const {
  return successor_.under_way() || successor_.waits_for_release() || predecessor_.exists();
}

void Server::LookAtOthers() {
  if (successor_.under_way()) {
    LookAtSuccessor();
  }
  // The kernel wakes one of those that wait at a socket. Where that was one of ours, and it went
  // away at that moment, the client is still in the queue, and the new one does not know.
  if (successor_.waits_for_release() &&
      std::all_of(shards_.begin(), shards_.end(),
                  [](const auto& shard) { return shard->has_released(); })) {
    successor_.TellReleased();
  }
  if (predecessor_.exists() && predecessor_.HasReleased()) {
    for (const std::unique_ptr<ShardThread>& shard : shards_) {
      shard->PostAcceptAgain();
    }
  }
}

void Server::LookAtSuccessor() {
  switch (successor_.LookAt(Successor::Clock::now())) {
    case Successor::Look::kWaits:
      break;
    case Successor::Look::kReady:
      HandOver();
      break;
    case Successor::Look::kFailed:
      logger_->Event(LogLevel::kError, "upgrade",
                     absl::StrCat(successor_.failure(), "; this one goes on serving"));
      break;
  }
}

// The sockets are the new one's as well: closing ours turns nobody away.
void Server::HandOver() {
  ending_ = true;
  logger_->Event(LogLevel::kInfo, "upgrade",
                 absl::StrCat("the new one (pid ", successor_.pid(),
                              ") serves; no new sessions here, those that run have ",
                              config_->drain_timeout / kNsPerSecond, " s"));
  notify_.HandedOver(successor_.pid());
  unix_listeners_.Abandon();
  PostAll(ShardCommand::kHandOver);
  if (policy_service_ != nullptr) {
    policy_service_->HandOver();
  }
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

// What logrotate has moved away is not written to any more.
void Server::ReopenLog() {
  if (const int error = log_file_->Reopen(); error < 0) {
    logger_->Event(LogLevel::kError, "log",
                   absl::StrCat(LogFileSentence(log_file_->path(), error),
                                "; the log goes on in the file that was open"));
  }
}

void Server::Reload() {
  absl::StatusOr<GivenReload> given;
  try {
    given = GiveReload();
  } catch (const std::bad_alloc&) {
    given = absl::ResourceExhaustedError("there is no memory for it");
  }
  unix_listeners_.Keep(*config_);
  if (!given.ok()) {
    logger_->Event(LogLevel::kError, "reload",
                   absl::StrCat(given.status().message(), "; the configuration in force stays"));
    return;
  }
  const auto give_up = std::chrono::steady_clock::now() + kApplyTimeout;
  const bool all =
      std::all_of(given->applied.begin(), given->applied.end(), [&](std::future<void>& done) {
        return done.wait_until(give_up) == std::future_status::ready;
      });
  LogChanges(given->changes);
  LogConfiguration();
  for (const std::string& sentence : given->restart_only) {
    logger_->Event(LogLevel::kWarning, "reload", sentence);
  }
  logger_->Event(
      all ? LogLevel::kInfo : LogLevel::kWarning, "reload",
      all ? absl::StrCat(
                "done: ", given->changes.size(), " change(s); ", config_->routes.size(),
                " route(s), ", config_->partners.size(),
                " partner(s); sessions that run keep what they began with, but for policies")
          : std::string("a shard is too busy, or short of memory, to take the new configuration; "
                        "it will when it can"));
}

// All that can fail or needs memory comes before the first shard hears of it.
absl::StatusOr<Server::GivenReload> Server::GiveReload() {
  absl::StatusOr<std::shared_ptr<const Config>> loaded = load_config_();
  if (!loaded.ok()) {
    return loaded.status();
  }
  const std::shared_ptr<const Config> read = KeepRestartOnly(*read_, **loaded);
  if (sandbox_.has_value()) {
    const std::string beyond = BeyondLimits(*sandbox_, *read, LandlockVersion());
    if (!beyond.empty()) {
      return absl::FailedPreconditionError(beyond);
    }
  }
  absl::StatusOr<GivenReload> given = GiveReload(read);
  if (!given.ok()) {
    if (names_ != nullptr) {
      names_->Forget(*read_);
      TakeOtherAddresses();  // a change of the names that stay was taken note of for this reload
    }
    return given.status();
  }
  if (names_ != nullptr) {
    names_->Forget(*read);
  }
  given->restart_only = RestartOnlyChanges(*read_, **loaded);
  given->changes = ConfigChanges(*read_, *read);
  read_ = read;
  return given;
}

absl::StatusOr<Server::GivenReload> Server::GiveReload(const std::shared_ptr<const Config>& read) {
  const absl::StatusOr<std::shared_ptr<const Config>> filled = LookUpNames(read);
  if (!filled.ok()) {
    return filled.status();
  }
  const std::shared_ptr<const Config>& next = *filled;
  GivenReload given{
      .applied = std::vector<std::future<void>>(shards_.size()), .restart_only = {}, .changes = {}};

  const absl::StatusOr<std::vector<std::shared_ptr<const Runtime>>> runtimes = MakeRuntimes(next);
  if (!runtimes.ok()) {
    return runtimes.status();
  }
  const Runtime& running = shards_.front()->runtime();
  for (const ListenerRuntime& listener : runtimes->front()->listeners) {
    // On a port that we have, it is our own sockets that would be in the way.
    if (ListensOnPort(running, PortOf(listener.listener->endpoint.address))) {
      continue;
    }
    if (absl::Status status = CheckPortIsFree(*listener.listener); !status.ok()) {
      return status;
    }
  }
  if (absl::Status status = unix_listeners_.Open(*next); !status.ok()) {
    return status;
  }
  std::vector<PreparedReload> prepared;
  for (std::size_t index = 0; index < shards_.size(); ++index) {
    absl::StatusOr<PreparedReload> one =
        shards_[index]->PrepareReload((*runtimes)[index], unix_listeners_);
    if (!one.ok()) {
      return one.status();
    }
    prepared.push_back(*std::move(one));
  }
  summary_.Watch(*runtimes);

  for (std::size_t index = 0; index < shards_.size(); ++index) {
    given.applied[index] = shards_[index]->Reload(std::move(prepared[index]));
  }
  config_ = next;
  return given;
}

void Server::TakeOtherAddresses() {
  try {
    GiveOtherAddresses();
  } catch (const std::bad_alloc&) {
    logger_->Event(LogLevel::kError, "names",
                   "there is no memory for other addresses of an upstream; those in use stay until "
                   "they change again");
  }
}

// As with a reload, what may need memory comes first. Nothing else of the configuration changes, so
// that no file is read and no socket opened.
void Server::GiveOtherAddresses() {
  const std::shared_ptr<const Config> next = names_->Fill(*read_);
  std::vector<std::shared_ptr<const Runtime>> runtimes;
  std::vector<PreparedReload> prepared;
  for (const std::unique_ptr<ShardThread>& shard : shards_) {
    runtimes.push_back(WithOtherAddresses(shard->runtime(), next));
    absl::StatusOr<PreparedReload> one = shard->PrepareReload(runtimes.back(), unix_listeners_);
    RINGPOST_CHECK(one.ok());  // it has all of its listeners
    prepared.push_back(*std::move(one));
  }
  summary_.Follow(std::move(runtimes));
  for (std::size_t index = 0; index < shards_.size(); ++index) {
    (void)shards_[index]->Reload(std::move(prepared[index]));
  }
  config_ = next;
  for (std::size_t index = read_->warnings.size(); index < next->warnings.size(); ++index) {
    logger_->Event(LogLevel::kWarning, "names", next->warnings[index]);
  }
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
  for (const std::string& address : start_.sockets.CloseRest()) {
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

void Server::LogChanges(const std::vector<std::string>& changes) {
  constexpr std::size_t kSaidMax = 100;  // of ten thousand partners, all may have changed
  for (std::size_t index = 0; index < std::min(changes.size(), kSaidMax); ++index) {
    logger_->Event(LogLevel::kInfo, "changed", changes[index]);
  }
  if (changes.size() > kSaidMax) {
    logger_->Event(LogLevel::kInfo, "changed",
                   absl::StrCat("and ", changes.size() - kSaidMax, " more"));
  }
}

// After a reload what is new: the others were said before.
void Server::LogConfiguration() {
  std::vector<StartLine> lines = StartLines(shards_.front()->runtime(), file_warnings_);
  LogLines(*logger_, lines, said_);
  said_ = std::move(lines);
}

}  // namespace ringpost
