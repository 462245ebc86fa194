// SPDX-License-Identifier: GPL-3.0-or-later
//
// Addresses as an administrator writes them: "127.0.0.1:10025", "[::1]:10025",
// "unix:/run/postfix-in"; of an upstream also "mail.example:10025".
#ifndef RINGPOST_CONFIG_ADDRESS_H_
#define RINGPOST_CONFIG_ADDRESS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "ringpost/config/config.h"

namespace ringpost {

// Fails with a sentence that quotes `text` and shows what is expected. `text` becomes
// Endpoint::text.
[[nodiscard]] absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text);

// The same where host names are taken as well. They are not looked up here. `usual_port` is shown
// where `text` has none.
[[nodiscard]] absl::StatusOr<UpstreamTarget> ParseUpstreamTarget(std::string_view text,
                                                                 std::string_view usual_port);

// Of a name server: no unix socket, and port 53 where `text` names none.
[[nodiscard]] absl::StatusOr<Endpoint> ParseNameServer(std::string_view text);

// The same address and port, or the same path.
[[nodiscard]] bool SameEndpoint(const Endpoint& a, const Endpoint& b);

// Whether only this machine can reach it: a loopback address or a unix socket.
[[nodiscard]] bool IsLocal(const Endpoint& endpoint);

// Whether a connection to `upstream` could arrive at `listener`: the same endpoint, or a loopback
// address of a port on which `listener` takes every address of that family.
[[nodiscard]] bool ReachesListener(const Endpoint& upstream, const Endpoint& listener);

}  // namespace ringpost

#endif  // RINGPOST_CONFIG_ADDRESS_H_
