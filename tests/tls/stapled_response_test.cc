// SPDX-License-Identifier: GPL-3.0-or-later
//
// A client that asks for a stapled OCSP response: it gets what the server sends, octet by octet,
// and no handshake ends over it. TrustStore says what it is worth.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "../x509/authority.h"
#include "hello_builder.h"
#include "raw_server.h"
#include "ringpost/x509/trust_store.h"
#include "tls_fixture.h"

namespace ringpost::test {
namespace {

constexpr std::string_view kHost = "mx.partner.example";

class StapledResponse : public testing::TestWithParam<TlsVersions> {
 protected:
  // As the client sees it; nullptr: the handshake failed.
  std::unique_ptr<PeerCertificate> Connect(RawServer& server,
                                           OcspStapling stapling = OcspStapling::kOn,
                                           const Tamper& tamper = nullptr) {
    TlsClientOptions options;
    options.versions = GetParam();
    options.groups = {"X25519", "P-256"};
    options.server_certificates = ServerCertificates::kTaken;
    options.ocsp_stapling = stapling;
    const auto context = ClientContext(options);
    BufferPool pool(64, 32);
    Side client(&pool);
    client.engine = TlsEngine::Client(context.get(), kHost, nullptr);
    if (server.Handshake(client, tamper) != TlsOutcome::kDone) {
      error_ = client.engine->error();
      return nullptr;
    }
    return client.engine->TakePeerCertificate();
  }
  [[nodiscard]] RawServer Server() const {
    return {GetParam(), leaf_.pem() + ca_.pem(), leaf_.key->pem()};
  }
  // What comes of it if the server staples this.
  std::string Stapled(const std::string& response) {
    RawServer server = Server();
    server.Staple(response);
    const auto certificate = Connect(server);
    EXPECT_NE(certificate, nullptr) << error_;
    EXPECT_TRUE(server.asked_to_staple());
    if (certificate == nullptr) {
      return "failed";
    }
    EXPECT_TRUE(certificate->key_proven);
    EXPECT_EQ(certificate->chain.size(), 2U);
    return certificate->stapled_response;
  }

