// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/config/resolve.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "fixture.h"

namespace ringpost {
namespace {

class ResolveTest : public testing::Test {
 protected:
  Settings Minimal() const {
    Settings settings;
    settings.upstreams.push_back({{"postfix", "W"}, {{"127.0.0.1:10025", "W"}}, {}});
    settings.ingress.push_back({{"mx", "W"}, {{"0.0.0.0:25", "L1"}}, {}, {"postfix", "W"}, {}, {}});
    settings.certificates.push_back(
        {{folder_.Path("cert.pem"), "C"}, {folder_.Path("key.pem"), "K"}});
    return settings;
  }

  static std::shared_ptr<const Config> Good(const Settings& settings,
                                            const Machine& machine = TestMachine()) {
    auto config = ResolveConfig(settings, machine);
    EXPECT_TRUE(config.ok()) << config.status();
    return config.ok() ? *config : std::make_shared<const Config>();
  }

  static void Bad(const Settings& settings, std::string_view words,
                  const Machine& machine = TestMachine()) {
    ExpectSaying(ResolveConfig(settings, machine).status(), words);
  }

  static bool Warns(const Config& config, std::string_view words) {
    return std::any_of(config.warnings.begin(), config.warnings.end(), [&](const auto& warning) {
      return warning.find(words) != std::string::npos;
    });
  }

  static Settings Tuned(Settings settings, const char* name, const char* value) {
    settings.tuning.insert_or_assign(name, Given{value, "T"});
    return settings;
  }

