// SPDX-License-Identifier: GPL-3.0-or-later
//
// Who has the files of unix sockets, and when they come and go.
#include "ringpost/process/unix_listeners.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <string>

#include "ringpost/io/socket.h"

namespace ringpost {
namespace {

class UnixListenersTest : public testing::Test {
 protected:
  UnixListenersTest() {
    char folder[] = "/tmp/ringpost-unix-listeners-XXXXXX";
    EXPECT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
  }
  ~UnixListenersTest() override {
    for (const char* const name : {"a", "b"}) {
      unlink(Path(name).c_str());
    }
    rmdir(folder_.c_str());
  }

  [[nodiscard]] std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  [[nodiscard]] Endpoint At(const std::string& name) const {
    Endpoint endpoint;
    endpoint.text = "unix:" + Path(name);
    endpoint.address.un.sun_family = AF_UNIX;
    Path(name).copy(endpoint.address.un.sun_path, sizeof endpoint.address.un.sun_path - 1);
    endpoint.length = sizeof endpoint.address.un;
    return endpoint;
  }
  // A route for each, and one at a port, which nobody here opens.
  [[nodiscard]] Config With(std::initializer_list<const char*> names) const {
    Config config;
    config.routes.emplace_back().listeners.emplace_back().endpoint.address.in.sin_family = AF_INET;
    for (const char* const name : names) {
      config.routes.emplace_back().listeners.push_back({.endpoint = At(name)});
    }
    return config;
  }
  [[nodiscard]] bool IsThere(const std::string& name) const {
    return access(Path(name).c_str(), F_OK) == 0;
  }
  [[nodiscard]] ino_t Inode(const std::string& name) const {
    struct stat file{};
    EXPECT_EQ(lstat(Path(name).c_str(), &file), 0);
    return file.st_ino;
  }

  std::string folder_;
};

TEST_F(UnixListenersTest, ComeAndGo) {
  UnixListeners listeners;
  ASSERT_TRUE(listeners.Open(With({"a"})).ok());
  const ino_t inode = Inode("a");
  ASSERT_TRUE(listeners.Open(With({"a", "b"})).ok());
  EXPECT_TRUE(IsThere("b"));
  listeners.Keep(With({"a"}));
  EXPECT_FALSE(IsThere("b"));
  EXPECT_EQ(Inode("a"), inode);
  listeners.Close();
  EXPECT_FALSE(IsThere("a"));
}

// Whoever connects to the path is accepted from the duplicate, also once the path is gone.
TEST_F(UnixListenersTest, ADuplicateIsTheSameSocket) {
  UnixListeners listeners;
  ASSERT_TRUE(listeners.Open(With({"a"})).ok());
  const absl::StatusOr<int> shard = listeners.Duplicate(At("a"));
  ASSERT_TRUE(shard.ok()) << shard.status();
  const Endpoint to = At("a");
  const int client = OpenStreamSocket(AF_UNIX);
  ASSERT_EQ(connect(client, &to.address.any, to.length), 0);
  listeners.Close();
  const int accepted = accept4(*shard, nullptr, nullptr, SOCK_CLOEXEC);
  EXPECT_GE(accepted, 0);
  for (const int fd : {accepted, client, *shard}) {
    close(fd);
  }
}

TEST_F(UnixListenersTest, WhatIsRefusedLeavesNothingBehind) {
  UnixListeners listeners;
  ASSERT_TRUE(listeners.Open(With({})).ok());
  std::ofstream(Path("b")) << "no socket";
  const absl::Status status = listeners.Open(With({"a", "b"}));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_NE(status.message().find("choose another path for the listening socket"),
            absl::string_view::npos)
      << status;
  listeners.Keep(With({}));
  EXPECT_FALSE(IsThere("a"));
  EXPECT_TRUE(IsThere("b"));
}

// Of a successor, for example.
TEST_F(UnixListenersTest, AnothersSocketIsNotRemoved) {
  UnixListeners old;
  ASSERT_TRUE(old.Open(With({"a"})).ok());
  ASSERT_EQ(rename(Path("a").c_str(), Path("b").c_str()), 0);
  UnixListeners successor;
  ASSERT_TRUE(successor.Open(With({"a"})).ok());
  old.Close();
  EXPECT_TRUE(IsThere("a"));
}

}  // namespace
}  // namespace ringpost
