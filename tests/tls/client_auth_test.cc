// SPDX-License-Identifier: GPL-3.0-or-later
//
// Handshakes in which the server asks for a certificate: each one completes, whatever is presented,
// as long as the client holds the key; and nothing that is presented leaves a trace.
#include <gtest/gtest.h>
#include <malloc.h>
#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <string>
#include <vector>

#include "../x509/authority.h"
#include "hello_builder.h"
#include "raw_client.h"
#include "ringpost/x509/trust_store.h"

namespace ringpost::test {
namespace {

std::shared_ptr<const TlsContextSet> Asking(TicketKeys* keys = nullptr) {
  TlsContextOptions options;
  options.certificates = {Certificate("ecdsa"), Certificate("rsa")};
  options.route = "mx";
  options.ticket_keys = keys;
  options.ask_certificate = true;
  auto set = TlsContextSet::Load(options, kNow);
  EXPECT_TRUE(set.ok()) << set.status();
  return set.ok() ? *set : nullptr;
}

std::string PemOf(const std::vector<Party>& chain) {
  std::string pem;
  for (const Party& party : chain) {
    pem += party.pem();
  }
  return pem;
}

class ClientAuth : public testing::TestWithParam<TlsVersions> {
 protected:
  const LibraryClock clock_;
  ClientAuth() {
    std::vector<NamedText> files = {{"ca.pem", root_.pem()}};
    TrustOptions options;
    options.ca_files = files;
    store_ = std::move(*TrustStore::Load(options, kNow));
  }

  // A whole connection; nullptr: nothing was presented, or the handshake failed.
  std::unique_ptr<PeerCertificate> Connect(const std::vector<Party>& chain, std::size_t chunk = 0) {
    TlsClientOptions options;
    options.versions = GetParam();
    if (!chain.empty()) {
      options.cert_pem = PemOf(chain);
      options.key_pem = Secret(chain.front().key->pem());
    }
    const auto client_context = ClientContext(options);
    TlsPair pair;
    pair.Start(asking_.get(), client_context.get());
    EXPECT_EQ(pair.server.engine->TakePeerCertificate(), nullptr);
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
    auto certificate = pair.server.engine->TakePeerCertificate();
    EXPECT_EQ(pair.server.engine->TakePeerCertificate(), nullptr);
    return certificate;
  }
  // What is presented arrives as it was sent, and is judged so.
  void ExpectFault(const std::vector<Party>& chain, PolicyFault fault) {
    SCOPED_TRACE(PolicyFaultName(fault));
    const auto certificate = Connect(chain);
    ASSERT_NE(certificate, nullptr);
    ASSERT_EQ(certificate->chain.size(), chain.size());
    for (std::size_t i = 0; i < chain.size(); ++i) {
      EXPECT_EQ(certificate->chain[i], chain[i].der) << i;
    }
    EXPECT_TRUE(certificate->key_proven);
    EXPECT_EQ(store_->Verify(*certificate, kNow), fault);
  }

  // The same for a leaf that no client should have.
  std::unique_ptr<PeerCertificate> ConnectOdd(const Party& leaf) {
    BufferPool pool(64, 32);
    Side server(&pool);
    server.engine = TlsEngine::Server(asking_.get());
    RawClient client(GetParam());
    client.UseCertificate(leaf.pem(), leaf.key->pem());
    client.Handshake(server);
    return server.engine->TakePeerCertificate();
  }
  void ExpectFaultOfOdd(const CertificateSpec& spec, PolicyFault fault) {
    SCOPED_TRACE(PolicyFaultName(fault));
    const Party leaf = Issue(spec, &root_);
    const auto certificate = ConnectOdd(leaf);
    ASSERT_NE(certificate, nullptr);
    EXPECT_EQ(certificate->chain, std::vector<std::string>{leaf.der});
    EXPECT_EQ(store_->Verify(*certificate, kNow), fault);
  }

