// SPDX-License-Identifier: GPL-3.0-or-later
//
// The whole server in this process: three shards on real rings, their log, the policy service, a
// unix socket that they share and the main thread's signals, under clients with and without TLS,
// reloads and summaries at the same time, and a drain at the end. Its worth is ThreadSanitizer's
// (tools/test --tsan): what the threads share is used here by all of them at once.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "../tls/tls_fixture.h"
#include "ringpost/config/config.h"
#include "ringpost/io/socket.h"
#include "ringpost/io/uring.h"
#include "ringpost/process/server.h"
#include "ringpost/tools/sink_server.h"

namespace ringpost {
namespace {

constexpr int kShards = 3;
constexpr int kClientThreads = 6;
constexpr int kSessionsOfThread = 8;
constexpr int kReloads = 4;
constexpr int kPatienceMs = 30'000;

Endpoint Loopback(std::uint16_t port) {
  Endpoint endpoint;
  endpoint.address.in.sin_family = AF_INET;
  endpoint.address.in.sin_port = htons(port);
  endpoint.address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  endpoint.length = sizeof endpoint.address.in;
  endpoint.text = "127.0.0.1:" + std::to_string(port);
  return endpoint;
}

Endpoint UnixPath() {
  Endpoint endpoint;
  const std::string path = "/tmp/ringpost-shards-test-" + std::to_string(getpid());
  endpoint.text = "unix:" + path;
  endpoint.address.un.sun_family = AF_UNIX;
  path.copy(endpoint.address.un.sun_path, sizeof endpoint.address.un.sun_path - 1);
  endpoint.length = sizeof endpoint.address.un;
  return endpoint;
}

int Listen(std::uint16_t* port) {
  const Endpoint any = Loopback(0);
  const absl::StatusOr<int> fd = OpenListener(&any.address.any, any.length, any.text, {});
  EXPECT_TRUE(fd.ok()) << fd.status();
  SocketAddress local{};
  EXPECT_EQ(LocalAddressOf(*fd, &local), 0);
  *port = PortOf(local);
  return *fd;
}

// Ports that were free a moment ago, all different.
template <std::size_t kCount>
std::array<std::uint16_t, kCount> FreePorts() {
  std::array<std::uint16_t, kCount> ports{};
  std::array<int, kCount> sockets{};
  for (std::size_t i = 0; i < kCount; ++i) sockets[i] = Listen(&ports[i]);
  for (const int fd : sockets) close(fd);
  return ports;
}

// The backend: ringpost-sink's server on a thread of its own.
class Backend {
 public:
  Backend() : listener_(Listen(&port_)), stop_(eventfd(0, EFD_CLOEXEC)) {
    thread_ = std::thread([this] { Main(); });
  }
  ~Backend() { Stop(); }
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  // Ends it; how many messages it has taken.
  std::uint64_t Stop() {
    if (thread_.joinable()) {
      const std::uint64_t one = 1;
      EXPECT_EQ(write(stop_, &one, sizeof one), static_cast<ssize_t>(sizeof one));
      thread_.join();
      close(stop_);
    }
    return totals_.messages;
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void Main() {
    BufferPool pool(256, 256);
    absl::StatusOr<std::unique_ptr<Uring>> io = Uring::Create({.lent_blocks = 64}, &pool);
    ASSERT_TRUE(io.ok()) << io.status();
    SinkServerOptions options;
    options.session.identity = SinkIdentity::kProxy;
    SinkOptionsResolve(options.session);
    SinkServer server(&options, nullptr, io->get(), &pool);
    server.AddListener(listener_);
    totals_ = server.Run(stop_);
  }

  std::uint16_t port_ = 0;
  int listener_;
  int stop_;
  SinkTotals totals_;
  std::thread thread_;
};

// A blocking socket that gives up after kPatienceMs.
class Socket {
 public:
  explicit Socket(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const Endpoint to = Loopback(port);
    const int one = 1;
    (void)setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ok_ = connect(fd_, &to.address.any, to.length) == 0;
    SocketAddress local{};
    EXPECT_EQ(LocalAddressOf(fd_, &local), 0);
    local_port_ = PortOf(local);
    port_ = port;
  }
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  bool Send(std::string_view octets) {
    while (!octets.empty()) {
      const ssize_t sent = send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      octets.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  // Empty: the end, or nothing for too long.
  std::string Receive() {
    pollfd polled{.fd = fd_, .events = POLLIN, .revents = 0};
    if (poll(&polled, 1, kPatienceMs) <= 0) return {};
    std::array<char, 16'384> octets;
    const ssize_t count = recv(fd_, octets.data(), octets.size(), 0);
    return count > 0 ? std::string(octets.data(), static_cast<std::size_t>(count)) : std::string();
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::uint16_t local_port() const { return local_port_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  int fd_;
  bool ok_ = false;
  std::uint16_t local_port_ = 0;
  std::uint16_t port_ = 0;
};

enum class ClientTls { kNone, kStarttls, kImplicit };

class Client {
 public:
  Client(const TlsClientContext* context, ClientTls tls, std::uint16_t port)
      : pool_(64, 64), side_(&pool_), context_(context), tls_(tls), socket_(port) {}

  // One session with one message, which asks the policy service about itself on the way.
  void Run(std::uint16_t policy_port) {
    ASSERT_TRUE(socket_.ok());
    if (tls_ == ClientTls::kImplicit) {
      ASSERT_TRUE(Handshake());
    }
    ASSERT_TRUE(Reply().starts_with("220 "));
    ASSERT_TRUE(Command("EHLO client.example.test\r\n").starts_with("250-"));
    if (tls_ == ClientTls::kStarttls) {
      ASSERT_TRUE(Command("STARTTLS\r\n").starts_with("220 "));
      ASSERT_TRUE(Handshake());
      ASSERT_TRUE(Command("EHLO client.example.test\r\n").starts_with("250-"));
    }
    ASSERT_TRUE(Command("MAIL FROM:<a@client.example.test>\r\n").starts_with("250 "));
    ASSERT_TRUE(Command("RCPT TO:<b@example.test>\r\n").starts_with("250 "));
    AskPolicyService(policy_port);
    ASSERT_TRUE(Command("DATA\r\n").starts_with("354 "));
    const std::string line(998, 'x');
    std::string content;
    for (int i = 0; i < 40; ++i) content += line + "\r\n";
    ASSERT_TRUE(Command(content + ".\r\n").starts_with("250 "));
    ASSERT_TRUE(Command("QUIT\r\n").starts_with("221 "));
  }

 private:
  bool Handshake() {
    side_.engine = TlsEngine::Client(context_, "mx.example.test", nullptr);
    while (true) {
      const TlsOutcome outcome = side_.Handshake();
      if (!socket_.Send(test::Side::Drain(side_.cipher_out))) return false;
      if (outcome != TlsOutcome::kNeedInput) return outcome == TlsOutcome::kDone;
      const std::string received = socket_.Receive();
      if (received.empty()) return false;
      side_.Receive(received);
    }
  }

  std::string Command(std::string_view text) {
    if (side_.engine != nullptr) {
      EXPECT_EQ(side_.Write(text), TlsOutcome::kDone);
      EXPECT_TRUE(socket_.Send(test::Side::Drain(side_.cipher_out)));
    } else {
      EXPECT_TRUE(socket_.Send(text));
    }
    return Reply();
  }

  // All lines of it; empty if the connection ends first.
  std::string Reply() {
    while (true) {
      for (std::size_t begin = 0, end = 0;
           (end = received_.find("\r\n", begin)) != std::string::npos; begin = end + 2) {
        if (end >= begin + 4 && received_[begin + 3] == ' ') {
          std::string reply = received_.substr(0, end + 2);
          received_.erase(0, end + 2);
          return reply;
        }
      }
      if (side_.engine != nullptr && !side_.cipher_in.empty()) {
        (void)side_.Read();
      }
      std::string octets;
      if (side_.engine != nullptr) {
        octets = test::Side::Drain(side_.plain_in);
      }
      if (octets.empty()) {
        octets = socket_.Receive();
        if (octets.empty()) return {};
        if (side_.engine != nullptr) {
          side_.Receive(octets);
          (void)side_.Read();
          octets = test::Side::Drain(side_.plain_in);
        }
      }
      received_ += octets;
    }
  }

  void AskPolicyService(std::uint16_t port) const {
    Socket policy(port);
    ASSERT_TRUE(policy.Send(
        "request=smtpd_access_policy\nprotocol_state=RCPT\n"
        "client_address=127.0.0.1\nclient_port=" +
        std::to_string(socket_.local_port()) +
        "\nserver_address=127.0.0.1\nserver_port=" + std::to_string(socket_.port()) + "\n\n"));
    std::string answer;
    while (!answer.ends_with("\n\n")) {
      const std::string part = policy.Receive();
      ASSERT_FALSE(part.empty()) << answer;
      answer += part;
    }
    const std::string version = tls_ == ClientTls::kNone ? "version=none" : "version=TLSv1.3";
    EXPECT_NE(answer.find(version), std::string::npos) << answer;
  }

  BufferPool pool_;
  test::Side side_;
  const TlsClientContext* context_;
  ClientTls tls_;
  Socket socket_;
  std::string received_;
};

// `ports`: for STARTTLS, for implicit TLS, of the policy service.
std::shared_ptr<Config> MakeConfig(const std::array<std::uint16_t, 3>& ports,
                                   std::uint16_t backend_port) {
  auto config = std::make_shared<Config>();
  config->hostname = "mx.example.test";
  config->shards = kShards;
  config->sessions_max = 300;
  config->sessions_per_client_max = 250;
  config->handshakes_per_client_rate = 100'000;
  config->buffers_large = 256;
  config->buffers_small = 256;
  config->policy_service = Loopback(ports[2]);
  UpstreamConfig upstream;
  upstream.name = "backend";
  upstream.addresses.push_back(Loopback(backend_port));
  config->upstreams.push_back(upstream);
  RouteConfig ingress;
  ingress.name = "mx";
  ingress.handshake_timeout = config->handshake_timeout;
  ingress.command_timeout = config->command_timeout;
  ingress.data_timeout = config->data_timeout;
  ingress.listeners.push_back({.endpoint = Loopback(ports[0]), .implicit_tls = false});
  ingress.listeners.push_back({.endpoint = Loopback(ports[1]), .implicit_tls = true});
  const TlsCertificatePem certificate = test::Certificate("ecdsa");
  ingress.certificates.push_back({.cert = certificate.cert_path, .key = certificate.key_path});
  config->routes.push_back(ingress);
  UpstreamConfig partner;
  partner.name = "partner";
  partner.identity = BackendIdentity::kNone;
  partner.is_partner = true;
  partner.addresses.push_back(Loopback(backend_port));
  config->upstreams.push_back(partner);
  RouteConfig egress = ingress;
  egress.name = "partner";
  egress.upstream = 1;
  egress.egress.emplace();
  egress.policy.tls = TlsPolicy::kNone;
  egress.certificates.clear();
  egress.listeners = {{.endpoint = UnixPath(), .implicit_tls = false}};
  config->routes.push_back(egress);
  return config;
}

// By the unix socket, where no reload may refuse anybody.
void GreetingAndQuit() {
  const Endpoint to = UnixPath();
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(connect(fd, &to.address.any, to.length), 0);
  std::string received;
  std::array<char, 512> octets;
  for (;;) {
    pollfd polled{.fd = fd, .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&polled, 1, kPatienceMs), 1);
    const ssize_t count = recv(fd, octets.data(), octets.size(), 0);
    if (count <= 0) break;
    const bool first = received.empty();
    received.append(octets.data(), static_cast<std::size_t>(count));
    if (first) {
      ASSERT_EQ(send(fd, "QUIT\r\n", 6, MSG_NOSIGNAL), 6);
    }
  }
  close(fd);
  EXPECT_TRUE(received.starts_with("220 mx.example.test ")) << received;
  EXPECT_NE(received.find("\r\n221 "), std::string::npos) << received;
}

TEST(ShardsTest, ThreeShardsServeReloadAndDrainTogether) {
  // As main does it: what the server waits for may reach no other thread.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGHUP, SIGUSR2, ShardThread::kEndedSignal}) {
    sigaddset(&signals, signal);
  }
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &signals, nullptr), 0);

