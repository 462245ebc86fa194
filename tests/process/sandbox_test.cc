// SPDX-License-Identifier: GPL-3.0-or-later
//
// What no longer works from inside. Each attempt is made by a process of its own: once as it is
// started, where it must work, or the test shows nothing, and once behind each part of the sandbox.
#include "ringpost/process/sandbox.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <thread>

#include "ringpost/config/address.h"
#include "ringpost/process/privileges.h"

namespace ringpost {
namespace {

constexpr int kNotPrepared = 250;

// The errno of what was tried; 0: it worked.
using Attempt = std::function<int()>;

int Outcome(bool worked) { return worked ? 0 : errno; }
int OutcomeOf(long result) { return Outcome(result >= 0); }

int InChild(const std::function<bool()>& prepare, const Attempt& attempt) {
  const pid_t child = fork();
  if (child == 0) {
    _exit(prepare() ? attempt() : kNotPrepared);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

bool Nothing() { return true; }

bool FilteredCalls() {
  Identity identity;
  identity.uid = geteuid();
  const absl::StatusOr<bool> filtered =
      DropPrivileges(identity).ok() ? FilterSystemCalls(SandboxLimits()) : absl::UnknownError("");
  return filtered.ok() && *filtered;
}

// A port on which this process listens.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), length) == 0 && listen(fd_, 8) == 0 &&
        getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length) == 0) {
      port_ = ntohs(address.sin_port);
    }
  }
  ~Listener() { close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int Connect() const {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return OutcomeOf(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address));
  }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

int BindAnyPort() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return OutcomeOf(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address));
}

int OpenPath(const char* path, int flags) { return OutcomeOf(open(path, flags | O_CLOEXEC, 0600)); }

// Works where "/bin/true" can be run in this process's place.
int Exec() {
  const pid_t child = vfork();
  if (child == 0) {
    execl("/bin/true", "true", nullptr);
    _exit(errno);
  }
  int status = 0;
  return child < 0 ? errno : (waitpid(child, &status, 0), WEXITSTATUS(status));
}

int ExecInPlace() {
  execl("/bin/true", "true", nullptr);
  return errno;
}

