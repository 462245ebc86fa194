// SPDX-License-Identifier: GPL-3.0-or-later
//
// The unix sockets that routes listen on. Where TCP gives each shard a socket of its own
// (SO_REUSEPORT), a path can be bound once: the main thread does, owns the file, and each shard
// accepts from a duplicate of the same socket.
//
// Owner: the server; its main thread alone.
#ifndef RINGPOST_PROCESS_UNIX_LISTENERS_H_
#define RINGPOST_PROCESS_UNIX_LISTENERS_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ringpost/config/config.h"
#include "ringpost/process/inherited_sockets.h"
#include "ringpost/process/start_helper.h"

namespace ringpost {

class LocalSocket;

class UnixListeners {
 public:
  // As errors call one of them.
  static constexpr char kName[] = "the listening socket";

  UnixListeners();
  ~UnixListeners();  // Close()
  UnixListeners(const UnixListeners&) = delete;
  UnixListeners& operator=(const UnixListeners&) = delete;

  // Those of `next` that are not there yet. An error names the path, and Keep() must follow it.
  [[nodiscard]] absl::Status Open(const Config& next);
  [[nodiscard]] absl::Status Open(const Endpoint& endpoint);
  // Takes what this process was started with for `endpoint`: the first, and closes all others.
  // Nothing, if there is none.
  [[nodiscard]] absl::Status Adopt(const Endpoint& endpoint,
                                   const std::vector<InheritedSockets::Socket>& given);
  // Closes those that `now` does not have, and removes their files.
  void Keep(const Config& now);
  // Closes all. Nobody comes to their paths any more, and a successor may have them; whoever is in
  // a queue still belongs to the shards.
  void Close();
  // The predecessor that they were adopted from serves no more.
  void Own();
  // A successor has them: their files stay.
  void Abandon();
  // Those that a successor is to have; they stay ours.
  void AppendTo(std::vector<HandedSocket>* sockets) const;

  // A descriptor of the socket at `endpoint`, which must be there. It is the caller's.
  [[nodiscard]] absl::StatusOr<int> Duplicate(const Endpoint& endpoint) const;

 private:
  struct Listener {
    Endpoint endpoint;
    std::unique_ptr<LocalSocket> socket;
  };
  [[nodiscard]] const Listener* Find(const Endpoint& endpoint) const;

  std::vector<Listener> listeners_;
};

[[nodiscard]] bool IsUnix(const Endpoint& endpoint);

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_UNIX_LISTENERS_H_
