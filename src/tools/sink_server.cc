// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/sink_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "ringpost/io/socket.h"
#include "ringpost/tools/json_text.h"

namespace ringpost {
namespace {

// A peer that does not read has its replies kept up to here, then it is not read from either.
constexpr std::size_t kToSendMax = 64 * 1024;
// How long a connection waits for the peer's FIN behind our own.
constexpr TimeNs kLingerTime = 5 * kNsPerSecond;
// Without descriptors, accepting pauses this long.
constexpr TimeNs kAcceptPause = 50 * kNsPerMs;
// --fault=slow: between two octets of a reply, if --reply_delay does not say otherwise.
constexpr TimeNs kSlowInterval = kNsPerMs;

std::string_view HostOf(const SocketAddress& address, std::span<char> text) {
  return address.any.sa_family == AF_UNIX ? "unix" : FormatHost(address, text);
}

void PrintLine(std::string line) {
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

struct SinkServer::Listener {
  int fd = -1;
  Operation accept;
  Operation cancel;
};

struct SinkServer::Connection {
  Connection(SinkServer* server, MessageFolder* folder, std::uint32_t slot_id,
             std::uint32_t generation_id)
      : slot(slot_id), generation(generation_id), channel(server->io_, server->pool_) {
    if (folder != nullptr) {
      files = std::make_unique<MessageFiles>(folder);
    }
  }

  std::uint32_t slot;
  std::uint32_t generation;
  Channel channel;
  std::unique_ptr<MessageFiles> files;
  std::unique_ptr<SinkSession> session;
  std::string held;        // a reply that waits for its time, or for a block
  bool waiting = false;    // for a timer, until which nothing is read
  bool starved = false;    // on the list of those that wait for blocks
  bool lingering = false;  // our FIN is sent
  SinkEnd end = SinkEnd::kNone;
};

SinkServer::SinkServer(const SinkServerOptions* options, MessageFolder* folder, Io* io,
                       BufferPool* pool)
    : options_(options), folder_(folder), io_(io), pool_(pool) {}

SinkServer::~SinkServer() = default;

void SinkServer::AddListener(int fd) {
  const auto slot = static_cast<std::uint32_t>(listeners_.size());
  Listener& listener = *listeners_.emplace_back(std::make_unique<Listener>());
  listener.fd = fd;
  listener.accept.user_data = ToUserData({.kind = ToolOperation::kAccept, .slot = slot});
  listener.cancel.user_data = ToUserData({.kind = ToolOperation::kCancelAccept, .slot = slot});
}

SinkTotals SinkServer::Run(int stop_event) {
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    io_->Accept(listener->accept, listener->fd);
  }
  stop_operation_.user_data = ToUserData({.kind = ToolOperation::kEvent});
  io_->ReadEvent(stop_operation_, stop_event, &stop_value_);

  std::vector<Completion> completions(1024);
  const auto idle = [&] {
    return stopping_ && free_slots_.size() == connections_.size() &&
           std::none_of(listeners_.begin(), listeners_.end(),
                        [](const std::unique_ptr<Listener>& listener) {
                          return listener->accept.in_flight || listener->cancel.in_flight;
                        });
  };
  while (!idle()) {
    const std::size_t count = io_->Wait(UntilNextTimer(), completions);
    for (std::size_t i = 0; i < count; ++i) {
      Dispatch(completions[i]);
    }
    RunTimers();
    RunStarved();
  }
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    io_->CloseSocket(listener->fd);
  }
  return totals_;
}

void SinkServer::Dispatch(const Completion& completion) {
  const ToolTarget target = FromUserData(completion.user_data);
  switch (target.kind) {
    case ToolOperation::kAccept:
      Accepted(*listeners_[target.slot], completion);
      return;
    case ToolOperation::kCancelAccept:
      listeners_[target.slot]->cancel.Complete(completion);
      return;
    case ToolOperation::kEvent:
      stop_operation_.Complete(completion);
      Stop();
      return;
    default:
      break;
  }
  Connection* connection = Find(target.slot, target.generation);
  // A slot is given back only when nothing is in flight.
  RINGPOST_CHECK(connection != nullptr);
  switch (connection->channel.Handle(target.kind, completion)) {
    case ChannelEvent::kNoBlocks:
      Starve(*connection);
      break;
    case ChannelEvent::kEof:
    case ChannelEvent::kFailed:
      connection->channel.Close(Ending::kOrderly);
      break;
    case ChannelEvent::kConnected:
    case ChannelEvent::kReceived:
    case ChannelEvent::kSent:
      Process(*connection);
      break;
    case ChannelEvent::kNothing:
      break;
  }
  TryFinish(*connection);
}

void SinkServer::Accepted(Listener& listener, const Completion& completion) {
  listener.accept.Complete(completion);
  if (completion.result >= 0) {
    if (stopping_) {
      io_->CloseSocket(completion.result);
    } else {
      Start(completion.result);
    }
  }
  if (!listener.accept.in_flight && !stopping_) {
    // Out of descriptors, or the kernel ended the multishot: again, but never in a spin.
    timers_.push({.deadline = io_->Now() + (completion.result < 0 ? kAcceptPause : 0),
                  .kind = TimerKind::kAccept,
                  .slot = FromUserData(completion.user_data).slot});
  }
}

void SinkServer::Start(int fd) {
  std::uint32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<std::uint32_t>(connections_.size());
    connections_.emplace_back();
    generations_.push_back(0);
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  connections_[slot] = std::make_unique<Connection>(this, folder_, slot, generations_[slot]);
  Connection& connection = *connections_[slot];
  connection.channel.Open(fd, slot, connection.generation);
  ++totals_.sessions;

  SocketAddress peer{};
  SocketAddress local{};
  (void)io_->PeerAddress(fd, &peer);
  (void)io_->LocalAddress(fd, &local);
  std::array<char, kAddressTextMax> peer_text{};
  std::array<char, kAddressTextMax> local_text{};
  connection.session = std::make_unique<SinkSession>(&options_->session, connection.files.get(),
                                                     HostOf(peer, peer_text), PortOf(peer),
                                                     HostOf(local, local_text), PortOf(local));
  TakeStep(connection, connection.session->Start(), options_->banner_delay);
  Process(connection);
  TryFinish(connection);
}

void SinkServer::Process(Connection& connection) {
  while (ProcessStep(connection)) {
  }
  Channel& channel = connection.channel;
  if (connection.lingering) {
    channel.received().Clear();
    channel.ArmReceive(RecvHint::kDataUnlikely);
    return;
  }
  channel.ArmSend();
  if (connection.waiting || !connection.held.empty()) {
    return;
  }
  switch (connection.end) {
    case SinkEnd::kNone:
      if (channel.to_send().size() <= kToSendMax && !connection.starved) {
        channel.ArmReceive(RecvHint::kDataUnlikely);
      }
      break;
    case SinkEnd::kClose:
      if (!channel.all_sent()) {
        break;
      }
      if (channel.received().empty()) {
        channel.Close(Ending::kOrderly);  // as mail servers do behind their 221
      } else {
        StartLinger(connection);
      }
      break;
    case SinkEnd::kReset:
      channel.Close(Ending::kReset);
      break;
    case SinkEnd::kStall:
      break;
  }
}

// One step of the session; false when there is nothing more to do now.
bool SinkServer::ProcessStep(Connection& connection) {
  Channel& channel = connection.channel;
  ByteQueue& received = channel.received();
  if (connection.end != SinkEnd::kNone || connection.waiting || !connection.held.empty() ||
      received.empty() || channel.closing() || channel.to_send().size() > kToSendMax) {
    return false;
  }
  const std::string_view readable = received.Front();
  const std::uint32_t messages = connection.session->messages();
  const SinkStep step = connection.session->Next(readable);
  if (step.idle()) {
    if (readable.size() == received.size() || readable.size() > SinkSession::kLineMax) {
      return false;
    }
    if (received.Linearize(std::min(received.size(), BufferPool::kLargeBytes)) == Room::kOk) {
      return true;
    }
    Starve(connection);
    return false;
  }
  received.Consume(step.consumed);
  TimeNs delay = options_->reply_delay;
  if (connection.session->messages() != messages) {
    ++totals_.messages;
    delay = std::max(delay, options_->final_delay);
    if (options_->print) {
      PrintMessage(connection);
    }
  }
  TakeStep(connection, step, delay);
  return true;
}

void SinkServer::TakeStep(Connection& connection, const SinkStep& step, TimeNs delay) {
  connection.end = step.end;
  if (options_->session.fault == SinkFault::kSlow) {
    delay = std::max(delay, kSlowInterval);
  }
  if (delay > 0 && (!step.reply.empty() || step.end != SinkEnd::kNone)) {
    connection.held = step.reply;
    connection.waiting = true;
    timers_.push({.deadline = io_->Now() + delay,
                  .kind = TimerKind::kReply,
                  .slot = connection.slot,
                  .generation = connection.generation});
    return;
  }
  if (!step.reply.empty() && connection.channel.to_send().Append(step.reply) == Room::kNoBlocks) {
    connection.held = step.reply;
    Starve(connection);
  }
}

// The time of what is held has come, or a block may be free.
void SinkServer::SendHeld(Connection& connection) {
  ByteQueue& to_send = connection.channel.to_send();
  const bool slow = options_->session.fault == SinkFault::kSlow;
  const std::size_t octets =
      slow ? std::min<std::size_t>(1, connection.held.size()) : connection.held.size();
  connection.waiting = false;
  const std::string_view held = connection.held;
  if (octets > 0) {
    if (to_send.Append(held.substr(0, octets)) == Room::kNoBlocks) {
      Starve(connection);
      return;
    }
    connection.held.erase(0, octets);
  }
  if (!connection.held.empty()) {
    connection.waiting = true;
    timers_.push({.deadline = io_->Now() + std::max(options_->reply_delay, kSlowInterval),
                  .kind = TimerKind::kReply,
                  .slot = connection.slot,
                  .generation = connection.generation});
  }
}

void SinkServer::StartLinger(Connection& connection) {
  connection.lingering = true;
  connection.channel.ShutdownSend();
  connection.channel.received().Clear();
  // Unread octets at close(2) would turn the FIN into a reset, which could overtake the last reply.
  connection.channel.ArmReceive(RecvHint::kDataUnlikely);
  timers_.push({.deadline = io_->Now() + kLingerTime,
                .kind = TimerKind::kLinger,
                .slot = connection.slot,
                .generation = connection.generation});
}

// Ends the life of `connection` if its channel is closed by now.
void SinkServer::TryFinish(Connection& connection) {
  if (!connection.channel.TryFinish()) {
    return;
  }
  connection.session->Closed();
  totals_.octets += connection.session->octets();
  if (options_->print) {
    PrintSession(connection);
  }
  const std::uint32_t slot = connection.slot;
  generations_[slot] = (generations_[slot] + 1) & 0xffffff;
  free_slots_.push_back(slot);
  connections_[slot].reset();
}

void SinkServer::Starve(Connection& connection) {
  if (!connection.starved) {
    connection.starved = true;
    starved_.emplace_back(connection.slot, connection.generation);
  }
}

void SinkServer::RunStarved() {
  if (starved_.empty()) {
    return;
  }
  const auto starved = std::move(starved_);
  starved_.clear();
  for (const auto& [slot, generation] : starved) {
    Connection* connection = Find(slot, generation);
    if (connection == nullptr) {
      continue;
    }
    connection->starved = false;
    if (!connection->held.empty() && !connection->waiting) {
      SendHeld(*connection);
    }
    Process(*connection);
    TryFinish(*connection);
  }
}

void SinkServer::RunTimers() {
  while (!timers_.empty() && timers_.top().deadline <= io_->Now()) {
    const Timer timer = timers_.top();
    timers_.pop();
    if (timer.kind == TimerKind::kAccept) {
      Listener& listener = *listeners_[timer.slot];
      if (!stopping_ && !listener.accept.in_flight) {
        io_->Accept(listener.accept, listener.fd);
      }
      continue;
    }
    Connection* connection = Find(timer.slot, timer.generation);
    if (connection == nullptr || connection->channel.closing()) {
      continue;
    }
    if (timer.kind == TimerKind::kLinger) {
      connection->channel.Close(Ending::kOrderly);
    } else {
      SendHeld(*connection);
      Process(*connection);
    }
    TryFinish(*connection);
  }
}

TimeNs SinkServer::UntilNextTimer() const {
  if (!starved_.empty()) {
    return kNsPerMs;
  }
  return timers_.empty() ? -1 : std::max<TimeNs>(timers_.top().deadline - io_->Now(), 0);
}

void SinkServer::Stop() {
  stopping_ = true;
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    if (listener->accept.in_flight) {
      io_->Cancel(listener->cancel, listener->accept);
    }
  }
  for (const std::unique_ptr<Connection>& connection : connections_) {
    if (connection != nullptr) {
      connection->channel.Close(Ending::kOrderly);
      TryFinish(*connection);
    }
  }
}

