// SPDX-License-Identifier: GPL-3.0-or-later
//
// An allow-list, by libseccomp. What is not on it fails with EPERM, and does not kill: a library
// that a later Debian brings may try something new and do without, and a mail server that ends for
// that would lose every session.
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "process_kind.h"
#include "ringpost/process/sandbox.h"

namespace ringpost {
namespace {

// Whatever the arguments are. Names that an architecture does not have are passed over.
constexpr std::array kAllowed = {
    // memory
    "brk", "madvise", "membarrier", "mlock", "mlock2", "mremap", "munlock", "munmap",
    // threads
    "exit", "exit_group", "futex", "futex_wait", "futex_waitv", "futex_wake", "getcpu",
    "get_robust_list", "gettid", "restart_syscall", "rseq", "sched_getaffinity",
    "sched_setaffinity", "sched_yield", "set_robust_list", "set_tid_address",
    // signals; kill and tgkill are below
    "pause", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend",
    "rt_sigtimedwait", "sigaltstack", "wait4", "waitid",
    // who this is; capset takes away, and can give nothing
    "capget", "capset", "getegid", "geteuid", "getgid", "getgroups", "getpgrp", "getpid", "getppid",
    "getresgid", "getresuid", "getrusage", "getsid", "getuid", "landlock_add_rule",
    "landlock_create_ruleset", "landlock_restrict_self", "sysinfo", "umask", "uname",
    // time
    "clock_getres", "clock_gettime", "clock_nanosleep", "gettimeofday", "nanosleep", "time",
    "timerfd_create", "timerfd_gettime", "timerfd_settime",
    // descriptors and waiting
    "close", "close_range", "dup", "dup2", "dup3", "epoll_create1", "epoll_ctl", "epoll_pwait",
    "epoll_pwait2", "epoll_wait", "eventfd2", "fcntl", "fdatasync", "fsync", "lseek",
    "memfd_create", "pipe2", "poll", "ppoll", "pread64", "preadv", "preadv2", "pselect6", "read",
    "readv", "select", "write", "writev",
    // files, without opening one; what may be removed, or made, is Landlock's to say
    "access", "faccessat", "faccessat2", "fstat", "fstatfs", "getcwd", "getdents64", "lstat",
    "newfstatat", "readlink", "readlinkat", "stat", "statfs", "statx", "unlink", "unlinkat",
    // network; socket and socketpair are below
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen",
    "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown",
    // the rings that there are; what they do is restricted where they are made (src/io/uring.cc)
    "io_uring_enter", "io_uring_register", "getrandom"};

// Of one argument, in the 32 bits that count: those of `mask` are `value`.
scmp_arg_cmp Bits(unsigned argument, std::uint32_t mask, std::uint32_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}
scmp_arg_cmp Is(unsigned argument, std::uint32_t value) { return Bits(argument, ~0U, value); }

struct FilterDeleter {
  void operator()(scmp_filter_ctx filter) const { seccomp_release(filter); }
};

class Filter {
 public:
  Filter() : filter_(seccomp_init(SCMP_ACT_ERRNO(EPERM))), ok_(filter_ != nullptr) {
    Set(SCMP_FLTATR_CTL_TSYNC, 1);     // all threads
    Set(SCMP_FLTATR_CTL_OPTIMIZE, 2);  // by a binary tree
  }

  void Allow(const char* call, std::initializer_list<scmp_arg_cmp> when = {}) {
    Add(SCMP_ACT_ALLOW, call, when);
  }
  void Add(std::uint32_t action, const char* call, std::initializer_list<scmp_arg_cmp> when = {}) {
    const int number = seccomp_syscall_resolve_name(call);
    if (number == __NR_SCMP_ERROR || number < 0) {
      return;
    }
    const std::vector<scmp_arg_cmp> conditions(when);
    Note(seccomp_rule_add_array(filter_.get(), action, number,
                                static_cast<unsigned>(conditions.size()), conditions.data()));
  }
  [[nodiscard]] absl::Status Load() {
    if (ok_) {
      Note(seccomp_load(filter_.get()));
    }
    if (ok_) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(
        absl::StrCat("system calls cannot be restricted: ", std::strerror(error_),
                     "; start with sandbox = \"off\" to do without"));
  }

