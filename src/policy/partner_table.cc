// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/policy/partner_table.h"

#include <array>
#include <string>

namespace ringpost {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

// Calls `found` with the domain itself, then with ".b.example", ".example", until it returns true:
// at most once for each of the 127 labels that 253 octets have room for.
template <typename Found>
void FromMostSpecific(std::string_view domain, Found found) {
  if (domain.empty()) return;
  std::size_t from = 0;
  while (from != std::string_view::npos) {
    if (found(View(domain.substr(from)))) return;
    from = domain.find('.', from + 1);
  }
}

}  // namespace

PartnerTable::PartnerTable(const std::vector<Partner>& partners,
                           const std::vector<std::string>& own_domains)
    : partners_(&partners) {
  for (const std::string& domain : own_domains) own_domains_.insert(View(domain));
  std::size_t domains = 0;
  std::size_t networks = 0;
  for (const Partner& partner : partners) {
    domains += partner.sender_domains.size();
    if (partner.sender_domains.empty()) networks += partner.networks.size();
  }
  by_domain_.reserve(domains);
  by_network_.reserve(networks);
  std::array<bool, 256> length_used{};
  for (const Partner& partner : partners) {
    for (const std::string& domain : partner.sender_domains) {
      by_domain_.try_emplace(absl::string_view(domain), &partner);
    }
    if (!partner.sender_domains.empty()) {
      enforces_domains_ = enforces_domains_ || partner.mode == PolicyMode::kEnforce;
      continue;
    }
    for (const Network& network : partner.networks) {
      by_network_.try_emplace(network, &partner);
      length_used[network.length] = true;
    }
  }
  for (std::size_t length = length_used.size(); length-- > 0;) {
    if (length_used[length]) lengths_.push_back(static_cast<std::uint8_t>(length));
  }
}

const Partner* PartnerTable::FindDomain(std::string_view domain,
                                        absl::FunctionRef<bool(const Partner&)> counts) const {
  if (by_domain_.empty()) return nullptr;
  const Partner* partner = nullptr;
  FromMostSpecific(domain, [&](absl::string_view suffix) {
    const auto found = by_domain_.find(suffix);
    if (found != by_domain_.end() && counts(*found->second)) partner = found->second;
    return partner != nullptr;
  });
  return partner;
}

bool PartnerTable::IsOwnDomain(std::string_view domain) const {
  bool own = false;
  FromMostSpecific(domain, [&](absl::string_view suffix) {
    own = own_domains_.contains(suffix);
    return own;
  });
  return own;
}

const Partner* PartnerTable::FindNetwork(const IpAddress& address) const {
  for (const std::uint8_t length : lengths_) {
    const Network network = Network::Of(address, length);
    const auto found = by_network_.find(network);
    // Contains(): "::/0" has no IPv4 address, though its bits fit.
    if (found != by_network_.end() && found->first.Contains(address)) return found->second;
  }
  return nullptr;
}

}  // namespace ringpost
