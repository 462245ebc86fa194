// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/policy_service.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "local_socket.h"
#include "policy_answer.h"
#include "ringpost/base/check.h"
#include "ringpost/io/socket.h"

namespace ringpost {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kWarningInterval(10);
// Without descriptors, until accepting is tried again.
constexpr std::chrono::milliseconds kAcceptPause(200);

// Which message of a session has got its field already. Each connection has a memory of its own:
// one smtpd asks about all recipients of a message on the same one, and what another program has
// asked about must not silence the answer to Postfix. For the last sessions of a connection (an
// smtpd serves one at a time, what stands between may serve several): two generations, the older of
// which is forgotten when the younger is full. A message that is forgotten too early, or asked
// about on a second connection, gets its field twice.
class InstanceMemory {
 public:
  // False: the same as before.
  [[nodiscard]] bool Remember(const SessionKey& key, std::string_view instance) {
    // Postfix's have about 20 octets. Without one nothing can be told apart.
    if (instance.empty() || instance.size() > kInstanceMax) {
      return true;
    }
    auto found = young_.find(key);
    if (found == young_.end()) {
      if (young_.size() >= kGenerationMax) {
        old_ = std::exchange(young_, {});
      }
      const auto older = old_.find(key);
      found = young_.emplace(key, older != old_.end() ? older->second : std::string()).first;
    }
    return std::exchange(found->second, std::string(instance)) != instance;
  }

 private:
  static constexpr std::size_t kInstanceMax = 64;
  static constexpr std::size_t kGenerationMax = 64;

  using Generation = std::unordered_map<SessionKey, std::string, absl::Hash<SessionKey>>;
  Generation young_;
  Generation old_;
};

// Where one request ends in what has arrived so far.
class RequestReader {
 public:
  enum class Status : std::uint8_t { kIncomplete, kComplete, kTooLong };

  // Octets that may be read next; never 0 after kIncomplete.
  [[nodiscard]] std::size_t room() const { return kPolicyRequestMax + 1 - octets_.size(); }
  void Append(std::string_view octets) { octets_ += octets; }

  // kComplete: `request` is valid until Drop(), which must follow.
  [[nodiscard]] Status Next(std::string_view* request) {
    for (; scanned_ < octets_.size(); ++scanned_) {
      if (octets_[scanned_] == '\n') {
        if (scanned_ == line_) {
          *request = std::string_view(octets_).substr(0, line_);
          return Status::kComplete;
        }
        line_ = scanned_ + 1;
      } else if (scanned_ - line_ >= kPolicyLineMax) {
        return Status::kTooLong;
      }
    }
    return octets_.size() > kPolicyRequestMax ? Status::kTooLong : Status::kIncomplete;
  }
  void Drop() {
    octets_.erase(0, scanned_ + 1);
    scanned_ = line_ = 0;
  }

 private:
  std::string octets_;
  std::size_t line_ = 0;  // where the line that is being read begins
  std::size_t scanned_ = 0;
};

struct Connection {
  int fd = -1;
  RequestReader reader;
  InstanceMemory instances;
  std::string output;
  Clock::time_point active;  // when it last sent something
};

}  // namespace

struct PolicyService::Impl {
  Impl() = default;
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void Run();
  void Command(std::atomic<bool>& flag);
  [[nodiscard]] int PollTimeout(Clock::time_point now) const;
  void Accept(Clock::time_point now);
  void MakeRoom();
  [[nodiscard]] bool Serve(Connection& connection, short events, Clock::time_point now);
  [[nodiscard]] bool Read(Connection& connection, Clock::time_point now);
  [[nodiscard]] bool AnswerAll(Connection& connection, Clock::time_point now);
  [[nodiscard]] static bool Flush(Connection& connection);
  void Warn(std::string_view what, Clock::time_point now);

  std::string hostname;
  std::vector<const SessionRegistry*> registries;
  PolicyServiceOptions options;
  LocalSocket listener;
  int wake = -1;  // eventfd
  std::atomic<bool> stopping{false};
  std::atomic<bool> releasing{false};
  std::atomic<bool> handing_over{false};
  std::thread thread;

  // The thread's.
  std::vector<Connection> connections;
  Clock::time_point accept_after{};
  Clock::time_point warned{};
  std::uint64_t unsaid = 0;
};

PolicyService::Impl::~Impl() {
  for (const Connection& connection : connections) {
    close(connection.fd);
  }
  if (wake >= 0) {
    close(wake);
  }
}

