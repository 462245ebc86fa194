// SPDX-License-Identifier: GPL-3.0-or-later
//
// Finds the partners that a message concerns, in a time that does not depend on how many there are,
// and knows the backend's own domains.
// Immutable, shared by all shards without a lock.
#ifndef RINGPOST_POLICY_PARTNER_TABLE_H_
#define RINGPOST_POLICY_PARTNER_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "ringpost/policy/network.h"
#include "ringpost/policy/partner.h"

namespace ringpost {

class PartnerTable {
 public:
  // `partners` must outlive the table. No two have the same domain, and no two that are matched by
  // network alone the same network: the configuration has seen to that. `own_domains`, which must
  // outlive it as well: as Config has them.
  explicit PartnerTable(const std::vector<Partner>& partners,
                        const std::vector<std::string>& own_domains = {});

  [[nodiscard]] bool empty() const { return partners_->empty(); }
  [[nodiscard]] std::size_t size() const { return partners_->size(); }
  [[nodiscard]] const std::vector<Partner>& all() const { return *partners_; }
  // Whether any partner is known by the sender's domain, and whether any of those refuses mail.
  [[nodiscard]] bool has_domains() const { return !by_domain_.empty(); }
  [[nodiscard]] bool enforces_domains() const { return enforces_domains_; }
  [[nodiscard]] std::size_t IndexOf(const Partner& partner) const {
    return static_cast<std::size_t>(&partner - partners_->data());
  }

  // The first partner that has `domain` (as ParseMailSender() gives it) and that `counts`: the
  // domain itself before ".suffix", a longer suffix before a shorter one; nullptr: none. One that
  // does not count hides no less specific one. At most one look-up for each label of the domain.
  [[nodiscard]] const Partner* FindDomain(std::string_view domain,
                                          absl::FunctionRef<bool(const Partner&)> counts) const;
  // Whether the backend may take `domain` for one of its own.
  [[nodiscard]] bool IsOwnDomain(std::string_view domain) const;
  // The partner without domains whose network has `address`, the longest prefix first.
  [[nodiscard]] const Partner* FindNetwork(const IpAddress& address) const;

 private:
  template <typename Key>
  using PartnersBy = std::unordered_map<Key, const Partner*, absl::Hash<Key>>;

  const std::vector<Partner>* partners_;
  PartnersBy<absl::string_view> by_domain_;  // views of partners_' texts
  // Views of the configuration's.
  std::unordered_set<absl::string_view, absl::Hash<absl::string_view>> own_domains_;
  PartnersBy<Network> by_network_;
  std::vector<std::uint8_t> lengths_;  // of by_network_'s prefixes, longest first
  bool enforces_domains_ = false;
};

}  // namespace ringpost

#endif  // RINGPOST_POLICY_PARTNER_TABLE_H_
