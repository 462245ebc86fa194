// SPDX-License-Identifier: GPL-3.0-or-later
//
// Our record layer against a peer made of the same cipher, whose keys are those of RFC 8448. What
// wolfSSL and other libraries make of it is in the tests of the engine and end to end.
#include "record_layer.h"

#include <gtest/gtest.h>

#include "ringpost/crypto/tls_library.h"
#include "tls_fixture.h"
// The options come first.
#include <wolfssl/wolfcrypt/kdf.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringpost::test {
namespace {

using namespace std::string_view_literals;
using Octets = std::vector<unsigned char>;

constexpr unsigned kAlert = 21;
constexpr unsigned kHandshake = 22;
constexpr unsigned kApplicationData = 23;
constexpr std::array<std::uint16_t, 3> kSuites = {0x1301, 0x1302, 0x1303};

Octets FromHex(std::string_view hex) {
  Octets octets;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    octets.push_back(
        static_cast<unsigned char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return octets;
}

// One direction's keys: secret, and what RFC 8446 7.3 makes of it.
struct Keys {
  Keys(std::uint16_t suite, unsigned char first)
      : Keys(suite, Octets(Suite(suite).hash_bytes, first)) {}
  Keys(std::uint16_t suite, Octets of)
      : secret(std::move(of)), key(Suite(suite).key_bytes), iv(12) {
    Expand(suite, "key", &key);
    Expand(suite, "iv", &iv);
  }
  static const RecordSuite& Suite(std::uint16_t suite) { return *FindRecordSuite(suite); }
  void Expand(std::uint16_t suite, std::string_view label, Octets* out) const {
    constexpr std::string_view kProtocol = "tls13 ";
    EXPECT_EQ(wc_Tls13_HKDF_Expand_Label(
                  out->data(), static_cast<word32>(out->size()), secret.data(),
                  static_cast<word32>(secret.size()),
                  reinterpret_cast<const unsigned char*>(kProtocol.data()), kProtocol.size(),
                  reinterpret_cast<const unsigned char*>(label.data()),
                  static_cast<word32>(label.size()), nullptr, 0, Suite(suite).hash),
              0);
  }
  [[nodiscard]] RecordKeys view() const {
    return {.secret = secret, .key = key.data(), .iv = iv.data()};
  }

  Octets secret;
  Octets key;
  Octets iv;
};

std::string Header(std::size_t length, char type = 23) {
  return {type, 3, 3, static_cast<char>(length >> 8), static_cast<char>(length & 0xff)};
}

std::span<const unsigned char, RecordLayer::kHeaderBytes> HeaderOf(std::string_view record) {
  return std::span<const unsigned char, RecordLayer::kHeaderBytes>(
      reinterpret_cast<const unsigned char*>(record.data()), RecordLayer::kHeaderBytes);
}

class RecordLayerTest : public testing::TestWithParam<std::uint16_t> {
 protected:
  RecordLayerTest() : client_keys_(GetParam(), 7), server_keys_(GetParam(), 9) {
    EXPECT_TRUE(TlsLibraryStart());
    const RecordSuite& suite = *FindRecordSuite(GetParam());
    EXPECT_TRUE(to_server_.Start(suite, client_keys_.view(), 0));
    EXPECT_TRUE(from_server_.Start(suite, server_keys_.view(), 0));
    Make(RecordLayer::kRecordsPerKeyMax);
  }
  void Make(std::uint64_t records_per_key_max, RecordLayer::End end = RecordLayer::End::kServer) {
    layer_ = RecordLayer::Make(end, GetParam(), {.keys = client_keys_.view()},
                               {.keys = server_keys_.view()}, records_per_key_max);
    ASSERT_NE(layer_, nullptr);
  }

  void MakeClient() { Make(RecordLayer::kRecordsPerKeyMax, RecordLayer::End::kClient); }

  // A record of the peer's.
  std::string Seal(unsigned type, std::string_view content, std::size_t padding = 0) {
    std::string text(content);
    text += static_cast<char>(type);
    text.append(padding, '\0');
    return SealText(text);
  }
  std::string SealText(std::string_view text) {
    std::string record = Header(text.size() + RecordCipher::kTagBytes);
    record += text;
    record.append(RecordCipher::kTagBytes, '\0');
    auto* const at = reinterpret_cast<unsigned char*>(record.data()) + RecordLayer::kHeaderBytes;
    EXPECT_TRUE(to_server_.Seal(HeaderOf(record), {at, text.size()}));
    return record;
  }
  RecordLayer::Result Open(std::string_view record, std::size_t piece = 1 << 20) {
    std::vector<std::string_view> pieces;
    for (std::string_view rest = record.substr(RecordLayer::kHeaderBytes); !rest.empty();) {
      pieces.push_back(rest.substr(0, piece));
      rest.remove_prefix(pieces.back().size());
    }
    return layer_->Open(HeaderOf(record), pieces, plain_in_, cipher_out_);
  }
  void ExpectRefused(std::string_view record, int alert) {
    const RecordLayer::Result result = Open(record);
    EXPECT_EQ(result.opened, RecordLayer::Opened::kRefused);
    EXPECT_EQ(result.alert, alert) << result.reason;
    EXPECT_TRUE(plain_in_.empty());
    EXPECT_EQ(Answer(), Content(kAlert, {'\x02', static_cast<char>(alert)}));
  }

  static std::string Content(unsigned type, std::string text) {
    return std::to_string(type) + ":" + std::move(text);
  }
  // The next record that the layer has sealed: its type and content. A KeyUpdate is followed.
  std::string Answer() {
    std::string queued = Side::Drain(cipher_out_);
    sent_ += queued;
    if (sent_.empty()) return "";
    const std::size_t length =
        static_cast<unsigned char>(sent_[3]) * 256U + static_cast<unsigned char>(sent_[4]);
    const std::string record = sent_.substr(0, RecordLayer::kHeaderBytes + length);
    sent_.erase(0, record.size());
    Octets text(length - RecordCipher::kTagBytes);
    const std::array pieces = {std::string_view(record).substr(RecordLayer::kHeaderBytes)};
    EXPECT_TRUE(from_server_.Open(HeaderOf(record), pieces, text, {}));
    const unsigned type = text.back();
    text.pop_back();
    const std::string content(text.begin(), text.end());
    if (type == kHandshake) {
      EXPECT_EQ(content, "\x18\0\0\1\0"sv);
      EXPECT_TRUE(from_server_.Update());
    }
    return Content(type, content);
  }

  Keys client_keys_;
  Keys server_keys_;
  RecordCipher to_server_;
  RecordCipher from_server_;
  std::unique_ptr<RecordLayer> layer_;
  BufferPool pool_{16, 16};
  ByteQueue plain_in_{&pool_};
  ByteQueue plain_out_{&pool_};
  ByteQueue cipher_out_{&pool_};
  std::string sent_;
};

INSTANTIATE_TEST_SUITE_P(Suites, RecordLayerTest, testing::ValuesIn(kSuites));

constexpr auto kContent = RecordLayer::Opened::kContent;
constexpr auto kNothing = RecordLayer::Opened::kNothing;

// RFC 8448 3: keys of application data, and a record of each side.
TEST(RecordCipherTest, OpensAndSealsTheExampleOfTheRfc) {
  const Keys client(0x1301,
                    FromHex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"));
  EXPECT_EQ(client.key, FromHex("17422dda596ed5d9acd890e3c63f5051"));
  EXPECT_EQ(client.iv, FromHex("5b78923dee08579033e523d9"));
  const Octets sealed = FromHex(
      "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a2044"
      "1e2b"
      "62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4");
  const std::string_view record(reinterpret_cast<const char*>(sealed.data()), sealed.size());
  RecordCipher cipher;
  ASSERT_TRUE(cipher.Start(*FindRecordSuite(0x1301), client.view(), 0));
  Octets text(sealed.size() - RecordLayer::kHeaderBytes - RecordCipher::kTagBytes);
  const std::array pieces = {record.substr(RecordLayer::kHeaderBytes)};
  ASSERT_TRUE(cipher.Open(HeaderOf(record), pieces, text, {}));
  for (std::size_t i = 0; i < 50; ++i) {
    EXPECT_EQ(text[i], i);
  }
  EXPECT_EQ(text[50], kApplicationData);

  RecordCipher sealer;
  ASSERT_TRUE(sealer.Start(*FindRecordSuite(0x1301), client.view(), 0));
  Octets again = text;
  again.resize(text.size() + RecordCipher::kTagBytes);
  ASSERT_TRUE(sealer.Seal(HeaderOf(record), std::span(again).first(text.size())));
  EXPECT_TRUE(std::equal(again.begin(), again.end(), sealed.begin() + RecordLayer::kHeaderBytes));
}

TEST(RecordCipherTest, KnowsItsSuites) {
  EXPECT_EQ(FindRecordSuite(0x1304), nullptr);  // AES-CCM
  EXPECT_EQ(FindRecordSuite(0xc02b), nullptr);  // of TLS 1.2
  const Keys keys(0x1301, 1);
  RecordKeys longer = keys.view();
  const Octets secret(48);
  longer.secret = secret;
  RecordCipher cipher;
  EXPECT_FALSE(cipher.Start(*FindRecordSuite(0x1301), longer, 0));
  EXPECT_EQ(RecordLayer::Make(RecordLayer::End::kServer, 0xc02b, {.keys = keys.view()},
                              {.keys = keys.view()}),
            nullptr);
}

// Whether the CPU has something better than wolfSSL's AES-GCM or not.
TEST_P(RecordLayerTest, OneCipherOpensWhatTheOtherSealed) {
  const RecordSuite& suite = *FindRecordSuite(GetParam());
  for (const AesGcmOf sealed_by : {AesGcmOf::kLibrary, AesGcmOf::kBest}) {
    RecordCipher sealer;
    RecordCipher opener;
    ASSERT_TRUE(sealer.Start(suite, client_keys_.view(), 5, sealed_by));
    ASSERT_TRUE(opener.Start(suite, client_keys_.view(), 5,
                             sealed_by == AesGcmOf::kBest ? AesGcmOf::kLibrary : AesGcmOf::kBest));
    for (const std::size_t size : {1U, 100U, 16384U, 16600U}) {
      const std::string header = Header(size + RecordCipher::kTagBytes);
      Octets text(size, 'x');
      text.resize(size + RecordCipher::kTagBytes);
      ASSERT_TRUE(sealer.Seal(HeaderOf(header), std::span(text).first(size)));
      const std::string sealed(text.begin(), text.end());
      const std::array pieces = {std::string_view(sealed).substr(0, size / 2),
                                 std::string_view(sealed).substr(size / 2)};
      Octets first(std::min<std::size_t>(size, 16384));
      Octets rest(size - first.size());
      ASSERT_TRUE(opener.Open(HeaderOf(header), pieces, first, rest));
      EXPECT_EQ(first, Octets(first.size(), 'x'));
      EXPECT_EQ(rest, Octets(rest.size(), 'x'));
      ASSERT_TRUE(sealer.Update());
      ASSERT_TRUE(opener.Update());
      EXPECT_EQ(opener.sequence(), 0U);
    }
    const std::string forged = Header(17) + std::string(17, 'x');
    Octets none(1);
    EXPECT_FALSE(opener.Open(HeaderOf(forged),
                             std::array{std::string_view(forged).substr(RecordLayer::kHeaderBytes)},
                             none, {}));
  }
}

TEST_P(RecordLayerTest, OpensInAnyPieces) {
  for (const std::size_t size : {1U, 2U, 15U, 16U, 17U, 1000U, 16384U}) {
    const std::string content(size, static_cast<char>('a' + size % 26));
    const std::size_t sealed = size + 1 + RecordCipher::kTagBytes;
    for (const std::size_t parts : {1U, 2U, 3U, 8U}) {
      ASSERT_EQ(Open(Seal(kApplicationData, content), (sealed + parts - 1) / parts).opened,
                kContent);
      ASSERT_EQ(Side::Drain(plain_in_), content) << size << " in " << parts;
    }
  }
}

TEST_P(RecordLayerTest, DropsPadding) {
  for (const std::size_t padding : {1U, 100U, 239U}) {
    ASSERT_EQ(Open(Seal(kApplicationData, std::string(16384, 'x'), padding)).opened, kContent);
    ASSERT_EQ(Side::Drain(plain_in_), std::string(16384, 'x'));
  }
  ASSERT_EQ(Open(Seal(kApplicationData, "a\0b"sv, 16500)).opened, kContent);
  ASSERT_EQ(Side::Drain(plain_in_), "a\0b"sv);
  ASSERT_EQ(Open(Seal(kApplicationData, "", 300)).opened, kNothing);
  EXPECT_TRUE(plain_in_.empty());
}

TEST_P(RecordLayerTest, RefusesLongerContent) {
  ExpectRefused(Seal(kApplicationData, std::string(16385, 'x')), 22);  // record_overflow
}
TEST_P(RecordLayerTest, RefusesLongerContentBehindPadding) {
  ExpectRefused(Seal(kApplicationData, std::string(16500, 'x'), 100), 22);
}
TEST_P(RecordLayerTest, RefusesPaddingAlone) {
  ExpectRefused(SealText(std::string(20, '\0')), 10);  // unexpected_message (RFC 8446 5.4)
}
TEST_P(RecordLayerTest, RefusesWhatHasNoTag) {
  ExpectRefused(Header(15) + std::string(15, 'x'), 20);  // bad_record_mac
}
TEST_P(RecordLayerTest, RefusesUnknownContent) { ExpectRefused(Seal(24, "x"), 10); }
TEST_P(RecordLayerTest, RefusesChangeCipherSpec) { ExpectRefused(Seal(20, "\x01"), 10); }

TEST_P(RecordLayerTest, RefusesEachChangedBit) {
  const std::string record = Seal(kApplicationData, "EHLO x\r\n");
  for (std::size_t bit = 0; bit < 8 * record.size(); ++bit) {
    std::string changed = record;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
    ASSERT_NO_FATAL_FAILURE(Make(RecordLayer::kRecordsPerKeyMax));
    ASSERT_EQ(Open(changed).opened, RecordLayer::Opened::kRefused) << bit;
    ASSERT_TRUE(plain_in_.empty());
    cipher_out_.Clear();
  }
}

TEST_P(RecordLayerTest, RefusesRecordsOutOfOrder) {
  const std::string first = Seal(kApplicationData, "1");
  const std::string second = Seal(kApplicationData, "2");
  ExpectRefused(second, 20);
}

TEST_P(RecordLayerTest, FollowsAKeyUpdate) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Open(Seal(kHandshake, "\x18\0\0\1\0"sv)).opened, kNothing);
    EXPECT_EQ(Answer(), "");
    ASSERT_TRUE(to_server_.Update());
    EXPECT_EQ(Open(Seal(kApplicationData, "x")).opened, kContent);
  }
  EXPECT_EQ(Side::Drain(plain_in_), "xxx");
}

