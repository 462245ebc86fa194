// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/successor.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ringpost {
namespace {

constexpr char kReady = 'r';

std::string EndOf(int status) {
  if (WIFSIGNALED(status)) {
    return absl::StrCat("ended by signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)),
                        ")");
  }
  return absl::StrCat("ended with exit code ", WEXITSTATUS(status));
}

}  // namespace

Successor::~Successor() {
  for (const int fd : {channel_, ready_}) {
    if (fd >= 0) {
      close(fd);
    }
  }
}

void Successor::TellReleased() {
  if (ready_ >= 0) {
    close(std::exchange(ready_, -1));
  }
}

absl::Status Successor::Begin(std::vector<HandedSocket> sockets, const TicketKeys& ticket_keys,
                              Clock::time_point now) {
  if (under_way()) {
    return absl::AlreadyExistsError("a new one is being started already");
  }
  if (!helper_.started()) {
    return absl::FailedPreconditionError("the process that would start a new one is not there");
  }
  while (helper_.Look().kind == HelperNews::Kind::kEnded) {  // of one that was given up
  }
  std::array<int, 2> pair{-1, -1};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    return absl::InternalError(absl::StrCat("socketpair: ", std::strerror(errno)));
  }
  std::array<unsigned char, TicketKeys::kStateBytes> keys{};
  if (ticket_keys.Export(keys)) {
    (void)!send(pair[0], keys.data(), keys.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    explicit_bzero(keys.data(), keys.size());
  }
  sockets.push_back({.fd = pair[1], .kind = HandedKind::kPredecessor});
  const bool asked = helper_.Start(sockets);
  close(pair[1]);
  if (!asked) {
    close(pair[0]);
    return absl::FailedPreconditionError("the process that would start a new one has ended");
  }
  channel_ = pair[0];
  pid_ = 0;
  give_up_ = now + kPatience;
  return absl::OkStatus();
}

bool Successor::SaysReady() const {
  char word = 0;
  return recv(channel_, &word, sizeof word, MSG_DONTWAIT) == 1 && word == kReady;
}

Successor::Look Successor::Fail(std::string failure) {
  failure_ = std::move(failure);
  close(std::exchange(channel_, -1));
  return Look::kFailed;
}

Successor::Look Successor::LookAt(Clock::time_point now) {
  const bool ready = SaysReady();
  for (HelperNews news = helper_.Look(); news.kind != HelperNews::Kind::kNone;
       news = helper_.Look()) {
    switch (news.kind) {
      case HelperNews::Kind::kNone:
        break;
      case HelperNews::Kind::kStarted:
        pid_ = news.pid;
        break;
      case HelperNews::Kind::kNotStarted:
        return Fail(news.status == EBUSY
                        ? "the one that was started before has not ended yet"
                        : absl::StrCat("no process could be made: ", std::strerror(news.status)));
      case HelperNews::Kind::kEnded:
        if (pid_ != 0) {  // or it is still about one that was given up
          return Fail(absl::StrCat("the new one (pid ", pid_, ") ", EndOf(news.status),
                                   " before it was ready; what it said itself stands above"));
        }
        break;
      case HelperNews::Kind::kHelperGone:
        return Fail("the process that starts a new one has ended");
    }
  }
  if (ready) {
    ready_ = std::exchange(channel_, -1);
    return Look::kReady;
  }
  if (now < give_up_) {
    return Look::kWaits;
  }
  // From here on it cannot say so any more; it may have said it a moment ago.
  shutdown(channel_, SHUT_RD);
  if (SaysReady()) {
    ready_ = std::exchange(channel_, -1);
    return Look::kReady;
  }
  helper_.Kill();
  return Fail(absl::StrCat("the new one (pid ", pid_, ") was not ready after ", kPatience.count(),
                           " s and is ended"));
}

void Successor::GiveUp() {
  if (under_way()) {
    helper_.Kill();
    close(std::exchange(channel_, -1));
  }
}

Predecessor::~Predecessor() {
  if (channel_ >= 0) {
    close(channel_);
  }
}

std::unique_ptr<TicketKeys> Predecessor::TakeTicketKeys(std::int64_t now) {
  std::array<unsigned char, TicketKeys::kStateBytes> keys{};
  std::unique_ptr<TicketKeys> taken;
  if (channel_ >= 0 &&
      recv(channel_, keys.data(), keys.size(), MSG_DONTWAIT) == static_cast<ssize_t>(keys.size())) {
    taken = TicketKeys::FromState(keys, now);
  }
  explicit_bzero(keys.data(), keys.size());
  return taken;
}

bool Predecessor::TellReady() {
  return channel_ < 0 || send(channel_, &kReady, sizeof kReady, MSG_NOSIGNAL | MSG_DONTWAIT) ==
                             static_cast<ssize_t>(sizeof kReady);
}

bool Predecessor::HasReleased() {
  char word = 0;
  const ssize_t count = recv(channel_, &word, sizeof word, MSG_DONTWAIT);
  if (count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR))) {
    return false;
  }
  close(std::exchange(channel_, -1));
  return true;
}

}  // namespace ringpost
