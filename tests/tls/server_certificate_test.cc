// SPDX-License-Identifier: GPL-3.0-or-later
//
// A client that takes the server's certificate, whatever it is worth: each handshake completes as
// long as the server holds the key, and what was presented is judged afterwards.
#include <gtest/gtest.h>
#include <malloc.h>
#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "../x509/authority.h"
#include "hello_builder.h"
#include "raw_server.h"
#include "ringpost/policy/server_policy.h"
#include "ringpost/x509/trust_store.h"
#include "tls_fixture.h"

namespace ringpost::test {
namespace {

using std::string_literals::operator""s;

constexpr std::string_view kHost = "mx.partner.example";

CertificateSpec ServerSpec() {
  CertificateSpec spec;
  spec.subject = CommonName(std::string(kHost));
  spec.names = {std::string(kHost)};
  spec.purposes = {std::string(kServerPurpose)};
  return spec;
}

std::string PemOf(const std::vector<Party>& chain) {
  std::string pem;
  for (const Party& party : chain) {
    pem += party.pem();
  }
  return pem;
}

TlsCertificatePem PemPair(const std::vector<Party>& chain) {
  return {"server.pem", "server.key", PemOf(chain), Secret(chain.front().key->pem())};
}

// Judges by a store, as a session does.
class StoreChain final : public ChainVerifier {
 public:
  StoreChain(TrustStore* store, const PeerCertificate* certificate)
      : store_(store), certificate_(certificate) {}
  [[nodiscard]] PolicyFault VerifyChain(std::size_t /*trust*/) override {
    return store_->Verify(*certificate_, kNow);
  }

 private:
  TrustStore* store_;
  const PeerCertificate* certificate_;
};

class ServerCertificate : public testing::TestWithParam<TlsVersions> {
 protected:
  ServerCertificate() {
    TrustOptions options;
    options.ca_files = {{"ca.pem", root_.pem()}};
    store_ = std::move(*TrustStore::Load(options, kNow));
    options_.versions = GetParam();
    options_.groups = {"X25519", "P-256", "P-384"};
    options_.server_certificates = ServerCertificates::kTaken;
    client_context_ = ClientContext(options_);
  }

  // A whole connection; nullptr: it failed.
  std::unique_ptr<PeerCertificate> Connect(const std::vector<Party>& chain, std::size_t chunk = 0) {
    const auto contexts = Contexts({PemPair(chain)});
    TlsPair pair;
    pair.Start(contexts.get(), client_context_.get(), kHost);
    EXPECT_EQ(pair.client.engine->TakePeerCertificate(), nullptr);
    const TlsPair::Outcomes outcomes = pair.Handshake(chunk);
    EXPECT_EQ(outcomes.server, TlsOutcome::kDone) << pair.server.engine->error();
    EXPECT_EQ(outcomes.client, TlsOutcome::kDone) << pair.client.engine->error();
    if (outcomes.server != TlsOutcome::kDone || outcomes.client != TlsOutcome::kDone) {
      return nullptr;
    }
    EXPECT_EQ(pair.client.Write("EHLO x\r\n"), TlsOutcome::kDone);
    pair.ToServer();
    EXPECT_EQ(pair.server.Read(), TlsOutcome::kDone);
    EXPECT_EQ(Side::Drain(pair.server.plain_in), "EHLO x\r\n");
    auto certificate = pair.client.engine->TakePeerCertificate();
    EXPECT_EQ(pair.client.engine->TakePeerCertificate(), nullptr);
    return certificate;
  }
  PolicyFault Judge(const PeerCertificate& certificate, EgressTls tls,
                    std::string_view host = kHost) {
    ServerPolicy policy;
    policy.tls = tls;
    policy.trust = 0;
    StoreChain chain(store_.get(), &certificate);
    return JudgeServer(policy, certificate, host, chain);
  }
  // What is presented arrives as it was sent, and is judged so.
  void ExpectFault(const std::vector<Party>& chain, PolicyFault fault,
                   std::string_view host = kHost) {
    SCOPED_TRACE(PolicyFaultName(fault));
    const auto certificate = Connect(chain);
    ASSERT_NE(certificate, nullptr);
    ASSERT_EQ(certificate->chain.size(), chain.size());
    for (std::size_t i = 0; i < chain.size(); ++i) {
      EXPECT_EQ(certificate->chain[i], chain[i].der) << i;
    }
    EXPECT_TRUE(certificate->key_proven);
    EXPECT_EQ(Judge(*certificate, EgressTls::kEncrypt, host), PolicyFault::kNone);
    EXPECT_EQ(Judge(*certificate, EgressTls::kVerify, host), fault);
  }