SinkServer::Connection* SinkServer::Find(std::uint32_t slot, std::uint32_t generation) {
  if (slot >= connections_.size() || connections_[slot] == nullptr ||
      connections_[slot]->generation != generation) {
    return nullptr;
  }
  return connections_[slot].get();
}

void SinkServer::PrintMessage(const Connection& connection) const {
  PrintLine("message " + EnvelopeJson(connection.session->envelope(), totals_.messages));
}

void SinkServer::PrintSession(const Connection& connection) const {
  const SinkEnvelope& envelope = connection.session->envelope();
  std::string line = "{";
  AppendJsonText(line, "identity", envelope.identity);
  AppendJsonText(line, "client", envelope.client);
  AppendJsonCount(line, "client_port", envelope.client_port);
  AppendJsonText(line, "tls_version", envelope.tls_version);
  AppendJsonText(line, "tls_cipher", envelope.tls_cipher);
  AppendJsonText(line, "tls_group", envelope.tls_group);
  AppendJsonText(line, "tls_sni", envelope.tls_sni);
  AppendJsonText(line, "helo", envelope.helo);
  AppendJsonCount(line, "messages", connection.session->messages());
  AppendJsonCount(line, "octets", connection.session->octets());
  PrintLine("session " + line + "}");
}

}  // namespace ringpost