TEST_P(RecordLayerTest, AnswersAKeyUpdateThatAsksForIt) {
  EXPECT_EQ(Open(Seal(kHandshake, "\x18\0\0\1\1"sv)).opened, kNothing);
  EXPECT_EQ(Answer(), Content(kHandshake, std::string("\x18\0\0\1\0"sv)));
  ASSERT_EQ(plain_out_.Append("250 ok\r\n"), Room::kOk);
  ASSERT_TRUE(layer_->SealFront(plain_out_, cipher_out_));
  EXPECT_EQ(Answer(), Content(kApplicationData, "250 ok\r\n"));
}

TEST_P(RecordLayerTest, TakesAKeyUpdateInParts) {
  for (const char octet : "\x18\0\0\1\0"sv) {
    EXPECT_EQ(Open(Seal(kHandshake, std::string(1, octet))).opened, kNothing);
  }
  ASSERT_TRUE(to_server_.Update());
  EXPECT_EQ(Open(Seal(kApplicationData, "x")).opened, kContent);
}

TEST_P(RecordLayerTest, RefusesOtherKeyUpdates) {
  struct Case {
    std::string_view message;
    int alert;
  };
  for (const Case& bad :
       {Case{"\x18\0\0\1\2"sv, 47}, Case{"\x18\0\0\1\xff"sv, 47}, Case{"\x18\0\0\0"sv, 50},
        Case{"\x18\0\0\2\0\0"sv, 50}, Case{"\x18\1\0\1\0"sv, 50},
        Case{"\x18\0\0\1\0\x18\0\0\1\0"sv, 10}, Case{"\x18\0\0\1\0\0"sv, 10},
        Case{"\x01\0\0\1\0"sv, 10}, Case{"\x04"sv, 10}, Case{""sv, 10}}) {
    SCOPED_TRACE(bad.message.size());
    const RecordSuite& suite = *FindRecordSuite(GetParam());
    ASSERT_TRUE(to_server_.Start(suite, client_keys_.view(), 0));
    ASSERT_TRUE(from_server_.Start(suite, server_keys_.view(), 0));
    ASSERT_NO_FATAL_FAILURE(Make(RecordLayer::kRecordsPerKeyMax));
    ExpectRefused(Seal(kHandshake, bad.message), bad.alert);
  }
}

