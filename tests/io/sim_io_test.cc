// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the simulated kernel adds to the contract: seeded faults that never break the order of
// octets, the same run for the same seed, and misuse that does not go unnoticed.
#include "sim/sim_io.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ringpost {
namespace {

constexpr SimFaults kRough{
    .short_recv = 5'000, .short_send = 5'000, .delay = 5'000, .no_buffers = 500, .shuffle = true};

std::string Pattern(std::size_t length) {
  std::string text(length, '\0');
  for (std::size_t i = 0; i < length; ++i) {
    text[i] = static_cast<char>('!' + (i * 7 + i / 251) % 90);
  }
  return text;
}

// An echo server of one connection over SimIo: reads, sends back, one operation each in flight.
class Echo {
 public:
  Echo(SimIo* io, BufferPool* pool, int fd) : io_(io), pool_(pool), fd_(fd) {
    recv_.user_data = 100;
    send_.user_data = 101;
  }

  void Arm() {
    if (!recv_.in_flight && !ended_) {
      io_->Recv(recv_, fd_, RecvHint::kDataUnlikely);
    }
    if (!send_.in_flight && !out_.empty() && !ended_) {
      sending_ = std::move(out_);
      out_.clear();
      const std::string_view piece = sending_;
      io_->Send(send_, fd_, {&piece, 1}, SendHint::kAtOnce);
    }
  }

  void Dispatch(const Completion& completion) {
    if (completion.user_data == 101) {
      send_.Complete(completion);
      ended_ = ended_ || completion.result != static_cast<int>(sending_.size());
      return;
    }
    recv_.Complete(completion);
    results += std::to_string(completion.result) + ' ';
    if (completion.result > 0) {
      out_.append(reinterpret_cast<const char*>(pool_->data(completion.block)),
                  static_cast<std::size_t>(completion.result));
      pool_->Release(completion.block);
    } else if (completion.result != -ENOBUFS) {
      ended_ = true;
    }
  }

  [[nodiscard]] bool idle() const { return ended_ && !recv_.in_flight && !send_.in_flight; }

  std::string results;

 private:
  SimIo* io_;
  BufferPool* pool_;
  int fd_;
  Operation recv_;
  SendOperation send_;
  std::string sending_;
  std::string out_;
  bool ended_ = false;
};

struct EchoRun {
  std::string returned;
  std::string results;
  TimeNs end = 0;
  SimCut cut = SimCut::kNone;
};

// Sends `text` through an echo server and back under `faults`.
EchoRun RunEcho(std::uint64_t seed, const SimFaults& faults, const std::string& text) {
  BufferPool pool(32, 1);
  SimIo io({.seed = seed, .faults = faults, .socket_buffer = 4'096}, &pool);
  const int listener = io.OpenListener(SimAddress("127.0.0.1", 25));
  SimPeer peer = io.ConnectFrom(listener, SimAddress("192.0.2.7", 40'000));
  EchoRun run;
  std::size_t written = 0;
  peer.OnChange([&] {
    run.returned += peer.Read();
    written += peer.Write(std::string_view(text).substr(written));
    if (run.returned.size() == text.size()) {
      peer.CloseSend();
    }
  });
  Operation accept;
  accept.user_data = 1;
  io.Accept(accept, listener);
  std::unique_ptr<Echo> echo;
  int fd = -1;
  std::array<Completion, 8> completions;
  for (int turn = 0; turn < 100'000 && (echo == nullptr || !echo->idle()); ++turn) {
    if (echo != nullptr) {
      echo->Arm();
    }
    const std::size_t count = io.Wait(kNsPerSecond, completions);
    for (std::size_t i = 0; i < count; ++i) {
      if (completions[i].user_data != 1) {
        echo->Dispatch(completions[i]);
        continue;
      }
      accept.Complete(completions[i]);
      fd = completions[i].result;
      echo = std::make_unique<Echo>(&io, &pool, fd);
    }
  }
  EXPECT_TRUE(echo != nullptr && echo->idle());
  io.CloseSocket(fd);
  Operation cancel;
  cancel.user_data = 2;
  io.Cancel(cancel, accept);
  while (accept.in_flight || cancel.in_flight) {
    const std::size_t count = io.Wait(0, completions);
    for (std::size_t i = 0; i < count; ++i) {
      (completions[i].user_data == 1 ? accept : cancel).Complete(completions[i]);
    }
  }
  run.returned += peer.Read();
  run.results = echo->results;
  run.end = io.Now();
  run.cut = peer.cut();
  return run;
}

TEST(SimIoTest, NoFaultReordersOrLosesOctets) {
  const std::string text = Pattern(50'000);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const EchoRun run = RunEcho(seed, kRough, text);
    ASSERT_TRUE(run.returned == text) << "seed " << seed;
    EXPECT_GT(run.end, 0);
  }
}

TEST(SimIoTest, ACutConnectionHasAPrefix) {
  const std::string text = Pattern(50'000);
  SimFaults faults = kRough;
  faults.reset = 100;
  faults.eof = 200;
  int resets = 0;
  int ends = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const EchoRun run = RunEcho(seed, faults, text);
    ASSERT_EQ(run.returned, text.substr(0, run.returned.size())) << "seed " << seed;
    if (run.cut == SimCut::kNone) {
      EXPECT_TRUE(run.returned == text) << "seed " << seed;
    }
    resets += run.cut == SimCut::kReset ? 1 : 0;
    ends += run.cut == SimCut::kEof ? 1 : 0;
  }
  EXPECT_GT(resets, 5);
  EXPECT_GT(ends, 5);
}

TEST(SimIoTest, TheSameSeedIsTheSameRun) {
  const std::string text = Pattern(20'000);
  const EchoRun first = RunEcho(7, kRough, text);
  const EchoRun again = RunEcho(7, kRough, text);
  const EchoRun other = RunEcho(8, kRough, text);
  EXPECT_EQ(first.results, again.results);
  EXPECT_EQ(first.end, again.end);
  EXPECT_NE(first.results, other.results);
}

TEST(SimIoTest, FaultsShow) {
  const std::string text = Pattern(20'000);
  const EchoRun calm = RunEcho(1, SimFaults{}, text);
  EXPECT_EQ(calm.results.find("-105"), std::string::npos);
  const EchoRun rough = RunEcho(1, kRough, text);
  EXPECT_NE(rough.results.find("-105"), std::string::npos);  // ENOBUFS
  EXPECT_GT(rough.results.size(), calm.results.size());      // short receives
  EXPECT_GT(rough.end, calm.end);                            // delays
}

TEST(SimIoTest, AfterRunsInTimeAndTheClockJumps) {
  BufferPool pool(8, 1);
  SimIo io({.reserve_blocks = 4}, &pool);
  const TimeNs start = io.Now();
  std::vector<TimeNs> times;
  io.After(300 * kNsPerSecond, [&] { times.push_back(io.Now() - start); });
  io.After(2 * kNsPerSecond, [&] { times.push_back(io.Now() - start); });
  std::array<Completion, 1> completions;
  EXPECT_EQ(io.Wait(kNsPerSecond, completions), 0u);
  EXPECT_EQ(io.Now() - start, kNsPerSecond);
  EXPECT_TRUE(times.empty());
  // Each action ends a Wait(), so that the caller can look at what it changed.
  for (const TimeNs due : {2 * kNsPerSecond, 300 * kNsPerSecond, 700 * kNsPerSecond}) {
    EXPECT_EQ(io.Wait(400 * kNsPerSecond, completions), 0u);
    EXPECT_EQ(io.Now() - start, due);
  }
  EXPECT_EQ(times, (std::vector<TimeNs>{2 * kNsPerSecond, 300 * kNsPerSecond}));
}

// --- Misuse. Each case leaves nothing in flight, so that only the misuse under test is reported.

class SimMisuseTest : public testing::Test {
 protected:
  SimMisuseTest() : pool_(16, 1), io_(std::make_unique<SimIo>(SimOptions{}, &pool_)) {
    listener_ = io_->OpenListener(SimAddress("127.0.0.1", 25));
    peer_ = io_->ConnectFrom(listener_, SimAddress("192.0.2.7", 40'000));
    accept_.user_data = 1;
    io_->Accept(accept_, listener_);
    fd_ = Next().result;
    recv_.user_data = 2;
    send_.user_data = 3;
    second_.user_data = 4;
    second_send_.user_data = 5;
  }
  ~SimMisuseTest() override {
    if (io_ != nullptr) {
      if (fd_ >= 0) {
        io_->CloseSocket(fd_);
      }
      Operation cancel;
      cancel.user_data = 6;
      io_->Cancel(cancel, accept_);
      while (accept_.in_flight || cancel.in_flight) {
        Dispatch(&cancel);
      }
    }
  }

  Completion Next(TimeNs timeout = 0) {
    std::array<Completion, 1> completions;
    if (io_->Wait(timeout, completions) == 0) {
      return {};
    }
    Complete(completions[0]);
    return completions[0];
  }
  void Dispatch(Operation* cancel) {
    std::array<Completion, 1> completions;
    if (io_->Wait(0, completions) == 1) {
      if (completions[0].user_data == cancel->user_data) {
        cancel->Complete(completions[0]);
      } else {
        Complete(completions[0]);
      }
    }
  }
  void Complete(const Completion& completion) {
    for (Operation* operation : {&accept_, &recv_, static_cast<Operation*>(&send_), &second_,
                                 static_cast<Operation*>(&second_send_)}) {
      if (operation->user_data == completion.user_data) {
        operation->Complete(completion);
      }
    }
    if (completion.block != kNoBlock) {
      pool_.Release(completion.block);
    }
  }
  void Send(SendOperation& operation, std::string_view text, SendHint hint = SendHint::kAtOnce) {
    io_->Send(operation, fd_, {&text, 1}, hint);
  }

  BufferPool pool_;
  std::unique_ptr<SimIo> io_;
  Operation accept_;
  Operation recv_;
  Operation second_;
  SendOperation send_;
  SendOperation second_send_;
  SimPeer peer_;
  int listener_ = -1;
  int fd_ = -1;
};

TEST_F(SimMisuseTest, AClosedDescriptor) {
  io_->CloseSocket(fd_);
  EXPECT_NONFATAL_FAILURE(io_->CloseSocket(fd_), "is not open");
  EXPECT_NONFATAL_FAILURE(io_->ShutdownBoth(fd_), "is not open");
  SocketAddress address{};
  EXPECT_NONFATAL_FAILURE((void)io_->PeerAddress(fd_, &address), "is not open");
  EXPECT_NONFATAL_FAILURE(io_->Recv(recv_, fd_, RecvHint::kDataUnlikely), "is not open");
  EXPECT_NONFATAL_FAILURE(EXPECT_EQ(Next().result, -EBADF), "is not open");
  fd_ = -1;
}

TEST_F(SimMisuseTest, TwoSendsOrTwoReceivesOnOneSocket) {
  const std::string text = Pattern(100'000);  // more than the socket takes
  Send(send_, text);
  EXPECT_NONFATAL_FAILURE(Send(second_send_, text), "two sends in flight");
  io_->Recv(recv_, fd_, RecvHint::kDataUnlikely);
  EXPECT_NONFATAL_FAILURE(io_->Recv(second_, fd_, RecvHint::kDataUnlikely), "two receives");
  EXPECT_NONFATAL_FAILURE(io_->TrySend(fd_, "x"), "overtakes");
  io_->ShutdownBoth(fd_);
  while (recv_.in_flight || second_.in_flight || send_.in_flight || second_send_.in_flight) {
    (void)Next();
  }
}

TEST_F(SimMisuseTest, ClosingWithAnOperationInFlight) {
  io_->Recv(recv_, fd_, RecvHint::kDataUnlikely);
  (void)Next();
  EXPECT_NONFATAL_FAILURE(
      {
        io_->CloseSocket(fd_);
        io_->After(0, [] {});
      },
      "closed with an operation in flight");
  Operation cancel;
  cancel.user_data = 7;
  io_->Cancel(cancel, recv_);
  while (recv_.in_flight || cancel.in_flight) {
    Dispatch(&cancel);
  }
  fd_ = -1;
}

TEST_F(SimMisuseTest, OctetsThatChangeWhileTheyAreSent) {
  std::string text = Pattern(100'000);
  Send(send_, text);
  (void)Next();
  ASSERT_TRUE(send_.in_flight);
  text[99'999] = '?';
  EXPECT_NONFATAL_FAILURE(
      {
        (void)peer_.Read();
        (void)Next();
      },
      "changed while they were being sent");
  EXPECT_FALSE(send_.in_flight);
}

TEST_F(SimMisuseTest, ASendBehindOctetsThatWaitForTheFin) {
  Send(send_, "221 bye\r\n", SendHint::kFinFollows);
  (void)Next();
  EXPECT_NONFATAL_FAILURE(
      {
        Send(send_, "but\r\n");
        (void)Next();
      },
      "wait for the FIN");
}

TEST_F(SimMisuseTest, AnEmptyPieceAndNoPieceAtAll) {
  EXPECT_NONFATAL_FAILURE(Send(send_, ""), "an empty piece");
  (void)Next();
  EXPECT_NONFATAL_FAILURE(io_->Send(send_, fd_, {}, SendHint::kAtOnce), "a send of 0 pieces");
  (void)Next();
}

TEST_F(SimMisuseTest, TheSameUserDataTwice) {
  second_.user_data = recv_.user_data;
  io_->Recv(recv_, fd_, RecvHint::kDataUnlikely);
  EXPECT_NONFATAL_FAILURE(io_->Cancel(second_, accept_), "share user_data");
  second_.user_data = 4;
  io_->ShutdownBoth(fd_);
  // The cancel's completion carries the shared number: both operations end with one each.
  std::array<Completion, 8> completions;
  const std::size_t count = io_->Wait(0, completions);
  EXPECT_EQ(count, 3u);
  recv_.in_flight = second_.in_flight = accept_.in_flight = false;
  io_->Accept(accept_, listener_);
}

TEST_F(SimMisuseTest, WaitingForNothingForEver) {
  EXPECT_NONFATAL_FAILURE((void)Next(-1), "nothing that could ever happen");
}

TEST_F(SimMisuseTest, OperationsInFlightAtTheEnd) {
  io_->Recv(recv_, fd_, RecvHint::kDataUnlikely);
  testing::TestPartResultArray failures;
  {
    testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
    io_.reset();
  }
  ASSERT_EQ(failures.size(), 2);
  EXPECT_NE(std::string(failures.GetTestPartResult(0).message()).find("in flight at the end"),
            std::string::npos);
  EXPECT_NE(std::string(failures.GetTestPartResult(1).message()).find("1 sockets are open"),
            std::string::npos);
}

void Spin() {
  BufferPool pool(32, 1);
  SimIo io({.seed = 42}, &pool);
  std::array<Completion, 1> completions;
  for (int i = 0; i < 1'000'000; ++i) {
    (void)io.Wait(0, completions);
  }
}

TEST(SimIoDeathTest, ASpinningCallerIsStopped) {
  EXPECT_DEATH(Spin(), "the caller spins .seed 42.");
}

}  // namespace
}  // namespace ringpost
