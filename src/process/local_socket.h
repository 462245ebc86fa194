// SPDX-License-Identifier: GPL-3.0-or-later
//
// A listening socket for programs of this machine. Private to the process layer.
#ifndef RINGPOST_PROCESS_LOCAL_SOCKET_H_
#define RINGPOST_PROCESS_LOCAL_SOCKET_H_

#include <sys/stat.h>

#include <string>

#include "absl/status/statusor.h"
#include "ringpost/config/config.h"

namespace ringpost {

inline constexpr char kPolicySocketName[] = "the policy service's socket";

struct LocalSocketOptions {
  const char* name;  // as errors call it
  bool blocking = false;
  int backlog = 1024;
};

// Owner of the descriptor and, for a unix socket, of its file.
class LocalSocket {
 public:
  // Close-on-exec, listening. A unix socket's file is never open to others, not even for a moment;
  // a file in its place is removed only if it is a socket that nobody answers on.
  [[nodiscard]] absl::Status Open(const Endpoint& endpoint, const LocalSocketOptions& options);
  // Takes one that listens at `endpoint` already, of a predecessor or a service manager, who may
  // go on serving there. `may_own`: from Own() on the file is ours.
  [[nodiscard]] absl::Status Adopt(int fd, const Endpoint& endpoint,
                                   const LocalSocketOptions& options, bool may_own);
  // The one that it was adopted from serves no more: Close() removes the file now. Whoever asks the
  // kernel who listens hears of us.
  void Own();
  // Removes the file of a socket, and nothing else.
  static void RemoveFile(const std::string& path);
  LocalSocket() = default;
  ~LocalSocket() { Close(); }
  LocalSocket(const LocalSocket&) = delete;
  LocalSocket& operator=(const LocalSocket&) = delete;

  void Close();    // and removes the file, if it is still ours
  void Abandon();  // leaves the file to another process, which has the socket too
  [[nodiscard]] bool owns_file() const { return !path_.empty(); }
  [[nodiscard]] int fd() const { return fd_; }

  // What Open() would meet at the path of a unix socket. An error is what it would say.
  struct Occupant {
    bool is_there = false;
    bool answers = false;
    pid_t pid = 0;  // of who answers; 0: it cannot be told
  };
  [[nodiscard]] static absl::StatusOr<Occupant> OccupantOf(const Endpoint& endpoint,
                                                           const char* name);
  // What Open() says where another process answers.
  [[nodiscard]] static absl::Status AnotherAnswers(const Endpoint& endpoint, const char* name);
  // The same of its folder: kFailedPrecondition where there is none, kPermissionDenied where this
  // user may not write to it.
  [[nodiscard]] static absl::Status CheckFolder(const Endpoint& endpoint, const char* name);

 private:
  [[nodiscard]] static absl::Status RemoveStale(const Endpoint& endpoint, const char* name);
  [[nodiscard]] absl::Status OpenUnix(const Endpoint& endpoint, const LocalSocketOptions& options);

  int fd_ = -1;
  std::string path_;  // empty: there is no file, or it is not ours
  std::string adopted_path_;
  int adopted_backlog_ = 0;  // 0: there is nothing to own
  struct stat file_{};       // as it was made
};

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_LOCAL_SOCKET_H_
