// SPDX-License-Identifier: GPL-3.0-or-later
#include "io_world.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "ringpost/io/socket.h"
#include "ringpost/io/uring.h"
#include "sim/sim_io.h"

namespace ringpost {

void IoWorld::Turn(TimeNs timeout) {
  std::array<Completion, 64> batch;
  const std::size_t count = io().Wait(timeout, batch);
  for (std::size_t i = 0; i < count; ++i) {
    const auto found = operations_.find(batch[i].user_data);
    ASSERT_NE(found, operations_.end()) << "a completion of nobody";
    found->second->Complete(batch[i]);
    completions_[batch[i].user_data].push_back(batch[i]);
  }
}

bool IoWorld::Until(const std::function<bool()>& done) {
  // A bound only: nothing here depends on how long anything takes.
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!done()) {
    if (std::chrono::steady_clock::now() > limit || testing::Test::HasFatalFailure()) {
      return false;
    }
    Turn(2 * kNsPerMs);
  }
  return true;
}

bool IoWorld::UntilDone(const Operation& operation) {
  return Until([&] { return !operation.in_flight; });
}

int IoWorld::result(const Operation& operation) {
  const std::vector<Completion>& all = completions_[operation.user_data];
  return all.empty() ? 0 : all.back().result;
}

std::string IoWorld::TakeOctets(const Operation& operation) {
  std::string octets;
  for (Completion& completion : completions_[operation.user_data]) {
    if (completion.block != kNoBlock) {
      octets.append(reinterpret_cast<const char*>(pool_.data(completion.block)),
                    static_cast<std::size_t>(completion.result));
      pool_.Release(std::exchange(completion.block, kNoBlock));
    }
  }
  return octets;
}

void IoWorld::ReleaseBlocks() {
  for (auto& [user_data, completions] : completions_) {
    for (Completion& completion : completions) {
      if (completion.block != kNoBlock) {
        pool_.Release(std::exchange(completion.block, kNoBlock));
      }
    }
  }
}

namespace {

// --- The real ring over loopback.

class RealPeer final : public IoPeer {
 public:
  explicit RealPeer(int fd) : fd_(fd) {}
  ~RealPeer() override {
    if (fd_ >= 0) {
      close(fd_);
    }
  }

  std::size_t Write(std::string_view octets) override {
    const ssize_t n = send(fd_, octets.data(), octets.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  std::string Read() override {
    std::string octets;
    std::array<char, 65536> buffer;
    for (;;) {
      const ssize_t n = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (n > 0) {
        octets.append(buffer.data(), static_cast<std::size_t>(n));
        continue;
      }
      ended_ = ended_ || n == 0 || (errno != EAGAIN && errno != EINTR);
      return octets;
    }
  }
  bool ended() override {
    char octet = 0;
    const ssize_t n = recv(fd_, &octet, 1, MSG_DONTWAIT | MSG_PEEK);
    ended_ = ended_ || n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    return ended_;
  }
  void CloseSend() override { shutdown(fd_, SHUT_WR); }
  void Close() override { close(std::exchange(fd_, -1)); }
  void Reset() override {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    Close();
  }

 private:
  int fd_;
  bool ended_ = false;
};

class RealWorld final : public IoWorld {
 public:
  RealWorld() {
    UringOptions options;
    options.submission_entries = 8;
    options.completion_entries = 64;
    options.lent_blocks = kLentBlocks;
    options.reserve_blocks = kReserveBlocks;
    absl::StatusOr<std::unique_ptr<Uring>> created = Uring::Create(options, &pool_);
    if (created.ok()) {
      uring_ = *std::move(created);
    } else {
      ADD_FAILURE() << created.status();
    }
  }
  ~RealWorld() override {
    ReturnDescriptors();
    ReleaseBlocks();
    uring_.reset();
    for (const int fd : owned_) {
      close(fd);
    }
  }

  Io& io() override { return *uring_; }

  int Listen() override {
    const SocketAddress address = SimAddress("127.0.0.1", 0);
    const absl::StatusOr<int> fd =
        OpenListener(&address.any, sizeof address.in, "127.0.0.1:0", ListenOptions{});
    EXPECT_TRUE(fd.ok()) << fd.status();
    return fd.value_or(-1);
  }

  std::unique_ptr<IoPeer> ConnectTo(int listener) override {
    SocketAddress address{};
    EXPECT_EQ(LocalAddressOf(listener, &address), 0);
    const int fd = OpenStreamSocket(AF_INET);
    EXPECT_EQ(connect(fd, &address.any, sizeof address.in), 0) << std::strerror(errno);
    return std::make_unique<RealPeer>(fd);
  }

  SocketAddress BackendAddress(Backend backend) override {
    backend_ = Own(Listen());
    SocketAddress address{};
    EXPECT_EQ(LocalAddressOf(backend_, &address), 0);
    if (backend == Backend::kRefuses) {
      close(owned_.back());
      owned_.pop_back();
    } else if (backend == Backend::kSilent) {
      // Once the queue of the listener is full, Linux drops further SYNs.
      listen(backend_, 0);
      for (int i = 0; i < 4; ++i) {
        const int fd = Own(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        (void)!connect(fd, &address.any, sizeof address.in);
      }
    }
    return address;
  }

  std::unique_ptr<IoPeer> AcceptAtBackend() override {
    const int fd = accept4(backend_, nullptr, nullptr, SOCK_CLOEXEC);
    EXPECT_GE(fd, 0);
    return std::make_unique<RealPeer>(fd);
  }

  int OpenEvent() override { return Own(eventfd(0, EFD_CLOEXEC)); }

  void ExhaustDescriptors() override {
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit_), 0);
    const int lowest = dup(0);  // the lowest number that is free
    close(lowest);
    const rlimit low{.rlim_cur = static_cast<rlim_t>(lowest), .rlim_max = limit_.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    exhausted_ = true;
  }
  void ReturnDescriptors() override {
    if (std::exchange(exhausted_, false)) {
      EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit_), 0);
    }
  }

