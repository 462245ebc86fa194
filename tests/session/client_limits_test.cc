// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/client_limits.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace ringpost {
namespace {

using Entry = ClientLimits::Entry;

constexpr ClientLimits::HashKey kKey = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

sockaddr_in6 Ipv6(const char* text) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  EXPECT_EQ(inet_pton(AF_INET6, text, &address.sin6_addr), 1) << text;
  return address;
}

ClientNetwork Client(const char* text) {
  SocketAddress address{};
  if (std::string_view(text).find(':') != std::string_view::npos) {
    address.in6 = Ipv6(text);
  } else {
    address.in.sin_family = AF_INET;
    EXPECT_EQ(inet_pton(AF_INET, text, &address.in.sin_addr), 1) << text;
  }
  return *ClientNetwork::Of(address.any);
}

ClientNetwork Numbered(std::uint32_t number) {
  SocketAddress address{};
  address.in.sin_family = AF_INET;
  address.in.sin_addr.s_addr = htonl(number);
  return *ClientNetwork::Of(address.any);
}

TEST(ClientNetwork, Ipv4ByAddressAndIpv6BySlash64) {
  EXPECT_EQ(Client("192.0.2.1"), Client("192.0.2.1"));
  EXPECT_FALSE(Client("192.0.2.1") == Client("192.0.2.2"));
  EXPECT_EQ(Client("2001:db8:1:2::1"), Client("2001:db8:1:2:ffff:ffff:ffff:ffff"));
  EXPECT_FALSE(Client("2001:db8:1:2::1") == Client("2001:db8:1:3::1"));
  EXPECT_EQ(Client("::1"), Client("::2"));
}

TEST(ClientNetwork, Ipv4WithinIpv6IsIpv4) {
  EXPECT_EQ(Client("::ffff:192.0.2.1"), Client("192.0.2.1"));
  EXPECT_EQ(Client("64:ff9b::192.0.2.1"), Client("192.0.2.1"));
  EXPECT_FALSE(Client("64:ff9b::192.0.2.1") == Client("64:ff9b::192.0.2.2"));
  // The local-use prefix of RFC 8215 is not one of those.
  EXPECT_EQ(Client("64:ff9b:1::192.0.2.1"), Client("64:ff9b:1::192.0.2.2"));
}

TEST(ClientNetwork, NobodyIsLimitedOnAUnixSocket) {
  SocketAddress address{};
  address.un.sun_family = AF_UNIX;
  EXPECT_FALSE(ClientNetwork::Of(address.any).has_value());
}

