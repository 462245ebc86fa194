// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/start_helper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "process_kind.h"
#include "ringpost/process/inherited_sockets.h"

namespace ringpost {
namespace {

// The kernel takes 253 descriptors in one message.
constexpr std::size_t kBatch = 128;
constexpr int kSocket = 3;  // of the helper
constexpr int kFirstHanded = 3;
constexpr int kKillAfterMs = 10'000;
constexpr int kNotExecuted = 127;  // as a shell has it

enum class Ask : char { kMore = 'm', kStart = 's', kKill = 'k' };

struct Request {
  Ask ask = Ask::kMore;
  std::array<char, kBatch> kinds{};  // of the descriptors that come with it
};

std::string_view NameOf(char kind) {
  switch (static_cast<HandedKind>(kind)) {
    case HandedKind::kOwnedFile:
      return InheritedSockets::kOwnedFile;
    case HandedKind::kPredecessor:
      return InheritedSockets::kPredecessor;
    case HandedKind::kListener:
      break;
  }
  return InheritedSockets::kListener;
}

bool Send(int socket, const Request& request, std::span<const HandedSocket> sockets) {
  Request copy = request;
  std::array<int, kBatch> fds{};
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    copy.kinds[i] = static_cast<char>(sockets[i].kind);
    fds[i] = sockets[i].fd;
  }
  iovec part{.iov_base = &copy, .iov_len = sizeof copy};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fds)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!sockets.empty()) {
    const std::size_t octets = sockets.size() * sizeof(int);
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(octets);
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(octets);
    std::memcpy(CMSG_DATA(header), fds.data(), octets);
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof copy);
}

// --- The helper's side

struct Descriptor {
  int fd;
  char kind;
};

class Helper {
 public:
  Helper(std::string program, char** arguments)
      : program_(std::move(program)), arguments_(arguments) {}

  [[noreturn]] void Run();

 private:
  [[nodiscard]] bool TakeRequest();
  void StartProgram();
  [[noreturn]] void Execute();
  void Reap();
  static void Tell(const HelperNews& news) {
    (void)!send(kSocket, &news, sizeof news, MSG_NOSIGNAL);
  }

  std::string program_;
  char** arguments_;
  std::array<struct sigaction, NSIG> before_{};  // what the program is to have again
  rlimit files_before_{};
  std::vector<Descriptor> handed_;
  bool lost_ = false;  // some of them could not be taken
  pid_t child_ = 0;
  int child_fd_ = -1;
  int kill_in_ms_ = -1;
};

// It ends with the process that it serves, and not with the terminal or by a signal to all that
// are called so.
constexpr std::array kIgnored{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE};

void Helper::Run() {
  prctl(PR_SET_NAME, "ringpost-start");
  if (!kIsSanitized) {  // it is not confined: nobody of the same user is to get at its memory
    prctl(PR_SET_DUMPABLE, 0);
  }
  // Twice as many as a request has.
  getrlimit(RLIMIT_NOFILE, &files_before_);
  const rlimit most{.rlim_cur = files_before_.rlim_max, .rlim_max = files_before_.rlim_max};
  setrlimit(RLIMIT_NOFILE, &most);
  const auto set = [this](int signal, sighandler_t handler) {
    struct sigaction action{};
    action.sa_handler = handler;
    sigaction(signal, &action, &before_[static_cast<std::size_t>(signal)]);
  };
  for (const int signal : kIgnored) {
    set(signal, SIG_IGN);
  }
  set(SIGCHLD, SIG_DFL);  // or waitpid(2) would tell nothing
  for (;;) {
    std::array<pollfd, 2> polled{{{.fd = kSocket, .events = POLLIN, .revents = 0},
                                  {.fd = child_fd_, .events = POLLIN, .revents = 0}}};
    const int count = poll(polled.data(), polled.size(), kill_in_ms_);
    if (count == 0 && child_ > 0) {
      kill(child_, SIGKILL);
      kill_in_ms_ = -1;
    }
    if (polled[1].revents != 0) {
      Reap();
    }
    if (polled[0].revents != 0 && !TakeRequest()) {
      _exit(0);  // whoever it served is gone
    }
  }
}