 private:
  int Own(int fd) {
    owned_.push_back(fd);
    return fd;
  }

  std::unique_ptr<Uring> uring_;
  std::vector<int> owned_;
  int backend_ = -1;
  rlimit limit_{};
  bool exhausted_ = false;
};

// --- The simulated one.

class SimWorldPeer final : public IoPeer {
 public:
  explicit SimWorldPeer(SimPeer peer) : peer_(std::move(peer)) {}
  std::size_t Write(std::string_view octets) override { return peer_.Write(octets); }
  std::string Read() override { return peer_.Read(); }
  bool ended() override { return peer_.ended() || (peer_.was_reset() && peer_.readable() == 0); }
  void CloseSend() override { peer_.CloseSend(); }
  void Close() override { peer_.Close(); }
  void Reset() override { peer_.Reset(); }

 private:
  SimPeer peer_;
};

class SimWorld final : public IoWorld {
 public:
  SimWorld() {
    SimOptions options;
    options.lent_blocks = kLentBlocks;
    options.reserve_blocks = kReserveBlocks;
    io_ = std::make_unique<SimIo>(options, &pool_);
  }
  ~SimWorld() override {
    ReleaseBlocks();
    io_.reset();
  }

  Io& io() override { return *io_; }
  int Listen() override { return io_->OpenListener(SimAddress("127.0.0.1", 25)); }
  std::unique_ptr<IoPeer> ConnectTo(int listener) override {
    return std::make_unique<SimWorldPeer>(
        io_->ConnectFrom(listener, SimAddress("192.0.2.7", 40'000)));
  }
  SocketAddress BackendAddress(Backend backend) override {
    const SocketAddress address = SimAddress("127.0.0.1", 10'025);
    io_->SetBackend(address, backend == Backend::kAccepts   ? SimBackend::kAccept
                             : backend == Backend::kRefuses ? SimBackend::kRefuse
                                                            : SimBackend::kSilent);
    return address;
  }
  std::unique_ptr<IoPeer> AcceptAtBackend() override {
    return std::make_unique<SimWorldPeer>(io_->TakeAccepted().value());
  }
  int OpenEvent() override { return io_->OpenEvent(); }
  void ExhaustDescriptors() override { io_->set_descriptors_max(io_->open_sockets()); }
  void ReturnDescriptors() override { io_->set_descriptors_max(1'000); }

 private:
  std::unique_ptr<SimIo> io_;
};

}  // namespace

std::unique_ptr<IoWorld> MakeRealWorld() { return std::make_unique<RealWorld>(); }
std::unique_ptr<IoWorld> MakeSimWorld() { return std::make_unique<SimWorld>(); }

}  // namespace ringpost