  Backend backend;
  std::shared_ptr<Config> config;
  std::atomic<int> loads = 0;
  const ConfigLoader load = [&config, &loads]() -> absl::StatusOr<std::shared_ptr<const Config>> {
    auto next = std::make_shared<Config>(*config);
    next->routes.front().command_timeout -= ++loads * kNsPerSecond;
    return next;
  };
  std::array<std::uint16_t, 3> ports{};
  absl::StatusOr<std::unique_ptr<Server>> server = absl::UnknownError("not tried");
  // Somebody else may have taken one of the ports meanwhile.
  for (int attempt = 0; attempt < 5 && !server.ok(); ++attempt) {
    ports = FreePorts<3>();
    config = MakeConfig(ports, backend.port());
    server = Server::Create(config, load);
  }
  ASSERT_TRUE(server.ok()) << server.status();
  absl::Status ended;
  std::thread main([&server, &ended] { ended = (*server)->Run(); });

  std::atomic<int> sessions = 0;
  std::vector<std::thread> clients;
  for (int thread = 0; thread < kClientThreads; ++thread) {
    clients.emplace_back([&, thread] {
      const std::unique_ptr<TlsClientContext> context = test::ClientContext();
      const auto tls = static_cast<ClientTls>(thread % 3);
      for (int i = 0; i < kSessionsOfThread && !testing::Test::HasFailure(); ++i) {
        Client(context.get(), tls, tls == ClientTls::kImplicit ? ports[1] : ports[0]).Run(ports[2]);
        ++sessions;
      }
    });
  }
  std::atomic<bool> over = false;
  std::thread local([&over] {
    while (!over.load() && !testing::Test::HasFailure()) GreetingAndQuit();
  });
  for (int reload = 0; reload < kReloads; ++reload) {
    // In the midst of them: after so many sessions, not after so much time.
    const int due = (reload + 1) * kClientThreads * kSessionsOfThread / (kReloads + 1);
    while (sessions.load() < due && !HasFailure()) std::this_thread::yield();
    ASSERT_EQ(kill(getpid(), SIGHUP), 0);
    ASSERT_EQ(kill(getpid(), SIGUSR2), 0);
  }
  for (std::thread& client : clients) client.join();
  over = true;
  local.join();
  ASSERT_EQ(kill(getpid(), SIGTERM), 0);
  main.join();

  EXPECT_TRUE(ended.ok()) << ended;
  EXPECT_EQ(sessions.load(), kClientThreads * kSessionsOfThread);
  EXPECT_GE(loads.load(), 1);  // signals of one kind that wait are one
  server->reset();
  EXPECT_NE(access(UnixPath().address.un.sun_path, F_OK), 0);
  EXPECT_EQ(backend.Stop(), static_cast<std::uint64_t>(kClientThreads * kSessionsOfThread));
}

}  // namespace
}  // namespace ringpost