  const LibraryClock clock_;
  Party root_ = Issue(CertificateSpec::Ca("Root"), nullptr);
  std::unique_ptr<TrustStore> store_;
  TlsClientOptions options_;
  std::unique_ptr<TlsClientContext> client_context_;
};

INSTANTIATE_TEST_SUITE_P(Versions, ServerCertificate,
                         testing::Values(TlsVersions::kTls12Only, TlsVersions::kTls13Only,
                                         TlsVersions::kBoth));

TEST_P(ServerCertificate, Good) {
  const Party intermediate = Issue(CertificateSpec::Ca("Issuing CA"), &root_);
  ExpectFault({Issue(ServerSpec(), &intermediate), intermediate}, PolicyFault::kNone);
  ExpectFault({Issue(ServerSpec(), &root_)}, PolicyFault::kNone);
  const auto certificate = Connect({Issue(ServerSpec(), &root_)}, 1);
  ASSERT_NE(certificate, nullptr);
  EXPECT_EQ(certificate->names, std::vector<std::string>{std::string(kHost)});
  EXPECT_TRUE(certificate->server_auth);
}

TEST_P(ServerCertificate, Keys) {
  for (const auto& key : {Key::Ecc(32), Key::Ecc(48), Key::Ecc(66), Key::Rsa()}) {
    CertificateSpec spec = ServerSpec();
    spec.key = key;
    ExpectFault({Issue(spec, &root_)}, PolicyFault::kNone);
  }
}

// Each of them completes, and is told apart afterwards.
TEST_P(ServerCertificate, Bad) {
  const Party other = Issue(CertificateSpec::Ca("Other"), nullptr);
  ExpectFault({Issue(ServerSpec(), &other), other}, PolicyFault::kUntrusted);
  ExpectFault({Issue(ServerSpec(), &other)}, PolicyFault::kUntrusted);
  ExpectFault({Issue(ServerSpec(), nullptr)}, PolicyFault::kSelfSigned);
  CertificateSpec spec = ServerSpec();
  spec.not_after = kNow - 1;
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kExpired);
  spec.not_before = 0;
  spec.not_after = 86400;
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kExpired);
  spec = ServerSpec();
  spec.not_before = 2'400'000'000;
  spec.not_after = 2'500'000'000;
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kNotYetValid);
  spec = ServerSpec();
  spec.purposes = {std::string(kClientPurpose)};
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kWrongPurpose);
  spec = ServerSpec();
  spec.usage = kKeyEncipherment;
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kWrongPurpose);
  spec = CertificateSpec::Ca("No CA");
  spec.ca = false;
  const Party no_ca = Issue(spec, &root_);
  ExpectFault({Issue(ServerSpec(), &no_ca), no_ca}, PolicyFault::kInvalidCa);
}

TEST_P(ServerCertificate, Names) {
  ExpectFault({Issue(ServerSpec(), &root_)}, PolicyFault::kWrongName, "other.partner.example");
  CertificateSpec spec = ServerSpec();
  spec.names = {"*.partner.example"};
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kNone);
  spec.names = {"m*.partner.example", "mx.*.example", "*.*.example", "*"};
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kWrongName);
  spec.names = {};
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kWrongName);  // the common name is none
  spec.names = {"MX.PARTNER.example"};
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kNone);
  spec.names = {"192.0.2.1"};
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kWrongName, "192.0.2.1");
  spec.names = {};
  spec.addresses = {"\xc0\0\2\1"s};
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kNone, "192.0.2.1");
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kWrongName, "192.0.2.2");
}

