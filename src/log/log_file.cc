// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/log/log_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace ringpost {
namespace {

int Append(const std::string& path) {
  constexpr mode_t kOwnerWritesGroupReads = 0640;
  const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY,
                      kOwnerWritesGroupReads);
  return fd >= 0 ? fd : -errno;
}

// 0, or -errno.
int MayAccess(const std::string& path, int how) {
  return faccessat(AT_FDCWD, path.c_str(), how, AT_EACCESS) == 0 ? 0 : -errno;
}

}  // namespace

LogFile::LogFile(std::string path)
    : path_(std::move(path)), fd_(path_.empty() ? STDERR_FILENO : -1) {}

LogFile::~LogFile() {
  if (!path_.empty() && fd_ >= 0) close(fd_);
}

int LogFile::Open() {
  if (path_.empty()) return 0;
  const int fd = Append(path_);
  if (fd < 0) return fd;
  fd_ = fd;
  return 0;
}

int LogFile::Reopen() {
  if (path_.empty()) return 0;
  const int fd = Append(path_);
  if (fd < 0) return fd;
  const int error = dup3(fd, fd_, O_CLOEXEC) < 0 ? errno : 0;
  close(fd);
  return -error;
}

int LogFile::Check() const {
  if (path_.empty()) return 0;
  std::error_code ignored;
  if (std::filesystem::is_directory(path_, ignored)) return -EISDIR;
  const int error = MayAccess(path_, W_OK);
  if (error != -ENOENT) return error;
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  return MayAccess(folder.empty() ? "." : folder, W_OK | X_OK);
}

}  // namespace ringpost