  Party root_ = Issue(CertificateSpec::Ca("Root"), nullptr);
  std::shared_ptr<const TlsContextSet> asking_ = Asking();
  std::unique_ptr<TrustStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Versions, ClientAuth,
                         testing::Values(TlsVersions::kTls12Only, TlsVersions::kTls13Only));

TEST_P(ClientAuth, NoCertificate) { EXPECT_EQ(Connect({}), nullptr); }

TEST_P(ClientAuth, Good) {
  const Party intermediate = Issue(CertificateSpec::Ca("Issuing CA"), &root_);
  ExpectFault({Issue({}, &intermediate), intermediate}, PolicyFault::kNone);
  ExpectFault({Issue({}, &root_)}, PolicyFault::kNone);
  const auto certificate = Connect({Issue({}, &root_)}, 1);
  ASSERT_NE(certificate, nullptr);
  EXPECT_EQ(certificate->subject, "CN=mail.contoso.example, O=Contoso");
}

TEST_P(ClientAuth, Keys) {
  for (const auto& key : {Key::Ecc(48), Key::Ecc(66), Key::Rsa()}) {
    CertificateSpec spec;
    spec.key = key;
    ExpectFault({Issue(spec, &root_)}, PolicyFault::kNone);
  }
}

// Each of them completes; what it is worth is said later.
TEST_P(ClientAuth, Bad) {
  const Party other = Issue(CertificateSpec::Ca("Other"), nullptr);
  ExpectFault({Issue({}, &other), other}, PolicyFault::kUntrusted);
  ExpectFault({Issue({}, nullptr)}, PolicyFault::kSelfSigned);
  CertificateSpec spec;
  spec.not_after = kNow - 1;
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kExpired);
  spec = {};
  spec.not_before = kNow + 1;
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kNotYetValid);
  // Expired, and not yet valid, by any clock.
  spec.not_before = 0;
  spec.not_after = 86400;
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kExpired);
  spec.not_before = 2'400'000'000;
  spec.not_after = 2'500'000'000;
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kNotYetValid);
  spec = {};
  spec.purposes = {std::string(kServerPurpose)};
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kNone);  // purposes are the policy's
  spec.purposes = {"1.3.6.1.5.5.7.3.4"};
  spec.usage = kKeyEncipherment;
  ExpectFault({Issue(spec, &root_)}, PolicyFault::kNone);
  spec = CertificateSpec::Ca("No CA");
  spec.ca = false;
  const Party no_ca = Issue(spec, &root_);
  ExpectFault({Issue({}, &no_ca), no_ca}, PolicyFault::kInvalidCa);
  spec = {};
  spec.names = {std::string("mail.contoso.example\0.evil", 26), "*.com"};
  const auto nul = ConnectOdd(Issue(spec, &root_));
  ASSERT_NE(nul, nullptr);
  EXPECT_TRUE(nul->names.empty());
  spec = {};
  spec.extensions = Extension("1.2.3", true, "x");
  ExpectFaultOfOdd(spec, PolicyFault::kMalformed);
  spec.extensions = Extension("2.5.29.19", true, "x");  // twice, and broken
  ExpectFaultOfOdd(spec, PolicyFault::kMalformed);
  spec = {};
  spec.scheme = Scheme::kClaimsSha1;
  ExpectFaultOfOdd(spec, PolicyFault::kMalformed);
  spec = {};
  spec.version = 1;
  ExpectFaultOfOdd(spec, PolicyFault::kNone);
}

TEST_P(ClientAuth, StrangeChains) {
  const Party upper = Issue(CertificateSpec::Ca("Upper"), &root_);
  const Party lower = Issue(CertificateSpec::Ca("Lower"), &upper);
  const Party leaf = Issue({}, &lower);
  const Party stranger = Issue(CertificateSpec::Ca("Stranger"), nullptr);
  ExpectFault({leaf, upper, lower}, PolicyFault::kNone);
  ExpectFault({leaf, stranger, root_, lower, upper, stranger}, PolicyFault::kNone);
  ExpectFault({leaf, upper}, PolicyFault::kUntrusted);
  std::vector<Party> chain = {root_};
  for (int i = 0; i < 8; ++i) {
    chain.insert(chain.begin(),
                 Issue(CertificateSpec::Ca("CA " + std::to_string(i)), &chain.front()));
  }
  chain.insert(chain.begin(), Issue({}, &chain.front()));
  chain.pop_back();
  ExpectFault(chain, PolicyFault::kNone);  // nine
}