// wolfSSL adds the intermediates of a handshake to the context's CAs if one lets it.
TEST_P(ServerCertificate, HostileChainsLeaveNoTrace) {
  const Party evil = Issue(CertificateSpec::Ca("Root"), nullptr);  // by the real root's name
  std::size_t before = 0;
  for (int i = 0; i < 60; ++i) {
    const Party evil_ca = Issue(CertificateSpec::Ca("CA " + std::to_string(i)), &evil);
    const Party evil_leaf = Issue(ServerSpec(), &evil_ca);
    ExpectFault({evil_leaf, evil_ca, evil}, PolicyFault::kUntrusted);
    ExpectFault({evil_leaf}, PolicyFault::kUntrusted);
    if (i == 29) {
      before = mallinfo2().uordblks;
    }
  }
  EXPECT_LT(mallinfo2().uordblks, before + 8 * 1024);
  // What wolfSSL itself would now make of them.
  const Party evil_ca = Issue(CertificateSpec::Ca("Last CA"), &evil);
  const Party evil_leaf = Issue(ServerSpec(), &evil_ca);
  ExpectFault({evil_leaf, evil_ca, evil}, PolicyFault::kUntrusted);
  WOLFSSL_CERT_MANAGER* const manager = wolfSSL_CTX_GetCertManager(client_context_->context());
  for (const Party* const party : {&evil_leaf, &evil_ca}) {
    EXPECT_EQ(wolfSSL_CertManagerVerifyBuffer(
                  manager, reinterpret_cast<const unsigned char*>(party->der.data()),
                  static_cast<long>(party->der.size()), WOLFSSL_FILETYPE_ASN1),
              ASN_NO_SIGNER_E);
  }
}

// A resumed handshake shows no certificate.
TEST_P(ServerCertificate, Resumed) {
  const auto keys = TicketKeys::Random(kNow);
  const auto contexts = Contexts({PemPair({Issue(ServerSpec(), &root_)})}, keys.get());
  options_.resumption = TlsResumption::kOn;
  client_context_ = ClientContext(options_);
  std::unique_ptr<TlsSession> session;
  for (const bool resumed : {false, true}) {
    TlsPair pair;
    pair.Start(contexts.get(), client_context_.get(), kHost, session.get());
    const TlsPair::Outcomes outcomes = pair.Handshake();
    ASSERT_EQ(outcomes.client, TlsOutcome::kDone) << pair.client.engine->error();
    EXPECT_EQ(pair.client.engine->facts().resumed, resumed);
    EXPECT_EQ(pair.client.engine->TakePeerCertificate() == nullptr, resumed);
    EXPECT_EQ(pair.server.Write("220 x\r\n"), TlsOutcome::kDone);
    pair.ToClient();
    EXPECT_EQ(pair.client.Read(), TlsOutcome::kDone);
    session = pair.client.engine->TakeSession();
  }
  // Where the server cannot take the ticket, it shows its certificate again.
  const auto other_keys = TicketKeys::Random(kNow);
  const auto others = Contexts({PemPair({Issue(ServerSpec(), nullptr)})}, other_keys.get());
  ASSERT_NE(session, nullptr);
  TlsPair pair;
  pair.Start(others.get(), client_context_.get(), kHost, session.get());
  EXPECT_EQ(pair.Handshake().client, TlsOutcome::kDone) << pair.client.engine->error();
  EXPECT_FALSE(pair.client.engine->facts().resumed);
  const auto certificate = pair.client.engine->TakePeerCertificate();
  ASSERT_NE(certificate, nullptr);
  EXPECT_EQ(Judge(*certificate, EgressTls::kTrusted), PolicyFault::kSelfSigned);
}

