// SPDX-License-Identifier: GPL-3.0-or-later
//
// The probes of a shard: when each upstream is asked, and what follows from its answers.
#include <algorithm>
#include <array>
#include <utility>

#include "ringpost/session/shard.h"

namespace ringpost {
namespace {

// The longest PROXY v2 header that sessions of this upstream may send.
std::size_t LongestHeader(const UpstreamConfig& upstream) {
  switch (upstream.proxy_tlvs) {
    case ProxyTlvs::kAll:
      return kProxyHeaderMax;
    case ProxyTlvs::kSsl:
      return kProxyHeaderSslMax;
    case ProxyTlvs::kNone:
      break;
  }
  return kProxyHeaderBareMax;
}

// A server that takes less than was shown cuts the header, and takes the rest for commands, or
// closes.
bool MayBeTooLong(const ProbeResult& result) {
  switch (result.fault) {
    case ProbeFault::kClosed:
    case ProbeFault::kUnaskedReply:
    case ProbeFault::kNoopRefused:
      return true;
    default:
      return false;
  }
}

// What is tried behind one another where the longest header is not taken: Exim 4.96 reads 232
// octets, nginx 1.22 107; addresses without TLVs everybody takes.
constexpr std::array<std::size_t, 4> kShorterHeaders = {232, 107, kProxyHeaderBareMax, 16};

}  // namespace

Shard::Prepared<Shard::Prober> Shard::PrepareProbers(
    const std::shared_ptr<const Runtime>& runtime) {
  Prepared<Prober> prepared;
  std::size_t slot = 0;
  for (std::size_t index = 0; index < runtime->config->upstreams.size(); ++index) {
    const UpstreamConfig& upstream = runtime->config->upstreams[index];
    if (upstream.is_partner) {
      continue;
    }
    auto prober = std::make_unique<Prober>();
    prober->runtime = runtime;
    prober->upstream = &upstream;
    prober->health = runtime->health[index].get();
    slot = FreeSlot(probers_, slot);
    const UserData user_data{.kind = 0,
                             .leg = UserData::kProbe,
                             .slot = static_cast<std::uint32_t>(slot),
                             .generation = 0};
    prober->header_octets = LongestHeader(upstream);
    prober->probe =
        std::make_unique<HealthProbe>(io_, pool_, &upstream, runtime->config->hostname,
                                      runtime->config->starttls_backend == StarttlsBackend::kKeep
                                          ? HealthProbe::SecondHello::kAsk
                                          : HealthProbe::SecondHello::kSkip,
                                      user_data.Pack());
    prepared.emplace_back(slot++, std::move(prober));
  }
  return prepared;
}

void Shard::RunProbes() {
  const TimeNs now = io_->Now();
  for (std::unique_ptr<Prober>& prober : probers_) {
    if (prober == nullptr) {
      continue;
    }
    HealthProbe& probe = *prober->probe;
    probe.OnTime(now);
    if (probe.TakeNotice()) {
      observer_->UpstreamSlow(*prober->upstream, prober->upstream->addresses[probe.address()], now);
    }
    const ProbeResult result = probe.TakeResult();
    if (result.kind != ProbeResult::Kind::kNone) {
      TakeProbeResult(*prober, result, now);
    }
    if (!probe.idle()) {
      continue;
    }
    const bool current = prober->runtime == runtime_ || !proof_waiters_.empty();
    if (!current || draining_) {
      prober.reset();
    } else if (const std::optional<std::size_t> due = prober->health->TakeDueProbe(now)) {
      probe.Start(*due, prober->header_octets, now + runtime_->config->connect_timeout);
    }
  }
  probes_at_ = NextProbesAt();
}

TimeNs Shard::NextProbesAt() const {
  TimeNs first = -1;
  for (const std::unique_ptr<Prober>& prober : probers_) {
    if (prober == nullptr) {
      continue;
    }
    std::optional<TimeNs> next;
    if (prober->probe->deadline() >= 0) {
      next = prober->probe->deadline();
    } else if (prober->probe->idle()) {
      next = prober->health->NextProbe();
    }  // else its last operation's completion is what comes next
    if (next && (first < 0 || *next < first)) {
      first = *next;
    }
  }
  return first;
}

void Shard::TakeProbeResult(Prober& prober, const ProbeResult& result, TimeNs now) {
  if (TryAnotherHeader(prober, result)) {
    return;
  }
  const std::size_t address = prober.probe->address();
  const std::optional<ProbeResult> took_shorter = std::exchange(prober.took_shorter, std::nullopt);
  prober.header_octets = LongestHeader(*prober.upstream);  // the next time begins anew
  if (result.kind == ProbeResult::Kind::kProven) {
    TakeProof(prober, result, now);
  } else if (took_shorter && MayBeTooLong(result)) {
    TakeProof(prober, *took_shorter, now);
  } else {
    const bool refuted = result.kind == ProbeResult::Kind::kRefuted;
    const bool news =
        refuted ? prober.health->Refuted(address, now) : prober.health->Failed(address, now);
    if (news || refuted) {
      observer_->UpstreamNotProven(*prober.upstream, prober.upstream->addresses[address], result,
                                   now);
    }
  }
  WakeProofWaiters();
}

void Shard::TakeProof(Prober& prober, const ProbeResult& result, TimeNs now) {
  const std::size_t address = prober.probe->address();
  const Endpoint& endpoint = prober.upstream->addresses[address];
  const bool first = !std::exchange(prober.any_proven, true);
  prober.health->set_proxy_header_max(result.header_octets);
  if (result.refuses_second_hello) {
    prober.health->set_refuses_second_hello();
  }
  const bool was_down = prober.health->Proven(address, now);
  observer_->UpstreamProven(*prober.upstream, endpoint, result, first);
  if (was_down) {
    BackendRecovered(*prober.upstream, endpoint);
  }
}

// The same address once more: with a shorter header where the one it was shown may be too long, and
// where it takes a shorter one, with the longest again, because a server that was ended in the
// middle of a probe looks the same. False: its answer is settled.
bool Shard::TryAnotherHeader(Prober& prober, const ProbeResult& result) {
  if (prober.upstream->identity != BackendIdentity::kProxyV2 || prober.took_shorter) {
    return false;
  }
  const std::size_t longest = LongestHeader(*prober.upstream);
  std::size_t next = 0;
  if (result.kind == ProbeResult::Kind::kProven && prober.header_octets < longest) {
    prober.took_shorter = result;
    next = longest;
  } else if (MayBeTooLong(result)) {
    const auto* const shorter =
        std::find_if(kShorterHeaders.begin(), kShorterHeaders.end(),
                     [&](std::size_t octets) { return octets < prober.header_octets; });
    next = shorter != kShorterHeaders.end() ? *shorter : 0;
  }
  if (next == 0) {
    return false;
  }
  prober.header_octets = next;
  prober.health->ProbeAgain(prober.probe->address());
  return true;
}

void Shard::WaitForProof(Session& session) {
  if (!session.is_waiting_for_proof) {
    session.is_waiting_for_proof = true;
    proof_waiters_.push_back(&session);
  }
  HealthChanged();
}

void Shard::WakeProofWaiters() {
  for (Session* session : proof_waiters_) {
    session->is_waiting_for_proof = false;
    MakeReady(*session);
  }
  proof_waiters_.clear();
}

bool Shard::ProbesIdle() const {
  return std::all_of(probers_.begin(), probers_.end(),
                     [](const auto& prober) { return prober == nullptr || prober->probe->idle(); });
}

}  // namespace ringpost
