// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/upstream_health.h"

#include <algorithm>

namespace ringpost {

UpstreamHealth::UpstreamHealth(std::size_t addresses, Proofs proofs)
    : known_(std::make_shared<Known>()), proofs_(proofs) {
  known_->states.resize(addresses);
  if (proofs == Proofs::kNone) {
    for (State& state : known_->states) {
      state.proof = Proof::kProven;
    }
  }
}

bool UpstreamHealth::IsUp(const State& state, TimeNs now) const {
  return !state.down || (proofs_ == Proofs::kNone && state.due <= now);
}

void UpstreamHealth::ShareWith(const UpstreamHealth& before) {
  known_ = before.known_;
  for (State& state : known_->states) {
    state.probing = false;  // that probe ends without an answer
    state.due = 0;
  }
}

void UpstreamHealth::Keep(std::size_t address, const UpstreamHealth& before, std::size_t there) {
  State& state = known_->states[address];
  state = before.known_->states[there];
  state.probing = false;
  state.due = 0;
  known_->proxy_header_max = before.known_->proxy_header_max;
  known_->refuses_second_hello = before.known_->refuses_second_hello;
}

std::size_t UpstreamHealth::pickable() const { return std::min(known_->states.size(), kPickable); }

UpstreamHealth::Picked UpstreamHealth::Pick(std::uint64_t tried, TimeNs now, TimeNs since) {
  std::optional<std::size_t> first_down;
  for (std::size_t address = 0; address < pickable(); ++address) {
    const State& state = known_->states[address];
    if (IsTried(tried, address) || state.proof != Proof::kProven) {
      continue;
    }
    if (IsUp(state, now)) {
      return {.choice = Choice::kAddress, .address = address};
    }
    if (!first_down) {
      first_down = address;
    }
  }
  bool wait = false;
  for (std::size_t address = 0; address < pickable(); ++address) {
    // All of them, so that the next probe begins with whichever is due.
    wait = (!IsTried(tried, address) && WillBeProven(known_->states[address], now, since)) || wait;
  }
  if (wait) {
    return {.choice = Choice::kWait};
  }
  return first_down ? Picked{.choice = Choice::kAddress, .address = *first_down} : Picked{};
}

bool UpstreamHealth::WillBeProven(State& state, TimeNs now, TimeNs since) {
  bool again = false;
  switch (state.proof) {
    case Proof::kPending:
      return true;
    case Proof::kProven:
      return false;
    case Proof::kFailed:
      again = state.answered < since;
      break;
    case Proof::kRefuted:
      again = state.answered + kBackoffMin <= now;
      break;
  }
  if (again && !state.probing) {
    state.due = std::min(state.due, now);
  }
  return again || state.probing;
}

std::size_t UpstreamHealth::Preferred() const {
  std::optional<std::size_t> proven;
  for (std::size_t address = 0; address < pickable(); ++address) {
    const State& state = known_->states[address];
    if (state.proof != Proof::kProven) {
      continue;
    }
    if (!state.down) {
      return address;
    }
    proven = proven.value_or(address);
  }
  return proven.value_or(0);
}

bool UpstreamHealth::HasOther(std::uint64_t tried) const {
  for (std::size_t address = 0; address < pickable(); ++address) {
    const Proof proof = known_->states[address].proof;
    if (!IsTried(tried, address) && (proof == Proof::kProven || proof == Proof::kPending)) {
      return true;
    }
  }
  return false;
}

bool UpstreamHealth::SetDown(State& state, TimeNs now) {
  const bool was_up = !state.down;
  // Where all addresses are down sessions go on failing, as many as there are clients: they must
  // not put off the probe that would find it up again.
  if (was_up || state.probing || (proofs_ == Proofs::kNone && state.due <= now)) {
    state.backoff = was_up ? kBackoffMin : std::min(2 * state.backoff, kBackoffMax);
    state.due = now + state.backoff;
  }
  state.answered = now;
  state.down = true;
  state.probing = false;
  return was_up;
}

bool UpstreamHealth::Failed(std::size_t address, TimeNs now) {
  State& state = known_->states[address];
  if (state.probing && state.proof != Proof::kProven) {
    state.proof = Proof::kFailed;
  }
  return SetDown(state, now);
}

bool UpstreamHealth::Refuted(std::size_t address, TimeNs now) {
  State& state = known_->states[address];
  state.proof = Proof::kRefuted;
  return SetDown(state, now);
}

void UpstreamHealth::ProbeAgain(std::size_t address) {
  known_->states[address].probing = false;
  known_->states[address].due = 0;
}

void UpstreamHealth::Doubted(std::size_t address, TimeNs now) {
  if (proofs_ == Proofs::kNone) {
    return;
  }
  State& state = known_->states[address];
  if (state.proof == Proof::kProven && !state.probing) {
    state.due = std::max(now, state.probed + kBackoffMin);
  }
  if (state.proof == Proof::kProven) {
    state.proof = Proof::kPending;
  }
}

void UpstreamHealth::Suspected(std::size_t address, TimeNs now) {
  State& state = known_->states[address];
  if (!state.down && !state.probing) {
    state.due = std::min(state.due, std::max(now, state.probed + kBackoffMin));
  }
}

bool UpstreamHealth::Succeeded(std::size_t address) {
  State& state = known_->states[address];
  const bool was_down = state.down;
  if (was_down && !state.probing) {
    state.due = state.probed + kProofInterval;
  }
  state.down = false;
  state.backoff = 0;
  return was_down;
}

bool UpstreamHealth::Proven(std::size_t address, TimeNs now) {
  State& state = known_->states[address];
  const bool was_down = state.down;
  state.proof = Proof::kProven;
  state.down = false;
  state.backoff = 0;
  state.probing = false;
  state.due = now + kProofInterval;
  return was_down;
}

std::optional<std::size_t> UpstreamHealth::TakeDueProbe(TimeNs now) {
  const std::optional<std::size_t> address = FirstWaiting();
  if (!address || known_->states[*address].due > now) {
    return std::nullopt;
  }
  known_->states[*address].probing = true;
  known_->states[*address].probed = now;
  return address;
}

std::optional<TimeNs> UpstreamHealth::NextProbe() const {
  const std::optional<std::size_t> address = FirstWaiting();
  return address ? std::optional(known_->states[*address].due) : std::nullopt;
}

std::optional<std::size_t> UpstreamHealth::FirstWaiting() const {
  std::optional<std::size_t> first;
  for (std::size_t address = 0; address < known_->states.size(); ++address) {
    const State& state = known_->states[address];
    if (!state.probing && (!first || state.due < known_->states[*first].due)) {
      first = address;
    }
  }
  return first;
}

}  // namespace ringpost
