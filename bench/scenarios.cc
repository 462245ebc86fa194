// SPDX-License-Identifier: GPL-3.0-or-later
//
// Fixed pieces of work for counting instructions: one TLS session after the other through the real
// shard, relay and TLS engine on the simulated kernel. Run under callgrind (bench/instructions) it
// collects only while ringpost is at work: not the clients, the backend or the kernel, all of which
// are the test's.
//
//   scenarios handshake|resumed|messages|bulk
//
// Entropy is the seed's, so that a run repeats; the certificate is made anew, which moves a count
// by a few hundred instructions at most.
#include <gtest/gtest.h>
#include <valgrind/callgrind.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "../tests/session/session_world.h"
#include "../tests/session/sim_process.h"
#include "../tests/tls/tls_fixture.h"
#include "ringpost/tls/ticket_keys.h"

namespace ringpost {
namespace {

constexpr std::uint64_t kSeed = 1;
constexpr TimeNs kLimit = 60 * kNsPerSecond;
constexpr int kSessions = 20;
constexpr int kMessages = 20;
constexpr std::size_t kMessageOctets = 1'000;
constexpr std::size_t kBulkOctets = 8'000'000;

// Collects while the shard is at work and counting is on.
class Meter final : public SimWire {
 public:
  void Count(bool on) { counting_ = on; }
  void Opened(int, From, const SocketAddress&) override {}
  void Sent(int, std::string_view) override {}
  void Received(int, std::string_view) override {}
  void InShard(bool inside) override {
    if ((inside && counting_) != collecting_) {
      collecting_ = !collecting_;
      CALLGRIND_TOGGLE_COLLECT;
    }
  }

 private:
  bool counting_ = false;
  bool collecting_ = false;
};

// A mail server that takes everything.
class Backend {
 public:
  explicit Backend(SimPeer peer) : peer_(std::move(peer)) {
    Reply("220 sink.example.test ESMTP\r\n");
    peer_.OnChange([this] { Move(); });
  }

 private:
  void Reply(std::string_view text) { EXPECT_EQ(peer_.Write(text), text.size()); }

  void Move() {
    input_ += peer_.Read();
    while (content_ ? EndContent() : TakeCommand()) {
    }
    if (peer_.ended()) {
      peer_.Close();
    }
  }

  bool EndContent() {
    constexpr std::string_view kEnd = "\r\n.\r\n";
    const std::size_t end = input_.find(kEnd);
    if (end == std::string::npos) {
      input_.erase(0, input_.size() - std::min(input_.size(), kEnd.size() - 1));
      return false;
    }
    input_.erase(0, end + kEnd.size());
    content_ = false;
    Reply("250 2.0.0 Ok: queued\r\n");
    return true;
  }

  bool TakeCommand() {
    const std::size_t end = input_.find("\r\n");
    if (end == std::string::npos) {
      return false;
    }
    const std::string command = input_.substr(0, end);
    input_.erase(0, end + 2);
    content_ = command == "DATA";
    if (command.starts_with("EHLO")) {
      Reply("250-sink.example.test\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n250 8BITMIME\r\n");
    } else if (content_) {
      Reply("354 End data with <CR><LF>.<CR><LF>\r\n");
    } else if (command == "QUIT") {
      Reply("221 2.0.0 Bye\r\n");
      peer_.CloseSend();
    } else {
      Reply("250 2.1.0 Ok\r\n");
    }
    return true;
  }

  SimPeer peer_;
  std::string input_;
  bool content_ = false;
};

class Scenario {
 public:
  Scenario() : keys_(TicketKeys::Random(test::kNow)) {
    sim_process::Restart(kSeed);
    WorldOptions options;
    options.io.seed = kSeed;
    options.ticket_keys = keys_.get();
    world_ = std::make_unique<SessionWorld>(options);
    world_->io().set_wire(&meter_);
    world_->io().OnBackendAccept(
        [this](SimPeer peer) { backends_.push_back(std::make_unique<Backend>(std::move(peer))); });
    TlsClientOptions client;
    client.versions = TlsVersions::kTls13Only;
    client.groups = {"X25519"};
    client.resumption = TlsResumption::kOn;
    context_ = test::ClientContext(client);
  }