 private:
  void Set(scmp_filter_attr attribute, std::uint32_t value) {
    if (ok_) {
      Note(seccomp_attr_set(filter_.get(), attribute, value));
    }
  }
  void Note(int result) {
    if (result < 0 && ok_) {
      ok_ = false;
      error_ = -result;
    }
  }

  std::unique_ptr<std::remove_pointer_t<scmp_filter_ctx>, FilterDeleter> filter_;
  bool ok_;
  int error_ = ENOMEM;
};

void AllowByArguments(Filter* filter, const SandboxLimits& limits) {
  // No memory becomes a program.
  filter->Allow("mmap", {Bits(2, PROT_EXEC, 0)});
  filter->Allow("mprotect", {Bits(2, PROT_EXEC, 0)});
  // Threads, and no processes. Of clone3 a filter cannot see the flags; libc then takes clone.
  filter->Allow("clone", {Bits(0, CLONE_THREAD, CLONE_THREAD)});
  filter->Add(SCMP_ACT_ERRNO(ENOSYS), "clone3");
  const auto self = static_cast<std::uint32_t>(getpid());
  filter->Allow("kill", {Is(0, self)});
  filter->Allow("tgkill", {Is(0, self)});
  constexpr std::uint32_t kSocketType = 0xf;  // without SOCK_CLOEXEC and the like
  // Files are read. Those that are written to are open.
  constexpr std::uint32_t kWrites = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND;
  filter->Allow("open", {Bits(1, kWrites, O_RDONLY)});
  filter->Allow("openat", {Bits(2, kWrites, O_RDONLY)});
  if (!limits.log_folder.empty()) {
    constexpr std::uint32_t kAppends = O_WRONLY | O_CREAT | O_APPEND;
    filter->Allow("open", {Bits(1, kWrites, kAppends)});
    filter->Allow("openat", {Bits(2, kWrites, kAppends)});
  }
  if (!limits.socket_folders.empty()) {  // a unix socket's file gets its mode after it was made
    for (const char* const call : {"chmod", "fchmod", "fchmodat", "fchmodat2"}) {
      filter->Allow(call);
    }
  }
  for (const std::uint32_t family : std::to_array<std::uint32_t>({AF_UNIX, AF_INET, AF_INET6})) {
    for (const std::uint32_t type : {SOCK_STREAM, SOCK_DGRAM}) {
      filter->Allow("socket", {Is(0, family), Bits(1, kSocketType, type)});
    }
  }
  filter->Allow("socketpair", {Is(0, AF_UNIX)});
  for (const std::uint32_t request : std::to_array<std::uint32_t>({FIONREAD, FIONBIO, TCGETS})) {
    filter->Allow("ioctl", {Is(1, request)});
  }
  // A limit that is lowered, or read, of this process only.
  filter->Allow("prlimit64", {Is(0, 0)});
  filter->Allow("getrlimit");
  // What libc and libcap ask for by it; nothing here takes a restriction back.
  for (const std::uint32_t option : std::to_array<std::uint32_t>(
           {PR_SET_NAME, PR_GET_NAME, PR_CAPBSET_READ, PR_GET_SECUREBITS})) {
    filter->Allow("prctl", {Is(0, option)});
  }
}

}  // namespace

absl::StatusOr<bool> FilterSystemCalls(const SandboxLimits& limits) {
  // A kernel, or a container, that knows such filters looks for this one, and finds none.
  const bool known =
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0U, nullptr) != 0 && errno == EFAULT;
  if (kIsSanitized || !known) {
    return false;
  }
  Filter filter;
  for (const char* const call : kAllowed) {
    filter.Allow(call);
  }
  AllowByArguments(&filter, limits);
  if (absl::Status status = filter.Load(); !status.ok()) {
    return status;
  }
  return true;
}

}  // namespace ringpost
