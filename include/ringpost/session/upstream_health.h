// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which addresses of an upstream can be used, as this shard has seen it. An address that failed is
// passed over until a probe has seen a real banner from it again; probes come after a back-off that
// doubles. Where all have failed, sessions still try: being wrong about that costs nothing.
//
// Owner: the shard; everything belongs to its thread. Pure state: the probe's socket is
// health_probe.h's.
#ifndef RINGPOST_SESSION_UPSTREAM_HEALTH_H_
#define RINGPOST_SESSION_UPSTREAM_HEALTH_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "ringpost/io/io.h"

namespace ringpost {

class UpstreamHealth {
 public:
  static constexpr TimeNs kBackoffMin = kNsPerSecond;
  static constexpr TimeNs kBackoffMax = 60 * kNsPerSecond;

  explicit UpstreamHealth(std::size_t addresses);

  // The same addresses in a configuration before this one: what was learnt there still holds.
  void TakeOver(const UpstreamHealth& before);

  // The address to try next: the first that is up and not in `tried` (a bit for each of the first
  // 64), else the first that is down and not in `tried`; nullopt: all were tried. Addresses behind
  // the 64th are never picked.
  [[nodiscard]] std::optional<std::size_t> Pick(std::uint64_t tried) const;

  // A session or a probe could not use it: down, and the next probe is due after the back-off,
  // which only a failure while it is being probed doubles. True: it was up until now, which is
  // worth a line in the log.
  bool Failed(std::size_t address, TimeNs now);
  // It greeted a session with 4xx or 5xx. That may concern this one client (a limit, a block list),
  // so the address stays up, but a probe, which is nobody's, is due to find out: at once, and not
  // more often than once in kBackoffMin.
  void Suspected(std::size_t address, TimeNs now);
  // A probe saw its banner, or a session its greeting. True: it was down until now.
  bool Succeeded(std::size_t address);

  [[nodiscard]] bool down(std::size_t address) const { return states_[address].down; }
  // The address whose probe is due, and marks it as being probed until Failed() or Succeeded().
  [[nodiscard]] std::optional<std::size_t> TakeDueProbe(TimeNs now);
  // When the next probe is due; nullopt: none is.
  [[nodiscard]] std::optional<TimeNs> NextProbe() const;

 private:
  static constexpr std::size_t kPickable = 64;  // bits in `tried`

  struct State {
    bool down = false;
    bool suspected = false;
    bool probing = false;
    TimeNs backoff = 0;
    TimeNs due = 0;
    TimeNs probed = -kBackoffMin;  // when a probe last began
  };
  // The down or suspected address without a probe under way whose probe is due first.
  [[nodiscard]] std::optional<std::size_t> FirstWaiting() const;

  std::vector<State> states_;
};

}  // namespace ringpost

#endif  // RINGPOST_SESSION_UPSTREAM_HEALTH_H_
