// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/log/log_line.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <map>
#include <string>

#include "json_object.h"
#include "ringpost/log/policy_record.h"
#include "ringpost/log/session_record.h"
#include "ringpost/log/shard_record.h"

namespace ringpost {
namespace {

constexpr std::int64_t kTime = 1'795'457'000'007;  // 2026-11-23T18:03:20.007Z

std::string Session(const SessionRecord& record, LogFormat format) {
  // Exactly the promised room, and a mark behind it.
  std::array<char, kLogLineMax + 1> out;
  out.back() = '#';
  const std::size_t length = FormatSession(record, format, std::span<char>(out).first(kLogLineMax));
  EXPECT_LE(length, kLogLineMax);
  EXPECT_EQ(out.back(), '#');
  return {out.data(), length};
}

std::string Event(std::string_view text, LogFormat format, std::int64_t time = kTime) {
  std::array<char, kLogLineMax> out;
  return {out.data(), FormatEvent(format, time, LogLevel::kWarning, "listener", text, out)};
}

std::map<std::string, std::string> Json(const std::string& line) {
  const auto object = JsonReader(line).Read();
  EXPECT_TRUE(object.has_value()) << line;
  return object.value_or(std::map<std::string, std::string>{});
}

SessionRecord Typical() {
  SessionRecord record;
  record.unix_ms = kTime;
  record.id = "9f3a7c00002b";
  record.route = "mx";
  record.client_address = "192.0.2.1";
  record.client_port = 40000;
  record.server_address = "2001:db8::25";
  record.server_port = 25;
  record.tls_version = "TLSv1.3";
  record.tls_suite = "TLS_AES_128_GCM_SHA256";
  record.tls_group = "X25519MLKEM768";
  record.tls_resumed = true;
  record.sni = "mx.example";
  record.messages_accepted = 2;
  record.backend_refusals = 1;
  record.commands_refused = 3;
  record.last_refused = "MAIL 530 5.7.0";
  record.octets_in = 123456789012;
  record.octets_out = 345;
  record.content_octets = 123456780000;
  record.duration_ns = 12'345'999'999;
  record.reason = CloseReason::kQuit;
  record.upstream = "127.0.0.1:10025";
  return record;
}

TEST(SessionLine, Text) {
  EXPECT_EQ(Session(Typical(), LogFormat::kText),
            "2026-11-23T18:03:20.007Z info session route=mx client=192.0.2.1:40000 "
            "server=[2001:db8::25]:25 id=9f3a7c00002b tls=TLSv1.3 suite=TLS_AES_128_GCM_SHA256 "
            "group=X25519MLKEM768 resumed=yes sni=mx.example messages=2 refused=1 "
            "refused_commands=3 last_refused=\"MAIL 530 5.7.0\" octets_in=123456789012 "
            "octets_out=345 content=123456780000 bare_newlines=0 "
            "seconds=12.345 reason=quit upstream=127.0.0.1:10025");
}

TEST(SessionLine, AResumedSessionOfTls12HasNoGroup) {
  SessionRecord record = Typical();
  record.tls_version = "TLSv1.2";
  record.tls_group = {};
  EXPECT_NE(Session(record, LogFormat::kText).find(" group=none resumed=yes "), std::string::npos);
}

TEST(SessionLine, TextOfAClearSessionThatFailed) {
  SessionRecord record;
  record.unix_ms = 0;
  record.route = "mx";
  record.client_address = "192.0.2.1";
  record.reason = CloseReason::kBackendConnect;
  record.detail = "Connection refused";
  EXPECT_EQ(Session(record, LogFormat::kText),
            "1970-01-01T00:00:00.000Z info session route=mx client=192.0.2.1:0 server=:0 id=\"\" "
            "tls=none messages=0 refused=0 refused_commands=0 octets_in=0 octets_out=0 content=0 "
            "bare_newlines=0 seconds=0.000 "
            "reason=backend_connect detail=\"Connection refused\"");
}

TEST(SessionLine, WithoutPortsByAUnixSocket) {
  SessionRecord record = Typical();
  record.is_local = true;
  record.client_address = "uid:4294967294";
  const std::string path = "unix:/" + std::string(106, 'p');  // as long as they get
  record.server_address = path;
  EXPECT_NE(
      Session(record, LogFormat::kText).find(" client=uid:4294967294 server=" + path + " id="),
      std::string::npos);
  EXPECT_EQ(Json(Session(record, LogFormat::kJson)).at("server"), path);
}

TEST(SessionLine, Json) {
  const auto object = Json(Session(Typical(), LogFormat::kJson));
  EXPECT_EQ(object.at("time"), "2026-11-23T18:03:20.007Z");
  EXPECT_EQ(object.at("level"), "info");
  EXPECT_EQ(object.at("component"), "session");
  EXPECT_EQ(object.at("client"), "192.0.2.1:40000");
  EXPECT_EQ(object.at("server"), "[2001:db8::25]:25");
  EXPECT_EQ(object.at("group"), "X25519MLKEM768");
  EXPECT_EQ(object.at("resumed"), "true");
  EXPECT_EQ(object.at("octets_in"), "123456789012");
  EXPECT_EQ(object.at("seconds"), "12.345");
  EXPECT_EQ(object.at("reason"), "quit");
  EXPECT_EQ(object.count("detail"), 0U);
  EXPECT_EQ(object.at("refused_commands"), "3");
  EXPECT_EQ(object.at("last_refused"), "MAIL 530 5.7.0");
  EXPECT_EQ(object.at("id"), "9f3a7c00002b");
  EXPECT_EQ(object.size(), 23U);
}

TEST(SessionLine, SaysWhoSentAndWhatItWasCalled) {
  SessionRecord record = Typical();
  record.hello = "client.example";
  record.sender = "example.org";
  record.accepted = "2.0.0 Ok: queued as 4F2A";
  EXPECT_NE(Session(record, LogFormat::kText)
                .find(" helo=client.example sender=example.org messages=2 "
                      "accepted=\"2.0.0 Ok: queued as 4F2A\" refused=1 "),
            std::string::npos);
}

TEST(SessionLine, NamesCertificateAndPartner) {
  SessionRecord record = Typical();
  record.certificate = "verified";
  record.partner = "contoso";
  EXPECT_NE(Session(record, LogFormat::kText)
                .find(" sni=mx.example certificate=verified partner=contoso messages=2 "),
            std::string::npos);
}

TEST(ShardLine, TextAndJson) {
  const ShardRecord record = {.unix_ms = 1'795'457'000'007,
                              .shard = 1,
                              .sessions = 12,
                              .sessions_max = 4984,
                              .blocks_large_free = 250,
                              .blocks_large = 256,
                              .blocks_small_free = 1023,
                              .blocks_small = 1024,
                              .starved = 2,
                              .accept_paused = true,
                              .refused_sessions = 3,
                              .refused_client_sessions = 4,
                              .refused_client_rate = 5,
                              .refused_descriptors = 6,
                              .reclaimed = 7};
  std::array<char, kLogLineMax> out;
  EXPECT_EQ(std::string_view(out.data(), FormatShard(record, LogFormat::kText, out)),
            "2026-11-23T18:03:20.007Z info status shard=1 sessions=12 sessions_max=4984 "
            "blocks_large_free=250/256 blocks_small_free=1023/1024 starved=2 accept_paused=yes "
            "refused_sessions=3 refused_client_sessions=4 refused_client_rate=5 "
            "refused_descriptors=6 reclaimed=7");
  const auto object = Json(std::string(out.data(), FormatShard(record, LogFormat::kJson, out)));
  EXPECT_EQ(object.at("component"), "status");
  EXPECT_EQ(object.at("shard"), "1");
  EXPECT_EQ(object.at("blocks_large_free"), "250/256");
  EXPECT_EQ(object.at("accept_paused"), "true");
  EXPECT_EQ(object.at("reclaimed"), "7");
  EXPECT_EQ(object.size(), 15U);
}

TEST(ShardLine, TheLargestNumbersFit) {
  constexpr std::uint64_t kMost = ~std::uint64_t{0};
  ShardRecord record;
  record.blocks_large_free = record.blocks_large = kMost;
  record.reclaimed = kMost;
  std::array<char, kLogLineMax> out;
  const std::string_view line(out.data(), FormatShard(record, LogFormat::kText, out));
  EXPECT_NE(line.find("=18446744073709551615/18446744073709551615 "), std::string_view::npos);
  EXPECT_TRUE(line.ends_with(" reclaimed=18446744073709551615"));
}

std::string Policy(const PolicyRecord& record, LogFormat format) {
  std::array<char, kLogLineMax> out;
  return {out.data(), FormatPolicy(record, format, out)};
}

TEST(PolicyLine, Text) {
  PolicyRecord record;
  record.unix_ms = 1'795'457'000'007;
  record.id = "9f3a7c00002b";
  record.route = "mx";
  record.client_address = "2001:db8::1";
  record.client_port = 40000;
  record.partner = "contoso";
  record.sender = "contoso.example";
  record.asked = "verify";
  record.mode = "enforce";
  record.fault = PolicyFault::kExpired;
  record.subject = "CN=mail.contoso.example, O=Con\ntoso";
  record.issuer = "CN=CA";
  record.fingerprint = "AB:CD";
  record.public_key = "EF:01";
  const std::string head =
      "2026-11-23T18:03:20.007Z info policy route=mx client=[2001:db8::1]:40000 id=9f3a7c00002b ";
  EXPECT_EQ(Policy(record, LogFormat::kText),
            head +
                "partner=contoso sender=contoso.example asked=verify mode=enforce "
                "fault=expired subject=\"CN=mail.contoso.example, O=Con\\x0atoso\" "
                "issuer=\"CN=CA\" fingerprint=AB:CD public_key=EF:01");
  record.partner = {};
  record.sender = {};
  record.fault = PolicyFault::kNoTls;
  record.fingerprint = {};
  EXPECT_EQ(Policy(record, LogFormat::kText),
            head + "sender=\"\" asked=verify mode=enforce fault=no-tls");
}

TEST(PolicyLine, TheLongestValuesStillFit) {
  const std::string hostile(10'000, '"');
  PolicyRecord record{.unix_ms = 0,
                      .id = hostile,
                      .route = hostile,
                      .client_address = hostile,
                      .client_port = 65535,
                      .partner = hostile,
                      .sender = hostile,
                      .asked = hostile,
                      .mode = hostile,
                      .fault = PolicyFault::kWrongFingerprint,
                      .subject = hostile,
                      .issuer = hostile,
                      .fingerprint = hostile,
                      .public_key = hostile};
  const auto object = Json(Policy(record, LogFormat::kJson));
  EXPECT_EQ(object.at("component"), "policy");
  EXPECT_EQ(object.at("fault"), "wrong-fingerprint");
  EXPECT_EQ(object.count("public_key"), 1U);
}

std::string EveryOctet() {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  return all;
}

TEST(SessionLine, WhatAPeerChoseCannotForgeALine) {
  for (const std::string& hostile :
       {std::string("a\r\n2026-11-23T18:03:20.007Z info session route=mx reason=quit"),
        std::string("a reason=quit"), std::string("a\" reason=\"quit"), std::string("a\\"),
        std::string("\",\"reason\":\"quit"),
        std::string("\x1b[2J\x9b"
                    "31m"),
        std::string("\xe2\x80\xae"), std::string("a\0b", 3), std::string("\xff\xfe"), EveryOctet(),
        std::string(255, '\x01'), std::string(255, '"'), std::string(100'000, 'x')}) {
    SessionRecord record = Typical();
    record.sni = hostile;
    record.detail = hostile;
    record.hello = record.accepted = hostile;
    const std::string text = Session(record, LogFormat::kText);
    for (const char c : text) ASSERT_TRUE(c >= 32 && c <= 126) << text;
    // The only unquoted reason is ours: cut the quoted values out and look.
    std::string bare;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (quoted && text[i] == '\\') {
        ++i;
      } else if (text[i] == '"') {
        quoted = !quoted;
      } else if (!quoted) {
        bare.push_back(text[i]);
      }
    }
    EXPECT_FALSE(quoted) << text;
    EXPECT_EQ(bare.find(" reason="), bare.rfind(" reason=")) << text;
    EXPECT_NE(bare.find(" reason=quit"), std::string::npos) << text;

    const auto object = Json(Session(record, LogFormat::kJson));
    EXPECT_EQ(object.at("reason"), "quit");
    const std::string& sni = object.at("sni");
    if (sni != hostile) {
      ASSERT_TRUE(sni.ends_with("...")) << sni;
      EXPECT_EQ(sni.substr(0, sni.size() - 3), hostile.substr(0, sni.size() - 3));
    }
  }
}

TEST(SessionLine, LongestLegalNameIsWhole) {
  SessionRecord record = Typical();
  const std::string sni(255, 'n');
  record.sni = sni;
  EXPECT_EQ(Json(Session(record, LogFormat::kJson)).at("sni"), sni);
}

TEST(SessionLine, EverythingAtItsWidestFits) {
  const std::string wide(1000, '\x01');
  SessionRecord record;
  record.unix_ms = std::numeric_limits<std::int64_t>::max();
  record.route = wide;
  record.client_address = wide;
  record.server_address = wide;
  record.tls_version = wide;
  record.tls_suite = wide;
  record.tls_group = wide;
  record.sni = wide;
  record.upstream = wide;
  record.detail = wide;
  record.last_refused = wide;
  record.id = record.hello = record.sender = record.accepted = wide;
  record.commands_refused = ~0U;
  record.client_port = record.server_port = 65535;
  record.messages_accepted = record.backend_refusals = record.bare_newlines = ~0U;
  record.octets_in = record.octets_out = record.content_octets = ~std::uint64_t{0};
  record.duration_ns = std::numeric_limits<std::int64_t>::max();
  record.reason = CloseReason::kClientTooManyErrors;
  EXPECT_EQ(Json(Session(record, LogFormat::kJson)).size(), 27U);
  EXPECT_NE(Session(record, LogFormat::kText).find(" detail="), std::string::npos);
}

TEST(SessionLine, NegativeDurationIsZero) {
  SessionRecord record = Typical();
  record.duration_ns = -5'000'000;
  EXPECT_EQ(Json(Session(record, LogFormat::kJson)).at("seconds"), "0.000");
}

TEST(EventLine, TextAndJson) {
  EXPECT_EQ(Event("port 25 is in use", LogFormat::kText),
            "2026-11-23T18:03:20.007Z warning listener: port 25 is in use");
  const auto object = Json(Event("say \"hi\" \\ there", LogFormat::kJson));
  EXPECT_EQ(object.at("message"), "say \"hi\" \\ there");
  EXPECT_EQ(object.at("level"), "warning");
  EXPECT_EQ(object.at("component"), "listener");
}

TEST(EventLine, Escapes) {
  EXPECT_EQ(Event("a\nb\\c\x7f", LogFormat::kText),
            "2026-11-23T18:03:20.007Z warning listener: a\\x0ab\\\\c\\x7f");
  EXPECT_EQ(Json(Event(EveryOctet(), LogFormat::kJson)).at("message"), EveryOctet());
}

TEST(EventLine, LongMessagesAreCut) {
  for (const char c : {'x', '\x01'}) {
    const std::string text = Event(std::string(10'000, c), LogFormat::kText);
    EXPECT_LT(text.size(), kLogLineMax);
    EXPECT_TRUE(text.ends_with("..."));
    EXPECT_TRUE(
        Json(Event(std::string(10'000, c), LogFormat::kJson)).at("message").ends_with("..."));
  }
  const std::string whole(2045, 'x');
  EXPECT_TRUE(Event(whole, LogFormat::kText).ends_with(": " + whole));
}

TEST(EventLine, ClocksThatAreWrong) {
  EXPECT_TRUE(Event("", LogFormat::kText, -1).starts_with("1970-01-01T00:00:00.000Z"));
  EXPECT_TRUE(Event("", LogFormat::kText, std::numeric_limits<std::int64_t>::max())
                  .starts_with("9999-12-31T23:59:59.999Z"));
}

}  // namespace
}  // namespace ringpost