// The key is not a matter of trust: who cannot sign with it does not get in.
TEST_P(ClientAuth, WrongSignature) {
  const Party victim = Issue({}, &root_);
  BufferPool pool(64, 32);
  Side server(&pool);
  for (const bool honest : {true, false}) {
    server.engine = TlsEngine::Server(asking_.get());
    RawClient client(GetParam());
    client.UseCertificate(victim.pem(), honest ? victim.key->pem() : Key::Ecc()->pem());
    EXPECT_EQ(client.TryHandshake(server), honest);
    EXPECT_EQ(server.engine->handshake_complete(), honest);
    EXPECT_EQ(server.engine->TakePeerCertificate() != nullptr, honest);
    EXPECT_EQ(server.engine->error().empty(), honest) << server.engine->error();
    for (ByteQueue* const queue : {&server.cipher_in, &server.cipher_out}) {
      queue->Clear();
    }
  }
}

TEST_P(ClientAuth, MissingSignature) {
  const Party victim = Issue({}, &root_);
  BufferPool pool(64, 32);
  Side server(&pool);
  server.engine = TlsEngine::Server(asking_.get());
  RawClient client(GetParam());
  client.UseCertificate(victim.pem(), victim.key->pem());
  bool dropped = false;
  EXPECT_FALSE(client.TryHandshake(server, [&](std::string& flight) {
    dropped |=
        client.ChangeCertificateVerify(flight, [](std::string& message) { message.clear(); });
  }));
  EXPECT_TRUE(dropped);
  EXPECT_FALSE(server.engine->handshake_complete());
  EXPECT_EQ(server.engine->TakePeerCertificate(), nullptr);
  // Because it is missing, not because something else does not fit.
  const std::string error(server.engine->error());
  EXPECT_TRUE(error.starts_with(GetParam() == TlsVersions::kTls13Only
                                    ? "Out of order message"
                                    : "Need peer certificate verify"))
      << error;
}

// A key that says of itself that it is another one, and signs nevertheless.
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

std::string RsaInfo(std::size_t octets, const std::string& algorithm = "1.2.840.113549.1.1.1") {
  const std::string modulus = std::string(1, '\0') + std::string(octets, '\xc3');
  const std::string numbers = Der(2, modulus) + Der(2, std::string("\x01\x00\x01", 3));
  return Der(0x30, Der(0x30, DerObjectId(algorithm) + Der(5, "")) +
                       Der(3, std::string(1, '\0') + Der(0x30, numbers)));
}

// wolfSSL was not built for RSA of more than 4096 bits.
TEST_P(ClientAuth, KeyThatCannotBeChecked) {
  for (const std::size_t bits : {4104U, 8192U, 16384U}) {
    SCOPED_TRACE(bits);
    CertificateSpec spec;
    spec.key = std::make_shared<DisguisedKey>(Key::Rsa(), RsaInfo(bits / 8));
    const Party leaf = Issue(spec, &root_);
    const auto certificate = ConnectOdd(leaf);
    ASSERT_NE(certificate, nullptr);
    EXPECT_FALSE(certificate->key_proven);
    EXPECT_EQ(certificate->chain, std::vector<std::string>{leaf.der});
    EXPECT_EQ(certificate->subject, "CN=mail.contoso.example, O=Contoso");
  }
  // The message must be there all the same, and whole.
  CertificateSpec spec;
  spec.key = std::make_shared<DisguisedKey>(Key::Rsa(), RsaInfo(1024));
  const Party leaf = Issue(spec, &root_);
  BufferPool pool(64, 32);
  for (const std::string& message :
       {std::string(), std::string("\x0f\0\0\3\x08\4\0", 7),
        std::string("\x0f\0\0\5\x08\4\0\2x", 9), std::string("\x0f\0\0\7\x08\4\0\2xyz", 11)}) {
    Side server(&pool);
    server.engine = TlsEngine::Server(asking_.get());
    RawClient client(GetParam());
    client.UseCertificate(leaf.pem(), leaf.key->pem());
    EXPECT_FALSE(client.TryHandshake(server, [&](std::string& flight) {
      (void)client.ChangeCertificateVerify(flight, [&](std::string& old) {
        const bool tls13 = GetParam() == TlsVersions::kTls13Only;
        old = message.empty() ? message : message + (tls13 ? "\x16" : "");
      });
    }));
    EXPECT_EQ(server.engine->TakePeerCertificate(), nullptr);
  }
}

