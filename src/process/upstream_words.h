// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the log says of an upstream that was probed: what the server said, what that means, and what
// to set where. Pure functions.
#ifndef RINGPOST_PROCESS_UPSTREAM_WORDS_H_
#define RINGPOST_PROCESS_UPSTREAM_WORDS_H_

#include <string>
#include <string_view>
#include <vector>

#include "ringpost/base/outcome.h"
#include "ringpost/config/config.h"
#include "ringpost/session/health_probe.h"

namespace ringpost {

[[nodiscard]] std::string ProvenSentence(const UpstreamConfig& upstream, const Endpoint& endpoint,
                                         const ProbeResult& result);
// What does not work although it is proven, and what to do about it.
[[nodiscard]] std::vector<std::string> ProvenAdvice(const UpstreamConfig& upstream,
                                                    const Endpoint& endpoint,
                                                    const ProbeResult& result);
[[nodiscard]] std::string NotProvenSentence(const UpstreamConfig& upstream,
                                            const Endpoint& endpoint, const ProbeResult& result);
// It has not greeted for HealthProbe::kSlowGreeting.
[[nodiscard]] std::string SlowSentence(const UpstreamConfig& upstream, const Endpoint& endpoint);
// A session could not use it, as ShardObserver::BackendFailed() has it.
[[nodiscard]] std::string FailedSentence(const UpstreamConfig& upstream, const Endpoint& endpoint,
                                         CloseReason reason, int error, std::string_view words);
[[nodiscard]] std::string RecoveredSentence(const UpstreamConfig& upstream,
                                            const Endpoint& endpoint);

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_UPSTREAM_WORDS_H_
