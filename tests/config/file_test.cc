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
  ASSERT_EQ(config.routes.size(), 2U);
  EXPECT_EQ(config.routes[0].listeners.size(), 2U);
  EXPECT_FALSE(config.routes[0].listeners[0].implicit_tls);
  EXPECT_EQ(config.routes[1].policy.tls, TlsPolicy::kEncrypt);
  ASSERT_EQ(config.routes[1].listeners.size(), 1U);
  EXPECT_TRUE(config.routes[1].listeners[0].implicit_tls);
  ASSERT_EQ(config.routes[1].certificates.size(), 1U);
  EXPECT_EQ(config.routes[1].certificates[0].cert, folder.Path("cert.pem"));
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

// The file that is printed gives each value, also those that nobody had given.
TEST(ConfigFile, WhatCheckConfigPrintsWarnsOfTheSame) {
  Folder folder;
  Machine small = TestMachine();
  small.descriptors_max = 1024;
  const std::string route =
      "[[ingress]]\nname = \"a\\nb\"\nlisten = [\"127.0.0.1:2525\"]\n"
      "upstream = \"p\"\n";
  const std::string text =
      "[[upstream]]\nname = \"p\"\naddresses = [\"127.0.0.1:10025\"]\n" + route;
  struct Case {
    std::string text;
    std::size_t warnings;  // with that of the route without a certificate
  };
  for (const Case& with :
       {Case{"command_timeout = \"10s\"\n" + text, 2}, Case{"data_timeout = \"10s\"\n" + text, 2},
        Case{text + "command_timeout = \"10s\"\ndata_timeout = \"20s\"\n", 3},
        Case{"command_timeout = \"10s\"\n" + text + "command_timeout = \"5s\"\n", 3},
        Case{text, 1}}) {
    for (const Machine& machine : {TestMachine(), small}) {
      SCOPED_TRACE(with.text);
      const auto first = ParseConfigText(with.text, folder.Path("ringpost.toml"));
      ASSERT_TRUE(first.ok()) << first.status();
      const auto config = ResolveConfig(*first, machine);
      ASSERT_TRUE(config.ok()) << config.status();
      const std::size_t few = machine.descriptors_max == small.descriptors_max ? 1 : 0;
      EXPECT_EQ((*config)->warnings.size(), with.warnings + few);
      for (const std::string& warning : (*config)->warnings) {
        EXPECT_EQ(warning.find('\n'), std::string::npos) << warning;
      }
      const auto second = ParseConfigText(DescribeConfig(**config), "/elsewhere/other.toml");
      ASSERT_TRUE(second.ok()) << second.status();
      const auto again = ResolveConfig(*second, machine);
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ((*again)->warnings, (*config)->warnings);
    }
  }
}

TEST(ConfigFile, ProxyTlvsAreReadAndPrinted) {
  Folder folder;
  for (const char* tlvs : {"all", "ssl", "none", ""}) {
    SCOPED_TRACE(tlvs);
    std::string text = kRoutes;
    const std::string identity = "identity = \"proxy-v1\"\n";
    const std::string given = "proxy_tlvs = \"" + std::string(tlvs) + "\"\n";
    text.replace(text.find(identity), identity.size(), *tlvs == '\0' ? "" : given);
    const auto settings = ParseConfigText(text, folder.Path("ringpost.toml"));
    ASSERT_TRUE(settings.ok()) << settings.status();
    const auto config = ResolveConfig(*settings, TestMachine());
    ASSERT_TRUE(config.ok()) << config.status();
    const std::string printed = DescribeConfig(**config);
    EXPECT_NE(printed.find(*tlvs == '\0' ? "proxy_tlvs = \"all\"\n" : given), std::string::npos)
        << printed;
    const auto again = ParseConfigText(printed, "/elsewhere/other.toml");
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(DescribeConfig(**ResolveConfig(*again, TestMachine())), printed);
  }
  // Where there are no TLVs none are printed, as the file would be refused.
  const auto settings = ParseConfigText(kRoutes, folder.Path("ringpost.toml"));
  ASSERT_TRUE(settings.ok()) << settings.status();
  const auto config = ResolveConfig(*settings, TestMachine());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(DescribeConfig(**config).find("proxy_tlvs"), std::string::npos);
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
  Bad("[[partner]]\nname = \"x\"\ntls = \"encrypt\"\nsender_domain = []",
      "/etc/r.toml:4:1: unknown key \"sender_domain\" in [[partner]] (did you mean "
      "\"sender_domains\"?)");
  Bad("[tls]\nclient_cas = 1", "unknown key \"client_cas\" in [tls] (did you mean \"client_ca\"?)");
  Bad("[[ingres]]\n", "did you mean \"ingress\"?");
}

