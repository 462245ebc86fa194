// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a session does with an SmtpRelay, in memory: two strings stand for the queues, and every
// promise of the relay's contract is checked at each step. Tests own it; it never does I/O.
#ifndef RINGPOST_TESTS_SMTP_RELAY_HARNESS_H_
#define RINGPOST_TESTS_SMTP_RELAY_HARNESS_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "ringpost/smtp/smtp_relay.h"

namespace ringpost {

// Refuses every sender at a domain that begins with "refused", and ends the session of one at
// "moved".
class HarnessPolicy final : public MailPolicy {
 public:
  [[nodiscard]] std::string_view Judge(std::string_view argument) override {
    ++asked_;
    if (argument.find("@moved") != std::string_view::npos) return kEndsSession;
    reply_ = argument.find("@refused") == std::string_view::npos
                 ? ""
                 : "550 5.7.0 refused, as number " + std::to_string(asked_) + "\r\n";
    return reply_;
  }
  void RefusedInClear(std::string_view argument) override { in_clear_ += argument; }
  [[nodiscard]] const std::string& in_clear() const { return in_clear_; }

 private:
  std::string in_clear_;
  int asked_ = 0;
  std::string reply_;
};

class RelayHarness {
 public:
  static constexpr std::size_t kContiguousMax = 16 * 1024;
  static constexpr const char* kServer = "partner";

  explicit RelayHarness(const RelayOptions& options = DefaultOptions())
      : options_(options), relay_(std::make_unique<SmtpRelay>(&options_, &facts_, &policy_)) {
    if (options_.greets) Pump();
  }

  static RelayOptions DefaultOptions() {
    RelayOptions options;
    options.hostname = "mx.test";
    return options;
  }

  // Clients may authenticate in clear.
  static RelayOptions AuthInClear() {
    RelayOptions options = DefaultOptions();
    options.auth = AuthPolicy::kAsBackend;
    return options;
  }

  // How many octets are contiguous before the relay asks for more: blocks end anywhere.
  void set_window(std::size_t window) { window_ = window; }

  void FromClient(std::string_view text) { Send(&front_, text); }
  void FromBackend(std::string_view text) { Send(&back_, text); }
  // Each octet arrives alone.
  void FromClientSplit(std::string_view text) {
    for (const char c : text) FromClient(std::string_view(&c, 1));
  }
  void FromBackendSplit(std::string_view text) {
    for (const char c : text) FromBackend(std::string_view(&c, 1));
  }
  void ClientEof() {
    front_.eof = true;
    Pump();
  }
  void BackendEof() {
    back_.eof = true;
    Pump();
  }

  void TlsEstablished(BackendAfterTls backend) {
    ASSERT_TRUE(handshake_ || !tls_);
    handshake_ = false;
    tls_ = true;
    if (backend == BackendAfterTls::kReconnected) {
      back_.input.clear();
      back_.eof = false;
    }
    relay_->TlsEstablished(backend);
    Pump();
  }

  // The hello that a backend is to be opened with; empty: none since the last call.
  [[nodiscard]] std::string TakeHello() { return std::exchange(hello_, {}); }
  void BackendReady(bool in_tls, const std::string& server = kServer) {
    relay_->BackendReady(in_tls, server);
    Pump();
  }
  void BackendUnusable(std::string_view reply, const std::string* keywords = nullptr) {
    relay_->BackendUnusable(std::string(reply), keywords);
    Pump();
  }

  // To the usual point: greeted, EHLO answered with `keywords` ("SIZE 1000" ...).
  void Hello(std::string_view keywords_reply =
                 "250-back\r\n250-PIPELINING\r\n250-CHUNKING\r\n"
                 "250-AUTH PLAIN\r\n250 SMTPUTF8\r\n") {
    if (!greeted_) FromBackend("220 back\r\n");
    greeted_ = true;
    FromClient("EHLO client\r\n");
    FromBackend(keywords_reply);
    static_cast<void>(TakeToClient());
    static_cast<void>(TakeToBackend());
  }
  // From there into a transaction with one recipient.
  void Envelope() {
    FromClient("MAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\n");
    FromBackend("250 ok\r\n250 ok\r\n");
    static_cast<void>(TakeToClient());
    static_cast<void>(TakeToBackend());
  }
  // And into content.
  void StartContent() {
    Envelope();
    FromClient("DATA\r\n");
    FromBackend("354 go\r\n");
    static_cast<void>(TakeToClient());
    static_cast<void>(TakeToBackend());
  }

