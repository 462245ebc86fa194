// SPDX-License-Identifier: GPL-3.0-or-later
//
// A TLS engine that has no keys yet, and octets from whoever connected. The first octet of the
// input chooses the side: a server is given the rest as the client's flights, a client as the
// server's. Oracle: how the octets were cut changes neither the outcome nor what is answered.
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
  World() : contexts(test::Contexts({test::Certificate("ecdsa")})), client(test::ClientContext()) {}
  std::shared_ptr<const TlsContextSet> contexts;
  std::unique_ptr<TlsClientContext> client;
};

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
  const bool client = input.starts_with('c');
  side.engine = client ? TlsEngine::Client(world.client.get(), "mx.example.test", nullptr)
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
  if (input.empty() || input.front() == 'c') return {};
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
