// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which addresses of an upstream can be used, as this shard has seen it.
//
// An address, but a partner's (Proofs::kNone), gets a client only once a probe has proven that it
// takes the identity it is told. From
// then on it is probed again now and then, and at once where a session saw a reply that nothing had
// asked for. One that cannot be reached is passed over until a probe has seen it again; probes come
// after a back-off that doubles. Where all that are proven cannot be reached, sessions try them all
// the same: being wrong about that costs nothing.
//
// Owner: the shard; everything belongs to its thread. Pure state: the probe's socket is
// upstream_probe.h's.
#ifndef RINGPOST_SESSION_UPSTREAM_HEALTH_H_
#define RINGPOST_SESSION_UPSTREAM_HEALTH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "ringpost/base/outcome.h"
#include "ringpost/identity/proxy_header.h"
#include "ringpost/io/io.h"

namespace ringpost {

class UpstreamHealth {
 public:
  static constexpr TimeNs kBackoffMin = kNsPerSecond;
  static constexpr TimeNs kBackoffMax = 60 * kNsPerSecond;
  // How often an address that works is proven again.
  static constexpr TimeNs kProofInterval = 300 * kNsPerSecond;
  enum class Proof : std::uint8_t {
    kPending,  // no answer yet: sessions wait for it
    kProven,
    kFailed,   // it could not be asked: no connection, or it was not ready
    kRefuted,  // it does not take its identity
  };
  // kAddress: that one. kWait: a probe will tell. kNone: nothing is left to try.
  enum class Choice : std::uint8_t { kAddress, kWait, kNone };
  struct Picked {
    Choice choice = Choice::kNone;
    std::size_t address = 0;  // kNone: the first, for the log
  };

  enum class Proofs : std::uint8_t {
    kProbes,
    // Nobody asks the addresses anything but sessions that have mail for them: all are as good as
    // proven, and one that is down is tried again after the back-off.
    kNone,
  };
  explicit UpstreamHealth(std::size_t addresses, Proofs proofs = Proofs::kProbes);

  // The same addresses and identity in a configuration before this one: from here on both know the
  // same, because sessions of the older one go on, and all of it is to be proven anew. What is
  // known holds until then.
  void ShareWith(const UpstreamHealth& before);

  // One address is the same as `there` of a configuration before this one, which others were not:
  // what is known of it holds, and is to be proven anew.
  void Keep(std::size_t address, const UpstreamHealth& before, std::size_t there);

  // What to try next, without those in `tried` (a bit for each of the first 64): the first that is
  // proven and up; else one that is about to be proven; else the first that is proven and down.
  // Addresses behind the 64th are never picked. Brings about the probe that it says to wait for: of
  // an address that could not be asked if that was before `since`, when the session began to look
  // for one, so that a mail server is used as soon as it runs; of one that was refuted, not more
  // often than once in kBackoffMin.
  [[nodiscard]] Picked Pick(std::uint64_t tried, TimeNs now, TimeNs since);
  // The address that would be used now, or the first.
  [[nodiscard]] std::size_t Preferred() const;
  // Whether another one than those in `tried` is proven, or about to be asked for the first time.
  [[nodiscard]] bool HasOther(std::uint64_t tried) const;

  // A session could not connect to it, or a probe could not use it: down, and the next probe is due
  // after the back-off, which only a failure while it is being probed doubles. True: it was up
  // until now, which is worth a line in the log.
  bool Failed(std::size_t address, TimeNs now);
  // A probe has seen that it does not take its identity: not used until another one is better
  // answered. True: as with Failed().
  bool Refuted(std::size_t address, TimeNs now);
  // The probe that is under way is to be repeated at once, before any other address is probed.
  void ProbeAgain(std::size_t address);
  // Commands and replies parted in a session: not used until it is proven again.
  void Doubted(std::size_t address, TimeNs now);
  // It greeted a session with 4xx or 5xx, closed without a greeting, or kept it waiting for one.
  // That may concern this one client (a limit, a block list, the client's slow DNS), so the address
  // stays up, but a probe, which is nobody's, is due to find out: at once, and not more often than
  // once in kBackoffMin.
  void Suspected(std::size_t address, TimeNs now);
  // It greeted a session. True: it was down until now.
  bool Succeeded(std::size_t address);
  // A probe has proven it. True: it was down until now, or failed or refuted before.
  bool Proven(std::size_t address, TimeNs now);

  [[nodiscard]] bool down(std::size_t address) const { return known_->states[address].down; }
  [[nodiscard]] Proof proof(std::size_t address) const { return known_->states[address].proof; }
  // The address whose probe is due, and marks it as being probed until its result is told.
  [[nodiscard]] std::optional<std::size_t> TakeDueProbe(TimeNs now);
  // When the next probe is due; nullopt: none is.
  [[nodiscard]] std::optional<TimeNs> NextProbe() const;

  // What probes found of the whole upstream: the longest PROXY v2 header it takes, and whether it
  // refuses a second EHLO, so that STARTTLS needs a new connection.
  [[nodiscard]] std::size_t proxy_header_max() const { return known_->proxy_header_max; }
  [[nodiscard]] bool refuses_second_hello() const { return known_->refuses_second_hello; }
  void set_proxy_header_max(std::size_t octets) { known_->proxy_header_max = octets; }
  void set_refuses_second_hello() { known_->refuses_second_hello = true; }

 private:
  static constexpr std::size_t kPickable = 64;  // bits in `tried`

  struct State {
    Proof proof = Proof::kPending;
    bool down = false;
    bool probing = false;
    TimeNs backoff = 0;
    TimeNs due = 0;
    TimeNs probed = -kBackoffMin;  // when a probe last began
    TimeNs answered = 0;           // when it was last known not to be usable
  };
  [[nodiscard]] bool IsTried(std::uint64_t tried, std::size_t address) const {
    return (tried >> address & 1) != 0;
  }
  [[nodiscard]] std::size_t pickable() const;
  [[nodiscard]] static bool WillBeProven(State& state, TimeNs now, TimeNs since);
  bool SetDown(State& state, TimeNs now);
  [[nodiscard]] bool IsUp(const State& state, TimeNs now) const;
  // The address without a probe under way whose probe is due first.
  [[nodiscard]] std::optional<std::size_t> FirstWaiting() const;

  struct Known {
    std::vector<State> states;
    std::size_t proxy_header_max = kProxyHeaderMax;
    bool refuses_second_hello = false;
  };
  std::shared_ptr<Known> known_;  // of this shard's configurations alone
  Proofs proofs_;
};

}  // namespace ringpost

#endif  // RINGPOST_SESSION_UPSTREAM_HEALTH_H_
