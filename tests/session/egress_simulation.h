// SPDX-License-Identifier: GPL-3.0-or-later
//
// One seed, played where mail leaves: our own mail server, in clear, and a partner's servers, each
// of whose connections may fail to do its part, around the real shard, sessions, relay and TLS as
// its client. Beside what holds in every world (simulation.h):
// - no positive reply to MAIL, RCPT, DATA or content that a partner's server has not given to that
//   very command, and none to content before the message is stored, octet for octet;
// - under a level above `may` that is enforced, no octet of a message in clear, and no command of
//   one to a server that does not meet the level (wire_watch.h, partner_server.h);
// - the greeting and EHLO are accepted, whatever the partner does; what is wrong is said at MAIL,
//   and with 5yz only where the route asks for that and a server was of no use for good;
// - whoever keeps the rules on a network that loses nothing comes to his QUIT.
#ifndef RINGPOST_TESTS_SESSION_EGRESS_SIMULATION_H_
#define RINGPOST_TESTS_SESSION_EGRESS_SIMULATION_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "simulation.h"

namespace ringpost {

[[nodiscard]] bool HasEgressWorld(std::uint64_t seed);
[[nodiscard]] std::string DescribeEgress(std::uint64_t seed);
// The trace. Failures are GoogleTest's.
[[nodiscard]] std::uint64_t SimulateEgress(std::uint64_t seed, SimulationTotals* totals,
                                           const std::function<void(std::string_view)>& print);

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SESSION_EGRESS_SIMULATION_H_