// A server that asks for a certificate and gets none, or ours.
TEST_P(ServerCertificate, ServerAsks) {
  TlsContextOptions server_options;
  server_options.certificates = {PemPair({Issue(ServerSpec(), &root_)})};
  server_options.route = "mx";
  server_options.ask_certificate = true;
  const auto asking = *TlsContextSet::Load(server_options, kNow);
  for (const bool shown : {false, true}) {
    for (const auto& key : {Key::Ecc(), Key::Rsa()}) {
      if (shown) {
        CertificateSpec spec;
        spec.key = key;
        options_.cert_pem = Issue(spec, &root_).pem();
        options_.key_pem = Secret(key->pem());
      }
      client_context_ = ClientContext(options_);
      TlsPair pair;
      pair.Start(asking.get(), client_context_.get(), kHost);
      const TlsPair::Outcomes outcomes = pair.Handshake();
      EXPECT_EQ(outcomes.client, TlsOutcome::kDone) << pair.client.engine->error();
      EXPECT_EQ(outcomes.server, TlsOutcome::kDone) << pair.server.engine->error();
      EXPECT_NE(pair.client.engine->TakePeerCertificate(), nullptr);
      EXPECT_EQ(pair.server.engine->TakePeerCertificate() != nullptr, shown);
    }
  }
}

class OddServer : public ServerCertificate {
 protected:
  // What came of it; "" if the handshake completed.
  std::string Error(const std::string& cert_pem, const Key& key, const Tamper& tamper = nullptr) {
    BufferPool pool(64, 32);
    Side client(&pool);
    client.engine = TlsEngine::Client(client_context_.get(), kHost, nullptr);
    RawServer server(GetParam(), cert_pem, key.pem());
    const TlsOutcome outcome = server.Handshake(client, tamper);
    certificate_ = client.engine->TakePeerCertificate();
    if (outcome == TlsOutcome::kDone) {
      EXPECT_NE(certificate_, nullptr);
      return {};
    }
    EXPECT_EQ(outcome, TlsOutcome::kFailed);
    EXPECT_EQ(certificate_, nullptr);
    EXPECT_GT(server.alert(), 0) << client.engine->error();
    EXPECT_FALSE(client.engine->error().empty());
    return std::string(client.engine->error());
  }

  std::unique_ptr<PeerCertificate> certificate_;
};

INSTANTIATE_TEST_SUITE_P(Versions, OddServer,
                         testing::Values(TlsVersions::kTls12Only, TlsVersions::kTls13Only));

// Who cannot sign with the key gets no mail, whatever the policy.
TEST_P(OddServer, WrongSignature) {
  const Party victim = Issue(ServerSpec(), &root_);
  EXPECT_EQ(Error(victim.pem(), *victim.key), "");
  EXPECT_NE(Error(victim.pem(), *Key::Ecc()), "");
  CertificateSpec spec = ServerSpec();
  spec.key = Key::Rsa();
  const Party rsa = Issue(spec, &root_);
  EXPECT_EQ(Error(rsa.pem(), *rsa.key), "");
  EXPECT_NE(Error(rsa.pem(), *Key::Rsa(2056)), "");
}

TEST_P(OddServer, Leaves) {
  CertificateSpec spec = ServerSpec();
  spec.version = 1;
  Party leaf = Issue(spec, &root_);
  EXPECT_EQ(Error(leaf.pem(), *leaf.key), "");
  EXPECT_EQ(Judge(*certificate_, EgressTls::kTrusted), PolicyFault::kNone);
  spec = ServerSpec();
  spec.extensions = Extension("1.2.3", true, "x");
  leaf = Issue(spec, &root_);
  EXPECT_EQ(Error(leaf.pem(), *leaf.key), "");
  EXPECT_EQ(Judge(*certificate_, EgressTls::kTrusted), PolicyFault::kMalformed);
  spec = ServerSpec();
  spec.scheme = Scheme::kClaimsSha1;
  leaf = Issue(spec, &root_);
  EXPECT_EQ(Error(leaf.pem(), *leaf.key), "");
  EXPECT_EQ(Judge(*certificate_, EgressTls::kTrusted), PolicyFault::kMalformed);
  spec = ServerSpec();
  spec.names = {std::string(kHost) + "\0.evil"s};
  leaf = Issue(spec, &root_);
  EXPECT_EQ(Error(leaf.pem(), *leaf.key), "");
  EXPECT_TRUE(certificate_->names.empty());
  EXPECT_NE(Judge(*certificate_, EgressTls::kVerify), PolicyFault::kNone);
}

