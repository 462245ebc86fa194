// SPDX-License-Identifier: GPL-3.0-or-later
//
// SIGHUP, and other addresses of an upstream's host name.
#include <algorithm>
#include <chrono>
#include <future>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "port_check.h"
#include "ringpost/base/check.h"
#include "ringpost/config/reload.h"
#include "ringpost/io/socket.h"
#include "ringpost/process/server.h"

namespace ringpost {
namespace {

// A shard takes a new configuration in its next turn; one that does not is stuck.
constexpr std::chrono::seconds kApplyTimeout{10};

bool ListensOnPort(const Runtime& runtime, std::uint16_t port) {
  return std::any_of(runtime.listeners.begin(), runtime.listeners.end(),
                     [port](const ListenerRuntime& listener) {
                       return PortOf(listener.listener->endpoint.address) == port;
                     });
}

}  // namespace

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
  // What needs memory comes first.
  std::vector<std::string> restart_only = RestartOnlyChanges(*read_, **loaded);
  std::vector<std::string> changes = ConfigChanges(*read_, *read);
  absl::StatusOr<GivenReload> given = GiveReload(read);
  if (!given.ok()) {
    if (names_ != nullptr) {
      names_->Forget(*read_);
      TakeOtherAddresses();  // a change of the names that stay was taken note of for this reload
    }
    return given.status();
  }
  read_ = read;
  given->restart_only = std::move(restart_only);
  given->changes = std::move(changes);
  if (names_ != nullptr) {
    names_->Forget(*read);
  }
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

}  // namespace ringpost
