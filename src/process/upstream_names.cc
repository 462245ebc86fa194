// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/upstream_names.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "ringpost/config/address.h"

namespace ringpost {
namespace {

// Sessions can tell so many apart (UpstreamHealth).
constexpr std::size_t kAddressesMax = 64;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

bool SameAddress(const HostAddress& a, const HostAddress& b) {
  if (a.index() != b.index()) {
    return false;
  }
  return std::holds_alternative<in6_addr>(a)
             ? std::memcmp(&std::get<in6_addr>(a), &std::get<in6_addr>(b), sizeof(in6_addr)) == 0
             : std::get<in_addr>(a).s_addr == std::get<in_addr>(b).s_addr;
}

bool Has(const std::vector<HostAddress>& all, const HostAddress& one) {
  return std::any_of(all.begin(), all.end(),
                     [&one](const HostAddress& other) { return SameAddress(one, other); });
}

// In whatever order: name servers turn it with each answer.
bool SameAddresses(const std::vector<HostAddress>& a, const std::vector<HostAddress>& b) {
  return std::all_of(a.begin(), a.end(), [&b](const HostAddress& one) { return Has(b, one); }) &&
         std::all_of(b.begin(), b.end(), [&a](const HostAddress& one) { return Has(a, one); });
}

std::string Text(const HostAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool is_ipv6 = std::holds_alternative<in6_addr>(address);
  const void* const octets = is_ipv6 ? static_cast<const void*>(&std::get<in6_addr>(address))
                                     : static_cast<const void*>(&std::get<in_addr>(address));
  inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, octets, text.data(), text.size());
  return text.data();
}

Endpoint EndpointOf(const HostAddress& address, in_port_t port) {
  Endpoint endpoint;
  if (const in6_addr* const ipv6 = std::get_if<in6_addr>(&address); ipv6 != nullptr) {
    endpoint.address.in6.sin6_family = AF_INET6;
    endpoint.address.in6.sin6_port = port;
    endpoint.address.in6.sin6_addr = *ipv6;
    endpoint.length = sizeof endpoint.address.in6;
    endpoint.text = absl::StrCat("[", Text(address), "]:", ntohs(port));
  } else {
    endpoint.address.in.sin_family = AF_INET;
    endpoint.address.in.sin_port = port;
    endpoint.address.in.sin_addr = std::get<in_addr>(address);
    endpoint.length = sizeof endpoint.address.in;
    endpoint.text = absl::StrCat(Text(address), ":", ntohs(port));
  }
  return endpoint;
}

// As libunbound writes it: "127.0.0.1@53".
std::string ServerOf(const Endpoint& endpoint) {
  const bool is_ipv6 = endpoint.address.any.sa_family == AF_INET6;
  const HostAddress address = is_ipv6 ? HostAddress(endpoint.address.in6.sin6_addr)
                                      : HostAddress(endpoint.address.in.sin_addr);
  return absl::StrCat(
      Text(address), "@",
      ntohs(is_ipv6 ? endpoint.address.in6.sin6_port : endpoint.address.in.sin_port));
}

// Mail that leaves may come in again, by a route of ingress.
bool ReachesOurselves(const Config& config, const UpstreamConfig& upstream,
                      const Endpoint& endpoint) {
  for (const RouteConfig& route : config.routes) {
    if (upstream.is_partner && !route.egress.has_value()) {
      continue;
    }
    for (const ListenerConfig& listener : route.listeners) {
      if (ReachesListener(endpoint, listener.endpoint)) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

std::map<std::string, UpstreamNames::Users> UpstreamNames::HostsOf(const Config& config) {
  std::map<std::string, Users> hosts;
  for (const UpstreamConfig& upstream : config.upstreams) {
    for (const UpstreamTarget& target : upstream.targets) {
      if (!target.host.empty()) {
        Users& users = hosts[target.host];
        (upstream.is_partner ? users.egress : users.ingress) = true;
      }
    }
  }
  return hosts;
}

std::string_view UpstreamNames::WithoutAddress(Users users) {
  if (users.ingress && users.egress) {
    return "clients are told 421, and mail that leaves waits (451 to MAIL), until it has an "
           "address";
  }
  return users.egress ? "mail for it waits (451 to MAIL) until it has an address"
                      : "clients are told 421 until it has an address";
}

absl::StatusOr<std::unique_ptr<UpstreamNames>> UpstreamNames::Open(const Config& config,
                                                                   Callbacks callbacks) {
  ResolverOptions options;
  for (const Endpoint& server : config.resolver) {
    options.servers.push_back(ServerOf(server));
  }
  absl::StatusOr<std::unique_ptr<Resolver>> resolver = Resolver::Start(std::move(options));
  if (!resolver.ok()) {
    return resolver.status();
  }
  return std::make_unique<UpstreamNames>(*std::move(resolver), std::move(callbacks));
}

UpstreamNames::UpstreamNames(std::unique_ptr<Resolver> resolver, Callbacks callbacks)
    : callbacks_(std::move(callbacks)), resolver_(std::move(resolver)) {}

UpstreamNames::~UpstreamNames() = default;

void UpstreamNames::Follow(const Config& config, const std::function<bool()>& interrupted) {
  constexpr std::chrono::milliseconds kLooksApart{100};
  std::unique_lock lock(mutex_);
  for (const auto& [host, users] : HostsOf(config)) {
    const auto [name, is_new] = names_.try_emplace(host);
    name->second.users.ingress |= users.ingress;
    name->second.users.egress |= users.egress;
    if (is_new) {
      name->second.round = ++round_;
      Ask(host, round_, std::chrono::milliseconds(0));
    }
  }
  const auto all_answered = [this] {
    return std::all_of(names_.begin(), names_.end(),
                       [](const auto& name) { return name.second.answered; });
  };
  while (!answered_.wait_for(lock, kLooksApart, all_answered)) {
    if (interrupted != nullptr && interrupted()) {
      return;
    }
  }
}

void UpstreamNames::Forget(const Config& others_than) {
  const std::map<std::string, Users> hosts = HostsOf(others_than);
  const std::lock_guard lock(mutex_);
  std::erase_if(names_, [&hosts](const auto& name) { return !hosts.contains(name.first); });
  for (auto& [host, name] : names_) {
    name.users = hosts.at(host);
  }
}

void UpstreamNames::Ask(const std::string& host, std::uint64_t round,
                        std::chrono::milliseconds delay) {
  resolver_->Find(host, delay, [this, host, round](HostAddresses answer) {
    OnAnswer(host, round, std::move(answer));
  });
}

void UpstreamNames::OnAnswer(const std::string& host, std::uint64_t round, HostAddresses answer) {
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    const auto name = names_.find(host);
    if (name == names_.end() || name->second.round != round) {
      return;
    }
    std::string note;
    std::string warning;
    Ask(host, round, Take(host, name->second, std::move(answer), &note, &warning));
    changed = !note.empty();
    changed_ = changed_ || changed;
    // Before Follow() returns: who only checks a configuration is gone right after that.
    if (!note.empty()) {
      callbacks_.note(note);
    }
    if (!warning.empty()) {
      callbacks_.warn(warning);
    }
    answered_.notify_all();
  }
  if (changed) {
    callbacks_.changed();
  }
}

std::chrono::seconds UpstreamNames::Take(const std::string& host, Name& name, HostAddresses answer,
                                         std::string* note, std::string* warning) {
  name.answered = true;
  if (answer.outcome != HostAddresses::Outcome::kFound) {
    if (!std::exchange(name.failing, true)) {
      *warning = absl::StrCat(host, ": ", answer.why, "; ",
                              name.addresses.empty() ? View(WithoutAddress(name.users))
                                                     : "the addresses that it had stay in use");
    }
    return std::exchange(name.retry, std::min(2 * name.retry, kLookupsApartMax));
  }
  name.failing = false;
  name.retry = kRetryMin;
  if (!SameAddresses(name.addresses, answer.addresses)) {
    *note = absl::StrCat(
        host, " is ",
        absl::StrJoin(answer.addresses, ", ",
                      [](std::string* out, const HostAddress& one) { out->append(Text(one)); }));
    name.addresses = std::move(answer.addresses);
  }
  return std::clamp(answer.ttl, kLookupsApartMin, kLookupsApartMax);
}

std::shared_ptr<const Config> UpstreamNames::Fill(const Config& config) const {
  auto filled = std::make_shared<Config>(config);
  const std::lock_guard lock(mutex_);
  for (UpstreamConfig& upstream : filled->upstreams) {
    upstream.addresses.clear();
    for (const UpstreamTarget& target : upstream.targets) {
      const auto name = names_.find(target.host);
      bool has_any = false;
      for (std::size_t i = 0; name != names_.end() && i < name->second.addresses.size(); ++i) {
        Endpoint endpoint = EndpointOf(name->second.addresses[i], target.port);
        endpoint.host = target.endpoint.host;
        if (ReachesOurselves(config, upstream, endpoint)) {
          filled->warnings.push_back(
              absl::StrCat("upstream \"", upstream.name, "\": ", target.host, " is ", endpoint.text,
                           ", where ringpost itself listens; that address is not used"));
          continue;
        }
        has_any = true;
        // Two names may stand for one address; it is tried once, but where it has to prove its
        // name.
        if (std::none_of(upstream.addresses.begin(), upstream.addresses.end(),
                         [&](const Endpoint& there) {
                           return SameEndpoint(there, endpoint) &&
                                  (!upstream.is_partner || there.host == endpoint.host);
                         })) {
          upstream.addresses.push_back(std::move(endpoint));
        }
      }
      if (!has_any) {
        upstream.addresses.push_back(target.endpoint);
      }
    }
    if (upstream.addresses.size() > kAddressesMax) {
      upstream.addresses.resize(kAddressesMax);
      filled->warnings.push_back(absl::StrCat("upstream \"", upstream.name, "\" has more than ",
                                              kAddressesMax, " addresses; the rest is not used"));
    }
  }
  return filled;
}

bool UpstreamNames::TakeChange() {
  const std::lock_guard lock(mutex_);
  return std::exchange(changed_, false);
}

bool HasHostNames(const Config& config) {
  return std::any_of(config.upstreams.begin(), config.upstreams.end(), [](const auto& upstream) {
    return std::any_of(upstream.targets.begin(), upstream.targets.end(),
                       [](const auto& target) { return !target.host.empty(); });
  });
}

}  // namespace ringpost