bool Helper::TakeRequest() {
  Request request;
  iovec part{.iov_base = &request, .iov_len = sizeof request};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kBatch * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t count = recvmsg(kSocket, &message, MSG_CMSG_CLOEXEC);
  if (count <= 0) {
    return count < 0 && errno == EINTR;
  }
  lost_ = lost_ || (message.msg_flags & MSG_CTRUNC) != 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const std::size_t fds = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < fds && i < kBatch; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      struct stat file{};
      if (fstat(fd, &file) != 0 || !S_ISSOCK(file.st_mode)) {  // nothing else is handed over
        close(fd);
        lost_ = true;
        continue;
      }
      handed_.push_back({.fd = fd, .kind = request.kinds[i]});
    }
  }
  switch (request.ask) {
    case Ask::kMore:
      break;
    case Ask::kStart:
      StartProgram();
      for (const Descriptor& descriptor : handed_) {
        close(descriptor.fd);
      }
      handed_.clear();
      lost_ = false;
      break;
    case Ask::kKill:
      if (child_ > 0) {
        kill(child_, SIGTERM);
        kill_in_ms_ = kKillAfterMs;
      }
      break;
  }
  return true;
}

void Helper::StartProgram() {
  if (child_ > 0) {
    Tell({.kind = HelperNews::Kind::kNotStarted, .pid = 0, .status = EBUSY});
    return;
  }
  if (lost_) {
    Tell({.kind = HelperNews::Kind::kNotStarted, .pid = 0, .status = EMFILE});
    return;
  }
  const pid_t pid = fork();
  if (pid == 0) {
    Execute();
  }
  const int error = errno;
  const int fd = pid < 0 ? -1 : static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (pid < 0) {
    Tell({.kind = HelperNews::Kind::kNotStarted, .pid = 0, .status = error});
    return;
  }
  child_ = pid;
  child_fd_ = fd;
  Tell({.kind = HelperNews::Kind::kStarted, .pid = pid, .status = 0});
}

void Helper::Execute() {
  // First out of the way of their places, which some may be in.
  const int first_free = kFirstHanded + static_cast<int>(handed_.size());
  std::string names;
  for (Descriptor& descriptor : handed_) {
    descriptor.fd = fcntl(descriptor.fd, F_DUPFD_CLOEXEC, first_free);
    names += names.empty() ? "" : ":";
    names += NameOf(descriptor.kind);
  }
  int place = kFirstHanded;
  for (const Descriptor& descriptor : handed_) {
    if (dup2(descriptor.fd, place++) < 0) {
      std::fprintf(stderr, "ringpost: cannot hand over a socket: %s\n", std::strerror(errno));
      _exit(kNotExecuted);
    }
  }
  close_range(static_cast<unsigned>(first_free), ~0U, CLOSE_RANGE_CLOEXEC);
  const std::string self = absl::StrCat(getpid());
  setenv("LISTEN_PID", self.c_str(), 1);
  setenv("LISTEN_FDS", absl::StrCat(handed_.size()).c_str(), 1);
  setenv("LISTEN_FDNAMES", names.c_str(), 1);
  if (std::getenv("WATCHDOG_PID") != nullptr) {
    setenv("WATCHDOG_PID", self.c_str(), 1);
  }
  setrlimit(RLIMIT_NOFILE, &files_before_);
  for (const int signal : kIgnored) {
    sigaction(signal, &before_[static_cast<std::size_t>(signal)], nullptr);
  }
  sigaction(SIGCHLD, &before_[SIGCHLD], nullptr);
  execv(program_.c_str(), arguments_);
  std::fprintf(stderr, "ringpost: cannot execute %s: %s\n", program_.c_str(), std::strerror(errno));
  _exit(kNotExecuted);
}