  Folder folder_;
};

TEST_F(ResolveTest, Defaults) {
  const auto config = Good(Minimal());
  EXPECT_EQ(config->hostname, "mx.test.example");
  EXPECT_EQ(config->shards, 4);
  EXPECT_EQ(config->cpus, (std::vector<int>{2, 5, 7, 11}));
  EXPECT_EQ(config->sessions_max, 10000U);
  EXPECT_EQ(config->sessions_per_client_max, 2500U);
  EXPECT_EQ(config->handshakes_per_client_rate, 0U);
  EXPECT_EQ(config->buffers_large, 312U);  // 2500 sessions a shard
  EXPECT_EQ(config->buffers_small, 5000U);
  EXPECT_EQ(config->command_timeout, 300 * kNsPerSecond);
  EXPECT_EQ(config->upstreams[0].identity, BackendIdentity::kProxyV2);
  EXPECT_EQ(config->routes[0].policy.tls, TlsPolicy::kMay);
  EXPECT_EQ(config->routes[0].upstream, 0U);
  ASSERT_EQ(config->routes[0].certificates.size(), 1U);
  EXPECT_EQ(config->routes[0].certificates[0].key, folder_.Path("key.pem"));
  EXPECT_TRUE(config->warnings.empty()) << config->warnings[0];
}

TEST_F(ResolveTest, EveryTuningIsTaken) {
  Settings settings = Minimal();
  folder_.Write("tickets", "x");
  const std::string tickets = folder_.Path("tickets");
  const std::pair<const char*, const char*> values[] = {
      {"hostname", "other.example"},
      {"shards", "2"},
      {"sessions_max", "77"},
      {"sessions_per_client_max", "5"},
      {"handshakes_per_client_rate", "30"},
      {"handshake_timeout", "1s"},
      {"command_timeout", "400s"},
      {"data_timeout", "3m"},
      {"drain_timeout", "0s"},
      {"connect_timeout", "1500ms"},
      {"policy_service", "127.0.0.1:10040"},
      {"policy_summary_interval", "2h"},
      {"bare_newline", "reject"},
      {"starttls_backend", "keep"},
      {"buffers_large", "80"},
      {"buffers_small", "90"},
      {"log_file", "/var/log/ringpost.log"},
      {"log_format", "json"},
      {"log_level", "debug"},
      {"ticket_key_file", tickets.c_str()},
      {"user", "mail"},
      {"group", "postdrop"},
      {"sandbox", "off"},
  };
  for (const auto& [name, value] : values) settings = Tuned(settings, name, value);
  EXPECT_EQ(settings.tuning.size(), AllTuning().size()) << "a setting is missing here";
  const auto config = Good(settings);
  EXPECT_EQ(config->hostname, "other.example");
  EXPECT_EQ(config->shards, 2);
  EXPECT_EQ(config->cpus, (std::vector<int>{2, 5}));
  EXPECT_EQ(config->sessions_max, 77U);
  EXPECT_EQ(config->sessions_per_client_max, 5U);
  EXPECT_EQ(config->handshakes_per_client_rate, 30U);
  EXPECT_EQ(config->handshake_timeout, kNsPerSecond);
  EXPECT_EQ(config->command_timeout, 400 * kNsPerSecond);
  EXPECT_EQ(config->data_timeout, 180 * kNsPerSecond);
  EXPECT_EQ(config->drain_timeout, 0);
  EXPECT_EQ(config->connect_timeout, 1500 * kNsPerMs);
  EXPECT_EQ(config->bare_newline, BareNewline::kReject);
  EXPECT_EQ(config->starttls_backend, StarttlsBackend::kKeep);
  EXPECT_EQ(config->buffers_large, 80U);
  EXPECT_EQ(config->buffers_small, 90U);
  EXPECT_EQ(config->log_file, "/var/log/ringpost.log");
  EXPECT_EQ(config->log_format, LogFormat::kJson);
  EXPECT_EQ(config->log_level, LogLevel::kDebug);
  EXPECT_EQ(config->ticket_key_file, tickets);
  EXPECT_EQ(config->user, "mail");
  EXPECT_EQ(config->group, "postdrop");
  EXPECT_FALSE(config->sandbox);
  EXPECT_EQ(config->policy_service->text, "127.0.0.1:10040");
  EXPECT_EQ(config->policy_summary_interval, 7200 * kNsPerSecond);
}

TEST_F(ResolveTest, MemoryIsPlanned) {
  Settings settings = Tuned(Tuned(Minimal(), "sessions_max", "1000"), "shards", "2");
  settings = Tuned(Tuned(settings, "buffers_large", "256"), "buffers_small", "1024");
  const MemoryPlan plan = PlanMemory(*Good(settings));
  EXPECT_EQ(plan.fixed, 41U << 19);
  EXPECT_EQ(plan.idle(), plan.fixed + 1000 * 2750);
  EXPECT_EQ(plan.most(), plan.idle() + 1000 * (3250 + 17'400) + 2 * ((4U << 20) + (2U << 20)));
  EXPECT_EQ(
      MemorySentence(plan),
      "memory: 20.5 MiB and 2750 octets for each idle TLS session (3250 more with TLS 1.2): 23 "
      "MiB with all 1000; at most 55 MiB with all buffers in use and 17400 octets more for "
      "each session stopped within a TLS record");
  const MemoryPlan asked = PlanMemory(*Good(Tuned(settings, "policy_service", "127.0.0.1:10040")));
  EXPECT_EQ(asked.session_idle, plan.session_idle + 500);
  EXPECT_NE(DescribeConfig(*Good(settings)).find("# memory: 20.5 MiB and 2750"), std::string::npos);
  Config certificates = *Good(settings);
  certificates.routes.front().ask_certificate = true;
  const MemoryPlan shown = PlanMemory(certificates);
  EXPECT_EQ(shown.idle(), plan.idle());
  EXPECT_EQ(shown.most(), plan.most() + 1000 * (8192 + 65536 - 17'400));
  EXPECT_NE(MemorySentence(shown).find(
                "(3250 more with TLS 1.2, up to 8192 with a client's certificate)"),
            std::string::npos);
}

// A quarter, but never so few that one honest server would meet it; 0 is asked for by name.
TEST_F(ResolveTest, SessionsOfOneClient) {
  EXPECT_EQ(Good(Tuned(Minimal(), "sessions_max", "1000"))->sessions_per_client_max, 250U);
  EXPECT_EQ(Good(Tuned(Minimal(), "sessions_max", "10"))->sessions_per_client_max, 20U);
  EXPECT_EQ(Good(Tuned(Minimal(), "sessions_per_client_max", "0"))->sessions_per_client_max, 0U);
}

TEST_F(ResolveTest, RefusedTuning) {
  const struct {
    const char* name;
    const char* value;
    const char* words;
  } cases[] = {
      {"shards", "x", "T: \"x\" is not a count from 1 to 256, or 0"},
      {"shards", "257", "1 to 256"},
      {"shards", "-1", "1 to 256"},
      {"shards", "", "1 to 256"},
      {"shards", "99999999999", "1 to 256"},
      {"buffers_large", "63", "64 to 65535"},
      {"buffers_large", "65536", "64 to 65535"},
      {"buffers_small", "63", "64 to 1048576"},
      {"sessions_max", "10001", "sessions need 20066 descriptors"},
      {"sessions_per_client_max", "many", "is not a count from 1 to 4000000, or 0 for no limit"},
      {"sessions_per_client_max", "4000001", "1 to 4000000"},
      {"handshakes_per_client_rate", "100001", "1 to 100000, or 0 for no limit"},
      {"command_timeout", "300", "such as 300s"},
      {"command_timeout", "", "such as 300s"},
      {"command_timeout", "0s", "is not between 10ms and 24h"},
      {"command_timeout", "-5s", "is not between"},
      {"command_timeout", "25h", "is not between"},
      {"command_timeout", "inf", "is not between"},
      {"drain_timeout", "-1ns", "is not between 0 and 24h"},
      {"bare_newline", "normalise", "did you mean \"normalize\"?"},
      {"bare_newline", "pass", "is not one of normalize or reject"},
      {"starttls_backend", "new", "is not one of reconnect or keep"},
      {"log_format", "xml", "is not one of text or json"},
      {"log_level", "inf", "did you mean \"info\"?"},
      {"hostname", "", "1 to 255"},
      {"hostname", "mx example", "is not a host name"},
      {"hostname", "mx\r\n250 ok", "is not a host name"},
      {"ticket_key_file", "/nonexistent/tickets", "No such file"},
  };
  for (const auto& bad : cases) {
    if (std::string_view(bad.value).find('\n') != std::string_view::npos) {
      EXPECT_FALSE(ResolveConfig(Tuned(Minimal(), bad.name, bad.value), TestMachine()).ok());
      continue;
    }
    SCOPED_TRACE(std::string(bad.name) + "=" + bad.value);
    Bad(Tuned(Minimal(), bad.name, bad.value), bad.words);
  }
}

TEST_F(ResolveTest, AutomaticIsZero) {
  Settings settings = Minimal();
  for (const char* name : {"shards", "sessions_max", "buffers_large", "buffers_small"}) {
    settings = Tuned(settings, name, "0");
  }
  const auto config = Good(settings);
  EXPECT_EQ(config->shards, 4);
  EXPECT_EQ(config->sessions_max, 10000U);
  EXPECT_EQ(config->buffers_large, 312U);
}

TEST_F(ResolveTest, Shards) {
  const auto config = Good(Tuned(Minimal(), "shards", "5"));
  EXPECT_EQ(config->shards, 5);
  EXPECT_TRUE(config->cpus.empty()) << "not pinned";
  EXPECT_TRUE(Warns(*config, "only 4 CPUs"));
}

TEST_F(ResolveTest, SessionsFollowTheLimitOfDescriptors) {
  Machine machine = TestMachine();
  machine.descriptors_max = 1024;
  const auto few = Good(Minimal(), machine);
  EXPECT_EQ(few->sessions_max, 480U);
  EXPECT_TRUE(Warns(*few, "allows only 480 sessions"));
  EXPECT_EQ(few->buffers_large, 256U);
  EXPECT_EQ(few->buffers_small, 1024U);

  machine.descriptors_max = 1'073'741'816;  // what systemd calls unlimited
  EXPECT_EQ(Good(Minimal(), machine)->sessions_max, 100'000U);
  EXPECT_EQ(Good(Tuned(Minimal(), "sessions_max", "4000000"), machine)->sessions_max, 4'000'000U);
  machine.descriptors_max = ~std::uint64_t{0};
  EXPECT_EQ(Good(Minimal(), machine)->sessions_max, 100'000U);

  for (const std::uint64_t none : {0, 63, 64, 65}) {
    machine.descriptors_max = none;
    Bad(Minimal(), "leaves no room for sessions", machine);
  }
}

TEST_F(ResolveTest, ManyShardsReserveMoreDescriptors) {
  Machine machine = TestMachine();
  machine.cpus.resize(64);
  // 16 + 64 shards * (1 listener + 4).
  EXPECT_EQ(Good(Minimal(), machine)->sessions_max, (20064U - 336U) / 2);
}

TEST_F(ResolveTest, MachineWithoutAUsableName) {
  Machine machine = TestMachine();
  machine.hostname = "(none)";
  Bad(Minimal(), "set --hostname", machine);
  EXPECT_EQ(Good(Tuned(Minimal(), "hostname", "mx.example"), machine)->hostname, "mx.example");
}

TEST_F(ResolveTest, NothingToDo) { Bad({}, "give --listen and --upstream"); }

TEST_F(ResolveTest, Upstreams) {
  Settings settings = Minimal();
  settings.upstreams[0].addresses.clear();
  Bad(settings, "has no addresses");

  settings = Minimal();
  settings.upstreams[0].addresses[0].text = "mail.example";
  Bad(settings, "has no port");
  settings.upstreams[0].addresses[0].text = "mail.example:25";
  settings.resolver = {{"127.0.0.1", "--resolver"}, {"[::1]:54", "--resolver"}};
  const auto named = Good(settings);
  ASSERT_EQ(named->upstreams[0].targets.size(), 1U);
  EXPECT_EQ(named->upstreams[0].targets[0].host, "mail.example");
  ASSERT_EQ(named->upstreams[0].addresses.size(), 1U);
  EXPECT_FALSE(named->upstreams[0].addresses[0].known());
  const std::string described = DescribeConfig(*named);
  EXPECT_NE(described.find("addresses = [\"mail.example:25\"]"), std::string::npos) << described;
  EXPECT_NE(described.find("resolver = [\"127.0.0.1:53\", \"[::1]:54\"]"), std::string::npos)
      << described;
  settings.resolver = {{"ns.example", "--resolver"}};
  Bad(settings, "\"ns.example\" is no address of a name server");

  settings = Minimal();
  settings.upstreams.push_back(settings.upstreams[0]);
  Bad(settings, "names two upstreams");
  settings.upstreams[1].name.text = "spare";
  EXPECT_TRUE(Warns(*Good(settings), "\"spare\" is used by no route"));

  settings.ingress[0].upstream.text = "spar";
  Bad(settings, "did you mean \"spare\"?");
  settings.ingress[0].upstream.text = "spare";
  EXPECT_EQ(Good(settings)->routes[0].upstream, 1U);

  settings = Minimal();
  settings.upstreams[0].identity = Given{"proxy", "W"};
  Bad(settings, "is not one of proxy-v2, proxy-v1, xclient or none");
  settings.upstreams[0].identity = Given{"none", "W"};
  EXPECT_TRUE(Warns(*Good(settings), "open relay"));
  settings.upstreams[0].identity = Given{"xclient", "W"};
  EXPECT_EQ(Good(settings)->upstreams[0].identity, BackendIdentity::kXclient);
}

TEST_F(ResolveTest, ProxyTlvs) {
  EXPECT_EQ(Good(Minimal())->upstreams[0].proxy_tlvs, ProxyTlvs::kAll);
  Settings settings = Minimal();
  for (const auto& [word, tlvs] :
       {std::pair{"all", ProxyTlvs::kAll}, {"ssl", ProxyTlvs::kSsl}, {"none", ProxyTlvs::kNone}}) {
    settings.upstreams[0].proxy_tlvs = Given{word, "W"};
    EXPECT_EQ(Good(settings)->upstreams[0].proxy_tlvs, tlvs);
  }
  settings.upstreams[0].proxy_tlvs = Given{"tls", "W"};
  Bad(settings, "W: \"tls\" is not one of all, ssl or none");

  settings.upstreams[0].proxy_tlvs = Given{"all", "W"};
  settings.upstreams[0].identity = Given{"proxy-v2", "I"};
  EXPECT_EQ(Good(settings)->upstreams[0].proxy_tlvs, ProxyTlvs::kAll);
  for (const char* identity : {"proxy-v1", "xclient", "none"}) {
    settings.upstreams[0].identity = Given{identity, "I"};
    Bad(settings, "W: TLVs are a part of PROXY version 2 only");
  }
}

TEST_F(ResolveTest, Listeners) {
  Settings settings = Minimal();
  settings.ingress[0].listen_tls.push_back({"0.0.0.0:465", "L2"});
  const auto config = Good(settings);
  ASSERT_EQ(config->routes[0].listeners.size(), 2U);
  EXPECT_FALSE(config->routes[0].listeners[0].implicit_tls);
  EXPECT_TRUE(config->routes[0].listeners[1].implicit_tls);

  settings.ingress[0].listen_tls[0].text = "0.0.0.0:25";
  Bad(settings, "L2: \"0.0.0.0:25\" is already listened on; the first time is L1");
  settings.ingress[0].listen_tls[0].text = "unix:/run/in";
  Bad(settings, "clients come over TCP");
  settings.ingress[0].listen_tls[0].text = "0.0.0.0";
  Bad(settings, "L2: \"0.0.0.0\" has no port");

  settings = Minimal();
  settings.ingress[0].listen.clear();
  Bad(settings, "listens nowhere");

  settings = Minimal();
  settings.ingress.push_back(settings.ingress[0]);
  Bad(settings, "names two ingress routes");
  settings.ingress[1].name.text = "other";
  Bad(settings, "is already listened on");
  settings.ingress[1].listen[0].text = "[::]:25";
  EXPECT_EQ(Good(settings)->routes.size(), 2U);

  settings = Minimal();
  settings.ingress[0].listen[0].text = "0.0.0.0:10025";
  Bad(settings, "would connect to itself");
}

TEST_F(ResolveTest, PolicyAndCertificates) {
  Settings settings = Minimal();
  settings.ingress[0].tls = Given{"encrypt", "P"};
  EXPECT_EQ(Good(settings)->routes[0].policy.tls, TlsPolicy::kEncrypt);
  settings.ingress[0].tls = Given{"none", "P"};
  Bad(settings, "P: \"none\" is not one of may, encrypt or verify");

  settings.ingress[0].tls = Given{"encrypt", "P"};
  settings.certificates.clear();
  Bad(settings, "P: \"encrypt\" as the TLS policy needs a certificate");
  settings.ingress[0].tls = Given{"may", "P"};
  EXPECT_TRUE(Warns(*Good(settings), "STARTTLS is not offered"));
  settings.ingress[0].listen_tls.push_back({"0.0.0.0:465", "L2"});
  Bad(settings, "L2: \"0.0.0.0:465\" is an implicit-TLS listener and needs a certificate");

  // A route's own certificates take the place of the common ones.
  folder_.Write("own.pem", "x");
  settings = Minimal();
  settings.ingress[0].certificates.push_back(
      {{folder_.Path("own.pem"), "C"}, {folder_.Path("key.pem"), "K"}});
  const auto config = Good(settings);
  ASSERT_EQ(config->routes[0].certificates.size(), 1U);
  EXPECT_EQ(config->routes[0].certificates[0].cert, folder_.Path("own.pem"));
}

TEST_F(ResolveTest, CertificateFiles) {
  Settings settings = Minimal();
  settings.certificates[0].cert.text = folder_.Path("absent.pem");
  Bad(settings, "cannot be read as a certificate: No such file or directory");
  settings.certificates[0].cert.text = folder_.Path("");
  Bad(settings, "is not a file");
  folder_.Write("empty.pem", "");
  settings.certificates[0].cert.text = folder_.Path("empty.pem");
  Bad(settings, "is empty");

  settings = Minimal();
  settings.certificates[0].key.text = folder_.Path("absent.pem");
  Bad(settings, "cannot be read as a private key");
}

TEST_F(ResolveTest, SecretsAreNotForOthers) {
  const std::string key = folder_.Path("key.pem");
  const std::string tickets = folder_.Path("tickets");
  folder_.Write("tickets", "of what length, another layer asks");
  ASSERT_EQ(chmod(folder_.Path("").c_str(), 0755), 0);
  const struct {
    mode_t mode;
    std::string says;
  } kTable[] = {
      {0644, " that every user of this machine can read; chmod o-rw "},
      {0666, " that every user of this machine can read and change; chmod g-w,o-rw "},
      {0602, " that every user of this machine can change; chmod o-rw "},
      {0660, " that its group can change; chmod g-w "},
  };
  for (const auto& row : kTable) {
    ASSERT_EQ(chmod(key.c_str(), row.mode), 0);
    Bad(Minimal(), "is a private key" + row.says + key);
    ASSERT_EQ(chmod(key.c_str(), 0600), 0);
    ASSERT_EQ(chmod(tickets.c_str(), row.mode), 0);
    Bad(Tuned(Minimal(), "ticket_key_file", tickets.c_str()),
        "is a file of ticket keys" + row.says + tickets);
  }
  // A group may read it; a certificate is for everyone.
  for (const mode_t mode : {0400U, 0600U, 0640U, 0440U, 0711U}) {
    ASSERT_EQ(chmod(key.c_str(), mode), 0);
    ASSERT_EQ(chmod(tickets.c_str(), mode), 0);
    Good(Tuned(Minimal(), "ticket_key_file", tickets.c_str()));
  }
  ASSERT_EQ(chmod(folder_.Path("cert.pem").c_str(), 0666), 0);
  Good(Minimal());
  // Whom the folder keeps out cannot read what is in it, as in certbot's.
  ASSERT_EQ(chmod(key.c_str(), 0666), 0);
  ASSERT_EQ(chmod(folder_.Path("").c_str(), 0700), 0);
  Good(Minimal());
  ASSERT_EQ(chmod(folder_.Path("").c_str(), 0710), 0);
  Bad(Minimal(), "its group can change; chmod g-w ");
  ASSERT_EQ(chmod(key.c_str(), 0644), 0);
  Good(Minimal());
  // A link is what it leads to.
  ASSERT_EQ(mkdir(folder_.Path("open").c_str(), 0755), 0);
  ASSERT_EQ(symlink("../key.pem", folder_.Path("open/link.pem").c_str()), 0);
  Settings settings = Minimal();
  settings.certificates[0].key.text = folder_.Path("open/link.pem");
  Good(settings);
  ASSERT_EQ(chmod(folder_.Path("").c_str(), 0755), 0);
  Bad(settings, "can read");
}

TEST_F(ResolveTest, ShortTimeoutsAreAllowedButNotSilent) {
  const auto command = Good(Tuned(Minimal(), "command_timeout", "299s"));
  EXPECT_TRUE(Warns(*command, "command_timeout is 4m59s; RFC 5321 4.5.3.2.7"));
  EXPECT_TRUE(Warns(*Good(Tuned(Minimal(), "data_timeout", "1s")), "RFC 5321 4.5.3.2.5"));
}

TEST(ThisMachine, IsKnown) {
  const Machine machine = ThisMachine();
  EXPECT_FALSE(machine.cpus.empty());
  EXPECT_GT(machine.descriptors_max, 2U);
}

}  // namespace
}  // namespace ringpost
