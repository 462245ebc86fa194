// SPDX-License-Identifier: GPL-3.0-or-later
//
// What io/io.h promises, asked of the real ring over loopback and of the simulated one. Where Linux
// is particular, the test says what Linux does, and the simulation has to follow.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io_world.h"

namespace ringpost {
namespace {

using WorldMaker = std::unique_ptr<IoWorld> (*)();

class ContractTest : public testing::TestWithParam<WorldMaker> {
 protected:
  ContractTest() : world_(GetParam()()) {
    std::uint64_t user_data = 1;
    for (Operation* operation :
         {&accept_, &connect_, &recv_, static_cast<Operation*>(&send_), &cancel_, &event_}) {
      operation->user_data = user_data++;
      world_->Track(*operation);
    }
  }

  Io& io() { return world_->io(); }

  // A connection as the server sees it: our descriptor and the peer.
  void Establish() {
    listener_ = world_->Listen();
    io().Accept(accept_, listener_);
    peer_ = world_->ConnectTo(listener_);
    ASSERT_TRUE(world_->Until([&] { return !world_->completions(accept_).empty(); }));
    fd_ = world_->completions(accept_).front().result;
    ASSERT_GE(fd_, 0);
  }

  void Receive(RecvHint hint = RecvHint::kDataUnlikely) { io().Recv(recv_, fd_, hint); }

  void Send(std::vector<std::string_view> pieces, SendHint hint = SendHint::kAtOnce) {
    io().Send(send_, fd_, pieces, hint);
  }

  // What the peer hears until it has our FIN.
  std::string HeardToTheEnd() {
    std::string received;
    EXPECT_TRUE(world_->Until([&] {
      received += peer_->Read();
      return peer_->ended();
    }));
    return received;
  }

  void StopAccepting() {
    if (accept_.in_flight) {
      io().Cancel(cancel_, accept_);
      ASSERT_TRUE(world_->Until([&] { return !accept_.in_flight && !cancel_.in_flight; }));
      EXPECT_EQ(world_->result(accept_), -ECANCELED);
      EXPECT_EQ(world_->result(cancel_), 0);
    }
  }

  void TearDown() override {
    StopAccepting();
    for (const int fd : {fd_, listener_}) {
      if (fd >= 0) {
        io().CloseSocket(fd);
      }
    }
    peer_.reset();
    BufferPool& pool = world_->pool();
    for (Operation* operation :
         {&accept_, &connect_, &recv_, static_cast<Operation*>(&send_), &cancel_, &event_}) {
      EXPECT_FALSE(operation->in_flight);
      (void)world_->TakeOctets(*operation);
    }
    // All but what is lent to the ring; the pool itself CHECKs the rest when it goes.
    EXPECT_EQ(pool.free_count(BlockSize::kLarge) + IoWorld::kLentBlocks, IoWorld::kLargeBlocks);
  }

