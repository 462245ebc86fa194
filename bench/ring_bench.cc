// SPDX-License-Identifier: GPL-3.0-or-later
//
// The ring alone: what a send and the receive of it cost through the real Uring, by size and by the
// kind of socket. One iteration sends, waits and takes the octets on the other end, all in this
// thread. Below that floor: a request that touches no socket.
#include <benchmark/benchmark.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "ringpost/base/buffer_pool.h"
#include "ringpost/io/uring.h"

namespace ringpost {
namespace {

void Need(bool good, const char* what) {
  if (!good) {
    std::fprintf(stderr, "ring_bench: %s\n", what);
    std::exit(1);
  }
}

using Sockets = std::pair<int, int>;

Sockets UnixPair() {
  std::array<int, 2> fds{};
  Need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0, "no socket pair");
  return {fds[0], fds[1]};
}

Sockets TcpPair() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int first = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  Need(bind(listener, any, length) == 0 && listen(listener, 1) == 0 &&
           getsockname(listener, any, &length) == 0 && connect(first, any, length) == 0,
       "no loopback connection");
  const int second = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  Need(second >= 0, "no loopback connection");
  close(listener);
  const int one = 1;
  setsockopt(first, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return {first, second};
}

class Loop {
 public:
  Loop() : pool_(512, 16) {
    auto ring = Uring::Create({.lent_blocks = 64}, &pool_);
    Need(ring.ok(), "no ring");
    ring_ = std::move(*ring);
    recv_.user_data = 1;
    send_.user_data = 2;
  }

  // Until both are complete; returns how many octets were received.
  std::size_t SendAndReceive(const Sockets& sockets, std::string_view octets) {
    ring_->Send(send_, sockets.first, {&octets, 1}, SendHint::kAtOnce);
    std::size_t received = 0;
    while (received < octets.size() || send_.in_flight) {
      if (!recv_.in_flight && received < octets.size()) {
        ring_->Recv(recv_, sockets.second, RecvHint::kDataUnlikely);
      }
      const std::size_t count = ring_->Wait(kNsPerSecond, completions_);
      Need(count > 0, "nothing came");
      for (std::size_t i = 0; i < count; ++i) {
        const Completion& completion = completions_[i];
        (completion.user_data == 1 ? recv_ : static_cast<Operation&>(send_)).Complete(completion);
        Need(completion.result > 0, "an operation failed");
        if (completion.user_data == 1) {
          received += static_cast<std::size_t>(completion.result);
          pool_.Release(completion.block);
        }
      }
    }
    return received;
  }

  // A request that is answered at once: to cancel what is not there.
  void CancelNothing() {
    ring_->Cancel(recv_, send_);
    Need(ring_->Wait(kNsPerSecond, completions_) == 1, "nothing came");
    recv_.Complete(completions_[0]);
  }

  // A turn in which nothing is asked for and nothing comes.
  void EmptyTurn() { Need(ring_->Wait(0, completions_) == 0, "something came"); }

 private:
  BufferPool pool_;
  std::unique_ptr<Uring> ring_;
  Operation recv_;
  SendOperation send_;
  std::array<Completion, 64> completions_;
};

void EmptyTurn(benchmark::State& state) {
  Loop loop;
  for (auto _ : state) {
    loop.EmptyTurn();
  }
}
BENCHMARK(EmptyTurn);

void CancelNothing(benchmark::State& state) {
  Loop loop;
  for (auto _ : state) {
    loop.CancelNothing();
  }
}
BENCHMARK(CancelNothing);

// The kernel's part alone: a request that does nothing, by liburing, on a ring as Uring makes it.
void Nop(benchmark::State& state) {
  io_uring ring{};
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL;
  Need(io_uring_queue_init_params(64, &ring, &params) == 0, "no ring");
  (void)io_uring_register_ring_fd(&ring);
  for (auto _ : state) {
    io_uring_prep_nop(io_uring_get_sqe(&ring));
    io_uring_submit_and_wait(&ring, 1);
    io_uring_cqe* cqe = nullptr;
    Need(io_uring_peek_cqe(&ring, &cqe) == 0 && cqe->res == 0, "nothing came");
    io_uring_cqe_seen(&ring, cqe);
  }
  io_uring_queue_exit(&ring);
}
BENCHMARK(Nop);

void RoundTrip(benchmark::State& state, Sockets (*open)()) {
  const Sockets sockets = open();
  const std::string octets(static_cast<std::size_t>(state.range(0)), 'x');
  {
    Loop loop;
    for (auto _ : state) {
      Need(loop.SendAndReceive(sockets, octets) == octets.size(), "octets were lost");
    }
  }
  close(sockets.first);
  close(sockets.second);
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK_CAPTURE(RoundTrip, tcp, &TcpPair)->Arg(64)->Arg(1024)->Arg(16384)->Arg(65536);
BENCHMARK_CAPTURE(RoundTrip, unix, &UnixPair)->Arg(64)->Arg(1024)->Arg(16384)->Arg(65536);

}  // namespace
}  // namespace ringpost

BENCHMARK_MAIN();