void Helper::Reap() {
  int status = 0;
  if (waitpid(child_, &status, WNOHANG) == 0) {
    return;
  }
  close(child_fd_);
  child_ = 0;
  child_fd_ = -1;
  kill_in_ms_ = -1;
  Tell({.kind = HelperNews::Kind::kEnded, .pid = 0, .status = status});
}

bool IsSameFile(const std::string& path, const struct stat& file) {
  struct stat there{};
  return stat(path.c_str(), &there) == 0 && there.st_dev == file.st_dev &&
         there.st_ino == file.st_ino;
}

std::string WorkingFolder() {
  std::array<char, PATH_MAX> folder{};
  return getcwd(folder.data(), folder.size()) != nullptr ? std::string(folder.data()) : ".";
}

}  // namespace

std::string ProgramPath(const char* argument0) {
  constexpr const char* kSelf = "/proc/self/exe";
  struct stat file{};
  const bool known = stat(kSelf, &file) == 0;
  const std::string name = argument0 != nullptr ? argument0 : "";
  std::vector<std::string> candidates;
  if (name.find('/') != std::string::npos) {
    candidates.push_back(name.front() == '/' ? name : absl::StrCat(WorkingFolder(), "/", name));
  } else if (const char* const path = std::getenv("PATH"); path != nullptr && !name.empty()) {
    for (const absl::string_view folder : absl::StrSplit(path, ':')) {
      candidates.push_back(
          absl::StrCat(folder.empty() ? WorkingFolder() : std::string(folder), "/", name));
    }
  }
  for (const std::string& candidate : candidates) {
    if (!known || IsSameFile(candidate, file)) {
      return candidate;
    }
  }
  std::array<char, PATH_MAX> target{};
  const ssize_t length = readlink(kSelf, target.data(), target.size());
  return {target.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
}

StartHelper StartHelper::Fork(char** arguments) {
  std::string program = ProgramPath(arguments[0]);
  std::array<int, 2> pair{-1, -1};
  if (program.empty() || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    return {};
  }
  const pid_t pid = fork();
  if (pid == 0) {
    // The sockets of socket activation are not its own, nor is anything else but the three.
    close(pair[0]);
    dup2(pair[1], kSocket);
    close_range(kSocket + 1, ~0U, 0);
    fcntl(kSocket, F_SETFD, FD_CLOEXEC);
    for (const char* const name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
      unsetenv(name);
    }
    Helper(std::move(program), arguments).Run();
  }
  close(pair[1]);
  std::signal(SIGCHLD, SIG_IGN);  // should it be killed, nobody waits for it
  if (pid < 0) {
    close(pair[0]);
    return {};
  }
  return StartHelper(pair[0]);
}

StartHelper::~StartHelper() {
  if (socket_ >= 0) {
    close(socket_);
  }
}

StartHelper::StartHelper(StartHelper&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)) {}

StartHelper& StartHelper::operator=(StartHelper&& other) noexcept {
  std::swap(socket_, other.socket_);
  return *this;
}

bool StartHelper::Start(std::span<const HandedSocket> sockets) {
  while (sockets.size() > kBatch) {
    if (!Send(socket_, {.ask = Ask::kMore, .kinds = {}}, sockets.first(kBatch))) {
      return false;
    }
    sockets = sockets.subspan(kBatch);
  }
  return Send(socket_, {.ask = Ask::kStart, .kinds = {}}, sockets);
}

void StartHelper::Kill() { (void)Send(socket_, {.ask = Ask::kKill, .kinds = {}}, {}); }

HelperNews StartHelper::Look() {
  HelperNews news;
  const ssize_t count = recv(socket_, &news, sizeof news, MSG_DONTWAIT);
  if (count == static_cast<ssize_t>(sizeof news)) {
    return news;
  }
  const bool nothing = count < 0 && (errno == EAGAIN || errno == EINTR);
  return {.kind = nothing ? HelperNews::Kind::kNone : HelperNews::Kind::kHelperGone,
          .pid = 0,
          .status = 0};
}

}  // namespace ringpost