  std::unique_ptr<IoWorld> world_;
  Operation accept_;
  Operation connect_;
  Operation recv_;
  SendOperation send_;
  Operation cancel_;
  Operation event_;
  std::unique_ptr<IoPeer> peer_;
  int listener_ = -1;
  int fd_ = -1;
};

std::string Pattern(std::size_t length) {
  std::string text(length, '\0');
  for (std::size_t i = 0; i < length; ++i) {
    text[i] = static_cast<char>('!' + (i * 7 + i / 251) % 90);
  }
  return text;
}

// --- Accept

TEST_P(ContractTest, OneAcceptTakesManyConnections) {
  Establish();
  std::vector<std::unique_ptr<IoPeer>> peers;
  for (int i = 0; i < 5; ++i) {
    peers.push_back(world_->ConnectTo(listener_));
  }
  ASSERT_TRUE(world_->Until([&] { return world_->completions(accept_).size() == 6; }));
  EXPECT_TRUE(accept_.in_flight);
  for (std::size_t i = 1; i < 6; ++i) {
    const Completion& completion = world_->completions(accept_)[i];
    EXPECT_TRUE(completion.more);
    SocketAddress address{};
    EXPECT_EQ(io().PeerAddress(completion.result, &address), 0);
    EXPECT_EQ(address.any.sa_family, AF_INET);
    EXPECT_EQ(io().LocalAddress(completion.result, &address), 0);
    io().CloseSocket(completion.result);
  }
}

TEST_P(ContractTest, AnAcceptOfOneLeavesTheOthersInTheQueue) {
  listener_ = world_->Listen();
  std::vector<std::unique_ptr<IoPeer>> peers;
  for (int i = 0; i < 2; ++i) {
    peers.push_back(world_->ConnectTo(listener_));
  }
  for (std::size_t taken = 1; taken <= 3; ++taken) {
    io().AcceptOne(accept_, listener_);
    if (taken == 3) {  // one that waits
      EXPECT_TRUE(accept_.in_flight);
      peers.push_back(world_->ConnectTo(listener_));
    }
    ASSERT_TRUE(world_->UntilDone(accept_));
    ASSERT_EQ(world_->completions(accept_).size(), taken);
    EXPECT_FALSE(world_->completions(accept_).back().more);
    ASSERT_GE(world_->result(accept_), 0);
    io().CloseSocket(world_->result(accept_));
  }
}

TEST_P(ContractTest, AnAcceptWithoutDescriptorsEndsAndTheConnectionIsTakenLater) {
  Establish();
  StopAccepting();
  const std::unique_ptr<IoPeer> second = world_->ConnectTo(listener_);
  world_->ExhaustDescriptors();
  io().Accept(accept_, listener_);
  ASSERT_TRUE(world_->UntilDone(accept_));
  EXPECT_EQ(world_->result(accept_), -EMFILE);
  EXPECT_FALSE(world_->completions(accept_).back().more);
  EXPECT_EQ(io().OpenSocket(AF_INET), -EMFILE);

  world_->ReturnDescriptors();
  const std::size_t before = world_->completions(accept_).size();
  io().Accept(accept_, listener_);
  ASSERT_TRUE(world_->Until([&] { return world_->completions(accept_).size() > before; }));
  EXPECT_GE(world_->result(accept_), 0);
  io().CloseSocket(world_->result(accept_));
}

TEST_P(ContractTest, AClientThatIsGoneWhenItIsAcceptedHasNoAddress) {
  listener_ = world_->Listen();
  peer_ = world_->ConnectTo(listener_);
  peer_->Reset();
  io().Accept(accept_, listener_);
  ASSERT_TRUE(world_->Until([&] { return !world_->completions(accept_).empty(); }));
  fd_ = world_->completions(accept_).front().result;
  ASSERT_GE(fd_, 0);
  SocketAddress address{};
  EXPECT_EQ(io().PeerAddress(fd_, &address), -ENOTCONN);
  Receive();
  ASSERT_TRUE(world_->UntilDone(recv_));
  EXPECT_EQ(world_->result(recv_), -ECONNRESET);
}

// --- Connect

TEST_P(ContractTest, ConnectToABackend) {
  const SocketAddress address = world_->BackendAddress(IoWorld::Backend::kAccepts);
  fd_ = io().OpenSocket(AF_INET);
  ASSERT_GE(fd_, 0);
  io().Connect(connect_, fd_, &address.any, sizeof address.in, ConnectHint::kAtOnce);
  ASSERT_TRUE(world_->UntilDone(connect_));
  EXPECT_EQ(world_->result(connect_), 0);
  SocketAddress actual{};
  ASSERT_EQ(io().PeerAddress(fd_, &actual), 0);
  EXPECT_EQ(actual.in.sin_port, address.in.sin_port);
  peer_ = world_->AcceptAtBackend();
  Send({"EHLO x\r\n"});
  ASSERT_TRUE(world_->UntilDone(send_));
  EXPECT_EQ(peer_->Read(), "EHLO x\r\n");
}

TEST_P(ContractTest, ConnectRefused) {
  const SocketAddress address = world_->BackendAddress(IoWorld::Backend::kRefuses);
  fd_ = io().OpenSocket(AF_INET);
  io().Connect(connect_, fd_, &address.any, sizeof address.in, ConnectHint::kAtOnce);
  ASSERT_TRUE(world_->UntilDone(connect_));
  EXPECT_EQ(world_->result(connect_), -ECONNREFUSED);
}

TEST_P(ContractTest, AConnectNobodyAnswersEndsWithACancel) {
  const SocketAddress address = world_->BackendAddress(IoWorld::Backend::kSilent);
  fd_ = io().OpenSocket(AF_INET);
  io().Connect(connect_, fd_, &address.any, sizeof address.in, ConnectHint::kAtOnce);
  world_->Turn(0);
  world_->Turn(0);
  EXPECT_TRUE(connect_.in_flight);
  io().Cancel(cancel_, connect_);
  ASSERT_TRUE(world_->Until([&] { return !connect_.in_flight && !cancel_.in_flight; }));
  EXPECT_EQ(world_->result(connect_), -ECANCELED);
}

TEST_P(ContractTest, AConnectNobodyAnswersEndsWithAShutdown) {
  const SocketAddress address = world_->BackendAddress(IoWorld::Backend::kSilent);
  fd_ = io().OpenSocket(AF_INET);
  io().Connect(connect_, fd_, &address.any, sizeof address.in, ConnectHint::kAtOnce);
  world_->Turn(0);
  world_->Turn(0);
  EXPECT_TRUE(connect_.in_flight);
  io().ShutdownBoth(fd_);
  ASSERT_TRUE(world_->UntilDone(connect_));
  EXPECT_EQ(world_->result(connect_), -ECONNRESET);
}

// --- Receive

TEST_P(ContractTest, ReceiveWhatIsThereAndWhatComesLater) {
  Establish();
  for (const RecvHint hint : {RecvHint::kDataLikely, RecvHint::kDataUnlikely}) {
    peer_->Write("EHLO there\r\n");
    Receive(hint);
    ASSERT_TRUE(world_->UntilDone(recv_));
    EXPECT_EQ(world_->result(recv_), 12);
    EXPECT_EQ(world_->TakeOctets(recv_), "EHLO there\r\n");

    Receive(hint);
    world_->Turn(0);
    EXPECT_TRUE(recv_.in_flight);
    peer_->Write("later");
    ASSERT_TRUE(world_->UntilDone(recv_));
    EXPECT_EQ(world_->TakeOctets(recv_), "later");
  }
}

TEST_P(ContractTest, AReceiveTakesOneBlockAtMost) {
  Establish();
  const std::string text = Pattern(40'000);
  ASSERT_EQ(peer_->Write(text), text.size());
  std::string received;
  while (received.size() < text.size()) {
    Receive();
    ASSERT_TRUE(world_->UntilDone(recv_));
    ASSERT_GT(world_->result(recv_), 0);
    ASSERT_LE(world_->result(recv_), static_cast<int>(BufferPool::kLargeBytes));
    received += world_->TakeOctets(recv_);
  }
  EXPECT_EQ(received, text);
}

TEST_P(ContractTest, ADirectReceiveTakesWhatIsThereIntoAllItsBlocks) {
  Establish();
  std::array<BlockId, 3> blocks;
  for (BlockId& block : blocks) {
    block = world_->pool().Take(BlockSize::kLarge).value();
  }
  EXPECT_EQ(io().RecvNow(fd_, blocks), -EAGAIN);
  const std::string text = Pattern(40'000);
  ASSERT_EQ(peer_->Write(text), text.size());
  std::string received;
  ASSERT_TRUE(world_->Until([&] {
    const int result = io().RecvNow(fd_, blocks);
    for (int done = 0; done < result;) {
      const BlockId block = blocks[static_cast<std::size_t>(done) / BufferPool::kLargeBytes];
      const int part = std::min(result - done, static_cast<int>(BufferPool::kLargeBytes));
      received.append(reinterpret_cast<const char*>(world_->pool().data(block)),
                      static_cast<std::size_t>(part));
      done += part;
    }
    return received.size() == text.size();
  }));
  EXPECT_EQ(received, text);
  peer_->CloseSend();
  ASSERT_TRUE(world_->Until([&] { return io().RecvNow(fd_, blocks) == 0; }));
  for (const BlockId block : blocks) {
    world_->pool().Release(block);
  }
}

TEST_P(ContractTest, ADirectReceiveReportsTheResetOnce) {
  Establish();
  const BlockId block = world_->pool().Take(BlockSize::kLarge).value();
  peer_->Reset();
  int result = -EAGAIN;
  ASSERT_TRUE(world_->Until([&] { return (result = io().RecvNow(fd_, {&block, 1})) != -EAGAIN; }));
  EXPECT_EQ(result, -ECONNRESET);
  EXPECT_EQ(io().RecvNow(fd_, {&block, 1}), 0);
  world_->pool().Release(block);
}

TEST_P(ContractTest, EndOfFileBehindTheLastOctets) {
  Establish();
  peer_->Write("QUIT\r\n");
  peer_->CloseSend();
  Receive();
  ASSERT_TRUE(world_->UntilDone(recv_));
  EXPECT_EQ(world_->TakeOctets(recv_), "QUIT\r\n");
  for (int i = 0; i < 2; ++i) {
    Receive();
    ASSERT_TRUE(world_->UntilDone(recv_));
    EXPECT_EQ(world_->result(recv_), 0);
    EXPECT_EQ(world_->completions(recv_).back().block, kNoBlock);
  }
  // Half closed: what we say still arrives.
  Send({"221 bye\r\n"});
  ASSERT_TRUE(world_->UntilDone(send_));
  EXPECT_EQ(peer_->Read(), "221 bye\r\n");
}

TEST_P(ContractTest, AnArmedReceiveSeesTheReset) {
  Establish();
  Receive();
  world_->Turn(0);
  peer_->Reset();
  ASSERT_TRUE(world_->UntilDone(recv_));
  EXPECT_EQ(world_->result(recv_), -ECONNRESET);
  // The error is reported once; then it is the end.
  Receive();
  ASSERT_TRUE(world_->UntilDone(recv_));
  EXPECT_EQ(world_->result(recv_), 0);
}

TEST_P(ContractTest, OctetsBeforeAResetCanStillBeRead) {
  Establish();
  peer_->Write("MAIL FROM:<a@b>\r\n");
  peer_->Reset();
  Receive();
  ASSERT_TRUE(world_->UntilDone(recv_));
  EXPECT_EQ(world_->TakeOctets(recv_), "MAIL FROM:<a@b>\r\n");
  Receive();
  ASSERT_TRUE(world_->UntilDone(recv_));
  EXPECT_EQ(world_->result(recv_), -ECONNRESET);
}

TEST_P(ContractTest, ShutdownEndsAnArmedReceive) {
  Establish();
  Receive();
  world_->Turn(0);
  io().ShutdownBoth(fd_);
  ASSERT_TRUE(world_->UntilDone(recv_));
  EXPECT_EQ(world_->result(recv_), 0);
  EXPECT_TRUE(world_->Until([&] { return peer_->ended(); }));
  // And one that is collected but not yet handed over, or comes after.
  Receive();
  ASSERT_TRUE(world_->UntilDone(recv_));
  EXPECT_EQ(world_->result(recv_), 0);
  Send({"x"});
  ASSERT_TRUE(world_->UntilDone(send_));
  EXPECT_EQ(world_->result(send_), -EPIPE);
}

TEST_P(ContractTest, WithoutBlocksReceiveSaysSoAndRecovers) {
  Establish();
  std::vector<BlockId> taken;
  // Take what is free, and let receives take what is lent.
  while (const std::optional<BlockId> block = world_->pool().Take(BlockSize::kLarge)) {
    taken.push_back(*block);
  }
  std::string expected;
  for (unsigned i = 0; i < IoWorld::kLentBlocks; ++i) {
    peer_->Write("x");
    Receive();
    ASSERT_TRUE(world_->UntilDone(recv_));
    ASSERT_EQ(world_->result(recv_), 1) << i;
  }
  // Nothing is there to receive: only who polls first does not notice that blocks are missing.
  Receive(RecvHint::kDataLikely);
  ASSERT_TRUE(world_->UntilDone(recv_));
  EXPECT_EQ(world_->result(recv_), -ENOBUFS);
  Receive(RecvHint::kDataUnlikely);
  world_->Turn(0);
  EXPECT_TRUE(recv_.in_flight);
  peer_->Write("no room");
  ASSERT_TRUE(world_->UntilDone(recv_));
  EXPECT_EQ(world_->result(recv_), -ENOBUFS);
  for (const RecvHint hint : {RecvHint::kDataLikely, RecvHint::kDataUnlikely}) {
    Receive(hint);
    ASSERT_TRUE(world_->UntilDone(recv_));
    EXPECT_EQ(world_->result(recv_), -ENOBUFS);
  }
  EXPECT_FALSE(io().CanReceive());
  // Not even this many blocks are lent: they are the output's.
  for (std::size_t i = 0; i < IoWorld::kReserveBlocks; ++i) {
    world_->pool().Release(taken.back());
    taken.pop_back();
  }
  Receive();
  ASSERT_TRUE(world_->UntilDone(recv_));
  EXPECT_EQ(world_->result(recv_), -ENOBUFS);

  EXPECT_FALSE(io().CanReceive());
  world_->pool().Release(taken.back());
  taken.pop_back();
  EXPECT_TRUE(io().CanReceive());
  (void)world_->TakeOctets(recv_);
  Receive();
  ASSERT_TRUE(world_->UntilDone(recv_));
  EXPECT_EQ(world_->TakeOctets(recv_), "no room");
  for (const BlockId block : taken) {
    world_->pool().Release(block);
  }
  world_->Turn(0);  // lends again what was missing
}

// --- Send

TEST_P(ContractTest, SendOfSeveralPiecesArrivesInOrder) {
  Establish();
  Send({"250-one\r\n", "250-two\r\n", "250 three\r\n"});
  ASSERT_TRUE(world_->UntilDone(send_));
  EXPECT_EQ(world_->result(send_), 29);
  EXPECT_EQ(send_.octets, 29u);
  std::string received;
  ASSERT_TRUE(world_->Until([&] { return (received += peer_->Read()).size() >= 29; }));
  EXPECT_EQ(received, "250-one\r\n250-two\r\n250 three\r\n");
}

TEST_P(ContractTest, ASendLargerThanTheSocketCompletesOnlyWhole) {
  Establish();
  // More than loopback takes without a reader.
  const std::string text = Pattern(24 * 1024 * 1024);
  std::vector<std::string_view> pieces;
  for (std::size_t i = 0; i < SendOperation::kPiecesMax; ++i) {
    pieces.push_back(std::string_view(text).substr(i * text.size() / 8, text.size() / 8));
  }
  Send(pieces);
  world_->Turn(0);
  world_->Turn(0);
  EXPECT_TRUE(send_.in_flight);
  std::string received;
  ASSERT_TRUE(world_->Until([&] {
    received += peer_->Read();
    return received.size() == text.size();
  }));
  ASSERT_TRUE(world_->UntilDone(send_));
  EXPECT_EQ(world_->completions(send_).size(), 1u);
  EXPECT_EQ(world_->result(send_), static_cast<int>(text.size()));
  EXPECT_TRUE(received == text);
}

TEST_P(ContractTest, ShutdownEndsASendThatIsStuck) {
  Establish();
  const std::string text = Pattern(24 * 1024 * 1024);
  Send({text});
  world_->Turn(0);
  world_->Turn(0);
  ASSERT_TRUE(send_.in_flight);
  io().ShutdownBoth(fd_);
  ASSERT_TRUE(world_->UntilDone(send_));
  EXPECT_GT(world_->result(send_), 0);  // the part that was taken
  EXPECT_LT(world_->result(send_), static_cast<int>(text.size()));
}

TEST_P(ContractTest, SendToAPeerThatIsGone) {
  Establish();
  peer_->Reset();
  // The reset is on its way: wait for it where the receive sees it.
  Receive();
  ASSERT_TRUE(world_->UntilDone(recv_));
  ASSERT_EQ(world_->result(recv_), -ECONNRESET);
  Send({"250 ok\r\n"});
  ASSERT_TRUE(world_->UntilDone(send_));
  EXPECT_EQ(world_->result(send_), -EPIPE);
}

TEST_P(ContractTest, SendToAPeerThatClosedIsAnsweredByAReset) {
  Establish();
  peer_->Close();
  Receive();
  ASSERT_TRUE(world_->UntilDone(recv_));
  EXPECT_EQ(world_->result(recv_), 0);
  Send({"421 too late\r\n"});
  ASSERT_TRUE(world_->UntilDone(send_));
  EXPECT_EQ(world_->result(send_), 14);
  Send({"421 really\r\n"});
  ASSERT_TRUE(world_->UntilDone(send_));
  EXPECT_EQ(world_->result(send_), -EPIPE);
}

TEST_P(ContractTest, ShutdownSendIsBehindTheOctets) {
  Establish();
  Send({"221 bye\r\n"});
  ASSERT_TRUE(world_->UntilDone(send_));
  io().ShutdownSend(fd_);
  EXPECT_EQ(HeardToTheEnd(), "221 bye\r\n");
  peer_->Write("still heard");
  Receive();
  ASSERT_TRUE(world_->UntilDone(recv_));
  EXPECT_EQ(world_->TakeOctets(recv_), "still heard");
}

TEST_P(ContractTest, OctetsThatWaitForTheFinArriveWithIt) {
  Establish();
  Send({"221 ", "bye\r\n"}, SendHint::kFinFollows);
  ASSERT_TRUE(world_->UntilDone(send_));
  EXPECT_EQ(world_->result(send_), 9);
  io().ShutdownSend(fd_);
  EXPECT_EQ(HeardToTheEnd(), "221 bye\r\n");
}

TEST_P(ContractTest, OctetsThatWaitForTheFinArriveWithTheClose) {
  Establish();
  Send({"221 bye\r\n"}, SendHint::kFinFollows);
  ASSERT_TRUE(world_->UntilDone(send_));
  io().CloseSocket(std::exchange(fd_, -1));
  EXPECT_EQ(HeardToTheEnd(), "221 bye\r\n");
}

TEST_P(ContractTest, OctetsThatWaitForTheFinMayBeMoreThanTheSocketTakes) {
  Establish();
  const std::string text = Pattern(24 * 1024 * 1024);
  Send({text}, SendHint::kFinFollows);
  std::string received;
  ASSERT_TRUE(world_->Until([&] {
    received += peer_->Read();
    return !send_.in_flight;
  }));
  io().ShutdownSend(fd_);
  received += HeardToTheEnd();
  EXPECT_TRUE(received == text);
}

TEST_P(ContractTest, ClosingWithUnreadOctetsResetsThePeer) {
  Establish();
  peer_->Write("unread");
  Receive();
  ASSERT_TRUE(world_->UntilDone(recv_));
  (void)world_->TakeOctets(recv_);
  peer_->Write("more");
  io().CloseSocket(std::exchange(fd_, -1));
  EXPECT_TRUE(world_->Until([&] { return peer_->ended(); }));
  EXPECT_EQ(peer_->Write("x"), 0u);  // reset, not half closed
}

TEST_P(ContractTest, AWordBeforeTheClose) {
  Establish();
  io().TrySend(fd_, "421 too many\r\n");
  io().ShutdownSend(fd_);
  io().CloseSocket(std::exchange(fd_, -1));
  EXPECT_EQ(HeardToTheEnd(), "421 too many\r\n");
}

// --- Cancel

TEST_P(ContractTest, CancelEndsAnArmedReceive) {
  Establish();
  Receive();
  world_->Turn(0);
  io().Cancel(cancel_, recv_);
  ASSERT_TRUE(world_->Until([&] { return !recv_.in_flight && !cancel_.in_flight; }));
  EXPECT_EQ(world_->result(recv_), -ECANCELED);
  EXPECT_EQ(world_->result(cancel_), 0);
  // Nothing was lost: the next receive has it.
  peer_->Write("after");
  Receive();
  ASSERT_TRUE(world_->UntilDone(recv_));
  EXPECT_EQ(world_->TakeOctets(recv_), "after");
}

TEST_P(ContractTest, CancelOfWhatIsNotThere) {
  io().Cancel(cancel_, recv_);
  ASSERT_TRUE(world_->UntilDone(cancel_));
  EXPECT_EQ(world_->result(cancel_), -ENOENT);
}

TEST_P(ContractTest, ACancelThatComesTooLateLosesNothing) {
  Establish();
  for (int i = 0; i < 20; ++i) {
    Receive();
    world_->Turn(0);
    peer_->Write("x");
    io().Cancel(cancel_, recv_);
    ASSERT_TRUE(world_->Until([&] { return !recv_.in_flight && !cancel_.in_flight; }));
    const int result = world_->result(recv_);
    ASSERT_TRUE(result == 1 || result == -ECANCELED) << result;
    const int cancel_result = world_->result(cancel_);
    ASSERT_TRUE(cancel_result == 0 || cancel_result == -ENOENT || cancel_result == -EALREADY);
    if (result != 1) {
      Receive();
      ASSERT_TRUE(world_->UntilDone(recv_));
    }
    EXPECT_EQ(world_->TakeOctets(recv_), "x");
  }
}

// --- Wait and events

TEST_P(ContractTest, WaitReturnsWhenItsTimeIsOver) {
  std::array<Completion, 4> completions;
  const TimeNs before = io().Now();
  EXPECT_EQ(io().Wait(20 * kNsPerMs, completions), 0u);
  EXPECT_GE(io().Now() - before, 19 * kNsPerMs);
  EXPECT_EQ(io().Wait(0, completions), 0u);
}

TEST_P(ContractTest, WaitFillsNoMoreThanItWasGiven) {
  Establish();
  std::vector<std::unique_ptr<IoPeer>> peers;
  for (int i = 0; i < 5; ++i) {
    peers.push_back(world_->ConnectTo(listener_));
  }
  std::array<Completion, 2> completions;
  std::size_t total = 0;
  for (int turn = 0; turn < 100 && total < 5; ++turn) {
    const std::size_t count = io().Wait(kNsPerSecond, completions);
    ASSERT_LE(count, 2u);
    for (std::size_t i = 0; i < count; ++i) {
      accept_.Complete(completions[i]);
      io().CloseSocket(completions[i].result);
    }
    total += count;
  }
  EXPECT_EQ(total, 5u);
}

TEST_P(ContractTest, MoreRequestsThanTheQueueHolds) {
  Establish();
  std::vector<std::unique_ptr<Operation>> cancels;
  for (std::uint64_t i = 0; i < 50; ++i) {
    cancels.push_back(std::make_unique<Operation>());
    cancels.back()->user_data = 1'000 + i;
    world_->Track(*cancels.back());
    io().Cancel(*cancels.back(), recv_);
  }
  for (const std::unique_ptr<Operation>& cancel : cancels) {
    ASSERT_TRUE(world_->UntilDone(*cancel));
    EXPECT_EQ(world_->result(*cancel), -ENOENT);
  }
}

TEST_P(ContractTest, AnEventWakes) {
  const int event = world_->OpenEvent();
  std::uint64_t value = 0;
  io().ReadEvent(event_, event, &value);
  world_->Turn(0);
  EXPECT_TRUE(event_.in_flight);
  const std::uint64_t one = 1;
  ASSERT_EQ(write(event, &one, sizeof one), 8);
  ASSERT_EQ(write(event, &one, sizeof one), 8);
  ASSERT_TRUE(world_->UntilDone(event_));
  EXPECT_EQ(world_->result(event_), 8);
  EXPECT_EQ(value, 2u);
  // Armed again and cancelled.
  io().ReadEvent(event_, event, &value);
  world_->Turn(0);
  io().Cancel(cancel_, event_);
  ASSERT_TRUE(world_->Until([&] { return !event_.in_flight && !cancel_.in_flight; }));
  EXPECT_EQ(world_->result(event_), -ECANCELED);
}

INSTANTIATE_TEST_SUITE_P(Uring, ContractTest, testing::Values(&MakeRealWorld));
INSTANTIATE_TEST_SUITE_P(Sim, ContractTest, testing::Values(&MakeSimWorld));

}  // namespace
}  // namespace ringpost
