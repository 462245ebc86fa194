// SPDX-License-Identifier: GPL-3.0-or-later
//
// A client that has keys and seals what no library would (PROTOCOL 26, 31, 32, 36). The first octet
// of the input chooses the version; then each record is a kind, a length and its content.
//
// Oracle: what comes out as plaintext is what was sealed as application data, in order, up to
// whatever ended the connection; and what ended it stays so. In TLS 1.3 our record layer is also
// compared with wolfSSL's, which gets the same octets (the entropy is the same, so keys are): what
// wolfSSL refuses, ours may not take, and what both take is the same. Two things that wolfSSL
// refuses are allowed: a part of a KeyUpdate (a message may come in several records, RFC 8446 5.1),
// and the alert user_canceled (6.1).
#include <memory>
#include <string>
#include <string_view>

#include "fixed_entropy.h"
#include "fuzz.h"
#include "gtest_aborts.h"
#include "tls/raw_client.h"
#include "tls/tls_fixture.h"

namespace ringpost {
namespace {

constexpr unsigned kApplicationData = 23;
constexpr std::size_t kRecordsMax = 100;
constexpr std::size_t kKeyUpdateBytes = 5;

// What wolfSSL's record layer refuses and ours does not have to.
bool MayDiffer(std::uint8_t kind, std::string_view content) {
  const bool handshake = kind == 'H' || kind == 22;
  const bool alert = kind == 'A' || kind == 21;
  return (handshake && content.size() < kKeyUpdateBytes) ||
         (alert && content.size() == 2 && content[1] == 90);
}

struct World {
  World() : contexts(test::Contexts({test::Certificate("ecdsa")})) {}
  std::shared_ptr<const TlsContextSet> contexts;
};

// `comparable`: whether the other record layer must do the same, or less.
void Play(std::string_view input, std::size_t cut_max, TlsRecords records, std::string* plain,
          TlsOutcome* outcome, bool* comparable) {
  static const World world;
  fuzz::StartEntropyAnew();
  fuzz::Choices choices(input);
  const TlsVersions versions = choices.Yes() ? TlsVersions::kTls12Only : TlsVersions::kTls13Only;
  BufferPool pool(32, 16);
  test::Side server(&pool);
  server.engine = TlsEngine::Server(world.contexts.get(), records);
  test::RawClient client(versions);
  client.Handshake(server);
  RINGPOST_CHECK(server.engine->handshake_complete());

  std::string expected;
  bool exact = true;  // everything sealed so far must be given out
  plain->clear();
  *comparable = true;
  *outcome = TlsOutcome::kNeedInput;
  const auto hand_over = [&](std::string_view record) {
    for (std::size_t at = 0; at < record.size(); at += cut_max) {
      const std::string_view part = record.substr(at, cut_max);
      for (std::size_t i = 0; i < part.size(); i += 16'000) {
        server.Receive(part.substr(i, 16'000));
      }
      const TlsOutcome now = server.Read();
      if (*outcome != TlsOutcome::kNeedInput && *outcome != TlsOutcome::kDone) {
        RINGPOST_CHECK(now == *outcome);
        // Nothing is read of a connection that is over; its input is somebody else's to drop.
        server.cipher_in.Clear();
      }
      *outcome = now;
      *plain += test::Side::Drain(server.plain_in);
      static_cast<void>(test::Side::Drain(server.cipher_out));
    }
  };
  for (std::size_t n = 0; !choices.empty() && n < kRecordsMax; ++n) {
    const std::uint8_t kind = choices.Octet();
    std::string content;
    if (kind == 'L') {  // a long one
      content.assign(choices.Number16() % 17'000, static_cast<char>(choices.Octet()));
    } else {
      content = choices.Text();
    }
    if (MayDiffer(kind, content)) *comparable = false;
    switch (kind) {
      case 'D':
      case 'L':
        // What is longer than a record may be is no application data any more.
        if (content.size() > 1 << 14) exact = false;
        if (exact) expected += content;
        hand_over(client.Seal(kApplicationData, content));
        break;
      case 'H':
        exact = false;
        hand_over(client.Seal(22, content));
        break;
      case 'A':
        exact = false;
        hand_over(client.Seal(21, content));
        break;
      case 'U':
        exact = exact && versions == TlsVersions::kTls13Only && content.empty();
        if (versions == TlsVersions::kTls13Only) hand_over(client.SealKeyUpdate());
        break;
      case 'R':  // octets of the connection itself
        exact = false;
        hand_over(content);
        break;
      case 'S':  // a record changed on its way
        exact = false;
        {
          std::string record = client.Seal(kApplicationData, content);
          const std::size_t where = choices.Number16() % record.size();
          record[where] = static_cast<char>(record[where] ^ (1 + choices.Octet() % 255));
          hand_over(record);
        }
        break;
      default:
        exact = false;
        hand_over(client.Seal(kind, content));
        break;
    }
    const bool open = *outcome == TlsOutcome::kNeedInput || *outcome == TlsOutcome::kDone;
    if (!open) exact = false;
    if (exact && open) RINGPOST_CHECK(*plain == expected);
  }
  RINGPOST_CHECK(plain->starts_with(expected) || expected.starts_with(*plain));
  static_cast<void>(server.engine->error());
  static_cast<void>(server.engine->facts());
  server.engine->CloseNotify(server.cipher_out);
}

bool Open(TlsOutcome outcome) {
  return outcome == TlsOutcome::kNeedInput || outcome == TlsOutcome::kDone;
}

void Compare(std::string_view own, TlsOutcome own_outcome, std::string_view library,
             TlsOutcome library_outcome) {
  if (own_outcome == library_outcome) {
    RINGPOST_CHECK(own == library);
  } else if (library_outcome == TlsOutcome::kFlood) {
    RINGPOST_CHECK(own.starts_with(library));  // wolfSSL counts empty records too, and to one less
  } else {
    RINGPOST_CHECK(!Open(own_outcome));  // ours is the stricter one
    RINGPOST_CHECK(library.starts_with(own));
  }
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  fuzz::GtestFailuresAbort();
  static std::string whole;
  static std::string cut;
  static std::string library;
  TlsOutcome whole_outcome{};
  TlsOutcome cut_outcome{};
  TlsOutcome library_outcome{};
  bool comparable = true;
  const std::string_view input = fuzz::View(data, size);
  Play(input, 1 << 20, TlsRecords::kOwn, &whole, &whole_outcome, &comparable);
  Play(input, 1 << 20, TlsRecords::kLibrary, &library, &library_outcome, &comparable);
  if (comparable) Compare(whole, whole_outcome, library, library_outcome);
  const std::uint64_t hash = fuzz::HashOf(input);
  if (hash % 4 == 0) {
    Play(input, 1 + hash / 4 % 40, TlsRecords::kOwn, &cut, &cut_outcome, &comparable);
    RINGPOST_CHECK(cut == whole && cut_outcome == whole_outcome);
  }
  return 0;
}
