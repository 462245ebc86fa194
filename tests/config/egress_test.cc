// SPDX-License-Identifier: GPL-3.0-or-later
//
// Routes on which mail leaves, from the file to the Config. Each file is a small one that works,
// with one more key.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "fixture.h"
#include "ringpost/config/file.h"
#include "ringpost/config/resolve.h"

namespace ringpost {
namespace {

constexpr std::string_view kPin =
    "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

class EgressConfigTest : public testing::Test {
 protected:
  EgressConfigTest() {
    folder_.Write("ca.pem", "not judged by this layer");
    folder_.Write("ca.crl", "not judged by this layer");
  }

  static absl::string_view V(std::string_view text) { return {text.data(), text.size()}; }
  // `keys`: more of the one route, which has "listen", "upstream" and "name".
  absl::StatusOr<std::shared_ptr<const Config>> Load(
      std::string_view keys, std::string_view listen = "127.0.0.1:10026",
      std::string_view upstream = "MX.Partner.example.:25", std::string_view tables = "") const {
    return Resolve(absl::StrCat("[[egress]]\nname = \"partner\"\nlisten = [\"", V(listen),
                                "\"]\nupstream = [\"", V(upstream), "\"]\n", V(keys), "\n",
                                V(tables), "\n"));
  }
  absl::StatusOr<std::shared_ptr<const Config>> Resolve(const std::string& text) const {
    const auto settings = ParseConfigText(text, folder_.Path("r.toml"));
    if (!settings.ok()) return settings.status();
    return ResolveConfig(*settings, TestMachine());
  }
  void Bad(std::string_view keys, std::string_view words) const {
    SCOPED_TRACE(keys);
    const auto config = Load(keys);
    ExpectSaying(config.status(), words);
    EXPECT_NE(config.status().message().find("r.toml:"), absl::string_view::npos);
  }
  static bool Warns(const Config& config, std::string_view words) {
    return std::any_of(config.warnings.begin(), config.warnings.end(), [&](const auto& warning) {
      return warning.find(words) != std::string::npos;
    });
  }

