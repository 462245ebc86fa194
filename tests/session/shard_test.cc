// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a shard does when something runs out: blocks, descriptors, sessions.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "polite_backend.h"
#include "ringpost/io/socket.h"
#include "session_world.h"

namespace ringpost {
namespace {

constexpr TimeNs kPatience = 20 * kNsPerSecond;

class ShardTest : public testing::Test {
 protected:
  void Start(const WorldOptions& options) {
    world_ = std::make_unique<SessionWorld>(options);
    world_->OnSessionBackend([this](SimPeer peer) {
      peer.Write("220 back ready\r\n");
      backends_.push_back(peer);
    });
  }

  ClientEnd& Connect(const char* address = "192.0.2.7") {
    const auto port = static_cast<std::uint16_t>(50'000 + clients_.size());
    clients_.push_back(std::make_unique<ClientEnd>(world_->Connect(SimAddress(address, port))));
    return *clients_.back();
  }

  // EHLO has been answered.
  void Greet(ClientEnd& client) {
    ASSERT_TRUE(Hears(client, "220 "));
    client.received().clear();
    SimPeer& backend = backends_.back();
    client.Say("EHLO client\r\n");
    ASSERT_TRUE(world_->Until([&] { return backend.readable() > 0; }, kPatience));
    (void)backend.Read();
    backend.Write("250-back\r\n250 PIPELINING\r\n");
    ASSERT_TRUE(Hears(client, "250"));
    client.received().clear();
  }

  // The backends that are called from now on say this to each line.
  void AnswerEachWith(const std::string& reply) {
    world_->OnSessionBackend([this, reply](SimPeer peer) {
      peer.Write("220 back ready\r\n");
      const std::size_t index = backends_.size();
      backends_.push_back(peer);
      backends_.back().OnChange([this, reply, index, replies = std::string()]() mutable {
        for (const char c : backends_[index].Read()) {
          replies += c == '\n' ? reply : "";
        }
        replies.erase(0, backends_[index].Write(replies));
      });
    });
  }

  [[nodiscard]] static std::string Repeated(std::string_view text, int times) {
    std::string repeated;
    for (int n = 0; n < times; ++n) {
      repeated += text;
    }
    return repeated;
  }

  // The address of one of many clients.
  [[nodiscard]] static std::string Numbered(int number) {
    return "198.18.0." + std::to_string(number + 1);
  }

  void ExpectEnd(CloseReason reason, std::size_t sessions = 1) {
    ASSERT_TRUE(world_->Until([&] { return world_->ended().size() == sessions; }, kPatience));
    EXPECT_EQ(CloseReasonName(world_->ended().back().reason), CloseReasonName(reason));
  }

  [[nodiscard]] std::uint64_t RefusedFor(Refusal why) {
    world_->shard().PostStatusRequest();
    world_->Pass(kNsPerMs);
    return world_->status().refused[static_cast<std::size_t>(why)];
  }

  [[nodiscard]] bool Hears(ClientEnd& client, std::string_view text, TimeNs limit = kPatience) {
    return world_->Until([&] { return client.received().starts_with(text); }, limit);
  }

  void TearDown() override {
    for (const std::unique_ptr<ClientEnd>& client : clients_) {
      client->Reset();
    }
    if (world_ != nullptr) {
      world_->Finish();
    }
    clients_.clear();
    backends_.clear();
    world_.reset();
  }

  std::unique_ptr<SessionWorld> world_;
  std::vector<std::unique_ptr<ClientEnd>> clients_;
  std::vector<SimPeer> backends_;
};

// A receive that finds no block is tried again as soon as there are some: also where the ring,
// which borrows all but its reserve, leaves hardly any block free.
TEST_F(ShardTest, AStarvedSessionIsWokenWhateverTheRingBorrows) {
  for (const std::size_t large_blocks : {std::size_t{40}, std::size_t{256}, std::size_t{290}}) {
    WorldOptions options;
    options.large_blocks = large_blocks;
    options.io.faults.no_buffers = 5'000;
    Start(options);
    ClientEnd& client = Connect();
    EXPECT_TRUE(Hears(client, "220 back ready\r\n")) << large_blocks << " blocks";
    TearDown();
  }
}

TEST_F(ShardTest, TheLastWordsLeaveWithTheFin) {
  Start(WorldOptions());
  ClientEnd& client = Connect();
  Greet(client);
  client.Say("QUIT\r\n");
  ASSERT_TRUE(world_->Until([&] { return backends_.back().readable() > 0; }, kPatience));
  backends_.back().Write("221 bye\r\n");
  EXPECT_TRUE(world_->Until([&] { return client.ended(); }, kPatience));
  EXPECT_EQ(client.received(), "221 bye\r\n");
  EXPECT_EQ(world_->io().fins_with_octets(), 1u);
}

TEST_F(ShardTest, ASessionTooManyIsToldSo) {
  WorldOptions options;
  options.sessions_max = 1;
  Start(options);
  ClientEnd& first = Connect();
  ASSERT_TRUE(Hears(first, "220 "));
  ClientEnd& second = Connect();
  EXPECT_TRUE(Hears(second, "421 4.3.2 mx.example.test Error: too many connections\r\n"));
  EXPECT_TRUE(world_->Until([&] { return second.ended(); }, kPatience));
  EXPECT_EQ(world_->refused(), 1);
  // There is room again when the first is gone.
  first.Close();
  ASSERT_TRUE(world_->Until([&] { return !world_->ended().empty(); }, kPatience));
  world_->Pass(kNsPerSecond);
  EXPECT_TRUE(Hears(Connect(), "220 "));
}

TEST_F(ShardTest, WithoutDescriptorsAcceptingPausesAndGoesOn) {
  Start(WorldOptions());
  ClientEnd& first = Connect();
  ASSERT_TRUE(Hears(first, "220 "));
  world_->io().set_descriptors_max(world_->io().open_sockets());
  ClientEnd& second = Connect();
  world_->Pass(2 * kNsPerSecond);
  EXPECT_EQ(second.received(), "");
  // It pauses: as often as it may try in this time, and no more.
  EXPECT_GE(world_->accept_pauses(), 1);
  EXPECT_LE(world_->accept_pauses(), 11);
  world_->io().set_descriptors_max(100);
  EXPECT_TRUE(Hears(second, "220 "));
}

TEST_F(ShardTest, WithoutADescriptorForTheBackendTheClientIsTold) {
  Start(WorldOptions());
  ClientEnd& first = Connect();
  ASSERT_TRUE(Hears(first, "220 "));
  world_->io().set_descriptors_max(world_->io().open_sockets() + 1);
  ClientEnd& second = Connect();
  EXPECT_TRUE(Hears(second, "421 4.3.2 mx.example.test Error: out of resources"));
  EXPECT_TRUE(world_->Until([&] { return second.ended(); }, kPatience));
}

// Descriptors that a batch of clients has taken serve some of them, rather than none; the others
// are told, and nobody is told who could have waited.
TEST_F(ShardTest, ABatchThatTakesAllDescriptorsIsServedInPart) {
  Start(WorldOptions());
  ASSERT_TRUE(Hears(Connect(), "220 "));
  world_->io().set_descriptors_max(world_->io().open_sockets() + 21);
  for (int i = 0; i < 100; ++i) {
    (void)Connect();
  }
  world_->Pass(5 * kNsPerSecond);
  const auto heard = [this](std::string_view text) {
    return std::count_if(clients_.begin(), clients_.end(), [text](const auto& client) {
      return client->received().starts_with(text);
    });
  };
  EXPECT_EQ(heard("220 "), 11);
  const std::uint64_t refused = RefusedFor(Refusal::kDescriptors);
  const auto told = heard("421 4.3.2 mx.example.test Error: out of resources");
  EXPECT_GE(told, 1);
  EXPECT_LE(told, 11 + 26);  // then one with each try: the odd descriptor is not enough for two
  EXPECT_EQ(told, static_cast<std::ptrdiff_t>(refused));
  EXPECT_TRUE(world_->ended().empty());
  // Everybody else is served within a second once there are descriptors.
  world_->io().set_descriptors_max(1'000);
  world_->Pass(kNsPerSecond);
  EXPECT_EQ(heard("220 ") + told, 101);
  EXPECT_EQ(heard("421 "), told);
}

// While accepting pauses, those who come one by one wait for it rather than being told at once.
TEST_F(ShardTest, APauseHoldsForThoseWhoComeLater) {
  Start(WorldOptions());
  ASSERT_TRUE(Hears(Connect(), "220 "));
  world_->io().set_descriptors_max(world_->io().open_sockets() + 1);
  for (int i = 0; i < 50; ++i) {
    (void)Connect();
    world_->Pass(20 * kNsPerMs);
  }
  EXPECT_GE(RefusedFor(Refusal::kDescriptors), 2u);
  EXPECT_LE(RefusedFor(Refusal::kDescriptors), 7u);
}

// The connection to the backend is a new one after STARTTLS: its descriptor is not one that others,
// who are waiting to be accepted, could take meanwhile.
TEST_F(ShardTest, ASessionThatRunsKeepsItsDescriptors) {
  Start(WorldOptions());
  ClientEnd& client = Connect();
  Greet(client);
  client.Say("STARTTLS\r\n");
  ASSERT_TRUE(Hears(client, "220 2.0.0"));
  client.received().clear();
  // The old connection ends: from here on the session has no backend.
  backends_.back().Close();
  world_->Pass(kNsPerSecond);
  world_->io().set_descriptors_max(world_->io().open_sockets());
  for (int i = 0; i < 5; ++i) {
    (void)Connect();
  }
  world_->Pass(kNsPerSecond);
  client.StartTls();
  ASSERT_TRUE(world_->Until([&] { return client.tls_ready(); }, kPatience));
  ASSERT_TRUE(world_->Until([&] { return backends_.size() == 2; }, kPatience));
  client.Say("EHLO client\r\n");
  ASSERT_TRUE(world_->Until([&] { return backends_.back().readable() > 0; }, kPatience));
  EXPECT_EQ(backends_.back().Read(), "EHLO client\r\n");
}

// Where the limit was lowered below what is in use, even a descriptor that was given back is not to
// be had again. The session waits for one, and what comes free is its own before it is a
// newcomer's.
TEST_F(ShardTest, ASessionWithoutADescriptorWaitsForOne) {
  Start(WorldOptions());
  ClientEnd& other = Connect();
  Greet(other);
  ClientEnd& client = Connect();
  Greet(client);
  client.Say("STARTTLS\r\n");
  ASSERT_TRUE(Hears(client, "220 2.0.0"));
  client.received().clear();
  world_->io().set_descriptors_max(world_->io().open_sockets() - 1);
  backends_.back().Close();
  client.StartTls();
  ASSERT_TRUE(world_->Until([&] { return client.tls_ready(); }, kPatience));
  ClientEnd& late = Connect();
  const int pauses = world_->accept_pauses();
  world_->Pass(2 * kNsPerSecond);
  EXPECT_EQ(backends_.size(), 2u);
  EXPECT_LE(world_->accept_pauses() - pauses, 11);  // tries, and does not spin
  other.Close();
  ASSERT_TRUE(world_->Until([&] { return backends_.size() == 3; }, kNsPerSecond));
  client.Say("EHLO client\r\n");
  ASSERT_TRUE(world_->Until([&] { return backends_.back().readable() > 0; }, kPatience));
  EXPECT_EQ(backends_.back().Read(), "EHLO client\r\n");
  EXPECT_FALSE(late.received().starts_with("220 "));
}

TEST_F(ShardTest, ASessionThatGetsNoDescriptorIsTold) {
  Start(WorldOptions());
  ClientEnd& client = Connect();
  Greet(client);
  client.Say("STARTTLS\r\n");
  ASSERT_TRUE(Hears(client, "220 2.0.0"));
  client.received().clear();
  world_->io().set_descriptors_max(0);
  client.StartTls();
  EXPECT_TRUE(Hears(client, "421 4.3.2 mx.example.test Error: out of resources"));
  ExpectEnd(CloseReason::kOutOfResources);
  world_->io().set_descriptors_max(100);
  EXPECT_TRUE(Hears(Connect(), "220 ", kNsPerSecond));
}

TEST_F(ShardTest, AStopEndsASessionThatWaitsForADescriptor) {
  Start(WorldOptions());
  ClientEnd& client = Connect();
  Greet(client);
  client.Say("STARTTLS\r\n");
  ASSERT_TRUE(Hears(client, "220 2.0.0"));
  world_->io().set_descriptors_max(0);
  client.StartTls();
  ASSERT_TRUE(world_->Until([&] { return client.tls_ready(); }, kPatience));
  world_->shard().Post(ShardCommand::kStop);
  EXPECT_TRUE(world_->Until([&] { return world_->shard().finished(); }, kPatience));
}

TEST_F(ShardTest, AClientWithTooManySessionsIsTold) {
  WorldOptions options;
  options.sessions_per_client_max = 2;
  Start(options);
  ClientEnd& first = Connect();
  ASSERT_TRUE(Hears(first, "220 "));
  ClientEnd& second = Connect();
  ASSERT_TRUE(Hears(second, "220 "));
  ClientEnd& third = Connect();
  EXPECT_TRUE(
      Hears(third, "421 4.7.0 mx.example.test Error: too many connections from your address\r\n"));
  EXPECT_TRUE(world_->Until([&] { return third.ended(); }, kPatience));
  EXPECT_EQ(backends_.size(), 2u);
  EXPECT_EQ(RefusedFor(Refusal::kClientSessions), 1u);
  EXPECT_TRUE(Hears(Connect("192.0.2.8"), "220 "));
  // A reload counts with those who are there.
  options.sessions_per_client_max = 3;
  world_->Reload(options);
  EXPECT_TRUE(Hears(Connect(), "220 "));
  EXPECT_TRUE(Hears(Connect(), "421 4.7.0"));
}

// However a session ends, its place is free again.
TEST_F(ShardTest, ThePlaceOfAClientIsGivenBack) {
  WorldOptions options;
  options.sessions_per_client_max = 1;
  Start(options);
  const auto ends = [this](const char* how, const auto& end) {
    ClientEnd& client = Connect();
    ASSERT_TRUE(Hears(client, "220 ")) << how << ": " << client.received();
    end(client);
    ASSERT_TRUE(
        world_->Until([&] { return world_->shard().session_count() == 0; }, 1'000 * kNsPerSecond))
        << how;
    EXPECT_EQ(world_->client_limits().size(), 0u) << how;
  };
  ends("close", [](ClientEnd& client) { client.Close(); });
  ends("reset", [](ClientEnd& client) { client.Reset(); });
  ends("protocol", [](ClientEnd& client) { client.Say("GET / HTTP/1.1\r\n"); });
  ends("time-out", [](ClientEnd&) {});
  ends("backend", [this](ClientEnd&) { backends_.back().Reset(); });
  ends("half a line", [](ClientEnd& client) {
    client.Say("EHL");
    client.CloseSend();
  });
  // And where it was refused for something else, it was never taken.
  world_->io().set_descriptors_max(world_->io().open_sockets() + 1);
  EXPECT_TRUE(Hears(Connect(), "421 4.3.2"));
  EXPECT_EQ(world_->client_limits().size(), 0u);
}

TEST_F(ShardTest, TheHandshakesOfAClientAreCounted) {
  WorldOptions options;
  options.handshakes_per_client_rate = 2;
  Start(options);
  const auto starttls = [this](const char* address) -> ClientEnd& {
    ClientEnd& client = Connect(address);
    Greet(client);
    client.Say("STARTTLS\r\n");
    return client;
  };
  for (int handshake = 0; handshake < 2; ++handshake) {
    ClientEnd& client = starttls("192.0.2.7");
    ASSERT_TRUE(Hears(client, "220 2.0.0"));
    client.Reset();  // begun is begun
  }
  world_->Pass(kNsPerSecond);
  ClientEnd& third = starttls("192.0.2.7");
  EXPECT_TRUE(Hears(
      third, "421 4.7.0 mx.example.test Error: too many TLS handshakes from your address\r\n"));
  EXPECT_TRUE(world_->Until([&] { return third.ended(); }, kPatience));
  ExpectEnd(CloseReason::kClientRate, 3);
  EXPECT_EQ(third.received().find("220"), std::string::npos);
  EXPECT_TRUE(Hears(starttls("192.0.2.8"), "220 2.0.0"));
  world_->Pass(30 * kNsPerSecond);
  EXPECT_TRUE(Hears(starttls("192.0.2.7"), "220 2.0.0"));
}

TEST_F(ShardTest, WhereTlsComesFirstTheConnectionIsClosed) {
  WorldOptions options;
  options.implicit_tls = true;
  options.handshakes_per_client_rate = 1;
  options.sessions_per_client_max = 5;
  Start(options);
  ClientEnd& first = Connect();
  first.StartTls();
  ASSERT_TRUE(world_->Until([&] { return first.tls_ready(); }, kPatience));
  ClientEnd& second = Connect();
  EXPECT_TRUE(world_->Until([&] { return second.ended(); }, kPatience));
  EXPECT_EQ(second.received(), "");
  EXPECT_EQ(RefusedFor(Refusal::kClientRate), 1u);
  // Whoever is refused for one limit is not counted by the other.
  for (int i = 0; i < 10; ++i) {
    ClientEnd& client = Connect();
    EXPECT_TRUE(world_->Until([&] { return client.ended(); }, kPatience));
  }
  EXPECT_EQ(RefusedFor(Refusal::kClientSessions), 0u);
  EXPECT_EQ(backends_.size(), 1u);
}

TEST_F(ShardTest, TheStatusSaysWhatThereIs) {
  WorldOptions options;
  options.sessions_max = 50;
  Start(options);
  ClientEnd& client = Connect();
  ASSERT_TRUE(Hears(client, "220 "));
  world_->shard().PostStatusRequest();
  world_->Pass(kNsPerMs);
  const ShardStatus& status = world_->status();
  EXPECT_EQ(status.sessions, 1u);
  EXPECT_EQ(status.sessions_max, 50u);
  EXPECT_EQ(status.blocks_large, options.large_blocks);
  EXPECT_EQ(status.blocks_large_free, options.large_blocks);
  EXPECT_EQ(status.blocks_small_free, options.small_blocks);
  EXPECT_EQ(status.starved, 0u);
  EXPECT_FALSE(status.accept_paused);
  client.Say("EHLO half");
  world_->Pass(kNsPerSecond);
  world_->io().set_descriptors_max(0);
  (void)Connect();
  world_->Pass(kNsPerSecond);
  world_->shard().PostStatusRequest();
  world_->Pass(kNsPerMs);
  EXPECT_EQ(status.blocks_small_free, options.small_blocks - 1);
  EXPECT_TRUE(status.accept_paused);
}

// Many clients that pipeline and do not read, and a backend that talks: the blocks they hold are
// bounded, and a client that behaves is served.
TEST_F(ShardTest, ThoseWhoDoNotReadHoldBoundedMemory) {
  WorldOptions options;
  options.io.socket_buffer = 8'192;
  Start(options);
  constexpr int kDeaf = 20;
  for (int i = 0; i < kDeaf; ++i) {
    ClientEnd& client = Connect();
    ASSERT_TRUE(Hears(client, "220 "));
    client.set_reading(false);
    std::string noops;
    for (int n = 0; n < 20'000; ++n) {
      noops += "FROBNICAT \r\n";  // refused by us: replies pile up without the backend
    }
    client.Say(noops);
  }
  world_->Pass(5 * kNsPerSecond);
  const std::size_t held = world_->pool().total_count(BlockSize::kLarge) -
                           world_->pool().free_count(BlockSize::kLarge) - options.io.lent_blocks;
  EXPECT_LE(held, static_cast<std::size_t>(kDeaf) * 8);
  EXPECT_TRUE(Hears(Connect(), "220 "));
}

// Replies that find no room are the client's to take: it has a command's time for that, not a
// backend's.
TEST_F(ShardTest, WhoDoesNotReadIsNotWaitedForLikeABackend) {
  WorldOptions options;
  options.io.socket_buffer = 2'048;
  options.command_timeout = 60 * kNsPerSecond;
  Start(options);
  AnswerEachWith("250-" + std::string(400, 'x') + "\r\n250 PIPELINING\r\n");
  ClientEnd& client = Connect();
  client.set_reading(false);
  client.Say("EHLO client\r\n" + Repeated("RSET\r\n", 2'000));
  world_->Pass(kPatience);
  ASSERT_TRUE(world_->ended().empty());
  world_->Pass(options.command_timeout);
  ASSERT_EQ(world_->ended().size(), 1u);
  EXPECT_EQ(CloseReasonName(world_->ended().back().reason), "client_timeout");
}

// A crowd that does not read has all the blocks there are. Those who behave wait a moment, no
// longer, and the crowd is ended in the order in which it stopped.
TEST_F(ShardTest, ThoseWhoDoNotReadCannotStarveTheOthers) {
  WorldOptions options;
  options.large_blocks = 64;
  options.small_blocks = 64;
  options.io.socket_buffer = 2'048;
  options.io.lent_blocks = 16;
  Start(options);
  ClientEnd& before = Connect();
  Greet(before);
  SimPeer backend = backends_.back();
  AnswerEachWith("250 " + std::string(400, 'x') + "\r\n");
  const std::string commands = Repeated("NOOP\r\n", 1'000);
  for (int i = 0; i < 60; ++i) {
    ClientEnd& client = Connect(Numbered(i).c_str());
    client.set_reading(false);
    client.Say(commands);
  }
  world_->Pass(100 * kNsPerMs);
  world_->shard().PostStatusRequest();
  world_->Pass(kNsPerMs);
  ASSERT_GT(world_->status().starved, 0u) << "the crowd is too small";
  ASSERT_EQ(world_->status().reclaimed, 0u);
  // One who was there before, and one who comes now.
  before.Say("NOOP\r\n");
  ASSERT_TRUE(world_->Until([&] { return backend.readable() > 0; }, 5 * kNsPerSecond));
  EXPECT_EQ(backend.Read(), "NOOP\r\n");
  backend.Write("250 ok\r\n");
  EXPECT_TRUE(Hears(before, "250 ok\r\n", 5 * kNsPerSecond));
  EXPECT_TRUE(Hears(Connect(), "220 ", 5 * kNsPerSecond));
  world_->shard().PostStatusRequest();
  world_->Pass(kNsPerMs);
  EXPECT_GT(world_->status().reclaimed, 0u);
  for (const EndedSession& ended : world_->ended()) {
    EXPECT_EQ(CloseReasonName(ended.reason), "client_timeout");
    EXPECT_NE(ended.client, "192.0.2.7:50000");
  }
}

// The other way to hold blocks: a long line without its end.
TEST_F(ShardTest, ThoseWhoDoNotEndTheirLineCannotStarveTheOthers) {
  WorldOptions options;
  options.large_blocks = 64;
  options.io.lent_blocks = 16;
  for (const bool one_client : {false, true}) {
    SCOPED_TRACE(one_client);
    Start(options);
    for (int i = 0; i < 80; ++i) {
      ClientEnd& client = one_client ? Connect() : Connect(Numbered(i).c_str());
      world_->Pass(2 * kNsPerMs);
      client.Say("AUTH PLAIN " + std::string(11'000, 'A'));
    }
    world_->Pass(10 * kNsPerMs);
    ClientEnd& late = Connect();  // of the same address, where that is one
    EXPECT_TRUE(Hears(late, "220 ", 5 * kNsPerSecond));
    Greet(late);
    TearDown();
  }
}

// Those who pipeline more than their backend has answered hold blocks, and if they have all of them
// even the answers find none: nothing would move until the time-outs. It is not the backend's
// fault. NOOP ends its group, so that those behind the first one wait here; RSET does not.
TEST_F(ShardTest, AFloodOfCommandsCannotKeepTheAnswersOut) {
  for (const std::string_view command : {"NOOP\r\n", "RSET\r\n"}) {
    SCOPED_TRACE(command);
    WorldOptions options;
    options.large_blocks = 64;
    options.io.lent_blocks = 16;
    Start(options);
    constexpr int kClients = 80;
    for (int i = 0; i < kClients; ++i) {
      Greet(Connect(Numbered(i).c_str()));
    }
    const std::string commands = Repeated(command, 10'000);
    for (const std::unique_ptr<ClientEnd>& client : clients_) {
      client->Say(commands);
    }
    world_->Pass(100 * kNsPerMs);
    world_->shard().PostStatusRequest();
    world_->Pass(kNsPerMs);
    ASSERT_GT(world_->status().starved, 0u) << "the flood is too small";
    for (SimPeer& backend : backends_) {
      if (!backend.Read().empty()) {
        backend.Write("250 ok\r\n");
      }
    }
    EXPECT_TRUE(Hears(Connect(), "220 ", 5 * kNsPerSecond));
    world_->Pass(5 * kNsPerSecond);
    EXPECT_FALSE(world_->ended().empty());
    for (const EndedSession& ended : world_->ended()) {
      EXPECT_EQ(CloseReasonName(ended.reason), "client_timeout");
    }
    TearDown();
  }
}

// Sessions of one client whose commands came before their answers have them done in turn: however
// many there are, what the mail server has to do for them is bounded, and others' commands are not
// behind it.
TEST_F(ShardTest, APipeliningClientsSessionsTakeTurns) {
  Start(WorldOptions());
  constexpr std::size_t kClients = 40;
  for (std::size_t i = 0; i < kClients; ++i) {
    Greet(Connect());
  }
  for (const std::unique_ptr<ClientEnd>& client : clients_) {
    client->Say(Repeated("NOOP\r\n", 100));
  }
  std::vector<std::size_t> done(kClients);
  const auto answer = [&] {
    std::size_t asked = 0;
    for (std::size_t i = 0; i < kClients; ++i) {
      if (!backends_[i].Read().empty()) {
        ++asked;
        ++done[i];
        backends_[i].Write("250 ok\r\n");
      }
    }
    world_->Pass(100 * kNsPerMs);
    return asked;
  };
  world_->Pass(100 * kNsPerMs);
  EXPECT_EQ(answer(),
            kClients);  // the first of each: it was sent before there was anything to wait for
  for (int round = 0; round < 20; ++round) {
    EXPECT_EQ(answer(), ClientShares::kTurns) << round;
    const auto [least, most] = std::minmax_element(done.begin(), done.end());
    EXPECT_LE(*most, *least + 1) << round;
  }
  ClientEnd& other = Connect("192.0.2.8");
  Greet(other);
  other.Say("NOOP\r\n");
  EXPECT_TRUE(world_->Until([&] { return backends_.back().readable() > 0; }, kPatience));
  // A turn ends with its session.
  for (std::size_t i = 0; i < kClients - ClientShares::kTurns; ++i) {
    clients_[i]->Reset();
    backends_[i].Reset();
  }
  world_->Pass(100 * kNsPerMs);
  for (std::size_t i = kClients - ClientShares::kTurns; i < kClients; ++i) {
    EXPECT_GT(backends_[i].readable(), 0u) << i;
  }
}

// Whoever came first: one client's sessions leave blocks for the next one.
TEST_F(ShardTest, OneClientCannotHoldAllBlocks) {
  WorldOptions options;
  options.large_blocks = 64;
  options.io.lent_blocks = 16;
  Start(options);
  for (int i = 0; i < 80; ++i) {
    ClientEnd& client = Connect();
    world_->Pass(2 * kNsPerMs);
    client.Say("AUTH PLAIN " + std::string(11'000, 'A'));
  }
  world_->Pass(10 * kNsPerMs);
  Greet(Connect("192.0.2.8"));
  world_->shard().PostStatusRequest();
  world_->Pass(kNsPerMs);
  EXPECT_GE(world_->status().blocks_large_free, options.large_blocks / 4);
  EXPECT_EQ(world_->status().starved, 0u);
  EXPECT_EQ(world_->status().reclaimed, 0u);
}

// A drip of octets is no movement.
TEST_F(ShardTest, ADripDoesNotKeepTheBlocks) {
  WorldOptions options;
  options.large_blocks = 40;
  options.io.lent_blocks = 16;
  Start(options);
  for (int i = 0; i < 60; ++i) {
    ClientEnd& client = Connect();
    world_->Pass(2 * kNsPerMs);
    client.Say("AUTH PLAIN " + std::string(3'000, 'A'));
  }
  for (int second = 0; second < 40; ++second) {
    for (const std::unique_ptr<ClientEnd>& client : clients_) {
      client->Say("A");
    }
    world_->Pass(kNsPerSecond / 2);
  }
  EXPECT_TRUE(Hears(Connect(), "220 ", 2 * kNsPerSecond));
}

// Each address has connect_timeout for itself, also where the one before it had used up its own.
TEST_F(ShardTest, EveryBackendHasItsOwnTimeToConnect) {
  WorldOptions options;
  options.backends = {SimBackend::kSilent, SimBackend::kSilent, SimBackend::kSilent};
  Start(options);
  ClientEnd& client = Connect();
  world_->Pass(29 * kNsPerSecond);
  EXPECT_EQ(client.received(), "");
  EXPECT_TRUE(Hears(client, "421 4.3.2", 2 * kNsPerSecond));
  ExpectEnd(CloseReason::kBackendConnect);
}

// What a backend may do to one client and not to others.
class ShardSuspicionTest : public ShardTest {
 protected:
  using Refusal = std::function<void(SimPeer&)>;

  // The first session's first connection meets `refusal`.
  void StartWith(const WorldOptions& options, Refusal refusal) {
    world_ = std::make_unique<SessionWorld>(options);
    world_->OnSessionBackend([this, refusal = std::move(refusal)](SimPeer peer) {
      backends_.push_back(peer);
      if (backends_.size() == 1) {
        refusal(backends_.back());
      } else {
        backends_.back().Write("220 back ready\r\n");
      }
    });
  }

  // Which address the latest session connection reached.
  [[nodiscard]] int Reached() const {
    return PortOf(backends_.back().address()) - PortOf(SessionWorld::BackendAddress(0));
  }
};

// A backend looks up who is calling, and that client's DNS may take its time; or it closes to that
// client only. The others keep their mail server.
TEST_F(ShardSuspicionTest, WhatOneClientMeetsIsNoReasonToLeaveTheBackend) {
  const std::pair<const char*, Refusal> refusals[] = {
      {"slow", [](SimPeer&) {}},
      {"closes", [](SimPeer& peer) { peer.Close(); }},
      {"resets", [](SimPeer& peer) { peer.Reset(); }},
      {"no SMTP", [](SimPeer& peer) { peer.Write("hello\r\n"); }},
  };
  for (const auto& [name, refusal] : refusals) {
    SCOPED_TRACE(name);
    WorldOptions options;
    options.backends = {SimBackend::kAccept, SimBackend::kAccept};
    StartWith(options, refusal);
    EXPECT_TRUE(Hears(Connect("192.0.2.7"), "220 ", 31 * kNsPerSecond));
    EXPECT_EQ(Reached(), 1);
    // The probe has asked in between.
    ASSERT_TRUE(world_->Until([&] { return !world_->probes().empty(); }, kPatience));
    EXPECT_TRUE(world_->probes().front().starts_with("proven"));
    EXPECT_TRUE(Hears(Connect("192.0.2.8"), "220 "));
    EXPECT_EQ(Reached(), 0);
    EXPECT_EQ(world_->backend_failures(), 1);
    EXPECT_EQ(world_->backend_recoveries(), 0);
    TearDown();
  }
}

// Also while the probe has no answer yet; and where it gets none, the address is passed over.
TEST_F(ShardSuspicionTest, TheProbeDecides) {
  WorldOptions options;
  options.backends = {SimBackend::kAccept, SimBackend::kAccept};
  StartWith(options, [](SimPeer&) {});
  world_->io().OnBackendAccept([this](SimPeer peer) {
    backends_.push_back(peer);
    if (Reached() == 1) {
      backends_.back().Write("220 back ready\r\n");
    }
  });
  EXPECT_TRUE(Hears(Connect("192.0.2.7"), "220 ", 31 * kNsPerSecond));
  ClientEnd& second = Connect("192.0.2.8");
  world_->Pass(20 * kNsPerSecond);
  EXPECT_EQ(second.received(), "");
  EXPECT_TRUE(Hears(second, "220 ", 11 * kNsPerSecond));
  EXPECT_TRUE(world_->Until([&] { return world_->probes().size() > 1; }, 40 * kNsPerSecond));
  EXPECT_EQ(world_->probes().back(), "failed ");
  EXPECT_TRUE(Hears(Connect("192.0.2.9"), "220 ", kNsPerSecond));
}

// A connection that fails has nothing to do with who is calling.
TEST_F(ShardSuspicionTest, WhoCannotBeConnectedToIsPassedOverAtOnce) {
  WorldOptions options;
  options.backends = {SimBackend::kSilent, SimBackend::kAccept};
  Start(options);
  EXPECT_TRUE(Hears(Connect("192.0.2.7"), "220 ", 11 * kNsPerSecond));
  EXPECT_TRUE(Hears(Connect("192.0.2.8"), "220 ", kNsPerSecond));
}

// The only address: nobody waits for the probe because of somebody else.
TEST_F(ShardSuspicionTest, WhoIsClosedToKeepsNobodyWaiting) {
  for (const BackendIdentity identity : {BackendIdentity::kNone, BackendIdentity::kProxyV2}) {
    WorldOptions options;
    options.identity = identity;
    StartWith(options, [](SimPeer& peer) { peer.Close(); });
    world_->io().OnBackendAccept([this](SimPeer peer) {
      backends_.push_back(peer);
      if (PoliteBackend::IsProbe(peer)) {
        return;  // it gets no answer
      }
      if (clients_.size() == 1) {
        backends_.back().Close();
      } else {
        backends_.back().Write("220 back ready\r\n");
      }
    });
    EXPECT_TRUE(Hears(Connect("192.0.2.7"), "421 "));
    EXPECT_TRUE(Hears(Connect("192.0.2.8"), "220 ", kNsPerSecond));
    TearDown();
  }
}

// An idle session keeps no large block, whatever it has half said.
TEST_F(ShardTest, AnIdleSessionHoldsNoLargeBlock) {
  Start(WorldOptions());
  std::vector<ClientEnd*> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(&Connect());
    ASSERT_TRUE(Hears(*clients.back(), "220 "));
    clients.back()->Say("EHLO half.a.li");
  }
  world_->Pass(kNsPerSecond);
  EXPECT_EQ(world_->pool().free_count(BlockSize::kLarge) + 256,
            world_->pool().total_count(BlockSize::kLarge));
  EXPECT_EQ(world_->pool().free_count(BlockSize::kSmall) + 20,
            world_->pool().total_count(BlockSize::kSmall));
}

TEST_F(ShardTest, ADrainRefusesNewClientsAndAStopEndsItAll) {
  Start(WorldOptions());
  ClientEnd& first = Connect();
  ASSERT_TRUE(Hears(first, "220 "));
  first.Say("EHLO x\r\nMAIL FROM:<a@b>\r\n");
  world_->Pass(kNsPerSecond);
  world_->shard().Post(ShardCommand::kDrain);
  world_->Pass(kNsPerSecond);
  EXPECT_FALSE(world_->Connect(SimAddress("192.0.2.8", 1)).connected());
  EXPECT_FALSE(world_->shard().finished());
  world_->shard().Post(ShardCommand::kStop);
  EXPECT_TRUE(world_->Until([&] { return world_->shard().finished(); }, kPatience));
  ASSERT_EQ(world_->ended().size(), 1u);
  EXPECT_EQ(CloseReasonName(world_->ended()[0].reason), "stop");
}

TEST_F(ShardTest, WhatIsHandedOverGoesOnUntilItEndsByItself) {
  Start(WorldOptions());
  ClientEnd& first = Connect();
  ClientEnd& second = Connect();
  ASSERT_TRUE(Hears(first, "220 "));
  ASSERT_TRUE(Hears(second, "220 "));
  EXPECT_FALSE(world_->shard().has_released());
  world_->shard().Post(ShardCommand::kHandOver);
  world_->Pass(kNsPerSecond);
  EXPECT_TRUE(world_->shard().has_released());
  EXPECT_FALSE(world_->Connect(SimAddress("192.0.2.8", 1)).connected());
  // None is in a transaction, and nobody is sent away for a successor's sake.
  first.Reset();
  ASSERT_TRUE(world_->Until([&] { return world_->ended().size() == 1; }, kPatience));
  EXPECT_EQ(second.received().find("421 "), std::string::npos);
  EXPECT_FALSE(world_->shard().finished());
  second.Reset();
  EXPECT_TRUE(world_->Until([&] { return world_->shard().finished(); }, kPatience));
  for (const EndedSession& session : world_->ended()) {
    EXPECT_NE(CloseReasonName(session.reason), "drain");
  }
}

TEST_F(ShardTest, AcceptsThatAreArmedAgainTakeClientsAsBefore) {
  Start(WorldOptions());
  ASSERT_TRUE(Hears(Connect(), "220 "));
  for (int times = 0; times < 3; ++times) {
    world_->shard().PostAcceptAgain();
    ASSERT_TRUE(Hears(Connect(), "220 "));
    world_->Pass(kNsPerSecond);
    ASSERT_TRUE(Hears(Connect(), "220 "));
  }
  EXPECT_EQ(world_->shard().session_count(), 7u);
}

TEST_F(ShardTest, WhatIsHandedOverAndNeverEndsIsDrained) {
  Start(WorldOptions());
  ClientEnd& idle = Connect();
  ASSERT_TRUE(Hears(idle, "220 "));
  world_->shard().Post(ShardCommand::kHandOver);
  world_->Pass(kNsPerSecond);
  EXPECT_EQ(world_->shard().session_count(), 1u);
  world_->Pass(Config().drain_timeout);
  EXPECT_NE(idle.received().find("\r\n421 4.3.2 "), std::string::npos);
  EXPECT_TRUE(world_->Until([&] { return world_->shard().finished(); }, kPatience));
  ASSERT_EQ(world_->ended().size(), 1u);
  EXPECT_EQ(CloseReasonName(world_->ended()[0].reason), "drain");
}

TEST_F(ShardTest, AnIdleShardWithoutSessionsEndsAtOnceWhenHandedOver) {
  Start(WorldOptions());
  world_->shard().Post(ShardCommand::kHandOver);
  EXPECT_TRUE(world_->Until([&] { return world_->shard().finished(); }, kNsPerSecond));
}

TEST_F(ShardTest, AnIdleShardWithoutSessionsEndsAtOnceWhenDrained) {
  Start(WorldOptions());
  world_->shard().Post(ShardCommand::kDrain);
  EXPECT_TRUE(world_->Until([&] { return world_->shard().finished(); }, kNsPerSecond));
}

// A mail server that reads `header_max` octets of a PROXY header, and closes where one is longer;
// its first connections it closes anyway.
class ShardProbeTest : public testing::Test {
 protected:
  void Serve(std::size_t header_max, int closes) {
    WorldOptions options;
    options.identity = BackendIdentity::kProxyV2;
    options.proven = false;
    world_ = std::make_unique<SessionWorld>(options);
    world_->io().OnBackendAccept([this, header_max, closes](SimPeer peer) {
      peers_.push_back(std::make_unique<SimPeer>(std::move(peer)));
      SimPeer& here = *peers_.back();
      const bool close = std::ssize(peers_) <= closes;
      here.OnChange([this, &here, header_max, close] {
        if (here.readable() == 0) return;
        if (close || here.readable() > header_max) {
          here.Close();
        } else {
          polite_.Take(here);
        }
      });
    });
    EXPECT_TRUE(world_->Until([this] { return !world_->probes().empty(); }, 10 * kNsPerSecond));
  }
  void TearDown() override {
    world_->Finish();
    peers_.clear();
    world_.reset();
  }

  std::unique_ptr<SessionWorld> world_;
  PoliteBackend polite_{BackendIdentity::kProxyV2};
  std::vector<std::unique_ptr<SimPeer>> peers_;
};

TEST_F(ShardProbeTest, AServerThatTakesLongHeadersIsAskedOnce) {
  Serve(kProxyHeaderMax, 0);
  EXPECT_EQ(world_->probes(),
            std::vector<std::string>{"proven " + std::to_string(kProxyHeaderMax)});
  EXPECT_EQ(peers_.size(), 1u);
}

// Longest, 232, 107, and the longest again.
TEST_F(ShardProbeTest, AServerThatTakesLittleIsGivenLittle) {
  Serve(107, 0);
  EXPECT_EQ(world_->probes(), std::vector<std::string>{"proven 107"});
  EXPECT_EQ(peers_.size(), 4u);
}

TEST_F(ShardProbeTest, AServerThatEndsInAProbeIsNotOneThatTakesLittle) {
  Serve(kProxyHeaderMax, 1);
  EXPECT_EQ(world_->probes(),
            std::vector<std::string>{"proven " + std::to_string(kProxyHeaderMax)});
  EXPECT_EQ(peers_.size(), 3u);
}

TEST_F(ShardProbeTest, AServerThatClosesAlwaysIsNotProven) {
  Serve(0, 0);
  EXPECT_EQ(world_->probes(), std::vector<std::string>{"failed "});
  EXPECT_EQ(peers_.size(), 5u);
}

}  // namespace
}  // namespace ringpost