TEST_P(RecordLayerTest, RefusesOthersWithinAMessage) {
  EXPECT_EQ(Open(Seal(kHandshake, "\x18\0")).opened, kNothing);
  ExpectRefused(Seal(kApplicationData, "x"), 10);
}

// A NewSessionTicket whose content has so many octets.
std::string Ticket(std::size_t size) {
  return std::string{4, static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                     static_cast<char>(size)} +
         std::string(size, 'n');
}

TEST_P(RecordLayerTest, DropsAServersTickets) {
  MakeClient();
  ASSERT_EQ(Open(Seal(kHandshake, Ticket(200))).opened, kNothing);
  ASSERT_EQ(Open(Seal(kHandshake, Ticket(14) + Ticket(5000) + Ticket(1000))).opened, kNothing);
  ASSERT_EQ(Open(Seal(kApplicationData, "220 x")).opened, kContent);
  EXPECT_EQ(Side::Drain(plain_in_), "220 x");
  EXPECT_TRUE(cipher_out_.empty());
}

TEST_P(RecordLayerTest, DropsTicketsHoweverTheyAreCut) {
  MakeClient();
  for (const std::size_t part : {1U, 2U, 3U, 4U, 5U, 6U, 33U, 34U, 35U, 36U, 199U}) {
    const std::string messages = Ticket(30) + Ticket(300) + Ticket(14);
    for (std::size_t at = 0; at < messages.size(); at += part) {
      ASSERT_EQ(Open(Seal(kHandshake, messages.substr(at, part))).opened, kNothing);
    }
    ASSERT_EQ(Open(Seal(kApplicationData, "x")).opened, kContent) << part;
  }
  const std::string longest = Ticket(131'337);
  for (std::size_t at = 0; at < longest.size(); at += 16384) {
    ASSERT_EQ(Open(Seal(kHandshake, longest.substr(at, 16384))).opened, kNothing);
  }
  EXPECT_EQ(Open(Seal(kApplicationData, "x")).opened, kContent);
}

TEST_P(RecordLayerTest, FollowsAKeyUpdateBehindATicket) {
  MakeClient();
  ASSERT_EQ(Open(Seal(kHandshake, Ticket(40) + std::string("\x18\0\0\1\1"sv))).opened, kNothing);
  ASSERT_TRUE(to_server_.Update());
  EXPECT_EQ(Answer(), Content(kHandshake, std::string("\x18\0\0\1\0"sv)));
  EXPECT_EQ(Open(Seal(kApplicationData, "x")).opened, kContent);
}

TEST_P(RecordLayerTest, RefusesATicketBehindAKeyUpdate) {
  MakeClient();
  ExpectRefused(Seal(kHandshake, std::string("\x18\0\0\1\0"sv) + Ticket(40)), 10);
}
TEST_P(RecordLayerTest, RefusesATicketThatIsTooShort) {
  MakeClient();
  ExpectRefused(Seal(kHandshake, Ticket(13)), 50);  // decode_error
}
TEST_P(RecordLayerTest, RefusesATicketThatIsTooLong) {
  MakeClient();
  ExpectRefused(Seal(kHandshake, std::string("\4\2\1\12\0"sv)), 50);
}
TEST_P(RecordLayerTest, RefusesOthersWithinATicket) {
  MakeClient();
  ASSERT_EQ(Open(Seal(kHandshake, Ticket(40).substr(0, 20))).opened, kNothing);
  ExpectRefused(Seal(kApplicationData, "x"), 10);
}
TEST_P(RecordLayerTest, RefusesAClientsTicket) { ExpectRefused(Seal(kHandshake, Ticket(40)), 10); }
TEST_P(RecordLayerTest, RefusesAServersCertificateRequest) {
  MakeClient();
  ExpectRefused(Seal(kHandshake, std::string("\x0d\0\0\3\0\0\0"sv)), 10);
}

TEST_P(RecordLayerTest, TellsAlertsApart) {
  EXPECT_EQ(Open(Seal(kAlert, "\x01\x5a")).opened, kNothing);  // user_canceled
  EXPECT_EQ(Open(Seal(kAlert, "\x01\0"sv)).opened, RecordLayer::Opened::kPeerClosed);
  EXPECT_EQ(Open(Seal(kAlert, "\x02\0"sv)).opened, RecordLayer::Opened::kPeerClosed);
  const RecordLayer::Result result = Open(Seal(kAlert, "\x01\x2a"));
  EXPECT_EQ(result.opened, RecordLayer::Opened::kPeerAlert);
  EXPECT_EQ(result.alert, 42);
  EXPECT_EQ(Answer(), "");
}
TEST_P(RecordLayerTest, RefusesShortAlerts) { ExpectRefused(Seal(kAlert, "\x01"), 50); }
TEST_P(RecordLayerTest, RefusesLongAlerts) { ExpectRefused(Seal(kAlert, "\x02\x2a\x2a"), 50); }

TEST_P(RecordLayerTest, SealsNothingBehindItsEnd) {
  layer_->CloseNotify(cipher_out_);
  EXPECT_EQ(Answer(), Content(kAlert, std::string("\x01\0"sv)));
  layer_->CloseNotify(cipher_out_);
  EXPECT_EQ(Open(Seal(kHandshake, "\x18\0\0\1\1"sv)).opened, kNothing);
  ASSERT_TRUE(to_server_.Update());
  EXPECT_EQ(Open(Seal(kApplicationData, "x")).opened, kContent);
  EXPECT_EQ(Open(Seal(25, "x")).opened, RecordLayer::Opened::kRefused);
  EXPECT_EQ(Answer(), "");
}

TEST_P(RecordLayerTest, ChangesItsKeysInTime) {
  ASSERT_NO_FATAL_FAILURE(Make(3));
  int updates = 0;
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(plain_out_.Append("x"), Room::kOk);
    ASSERT_TRUE(layer_->SealFront(plain_out_, cipher_out_));
    std::string answer = Answer();
    if (answer.starts_with(std::to_string(kHandshake))) {
      ++updates;
      answer = Answer();
    }
    ASSERT_EQ(answer, Content(kApplicationData, "x")) << i;
  }
  EXPECT_EQ(updates, 6);
}