// A key that says of itself that it is another one.
class DisguisedKey : public Key {
 public:
  DisguisedKey(std::shared_ptr<const Key> real, std::string info) : real_(std::move(real)) {
    pem_ = real_->pem();
    info_ = std::move(info);
  }
  [[nodiscard]] std::string Sign(std::string_view message, Scheme scheme) const override {
    return real_->Sign(message, scheme);
  }
  [[nodiscard]] std::string Algorithm(Scheme scheme) const override {
    return real_->Algorithm(scheme);
  }

 private:
  std::shared_ptr<const Key> real_;
};

// Nobody but a client may go on without a proof (see wolfssl-unchecked-client-signature.patch).
TEST_P(OddServer, KeyThatCannotBeChecked) {
  for (const std::size_t octets : {513U, 1024U}) {
    const std::string modulus = std::string(1, '\0') + std::string(octets, '\xc3');
    const std::string numbers = Der(2, modulus) + Der(2, "\x01\x00\x01"s);
    CertificateSpec spec = ServerSpec();
    spec.key = std::make_shared<DisguisedKey>(
        Key::Rsa(), Der(0x30, Der(0x30, DerObjectId("1.2.840.113549.1.1.1") + Der(5, "")) +
                                  Der(3, std::string(1, '\0') + Der(0x30, numbers))));
    const Party leaf = Issue(spec, &root_);
    EXPECT_NE(Error(leaf.pem(), *leaf.key), "");
  }
}

// In clear, as TLS 1.2 has it, so that anything can stand in its place.
TEST(ServerCertificateMessages, MissingOrGarbage) {
  const Party leaf = Issue(ServerSpec(), nullptr);
  TlsClientOptions options;
  options.versions = TlsVersions::kTls12Only;
  options.groups = {"X25519", "P-256"};
  options.server_certificates = ServerCertificates::kTaken;
  const auto context = ClientContext(options);
  const auto with = [&](const std::string& record) {
    BufferPool pool(64, 32);
    Side client(&pool);
    client.engine = TlsEngine::Client(context.get(), kHost, nullptr);
    RawServer server(TlsVersions::kTls12Only, leaf.pem(), leaf.key->pem());
    bool replaced = false;
    const TlsOutcome outcome = server.Handshake(client, [&](std::string& flight) {
      for (std::size_t at = 0; at + 5 < flight.size();) {
        const std::size_t size =
            5 + (static_cast<std::size_t>(static_cast<unsigned char>(flight[at + 3])) << 8 |
                 static_cast<unsigned char>(flight[at + 4]));
        if (flight[at] == 22 && flight[at + 5] == 11 && !std::exchange(replaced, true)) {
          flight.replace(at, size, record);
          return;
        }
        at += size;
      }
    });
    EXPECT_TRUE(replaced);
    EXPECT_EQ(outcome, TlsOutcome::kFailed);
    const bool told = client.engine->error().starts_with("received alert ");
    EXPECT_TRUE(told || server.alert() > 0) << client.engine->error();
    EXPECT_FALSE(client.engine->handshake_complete());
    EXPECT_EQ(client.engine->TakePeerCertificate(), nullptr);
    return std::string(client.engine->error());
  };
  const auto message = [](const std::string& list) {
    return Record(22, "\x0b" + Vector(3, Vector(3, list)), 0x0303);
  };
  const std::string der = Vector(3, leaf.der);
  EXPECT_NE(with(""), "");  // no message
  EXPECT_NE(with(message("")), "");
  EXPECT_NE(with(message(Vector(3, "junk"))), "");
  EXPECT_NE(with(message(Vector(3, ""))), "");
  EXPECT_NE(with(message(Vector(3, "\x30\x82\xff\xff"))), "");
  EXPECT_NE(with(message(Vector(3, leaf.der.substr(0, 100)))), "");
  EXPECT_NE(with(message(der.substr(0, 50))), "");
  EXPECT_NE(with(message(Number(0xffffff, 3))), "");
  // Garbage behind a good leaf gets as far as the Finished, which knows of no garbage.
  EXPECT_NE(with(message(der + Vector(3, "junk") + Vector(3, ""))), "");
  // Another's certificate: its key did not sign.
  const Party other = Issue(ServerSpec(), nullptr);
  EXPECT_NE(with(message(Vector(3, other.der))), "");
}