int WritableProgram() {
  return Outcome(mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

int NewRing() {
  alignas(8) char params[120] = {};  // of io_uring_setup(2)
  return OutcomeOf(syscall(SYS_io_uring_setup, 1, params));
}

int LoadBpf() {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = 4;
  attributes.value_size = 4;
  attributes.max_entries = 1;
  return OutcomeOf(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes));
}

class SandboxTest : public testing::Test {
 protected:
  void SetUp() override {
    if (LandlockVersion() == 0 && InChild(FilteredCalls, [] { return 0; }) != 0) {
      GTEST_SKIP() << "neither seccomp nor Landlock here";
    }
    path_ = testing::TempDir() + "/sandbox_test." + std::to_string(getpid());
    std::ofstream(path_) << "x";
  }
  void TearDown() override { unlink(path_.c_str()); }

  [[nodiscard]] std::function<bool()> As(ThreadRole role) const {
    return [this, role] {
      Identity identity;
      identity.uid = geteuid();
      return DropPrivileges(identity).ok() && RestrictThread(role, limits_).ok();
    };
  }

  std::string path_;
  SandboxLimits limits_;
};

TEST_F(SandboxTest, SystemCallsThatAreNotNeededFail) {
  if (InChild(FilteredCalls, [] { return 0; }) != 0) {
    GTEST_SKIP() << "no seccomp here";
  }
  const bool root = geteuid() == 0;
  struct Row {
    const char* what;
    Attempt attempt;
    int fails = EPERM;
    bool needs_root = false;
  };
  const Row rows[] = {
      {"run a program", ExecInPlace},
      {"make a process", Exec},
      {"open a file for writing", [this] { return OpenPath(path_.c_str(), O_WRONLY); }},
      {"open a file for both", [this] { return OpenPath(path_.c_str(), O_RDWR); }},
      {"truncate a file", [this] { return OpenPath(path_.c_str(), O_RDONLY | O_TRUNC); }},
      {"make a file", [this] { return OpenPath((path_ + "2").c_str(), O_RDONLY | O_CREAT); }},
      {"make executable memory", WritableProgram},
      {"make another ring", NewRing},
      {"signal another process", [] { return OutcomeOf(kill(getppid(), 0)); }},
      {"be traced", [] { return OutcomeOf(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }},
      {"netlink", [] { return OutcomeOf(socket(AF_NETLINK, SOCK_RAW, 0)); }},
      {"chmod", [this] { return OutcomeOf(chmod(path_.c_str(), 0777)); }},
      {"rename", [this] { return OutcomeOf(rename(path_.c_str(), path_.c_str())); }},
      {"packet socket", [] { return OutcomeOf(socket(AF_PACKET, SOCK_RAW, 0)); }, EPERM, true},
      {"raw socket", [] { return OutcomeOf(socket(AF_INET, SOCK_RAW, 1)); }, EPERM, true},
      {"a namespace", [] { return OutcomeOf(unshare(CLONE_NEWUTS)); }, EPERM, true},
      {"bpf", LoadBpf, EPERM, true},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    if (row.needs_root && (!root || InChild(Nothing, row.attempt) != 0)) {
      continue;  // a container may forbid it
    }
    EXPECT_EQ(InChild(Nothing, row.attempt), 0) << "it does not work without the filter either";
    EXPECT_EQ(InChild(FilteredCalls, row.attempt), row.fails);
  }
}

TEST_F(SandboxTest, WhatIsNeededWorksBehindTheFilter) {
  const Listener listener;
  const Attempt needed = [&] {
    int result = OpenPath(path_.c_str(), O_RDONLY);
    result = result != 0 ? result : listener.Connect();
    result = result != 0 ? result : BindAnyPort();
    result = result != 0 ? result : OutcomeOf(kill(getpid(), 0));
    std::thread([&result] {
      result = result != 0 ? result : OpenPath("/dev/null", O_RDONLY);
    }).join();
    return result;
  };
  EXPECT_EQ(InChild(FilteredCalls, needed), 0);
}

TEST_F(SandboxTest, TheFilterIsOnAllThreads) {
  const Attempt in_a_thread_from_before = [] {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
      return kNotPrepared;
    }
    int result = 0;
    std::thread thread([&] {
      char octet = 0;
      (void)!read(fds[0], &octet, 1);  // until the filter is there
      result = WritableProgram();
    });
    const bool filtered = FilteredCalls();
    (void)!write(fds[1], "x", 1);
    thread.join();
    return filtered ? result : 0;
  };
  EXPECT_EQ(InChild(Nothing, in_a_thread_from_before), EPERM);
}

TEST_F(SandboxTest, AShardHasNoFiles) {
  if (LandlockVersion() == 0) {
    GTEST_SKIP() << "no Landlock here";
  }
  const Attempt read = [this] { return OpenPath(path_.c_str(), O_RDONLY); };
  const Attempt write = [this] { return OpenPath(path_.c_str(), O_WRONLY); };
  const Attempt shadow = [] { return OpenPath("/etc/passwd", O_RDONLY); };
  const Attempt removed = [this] { return OutcomeOf(unlink((path_ + ".absent").c_str())); };
  for (const Attempt& attempt : {read, write, shadow, Attempt(ExecInPlace)}) {
    EXPECT_EQ(InChild(Nothing, attempt), 0);
    for (const ThreadRole role : {ThreadRole::kShard, ThreadRole::kQuiet}) {
      EXPECT_EQ(InChild(As(role), attempt), EACCES);
    }
  }
  EXPECT_EQ(InChild(Nothing, removed), ENOENT);
  // Who reloads reads, and does no more.
  for (const ThreadRole role : {ThreadRole::kMain, ThreadRole::kNames}) {
    EXPECT_EQ(InChild(As(role), read), 0);
    EXPECT_EQ(InChild(As(role), write), EACCES);
    EXPECT_EQ(InChild(As(role), ExecInPlace), EACCES);
  }
}

// The log file is opened anew and a unix socket made by a reload, both in their folders alone.
TEST_F(SandboxTest, WhoReloadsMakesWhatTheConfigurationNames) {
  if (LandlockVersion() == 0) {
    GTEST_SKIP() << "no Landlock here";
  }
  const std::string folder = path_ + ".folder";
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  const auto append_to = [](const std::string& path) -> Attempt {
    return [path] { return OpenPath(path.c_str(), O_WRONLY | O_CREAT | O_APPEND); };
  };
  const auto bind_to = [](const std::string& path) -> Attempt {
    return [path] {
      const absl::StatusOr<Endpoint> endpoint = ParseEndpoint("unix:" + path);
      const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      return OutcomeOf(
          bind(fd, &endpoint->address.any, endpoint->length) == 0 ? chmod(path.c_str(), 0600) : -1);
    };
  };
  const auto confined = [this](ThreadRole role) {
    return [this, role] { return As(role)() && FilterSystemCalls(limits_).ok(); };
  };
  limits_.log_folder = limits_.socket_folders.emplace(folder + "/").first->c_str();
  EXPECT_EQ(InChild(confined(ThreadRole::kMain), append_to(folder + "/log")), 0);
  EXPECT_EQ(InChild(confined(ThreadRole::kMain), bind_to(folder + "/socket")), 0);
  EXPECT_EQ(InChild(confined(ThreadRole::kMain), append_to(path_ + ".2")), EACCES);
  EXPECT_EQ(InChild(confined(ThreadRole::kMain), bind_to(path_ + ".3")), EACCES);
  EXPECT_EQ(InChild(confined(ThreadRole::kQuiet), bind_to(folder + "/socket2")), EACCES);
  unlink((folder + "/log").c_str());
  unlink((folder + "/socket").c_str());
  EXPECT_EQ(rmdir(folder.c_str()), 0);
}

TEST_F(SandboxTest, PortsAreThoseOfTheConfiguration) {
  if (!RestrictsPorts(LandlockVersion())) {
    GTEST_SKIP() << "no ports in Landlock here";
  }
  const Listener upstream;
  const Listener elsewhere;
  limits_.upstream_ports = {upstream.port()};
  limits_.name_server_ports = {elsewhere.port()};
  const Attempt to_upstream = [&] { return upstream.Connect(); };
  const Attempt to_elsewhere = [&] { return elsewhere.Connect(); };
  EXPECT_EQ(InChild(Nothing, to_elsewhere), 0);
  EXPECT_EQ(InChild(As(ThreadRole::kShard), to_upstream), 0);
  EXPECT_EQ(InChild(As(ThreadRole::kShard), to_elsewhere), EACCES);
  EXPECT_EQ(InChild(As(ThreadRole::kNames), to_upstream), EACCES);
  EXPECT_EQ(InChild(As(ThreadRole::kNames), to_elsewhere), 0);
  EXPECT_EQ(InChild(As(ThreadRole::kQuiet), to_upstream), EACCES);
  EXPECT_EQ(InChild(As(ThreadRole::kMain), BindAnyPort), 0);
  EXPECT_EQ(InChild(As(ThreadRole::kShard), BindAnyPort), EACCES);
}

TEST_F(SandboxTest, CapabilitiesDoNotReachThreads) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "wants root, to become somebody else";
  }
  const absl::StatusOr<Identity> nobody = ChooseIdentity("nobody", "");
  ASSERT_TRUE(nobody.ok()) << nobody.status();
  chmod(path_.c_str(), 0600);
  const auto become = [&] { return DropPrivileges(*nobody).ok(); };
  const Attempt read = [this] { return OpenPath(path_.c_str(), O_RDONLY); };
  const Attempt write = [this] { return OpenPath(path_.c_str(), O_WRONLY); };
  const Attempt in_thread = [&] {
    int result = 0;
    (void)WithoutCapabilities([&] {
      result = read();
      return absl::OkStatus();
    });
    return result;
  };
  const Attempt given_up = [&] {
    const absl::StatusOr<std::string> kept = KeepForReload({.files = {"/dev/null"}});
    return kept.ok() && *kept == "no capabilities" ? read() : 0;
  };
  const Attempt kept = [&] {
    return KeepForReload({.files = {path_}}).ok() ? read() : kNotPrepared;
  };
  EXPECT_EQ(InChild(become, read), 0);
  EXPECT_EQ(InChild(become, write), EACCES);
  EXPECT_EQ(InChild(become, in_thread), EACCES);
  EXPECT_EQ(InChild(become, given_up), EACCES);
  EXPECT_EQ(InChild(become, kept), 0);
  EXPECT_EQ(InChild(become, [] { return OutcomeOf(setuid(0)); }), EPERM);
}

