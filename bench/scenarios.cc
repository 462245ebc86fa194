// SPDX-License-Identifier: GPL-3.0-or-later
//
// Fixed pieces of work for counting instructions, run under callgrind by bench/instructions. It
// collects only while ringpost is at work: not the clients, the backend or the kernel, all of which
// are the test's.
//
//   scenarios handshake|resumed|messages|bulk
#include <gtest/gtest.h>
#include <valgrind/callgrind.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "scenario.h"

namespace ringpost::bench {
namespace {

using Tls = Scenario::Tls;

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

int Run(std::string_view name) {
  Meter meter;
  Scenario scenario(&meter);
  scenario.Begin(Tls::kFull);  // what happens only once is not what is counted
  scenario.Message(MessageText(kMessageOctets));
  scenario.End();
  if (name == "handshake" || name == "resumed") {
    meter.Count(true);
    for (int i = 0; i < kSessions; ++i) {
      scenario.Begin(name == "resumed" ? Tls::kResumed : Tls::kFull);
      scenario.End();
    }
    meter.Count(false);
  } else if (name == "messages" || name == "bulk") {
    const std::string text = MessageText(name == "bulk" ? kBulkOctets : kMessageOctets);
    scenario.Begin(Tls::kFull);
    meter.Count(true);
    for (int i = 0; i < (name == "bulk" ? 1 : kMessages); ++i) {
      scenario.Message(text);
    }
    meter.Count(false);
    scenario.End();
  } else {
    std::fprintf(stderr, "scenarios: there is handshake, resumed, messages and bulk\n");
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace ringpost::bench

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const int result = ringpost::bench::Run(argc == 2 ? argv[1] : "");
  return ringpost::bench::FailedExpectations() ? 2 : result;
}
