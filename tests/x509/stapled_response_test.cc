// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a store makes of a stapled OCSP response, beside lists and without.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "authority.h"

namespace ringpost::test {
namespace {

class Stapled : public testing::TestWithParam<Revocation> {
 protected:
  std::unique_ptr<TrustStore> Store(const std::vector<std::string>& lists) {
    std::vector<NamedText> files;
    for (const std::string& list : lists) {
      files.push_back({"list.crl", Pem("X509 CRL", list)});
    }
    auto crls = LoadCrls(files, kNow);
    EXPECT_TRUE(crls.ok()) << crls.status();
    auto store = TrustStore::Load(
        {.ca_files = {{"ca.pem", root_.pem()}}, .crls = crls->crls, .revocation = GetParam()},
        kNow);
    EXPECT_TRUE(store.ok()) << store.status();
    EXPECT_EQ((*store)->revocation(), GetParam());
    return std::move(*store);
  }
  static PolicyFault Fault(TrustStore& store, const std::vector<Party>& chain,
                           const std::string& response) {
    PeerCertificate certificate = Presented(chain);
    certificate.stapled_response = response;
    const PolicyFault fault = store.Verify(certificate, kNow);
    EXPECT_EQ(store.Verify(certificate, kNow), fault);
    return fault;
  }
  static PolicyFault IfHard(PolicyFault fault) {
    return GetParam() == Revocation::kHard ? fault : PolicyFault::kNone;
  }
  static PolicyFault UnlessOff(PolicyFault fault) {
    return GetParam() == Revocation::kOff ? PolicyFault::kNone : fault;
  }

