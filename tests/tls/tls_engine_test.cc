// SPDX-License-Identifier: GPL-3.0-or-later
//
// A server and a client engine joined in memory.
#include "ringpost/tls/tls_engine.h"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "tls_fixture.h"

namespace ringpost::test {
namespace {

struct Combination {
  std::string certificate;
  TlsVersions versions;
  std::string suite;
  std::string group;
};

std::vector<Combination> Combinations() {
  std::vector<Combination> all;
  for (const std::string& line : OfferedCiphers()) {
    const std::string version = line.substr(0, line.find(' '));
    const std::string suite = line.substr(line.find(' ') + 1);
    for (const std::string& group : OfferedGroups()) {
      const bool tls13 = version == "TLSv1.3";
      if (!tls13 && group == "X25519MLKEM768") {
        continue;  // defined for TLS 1.3 only
      }
      for (const std::string certificate : {"ecdsa", "rsa"}) {
        const bool fits =
            tls13 || suite.find(certificate == "rsa" ? "_RSA_" : "_ECDSA_") != std::string::npos;
        // The server prefers P-256, which a client must offer for the ECDSA certificate's sake.
        const bool reachable = tls13 || certificate == "rsa" || group != "P-384";
        if (fits && reachable) {
          all.push_back({certificate, tls13 ? TlsVersions::kTls13Only : TlsVersions::kTls12Only,
                         suite, group});
        }
      }
    }
  }
  return all;
}

class Matrix : public testing::TestWithParam<Combination> {};

// PROTOCOL 23, 24
TEST_P(Matrix, HandshakeAndEcho) {
  const Combination& combination = GetParam();
  const auto contexts = Contexts({Certificate(combination.certificate)});
  TlsClientOptions options;
  options.versions = combination.versions;
  options.suites = {combination.suite};
  options.groups = {combination.group};
  if (combination.versions == TlsVersions::kTls12Only && combination.certificate == "ecdsa" &&
      combination.group != "P-256") {
    options.groups.push_back("P-256");  // RFC 8422: the certificate's curve must be among them
  }
  options.ca_pem = CaPem();
  const auto client_context = ClientContext(options);
  TlsPair pair;
  pair.Start(contexts.get(), client_context.get());
  const TlsPair::Outcomes outcomes = pair.Handshake();
  ASSERT_EQ(outcomes.server, TlsOutcome::kDone) << pair.server.engine->error();
  ASSERT_EQ(outcomes.client, TlsOutcome::kDone) << pair.client.engine->error();

  const TlsFacts facts = pair.server.engine->facts();
  EXPECT_EQ(facts.version, combination.versions == TlsVersions::kTls13Only ? "TLSv1.3" : "TLSv1.2");
  EXPECT_EQ(facts.suite, combination.suite);
  EXPECT_EQ(facts.group, combination.group);
  EXPECT_FALSE(facts.resumed);
  EXPECT_EQ(pair.server.engine->sni(), "mx.example.test");

  EXPECT_EQ(pair.client.Write("EHLO client\r\n"), TlsOutcome::kDone);
  pair.ToServer();
  EXPECT_EQ(pair.server.Read(), TlsOutcome::kDone);
  EXPECT_EQ(Side::Drain(pair.server.plain_in), "EHLO client\r\n");
  EXPECT_EQ(pair.server.Write("250 server\r\n"), TlsOutcome::kDone);
  pair.ToClient();
  EXPECT_EQ(pair.client.Read(), TlsOutcome::kDone);
  EXPECT_EQ(Side::Drain(pair.client.plain_in), "250 server\r\n");

  // PROTOCOL 32: the alert is sealed, in TLS 1.2 by ourselves.
  pair.server.Receive("\x17\x03\x03\xff\xff");
  EXPECT_EQ(pair.server.Read(), TlsOutcome::kFailed);
  pair.ToClient();
  EXPECT_EQ(pair.client.Read(), TlsOutcome::kFailed);
  EXPECT_EQ(pair.client.engine->error(), "received alert record_overflow");
}

std::string CombinationName(const testing::TestParamInfo<Combination>& parameter) {
  std::string name =
      parameter.param.certificate + "_" + parameter.param.suite + "_" + parameter.param.group;
  std::erase(name, '-');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Matrix, testing::ValuesIn(Combinations()), CombinationName);

class Engine : public testing::TestWithParam<TlsVersions> {
 protected:
  Engine() : contexts_(Contexts({Certificate("ecdsa"), Certificate("rsa")})) {
    options_.versions = GetParam();
  }
  void Start(std::string_view sni = "mx.example.test") {
    client_context_ = ClientContext(options_);
    pair_.Start(contexts_.get(), client_context_.get(), sni);
  }
  void Open(std::size_t chunk = 0) {
    Start();
    const TlsPair::Outcomes outcomes = pair_.Handshake(chunk);
    ASSERT_EQ(outcomes.server, TlsOutcome::kDone) << pair_.server.engine->error();
    ASSERT_EQ(outcomes.client, TlsOutcome::kDone) << pair_.client.engine->error();
    // Tickets, if any.
    pair_.ToClient();
    ASSERT_EQ(pair_.client.Read(), TlsOutcome::kDone);
  }
  void ExpectEcho() {
    ASSERT_EQ(pair_.client.Write("NOOP\r\n"), TlsOutcome::kDone);
    pair_.ToServer();
    ASSERT_EQ(pair_.server.Read(), TlsOutcome::kDone);
    EXPECT_EQ(Side::Drain(pair_.server.plain_in), "NOOP\r\n");
  }

