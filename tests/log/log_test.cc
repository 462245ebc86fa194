// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/log/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <set>
#include <string>
#include <thread>

namespace ringpost {
namespace {

class Pipe {
 public:
  Pipe() { EXPECT_EQ(pipe2(fds_.data(), O_CLOEXEC), 0); }
  ~Pipe() {
    CloseReader();
    CloseWriter();
  }
  [[nodiscard]] int writer() const { return fds_[1]; }
  void CloseReader() { CloseOne(fds_[0]); }
  void CloseWriter() { CloseOne(fds_[1]); }

  // Until nothing more fits; returns how many '#' that took.
  std::size_t Fill() {
    EXPECT_EQ(fcntl(writer(), F_SETFL, O_NONBLOCK), 0);
    std::size_t filled = 0;
    while (write(writer(), "#", 1) == 1) ++filled;
    EXPECT_EQ(fcntl(writer(), F_SETFL, 0), 0);
    return filled;
  }
  // One line, waited for; empty if none comes within 20 s.
  std::string ReadLine() {
    while (buffer_.find('\n') == std::string::npos) {
      pollfd ready{fds_[0], POLLIN, 0};
      std::array<char, 4096> octets;
      if (poll(&ready, 1, 20'000) <= 0) return {};
      const ssize_t count = read(fds_[0], octets.data(), octets.size());
      if (count <= 0) return {};
      buffer_.append(octets.data(), static_cast<std::size_t>(count));
    }
    const std::size_t newline = buffer_.find('\n');
    std::string line = buffer_.substr(0, newline);
    buffer_.erase(0, newline + 1);
    return line;
  }
  // To the end of file: close the writer first.
  std::string ReadRest() {
    std::string rest = std::move(buffer_);
    buffer_.clear();
    std::array<char, 4096> octets;
    for (ssize_t count; (count = read(fds_[0], octets.data(), octets.size())) > 0;) {
      rest.append(octets.data(), static_cast<std::size_t>(count));
    }
    return rest;
  }

 private:
  static void CloseOne(int& fd) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
  std::array<int, 2> fds_{-1, -1};
  std::string buffer_;
};

std::size_t CountLines(const std::string& text) {
  std::size_t count = 0;
  for (const char c : text) count += c == '\n' ? 1 : 0;
  return count;
}

TEST(Log, LinesComeWhileItRuns) {
  Pipe pipe;
  Log log(LogFormat::kText, LogLevel::kInfo, pipe.writer());
  Logger* const logger = log.AddLogger();
  logger->Event(LogLevel::kInfo, "main", "before the start");
  log.Start();
  EXPECT_TRUE(pipe.ReadLine().ends_with("info main: before the start"));
  logger->Event(LogLevel::kError, "main", "after it");
  EXPECT_TRUE(pipe.ReadLine().ends_with("error main: after it"));
  SessionRecord record;
  record.route = "mx";
  record.reason = CloseReason::kQuit;
  logger->Session(record);
  const std::string line = pipe.ReadLine();
  EXPECT_NE(line.find(" info session route=mx "), std::string::npos) << line;
  EXPECT_EQ(line.find("1970"), std::string::npos) << "the time was not filled in: " << line;
}

TEST(Log, OneLineWakesASleepingWriter) {
  Pipe pipe;
  Log log(LogFormat::kText, LogLevel::kInfo, pipe.writer());
  Logger* const logger = log.AddLogger();
  log.Start();
  for (int round = 0; round < 2; ++round) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!log.asleep() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ASSERT_TRUE(log.asleep());
    logger->Event(LogLevel::kInfo, "main", "wake up");
    EXPECT_TRUE(pipe.ReadLine().ends_with("wake up"));
  }
}

TEST(Log, Levels) {
  Pipe pipe;
  {
    Log log(LogFormat::kText, LogLevel::kWarning, pipe.writer());
    Logger* const logger = log.AddLogger();
    EXPECT_TRUE(logger->Wants(LogLevel::kError));
    EXPECT_TRUE(logger->Wants(LogLevel::kWarning));
    EXPECT_FALSE(logger->Wants(LogLevel::kInfo));
    logger->Event(LogLevel::kDebug, "main", "debug");
    logger->Event(LogLevel::kInfo, "main", "info");
    logger->Session(SessionRecord{});
    logger->Event(LogLevel::kWarning, "main", "kept");
    logger->Event(LogLevel::kError, "main", "kept");
  }
  pipe.CloseWriter();
  const std::string text = pipe.ReadRest();
  EXPECT_EQ(CountLines(text), 2U) << text;
}

TEST(Log, StopWritesEverythingOfEveryThread) {
  constexpr int kThreads = 3;
  constexpr int kLines = 500;  // 3 * 500 lines of less than 40 octets: below a pipe's 64 KiB
  Pipe pipe;
  {
    Log log(LogFormat::kText, LogLevel::kInfo, pipe.writer());
    log.Start();
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([logger = log.AddLogger(), thread] {
        for (int i = 0; i < kLines; ++i) {
          logger->Event(LogLevel::kInfo, "t", std::to_string(thread * kLines + i));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    log.Stop();
    log.Stop();
  }
  pipe.CloseWriter();
  const std::string text = pipe.ReadRest();
  std::set<int> seen;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t newline = text.find('\n', start);
    ASSERT_NE(newline, std::string::npos);
    const std::string line = text.substr(start, newline - start);
    const std::size_t number = line.find("info t: ");
    ASSERT_NE(number, std::string::npos) << line;
    EXPECT_TRUE(seen.insert(std::stoi(line.substr(number + 8))).second) << line;
    start = newline + 1;
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kThreads * kLines));
}

TEST(Log, StopWithoutStartWritesToo) {
  Pipe pipe;
  {
    Log log(LogFormat::kJson, LogLevel::kInfo, pipe.writer());
    log.AddLogger()->Event(LogLevel::kInfo, "main", "x");
  }
  EXPECT_TRUE(pipe.ReadLine().ends_with("\"message\":\"x\"}"));
}

TEST(Log, DroppedLinesAreReported) {
  Pipe pipe;
  {
    Log log(LogFormat::kText, LogLevel::kInfo, pipe.writer());
    Logger* const logger = log.AddLogger(256);
    const std::string text(100, 'x');
    for (int i = 0; i < 10; ++i) logger->Event(LogLevel::kInfo, "main", text);
  }
  pipe.CloseWriter();
  const std::string text = pipe.ReadRest();
  EXPECT_EQ(CountLines(text), 2U) << text;
  EXPECT_NE(text.find("warning log: 9 log lines dropped\n"), std::string::npos) << text;
}

TEST(Log, AFloodOfRecordsCostsNoAnswerAndNoWarning) {
  Pipe pipe;
  {
    Log log(LogFormat::kText, LogLevel::kInfo, pipe.writer());
    Logger* const logger = log.AddLogger(16384);
    for (int i = 0; i < 200; ++i) {
      logger->Session(SessionRecord{});
      logger->Policy(PolicyRecord{});
    }
    logger->Shard({.shard = 7});
    WarningLimiter limiter;
    logger->Warning(limiter, 0, "shard", "out of descriptors");
  }
  pipe.CloseWriter();
  const std::string text = pipe.ReadRest();
  EXPECT_NE(text.find("log lines dropped\n"), std::string::npos) << text;
  EXPECT_NE(text.find("info status shard=7 "), std::string::npos) << text;
  EXPECT_NE(text.find("warning shard: out of descriptors\n"), std::string::npos) << text;
}

// A shard must not wait for whoever reads the log, and nor must the end of the process.
TEST(Log, AStoppedReaderStopsNobody) {
  Pipe pipe;
  const std::size_t filled = pipe.Fill();
  Log log(LogFormat::kText, LogLevel::kInfo, pipe.writer());
  Logger* const logger = log.AddLogger(4096);
  log.Start();
  for (int i = 0; i < 1000; ++i) logger->Event(LogLevel::kInfo, "main", "x");
  log.Stop();  // returns
  pipe.CloseWriter();
  EXPECT_EQ(pipe.ReadRest(), std::string(filled, '#'));
}

TEST(Log, ASlowReaderGetsEverything) {
  Pipe pipe;
  const std::size_t filled = pipe.Fill();
  Log log(LogFormat::kText, LogLevel::kInfo, pipe.writer());
  Logger* const logger = log.AddLogger();
  log.Start();
  for (int i = 0; i < 1000; ++i) logger->Event(LogLevel::kInfo, "main", std::to_string(i));
  for (int i = 0; i < 1000; ++i) {
    const std::string line = pipe.ReadLine().substr(i == 0 ? filled : 0);
    ASSERT_TRUE(line.ends_with("main: " + std::to_string(i))) << line;
  }
}

TEST(Log, AGoneReaderStopsNobody) {
  ASSERT_NE(signal(SIGPIPE, SIG_IGN), SIG_ERR);  // as main does
  Pipe pipe;
  Log log(LogFormat::kText, LogLevel::kInfo, pipe.writer());
  Logger* const logger = log.AddLogger();
  log.Start();
  pipe.CloseReader();
  for (int i = 0; i < 100; ++i) logger->Event(LogLevel::kInfo, "main", "x");
  log.Stop();
}

TEST(WarningLimiter, OnePerIntervalAndACount) {
  WarningLimiter limiter;
  std::uint64_t suppressed = 99;
  EXPECT_TRUE(limiter.Allow(5, &suppressed));
  EXPECT_EQ(suppressed, 0U);
  for (int i = 0; i < 7; ++i) EXPECT_FALSE(limiter.Allow(6 + i, &suppressed));
  EXPECT_FALSE(limiter.Allow(4 + WarningLimiter::kIntervalNs, &suppressed));
  EXPECT_TRUE(limiter.Allow(5 + WarningLimiter::kIntervalNs, &suppressed));
  EXPECT_EQ(suppressed, 8U);
  EXPECT_FALSE(limiter.Allow(6 + WarningLimiter::kIntervalNs, &suppressed));
  EXPECT_TRUE(limiter.Allow(5 + 2 * WarningLimiter::kIntervalNs, &suppressed));
  EXPECT_EQ(suppressed, 1U) << "counted from the last time it was said";
}

TEST(WarningLimiter, WhatIsNotEvenComposedCountsAsWell) {
  WarningLimiter limiter;
  std::uint64_t suppressed = 0;
  EXPECT_FALSE(limiter.Suppress(5)) << "nothing was said yet";
  EXPECT_TRUE(limiter.Allow(5, &suppressed));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.Suppress(6));
  EXPECT_FALSE(limiter.Suppress(5 + WarningLimiter::kIntervalNs));
  EXPECT_TRUE(limiter.Allow(5 + WarningLimiter::kIntervalNs, &suppressed));
  EXPECT_EQ(suppressed, 3U);
}

TEST(WarningLimiter, TheLoggerSaysHowMany) {
  Pipe pipe;
  {
    Log log(LogFormat::kText, LogLevel::kInfo, pipe.writer());
    Logger* const logger = log.AddLogger();
    WarningLimiter limiter;
    for (int i = 0; i < 5; ++i) logger->Warning(limiter, i, "shard", "out of descriptors");
    logger->Warning(limiter, WarningLimiter::kIntervalNs, "shard", "out of descriptors");
  }
  EXPECT_TRUE(pipe.ReadLine().ends_with("warning shard: out of descriptors"));
  EXPECT_TRUE(
      pipe.ReadLine().ends_with("out of descriptors (and 4 more like it since the last time)"));
  pipe.CloseWriter();
  EXPECT_EQ(pipe.ReadRest(), "");
}

}  // namespace
}  // namespace ringpost
