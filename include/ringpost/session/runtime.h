// SPDX-License-Identifier: GPL-3.0-or-later
//
// A configuration made ready for one shard: relay options and TLS contexts per listener. Immutable;
// sessions hold a reference, so that those begun before a reload end as they began. One per shard,
// so that the reference counts are never shared between cores.
#ifndef RINGPOST_SESSION_RUNTIME_H_
#define RINGPOST_SESSION_RUNTIME_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "ringpost/config/config.h"
#include "ringpost/smtp/smtp_relay.h"
#include "ringpost/tls/tls_context.h"

namespace ringpost {

struct ListenerRuntime {
  const ListenerConfig* listener = nullptr;
  const IngressConfig* route = nullptr;
  const UpstreamConfig* upstream = nullptr;
  std::shared_ptr<const TlsContextSet> contexts;  // null: no certificate, no STARTTLS
  RelayOptions relay;
};

struct Runtime {
  std::shared_ptr<const Config> config;
  std::vector<ListenerRuntime> listeners;  // in the order of routes and of their listeners
};

// The certificates of all routes, read from their files once, so that all shards agree.
struct LoadedCertificates {
  std::vector<std::vector<TlsCertificatePem>> by_route;
};
[[nodiscard]] absl::StatusOr<LoadedCertificates> LoadCertificates(const Config& config);

// Random keys, or those of --ticket_key_file. `now` is in seconds since the epoch, here and below.
[[nodiscard]] absl::StatusOr<std::unique_ptr<TicketKeys>> LoadTicketKeys(const Config& config,
                                                                         std::int64_t now);

// `ticket_keys` must outlive the result. Errors name the file and what is wrong with it.
[[nodiscard]] absl::StatusOr<std::shared_ptr<const Runtime>> MakeRuntime(
    std::shared_ptr<const Config> config, const LoadedCertificates& certificates,
    TicketKeys* ticket_keys, std::int64_t now);

}  // namespace ringpost

#endif  // RINGPOST_SESSION_RUNTIME_H_
