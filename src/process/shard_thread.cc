// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/shard_thread.h"

#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ringpost/config/address.h"
#include "ringpost/io/socket.h"
#include "ringpost/io/uring.h"

namespace ringpost {

namespace {

constexpr std::chrono::seconds kPatienceWithMain{10};

absl::StatusOr<int> OpenShared(const ListenerConfig& listener,
                               const UnixListeners& unix_listeners) {
  const Endpoint& endpoint = listener.endpoint;
  if (IsUnix(endpoint)) {
    return unix_listeners.Duplicate(endpoint);
  }
  return OpenListener(&endpoint.address.any, endpoint.length, endpoint.text,
                      ListenOptionsFor(listener, PortSharing::kReusePort));
}

bool SameListener(const ListenerConfig& a, const ListenerConfig& b) {
  return a.implicit_tls == b.implicit_tls && SameEndpoint(a.endpoint, b.endpoint);
}

}  // namespace

const int ShardThread::kEndedSignal = SIGRTMIN;

ListenOptions ListenOptionsFor(const ListenerConfig& listener, PortSharing sharing) {
  ListenOptions options;
  options.sharing = sharing;
  options.defer = listener.implicit_tls ? DeferAccept::kYes : DeferAccept::kNo;
  return options;
}

PreparedReload::PreparedReload(std::shared_ptr<const Runtime> next) {
  // Shared, because std::function copies what it holds.
  auto applied = std::make_shared<std::promise<void>>();
  applied_ = applied->get_future();
  const std::size_t listeners = next->listeners.size();
  update_.push_back(ShardUpdate{.runtime = std::move(next),
                                .listeners = std::vector<int>(listeners, -1),
                                .applied = [applied] { applied->set_value(); }});
}

PreparedReload::~PreparedReload() {
  for (const ShardUpdate& update : update_) {
    for (const int fd : update.listeners) {
      if (fd >= 0) {
        close(fd);
      }
    }
  }
}

ShardThread::ShardThread(int index, std::shared_ptr<const Config> config,
                         std::shared_ptr<const Runtime> runtime, Logger* logger,
                         SessionRegistry* registry, ClientLimits* client_limits)
    : index_(index),
      config_(std::move(config)),
      runtime_(std::move(runtime)),
      log_(logger, index),
      registry_(registry),
      client_limits_(client_limits),
      control_(eventfd(0, EFD_CLOEXEC)) {}

ShardThread::~ShardThread() {
  if (thread_.joinable()) {
    thread_.join();
  }
  for (const ShardSocket& socket : sockets_) {
    if (shard_ == nullptr) {
      close(socket.fd);
    }
  }
  close(control_);
}

absl::Status ShardThread::OpenListener(std::size_t listener, Listen listen) {
  const ListenerConfig& config = *runtime_->listeners[listener].listener;
  const Endpoint& endpoint = config.endpoint;
  ListenOptions options = ListenOptionsFor(config, PortSharing::kReusePort);
  options.listens = listen == Listen::kNow;
  const absl::StatusOr<int> fd =
      ringpost::OpenListener(&endpoint.address.any, endpoint.length, endpoint.text, options);
  if (!fd.ok()) {
    return fd.status();
  }
  AddListener({.listener = listener, .fd = *fd});
  if (listen == Listen::kLate) {
    silent_.push_back(*fd);
  }
  return absl::OkStatus();
}

void ShardThread::AddListener(const ShardSocket& socket) { sockets_.push_back(socket); }

absl::Status ShardThread::AddUnixListener(std::size_t listener,
                                          const UnixListeners& unix_listeners) {
  const absl::StatusOr<int> fd =
      unix_listeners.Duplicate(runtime_->listeners[listener].listener->endpoint);
  if (fd.ok()) {
    AddListener({.listener = listener, .fd = *fd, .use = SocketUse::kShared, .is_copy = true});
  }
  return fd.status();
}

absl::Status ShardThread::Start(std::function<absl::Status()> has_ring) {
  std::promise<absl::Status> started;
  std::future<absl::Status> result = started.get_future();
  thread_ =
      std::thread([this, &started, has_ring = std::move(has_ring)] { Main(started, has_ring); });
  return result.get();
}

void ShardThread::Post(ShardCommand command) {
  if (shard_ != nullptr) {
    shard_->Post(command);
  }
}

void ShardThread::PostAcceptAgain() {
  if (shard_ != nullptr) {
    shard_->PostAcceptAgain();
  }
}

void ShardThread::PostStatusRequest() {
  if (shard_ != nullptr) {
    shard_->PostStatusRequest();
  }
}

absl::StatusOr<PreparedReload> ShardThread::PrepareReload(
    std::shared_ptr<const Runtime> next, const UnixListeners& unix_listeners) const {
  PreparedReload prepared(std::move(next));
  ShardUpdate& update = prepared.update_.front();
  for (std::size_t index = 0; index < update.listeners.size(); ++index) {
    const ListenerConfig& listener = *update.runtime->listeners[index].listener;
    bool has = false;
    for (ShardSocket socket : sockets_) {
      if (SameListener(*runtime_->listeners[socket.listener].listener, listener)) {
        socket.listener = index;
        prepared.sockets_.push_back(socket);
        has = true;
      }
    }
    if (has) {
      continue;
    }
    const absl::StatusOr<int> fd = OpenShared(listener, unix_listeners);
    if (!fd.ok()) {
      return fd.status();
    }
    update.listeners[index] = *fd;
    const bool is_copy = IsUnix(listener.endpoint);
    prepared.sockets_.push_back({.listener = index,
                                 .fd = *fd,
                                 .use = is_copy ? SocketUse::kShared : SocketUse::kAlone,
                                 .is_copy = is_copy});
  }
  return prepared;
}

std::future<void> ShardThread::Reload(PreparedReload prepared) {
  runtime_ = prepared.update_.front().runtime;
  sockets_ = std::move(prepared.sockets_);
  shard_->Post(std::move(prepared.update_));
  return std::move(prepared.applied_);
}

void ShardThread::Main(std::promise<absl::Status>& started,
                       const std::function<absl::Status()>& has_ring) {
  Pin();
  BufferPool pool(config_->buffers_large, config_->buffers_small);
  UringOptions options;
  // Most of a small pool must stay with the output, or a busy shard starves.
  options.lent_blocks = std::min(options.lent_blocks, std::bit_floor(config_->buffers_large / 4));
  options.on_failure = [this](std::string_view sentence) { Fail(sentence); };
  absl::StatusOr<std::unique_ptr<Uring>> uring = Uring::Create(options, &pool);
  if (!uring.ok()) {
    started.set_value(uring.status());
    return;
  }
  if (absl::Status status = has_ring(); !status.ok()) {
    started.set_value(std::move(status));
    return;
  }
  const auto shards = static_cast<std::uint32_t>(config_->shards);
  const std::uint32_t sessions_max = (config_->sessions_max + shards - 1) / shards;
  for (const int fd : silent_) {
    if (listen(fd, ListenOptions().backlog) != 0) {
      started.set_value(absl::InternalError(absl::StrCat("listen: ", std::strerror(errno))));
      return;
    }
  }
  shard_ = std::make_unique<Shard>(uring->get(), &pool, runtime_,
                                   std::vector<int>(runtime_->listeners.size(), -1), sessions_max,
                                   control_, &log_, registry_, client_limits_);
  for (const ShardSocket& socket : sockets_) {
    shard_->AddListener(socket.listener, socket.fd, socket.use);
  }
  started.set_value(absl::OkStatus());
  shard_->Run();
  ended_.store(true, std::memory_order_release);
  kill(getpid(), kEndedSignal);
}

// The main thread ends the process, with the log written; unless it is stuck.
void ShardThread::Fail(std::string_view sentence) {
  failure_ = sentence;
  failed_.store(true, std::memory_order_release);
  kill(getpid(), kEndedSignal);
  std::this_thread::sleep_for(kPatienceWithMain);
}

void ShardThread::Pin() const {
  if (config_->cpus.empty()) {
    return;
  }
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<std::size_t>(config_->cpus[static_cast<std::size_t>(index_)]), &cpus);
  pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
}

}  // namespace ringpost
