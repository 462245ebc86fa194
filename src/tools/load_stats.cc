// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/load_stats.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_format.h>

#include <numeric>

#include "ringpost/tools/json_text.h"

namespace ringpost {
namespace {

constexpr std::array<std::string_view, kLoadFailureCount> kFailureNames = {
    "no_port",   "connect", "reset", "closed",  "timeout",  "greeting",    "ehlo",      "starttls",
    "injection", "tls",     "mail",  "message", "protocol", "not_started", "unfinished"};

struct Percentile {
  std::string_view name;
  double percent;
};
constexpr std::array<Percentile, 4> kPercentiles = {
    {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}}};

double Milliseconds(std::int64_t value) {
  return static_cast<double>(value) / static_cast<double>(kNsPerMs);
}

void AppendLatencyText(std::string& out, std::string_view name, const Histogram& histogram) {
  if (histogram.count() == 0) {
    return;
  }
  absl::StrAppendFormat(&out, "  %-14s %9d", name, histogram.count());
  for (const Percentile& percentile : kPercentiles) {
    absl::StrAppendFormat(&out, " %9.3f", Milliseconds(histogram.Percentile(percentile.percent)));
  }
  absl::StrAppendFormat(&out, " %9.3f\n", Milliseconds(histogram.max()));
}

void AppendLatencyJson(std::string& out, std::string_view name, const Histogram& histogram) {
  constexpr double kNsPerUs = 1000;
  if (out.back() != '{') {
    out += ',';
  }
  AppendJson(out, name);
  out += ":{";
  AppendJsonCount(out, "count", histogram.count());
  AppendJsonReal(out, "min", static_cast<double>(histogram.min()) / kNsPerUs);
  AppendJsonReal(out, "mean", histogram.mean() / kNsPerUs);
  for (const Percentile& percentile : kPercentiles) {
    AppendJsonReal(out, percentile.name,
                   static_cast<double>(histogram.Percentile(percentile.percent)) / kNsPerUs);
  }
  AppendJsonReal(out, "max", static_cast<double>(histogram.max()) / kNsPerUs);
  out += '}';
}

}  // namespace

std::string_view LoadFailureName(LoadFailure failure) {
  return kFailureNames[static_cast<std::size_t>(failure)];
}

void LoadStats::AddFailure(LoadFailure failure, std::string_view detail) {
  const auto index = static_cast<std::size_t>(failure);
  if (failures[index]++ == 0) {
    constexpr std::size_t kDetailMax = 200;
    first_failures[index] = detail.substr(0, kDetailMax);
  }
}

std::uint64_t LoadStats::failure_count() const {
  return std::accumulate(failures.begin(), failures.end(), std::uint64_t{0});
}

void LoadStats::StartRecording(TimeNs now) {
  recording = true;
  begin = now;
  end = 0;
  greeting.Clear();
  handshake.Clear();
  ready.Clear();
  message.Clear();
  connections = handshakes = resumed = messages = octets = 0;
}

void LoadStats::StopRecording(TimeNs now) {
  if (recording) {
    recording = false;
    end = now;
  }
}

double LoadStats::seconds() const {
  const double elapsed = static_cast<double>(end - begin) / static_cast<double>(kNsPerSecond);
  return elapsed > 0 ? elapsed : 1e-9;
}

std::string LoadReportText(const LoadStats& stats, std::string_view title) {
  constexpr double kMegabyte = 1e6;
  std::string out(title);
  out += '\n';
  if (!stats.tls_version.empty()) {
    absl::StrAppendFormat(&out, "  TLS            %s %s %s, %d of %d handshakes resumed\n",
                          stats.tls_version, stats.tls_suite, stats.tls_group, stats.resumed,
                          stats.handshakes);
  }
  const double seconds = stats.seconds();
  const auto rate = [&](std::uint64_t count) { return static_cast<double>(count) / seconds; };
  absl::StrAppendFormat(&out, "  measured       %.3f s\n", seconds);
  absl::StrAppendFormat(&out, "  connections    %9d %12.1f /s\n", stats.connections,
                        rate(stats.connections));
  absl::StrAppendFormat(&out, "  handshakes     %9d %12.1f /s\n", stats.handshakes,
                        rate(stats.handshakes));
  absl::StrAppendFormat(&out, "  messages       %9d %12.1f /s %9.2f MB/s\n", stats.messages,
                        rate(stats.messages), rate(stats.octets) / kMegabyte);
  out += "  latency, ms        count       p50       p90       p99     p99.9       max\n";
  AppendLatencyText(out, "greeting", stats.greeting);
  AppendLatencyText(out, "handshake", stats.handshake);
  AppendLatencyText(out, "session ready", stats.ready);
  AppendLatencyText(out, "message", stats.message);
  absl::StrAppendFormat(&out, "  failures       %9d\n", stats.failure_count());
  for (std::size_t i = 0; i < kLoadFailureCount; ++i) {
    if (stats.failures[i] > 0) {
      absl::StrAppendFormat(&out, "    %-12s %9d  first: %s\n", kFailureNames[i], stats.failures[i],
                            absl::CHexEscape(stats.first_failures[i]));
    }
  }
  return out;
}

std::string LoadReportJson(const LoadStats& stats, std::string_view settings) {
  constexpr double kMegabyte = 1e6;
  const double seconds = stats.seconds();
  const auto rate = [&](std::uint64_t count) { return static_cast<double>(count) / seconds; };
  std::string out = "{";
  out += settings;
  AppendJsonText(out, "tls_version", stats.tls_version);
  AppendJsonText(out, "tls_suite", stats.tls_suite);
  AppendJsonText(out, "tls_group", stats.tls_group);
  AppendJsonReal(out, "seconds", seconds);
  AppendJsonCount(out, "connections", stats.connections);
  AppendJsonReal(out, "connections_per_second", rate(stats.connections));
  AppendJsonCount(out, "handshakes", stats.handshakes);
  AppendJsonReal(out, "handshakes_per_second", rate(stats.handshakes));
  AppendJsonCount(out, "handshakes_resumed", stats.resumed);
  AppendJsonCount(out, "messages", stats.messages);
  AppendJsonReal(out, "messages_per_second", rate(stats.messages));
  AppendJsonCount(out, "octets", stats.octets);
  AppendJsonReal(out, "megabytes_per_second", rate(stats.octets) / kMegabyte);
  out += ",\"latency_us\":{";
  AppendLatencyJson(out, "greeting", stats.greeting);
  AppendLatencyJson(out, "handshake", stats.handshake);
  AppendLatencyJson(out, "session_ready", stats.ready);
  AppendLatencyJson(out, "message", stats.message);
  out += "},\"failures\":{";
  AppendJsonCount(out, "total", stats.failure_count());
  for (std::size_t i = 0; i < kLoadFailureCount; ++i) {
    if (stats.failures[i] > 0) {
      AppendJsonCount(out, kFailureNames[i], stats.failures[i]);
    }
  }
  out += "},\"first_failures\":{";
  for (std::size_t i = 0; i < kLoadFailureCount; ++i) {
    if (stats.failures[i] > 0) {
      AppendJsonText(out, kFailureNames[i], stats.first_failures[i]);
    }
  }
  out += "}}";
  return out;
}

}  // namespace ringpost
