// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a start says of a server's certificate and key.
#include <gtest/gtest.h>

#include <string>

#include "../x509/authority.h"
#include "tls_fixture.h"

namespace ringpost::test {
namespace {

class CertificateFilesTest : public testing::Test {
 protected:
  static CertificateSpec ForServers() {
    CertificateSpec spec;
    spec.purposes = {std::string(kServerPurpose)};
    return spec;
  }

  Party root_ = Issue(CertificateSpec::Ca("Root"), nullptr);
  Party intermediate_ = Issue(CertificateSpec::Ca("Intermediate"), &root_);
  Party stranger_ = Issue(CertificateSpec::Ca("Stranger"), nullptr);
  Party leaf_ = Issue(ForServers(), &intermediate_);
};

TEST_F(CertificateFilesTest, WarningsAreThoseOfTheChain) {
  TlsContextOptions options;
  options.certificates = {{"mx.pem", "mx.key", leaf_.pem(), Secret(leaf_.key->pem())}};
  const auto set = TlsContextSet::Load(options, kNow);
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_EQ((*set)->warnings().size(), 1U);
  EXPECT_NE((*set)->warnings()[0].find("CN=Intermediate"), std::string::npos);
}

void ExpectKeyError(const TlsCertificatePem& pem, const std::string& words) {
  TlsContextOptions options;
  options.certificates = {pem};
  const auto set = TlsContextSet::Load(options, kNow);
  ASSERT_FALSE(set.ok());
  EXPECT_NE(std::string(set.status().message()).find(words), std::string::npos) << set.status();
}

TEST_F(CertificateFilesTest, WrongOrderIsNoWrongKey) {
  TlsCertificatePem pem = {"mx.pem", "mx.key", intermediate_.pem() + leaf_.pem(),
                           Secret(leaf_.key->pem())};
  ExpectKeyError(pem, "mx.key is that of certificate number 2 in mx.pem; put that one first");
  pem.key_pem = Secret(stranger_.key->pem());
  ExpectKeyError(pem, "does not match");
}

TEST_F(CertificateFilesTest, KeyThatSpellsOutItsCurve) {
  TlsCertificatePem pem = Certificate("ecdsa");
  const std::string path = TemporaryFolder() + "/explicit.key";
  RunCommand("openssl ec -in " + pem.key_path + " -param_enc explicit -out " + path +
             " 2>/dev/null");
  pem.key_path = path;
  pem.key_pem = Secret(ReadFile(path));
  ExpectKeyError(pem, "openssl pkey -in " + path + " -ec_param_enc named_curve");
  // The remedy is one.
  RunCommand("openssl pkey -in " + path + " -ec_param_enc named_curve -out " + path + ".new");
  pem.key_pem = Secret(ReadFile(path + ".new"));
  EXPECT_TRUE(TlsContextSet::ProveKey(pem).ok()) << TlsContextSet::ProveKey(pem);
}

}  // namespace
}  // namespace ringpost::test
