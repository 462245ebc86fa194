// SPDX-License-Identifier: GPL-3.0-or-later
//
// The least that a relay on io_uring can do: what comes from one side is sent to the other. No TLS,
// no SMTP, no limits, no time-outs, nothing is said to the backend. What bench/compare measures it
// at is the kernel's, for whoever receives and sends as often: the floor under the floor.
//
//   bare_relay PORT BACKEND    two ports of 127.0.0.1
//
// For the load generator of the same machine only: it trusts everybody.
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

namespace {

constexpr unsigned kRequests = 1'024;
constexpr unsigned kCompletions = 8'192;
constexpr std::size_t kOctets = 64 * 1'024;

// `result`: as the kernel says it, -errno.
void Need(int result, const char* what) {
  if (result < 0) {
    std::fprintf(stderr, "bare_relay: %s: %s\n", what, std::strerror(-result));
    std::exit(1);
  }
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

// One direction of a connection: receive, send what came to the other leg, receive again. At any
// time one request is in flight for it, until it has ended.
struct Leg {
  struct Connection* connection;
  Leg* other;
  int fd = -1;
  bool ended = true;
  std::array<char, kOctets> octets{};
};
struct Connection {
  Leg front{.connection = this, .other = &back};
  Leg back{.connection = this, .other = &front};
};

// In user_data beside the address of the leg; accepts have none.
enum Kind : std::uintptr_t { kReceive, kSend, kMask = 1 };

class Relay {
 public:
  Relay(int listener, int backend) : listener_(listener), backend_(backend) {
    io_uring_params params{};
    // As of ringpost's own ring (src/io/uring.cc).
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                   IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = kCompletions;
    Need(io_uring_queue_init_params(kRequests, &ring_, &params), "io_uring_setup");
    Need(io_uring_register_ring_fd(&ring_), "io_uring_register");
  }

  [[noreturn]] void Run() {
    Accept();
    for (;;) {
      if (const int result = io_uring_submit_and_wait(&ring_, 1); result != -EINTR) {
        Need(result, "io_uring_enter");
      }
      io_uring_cqe* cqe = nullptr;
      unsigned head = 0;
      unsigned count = 0;
      io_uring_for_each_cqe(&ring_, head, cqe) {
        ++count;
        Take(*cqe);
      }
      io_uring_cq_advance(&ring_, count);
    }
  }

 private:
  io_uring_sqe* Request() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
      io_uring_submit(&ring_);
      sqe = io_uring_get_sqe(&ring_);
    }
    return sqe;
  }

  void Accept() {
    io_uring_sqe* const sqe = Request();
    io_uring_prep_multishot_accept(sqe, listener_, nullptr, nullptr, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(sqe, 0);
  }

  void Receive(Leg& leg) {
    io_uring_sqe* const sqe = Request();
    io_uring_prep_recv(sqe, leg.fd, leg.octets.data(), leg.octets.size(), 0);
    sqe->ioprio = IORING_RECVSEND_POLL_FIRST;
    io_uring_sqe_set_data64(sqe, reinterpret_cast<std::uintptr_t>(&leg) | kReceive);
  }

  void Send(Leg& leg, std::size_t octets) {
    io_uring_sqe* const sqe = Request();
    io_uring_prep_send(sqe, leg.other->fd, leg.octets.data(), octets, MSG_WAITALL | MSG_NOSIGNAL);
    io_uring_sqe_set_data64(sqe, reinterpret_cast<std::uintptr_t>(&leg) | kSend);
  }

  void Take(const io_uring_cqe& cqe) {
    const std::uint64_t data = cqe.user_data;
    if (data == 0) {
      Need(cqe.res, "accept");
      Open(cqe.res);
      if ((cqe.flags & IORING_CQE_F_MORE) == 0) {
        Accept();
      }
      return;
    }
    Leg& leg = *reinterpret_cast<Leg*>(data & ~std::uint64_t{kMask});
    if (cqe.res <= 0) {
      End(leg);
    } else if ((data & kMask) == kReceive) {
      Send(leg, static_cast<std::size_t>(cqe.res));
    } else {
      Receive(leg);
    }
  }

  void Open(int client) {
    const int backend = Connect();
    if (backend < 0) {
      close(client);
      return;
    }
    if (free_.empty()) {
      free_.push_back(std::make_unique<Connection>());
    }
    Connection& connection = *free_.back().release();
    free_.pop_back();
    Begin(connection.front, client);
    Begin(connection.back, backend);
  }

  void Begin(Leg& leg, int fd) {
    leg.fd = fd;
    leg.ended = false;
    Receive(leg);
  }

  // The end is passed on; behind both, nothing is in flight.
  void End(Leg& leg) {
    leg.ended = true;
    Leg& other = *leg.other;
    if (!other.ended) {
      shutdown(other.fd, SHUT_WR);
      return;
    }
    close(leg.fd);
    close(other.fd);
    free_.emplace_back(leg.connection);
  }

  // On one machine it does not wait.
  [[nodiscard]] int Connect() const {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);  // as ringpost within the machine
    const sockaddr_in address = Loopback(backend_);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      close(fd);
      return -1;
    }
    return fd;
  }

  io_uring ring_{};
  int listener_;
  int backend_;
  std::vector<std::unique_ptr<Connection>> free_;
};

int Listen(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);  // inherited by what is accepted
  const sockaddr_in address = Loopback(port);
  const bool listening =
      bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      listen(fd, SOMAXCONN) == 0;
  Need(listening ? 0 : -errno, "listen");
  return fd;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "bare_relay PORT BACKEND\n");
    return 1;
  }
  Relay(Listen(std::atoi(argv[1])), std::atoi(argv[2])).Run();
}
