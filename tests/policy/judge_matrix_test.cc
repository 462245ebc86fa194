// SPDX-License-Identifier: GPL-3.0-or-later
//
// Route level × partner × what the client presents × enforce or report: each cell against a
// reference that is a table and a few ifs, and knows nothing of how the judge works.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "judge_world.h"
#include "ringpost/policy/judge.h"

namespace ringpost {
namespace {

constexpr const char* kAtHome = "203.0.113.5";
constexpr const char* kAbroad = "198.51.100.5";

// What the client presents, what the CA's chain is then worth, and what each kind of rule must say.
struct Presentation {
  const char* name;
  bool tls;
  bool certificate;
  PolicyFault chain;
  void (*change)(PeerCertificate&);
  PolicyFault by_name;         // a rule with CA and name
  PolicyFault by_fingerprint;  // a rule with two fingerprints and no CA
};

using F = PolicyFault;
using C = PeerCertificate;
const Presentation kPresentations[] = {
    {"no TLS", false, false, F::kNone, [](C&) {}, F::kNoTls, F::kNoTls},
    {"no certificate", true, false, F::kNone, [](C&) {}, F::kNoCertificate, F::kNoCertificate},
    {"right name, old pin", true, true, F::kNone, [](C& c) { c.certificate = Filled(1); }, F::kNone,
     F::kNone},
    {"right name, new pin of the key", true, true, F::kNone, [](C& c) { c.public_key = Filled(2); },
     F::kNone, F::kNone},
    {"right name, no pin", true, true, F::kNone, [](C&) {}, F::kNone, F::kWrongFingerprint},
    {"wrong name, old pin", true, true, F::kNone,
     [](C& c) {
       c.names = {"wrong.example"};
       c.certificate = Filled(1);
     },
     F::kWrongName, F::kNone},
    {"name only as common name", true, true, F::kNone, [](C& c) { c.names.clear(); }, F::kWrongName,
     F::kWrongFingerprint},
    {"untrusted", true, true, F::kUntrusted, [](C&) {}, F::kUntrusted, F::kWrongFingerprint},
    {"self-signed, new pin", true, true, F::kSelfSigned, [](C& c) { c.certificate = Filled(2); },
     F::kSelfSigned, F::kNone},
    {"expired, old pin", true, true, F::kExpired,
     [](C& c) {
       c.not_after = kTestNow - 1;
       c.certificate = Filled(1);
     },
     F::kExpired, F::kExpired},
    {"not yet valid, new pin", true, true, F::kNotYetValid,
     [](C& c) {
       c.not_before = kTestNow + 1;
       c.certificate = Filled(2);
     },
     F::kNotYetValid, F::kNotYetValid},
    {"wrong purpose, old pin", true, true, F::kNone,
     [](C& c) {
       c.client_auth = false;
       c.server_auth = true;
       c.certificate = Filled(1);
     },
     F::kWrongPurpose, F::kWrongPurpose},
    {"bad intermediate", true, true, F::kInvalidCa, [](C&) {}, F::kInvalidCa, F::kWrongFingerprint},
    {"refused by the library", true, true, F::kRefusedByLibrary, [](C&) {}, F::kRefusedByLibrary,
     F::kWrongFingerprint},
    {"key that proves nothing", true, true, F::kNone, [](C& c) { c.key_proven = false; },
     F::kUnsupportedKey, F::kUnsupportedKey},
    {"key that proves nothing, old pin", true, true, F::kNone,
     [](C& c) {
       c.key_proven = false;
       c.certificate = Filled(1);
     },
     F::kUnsupportedKey, F::kUnsupportedKey},
    {"malformed", true, true, F::kMalformed, [](C&) {}, F::kMalformed, F::kWrongFingerprint},
    {"revoked", true, true, F::kRevoked, [](C&) {}, F::kRevoked, F::kWrongFingerprint},
    {"no fresh list", true, true, F::kNoFreshCrl, [](C&) {}, F::kNoFreshCrl, F::kWrongFingerprint},
};

enum class Rule { kEmpty, kName, kFingerprint };

CertificateRule Make(Rule rule) {
  CertificateRule made;
  if (rule == Rule::kName) made = {3, {"mail.example.com"}, {}, false, false};
  if (rule == Rule::kFingerprint) made.fingerprints = {Filled(1), Filled(2)};
  return made;
}

struct PartnerKind {
  const char* name;
  bool exists;
  bool domain;
  bool network;
  bool restrict_to_networks;
  bool restrict_to_certificate;
};
const PartnerKind kPartnerKinds[] = {
    {"none", false, false, false, false, false},
    {"domain", true, true, false, false, false},
    {"domain, certificate", true, true, false, false, true},
    {"network", true, false, true, false, false},
    {"both", true, true, true, false, false},
    {"both, networks", true, true, true, true, false},
    {"both, certificate", true, true, true, false, true},
    {"both, networks, certificate", true, true, true, true, true},
};

struct Expected {
  bool of_partner;
  PolicyFault fault;
  TlsPolicy met;
};

// The reference. What a rule says of a presentation is in the table.
PolicyFault Says(Rule rule, const Presentation& shown) {
  if (rule == Rule::kName) return shown.by_name;
  if (rule == Rule::kFingerprint) return shown.by_fingerprint;
  if (!shown.tls) return F::kNoTls;
  return shown.certificate ? F::kUntrusted : F::kNoCertificate;
}

Expected Expect(bool of_partner, TlsPolicy asked, Rule rule, const Presentation& shown) {
  Expected expected{of_partner, F::kNone, TlsPolicy::kMay};
  if (shown.tls) expected.met = TlsPolicy::kEncrypt;
  if (Says(rule, shown) == F::kNone) expected.met = TlsPolicy::kVerify;
  if (asked == TlsPolicy::kEncrypt && !shown.tls) expected.fault = F::kNoTls;
  if (asked == TlsPolicy::kVerify) expected.fault = Says(rule, shown);
  return expected;
}

struct Cell {
  TlsPolicy route;
  PolicyMode route_mode;
  Rule route_rule;
  PartnerKind kind;
  TlsPolicy partner;
  PolicyMode partner_mode;
  Rule partner_rule;
  bool sender_is_partner;
  bool client_at_home;
  Presentation shown;
};

std::vector<Expected> Reference(const Cell& cell) {
  std::vector<Expected> all;
  const bool route_counts = cell.route == TlsPolicy::kEncrypt || cell.route == TlsPolicy::kVerify ||
                            cell.route_mode == PolicyMode::kReport;
  if (route_counts) all.push_back(Expect(false, cell.route, cell.route_rule, cell.shown));

  const PartnerKind& kind = cell.kind;
  if (!kind.exists) return all;
  if (kind.domain && !cell.sender_is_partner) return all;
  if (!kind.domain && !cell.client_at_home) return all;
  const bool abroad = kind.network && !cell.client_at_home;
  if (abroad && !kind.restrict_to_networks && !kind.restrict_to_certificate) return all;
  const TlsPolicy asked = kind.restrict_to_certificate ? TlsPolicy::kVerify : cell.partner;
  Expected expected = Expect(true, asked, cell.partner_rule, cell.shown);
  if (abroad && kind.restrict_to_networks) expected.fault = F::kWrongNetwork;
  all.push_back(expected);
  return all;
}

void Check(const Cell& cell) {
  PeerCertificate certificate = GoodCertificate();
  cell.shown.change(certificate);
  const ClientFacts client{Ip(cell.client_at_home ? kAtHome : kAbroad), cell.shown.tls,
                           cell.shown.certificate ? &certificate : nullptr, kTestNow};
  RoutePolicy route;
  route.tls = cell.route;
  route.mode = cell.route_mode;
  route.certificate = Make(cell.route_rule);
  std::vector<Partner> partners;
  if (cell.kind.exists) {
    Partner& partner = partners.emplace_back();
    if (cell.kind.domain) partner.sender_domains = {"example.com"};
    if (cell.kind.network) partner.networks = {ParseNetwork("203.0.113.0/24").value()};
    partner.tls = cell.partner;
    partner.certificate = Make(cell.partner_rule);
    partner.restrict_to_networks = cell.kind.restrict_to_networks;
    partner.restrict_to_certificate = cell.kind.restrict_to_certificate;
    partner.mode = cell.partner_mode;
  }
  const PartnerTable table(partners);
  const Sender sender{SenderKind::kDomain, cell.sender_is_partner ? "example.com" : "x.example"};
  FakeChain chain(cell.shown.chain);

  const PolicyDecisions decisions = JudgeMail(route, &table, sender, client, chain);

  const std::vector<Expected> expected = Reference(cell);
  ASSERT_EQ(decisions.count, expected.size());
  const PolicyDecision* refusal = nullptr;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const PolicyDecision& decision = decisions.all[i];
    EXPECT_EQ(decision.partner, expected[i].of_partner ? partners.data() : nullptr);
    EXPECT_EQ(decision.fault, expected[i].fault) << PolicyFaultName(decision.fault);
    EXPECT_EQ(decision.met, expected[i].met);
    const PolicyMode mode = expected[i].of_partner ? cell.partner_mode : cell.route_mode;
    EXPECT_EQ(decision.mode, mode);
    const bool refuses = expected[i].fault != F::kNone && mode == PolicyMode::kEnforce;
    if (refuses && refusal == nullptr) refusal = &decision;
  }
  EXPECT_EQ(decisions.refusal(), refusal);
}

TEST(JudgeMatrix, EachCellIsWhatTheReferenceSays) {
  int cells = 0;
  int refusals_apart[2] = {0, 0};
  for (const TlsPolicy route :
       {TlsPolicy::kNone, TlsPolicy::kMay, TlsPolicy::kEncrypt, TlsPolicy::kVerify}) {
    for (const PolicyMode route_mode : {PolicyMode::kEnforce, PolicyMode::kReport}) {
      for (const Rule route_rule : {Rule::kEmpty, Rule::kName, Rule::kFingerprint}) {
        for (const PartnerKind& kind : kPartnerKinds) {
          for (const TlsPolicy partner : {TlsPolicy::kEncrypt, TlsPolicy::kVerify}) {
            for (const PolicyMode partner_mode : {PolicyMode::kEnforce, PolicyMode::kReport}) {
              for (const Rule partner_rule : {Rule::kEmpty, Rule::kName, Rule::kFingerprint}) {
                for (const int where : {0, 1, 2, 3}) {
                  for (const Presentation& shown : kPresentations) {
                    const Cell cell{route,        route_mode,       route_rule,
                                    kind,         partner,          partner_mode,
                                    partner_rule, (where & 1) != 0, (where & 2) != 0,
                                    shown};
                    SCOPED_TRACE(std::string(shown.name) + "; route " +
                                 std::to_string(static_cast<int>(route)) + "; partner " +
                                 kind.name + " " + std::to_string(static_cast<int>(partner)));
                    Check(cell);
                    if (HasFailure()) return;
                    ++cells;
                    bool refused = false;
                    for (const Expected& expected : Reference(cell)) {
                      refused |= expected.fault != F::kNone;
                    }
                    ++refusals_apart[refused ? 1 : 0];
                  }
                }
              }
            }
          }
        }
      }
    }
  }
  EXPECT_EQ(cells, 4 * 2 * 3 * 8 * 2 * 2 * 3 * 4 * 19);
  // Both outcomes are there in number: the matrix tests something.
  EXPECT_GT(refusals_apart[0], cells / 10);
  EXPECT_GT(refusals_apart[1], cells / 10);
}

}  // namespace
}  // namespace ringpost
