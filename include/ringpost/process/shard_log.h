// SPDX-License-Identifier: GPL-3.0-or-later
//
// A shard's voice in the log: one line per session at its end, and a rate-limited warning for what
// goes wrong with the machine or the backend. Used by the shard's thread alone; never blocks.
#ifndef RINGPOST_PROCESS_SHARD_LOG_H_
#define RINGPOST_PROCESS_SHARD_LOG_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "ringpost/config/config.h"
#include "ringpost/log/log.h"
#include "ringpost/session/shard.h"

namespace ringpost {

class ShardLog final : public ShardObserver {
 public:
  // `index` is the shard's, for its status line.
  ShardLog(Logger* logger, int index);

  void SessionEnded(const Session& session, TimeNs now) override;
  void SessionRefused(const ListenerRuntime& listener, const SocketAddress& client, Refusal why,
                      TimeNs now) override;
  void BackendFailed(const UpstreamConfig& upstream, const Endpoint& endpoint, CloseReason reason,
                     int error, std::string_view words, TimeNs now) override;
  void BackendRecovered(const UpstreamConfig& upstream, const Endpoint& endpoint,
                        TimeNs now) override;
  void UpstreamProven(const UpstreamConfig& upstream, const Endpoint& endpoint,
                      const ProbeResult& result, bool first) override;
  void UpstreamNotProven(const UpstreamConfig& upstream, const Endpoint& endpoint,
                         const ProbeResult& result, TimeNs now) override;
  void UpstreamSlow(const UpstreamConfig& upstream, const Endpoint& endpoint, TimeNs now) override;
  void PolicyNotMet(const Session& session, const PolicyDecision& decision,
                    std::string_view sender_domain) override;
  void TrustComplaint(const std::string& sentence, TimeNs now) override;
  void AcceptPaused(int error, TimeNs now) override;
  void Status(const ShardStatus& status) override;

 private:
  [[nodiscard]] std::string IdOf(const Session& session) const;
  // By the upstream's name: one must not silence another.
  using Limiters = std::map<std::string, WarningLimiter>;
  [[nodiscard]] static WarningLimiter& LimiterOf(const UpstreamConfig& upstream,
                                                 Limiters& limiters);

  Logger* logger_;
  int index_;
  std::uint32_t id_prefix_;
  std::array<WarningLimiter, kRefusalCount> refused_;
  Limiters failed_;
  Limiters probed_;
  WarningLimiter accept_;
  WarningLimiter trust_;
};

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_SHARD_LOG_H_
