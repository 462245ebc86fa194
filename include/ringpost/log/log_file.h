// SPDX-License-Identifier: GPL-3.0-or-later
//
// Where the log goes: a file that is appended to, or standard error. Owner: main. It outlives the
// Log that writes to its descriptor.
#ifndef RINGPOST_LOG_LOG_FILE_H_
#define RINGPOST_LOG_LOG_FILE_H_

#include <string>

namespace ringpost {

class LogFile {
 public:
  explicit LogFile(std::string path);  // empty: standard error
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  // Before fd() is used. A file that is not there is made, with mode 0640. 0, or -errno.
  [[nodiscard]] int Open();
  // The same descriptor goes on with the file that is at the path now: after logrotate has moved
  // the old one, with a new one. What another thread writes meanwhile goes to the one or the other,
  // whole. 0, or -errno, and then the old file goes on.
  [[nodiscard]] int Reopen();
  // Whether Open() could; makes nothing. 0, or -errno.
  [[nodiscard]] int Check() const;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  int fd_;
};

}  // namespace ringpost

#endif  // RINGPOST_LOG_LOG_FILE_H_
