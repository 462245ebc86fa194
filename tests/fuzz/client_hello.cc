// SPDX-License-Identifier: GPL-3.0-or-later
//
// The first flight of a TLS client (PROTOCOL 23 to 29). The input is what has been received on a
// new connection.
#include "ringpost/tls/client_hello.h"

#include <array>
#include <string_view>

#include "fuzz.h"

namespace ringpost {
namespace {

struct Read {
  HelloResult result;
  ClientHello hello;
  std::array<char, kClientHelloBytesMax> scratch;
};

bool SameHello(const ClientHello& a, const ClientHello& b) {
  return a.tls12 == b.tls12 && a.tls13 == b.tls13 && a.fallback_scsv == b.fallback_scsv &&
         a.suite_tls13 == b.suite_tls13 && a.suite_ecdsa == b.suite_ecdsa &&
         a.suite_rsa == b.suite_rsa && a.has_signature_algorithms == b.has_signature_algorithms &&
         a.signatures == b.signatures && a.has_groups == b.has_groups && a.groups == b.groups &&
         a.has_alpn == b.has_alpn && a.alpn_smtp == b.alpn_smtp &&
         a.has_pre_shared_key == b.has_pre_shared_key && a.has_psk_modes == b.has_psk_modes &&
         a.psk_modes_dhe == b.psk_modes_dhe && a.early_data == b.early_data && a.sni() == b.sni();
}

void Check(std::string_view received, const Read& read) {
  const HelloResult& result = read.result;
  switch (result.status) {
    case HelloStatus::kComplete: {
      RINGPOST_CHECK(result.octets <= received.size() && result.octets <= kClientHelloBytesMax);
      RINGPOST_CHECK(result.record_count >= 1);
      RINGPOST_CHECK(fuzz::Inside(result.message, received.substr(0, result.octets)) ||
                     fuzz::Inside(result.message, {read.scratch.data(), read.scratch.size()}));
      RINGPOST_CHECK(result.message.size() + 5 * result.record_count == result.octets);
      RINGPOST_CHECK(result.message.size() >= 4 && result.message[0] == 1);
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
      RINGPOST_CHECK(result.needed > received.size() && result.needed <= kClientHelloBytesMax);
      break;
    case HelloStatus::kMalformed:
    case HelloStatus::kNotTls:
      RINGPOST_CHECK(!result.reason.empty());
      break;
  }
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  static Read whole;
  static Read cut;
  const std::string_view received = fuzz::View(data, size);
  whole.hello = ClientHello{};
  whole.result = ReadClientHello(received, whole.scratch, whole.hello);
  Check(received, whole);

  SimRandom draws(fuzz::HashOf(received));
  const fuzz::Exact part(received.substr(0, draws.Below(size + 1)));
  cut.hello = ClientHello{};
  cut.result = ReadClientHello(part.view(), cut.scratch, cut.hello);
  Check(part.view(), cut);
  if (cut.result.status == HelloStatus::kNeedMore) {
    // Asking again before `needed` octets are there would have been of no use.
    if (whole.result.status == HelloStatus::kNeedMore) {
      RINGPOST_CHECK(whole.result.needed >= cut.result.needed);
    }
    if (whole.result.status == HelloStatus::kComplete) {
      RINGPOST_CHECK(cut.result.needed <= whole.result.octets);
    }
  } else {
    // What was decided stays decided.
    RINGPOST_CHECK(cut.result.status == whole.result.status);
    RINGPOST_CHECK(cut.result.alert == whole.result.alert);
    RINGPOST_CHECK(cut.result.octets == whole.result.octets);
    if (cut.result.status == HelloStatus::kComplete) {
      RINGPOST_CHECK(cut.result.message == whole.result.message);
      RINGPOST_CHECK(SameHello(cut.hello, whole.hello));
    }
  }
  if (whole.result.status != HelloStatus::kComplete || whole.result.message.size() > 4096) return 0;

  // The same message in other records is the same hello (RFC 8446 5.1).
  static std::array<char, kClientHelloBytesMax> records;
  std::size_t length = 0;
  const std::string_view message = whole.result.message;
  const std::size_t piece_max = 1 + draws.Below(message.size());
  for (std::size_t at = 0; at < message.size();) {
    const std::string_view piece = message.substr(at, piece_max);
    if (length + 5 + piece.size() > records.size()) return 0;
    records[length++] = 22;
    records[length++] = 3;
    records[length++] = 1;
    records[length++] = static_cast<char>(piece.size() >> 8);
    records[length++] = static_cast<char>(piece.size() & 0xff);
    std::memcpy(&records[length], piece.data(), piece.size());
    length += piece.size();
    at += piece.size();
  }
  cut.hello = ClientHello{};
  cut.result = ReadClientHello({records.data(), length}, cut.scratch, cut.hello);
  Check({records.data(), length}, cut);
  if (cut.result.status == HelloStatus::kComplete) {
    RINGPOST_CHECK(cut.result.message == message && SameHello(cut.hello, whole.hello));
  } else {
    RINGPOST_CHECK(cut.result.status == HelloStatus::kMalformed);  // too many records
  }
  return 0;
}