TEST(ClientNetwork, AUserIsNobodyElse) {
  EXPECT_EQ(ClientNetwork::OfUser(7), ClientNetwork::OfUser(7));
  EXPECT_NE(ClientNetwork::OfUser(7), ClientNetwork::OfUser(8));
  EXPECT_NE(ClientNetwork::OfUser(7), Client("0.0.0.7"));
  EXPECT_NE(ClientNetwork::OfUser(7), Client("::7"));
  EXPECT_NE(ClientNetwork::OfUser(0xffff'ffff), Client("255.255.255.255"));
}

TEST(ClientLimits, SessionsOfOneClient) {
  ClientLimits limits(100, kKey);
  const ClientNetwork client = Client("192.0.2.1");
  EXPECT_EQ(limits.Enter(client, 2, 0), Entry::kCounted);
  EXPECT_EQ(limits.Enter(client, 2, 0), Entry::kCounted);
  EXPECT_EQ(limits.Enter(client, 2, 0), Entry::kRefused);
  EXPECT_EQ(limits.Enter(Client("192.0.2.2"), 2, 0), Entry::kCounted);
  limits.Leave(client, 1);
  EXPECT_EQ(limits.Enter(client, 2, 1), Entry::kCounted);
  EXPECT_EQ(limits.Enter(client, 2, 1), Entry::kRefused);
  // A reload may ask for less than there is, or for more.
  EXPECT_EQ(limits.Enter(client, 1, 1), Entry::kRefused);
  EXPECT_EQ(limits.Enter(client, 3, 1), Entry::kCounted);
  EXPECT_EQ(limits.Enter(client, 0, 1), Entry::kUncounted);
  EXPECT_EQ(limits.size(), 2u);
  for (int session = 0; session < 3; ++session) {
    limits.Leave(client, 2);
  }
  limits.Leave(Client("192.0.2.2"), 2);
  EXPECT_EQ(limits.size(), 0u);
}

TEST(ClientLimits, HandshakesOfOneMinute) {
  ClientLimits limits(100, kKey);
  const ClientNetwork client = Client("2001:db8::1");
  for (const std::uint32_t rate : {1u, 7u, 60u, 100'000u}) {
    // A minute of quiet: the bucket is full, and a burst of it passes.
    const TimeNs now = static_cast<TimeNs>(rate) * 1'000 * kNsPerSecond;
    for (std::uint32_t handshake = 0; handshake < rate; ++handshake) {
      ASSERT_TRUE(limits.BeginHandshake(client, rate, now)) << rate << " " << handshake;
    }
    EXPECT_FALSE(limits.BeginHandshake(client, rate, now)) << rate;
    EXPECT_TRUE(limits.BeginHandshake(Client("192.0.2.1"), rate, now));
    // One more for each share of the minute, whoever was refused meanwhile.
    const TimeNs share = 60 * kNsPerSecond / rate;
    EXPECT_FALSE(limits.BeginHandshake(client, rate, now + share - 1)) << rate;
    EXPECT_TRUE(limits.BeginHandshake(client, rate, now + share)) << rate;
    EXPECT_FALSE(limits.BeginHandshake(client, rate, now + share)) << rate;
    EXPECT_TRUE(limits.BeginHandshake(client, 0, now + share));
  }
}

TEST(ClientLimits, OverAnHourTheRateIsTheRate) {
  ClientLimits limits(100, kKey);
  const ClientNetwork client = Client("192.0.2.1");
  int begun = 0;
  for (TimeNs now = 0; now < 3'600 * kNsPerSecond; now += kNsPerSecond / 4) {
    begun += limits.BeginHandshake(client, 10, now) ? 1 : 0;
  }
  EXPECT_GE(begun, 600 + 9);
  EXPECT_LE(begun, 600 + 10);
}

// A client that comes again soon finds its bucket as it left it.
TEST(ClientLimits, TheBucketOutlivesTheSession) {
  ClientLimits limits(100, kKey);
  const ClientNetwork client = Client("192.0.2.1");
  for (int session = 0; session < 2; ++session) {
    ASSERT_EQ(limits.Enter(client, 5, 0), Entry::kCounted);
    EXPECT_TRUE(limits.BeginHandshake(client, 2, 0));
    limits.Leave(client, 0);
  }
  EXPECT_EQ(limits.size(), 1u);
  EXPECT_FALSE(limits.BeginHandshake(client, 2, 0));
}

TEST(ClientLimits, ClientsThatAreGoneAreForgotten) {
  ClientLimits limits(1'000, kKey);
  std::size_t most = 0;
  // Ten thousand clients a minute, each once, for an hour; a bucket of 60 is full after a second.
  TimeNs now = 0;
  for (std::uint32_t client = 0; client < 600'000; ++client, now += 6 * kNsPerMs) {
    ASSERT_TRUE(limits.BeginHandshake(Numbered(client), 60, now));
    if (client % 1'000 == 0) {
      most = std::max(most, limits.size());
    }
  }
  EXPECT_GE(most, 100u);
  EXPECT_LE(most, 64u * 64u);
}

// Whoever fills the table with addresses is let through, as are the others; who has a session is
// counted all the same, and there is always room for sessions.
TEST(ClientLimits, ManyAddressesDoNotGrowIt) {
  ClientLimits limits(1'000, kKey);
  for (std::uint32_t client = 0; client < 100'000; ++client) {
    ASSERT_TRUE(limits.BeginHandshake(Numbered(client), 1, 0));
  }
  const std::size_t full = limits.size();
  EXPECT_LE(full, 64u * 64u / 4);
  EXPECT_GE(full, 64u * 8u);
  for (std::uint32_t client = 0; client < 1'000; ++client) {
    ASSERT_EQ(limits.Enter(Numbered(0x0a000000 + client), 1, 0), Entry::kCounted) << client;
  }
  for (std::uint32_t client = 0; client < 1'000; ++client) {
    ASSERT_EQ(limits.Enter(Numbered(0x0a000000 + client), 1, 0), Entry::kRefused) << client;
    limits.Leave(Numbered(0x0a000000 + client), 0);
  }
  EXPECT_LE(limits.size(), full);
  // A minute later there is room again.
  EXPECT_TRUE(limits.BeginHandshake(Client("192.0.2.1"), 1, 61 * kNsPerSecond));
  for (std::uint32_t client = 0; client < 48'000; ++client) {
    (void)limits.BeginHandshake(Numbered(client), 60'000, 62 * kNsPerSecond + client * kNsPerMs);
  }
  EXPECT_FALSE(limits.BeginHandshake(Client("192.0.2.1"), 1, 62 * kNsPerSecond));
}

// Where even clients with sessions do not fit, they pass uncounted; nothing is lost or overrun.
TEST(ClientLimits, MoreSessionsThanItWasMadeFor) {
  ClientLimits limits(1, kKey);
  std::vector<std::uint32_t> counted;
  for (std::uint32_t client = 0; client < 10'000; ++client) {
    if (limits.Enter(Numbered(client), 1, 0) == Entry::kCounted) {
      counted.push_back(client);
    }
  }
  EXPECT_EQ(limits.size(), counted.size());
  EXPECT_LE(counted.size(), 64u * 56u);
  EXPECT_GE(counted.size(), 64u * 50u);
  for (const std::uint32_t client : counted) {
    ASSERT_EQ(limits.Enter(Numbered(client), 1, 0), Entry::kRefused);
    limits.Leave(Numbered(client), 0);
  }
  EXPECT_EQ(limits.size(), 0u);
}

// Random comings and goings against a plain count.
TEST(ClientLimits, AgreesWithAPlainCount) {
  constexpr std::uint32_t kClients = 3'000;
  constexpr std::uint32_t kMax = 3;
  ClientLimits limits(2'000, kKey);
  std::vector<std::uint32_t> sessions(kClients);
  std::uint64_t state = 1;
  std::size_t total = 0;
  for (int step = 0; step < 400'000; ++step) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const auto client = static_cast<std::uint32_t>(state >> 33) % kClients;
    const TimeNs now = step * kNsPerMs;
    if ((state >> 20) % 3 == 0) {
      (void)limits.BeginHandshake(Numbered(client), 6'000, now);
    } else if ((state >> 21) % 2 == 0 && total < 2'000) {
      const Entry entry = limits.Enter(Numbered(client), kMax, now);
      ASSERT_EQ(entry, sessions[client] < kMax ? Entry::kCounted : Entry::kRefused) << step;
      sessions[client] += entry == Entry::kCounted ? 1 : 0;
      total += entry == Entry::kCounted ? 1 : 0;
    } else if (sessions[client] > 0) {
      limits.Leave(Numbered(client), now);
      --sessions[client];
      --total;
    }
  }
  for (std::uint32_t client = 0; client < kClients; ++client) {
    for (; sessions[client] > 0; --sessions[client]) {
      limits.Leave(Numbered(client), 400'001 * kNsPerMs);
    }
  }
  EXPECT_LE(limits.size(), 64u * 16u);  // buckets that were not full yet when last looked at
}

// Several shards together keep one limit.
TEST(ClientLimits, Threads) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 20'000;
  constexpr int kMax = 3;
  ClientLimits limits(100, kKey);
  std::array<std::atomic<int>, 5> inside{};
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int round = 0; round < kRounds; ++round) {
        const auto index = static_cast<std::uint32_t>(round + thread) % 5;
        const ClientNetwork client = Numbered(index);
        if (limits.Enter(client, kMax, round) == Entry::kRefused) {
          ++refused;
          continue;
        }
        EXPECT_LE(++inside[index], kMax);
        (void)limits.BeginHandshake(client, 60, round);
        --inside[index];
        limits.Leave(client, round);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  // Whoever is in has left again, and the limit holds as on the first day.
  for (int session = 0; session < kMax; ++session) {
    EXPECT_EQ(limits.Enter(Numbered(0), kMax, kRounds), Entry::kCounted);
  }
  EXPECT_EQ(limits.Enter(Numbered(0), kMax, kRounds), Entry::kRefused);
  for (int session = 0; session < kMax; ++session) {
    limits.Leave(Numbered(0), kRounds);
  }
}

TEST(ClientLimits, RandomKeysWorkAsWell) {
  ClientLimits limits(100);
  EXPECT_EQ(limits.Enter(Numbered(1), 1, 0), Entry::kCounted);
  EXPECT_EQ(limits.Enter(Numbered(1), 1, 0), Entry::kRefused);
  limits.Leave(Numbered(1), 0);
}

TEST(ClientLimitsDeathTest, ASessionThatNeverLeftIsFound) {
  EXPECT_DEATH(
      {
        ClientLimits limits(100, kKey);
        (void)limits.Enter(Numbered(1), 1, 0);
      },
      "stripe.used == stripe.idle");
  ClientLimits limits(100, kKey);
  EXPECT_DEATH(limits.Leave(Numbered(1), 0), "slot != nullptr");
}

}  // namespace
}  // namespace ringpost