  [[nodiscard]] std::string TakeToClient() { return std::exchange(front_.output, {}); }
  [[nodiscard]] std::string TakeToBackend() { return std::exchange(back_.output, {}); }
  [[nodiscard]] const std::string& to_client() const { return front_.output; }
  [[nodiscard]] const std::string& to_backend() const { return back_.output; }
  [[nodiscard]] const std::string& client_input() const { return front_.input; }
  [[nodiscard]] const std::string& backend_input() const { return back_.input; }
  [[nodiscard]] bool closed() const { return reason_ != CloseReason::kNone; }
  [[nodiscard]] CloseReason reason() const { return reason_; }
  [[nodiscard]] std::string_view reason_name() const { return CloseReasonName(reason_); }
  [[nodiscard]] bool handshake() const { return handshake_; }
  [[nodiscard]] std::size_t steps() const { return steps_; }
  [[nodiscard]] SmtpRelay& relay() { return *relay_; }
  [[nodiscard]] const HarnessPolicy& policy() const { return policy_; }

 private:
  struct Leg {
    std::string input;   // received, not consumed
    std::string output;  // what its peer gets to see
    bool eof = false;
    std::size_t contiguous = 0;
  };
  enum class Moved { kNo, kYes };

  void Send(Leg* leg, std::string_view text) {
    leg->input.append(text);
    Pump();
  }

  void Pump() {
    // Generous: no step may leave everything as it was, so this is never reached by a correct
    // relay.
    std::size_t budget = 1000 + 8 * (front_.input.size() + back_.input.size());
    for (bool moved = true; moved && !closed();) {
      moved = false;
      for (const Side side : {Side::kFront, Side::kBack}) {
        while (!closed() && Ask(side) == Moved::kYes) {
          moved = true;
          ASSERT_GT(budget--, 0U) << "the relay does not come to rest";
        }
      }
    }
  }

  Moved Ask(Side side) {
    if (closed() || (side == Side::kFront && handshake_)) return Moved::kNo;
    Leg& leg = side == Side::kFront ? front_ : back_;
    Leg& other = side == Side::kFront ? back_ : front_;
    if (leg.contiguous == 0) leg.contiguous = std::min(window_, leg.input.size());
    leg.contiguous = std::min(leg.contiguous, leg.input.size());
    const RelayInput input{.readable = std::string_view(leg.input).substr(0, leg.contiguous),
                           .total = leg.input.size(),
                           .eof = leg.eof,
                           .other_total = other.input.size()};
    const std::uint32_t progress = relay_->progress();
    const Step step = relay_->Next(side, input);
    EXPECT_LE(relay_->progress() - progress, 1U << 16);
    ++steps_;
    switch (step.kind) {
      case StepKind::kForward:
        EXPECT_GT(step.octets, 0U);
        EXPECT_LE(step.octets, input.readable.size());
        EXPECT_NE(step.to, side);
        other.output.append(leg.input, 0, step.octets);
        Consume(&leg, step.octets);
        return Moved::kYes;
      case StepKind::kDrop:
        EXPECT_GT(step.octets, 0U);
        EXPECT_LE(step.octets, input.readable.size());
        Consume(&leg, step.octets);
        return Moved::kYes;
      case StepKind::kInject:
        EXPECT_FALSE(step.text.empty());
        EXPECT_LE(step.text.size(), kContiguousMax);
        (step.to == Side::kFront ? front_ : back_).output.append(step.text);
        return Moved::kYes;
      case StepKind::kStartTls:
        EXPECT_EQ(side, Side::kFront);
        EXPECT_EQ(step.octets, leg.input.size());
        Consume(&leg, step.octets);
        front_.output.append(step.text);
        handshake_ = true;
        return Moved::kYes;
      case StepKind::kHello:
        EXPECT_EQ(side, Side::kFront);
        EXPECT_TRUE(relay_->opens_backend());
        hello_ = step.text;
        Consume(&leg, step.octets);
        return Moved::kYes;
      case StepKind::kNeedInput:
        if (leg.contiguous < leg.input.size() && leg.contiguous < kContiguousMax) {
          leg.contiguous = std::min(kContiguousMax, leg.input.size());
          return Moved::kYes;
        }
        EXPECT_FALSE(leg.eof) << "nothing more will come";
        return Moved::kNo;
      case StepKind::kBlocked:
        return Moved::kNo;
      case StepKind::kClose:
        EXPECT_NE(step.reason, CloseReason::kNone);
        reason_ = step.reason;
        front_.output.append(step.text);
        return Moved::kYes;
    }
    return Moved::kNo;
  }

  void Consume(Leg* leg, std::size_t octets) {
    leg->input.erase(0, octets);
    leg->contiguous = leg->contiguous > octets ? leg->contiguous - octets : 0;
  }

  RelayOptions options_;
  XclientFacts facts_{.address = "192.0.2.7",
                      .port = 4242,
                      .destination_address = "198.51.100.1",
                      .destination_port = 25};
  HarnessPolicy policy_;
  std::unique_ptr<SmtpRelay> relay_;
  Leg front_;
  Leg back_;
  std::string hello_;
  std::size_t window_ = kContiguousMax;
  std::size_t steps_ = 0;
  CloseReason reason_ = CloseReason::kNone;
  bool greeted_ = false;
  bool handshake_ = false;
  bool tls_ = false;
};

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SMTP_RELAY_HARNESS_H_
