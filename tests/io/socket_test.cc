// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/io/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace ringpost {
namespace {

SocketAddress V4(const char* host, std::uint16_t port) {
  SocketAddress address{};
  address.in.sin_family = AF_INET;
  address.in.sin_port = htons(port);
  EXPECT_EQ(inet_pton(AF_INET, host, &address.in.sin_addr), 1);
  return address;
}

SocketAddress V6(const char* host, std::uint16_t port) {
  SocketAddress address{};
  address.in6.sin6_family = AF_INET6;
  address.in6.sin6_port = htons(port);
  EXPECT_EQ(inet_pton(AF_INET6, host, &address.in6.sin6_addr), 1);
  return address;
}

TEST(SocketTest, FormatsAddresses) {
  std::array<char, kAddressTextMax> out;
  EXPECT_EQ(FormatAddress(V4("192.0.2.1", 25), out), "192.0.2.1:25");
  EXPECT_EQ(FormatAddress(V6("2001:db8::1", 25), out), "[2001:db8::1]:25");
  EXPECT_EQ(FormatAddress(V6("::ffff:192.0.2.1", 465), out), "192.0.2.1:465");
  EXPECT_EQ(FormatHost(V4("192.0.2.1", 25), out), "192.0.2.1");
  EXPECT_EQ(FormatHost(V6("2001:db8::1", 25), out), "2001:db8::1");
  EXPECT_EQ(FormatHost(V6("::ffff:192.0.2.1", 465), out), "192.0.2.1");
  SocketAddress unix_address{};
  unix_address.un.sun_family = AF_UNIX;
  EXPECT_EQ(FormatAddress(unix_address, out), "unix");
  EXPECT_EQ(FormatHost(unix_address, out), "unix");
  EXPECT_EQ(PortOf(V4("192.0.2.1", 25)), 25);
  EXPECT_EQ(PortOf(V6("2001:db8::1", 465)), 465);
  EXPECT_EQ(PortOf(unix_address), 0);
}

TEST(SocketTest, TheLongestAddressFits) {
  std::array<char, kAddressTextMax> out;
  EXPECT_EQ(FormatAddress(V6("2001:db8:1111:2222:3333:4444:5555:6666", 65535), out),
            "[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
}

int OptionOf(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  EXPECT_EQ(getsockopt(fd, level, name, &value, &length), 0);
  return value;
}

TEST(SocketTest, AListenerIsReadyAndItsOptionsAreSet) {
  const SocketAddress address = V4("127.0.0.1", 0);
  const absl::StatusOr<int> fd = OpenListener(&address.any, sizeof address.in, "127.0.0.1:0", {});
  ASSERT_TRUE(fd.ok()) << fd.status();
  EXPECT_EQ(OptionOf(*fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
  EXPECT_EQ(OptionOf(*fd, IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(OptionOf(*fd, SOL_SOCKET, SO_REUSEPORT), 0);
  EXPECT_NE(fcntl(*fd, F_GETFD) & FD_CLOEXEC, 0);
  SocketAddress local{};
  ASSERT_EQ(LocalAddressOf(*fd, &local), 0);
  EXPECT_NE(PortOf(local), 0);
  EXPECT_EQ(PeerAddressOf(*fd, &local), -ENOTCONN);
  close(*fd);
}

TEST(SocketTest, APortInUseIsASentence) {
  SocketAddress address = V4("127.0.0.1", 0);
  const absl::StatusOr<int> first =
      OpenListener(&address.any, sizeof address.in, "127.0.0.1:0", {});
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(LocalAddressOf(*first, &address), 0);
  const absl::StatusOr<int> second =
      OpenListener(&address.any, sizeof address.in, "127.0.0.1:2525", {});
  ASSERT_FALSE(second.ok());
  const std::string message(second.status().message());
  EXPECT_NE(message.find("127.0.0.1:2525 is already in use"), std::string::npos) << message;
  close(*first);
}

TEST(SocketTest, SeveralShardsShareAPort) {
  SocketAddress address = V4("127.0.0.1", 0);
  const ListenOptions options{.sharing = PortSharing::kReusePort};
  const absl::StatusOr<int> first =
      OpenListener(&address.any, sizeof address.in, "127.0.0.1:0", options);
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(LocalAddressOf(*first, &address), 0);
  const absl::StatusOr<int> second =
      OpenListener(&address.any, sizeof address.in, "again", options);
  EXPECT_TRUE(second.ok()) << second.status();
  close(*first);
  close(second.value_or(-1));
}

TEST(SocketTest, AnAddressOfAnotherMachineIsASentence) {
  const SocketAddress address = V4("192.0.2.1", 0);  // RFC 5737: nobody's
  const absl::StatusOr<int> fd = OpenListener(&address.any, sizeof address.in, "192.0.2.1:25", {});
  ASSERT_FALSE(fd.ok());
  EXPECT_EQ(std::string(fd.status().message()),
            "this machine has no address 192.0.2.1:25 to listen on");
}

TEST(SocketTest, DeferredAcceptIsSetWhereAskedFor) {
  const SocketAddress address = V4("127.0.0.1", 0);
  const absl::StatusOr<int> fd =
      OpenListener(&address.any, sizeof address.in, "127.0.0.1:0", {.defer = DeferAccept::kYes});
  ASSERT_TRUE(fd.ok());
  EXPECT_GT(OptionOf(*fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
  close(*fd);
}

class UnixSocketTest : public testing::Test {
 protected:
  UnixSocketTest() {
    char folder[] = "/tmp/ringpost-socket-test-XXXXXX";
    EXPECT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
    address_.un.sun_family = AF_UNIX;
    std::strncpy(address_.un.sun_path, (folder_ + "/socket").c_str(),
                 sizeof address_.un.sun_path - 1);
  }
  ~UnixSocketTest() override {
    unlink(address_.un.sun_path);
    rmdir(folder_.c_str());
  }

  std::string folder_;
  SocketAddress address_{};
};

TEST_F(UnixSocketTest, AStaleSocketFileIsRemoved) {
  for (int i = 0; i < 2; ++i) {
    const absl::StatusOr<int> fd = OpenListener(&address_.any, sizeof address_.un, "unix:test", {});
    ASSERT_TRUE(fd.ok()) << fd.status();
    const int client = OpenStreamSocket(AF_UNIX);
    EXPECT_EQ(connect(client, &address_.any, sizeof address_.un), 0);
    close(client);
    close(*fd);  // leaves the file behind
  }
}

// The name that its own socket has is the peer's choice.
TEST_F(UnixSocketTest, APeerIsItsUser) {
  const absl::StatusOr<int> listener =
      OpenListener(&address_.any, sizeof address_.un, "unix:test", {});
  ASSERT_TRUE(listener.ok()) << listener.status();
  const int client = OpenStreamSocket(AF_UNIX);
  SocketAddress own{};
  own.un.sun_family = AF_UNIX;
  std::memset(own.un.sun_path + 1, '1', sizeof own.un.sun_path - 1);  // an abstract one
  ASSERT_EQ(bind(client, &own.any, sizeof own.un), 0) << std::strerror(errno);
  ASSERT_EQ(connect(client, &address_.any, sizeof address_.un), 0);
  const int accepted = accept4(*listener, nullptr, nullptr, SOCK_CLOEXEC);
  SocketAddress peer{};
  EXPECT_EQ(PeerAddressOf(accepted, &peer), 0);
  EXPECT_EQ(peer.unix_peer.family, AF_UNIX);
  EXPECT_EQ(peer.unix_peer.user, getuid());
  SocketAddress reached{};
  EXPECT_EQ(LocalAddressOf(accepted, &reached), 0);
  EXPECT_STREQ(reached.un.sun_path, address_.un.sun_path);
  for (const int fd : {accepted, client, *listener}) {
    close(fd);
  }
}

std::string CongestionControl(int fd) {
  std::array<char, 16> name{};
  auto length = static_cast<socklen_t>(name.size());
  EXPECT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), &length), 0);
  return name.data();
}

TEST(SocketTest, OnlyWhatStaysOnThisMachineIsNotPaced) {
  for (const SocketAddress& local : {V4("127.0.0.1", 25), V4("127.9.9.9", 25), V6("::1", 25)}) {
    const int fd = OpenStreamSocket(local.any.sa_family);
    LeavePacing(fd, local.any);
    EXPECT_EQ(CongestionControl(fd), "reno");
    close(fd);
  }
  for (const SocketAddress& far :
       {V4("128.0.0.1", 25), V4("192.0.2.1", 25), V6("2001:db8::1", 25)}) {
    const int fd = OpenStreamSocket(far.any.sa_family);
    const std::string before = CongestionControl(fd);
    LeavePacing(fd, far.any);
    EXPECT_EQ(CongestionControl(fd), before);
    EXPECT_EQ(PacesByDefault(), before.starts_with("bbr"));
    close(fd);
  }
}

TEST(SocketTest, AStreamSocketSendsAtOnceAndIsNotInherited) {
  const int fd = OpenStreamSocket(AF_INET6);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(OptionOf(fd, IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  close(fd);
  EXPECT_EQ(OpenStreamSocket(-1), -EAFNOSUPPORT);
}

}  // namespace
}  // namespace ringpost
