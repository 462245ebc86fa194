// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/config/flags.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "fixture.h"

using OptionalText = std::optional<std::string>;
ABSL_DECLARE_FLAG(OptionalText, config);
ABSL_DECLARE_FLAG(OptionalText, listen);
ABSL_DECLARE_FLAG(OptionalText, listen_tls);
ABSL_DECLARE_FLAG(OptionalText, upstream);
ABSL_DECLARE_FLAG(OptionalText, egress_listen);
ABSL_DECLARE_FLAG(OptionalText, tls_policy);
ABSL_DECLARE_FLAG(OptionalText, auth);
ABSL_DECLARE_FLAG(OptionalText, backend_identity);
ABSL_DECLARE_FLAG(OptionalText, proxy_tlvs);
ABSL_DECLARE_FLAG(OptionalText, cert);
ABSL_DECLARE_FLAG(OptionalText, key);
ABSL_DECLARE_FLAG(OptionalText, client_ca);
ABSL_DECLARE_FLAG(OptionalText, crl);
ABSL_DECLARE_FLAG(OptionalText, revocation);
ABSL_DECLARE_FLAG(OptionalText, certificate_names);
ABSL_DECLARE_FLAG(OptionalText, fingerprints);
ABSL_DECLARE_FLAG(OptionalText, accept_common_name);
ABSL_DECLARE_FLAG(OptionalText, accept_server_auth_purpose);
ABSL_DECLARE_FLAG(OptionalText, policy_mode);
ABSL_DECLARE_FLAG(OptionalText, own_domains);
ABSL_DECLARE_FLAG(OptionalText, policy_service);
ABSL_DECLARE_FLAG(OptionalText, policy_summary_interval);
ABSL_DECLARE_FLAG(OptionalText, shards);
ABSL_DECLARE_FLAG(OptionalText, log_level);

namespace ringpost {
namespace {

absl::StatusOr<FlagAction> Parse(std::initializer_list<const char*> arguments) {
  std::vector<std::string> texts = {"ringpost"};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return ParseFlags(static_cast<int>(texts.size()), pointers.data());
}

class FlagsTest : public testing::Test {
 protected:
  void SetRoute() const {
    absl::SetFlag(&FLAGS_listen, "127.0.0.1:2525,[::1]:2525");
    absl::SetFlag(&FLAGS_listen_tls, "127.0.0.1:2465");
    absl::SetFlag(&FLAGS_upstream, "127.0.0.1:10025");
    absl::SetFlag(&FLAGS_cert, folder_.Path("cert.pem"));
    absl::SetFlag(&FLAGS_key, folder_.Path("key.pem"));
  }

