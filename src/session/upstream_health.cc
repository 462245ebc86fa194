// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/upstream_health.h"

#include <algorithm>

namespace ringpost {

UpstreamHealth::UpstreamHealth(std::size_t addresses) : states_(addresses) {}

void UpstreamHealth::TakeOver(const UpstreamHealth& before) {
  states_ = before.states_;
  for (State& state : states_) {
    state.probing = false;  // that probe's answer goes to the other
  }
}

std::optional<std::size_t> UpstreamHealth::Pick(std::uint64_t tried) const {
  std::optional<std::size_t> first_down;
  const std::size_t count = std::min(states_.size(), kPickable);
  for (std::size_t address = 0; address < count; ++address) {
    if ((tried >> address & 1) != 0) {
      continue;
    }
    if (!states_[address].down) {
      return address;
    }
    if (!first_down) {
      first_down = address;
    }
  }
  return first_down;
}

bool UpstreamHealth::Failed(std::size_t address, TimeNs now) {
  State& state = states_[address];
  const bool was_up = !state.down;
  // Where all addresses are down sessions go on failing, as many as there are clients: they must
  // not put off the probe that would find it up again.
  if (was_up || state.probing) {
    state.backoff = was_up ? kBackoffMin : std::min(2 * state.backoff, kBackoffMax);
    state.due = now + state.backoff;
  }
  state.down = true;
  state.suspected = false;
  state.probing = false;
  return was_up;
}

void UpstreamHealth::Suspected(std::size_t address, TimeNs now) {
  State& state = states_[address];
  if (!state.down && !state.suspected && !state.probing) {
    state.suspected = true;
    state.due = std::max(now, state.probed + kBackoffMin);
  }
}

bool UpstreamHealth::Succeeded(std::size_t address) {
  const bool was_down = states_[address].down;
  const TimeNs probed = states_[address].probed;
  states_[address] = State{};
  states_[address].probed = probed;
  return was_down;
}

std::optional<std::size_t> UpstreamHealth::TakeDueProbe(TimeNs now) {
  const std::optional<std::size_t> address = FirstWaiting();
  if (!address || states_[*address].due > now) {
    return std::nullopt;
  }
  states_[*address].probing = true;
  states_[*address].probed = now;
  return address;
}

std::optional<TimeNs> UpstreamHealth::NextProbe() const {
  const std::optional<std::size_t> address = FirstWaiting();
  return address ? std::optional(states_[*address].due) : std::nullopt;
}

std::optional<std::size_t> UpstreamHealth::FirstWaiting() const {
  std::optional<std::size_t> first;
  for (std::size_t address = 0; address < states_.size(); ++address) {
    const State& state = states_[address];
    if ((state.down || state.suspected) && !state.probing &&
        (!first || state.due < states_[*first].due)) {
      first = address;
    }
  }
  return first;
}

}  // namespace ringpost