  ~Scenario() {
    world_->Finish();
    world_->io().set_wire(nullptr);
  }

  void Count(bool on) { meter_.Count(on); }

  void Begin(bool resume) {
    client_ = std::make_unique<ClientEnd>(world_->Connect(SimAddress("192.0.2.7", ++port_)));
    Expect("220 ");
    Ask("EHLO client.example.test\r\n");
    Ask("STARTTLS\r\n");
    client_->StartTls(context_.get(), resume ? session_.get() : nullptr);
    EXPECT_TRUE(world_->Until([&] { return client_->tls_ready(); }, kLimit));
    Ask("EHLO client.example.test\r\n");
    EXPECT_EQ(client_->tls()->facts().resumed, resume);
  }

  void End() {
    if (session_ == nullptr) {
      session_ = client_->tls()->TakeSession();
    }
    Ask("QUIT\r\n");
    client_->Close();
    EXPECT_TRUE(world_->Until([&] { return world_->shard().session_count() == 0; }, kLimit));
    client_.reset();
    backends_.clear();
  }

  void Message(std::string_view text) {
    client_->Say("MAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n");
    Expect("354 ");
    while (!text.empty()) {
      constexpr std::size_t kPart = 48 * 1024;
      client_->Say(text.substr(0, kPart));
      text.remove_prefix(std::min(text.size(), kPart));
      EXPECT_TRUE(world_->Until([&] { return client_->all_sent(); }, kLimit));
    }
    Ask(".\r\n");
  }

 private:
  void Ask(std::string_view command) {
    client_->Say(command);
    Expect("");
  }

  // Waits for the last line of a reply that begins with `code`, and forgets what was received.
  void Expect(std::string_view code) {
    EXPECT_TRUE(world_->Until(
        [&] {
          const std::string& text = client_->received();
          const std::size_t end = text.size() > 2 ? text.rfind('\n', text.size() - 2) : 0;
          const std::string_view line =
              std::string_view(text).substr(end == std::string::npos ? 0 : end + (end > 0));
          return line.size() > 4 && line[3] == ' ' && line.ends_with("\r\n") &&
                 line.starts_with(code);
        },
        kLimit))
        << client_->received();
    client_->received().clear();
  }

  Meter meter_;
  std::unique_ptr<TicketKeys> keys_;
  std::unique_ptr<SessionWorld> world_;
  std::unique_ptr<TlsClientContext> context_;
  std::unique_ptr<TlsSession> session_;
  std::unique_ptr<ClientEnd> client_;
  std::vector<std::unique_ptr<Backend>> backends_;
  std::uint16_t port_ = 40'000;
};

std::string Text(std::size_t octets) {
  std::string text = "Subject: scenario\r\n\r\n";
  while (text.size() < octets) {
    text += "The quick brown fox jumps over the lazy dog, and comes back for the next line.\r\n";
  }
  return text;
}

int Run(std::string_view name) {
  Scenario scenario;
  scenario.Begin(false);  // what happens only once is not what is counted
  scenario.Message(Text(kMessageOctets));
  scenario.End();
  if (name == "handshake" || name == "resumed") {
    scenario.Count(true);
    for (int i = 0; i < kSessions; ++i) {
      scenario.Begin(name == "resumed");
      scenario.End();
    }
  } else if (name == "messages" || name == "bulk") {
    const std::string text = Text(name == "bulk" ? kBulkOctets : kMessageOctets);
    scenario.Begin(false);
    scenario.Count(true);
    for (int i = 0; i < (name == "bulk" ? 1 : kMessages); ++i) {
      scenario.Message(text);
    }
    scenario.Count(false);
    scenario.End();
  } else {
    std::fprintf(stderr, "scenarios: there is handshake, resumed, messages and bulk\n");
    return 1;
  }
  scenario.Count(false);
  return 0;
}

}  // namespace
}  // namespace ringpost

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const int result = ringpost::Run(argc == 2 ? argv[1] : "");
  // The world says with EXPECT what is wrong with it.
  return testing::UnitTest::GetInstance()->ad_hoc_test_result().Failed() ? 2 : result;
}