TEST(Sandbox, SaysWhatAReloadMayNot) {
  Config config;
  config.upstreams.emplace_back();
  config.upstreams.front().addresses = {*ParseEndpoint("127.0.0.1:10025"),
                                        *ParseEndpoint("unix:/run/mta")};
  const SandboxLimits limits = LimitsOf(config);
  EXPECT_EQ(limits.upstream_ports, std::set<std::uint16_t>{10025});
  EXPECT_EQ(limits.name_server_ports, std::set<std::uint16_t>{53});
  constexpr int kFilesOnly = 3;
  constexpr int kPortsToo = 4;
  EXPECT_EQ(BeyondLimits(limits, config, kPortsToo), "");
  config.upstreams.front().targets = {{.endpoint = {}, .host = "mx.example", .port = htons(26)}};
  EXPECT_NE(BeyondLimits(limits, config, kPortsToo).find("(10025), not to 26; send SIGUSR1"),
            std::string::npos);
  EXPECT_EQ(BeyondLimits(limits, config, kFilesOnly), "");
  config.routes.emplace_back().listeners = {{.endpoint = *ParseEndpoint("unix:/run/out/sock")}};
  EXPECT_NE(BeyondLimits(limits, config, kFilesOnly).find("not in /run/out/; send SIGUSR1"),
            std::string::npos);
  EXPECT_NE(BeyondLimits(limits, config, 0), "") << "the filter of system calls has no chmod";
  const SandboxLimits with_socket = LimitsOf(config);
  EXPECT_EQ(with_socket.socket_folders, std::set<std::string>{"/run/out/"});
  config.routes.front().listeners = {{.endpoint = *ParseEndpoint("unix:/run/other/sock")}};
  EXPECT_EQ(BeyondLimits(with_socket, config, 0), "");
}

}  // namespace
}  // namespace ringpost
