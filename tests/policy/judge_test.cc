// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/policy/judge.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "judge_world.h"

namespace ringpost {
namespace {

class JudgeCertificateTest : public ::testing::Test {
 protected:
  using By = CertificateMatch::By;

  PolicyFault Judge(PolicyFault chain_says = PolicyFault::kNone) {
    FakeChain chain(chain_says);
    const ClientFacts client{{}, true, presents_ ? &certificate_ : nullptr, kTestNow};
    match_ = {};
    const PolicyFault fault = JudgeCertificate(rule_, client, chain, &match_);
    asked_ = chain.asked;
    EXPECT_EQ(match_.by == By::kNothing, fault != PolicyFault::kNone);
    return fault;
  }

  CertificateRule rule_{0, {"mail.example.com"}, {}, false, false};
  PeerCertificate certificate_ = GoodCertificate();
  CertificateMatch match_;
  bool presents_ = true;
  int asked_ = 0;
};

// Of all that stands in a certificate only what the rule asked about is said of the client.
TEST_F(JudgeCertificateTest, SaysWhatProvedIt) {
  certificate_.names = {"bank.example", "mail.example.com", "x.example"};
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  EXPECT_EQ(match_.by, By::kName);
  EXPECT_EQ(match_.name, "mail.example.com");
  rule_.names = {"*.example.com"};
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  EXPECT_EQ(match_.name, "mail.example.com") << "the certificate's, not the rule's";
  rule_.fingerprints = {certificate_.certificate};
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  EXPECT_EQ(match_.by, By::kName) << "a name says more than a fingerprint";
  rule_.names = {"y.example"};
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  EXPECT_EQ(match_.by, By::kFingerprint);
  EXPECT_EQ(match_.fingerprint, certificate_.certificate);
  EXPECT_EQ(match_.name, "");
  rule_.fingerprints = {Filled(1), certificate_.public_key};
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  EXPECT_EQ(match_.fingerprint, certificate_.public_key) << "the one that is pinned";
  rule_.names.clear();
  rule_.fingerprints.clear();
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  EXPECT_EQ(match_.by, By::kCa);
  EXPECT_EQ(match_.name, "");
}

// Whoever is pinned made the certificate himself and wrote into it what he liked.
TEST_F(JudgeCertificateTest, WithoutACaNoNameIsSaid) {
  rule_.trust = kNoTrust;
  rule_.fingerprints = {certificate_.certificate};
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  EXPECT_EQ(match_.by, By::kFingerprint);
}

TEST_F(JudgeCertificateTest, ACommonNameIsSaidWhereItCounts) {
  rule_.accept_common_name = true;
  certificate_.names.clear();
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  EXPECT_EQ(match_.by, By::kName);
  EXPECT_EQ(match_.name, certificate_.common_name);
}

TEST_F(JudgeCertificateTest, AnyOfItsNamesWillDo) {
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  rule_.names = {"x.example", "other.example.com"};
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  rule_.names = {"example.com"};
  EXPECT_EQ(Judge(), PolicyFault::kWrongName);
}

TEST_F(JudgeCertificateTest, NonePresented) {
  presents_ = false;
  EXPECT_EQ(Judge(PolicyFault::kRevoked), PolicyFault::kNoCertificate);
  EXPECT_EQ(asked_, 0);
}

TEST_F(JudgeCertificateTest, TheOrderOfFaults) {
  certificate_.client_auth = false;
  certificate_.names = {"wrong.example"};
  EXPECT_EQ(Judge(PolicyFault::kRevoked), PolicyFault::kRevoked);
  EXPECT_EQ(Judge(), PolicyFault::kWrongPurpose);
  certificate_.client_auth = true;
  EXPECT_EQ(Judge(), PolicyFault::kWrongName);
}

TEST_F(JudgeCertificateTest, TheRulesCaIsTheOneAsked) {
  rule_.trust = 7;
  FakeChain chain;
  const ClientFacts client{{}, true, &certificate_, kTestNow};
  EXPECT_EQ(JudgeCertificate(rule_, client, chain), PolicyFault::kNone);
  EXPECT_EQ(chain.last_trust, 7U);
  EXPECT_EQ(chain.asked, 1);
}

TEST_F(JudgeCertificateTest, EachFaultOfTheChainIsHandedOn) {
  for (std::size_t i = 1; i < kPolicyFaultCount; ++i) {
    EXPECT_EQ(Judge(static_cast<PolicyFault>(i)), static_cast<PolicyFault>(i));
  }
}

TEST_F(JudgeCertificateTest, ServerAuthOnlyWhereItIsAccepted) {
  certificate_.client_auth = false;
  certificate_.server_auth = true;
  EXPECT_EQ(Judge(), PolicyFault::kWrongPurpose);
  rule_.accept_server_auth_purpose = true;
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  certificate_.server_auth = false;
  EXPECT_EQ(Judge(), PolicyFault::kWrongPurpose);
  certificate_.client_auth = true;
  EXPECT_EQ(Judge(), PolicyFault::kNone);
}

// PROTOCOL 44
TEST_F(JudgeCertificateTest, AWildcardOnEitherSideCoversOneLabel) {
  rule_.names = {"*.example.com"};
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  certificate_.names = {"a.mail.example.com", "example.com"};
  EXPECT_EQ(Judge(), PolicyFault::kWrongName);
  certificate_.names = {"*.example.com"};
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  rule_.names = {"mail.example.com"};
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  rule_.names = {"a.mail.example.com"};
  EXPECT_EQ(Judge(), PolicyFault::kWrongName);
  rule_.names = {"*.mail.example.com"};
  EXPECT_EQ(Judge(), PolicyFault::kWrongName);
  certificate_.names = {"*.com"};
  rule_.names = {"example.com", "*.com", "*.example.com"};
  EXPECT_EQ(Judge(), PolicyFault::kWrongName);
}

// PROTOCOL 44
TEST_F(JudgeCertificateTest, TheCommonNameOnlyWhereAskedForAndWithoutDnsNames) {
  rule_.accept_common_name = true;
  certificate_.names = {"wrong.example"};
  EXPECT_EQ(Judge(), PolicyFault::kWrongName);
  certificate_.names.clear();
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  certificate_.common_host_name = "MAIL.Example.com";
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  certificate_.common_host_name = "mail.example.org";
  EXPECT_EQ(Judge(), PolicyFault::kWrongName);
  certificate_.common_host_name.clear();
  EXPECT_EQ(Judge(), PolicyFault::kWrongName);
  certificate_.common_host_name = "mail.example.com";
  // A dNSName that is no good, one with a NUL for example, still says that this is no name.
  certificate_.has_dns_names = true;
  EXPECT_EQ(Judge(), PolicyFault::kWrongName);
  certificate_.has_dns_names = false;
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  rule_.accept_common_name = false;
  EXPECT_EQ(Judge(), PolicyFault::kWrongName);
}

TEST_F(JudgeCertificateTest, OneOfSeveralFingerprintsOfCertificateOrKey) {
  rule_.names.clear();
  rule_.fingerprints = {Filled(1), certificate_.certificate};
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  rule_.fingerprints = {certificate_.public_key, Filled(1)};
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  rule_.fingerprints = {Filled(1), Filled(2)};
  EXPECT_EQ(Judge(), PolicyFault::kWrongFingerprint);
  EXPECT_EQ(Judge(PolicyFault::kUntrusted), PolicyFault::kUntrusted);
}

TEST_F(JudgeCertificateTest, ANameOrAFingerprintWhereBothAreGiven) {
  rule_.fingerprints = {Filled(1)};
  EXPECT_EQ(Judge(), PolicyFault::kNone);  // by its name
  rule_.names = {"wrong.example"};
  EXPECT_EQ(Judge(), PolicyFault::kWrongName);
  rule_.fingerprints = {certificate_.public_key};
  EXPECT_EQ(Judge(), PolicyFault::kNone);
}

TEST_F(JudgeCertificateTest, ACaAloneIsEnough) {
  rule_.names.clear();
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  certificate_.names.clear();
  EXPECT_EQ(Judge(), PolicyFault::kNone);
}

TEST_F(JudgeCertificateTest, WithoutACaAFingerprintDecidesAndDatesAndPurposeHold) {
  rule_ = CertificateRule{};
  rule_.fingerprints = {certificate_.certificate};
  EXPECT_EQ(Judge(PolicyFault::kSelfSigned), PolicyFault::kNone);
  EXPECT_EQ(asked_, 0);
  certificate_.not_after = kTestNow;
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  certificate_.not_after = kTestNow - 1;
  EXPECT_EQ(Judge(), PolicyFault::kExpired);
  certificate_.not_after = kTestNow + 1;
  certificate_.not_before = kTestNow;
  EXPECT_EQ(Judge(), PolicyFault::kNone);
  certificate_.not_before = kTestNow + 1;
  EXPECT_EQ(Judge(), PolicyFault::kNotYetValid);
  certificate_.not_before = kTestNow;
  certificate_.client_auth = false;
  EXPECT_EQ(Judge(), PolicyFault::kWrongPurpose);
  certificate_.client_auth = true;
  rule_.fingerprints = {Filled(1)};
  EXPECT_EQ(Judge(), PolicyFault::kWrongFingerprint);
}

// Anyone can make a certificate with any name.
TEST_F(JudgeCertificateTest, WithoutACaANameSaysNothing) {
  rule_ = CertificateRule{};
  EXPECT_EQ(Judge(), PolicyFault::kUntrusted);
  rule_.names = {"mail.example.com"};
  rule_.accept_common_name = true;
  EXPECT_EQ(Judge(), PolicyFault::kUntrusted);
  rule_.fingerprints = {Filled(1)};
  EXPECT_EQ(Judge(), PolicyFault::kWrongFingerprint);
}

// The cases of JudgeMail() that are worth reading; judge_matrix_test.cc has the others.
class JudgeMailTest : public ::testing::Test {
 protected:
  JudgeMailTest() {
    client_.address = Ip("203.0.113.5");
    client_.now = kTestNow;
  }
  void Present() {
    client_.tls = true;
    client_.certificate = &certificate_;
  }
  Partner& AddPartner(std::vector<std::string> domains, const std::vector<std::string>& networks) {
    Partner& partner = partners_.emplace_back();
    partner.name = "contoso";
    partner.sender_domains = std::move(domains);
    for (const std::string& text : networks) {
      partner.networks.push_back(ParseNetwork(text).value());
    }
    partner.certificate = CertificateRule{0, {"mail.example.com"}, {}, false, false};
    return partner;
  }
  PolicyDecisions Judge(const std::string& domain) {
    const Sender sender =
        domain.empty() ? Sender{SenderKind::kNull, {}} : Sender{SenderKind::kDomain, domain};
    return Judge(PartnerTable(partners_), sender);
  }
  PolicyDecisions Judge(const PartnerTable& table, const Sender& sender) {
    sender_ = sender;
    return JudgeMail(route_, &table, sender_, client_, chain_);
  }

