// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/io/uring.h"

#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ringpost/io/socket.h"

namespace ringpost {
namespace {

constexpr std::uint16_t kBufferGroup = 0;
// So long a shortage of memory may last; a refusal does not pass.
constexpr TimeNs kFailureMax = kNsPerSecond;

TimeNs ReadClock() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return TimeNs{now.tv_sec} * kNsPerSecond + now.tv_nsec;
}

// 0 = allowed, 1 = only for a group, 2 = for nobody; -1 before Linux 6.6.
int ReadDisabledSysctl() {
  std::ifstream file("/proc/sys/kernel/io_uring_disabled");
  int value = -1;
  file >> value;
  return value;
}

bool IsRefusal(int error) { return error == EPERM || error == ENOSYS || error == EACCES; }

// Errors of io_uring_enter that say nothing against the next call: a signal, the time-out, and a
// lack of memory or of room for completions.
bool Passes(int error) {
  return error == EINTR || error == ETIME || error == EAGAIN || error == EBUSY;
}

void Nap() {
  const timespec nap{.tv_sec = 0, .tv_nsec = 10 * kNsPerMs};
  nanosleep(&nap, nullptr);
}

absl::Status CallError(const char* call, int error) {
  if (!IsRefusal(error)) {
    return absl::InternalError(absl::StrCat(call, ": ", std::strerror(error)));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "io_uring is not allowed here: ", call, ": ", std::strerror(error),
      "; allow the system calls io_uring_setup, io_uring_enter and io_uring_register, in a "
      "container in its seccomp profile, in a systemd unit with SystemCallFilter=@aio"));
}

absl::Status SetupError(const char* call, int error) {
  switch (error) {
    case EPERM:
    case ENOSYS:
    case EACCES:
      switch (ReadDisabledSysctl()) {
        case 1:
          return absl::FailedPreconditionError(
              "io_uring is allowed only for the group in the sysctl kernel.io_uring_group; add "
              "ringpost's user to it, or allow it for all with 'sysctl "
              "kernel.io_uring_disabled=0'");
        case 2:
          return absl::FailedPreconditionError(
              "io_uring is disabled by the sysctl kernel.io_uring_disabled; allow it with "
              "'sysctl kernel.io_uring_disabled=0'");
        default:
          return CallError(call, error);
      }
    case EINVAL:
      return absl::FailedPreconditionError(
          "this kernel's io_uring is too old; ringpost needs Linux 6.1 or later");
    case ENOMEM:
      return absl::ResourceExhaustedError(
          "not enough locked memory for io_uring; raise RLIMIT_MEMLOCK (ulimit -l)");
    default:
      return CallError(call, error);
  }
}

// A ring can be had where io_uring_enter is refused; only a request that completes shows that it
// works.
absl::Status CompleteOne(io_uring* ring) {
  constexpr int kAttemptsMax = 100;
  __kernel_timespec limit{.tv_sec = 10, .tv_nsec = 0};
  io_uring_cqe* cqe = nullptr;
  io_uring_prep_nop(io_uring_get_sqe(ring));
  for (int attempt = 1; cqe == nullptr; ++attempt) {
    const int result = io_uring_submit_and_wait_timeout(ring, &cqe, 1, &limit, nullptr);
    if (cqe != nullptr) {
      break;
    }
    const int error = result < 0 ? -result : EAGAIN;
    if (!Passes(error) || error == ETIME || attempt == kAttemptsMax) {
      return CallError("io_uring_enter", error);
    }
    Nap();
  }
  const int result = cqe->res;
  io_uring_cqe_seen(ring, cqe);
  return result < 0 ? CallError("a request without work for io_uring", -result) : absl::OkStatus();
}

