// SPDX-License-Identifier: GPL-3.0-or-later
//
// TLS policies from the file to the Config. Each file here is a small one that works, with one more
// table or key.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "fixture.h"
#include "ringpost/config/file.h"

namespace ringpost {
namespace {

constexpr char kPin[] = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

class PoliciesTest : public testing::Test {
 protected:
  PoliciesTest() {
    for (const char* name : {"ca.pem", "other-ca.pem", "ca.crl", "other.crl"}) {
      folder_.Write(name, "not judged by this layer");
    }
    std::filesystem::create_directory(folder_.Path("empty"));
    std::filesystem::create_directory(folder_.Path("cas"));
    folder_.Write("cas/a.pem", "not judged by this layer");
  }

  // `tls`, `route`: more keys of [tls] and of the one route; `tables`: more tables.
  absl::StatusOr<std::shared_ptr<const Config>> Load(std::string_view tls, std::string_view route,
                                                     std::string_view tables,
                                                     std::string_view tuning = "") const {
    const std::string text = absl::StrCat(
        V(tuning), "\n[tls]\ncertificates = [{ cert = \"cert.pem\", key = \"key.pem\" }]\n", V(tls),
        "\n[[upstream]]\nname = \"postfix\"\naddresses = [\"127.0.0.1:10025\"]\n[[ingress]]\n"
        "name = \"mx\"\nlisten = [\"0.0.0.0:25\"]\nupstream = \"postfix\"\n",
        V(route), "\n", V(tables), "\n");
    return Resolve(text);
  }

  absl::StatusOr<std::shared_ptr<const Config>> Resolve(const std::string& text) const {
    const auto settings = ParseConfigText(text, folder_.Path("r.toml"));
    if (!settings.ok()) return settings.status();
    return ResolveConfig(*settings, TestMachine());
  }

  std::shared_ptr<const Config> Good(std::string_view tls, std::string_view route,
                                     std::string_view tables, std::string_view tuning = "") const {
    auto config = Load(tls, route, tables, tuning);
    EXPECT_TRUE(config.ok()) << config.status();
    return config.ok() ? *config : std::make_shared<const Config>();
  }

  void Bad(std::string_view tls, std::string_view route, std::string_view tables,
           std::string_view words, std::string_view tuning = "") const {
    SCOPED_TRACE(absl::StrCat(V(tls), "|", V(route), "|", V(tables), "|", V(tuning)));
    const auto config = Load(tls, route, tables, tuning);
    ExpectSaying(config.status(), words);
    // Every complaint about the file says where: "r.toml:<line>:<column>: ".
    EXPECT_NE(config.status().message().find("r.toml:"), absl::string_view::npos)
        << config.status();
  }

  static absl::string_view V(std::string_view text) { return {text.data(), text.size()}; }

  static bool Warns(const Config& config, std::string_view words) {
    return std::any_of(config.warnings.begin(), config.warnings.end(), [&](const auto& warning) {
      return warning.find(words) != std::string::npos;
    });
  }

  // A partner of one domain with more keys.
  static std::string Partner(std::string_view more) {
    return absl::StrCat("[[partner]]\nname = \"contoso\"\nsender_domains = [\"contoso.example\"]\n",
                        V(more), "\n");
  }