  const LibraryClock clock_;
  Party root_ = Issue(CertificateSpec::Ca("Root"), nullptr);
  Party ca_ = Issue(CertificateSpec::Ca("Issuing CA"), &root_);
  Party leaf_ = Issue({}, &ca_);
  std::string error_;
};

INSTANTIATE_TEST_SUITE_P(Versions, StapledResponse,
                         testing::Values(TlsVersions::kTls12Only, TlsVersions::kTls13Only));

TEST_P(StapledResponse, AsItWasSent) {
  const std::string good = IssueOcsp({}, leaf_, ca_);
  EXPECT_EQ(Stapled(good), good);
  for (const OcspSpec& spec :
       {OcspSpec{.status = OcspStatus::kRevoked}, OcspSpec{.status = OcspStatus::kUnknown},
        OcspSpec{.next_update = kNow - 86400}, OcspSpec{.this_update = kNow + 86400},
        OcspSpec{.signer = &leaf_}, OcspSpec{.response_status = 3}}) {
    const std::string other = IssueOcsp(spec, leaf_, ca_);
    EXPECT_EQ(Stapled(other), other);
  }
  for (const std::string& garbage :
       {std::string("x"), good.substr(0, good.size() / 2), std::string(10000, '\x30')}) {
    EXPECT_EQ(Stapled(garbage), garbage);
  }
}

TEST_P(StapledResponse, NoneIsSent) {
  RawServer server = Server();
  const auto certificate = Connect(server);
  ASSERT_NE(certificate, nullptr) << error_;
  EXPECT_TRUE(server.asked_to_staple());
  EXPECT_EQ(certificate->stapled_response, "");
}

TEST_P(StapledResponse, NotAskedFor) {
  RawServer server = Server();
  server.Staple("x");
  const auto certificate = Connect(server, OcspStapling::kOff);
  ASSERT_NE(certificate, nullptr) << error_;
  EXPECT_FALSE(server.asked_to_staple());
  EXPECT_EQ(certificate->stapled_response, "");
}

// That of an intermediate certificate, which only TLS 1.3 has, is passed over.
TEST_P(StapledResponse, ForTheLeafAlone) {
  if (GetParam() == TlsVersions::kTls12Only) {
    return;
  }
  RawServer server = Server();
  server.Staple("of the leaf", 0);
  server.Staple("of the CA", 1);
  const auto certificate = Connect(server);
  ASSERT_NE(certificate, nullptr) << error_;
  EXPECT_EQ(certificate->stapled_response, "of the leaf");
}

// More than a handshake message may have.
TEST_P(StapledResponse, TooLong) {
  RawServer server = Server();
  server.Staple(std::string(40000, '\x30'));
  EXPECT_EQ(Connect(server), nullptr);
  EXPECT_NE(error_, "");
}

TEST_P(StapledResponse, OurServerStaplesNothing) {
  TlsClientOptions options;
  options.versions = GetParam();
  options.server_certificates = ServerCertificates::kTaken;
  options.ocsp_stapling = OcspStapling::kOn;
  const auto client_context = ClientContext(options);
  const auto contexts = Contexts({Certificate("ecdsa")});
  TlsPair pair;
  pair.Start(contexts.get(), client_context.get(), kHost);
  const TlsPair::Outcomes outcomes = pair.Handshake();
  EXPECT_EQ(outcomes.server, TlsOutcome::kDone) << pair.server.engine->error();
  EXPECT_EQ(outcomes.client, TlsOutcome::kDone) << pair.client.engine->error();
  const auto certificate = pair.client.engine->TakePeerCertificate();
  ASSERT_NE(certificate, nullptr);
  EXPECT_EQ(certificate->stapled_response, "");
}

TEST_P(StapledResponse, JudgedAfterwards) {
  const auto crls = LoadCrls({{"root.crl", Pem("X509 CRL", IssueCrl({}, root_))}}, kNow);
  ASSERT_TRUE(crls.ok());
  const auto store = TrustStore::Load(
      {.ca_files = {{"ca.pem", root_.pem()}}, .crls = crls->crls, .revocation = Revocation::kHard},
      kNow);
  ASSERT_TRUE(store.ok());
  const auto judge = [&](const std::string& response) {
    RawServer server = Server();
    if (!response.empty()) {
      server.Staple(response);
    }
    const auto certificate = Connect(server);
    EXPECT_NE(certificate, nullptr) << error_;
    return certificate != nullptr ? (*store)->Verify(*certificate, kNow) : PolicyFault::kNoTls;
  };
  EXPECT_EQ(judge(IssueOcsp({}, leaf_, ca_)), PolicyFault::kNone);
  EXPECT_EQ(judge(IssueOcsp({.status = OcspStatus::kRevoked}, leaf_, ca_)), PolicyFault::kRevoked);
  EXPECT_EQ(judge(IssueOcsp({.next_update = kNow}, leaf_, ca_)), PolicyFault::kNoFreshCrl);
  EXPECT_EQ(judge(""), PolicyFault::kNoFreshCrl);
}

// In clear, as TLS 1.2 has it: a CertificateStatus in another's place, with wrong lengths, of
// another type, and twice. The message breaks TLS then, and not only what is in it.
TEST(StapledResponseMessages, Malformed) {
  const Party leaf = Issue({}, nullptr);
  TlsClientOptions options;
  options.versions = TlsVersions::kTls12Only;
  options.groups = {"X25519", "P-256"};
  options.server_certificates = ServerCertificates::kTaken;
  const auto handshake = [&](OcspStapling stapling, bool staples, const std::string& record) {
    options.ocsp_stapling = stapling;
    const auto context = ClientContext(options);
    BufferPool pool(64, 32);
    Side client(&pool);
    client.engine = TlsEngine::Client(context.get(), kHost, nullptr);
    RawServer server(TlsVersions::kTls12Only, leaf.pem(), leaf.key->pem());
    if (staples) {
      server.Staple("response");
    }
    bool replaced = false;
    const TlsOutcome outcome = server.Handshake(client, [&](std::string& flight) {
      constexpr char kCertificate = 11;
      constexpr char kCertificateStatus = 22;
      for (std::size_t at = 0; at + 5 < flight.size() && !replaced;) {
        const std::size_t size =
            5 + (static_cast<std::size_t>(static_cast<unsigned char>(flight[at + 3])) << 8 |
                 static_cast<unsigned char>(flight[at + 4]));
        if (staples && flight[at] == 22 && flight[at + 5] == kCertificateStatus) {
          flight.replace(at, size, record);
          replaced = true;
        } else if (!staples && flight[at] == 22 && flight[at + 5] == kCertificate) {
          flight.insert(at + size, record);
          replaced = true;
        }
        at += size;
      }
    });
    EXPECT_TRUE(replaced);
    EXPECT_EQ(outcome, TlsOutcome::kFailed);
    EXPECT_EQ(client.engine->TakePeerCertificate(), nullptr);
  };
  const auto message = [](const std::string& content) {
    return Record(22, "\x16" + Vector(3, content), 0x0303);
  };
  const std::string good = Number(1, 1) + Vector(3, "response");
  for (const std::string& record :
       {message(""), message("\x01"), message(good + "x"), message(good.substr(0, good.size() - 1)),
        message(Number(1, 1) + Number(0xffffff, 3)), message(Number(2, 1) + Vector(3, "response")),
        message(Number(0, 1) + Vector(3, "response")), message(good) + message(good)}) {
    handshake(OcspStapling::kOn, true, record);
  }
  // Nothing was announced, or even asked for.
  handshake(OcspStapling::kOn, false, message(good));
  handshake(OcspStapling::kOff, false, message(good));
}

TEST(StapledResponseOptions, OnlyWhereSomebodyLooks) {
  TlsClientOptions options;
  options.ocsp_stapling = OcspStapling::kOn;
  EXPECT_FALSE(TlsClientContext::Create(options).ok());
}

}  // namespace
}  // namespace ringpost::test
