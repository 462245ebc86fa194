// SPDX-License-Identifier: GPL-3.0-or-later
#include "local_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ringpost/io/socket.h"

namespace ringpost {
namespace {

constexpr mode_t kMode = 0660;

absl::Status SystemError(const Endpoint& endpoint, const char* name, const char* call) {
  if (errno == EACCES || errno == EPERM || errno == EROFS) {
    return absl::PermissionDeniedError(
        absl::StrCat("no permission to make ", name, " ", endpoint.text,
                     "; choose a folder that ringpost's user may write to"));
  }
  if (errno == ENOENT || errno == ENOTDIR) {
    return absl::FailedPreconditionError(
        absl::StrCat("the folder of ", name, " ", endpoint.text, " does not exist; create it"));
  }
  return absl::InternalError(absl::StrCat("cannot open ", name, " ", endpoint.text, ": ", call,
                                          ": ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<LocalSocket::Occupant> LocalSocket::OccupantOf(const Endpoint& endpoint,
                                                              const char* name) {
  const char* const path = endpoint.address.un.sun_path;
  struct stat file{};
  if (lstat(path, &file) != 0) {
    return errno == ENOENT ? Occupant{}
                           : absl::StatusOr<Occupant>(SystemError(endpoint, name, "lstat"));
  }
  if (!S_ISSOCK(file.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " is there already and is no socket; remove it or choose another path for ", name));
  }
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    return SystemError(endpoint, name, "socket");
  }
  Occupant occupant{.is_there = true};
  const bool connected = connect(fd, &endpoint.address.any, endpoint.length) == 0;
  occupant.answers = connected || errno != ECONNREFUSED;
  ucred peer{};
  socklen_t length = sizeof peer;
  if (connected && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0) {
    occupant.pid = peer.pid;
  }
  close(fd);
  return occupant;
}

absl::Status LocalSocket::AnotherAnswers(const Endpoint& endpoint, const char* name) {
  return absl::FailedPreconditionError(absl::StrCat("another program answers on ", endpoint.text,
                                                    "; stop it or choose another path for ", name));
}

// Removes what a process that was killed has left behind, and nothing else.
absl::Status LocalSocket::RemoveStale(const Endpoint& endpoint, const char* name) {
  const absl::StatusOr<Occupant> occupant = OccupantOf(endpoint, name);
  if (!occupant.ok() || !occupant->is_there) {
    return occupant.status();
  }
  if (occupant->answers) {
    return AnotherAnswers(endpoint, name);
  }
  return unlink(endpoint.address.un.sun_path) == 0 ? absl::OkStatus()
                                                   : SystemError(endpoint, name, "unlink");
}

absl::Status LocalSocket::CheckFolder(const Endpoint& endpoint, const char* name) {
  const std::string path = endpoint.address.un.sun_path;
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  return access(folder.c_str(), W_OK | X_OK) == 0 ? absl::OkStatus()
                                                  : SystemError(endpoint, name, "access");
}

absl::Status LocalSocket::Open(const Endpoint& endpoint, const LocalSocketOptions& options) {
  if (endpoint.address.any.sa_family == AF_UNIX) {
    return OpenUnix(endpoint, options);
  }
  const absl::StatusOr<int> fd = OpenListener(&endpoint.address.any, endpoint.length, endpoint.text,
                                              {.backlog = options.backlog});
  if (!fd.ok()) {
    return fd.status();
  }
  fd_ = *fd;
  if (!options.blocking && fcntl(fd_, F_SETFL, O_NONBLOCK) != 0) {
    return SystemError(endpoint, options.name, "fcntl");
  }
  return absl::OkStatus();
}

absl::Status LocalSocket::OpenUnix(const Endpoint& endpoint, const LocalSocketOptions& options) {
  if (absl::Status status = RemoveStale(endpoint, options.name); !status.ok()) {
    return status;
  }
  fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (options.blocking ? 0 : SOCK_NONBLOCK), 0);
  if (fd_ < 0) {
    return SystemError(endpoint, options.name, "socket");
  }
  const char* const path = endpoint.address.un.sun_path;
  // Linux makes the file with the descriptor's mode less the umask; chmod(2) gives back what the
  // umask took.
  if (fchmod(fd_, kMode) != 0 || bind(fd_, &endpoint.address.any, endpoint.length) != 0) {
    return SystemError(endpoint, options.name, "bind");
  }
  if (lstat(path, &file_) != 0) {
    return SystemError(endpoint, options.name, "lstat");
  }
  path_ = path;
  if (chmod(path, kMode) != 0 || listen(fd_, options.backlog) != 0) {
    return SystemError(endpoint, options.name, "listen");
  }
  return absl::OkStatus();
}

absl::Status LocalSocket::Adopt(int fd, const Endpoint& endpoint, const LocalSocketOptions& options,
                                bool may_own) {
  fd_ = fd;
  adopted_backlog_ = options.backlog;
  const int flags = fcntl(fd, F_GETFL);
  const int wanted = options.blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
  if (flags < 0 || fcntl(fd, F_SETFL, wanted) != 0) {
    return SystemError(endpoint, options.name, "fcntl");
  }
  if (may_own && endpoint.address.any.sa_family == AF_UNIX) {
    adopted_path_ = endpoint.address.un.sun_path;
  }
  return absl::OkStatus();
}

void LocalSocket::Own() {
  if (adopted_backlog_ == 0) {
    return;
  }
  (void)listen(fd_, std::exchange(adopted_backlog_, 0));  // SO_PEERCRED is of who did this last
  if (!adopted_path_.empty() && lstat(adopted_path_.c_str(), &file_) == 0 &&
      S_ISSOCK(file_.st_mode)) {
    path_ = adopted_path_;
  }
  adopted_path_.clear();
}

void LocalSocket::RemoveFile(const std::string& path) {
  struct stat file{};
  if (lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode)) {
    unlink(path.c_str());
  }
}

void LocalSocket::Abandon() {
  path_.clear();
  adopted_path_.clear();
  Close();
}

void LocalSocket::Close() {
  if (!path_.empty()) {
    struct stat now{};
    if (lstat(path_.c_str(), &now) == 0 && now.st_dev == file_.st_dev &&
        now.st_ino == file_.st_ino) {
      unlink(path_.c_str());
    }
    path_.clear();
  }
  if (fd_ >= 0) {
    close(std::exchange(fd_, -1));
  }
}

}  // namespace ringpost