  Folder folder_;
};

TEST_F(PoliciesTest, NothingAskedIsAsBefore) {
  const auto config = Good("", "", "");
  const RouteConfig& route = config->routes.at(0);
  EXPECT_EQ(route.policy.tls, TlsPolicy::kMay);
  EXPECT_EQ(route.policy.mode, PolicyMode::kEnforce);
  EXPECT_EQ(route.policy.certificate.trust, kNoTrust);
  EXPECT_TRUE(route.partners);
  EXPECT_FALSE(route.ask_certificate);
  EXPECT_EQ(route.sessions_max, 0U);
  EXPECT_EQ(route.handshake_timeout, config->handshake_timeout);
  EXPECT_EQ(route.command_timeout, config->command_timeout);
  EXPECT_EQ(route.data_timeout, config->data_timeout);
  EXPECT_TRUE(config->trusts.empty());
  EXPECT_FALSE(config->policy_service.has_value());
  EXPECT_EQ(config->policy_summary_interval, 24 * 3600 * kNsPerSecond);
  EXPECT_TRUE(config->warnings.empty()) << config->warnings[0];
}

TEST_F(PoliciesTest, ARouteThatVerifies) {
  const auto config = Good("",
                           absl::StrCat(R"(tls = "verify"
client_ca = "ca.pem"
crl = "ca.crl"
revocation = "hard"
certificate_names = ["Mail.Contoso.EXAMPLE", "*.bücher.example", "one."]
fingerprints = [")",
                                        kPin, R"("]
accept_common_name = true
accept_server_auth_purpose = true
mode = "report"
certificate_reply = "450 4.7.0 Later: {reason}"
partners = false
sessions_max = 9
handshake_timeout = "1s"
command_timeout = "301s"
data_timeout = "181s")"),
                           "");
  const RouteConfig& route = config->routes.at(0);
  EXPECT_EQ(route.policy.tls, TlsPolicy::kVerify);
  EXPECT_EQ(route.policy.mode, PolicyMode::kReport);
  EXPECT_EQ(route.policy.replies.certificate, "450 4.7.0 Later: {reason}");
  const CertificateRule& rule = route.policy.certificate;
  ASSERT_EQ(rule.trust, 0U);
  EXPECT_EQ(config->trusts.at(0).client_ca, folder_.Path("ca.pem"));
  EXPECT_EQ(config->trusts.at(0).crl, folder_.Path("ca.crl"));
  EXPECT_EQ(config->trusts.at(0).revocation, Revocation::kHard);
  EXPECT_EQ(rule.names,
            (std::vector<std::string>{"mail.contoso.example", "*.xn--bcher-kva.example", "one"}));
  ASSERT_EQ(rule.fingerprints.size(), 1U);
  EXPECT_EQ(rule.fingerprints[0], ParseFingerprint(kPin));
  EXPECT_TRUE(rule.accept_common_name);
  EXPECT_TRUE(rule.accept_server_auth_purpose);
  EXPECT_FALSE(route.partners);
  EXPECT_TRUE(route.ask_certificate);
  EXPECT_EQ(route.sessions_max, 9U);
  EXPECT_EQ(route.handshake_timeout, 1 * kNsPerSecond);
  EXPECT_EQ(route.command_timeout, 301 * kNsPerSecond);
  EXPECT_EQ(route.data_timeout, 181 * kNsPerSecond);
  EXPECT_EQ(config->command_timeout, 300 * kNsPerSecond) << "only the route's";
  EXPECT_TRUE(Warns(*config, "route \"mx\": accept_common_name"));
}

TEST_F(PoliciesTest, RefusedRoutes) {
  Bad("", "tls = \"verfy\"", "", "is not one of may, encrypt or verify (did you mean \"verify\"?)");
  Bad("", "tls = \"none\"", "", "is not one of may, encrypt or verify");
  Bad("", "tls = \"verify\"", "", "r.toml:12:7: tls: \"verify\" asks for a certificate, but");
  Bad("client_ca = \"ca.pem\"", "tls = \"verify\"\nclient_ca = \"\"", "", "nothing says which");
  Bad("", "mode = \"report\"", "", "r.toml:12:8: mode: \"report\" has nothing to report");
  Bad("", "mode = \"audit\"", "", "is not one of enforce or report");
  Bad("", "certificate_names = [\"a.example\"]", "", "proves nothing without a CA");
  Bad("", "client_ca = \"absent.pem\"", "", "absent.pem\" cannot be read as a CA certificate: No");
  Bad("", "client_ca = \"empty\"", "", "empty\" is a folder without files");
  Bad("", "client_ca = \"ca.pem\"\ncrl = \"absent\"", "", "cannot be read as a CRL: No such");
  Bad("", "crl = \"ca.crl\"", "", "but no client_ca is given");
  Bad("client_ca = \"ca.pem\"", "client_ca = \"\"\ncrl = \"ca.crl\"", "", "no client_ca is given");
  Bad("", "revocation = \"soft\"", "", "\"soft\" needs client_ca and crl");
  Bad("", "client_ca = \"ca.pem\"\nrevocation = \"hard\"", "", "\"hard\" as revocation needs crl");
  Bad("", "client_ca = \"ca.pem\"\nrevocation = \"firm\"", "", "is not one of off, soft or hard");
  Bad("", "sessions_max = 10001", "", "r.toml:12:16: sessions_max: \"10001\" sessions are more");
  Bad("", "data_timeout = \"1\"", "", "is not a duration");
  Bad("", "handshake_timeout = \"25h\"", "", "is not between 10ms and 24h");
  Bad("", "certificate_reply = \"250 ok\"", "", "does not begin with a code from 400 to 559");
  // Without a server certificate there is no TLS in which a client could show its own.
  const auto config = Resolve(
      "[[upstream]]\nname = \"p\"\naddresses = [\"127.0.0.1:10025\"]\n[[ingress]]\nname = \"mx\"\n"
      "listen = [\"0.0.0.0:25\"]\nupstream = \"p\"\nclient_ca = \"ca.pem\"\ntls = \"verify\"");
  ExpectSaying(config.status(), "\"verify\" as the TLS policy needs a certificate");
}

TEST_F(PoliciesTest, RouteLimitsBelowTheRfc) {
  const auto config = Good("", "command_timeout = \"299s\"\ndata_timeout = \"5s\"", "");
  EXPECT_TRUE(Warns(*config, "route \"mx\": command_timeout is 4m59s; RFC 5321 4.5.3.2.7"));
  EXPECT_TRUE(Warns(*config, "route \"mx\": data_timeout is 5s; RFC 5321 4.5.3.2.5"));
}

TEST_F(PoliciesTest, CertificateNames) {
  for (const char* name : {"", "*", "*.", "*.com", "**.contoso.example", "a.*.example", "192.0.2.1",
                           "[192.0.2.1]", "mail contoso.example", "a..example", "mail_1.example",
                           "-.*", ".contoso.example", "a@contoso.example"}) {
    Bad("client_ca = \"ca.pem\"", absl::StrCat("certificate_names = [\"", name, "\"]"), "",
        absl::string_view(name) == "*.com" ? "would take everyone under .com"
                                           : "is not a host name");
  }
}

TEST_F(PoliciesTest, Fingerprints) {
  const std::string pin = kPin;
  for (const std::string& bad : {std::string(), pin.substr(1), pin + "0",
                                 absl::StrCat("sha256:", pin), absl::StrCat("G", pin.substr(1))}) {
    Bad("", absl::StrCat("fingerprints = [\"", bad, "\"]"), "", "is not a SHA-256 fingerprint");
  }
  const auto config =
      Good("", absl::StrCat("tls = \"verify\"\nfingerprints = [\"", pin, "\"]"), "");
  EXPECT_EQ(config->routes.at(0).policy.certificate.trust, kNoTrust);
  EXPECT_TRUE(config->routes.at(0).ask_certificate);
  EXPECT_TRUE(config->warnings.empty()) << config->warnings[0];
}

TEST_F(PoliciesTest, TrustIsInherited) {
  const std::string tls = "client_ca = \"ca.pem\"\ncrl = \"ca.crl\"\nrevocation = \"hard\"";
  const auto trust_of = [&](std::string_view route) {
    const auto config = Good(tls, route, "");
    const std::size_t index = config->routes.at(0).policy.certificate.trust;
    return index == kNoTrust ? TrustConfig{} : config->trusts.at(index);
  };
  const std::string ca = folder_.Path("ca.pem");
  const std::string crl = folder_.Path("ca.crl");
  const std::string other_ca = folder_.Path("other-ca.pem");
  const std::string other_crl = folder_.Path("other.crl");
  EXPECT_EQ(trust_of(""), (TrustConfig{ca, crl, Revocation::kHard}));
  EXPECT_EQ(trust_of("revocation = \"soft\""), (TrustConfig{ca, crl, Revocation::kSoft}));
  EXPECT_EQ(trust_of("crl = \"other.crl\""), (TrustConfig{ca, other_crl, Revocation::kHard}));
  EXPECT_EQ(trust_of("crl = \"\"\nrevocation = \"off\""), (TrustConfig{ca, "", Revocation::kOff}));
  EXPECT_EQ(trust_of("client_ca = \"\""), TrustConfig{});
  EXPECT_EQ(trust_of("client_ca = \"\"\nrevocation = \"off\""), TrustConfig{});
  EXPECT_EQ(trust_of("client_ca = \"cas\"\nrevocation = \"off\""),
            (TrustConfig{folder_.Path("cas"), "", Revocation::kOff}));
  EXPECT_EQ(trust_of("client_ca = \"other-ca.pem\"\ncrl = \"other.crl\""),
            (TrustConfig{other_ca, other_crl, Revocation::kHard}));
  // A CRL belongs to its CA, but what was asked of revocation is not forgotten in silence.
  Bad(tls, "client_ca = \"other-ca.pem\"", "",
      "other-ca.pem\" has no crl, but revocation = \"hard\" of [tls] holds here too");
  Bad(tls, "crl = \"\"", "", "\"hard\" as revocation needs crl");

  // Whoever gives a list wants it to count.
  const auto config = Good("client_ca = \"ca.pem\"\ncrl = \"ca.crl\"", "", "");
  EXPECT_EQ(config->trusts.at(0).revocation, Revocation::kSoft);
  const auto none = Good("client_ca = \"ca.pem\"", "", "");
  EXPECT_EQ(none->trusts.at(0).revocation, Revocation::kOff);
  EXPECT_TRUE(none->warnings.empty()) << none->warnings[0];
}

TEST_F(PoliciesTest, RefusedTrustOfAll) {
  // Also where no route or partner takes it over.
  const std::string route = "client_ca = \"\"";
  Bad("client_ca = \"absent.pem\"", route, "", "r.toml:4:13: client_ca: ");
  Bad("crl = \"ca.crl\"", route, "", "no client_ca is given");
  Bad("revocation = \"soft\"", route, "", "needs client_ca and crl");
  Bad("client_ca = \"ca.pem\"\nrevocation = \"soft\"", route, "", "needs crl");
  Bad("client_ca = \"empty\"", route, "", "is a folder without files");
}

TEST_F(PoliciesTest, TrustsAreShared) {
  const auto config = Good("client_ca = \"ca.pem\"", "client_ca = \"ca.pem\"\ntls = \"verify\"",
                           R"([[partner]]
name = "a"
sender_domains = ["a.example"]
tls = "verify"
[[partner]]
name = "b"
sender_domains = ["b.example"]
tls = "verify"
client_ca = "other-ca.pem"
[[partner]]
name = "c"
sender_domains = ["c.example"]
tls = "verify"
client_ca = "./other-ca.pem"
[[partner]]
name = "d"
sender_domains = ["d.example"]
tls = "verify"
crl = "ca.crl"
)");
  ASSERT_EQ(config->trusts.size(), 3U);
  EXPECT_EQ(config->routes.at(0).policy.certificate.trust, 0U);
  std::vector<std::size_t> of_partners;
  for (const auto& partner : config->partners) of_partners.push_back(partner.certificate.trust);
  EXPECT_EQ(of_partners, (std::vector<std::size_t>{0, 1, 1, 2}));
  EXPECT_TRUE(Warns(*config,
                    "route \"mx\", partner \"a\", partner \"b\", partner \"c\", partner \"d\": "
                    "with client_ca alone every certificate"));
}

TEST_F(PoliciesTest, APartnersTrustIsNotItsRoutes) {
  Bad("", "client_ca = \"ca.pem\"", Partner("tls = \"verify\""), "nothing says which");
}

TEST_F(PoliciesTest, APartner) {
  const auto config = Good("", "", R"([[partner]]
name = "contoso"
sender_domains = ["Contoso.Example", ".contoso.example", "BÜCHER.example."]
networks = ["203.0.113.0/24", "2001:db8::/32", "192.0.2.1"]
tls = "verify"
client_ca = "ca.pem"
certificate_names = ["mail.contoso.example"]
restrict_to_networks = true
restrict_to_certificate = true
mode = "report"
tls_reply = "530 5.7.0 TLS please"
certificate_reply = "554 Certificate: {reason}"
network_reply = "450 4.7.1 Not from there")");
  ASSERT_EQ(config->partners.size(), 1U);
  const ringpost::Partner& partner = config->partners[0];
  EXPECT_EQ(partner.name, "contoso");
  EXPECT_EQ(partner.sender_domains, (std::vector<std::string>{"contoso.example", ".contoso.example",
                                                              "xn--bcher-kva.example"}));
  ASSERT_EQ(partner.networks.size(), 3U);
  EXPECT_EQ(FormatNetwork(partner.networks[0]), "203.0.113.0/24");
  EXPECT_EQ(partner.tls, TlsPolicy::kVerify);
  EXPECT_EQ(partner.certificate.trust, 0U);
  EXPECT_EQ(partner.certificate.names, (std::vector<std::string>{"mail.contoso.example"}));
  EXPECT_TRUE(partner.restrict_to_networks);
  EXPECT_TRUE(partner.restrict_to_certificate);
  EXPECT_EQ(partner.mode, PolicyMode::kReport);
  EXPECT_EQ(partner.replies.tls, "530 5.7.0 TLS please");
  EXPECT_EQ(partner.replies.certificate, "554 Certificate: {reason}");
  EXPECT_EQ(partner.replies.network, "450 4.7.1 Not from there");
  EXPECT_TRUE(config->warnings.empty()) << config->warnings[0];
}

TEST_F(PoliciesTest, RefusedPartners) {
  Bad("", "", Partner("tls = \"may\""), "tls: \"may\" is not one of encrypt or verify");
  Bad("", "", Partner("tls = \"verify\""), "r.toml:16:7: tls: \"verify\" asks for a certificate");
  Bad("", "", Partner("tls = \"encrypt\"\nrestrict_to_certificate = true"), "nothing says which");
  Bad("", "", "[[partner]]\nname = \"x\"\ntls = \"encrypt\"",
      "r.toml:14:8: name: \"x\" is a partner whose mail nothing tells from others");
  Bad("", "", "[[partner]]\nname = \"\"\ntls = \"encrypt\"", "may not be empty");
  Bad("", "", Partner("tls = \"encrypt\"\nrestrict_to_networks = true"),
      "needs networks; add them");
  const std::string_view network =
      "[[partner]]\nname = \"x\"\ntls = \"encrypt\"\n"
      "networks = [\"192.0.2.0/24\"]\n";
  Bad("", "", absl::StrCat(V(network), "restrict_to_networks = true"), "add sender_domains");
  Bad("", "",
      absl::StrCat(V(network), "restrict_to_certificate = true\nfingerprints = [\"", kPin, "\"]"),
      "add sender_domains");
  Bad("", "", Partner("tls = \"encrypt\"\ncertificate_names = [\"a.example\"]"),
      "proves nothing without a CA");
  Bad("", "", Partner("tls = \"encrypt\"\nnetworks = [\"192.0.2.0/33\"]"),
      "r.toml:17:13: networks: ");
  Bad("", "", Partner("tls = \"encrypt\"\nnetworks = [\"192.0.2.1/24\"]"), "192.0.2.0/24");
  Bad("", "", Partner("tls = \"encrypt\"\nnetworks = [\"mail.example\"]"), "neither an IP address");
  Bad("", "",
      absl::StrCat(Partner("tls = \"encrypt\""),
                   "[[partner]]\nname = \"contoso\"\nsender_domains = [\"x.example\"]\n"
                   "tls = \"encrypt\""),
      "r.toml:14:8: name; give each its own name");
  for (const char* reply : {"tls_reply", "certificate_reply", "network_reply"}) {
    Bad("", "", Partner(absl::StrCat("tls = \"encrypt\"\n", reply, " = \"no\"")),
        absl::StrCat(reply, ": \"no\" does not begin with a code"));
  }
}

TEST_F(PoliciesTest, RefusedDomains) {
  const struct {
    const char* domain;
    const char* words;
  } cases[] = {
      {"", "is not a domain"},
      {".", "is not a domain"},
      {"..example", "is not a domain"},
      {"a..example", "is not a domain"},
      {"a b.example", "is not a domain"},
      {"*.contoso.example", "write \\\".contoso.example\\\" for the subdomains"},
      {"@contoso.example", "is an address; write its domain, \"contoso.example\""},
      {"192.0.2.1", "an address belongs into networks"},
      {"[192.0.2.1]", "is not a domain"},
      {"contoso.example/x", "is not a domain"},
  };
  for (const auto& bad : cases) {
    std::string words = bad.words;
    words.erase(std::remove(words.begin(), words.end(), '\\'), words.end());
    Bad("", "",
        absl::StrCat("[[partner]]\nname = \"x\"\ntls = \"encrypt\"\nsender_domains = [\"",
                     bad.domain, "\"]"),
        words);
  }
}

TEST_F(PoliciesTest, OwnDomains) {
  using Domains = std::vector<std::string>;
  EXPECT_EQ(Good("", "", "")->own_domains, (Domains{"mx.test.example", "localhost"}));
  EXPECT_EQ(Good("", "", "", "hostname = \"MX.example\"\nown_domains = []")->own_domains,
            (Domains{"mx.example", "localhost"}));
  EXPECT_EQ(Good("", "", "",
                 "own_domains = [\"Own.EXAMPLE.\", \".own.example\", \"localhost\", "
                 "\"b\u00FCcher.example\"]")
                ->own_domains,
            (Domains{"mx.test.example", "localhost", "own.example", ".own.example",
                     "xn--bcher-kva.example"}));
  Bad("", "", "", "own_domains: \"a..b\" is not a domain", "own_domains = [\"a..b\"]");
  Bad("", "", "", "own_domains: \"192.0.2.1\" is not a domain", "own_domains = [\"192.0.2.1\"]");
  Bad("", "", "", "own_domains must be a list of strings", "own_domains = \"own.example\"");
}

TEST_F(PoliciesTest, Overlaps) {
  const auto two = [](std::string_view first, std::string_view second) {
    return absl::StrCat("[[partner]]\nname = \"a\"\ntls = \"encrypt\"\n", V(first),
                        "\n[[partner]]\nname = \"b\"\ntls = \"encrypt\"\n", V(second));
  };
  Bad("", "",
      two("sender_domains = [\"x.example\"]", "sender_domains = [\"y.example\", \"X.example.\"]"),
      "r.toml:20:32: sender_domains: \"X.example.\" is already given at ");
  Bad("", "", two("sender_domains = [\"x.example\"]", "sender_domains = [\"x.example\"]"),
      "r.toml:16:19: sender_domains; a domain belongs to one partner");
  Bad("", "",
      Partner("tls = \"encrypt\"\n[[partner]]\nname = \"b\"\ntls = \"encrypt\"\n"
              "sender_domains = [\".b.example\", \".B.example\"]"),
      "is already given at ");
  Bad("", "", two("networks = [\"192.0.2.0/24\"]", "networks = [\"192.0.2.0/24\"]"),
      "r.toml:20:13: networks: \"192.0.2.0/24\" is already given at ");
  Bad("", "", two("networks = [\"192.0.2.1\"]", "networks = [\"::ffff:192.0.2.1\"]"),
      "already given");
  Bad("", "", Partner("tls = \"encrypt\"\nnetworks = [\"192.0.2.0/24\", \"192.0.2.0/24\"]"),
      "already given");

  // The most specific one holds; a domain's networks are its own.
  Good("", "", two("sender_domains = [\"x.example\"]", "sender_domains = [\".x.example\"]"));
  Good("", "", two("sender_domains = [\".x.example\"]", "sender_domains = [\".y.x.example\"]"));
  Good("", "", two("networks = [\"192.0.2.0/24\"]", "networks = [\"192.0.2.0/25\"]"));
  Good("", "",
       two("networks = [\"192.0.2.0/24\"]",
           "networks = [\"192.0.2.0/24\"]\nsender_domains = [\"y.example\"]"));
}

TEST_F(PoliciesTest, Replies) {
  const auto with = [](const std::string& reply) {
    return absl::StrCat("certificate_reply = '", reply, "'");
  };
  const struct {
    std::string reply;
    const char* words;
  } cases[] = {
      {"", "does not begin with a code"},
      {"550", "does not begin with a code"},
      {"550 ", "does not begin with a code"},
      {"5500 no", "does not begin with a code"},
      {"550-no", "does not begin with a code"},
      {"350 no", "does not begin with a code"},
      {"560 no", "does not begin with a code"},
      {"55x no", "does not begin with a code"},
      {" 550 no", "does not begin with a code"},
      {"421 4.7.0 bye", "says that the connection is closed"},
      {"550 4.7.0 no", "4.7.0 is not of the class of 550"},
      {"450 5.7.0 no", "5.7.0 is not of the class of 450"},
      {"550 5.7.0", "has no text"},
      {"550 5.7.0  ", "has no text"},
      {"550  ", "has no text"},
      {"550 non", nullptr},
      {"550 5.7 is no code", nullptr},
      {"450 4.7.123 later", nullptr},
      {"550 \xC3\xA9t\xC3\xA9", "is printable ASCII"},
      {"550 a\tb", "is printable ASCII"},
      {absl::StrCat("550 ", std::string(396, 'x')), nullptr},
      {absl::StrCat("550 ", std::string(397, 'x')), "has 401 octets; at most 400 fit"},
  };
  for (const auto& row : cases) {
    SCOPED_TRACE(row.reply);
    if (row.words == nullptr) {
      EXPECT_EQ(Good("", with(row.reply), "")->routes.at(0).policy.replies.certificate, row.reply);
    } else {
      Bad("", with(row.reply), "", row.words);
    }
  }
  // A second line would be a reply of the client's next command.
  Bad("", "certificate_reply = \"550 no\\r\\n250 ok\"", "", "is printable ASCII");
  Bad("", "certificate_reply = \"550 no\\u0000\"", "", "is printable ASCII");
}

TEST_F(PoliciesTest, WhoIsAskedForACertificate) {
  const auto asks = [&](std::string_view tls, std::string_view route, std::string_view tables) {
    return Good(tls, route, tables)->routes.at(0).ask_certificate;
  };
  const std::string pins = absl::StrCat("fingerprints = [\"", kPin, "\"]\n");
  EXPECT_FALSE(asks("", "tls = \"encrypt\"", ""));
  EXPECT_FALSE(asks("", "tls = \"encrypt\"\nmode = \"report\"", ""));
  EXPECT_TRUE(asks("client_ca = \"ca.pem\"", "", ""));
  EXPECT_FALSE(asks("client_ca = \"ca.pem\"", "client_ca = \"\"", ""));
  EXPECT_TRUE(asks("", "client_ca = \"ca.pem\"", ""));
  EXPECT_TRUE(asks("", pins, ""));
  EXPECT_FALSE(asks("", "", Partner("tls = \"encrypt\"")));
  EXPECT_FALSE(asks("", "", Partner("tls = \"encrypt\"\nclient_ca = \"ca.pem\"")));
  EXPECT_TRUE(asks("", "",
                   Partner("tls = \"encrypt\"\nclient_ca = \"ca.pem\"\n"
                           "certificate_names = [\"a.example\"]")));
  EXPECT_TRUE(asks("", "", Partner(absl::StrCat("tls = \"encrypt\"\n", pins))));
  EXPECT_TRUE(asks("", "",
                   Partner("tls = \"encrypt\"\nclient_ca = \"ca.pem\"\n"
                           "restrict_to_certificate = true")));
  const std::string verify = Partner("tls = \"verify\"\nclient_ca = \"ca.pem\"");
  EXPECT_TRUE(asks("", "", verify));
  EXPECT_TRUE(asks("", "", Partner("tls = \"verify\"\nmode = \"report\"\nclient_ca = \"ca.pem\"")));
  EXPECT_FALSE(asks("", "partners = false", verify));
  EXPECT_TRUE(Warns(*Good("", "partners = false", verify), "[[partner]] has no effect"));
}

TEST_F(PoliciesTest, PartnersOfARouteInClear) {
  const auto config = Resolve(
      absl::StrCat("[[upstream]]\nname = \"p\"\naddresses = [\"127.0.0.1:10025\"]\n[[ingress]]\n"
                   "name = \"mx\"\nlisten = [\"0.0.0.0:25\"]\nupstream = \"p\"\n",
                   Partner("tls = \"verify\"\nclient_ca = \"ca.pem\"")));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_FALSE((*config)->routes.at(0).ask_certificate);
  EXPECT_TRUE(Warns(**config, "partners, who must use TLS, cannot send there"));
}

TEST_F(PoliciesTest, PolicyService) {
  const auto endpoint = [&](std::string_view text) {
    return absl::StrCat("policy_service = \"", V(text), "\"");
  };
  for (const char* text : {"127.0.0.1:10040", "127.1.2.3:1", "[::1]:10040"}) {
    const auto config = Good("", "", "", endpoint(text));
    ASSERT_TRUE(config->policy_service.has_value());
    EXPECT_EQ(config->policy_service->text, text);
  }
  EXPECT_EQ(Good("", "", "", endpoint("unix:policy"))->policy_service->text,
            absl::StrCat("unix:", folder_.Path("policy")));
  EXPECT_FALSE(Good("", "", "", endpoint(""))->policy_service.has_value());
  for (const char* text : {"0.0.0.0:10040", "192.0.2.1:10040", "[::]:10040", "[2001:db8::1]:1"}) {
    Bad("", "", "", "can be reached from outside", endpoint(text));
  }
  Bad("", "", "", "begins with a host name", endpoint("localhost:10040"));
  Bad("", "", "", "is also an address of upstream \"postfix\"", endpoint("127.0.0.1:10025"));
  Bad("", "", "", "r.toml:1:18: policy_service: \"127.0.0.1:25\" is already listened on, by",
      endpoint("127.0.0.1:25"));

  const auto interval = [&](std::string_view text) {
    return absl::StrCat("policy_summary_interval = \"", V(text), "\"");
  };
  EXPECT_EQ(Good("", "", "", interval("0"))->policy_summary_interval, 0);
  EXPECT_EQ(Good("", "", "", interval("1s"))->policy_summary_interval, kNsPerSecond);
  EXPECT_EQ(Good("", "", "", interval("744h"))->policy_summary_interval, 744 * 3600 * kNsPerSecond);
  Bad("", "", "", "is less than 1s", interval("999ms"));
  Bad("", "", "", "is not between 0 and 744h", interval("745h"));
  Bad("", "", "", "is not a duration", interval("daily"));
}

TEST_F(PoliciesTest, PolicyServiceNeedsAnIdentity) {
  const auto config = Resolve(
      "policy_service = \"127.0.0.1:10040\"\n[[upstream]]\nname = \"p\"\nidentity = \"none\"\n"
      "addresses = [\"127.0.0.1:10025\"]\n[[ingress]]\nname = \"mx\"\nlisten = [\"0.0.0.0:25\"]\n"
      "upstream = \"p\"");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(Warns(**config, "policy service cannot find its sessions"));
}

TEST_F(PoliciesTest, Auth) {
  const auto usual = Good("", "", "");
  EXPECT_EQ(usual->routes[0].auth, AuthPolicy::kTls);
  EXPECT_TRUE(usual->warnings.empty());
  EXPECT_TRUE(Good("", "auth = \"tls\"\ntls = \"encrypt\"", "")->warnings.empty());
  Bad("", "auth = \"none\"", "", "\"none\" ");

  const std::string as_backend = "auth = \"as_backend\"\n";
  const auto in_clear = Good("", as_backend, "");
  EXPECT_EQ(in_clear->routes[0].auth, AuthPolicy::kAsBackend);
  EXPECT_TRUE(Warns(*in_clear, "route \"mx\": auth = \"as_backend\" passes AUTH on in clear"));
  EXPECT_TRUE(Warns(*Good("", absl::StrCat(as_backend, "tls = \"encrypt\""), ""),
                    "\"as_backend\" has no effect where tls is encrypt"));
  EXPECT_TRUE(Warns(*Good("", absl::StrCat(as_backend, "tls = \"encrypt\"\nmode = \"report\""), ""),
                    "passes AUTH on in clear"));
  // Nobody is in clear there.
  EXPECT_TRUE(Good("", absl::StrCat(as_backend, "implicit_tls = true"), "")->warnings.empty());

  const std::string bare =
      "[[upstream]]\nname = \"p\"\naddresses = [\"127.0.0.1:10025\"]\n[[ingress]]\n"
      "name = \"mx\"\nlisten = [\"0.0.0.0:25\"]\nupstream = \"p\"\n";
  constexpr std::string_view kNoAuth = "nor is AUTH, which waits for TLS (auth = \"tls\")";
  const auto without_certificate = Resolve(bare);
  ASSERT_TRUE(without_certificate.ok()) << without_certificate.status();
  EXPECT_TRUE(Warns(**without_certificate, kNoAuth));
  const auto both = Resolve(absl::StrCat(bare, as_backend));
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_FALSE(Warns(**both, kNoAuth));
  EXPECT_TRUE(Warns(**both, "passes AUTH on in clear"));
}

TEST_F(PoliciesTest, WhatCheckConfigPrintsIsTheSameConfiguration) {
  const auto first = Good(
      "client_ca = \"ca.pem\"\ncrl = \"ca.crl\"\nrevocation = \"hard\"",
      absl::StrCat("tls = \"verify\"\nmode = \"report\"\ncertificate_names = [\"*.a.example\"]\n"
                   "fingerprints = [\"",
                   kPin,
                   "\"]\naccept_common_name = true\naccept_server_auth_purpose = true\n"
                   "certificate_reply = '550 \"no\" \\ {reason}'\npartners = false\n"
                   "sessions_max = 7\nhandshake_timeout = \"1s\"\ncommand_timeout = \"400s\"\n"
                   "auth = \"as_backend\"\ndata_timeout = \"200s\"\n[[ingress]]\nname = "
                   "\"second\"\nupstream = \"postfix\"\n"
                   "listen = [\"0.0.0.0:26\"]\nclient_ca = \"\""),
      absl::StrCat(Partner("tls = \"verify\"\nnetworks = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n"
                           "client_ca = \"other-ca.pem\"\nrevocation = \"off\"\n"
                           "certificate_names = [\"bücher.example\"]\nrestrict_to_networks = true\n"
                           "restrict_to_certificate = true\nmode = \"report\"\n"
                           "tls_reply = \"450 a\"\ncertificate_reply = \"451 b\"\n"
                           "network_reply = \"452 c\""),
                   "[[partner]]\nname = \"quo\\\"ted\"\nsender_domains = [\".b.example\"]\n"
                   "tls = \"encrypt\"\nclient_ca = \"\"\n"
                   "[[partner]]\nname = \"third\"\nnetworks = [\"198.51.100.7\"]\n"
                   "tls = \"encrypt\"\n"),
      "policy_service = \"unix:policy\"\npolicy_summary_interval = \"90m\"\n"
      "own_domains = [\"own.example\", \".own.example\"]");
  const std::string printed = DescribeConfig(*first);
  const auto settings = ParseConfigText(printed, "/elsewhere/other.toml");
  ASSERT_TRUE(settings.ok()) << settings.status() << "\n" << printed;
  const auto second = ResolveConfig(*settings, TestMachine());
  ASSERT_TRUE(second.ok()) << second.status() << "\n" << printed;
  EXPECT_EQ(DescribeConfig(**second), printed);

  // Not only the same text: what the text leaves out would not show there.
  const Config& again = **second;
  EXPECT_EQ(again.trusts, first->trusts);
  EXPECT_EQ(again.own_domains, first->own_domains);
  EXPECT_EQ(again.own_domains.size(), 4U);
  EXPECT_EQ(again.policy_service->text, first->policy_service->text);
  EXPECT_EQ(again.policy_summary_interval, 5400 * kNsPerSecond);
  EXPECT_EQ(again.warnings, first->warnings);
  const auto same_rule = [](const CertificateRule& a, const CertificateRule& b) {
    return a.trust == b.trust && a.names == b.names && a.fingerprints == b.fingerprints &&
           a.accept_common_name == b.accept_common_name &&
           a.accept_server_auth_purpose == b.accept_server_auth_purpose;
  };
  const auto same_replies = [](const PolicyReplies& a, const PolicyReplies& b) {
    return a.tls == b.tls && a.certificate == b.certificate && a.network == b.network;
  };
  ASSERT_EQ(again.routes.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const RouteConfig& a = first->routes[i];
    const RouteConfig& b = again.routes[i];
    EXPECT_EQ(a.policy.tls, b.policy.tls);
    EXPECT_EQ(a.auth, b.auth);
    EXPECT_EQ(a.policy.mode, b.policy.mode);
    EXPECT_TRUE(same_rule(a.policy.certificate, b.policy.certificate));
    EXPECT_TRUE(same_replies(a.policy.replies, b.policy.replies));
    EXPECT_EQ(a.partners, b.partners);
    EXPECT_EQ(a.ask_certificate, b.ask_certificate);
    EXPECT_EQ(a.sessions_max, b.sessions_max);
    EXPECT_EQ(a.handshake_timeout, b.handshake_timeout);
    EXPECT_EQ(a.command_timeout, b.command_timeout);
    EXPECT_EQ(a.data_timeout, b.data_timeout);
  }
  ASSERT_EQ(again.partners.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    const ringpost::Partner& a = first->partners[i];
    const ringpost::Partner& b = again.partners[i];
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.sender_domains, b.sender_domains);
    EXPECT_EQ(a.networks, b.networks);
    EXPECT_EQ(a.tls, b.tls);
    EXPECT_TRUE(same_rule(a.certificate, b.certificate));
    EXPECT_EQ(a.restrict_to_networks, b.restrict_to_networks);
    EXPECT_EQ(a.restrict_to_certificate, b.restrict_to_certificate);
    EXPECT_EQ(a.mode, b.mode);
    EXPECT_TRUE(same_replies(a.replies, b.replies));
  }
}

TEST_F(PoliciesTest, TenThousandPartners) {
  constexpr int kPartners = 10'000;
  std::string tables;
  for (int i = 0; i < kPartners; ++i) {
    absl::StrAppend(&tables, "[[partner]]\nname = \"p", i, "\"\nsender_domains = [\"p", i,
                    ".example\", \".p", i, ".example\"]\nnetworks = [\"10.", i / 250, ".", i % 250,
                    ".0/24\"]\ntls = \"verify\"\nclient_ca = \"ca.pem\"\n"
                    "certificate_names = [\"mail.p",
                    i, ".example\"]\n\n");
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto settings = ParseConfigText(
      absl::StrCat("[tls]\ncertificates = [{ cert = \"cert.pem\", key = \"key.pem\" }]\n"
                   "[[upstream]]\nname = \"p\"\naddresses = [\"127.0.0.1:10025\"]\n[[ingress]]\n"
                   "name = \"mx\"\nlisten = [\"0.0.0.0:25\"]\nupstream = \"p\"\n",
                   tables),
      folder_.Path("r.toml"));
  const auto parsed = std::chrono::steady_clock::now();
  ASSERT_TRUE(settings.ok()) << settings.status();
  const auto config = ResolveConfig(*settings, TestMachine());
  const auto resolved = std::chrono::steady_clock::now();
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ((*config)->partners.size(), static_cast<std::size_t>(kPartners));
  EXPECT_EQ((*config)->trusts.size(), 1U);
  // For whoever reads the log; no time is asserted.
  std::printf("%d partners, %zu octets: parsed in %.1f ms, resolved in %.1f ms\n", kPartners,
              tables.size(), std::chrono::duration<double, std::milli>(parsed - begin).count(),
              std::chrono::duration<double, std::milli>(resolved - parsed).count());
}

}  // namespace
}  // namespace ringpost