// RFC 8446 4.2.3: a scheme goes with a kind of key.
TEST_P(ClientAuth, SchemeOfAnotherKey) {
  const bool tls13 = GetParam() == TlsVersions::kTls13Only;
  struct Case {
    std::shared_ptr<const Key> key;
    std::string scheme;
    bool in_tls12;  // there a scheme of ECDSA stands for a hash only
  };
  const std::vector<Case> cases = {{Key::Rsa(), "\x08\x09", true},
                                   {Key::Rsa(), "\x08\x0a", true},
                                   {Key::Rsa(), "\x08\x0b", true},
                                   {Key::Ecc(32), "\x05\x03", false},
                                   {Key::Ecc(32), "\x06\x03", false},
                                   {Key::Ecc(48), "\x04\x03", false},
                                   {Key::Ecc(66), "\x05\x03", false},
                                   {Key::Rsa(), std::string("\x02\x01"), true},
                                   {Key::Rsa(), std::string("\x03\x01"), true}};
  BufferPool pool(64, 32);
  for (const Case& test : cases) {
    if (!tls13 && !test.in_tls12) {
      continue;
    }
    SCOPED_TRACE(testing::PrintToString(test.scheme));
    CertificateSpec spec;
    spec.key = test.key;
    const Party leaf = Issue(spec, &root_);
    Side server(&pool);
    server.engine = TlsEngine::Server(asking_.get());
    RawClient client(GetParam());
    client.UseCertificate(leaf.pem(), leaf.key->pem());
    bool changed = false;
    EXPECT_FALSE(client.TryHandshake(server, [&](std::string& flight) {
      changed |= client.ChangeCertificateVerify(
          flight, [&](std::string& message) { message.replace(4, 2, test.scheme); });
    }));
    EXPECT_TRUE(changed);
    EXPECT_TRUE(server.engine->error().ends_with("; sent alert illegal_parameter"))
        << server.engine->error();
    EXPECT_EQ(server.engine->TakePeerCertificate(), nullptr);
  }
}

// What CertificateRequest offers in TLS 1.2, where it is in clear: no SHA-1 and no SHA-224.
TEST(ClientAuthMessages, OfferedSchemes) {
  const auto asking = Asking();
  BufferPool pool(64, 32);
  Side server(&pool);
  server.engine = TlsEngine::Server(asking.get());
  server.Receive(HelloBuilder::Tls12().Records());
  ASSERT_EQ(server.Handshake(), TlsOutcome::kNeedInput);
  const std::string flight = Side::Drain(server.cipher_out);
  std::string request;
  for (std::size_t at = 0; at + 9 < flight.size();) {
    const std::size_t length = static_cast<std::size_t>(static_cast<unsigned char>(flight[at + 3]))
                                   << 8 |
                               static_cast<unsigned char>(flight[at + 4]);
    if (flight[at + 5] == 13) {
      request = flight.substr(at + 9, length - 4);
    }
    at += 5 + length;
  }
  ASSERT_GT(request.size(), 8U);
  const std::size_t types = static_cast<unsigned char>(request[0]);
  const std::size_t list = 1 + types;
  const std::size_t size = static_cast<std::size_t>(static_cast<unsigned char>(request[list]))
                               << 8 |
                           static_cast<unsigned char>(request[list + 1]);
  ASSERT_EQ(request.size(), list + 2 + size + 2);  // and no CAs
  EXPECT_GE(size, 12U);
  for (std::size_t at = list + 2; at < list + 2 + size; at += 2) {
    EXPECT_GE(request[at], 4) << testing::PrintToString(request.substr(at, 2));
  }
}

