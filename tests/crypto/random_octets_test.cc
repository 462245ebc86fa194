// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/crypto/random_octets.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <vector>

#include "../tls/tls_fixture.h"

namespace {

thread_local int draws = 0;

}  // namespace

// The C library's, for all of this program.
extern "C" int getentropy(void* buffer, std::size_t length) {
  ++draws;
  return syscall(SYS_getrandom, buffer, length, 0) == static_cast<long>(length) ? 0 : -1;
}

namespace ringpost::test {
namespace {

using Octets = std::array<unsigned char, 32>;

Octets Drawn() {
  Octets octets{};
  RandomOctets(octets);
  return octets;
}

TEST(RandomOctets, WithoutABatchEachDrawAsksTheKernel) {
  const int before = draws;
  EXPECT_NE(Drawn(), Drawn());
  EXPECT_EQ(draws - before, 2);
}

TEST(RandomOctets, ABatchAsksOnceAndGivesNothingTwice) {
  const int before = draws;
  std::set<Octets> all;
  {
    const RandomBatch batch;
    for (std::size_t i = 0; i < RandomBatch::kOctets / sizeof(Octets); ++i) {
      all.insert(Drawn());
    }
    EXPECT_EQ(draws - before, 1);
    all.insert(Drawn());  // it is used up
    EXPECT_EQ(draws - before, 2);
  }
  all.insert(Drawn());
  EXPECT_EQ(draws - before, 3);
  EXPECT_EQ(all.size(), RandomBatch::kOctets / sizeof(Octets) + 2);
  EXPECT_FALSE(all.contains(Octets{}));
}

TEST(RandomOctets, ABatchThatNobodyDrawsFromAsksForNothing) {
  const int before = draws;
  {
    const RandomBatch batch;
  }
  EXPECT_EQ(draws - before, 0);
}

TEST(RandomOctets, WhatABatchHasNoRoomForComesFromTheKernel) {
  const int before = draws;
  const RandomBatch batch;
  std::vector<unsigned char> octets(1'000);
  RandomOctets(octets);
  EXPECT_EQ(draws - before, 4);
  EXPECT_GT(
      std::count_if(octets.begin(), octets.end(), [](unsigned char octet) { return octet != 0; }),
      900);
}

// What is given is no longer in the batch, and nothing is when it ends.
TEST(RandomOctets, ABatchKeepsNothingThatItGave) {
  alignas(RandomBatch) std::array<unsigned char, sizeof(RandomBatch)> memory{};
  auto* const batch = new (memory.data()) RandomBatch;
  const Octets given = Drawn();
  EXPECT_EQ(std::search(memory.begin(), memory.end(), given.begin(), given.end()), memory.end());
  std::destroy_at(batch);
  EXPECT_LT(
      std::count_if(memory.begin(), memory.end(), [](unsigned char octet) { return octet != 0; }),
      32);
}

TEST(RandomOctets, AHandshakeAsksTheKernelOnce) {
  const auto contexts = Contexts({Certificate("ecdsa")});
  const auto client_context = ClientContext();
  TlsPair pair;
  pair.Start(contexts.get(), client_context.get());
  EXPECT_EQ(pair.client.Handshake(), TlsOutcome::kNeedInput);
  pair.server.Receive(Side::Drain(pair.client.cipher_out));
  const int before = draws;
  EXPECT_EQ(pair.server.Handshake(), TlsOutcome::kNeedInput);
  EXPECT_EQ(draws - before, 1);
}

}  // namespace
}  // namespace ringpost::test
