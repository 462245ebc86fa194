// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/load_stats.h"

#include <gtest/gtest.h>

#include <set>

namespace ringpost {
namespace {

TEST(LoadStatsTest, RecordingForgetsTheWarmUpButNotItsFailures) {
  LoadStats stats;
  stats.connections = stats.messages = stats.octets = stats.handshakes = stats.resumed = 5;
  stats.greeting.Add(1);
  stats.handshake.Add(1);
  stats.ready.Add(1);
  stats.message.Add(1);
  stats.AddFailure(LoadFailure::kTls, "first");
  stats.AddFailure(LoadFailure::kTls, "second");
  stats.StartRecording(10 * kNsPerSecond);
  EXPECT_TRUE(stats.recording);
  EXPECT_EQ(stats.connections + stats.messages + stats.octets + stats.handshakes + stats.resumed,
            0u);
  EXPECT_EQ(stats.greeting.count() + stats.handshake.count() + stats.ready.count() +
                stats.message.count(),
            0u);
  EXPECT_EQ(stats.failure_count(), 2u);
  EXPECT_EQ(stats.first_failures[static_cast<std::size_t>(LoadFailure::kTls)], "first");
  stats.StopRecording(12 * kNsPerSecond);
  stats.StopRecording(20 * kNsPerSecond);  // the first one counts
  EXPECT_DOUBLE_EQ(stats.seconds(), 2);
}

TEST(LoadStatsTest, EveryFailureHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kLoadFailureCount; ++i) {
    const std::string_view name = LoadFailureName(static_cast<LoadFailure>(i));
    EXPECT_FALSE(name.empty());
    names.insert(name);
  }
  EXPECT_EQ(names.size(), kLoadFailureCount);
}

class LoadReportTest : public testing::Test {
 protected:
  LoadReportTest() {
    stats_.StartRecording(0);
    stats_.connections = 4;
    stats_.messages = 8;
    stats_.octets = 4'000'000;
    stats_.message.Add(1'500'000);
    stats_.AddFailure(LoadFailure::kMail, "550 no\r\n\"quoted\"");
    stats_.StopRecording(2 * kNsPerSecond);
  }
  LoadStats stats_;
};

TEST_F(LoadReportTest, TextIsRatesLatenciesAndFailures) {
  const std::string text = LoadReportText(stats_, "title");
  EXPECT_TRUE(text.starts_with("title\n"));
  EXPECT_NE(text.find("connections            4          2.0 /s\n"), std::string::npos) << text;
  EXPECT_NE(text.find("messages               8          4.0 /s      2.00 MB/s\n"),
            std::string::npos)
      << text;
  EXPECT_NE(
      text.find("message                1     1.500     1.500     1.500     1.500     1.500\n"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("mail                 1  first: 550 no\\r\\n\\\"quoted\\\"\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("TLS"), std::string::npos) << "there was none";
}

TEST_F(LoadReportTest, JsonIsOneObjectOnOneLine) {
  const std::string json = LoadReportJson(stats_, "\"target\":\"t\"");
  EXPECT_TRUE(json.starts_with("{\"target\":\"t\",\"tls_version\":\"\","));
  EXPECT_NE(json.find("\"connections\":4,\"connections_per_second\":2.000,"), std::string::npos);
  EXPECT_NE(
      json.find("\"message\":{\"count\":1,\"min\":1500.000,\"mean\":1500.000,\"p50\":1500.000,"
                "\"p90\":1500.000,\"p99\":1500.000,\"p99.9\":1500.000,\"max\":1500.000}"),
      std::string::npos)
      << json;
  EXPECT_NE(json.find("\"failures\":{\"total\":1,\"mail\":1},\"first_failures\":{\"mail\":"
                      "\"550 no\\u000d\\u000a\\\"quoted\\\"\"}}"),
            std::string::npos)
      << json;
  EXPECT_EQ(json.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace ringpost
