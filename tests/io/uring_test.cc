// SPDX-License-Identifier: GPL-3.0-or-later
//
// What only the real ring can show: what leaves on the wire.
#include "ringpost/io/uring.h"

#include <gtest/gtest.h>
#include <linux/tcp.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "io_world.h"

namespace ringpost {
namespace {

std::uint32_t SegmentsSent(int fd) {
  tcp_info info{};
  socklen_t length = sizeof info;
  EXPECT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
  return info.tcpi_segs_out;
}

// The segments of "221 bye" and the FIN behind it.
std::uint32_t SegmentsOfAnEnd(SendHint hint) {
  const std::unique_ptr<IoWorld> world = MakeRealWorld();
  Io& io = world->io();
  Operation accept;
  Operation cancel;
  SendOperation send;
  std::uint64_t user_data = 1;
  for (Operation* operation : {&accept, &cancel, static_cast<Operation*>(&send)}) {
    operation->user_data = user_data++;
    world->Track(*operation);
  }
  const int listener = world->Listen();
  io.Accept(accept, listener);
  const std::unique_ptr<IoPeer> peer = world->ConnectTo(listener);
  EXPECT_TRUE(world->Until([&] { return !world->completions(accept).empty(); }));
  const int fd = world->completions(accept).front().result;
  const std::uint32_t before = SegmentsSent(fd);
  const std::array<std::string_view, 1> pieces = {"221 bye\r\n"};
  io.Send(send, fd, pieces, hint);
  EXPECT_TRUE(world->UntilDone(send));
  io.ShutdownSend(fd);
  const std::uint32_t after = SegmentsSent(fd);
  io.Cancel(cancel, accept);
  EXPECT_TRUE(world->Until([&] { return !accept.in_flight && !cancel.in_flight; }));
  io.CloseSocket(fd);
  io.CloseSocket(listener);
  return after - before;
}

// The segments of a connect and the octets behind it.
std::uint32_t SegmentsOfABeginning(ConnectHint hint) {
  const std::unique_ptr<IoWorld> world = MakeRealWorld();
  Io& io = world->io();
  Operation connect;
  SendOperation send;
  std::uint64_t user_data = 1;
  for (Operation* operation : {&connect, static_cast<Operation*>(&send)}) {
    operation->user_data = user_data++;
    world->Track(*operation);
  }
  const SocketAddress address = world->BackendAddress(IoWorld::Backend::kAccepts);
  const int fd = io.OpenSocket(AF_INET);
  io.Connect(connect, fd, &address.any, sizeof address.in, hint);
  EXPECT_TRUE(world->UntilDone(connect));
  EXPECT_EQ(world->result(connect), 0);
  const std::array<std::string_view, 1> pieces = {"PROXY UNKNOWN\r\n"};
  io.Send(send, fd, pieces, SendHint::kAtOnce);
  EXPECT_TRUE(world->UntilDone(send));
  const std::unique_ptr<IoPeer> peer = world->AcceptAtBackend();
  std::string received;
  EXPECT_TRUE(world->Until([&] { return (received += peer->Read()).size() >= 15; }));
  EXPECT_EQ(received, pieces.front());
  const std::uint32_t segments = SegmentsSent(fd);
  io.CloseSocket(fd);
  return segments;
}

// The ACKs without octets that AckNow() brings about at once, and that reading the next octets
// does, which are not answered either.
struct Acks {
  std::uint32_t now = 0;
  std::uint32_t next = 0;
  bool operator==(const Acks&) const = default;
};
Acks AcksOf(AckHint hint) {
  const std::unique_ptr<IoWorld> world = MakeRealWorld();
  Io& io = world->io();
  Operation accept;
  Operation cancel;
  Operation recv;
  SendOperation send;
  std::uint64_t user_data = 1;
  for (Operation* operation : {&accept, &cancel, &recv, static_cast<Operation*>(&send)}) {
    operation->user_data = user_data++;
    world->Track(*operation);
  }
  const int listener = world->Listen();
  io.Accept(accept, listener);
  const std::unique_ptr<IoPeer> peer = world->ConnectTo(listener);
  EXPECT_TRUE(world->Until([&] { return !world->completions(accept).empty(); }));
  const int fd = world->completions(accept).front().result;
  const auto receive = [&] {
    peer->Write("NOOP\r\n");
    io.Recv(recv, fd, RecvHint::kDataLikely);
    EXPECT_TRUE(world->UntilDone(recv));
    EXPECT_EQ(world->TakeOctets(recv), "NOOP\r\n");
  };
  const std::array<std::string_view, 1> pieces = {"250 ok\r\n"};
  for (int i = 0; i < 30; ++i) {  // at first each segment is acknowledged at once (RFC 5681 3.1)
    receive();
    io.Send(send, fd, pieces, SendHint::kAtOnce);
    EXPECT_TRUE(world->UntilDone(send));
  }
  Acks acks;
  receive();
  std::uint32_t before = SegmentsSent(fd);
  io.AckNow(fd, hint);
  acks.now = SegmentsSent(fd) - before;
  before = SegmentsSent(fd);
  receive();
  acks.next = SegmentsSent(fd) - before;
  io.Cancel(cancel, accept);
  EXPECT_TRUE(world->Until([&] { return !accept.in_flight && !cancel.in_flight; }));
  io.CloseSocket(fd);
  io.CloseSocket(listener);
  return acks;
}

// The kernel's own ACK may come first where this thread is kept waiting for 40 ms.
bool HasAcks(AckHint hint, const Acks& expected) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    if (AcksOf(hint) == expected) {
      return true;
    }
  }
  return false;
}

TEST(UringTest, WhatIsNotAnsweredIsAcknowledgedAtOnce) {
  EXPECT_TRUE(HasAcks(AckHint::kOnce, {.now = 1, .next = 0}));
  EXPECT_TRUE(HasAcks(AckHint::kUntilAnswered, {.now = 1, .next = 1}));
}

TEST(UringTest, TheLastAckOfAConnectLeavesWithTheOctetsThatFollow) {
  EXPECT_EQ(SegmentsOfABeginning(ConnectHint::kAtOnce), 3u);
  EXPECT_EQ(SegmentsOfABeginning(ConnectHint::kOctetsFollow), 2u);
}

TEST(UringTest, TheFinLeavesWithTheOctetsThatWaitForIt) {
  EXPECT_EQ(SegmentsOfAnEnd(SendHint::kAtOnce), 2u);
  EXPECT_EQ(SegmentsOfAnEnd(SendHint::kFinFollows), 1u);
}

}  // namespace
}  // namespace ringpost
