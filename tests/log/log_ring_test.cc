// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/log/log_ring.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <thread>

namespace ringpost {
namespace {

std::string ReadAll(LogRing& ring, std::size_t room = 4096) {
  std::string all;
  std::string out(room, '\0');
  while (const std::size_t count = ring.Read(out)) all.append(out, 0, count);
  return all;
}

bool WriteNotice(LogRing& ring, std::string_view line) {
  return ring.Write(line, LogLineKind::kNotice);
}

TEST(LogRing, LinesInOrder) {
  LogRing ring(64);
  EXPECT_TRUE(ring.empty());
  EXPECT_TRUE(WriteNotice(ring, "one"));
  EXPECT_TRUE(WriteNotice(ring, ""));
  EXPECT_TRUE(WriteNotice(ring, "three"));
  EXPECT_FALSE(ring.empty());
  EXPECT_EQ(ReadAll(ring), "one\n\nthree\n");
  EXPECT_TRUE(ring.empty());
  EXPECT_EQ(ring.dropped(), 0U);
}

TEST(LogRing, WholeLinesOnly) {
  LogRing ring(64);
  ASSERT_TRUE(WriteNotice(ring, "12345"));
  ASSERT_TRUE(WriteNotice(ring, "67890"));
  std::array<char, 8> out;
  ASSERT_EQ(ring.Read(out), 6U);
  EXPECT_EQ(std::string(out.data(), 6), "12345\n");
  ASSERT_EQ(ring.Read(out), 6U);
  EXPECT_EQ(std::string(out.data(), 6), "67890\n");
  EXPECT_EQ(ring.Read(out), 0U);
}

TEST(LogRing, OverflowDropsWholeLinesAndCounts) {
  LogRing ring(16);
  EXPECT_TRUE(WriteNotice(ring, "1234567"));    // 8 octets with the newline
  EXPECT_FALSE(WriteNotice(ring, "12345678"));  // 9: one too many
  EXPECT_TRUE(WriteNotice(ring, "abcdefg"));    // 8: full to the last octet
  EXPECT_FALSE(WriteNotice(ring, ""));
  EXPECT_FALSE(WriteNotice(ring, std::string(1000, 'x')));
  EXPECT_EQ(ring.dropped(), 3U);
  EXPECT_EQ(ReadAll(ring), "1234567\nabcdefg\n");
  EXPECT_TRUE(WriteNotice(ring, "123456789012345"));
  EXPECT_EQ(ReadAll(ring), "123456789012345\n");
}

TEST(LogRing, RecordsLeaveTheLastSixteenthToNotices) {
  LogRing ring(64);
  const std::string line(29, 'r');
  EXPECT_TRUE(ring.Write(line, LogLineKind::kRecord));
  EXPECT_TRUE(ring.Write(line, LogLineKind::kRecord));  // 60 octets: all that records may have
  EXPECT_FALSE(ring.Write("", LogLineKind::kRecord));
  EXPECT_TRUE(WriteNotice(ring, "ab"));
  EXPECT_FALSE(ring.Write("", LogLineKind::kRecord)) << "63 octets, more than records may have";
  EXPECT_TRUE(WriteNotice(ring, ""));  // full to the last octet
  EXPECT_FALSE(WriteNotice(ring, ""));
  EXPECT_EQ(ring.dropped(), 3U);
  EXPECT_EQ(ReadAll(ring), line + "\n" + line + "\nab\n\n");
  EXPECT_TRUE(ring.Write(line, LogLineKind::kRecord));
}

TEST(LogRing, WrapsAtEveryOffset) {
  LogRing ring(32);
  for (std::size_t i = 0; i < 1000; ++i) {
    const std::string line = std::to_string(i) + std::string(i % 20, '.');
    ASSERT_TRUE(WriteNotice(ring, line));
    ASSERT_EQ(ReadAll(ring, 32), line + "\n");
  }
}

// What arrives is what was not dropped, in order, with two threads at full speed.
TEST(LogRing, TwoThreads) {
  constexpr int kLines = 200'000;
  LogRing ring(1024);
  std::thread producer([&ring] {
    for (int i = 0; i < kLines; ++i) (void)WriteNotice(ring, std::to_string(i));
    while (!WriteNotice(ring, "end")) std::this_thread::yield();
  });
  std::uint64_t received = 0;
  long last = -1;
  bool end = false;
  std::string out(512, '\0');
  while (!end) {
    const std::size_t count = ring.Read(out);
    for (std::size_t start = 0; start < count;) {
      const std::size_t newline = out.find('\n', start);
      const std::string line = out.substr(start, newline - start);
      start = newline + 1;
      if (line == "end") {
        end = true;
        continue;
      }
      const long value = std::stol(line);
      ASSERT_EQ(std::to_string(value), line);
      ASSERT_GT(value, last);
      last = value;
      ++received;
    }
    if (count == 0) std::this_thread::yield();
  }
  producer.join();
  // Refused attempts at "end" are counted as well.
  EXPECT_GE(received + ring.dropped(), static_cast<std::uint64_t>(kLines));
  EXPECT_GT(received, 0U);
}

}  // namespace
}  // namespace ringpost