std::size_t Number16(std::string_view octets, std::size_t at) {
  return static_cast<std::size_t>(static_cast<unsigned char>(octets[at])) << 8 |
         static_cast<unsigned char>(octets[at + 1]);
}

// The suites of a client's hello and the groups of its key shares, in their order.
struct Offer {
  std::vector<std::size_t> suites;
  std::vector<std::size_t> shares;
};

Offer OfferOf(std::string_view records) {
  Offer offer;
  std::string hello;
  for (std::size_t at = 0; at + 5 < records.size(); at += 5 + Number16(records, at + 3)) {
    if (records[at] == 22) {
      hello += records.substr(at + 5, Number16(records, at + 3));
    }
  }
  std::size_t at = 4 + 2 + 32;
  at += 1 + static_cast<unsigned char>(hello[at]);
  const std::size_t suites = Number16(hello, at);
  for (std::size_t i = 0; i < suites; i += 2) {
    offer.suites.push_back(Number16(hello, at + 2 + i));
  }
  at += 2 + suites;
  at += 1 + static_cast<unsigned char>(hello[at]) + 2;
  while (at + 4 <= hello.size()) {
    const std::size_t end = at + 4 + Number16(hello, at + 2);
    if (Number16(hello, at) == kKeyShare) {
      for (std::size_t share = at + 6; share < end; share += 4 + Number16(hello, share + 2)) {
        offer.shares.push_back(Number16(hello, share));
      }
    }
    at = end;
  }
  return offer;
}

constexpr std::size_t kX25519MlKem768 = 0x11ec;
constexpr std::size_t kX25519 = 0x001d;
constexpr std::size_t kP256 = 0x0017;

class KeyShares : public testing::Test {
 protected:
  Offer Start(std::size_t key_shares, const std::vector<std::string>& groups) {
    TlsClientOptions options;
    options.groups = groups;
    options.key_shares = key_shares;
    options.server_certificates = ServerCertificates::kTaken;
    client_context_ = ClientContext(options);
    pair_.Start(contexts_.get(), client_context_.get());
    EXPECT_EQ(pair_.client.Handshake(), TlsOutcome::kNeedInput);
    const std::string hello = Side::Drain(pair_.client.cipher_out);
    pair_.server.Receive(hello);
    return OfferOf(hello);
  }
  // The second hello, if the server wants one.
  std::string Finish() {
    (void)pair_.server.Handshake();
    pair_.ToClient();
    (void)pair_.client.Handshake();
    std::string second = Side::Drain(pair_.client.cipher_out);
    pair_.server.Receive(second);
    (void)pair_.server.Handshake();
    const TlsPair::Outcomes outcomes = pair_.Handshake();
    EXPECT_TRUE(pair_.server.engine->handshake_complete()) << pair_.server.engine->error();
    EXPECT_EQ(outcomes.client, TlsOutcome::kDone) << pair_.client.engine->error();
    EXPECT_NE(pair_.client.engine->TakePeerCertificate(), nullptr);
    return second;
  }

  std::shared_ptr<const TlsContextSet> contexts_ = Contexts({Certificate("ecdsa")});
  std::unique_ptr<TlsClientContext> client_context_;
  TlsPair pair_;
};

