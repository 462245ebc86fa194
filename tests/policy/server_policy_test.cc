// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a partner's server must prove to be.
#include "ringpost/policy/server_policy.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "judge_world.h"

namespace ringpost {
namespace {

using std::string_literals::operator""s;

constexpr std::size_t kTrust = 3;

PeerCertificate ServerCertificate() {
  PeerCertificate certificate = GoodCertificate();
  certificate.names = {"mx.example.com"};
  certificate.client_auth = false;
  certificate.server_auth = true;
  return certificate;
}

ServerPolicy Policy(EgressTls tls) {
  ServerPolicy policy;
  policy.tls = tls;
  if (tls == EgressTls::kTrusted || tls == EgressTls::kVerify || tls == EgressTls::kSecure) {
    policy.trust = kTrust;
  }
  return policy;
}

PolicyFault Judge(const ServerPolicy& policy, const PeerCertificate& certificate,
                  std::string_view host = "mx.example.com") {
  FakeChain chain;
  return JudgeServer(policy, certificate, host, chain);
}

TEST(ServerPolicyTest, Names) {
  struct Case {
    std::vector<std::string> names;
    std::string host;
    bool has;
  };
  for (const Case& one : std::vector<Case>{
           {{"mx.test"}, "mx.test", true},
           {{"other.test", "mx.test"}, "mx.test", true},
           {{"MX.Test"}, "mx.test", true},
           {{"mx.test"}, "MX.TEST", true},
           {{"mx.test"}, "mx2.test", false},
           {{"mx.test"}, "a.mx.test", false},
           {{"a.mx.test"}, "mx.test", false},
           {{"mx.test"}, "mx.test.", false},
           {{"mx.test."}, "mx.test", false},
           {{"mx.test"}, "", false},
           {{""}, "", false},
           {{}, "mx.test", false},
           {{"*.example.test"}, "mx.example.test", true},
           {{"*.EXAMPLE.test"}, "mx.example.test", true},
           {{"*.example.test"}, "example.test", false},
           {{"*.example.test"}, ".example.test", false},
           {{"*.example.test"}, "a.mx.example.test", false},
           {{"*.test"}, "mx.test", false},
           {{"*"}, "mx", false},
           {{"*"}, "mx.test", false},
           {{"*."}, "mx.", false},
           {{"mx.*.test"}, "mx.example.test", false},
           {{"*.*.test"}, "mx.example.test", false},
           {{"m*.example.test"}, "mx.example.test", false},
           {{"*x.example.test"}, "mx.example.test", false},
           {{"m*.test"}, "mx.test", false},
           {{"xn--*.example.test"}, "xn--bcher-kva.example.test", false},
           {{"*.example.test"}, "xn--bcher-kva.example.test", true},
       }) {
    PeerCertificate certificate = ServerCertificate();
    certificate.names = one.names;
    EXPECT_EQ(HasServerName(certificate, one.host), one.has)
        << testing::PrintToString(one.names) << " " << one.host;
  }
}

TEST(ServerPolicyTest, Addresses) {
  const std::string v4 = "\xc0\0\2\1"s;
  const std::string v6 = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"s;
  const std::string mapped = "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1"s;
  struct Case {
    std::vector<std::string> names;
    std::vector<std::string> addresses;
    std::string host;
    bool has;
  };
  for (const Case& one : std::vector<Case>{
           {{}, {v4}, "192.0.2.1", true},
           {{}, {v6, v4}, "192.0.2.1", true},
           {{}, {v4}, "192.0.2.2", false},
           {{}, {v6}, "2001:db8::1", true},
           {{}, {v6}, "2001:DB8:0:0::1", true},
           {{}, {v6}, "2001:db8::2", false},
           {{}, {mapped}, "192.0.2.1", false},
           {{}, {v4 + "\xff\xff\xff\xff"}, "192.0.2.1", false},
           {{"192.0.2.1"}, {}, "192.0.2.1", false},  // a dNSName that spells an address
           {{"2001:db8::1"}, {}, "2001:db8::1", false},
           {{"*.0.2.1"}, {}, "192.0.2.1", false},
           {{"mx.test"}, {v4}, "mx.test", true},
           {{}, {"mx.test"}, "mx.test", false},
           {{}, {v4}, v4, false},
           {{}, {v4}, "[192.0.2.1]", false},
           {{}, {}, "192.0.2.1", false},
       }) {
    PeerCertificate certificate = ServerCertificate();
    certificate.names = one.names;
    certificate.addresses = one.addresses;
    EXPECT_EQ(HasServerName(certificate, one.host), one.has)
        << testing::PrintToString(one.names) << " " << one.host;
  }
}

// RFC 9525 6.3: a common name is no reference.
TEST(ServerPolicyTest, CommonNameIsNone) {
  PeerCertificate certificate = ServerCertificate();
  certificate.names.clear();
  certificate.common_name = certificate.common_host_name = "mx.example.com";
  EXPECT_FALSE(HasServerName(certificate, "mx.example.com"));
  EXPECT_EQ(Judge(Policy(EgressTls::kVerify), certificate), PolicyFault::kWrongName);
  ServerPolicy secure = Policy(EgressTls::kSecure);
  secure.names = {"mx.example.com", ".example.com"};
  EXPECT_EQ(Judge(secure, certificate), PolicyFault::kWrongName);
}

TEST(ServerPolicyTest, SecureNames) {
  struct Case {
    std::vector<std::string> expected;
    std::vector<std::string> names;
    bool met;
  };
  for (const Case& one : std::vector<Case>{
           {{"mx.example.com"}, {"mx.example.com"}, true},
           {{"mx.example.com"}, {"*.example.com"}, true},
           {{"mx.example.com"}, {"other.example.com"}, false},
           {{"other.test", "mx.example.com"}, {"mx.example.com"}, true},
           {{"example.com"}, {"mx.example.com"}, false},
           {{"example.com"}, {"*.example.com"}, false},
           {{".example.com"}, {"mx.example.com"}, true},
           {{".example.com"}, {"MX.Example.COM"}, true},
           {{".example.com"}, {"a.b.example.com"}, true},
           {{".example.com"}, {"*.example.com"}, true},
           {{".example.com"}, {"*.mx.example.com"}, true},
           {{".example.com"}, {"example.com"}, false},
           {{".example.com"}, {".example.com"}, false},
           {{".example.com"}, {"badexample.com"}, false},
           {{".example.com"}, {"mx.example.com.evil.test"}, false},
           {{".example.com"}, {"evil.test", "mx.example.com"}, true},
           {{".mx.example.com"}, {"*.example.com"}, false},
           {{}, {"mx.example.com"}, false},
           {{".example.com"}, {}, false},
       }) {
    ServerPolicy policy = Policy(EgressTls::kSecure);
    policy.names = one.expected;
    PeerCertificate certificate = ServerCertificate();
    certificate.names = one.names;
    // The host itself counts for nothing.
    EXPECT_EQ(Judge(policy, certificate) == PolicyFault::kNone, one.met)
        << testing::PrintToString(one.expected) << testing::PrintToString(one.names);
  }
}

TEST(ServerPolicyTest, AnyCertificateWillDo) {
  for (const EgressTls tls : {EgressTls::kNone, EgressTls::kMay, EgressTls::kEncrypt}) {
    FakeChain chain(PolicyFault::kExpired);
    EXPECT_EQ(JudgeServer(Policy(tls), PeerCertificate{}, "mx.example.com", chain),
              PolicyFault::kNone);
    EXPECT_EQ(chain.asked, 0);
  }
}

TEST(ServerPolicyTest, Fingerprint) {
  ServerPolicy policy = Policy(EgressTls::kFingerprint);
  FakeChain chain(PolicyFault::kExpired);
  PeerCertificate certificate = ServerCertificate();
  certificate.not_after = 0;
  certificate.server_auth = false;
  const auto judge = [&] { return JudgeServer(policy, certificate, "other.test", chain); };
  EXPECT_EQ(judge(), PolicyFault::kWrongFingerprint);
  policy.fingerprints = {Filled(1)};
  EXPECT_EQ(judge(), PolicyFault::kWrongFingerprint);
  for (const Fingerprint& pin : {certificate.certificate, certificate.public_key}) {
    policy.fingerprints = {Filled(1), pin};
    EXPECT_EQ(judge(), PolicyFault::kNone);
  }
  certificate.key_proven = false;
  EXPECT_EQ(judge(), PolicyFault::kUnsupportedKey);
  EXPECT_EQ(chain.asked, 0);
}

// Of several faults the first one counts.
TEST(ServerPolicyTest, OrderOfFaults) {
  for (const EgressTls tls : {EgressTls::kTrusted, EgressTls::kVerify, EgressTls::kSecure}) {
    const ServerPolicy policy = Policy(tls);
    PeerCertificate certificate = ServerCertificate();
    certificate.names = {"other.example.com"};
    const PolicyFault name =
        tls == EgressTls::kTrusted ? PolicyFault::kNone : PolicyFault::kWrongName;
    EXPECT_EQ(Judge(policy, certificate), name);
    certificate.server_auth = false;
    certificate.client_auth = true;
    EXPECT_EQ(Judge(policy, certificate), PolicyFault::kWrongPurpose);
    FakeChain chain(PolicyFault::kRevoked);
    EXPECT_EQ(JudgeServer(policy, certificate, "mx.example.com", chain), PolicyFault::kRevoked);
    EXPECT_EQ(chain.asked, 1);
    EXPECT_EQ(chain.last_trust, kTrust);
    certificate.key_proven = false;
    EXPECT_EQ(JudgeServer(policy, certificate, "mx.example.com", chain),
              PolicyFault::kUnsupportedKey);
    EXPECT_EQ(chain.asked, 1);
  }
}

TEST(ServerPolicyTest, Met) {
  EXPECT_EQ(Judge(Policy(EgressTls::kVerify), ServerCertificate()), PolicyFault::kNone);
  EXPECT_EQ(Judge(Policy(EgressTls::kTrusted), ServerCertificate(), "x"), PolicyFault::kNone);
  // Without a CA nothing is trusted, and none is asked.
  ServerPolicy policy = Policy(EgressTls::kVerify);
  policy.trust = kNoTrust;
  FakeChain chain;
  EXPECT_EQ(JudgeServer(policy, ServerCertificate(), "mx.example.com", chain),
            PolicyFault::kUntrusted);
  EXPECT_EQ(chain.asked, 0);
}

TEST(ServerPolicyTest, Phrases) {
  EXPECT_EQ(ServerFaultPhrase(PolicyFault::kExpired), "the certificate has expired");
  EXPECT_EQ(ServerFaultPhrase(PolicyFault::kNoCertificate), "no certificate was presented");
  for (std::size_t i = 0; i < kPolicyFaultCount; ++i) {
    const std::string_view phrase = ServerFaultPhrase(static_cast<PolicyFault>(i));
    ASSERT_FALSE(phrase.empty()) << i;
    EXPECT_EQ(phrase.find("client"), std::string_view::npos) << phrase;
    EXPECT_NE(phrase.back(), '.') << phrase;
    EXPECT_TRUE(phrase.front() >= 'a' && phrase.front() <= 'z') << phrase;
    for (const char c : phrase) EXPECT_TRUE(c >= ' ' && c <= '~') << phrase;
    for (std::size_t j = 0; j < i; ++j) {
      EXPECT_NE(phrase, ServerFaultPhrase(static_cast<PolicyFault>(j)));
    }
  }
}

}  // namespace
}  // namespace ringpost
