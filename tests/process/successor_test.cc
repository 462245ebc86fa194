// SPDX-License-Identifier: GPL-3.0-or-later
//
// The helper and the two ends of a restart, with this program in the place of the new ringpost: it
// is executed with what its first argument says.
#include "ringpost/process/successor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "ringpost/config/address.h"
#include "ringpost/io/socket.h"
#include "ringpost/process/inherited_sockets.h"
#include "ringpost/process/start_helper.h"

namespace ringpost {
namespace {

constexpr std::int64_t kNow = 1'800'000'000;
constexpr std::size_t kManySockets = 300;  // one message takes 253
constexpr int kGood = 42;

// The new process: kGood if all is as it should be.
int RunAs(std::string_view role) {
  absl::StatusOr<InheritedSockets> sockets = InheritedSockets::Take();
  if (!sockets.ok() || !sockets->has_predecessor()) {
    return 1;
  }
  const std::size_t count = sockets->size();
  Predecessor predecessor(sockets->TakePredecessor());
  const std::unique_ptr<TicketKeys> keys = predecessor.TakeTicketKeys(kNow);
  if (role == "hang") {
    pause();
  }
  if (role == "fail") {
    return 3;
  }
  EXPECT_TRUE(predecessor.TellReady());
  while (!predecessor.HasReleased()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const bool good = keys != nullptr && count == (role == "many" ? kManySockets : 0) &&
                    std::getenv("LISTEN_PID") == nullptr &&
                    fcntl(static_cast<int>(3 + count + 1), F_GETFD) < 0;
  return good ? kGood : 2;
}

class SuccessorTest : public testing::Test {
 protected:
  // A helper that executes this program in that role.
  void Prepare(std::string role) {
    role_ = std::move(role);
    arguments_ = {program_.data(), role_.data(), nullptr};
    StartHelper helper = StartHelper::Fork(arguments_.data());
    ASSERT_TRUE(helper.started());
    successor_ = std::make_unique<Successor>(std::move(helper));
  }

  [[nodiscard]] absl::Status Begin(std::vector<HandedSocket> sockets = {}) {
    now_ = Successor::Clock::now();
    return successor_->Begin(std::move(sockets), *keys_, now_);
  }

  Successor::Look Await() {
    for (int i = 0; i < 3'000; ++i) {
      const Successor::Look look = successor_->LookAt(now_);
      if (look != Successor::Look::kWaits) {
        return look;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return Successor::Look::kWaits;
  }

  std::string program_ = "successor_test";  // whatever: it is not that file's path
  std::string role_;
  std::array<char*, 3> arguments_{};
  std::unique_ptr<TicketKeys> keys_ = TicketKeys::Random(kNow);
  std::unique_ptr<Successor> successor_;
  Successor::Clock::time_point now_;
};

TEST_F(SuccessorTest, MoreSocketsThanOneMessageTakes) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  Prepare("many");
  absl::StatusOr<Endpoint> endpoint = ParseEndpoint("127.0.0.1:1");
  ASSERT_TRUE(endpoint.ok());
  endpoint->address.in.sin_port = 0;
  std::vector<HandedSocket> sockets;
  for (std::size_t i = 0; i < kManySockets; ++i) {
    const absl::StatusOr<int> fd =
        OpenListener(&endpoint->address.any, endpoint->length, endpoint->text, {});
    ASSERT_TRUE(fd.ok()) << fd.status();
    sockets.push_back({.fd = *fd, .kind = HandedKind::kListener});
  }
  ASSERT_TRUE(Begin(sockets).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(Begin()));
  ASSERT_EQ(Await(), Successor::Look::kReady) << successor_->failure();
  EXPECT_GT(successor_->pid(), 0);
  EXPECT_FALSE(successor_->under_way());
  EXPECT_TRUE(successor_->waits_for_release());
  for (const HandedSocket& socket : sockets) {
    EXPECT_EQ(close(socket.fd), 0);  // they have stayed ours
  }
  successor_->TellReleased();
  EXPECT_FALSE(successor_->waits_for_release());
}

TEST_F(SuccessorTest, OneThatEndsMayBeFollowedByAnother) {
  Prepare("fail");
  for (int times = 0; times < 3; ++times) {
    ASSERT_TRUE(Begin().ok());
    ASSERT_EQ(Await(), Successor::Look::kFailed);
    EXPECT_NE(successor_->failure().find("ended with exit code 3 before it was ready"),
              std::string::npos)
        << successor_->failure();
    EXPECT_FALSE(successor_->under_way());
  }
}

TEST_F(SuccessorTest, OneThatHangsIsEndedAfterAMinute) {
  Prepare("hang");
  ASSERT_TRUE(Begin().ok());
  for (int i = 0; i < 1'000 && successor_->pid() == 0; ++i) {
    ASSERT_EQ(successor_->LookAt(now_), Successor::Look::kWaits);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const pid_t pid = successor_->pid();
  ASSERT_GT(pid, 0);
  now_ += Successor::kPatience - std::chrono::milliseconds(1);
  EXPECT_EQ(successor_->LookAt(now_), Successor::Look::kWaits);
  now_ += std::chrono::milliseconds(1);
  EXPECT_EQ(successor_->LookAt(now_), Successor::Look::kFailed);
  EXPECT_NE(successor_->failure().find("was not ready after 60 s and is ended"), std::string::npos)
      << successor_->failure();
  for (int i = 0; i < 1'000 && kill(pid, 0) == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_NE(kill(pid, 0), 0);
  EXPECT_EQ(errno, ESRCH);
  // What is said of its end is not taken for the next one's.
  ASSERT_TRUE(Begin().ok());
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(successor_->LookAt(now_), Successor::Look::kWaits) << successor_->failure();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  successor_->GiveUp();
  EXPECT_FALSE(successor_->under_way());
}

TEST_F(SuccessorTest, WithoutAHelperNothingIsStarted) {
  successor_ = std::make_unique<Successor>(StartHelper());
  EXPECT_TRUE(absl::IsFailedPrecondition(Begin()));
  EXPECT_FALSE(successor_->under_way());
}

TEST(ProgramPathTest, IsOurOwnWhateverTheArgumentSays) {
  std::array<char, 4096> target{};
  ASSERT_GT(readlink("/proc/self/exe", target.data(), target.size() - 1), 0);
  const std::string self = target.data();
  EXPECT_EQ(ProgramPath(self.c_str()), self);
  for (const char* const other :
       {"sh", "/bin/sh", "./nothing", "", static_cast<const char*>(nullptr)}) {
    EXPECT_EQ(ProgramPath(other), self);
  }
  // A link to it is followed anew at the next start.
  const std::string link = testing::TempDir() + "program-path-" + std::to_string(getpid());
  ASSERT_EQ(symlink(self.c_str(), link.c_str()), 0);
  EXPECT_EQ(ProgramPath(link.c_str()), link);
  const char* const path = std::getenv("PATH");
  const std::string before = path == nullptr ? "" : path;
  setenv("PATH", ("/nonexistent:" + testing::TempDir()).c_str(), 1);
  const std::string found = ProgramPath(link.substr(testing::TempDir().size()).c_str());
  setenv("PATH", before.c_str(), 1);
  std::array<char, 4096> real{};
  EXPECT_STREQ(realpath(found.c_str(), real.data()), self.c_str()) << found;
  EXPECT_NE(found, self);
  unlink(link.c_str());
}

}  // namespace
}  // namespace ringpost

int main(int argc, char** argv) {
  if (argc > 1 && std::strncmp(argv[1], "--", 2) != 0) {
    return ringpost::RunAs(argv[1]);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
