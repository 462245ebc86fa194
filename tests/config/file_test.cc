// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/config/file.h"

#include <gtest/gtest.h>

#include <string>

#include "fixture.h"
#include "ringpost/config/resolve.h"

namespace ringpost {
namespace {

constexpr char kRoutes[] = R"([tls]
certificates = [{ cert = "cert.pem", key = "key.pem" }]

[[upstream]]
name = "postfix"
addresses = ["127.0.0.1:10025", "unix:in"]
identity = "proxy-v1"

[[ingress]]
name = "mx"
listen = ["0.0.0.0:25", "[::]:25"]
tls = "may"
upstream = "postfix"

[[ingress]]
name = "submissions"
listen = ["0.0.0.0:465"]
implicit_tls = true
tls = "encrypt"
upstream = "postfix"
)";

void Bad(std::string_view text, std::string_view words) {
  SCOPED_TRACE(text);
  ExpectSaying(ParseConfigText(text, "/etc/r.toml").status(), words);
}

TEST(ConfigFile, TheDocumentedFile) {
  Folder folder;
  folder.Write("ringpost.toml", kRoutes);
  const auto settings = ReadConfigFile(folder.Path("ringpost.toml"));
  ASSERT_TRUE(settings.ok()) << settings.status();
  const auto resolved = ResolveConfig(*settings, TestMachine());
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  const Config& config = **resolved;
  ASSERT_EQ(config.upstreams.size(), 1U);
  EXPECT_EQ(config.upstreams[0].identity, BackendIdentity::kProxyV1);
  ASSERT_EQ(config.upstreams[0].addresses.size(), 2U);
  EXPECT_EQ(config.upstreams[0].addresses[1].text, "unix:" + folder.Path("in"));
  ASSERT_EQ(config.ingress.size(), 2U);
  EXPECT_EQ(config.ingress[0].listeners.size(), 2U);
  EXPECT_FALSE(config.ingress[0].listeners[0].implicit_tls);
  EXPECT_EQ(config.ingress[1].tls_policy, TlsPolicy::kEncrypt);
  ASSERT_EQ(config.ingress[1].listeners.size(), 1U);
  EXPECT_TRUE(config.ingress[1].listeners[0].implicit_tls);
  ASSERT_EQ(config.ingress[1].certificates.size(), 1U);
  EXPECT_EQ(config.ingress[1].certificates[0].cert, folder.Path("cert.pem"));
}

TEST(ConfigFile, WhatCheckConfigPrintsIsTheSameConfiguration) {
  Folder folder;
  const std::string path = folder.Path("ringpost.toml");
  const std::string text = std::string(
                               "command_timeout = \"301s\"\nlog_level = \"debug\"\n"
                               "bare_newline = \"reject\"\nshards = 3\n") +
                           kRoutes;
  const auto first = ParseConfigText(text, path);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto config = ResolveConfig(*first, TestMachine());
  ASSERT_TRUE(config.ok()) << config.status();
  const std::string printed = DescribeConfig(**config);
  EXPECT_NE(printed.find("command_timeout = \"5m1s\""), std::string::npos) << printed;
  EXPECT_NE(printed.find("# pinned to CPUs 2 5 7\nshards = 3"), std::string::npos) << printed;
  EXPECT_NE(printed.find("listen_tls = [\"0.0.0.0:465\"]"), std::string::npos) << printed;

  const auto second = ParseConfigText(printed, "/elsewhere/other.toml");
  ASSERT_TRUE(second.ok()) << second.status() << "\n" << printed;
  const auto again = ResolveConfig(*second, TestMachine());
  ASSERT_TRUE(again.ok()) << again.status() << "\n" << printed;
  EXPECT_EQ(DescribeConfig(**again), printed);
}

TEST(ConfigFile, EveryTuningHasAKey) {
  for (const Tuning& tuning : AllTuning()) {
    const bool count = tuning.type == TuningType::kCount;
    const std::string text = std::string(tuning.name) + (count ? " = 7" : " = \"7s\"");
    const auto settings = ParseConfigText(text, "/etc/r.toml");
    ASSERT_TRUE(settings.ok()) << settings.status();
    const Given& given = settings->tuning.at(std::string(tuning.name));
    EXPECT_EQ(given.text, count ? "7" : (tuning.type == TuningType::kPath ? "/etc/7s" : "7s"));
    EXPECT_EQ(given.where, "/etc/r.toml:1:" + std::to_string(tuning.name.size() + 4) + ": " +
                               std::string(tuning.name));
  }
}

TEST(ConfigFile, SyntaxErrorsHaveLineAndColumn) {
  Bad("shards = 1\nhostname = \"x\n", "/etc/r.toml:2:");
  Bad("shards = 1\nshards = 2\n", "/etc/r.toml:2:");
  Bad("[tls\n", "/etc/r.toml:1:");
  Bad("= 1", "/etc/r.toml:1:1: ");
  Bad(std::string_view("a\0b = 1", 7), "/etc/r.toml:1:");
  Bad("hostname = \"\xFF\"", "/etc/r.toml:1:");
}

TEST(ConfigFile, UnknownKeys) {
  Bad("shard = 1", "/etc/r.toml:1:1: unknown key \"shard\" in the file (did you mean \"shards\"?)");
  Bad("xyzzyxyzzy = 1", "unknown key \"xyzzyxyzzy\" in the file");
  Bad("[[ingress]]\nname = \"mx\"\n  lisen = [\"0.0.0.0:25\"]\nupstream = \"p\"",
      "/etc/r.toml:3:3: unknown key \"lisen\" in [[ingress]] (did you mean \"listen\"?)");
  Bad("[[upstream]]\nname = \"p\"\nadress = 1", "did you mean \"addresses\"?");
  Bad("[tls]\ncertificate = 1", "did you mean \"certificates\"?");
  Bad("[tls]\ncertificates = [{ cert = \"a\", key = \"b\", pin = \"c\" }]",
      "unknown key \"pin\" in certificates");
  Bad("[[ingres]]\n", "did you mean \"ingress\"?");
}

TEST(ConfigFile, LaterVocabularyIsRefusedNotSkipped) {
  Bad("[[egress]]\nname = \"x\"", "\"egress\" is not supported in this version");
  Bad("shards = 1\n[[partner]]\nname = \"x\"", "/etc/r.toml:2:1: \"partner\" is not supported");
  Bad("[tls]\nclient_ca = \"x\"", "client_ca is not supported in this version");
  Bad("[[ingress]]\nname = \"mx\"\nlisten = []\nupstream = \"p\"\ntls = \"verify\"",
      "/etc/r.toml:5:7: tls = \"verify\" is not supported");
}

TEST(ConfigFile, WrongTypes) {
  Bad("shards = \"1\"", "shards must be a whole number, without quotes");
  Bad("shards = 1.5", "shards must be a whole number");
  Bad("command_timeout = 300", "command_timeout must be a string in quotes, such as \"300s\"");
  Bad("tls = 1", "write [tls] as a table");
  Bad("[ingress]\nname = \"mx\"", "write [[ingress]], in double brackets");
  Bad("upstream = \"127.0.0.1:25\"", "write [[upstream]], in double brackets");
  Bad("upstream = [1]", "write [[upstream]], in double brackets");
  Bad("[[ingress]]\nname = \"mx\"\nlisten = \"0.0.0.0:25\"\nupstream = \"p\"",
      "listen must be a list of strings, such as [\"0.0.0.0:25\"]");
  Bad("[[ingress]]\nname = \"mx\"\nlisten = [25]\nupstream = \"p\"",
      "/etc/r.toml:3:11: listen must be a string in quotes");
  Bad("[[ingress]]\nname = \"mx\"\nlisten = []\nupstream = \"p\"\nimplicit_tls = \"yes\"",
      "implicit_tls must be true or false");
  Bad("[[ingress]]\nlisten = []\nupstream = \"p\"", "/etc/r.toml:1:1: [[ingress]] has no name");
  Bad("[[ingress]]\nname = \"mx\"\nlisten = []", "has no upstream; add upstream = \"postfix\"");
  Bad("[tls]\ncertificates = \"cert.pem\"", "certificates must be a list of pairs");
  Bad("[tls]\ncertificates = [\"cert.pem\"]", "certificates must be a list of pairs");
  Bad("[tls]\ncertificates = [{ cert = \"cert.pem\" }]", "the certificate has no key");
}

TEST(ConfigFile, ValuesAreJudgedWithTheirPlace) {
  const auto settings =
      ParseConfigText("log_level = \"x\"\n[[upstream]]\nname = \"p\"\n", "/etc/r.toml");
  ASSERT_TRUE(settings.ok()) << settings.status();
  ExpectSaying(ResolveConfig(*settings, TestMachine()).status(),
               "/etc/r.toml:1:13: log_level: \"x\" is not one of");
}

TEST(ConfigFile, Unreadable) {
  Folder folder;
  ExpectSaying(ReadConfigFile(folder.Path("absent.toml")).status(), "cannot be read: No such file");
  ExpectSaying(ReadConfigFile(folder.Path("")).status(), "cannot be read: Is a directory");
  folder.Write("large.toml", std::string((1 << 20) + 1, '#'));
  ExpectSaying(ReadConfigFile(folder.Path("large.toml")).status(), "larger than 1 MiB");
  folder.Write("empty.toml", "");
  EXPECT_TRUE(ReadConfigFile(folder.Path("empty.toml")).ok());
}

}  // namespace
}  // namespace ringpost
