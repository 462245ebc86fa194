// SPDX-License-Identifier: GPL-3.0-or-later
#include "session_world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <utility>

#include "../tls/tls_fixture.h"
#include "ringpost/io/socket.h"

namespace ringpost {
namespace {

constexpr std::uint16_t kFirstBackendPort = 10'025;

Endpoint MakeEndpoint(const char* host, std::uint16_t port) {
  Endpoint endpoint;
  endpoint.address = SimAddress(host, port);
  endpoint.length = sizeof endpoint.address.in;
  endpoint.text = std::string(host) + ":" + std::to_string(port);
  return endpoint;
}

// "198.51.100.1" with port 25, or "unix:/run/out".
Endpoint MakeListenEndpoint(std::string_view listen) {
  constexpr std::string_view kUnix = "unix:";
  if (!listen.starts_with(kUnix)) {
    return MakeEndpoint(std::string(listen).c_str(), 25);
  }
  Endpoint endpoint;
  endpoint.text = listen;
  endpoint.address.un.sun_family = AF_UNIX;
  listen.substr(kUnix.size())
      .copy(endpoint.address.un.sun_path, sizeof endpoint.address.un.sun_path - 1);
  endpoint.length = sizeof endpoint.address.un;
  return endpoint;
}

std::shared_ptr<const Runtime> MakeTestRuntime(const WorldOptions& options, TimeNs now) {
  auto config = std::make_shared<Config>();
  config->hostname = "mx.example.test";
  config->shards = 1;
  UpstreamConfig upstream;
  upstream.name = "backend";
  upstream.identity = options.identity;
  upstream.proxy_tlvs = options.proxy_tlvs;
  upstream.is_partner = options.egress.has_value();
  for (std::size_t i = 0; i < options.backends.size(); ++i) {
    upstream.addresses.push_back(
        MakeEndpoint("127.0.0.1", static_cast<std::uint16_t>(kFirstBackendPort + i)));
    upstream.addresses.back().host = options.partner_host;
  }
  config->upstreams.push_back(upstream);
  RouteConfig ingress;
  ingress.name = options.route;
  ingress.ask_certificate = options.ask_certificate;
  ingress.policy = options.policy;
  ingress.auth = options.auth;
  ingress.egress = options.egress;
  ingress.sessions_max = options.route_sessions_max;
  ingress.handshake_timeout = config->handshake_timeout;
  ingress.command_timeout = options.command_timeout;
  ingress.data_timeout = config->data_timeout;
  ingress.listeners.push_back(
      {.endpoint = MakeListenEndpoint(options.listen), .implicit_tls = options.implicit_tls});
  config->partners = options.partners;
  LoadedFiles files;
  files.trusts = options.trusts;
  files.certificates.emplace_back();
  files.partners = std::make_shared<const PartnerTable>(config->partners, config->own_domains);
  if (options.certificate) {
    ingress.certificates.push_back({.cert = "ecdsa.pem", .key = "ecdsa.key"});
    if (options.certificate_pem != nullptr) {
      files.certificates.back().push_back(*options.certificate_pem);
    } else {
      static const TlsCertificatePem certificate = test::Certificate("ecdsa");
      files.certificates.back().push_back(certificate);
    }
  }
  config->routes.push_back(ingress);
  config->bare_newline = options.bare_newline;
  config->starttls_backend = options.starttls_backend;
  config->sessions_max = options.sessions_max;
  config->sessions_per_client_max = options.sessions_per_client_max;
  config->handshakes_per_client_rate = options.handshakes_per_client_rate;
  absl::StatusOr<std::shared_ptr<const Runtime>> runtime =
      MakeRuntime(std::move(config), files, options.ticket_keys, test::kNow);
  EXPECT_TRUE(runtime.ok()) << runtime.status();
  for (std::size_t i = 0; options.proven && !options.egress && i < options.backends.size(); ++i) {
    (void)(*runtime)->health.front()->Proven(i, now);
  }
  return *std::move(runtime);
}

const TlsClientContext* ClientTlsContext() {
  static const std::unique_ptr<TlsClientContext> context = test::ClientContext();
  return context.get();
}

// Of all clients, so that not each of them has memory of its own to map.
BufferPool* ClientPool() {
  static auto* const pool = new BufferPool(1'024, 256);  // until the process ends
  return pool;
}

}  // namespace

SessionWorld::SessionWorld(const WorldOptions& options)
    : pool_(std::make_unique<BufferPool>(options.large_blocks, options.small_blocks)),
      io_(std::make_unique<SimIo>(options.io, pool_.get())),
      runtime_(MakeTestRuntime(options, io_->Now())),
      polite_(std::make_unique<PoliteBackend>(options.identity)),
      listen_(options.listen),
      listener_(io_->OpenListener(MakeListenEndpoint(options.listen).address)) {
  for (std::size_t i = 0; i < options.backends.size(); ++i) {
    io_->SetBackend(BackendAddress(i), options.backends[i]);
  }
  shard_ = std::make_unique<Shard>(io_.get(), pool_.get(), runtime_, std::vector<int>{listener_},
                                   options.sessions_max, io_->OpenEvent(), this, &registry_,
                                   &client_limits_);
}

SocketAddress SessionWorld::BackendAddress(std::size_t index) {
  return SimAddress("127.0.0.1", static_cast<std::uint16_t>(kFirstBackendPort + index));
}

SessionWorld::~SessionWorld() {
  Finish();
  EXPECT_EQ(shard_->session_count(), 0u);
  EXPECT_EQ(registry_.size(), 0u);
  shard_.reset();
  polite_.reset();
  EXPECT_EQ(io_->in_flight(), 0u);
  EXPECT_EQ(io_->open_sockets(), 0u);
  io_.reset();
  // That every block is free is CHECKed by the pool, which would stop the program: say it first.
  EXPECT_EQ(pool_->free_count(BlockSize::kLarge), pool_->total_count(BlockSize::kLarge));
  EXPECT_EQ(pool_->free_count(BlockSize::kSmall), pool_->total_count(BlockSize::kSmall));
}

SimPeer SessionWorld::Connect(const SocketAddress& client) {
  return io_->ConnectFrom(listener_, client);
}

void SessionWorld::OnSessionBackend(std::function<void(SimPeer)> on_accept) {
  io_->OnBackendAccept([this, on_accept = std::move(on_accept)](SimPeer peer) {
    if (PoliteBackend::IsProbe(peer)) {
      polite_->Take(std::move(peer));
    } else {
      on_accept(std::move(peer));
    }
  });
}

bool SessionWorld::Until(const std::function<bool()>& done, TimeNs limit) {
  bool over = false;
  const auto is_over = std::make_shared<bool*>(&over);
  io_->After(limit, [is_over] {
    if (*is_over != nullptr) {
      **is_over = true;
    }
  });
  while (!done() && !over && !shard_->finished()) {
    {
      const SimScope scope(*io_, SimScope::Who::kShard);
      shard_->Turn();
    }
    if (on_turn_) {
      on_turn_();
    }
  }
  *is_over = nullptr;
  return done();
}

void SessionWorld::PostReload(const WorldOptions& options, std::function<void()> applied) {
  std::vector<int> listeners = {-1};
  if (listen_ != options.listen) {
    listen_ = options.listen;
    listeners.front() = listener_ = io_->OpenListener(MakeListenEndpoint(options.listen).address);
  }
  ShardUpdateNode update;
  update.push_back(ShardUpdate{.runtime = MakeTestRuntime(options, io_->Now()),
                               .listeners = std::move(listeners),
                               .applied = std::move(applied)});
  shard_->Post(std::move(update));
}

void SessionWorld::Reload(const WorldOptions& options) {
  bool applied = false;
  PostReload(options, [&applied] { applied = true; });
  EXPECT_TRUE(Until([&applied] { return applied; }, kNsPerSecond));
}

void SessionWorld::Pass(TimeNs duration) {
  (void)Until([] { return false; }, duration);
}

void SessionWorld::Finish() {
  if (shard_->finished()) {
    return;
  }
  shard_->Post(shard_->session_count() == 0 ? ShardCommand::kDrain : ShardCommand::kStop);
  EXPECT_TRUE(Until([this] { return shard_->finished(); }, 60 * kNsPerSecond))
      << "the shard does not end; sessions: " << shard_->session_count();
}

void SessionWorld::SessionEnded(const Session& session, TimeNs now) {
  (void)now;
  const SimScope scope(*io_, SimScope::Who::kTest);
  std::array<char, kAddressTextMax> text;
  EndedSession ended;
  ended.client = FormatAddress(session.client(), text);
  ended.reason = session.close_reason();
  ended.stats = session.stats();
  ended.tls_version = session.tls_facts().version;
  ended.detail = session.detail();
  EXPECT_NE(ended.reason, CloseReason::kNone) << ended.client;
  io_->Say("ringpost", "session of " + ended.client +
                           " ended: " + std::string(CloseReasonName(ended.reason)) + " " +
                           std::string(session.detail()));
  for (const EndedSession& other : ended_) {
    EXPECT_TRUE(other.client != ended.client || ended.client.starts_with("0.0.0.0") ||
                ended.client == "unix")
        << ended.client << " ended twice";
  }
  ended_.push_back(ended);
}

void SessionWorld::SessionRefused(const ListenerRuntime&, const SocketAddress&, Refusal, TimeNs) {
  ++refused_;
}

void SessionWorld::BackendFailed(const UpstreamConfig&, const Endpoint&, CloseReason, int,
                                 std::string_view, TimeNs) {
  ++backend_failures_;
}

void SessionWorld::UpstreamProven(const UpstreamConfig&, const Endpoint& endpoint,
                                  const ProbeResult& result, bool) {
  const SimScope scope(*io_, SimScope::Who::kTest);
  probes_.push_back("proven " + std::to_string(result.header_octets));
  io_->Say("ringpost", endpoint.text + " is proven");
}

void SessionWorld::UpstreamNotProven(const UpstreamConfig&, const Endpoint& endpoint,
                                     const ProbeResult& result, TimeNs) {
  const SimScope scope(*io_, SimScope::Who::kTest);
  probes_.push_back((result.kind == ProbeResult::Kind::kRefuted ? "refuted " : "failed ") +
                    result.words);
  io_->Say("ringpost", endpoint.text + " is not proven: " + result.words);
}

void SessionWorld::UpstreamSlow(const UpstreamConfig&, const Endpoint&, TimeNs) {
  const SimScope scope(*io_, SimScope::Who::kTest);
  probes_.emplace_back("slow");
}

void SessionWorld::BackendRecovered(const UpstreamConfig&, const Endpoint&, TimeNs) {
  ++backend_recoveries_;
}

void SessionWorld::PolicyNotMet(const Session&, const PolicyDecision& decision,
                                std::string_view sender_domain) {
  const SimScope scope(*io_, SimScope::Who::kTest);
  policy_faults_.push_back(std::string(sender_domain.empty() ? "-" : sender_domain) + " " +
                           std::string(PolicyFaultName(decision.fault)) +
                           (decision.mode == PolicyMode::kReport ? " reported" : ""));
}

PolicyTotals SessionWorld::RouteTotals() const {
  PolicyTotals totals;
  runtime_->counters->AddTo(runtime_->listeners.front().route_subject, totals);
  return totals;
}

void SessionWorld::TrustComplaint(const std::string&, TimeNs) {}

void SessionWorld::AcceptPaused(int, TimeNs) { ++accept_pauses_; }

// --- The client's end

ClientEnd::ClientEnd(SimPeer peer)
    : peer_(std::move(peer)),
      cipher_in_(ClientPool()),
      cipher_out_(ClientPool()),
      plain_in_(ClientPool()),
      plain_queue_(ClientPool()) {
  peer_.OnChange([this] {
    Move();
    if (on_change_) {
      on_change_();
    }
  });
}

void ClientEnd::Say(std::string_view text) {
  (tls_ != nullptr ? plain_out_ : out_) += text;
  Move();
}

void ClientEnd::StartTls(const TlsClientContext* context, const TlsSession* session) {
  tls_ = TlsEngine::Client(context != nullptr ? context : ClientTlsContext(), "mx.example.test",
                           session);
  Move();
}

void ClientEnd::AcceptTls(const TlsContextSet* contexts) {
  tls_ = TlsEngine::Server(contexts);
  Move();
}

void ClientEnd::Raw(std::string_view octets) {
  out_ += octets;
  Write();
}

bool ClientEnd::ended() const {
  return peer_.readable() == 0 && (peer_.ended() || peer_.was_reset());
}

void ClientEnd::Notify() {
  if (tls_ != nullptr) {
    tls_->CloseNotify(cipher_out_);
    Move();
  }
}

void ClientEnd::Close() {
  Notify();
  if (out_.empty()) {
    peer_.Close();
  } else {
    peer_.Reset();
  }
}

void ClientEnd::CloseSend() { peer_.CloseSend(); }

void ClientEnd::set_reading(bool reading) {
  reading_ = reading;
  Move();
}

void ClientEnd::Move() {
  if (tls_ == nullptr) {
    if (reading_) {
      received_ += peer_.Read();
    }
  } else {
    MoveTls();
  }
  Write();
}

void ClientEnd::MoveTls() {
  if (notified_) {
    EXPECT_EQ(peer_.Read(), "") << "octets behind close_notify";  // PROTOCOL 36
  }
  if (reading_ && !notified_ && !tls_failed_) {
    // What does not fit stays in the socket; each round makes room.
    for (std::string octets = peer_.Read(8'192); !octets.empty(); octets = peer_.Read(8'192)) {
      ASSERT_EQ(cipher_in_.Append(octets), Room::kOk);
      if (!tls_->handshake_complete()) {
        continue;
      }
      const TlsOutcome outcome = tls_->Read(cipher_in_, plain_in_, 1 << 16, cipher_out_);
      notified_ = outcome == TlsOutcome::kPeerClosed;
      tls_failed_ = outcome == TlsOutcome::kFailed || outcome == TlsOutcome::kFlood;
      while (!plain_in_.empty()) {
        received_ += plain_in_.Front();
        plain_in_.Consume(plain_in_.Front().size());
      }
      if (notified_ || tls_failed_) {
        break;
      }
    }
  }
  if (!tls_->handshake_complete() && !tls_failed_) {
    const TlsOutcome outcome = tls_->Handshake(cipher_in_, cipher_out_);
    tls_failed_ = outcome == TlsOutcome::kFailed || outcome == TlsOutcome::kPeerClosed;
    if (outcome == TlsOutcome::kDone && !cipher_in_.empty()) {
      const TlsOutcome read = tls_->Read(cipher_in_, plain_in_, 1 << 16, cipher_out_);
      notified_ = read == TlsOutcome::kPeerClosed;
      while (!plain_in_.empty()) {
        received_ += plain_in_.Front();
        plain_in_.Consume(plain_in_.Front().size());
      }
    }
  }
  while (tls_->handshake_complete() && !tls_failed_ && !plain_out_.empty() &&
         out_.size() < 65'536) {
    const std::string part = plain_out_.substr(0, 8'192);
    plain_out_.erase(0, part.size());
    ASSERT_EQ(plain_queue_.Append(part), Room::kOk);
    tls_failed_ = tls_->Write(plain_queue_, cipher_out_, 1 << 16) == TlsOutcome::kFailed;
    Write();
  }
}

void ClientEnd::Write() {
  while (!cipher_out_.empty()) {
    out_ += cipher_out_.Front();
    cipher_out_.Consume(cipher_out_.Front().size());
  }
  const std::size_t sent = peer_.Write(std::string_view(out_).substr(0, octets_left_));
  if (octets_left_ != std::string::npos) {
    octets_left_ -= sent;
  }
  out_.erase(0, octets_left_ == 0 ? out_.size() : sent);
}

}  // namespace ringpost
