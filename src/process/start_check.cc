// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/start_check.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <mutex>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "local_socket.h"
#include "port_owner.h"
#include "ringpost/log/log_file.h"
#include "ringpost/process/start_log.h"
#include "ringpost/process/unix_listeners.h"
#include "ringpost/process/upstream_names.h"
#include "ringpost/session/runtime.h"

namespace ringpost {
namespace {

// 0: it could be listened on; or the errno of bind(2). Nobody can connect meanwhile, because
// nothing listens.
int TryAddress(const Endpoint& endpoint) {
  const int fd = socket(endpoint.address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return errno;
  }
  const int one = 1;
  const bool ipv6 = endpoint.address.any.sa_family == AF_INET6;
  const bool bound = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
                     (!ipv6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0) &&
                     bind(fd, &endpoint.address.any, endpoint.length) == 0;
  const int error = bound ? 0 : errno;
  close(fd);
  return error;
}

void Hold(const Endpoint& endpoint, pid_t pid, StartCheck* check) {
  check->held.push_back(absl::StrCat("a ringpost that runs (pid ", pid, ") has ", endpoint.text,
                                     " already: right for its reload or restart, but a second one "
                                     "could not start"));
}

constexpr pid_t kServiceManager = 1;

void WarnOfServiceManager(const Endpoint& endpoint, StartCheck* check) {
  check->warnings.push_back(
      absl::StrCat("the service manager listens on ", endpoint.text,
                   ": right where its socket unit is for ringpost, and otherwise a start would "
                   "fail"));
}

absl::Status CheckAddress(const Endpoint& endpoint, StartCheck* check) {
  const int error = TryAddress(endpoint);
  if (error == 0) {
    return absl::OkStatus();
  }
  if (error != EADDRINUSE && error != EACCES) {
    return absl::FailedPreconditionError(
        error == EADDRNOTAVAIL
            ? absl::StrCat("this machine has no address ", endpoint.text, " to listen on")
            : absl::StrCat("cannot listen on ", endpoint.text, ": ", std::strerror(error)));
  }
  const std::vector<PortOwner> owners = PortOwners(endpoint);
  const auto ours = std::find_if(owners.begin(), owners.end(), [](const PortOwner& owner) {
    return IsThisProgram(owner.program);
  });
  for (const PortOwner& owner : owners) {
    // A service manager's socket is ours as well.
    if (ours == owners.end() && owner.pid != kServiceManager) {
      return absl::FailedPreconditionError(
          absl::StrCat("the address ", endpoint.text, " is already in use by ", owner.program,
                       " (pid ", owner.pid, "); stop it or choose another address"));
    }
  }
  if (ours != owners.end()) {
    Hold(endpoint, ours->pid, check);
  } else if (!owners.empty()) {
    WarnOfServiceManager(endpoint, check);
  } else if (error == EACCES) {
    check->warnings.push_back(absl::StrCat(
        "this user may not listen on ", endpoint.text,
        "; ports below 1024 need root or the capability cap_net_bind_service at the start"));
  } else {
    check->warnings.push_back(absl::StrCat(
        "the address ", endpoint.text,
        " is already in use, and this user cannot see by which program (root can); if it is not "
        "ringpost itself, a start would fail"));
  }
  return absl::OkStatus();
}

// `name`: as LocalSocketOptions has it.
absl::Status CheckSocket(const Endpoint& endpoint, const char* name, StartCheck* check) {
  if (endpoint.address.any.sa_family != AF_UNIX) {
    return CheckAddress(endpoint, check);
  }
  absl::Status folder = LocalSocket::CheckFolder(endpoint, name);
  if (absl::IsPermissionDenied(folder)) {  // it may be another user that starts it
    check->warnings.push_back(absl::StrCat("for this user: ", folder.message()));
    folder = absl::OkStatus();
  }
  const absl::StatusOr<LocalSocket::Occupant> occupant = LocalSocket::OccupantOf(endpoint, name);
  if (!folder.ok() || absl::IsPermissionDenied(occupant.status())) {
    return folder;
  }
  if (!occupant.ok() || !occupant->answers) {
    return occupant.status();
  }
  const std::string program = ProgramOf(occupant->pid);
  if (occupant->pid == kServiceManager) {
    WarnOfServiceManager(endpoint, check);
  } else if (program.empty()) {
    check->warnings.push_back(absl::StrCat("it cannot be seen which program answers on ",
                                           endpoint.text,
                                           "; if it is not ringpost itself, a start would fail"));
  } else if (IsThisProgram(program)) {
    Hold(endpoint, occupant->pid, check);
  } else {
    return LocalSocket::AnotherAnswers(endpoint, name);
  }
  return absl::OkStatus();
}

absl::Status CheckLog(const Config& config) {
  const int error = LogFile(config.log_file).Check();
  if (error == 0) {
    return absl::OkStatus();
  }
  const std::string sentence = LogFileSentence(config.log_file, error);
  return error == -EACCES ? absl::PermissionDeniedError(sentence)
                          : absl::FailedPreconditionError(sentence);
}

// Which names have no address now, it says as a warning.
absl::StatusOr<std::shared_ptr<const Config>> LookUpNames(const std::shared_ptr<const Config>& read,
                                                          StartCheck* check) {
  if (!HasHostNames(*read)) {
    return read;
  }
  std::mutex mutex;
  std::vector<std::string> warnings;
  const absl::StatusOr<std::unique_ptr<UpstreamNames>> names =
      UpstreamNames::Open(*read, {.changed = [] {},
                                  .note = [](std::string_view) {},
                                  .warn =
                                      [&](std::string_view sentence) {
                                        const std::lock_guard lock(mutex);
                                        warnings.emplace_back(sentence);
                                      }});
  if (!names.ok()) {
    return names.status();
  }
  (*names)->Follow(*read);
  std::shared_ptr<const Config> filled = (*names)->Fill(*read);
  const std::lock_guard lock(mutex);
  check->warnings.insert(check->warnings.end(), warnings.begin(), warnings.end());
  return filled;
}

}  // namespace

absl::Status CheckAsUser(const Config& config) {
  absl::Status status = CheckLog(config);
  const auto check_folder = [&status](const Endpoint& endpoint, const char* name) {
    if (IsUnix(endpoint)) {
      status.Update(LocalSocket::CheckFolder(endpoint, name));
    }
  };
  for (const RouteConfig& route : config.routes) {
    for (const ListenerConfig& listener : route.listeners) {
      check_folder(listener.endpoint, UnixListeners::kName);
    }
  }
  if (config.policy_service.has_value()) {
    check_folder(*config.policy_service, kPolicySocketName);
  }
  return status;
}

absl::StatusOr<StartCheck> CheckStart(const std::shared_ptr<const Config>& read) {
  StartCheck check;
  const absl::StatusOr<std::shared_ptr<const Config>> filled = LookUpNames(read, &check);
  if (!filled.ok()) {
    return filled.status();
  }
  const std::shared_ptr<const Config>& config = *filled;
  const std::int64_t now = std::time(nullptr);
  const absl::StatusOr<LoadedFiles> files = LoadFiles(*config, now);
  if (!files.ok()) {
    return files.status();
  }
  const absl::StatusOr<std::unique_ptr<TicketKeys>> keys = LoadTicketKeys(*config, now);
  if (!keys.ok()) {
    return keys.status();
  }
  const absl::StatusOr<std::shared_ptr<const Runtime>> runtime =
      MakeRuntime(config, *files, keys->get(), now);
  if (!runtime.ok()) {
    return runtime.status();
  }
  for (StartWarning& warning : StartWarnings(**runtime, files->warnings)) {
    check.warnings.push_back(std::move(warning.sentence));
  }
  for (const RouteConfig& route : config->routes) {
    for (const ListenerConfig& listener : route.listeners) {
      if (absl::Status status = CheckSocket(listener.endpoint, UnixListeners::kName, &check);
          !status.ok()) {
        return status;
      }
    }
  }
  if (absl::Status status = CheckLog(*config); absl::IsPermissionDenied(status)) {
    check.warnings.push_back(absl::StrCat("for this user: ", status.message()));
  } else if (!status.ok()) {
    return status;
  }
  if (config->policy_service.has_value()) {
    if (absl::Status status = CheckSocket(*config->policy_service, kPolicySocketName, &check);
        !status.ok()) {
      return status;
    }
  }
  return check;
}

}  // namespace ringpost