void PolicyService::Impl::Run() {
  constexpr std::size_t kWake = 0;
  constexpr std::size_t kListener = 1;
  constexpr std::size_t kFirst = 2;
  std::vector<pollfd> polled;
  for (;;) {
    Clock::time_point now = Clock::now();
    polled.clear();
    polled.push_back({.fd = wake, .events = POLLIN, .revents = 0});
    // poll(2) passes over negative descriptors.
    polled.push_back(
        {.fd = now < accept_after ? -1 : listener.fd(), .events = POLLIN, .revents = 0});
    for (const Connection& connection : connections) {
      // Nothing more is read from who does not take its answers.
      const short events = connection.output.empty() ? POLLIN : POLLOUT;
      polled.push_back({.fd = connection.fd, .events = events, .revents = 0});
    }
    (void)!poll(polled.data(), polled.size(), PollTimeout(now));
    now = Clock::now();
    if (polled[kWake].revents != 0) {
      std::uint64_t count = 0;
      (void)!read(wake, &count, sizeof count);
    }
    if (stopping) {
      return;
    }
    for (std::size_t i = 0; i < connections.size(); ++i) {
      Connection& connection = connections[i];
      if (!Serve(connection, polled[kFirst + i].revents, now)) {
        close(std::exchange(connection.fd, -1));
      }
    }
    std::erase_if(connections, [](const Connection& connection) { return connection.fd < 0; });
    if (handing_over) {
      listener.Abandon();
      continue;
    }
    if (polled[kListener].revents != 0) {
      Accept(now);
    }
    if (releasing && listener.fd() >= 0) {
      Accept(now);  // whoever is in the queue has been told that it is connected
      listener.Close();
    }
  }
}

void PolicyService::Impl::Command(std::atomic<bool>& flag) {
  flag = true;
  const std::uint64_t one = 1;
  (void)!write(wake, &one, sizeof one);  // cannot fail: the counter is far from its end
}

int PolicyService::Impl::PollTimeout(Clock::time_point now) const {
  Clock::time_point next = Clock::time_point::max();
  for (const Connection& connection : connections) {
    next = std::min(next, connection.active + options.idle_timeout);
  }
  if (accept_after > now) {
    next = std::min(next, accept_after);
  }
  if (next == Clock::time_point::max()) {
    return -1;
  }
  // Rounded up, so as not to come back too early and turn in circles.
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - now);
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
}

void PolicyService::Impl::Accept(Clock::time_point now) {
  // Not more, so that whoever is accepted now is heard before others may take its place.
  const std::size_t most = std::max<std::size_t>(options.connections_max, 1);
  for (std::size_t accepted = 0; accepted < most; ++accepted) {
    const int fd = accept4(listener.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        Warn(absl::StrCat("cannot accept: ", std::strerror(errno)), now);
        accept_after = now + kAcceptPause;
      }
      return;
    }
    if (connections.size() >= options.connections_max) {
      MakeRoom();
    }
    connections.emplace_back();
    connections.back().fd = fd;
    connections.back().active = now;
  }
}

void PolicyService::Impl::MakeRoom() {
  const auto quietest =
      std::min_element(connections.begin(), connections.end(),
                       [](const auto& a, const auto& b) { return a.active < b.active; });
  close(quietest->fd);
  connections.erase(quietest);
}

// False: to be closed.
bool PolicyService::Impl::Serve(Connection& connection, short events, Clock::time_point now) {
  if (events == 0) {
    return now - connection.active < options.idle_timeout;
  }
  if (!connection.output.empty()) {
    return (events & (POLLERR | POLLHUP | POLLNVAL)) == 0 && Flush(connection);
  }
  return Read(connection, now);
}

bool PolicyService::Impl::Read(Connection& connection, Clock::time_point now) {
  std::array<char, 4096> octets;
  const ssize_t count =
      recv(connection.fd, octets.data(), std::min(octets.size(), connection.reader.room()), 0);
  if (count <= 0) {
    return count < 0 && (errno == EAGAIN || errno == EINTR);
  }
  connection.active = now;
  connection.reader.Append({octets.data(), static_cast<std::size_t>(count)});
  return AnswerAll(connection, now) && Flush(connection);
}

