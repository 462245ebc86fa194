// SPDX-License-Identifier: GPL-3.0-or-later
#include "sim/sim_io.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include "sim/sim_state.h"

namespace ringpost {
namespace {

// Far from real descriptors, so that mixing them up shows.
constexpr int kFirstDescriptor = 1'000'000;
constexpr TimeNs kStartTime = 3'600 * kNsPerSecond;
// A caller that comes back this often with nothing to do and no time passing is spinning.
constexpr int kIdleTurnsMax = 10'000;

}  // namespace

SocketAddress SimAddress(const char* ipv4, std::uint16_t port) {
  SocketAddress address{};
  address.in.sin_family = AF_INET;
  address.in.sin_port = htons(port);
  EXPECT_EQ(inet_pton(AF_INET, ipv4, &address.in.sin_addr), 1) << ipv4;
  return address;
}

SimIo::SimIo(const SimOptions& options, BufferPool* pool)
    : options_(options),
      pool_(pool),
      random_(options.seed),
      now_(kStartTime),
      next_fd_(kFirstDescriptor) {
  LendBlocks();
}

SimIo::~SimIo() {
  if (!requests_.empty() || !ready_.empty()) {
    Misuse("operations are in flight at the end");
  }
  for (auto& [id, request] : requests_) {
    request->operation->in_flight =
        false;  // already reported: no second report from its destructor
  }
  if (!ends_.empty()) {
    Misuse(std::to_string(ends_.size()) + " sockets are open at the end");
  }
  for (const Completion& completion : ready_) {
    if (completion.block != kNoBlock) {
      pool_->Release(completion.block);
    }
  }
  for (const BlockId block : lent_) {
    pool_->Release(block);
  }
  for (const auto& [fd, request] : event_descriptors_) {
    close(fd);
  }
  for (const std::weak_ptr<SimEnd>& weak : all_ends_) {
    if (const std::shared_ptr<SimEnd> end = weak.lock()) {
      end->on_change = nullptr;
      end->other.reset();
    }
  }
}

std::string_view SimFaultName(SimFault fault) {
  constexpr std::array<std::string_view, static_cast<std::size_t>(SimFault::kCount)> kNames = {
      "short receive",   "short send",      "completion late", "reset",         "end of file",
      "connect refused", "connect silent",  "connect late",    "accept failed", "no buffers",
      "no descriptors",  "cancel too late", "clock leap"};
  return kNames[static_cast<std::size_t>(fault)];
}

TimeNs SimIo::elapsed() const { return now_ - kStartTime; }

void SimIo::Say(std::string_view who, std::string_view what) {
  trace_.Mix(static_cast<std::uint64_t>(now_));
  trace_.Mix(who);
  trace_.Mix(what);
  if (trace_.printing()) {
    std::string line(who);
    line += ' ';
    line += what;
    trace_.Print(line);
  }
}

void SimIo::Misuse(const std::string& what) const {
  ADD_FAILURE() << "SimIo: " << what << " (seed " << options_.seed << ", at "
                << (now_ - kStartTime) / kNsPerMs << " ms)";
}

// --- Requests

SimRequest& SimIo::AddRequest(Operation& operation, int kind, int fd) {
  RINGPOST_CHECK(!operation.in_flight);
  if (Find(operation.user_data) != nullptr) {
    Misuse("two operations in flight share user_data " + std::to_string(operation.user_data));
  }
  auto request = std::make_unique<SimRequest>();
  request->id = next_id_++;
  request->kind = static_cast<SimKind>(kind);
  request->operation = &operation;
  request->user_data = operation.user_data;
  request->fd = fd;
  operation.in_flight = true;
  collected_.push_back(request->id);
  if (const auto end = ends_.find(fd); end != ends_.end()) {
    end->second->user_data = operation.user_data;
  }
  return *(requests_[request->id] = std::move(request));
}

SimRequest* SimIo::Find(std::uint64_t user_data) {
  for (auto& [id, request] : requests_) {
    if (request->user_data == user_data) {
      return request.get();
    }
  }
  return nullptr;
}

void SimIo::Accept(Operation& operation, int listener) {
  const SimScope scope(*this, SimScope::Who::kTest);
  AddAccept(operation, listener);
}

void SimIo::AcceptOne(Operation& operation, int listener) {
  const SimScope scope(*this, SimScope::Who::kTest);
  AddAccept(operation, listener).accepts_one = true;
}

SimRequest& SimIo::AddAccept(Operation& operation, int listener) {
  SimRequest& request = AddRequest(operation, static_cast<int>(SimKind::kAccept), listener);
  const auto found = listeners_.find(listener);
  if (found == listeners_.end()) {
    Misuse("accept on " + std::to_string(listener) + ", which is no listener");
  } else if (found->second.accept != nullptr) {
    Misuse("two accepts on one listener");
  } else {
    found->second.accept = &request;
  }
  return request;
}

void SimIo::Connect(Operation& operation, int fd, const sockaddr* address, socklen_t length,
                    ConnectHint /*hint*/) {
  const SimScope scope(*this, SimScope::Who::kTest);
  SimRequest& request = AddRequest(operation, static_cast<int>(SimKind::kConnect), fd);
  std::memcpy(&request.address, address, std::min<std::size_t>(length, sizeof request.address));
  if (SimEnd* end = EndOf(fd, "connect")) {
    if (end->connect != nullptr || end->other != nullptr) {
      Misuse("a second connect on one socket");
    }
    end->connect = &request;
  }
}

void SimIo::Recv(Operation& operation, int fd, RecvHint hint) {
  const SimScope scope(*this, SimScope::Who::kTest);
  SimRequest& request = AddRequest(operation, static_cast<int>(SimKind::kRecv), fd);
  request.hint = hint;
  if (SimEnd* end = EndOf(fd, "receive")) {
    if (end->recv != nullptr) {
      Misuse("two receives in flight on one socket");
    }
    end->recv = &request;
  }
}

void SimIo::Send(SendOperation& operation, int fd, std::span<const std::string_view> pieces,
                 SendHint hint) {
  const SimScope scope(*this, SimScope::Who::kTest);
  SimRequest& request = AddRequest(operation, static_cast<int>(SimKind::kSend), fd);
  request.fin_follows = hint == SendHint::kFinFollows;
  if (pieces.empty() || pieces.size() > SendOperation::kPiecesMax) {
    Misuse("a send of " + std::to_string(pieces.size()) + " pieces");
  }
  for (const std::string_view piece : pieces) {
    request.pieces.push_back(piece);
    request.copy += piece;
    if (piece.empty()) {
      Misuse("an empty piece in a send");
    }
  }
  operation.octets = request.copy.size();
  if (SimEnd* end = EndOf(fd, "send")) {
    if (end->send != nullptr) {
      Misuse("two sends in flight on one socket");
    }
    end->send = &request;
  }
}

void SimIo::ReadEvent(Operation& operation, int fd, std::uint64_t* value) {
  const SimScope scope(*this, SimScope::Who::kTest);
  SimRequest& request = AddRequest(operation, static_cast<int>(SimKind::kReadEvent), fd);
  request.value = value;
  const auto found = event_descriptors_.find(fd);
  if (found == event_descriptors_.end()) {
    Misuse("reading " + std::to_string(fd) + ", which is no event descriptor");
  } else {
    found->second = &request;
  }
}

void SimIo::Cancel(Operation& operation, const Operation& target) {
  const SimScope scope(*this, SimScope::Who::kTest);
  SimRequest& request = AddRequest(operation, static_cast<int>(SimKind::kCancel), -1);
  request.target = target.user_data;
}

void SimIo::Start(std::uint64_t id) {
  const auto found = requests_.find(id);
  if (found == requests_.end()) {
    return;
  }
  SimRequest& request = *found->second;
  request.started = true;
  switch (request.kind) {
    case SimKind::kAccept:
    case SimKind::kReadEvent:
      Schedule(request);
      break;
    case SimKind::kConnect:
      StartConnect(request);
      break;
    case SimKind::kRecv:
      StartRecv(request);
      break;
    case SimKind::kSend:
      StartSend(request);
      break;
    case SimKind::kCancel:
      StartCancel(request);
      break;
  }
}

void SimIo::StartCancel(SimRequest& request) {
  SimRequest* target = Find(request.target);
  if (target == nullptr || !target->started) {
    Finish(request, -ENOENT);
    return;
  }
  // Only what is sure to end by itself may escape.
  const bool is_ending =
      target->scheduled && (target->kind == SimKind::kRecv || target->kind == SimKind::kConnect);
  if (is_ending && Happens(SimFault::kCancelLate, options_.faults.cancel_late)) {
    Finish(request, -EALREADY);
    return;
  }
  if (target->kind == SimKind::kAccept &&
      Happens(SimFault::kCancelLate, options_.faults.cancel_late)) {
    // Whoever has come meanwhile is accepted yet.
    const std::uint64_t user_data = target->user_data;
    RunAccept(*target);
    target = Find(user_data);
    if (target == nullptr) {
      Finish(request, -ENOENT);
      return;
    }
  }
  // What was already sent of a cancelled send is its result.
  const std::int32_t result =
      target->done > 0 ? static_cast<std::int32_t>(target->done) : -ECANCELED;
  const bool cancel_first = options_.faults.shuffle && random_.Below(2) == 0;
  if (cancel_first) {
    Finish(request, 0);
    Finish(*target, result);
  } else {
    Finish(*target, result);
    Finish(request, 0);
  }
}

void SimIo::Finish(SimRequest& request, std::int32_t result, BlockId block) {
  if (!request.operation->in_flight) {
    Misuse("in_flight was cleared before the completion");
  }
  if (request.kind == SimKind::kSend) {
    VerifyPieces(request);
  }
  if (const auto end = ends_.find(request.fd); end != ends_.end()) {
    for (SimRequest** slot : {&end->second->recv, &end->second->send, &end->second->connect}) {
      if (*slot == &request) {
        *slot = nullptr;
      }
    }
  }
  if (const auto found = listeners_.find(request.fd);
      found != listeners_.end() && found->second.accept == &request) {
    found->second.accept = nullptr;
  }
  if (const auto found = event_descriptors_.find(request.fd);
      found != event_descriptors_.end() && found->second == &request) {
    found->second = nullptr;
  }
  ready_.push_back(
      {.user_data = request.user_data, .result = result, .more = false, .block = block});
  requests_.erase(request.id);
}

void SimIo::VerifyPieces(const SimRequest& request) const {
  std::size_t position = 0;
  for (const std::string_view piece : request.pieces) {
    if (request.copy.compare(position, piece.size(), piece) != 0) {
      Misuse("octets changed while they were being sent");
      return;
    }
    position += piece.size();
  }
}

// --- Time

TimeNs SimIo::DrawDelay() {
  if (!Happens(SimFault::kDelay, options_.faults.delay)) {
    return 0;
  }
  return static_cast<TimeNs>(
      random_.Below(static_cast<std::uint64_t>(options_.faults.delay_max) + 1));
}

void SimIo::AddEvent(TimeNs delay, std::function<void()> action) {
  const std::uint64_t order = next_id_++;
  // The draw comes before the number, which keeps equal draws in order.
  const std::uint64_t drawn = options_.faults.shuffle ? random_.Below(1u << 20) << 40 : 0;
  events_.push({.due = now_ + delay, .order = drawn + order, .action = std::move(action)});
}

void SimIo::After(TimeNs delay, std::function<void()> action) {
  events_.push(
      {.due = now_ + delay, .order = next_id_++, .action = [this, action = std::move(action)] {
         action();
         interrupted_ = true;
       }});
}

void SimIo::Schedule(SimRequest& request) {
  if (request.scheduled || !request.started) {
    return;
  }
  request.scheduled = true;
  AddEvent(DrawDelay(), [this, id = request.id] {
    const auto found = requests_.find(id);
    if (found != requests_.end()) {
      found->second->scheduled = false;
      Run(*found->second);
    }
  });
}

void SimIo::Run(SimRequest& request) {
  switch (request.kind) {
    case SimKind::kAccept:
      RunAccept(request);
      break;
    case SimKind::kConnect:
      RunConnect(request);
      break;
    case SimKind::kRecv:
      RunRecv(request);
      break;
    case SimKind::kSend:
      RunSend(request);
      break;
    case SimKind::kReadEvent:
      if (read(request.fd, request.value, sizeof *request.value) > 0) {
        Finish(request, sizeof *request.value);
      }
      break;
    case SimKind::kCancel:
      break;
  }
}

bool SimIo::CanReceive() const {
  return !lent_.empty() || pool_->free_count(BlockSize::kLarge) > options_.reserve_blocks;
}

void SimIo::LendBlocks() {
  while (lent_.size() < options_.lent_blocks &&
         pool_->free_count(BlockSize::kLarge) > options_.reserve_blocks) {
    lent_.push_back(pool_->Take(BlockSize::kLarge).value());
  }
}

// A process that was stopped, a machine that was suspended: every deadline in between is over, and
// nothing else was heard.
bool SimIo::LeapClock(TimeNs timeout) {
  if (!ready_.empty() || timeout == 0 ||
      !Happens(SimFault::kClockLeap, options_.faults.clock_leap)) {
    return false;
  }
  const auto below = [this](TimeNs n) {
    return static_cast<TimeNs>(random_.Below(static_cast<std::uint64_t>(n)));
  };
  TimeNs leap = timeout;
  switch (timeout < 0 ? 3 : random_.Below(4)) {
    case 0:
      leap -= 1;
      break;
    case 1:
      break;
    case 2:
      leap += 1 + below(200 * kNsPerMs);
      break;
    default:
      leap = below(options_.faults.clock_leap_max);
  }
  now_ += leap;
  return true;
}

std::size_t SimIo::Wait(TimeNs timeout, std::span<Completion> completions) {
  const SimScope scope(*this, SimScope::Who::kTest);
  LendBlocks();
  // Requests are started in order; what a start makes complete may not start others.
  for (const std::uint64_t id : std::exchange(collected_, {})) {
    Start(id);
  }
  if (LeapClock(timeout)) {
    idle_turns_ = 0;
    trace_.Mix(static_cast<std::uint64_t>(now_));
    return 0;
  }
  const TimeNs before = now_;
  const TimeNs deadline = timeout < 0 ? std::numeric_limits<TimeNs>::max() : now_ + timeout;
  interrupted_ = false;
  RunDue();
  while (ready_.empty() && !interrupted_) {
    if (events_.empty() && timeout < 0) {
      Misuse("Wait() forever with nothing that could ever happen");
      break;
    }
    if (events_.empty() || events_.top().due > deadline) {
      now_ = deadline;
      break;
    }
    now_ = events_.top().due;
    RunDue();
  }
  const std::size_t count = TakeReady(completions);
  idle_turns_ = count == 0 && now_ == before && !interrupted_ ? idle_turns_ + 1 : 0;
  if (idle_turns_ > kIdleTurnsMax) {
    std::fprintf(stderr, "SimIo: the caller spins (seed %llu)\n",
                 static_cast<unsigned long long>(options_.seed));
    std::abort();
  }
  return count;
}

void SimIo::RunDue() {
  while (!events_.empty() && events_.top().due <= now_) {
    const std::function<void()> action = events_.top().action;
    events_.pop();
    action();
  }
  for (const auto& [fd, read] : event_descriptors_) {
    if (read != nullptr && read->started) {
      Run(*read);
    }
  }
}

std::size_t SimIo::TakeReady(std::span<Completion> completions) {
  std::size_t count = 0;
  while (count < completions.size() && !ready_.empty()) {
    auto next = ready_.begin();
    if (options_.faults.shuffle) {
      next += static_cast<std::ptrdiff_t>(random_.Below(ready_.size()));
      // Those of one operation stay in order: the one without `more` is the last.
      next = std::find_if(ready_.begin(), ready_.end(), [&](const Completion& completion) {
        return completion.user_data == next->user_data;
      });
    }
    trace_.Mix(static_cast<std::uint64_t>(now_));
    trace_.Mix(next->user_data);
    trace_.Mix(static_cast<std::uint64_t>(next->result));
    completions[count++] = *next;
    ready_.erase(next);
  }
  return count;
}

}  // namespace ringpost