  Folder folder_;
  absl::FlagSaver saver_;
};

TEST_F(FlagsTest, Refused) {
  ExpectSaying(Parse({"--lisen=0.0.0.0:25"}).status(),
               "unknown flag --lisen (did you mean \"listen\"");
  ExpectSaying(Parse({"-x"}).status(), "unknown flag --x");
  ExpectSaying(Parse({"--nolisten"}).status(), "unknown flag --nolisten");
  ExpectSaying(Parse({"--listen"}).status(), "--listen needs a value");
  ExpectSaying(Parse({"--shards", "1", "stray"}).status(), "\"stray\" is not a flag");
  ExpectSaying(Parse({"--", "stray"}).status(), "\"--\" is not a flag");
  ExpectSaying(Parse({""}).status(), "is not a flag");
}

// The first one must not be lost silently.
TEST_F(FlagsTest, GivenTwice) {
  ExpectSaying(Parse({"--shards=1", "--shards=2"}).status(),
               "--shards is given twice, as \"1\" and as \"2\"; leave one of them out");
  ExpectSaying(Parse({"-log_level", "info", "--log_level=debug"}).status(),
               "--log_level is given twice");
  ExpectSaying(Parse({"--config=a", "--config=b"}).status(), "--config is given twice");
  EXPECT_TRUE(Parse({"--shards=1", "--shards", "1", "--check_config", "--check_config"}).ok());
}

TEST_F(FlagsTest, ListsAddUp) {
  const std::string cert = folder_.Path("cert.pem");
  const std::string key = folder_.Path("key.pem");
  const auto action = Parse({"--listen=127.0.0.1:2525", "--listen=127.0.0.1:2525,[::1]:2525",
                             "--listen_tls", "127.0.0.1:2465", "--listen_tls=127.0.0.1:2466",
                             "--upstream=127.0.0.1:10025", "--upstream=127.0.0.1:10026", "--cert",
                             cert.c_str(), "--key", key.c_str(), "--cert", key.c_str(), "--key",
                             key.c_str(), "--own_domains=a.example", "--own_domains=b.example"});
  ASSERT_TRUE(action.ok()) << action.status();
  ExpectSaying(LoadConfig().status(), "\"127.0.0.1:2525\" is already listened on");
  absl::SetFlag(&FLAGS_listen, "127.0.0.1:2525,[::1]:2525");
  const auto loaded = LoadConfig();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const RouteConfig& route = (*loaded)->routes.at(0);
  ASSERT_EQ(route.listeners.size(), 4U);
  EXPECT_EQ(route.listeners[2].endpoint.text, "127.0.0.1:2465");
  EXPECT_EQ(route.listeners[3].endpoint.text, "127.0.0.1:2466");
  ASSERT_EQ(route.certificates.size(), 2U);
  EXPECT_EQ(route.certificates[0].cert, cert);
  EXPECT_EQ(route.certificates[1].cert, key);
  EXPECT_EQ(route.certificates[1].key, key);
  EXPECT_EQ((*loaded)->upstreams.at(0).addresses.size(), 2U);
  EXPECT_EQ((*loaded)->own_domains.size(), 4U);
}

TEST_F(FlagsTest, ARouteOfEgressAlone) {
  const auto action = Parse({"--egress_listen=127.0.0.1:10026", "--egress_listen=[::1]:10026",
                             "--egress_upstream=mx.partner.example:25", "--egress_tls=encrypt",
                             "--egress_hard_bounce=true"});
  ASSERT_TRUE(action.ok()) << action.status();
  const auto loaded = LoadConfig();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const RouteConfig& route = (*loaded)->routes.at(0);
  EXPECT_EQ(route.listeners.size(), 2U);
  EXPECT_EQ(route.egress->policy.tls, EgressTls::kEncrypt);
  EXPECT_TRUE(route.egress->hard_bounce);
  absl::SetFlag(&FLAGS_egress_listen, "unix:out.sock");
  const auto by_path = LoadConfig();
  ASSERT_TRUE(by_path.ok()) << by_path.status();
  const std::string& path = (*by_path)->routes.at(0).listeners.at(0).endpoint.text;
  EXPECT_TRUE(path.starts_with("unix:/") && path.ends_with("/out.sock")) << path;
  absl::SetFlag(&FLAGS_egress_listen, std::nullopt);
  ExpectSaying(LoadConfig().status(), "listens nowhere");
}

TEST_F(FlagsTest, AFileWithARouteOfEgressAlone) {
  folder_.Write("r.toml",
                "[[egress]]\nname = \"partner\"\nlisten = [\"127.0.0.1:10026\"]\n"
                "upstream = [\"mx.partner.example:25\"]\n");
  absl::SetFlag(&FLAGS_config, folder_.Path("r.toml"));
  const auto loaded = LoadConfig();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ((*loaded)->routes.at(0).name, "partner");
  absl::SetFlag(&FLAGS_egress_listen, "127.0.0.1:10027");
  ExpectSaying(LoadConfig().status(), "the --config file has routes, and so has the command line");
}

TEST_F(FlagsTest, BlanksBehindCommas) {
  SetRoute();
  absl::SetFlag(&FLAGS_listen, "127.0.0.1:2525, [::1]:2525");
  const auto loaded = LoadConfig();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ((*loaded)->routes[0].listeners.at(1).endpoint.text, "[::1]:2525");
  // The shell has made two words of it.
  ExpectSaying(Parse({"--listen=127.0.0.1:2525,", "[::1]:2525"}).status(),
               "\"[::1]:2525\" is not a flag; leave out the blank behind the comma");
}

TEST_F(FlagsTest, Actions) {
  EXPECT_EQ(*Parse({"--unknown", "--help"}), FlagAction::kHelp);
  EXPECT_EQ(*Parse({"--version"}), FlagAction::kVersion);
  EXPECT_EQ(*Parse({"--list_ciphers"}), FlagAction::kListCiphers);
  EXPECT_EQ(*Parse({"--nolist_ciphers", "--check_config"}), FlagAction::kCheckConfig);
  EXPECT_EQ(*Parse({"--nocheck_config", "--shards", "1", "-log_level=debug"}), FlagAction::kRun);
  EXPECT_EQ(absl::GetFlag(FLAGS_shards), "1");
  EXPECT_EQ(absl::GetFlag(FLAGS_log_level), "debug");
}

TEST_F(FlagsTest, HelpNamesEverything) {
  const std::string help = HelpText();
  for (const Tuning& tuning : AllTuning()) {
    EXPECT_NE(help.find("--" + std::string(tuning.name) + "\n"), std::string::npos) << tuning.name;
  }
  EXPECT_NE(help.find("--list_ciphers\n"), std::string::npos);
  EXPECT_EQ(VersionText().find("ringpost "), 0U);
}

TEST_F(FlagsTest, OneRoute) {
  SetRoute();
  absl::SetFlag(&FLAGS_tls_policy, "encrypt");
  absl::SetFlag(&FLAGS_backend_identity, "xclient");
  absl::SetFlag(&FLAGS_shards, "1");
  const auto loaded = LoadConfig();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const Config& config = **loaded;
  ASSERT_EQ(config.routes.size(), 1U);
  ASSERT_EQ(config.routes[0].listeners.size(), 3U);
  EXPECT_TRUE(config.routes[0].listeners[2].implicit_tls);
  EXPECT_EQ(config.routes[0].policy.tls, TlsPolicy::kEncrypt);
  ASSERT_EQ(config.upstreams.size(), 1U);
  EXPECT_EQ(config.upstreams[0].identity, BackendIdentity::kXclient);
  EXPECT_EQ(config.shards, 1);
}

TEST_F(FlagsTest, Auth) {
  SetRoute();
  EXPECT_EQ((*LoadConfig())->routes[0].auth, AuthPolicy::kTls);
  absl::SetFlag(&FLAGS_auth, "as_backend");
  EXPECT_EQ((*LoadConfig())->routes[0].auth, AuthPolicy::kAsBackend);
  absl::SetFlag(&FLAGS_auth, "none");
  ExpectSaying(LoadConfig().status(), "--auth: \"none\" ");
  // Alone it is half a route, and not lost beside a file's.
  absl::SetFlag(&FLAGS_listen, std::nullopt);
  absl::SetFlag(&FLAGS_listen_tls, std::nullopt);
  absl::SetFlag(&FLAGS_upstream, std::nullopt);
  absl::SetFlag(&FLAGS_auth, "tls");
  ExpectSaying(LoadConfig().status(), "no mail server is named");
}

TEST_F(FlagsTest, ProxyTlvs) {
  SetRoute();
  EXPECT_EQ((*LoadConfig())->upstreams[0].proxy_tlvs, ProxyTlvs::kAll);
  absl::SetFlag(&FLAGS_proxy_tlvs, "ssl");
  EXPECT_EQ((*LoadConfig())->upstreams[0].proxy_tlvs, ProxyTlvs::kSsl);
  absl::SetFlag(&FLAGS_proxy_tlvs, "no");
  ExpectSaying(LoadConfig().status(), "--proxy_tlvs: \"no\" ");
  absl::SetFlag(&FLAGS_proxy_tlvs, "none");
  absl::SetFlag(&FLAGS_backend_identity, "proxy-v1");
  ExpectSaying(LoadConfig().status(), "--proxy_tlvs: TLVs are a part of PROXY version 2 only");
  // Alone it is half a route, and not lost beside a file's.
  absl::SetFlag(&FLAGS_backend_identity, std::nullopt);
  absl::SetFlag(&FLAGS_listen, std::nullopt);
  absl::SetFlag(&FLAGS_listen_tls, std::nullopt);
  absl::SetFlag(&FLAGS_upstream, std::nullopt);
  ExpectSaying(LoadConfig().status(), "no mail server is named");
}

TEST_F(FlagsTest, HalfARoute) {
  ExpectSaying(LoadConfig().status(), "give --listen and --upstream");
  absl::SetFlag(&FLAGS_listen, "127.0.0.1:2525");
  ExpectSaying(LoadConfig().status(), "give --upstream=");
  absl::SetFlag(&FLAGS_listen, std::nullopt);
  absl::SetFlag(&FLAGS_upstream, "127.0.0.1:10025");
  ExpectSaying(LoadConfig().status(), "give --listen=");
  absl::SetFlag(&FLAGS_listen, "127.0.0.1:2525,");
  ExpectSaying(LoadConfig().status(), "--listen: \"\" has no port");
}

TEST_F(FlagsTest, CertificatesArePaired) {
  SetRoute();
  absl::SetFlag(&FLAGS_cert, "a.pem,b.pem");
  ExpectSaying(LoadConfig().status(), "--cert names 2 files and --key 1;");
  absl::SetFlag(&FLAGS_cert, std::nullopt);
  ExpectSaying(LoadConfig().status(), "--cert names 0 files and --key 1;");
  absl::SetFlag(&FLAGS_cert, "absent.pem");
  ExpectSaying(LoadConfig().status(), "/absent.pem\" cannot be read as a certificate");
}

TEST_F(FlagsTest, FlagsWinOverTheFilesTuning) {
  folder_.Write("r.toml", "shards = 1\nlog_level = \"error\"\ncommand_timeout = \"500s\"\n");
  absl::SetFlag(&FLAGS_config, folder_.Path("r.toml"));
  SetRoute();
  // Also where the flag repeats the default.
  absl::SetFlag(&FLAGS_log_level, "info");
  const auto loaded = LoadConfig();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ((*loaded)->log_level, LogLevel::kInfo);
  EXPECT_EQ((*loaded)->shards, 1);
  EXPECT_EQ((*loaded)->command_timeout, 500 * kNsPerSecond);
}

TEST_F(FlagsTest, OwnDomains) {
  using Domains = std::vector<std::string>;
  folder_.Write("r.toml", "hostname = \"mx.example\"\nown_domains = [\"file.example\"]\n");
  absl::SetFlag(&FLAGS_config, folder_.Path("r.toml"));
  SetRoute();
  EXPECT_EQ((*LoadConfig())->own_domains, (Domains{"mx.example", "localhost", "file.example"}));
  absl::SetFlag(&FLAGS_own_domains, "a.example,.b.example");
  EXPECT_EQ((*LoadConfig())->own_domains,
            (Domains{"mx.example", "localhost", "a.example", ".b.example"}));
  absl::SetFlag(&FLAGS_own_domains, "");
  ExpectSaying(LoadConfig().status(), "--own_domains: \"\" is not a domain");
}

TEST_F(FlagsTest, RoutesComeFromOnePlace) {
  folder_.Write("r.toml",
                "[[upstream]]\nname = \"p\"\naddresses = [\"127.0.0.1:10025\"]\n"
                "[[ingress]]\nname = \"mx\"\nlisten = [\"127.0.0.1:2525\"]\nupstream = \"p\"\n");
  absl::SetFlag(&FLAGS_config, folder_.Path("r.toml"));
  EXPECT_TRUE(LoadConfig().ok()) << LoadConfig().status();
  absl::SetFlag(&FLAGS_tls_policy, "may");
  ExpectSaying(LoadConfig().status(), "the --config file has routes, and so has the command line");
  absl::SetFlag(&FLAGS_tls_policy, std::nullopt);
  absl::SetFlag(&FLAGS_cert, folder_.Path("cert.pem"));
  absl::SetFlag(&FLAGS_key, folder_.Path("key.pem"));
  ExpectSaying(LoadConfig().status(), "--cert and --key belong to a route given by flags");
}

TEST_F(FlagsTest, PolicyOfTheOneRoute) {
  SetRoute();
  folder_.Write("ca.pem", "x");
  folder_.Write("ca.crl", "x");
  const std::string pin(64, 'a');
  absl::SetFlag(&FLAGS_tls_policy, "verify");
  absl::SetFlag(&FLAGS_client_ca, folder_.Path("ca.pem"));
  absl::SetFlag(&FLAGS_crl, folder_.Path("ca.crl"));
  absl::SetFlag(&FLAGS_revocation, "hard");
  absl::SetFlag(&FLAGS_certificate_names, "a.example,*.b.example");
  absl::SetFlag(&FLAGS_fingerprints, pin + "," + std::string(64, 'b'));
  absl::SetFlag(&FLAGS_accept_common_name, "true");
  absl::SetFlag(&FLAGS_accept_server_auth_purpose, "true");
  absl::SetFlag(&FLAGS_policy_mode, "report");
  absl::SetFlag(&FLAGS_policy_service, "unix:policy");
  absl::SetFlag(&FLAGS_policy_summary_interval, "1h");
  const auto loaded = LoadConfig();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const Config& config = **loaded;
  const RoutePolicy& policy = config.routes.at(0).policy;
  EXPECT_EQ(policy.tls, TlsPolicy::kVerify);
  EXPECT_EQ(policy.mode, PolicyMode::kReport);
  ASSERT_EQ(policy.certificate.trust, 0U);
  EXPECT_EQ(config.trusts.at(0),
            (TrustConfig{folder_.Path("ca.pem"), folder_.Path("ca.crl"), Revocation::kHard}));
  EXPECT_EQ(policy.certificate.names, (std::vector<std::string>{"a.example", "*.b.example"}));
  EXPECT_EQ(policy.certificate.fingerprints.size(), 2U);
  EXPECT_TRUE(policy.certificate.accept_common_name);
  EXPECT_TRUE(policy.certificate.accept_server_auth_purpose);
  EXPECT_EQ(config.policy_service->text.find("unix:/"), 0U) << "wherever the process goes";
  EXPECT_EQ(config.policy_summary_interval, 3600 * kNsPerSecond);

  absl::SetFlag(&FLAGS_accept_common_name, "yes");
  ExpectSaying(LoadConfig().status(), "--accept_common_name: \"yes\" is neither true nor false");
}

TEST_F(FlagsTest, PolicyFlagsBelongToARouteByFlags) {
  const std::string routes =
      "[[upstream]]\nname = \"p\"\naddresses = [\"127.0.0.1:10025\"]\n"
      "[[ingress]]\nname = \"mx\"\nlisten = [\"127.0.0.1:2525\"]\nupstream = \"p\"\n";
  folder_.Write("r.toml", routes);
  absl::SetFlag(&FLAGS_config, folder_.Path("r.toml"));
  absl::SetFlag(&FLAGS_policy_mode, "report");
  ExpectSaying(LoadConfig().status(), "the --config file has routes, and so has the command line");
  absl::SetFlag(&FLAGS_policy_mode, std::nullopt);
  absl::SetFlag(&FLAGS_revocation, "soft");
  ExpectSaying(LoadConfig().status(), "--client_ca, --crl and --revocation belong to a route");
}

TEST_F(FlagsTest, PartnersOfAFileWithARouteByFlags) {
  folder_.Write("ca.pem", "x");
  folder_.Write("other.pem", "x");
  folder_.Write("ca.crl", "x");
  folder_.Write("r.toml",
                "[tls]\nclient_ca = \"ca.pem\"\ncrl = \"ca.crl\"\n[[partner]]\nname = \"x\"\n"
                "sender_domains = [\"x.example\"]\ntls = \"verify\"\n");
  absl::SetFlag(&FLAGS_config, folder_.Path("r.toml"));
  SetRoute();
  const auto file = LoadConfig();
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->partners.size(), 1U);
  EXPECT_EQ((*file)->trusts.at(0),
            (TrustConfig{folder_.Path("ca.pem"), folder_.Path("ca.crl"), Revocation::kSoft}));
  absl::SetFlag(&FLAGS_revocation, "hard");
  EXPECT_EQ((*LoadConfig())->trusts.at(0).revocation, Revocation::kHard);
  absl::SetFlag(&FLAGS_revocation, std::nullopt);
  absl::SetFlag(&FLAGS_client_ca, folder_.Path("other.pem"));
  const auto flags = LoadConfig();
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_EQ((*flags)->trusts.at(0), (TrustConfig{folder_.Path("other.pem"), "", Revocation::kOff}))
      << "a list belongs to its CA";
}

}  // namespace
}  // namespace ringpost
