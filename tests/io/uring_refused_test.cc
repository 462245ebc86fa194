// SPDX-License-Identifier: GPL-3.0-or-later
//
// Where a seccomp filter refuses the ring's system calls, from the start or later: in a process of
// their own, because a filter stays.
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "ringpost/io/uring.h"

namespace ringpost {
namespace {

using testing::ExitedWithCode;

constexpr int kDone = 3;  // no code that ringpost has

struct Call {
  const char* name;
  unsigned number;
};
constexpr Call kSetup{"io_uring_setup", SYS_io_uring_setup};
constexpr Call kEnter{"io_uring_enter", SYS_io_uring_enter};
constexpr Call kRegister{"io_uring_register", SYS_io_uring_register};

// From now on this thread's calls of that kind fail.
void Refuse(const Call& call, int error) {
  std::array<sock_filter, 4> filter = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program{.len = filter.size(), .filter = filter.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    std::perror("no seccomp filter");
    _exit(kDone + 1);
  }
}

[[noreturn]] void ProbeWithout(const Call& call, int error) {
  Refuse(call, error);
  const absl::Status status = Uring::Probe().status();
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  _exit(status.ok() ? 0 : kDone);
}

// A ring of 8 requests that has worked.
class WorkingRing {
 public:
  WorkingRing() : pool_(32, 1) {
    options_.submission_entries = 8;
    options_.completion_entries = 64;
    options_.lent_blocks = 16;
    options_.on_failure = [](std::string_view sentence) {
      std::fprintf(stderr, "told: %.*s\n", static_cast<int>(sentence.size()), sentence.data());
    };
    uring_ = *Uring::Create(options_, &pool_);
    Read(eventfd(1, 0));
    if (uring_->Wait(kNsPerSecond, completions_) != 1) {
      _exit(kDone + 1);
    }
  }
  void Read(int event) { uring_->ReadEvent(operations_.emplace_back(), event, &value_); }
  void WaitFor(std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) {
      (void)uring_->Wait(0, completions_);
    }
  }

 private:
  BufferPool pool_;
  UringOptions options_;
  std::unique_ptr<Uring> uring_;
  std::deque<Operation> operations_;
  std::array<Completion, 8> completions_;
  std::uint64_t value_ = 0;
};

[[noreturn]] void RefuseLater(int error) {
  WorkingRing ring;
  Refuse(kEnter, error);
  ring.WaitFor(std::chrono::seconds(2));
  _exit(kDone);
}

[[noreturn]] void FillTheQueue(int error) {
  WorkingRing ring;
  Refuse(kEnter, error);
  const int never = eventfd(0, 0);
  for (int i = 0; i < 9; ++i) {
    ring.Read(never);
  }
  _exit(kDone);
}

TEST(UringRefusedTest, AStartSaysWhatToAllow) {
  for (const Call& call : {kSetup, kEnter, kRegister}) {
    for (const int error : {EPERM, ENOSYS, EACCES}) {
      EXPECT_EXIT(ProbeWithout(call, error), ExitedWithCode(kDone),
                  std::string("io_uring is not allowed here: ") + call.name + ": " +
                      std::strerror(error) +
                      "; allow the system calls io_uring_setup, io_uring_enter and "
                      "io_uring_register, in a container in its seccomp profile");
    }
  }
}

TEST(UringRefusedTest, ARefusalThatComesLaterEndsTheProcess) {
  for (const int error : {EPERM, ENOSYS}) {
    EXPECT_EXIT(RefuseLater(error), ExitedWithCode(1),
                std::string("told: io_uring is not allowed here: io_uring_enter: ") +
                    std::strerror(error) + ".*\nringpost: io_uring is not allowed here");
  }
  EXPECT_EXIT(RefuseLater(EBADF), ExitedWithCode(1), "io_uring_enter: Bad file descriptor");
}

TEST(UringRefusedTest, WhatPassesEndsNothing) {
  EXPECT_EXIT(RefuseLater(EAGAIN), ExitedWithCode(kDone), "^$");
}

// Where no request fits any more, nothing can be done meanwhile.
TEST(UringRefusedTest, AQueueThatStaysFullEndsTheProcess) {
  for (const int error : {EPERM, EAGAIN}) {
    EXPECT_EXIT(FillTheQueue(error), ExitedWithCode(1),
                std::string("ringpost: .*io_uring_enter: ") + std::strerror(error));
  }
}

}  // namespace
}  // namespace ringpost
