// SPDX-License-Identifier: GPL-3.0-or-later
#include "plan.h"

#include <algorithm>
#include <array>

namespace ringpost {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(Weather::kCount)> kWeatherNames = {
    "calm", "soft", "tight", "hard", "leaps", "memory"};

SimFaults SoftFaults() {
  return {.short_recv = 2'000,
          .short_send = 2'000,
          .delay = 3'000,
          .delay_max = 30 * kNsPerMs,
          .no_buffers = 300,
          .cancel_late = 5'000,
          .shuffle = true};
}

void DrawWeather(SimRandom& random, Plan& plan) {
  SimFaults& faults = plan.world.io.faults;
  plan.weather = static_cast<Weather>(random.Below(static_cast<std::uint64_t>(Weather::kCount)));
  if (plan.weather == Weather::kCalm) {
    return;
  }
  faults = SoftFaults();
  plan.client.deaf = 300;
  plan.world.io.socket_buffer = random.Below(2) == 0 ? 64 * 1024 : 2'000 + random.Below(8'000);
  switch (plan.weather) {
    case Weather::kTight:
      plan.clients = 8;
      plan.world.large_blocks = 48;
      plan.world.small_blocks = 24;
      plan.world.io.lent_blocks = 16;
      plan.world.io.socket_buffer = 4'000;
      plan.client.content_max = 60'000;
      break;
    case Weather::kHard:
    case Weather::kLeaps:
      faults.reset = static_cast<unsigned>(random.Below(200));
      faults.eof = static_cast<unsigned>(random.Below(200));
      faults.connect_refused = 500;
      faults.connect_silent = 300;
      faults.connect_late = 500;
      faults.accept_failed = 300;
      faults.no_descriptors = 500;
      plan.client.vanish = static_cast<unsigned>(random.Below(400));
      plan.backend.vanish = static_cast<unsigned>(random.Below(200));
      plan.backend.no_identity = 300;
      plan.world.sessions_max = 4;
      plan.world.io.descriptors_max = 12;
      if (plan.weather == Weather::kLeaps) {
        faults.clock_leap = static_cast<unsigned>(random.Below(1'000));
        faults.clock_leap_max = random.Below(2) == 0 ? kNsPerSecond : 700 * kNsPerSecond;
        faults.reset /= 4;
        faults.eof /= 4;
      }
      break;
    case Weather::kMemory:
      plan.allocation.library =
          random.Below(2) == 0 ? 0 : 1 + static_cast<unsigned>(random.Below(600));
      plan.allocation.objects =
          plan.allocation.library > 0 ? 0 : 1 + static_cast<unsigned>(random.Below(1'500));
      plan.world.large_blocks = 32 + random.Below(64);
      plan.world.small_blocks = 16 + random.Below(32);
      plan.world.io.lent_blocks = 16;
      break;
    default:
      break;
  }
}

void DrawConfiguration(SimRandom& random, Plan& plan) {
  constexpr std::array kIdentities = {BackendIdentity::kProxyV2, BackendIdentity::kProxyV2,
                                      BackendIdentity::kProxyV1, BackendIdentity::kXclient,
                                      BackendIdentity::kNone};
  WorldOptions& world = plan.world;
  world.identity = kIdentities[random.Below(kIdentities.size())];
  world.policy.tls = random.Below(4) == 0 ? TlsPolicy::kEncrypt : TlsPolicy::kMay;
  world.starttls_backend =
      random.Below(3) == 0 ? StarttlsBackend::kKeep : StarttlsBackend::kReconnect;
  world.bare_newline = random.Below(4) == 0 ? BareNewline::kReject : BareNewline::kNormalize;
  world.implicit_tls = random.Below(6) == 0;
  plan.backend.identity = world.identity;
  plan.client.encrypt = world.policy.tls == TlsPolicy::kEncrypt;
  plan.client.backend_kept = world.starttls_backend == StarttlsBackend::kKeep;
  plan.client.bare_refused = world.bare_newline == BareNewline::kReject;
  plan.client.implicit_tls = world.implicit_tls;
  plan.client.starttls = !world.implicit_tls && random.Below(10) < (plan.client.encrypt ? 8u : 4u);
  plan.versions = static_cast<Versions>(random.Below(3));
  plan.resume = random.Below(4) == 0;
  if (random.Below(10) == 0) {
    plan.limits = true;
    world.sessions_per_client_max = 3;
    world.handshakes_per_client_rate = 2;
  }
  if (random.Below(5) == 0) {
    plan.failover = true;
    world.backends = {SimBackend::kAccept, SimBackend::kAccept, SimBackend::kAccept};
    plan.backend_up = random.Below(world.backends.size());
    for (std::size_t i = 0; i < world.backends.size(); ++i) {
      if (i != plan.backend_up) {
        world.backends[i] = static_cast<SimBackend>(random.Below(3));
      }
    }
  }
}

}  // namespace

std::string_view WeatherName(Weather weather) {
  return kWeatherNames[static_cast<std::size_t>(weather)];
}

Plan DrawPlan(std::uint64_t seed) {
  SimRandom random(seed * 7'919);
  Plan plan;
  plan.world.io.seed = seed;
  plan.world.large_blocks = 320;
  plan.world.small_blocks = 128;
  plan.clients = 1 + static_cast<int>(random.Below(5));
  DrawWeather(random, plan);
  DrawConfiguration(random, plan);
  plan.backend.rogue = random.Below(4) == 0 ? 20 + static_cast<unsigned>(random.Below(300)) : 0;
  // One that hoards blocks would starve the honest ones where there are few.
  plan.mischief = plan.weather != Weather::kTight && random.Below(2) == 0 ? 6'000 : 0;
  plan.reload = random.Below(6) == 0;
  plan.new_listener = plan.reload && random.Below(3) == 0;
  plan.drain = random.Below(12) == 0;
  plan.stop = !plan.drain && random.Below(12) == 0;
  plan.world.proven = random.Below(4) != 0;
  plan.world.auth = random.Below(2) == 0 ? AuthPolicy::kTls : AuthPolicy::kAsBackend;
  plan.client.auth_in_clear = !plan.client.encrypt && plan.world.auth == AuthPolicy::kAsBackend;
  plan.new_partner = plan.reload && random.Below(2) == 0;
  plan.asks_anew = plan.reload && random.Below(4) == 0;
  return plan;
}

std::string Describe(const Plan& plan) {
  std::string text(WeatherName(plan.weather));
  const auto add = [&text](bool condition, std::string_view word) {
    if (condition) {
      text += ", ";
      text += word;
    }
  };
  add(true, BackendIdentityName(plan.world.identity));
  add(true, TlsPolicyName(plan.world.policy.tls));
  add(plan.client.auth_in_clear, "AUTH in clear");
  add(plan.client.implicit_tls, "implicit TLS");
  add(plan.client.starttls, "STARTTLS");
  add(plan.client.backend_kept, "backend kept");
  add(plan.client.bare_refused, "bare newlines refused");
  add(!plan.world.proven, "unproven");
  add(plan.resume, "tickets");
  add(plan.failover, "three backends");
  add(plan.backend.rogue > 0, "rogue backend");
  add(plan.mischief > 0, "mischief");
  add(plan.limits, "limits");
  add(plan.reload, "reload");
  add(plan.new_listener, "new listener");
  add(plan.new_partner, "new partner");
  add(plan.asks_anew, "certificates asked for");
  add(plan.drain, "drain");
  add(plan.stop, "stop");
  return text;
}

}  // namespace ringpost