TEST(ConfigFile, LinesThatAreNoToml) {
  Bad("hostname = mx.example\n", "/etc/r.toml:1:12: ");
  Bad("hostname = mx.example # ours\n", "; a text must stand in quotes: \"mx.example\"");
  Bad("command_timeout = 300s", "; a text must stand in quotes: \"300s\"");
  Bad("ticket_key_file = /etc/keys", "; a text must stand in quotes: \"/etc/keys\"");
  Bad("[[upstream]]\naddresses = [127.0.0.1:10025]", "/etc/r.toml:2:");
  Bad("[[upstream]]\naddresses = [127.0.0.1:10025]",
      "; a text must stand in quotes: \"127.0.0.1:10025\"");
  Bad("[[upstream]]\naddresses = [\"127.0.0.1:1\", 127.0.0.1:2]", "quotes: \"127.0.0.1:2\"");
  Bad("[[upstream]]\naddresses = [\n  \"127.0.0.1:1\",\n  127.0.0.1:2,\n]",
      "quotes: \"127.0.0.1:2\"");
  Bad("[[ingress]]\nlisten = [[::]:25]", "; an address must stand in quotes: \"[::1]:25\"");
  Bad("[tls]\ncertificates = [{ cert = a.pem, key = \"b\" }]", "quotes: \"a.pem\"");
  Bad("hostname = \xe2\x80\x9cmx\xe2\x80\x9d", "; write straight quotes: \"");
  Bad("hostname: \"mx.example\"", "; write key = value, with an equals sign");
  Bad("hostname = \"mx.example", "; a quote is not closed");
  // What is not about quotes gets no such advice.
  for (const char* text : {"shards = 1\nshards = 2", "[tls", "= 1", "hello", "a = \"b\" \"c\""}) {
    const std::string said(ParseConfigText(text, "/etc/r.toml").status().message());
    EXPECT_EQ(said.find("quotes"), std::string::npos) << said;
  }
}

TEST(ConfigFile, KeysInTheWrongPlace) {
  Bad("[tls]\nshards = 2",
      "/etc/r.toml:2:1: unknown key \"shards\" in [tls]; it is for the whole "
      "file: move it to the top, above the first [table]");
  Bad("[[ingress]]\nname = \"x\"\nlog_format = \"json\"", "above the first [table]");
  Bad("[[partner]]\nown_domains = []", "above the first [table]");
  Bad("[tls]\ncert = \"a.pem\"\nkey = \"a.key\"",
      "; write certificates = [{ cert = \"fullchain.pem\", key = \"privkey.pem\" }]");
  Bad("[[ingress]]\nkey = \"a.key\"", "; write certificates = [{");
  Bad("client_ca = \"ca.pem\"", "in the file; it belongs into [tls], [[ingress]] or [[partner]]");
  Bad("listen = [\"0.0.0.0:25\"]", "it belongs into [[ingress]]");
  Bad("[[ingress]]\nidentity = \"none\"", "it belongs into [[upstream]]");
  Bad("[[partner]]\ncert = \"a.pem\"", "did you mean \"crl\"?");
}

TEST(ConfigFile, LaterVocabularyIsRefusedNotSkipped) {
  Bad("shards = 1\n[admin]\nlisten = \"x\"", "/etc/r.toml:2:1: \"admin\" is not supported");
}

