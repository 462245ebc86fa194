// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/x509/chain_warnings.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "authority.h"

namespace ringpost::test {
namespace {

class ChainWarningsTest : public testing::Test {
 protected:
  ChainWarningsTest() : leaf_(Leaf(&intermediate_)) {}

  static Party Leaf(const Party* issuer, CertificateSpec spec = {}) {
    spec.purposes = {std::string(kServerPurpose)};
    return Issue(spec, issuer);
  }

  static std::vector<std::string> Warnings(const std::vector<Party>& chain) {
    std::vector<std::string> octets;
    for (const Party& party : chain) {
      octets.push_back(party.der);
    }
    return ChainWarnings(octets, "mx.pem", kNow);
  }

  static void ExpectNone(const std::vector<Party>& chain) {
    EXPECT_EQ(Warnings(chain), std::vector<std::string>());
  }

  static void ExpectOne(const std::vector<Party>& chain, const std::string& words) {
    const std::vector<std::string> warnings = Warnings(chain);
    ASSERT_EQ(warnings.size(), 1U) << words << "\n" << testing::PrintToString(warnings);
    EXPECT_NE(warnings[0].find(words), std::string::npos) << warnings[0];
    EXPECT_NE(warnings[0].find("mx.pem"), std::string::npos) << warnings[0];
  }

  Party root_ = Issue(CertificateSpec::Ca("Root"), nullptr);
  Party intermediate_ = Issue(CertificateSpec::Ca("Intermediate"), &root_);
  Party stranger_ = Issue(CertificateSpec::Ca("Stranger"), nullptr);
  Party leaf_;
};

TEST_F(ChainWarningsTest, GoodChains) {
  ExpectNone({leaf_, intermediate_});
  ExpectNone({leaf_, intermediate_, root_});
  ExpectNone({Leaf(nullptr)});
  const Party below_root = Leaf(&root_);
  ExpectNone({below_root, root_});
  // Two certificates of one CA, for clients that know one of two roots.
  CertificateSpec crossed = CertificateSpec::Ca("Intermediate");
  crossed.key = intermediate_.key;
  ExpectNone({leaf_, intermediate_, Issue(crossed, &stranger_)});
}

TEST_F(ChainWarningsTest, IntermediateMissing) {
  ExpectOne({leaf_}, "without the one of its issuer, \"CN=Intermediate, O=Contoso\"");
  EXPECT_EQ(Warnings({leaf_, stranger_}).size(), 2U);
  // The same name is not enough.
  EXPECT_EQ(Warnings({leaf_, Issue(CertificateSpec::Ca("Intermediate"), &root_)}).size(), 2U);
}

TEST_F(ChainWarningsTest, Order) { ExpectOne({leaf_, root_, intermediate_}, "are not in order"); }

TEST_F(ChainWarningsTest, LeafTwice) {
  ExpectOne({leaf_, leaf_, intermediate_},
            "number 2 in mx.pem (\"CN=mail.contoso.example, O=Contoso\") is the same as number 1");
  ExpectOne({leaf_, intermediate_, intermediate_},
            "number 3 in mx.pem (\"CN=Intermediate, O=Contoso\")");
}

TEST_F(ChainWarningsTest, Stranger) {
  ExpectOne({leaf_, intermediate_, stranger_},
            "number 3 in mx.pem (\"CN=Stranger, O=Contoso\") has signed none of the others; leave "
            "it out");
  ExpectOne({leaf_, stranger_, intermediate_}, "number 2 in mx.pem (\"CN=Stranger, O=Contoso\")");
}

TEST_F(ChainWarningsTest, Authorities) {
  CertificateSpec old = CertificateSpec::Ca("Old");
  old.not_after = kNow - 1;
  const Party expired = Issue(old, &root_);
  ExpectOne({Leaf(&expired), expired}, "number 2 in mx.pem (\"CN=Old, O=Contoso\") expired on");
  CertificateSpec none = CertificateSpec::Ca("None");
  none.ca = false;
  const Party no_authority = Issue(none, &root_);
  ExpectOne({Leaf(&no_authority), no_authority}, "may not sign certificates");
}

TEST_F(ChainWarningsTest, TheServersOwn) {
  CertificateSpec nameless;
  nameless.names.clear();
  ExpectOne({Leaf(&intermediate_, nameless), intermediate_}, "has no subject alternative name");
  ExpectOne({Issue({}, &intermediate_), intermediate_}, "is not for servers");
}

// What our reader does not take may be good for others: nothing is said of it.
TEST_F(ChainWarningsTest, Unreadable) {
  const std::string junk = Der(0x30, "junk");
  EXPECT_TRUE(ChainWarnings({junk}, "mx.pem", kNow).empty());
  EXPECT_TRUE(ChainWarnings({leaf_.der, junk}, "mx.pem", kNow).empty());
}

}  // namespace
}  // namespace ringpost::test
