// SPDX-License-Identifier: GPL-3.0-or-later
//
// The process: everything that can fail at start fails here, before the first client is accepted;
// then one thread per shard, and the main thread waits for signals.
//
// SIGTERM, SIGINT: stop accepting, let transactions finish up to --drain_timeout. SIGINT again: at
// once.
#ifndef RINGPOST_PROCESS_SERVER_H_
#define RINGPOST_PROCESS_SERVER_H_

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ringpost/config/config.h"
#include "ringpost/log/log.h"
#include "ringpost/session/runtime.h"
#include "ringpost/session/shard.h"
#include "ringpost/tls/ticket_keys.h"

namespace ringpost {

class Server {
 public:
  // Certificates, ring, listeners: all of it, or a sentence that says what to change.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Server>> Create(
      std::shared_ptr<const Config> config);
  // What Create() would find wrong with certificates, keys and the ticket secret. For
  // --check_config.
  [[nodiscard]] static absl::Status CheckCertificates(const std::shared_ptr<const Config>& config);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Blocks the signals it waits for, serves until one ends it, and returns when every session is
  // over. An error means that a shard could not start; then none has accepted anything.
  [[nodiscard]] absl::Status Run();

 private:
  class ShardThread;

  Server(std::shared_ptr<const Config> config, std::string ring_features);
  [[nodiscard]] absl::Status Load();
  [[nodiscard]] absl::Status OpenListeners();
  void LogStart();
  void WaitForEnd();
  void PostAll(ShardCommand command);

  std::shared_ptr<const Config> config_;
  std::string ring_features_;
  std::unique_ptr<TicketKeys> ticket_keys_;
  // Outlives the shards, whose last lines it writes.
  Log log_;
  Logger* logger_;
  std::vector<std::unique_ptr<ShardThread>> shards_;
};

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_SERVER_H_