// The certificate message with something else in it: the handshake fails, in an orderly way.
TEST(ClientAuthMessages, GarbageInThem) {
  const auto asking = Asking();
  const Party root = Issue(CertificateSpec::Ca("Root"), nullptr);
  const Party leaf = Issue({}, &root);
  BufferPool pool(64, 32);
  const auto with = [&](const std::string& list) {
    Side server(&pool);
    server.engine = TlsEngine::Server(asking.get());
    RawClient client(TlsVersions::kTls12Only);
    client.UseCertificate(leaf.pem(), leaf.key->pem());
    bool replaced = false;
    EXPECT_FALSE(client.TryHandshake(server, [&](std::string& flight) {
      if (flight.size() > 6 && flight[0] == 22 && flight[5] == 11) {
        const std::size_t length = static_cast<std::size_t>(static_cast<unsigned char>(flight[3]))
                                       << 8 |
                                   static_cast<unsigned char>(flight[4]);
        flight = Record(22, "\x0b" + Vector(3, list), 0x0303) + flight.substr(5 + length);
        replaced = true;
      }
    }));
    EXPECT_TRUE(replaced);
    EXPECT_FALSE(server.engine->handshake_complete());
    EXPECT_EQ(server.engine->TakePeerCertificate(), nullptr);
    return std::string(server.engine->error());
  };
  const std::string der = Vector(3, leaf.der);
  const auto list = [](const std::string& content) { return Vector(3, content); };
  EXPECT_NE(with(list(Vector(3, "junk"))), "");
  EXPECT_NE(with(list(Vector(3, ""))), "");
  EXPECT_NE(with(list(Vector(3, "\x30\x82\xff\xff"))), "");
  EXPECT_NE(with(list(Vector(3, leaf.der.substr(0, 100)))), "");
  EXPECT_NE(with(list(der).substr(0, 50)), "");
  EXPECT_NE(with(""), "");
  EXPECT_NE(with(list(Number(0xffffff, 3))), "");
  std::string ten;
  for (int i = 0; i < 10; ++i) {
    ten += der;
  }
  EXPECT_NE(with(list(ten)), "");  // one more than anyone needs
  // Garbage behind a good leaf gets as far as the client's Finished, which knows of no garbage.
  EXPECT_NE(with(list(der + Vector(3, "junk") + Vector(3, ""))), "");
}

// An intermediate that cannot be parsed does not keep a good leaf out.
TEST_P(ClientAuth, GarbageAsIntermediate) {
  Party garbage;
  garbage.der = "\x30\x03\x02\x01\x01";
  ExpectFault({Issue({}, &root_), garbage}, PolicyFault::kNone);
  garbage.der = std::string(300, 'x');
  ExpectFault({Issue({}, &root_), garbage, root_}, PolicyFault::kNone);
}

// wolfSSL adds the intermediates of a handshake to the context's CAs if one lets it.
TEST_P(ClientAuth, HostileChainsLeaveNoTrace) {
  const Party evil = Issue(CertificateSpec::Ca("Root"), nullptr);  // by the real root's name
  const Party good = Issue({}, &root_);
  std::size_t before = 0;
  for (int i = 0; i < 300; ++i) {
    const Party evil_ca = Issue(CertificateSpec::Ca("CA " + std::to_string(i)), &evil);
    const Party evil_leaf = Issue({}, &evil_ca);
    ExpectFault({evil_leaf, evil_ca, evil}, PolicyFault::kUntrusted);
    // What was shown a moment ago does not count now.
    ExpectFault({evil_leaf, evil_ca}, PolicyFault::kUntrusted);
    ExpectFault({evil_leaf}, PolicyFault::kUntrusted);
    if (i % 50 == 0) {
      ExpectFault({good}, PolicyFault::kNone);
    }
    if (i == 99) {
      before = mallinfo2().uordblks;
    }
  }
  // An intermediate that stays costs some hundred octets.
  EXPECT_LT(mallinfo2().uordblks, before + 16 * 1024);
  // What wolfSSL itself would now make of them.
  const Party evil_ca = Issue(CertificateSpec::Ca("Last CA"), &evil);
  const Party evil_leaf = Issue({}, &evil_ca);
  ExpectFault({evil_leaf, evil_ca, evil}, PolicyFault::kUntrusted);
  WOLFSSL_CERT_MANAGER* const manager = wolfSSL_CTX_GetCertManager(asking_->Choose(ClientHello{}));
  for (const Party* const party : {&evil_leaf, &evil_ca}) {
    EXPECT_EQ(wolfSSL_CertManagerVerifyBuffer(
                  manager, reinterpret_cast<const unsigned char*>(party->der.data()),
                  static_cast<long>(party->der.size()), WOLFSSL_FILETYPE_ASN1),
              ASN_NO_SIGNER_E);
  }
}

