// SPDX-License-Identifier: GPL-3.0-or-later
//
// The policy service's listening socket. Private to the process layer.
#ifndef RINGPOST_PROCESS_POLICY_SOCKET_H_
#define RINGPOST_PROCESS_POLICY_SOCKET_H_

#include <sys/stat.h>

#include <string>

#include "absl/status/statusor.h"
#include "ringpost/config/config.h"

namespace ringpost {

// Owner of the descriptor and, for a unix socket, of its file.
class PolicySocket {
 public:
  // Non-blocking, close-on-exec, listening. A unix socket's file is never open to others, not even
  // for a moment; a file in its place is removed only if it is a socket that nobody answers on.
  [[nodiscard]] absl::Status Open(const Endpoint& endpoint);
  PolicySocket() = default;
  ~PolicySocket() { Close(); }
  PolicySocket(const PolicySocket&) = delete;
  PolicySocket& operator=(const PolicySocket&) = delete;

  void Close();  // and removes the file, if it is still ours
  [[nodiscard]] int fd() const { return fd_; }

 private:
  [[nodiscard]] absl::Status OpenUnix(const Endpoint& endpoint);

  int fd_ = -1;
  std::string path_;    // empty: there is no file
  struct stat file_{};  // as it was made
};

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_POLICY_SOCKET_H_