// From now on the ring takes what this file asks for and nothing else: whoever gets hold of the
// process has no ring that opens files or sends descriptors.
int Restrict(io_uring* ring) {
  constexpr std::array kRequests = {IORING_OP_NOP,  IORING_OP_ACCEPT,      IORING_OP_CONNECT,
                                    IORING_OP_RECV, IORING_OP_SEND,        IORING_OP_SENDMSG,
                                    IORING_OP_READ, IORING_OP_ASYNC_CANCEL};
  std::array<io_uring_restriction, kRequests.size() + 2> allowed{};
  for (std::size_t i = 0; i < kRequests.size(); ++i) {
    allowed[i].opcode = IORING_RESTRICTION_SQE_OP;
    allowed[i].sqe_op = kRequests[i];
  }
  io_uring_restriction& flags = allowed[kRequests.size()];
  flags.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
  flags.sqe_flags = IOSQE_BUFFER_SELECT;
  io_uring_restriction& at_exit = allowed[kRequests.size() + 1];
  at_exit.opcode = IORING_RESTRICTION_REGISTER_OP;
  at_exit.register_op = IORING_UNREGISTER_RING_FDS;
  // Debian 12's liburing has no functions of their own for these.
  const auto fd = static_cast<unsigned>(ring->ring_fd);
  const int result =
      io_uring_register(fd, IORING_REGISTER_RESTRICTIONS, allowed.data(), allowed.size());
  return result < 0 ? result : io_uring_register(fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
}

[[noreturn]] void EndProcess(std::string_view sentence) {
  std::fprintf(stderr, "ringpost: %.*s\n", static_cast<int>(sentence.size()), sentence.data());
  _exit(1);
}

}  // namespace

// The kernel's structures, apart so that <liburing.h> stays in this file.
struct Uring::Ring {
  io_uring ring{};
  io_uring_buf_ring* buffers = nullptr;
  std::size_t buffers_bytes = 0;
  std::vector<bool> is_lent;
  std::function<void(std::string_view)> on_failure;
  TimeNs failing_since = -1;  // -1: the last call was good

  ~Ring() {
    io_uring_queue_exit(&ring);
    if (buffers != nullptr) {
      munmap(buffers, buffers_bytes);
    }
  }

  // Submits what is collected where the queue is full.
  io_uring_sqe* NextSqe(Operation& operation) {
    RINGPOST_CHECK(!operation.in_flight);
    io_uring_sqe* sqe = io_uring_get_sqe(&ring);
    while (sqe == nullptr) [[unlikely]] {
      const int result = io_uring_submit(&ring);
      sqe = io_uring_get_sqe(&ring);
      if (sqe == nullptr) {
        Failed(result < 0 ? -result : EAGAIN);  // nothing else can be done meanwhile
      }
    }
    operation.in_flight = true;
    return sqe;
  }

  void NoteEntered(int result) {
    if (result >= 0 || Passes(-result)) [[likely]] {
      failing_since = -1;
    } else {
      Failed(-result);
    }
  }

  // Returns while there is hope. Behind a ring that takes no requests nothing can end in order:
  // what is in flight stays so.
  void Failed(int error) {
    const TimeNs now = ReadClock();
    if (failing_since < 0) {
      failing_since = now;
    } else if (now - failing_since >= kFailureMax) {
      const absl::Status status = CallError("io_uring_enter", error);
      const std::string_view sentence(status.message().data(), status.message().size());
      if (on_failure) {
        on_failure(sentence);
      }
      EndProcess(sentence);
    }
    Nap();
  }
};

absl::StatusOr<std::unique_ptr<Uring>> Uring::Create(const UringOptions& options,
                                                     BufferPool* pool) {
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED;
  params.cq_entries = options.completion_entries;
  io_uring raw{};
  if (const int result = io_uring_queue_init_params(options.submission_entries, &raw, &params);
      result < 0) {
    return SetupError("io_uring_setup", -result);
  }
  auto ring = std::make_unique<Ring>();
  ring->ring = raw;
  ring->on_failure = options.on_failure;
  // Saves the look-up of the descriptor on each enter; a kernel that refuses is only slower.
  (void)io_uring_register_ring_fd(&ring->ring);

  ring->buffers_bytes = options.lent_blocks * sizeof(io_uring_buf);
  void* memory = mmap(nullptr, ring->buffers_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return absl::ResourceExhaustedError("no memory for the ring's receive buffers");
  }
  ring->buffers = static_cast<io_uring_buf_ring*>(memory);
  io_uring_buf_ring_init(ring->buffers);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(memory);
  registration.ring_entries = options.lent_blocks;
  registration.bgid = kBufferGroup;
  if (const int result = io_uring_register_buf_ring(&ring->ring, &registration, 0); result < 0) {
    return SetupError("io_uring_register", -result);
  }
  if (const int result = Restrict(&ring->ring); result < 0) {
    return SetupError("io_uring_register", -result);
  }
  if (absl::Status status = CompleteOne(&ring->ring); !status.ok()) {
    return status;
  }
  ring->is_lent.resize(pool->total_count(BlockSize::kLarge));
  return std::unique_ptr<Uring>(new Uring(std::move(ring), options, pool));
}