  const LibraryClock clock_;
  Party root_ = Issue(CertificateSpec::Ca("Root"), nullptr);
  Party intermediate_ = Issue(CertificateSpec::Ca("Issuing CA"), &root_);
  Party leaf_ = Issue({}, &root_);
  Party lower_leaf_ = Issue({}, &intermediate_);
  const std::string good_ = IssueOcsp({}, leaf_, root_);
  const std::string revoked_ = IssueOcsp({.status = OcspStatus::kRevoked}, leaf_, root_);
  const std::string stale_ = IssueOcsp({.next_update = kNow}, leaf_, root_);
};

INSTANTIATE_TEST_SUITE_P(Modes, Stapled,
                         testing::Values(Revocation::kOff, Revocation::kSoft, Revocation::kHard));

TEST_P(Stapled, WithoutLists) {
  const auto store = Store({});
  EXPECT_EQ(Fault(*store, {leaf_}, good_), PolicyFault::kNone);
  EXPECT_EQ(store->complaint(), "");
  EXPECT_EQ(store->good_until(), kNow + (GetParam() == Revocation::kHard ? 3600 : 86400 + 1));
  EXPECT_EQ(Fault(*store, {leaf_}, revoked_), UnlessOff(PolicyFault::kRevoked));
  EXPECT_EQ(Fault(*store, {leaf_}, ""), IfHard(PolicyFault::kNoFreshCrl));
  EXPECT_EQ(store->complaint(), "");
}

// As if there were none; who could mend it hears why.
TEST_P(Stapled, OfNoUse) {
  const auto store = Store({});
  const Party other = Issue({}, &root_);
  for (const std::string& response :
       {stale_, std::string("garbage"), IssueOcsp({}, other, root_),
        IssueOcsp({.status = OcspStatus::kUnknown}, leaf_, root_),
        IssueOcsp({.status = OcspStatus::kRevoked, .signer = &other}, leaf_, root_)}) {
    EXPECT_EQ(Fault(*store, {leaf_}, response), IfHard(PolicyFault::kNoFreshCrl));
    EXPECT_EQ(store->complaint().find("the OCSP response that was stapled to the certificate "
                                      "\"CN=mail.contoso.example, O=Contoso\" of \"CN=Root, "
                                      "O=Contoso\" does not count: it is ") == 0 ||
                  store->complaint().find("does not count: its responder") != std::string::npos,
              GetParam() == Revocation::kHard)
        << store->complaint();
  }
  Fault(*store, {leaf_}, good_);
  EXPECT_EQ(store->complaint(), "");
}

TEST_P(Stapled, BesideLists) {
  const auto naming = Store({IssueCrl({.serials = {leaf_.serial}}, root_)});
  EXPECT_EQ(Fault(*naming, {leaf_}, good_), UnlessOff(PolicyFault::kRevoked));
  const auto fresh = Store({IssueCrl({.next_update = kNow + 60}, root_)});
  EXPECT_EQ(Fault(*fresh, {leaf_}, revoked_), UnlessOff(PolicyFault::kRevoked));
  // One of the two is enough.
  EXPECT_EQ(Fault(*fresh, {leaf_}, stale_), PolicyFault::kNone);
  EXPECT_EQ(fresh->complaint(), "");
  EXPECT_EQ(fresh->good_until(), kNow + (GetParam() == Revocation::kOff ? 86400 + 1 : 60));
  const auto old = Store({IssueCrl({.next_update = kNow}, root_)});
  EXPECT_EQ(Fault(*old, {leaf_}, good_), PolicyFault::kNone);
  EXPECT_EQ(Fault(*old, {leaf_}, stale_), IfHard(PolicyFault::kNoFreshCrl));
}

// It is about the leaf alone.
TEST_P(Stapled, Intermediate) {
  const std::string good = IssueOcsp({}, lower_leaf_, intermediate_);
  const std::vector<Party> chain = {lower_leaf_, intermediate_};
  const auto none = Store({});
  EXPECT_EQ(Fault(*none, chain, good), IfHard(PolicyFault::kNoFreshCrl));
  EXPECT_EQ(
      Fault(*none, chain, IssueOcsp({.status = OcspStatus::kRevoked}, lower_leaf_, intermediate_)),
      UnlessOff(PolicyFault::kRevoked));
  const auto of_root = Store({IssueCrl({}, root_)});
  EXPECT_EQ(Fault(*of_root, chain, good), PolicyFault::kNone);
  EXPECT_EQ(Fault(*of_root, chain, ""), IfHard(PolicyFault::kNoFreshCrl));
  // The root did not issue the leaf, and does not speak for it.
  EXPECT_EQ(Fault(*of_root, chain, IssueOcsp({.signer = &root_}, lower_leaf_, intermediate_)),
            IfHard(PolicyFault::kNoFreshCrl));
  const auto naming = Store({IssueCrl({.serials = {intermediate_.serial}}, root_)});
  EXPECT_EQ(Fault(*naming, chain, good), UnlessOff(PolicyFault::kRevoked));
}

// A list that cannot be used might name the certificate; its CA says that it does not.
TEST_P(Stapled, BrokenList) {
  const Party stranger = Issue(CertificateSpec::Ca("Issuing CA"), nullptr);
  const auto store = Store({IssueCrl({}, stranger), IssueCrl({}, root_)});
  const std::vector<Party> chain = {lower_leaf_, intermediate_};
  EXPECT_EQ(Fault(*store, chain, ""), UnlessOff(PolicyFault::kNoFreshCrl));
  EXPECT_EQ(Fault(*store, chain, "garbage"), UnlessOff(PolicyFault::kNoFreshCrl));
  EXPECT_EQ(store->complaint().find("the revocation list list.crl cannot be used") == 0,
            GetParam() != Revocation::kOff);
  EXPECT_EQ(Fault(*store, chain, IssueOcsp({}, lower_leaf_, intermediate_)), PolicyFault::kNone);
  EXPECT_EQ(store->complaint(), "");
}

TEST_P(Stapled, RevokedSigner) {
  const Party signer = Issue(CertificateSpec::OcspSigner(), &root_);
  const std::string response =
      IssueOcsp({.signer = &signer, .certificates = {signer}}, leaf_, root_);
  EXPECT_EQ(Fault(*Store({}), {leaf_}, response), PolicyFault::kNone);
  const auto store = Store({IssueCrl({.serials = {signer.serial}, .next_update = kNow}, root_)});
  EXPECT_EQ(Fault(*store, {leaf_}, response), IfHard(PolicyFault::kNoFreshCrl));
}

// Who is trusted by name needs neither list nor response.
TEST_P(Stapled, LeafAmongTheCas) {
  auto store = TrustStore::Load(
      {.ca_files = {{"ca.pem", leaf_.pem()}}, .crls = nullptr, .revocation = GetParam()}, kNow);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(Fault(**store, {leaf_}, ""), PolicyFault::kNone);
  EXPECT_EQ((*store)->good_until(), kNow + 86400 + 1);
}

}  // namespace
}  // namespace ringpost::test