TEST_F(KeyShares, AsManyAsAskedFor) {
  const std::vector<std::string> groups = {"X25519MLKEM768", "X25519", "P-256"};
  using Shares = std::vector<std::size_t>;
  EXPECT_EQ(Start(1, groups).shares, (Shares{kX25519MlKem768}));
  Finish();
  EXPECT_EQ(Start(2, groups).shares, (Shares{kX25519MlKem768, kX25519}));
  Finish();
  EXPECT_EQ(pair_.client.engine->facts().group, "X25519MLKEM768");
  EXPECT_EQ(Start(3, groups).shares, (Shares{kX25519MlKem768, kX25519, kP256}));
  Finish();
  EXPECT_EQ(Start(9, {"X25519"}).shares, (Shares{kX25519}));
  Finish();
  EXPECT_EQ(Start(2, {"P-256", "X25519"}).shares, (Shares{kP256, kX25519}));
  Finish();
  TlsClientOptions none;
  none.key_shares = 0;
  EXPECT_FALSE(TlsClientContext::Create(none).ok());
}

TEST_F(KeyShares, AesFirst) {
  const std::vector<std::size_t> suites = Start(2, {"X25519MLKEM768", "X25519"}).suites;
  ASSERT_GT(suites.size(), 6U);
  EXPECT_EQ(suites[0], 0x1301U);
  const auto place = [&](std::size_t suite) {
    return std::find(suites.begin(), suites.end(), suite) - suites.begin();
  };
  for (const std::size_t aes128 : {0xc02bU, 0xc02fU}) {
    for (const std::size_t other : {0xc02cU, 0xc030U, 0xcca8U, 0xcca9U}) {
      EXPECT_LT(place(aes128), place(other));
    }
  }
  Finish();
  EXPECT_EQ(pair_.client.engine->facts().suite, "TLS_AES_128_GCM_SHA256");
}

// Servers that have no use for the shares: one that speaks P-256 only, and one of TLS 1.2.
TEST_F(KeyShares, OlderServers) {
  TlsClientOptions options;
  options.groups = {"X25519MLKEM768", "X25519", "P-256"};
  options.key_shares = 2;
  options.server_certificates = ServerCertificates::kTaken;
  client_context_ = ClientContext(options);
  const Party leaf = Issue(ServerSpec(), nullptr);
  for (const TlsVersions versions : {TlsVersions::kTls13Only, TlsVersions::kTls12Only}) {
    BufferPool pool(64, 32);
    Side client(&pool);
    client.engine = TlsEngine::Client(client_context_.get(), kHost, nullptr);
    RawServer server(versions, leaf.pem(), leaf.key->pem());
    server.UseGroup(WOLFSSL_ECC_SECP256R1);
    EXPECT_EQ(server.Handshake(client), TlsOutcome::kDone) << client.engine->error();
    EXPECT_EQ(client.engine->facts().group, "P-256");
    EXPECT_EQ(client.engine->facts().version,
              versions == TlsVersions::kTls12Only ? "TLSv1.2" : "TLSv1.3");
    EXPECT_EQ(server.asked_again(), versions == TlsVersions::kTls13Only);
    EXPECT_NE(client.engine->TakePeerCertificate(), nullptr);
  }
}

// PROTOCOL 31, of a server.
class HostileServer : public testing::Test {
 protected:
  HostileServer() {
    TlsClientOptions options;
    options.groups = {"X25519", "P-256"};
    options.server_certificates = ServerCertificates::kTaken;
    client_context_ = ClientContext(options);
    client_.engine = TlsEngine::Client(client_context_.get(), kHost, nullptr);
    EXPECT_EQ(server_.Handshake(client_), TlsOutcome::kDone) << client_.engine->error();
  }
  TlsOutcome Read(const std::string& octets) {
    client_.Receive(octets);
    return client_.Read();
  }
  static std::string KeyUpdates(int count, char request) {
    std::string updates;
    for (int i = 0; i < count; ++i) {
      updates += Number(24, 1) + Vector(3, std::string(1, request));
    }
    return updates;
  }