TEST_P(RecordLayerTest, SealsFullRecords) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(plain_out_.Append(std::string(7000, static_cast<char>('a' + i))), Room::kOk);
  }
  ASSERT_TRUE(layer_->SealFront(plain_out_, cipher_out_));
  EXPECT_EQ(plain_out_.size(), 21'000U - 16'384U);
  EXPECT_EQ(Answer(), Content(kApplicationData, std::string(7000, 'a') + std::string(7000, 'b') +
                                                    std::string(2384, 'c')));
  ASSERT_TRUE(layer_->SealFront(plain_out_, cipher_out_));
  EXPECT_EQ(Answer(), Content(kApplicationData, std::string(4616, 'c')));
}

TEST_P(RecordLayerTest, SaysThatThereIsNoBlock) {
  BufferPool small(1, 1);
  ByteQueue full(&small);
  ByteQueue starved(&small);
  ASSERT_EQ(full.Append(std::string(16384, 'x')), Room::kOk);
  const std::string record = Seal(kApplicationData, std::string(16384, 'x'));
  const std::array pieces = {std::string_view(record).substr(RecordLayer::kHeaderBytes)};
  EXPECT_EQ(layer_->Open(HeaderOf(record), pieces, starved, cipher_out_).opened,
            RecordLayer::Opened::kNoBlocks);
}

}  // namespace
}  // namespace ringpost::test
