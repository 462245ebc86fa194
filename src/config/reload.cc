// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/config/reload.h"

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "readers.h"
#include "words.h"

namespace ringpost {
namespace {

std::string EndpointTexts(const std::vector<Endpoint>& endpoints) {
  return absl::StrJoin(endpoints, ",", [](std::string* out, const Endpoint& endpoint) {
    out->append(endpoint.text);
  });
}

std::string EndpointText(const std::optional<Endpoint>& endpoint) {
  return endpoint.has_value() ? endpoint->text : std::string();
}

}  // namespace

std::vector<std::string> RestartOnlyChanges(const Config& running, const Config& next) {
  std::vector<std::string> changes;
  const auto compare = [&changes](std::string_view name, std::string_view now,
                                  std::string_view then) {
    if (now == then) return;
    constexpr std::string_view kUnset = "not set";
    changes.push_back(absl::StrCat(View(name), " is ", View(now.empty() ? kUnset : now),
                                   " now and ", View(then.empty() ? kUnset : then),
                                   " in the file; restart to change it"));
  };
  const auto compare_count = [&compare](std::string_view name, std::int64_t now,
                                        std::int64_t then) {
    compare(name, std::to_string(now), std::to_string(then));
  };
  compare_count("shards", running.shards, next.shards);
  compare_count("sessions_max", running.sessions_max, next.sessions_max);
  compare_count("buffers_large", running.buffers_large, next.buffers_large);
  compare_count("buffers_small", running.buffers_small, next.buffers_small);
  compare("log_file", running.log_file, next.log_file);
  compare("log_format", LogFormatWord(running.log_format), LogFormatWord(next.log_format));
  compare("log_level", LogLevelWord(running.log_level), LogLevelWord(next.log_level));
  compare("policy_service", EndpointText(running.policy_service),
          EndpointText(next.policy_service));
  compare("resolver", EndpointTexts(running.resolver), EndpointTexts(next.resolver));
  compare("ticket_key_file", running.ticket_key_file, next.ticket_key_file);
  compare("user", running.user, next.user);
  compare("group", running.group, next.group);
  compare("sandbox", OnOff(running.sandbox), OnOff(next.sandbox));
  return changes;
}

std::shared_ptr<const Config> KeepRestartOnly(const Config& running, const Config& next) {
  auto kept = std::make_shared<Config>(next);
  kept->shards = running.shards;
  kept->cpus = running.cpus;
  kept->sessions_max = running.sessions_max;
  kept->buffers_large = running.buffers_large;
  kept->buffers_small = running.buffers_small;
  kept->log_file = running.log_file;
  kept->log_format = running.log_format;
  kept->log_level = running.log_level;
  kept->policy_service = running.policy_service;
  kept->resolver = running.resolver;
  kept->ticket_key_file = running.ticket_key_file;
  kept->user = running.user;
  kept->group = running.group;
  kept->sandbox = running.sandbox;
  return kept;
}

}  // namespace ringpost