  RoutePolicy route_;
  Sender sender_;  // what the last decisions are views into
  std::vector<Partner> partners_;
  ClientFacts client_;
  PeerCertificate certificate_ = GoodCertificate();
  FakeChain chain_;
};

TEST_F(JudgeMailTest, ARouteThatAsksForNothingIsNotJudged) {
  EXPECT_EQ(Judge("example.com").count, 0U);
  EXPECT_EQ(Judge("example.com").refusal(), nullptr);
  route_.mode = PolicyMode::kReport;
  const PolicyDecisions decisions = Judge("example.com");
  ASSERT_EQ(decisions.count, 1U);
  EXPECT_EQ(decisions.all[0].partner, nullptr);
  EXPECT_EQ(decisions.all[0].met, TlsPolicy::kMay);
  EXPECT_EQ(decisions.all[0].fault, PolicyFault::kNone);
}

TEST_F(JudgeMailTest, AReportSaysWhatWasMetThoughNothingWasAsked) {
  route_.mode = PolicyMode::kReport;
  route_.certificate = CertificateRule{0, {"mail.example.com"}, {}, false, false};
  Present();
  EXPECT_EQ(Judge("").all[0].met, TlsPolicy::kVerify);
  route_.certificate.names = {"wrong.example"};
  EXPECT_EQ(Judge("").all[0].met, TlsPolicy::kEncrypt);
  route_.certificate = CertificateRule{};  // nothing to verify it with
  EXPECT_EQ(Judge("").all[0].met, TlsPolicy::kEncrypt);
  EXPECT_EQ(Judge("").refusal(), nullptr);
}

TEST_F(JudgeMailTest, TheChainIsAskedOnlyWhereARuleHasACa) {
  route_.tls = TlsPolicy::kEncrypt;
  Present();
  EXPECT_EQ(Judge("example.com").refusal(), nullptr);
  EXPECT_EQ(chain_.asked, 0);
}

TEST_F(JudgeMailTest, AllThreeAreMetOrTheFirstThatIsNotRefuses) {
  route_.tls = TlsPolicy::kEncrypt;
  AddPartner({"example.com"}, {}).tls = TlsPolicy::kVerify;
  AddPartner({}, {"203.0.113.0/24"});
  PolicyDecisions decisions = Judge("example.com");
  ASSERT_EQ(decisions.count, 3U);
  EXPECT_EQ(decisions.all[0].partner, nullptr);
  EXPECT_EQ(decisions.all[1].partner, &partners_[0]);
  EXPECT_EQ(decisions.all[2].partner, &partners_[1]);
  EXPECT_EQ(decisions.refusal()->fault, PolicyFault::kNoTls);

  client_.tls = true;
  decisions = Judge("example.com");
  const PolicyDecision* const refusal = decisions.refusal();
  ASSERT_NE(refusal, nullptr);
  EXPECT_EQ(refusal->partner, &partners_[0]);
  EXPECT_EQ(refusal->fault, PolicyFault::kNoCertificate);

  Present();
  EXPECT_EQ(Judge("example.com").refusal(), nullptr);
}

TEST_F(JudgeMailTest, AReportRefusesNothingAndHidesNoRefusalBehindIt) {
  route_.tls = TlsPolicy::kEncrypt;
  route_.mode = PolicyMode::kReport;
  AddPartner({"example.com"}, {});
  const PolicyDecisions decisions = Judge("example.com");
  EXPECT_EQ(decisions.all[0].fault, PolicyFault::kNoTls);
  EXPECT_FALSE(decisions.all[0].refuses());
  ASSERT_NE(decisions.refusal(), nullptr);
  EXPECT_EQ(decisions.refusal()->partner, &partners_[0]);
  partners_[0].mode = PolicyMode::kReport;
  EXPECT_EQ(Judge("example.com").refusal(), nullptr);
}

// EXCHANGE E8: RestrictDomainsToIPAddresses
TEST_F(JudgeMailTest, RestrictedToNetworks) {
  Partner& partner = AddPartner({"example.com"}, {"198.51.100.0/24"});
  EXPECT_EQ(Judge("example.com").count, 0U) << "not theirs, and not restricted";
  partner.restrict_to_networks = true;
  EXPECT_EQ(Judge("example.com").refusal()->fault, PolicyFault::kWrongNetwork);
  Present();  // does not help
  PolicyDecisions decisions = Judge("example.com");
  EXPECT_EQ(decisions.refusal()->fault, PolicyFault::kWrongNetwork);
  EXPECT_EQ(decisions.refusal()->met, TlsPolicy::kVerify);
  EXPECT_EQ(Judge("other.example").count, 0U);
  client_.address = Ip("198.51.100.7");
  EXPECT_EQ(Judge("example.com").refusal(), nullptr);
  client_.tls = false;
  client_.certificate = nullptr;
  EXPECT_EQ(Judge("example.com").refusal()->fault, PolicyFault::kNoTls);
}

// EXCHANGE E8: RestrictDomainsToCertificate
TEST_F(JudgeMailTest, RestrictedToTheCertificate) {
  Partner& partner = AddPartner({"example.com"}, {"198.51.100.0/24"});
  partner.restrict_to_certificate = true;
  EXPECT_EQ(partner.tls, TlsPolicy::kEncrypt);
  for (const char* address : {"203.0.113.5", "198.51.100.7"}) {
    client_ = ClientFacts{Ip(address), false, nullptr, kTestNow};
    EXPECT_EQ(Judge("example.com").refusal()->fault, PolicyFault::kNoTls);
    EXPECT_EQ(Judge("example.com").refusal()->asked, TlsPolicy::kVerify);
    client_.tls = true;
    EXPECT_EQ(Judge("example.com").refusal()->fault, PolicyFault::kNoCertificate);
    Present();
    EXPECT_EQ(Judge("example.com").refusal(), nullptr);
    EXPECT_EQ(Judge("example.com").count, 1U);
  }
}

TEST_F(JudgeMailTest, APartnerThatIsNotConcernedHidesNoWiderOne) {
  constexpr const char* kHome = "198.51.100.7";
  constexpr const char* kAbroad = "203.0.113.5";
  partners_.reserve(3);
  Partner& widest = AddPartner({".example"}, {});
  Partner& bank = AddPartner({".bank.example"}, {});
  bank.tls = TlsPolicy::kVerify;
  Partner& news = AddPartner({"news.bank.example"}, {"198.51.100.0/24"});

  client_.address = Ip(kHome);
  PolicyDecisions decisions = Judge("news.bank.example");
  ASSERT_EQ(decisions.count, 1U);
  EXPECT_EQ(decisions.all[0].partner, &news);

  client_.address = Ip(kAbroad);
  decisions = Judge("news.bank.example");
  ASSERT_EQ(decisions.count, 1U);
  EXPECT_EQ(decisions.all[0].partner, &bank);
  EXPECT_EQ(decisions.refusal()->asked, TlsPolicy::kVerify);

  bank.networks = {ParseNetwork("192.0.2.0/24").value()};
  decisions = Judge("news.bank.example");
  ASSERT_EQ(decisions.count, 1U);
  EXPECT_EQ(decisions.all[0].partner, &widest);

  widest.networks = bank.networks;
  EXPECT_EQ(Judge("news.bank.example").count, 0U);

  // What restricts its domains concerns all who use them.
  for (bool Partner::* const restricts :
       {&Partner::restrict_to_networks, &Partner::restrict_to_certificate}) {
    news.*restricts = true;
    decisions = Judge("news.bank.example");
    ASSERT_EQ(decisions.count, 1U);
    EXPECT_EQ(decisions.all[0].partner, &news);
    EXPECT_NE(decisions.refusal(), nullptr);
    news.*restricts = false;
  }
}

// "a%example.com@localhost": a backend may read example.com, so that its partner is concerned.
TEST_F(JudgeMailTest, ADomainWithinTheLocalPartConcernsItsPartner) {
  partners_.reserve(3);
  Partner& outer = AddPartner({"outer.example"}, {});
  Partner& inner = AddPartner({"example.com", ".example.net"}, {});
  AddPartner({"elsewhere.example"}, {"198.51.100.0/24"});
  const PartnerTable table(partners_);
  PolicyDecisions decisions = Judge(
      table, {SenderKind::kDomain, "outer.example", {"x.example", "example.com", "a.example.net"}});
  ASSERT_EQ(decisions.count, 2U) << "each partner once";
  EXPECT_EQ(decisions.all[0].partner, &outer);
  EXPECT_EQ(decisions.all[1].partner, &inner);
  EXPECT_EQ(decisions.all[1].sender_domain, "example.com");

  decisions = Judge(table, {SenderKind::kNoDomain, "", {"a.example.net"}});
  ASSERT_EQ(decisions.count, 1U);
  EXPECT_EQ(decisions.all[0].partner, &inner);
  EXPECT_EQ(decisions.all[0].sender_domain, "a.example.net");
  EXPECT_EQ(decisions.refusal()->fault, PolicyFault::kNoTls);

  EXPECT_EQ(Judge(table, {SenderKind::kDomain, "x.example", {"elsewhere.example"}}).count, 0U);
}

TEST_F(JudgeMailTest, AsManyPartnersAsDomainsFitIn) {
  route_.tls = TlsPolicy::kEncrypt;
  Sender sender{SenderKind::kDomain, "outer.example"};
  partners_.reserve(kInnerDomainsMax + 2);
  AddPartner({"outer.example"}, {});
  AddPartner({}, {"203.0.113.0/24"});
  for (std::size_t i = 0; i < kInnerDomainsMax; ++i) {
    sender.inner_domains.push_back(std::to_string(i) + ".example");
    AddPartner({sender.inner_domains.back()}, {});
  }
  const PartnerTable table(partners_);
  EXPECT_EQ(Judge(table, sender).count, PolicyDecisions::kMax);
}

// Where the backend drops the outer domain, what is left must be readable.
TEST_F(JudgeMailTest, ASenderIsSureUnlessTheBackendDropsItsDomain) {
  const std::vector<std::string> own = {"localhost", ".own.example"};
  AddPartner({"partner.example", "sub.own.example"}, {});
  const PartnerTable table(partners_, own);
  const auto is_sure = [&table](SenderKind kind, const char* domain, bool unsure) {
    return IsSure(table, {kind, domain, {}, unsure});
  };
  const auto is_sure_if_torn = [&table](const char* domain) {
    const SenderKind kind = *domain == '\0' ? SenderKind::kNoDomain : SenderKind::kDomain;
    return IsSure(table, {kind, domain, {}, false, true});
  };
  EXPECT_FALSE(is_sure(SenderKind::kMalformed, "", false));
  EXPECT_TRUE(is_sure(SenderKind::kNull, "", false));
  EXPECT_TRUE(is_sure(SenderKind::kNoDomain, "", false));
  EXPECT_FALSE(is_sure(SenderKind::kNoDomain, "", true));
  EXPECT_FALSE(is_sure(SenderKind::kDomain, "192.0.2.1", true));
  EXPECT_TRUE(is_sure(SenderKind::kDomain, "192.0.2.1", false));
  EXPECT_TRUE(is_sure(SenderKind::kDomain, "localhost", false));
  EXPECT_FALSE(is_sure(SenderKind::kDomain, "localhost", true));
  EXPECT_FALSE(is_sure(SenderKind::kDomain, "a.own.example", true));
  EXPECT_TRUE(is_sure(SenderKind::kDomain, "own.example", true)) << "\".own\" is not \"own\"";
  EXPECT_TRUE(is_sure(SenderKind::kDomain, "a.localhost", true));
  EXPECT_TRUE(is_sure(SenderKind::kDomain, "example.com", true));
  // Whoever's the domain is, it may be one of the backend's own. Only a partner's is not.
  EXPECT_FALSE(is_sure_if_torn(""));
  EXPECT_FALSE(is_sure_if_torn("localhost"));
  EXPECT_FALSE(is_sure_if_torn("example.com"));
  EXPECT_FALSE(is_sure_if_torn("sub.own.example"));
  EXPECT_TRUE(is_sure_if_torn("partner.example"));
}

TEST_F(JudgeMailTest, OnlyADomainHasADomainsPartner) {
  AddPartner({"example.com"}, {});
  const PartnerTable table(partners_);
  for (const SenderKind kind : {SenderKind::kNull, SenderKind::kNoDomain, SenderKind::kMalformed}) {
    EXPECT_EQ(Judge(table, {kind, "example.com"}).count, 0U);
  }
  const Sender sender{SenderKind::kDomain, "example.com"};
  EXPECT_EQ(JudgeMail(route_, nullptr, sender, client_, chain_).count, 0U);
}

TEST_F(JudgeMailTest, ANetworksPartnerConcernsEachSender) {
  AddPartner({}, {"203.0.113.0/24"});
  EXPECT_EQ(Judge("").refusal()->fault, PolicyFault::kNoTls);
  EXPECT_EQ(Judge("any.example").refusal()->fault, PolicyFault::kNoTls);
  client_.address = Ip("203.0.114.5");
  EXPECT_EQ(Judge("any.example").count, 0U);
}

TEST(PolicyReplyText, EachFaultHasItsReplyWithItsReason) {
  PolicyReplies replies;
  EXPECT_EQ(PolicyReplyText(replies, PolicyFault::kNoTls),
            "530 5.7.0 Must issue a STARTTLS command first\r\n");
  EXPECT_EQ(PolicyReplyText(replies, PolicyFault::kExpired),
            "550 5.7.0 Client certificate required: client certificate has expired\r\n");
  EXPECT_EQ(PolicyReplyText(replies, PolicyFault::kWrongNetwork),
            "550 5.7.0 Mail from this domain is not accepted from your network\r\n");
  replies = {"450 a {reason}", "451 b", "452 {reason}, {reason}; {Reason}"};
  EXPECT_EQ(PolicyReplyText(replies, PolicyFault::kNoTls),
            "450 a the connection is not encrypted\r\n");
  EXPECT_EQ(PolicyReplyText(replies, PolicyFault::kRevoked), "451 b\r\n");
  EXPECT_EQ(PolicyReplyText(replies, PolicyFault::kWrongNetwork),
            "452 mail of this domain does not come from there, mail of this domain does not come "
            "from there; {Reason}\r\n");
}

}  // namespace
}  // namespace ringpost