// Without the port there may be a successor whose sessions are asked about on old connections:
// Postfix keeps them from one session to the next, and asks again on a new one where an old one is
// closed. DUNNO would let such a message pass without its field.
//
// What was answered before a malformed request is lost with the connection: the client has not
// waited for it either.
bool PolicyService::Impl::AnswerAll(Connection& connection, Clock::time_point now) {
  for (;;) {
    std::string_view request;
    switch (connection.reader.Next(&request)) {
      case RequestReader::Status::kIncomplete:
        return true;
      case RequestReader::Status::kTooLong:
        Warn("a request is too long", now);
        return false;
      case RequestReader::Status::kComplete:
        break;
    }
    std::optional<PolicyAnswer> answer = DecidePolicyAnswer(request, hostname, registries);
    if (!answer) {
      Warn("a request is malformed", now);
      return false;
    }
    if (answer->stranger && listener.fd() < 0) {
      (void)Flush(connection);
      return false;
    }
    if (answer->action == PolicyAction::kPrepend &&
        !connection.instances.Remember(answer->key, answer->instance)) {
      answer->action = PolicyAction::kDunno;
    }
    connection.output += FormatPolicyAnswer(*answer);
    connection.reader.Drop();
  }
}

bool PolicyService::Impl::Flush(Connection& connection) {
  while (!connection.output.empty()) {
    const ssize_t sent =
        send(connection.fd, connection.output.data(), connection.output.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      return errno == EAGAIN || errno == EINTR;
    }
    connection.output.erase(0, static_cast<std::size_t>(sent));
  }
  return true;
}

void PolicyService::Impl::Warn(std::string_view what, Clock::time_point now) {
  if (warned != Clock::time_point{} && now - warned < kWarningInterval) {
    ++unsaid;
    return;
  }
  warned = now;
  if (options.warn) {
    std::string text =
        absl::StrCat("policy service: ", absl::string_view(what.data(), what.size()));
    if (unsaid > 0) {
      absl::StrAppend(&text, " (", unsaid, " more like this since the last warning)");
    }
    options.warn(text);
  }
  unsaid = 0;
}

PolicyService::PolicyService() : impl_(std::make_unique<Impl>()) {}

PolicyService::~PolicyService() { Stop(); }

absl::StatusOr<std::unique_ptr<PolicyService>> PolicyService::Open(
    const Endpoint& endpoint, std::string hostname, std::vector<const SessionRegistry*> registries,
    PolicyServiceOptions options) {
  std::unique_ptr<PolicyService> service(new PolicyService);
  Impl& impl = *service->impl_;
  impl.hostname = std::move(hostname);
  impl.registries = std::move(registries);
  impl.options = std::move(options);
  impl.wake = eventfd(0, EFD_CLOEXEC);
  if (impl.wake < 0) {
    return absl::InternalError(absl::StrCat("eventfd: ", std::strerror(errno)));
  }
  const LocalSocketOptions how{.name = kPolicySocketName};
  const absl::Status status =
      impl.options.socket >= 0
          ? impl.listener.Adopt(impl.options.socket, endpoint, how, impl.options.may_own_file)
          : impl.listener.Open(endpoint, how);
  if (!status.ok()) {
    return status;
  }
  return service;
}

void PolicyService::Start() {
  RINGPOST_CHECK(!impl_->thread.joinable());
  // The thread begins with the mask of this one: no signal is ever delivered to it.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  impl_->thread = std::thread([this] { impl_->Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void PolicyService::Release() { impl_->Command(impl_->releasing); }

void PolicyService::HandOver() { impl_->Command(impl_->handing_over); }

void PolicyService::Own() {
  if (impl_->options.socket >= 0) {
    impl_->listener.Own();
  }
}

int PolicyService::socket() const { return impl_->listener.fd(); }

bool PolicyService::owns_file() const { return impl_->listener.owns_file(); }

void PolicyService::Stop() {
  if (impl_->thread.joinable()) {
    impl_->Command(impl_->stopping);
    impl_->thread.join();
  }
  if (impl_->handing_over) {  // which the thread may not have come to
    impl_->listener.Abandon();
  }
  for (const Connection& connection : impl_->connections) {
    close(connection.fd);
  }
  impl_->connections.clear();
  impl_->listener.Close();
}

std::uint16_t PolicyService::port() const {
  SocketAddress address{};
  return LocalAddressOf(impl_->listener.fd(), &address) == 0 ? PortOf(address) : std::uint16_t{0};
}

}  // namespace ringpost
