// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a policy costs: building a table of partners, finding one of them, reading a sender, and the
// whole decision at MAIL.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ringpost/policy/judge.h"
#include "ringpost/policy/partner_table.h"
#include "ringpost/policy/policy_report.h"
#include "ringpost/policy/sender_address.h"

namespace ringpost {
namespace {

// The half with two domains each, the other with a network each.
std::vector<Partner> MakePartners(std::size_t count) {
  std::vector<Partner> partners(count);
  for (std::size_t i = 0; i < count; ++i) {
    Partner& partner = partners[i];
    partner.name = absl::StrCat("partner", i);
    if (i % 2 == 0) {
      partner.sender_domains = {absl::StrCat("partner", i, ".example"),
                                absl::StrCat(".partner", i, ".example")};
    } else {
      const auto octet = [i](unsigned shift) { return (i >> shift) & 0xFF; };
      partner.networks = {
          ParseNetwork(absl::StrCat("10.", octet(8), ".", octet(0), ".0/24")).value(),
          ParseNetwork(absl::StrCat("2001:db8:", absl::Hex(i), "::/48")).value()};
    }
  }
  return partners;
}

IpAddress Ip(std::string_view text) { return ParseNetwork(text).value().prefix; }

void BuildTable(benchmark::State& state) {
  const std::vector<Partner> partners = MakePartners(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    const PartnerTable table(partners);
    benchmark::DoNotOptimize(table.size());
  }
}
BENCHMARK(BuildTable)->Arg(10)->Arg(1000)->Arg(10000)->Unit(benchmark::kMicrosecond);

bool AnyPartner(const Partner&) { return true; }

void FindDomainOfPartner(benchmark::State& state) {
  const std::vector<Partner> partners = MakePartners(static_cast<std::size_t>(state.range(0)));
  const PartnerTable table(partners);
  // Different ones, so that the caches are those of real mail.
  std::vector<std::string> domains;
  for (std::size_t i = 0; i < 1024; ++i) {
    domains.push_back(absl::StrCat("mail.partner", i * 7919 % partners.size() / 2 * 2, ".example"));
  }
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table.FindDomain(domains[next++ % domains.size()], AnyPartner));
  }
}
BENCHMARK(FindDomainOfPartner)->Arg(10)->Arg(1000)->Arg(10000);

void FindDomainOfNobody(benchmark::State& state) {
  const std::vector<Partner> partners = MakePartners(static_cast<std::size_t>(state.range(0)));
  const PartnerTable table(partners);
  for (auto _ : state)
    benchmark::DoNotOptimize(table.FindDomain("newsletter.shop.example.com", AnyPartner));
}
BENCHMARK(FindDomainOfNobody)->Arg(0)->Arg(10)->Arg(10000);

// As many labels as a hostile sender can have.
void FindDomainOf127Labels(benchmark::State& state) {
  const std::vector<Partner> partners = MakePartners(10000);
  const PartnerTable table(partners);
  std::string domain = "a";
  for (int i = 0; i < 126; ++i) domain += ".a";
  for (auto _ : state) benchmark::DoNotOptimize(table.FindDomain(domain, AnyPartner));
}
BENCHMARK(FindDomainOf127Labels);

void FindNetworkOfPartner(benchmark::State& state) {
  const std::vector<Partner> partners = MakePartners(static_cast<std::size_t>(state.range(0)));
  const PartnerTable table(partners);
  const IpAddress address = Ip("10.0.1.25");
  for (auto _ : state) benchmark::DoNotOptimize(table.FindNetwork(address));
}
BENCHMARK(FindNetworkOfPartner)->Arg(10)->Arg(10000);

void ParseSender(benchmark::State& state, const char* argument) {
  for (auto _ : state) benchmark::DoNotOptimize(ParseMailSender(argument));
}
BENCHMARK_CAPTURE(ParseSender, plain, "FROM:<someone@newsletter.shop.example.com> SIZE=10240");
BENCHMARK_CAPTURE(ParseSender, null, "FROM:<>");
BENCHMARK_CAPTURE(ParseSender, utf8, "FROM:<someone@m\xC3\xBCnchen.example> SMTPUTF8");
BENCHMARK_CAPTURE(ParseSender, a_label, "FROM:<someone@xn--mnchen-3ya.example>");

class GoodChain final : public ChainVerifier {
 public:
  [[nodiscard]] PolicyFault VerifyChain(std::size_t) override { return PolicyFault::kNone; }
};

// Everything that a MAIL costs: sender, decision, counters.
void WholeDecision(benchmark::State& state, const char* argument) {
  const std::vector<Partner> partners = MakePartners(static_cast<std::size_t>(state.range(0)));
  const PartnerTable table(partners);
  PolicyCounters counters(partners.size() + 1);
  RoutePolicy route;
  route.tls = TlsPolicy::kEncrypt;
  GoodChain chain;
  const ClientFacts client{Ip("198.51.100.7"), true, nullptr, 0};
  for (auto _ : state) {
    const Sender sender = ParseMailSender(argument);
    const PolicyDecisions decisions = JudgeMail(route, &table, sender, client, chain);
    for (std::size_t i = 0; i < decisions.count; ++i) {
      const Partner* const partner = decisions.all[i].partner;
      counters.Count(partner == nullptr ? partners.size() : table.IndexOf(*partner),
                     decisions.all[i]);
    }
    benchmark::DoNotOptimize(decisions.refusal());
  }
}
BENCHMARK_CAPTURE(WholeDecision, partner, "FROM:<a@mail.partner4.example> SIZE=10240")
    ->Arg(10)
    ->Arg(10000);
BENCHMARK_CAPTURE(WholeDecision, nobody, "FROM:<a@newsletter.shop.example.com> SIZE=10240")
    ->Arg(0)
    ->Arg(10000);

}  // namespace
}  // namespace ringpost

BENCHMARK_MAIN();