  Folder folder_;
};

TEST_F(EgressConfigTest, ARouteAlone) {
  const auto config = Load("");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ((*config)->routes.size(), 1U);
  const RouteConfig& route = (*config)->routes[0];
  ASSERT_TRUE(route.egress.has_value());
  EXPECT_EQ(route.egress->policy.tls, EgressTls::kMay);
  EXPECT_FALSE(route.partners);
  EXPECT_FALSE(route.ask_certificate);
  const UpstreamConfig& upstream = (*config)->upstreams.at(route.upstream);
  EXPECT_TRUE(upstream.is_partner);
  EXPECT_EQ(upstream.addresses.at(0).host, "mx.partner.example");
  EXPECT_FALSE(upstream.addresses.at(0).known());
  EXPECT_TRUE((*config)->warnings.empty()) << (*config)->warnings.front();
  EXPECT_EQ((*Load("", "127.0.0.1:10026", "[2001:DB8::1]:25"))->upstreams[0].addresses[0].host,
            "2001:db8::1");
}

TEST_F(EgressConfigTest, EachLevel) {
  const std::string ca = "ca = \"ca.pem\"\n";
  const std::string pin = absl::StrCat("fingerprints = [\"", V(kPin), "\"]\n");
  const auto level = [this](const std::string& keys) {
    const auto config = Load(keys);
    EXPECT_TRUE(config.ok()) << config.status();
    return config.ok() ? (*config)->routes[0].egress->policy : ServerPolicy();
  };
  EXPECT_EQ(level("tls = \"none\"").tls, EgressTls::kNone);
  EXPECT_EQ(level("tls = \"encrypt\"").tls, EgressTls::kEncrypt);
  EXPECT_EQ(level("tls = \"trusted\"\n" + ca).trust, 0U);
  EXPECT_EQ(level("tls = \"verify\"\n" + ca).tls, EgressTls::kVerify);
  EXPECT_EQ(
      level("tls = \"secure\"\nmatch = [\"MX.Partner.example\", \".b.example\"]\n" + ca).names,
      (std::vector<std::string>{"mx.partner.example", ".b.example"}));
  EXPECT_EQ(level("tls = \"fingerprint\"\n" + pin).fingerprints.size(), 1U);
}

// A list is one of two ways to learn of it, unlike with clients' certificates.
TEST_F(EgressConfigTest, RevocationWithoutAList) {
  const std::string ca = "tls = \"trusted\"\nca = \"ca.pem\"\n";
  const auto trust = [this](const std::string& keys) {
    const auto config = Load(keys);
    EXPECT_TRUE(config.ok()) << config.status();
    return config.ok() ? (*config)->trusts.at(0) : TrustConfig();
  };
  EXPECT_EQ(trust(ca).revocation, Revocation::kOff);
  EXPECT_EQ(trust(ca + "revocation = \"soft\"").revocation, Revocation::kSoft);
  EXPECT_EQ(trust(ca + "revocation = \"hard\"").revocation, Revocation::kHard);
  EXPECT_EQ(trust(ca + "revocation = \"hard\"").crl, "");
  EXPECT_EQ(trust(ca + "crl = \"ca.crl\"").revocation, Revocation::kSoft);
  const auto first = Load(ca + "revocation = \"hard\"");
  ASSERT_TRUE(first.ok());
  const auto second = Resolve(DescribeConfig(**first));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ((*second)->trusts, (*first)->trusts);
}

TEST_F(EgressConfigTest, WhatDoesNotFitTheLevel) {
  Bad("tls = \"verified\"", "did you mean \"verify\"");
  Bad("tls = \"trusted\"", "add ca = \"/etc/ssl/certs/ca-certificates.crt\"");
  Bad("tls = \"secure\"\nca = \"ca.pem\"", "needs match");
  Bad("tls = \"encrypt\"\nca = \"ca.pem\"", "has no effect at this level");
  Bad("tls = \"verify\"\nca = \"ca.pem\"\nmatch = [\"a.example\"]", "write tls = \"secure\"");
  Bad("tls = \"fingerprint\"", "needs fingerprints");
  Bad(absl::StrCat("fingerprints = [\"", V(kPin), "\"]"), "write tls = \"fingerprint\"");
  Bad("crl = \"ca.crl\"", "lists what a CA revoked, but no ca is given");
  Bad("revocation = \"hard\"", "\"hard\" needs ca; add it, or write off");
  Bad("tls = \"trusted\"\nca = \"ca.pem\"\nrevocation = \"firm\"",
      "is not one of off, soft or hard");
  Bad("mode = \"report\"", "has nothing to report");
  Bad("tls = \"none\"\nimplicit_tls = true", "begins with TLS, and tls is none");
  Bad("client_cert = \"cert.pem\"", "has no key; add client_key");
  Bad("client_key = \"key.pem\"", "has no certificate; add client_cert");
  Bad("tls = \"none\"\nclient_cert = \"cert.pem\"\nclient_key = \"key.pem\"",
      "is shown in TLS only");
  Bad("hostname = \"two words\"", "is not a host name");
  Bad("sessions_max = 1000000", "more than the whole process takes");
  Bad("client_ca = \"ca.pem\"", "unknown key \"client_ca\" in [[egress]]");
}

TEST_F(EgressConfigTest, NoOpenRelayByAccident) {
  ExpectSaying(Load("", "0.0.0.0:10026").status(), "everyone who does can send mail through it");
  ExpectSaying(Load("", "192.0.2.1:10026").status(), "allow_networks = true");
  const auto config = Load("allow_networks = true", "0.0.0.0:10026");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(Warns(**config, "everyone who reaches 0.0.0.0:10026 can send mail through it"));
}

TEST_F(EgressConfigTest, WarningsAreOfMailThatLeaves) {
  const auto socket = Load("tls = \"none\"", "127.0.0.1:10026", "unix:/nonexistent/partner");
  ASSERT_TRUE(socket.ok()) << socket.status();
  EXPECT_TRUE(Warns(**socket, "MAIL is answered with 451 until its server has made both"));
  const auto impatient = Load("command_timeout = \"10s\"");
  ASSERT_TRUE(impatient.ok()) << impatient.status();
  EXPECT_TRUE(Warns(**impatient, "slow but honest senders will be cut off"));
  for (const auto& config : {*socket, *impatient}) {
    EXPECT_FALSE(Warns(*config, "client"));
  }
}

TEST_F(EgressConfigTest, WarningsOfWhatCannotWork) {
  const auto warns = [this](std::string_view keys, std::string_view upstream,
                            std::string_view words) {
    const auto config = Load(keys, "127.0.0.1:10026", upstream);
    EXPECT_TRUE(config.ok()) << config.status();
    return config.ok() && Warns(**config, words);
  };
  constexpr std::string_view kFirst = "write implicit_tls = true";
  for (const char* const server : {"mx.partner.example:465", "192.0.2.1:465", "[::1]:465"}) {
    EXPECT_TRUE(warns("", server, kFirst)) << server;
    EXPECT_FALSE(warns("implicit_tls = true", server, "implicit_tls")) << server;
  }
  EXPECT_TRUE(warns("implicit_tls = true", "mx.partner.example:25", "leave implicit_tls out"));
  EXPECT_FALSE(warns("", "mx.partner.example:25", "implicit_tls"));
  EXPECT_FALSE(warns("implicit_tls = true", "mx.partner.example:4465", "implicit_tls"));

  constexpr std::string_view kList = "add the crl of the CA above it";
  constexpr std::string_view kPartner = "mx.partner.example:25";
  const std::string ca = "tls = \"verify\"\nca = \"ca.pem\"\n";
  EXPECT_TRUE(warns(ca + "revocation = \"hard\"", kPartner, kList));
  EXPECT_FALSE(warns(ca + "revocation = \"hard\"\ncrl = \"ca.crl\"", kPartner, kList));
  EXPECT_FALSE(warns(ca + "revocation = \"soft\"", kPartner, kList));
}

// It would refuse all mail: a path is no name.
TEST_F(EgressConfigTest, VerifyNeedsAName) {
  const std::string ca = "ca = \"ca.pem\"\n";
  ExpectSaying(Load(ca + "tls = \"verify\"", "127.0.0.1:10026", "unix:/run/partner").status(),
               "write tls = \"secure\" and match");
  ExpectSaying(Load(ca + "tls = \"verify\"", "127.0.0.1:10026",
                    "mx.partner.example:25\", \"unix:/run/partner")
                   .status(),
               "\"unix:/run/partner\" has no name");
  EXPECT_TRUE(Load(ca + "tls = \"trusted\"", "127.0.0.1:10026", "unix:/run/partner").ok());
  EXPECT_TRUE(Load(ca + "tls = \"secure\"\nmatch = [\"mx.partner.example\"]", "127.0.0.1:10026",
                   "unix:/run/partner")
                  .ok());
}

// Only this machine reaches it, and there those who may; a relative path is relative to the file.
TEST_F(EgressConfigTest, ByAUnixSocket) {
  const auto config = Load("", "unix:out.sock");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ((*config)->routes[0].listeners[0].endpoint.text, "unix:" + folder_.Path("out.sock"));
  EXPECT_FALSE(Warns(**config, "can send mail through it"));
  const auto again = Resolve(DescribeConfig(**config));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->routes[0].listeners[0].endpoint.text,
            (*config)->routes[0].listeners[0].endpoint.text);
  ExpectSaying(Load("", "unix:" + std::string(108, 'p')).status(), "at most 107 octets");
  ExpectSaying(Load("", "/run/out").status(), "write unix:/run/out");
  ExpectSaying(Load("tls = \"none\"", "unix:out.sock", "unix:out.sock").status(),
               "ringpost would connect to itself");
  ExpectSaying(Load("", "unix:out.sock", "192.0.2.1:25",
                    "[[egress]]\nname = \"other\"\nlisten = [\"unix:out.sock\"]\n"
                    "upstream = [\"192.0.2.2:25\"]")
                   .status(),
               "is already listened on");
}

TEST_F(EgressConfigTest, RemediesAreOfMailThatLeaves) {
  ExpectSaying(Load("tls = \"encrypt\"", "127.0.0.1:10026", "mx.partner.example").status(),
               "write mx.partner.example:25");
  const absl::Status dane = Load("tls = \"dane\"").status();
  ExpectSaying(dane, "leave such domains to your mail server's own DANE");
  EXPECT_EQ(std::string(dane.message()).find("did you mean"), std::string::npos) << dane;
}

// To a route of ingress it may lead: mail that leaves comes in again.
TEST_F(EgressConfigTest, NotToItself) {
  ExpectSaying(Load("", "127.0.0.1:10026", "127.0.0.1:10026").status(),
               "ringpost would connect to itself");
  constexpr std::string_view kIngress =
      "[[upstream]]\nname = \"postfix\"\naddresses = [\"127.0.0.1:10025\"]\n"
      "[[ingress]]\nname = \"mx\"\nlisten = [\"127.0.0.1:2525\"]\nupstream = \"postfix\"\n";
  EXPECT_TRUE(Load("", "127.0.0.1:10026", "127.0.0.1:2525", kIngress).ok());
  ExpectSaying(Load("", "127.0.0.1:10025", "192.0.2.1:25", kIngress).status(),
               "ringpost would connect to itself");
  ExpectSaying(Load("", "127.0.0.1:10026", "192.0.2.1:25",
                    "[[egress]]\nname = \"partner\"\nlisten = [\"127.0.0.1:10027\"]\n"
                    "upstream = [\"192.0.2.2:25\"]")
                   .status(),
               "is the name of another route or upstream");
}

TEST_F(EgressConfigTest, DescribedAsItIs) {
  const auto first = Load(
      "tls = \"secure\"\nmatch = [\".partner.example\"]\nca = \"ca.pem\"\ncrl = \"ca.crl\"\n"
      "revocation = \"hard\"\nclient_cert = \"cert.pem\"\nclient_key = \"key.pem\"\n"
      "implicit_tls = true\nhostname = \"out.example\"\nmode = \"report\"\nhard_bounce = true\n"
      "allow_networks = true\nsessions_max = 7\ncommand_timeout = \"400s\"",
      "0.0.0.0:10026");
  ASSERT_TRUE(first.ok()) << first.status();
  const std::string text = DescribeConfig(**first);
  const auto second = Resolve(text);
  ASSERT_TRUE(second.ok()) << second.status() << "\n" << text;
  EXPECT_EQ(DescribeConfig(**second), text);
  EXPECT_EQ((*second)->warnings, (*first)->warnings);
  const RouteConfig& a = (*first)->routes[0];
  const RouteConfig& b = (*second)->routes[0];
  EXPECT_EQ(a.egress->policy.tls, b.egress->policy.tls);
  EXPECT_EQ(a.egress->policy.names, b.egress->policy.names);
  EXPECT_EQ((*first)->trusts, (*second)->trusts);
  EXPECT_EQ(a.egress->client_certificate->key, b.egress->client_certificate->key);
  EXPECT_EQ(a.egress->implicit_tls, b.egress->implicit_tls);
  EXPECT_EQ(a.egress->ehlo_name, b.egress->ehlo_name);
  EXPECT_EQ(a.egress->hard_bounce, b.egress->hard_bounce);
  EXPECT_EQ(a.policy.mode, b.policy.mode);
  EXPECT_EQ(a.sessions_max, b.sessions_max);
  EXPECT_EQ(a.command_timeout, b.command_timeout);
}

}  // namespace
}  // namespace ringpost
