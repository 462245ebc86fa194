// SPDX-License-Identifier: GPL-3.0-or-later
//
// Whether an address can be listened on, before it is. Private to the process layer.
#ifndef RINGPOST_PROCESS_PORT_CHECK_H_
#define RINGPOST_PROCESS_PORT_CHECK_H_

#include <functional>

#include "absl/status/status.h"
#include "ringpost/config/config.h"

namespace ringpost {

// SO_REUSEPORT would share the port with another ringpost unnoticed: binds it once without. Of a
// unix socket UnixListeners makes sure.
[[nodiscard]] absl::Status CheckPortIsFree(const ListenerConfig& listener);

// `open` until it does not fail for want of the address, where that is a ringpost's that was told
// to end a moment ago and has not given it up yet; for two seconds at most.
[[nodiscard]] absl::Status OnceFree(const Endpoint& endpoint,
                                    const std::function<absl::Status()>& open);

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_PORT_CHECK_H_