TEST(ConfigFile, KeysOfPolicies) {
  const auto settings = ParseConfigText(R"(policy_service = "unix:policy"
policy_summary_interval = "1h"
[tls]
client_ca = "ca.pem"
crl = "/crl"
revocation = "hard"
[[ingress]]
name = "mx"
upstream = "p"
listen = ["0.0.0.0:25"]
client_ca = ""
certificate_names = ["a.example"]
fingerprints = ["00"]
accept_common_name = true
accept_server_auth_purpose = false
mode = "report"
certificate_reply = "550 no"
partners = false
sessions_max = 5
handshake_timeout = "1s"
command_timeout = "2s"
data_timeout = "3s"
[[partner]]
name = "contoso"
sender_domains = ["contoso.example", ".contoso.example"]
networks = ["203.0.113.0/24"]
tls = "verify"
crl = "partner.crl"
revocation = "soft"
certificate_names = ["b.example"]
restrict_to_networks = true
restrict_to_certificate = false
mode = "enforce"
tls_reply = "530 a"
certificate_reply = "550 b"
network_reply = "550 c"
)",
                                        "/etc/r.toml");
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->tuning.at("policy_service").text, "unix:/etc/policy");
  EXPECT_EQ(settings->tuning.at("policy_summary_interval").text, "1h");
  EXPECT_EQ(settings->trust.client_ca->text, "/etc/ca.pem");
  EXPECT_EQ(settings->trust.crl->text, "/crl");
  EXPECT_EQ(settings->trust.revocation->text, "hard");
  const IngressSettings& ingress = settings->ingress.at(0);
  EXPECT_EQ(ingress.rule.trust.client_ca->text, "") << "none, and not the folder";
  EXPECT_EQ(ingress.rule.names.at(0).where, "/etc/r.toml:12:22: certificate_names");
  EXPECT_EQ(ingress.rule.fingerprints.at(0).text, "00");
  EXPECT_EQ(ingress.rule.accept_common_name->text, "true");
  EXPECT_EQ(ingress.rule.accept_server_auth_purpose->text, "false");
  EXPECT_EQ(ingress.mode->text, "report");
  EXPECT_EQ(ingress.certificate_reply->text, "550 no");
  EXPECT_EQ(ingress.partners->text, "false");
  EXPECT_EQ(ingress.limits.at("sessions_max").text, "5");
  EXPECT_EQ(ingress.limits.at("handshake_timeout").text, "1s");
  EXPECT_EQ(ingress.limits.at("command_timeout").text, "2s");
  EXPECT_EQ(ingress.limits.at("data_timeout").text, "3s");
  const PartnerSettings& partner = settings->partners.at(0);
  EXPECT_EQ(partner.name.text, "contoso");
  EXPECT_EQ(partner.sender_domains.size(), 2U);
  EXPECT_EQ(partner.networks.at(0).text, "203.0.113.0/24");
  EXPECT_EQ(partner.tls.text, "verify");
  EXPECT_FALSE(partner.rule.trust.client_ca.has_value());
  EXPECT_EQ(partner.rule.trust.crl->text, "/etc/partner.crl");
  EXPECT_EQ(partner.rule.trust.revocation->text, "soft");
  EXPECT_EQ(partner.rule.names.at(0).text, "b.example");
  EXPECT_EQ(partner.restrict_to_networks->text, "true");
  EXPECT_EQ(partner.restrict_to_certificate->text, "false");
  EXPECT_EQ(partner.mode->text, "enforce");
  EXPECT_EQ(partner.tls_reply->text, "530 a");
  EXPECT_EQ(partner.certificate_reply->text, "550 b");
  EXPECT_EQ(partner.network_reply->text, "550 c");
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
  Bad("[partner]\nname = \"x\"", "write [[partner]], in double brackets");
  Bad("[[partner]]\nname = \"x\"",
      "/etc/r.toml:1:1: [[partner]] has no tls; add tls = \"encrypt\"");
  Bad("[[partner]]\ntls = \"encrypt\"", "[[partner]] has no name");
  Bad("[[partner]]\nname = \"x\"\ntls = \"encrypt\"\nrestrict_to_networks = \"true\"",
      "/etc/r.toml:4:24: restrict_to_networks must be true or false, without quotes");
  Bad("[[partner]]\nname = \"x\"\ntls = \"encrypt\"\nnetworks = \"192.0.2.1\"",
      "networks must be a list of strings, such as [\"203.0.113.0/24\"]");
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
  folder.Write("large.toml", std::string((16 << 20) + 1, '#'));
  ExpectSaying(ReadConfigFile(folder.Path("large.toml")).status(), "larger than 16 MiB");
  folder.Write("empty.toml", "");
  EXPECT_TRUE(ReadConfigFile(folder.Path("empty.toml")).ok());
}

}  // namespace
}  // namespace ringpost
