// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/session/session_registry.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ringpost {
namespace {

SessionKey Key(std::uint8_t last_octet, std::uint16_t port) {
  SessionKey key;
  key.client = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last_octet};
  key.client_port = port;
  return key;
}

RegisteredSession Session(std::uint16_t server_port, std::string sni = {}) {
  RegisteredSession session;
  session.server_port = server_port;
  session.trace.sni = std::move(sni);
  return session;
}

// What came of a MAIL that concerned these partners, whose policies were met.
SessionMail Met(std::vector<std::string> names) {
  SessionMail mail;
  for (std::string& name : names) {
    mail.judged.push_back({.name = std::move(name), .met = true, .proof = {}});
  }
  return mail;
}

std::string NamesOf(const SessionMail& mail) {
  std::string names;
  for (const JudgedPartner& judged : mail.judged) {
    names += judged.name + " ";
  }
  return names;
}

std::vector<RegisteredSession> Find(const SessionRegistry& registry, const SessionKey& key) {
  std::vector<RegisteredSession> found;
  registry.Find(key, found);
  return found;
}

TEST(SessionRegistryTest, FindsExactlyTheAddressAndPort) {
  SessionRegistry registry;
  registry.Put(Key(7, 40'000), 1, Session(25, "a"));
  registry.Put(Key(7, 40'001), 2, Session(25, "b"));
  registry.Put(Key(8, 40'000), 3, Session(25, "c"));
  ASSERT_EQ(Find(registry, Key(7, 40'001)).size(), 1u);
  EXPECT_EQ(Find(registry, Key(7, 40'001))[0].trace.sni, "b");
  EXPECT_EQ(Find(registry, Key(8, 40'000))[0].trace.sni, "c");
  EXPECT_TRUE(Find(registry, Key(8, 40'001)).empty());
  EXPECT_EQ(registry.size(), 3u);
}

TEST(SessionRegistryTest, FindAppends) {
  SessionRegistry one;
  SessionRegistry two;
  one.Put(Key(7, 40'000), 1, Session(25));
  two.Put(Key(7, 40'000), 1, Session(587));
  std::vector<RegisteredSession> found;
  one.Find(Key(7, 40'000), found);
  two.Find(Key(7, 40'000), found);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].server_port, 25);
  EXPECT_EQ(found[1].server_port, 587);
}

// The same client port to two of our addresses.
TEST(SessionRegistryTest, SessionsOfOneKeyAreToldApartById) {
  SessionRegistry registry;
  registry.Put(Key(7, 40'000), 1, Session(25));
  registry.Put(Key(7, 40'000), 2, Session(587));
  EXPECT_EQ(registry.size(), 2u);
  registry.SetMail(Key(7, 40'000), 2, Met({"contoso"}));
  const std::vector<RegisteredSession> both = Find(registry, Key(7, 40'000));
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(NamesOf(both[0].mail), "");
  EXPECT_EQ(NamesOf(both[1].mail), "contoso ");

  registry.Remove(Key(7, 40'000), 1);
  ASSERT_EQ(Find(registry, Key(7, 40'000)).size(), 1u);
  EXPECT_EQ(Find(registry, Key(7, 40'000))[0].server_port, 587);
  registry.Remove(Key(7, 40'000), 2);
  EXPECT_TRUE(Find(registry, Key(7, 40'000)).empty());
  EXPECT_EQ(registry.size(), 0u);
}

TEST(SessionRegistryTest, ASecondPutReplaces) {
  SessionRegistry registry;
  registry.Put(Key(7, 40'000), 1, Session(25, "old"));
  registry.Put(Key(7, 40'000), 1, Session(25, "new"));
  EXPECT_EQ(registry.size(), 1u);
  ASSERT_EQ(Find(registry, Key(7, 40'000)).size(), 1u);
  EXPECT_EQ(Find(registry, Key(7, 40'000))[0].trace.sni, "new");
}

TEST(SessionRegistryTest, WhatIsNotThereIsIgnored) {
  SessionRegistry registry;
  registry.SetMail(Key(7, 40'000), 1, Met({"contoso"}));
  registry.Remove(Key(7, 40'000), 1);
  EXPECT_EQ(registry.size(), 0u);
  registry.Put(Key(7, 40'000), 1, Session(25));
  registry.SetMail(Key(7, 40'000), 2, Met({"contoso"}));
  registry.Remove(Key(7, 40'000), 2);
  ASSERT_EQ(Find(registry, Key(7, 40'000)).size(), 1u);
  EXPECT_TRUE(Find(registry, Key(7, 40'000))[0].mail.judged.empty());
}

// Behind BDAT LAST a client may send the next MAIL at once (RFC 3030 4.2).
TEST(SessionRegistryTest, WhatWasJudgedBeforeStillCounts) {
  SessionRegistry registry;
  const SessionKey key = Key(7, 40'000);
  registry.Put(key, 1, Session(25));
  registry.SetMail(key, 1, Met({"a"}));
  registry.SetMail(key, 1, Met({"b", "c"}));
  EXPECT_TRUE(Find(registry, key)[0].mail.judged.front().met);
  registry.SetMail(key, 1, {.judged = {{.name = "a", .met = false, .proof = {}}}});
  EXPECT_EQ(NamesOf(Find(registry, key)[0].mail), "b c a ");
  EXPECT_FALSE(Find(registry, key)[0].mail.judged.back().met) << "the last judgement counts";
  registry.Put(key, 1, Session(25));  // more is known of the client now
  registry.SetMail(key, 1, Met({"d"}));
  EXPECT_EQ(NamesOf(Find(registry, key)[0].mail), "b c a d ");
}

TEST(SessionRegistryTest, WhatWasJudgedDoesNotGrowForEver) {
  SessionRegistry registry;
  const SessionKey key = Key(7, 40'000);
  registry.Put(key, 1, Session(25));
  for (int index = 0; index < 10'000; ++index) {
    registry.SetMail(key, 1, Met({std::to_string(index)}));
  }
  const std::vector<JudgedPartner> judged = Find(registry, key)[0].mail.judged;
  EXPECT_EQ(judged.size(), 32u);
  EXPECT_EQ(judged.back().name, "9999");
}

TEST(SessionRegistryTest, KeepsTheConfigurationUntilRemoved) {
  SessionRegistry registry;
  auto kept = std::make_shared<const int>(1);
  RegisteredSession session = Session(25);
  session.keep = kept;
  registry.Put(Key(7, 40'000), 1, std::move(session));
  EXPECT_EQ(kept.use_count(), 2);
  registry.Remove(Key(7, 40'000), 1);
  EXPECT_EQ(kept.use_count(), 1);
}

// One shard writes, two services read: what they see is always one whole session (and under
// ThreadSanitizer nothing else is said).
TEST(SessionRegistryTest, OneWritesOthersRead) {
  constexpr std::uint16_t kPorts = 64;
  constexpr int kRounds = 200;
  SessionRegistry registry;
  std::atomic<bool> done{false};
  std::atomic<std::size_t> seen{0};
  const auto read = [&] {
    // At least one whole round after the last write.
    for (bool last = false; !last;) {
      last = done.load();
      for (std::uint16_t port = 0; port < kPorts; ++port) {
        for (const RegisteredSession& session : Find(registry, Key(7, port))) {
          EXPECT_EQ(session.trace.sni, session.trace.route);
          EXPECT_EQ(session.server_port, port);
          ++seen;
        }
      }
      EXPECT_LE(registry.size(), kPorts);
    }
  };
  std::thread first(read);
  std::thread second(read);
  for (int round = 0; round < kRounds; ++round) {
    for (std::uint16_t port = 0; port < kPorts; ++port) {
      RegisteredSession session = Session(port, "mx" + std::to_string(round));
      session.trace.route = session.trace.sni;
      registry.Put(Key(7, port), port, std::move(session));
      registry.SetMail(Key(7, port), port, Met({"contoso"}));
    }
    if (round + 1 < kRounds) {
      for (std::uint16_t port = 0; port < kPorts; ++port) {
        registry.Remove(Key(7, port), port);
      }
    }
  }
  done = true;
  first.join();
  second.join();
  EXPECT_GE(seen, std::size_t{2} * kPorts);
  EXPECT_EQ(registry.size(), std::size_t{kPorts});
}

}  // namespace
}  // namespace ringpost