// PROTOCOL 30: where clients are asked, there is no resumption that could hide what they are.
TEST_P(ClientAuth, NoTickets) {
  const auto keys = TicketKeys::Random(kNow);
  const auto asking = Asking(keys.get());
  const auto open = Contexts({Certificate("ecdsa"), Certificate("rsa")}, keys.get());
  const Party leaf = Issue({}, &root_);
  TlsClientOptions options;
  options.versions = GetParam();
  options.resumption = TlsResumption::kOn;
  options.cert_pem = leaf.pem();
  options.key_pem = Secret(leaf.key->pem());
  const auto client_context = ClientContext(options);
  const auto connect = [&](const TlsContextSet* contexts, const TlsSession* session, bool resumed) {
    SCOPED_TRACE(contexts == asking.get() ? "asking" : "open");
    TlsPair pair;
    pair.Start(contexts, client_context.get(), "mx.example.test", session);
    EXPECT_EQ(pair.Handshake().server, TlsOutcome::kDone) << pair.server.engine->error();
    EXPECT_EQ(pair.server.Write("220 x\r\n"), TlsOutcome::kDone);
    pair.ToClient();
    EXPECT_EQ(pair.client.Read(), TlsOutcome::kDone);
    EXPECT_EQ(pair.server.engine->facts().resumed, resumed);
    EXPECT_EQ(pair.server.engine->TakePeerCertificate() != nullptr, contexts == asking.get());
    return pair.client.engine->TakeSession();
  };
  // The route begins to ask, as after a reload: what it gave before is worth nothing now.
  const auto ticket = connect(open.get(), nullptr, false);
  ASSERT_NE(ticket, nullptr);
  connect(open.get(), ticket.get(), true);
  connect(asking.get(), ticket.get(), false);
  // Nor does it give any itself.
  const auto none = connect(asking.get(), nullptr, false);
  connect(asking.get(), none.get(), false);
  connect(open.get(), none.get(), false);
  // And back: the old ticket was never used up.
  connect(open.get(), ticket.get(), true);
}

// Nothing changes where nobody is asked.
TEST_P(ClientAuth, NotAsked) {
  const auto contexts = Contexts({Certificate("ecdsa")});
  const Party leaf = Issue({}, &root_);
  TlsClientOptions options;
  options.versions = GetParam();
  options.cert_pem = leaf.pem();
  options.key_pem = Secret(leaf.key->pem());
  const auto client_context = ClientContext(options);
  TlsPair pair;
  pair.Start(contexts.get(), client_context.get());
  EXPECT_EQ(pair.Handshake().server, TlsOutcome::kDone);
  EXPECT_EQ(pair.server.engine->TakePeerCertificate(), nullptr);
}

TEST(ClientAuthOptions, CertificateAndKeyMustFit) {
  const Party one = Issue({}, nullptr);
  const Party two = Issue({}, nullptr);
  TlsClientOptions options;
  options.cert_pem = one.pem();
  options.key_pem = Secret(two.key->pem());
  EXPECT_FALSE(TlsClientContext::Create(options).ok());
  options.key_pem = Secret();
  EXPECT_FALSE(TlsClientContext::Create(options).ok());
  options.cert_pem = "x";
  options.key_pem = Secret(one.key->pem());
  EXPECT_FALSE(TlsClientContext::Create(options).ok());
}

}  // namespace
}  // namespace ringpost::test
