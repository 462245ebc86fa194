// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/policy/partner_table.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace ringpost {
namespace {

Network Net(std::string_view text) { return ParseNetwork(text).value(); }
IpAddress Ip(std::string_view text) { return Net(text).prefix; }

Partner WithDomains(std::vector<std::string> domains) {
  Partner partner;
  partner.name = domains.front();
  partner.sender_domains = std::move(domains);
  return partner;
}

Partner WithNetworks(const std::vector<std::string>& networks) {
  Partner partner;
  partner.name = networks.front();
  for (const std::string& network : networks) partner.networks.push_back(Net(network));
  return partner;
}

bool Any(const Partner&) { return true; }

std::string NameOf(const Partner* partner) { return partner == nullptr ? "-" : partner->name; }

// Who has to be able to read a sender.
TEST(PartnerTable, WhetherAnyPartnerRefusesByDomain) {
  const auto flags = [](const std::vector<Partner>& partners) {
    const PartnerTable table(partners);
    return std::string(table.has_domains() ? "domains" : "-") +
           (table.enforces_domains() ? " enforced" : "");
  };
  Partner reporting = WithDomains({"example.com"});
  reporting.mode = PolicyMode::kReport;
  EXPECT_EQ(flags({}), "-");
  EXPECT_EQ(flags({WithNetworks({"192.0.2.0/24"})}), "-");
  EXPECT_EQ(flags({WithNetworks({"192.0.2.0/24"}), reporting}), "domains");
  EXPECT_EQ(flags({reporting, WithDomains({"example.org"})}), "domains enforced");
}

TEST(PartnerTable, EmptyFindsNothing) {
  const std::vector<Partner> none;
  const PartnerTable table(none);
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(table.FindDomain("example.com", Any), nullptr);
  EXPECT_EQ(table.FindNetwork(Ip("192.0.2.1")), nullptr);
}

TEST(PartnerTable, TheMostSpecificDomainWins) {
  const std::vector<Partner> partners = {
      WithDomains({".example.com"}), WithDomains({"example.com", "other.example"}),
      WithDomains({".b.example.com"}), WithDomains({"a.b.example.com"}), WithDomains({".com"})};
  const PartnerTable table(partners);
  const auto find = [&table](std::string_view domain) {
    return NameOf(table.FindDomain(domain, Any));
  };
  EXPECT_EQ(find("example.com"), "example.com");
  EXPECT_EQ(find("other.example"), "example.com");
  EXPECT_EQ(find("a.example.com"), ".example.com");
  EXPECT_EQ(find("b.example.com"), ".example.com") << "\".b\" is not \"b\" itself";
  EXPECT_EQ(find("x.b.example.com"), ".b.example.com");
  EXPECT_EQ(find("a.b.example.com"), "a.b.example.com");
  EXPECT_EQ(find("x.a.b.example.com"), ".b.example.com");
  EXPECT_EQ(find("badexample.com"), ".com");
  EXPECT_EQ(find("com"), "-");
  EXPECT_EQ(find("example"), "-");
  EXPECT_EQ(find("x.other.example"), "-");
  EXPECT_EQ(find("example.com.evil.example"), "-");
  EXPECT_EQ(find(""), "-");
  EXPECT_EQ(table.IndexOf(*table.FindDomain("x.b.example.com", Any)), 2U);
}

TEST(PartnerTable, TheLongestPrefixWins) {
  const std::vector<Partner> partners = {
      WithNetworks({"203.0.113.0/24", "2001:db8::/32"}), WithNetworks({"203.0.113.128/25"}),
      WithNetworks({"203.0.113.200"}), WithNetworks({"0.0.0.0/0"}), WithNetworks({"2000::/3"})};
  const PartnerTable table(partners);
  const auto find = [&table](std::string_view address) {
    return NameOf(table.FindNetwork(Ip(address)));
  };
  EXPECT_EQ(find("203.0.113.1"), "203.0.113.0/24");
  EXPECT_EQ(find("203.0.113.201"), "203.0.113.128/25");
  EXPECT_EQ(find("203.0.113.200"), "203.0.113.200");
  EXPECT_EQ(find("203.0.114.1"), "0.0.0.0/0");
  EXPECT_EQ(find("2001:db8::1"), "203.0.113.0/24");
  EXPECT_EQ(find("2001:db9::1"), "2000::/3");
  EXPECT_EQ(find("fe80::1"), "-");
}

TEST(PartnerTable, AllOfIpv6HasNoIpv4Address) {
  const std::vector<Partner> partners = {WithNetworks({"::/0"})};
  const PartnerTable table(partners);
  EXPECT_EQ(NameOf(table.FindNetwork(Ip("fe80::1"))), "::/0");
  EXPECT_EQ(table.FindNetwork(Ip("192.0.2.1")), nullptr);
}

TEST(PartnerTable, NetworksOfAPartnerWithDomainsAreNoWayToIt) {
  std::vector<Partner> partners = {WithDomains({"example.com"})};
  partners.front().networks = {Net("203.0.113.0/24")};
  const PartnerTable table(partners);
  EXPECT_EQ(table.FindNetwork(Ip("203.0.113.1")), nullptr);
  EXPECT_NE(table.FindDomain("example.com", Any), nullptr);
}

// 253 octets with as many labels as there can be.
TEST(PartnerTable, TheDeepestDomainIsFoundByItsSuffix) {
  std::string domain = "a";
  for (int i = 0; i < 126; ++i) domain += ".a";
  ASSERT_EQ(domain.size(), 253U);
  const std::vector<Partner> partners = {WithDomains({".a"})};
  const PartnerTable table(partners);
  EXPECT_EQ(NameOf(table.FindDomain(domain, Any)), ".a");
  EXPECT_EQ(table.FindDomain("a", Any), nullptr);
}

TEST(PartnerTable, WhatDoesNotCountHidesNothing) {
  const std::vector<Partner> partners = {WithDomains({".example.com"}),
                                         WithDomains({".b.example.com"}),
                                         WithDomains({"a.b.example.com"}), WithDomains({".com"})};
  const PartnerTable table(partners);
  std::vector<std::string> asked;
  std::string wanted;
  const auto find = [&](std::string name) {
    wanted = std::move(name);
    asked.clear();
    return NameOf(table.FindDomain("a.b.example.com", [&](const Partner& partner) {
      asked.push_back(partner.name);
      return partner.name == wanted;
    }));
  };
  EXPECT_EQ(find("a.b.example.com"), "a.b.example.com");
  EXPECT_EQ(find(".b.example.com"), ".b.example.com");
  EXPECT_EQ(find(".example.com"), ".example.com");
  EXPECT_EQ(find(".com"), ".com");
  EXPECT_EQ(find("nobody"), "-");
  EXPECT_EQ(asked, (std::vector<std::string>{"a.b.example.com", ".b.example.com", ".example.com",
                                             ".com"}));
}

// Against looking at each partner in turn.
TEST(PartnerTable, AgreesWithALinearSearch) {
  std::mt19937 random(7);  // NOLINT: the same cases in each run
  const auto letter = [&random] { return static_cast<char>('a' + random() % 3); };
  // One to `labels_max` labels of one letter.
  const auto random_domain = [&](std::size_t labels_max) {
    std::string domain(1, letter());
    for (std::size_t more = random() % labels_max; more > 0; --more) {
      domain.push_back('.');
      domain.push_back(letter());
    }
    return domain;
  };
  std::vector<Partner> partners;
  for (int i = 0; i < 40; ++i) {
    std::string domain = random_domain(3);
    if (random() % 2 == 0) domain.insert(domain.begin(), '.');
    bool known = false;
    for (const Partner& partner : partners) known |= partner.sender_domains.front() == domain;
    if (!known) partners.push_back(WithDomains({domain}));
  }
  const PartnerTable table(partners);
  for (int round = 0; round < 2000; ++round) {
    const std::string domain = random_domain(5);
    const Partner* best = nullptr;
    for (const Partner& partner : partners) {
      const std::string& own = partner.sender_domains.front();
      if (own == domain) {
        best = &partner;
        break;
      }
      const bool suffix = own.front() == '.' && domain.size() > own.size() && domain.ends_with(own);
      if (suffix && (best == nullptr || own.size() > best->sender_domains.front().size())) {
        best = &partner;
      }
    }
    ASSERT_EQ(table.FindDomain(domain, Any), best) << domain;
  }
}

}  // namespace
}  // namespace ringpost