  const Party leaf_ = Issue(ServerSpec(), nullptr);
  BufferPool pool_{64, 32};
  Side client_{&pool_};
  std::unique_ptr<TlsClientContext> client_context_;
  RawServer server_{TlsVersions::kTls13Only, leaf_.pem(), leaf_.key->pem()};
};

TEST_F(HostileServer, SealsAsAServerDoes) {
  EXPECT_EQ(Read(server_.Seal(23, "220 x\r\n")), TlsOutcome::kDone);
  EXPECT_EQ(Read(server_.SealKeyUpdate()), TlsOutcome::kDone);
  EXPECT_EQ(Read(server_.Seal(22, KeyUpdates(1, 1))), TlsOutcome::kDone);
  EXPECT_FALSE(client_.cipher_out.empty());  // our own
  EXPECT_EQ(Side::Drain(client_.plain_in), "220 x\r\n");
}

// Then the keys that the handshake has made are not those in use when content comes.
TEST_F(HostileServer, KeyUpdateBeforeContent) {
  EXPECT_EQ(Read(server_.SealKeyUpdate()), TlsOutcome::kDone);
  EXPECT_EQ(Read(server_.Seal(23, "220 x\r\n")), TlsOutcome::kDone);
  EXPECT_EQ(Read(server_.Seal(23, "250 x\r\n")), TlsOutcome::kDone) << client_.engine->error();
  EXPECT_EQ(Read(server_.SealKeyUpdate()), TlsOutcome::kDone);
  EXPECT_EQ(Read(server_.Seal(23, "221 x\r\n")), TlsOutcome::kDone) << client_.engine->error();
  EXPECT_EQ(Side::Drain(client_.plain_in), "220 x\r\n250 x\r\n221 x\r\n");
}

// Of those behind content, which nobody needs.
TEST_F(HostileServer, TicketsWithoutEnd) {
  const std::string ticket = Number(4, 1) + Vector(3, std::string(15'000, 't'));
  EXPECT_EQ(Read(server_.Seal(23, "x")), TlsOutcome::kDone);
  TlsOutcome outcome = TlsOutcome::kDone;
  int tickets = 0;
  for (; outcome == TlsOutcome::kDone && tickets < 100; ++tickets) {
    outcome = Read(server_.Seal(22, ticket));
    if (outcome == TlsOutcome::kDone) {
      outcome = Read(server_.Seal(23, "x"));
    }
  }
  EXPECT_EQ(outcome, TlsOutcome::kFlood) << client_.engine->error();
  EXPECT_EQ(tickets, 9);
}

TEST_F(HostileServer, ManyRequestsInOneRecordBehindContent) {
  EXPECT_EQ(Read(server_.Seal(23, "x")), TlsOutcome::kDone);
  EXPECT_EQ(Read(server_.Seal(22, KeyUpdates(3000, 1))), TlsOutcome::kFailed);
  EXPECT_EQ(client_.engine->error(),
            "KeyUpdate with more behind it; sent alert unexpected_message");
  EXPECT_LT(client_.cipher_out.size(), 1000U);
}

// Each of them would have an answer.
TEST_F(HostileServer, ManyRequestsInOneRecord) {
  EXPECT_EQ(Read(server_.Seal(22, KeyUpdates(3000, 1))), TlsOutcome::kFlood);
  EXPECT_LT(client_.cipher_out.size(), 1000U);
}

// Nor does text in between help.
TEST_F(HostileServer, KeyUpdatesWithoutEnd) {
  TlsOutcome outcome = TlsOutcome::kDone;
  int updates = 0;
  for (; outcome == TlsOutcome::kDone && updates < 10000; ++updates) {
    outcome = Read(server_.SealKeyUpdate());
    if (outcome == TlsOutcome::kDone) {
      outcome = Read(server_.Seal(23, "x"));
    }
  }
  EXPECT_EQ(outcome, TlsOutcome::kFlood) << client_.engine->error();
  EXPECT_GT(updates, 5000);
  EXPECT_LT(updates, 7000);
}

}  // namespace
}  // namespace ringpost::test