absl::StatusOr<std::string> Uring::Probe() {
  BufferPool pool(32, 1);
  UringOptions options;
  options.lent_blocks = 16;
  absl::StatusOr<std::unique_ptr<Uring>> uring = Create(options, &pool);
  if (!uring.ok()) {
    return uring.status();
  }
  const io_uring& ring = (*uring)->ring_->ring;
  return absl::StrCat("sq=", ring.sq.ring_entries, " cq=", ring.cq.ring_entries,
                      " single_issuer defer_taskrun submit_all provided_buffers features=0x",
                      absl::Hex(ring.features));
}

Uring::Uring(std::unique_ptr<Ring> ring, const UringOptions& options, BufferPool* pool)
    : ring_(std::move(ring)),
      options_(options),
      pool_(pool),
      paced_(PacesByDefault()),
      now_(ReadClock()) {
  LendBlocks();
}

Uring::~Uring() {
  const std::vector<bool> lent = std::move(ring_->is_lent);
  ring_.reset();  // only now the kernel has given the blocks up
  for (std::size_t block = 0; block < lent.size(); ++block) {
    if (lent[block]) {
      pool_->Release(static_cast<BlockId>(block));
    }
  }
}

void Uring::Accept(Operation& operation, int listener) {
  io_uring_sqe* sqe = ring_->NextSqe(operation);
  io_uring_prep_multishot_accept(sqe, listener, nullptr, nullptr, SOCK_CLOEXEC);
  io_uring_sqe_set_data64(sqe, operation.user_data);
}

void Uring::AcceptOne(Operation& operation, int listener) {
  io_uring_sqe* sqe = ring_->NextSqe(operation);
  io_uring_prep_accept(sqe, listener, nullptr, nullptr, SOCK_CLOEXEC);
  io_uring_sqe_set_data64(sqe, operation.user_data);
}

void Uring::Connect(Operation& operation, int fd, const sockaddr* address, socklen_t length,
                    ConnectHint hint) {
  if (hint == ConnectHint::kOctetsFollow) {
    DelayConnectAck(fd, *address);
  }
  if (paced_) {
    LeavePacing(fd, *address);
  }
  io_uring_sqe* sqe = ring_->NextSqe(operation);
  io_uring_prep_connect(sqe, fd, address, length);
  io_uring_sqe_set_data64(sqe, operation.user_data);
}

void Uring::Recv(Operation& operation, int fd, RecvHint hint) {
  io_uring_sqe* sqe = ring_->NextSqe(operation);
  io_uring_prep_recv(sqe, fd, nullptr, 0, 0);  // the block's size is the limit
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = kBufferGroup;
  if (hint == RecvHint::kDataUnlikely) {
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
  }
  io_uring_sqe_set_data64(sqe, operation.user_data);
}

void Uring::Send(SendOperation& operation, int fd, std::span<const std::string_view> pieces,
                 SendHint hint) {
  RINGPOST_CHECK(!pieces.empty() && pieces.size() <= SendOperation::kPiecesMax);
  io_uring_sqe* sqe = ring_->NextSqe(operation);
  // With MSG_WAITALL the kernel goes on after a short send.
  const int flags = MSG_WAITALL | MSG_NOSIGNAL | (hint == SendHint::kFinFollows ? MSG_MORE : 0);
  operation.octets = 0;
  for (const std::string_view piece : pieces) {
    operation.octets += piece.size();
  }
  if (pieces.size() == 1) {
    io_uring_prep_send(sqe, fd, pieces[0].data(), pieces[0].size(), flags);
  } else {
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      operation.pieces[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
    }
    operation.message = {};
    operation.message.msg_iov = operation.pieces.data();
    operation.message.msg_iovlen = pieces.size();
    io_uring_prep_sendmsg(sqe, fd, &operation.message, static_cast<unsigned>(flags));
  }
  io_uring_sqe_set_data64(sqe, operation.user_data);
}

void Uring::ReadEvent(Operation& operation, int fd, std::uint64_t* value) {
  io_uring_sqe* sqe = ring_->NextSqe(operation);
  io_uring_prep_read(sqe, fd, value, sizeof *value, 0);
  io_uring_sqe_set_data64(sqe, operation.user_data);
}

