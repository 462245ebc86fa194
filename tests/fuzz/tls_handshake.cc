// SPDX-License-Identifier: GPL-3.0-or-later
//
// A TLS engine that has no keys yet, and octets from whoever connected. The first octet of the
// input chooses the side: a server is given the rest as the client's flights, a client ("c", or "e"
// for one as mail leaves with) as the server's. Oracle: how the octets were cut changes neither the
// outcome nor what is answered.
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "fixed_entropy.h"
#include "fuzz.h"
#include "gtest_aborts.h"
#include "ringpost/tls/client_hello_reader.h"
#include "tls/tls_fixture.h"

namespace ringpost {
namespace {

struct World {
  World()
      : contexts(test::Contexts({test::Certificate("ecdsa")})),
        client(test::ClientContext()),
        egress(test::ClientContext(EgressOptions())) {}
  // As runtime.cc has it.
  static TlsClientOptions EgressOptions() {
    TlsClientOptions options;
    options.groups = {"X25519MLKEM768", "X25519", "P-256", "P-384"};
    options.key_shares = 2;
    options.server_certificates = ServerCertificates::kTaken;
    return options;
  }
  std::shared_ptr<const TlsContextSet> contexts;
  std::unique_ptr<TlsClientContext> client;
  std::unique_ptr<TlsClientContext> egress;
};

// Two hellos with post-quantum shares and an alert, or a server's flight; much is never said to a
// stranger.
constexpr std::size_t kAnswersMax = 16'000;

struct Result {
  TlsOutcome outcome = TlsOutcome::kNeedInput;
  std::string answer;
  std::string error;
};

Result Play(std::string_view input, std::size_t cut) {
  static const World world;
  fuzz::StartEntropyAnew();
  BufferPool pool(32, 16);
  test::Side side(&pool);
  const bool egress = input.starts_with('e');
  const bool client = egress || input.starts_with('c');
  const TlsClientContext* const context = egress ? world.egress.get() : world.client.get();
  side.engine = client ? TlsEngine::Client(context, "mx.example.test", nullptr)
                       : TlsEngine::Server(world.contexts.get());
  Result result;
  if (client) {
    result.outcome = side.Handshake();
    result.answer += test::Side::Drain(side.cipher_out);
    RINGPOST_CHECK(result.outcome == TlsOutcome::kNeedInput && !result.answer.empty());
  }
  input.remove_prefix(std::min<std::size_t>(input.size(), 1));
  for (std::size_t at = 0; at < input.size(); at += cut) {
    side.Receive(input.substr(at, cut));
    const TlsOutcome outcome = side.Handshake();
    if (result.outcome != TlsOutcome::kNeedInput) {
      RINGPOST_CHECK(outcome == result.outcome);
      side.cipher_in.Clear();
    }
    result.outcome = outcome;
    result.answer += test::Side::Drain(side.cipher_out);
    RINGPOST_CHECK(result.answer.size() <= kAnswersMax);
    // Nobody without the key completes a handshake, and nobody talks to whom he does not know.
    RINGPOST_CHECK(outcome != TlsOutcome::kDone && !side.engine->handshake_complete());
    RINGPOST_CHECK(side.plain_in.empty());
  }
  result.error = side.engine->error();
  if (result.outcome == TlsOutcome::kFailed) RINGPOST_CHECK(!result.error.empty());
  return result;
}

// wolfSSL keeps the change_cipher_spec behind a HelloRetryRequest, which is for middleboxes only
// (RFC 8446 D.4), until it is called again: when that is depends on the cuts.
std::string WithoutChangeCipherSpec(std::string answer) {
  constexpr std::string_view kRecord("\x14\x03\x03\x00\x01\x01", 6);
  const std::size_t at = answer.find(kRecord);
  if (at != std::string::npos) answer.erase(at, kRecord.size());
  return answer;
}

void Same(const Result& result, const Result& whole) {
  RINGPOST_CHECK(result.outcome == whole.outcome);
  RINGPOST_CHECK(WithoutChangeCipherSpec(result.answer) == WithoutChangeCipherSpec(whole.answer));
  RINGPOST_CHECK(result.error == whole.error);
}

// The same flights with a hello of several records in one (RFC 8446 5.1); empty: there is no such
// hello.
std::string InOneRecord(std::string_view input) {
  if (input.empty() || input.front() == 'c' || input.front() == 'e') return {};
  static BufferPool pool(2, 16);
  ByteQueue in(&pool);
  RINGPOST_CHECK(in.Append(input.substr(1)) == Room::kOk);
  ClientHelloReader reader;
  ClientHello hello;
  const HelloResult read = reader.Read(in, hello);
  if (read.status != HelloStatus::kComplete || read.in_place) return {};
  std::string joined = {input.front(),
                        22,
                        3,
                        1,
                        static_cast<char>(read.message.size() >> 8),
                        static_cast<char>(read.message.size() & 0xff)};
  joined += read.message;
  joined += input.substr(input.size() - in.size());
  return joined;
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  fuzz::GtestFailuresAbort();
  const std::string_view input = fuzz::View(data, size).substr(0, 16'000);
  const Result whole = Play(input, 16'000);
  const std::uint64_t hash = fuzz::HashOf(input);
  if (const std::string joined = InOneRecord(input); !joined.empty()) {
    Same(Play(joined, 16'000), whole);
  }
  if (hash % 4 != 0) return 0;
  Same(Play(input, 1 + hash / 4 % 100), whole);
  return 0;
}
