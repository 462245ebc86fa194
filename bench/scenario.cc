// SPDX-License-Identifier: GPL-3.0-or-later
#include "scenario.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "../tests/session/sim_process.h"
#include "../tests/tls/tls_fixture.h"

namespace ringpost::bench {
namespace {

constexpr std::uint64_t kSeed = 1;
constexpr TimeNs kLimit = 60 * kNsPerSecond;
constexpr std::uint16_t kFirstPort = 20'000;

}  // namespace

// A mail server that takes everything.
class Scenario::Backend {
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

Scenario::Scenario(SimWire* meter) : keys_(TicketKeys::Random(test::kNow)), port_(kFirstPort) {
  sim_process::Restart(kSeed);
  WorldOptions options;
  options.io.seed = kSeed;
  options.ticket_keys = keys_.get();
  world_ = std::make_unique<SessionWorld>(options);
  world_->io().set_wire(meter);
  world_->OnSessionBackend(
      [this](SimPeer peer) { backends_.push_back(std::make_unique<Backend>(std::move(peer))); });
  TlsClientOptions client;
  client.versions = TlsVersions::kTls13Only;
  client.groups = {"X25519"};
  client.resumption = TlsResumption::kOn;
  context_ = test::ClientContext(client);
}

Scenario::~Scenario() {
  world_->io().set_wire(nullptr);
  world_->Finish();
}

void Scenario::Begin(Tls tls) {
  port_ = port_ == 60'000 ? kFirstPort : static_cast<std::uint16_t>(port_ + 1);
  client_ = std::make_unique<ClientEnd>(world_->Connect(SimAddress("192.0.2.7", port_)));
  Expect("220 ");
  Ask("EHLO client.example.test\r\n");
  if (tls == Tls::kNone) {
    return;
  }
  Ask("STARTTLS\r\n");
  client_->StartTls(context_.get(), tls == Tls::kResumed ? session_.get() : nullptr);
  EXPECT_TRUE(world_->Until([&] { return client_->tls_ready(); }, kLimit));
  Ask("EHLO client.example.test\r\n");
  EXPECT_EQ(client_->tls()->facts().resumed, tls == Tls::kResumed);
}

void Scenario::End() {
  if (session_ == nullptr && client_->tls() != nullptr) {
    session_ = client_->tls()->TakeSession();
  }
  Ask("QUIT\r\n");
  client_->Close();
  EXPECT_TRUE(world_->Until([&] { return world_->shard().session_count() == 0; }, kLimit));
  client_.reset();
  backends_.clear();
}

void Scenario::Message(std::string_view text) {
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

void Scenario::Ask(std::string_view command) {
  client_->Say(command);
  Expect("");
}

// Waits for the last line of a reply that begins with `code`, and forgets what was received.
void Scenario::Expect(std::string_view code) {
  EXPECT_TRUE(world_->Until(
      [&] {
        const std::string_view text = client_->received();
        const std::size_t end = text.size() > 2 ? text.rfind('\n', text.size() - 2) : text.npos;
        const std::string_view line = text.substr(end == text.npos ? 0 : end + 1);
        return line.size() > 4 && line[3] == ' ' && line.ends_with("\r\n") &&
               line.starts_with(code);
      },
      kLimit))
      << client_->received();
  client_->received().clear();
}

std::string MessageText(std::size_t octets) {
  std::string text = "Subject: scenario\r\n\r\n";
  while (text.size() < octets) {
    text += "The quick brown fox jumps over the lazy dog, and comes back for the next line.\r\n";
  }
  return text;
}

bool FailedExpectations() {
  return testing::UnitTest::GetInstance()->ad_hoc_test_result().Failed();
}

}  // namespace ringpost::bench