void Uring::Cancel(Operation& operation, const Operation& target) {
  io_uring_sqe* sqe = ring_->NextSqe(operation);
  io_uring_prep_cancel64(sqe, target.user_data, 0);
  io_uring_sqe_set_data64(sqe, operation.user_data);
}

int Uring::OpenSocket(int family) { return OpenStreamSocket(family); }
void Uring::ShutdownSend(int fd) { shutdown(fd, SHUT_WR); }
void Uring::ShutdownBoth(int fd) { shutdown(fd, SHUT_RDWR); }
void Uring::CloseSocket(int fd) { close(fd); }
int Uring::RecvNow(int fd, std::span<const BlockId> blocks) {
  RINGPOST_CHECK(!blocks.empty() && blocks.size() <= kRecvBlocksMax);
  std::array<iovec, kRecvBlocksMax> pieces;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    pieces[i] = {pool_->data(blocks[i]), BufferPool::kLargeBytes};
  }
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = blocks.size();
  const ssize_t result = recvmsg(fd, &message, MSG_DONTWAIT);
  return result < 0 ? -errno : static_cast<int>(result);
}
void Uring::TrySend(int fd, std::string_view text) {
  // The client gets the whole of it or goes without: there is nobody to try again.
  (void)!send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE);
}
void Uring::AckNow(int fd, AckHint hint) {
  SendAck(fd, hint == AckHint::kOnce ? AcksBehind::kWithAnswers : AcksBehind::kAtOnce);
}
int Uring::PeerAddress(int fd, SocketAddress* address) { return PeerAddressOf(fd, address); }
int Uring::LocalAddress(int fd, SocketAddress* address) { return LocalAddressOf(fd, address); }

std::int64_t Uring::WallClock() const { return std::time(nullptr); }

bool Uring::CanReceive() const {
  return lent_ > 0 || pool_->free_count(BlockSize::kLarge) > options_.reserve_blocks;
}

void Uring::LendBlocks() {
  const int mask = io_uring_buf_ring_mask(options_.lent_blocks);
  int added = 0;
  while (lent_ < options_.lent_blocks &&
         pool_->free_count(BlockSize::kLarge) > options_.reserve_blocks) {
    const std::optional<BlockId> block = pool_->Take(BlockSize::kLarge);
    if (!block) {
      break;
    }
    io_uring_buf_ring_add(ring_->buffers, pool_->data(*block), BufferPool::kLargeBytes,
                          static_cast<unsigned short>(*block), mask, added++);
    ring_->is_lent[*block] = true;
    ++lent_;
  }
  if (added > 0) {
    io_uring_buf_ring_advance(ring_->buffers, added);
  }
}

std::size_t Uring::Wait(TimeNs timeout, std::span<Completion> completions) {
  LendBlocks();
  io_uring* ring = &ring_->ring;
  int result = 0;
  if (io_uring_cq_ready(ring) > 0) {
    result = io_uring_submit(ring);  // what is left of the last batch comes first; no wait
  } else if (timeout < 0) {
    result = io_uring_submit_and_wait(ring, 1);
  } else {
    __kernel_timespec limit{.tv_sec = timeout / kNsPerSecond, .tv_nsec = timeout % kNsPerSecond};
    io_uring_cqe* first = nullptr;
    result = io_uring_submit_and_wait_timeout(ring, &first, 1, &limit, nullptr);
  }
  // Errors that pass all mean: look at what is complete, then come again; requests not accepted
  // stay queued.
  ring_->NoteEntered(result);
  now_ = ReadClock();

  std::size_t count = 0;
  unsigned head = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(ring, head, cqe) {
    if (count == completions.size()) {
      break;
    }
    Completion& completion = completions[count++];
    completion = {.user_data = cqe->user_data,
                  .result = cqe->res,
                  .more = (cqe->flags & IORING_CQE_F_MORE) != 0,
                  .block = kNoBlock};
    if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
      const BlockId block = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
      ring_->is_lent[block] = false;
      --lent_;
      if (cqe->res > 0) {
        completion.block = block;
      } else {
        pool_->Release(block);
      }
    }
  }
  io_uring_cq_advance(ring, static_cast<unsigned>(count));
  return count;
}

}  // namespace ringpost
