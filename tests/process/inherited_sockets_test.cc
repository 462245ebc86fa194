// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/inherited_sockets.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "ringpost/config/address.h"
#include "ringpost/io/socket.h"

namespace ringpost {
namespace {

Endpoint At(std::string_view text) {
  absl::StatusOr<Endpoint> endpoint = ParseEndpoint(text);
  EXPECT_TRUE(endpoint.ok()) << endpoint.status();
  return *std::move(endpoint);
}

int Open(const Endpoint& endpoint, PortSharing sharing = PortSharing::kReusePort) {
  const absl::StatusOr<int> fd =
      OpenListener(&endpoint.address.any, endpoint.length, endpoint.text, {.sharing = sharing});
  EXPECT_TRUE(fd.ok()) << fd.status();
  return fd.value_or(-1);
}

// A loopback address whose port the kernel has chosen, and what listens there.
std::pair<Endpoint, int> OpenAnywhere(const char* host) {
  Endpoint any = At(std::string(host) + ":1");
  any.address.in.sin_port = 0;
  const int fd = Open(any);
  SocketAddress address{};
  EXPECT_EQ(LocalAddressOf(fd, &address), 0);
  return {At(std::string(host) + ":" + std::to_string(PortOf(address))), fd};
}

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(InheritedSocketsTest, AreFoundByTheirAddressWhateverTheirName) {
  const auto [first, one] = OpenAnywhere("127.0.0.1");
  const int another = Open(first);
  const auto [second, two] = OpenAnywhere("127.0.0.2");
  InheritedSockets sockets;
  for (const int fd : {two, one, another}) {
    ASSERT_TRUE(sockets.Add(fd, "smtp.socket").ok());
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  }
  const std::vector<InheritedSockets::Socket> taken = sockets.TakeFor(first);
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].fd, one);
  EXPECT_EQ(taken[1].fd, another);
  EXPECT_TRUE(sockets.TakeFor(first).empty());
  EXPECT_TRUE(sockets.HadPort(PortOf(first.address)));
  EXPECT_TRUE(sockets.HadPort(PortOf(second.address)));
  EXPECT_FALSE(sockets.HadPort(1));
  EXPECT_EQ(sockets.CloseRest().addresses, std::vector<std::string>{second.text});
  EXPECT_FALSE(IsOpen(two));
  for (const int fd : {one, another}) {
    EXPECT_TRUE(IsOpen(fd));
    close(fd);
  }
}

TEST(InheritedSocketsTest, TheSamePortOfAnotherAddressIsAnother) {
  const auto [endpoint, fd] = OpenAnywhere("127.0.0.1");
  InheritedSockets sockets;
  ASSERT_TRUE(sockets.Add(fd, "").ok());
  const std::string port = std::to_string(PortOf(endpoint.address));
  for (const char* const other : {"127.0.0.2:", "0.0.0.0:", "[::1]:", "[::]:"}) {
    EXPECT_TRUE(sockets.TakeFor(At(other + port)).empty()) << other;
  }
}

TEST(InheritedSocketsTest, AUnixSocketIsFoundByItsPathHoweverItWasBound) {
  std::string folder = testing::TempDir() + "inherited-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/policy";
  // With and without the final NUL in the length.
  for (const socklen_t more : {socklen_t{0}, socklen_t{1}}) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, path.size());
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    const auto length =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size()) + more;
    ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), length), 0);
    ASSERT_EQ(listen(fd, 1), 0);
    InheritedSockets sockets;
    ASSERT_TRUE(sockets.Add(fd, InheritedSockets::kOwnedFile).ok());
    EXPECT_TRUE(sockets.TakeFor(At("unix:" + path + "x")).empty());
    const std::vector<InheritedSockets::Socket> taken = sockets.TakeFor(At("unix:" + path));
    ASSERT_EQ(taken.size(), 1u);
    // The predecessor may go on with it: its file stays until that one serves no more.
    InheritedSockets rest;
    ASSERT_TRUE(rest.Add(fd, InheritedSockets::kOwnedFile).ok());
    const InheritedSockets::Rest left = rest.CloseRest();
    EXPECT_EQ(left.addresses, std::vector<std::string>{"unix:" + path});
    EXPECT_EQ(left.paths, std::vector<std::string>{path});
    struct stat file{};
    EXPECT_EQ(lstat(path.c_str(), &file), 0);
    unlink(path.c_str());
  }
  rmdir(folder.c_str());
}

TEST(InheritedSocketsTest, WhatIsNoListeningStreamSocketIsRefused) {
  InheritedSockets sockets;
  const int datagram = socket(AF_INET, SOCK_DGRAM, 0);
  const int silent = socket(AF_INET, SOCK_STREAM, 0);
  for (const int fd : {datagram, silent, STDIN_FILENO}) {
    const absl::Status status = sockets.Add(fd, "x");
    EXPECT_NE(status.message().find("no listening stream socket"), std::string::npos) << status;
  }
  close(datagram);
  close(silent);
  EXPECT_NE(sockets.Add(silent, "x").message().find("is not open"), std::string::npos);
  EXPECT_EQ(sockets.size(), 0u);
}

TEST(InheritedSocketsTest, ThePredecessorsChannelIsNoListener) {
  InheritedSockets sockets;
  int pair[2] = {-1, -1};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
  ASSERT_TRUE(sockets.Add(pair[0], InheritedSockets::kPredecessor).ok());
  EXPECT_TRUE(sockets.has_predecessor());
  EXPECT_TRUE(sockets.CloseRest().addresses.empty());
  EXPECT_EQ(sockets.TakePredecessor(), pair[0]);
  EXPECT_EQ(sockets.TakePredecessor(), -1);
  close(pair[0]);
  close(pair[1]);
}

TEST(InheritedSocketsTest, TheEnvironmentIsReadOnceAndOnlyIfItIsForThisProcess) {
  const auto set = [](const std::string& pid, const char* count) {
    setenv("LISTEN_PID", pid.c_str(), 1);
    setenv("LISTEN_FDS", count, 1);
    setenv("LISTEN_FDNAMES", "a:b", 1);
  };
  const std::string self = std::to_string(getpid());
  set(std::to_string(getpid() + 1), "1");
  absl::StatusOr<InheritedSockets> taken = InheritedSockets::Take();
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->size(), 0u);
  EXPECT_EQ(std::getenv("LISTEN_FDS"), nullptr);
  EXPECT_EQ(std::getenv("LISTEN_PID"), nullptr);
  EXPECT_EQ(std::getenv("LISTEN_FDNAMES"), nullptr);

  set(self, "0");
  EXPECT_TRUE(InheritedSockets::Take().ok());
  for (const char* const count : {"many", "-1", "1000000"}) {
    set(self, count);
    EXPECT_NE(InheritedSockets::Take().status().message().find("LISTEN_FDS"), std::string::npos);
  }
  set("me", "1");
  EXPECT_NE(InheritedSockets::Take().status().message().find("LISTEN_PID"), std::string::npos);
  EXPECT_TRUE(InheritedSockets::Take().ok());  // the variables are gone
}

}  // namespace
}  // namespace ringpost
