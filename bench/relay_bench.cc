// SPDX-License-Identifier: GPL-3.0-or-later
//
// The SMTP relay alone, without shard, TLS and kernel: what it takes to carry one command and its
// reply, a message's commands sent as a group, and content. Both ends are views of constant text;
// nothing is copied, as in a session, where what is forwarded moves from queue to queue.
#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ringpost/smtp/smtp_relay.h"

namespace ringpost {
namespace {

void Need(bool good, const char* what) {
  if (!good) {
    std::fprintf(stderr, "relay_bench: %s\n", what);
    std::exit(1);
  }
}

// A relay that was greeted, and what a session does with it.
class Driver {
 public:
  Driver() : relay_(&options_, nullptr) {
    FromBackend("220 back\r\n");
    Exchange("EHLO client\r\n", kHello);
  }

  static constexpr std::string_view kHello =
      "250-back\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-ETRN\r\n250-ENHANCEDSTATUSCODES\r\n"
      "250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n";

  void FromClient(std::string_view text) { Carry(text, kFront); }
  void FromBackend(std::string_view text) { Carry(text, kBack); }
  void Exchange(std::string_view commands, std::string_view replies) {
    FromClient(commands);
    FromBackend(replies);
  }
  // A transaction with one recipient.
  void Begin() {
    Exchange("MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\n",
             "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n");
  }

 private:
  static constexpr std::size_t kFront = 0;
  static constexpr std::size_t kBack = 1;

  // `text` arrives at one side; until both have come to rest.
  void Carry(std::string_view text, std::size_t from) {
    inputs_[from] = text;
    for (bool moved = true; moved;) {
      moved = false;
      while (Ask(Side::kFront, inputs_[kFront])) {
        moved = true;
      }
      while (Ask(Side::kBack, inputs_[kBack])) {
        moved = true;
      }
    }
    Need(inputs_[kFront].empty() && inputs_[kBack].empty(), "the relay left octets");
  }

  // Whether anything was done.
  bool Ask(Side side, std::string_view& input) {
    const Step step = relay_.Next(side, {.readable = input, .total = input.size()});
    switch (step.kind) {
      case StepKind::kForward:
      case StepKind::kDrop:
        input.remove_prefix(step.octets);
        return true;
      case StepKind::kInject:
        benchmark::DoNotOptimize(step.text.data());
        return true;
      case StepKind::kNeedInput:
      case StepKind::kBlocked:
        return false;
      case StepKind::kStartTls:
      case StepKind::kHello:
      case StepKind::kClose:
        break;
    }
    Need(false, "the relay ended the session");
    return false;
  }

  const RelayOptions options_{.hostname = "mx.example.test", .starttls_offered = false};
  SmtpRelay relay_;
  std::array<std::string_view, 2> inputs_;
};

// Set-up and tear-down, the greeting and the first EHLO.
void Open(benchmark::State& state) {
  for (auto _ : state) {
    Driver driver;
  }
}
BENCHMARK(Open);

void Ehlo(benchmark::State& state) {
  Driver driver;
  for (auto _ : state) {
    driver.Exchange("EHLO client\r\n", Driver::kHello);
  }
}
BENCHMARK(Ehlo);

void Noop(benchmark::State& state) {
  Driver driver;
  for (auto _ : state) {
    driver.Exchange("NOOP\r\n", "250 2.0.0 Ok\r\n");
  }
}
BENCHMARK(Noop);

void Rcpt(benchmark::State& state) {
  Driver driver;
  driver.Begin();
  for (auto _ : state) {
    driver.Exchange("RCPT TO:<recipient@b.example>\r\n", "250 2.1.5 Ok\r\n");
  }
}
BENCHMARK(Rcpt);

// MAIL, RCPT and DATA in one segment, their replies in another; then the shortest content, without
// which the next group cannot follow.
void Group(benchmark::State& state) {
  Driver driver;
  for (auto _ : state) {
    driver.Exchange(
        "MAIL FROM:<sender@a.example> SIZE=1000\r\nRCPT TO:<recipient@b.example>\r\nDATA\r\n",
        "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
    driver.Exchange(".\r\n", "250 2.0.0 Ok: queued\r\n");
  }
}
BENCHMARK(Group);

// Lines of 70 octets, with CRLF.
std::string Lines(std::size_t octets) {
  std::string text;
  while (text.size() < octets) {
    text += std::string(68, 'x') + "\r\n";
  }
  text.resize(octets - 2);
  while (text.back() == '\r') {
    text.back() = 'x';  // no bare CR
  }
  return text + "\r\n";
}

// Content behind DATA, in runs of a segment and of a block.
void Data(benchmark::State& state) {
  const std::string text = Lines(static_cast<std::size_t>(state.range(0)));
  Driver driver;
  driver.Begin();
  driver.Exchange("DATA\r\n", "354 End data with <CR><LF>.<CR><LF>\r\n");
  for (auto _ : state) {
    driver.FromClient(text);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(Data)->Arg(64)->Arg(1448)->Arg(16384);

// A chunk with its command and reply.
void Bdat(benchmark::State& state) {
  const std::string text = "BDAT " + std::to_string(state.range(0)) + "\r\n" +
                           Lines(static_cast<std::size_t>(state.range(0)));
  Driver driver;
  driver.Begin();
  for (auto _ : state) {
    driver.Exchange(text, "250 2.0.0 Ok\r\n");
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(Bdat)->Arg(64)->Arg(16384);

}  // namespace
}  // namespace ringpost

BENCHMARK_MAIN();
