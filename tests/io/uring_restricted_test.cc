// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a ring refuses: everything that src/io/uring.cc does not ask for. The ring is reached as an
// intruder would, by its descriptor.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <liburing.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "ringpost/io/uring.h"

namespace ringpost {
namespace {

constexpr unsigned kEntries = 8;

io_uring_params Params() {
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CQSIZE;
  params.cq_entries = 64;
  return params;
}

// The descriptor of the only ring; -1: there is none.
int RingDescriptor() {
  namespace fs = std::filesystem;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    if (fs::read_symlink(entry.path(), error) == "anon_inode:[io_uring]") {
      return std::stoi(entry.path().filename().string());
    }
  }
  return -1;
}

// The result of one request of that kind.
template <typename Prepare>
int Ask(io_uring* ring, const Prepare& prepare) {
  prepare(io_uring_get_sqe(ring));
  io_uring_cqe* cqe = nullptr;
  if (io_uring_submit_and_wait(ring, 1) < 0 || io_uring_peek_cqe(ring, &cqe) != 0) {
    return -ENODATA;
  }
  const int result = cqe->res;
  io_uring_cqe_seen(ring, cqe);
  return result;
}

void OpenFile(io_uring_sqe* sqe) {
  io_uring_prep_openat(sqe, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);
}
void DoNothing(io_uring_sqe* sqe) { io_uring_prep_nop(sqe); }
void DoNothingInAWorker(io_uring_sqe* sqe) {
  io_uring_prep_nop(sqe);
  sqe->flags |= IOSQE_ASYNC;
}

TEST(UringRestrictedTest, ARingTakesWhatRingpostAsksForAndNothingElse) {
  // Where the parts of such a ring are, and that an ordinary one does what is tried below.
  io_uring ordinary{};
  io_uring_params params = Params();
  ASSERT_EQ(io_uring_queue_init_params(kEntries, &ordinary, &params), 0);
  const int opened = Ask(&ordinary, OpenFile);
  ASSERT_GE(opened, 0);
  close(opened);
  ASSERT_EQ(Ask(&ordinary, DoNothingInAWorker), 0);
  const int event = eventfd(0, EFD_CLOEXEC);
  ASSERT_EQ(io_uring_register_eventfd(&ordinary, event), 0);
  io_uring_queue_exit(&ordinary);

  BufferPool pool(32, 1);
  UringOptions options;
  options.submission_entries = kEntries;
  options.completion_entries = params.cq_entries;
  options.lent_blocks = 16;
  const std::unique_ptr<Uring> uring = *Uring::Create(options, &pool);
  const int fd = RingDescriptor();
  ASSERT_GE(fd, 0);
  io_uring ring{};
  ASSERT_EQ(io_uring_queue_mmap(fd, &params, &ring), 0);
  ring.ring_fd = ring.enter_ring_fd = fd;
  ring.flags = params.flags;
  ring.sq.sqe_head = ring.sq.sqe_tail = *ring.sq.ktail;  // behind what it has done already
  EXPECT_EQ(Ask(&ring, DoNothing), 0);
  EXPECT_EQ(Ask(&ring, OpenFile), -EACCES);
  EXPECT_EQ(Ask(&ring, DoNothingInAWorker), -EACCES);
  EXPECT_EQ(io_uring_register_eventfd(&ring, event), -EACCES);
  close(event);
}

}  // namespace
}  // namespace ringpost
