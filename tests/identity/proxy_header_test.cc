// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/identity/proxy_header.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <random>
#include <string>
#include <string_view>

namespace ringpost {
namespace {

using std::string_literals::operator""s;

const std::string kSignature = "\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A"s;

union Address {
  sockaddr any;
  sockaddr_in in;
  sockaddr_in6 in6;
  sockaddr_un un;
};

Address Ipv4(const char* text, std::uint16_t port) {
  Address address{};
  address.in.sin_family = AF_INET;
  address.in.sin_port = htons(port);
  EXPECT_EQ(inet_pton(AF_INET, text, &address.in.sin_addr), 1);
  return address;
}

Address Ipv6(const char* text, std::uint16_t port) {
  Address address{};
  address.in6.sin6_family = AF_INET6;
  address.in6.sin6_port = htons(port);
  EXPECT_EQ(inet_pton(AF_INET6, text, &address.in6.sin6_addr), 1);
  return address;
}

std::string V2(const Address& source, const Address& destination,
               const ProxyTlsFacts* tls = nullptr, ProxyTlvs tlvs = ProxyTlvs::kAll,
               std::size_t octets_max = kProxyHeaderMax) {
  std::array<char, kProxyHeaderMax> out{};
  return {out.data(), WriteProxyV2(out, &source.any, &destination.any, tls, tlvs, octets_max)};
}

std::string V1(const Address& source, const Address& destination) {
  std::array<char, kProxyV1Max> out{};
  return {out.data(), WriteProxyV1(out, &source.any, &destination.any)};
}

// Whole, byte by byte, with trailing bytes: the answer is the same, and no prefix is complete.
ProxyHeader ParseThreeWays(const std::string& octets) {
  const ProxyHeader whole = ParseProxyHeader(octets);
  EXPECT_EQ(whole.result, ProxyParse::kComplete);
  EXPECT_EQ(whole.length, octets.size());
  for (std::size_t i = 0; i < octets.size(); ++i) {
    // An exact heap copy, so that a read behind the end is visible to sanitizers.
    const std::string prefix(octets.data(), i);
    EXPECT_EQ(ParseProxyHeader(prefix).result, ProxyParse::kNeedMore) << "prefix of " << i;
  }
  for (const std::string& tail : {"EHLO x\r\n"s, "\n"s, "\0"s, octets}) {
    const ProxyHeader more = ParseProxyHeader(octets + tail);
    EXPECT_EQ(more.result, ProxyParse::kComplete);
    EXPECT_EQ(more.length, octets.size());
    EXPECT_EQ(more.source.address, whole.source.address);
    EXPECT_EQ(more.tls_cipher, whole.tls_cipher);
  }
  return whole;
}

// Malformed whole and with trailing bytes; no prefix is complete.
void ExpectMalformed(const std::string& octets) {
  SCOPED_TRACE(testing::PrintToString(octets));
  EXPECT_EQ(ParseProxyHeader(octets).result, ProxyParse::kMalformed);
  EXPECT_EQ(ParseProxyHeader(octets + "EHLO x\r\n").result, ProxyParse::kMalformed);
  for (std::size_t i = 0; i < octets.size(); ++i) {
    EXPECT_NE(ParseProxyHeader(std::string(octets.data(), i)).result, ProxyParse::kComplete);
  }
}

// Wraps `block` in a version 2 header whose length is true.
std::string Wrap(char command, char family, const std::string& block) {
  return kSignature + command + family + static_cast<char>(block.size() >> 8) +
         static_cast<char>(block.size() & 0xff) + block;
}

const std::string kTcp4Block = "\xC0\x00\x02\x01\xC6\x33\x64\x02\x04\xD2\x00\x19"s;

TEST(ProxyHeaderWrite, V2Ipv4IsTheSpecificationsLayout) {
  const std::string header = V2(Ipv4("192.0.2.1", 1234), Ipv4("198.51.100.2", 25));
  EXPECT_EQ(header, kSignature + "\x21\x11\x00\x0C"s + kTcp4Block);
}

TEST(ProxyHeaderWrite, V2Ipv6IsTheSpecificationsLayout) {
  const std::string header = V2(Ipv6("2001:db8::1", 65535), Ipv6("2001:db8::2", 465));
  EXPECT_EQ(header, kSignature + "\x21\x21\x00\x24"s +
                        "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01"s
                        "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x02"s
                        "\xFF\xFF\x01\xD1"s);
}

TEST(ProxyHeaderWrite, V4MappedPairIsIpv4) {
  EXPECT_EQ(V2(Ipv6("::ffff:192.0.2.1", 1234), Ipv6("::ffff:198.51.100.2", 25)),
            V2(Ipv4("192.0.2.1", 1234), Ipv4("198.51.100.2", 25)));
  EXPECT_EQ(V1(Ipv6("::ffff:192.0.2.1", 1234), Ipv6("::ffff:198.51.100.2", 25)),
            "PROXY TCP4 192.0.2.1 198.51.100.2 1234 25\r\n");
}

TEST(ProxyHeaderWrite, MixedFamiliesBecomeIpv6) {
  const ProxyHeader header = ParseThreeWays(V2(Ipv4("192.0.2.1", 1234), Ipv6("2001:db8::2", 25)));
  EXPECT_EQ(header.source.address, "::ffff:192.0.2.1");
  EXPECT_EQ(header.destination.address, "2001:db8::2");
}

TEST(ProxyHeaderWrite, V1IsTheSpecificationsLine) {
  EXPECT_EQ(V1(Ipv4("255.255.255.255", 65535), Ipv4("255.255.255.255", 65535)),
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n");
  const std::string widest = V1(Ipv6("2001:db8:1111:2222:3333:4444:5555:6666", 65535),
                                Ipv6("2001:db8:1111:2222:3333:4444:5555:7777", 65535));
  EXPECT_EQ(widest,
            "PROXY TCP6 2001:db8:1111:2222:3333:4444:5555:6666 "
            "2001:db8:1111:2222:3333:4444:5555:7777 65535 65535\r\n");
  EXPECT_LE(widest.size(), kProxyV1Max);
}

TEST(ProxyHeaderWrite, NothingToTellIsLocal) {
  Address unix_address{};
  unix_address.un.sun_family = AF_UNIX;
  EXPECT_EQ(V2(unix_address, unix_address), kSignature + "\x20\x00\x00\x00"s);
  EXPECT_EQ(V1(unix_address, unix_address), "PROXY UNKNOWN\r\n");
  std::array<char, kProxyHeaderMax> out{};
  const Address client = Ipv4("192.0.2.1", 1);
  EXPECT_EQ(WriteProxyV2(out, &client.any, nullptr, nullptr), 16U);
  EXPECT_EQ(WriteProxyV2Local(out), 16U);
  const ProxyHeader header = ParseThreeWays({out.data(), 16});
  EXPECT_TRUE(header.local);
  EXPECT_EQ(header.source.address, "");
}

TEST(ProxyHeaderWrite, TlsFactsAsTlvs) {
  const ProxyTlsFacts facts{.version = "TLSv1.3",
                            .cipher = "TLS_AES_128_GCM_SHA256",
                            .sni = "mx.example",
                            .client_common_name = {},
                            .key_exchange_group = "X25519"};
  const std::string header = V2(Ipv4("192.0.2.1", 1234), Ipv4("198.51.100.2", 25), &facts);
  EXPECT_EQ(header, kSignature + "\x21\x11\x00\x4D"s + kTcp4Block +
                        "\x02\x00\x0Amx.example"s
                        "\x20\x00\x31\x01\x00\x00\x00\x01"s
                        "\x21\x00\x07TLSv1.3"s
                        "\x23\x00\x16TLS_AES_128_GCM_SHA256"s
                        "\x26\x00\x06X25519"s);
  const ProxyHeader parsed = ParseThreeWays(header);
  EXPECT_EQ(parsed.version, 2);
  EXPECT_FALSE(parsed.local);
  EXPECT_EQ(parsed.source.address, "192.0.2.1");
  EXPECT_EQ(parsed.source.port, 1234);
  EXPECT_EQ(parsed.destination.address, "198.51.100.2");
  EXPECT_EQ(parsed.destination.port, 25);
  EXPECT_EQ(parsed.authority, "mx.example");
  EXPECT_TRUE(parsed.tls);
  EXPECT_FALSE(parsed.client_certificate);
  EXPECT_FALSE(parsed.verified);
  EXPECT_EQ(parsed.tls_version, "TLSv1.3");
  EXPECT_EQ(parsed.tls_cipher, "TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(parsed.tls_group, "X25519");
}

TEST(ProxyHeaderWrite, VerifyIsZeroOnlyWithAVerifiedCertificate) {
  ProxyTlsFacts facts{.version = "TLSv1.2",
                      .cipher = "C",
                      .sni = {},
                      .client_common_name = "client",
                      .key_exchange_group = {}};
  const Address source = Ipv4("192.0.2.1", 1);
  for (const bool certificate : {false, true}) {
    for (const bool verified : {false, true}) {
      facts.client_certificate = certificate;
      facts.verified = verified;
      const std::string octets = V2(source, source, &facts);
      const ProxyHeader header = ParseThreeWays(octets);
      EXPECT_EQ(header.client_certificate, certificate);
      EXPECT_EQ(header.verified, certificate && verified);
      EXPECT_EQ(header.tls_common_name, certificate ? "client" : "");
      // client bits, then verify: offset 16 + 12 + 3.
      EXPECT_EQ(octets[31], certificate ? 7 : 1);
      EXPECT_EQ(octets[35], certificate && verified ? 0 : 1);
    }
  }
}

TEST(ProxyHeaderWrite, LongestHeaderFitsAndLongerValuesAreLeftOut) {
  const std::string version(kProxyVersionMax, 'v');
  const std::string cipher(kProxyCipherMax, 'c');
  const std::string group(kProxyGroupMax, 'g');
  const std::string sni(kProxyAuthorityMax, 's');
  const std::string name(kProxyCommonNameMax, 'n');
  ProxyTlsFacts facts{.version = version,
                      .cipher = cipher,
                      .sni = sni,
                      .client_common_name = name,
                      .key_exchange_group = group,
                      .client_certificate = true,
                      .verified = true};
  const Address source = Ipv6("2001:db8::1", 1);
  const std::string widest = V2(source, source, &facts);
  EXPECT_EQ(widest.size(), kProxyHeaderMax);
  EXPECT_EQ(ParseThreeWays(widest).tls_common_name, name);

  const std::string long_sni = sni + "s";
  const std::string long_name = name + "n";
  facts.sni = long_sni;
  facts.client_common_name = long_name;
  const ProxyHeader header = ParseThreeWays(V2(source, source, &facts));
  EXPECT_EQ(header.authority, "");
  EXPECT_EQ(header.tls_common_name, "");
  EXPECT_EQ(header.tls_cipher, cipher);
}

const ProxyTlsFacts kSomeFacts{.version = "TLSv1.3",
                               .cipher = "TLS_AES_128_GCM_SHA256",
                               .sni = "mx.example",
                               .client_common_name = {},
                               .key_exchange_group = "X25519"};

TEST(ProxyHeaderWrite, WritesTheTlvsThatAreAskedFor) {
  const Address source = Ipv4("192.0.2.1", 1234);
  const Address destination = Ipv4("198.51.100.2", 25);
  const ProxyHeader all = ParseThreeWays(V2(source, destination, &kSomeFacts, ProxyTlvs::kAll));
  EXPECT_EQ(all.authority, "mx.example");
  EXPECT_EQ(all.tls_version, "TLSv1.3");
  const ProxyHeader ssl = ParseThreeWays(V2(source, destination, &kSomeFacts, ProxyTlvs::kSsl));
  EXPECT_EQ(ssl.authority, "");
  EXPECT_TRUE(ssl.tls);
  EXPECT_EQ(ssl.tls_version, "TLSv1.3");
  EXPECT_EQ(ssl.tls_cipher, "TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(ssl.tls_group, "X25519");
  EXPECT_EQ(V2(source, destination, &kSomeFacts, ProxyTlvs::kNone), V2(source, destination));
}

// The authority goes first, then the rest of the TLVs. The addresses always stay.
TEST(ProxyHeaderWrite, LeavesOutTheTlvsThatAreTooLong) {
  for (const bool ipv4 : {true, false}) {
    const Address source = ipv4 ? Ipv4("192.0.2.1", 1234) : Ipv6("2001:db8::1", 1234);
    const Address destination = ipv4 ? Ipv4("198.51.100.2", 25) : Ipv6("2001:db8::2", 25);
    const auto write = [&](ProxyTlvs tlvs, std::size_t octets_max) {
      return V2(source, destination, &kSomeFacts, tlvs, octets_max);
    };
    const std::string all = write(ProxyTlvs::kAll, kProxyHeaderMax);
    const std::string ssl = write(ProxyTlvs::kSsl, kProxyHeaderMax);
    const std::string bare = write(ProxyTlvs::kNone, kProxyHeaderMax);
    EXPECT_EQ(bare.size(), ipv4 ? 28u : 52u);
    for (std::size_t octets_max = 0; octets_max <= kProxyHeaderMax; ++octets_max) {
      SCOPED_TRACE(octets_max);
      EXPECT_EQ(write(ProxyTlvs::kAll, octets_max), octets_max >= all.size()   ? all
                                                    : octets_max >= ssl.size() ? ssl
                                                                               : bare);
      EXPECT_EQ(write(ProxyTlvs::kSsl, octets_max), octets_max >= ssl.size() ? ssl : bare);
      EXPECT_EQ(write(ProxyTlvs::kNone, octets_max), bare);
    }
  }
}

// A probe shows the backend a header of the length that sessions may send.
TEST(ProxyHeaderWrite, LocalIsFilledUp) {
  for (std::size_t octets = 0; octets <= kProxyHeaderMax; ++octets) {
    SCOPED_TRACE(octets);
    std::array<char, kProxyHeaderMax> out{};
    const std::size_t length = WriteProxyV2Local(out, octets);
    const bool filled = octets >= 16 + 3;  // a TLV has 3 octets of its own
    EXPECT_EQ(length, filled ? octets : 16);
    const std::string header(out.data(), length);
    EXPECT_EQ(header.substr(0, 14), kSignature + "\x20\x00"s);
    if (filled) {
      const std::size_t filling = octets - 19;
      EXPECT_EQ(header.substr(16), "\x04"s + static_cast<char>(filling >> 8) +
                                       static_cast<char>(filling & 0xff) +
                                       std::string(filling, '\0'));
    }
    const ProxyHeader parsed = ParseProxyHeader(header + "EHLO x\r\n");
    EXPECT_EQ(parsed.result, ProxyParse::kComplete);
    EXPECT_EQ(parsed.length, length);
    EXPECT_TRUE(parsed.local);
  }
}

TEST(ProxyHeaderWrite, ControlCharactersAreLeftOut) {
  const std::string hostile = "a\r\nMAIL FROM:<>"s;
  const ProxyTlsFacts facts{.version = "TLSv1.3",
                            .cipher = "C",
                            .sni = hostile,
                            .client_common_name = {},
                            .key_exchange_group = {}};
  const Address source = Ipv4("192.0.2.1", 1);
  const std::string header = V2(source, source, &facts);
  EXPECT_EQ(header.find("MAIL"), std::string::npos);
  EXPECT_EQ(ParseThreeWays(header).authority, "");
}

TEST(ProxyHeaderRead, V1) {
  const ProxyHeader four = ParseThreeWays("PROXY TCP4 192.0.2.1 198.51.100.2 1234 25\r\n");
  EXPECT_EQ(four.version, 1);
  EXPECT_EQ(four.source.address, "192.0.2.1");
  EXPECT_EQ(four.source.port, 1234);
  EXPECT_EQ(four.destination.address, "198.51.100.2");
  EXPECT_EQ(four.destination.port, 25);
  const ProxyHeader six = ParseThreeWays("PROXY TCP6 2001:DB8:0::1 ::1 0 65535\r\n");
  EXPECT_EQ(six.source.address, "2001:db8::1");
  EXPECT_EQ(six.destination.port, 65535);
  EXPECT_TRUE(ParseThreeWays("PROXY UNKNOWN\r\n").local);
  // The specification's worst case for UNKNOWN, 107 octets with the CRLF.
  const ProxyHeader worst = ParseThreeWays(
      "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535" + std::string(48, 'x') + "\r\n");
  EXPECT_TRUE(worst.local);
  EXPECT_EQ(worst.length, kProxyV1Max);
}

TEST(ProxyHeaderRead, V1Malformed) {
  for (const char* line : {
           "PROXY TCP4 192.0.2.1 198.51.100.2 1234 25\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 1234\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 1234 25 \r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 1234 25 7\r\n",
           "PROXY TCP4  192.0.2.1 198.51.100.2 1234 25\r\n",
           "PROXY TCP4 192.0.2.256 198.51.100.2 1234 25\r\n",
           "PROXY TCP4 2001:db8::1 ::1 1234 25\r\n",
           "PROXY TCP6 192.0.2.1 198.51.100.2 1234 25\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 -1 25\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 +1 25\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 01 25\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 0x1 25\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 1\r25 25\r\n",
           "PROXY tcp4 192.0.2.1 198.51.100.2 1234 25\r\n",
           "PROXY UDP4 192.0.2.1 198.51.100.2 1234 25\r\n",
           "PROXY \r\n",
           "proxy TCP4 192.0.2.1 198.51.100.2 1234 25\r\n",
           "EHLO client.example\r\n",
           " PROXY TCP4 192.0.2.1 198.51.100.2 1234 25\r\n",
       }) {
    ExpectMalformed(line);
  }
  ExpectMalformed("PROXY TCP4 192.0.2.1\0 198.51.100.2 1234 25\r\n"s);
  ExpectMalformed("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n");  // 108 octets
  EXPECT_EQ(ParseProxyHeader("PROXY UNKNOWN " + std::string(92, 'x')).result,
            ProxyParse::kNeedMore);
}

TEST(ProxyHeaderRead, V2SkipsWhatItNeedNotKnow) {
  const ProxyHeader padded =
      ParseThreeWays(Wrap('\x21', '\x11', kTcp4Block + "\x04\x00\x02zz\xE0\x00\x00"s));
  EXPECT_EQ(padded.source.address, "192.0.2.1");
  EXPECT_FALSE(padded.tls);
  // 2.2: the length counts also where the content does not.
  EXPECT_TRUE(ParseThreeWays(Wrap('\x20', '\x11', "rubbish, no TLV")).local);
  EXPECT_TRUE(ParseThreeWays(Wrap('\x21', '\x00', "rubbish, no TLV")).local);
  EXPECT_TRUE(ParseThreeWays(Wrap('\x21', '\x31', std::string(216, '/'))).local);
  EXPECT_EQ(
      ParseThreeWays(Wrap('\x21', '\x11', kTcp4Block + "\x04\x0F\xF1"s + std::string(4081, 'p')))
          .length,
      kProxyReadMax);
}

TEST(ProxyHeaderRead, V2Malformed) {
  ExpectMalformed(Wrap('\x11', '\x11', kTcp4Block));            // version 1 in binary
  ExpectMalformed(Wrap('\x31', '\x11', kTcp4Block));            // version 3
  ExpectMalformed(Wrap('\x22', '\x11', kTcp4Block));            // unknown command
  ExpectMalformed(Wrap('\x21', '\x12', kTcp4Block));            // UDP
  ExpectMalformed(Wrap('\x21', '\x41', kTcp4Block));            // unknown family
  ExpectMalformed(Wrap('\x21', '\x11', kTcp4Block.substr(1)));  // addresses cut short
  ExpectMalformed(Wrap('\x21', '\x21', std::string(35, 'x')));
  ExpectMalformed(Wrap('\x21', '\x31', std::string(215, 'x')));
  ExpectMalformed(Wrap('\x21', '\x11', kTcp4Block + "\x02"s));  // TLV without a length
  ExpectMalformed(Wrap('\x21', '\x11', kTcp4Block + "\x02\x00"s));
  ExpectMalformed(Wrap('\x21', '\x11', kTcp4Block + "\x02\x00\x02x"s));  // one octet too few
  ExpectMalformed(Wrap('\x21', '\x11', kTcp4Block + "\x02\xFF\xFFx"s));
  ExpectMalformed(Wrap('\x21', '\x11', kTcp4Block + "\x02\x00\x03"s + "a\nb"));
  ExpectMalformed(Wrap('\x21', '\x11', kTcp4Block + "\x02\x00\x03"s + "a\0b"s));
  const auto ssl = [](const std::string& value) {
    return Wrap('\x21', '\x11',
                kTcp4Block + "\x20"s + '\0' + static_cast<char>(value.size()) + value);
  };
  ExpectMalformed(ssl("\x01\x00\x00\x00"s));  // verify cut short
  ExpectMalformed(ssl("\x01\x00\x00\x00\x00\x21\x00"s));
  ExpectMalformed(ssl("\x01\x00\x00\x00\x00\x21\x00\x08TLSv1.3"s));  // reaches out of the TLV
  ExpectMalformed(ssl("\x01\x00\x00\x00\x00\x21\x00\x07TLSv1.\x7F"s));
  EXPECT_TRUE(ParseThreeWays(ssl("\x01\x00\x00\x00\x00"s)).tls);
  // A length over our limit is refused as soon as it is seen, not waited for.
  EXPECT_EQ(ParseProxyHeader(kSignature + "\x21\x11\x10\x01"s).result, ProxyParse::kMalformed);
  EXPECT_EQ(ParseProxyHeader(kSignature + "\x21\x11\x10\x00"s).result, ProxyParse::kNeedMore);
}

TEST(ProxyHeaderRead, VerifiedNeedsACertificate) {
  const auto with_client = [](char client) {
    return ParseProxyHeader(
        Wrap('\x21', '\x11', kTcp4Block + "\x20\x00\x05"s + client + "\x00\x00\x00\x00"s));
  };
  EXPECT_FALSE(with_client('\x01').verified);
  EXPECT_TRUE(with_client('\x03').verified);
  EXPECT_TRUE(with_client('\x05').verified);
  EXPECT_FALSE(with_client('\x02').tls);
}

// Every length field in a full header set to every value in turn: never complete with another
// meaning of the addresses, never a read out of bounds (the copies are exact).
TEST(ProxyHeaderRead, LyingLengths) {
  const ProxyTlsFacts facts{.version = "TLSv1.3",
                            .cipher = "C",
                            .sni = "mx.example",
                            .client_common_name = "n",
                            .key_exchange_group = "X25519",
                            .client_certificate = true,
                            .verified = false};
  const Address source = Ipv4("192.0.2.1", 1234);
  const std::string good = V2(source, source, &facts);
  for (std::size_t position = 12; position < good.size(); ++position) {
    for (int value = 0; value < 256; ++value) {
      std::string bad = good;
      bad[position] = static_cast<char>(value);
      const ProxyHeader header = ParseProxyHeader(bad);
      if (header.result == ProxyParse::kComplete) {
        EXPECT_LE(header.length, bad.size());
        if (position >= 28 && !header.local) {
          EXPECT_EQ(header.source.address, "192.0.2.1");
        }
      }
    }
  }
}

TEST(ProxyHeaderRead, RandomOctetsBehindTheSignature) {
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    std::string octets = kSignature + "\x21\x11\x00"s;
    const std::size_t length = random() % 80;
    octets.push_back(static_cast<char>(length));
    for (std::size_t i = 0; i < length; ++i) {
      octets.push_back(static_cast<char>(random() % 4 == 0 ? random() : random() % 8));
    }
    const ProxyHeader header = ParseProxyHeader(octets);
    EXPECT_NE(header.result, ProxyParse::kNeedMore);
    if (length < 12) {
      EXPECT_EQ(header.result, ProxyParse::kMalformed);
    }
  }
}

}  // namespace
}  // namespace ringpost