  std::shared_ptr<const TlsContextSet> contexts_;
  TlsClientOptions options_;
  std::unique_ptr<TlsClientContext> client_context_;
  TlsPair pair_;
};

INSTANTIATE_TEST_SUITE_P(Versions, Engine,
                         testing::Values(TlsVersions::kTls12Only, TlsVersions::kTls13Only,
                                         TlsVersions::kBoth));

// The client checks the signature.
TEST_P(Engine, SignsOnEveryCurve) {
  for (const std::string curve : {"P-256", "P-384", "P-521"}) {
    SCOPED_TRACE(curve);
    contexts_ = Contexts({SelfSigned(curve, "-algorithm EC -pkeyopt ec_paramgen_curve:" + curve)});
    ASSERT_EQ(contexts_->summaries()[0].key, "ECDSA " + curve);
    options_.groups = {"X25519", "P-256", "P-384"};
    Open();
    ExpectEcho();
  }
}

TEST_P(Engine, HandshakeInPieces) {
  for (const std::size_t chunk : {1U, 2U, 5U, 7U, 100U}) {
    Open(chunk);
    ExpectEcho();
  }
}

TEST_P(Engine, BestVersionAndGroup) {
  Open();
  EXPECT_EQ(pair_.server.engine->facts().version,
            GetParam() == TlsVersions::kTls12Only ? "TLSv1.2" : "TLSv1.3");
  // In TLS 1.3 the server's order decides. In TLS 1.2 wolfSSL takes the first of 256 bits that the
  // client names, which is X25519 with all usual clients.
  options_.groups = {"X25519MLKEM768", "P-384", "X25519", "P-256"};
  Open();
  EXPECT_EQ(pair_.server.engine->facts().group,
            GetParam() == TlsVersions::kTls12Only ? "X25519" : "X25519MLKEM768");
}

TEST_P(Engine, TruncatedHandshakeWaits) {
  // Each flight cut at each octet: never done, never failed, no answer to what is not whole.
  Start();
  ASSERT_EQ(pair_.client.Handshake(), TlsOutcome::kNeedInput);
  const std::string hello = Side::Drain(pair_.client.cipher_out);
  for (std::size_t size = 0; size < hello.size(); ++size) {
    pair_.server.engine = TlsEngine::Server(contexts_.get());
    pair_.server.cipher_in.Clear();
    pair_.server.Receive(hello.substr(0, size));
    ASSERT_EQ(pair_.server.Handshake(), TlsOutcome::kNeedInput);
    ASSERT_TRUE(pair_.server.cipher_out.empty());
  }
  pair_.server.engine = TlsEngine::Server(contexts_.get());
  pair_.server.cipher_in.Clear();
  pair_.server.Receive(hello);
  ASSERT_EQ(pair_.server.Handshake(), TlsOutcome::kNeedInput);
  pair_.ToClient();
  (void)pair_.client.Handshake();
  const std::string second = Side::Drain(pair_.client.cipher_out);
  for (std::size_t i = 0; i + 1 < second.size(); ++i) {
    pair_.server.Receive(second.substr(i, 1));
    ASSERT_EQ(pair_.server.Handshake(), TlsOutcome::kNeedInput);
    ASSERT_FALSE(pair_.server.engine->handshake_complete());
  }
  pair_.server.Receive(second.substr(second.size() - 1));
  EXPECT_EQ(pair_.server.Handshake(), TlsOutcome::kDone);
  EXPECT_EQ(pair_.server.Handshake(), TlsOutcome::kDone);
}

TEST_P(Engine, HelloRetryRequest) {
  options_.empty_key_shares = GetParam() != TlsVersions::kTls12Only;
  for (const std::size_t chunk : {0U, 1U}) {
    Open(chunk);
    EXPECT_EQ(pair_.server.engine->facts().group, "X25519");
    ExpectEcho();
  }
}

TEST_P(Engine, DataBehindTheHandshake) {
  // The client's last flight and its EHLO in one segment: the handshake leaves what is not its own.
  Start();
  TlsOutcome client = pair_.client.Handshake();
  for (int turn = 0; turn < 3 && client != TlsOutcome::kDone; ++turn) {
    pair_.ToServer();
    (void)pair_.server.Handshake();
    pair_.ToClient();
    client = pair_.client.Handshake();
  }
  ASSERT_EQ(client, TlsOutcome::kDone);
  ASSERT_EQ(pair_.client.Write("EHLO x\r\n"), TlsOutcome::kDone);
  pair_.ToServer();
  ASSERT_EQ(pair_.server.Handshake(), TlsOutcome::kDone) << pair_.server.engine->error();
  EXPECT_GT(pair_.server.cipher_in.size(), 0U);
  ASSERT_EQ(pair_.server.Read(), TlsOutcome::kDone);
  EXPECT_EQ(Side::Drain(pair_.server.plain_in), "EHLO x\r\n");
}

TEST_P(Engine, ClientVerifies) {
  options_.ca_pem = CaPem();
  Start("mx.example.test");
  EXPECT_EQ(pair_.Handshake().client, TlsOutcome::kDone) << pair_.client.engine->error();
  Start("other.example.test");
  const TlsPair::Outcomes outcomes = pair_.Handshake();
  EXPECT_EQ(outcomes.client, TlsOutcome::kFailed);
  EXPECT_FALSE(pair_.client.engine->error().empty());
  EXPECT_EQ(outcomes.server, TlsOutcome::kFailed);
  EXPECT_EQ(pair_.server.engine->error().substr(0, 15), "received alert ");
}

TEST_P(Engine, LargeData) {
  Open();
  std::string text;
  for (int i = 0; text.size() < 300000; ++i) {
    text += std::to_string(i) + "\r\n";
  }
  std::size_t offset = 0;
  std::string received;
  while (offset < text.size()) {
    const std::size_t size = std::min<std::size_t>(text.size() - offset, 1 + offset % 50000);
    ASSERT_EQ(pair_.client.Write(std::string_view(text).substr(offset, size)), TlsOutcome::kDone);
    offset += size;
    pair_.ToServer();
    ASSERT_EQ(pair_.server.Read(), TlsOutcome::kDone) << pair_.server.engine->error();
    received += Side::Drain(pair_.server.plain_in);
  }
  EXPECT_EQ(received, text);
}

std::size_t RecordCount(const std::string& octets) {
  std::size_t count = 0;
  for (std::size_t i = 0; i + 5 <= octets.size(); ++count) {
    i += 5 + (static_cast<std::size_t>(static_cast<unsigned char>(octets[i + 3])) << 8) +
         static_cast<unsigned char>(octets[i + 4]);
  }
  return count;
}

TEST_P(Engine, ShortRunsShareARecord) {
  Open();
  BufferPool pool(16, 64);
  ByteQueue plain(&pool);
  std::string text;
  for (int i = 0; i < 10; ++i) {
    // A block of its own for each.
    const std::optional<BlockId> block = pool.Take(BlockSize::kSmall);
    const std::string run(1000, static_cast<char>('a' + i));
    std::memcpy(pool.data(*block), run.data(), run.size());
    plain.AppendBlock(*block, run.size());
    text += run;
  }
  ASSERT_GT(text.size(), plain.Front().size());
  ASSERT_EQ(pair_.server.engine->Write(plain, pair_.server.cipher_out, 1 << 20), TlsOutcome::kDone);
  EXPECT_TRUE(plain.empty());
  const std::string octets = Side::Drain(pair_.server.cipher_out);
  EXPECT_EQ(RecordCount(octets), 1U);
  pair_.client.Receive(octets);
  ASSERT_EQ(pair_.client.Read(), TlsOutcome::kDone);
  EXPECT_EQ(Side::Drain(pair_.client.plain_in), text);
}

TEST_P(Engine, LimitsAreKept) {
  Open();
  const std::string text(100000, 'x');
  Side& client = pair_.client;
  for (std::size_t i = 0; i < text.size(); i += 10000) {
    ASSERT_EQ(client.plain_out.Append(text.substr(i, 10000)), Room::kOk);
  }
  ASSERT_EQ(client.engine->Write(client.plain_out, client.cipher_out, 20000), TlsOutcome::kDone);
  EXPECT_GE(client.cipher_out.size(), 20000U);
  EXPECT_LE(client.cipher_out.size(), 20000U + 16384 + 64);
  ASSERT_EQ(client.engine->Write(client.plain_out, client.cipher_out, 1 << 20), TlsOutcome::kDone);
  EXPECT_TRUE(client.plain_out.empty());
  pair_.ToServer();
  ASSERT_EQ(pair_.server.Read(20000), TlsOutcome::kDone);
  EXPECT_GE(pair_.server.plain_in.size(), 20000U);
  EXPECT_LE(pair_.server.plain_in.size(), 20000U + 16384);
  ASSERT_EQ(pair_.server.Read(), TlsOutcome::kDone);
  EXPECT_EQ(pair_.server.plain_in.size(), text.size());
}

TEST_P(Engine, CloseInOrder) {
  Open();
  ASSERT_EQ(pair_.server.Write("221 bye\r\n"), TlsOutcome::kDone);
  pair_.server.engine->CloseNotify(pair_.server.cipher_out);
  // Nothing follows close_notify.
  ASSERT_EQ(pair_.server.Write("late"), TlsOutcome::kDone);
  const std::string octets = Side::Drain(pair_.server.cipher_out);
  EXPECT_EQ(RecordCount(octets), 2U);
  pair_.client.Receive(octets);
  EXPECT_EQ(pair_.client.Read(), TlsOutcome::kPeerClosed);
  EXPECT_EQ(Side::Drain(pair_.client.plain_in), "221 bye\r\n");
  // The other direction still works: the client's rest is read.
  ASSERT_EQ(pair_.client.Write("QUIT\r\n"), TlsOutcome::kDone);
  pair_.client.engine->CloseNotify(pair_.client.cipher_out);
  pair_.ToServer();
  EXPECT_EQ(pair_.server.Read(), TlsOutcome::kPeerClosed);
  EXPECT_EQ(Side::Drain(pair_.server.plain_in), "QUIT\r\n");
}

TEST_P(Engine, OutOfBlocks) {
  Open();
  BufferPool empty(1, 1);
  const std::optional<BlockId> large = empty.Take(BlockSize::kLarge);
  const std::optional<BlockId> small = empty.Take(BlockSize::kSmall);
  {
    ByteQueue nowhere(&empty);
    ASSERT_EQ(pair_.client.Write("NOOP\r\n"), TlsOutcome::kDone);
    pair_.ToServer();
    EXPECT_EQ(pair_.server.engine->Read(pair_.server.cipher_in, nowhere, 1 << 20,
                                        pair_.server.cipher_out),
              TlsOutcome::kFailed);
    EXPECT_EQ(pair_.server.engine->error(), "out of blocks");
    ASSERT_EQ(pair_.client.plain_out.Append("NOOP\r\n"), Room::kOk);
    EXPECT_EQ(pair_.client.engine->Write(pair_.client.plain_out, nowhere, 1 << 20),
              TlsOutcome::kFailed);
    EXPECT_EQ(pair_.client.engine->error(), "out of blocks");
  }
  empty.Release(*large);
  empty.Release(*small);
}

TEST_P(Engine, OutOfBlocksInTheHandshake) {
  Start();
  ASSERT_EQ(pair_.client.Handshake(), TlsOutcome::kNeedInput);
  pair_.ToServer();
  BufferPool empty(1, 1);
  const std::optional<BlockId> large = empty.Take(BlockSize::kLarge);
  const std::optional<BlockId> small = empty.Take(BlockSize::kSmall);
  {
    ByteQueue nowhere(&empty);
    EXPECT_EQ(pair_.server.engine->Handshake(pair_.server.cipher_in, nowhere), TlsOutcome::kFailed);
    EXPECT_EQ(pair_.server.engine->error(), "out of blocks");
  }
  empty.Release(*large);
  empty.Release(*small);
}

TEST(EngineClient, UnknownNames) {
  const auto refused = [](auto change) {
    TlsClientOptions options;
    change(options);
    return !TlsClientContext::Create(options).ok();
  };
  EXPECT_TRUE(refused([](TlsClientOptions& options) { options.groups = {"P-521"}; }));
  EXPECT_TRUE(refused([](TlsClientOptions& options) { options.groups = {}; }));
  EXPECT_TRUE(refused(
      [](TlsClientOptions& options) { options.suites = {"TLS_RSA_WITH_AES_128_CBC_SHA"}; }));
  EXPECT_TRUE(refused([](TlsClientOptions& options) { options.ca_pem = "nothing"; }));
}

}  // namespace
}  // namespace ringpost::test
