// SPDX-License-Identifier: GPL-3.0-or-later
//
// The listening sockets that this process was started with: by a service manager's socket
// activation (sd_listen_fds(3)), or by a predecessor, which hands over its own in the same form.
// Which of them is for what, their addresses say, and not their names.
#ifndef RINGPOST_PROCESS_INHERITED_SOCKETS_H_
#define RINGPOST_PROCESS_INHERITED_SOCKETS_H_

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "ringpost/config/config.h"

namespace ringpost {

class InheritedSockets {
 public:
  // Names of a predecessor's descriptors.
  static constexpr std::string_view kListener = "listener";
  // Of a unix socket whose file is to be removed by whoever uses it last.
  static constexpr std::string_view kOwnedFile = "owned-file";
  static constexpr std::string_view kPredecessor = "ringpost-predecessor";

  // What LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES say; the variables are removed. Nothing, where
  // they are absent or meant for another process. An error is a sentence about a descriptor that
  // is no listening stream socket. To be called before any thread.
  [[nodiscard]] static absl::StatusOr<InheritedSockets> Take();

  InheritedSockets() = default;
  ~InheritedSockets();  // closes what nobody took; no file is removed
  InheritedSockets(InheritedSockets&& other) noexcept;
  InheritedSockets& operator=(InheritedSockets&& other) noexcept;
  InheritedSockets(const InheritedSockets&) = delete;
  InheritedSockets& operator=(const InheritedSockets&) = delete;

  // `fd` becomes its own, close-on-exec.
  [[nodiscard]] absl::Status Add(int fd, std::string_view name);

  struct Socket {
    int fd = -1;
    std::string name;
    Endpoint endpoint;
  };
  // Those bound to this very address; they are the caller's now.
  [[nodiscard]] std::vector<Socket> TakeFor(const Endpoint& endpoint);
  // Whether any was at this TCP port, also if it was taken since.
  [[nodiscard]] bool HadPort(std::uint16_t port) const { return ports_.contains(port); }
  // The end of the predecessor's channel, the caller's now; -1: there is none.
  [[nodiscard]] int TakePredecessor();
  [[nodiscard]] bool has_predecessor() const { return predecessor_ >= 0; }
  [[nodiscard]] std::size_t size() const { return sockets_.size(); }

  // What nobody has taken, closed now: the addresses, each once, and of them the paths whose files
  // are to be removed once the predecessor serves no more.
  struct Rest {
    std::vector<std::string> addresses;
    std::vector<std::string> paths;
  };
  Rest CloseRest();

 private:
  std::vector<Socket> sockets_;
  std::set<std::uint16_t> ports_;
  int predecessor_ = -1;
};

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_INHERITED_SOCKETS_H_
