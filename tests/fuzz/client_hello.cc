// SPDX-License-Identifier: GPL-3.0-or-later
//
// The first flight of a TLS client (PROTOCOL 23 to 29). The input is what has been received on a
// new connection.
#include <string>
#include <string_view>

#include "fuzz.h"
#include "ringpost/tls/client_hello_reader.h"

namespace ringpost {
namespace {

struct Reading {
  HelloResult result;
  ClientHello hello;
  std::string message;
  std::size_t taken = 0;  // octets of the records that were read
};

// Pieces of up to `piece_max` octets, as far as it takes.
Reading Read(std::string_view received, std::size_t piece_max, SimRandom& draws) {
  static BufferPool pool(16, 64);
  ByteQueue in(&pool);
  ClientHelloReader reader;
  Reading reading;
  std::size_t sent = 0;
  while (sent < received.size() && reading.result.status == HelloStatus::kNeedMore) {
    const std::string_view piece = received.substr(sent, 1 + draws.Below(piece_max));
    RINGPOST_CHECK(in.Append(piece) == Room::kOk);
    sent += piece.size();
    reading.result = reader.Read(in, reading.hello);
  }
  reading.message = reading.result.message;
  reading.taken = sent - in.size();
  if (reading.result.in_place) {
    const std::string_view front = in.Front();
    RINGPOST_CHECK(fuzz::Inside(reading.result.message, front) &&
                   reading.result.message.data() == front.data() + 5);
    reading.taken += 5 + reading.message.size();
  }
  RINGPOST_CHECK(!reader.holds_part() || reading.result.status == HelloStatus::kNeedMore);
  return reading;
}

bool SameHello(const ClientHello& a, const ClientHello& b) {
  return a.tls12 == b.tls12 && a.tls13 == b.tls13 && a.fallback_scsv == b.fallback_scsv &&
         a.suite_tls13 == b.suite_tls13 && a.suite_ecdsa == b.suite_ecdsa &&
         a.suite_rsa == b.suite_rsa && a.has_signature_algorithms == b.has_signature_algorithms &&
         a.signatures == b.signatures && a.has_groups == b.has_groups && a.groups == b.groups &&
         a.has_alpn == b.has_alpn && a.alpn_smtp == b.alpn_smtp &&
         a.has_pre_shared_key == b.has_pre_shared_key && a.has_psk_modes == b.has_psk_modes &&
         a.psk_modes_dhe == b.psk_modes_dhe && a.early_data == b.early_data && a.sni() == b.sni();
}

void Check(const Reading& read) {
  const HelloResult& result = read.result;
  switch (result.status) {
    case HelloStatus::kComplete: {
      RINGPOST_CHECK(read.message.size() >= 4 && read.message.size() <= kClientHelloBytesMax);
      RINGPOST_CHECK(read.message[0] == 1);
      RINGPOST_CHECK(read.taken >= 5 + read.message.size());
      for (const char c : read.hello.sni()) {
        RINGPOST_CHECK((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                       c == '_');
      }
      RINGPOST_CHECK(read.hello.sni().size() <= 255 && !read.hello.sni().ends_with('.'));
      if (const auto refusal = JudgeClientHello(read.hello)) {
        RINGPOST_CHECK(!refusal->reason.empty());
      } else {
        // PROTOCOL 23, 24, 28.
        RINGPOST_CHECK(read.hello.tls12 || read.hello.tls13);
        RINGPOST_CHECK(read.hello.suite_tls13 || read.hello.suite_ecdsa || read.hello.suite_rsa);
        RINGPOST_CHECK(!read.hello.has_alpn || read.hello.alpn_smtp);
      }
      break;
    }
    case HelloStatus::kNeedMore:
      break;
    case HelloStatus::kMalformed:
    case HelloStatus::kNotTls:
      RINGPOST_CHECK(!result.reason.empty());
      break;
    case HelloStatus::kNoBlocks:
      RINGPOST_CHECK(false);
      break;
  }
}

// The message by itself, where a read past its end is seen.
void CheckMessage(const Reading& read) {
  if (read.message.empty()) return;
  const fuzz::Exact message(read.message);
  ClientHello hello;
  RINGPOST_CHECK(!ReadClientHello(message.view(), hello).has_value());
  RINGPOST_CHECK(SameHello(hello, read.hello));
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  const std::string_view received = fuzz::View(data, size);
  SimRandom draws(fuzz::HashOf(received));
  const Reading whole = Read(received, BufferPool::kLargeBytes, draws);
  Check(whole);
  CheckMessage(whole);
  // Any octets as a message: what comes in the wrong records is not read above.
  if (size >= 4) {
    ClientHello hello;
    (void)ReadClientHello(fuzz::Exact(received).view(), hello);
  }

  // However it is cut.
  const Reading cut = Read(received, 1 + draws.Below(100), draws);
  Check(cut);
  RINGPOST_CHECK(cut.result.status == whole.result.status);
  RINGPOST_CHECK(cut.result.alert == whole.result.alert);
  RINGPOST_CHECK(cut.result.reason == whole.result.reason);
  if (whole.result.status != HelloStatus::kComplete) return 0;
  RINGPOST_CHECK(cut.message == whole.message && cut.taken == whole.taken);
  RINGPOST_CHECK(SameHello(cut.hello, whole.hello));

  // The same message in other records is the same hello (RFC 8446 5.1).
  std::string records;
  const std::string_view message = whole.message;
  const std::size_t piece_max = 1 + draws.Below(std::min<std::size_t>(message.size(), 1 << 14));
  for (std::size_t at = 0; at < message.size();) {
    const std::string_view piece = message.substr(at, piece_max);
    records +=
        {22, 3, 1, static_cast<char>(piece.size() >> 8), static_cast<char>(piece.size() & 0xff)};
    records += piece;
    at += piece.size();
  }
  const Reading again = Read(records, 1000, draws);
  Check(again);
  RINGPOST_CHECK(again.result.status == HelloStatus::kComplete && again.taken == records.size());
  RINGPOST_CHECK(again.message == message && SameHello(again.hello, whole.hello));
  return 0;
}
