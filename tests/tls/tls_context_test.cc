// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tls/tls_context.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "certificate_chain.h"
#include "hello_builder.h"
#include "ringpost/tls/client_hello.h"
#include "tls_fixture.h"

namespace ringpost::test {
namespace {

ClientHello Hello(const HelloBuilder& builder) {
  ClientHello hello;
  EXPECT_FALSE(ReadClientHello(builder.Message(), hello).has_value());
  return hello;
}

TEST(TlsContextTest, Summaries) {
  const auto contexts = Contexts({Certificate("ecdsa"), Certificate("rsa")});
  ASSERT_EQ(contexts->summaries().size(), 2U);
  const TlsCertificateSummary& ecdsa = contexts->summaries()[0];
  EXPECT_EQ(ecdsa.names, (std::vector<std::string>{"mx.example.test", "localhost"}));
  EXPECT_EQ(ecdsa.key, "ECDSA P-256");
  EXPECT_EQ(ecdsa.issuer, "ringpost throw-away CA");
  EXPECT_EQ(ecdsa.not_after - ecdsa.not_before, 30 * 86400);
  EXPECT_EQ(contexts->summaries()[1].key, "RSA 2048");
}

TEST(TlsContextTest, Expiry) {
  TlsContextOptions options;
  options.certificates = {SelfSigned("expiry", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
                                     "-addext subjectAltName=DNS:odd.example")};
  const auto probe = TlsContextSet::Load(options, 0);
  ASSERT_TRUE(probe.ok());
  ASSERT_EQ((*probe)->warnings().size(), 1U);
  EXPECT_NE((*probe)->warnings()[0].find("valid only from"), std::string::npos);
  const TlsCertificateSummary& summary = (*probe)->summaries()[0];
  EXPECT_TRUE((*TlsContextSet::Load(options, summary.not_before))->warnings().empty());
  EXPECT_TRUE((*TlsContextSet::Load(options, summary.not_after - 1))->warnings().empty());
  const auto expired = *TlsContextSet::Load(options, summary.not_after);
  ASSERT_EQ(expired->warnings().size(), 1U);
  EXPECT_NE(expired->warnings()[0].find("expired"), std::string::npos);
  EXPECT_NE(expired->warnings()[0].find(options.certificates[0].cert_path), std::string::npos);
}

void ExpectError(const TlsCertificatePem& pem, const std::string& words) {
  TlsContextOptions options;
  options.certificates = {pem};
  const auto set = TlsContextSet::Load(options, kNow);
  ASSERT_FALSE(set.ok()) << words;
  const std::string message(set.status().message());
  EXPECT_NE(message.find(words), std::string::npos) << message;
  EXPECT_TRUE(message.find(pem.cert_path) != std::string::npos ||
              message.find(pem.key_path) != std::string::npos)
      << message;
}

TEST(TlsContextTest, Errors) {
  const TlsCertificatePem good = Certificate("ecdsa");
  TlsCertificatePem pem = good;
  pem.cert_pem = "hello";
  ExpectError(pem, "holds no certificate in PEM form");
  pem.cert_pem = std::string(good.key_pem.view());
  ExpectError(pem, "holds no certificate in PEM form");
  pem.cert_pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
  ExpectError(pem, "cannot be read");
  pem.cert_pem = good.cert_pem.substr(0, good.cert_pem.size() - 60);
  ExpectError(pem, good.cert_path);

  pem = good;
  pem.key_pem = Secret();
  ExpectError(pem, "holds no private key in PEM form");
  pem.key_pem = Certificate("rsa").key_pem;
  ExpectError(pem, "does not match");
  pem.key_pem = Certificate("ecdsa", {"other.example"}).key_pem;
  ExpectError(pem, "does not match");
  pem = Certificate("rsa");
  pem.key_pem = Certificate("rsa", {"other.example"}).key_pem;
  ExpectError(pem, "does not match");

  pem = good;
  const std::string encrypted = TemporaryFolder() + "/encrypted.key";
  RunCommand("openssl pkey -aes128 -passout pass:x -in " + good.key_path + " -out " + encrypted);
  pem.key_path = encrypted;
  pem.key_pem = Secret(ReadFile(encrypted));
  ExpectError(pem, "is encrypted");

  ExpectError(SelfSigned("small", "-algorithm RSA -pkeyopt rsa_keygen_bits:1024"), "1024 bits");
  ExpectError(SelfSigned("ed25519", "-algorithm ed25519"), "not supported");
  ExpectError(SelfSigned("sha1", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "-sha1"), "SHA-1");

  EXPECT_FALSE(TlsContextSet::Load({}, kNow).ok());
}

std::string CaPath() {
  return std::filesystem::path(Certificate("ecdsa").cert_path).parent_path() / "ca.pem";
}
std::string Path(const std::string& name) { return TemporaryFolder() + "/" + name; }

// What no handshake could use is refused when it is loaded.
TEST(TlsContextTest, RsaKeysOfMoreThan4096Bits) {
  const auto made = [](const std::string& bits) {
    return SelfSigned("rsa" + bits, "-algorithm RSA -pkeyopt rsa_keygen_bits:" + bits);
  };
  const TlsCertificatePem longest = made("4096");
  EXPECT_EQ(Contexts({longest})->summaries().front().key, "RSA 4096");
  EXPECT_TRUE(TlsContextSet::ProveKey(longest).ok());
  ExpectError(made("4104"), "4104 bits; at most 4096");
}

TEST(TlsContextTest, EveryKeySignsOnce) {
  for (const std::string curve : {"P-256", "P-384", "P-521"}) {
    const auto pem =
        SelfSigned("sign" + curve, "-algorithm EC -pkeyopt ec_paramgen_curve:" + curve);
    EXPECT_TRUE(TlsContextSet::ProveKey(pem).ok()) << curve;
  }
  const TlsCertificatePem rsa = Certificate("rsa");
  EXPECT_TRUE(TlsContextSet::ProveKey(rsa).ok());
  TlsCertificatePem other = rsa;
  other.key_pem = Certificate("ecdsa").key_pem;
  EXPECT_FALSE(TlsContextSet::ProveKey(other).ok());
  // Modulus and public exponent are right, so that the pair seems to match; what it needs to sign
  // is not.
  TlsCertificatePem damaged = rsa;
  const std::string der = Path("damaged.der");
  RunCommand("openssl rsa -in " + rsa.key_path + " -traditional -outform DER -out " + der +
             " 2>/dev/null");
  std::string octets = ReadFile(der);
  octets[400] ^= 0x10;                 // in the private exponent
  octets[octets.size() - 20] ^= 0x10;  // in the coefficient
  {
    std::ofstream(der, std::ios::binary) << octets;
  }
  damaged.key_path = Path("damaged.key");
  RunCommand("(echo '-----BEGIN RSA PRIVATE KEY-----'; base64 " + der +
             "; echo '-----END RSA PRIVATE KEY-----') > " + damaged.key_path);
  damaged.key_pem = Secret(ReadFile(damaged.key_path));
  TlsContextOptions options;
  options.certificates = {damaged};
  ASSERT_TRUE(TlsContextSet::Load(options, kNow).ok());
  const absl::Status status = TlsContextSet::ProveKey(damaged);
  EXPECT_NE(status.message().find("damaged.key makes no signature"), std::string::npos) << status;
}

// OpenSSL writes what the certificate is trusted for behind it: no client takes that.
TEST(TlsContextTest, TrustedCertificateIsCutAtItsOwnLength) {
  TlsCertificatePem pem = Certificate("ecdsa");
  const std::string trusted = Path("trusted.pem");
  RunCommand("openssl x509 -in " + pem.cert_path + " -trustout -addtrust serverAuth -out " +
             trusted + " && cat '" + CaPath() + "' >> " + trusted);
  pem.cert_pem = ReadFile(trusted);
  ASSERT_NE(pem.cert_pem.find("BEGIN TRUSTED CERTIFICATE"), std::string::npos);
  // As it is sent: not each client looks behind a certificate for what should not be there.
  EXPECT_EQ(*ReadCertificateChain(pem), *ReadCertificateChain(Certificate("ecdsa")));
  const auto contexts = Contexts({pem});
  TlsClientOptions options;
  options.ca_pem = CaPem();
  const auto client_context = ClientContext(options);
  TlsPair pair;
  pair.Start(contexts.get(), client_context.get());
  EXPECT_EQ(pair.Handshake().client, TlsOutcome::kDone) << pair.client.engine->error();
}

TEST(TlsContextTest, CertificatesThatNoClientCouldRead) {
  const TlsCertificatePem good = Certificate("ecdsa");
  TlsCertificatePem pem = good;
  const std::string ca = CaPem();
  pem.cert_pem = good.cert_pem + "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
  ExpectError(pem, "certificate number 3 in");
  pem.cert_pem = good.cert_pem + ca.substr(0, ca.size() / 2);
  ExpectError(pem, "certificate number 3 in");
  pem.cert_pem = good.cert_pem;
  pem.cert_pem.insert(pem.cert_pem.rfind("-----END") - 30, "*");
  ExpectError(pem, "certificate number 2 in");
  const std::string der = Path("leaf.der");
  RunCommand("openssl x509 -in " + good.cert_path + " -outform DER -out " + der);
  pem.cert_pem = ReadFile(der);
  ExpectError(pem, "openssl x509 -inform DER");
  // Other texts in the file are nobody's business, also one that begins like DER.
  pem.cert_pem = "0 our certificate:\n" + good.cert_pem + std::string(good.key_pem.view());
  EXPECT_NE(Contexts({pem}), nullptr);
}

TEST(TlsContextTest, SerialNumberZero) {
  ExpectError(
      SelfSigned("serial0", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "-set_serial 0"),
      "serial number 0");
}

TEST(TlsContextTest, CommonNameServesWhereThereIsNoSan) {
  const auto contexts =
      Contexts({SelfSigned("cn", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384")});
  EXPECT_EQ(contexts->summaries()[0].names, std::vector<std::string>{"odd.example"});
  EXPECT_EQ(contexts->summaries()[0].key, "ECDSA P-384");
}

TEST(TlsContextTest, LibcryptoSignsOnlyWithRsaKeys) {
  const auto has_signer = [](TlsCertificatePem pem) {
    const auto contexts = Contexts({std::move(pem)});
    const WOLFSSL_CTX* const context = contexts->Choose(Hello(HelloBuilder()));
    EXPECT_NE(context, nullptr);
    return contexts->SignerOf(context) != nullptr;
  };
  EXPECT_TRUE(has_signer(Certificate("rsa")));
  EXPECT_FALSE(has_signer(Certificate("ecdsa")));
}

TEST(TlsContextTest, EveryFormOfAnEcdsaKey) {
  TlsCertificatePem pem = Certificate("ecdsa");
  const std::string base = TemporaryFolder() + "/form";
  const std::string sec1 = base + ".sec1.key";
  RunCommand("openssl ec -in " + pem.key_path + " -out " + sec1 + " 2>/dev/null");
  RunCommand("openssl ec -in " + pem.key_path + " -no_public -out " + base +
             ".private.key 2>/dev/null");
  RunCommand("(openssl ecparam -name prime256v1 && cat " + sec1 + ") > " + base + ".named.key");
  for (const std::string form : {".sec1.key", ".private.key", ".named.key"}) {
    SCOPED_TRACE(form);
    pem.key_pem = Secret(ReadFile(base + form));
    const auto contexts = Contexts({pem});
    const auto client_context = ClientContext();
    TlsPair pair;
    pair.Start(contexts.get(), client_context.get());
    EXPECT_EQ(pair.Handshake().client, TlsOutcome::kDone) << pair.client.engine->error();
  }
}

TEST(TlsContextTest, NameMatches) {
  EXPECT_TRUE(TlsNameMatches("mx.example", "mx.example"));
  EXPECT_TRUE(TlsNameMatches("*.mail.example", "mx.mail.example"));
  // PROTOCOL 44
  EXPECT_FALSE(TlsNameMatches("*.mail.example", "mail.example"));
  EXPECT_FALSE(TlsNameMatches("*.mail.example", "a.mx.mail.example"));
  EXPECT_FALSE(TlsNameMatches("*.mail.example", ".mail.example"));
  EXPECT_FALSE(TlsNameMatches("*.example", "mx.example"));
  EXPECT_FALSE(TlsNameMatches("m*.mail.example", "mx.mail.example"));
  EXPECT_FALSE(TlsNameMatches("*", "example"));
  EXPECT_FALSE(TlsNameMatches("", ""));
  EXPECT_FALSE(TlsNameMatches("mx.example", "mx.example.org"));
}

// PROTOCOL 27
TEST(TlsContextTest, ChoiceByName) {
  const std::vector<std::string> wild = {"*.mail.example.test"};
  const std::vector<std::string> exact = {"a.mail.example.test"};
  const auto contexts = Contexts({Certificate("rsa"), Certificate("ecdsa"),
                                  Certificate("ecdsa", wild), Certificate("rsa", exact)});
  const auto choose = [&](std::string_view name) {
    HelloBuilder builder = HelloBuilder::Usual();
    return contexts->Choose(name.empty() ? Hello(builder.Remove(kServerName))
                                         : Hello(builder.ServerName(name)));
  };
  WOLFSSL_CTX* const fallback = choose("");
  ASSERT_NE(fallback, nullptr);
  EXPECT_EQ(choose("unknown.example"), fallback);
  EXPECT_EQ(choose("mx.example.test"), fallback);
  EXPECT_EQ(choose("localhost"), fallback);
  WOLFSSL_CTX* const by_wildcard = choose("b.mail.example.test");
  EXPECT_NE(by_wildcard, fallback);
  EXPECT_EQ(choose("c.mail.example.test"), by_wildcard);
  EXPECT_EQ(choose("c.d.mail.example.test"), fallback);
  // The exact name wins, although its key is RSA.
  WOLFSSL_CTX* const by_name = choose("a.mail.example.test");
  EXPECT_NE(by_name, by_wildcard);
  EXPECT_NE(by_name, fallback);
}

TEST(TlsContextTest, ChoiceByAbility) {
  const auto both = Contexts({Certificate("rsa"), Certificate("ecdsa")});
  const auto rsa = Contexts({Certificate("rsa")});
  const auto ecdsa = Contexts({Certificate("ecdsa")});
  struct Case {
    HelloBuilder builder;
    bool ecdsa;
    bool rsa;
  };
  const auto with = [](HelloBuilder builder, std::vector<unsigned> signatures,
                       std::vector<unsigned> suites, std::vector<unsigned> groups = {}) {
    builder.List(kSignatureAlgorithms, signatures);
    builder.suites = std::move(suites);
    if (!groups.empty()) {
      builder.List(kSupportedGroups, groups);
    }
    return builder;
  };
  const HelloBuilder v13 = HelloBuilder::Usual();
  const HelloBuilder v12 = HelloBuilder::Tls12();
  const std::vector<Case> cases = {
      {with(v13, {0x0403, 0x0804}, {0x1301}), true, true},
      {with(v13, {0x0403}, {0x1301}), true, false},
      {with(v13, {0x0804}, {0x1301}), false, true},
      {with(v13, {0x0401}, {0x1301}), false, false},  // PKCS#1 signs no TLS 1.3 handshake
      {with(v13, {0x0503}, {0x1301}), false, false},  // the curve does not fit
      {with(v12, {0x0403, 0x0401}, {0xc02b, 0xc02f}), true, true},
      {with(v12, {0x0403, 0x0401}, {0xc02f}), false, true},
      {with(v12, {0x0403, 0x0401}, {0xc02b}), true, false},
      {with(v12, {0x0401}, {0xc02b, 0xc02f}), false, true},
      {with(v12, {0x0503}, {0xc02b, 0xc02f}), true, false},
      {with(v12, {0x0403, 0x0401}, {0xc02b, 0xc02f}, {0x001d}), true, true},  // see below
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(i);
    const ClientHello hello = Hello(cases[i].builder);
    EXPECT_EQ(ecdsa->Choose(hello) != nullptr, cases[i].ecdsa);
    EXPECT_EQ(rsa->Choose(hello) != nullptr, cases[i].rsa);
    EXPECT_EQ(both->Choose(hello) != nullptr, cases[i].ecdsa || cases[i].rsa);
    // What the server then shows must agree: an RSA chain is longer, and in TLS 1.2 in clear.
    BufferPool pool(16, 4);
    Side server(&pool);
    server.engine = TlsEngine::Server(both.get());
    server.Receive(cases[i].builder.Records());
    const TlsOutcome outcome = server.Handshake();
    if (!cases[i].ecdsa && !cases[i].rsa) {
      EXPECT_EQ(outcome, TlsOutcome::kFailed);
      continue;
    }
    ASSERT_EQ(outcome, TlsOutcome::kNeedInput) << server.engine->error();
    const std::string out = Side::Drain(server.cipher_out);
    if (!hello.tls13) {
      // ServerHello: headers 9, version 2, random 32, session id 1 + 32, suite.
      const std::size_t session_id = static_cast<unsigned char>(out[43]);
      const std::string suite = out.substr(44 + session_id, 2);
      // RFC 8422 5.1: without P-256 among the groups ECDSA is the last resort.
      const bool last_resort = hello.groups == kGroupX25519;
      EXPECT_EQ(suite, cases[i].ecdsa && !last_resort ? "\xc0\x2b" : "\xc0\x2f");
    }
  }
}

TEST(TlsContextTest, ListCiphers) {
  EXPECT_EQ(OfferedCiphers().size(), 9U);
  EXPECT_EQ(OfferedCiphers().front(), "TLSv1.3 TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(OfferedGroups(),
            (std::vector<std::string>{"X25519MLKEM768", "X25519", "P-256", "P-384"}));
}

}  // namespace
}  // namespace ringpost::test
