// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/config/reload.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ringpost/config/address.h"
#include "ringpost/config/file.h"
#include "ringpost/config/resolve.h"

namespace ringpost {
namespace {

using Sentences = std::vector<std::string>;

TEST(RestartOnlyChanges, NoneWhereNothingChanged) {
  const Config config;
  EXPECT_EQ(RestartOnlyChanges(config, config), Sentences{});
}

TEST(RestartOnlyChanges, EachSetting) {
  Config running;
  running.shards = 4;
  Config next = running;
  next.shards = 8;
  EXPECT_EQ(RestartOnlyChanges(running, next),
            Sentences{"shards is 4 now and 8 in the file; restart to change it"});
  next.sessions_max = 1;
  next.buffers_large = 2;
  next.buffers_small = 3;
  next.log_file = "/var/log/ringpost.log";
  next.log_format = LogFormat::kJson;
  next.log_level = LogLevel::kDebug;
  next.policy_service = *ParseEndpoint("127.0.0.1:10040");
  next.ticket_key_file = "/etc/tickets";
  next.user = "mail";
  next.group = "mail";
  next.sandbox = false;
  EXPECT_EQ(
      RestartOnlyChanges(running, next),
      (Sentences{
          "shards is 4 now and 8 in the file; restart to change it",
          "sessions_max is 0 now and 1 in the file; restart to change it",
          "buffers_large is 0 now and 2 in the file; restart to change it",
          "buffers_small is 0 now and 3 in the file; restart to change it",
          "log_file is not set now and /var/log/ringpost.log in the file; restart to change it",
          "log_format is text now and json in the file; restart to change it",
          "log_level is info now and debug in the file; restart to change it",
          "policy_service is not set now and 127.0.0.1:10040 in the file; restart to change it",
          "ticket_key_file is not set now and /etc/tickets in the file; restart to change it",
          "user is not set now and mail in the file; restart to change it",
          "group is not set now and mail in the file; restart to change it",
          "sandbox is on now and off in the file; restart to change it",
      }));
  EXPECT_EQ(RestartOnlyChanges(next, running).back(),
            "sandbox is off now and on in the file; restart to change it");
}

Sentences Changes(std::string_view before, std::string_view after) {
  const auto resolve = [](std::string_view text) {
    const absl::StatusOr<Settings> settings =
        ParseConfigText(std::string(text) +
                            "[[upstream]]\nname = \"mail\"\naddresses = [\"127.0.0.1:10025\"]\n"
                            "identity = \"none\"\n",
                        "/etc/ringpost.toml");
    EXPECT_TRUE(settings.ok()) << settings.status();
    absl::StatusOr<std::shared_ptr<const Config>> config =
        ResolveConfig(*settings, {.hostname = "mx.example", .cpus = {0}, .descriptors_max = 1000});
    EXPECT_TRUE(config.ok()) << config.status();
    return *std::move(config);
  };
  return ConfigChanges(*resolve(before), *resolve(after));
}

constexpr std::string_view kOneRoute =
    "[[ingress]]\nname = \"mx\"\nlisten = [\"127.0.0.1:2525\", \"127.0.0.1:2526\"]\n"
    "upstream = \"mail\"\n";
constexpr std::string_view kOneListener =
    "command_timeout = \"400s\"\n[[ingress]]\nname = \"mx\"\nlisten = [\"127.0.0.1:2525\"]\n"
    "upstream = \"mail\"\n[[partner]]\nname = \"contoso\"\nsender_domains = [\"contoso.example\"]\n"
    "tls = \"encrypt\"\n";

TEST(ConfigChangesTest, NothingWhereNothingChanged) {
  EXPECT_EQ(Changes(kOneRoute, kOneRoute), Sentences{});
}

TEST(ConfigChangesTest, EachSettingIsNamed) {
  EXPECT_EQ(Changes(kOneRoute, kOneListener),
            (Sentences{"command_timeout is \"6m40s\", was \"5m\"",
                       "ingress \"mx\": command_timeout is \"6m40s\", was \"5m\"",
                       "ingress \"mx\": listen is [\"127.0.0.1:2525\"], was [\"127.0.0.1:2525\", "
                       "\"127.0.0.1:2526\"]",
                       "partner \"contoso\" is new"}));
  EXPECT_EQ(Changes(kOneListener, kOneRoute).back(), "partner \"contoso\" is removed");
}

TEST(RestartOnlyChanges, WhatAReloadTakesOver) {
  const Config running;
  Config next;
  next.hostname = "other.example";
  next.command_timeout = kNsPerSecond;
  next.policy_summary_interval = 0;
  next.sessions_per_client_max = 7;
  next.handshakes_per_client_rate = 7;
  next.partners.emplace_back();
  next.trusts.emplace_back();
  next.routes.emplace_back();
  next.upstreams.emplace_back();
  EXPECT_EQ(RestartOnlyChanges(running, next), Sentences{});
}

TEST(KeepRestartOnly, IsWhatAReloadCanDo) {
  Config running;
  running.shards = 4;
  running.cpus = {1, 2, 3, 4};
  running.sessions_max = 10;
  running.ticket_key_file = "/etc/tickets";
  Config next;
  next.shards = 8;
  next.sessions_max = 1;
  next.buffers_large = 2;
  next.buffers_small = 3;
  next.log_format = LogFormat::kJson;
  next.log_level = LogLevel::kDebug;
  next.policy_service = *ParseEndpoint("127.0.0.1:10040");
  next.hostname = "other.example";
  next.partners.emplace_back();
  const auto kept = KeepRestartOnly(running, next);
  EXPECT_EQ(RestartOnlyChanges(running, *kept), Sentences{});
  EXPECT_EQ(kept->cpus, running.cpus);
  EXPECT_EQ(kept->hostname, "other.example");
  EXPECT_EQ(kept->partners.size(), 1U);
}

}  // namespace
}  // namespace ringpost
