// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tls/client_hello.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "hello_builder.h"
#include "ringpost/tls/client_hello_reader.h"

namespace ringpost::test {
namespace {

struct Reading {
  HelloResult result;
  ClientHello hello;
  std::string message;
  std::size_t taken = 0;  // octets that the reader has read: of records that are in place as well
};

// What a new reader says when it has `octets`, `size` of them more at a time.
Reading Read(std::string_view octets, std::size_t size) {
  BufferPool pool(16, 64);
  ByteQueue in(&pool);
  ClientHelloReader reader;
  Reading reading;
  std::size_t received = 0;
  while (received < octets.size() && reading.result.status == HelloStatus::kNeedMore) {
    const std::string_view more = octets.substr(received, size);
    received += more.size();
    EXPECT_EQ(in.Append(more), Room::kOk);
    reading.result = reader.Read(in, reading.hello);
  }
  reading.message = reading.result.message;
  reading.result.message = {};
  reading.taken = received - in.size();
  if (reading.result.in_place) {
    EXPECT_EQ(in.Front().substr(5, reading.message.size()), reading.message);
    reading.taken += 5 + reading.message.size();
  }
  EXPECT_TRUE(reading.result.status == HelloStatus::kNeedMore || !reader.holds_part());
  return reading;
}

Reading ReadOnce(std::string_view octets) { return Read(octets, BufferPool::kLargeBytes); }

// Whole, octet by octet, and with octets behind it: the answer must be the same.
Reading ReadThreeWays(const std::string& octets) {
  Reading whole = ReadOnce(octets);
  for (const Reading& other : {Read(octets, 1), ReadOnce(octets + "\x14\x03\x03")}) {
    EXPECT_EQ(other.result.status, whole.result.status);
    EXPECT_EQ(other.result.alert, whole.result.alert);
    EXPECT_EQ(other.result.reason, whole.result.reason);
    EXPECT_EQ(other.message, whole.message);
    if (whole.result.status == HelloStatus::kComplete) {
      EXPECT_EQ(other.taken, whole.taken);
    }
  }
  return whole;
}

void ExpectMalformed(const std::string& octets, TlsAlert alert) {
  const Reading reading = ReadThreeWays(octets);
  EXPECT_EQ(reading.result.status, HelloStatus::kMalformed);
  EXPECT_EQ(reading.result.alert, alert) << reading.result.reason;
}

ClientHello ReadComplete(const HelloBuilder& builder) {
  const Reading reading = ReadThreeWays(builder.Records());
  EXPECT_EQ(reading.result.status, HelloStatus::kComplete) << reading.result.reason;
  EXPECT_EQ(reading.message, builder.Message());
  return reading.hello;
}

TEST(ClientHelloTest, Usual) {
  const HelloBuilder builder = HelloBuilder::Usual();
  const Reading reading = ReadThreeWays(builder.Records());
  ASSERT_EQ(reading.result.status, HelloStatus::kComplete) << reading.result.reason;
  EXPECT_EQ(reading.taken, builder.Records().size());
  EXPECT_TRUE(reading.result.in_place);
  const ClientHello& hello = reading.hello;
  EXPECT_TRUE(hello.tls12);
  EXPECT_TRUE(hello.tls13);
  EXPECT_TRUE(hello.suite_tls13);
  EXPECT_TRUE(hello.suite_ecdsa);
  EXPECT_TRUE(hello.suite_rsa);
  EXPECT_FALSE(hello.fallback_scsv);
  EXPECT_EQ(hello.signatures,
            kSignatureEcdsaP256 | kSignatureEcdsaP384 | kSignatureRsaPss | kSignatureRsaPkcs1);
  EXPECT_EQ(hello.groups, kGroupX25519 | kGroupP256 | kGroupP384);
  EXPECT_EQ(hello.sni(), "mx.example.test");
  EXPECT_FALSE(hello.has_alpn);
  EXPECT_TRUE(hello.psk_modes_dhe);
  EXPECT_FALSE(hello.has_pre_shared_key);
  EXPECT_FALSE(JudgeClientHello(hello).has_value());
}

TEST(ClientHelloTest, EveryTruncationNeedsMore) {
  const std::string octets = HelloBuilder::Usual().Records();
  for (std::size_t size = 0; size < octets.size(); ++size) {
    EXPECT_EQ(ReadOnce(octets.substr(0, size)).result.status, HelloStatus::kNeedMore) << size;
  }
}

TEST(ClientHelloTest, EveryTruncatedBodyIsMalformedOrShorterHello) {
  // The record and the message say that they are complete, the body ends too early.
  const std::string body = HelloBuilder::Usual().Message().substr(4);
  for (std::size_t size = 0; size < body.size(); ++size) {
    const std::string message = Number(1, 1) + Vector(3, body.substr(0, size));
    const Reading reading = ReadOnce(Record(22, message));
    // Only a hello that ends before its extensions is well-formed.
    if (reading.result.status == HelloStatus::kComplete) {
      EXPECT_EQ(size, 2U + 32 + 33 + 2 + 10 + 2);
    } else {
      EXPECT_EQ(reading.result.status, HelloStatus::kMalformed) << size;
      EXPECT_EQ(reading.result.alert, TlsAlert::kDecodeError) << size;
    }
  }
}

// In an allocation of its exact size, so that the sanitizers see a read past its end.
TEST(ClientHelloTest, NothingIsReadBehindTheMessage) {
  const std::string message = HelloBuilder::Usual().Alpn({"smtp"}).Message();
  for (std::size_t size = 4; size <= message.size(); ++size) {
    const std::vector<char> exact(message.begin(), message.begin() + std::ptrdiff_t(size));
    ClientHello hello;
    EXPECT_EQ(ReadClientHello({exact.data(), exact.size()}, hello).has_value(),
              size != message.size() && size != 4 + 2 + 32 + 33 + 2 + 10 + 2)
        << size;
  }
}

TEST(ClientHelloTest, EveryFragmentSize) {
  const HelloBuilder builder = HelloBuilder::Usual();
  const std::string message = builder.Message();
  for (std::size_t size = 1; size <= message.size(); ++size) {
    const std::string octets = Fragmented(message, size);
    const Reading reading = ReadThreeWays(octets);
    ASSERT_EQ(reading.result.status, HelloStatus::kComplete) << size;
    EXPECT_EQ(reading.message, message);
    EXPECT_EQ(reading.taken, octets.size());
    EXPECT_EQ(reading.result.in_place, size == message.size());
    EXPECT_EQ(reading.hello.sni(), "mx.example.test");
  }
}

TEST(ClientHelloTest, EveryFlippedOctetIsRead) {
  // No octet of a peer may do more than change the answer.
  const std::string octets = HelloBuilder::Usual().Alpn({"smtp"}).Records();
  for (std::size_t i = 0; i < octets.size(); ++i) {
    for (const int change : {0x01, 0x80, 0xff}) {
      std::string changed = octets;
      changed[i] = static_cast<char>(changed[i] ^ change);
      const Reading reading = ReadOnce(changed);
      EXPECT_TRUE(reading.result.status == HelloStatus::kComplete ||
                  reading.result.status == HelloStatus::kNeedMore || !reading.result.reason.empty())
          << i;
    }
  }
}

// A hello of `octets`, its header included.
std::string LongMessage(std::size_t octets) {
  HelloBuilder builder = HelloBuilder::Usual();
  builder.Set(21, "");
  const std::size_t rest = octets - builder.Message().size();
  return builder.Set(21, std::string(rest, '\0')).Message();
}

TEST(ClientHelloTest, LongHellos) {
  constexpr std::size_t kRecordMax = 1 << 14;
  constexpr std::size_t kInPlaceMax = BufferPool::kLargeBytes - 5;
  for (const std::size_t octets : {kInPlaceMax, kInPlaceMax + 1, kRecordMax, kRecordMax + 1,
                                   std::size_t{20000}, std::size_t{50000}, std::size_t{65000}}) {
    const std::string message = LongMessage(octets);
    ASSERT_EQ(message.size(), octets);
    for (const std::size_t size : {kRecordMax, std::size_t{1400}, std::size_t{1}}) {
      SCOPED_TRACE(testing::Message() << octets << " in records of " << size);
      const std::string records = Fragmented(message, size);
      const Reading reading = ReadThreeWays(records);
      ASSERT_EQ(reading.result.status, HelloStatus::kComplete) << reading.result.reason;
      EXPECT_EQ(reading.message, message);
      EXPECT_EQ(reading.taken, records.size());
      EXPECT_EQ(reading.result.in_place, octets <= kInPlaceMax && size == kRecordMax);
      EXPECT_EQ(reading.hello.sni(), "mx.example.test");
    }
  }
}

TEST(ClientHelloTest, TheLongestHello) {
  const Reading longest = ReadThreeWays(Fragmented(LongMessage(kClientHelloBytesMax), 1 << 14));
  EXPECT_EQ(longest.result.status, HelloStatus::kComplete) << longest.result.reason;
  ExpectMalformed(Fragmented(LongMessage(kClientHelloBytesMax + 1), 1 << 14),
                  TlsAlert::kIllegalParameter);
}

// It is known from the header on, and nothing is gathered for it.
TEST(ClientHelloTest, TooLongAHelloIsKnownFromItsHeader) {
  const std::string header = Number(1, 1) + Number(kClientHelloBytesMax - 4 + 1, 3);
  for (const std::size_t size : {1U, 3U, 4U}) {
    const std::string octets = Fragmented(header, size);
    const Reading reading = ReadThreeWays(octets);
    EXPECT_EQ(reading.result.status, HelloStatus::kMalformed);
    EXPECT_EQ(reading.result.alert, TlsAlert::kIllegalParameter);
    EXPECT_EQ(ReadOnce(octets.substr(0, octets.size() - 1)).result.status, HelloStatus::kNeedMore);
  }
  ExpectMalformed(Number(22, 1) + Number(0x0301, 2) + Number(1 << 14, 2) + header,
                  TlsAlert::kIllegalParameter);
}

// Who sends a part of one holds what came, without the headers of the records.
TEST(ClientHelloTest, BlocksOfAPart) {
  BufferPool pool(16, 16);
  {
    ByteQueue in(&pool);
    ClientHelloReader reader;
    ClientHello hello;
    const std::string records = Fragmented(LongMessage(50000), 1);
    std::size_t sent = 0;
    const auto held = [&](std::size_t octets) {
      while (sent < octets * 6) {
        const std::size_t part = std::min<std::size_t>(1500, octets * 6 - sent);
        EXPECT_EQ(in.Append(std::string_view(records).substr(sent, part)), Room::kOk);
        sent += part;
        EXPECT_EQ(reader.Read(in, hello).status, HelloStatus::kNeedMore);
      }
      EXPECT_TRUE(in.empty());
      std::size_t large = 0;
      std::size_t small = 0;
      reader.CountBlocks(&large, &small);
      EXPECT_EQ(pool.total_count(BlockSize::kLarge) - pool.free_count(BlockSize::kLarge), large);
      EXPECT_EQ(pool.total_count(BlockSize::kSmall) - pool.free_count(BlockSize::kSmall), small);
      return std::pair(small, large);
    };
    EXPECT_EQ(held(1), std::pair(std::size_t{1}, std::size_t{0}));
    EXPECT_EQ(held(2048), std::pair(std::size_t{1}, std::size_t{0}));
    EXPECT_EQ(held(2049), std::pair(std::size_t{1}, std::size_t{1}));
    EXPECT_EQ(held(40000), std::pair(std::size_t{1}, std::size_t{3}));
  }
  EXPECT_EQ(pool.free_count(BlockSize::kLarge), pool.total_count(BlockSize::kLarge));
}

TEST(ClientHelloTest, WithoutBlocks) {
  BufferPool pool(1, 1);
  ByteQueue in(&pool);
  ClientHelloReader reader;
  ClientHello hello;
  ASSERT_EQ(in.Append(Fragmented(LongMessage(3000), 1400)), Room::kOk);
  EXPECT_EQ(reader.Read(in, hello).status, HelloStatus::kNoBlocks);
  EXPECT_FALSE(reader.holds_part());
}

TEST(ClientHelloTest, RecordErrors) {
  const std::string message = HelloBuilder::Usual().Message();
  ExpectMalformed(Number(22, 1) + Number(0x0301, 2) + Number(16385, 2), TlsAlert::kRecordOverflow);
  ExpectMalformed(Record(22, ""), TlsAlert::kUnexpectedMessage);
  ExpectMalformed(
      Record(22, message.substr(0, 40)) + Record(22, "") + Record(22, message.substr(40)),
      TlsAlert::kUnexpectedMessage);
  ExpectMalformed(Record(22, message.substr(0, 40)) + Record(23, message.substr(40)),
                  TlsAlert::kUnexpectedMessage);
  ExpectMalformed(Record(22, message + Number(11, 1) + Number(0, 3)), TlsAlert::kUnexpectedMessage);
  ExpectMalformed(Record(22, Number(2, 1) + Number(0, 3)), TlsAlert::kUnexpectedMessage);
  ExpectMalformed(Record(21, "\x02\x28"), TlsAlert::kUnexpectedMessage);
  ExpectMalformed(Record(22, Number(1, 1) + Number(0, 3)), TlsAlert::kDecodeError);
}

TEST(ClientHelloTest, NotTls) {
  for (const std::string text :
       {"GET / HTTP/1.1\r\n", "EHLO client\r\n", "\r\n", "\x16\x16", "SSH-2.0-x\r\n",
        "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", "\x80\x2ezzzzzz", "\xff\xff\xff\xff\xff\xff"}) {
    EXPECT_EQ(ReadThreeWays(text).result.status, HelloStatus::kNotTls) << text;
  }
}

// PROTOCOL 23
TEST(ClientHelloTest, Versions) {
  for (const unsigned version : {0x0300U, 0x0301U, 0x0302U}) {
    HelloBuilder old = HelloBuilder::Tls12();
    old.legacy_version = version;
    const auto refusal = JudgeClientHello(ReadComplete(old));
    ASSERT_TRUE(refusal.has_value());
    EXPECT_EQ(refusal->alert, TlsAlert::kProtocolVersion);
  }
  EXPECT_FALSE(JudgeClientHello(ReadComplete(HelloBuilder::Tls12())).has_value());

  // supported_versions alone counts where it is present.
  HelloBuilder only_old = HelloBuilder::Usual();
  only_old.Set(kSupportedVersions, Vector(1, Number(0x0302, 2)));
  EXPECT_EQ(JudgeClientHello(ReadComplete(only_old))->alert, TlsAlert::kProtocolVersion);
  HelloBuilder grease = HelloBuilder::Usual();
  grease.Set(kSupportedVersions, Vector(1, Number(0x7a7a, 2) + Number(0x0304, 2)));
  const ClientHello hello = ReadComplete(grease);
  EXPECT_TRUE(hello.tls13);
  EXPECT_FALSE(hello.tls12);

  ExpectMalformed(std::string("\x80\x2e\x01\x03\x01", 5),
                  TlsAlert::kProtocolVersion);  // SSL 2.0 form
  ExpectMalformed(std::string("\x80\x2e\x01\x00\x02", 5), TlsAlert::kProtocolVersion);
}

// PROTOCOL 23, RFC 7507
TEST(ClientHelloTest, FallbackSignal) {
  HelloBuilder fallback = HelloBuilder::Tls12();
  fallback.suites.push_back(0x5600);
  EXPECT_EQ(JudgeClientHello(ReadComplete(fallback))->alert, TlsAlert::kInappropriateFallback);
  HelloBuilder best = HelloBuilder::Usual();
  best.suites.push_back(0x5600);
  EXPECT_FALSE(JudgeClientHello(ReadComplete(best)).has_value());
}

// PROTOCOL 24
TEST(ClientHelloTest, SuitesAndGroupsInCommon) {
  HelloBuilder weak = HelloBuilder::Tls12();
  // RSA key exchange, CBC, 3DES, DHE, ECDHE with CBC.
  weak.suites = {0x009c, 0x002f, 0x000a, 0x009e, 0xc027, 0xc013};
  EXPECT_EQ(JudgeClientHello(ReadComplete(weak))->alert, TlsAlert::kHandshakeFailure);
  HelloBuilder only12 = HelloBuilder::Usual();
  only12.Set(kSupportedVersions, Vector(1, Number(0x0304, 2)));
  only12.suites = {0xc02b};
  EXPECT_EQ(JudgeClientHello(ReadComplete(only12))->alert, TlsAlert::kHandshakeFailure);
  HelloBuilder groups = HelloBuilder::Usual();
  groups.List(kSupportedGroups, {0x0019, 0x0100});  // P-521, ffdhe2048
  EXPECT_EQ(JudgeClientHello(ReadComplete(groups))->alert, TlsAlert::kHandshakeFailure);
  groups.Remove(kSupportedGroups);
  EXPECT_EQ(JudgeClientHello(ReadComplete(groups))->alert, TlsAlert::kMissingExtension);
}

// PROTOCOL 25
TEST(ClientHelloTest, WeakSignaturesOnly) {
  for (HelloBuilder builder : {HelloBuilder::Usual(), HelloBuilder::Tls12()}) {
    builder.List(kSignatureAlgorithms, {0x0201, 0x0203, 0x0301, 0x0303});
    EXPECT_EQ(JudgeClientHello(ReadComplete(builder))->alert, TlsAlert::kHandshakeFailure);
  }
  EXPECT_EQ(
      JudgeClientHello(ReadComplete(HelloBuilder::Tls12().Remove(kSignatureAlgorithms)))->alert,
      TlsAlert::kHandshakeFailure);
  EXPECT_EQ(
      JudgeClientHello(ReadComplete(HelloBuilder::Usual().Remove(kSignatureAlgorithms)))->alert,
      TlsAlert::kMissingExtension);
}

// A pre_shared_key with so many identities.
std::string PreSharedKeys(std::size_t count) {
  std::string identities;
  std::string binders;
  for (std::size_t i = 0; i < count; ++i) {
    identities += Vector(2, Number(i, 2)) + Number(0, 4);
    binders += Vector(1, std::string(32, 'b'));
  }
  return Vector(2, identities) + Vector(2, binders);
}

TEST(ClientHelloTest, PreSharedKeys) {
  const auto with = [](const std::string& content) {
    HelloBuilder hello = HelloBuilder::Usual();
    hello.Set(kPreSharedKey, content);
    return Fragmented(hello.Message(), 1 << 14);
  };
  EXPECT_EQ(ReadThreeWays(with(PreSharedKeys(kPskIdentitiesMax))).result.status,
            HelloStatus::kComplete);
  // wolfSSL would compare each with all of those before it.
  for (const std::size_t count : {kPskIdentitiesMax + 1, std::size_t{1500}}) {
    ExpectMalformed(with(PreSharedKeys(count)), TlsAlert::kIllegalParameter);
  }
  const std::string one = Vector(2, Vector(2, "t") + Number(0, 4));
  const std::string binder = Vector(1, std::string(32, 'b'));
  for (const std::string& content :
       {std::string(), std::string("x"), one, PreSharedKeys(0), one + Vector(2, ""),
        one + Vector(2, binder + binder), one + Vector(2, Vector(1, std::string(31, 'b'))),
        one + Vector(2, binder) + "x", Vector(2, Vector(2, "") + Number(0, 4)) + Vector(2, binder),
        Vector(2, Vector(2, "t") + Number(0, 3)) + Vector(2, binder),
        one + Vector(2, binder + Number(32, 1))}) {
    ExpectMalformed(with(content), TlsAlert::kDecodeError);
  }
}

// RFC 8446 4.2.9
TEST(ClientHelloTest, PreSharedKeyWithoutModes) {
  HelloBuilder hello = HelloBuilder::Usual();
  hello.Remove(kPskModes);
  EXPECT_FALSE(JudgeClientHello(ReadComplete(hello)).has_value());
  hello.Set(kPreSharedKey, PreSharedKeys(1));
  EXPECT_EQ(JudgeClientHello(ReadComplete(hello))->alert, TlsAlert::kMissingExtension);
  hello.Set(kPskModes, Vector(1, std::string(1, '\0')));
  EXPECT_FALSE(JudgeClientHello(ReadComplete(hello)).has_value());
  EXPECT_FALSE(
      JudgeClientHello(ReadComplete(HelloBuilder::Tls12().Set(kPreSharedKey, "x"))).has_value());
}

// PROTOCOL 26
TEST(ClientHelloTest, CompressionAndRenegotiation) {
  HelloBuilder deflate = HelloBuilder::Usual();
  deflate.compression = std::string("\x01\x00", 2);
  ExpectMalformed(deflate.Records(), TlsAlert::kIllegalParameter);
  HelloBuilder no_null = HelloBuilder::Tls12();
  no_null.compression = "\x01";
  ExpectMalformed(no_null.Records(), TlsAlert::kIllegalParameter);
  // TLS 1.2: compression may be offered; null is chosen.
  HelloBuilder deflate12 = HelloBuilder::Tls12();
  deflate12.compression = std::string("\x01\x00", 2);
  EXPECT_FALSE(JudgeClientHello(ReadComplete(deflate12)).has_value());

  HelloBuilder renegotiation = HelloBuilder::Tls12();
  renegotiation.Set(kRenegotiationInfo, Vector(1, "verify data!"));
  ExpectMalformed(renegotiation.Records(), TlsAlert::kHandshakeFailure);
}

// PROTOCOL 27
TEST(ClientHelloTest, ServerNames) {
  const auto name_of = [](std::string_view name) {
    return std::string(ReadComplete(HelloBuilder::Usual().ServerName(name)).sni());
  };
  EXPECT_EQ(name_of("MX.Example.TEST"), "mx.example.test");
  EXPECT_EQ(name_of("mx.example.test."), "mx.example.test");
  EXPECT_EQ(name_of("_25._tcp.a-b.example"), "_25._tcp.a-b.example");
  EXPECT_EQ(name_of(std::string(255, 'a')), std::string(255, 'a'));
  EXPECT_EQ(ReadComplete(HelloBuilder::Usual().Remove(kServerName)).sni(), "");

  // What is no host name counts as no name.
  for (const std::string_view name :
       {".", "..", "mx.example.test..", ".example", "mx example", " ", "mx.ex\xc3\xa4mple", "::1",
        "[::1]", "2001:db8::25", "fe80::1%eth0", "mx\r\nXCLIENT", "mx.example.test:25", "*.example",
        "\xff"}) {
    EXPECT_EQ(name_of(name), "") << name;
  }

  const auto refused = [](std::string_view name) {
    ExpectMalformed(HelloBuilder::Usual().ServerName(name).Records(), TlsAlert::kIllegalParameter);
  };
  refused(std::string_view("mx.example.test\0.evil", 21));
  refused(std::string_view("\0", 1));
  refused(std::string_view("mx example\0", 11));
  refused(std::string(256, 'a'));

  const auto malformed = [](std::string content, TlsAlert alert) {
    ExpectMalformed(HelloBuilder::Usual().Set(kServerName, std::move(content)).Records(), alert);
  };
  const std::string entry = Number(0, 1) + Vector(2, "a.example");
  malformed("", TlsAlert::kDecodeError);
  malformed(Vector(2, ""), TlsAlert::kDecodeError);
  malformed(Vector(2, Number(0, 1) + Vector(2, "")), TlsAlert::kDecodeError);
  malformed(Vector(2, Number(1, 1) + "x"), TlsAlert::kDecodeError);
  malformed(Vector(2, entry + "x"), TlsAlert::kDecodeError);
  malformed(Vector(2, entry + entry), TlsAlert::kIllegalParameter);
  malformed(Vector(2, entry) + "x", TlsAlert::kDecodeError);
  malformed(Number(200, 2) + entry, TlsAlert::kDecodeError);
  malformed(Vector(2, Number(0, 1) + Number(200, 2) + "a.example"), TlsAlert::kDecodeError);

  const auto name_in = [](const std::string& list) {
    return std::string(ReadComplete(HelloBuilder::Usual().Set(kServerName, Vector(2, list))).sni());
  };
  const std::string other = Number(7, 1) + Vector(2, std::string("\0\xff", 2));
  EXPECT_EQ(name_in(other), "");
  EXPECT_EQ(name_in(other + entry), "a.example");
  EXPECT_EQ(name_in(entry + other + Number(255, 1) + Vector(2, "")), "a.example");
  malformed(Vector(2, entry + other + entry), TlsAlert::kIllegalParameter);

  HelloBuilder twice = HelloBuilder::Usual();
  twice.extensions.emplace_back(kServerName, Vector(2, entry));
  ExpectMalformed(twice.Records(), TlsAlert::kIllegalParameter);
}

// PROTOCOL 28
TEST(ClientHelloTest, Alpn) {
  EXPECT_FALSE(JudgeClientHello(ReadComplete(HelloBuilder::Usual().Alpn({"smtp"}))).has_value());
  EXPECT_FALSE(
      JudgeClientHello(ReadComplete(HelloBuilder::Usual().Alpn({"h2", "smtp"}))).has_value());
  for (const std::vector<std::string>& protocols :
       {std::vector<std::string>{"h2"}, {"h2", "http/1.1"}, {"SMTP"}, {"smtps", "smt"}}) {
    const auto refusal = JudgeClientHello(ReadComplete(HelloBuilder::Usual().Alpn(protocols)));
    ASSERT_TRUE(refusal.has_value());
    EXPECT_EQ(refusal->alert, TlsAlert::kNoApplicationProtocol);
  }
  ExpectMalformed(HelloBuilder::Usual().Alpn({}).Records(), TlsAlert::kDecodeError);
  ExpectMalformed(HelloBuilder::Usual().Alpn({"smtp", ""}).Records(), TlsAlert::kDecodeError);
  ExpectMalformed(HelloBuilder::Usual().Set(kAlpn, Vector(2, Number(9, 1) + "smtp")).Records(),
                  TlsAlert::kDecodeError);
}

TEST(ClientHelloTest, MalformedLists) {
  for (const unsigned type : {kSupportedGroups, kSignatureAlgorithms}) {
    for (const std::string& content : {std::string(), Vector(2, ""), Vector(2, "abc"),
                                       Number(6, 2) + "abcd", Vector(2, "abcd") + "x"}) {
      ExpectMalformed(HelloBuilder::Usual().Set(type, content).Records(), TlsAlert::kDecodeError);
    }
  }
  for (const std::string& content :
       {std::string(), Vector(1, ""), Vector(1, "abc"), Number(6, 1) + "abcd"}) {
    ExpectMalformed(HelloBuilder::Usual().Set(kSupportedVersions, content).Records(),
                    TlsAlert::kDecodeError);
  }
  ExpectMalformed(HelloBuilder::Usual().Set(kPskModes, Vector(1, "")).Records(),
                  TlsAlert::kDecodeError);

  HelloBuilder odd = HelloBuilder::Usual();
  odd.session_id = std::string(33, 's');
  ExpectMalformed(odd.Records(), TlsAlert::kDecodeError);
  odd = HelloBuilder::Usual();
  odd.suites.clear();
  ExpectMalformed(odd.Records(), TlsAlert::kDecodeError);
  odd = HelloBuilder::Usual();
  odd.compression.clear();
  ExpectMalformed(odd.Records(), TlsAlert::kDecodeError);

  HelloBuilder many = HelloBuilder::Usual();
  for (unsigned type = 1000; type < 1070; ++type) {
    many.Set(type, "");
  }
  EXPECT_EQ(ReadThreeWays(many.Records()).result.status, HelloStatus::kComplete);
  many.extensions.emplace_back(1069, "");
  ExpectMalformed(many.Records(), TlsAlert::kIllegalParameter);
}

TEST(ClientHelloTest, WithoutExtensions) {
  HelloBuilder bare;
  bare.no_extensions = true;
  const ClientHello hello = ReadComplete(bare);
  EXPECT_TRUE(hello.tls12);
  EXPECT_FALSE(hello.tls13);
  EXPECT_EQ(JudgeClientHello(hello)->alert, TlsAlert::kHandshakeFailure);
}

}  // namespace
}  // namespace ringpost::test
