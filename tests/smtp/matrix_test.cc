// SPDX-License-Identifier: GPL-3.0-or-later
//
// Every state against every event. A cell says what the event alone brings about:
//
//   fwd    goes on as it is                     wait   nothing, the octets stay where they are
//   taken  consumed, nothing said yet           tls    a handshake is due
//   NNN    answered by us                       own    something else goes on to the backend
//
// and where the session ends, after the octets went on ("+") or at once: eof client_eof, trunc
// client_truncated, bad backend_protocol, ident backend_identity, reset backend_reset, beof
// backend_eof, 421 backend_421, quit.
#include <gtest/gtest.h>

#include <array>
#include <sstream>
#include <string>
#include <string_view>

#include "relay_harness.h"

namespace ringpost {
namespace {

constexpr std::array<std::string_view, 19> kStates = {
    "greeting",                       // the backend has said nothing yet
    "proof",    "first",              // PROXY v1: our NOOP not answered; answered, and EHLO not yet
    "ready",    "rset",     "noop",   // EHLO answered; and RSET or NOOP not yet
    "single",                         // EHLO answered without PIPELINING, and RSET not yet
    "mail",                           // MAIL and RCPT accepted
    "data",     "content",  "final",  // DATA not answered; 354; the dot not answered
    "auth",     "response",           // AUTH not answered; 334
    "chunk",    "refused",            // two octets of four
    "starttls", "tls",      "hello",  // handshake; over; EHLO answered inside
    "quit",                           // QUIT not answered
};

struct Event {
  std::string_view name;
  Side from;
  std::string_view text;  // empty: EOF
};

constexpr std::array kEvents = {
    Event{"EHLO", Side::kFront, "EHLO a\r\n"},
    Event{"MAIL", Side::kFront, "MAIL FROM:<a@a>\r\n"},
    Event{"RCPT", Side::kFront, "RCPT TO:<b@b>\r\n"},
    Event{"DATA", Side::kFront, "DATA\r\n"},
    Event{"BDAT", Side::kFront, "BDAT 0 LAST\r\n"},
    Event{"RSET", Side::kFront, "RSET\r\n"},
    Event{"NOOP", Side::kFront, "NOOP\r\n"},
    Event{"QUIT", Side::kFront, "QUIT\r\n"},
    Event{"VRFY", Side::kFront, "VRFY a\r\n"},
    Event{"AUTH", Side::kFront, "AUTH PLAIN\r\n"},
    Event{"STLS", Side::kFront, "STARTTLS\r\n"},
    Event{"XCLI", Side::kFront, "XCLIENT ADDR=::1\r\n"},
    Event{"dot", Side::kFront, ".\r\n"},
    Event{"eof", Side::kFront, ""},
    Event{"220", Side::kBack, "220 a\r\n"},
    Event{"221", Side::kBack, "221 a\r\n"},
    Event{"235", Side::kBack, "235 a\r\n"},
    Event{"250", Side::kBack, "250 a\r\n"},
    Event{"334", Side::kBack, "334 a\r\n"},
    Event{"354", Side::kBack, "354 a\r\n"},
    Event{"421", Side::kBack, "421 a\r\n"},
    Event{"451", Side::kBack, "451 a\r\n"},
    Event{"502", Side::kBack, "502 a\r\n"},
    Event{"550", Side::kBack, "550 a\r\n"},
    Event{"2x2", Side::kBack, "250 a\r\n250 b\r\n"},
    Event{"bad", Side::kBack, "250 a\nb\r\n"},
    Event{"beof", Side::kBack, ""},
};

void Enter(std::string_view state, RelayHarness* harness) {
  if (state == "greeting") return;
  if (state == "proof" || state == "first") {
    harness->FromBackend("220 back\r\n");
    EXPECT_EQ(harness->TakeToBackend(), "NOOP\r\n");
    EXPECT_EQ(harness->TakeToClient(), "");
    if (state == "proof") return;
    harness->FromBackend("250 ok\r\n");
    EXPECT_EQ(harness->TakeToClient(), "220 back\r\n");
    harness->FromClient("EHLO a\r\n");
    static_cast<void>(harness->TakeToBackend());
    return;
  }
  state == "single" ? harness->Hello("250 back\r\n") : harness->Hello();
  if (state == "ready") return;
  if (state == "rset" || state == "single") {
    harness->FromClient("RSET\r\n");
  } else if (state == "noop") {
    harness->FromClient("NOOP\r\n");
  } else if (state == "mail") {
    harness->Envelope();
  } else if (state == "data") {
    harness->Envelope();
    harness->FromClient("DATA\r\n");
  } else if (state == "content") {
    harness->StartContent();
  } else if (state == "final") {
    harness->StartContent();
    harness->FromClient(".\r\n");
  } else if (state == "auth" || state == "response") {
    harness->FromClient("AUTH PLAIN\r\n");
    if (state == "response") harness->FromBackend("334 \r\n");
  } else if (state == "chunk") {
    harness->Envelope();
    harness->FromClient("BDAT 40\r\nxx");
  } else if (state == "refused") {
    harness->FromClient("BDAT 40\r\nxx");
  } else if (state == "starttls" || state == "tls" || state == "hello") {
    harness->FromClient("STARTTLS\r\n");
    ASSERT_TRUE(harness->handshake());
    if (state != "starttls") harness->TlsEstablished(BackendAfterTls::kSame);
    if (state == "hello") harness->Hello();
  } else if (state == "quit") {
    harness->FromClient("QUIT\r\n");
  } else {
    FAIL() << "no such state";
  }
  static_cast<void>(harness->TakeToClient());
  static_cast<void>(harness->TakeToBackend());
}

std::string Word(CloseReason reason) {
  switch (reason) {
    case CloseReason::kClientEof:
      return "eof";
    case CloseReason::kClientTruncated:
      return "trunc";
    case CloseReason::kBackendProtocol:
      return "bad";
    case CloseReason::kBackendIdentity:
      return "ident";
    case CloseReason::kBackendReset:
      return "reset";
    case CloseReason::kBackendEof:
      return "beof";
    case CloseReason::kBackend421:
      return "421";
    default:
      return std::string(CloseReasonName(reason));
  }
}

std::string Outcome(std::string_view state, const Event& event, AuthPolicy auth) {
  RelayOptions options = RelayHarness::DefaultOptions();
  options.auth = auth;
  options.proxy_header = options.prove_with_noop = state == "proof" || state == "first";
  RelayHarness harness(options);
  Enter(state, &harness);
  const bool front = event.from == Side::kFront;
  if (event.text.empty()) {
    front ? harness.ClientEof() : harness.BackendEof();
  } else {
    front ? harness.FromClient(event.text) : harness.FromBackend(event.text);
  }
  // What goes to the other side says more than how it ended; a reply of ours with a close, less.
  const std::string passed = front ? harness.TakeToBackend() : harness.TakeToClient();
  const std::string back = front ? harness.TakeToClient() : harness.TakeToBackend();
  if (harness.closed()) {
    const bool relayed = !front && !event.text.empty() && passed == event.text;
    return (relayed ? "+" : "") + Word(harness.reason());
  }
  if (harness.handshake() && front && state != "starttls") return "tls";
  if (!passed.empty() && passed == event.text) return "fwd";
  if (!front && !passed.empty()) return passed.substr(0, 3);
  if (front && !passed.empty()) return "own";
  if (!back.empty()) return back.substr(0, 3);
  const std::string& left = front ? harness.client_input() : harness.backend_input();
  return left.empty() && !event.text.empty() ? "taken" : "wait";
}

struct Row {
  std::string_view state;
  std::string_view cells;
};

// clang-format off
constexpr std::array kMatrix = {
    //              EHLO  MAIL  RCPT  DATA  BDAT  RSET  NOOP  QUIT  VRFY  AUTH  STLS  XCLI  dot   eof   220   221   235   250   334   354   421   451   502   550   2x2   bad   beof
    Row{"greeting", "wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  eof   fwd   bad   bad   bad   bad   bad   +421  fwd   fwd   fwd   ident bad   reset"},
    Row{"proof",    "wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  eof   ident ident ident 220   ident ident ident ident ident ident ident bad   ident"},
    Row{"first",    "wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  bad   bad   bad   250   bad   bad   +421  fwd   ident fwd   ident bad   reset"},
    Row{"ready",    "fwd   fwd   503   503   503   fwd   fwd   fwd   fwd   fwd   tls   502   500   eof   ident ident ident ident ident ident +421  bad   ident ident ident bad   beof"},
    Row{"rset",     "fwd   fwd   taken taken taken fwd   fwd   fwd   fwd   fwd   wait  taken taken wait  bad   bad   bad   fwd   bad   bad   +421  fwd   fwd   fwd   ident bad   reset"},
    Row{"noop",     "wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  bad   bad   bad   fwd   bad   bad   +421  fwd   fwd   fwd   ident bad   reset"},
    Row{"single",   "wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  bad   bad   bad   fwd   bad   bad   +421  fwd   fwd   fwd   ident bad   reset"},
    Row{"mail",     "fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   503   503   502   500   eof   ident ident ident ident ident ident +421  bad   ident ident ident bad   beof"},
    Row{"data",     "wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  bad   bad   bad   bad   bad   fwd   +421  fwd   fwd   fwd   bad   bad   reset"},
    Row{"content",  "fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   trunc bad   bad   bad   bad   bad   bad   +421  bad   bad   bad   bad   bad   reset"},
    Row{"final",    "fwd   fwd   taken taken taken fwd   fwd   fwd   fwd   fwd   wait  taken taken wait  bad   bad   bad   fwd   bad   bad   +421  fwd   fwd   fwd   ident bad   reset"},
    Row{"auth",     "wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  bad   bad   fwd   fwd   fwd   bad   +421  fwd   fwd   fwd   ident bad   reset"},
    Row{"response", "fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   eof   ident ident ident ident ident ident +421  bad   ident ident ident bad   beof"},
    Row{"chunk",    "fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   fwd   trunc bad   bad   bad   wait  bad   bad   +421  wait  wait  wait  wait  bad   reset"},
    Row{"refused",  "taken taken taken taken taken taken taken taken taken taken taken taken taken trunc ident ident ident ident ident ident +421  bad   ident ident ident bad   beof"},
    Row{"starttls", "wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait"},
    Row{"tls",      "fwd   503   503   503   503   fwd   fwd   fwd   503   503   503   502   500   eof   ident ident ident ident ident ident +421  bad   ident ident ident bad   beof"},
    Row{"hello",    "fwd   fwd   503   503   503   fwd   fwd   fwd   fwd   fwd   503   502   500   eof   ident ident ident ident ident ident +421  bad   ident ident ident bad   beof"},
    Row{"quit",     "wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  wait  bad   +quit bad   +quit bad   bad   +421  fwd   fwd   fwd   quit  bad   quit"},
};
// clang-format on

TEST(MatrixTest, EveryStateAndEvent) {
  ASSERT_EQ(kMatrix.size(), kStates.size());
  for (std::size_t i = 0; i < kStates.size(); ++i) {
    ASSERT_EQ(kMatrix[i].state, kStates[i]);
    std::istringstream cells{std::string(kMatrix[i].cells)};
    for (const Event& event : kEvents) {
      std::string expected;
      ASSERT_TRUE(cells >> expected) << kStates[i] << ' ' << event.name;
      EXPECT_EQ(Outcome(kStates[i], event, AuthPolicy::kAsBackend), expected)
          << kStates[i] << ' ' << event.name;
    }
  }
}

// Where AUTH waits for TLS, nothing else is different, and two states cannot be reached.
TEST(MatrixTest, AuthOnlyThroughTls) {
  for (const Row& row : kMatrix) {
    if (row.state == "auth" || row.state == "response") continue;
    std::istringstream cells{std::string(row.cells)};
    for (const Event& event : kEvents) {
      std::string expected;
      cells >> expected;
      if (event.name == "AUTH") {
        if (row.state == "ready" || row.state == "mail") expected = "530";
        if (row.state == "rset" || row.state == "final") expected = "taken";
      }
      EXPECT_EQ(Outcome(row.state, event, AuthPolicy::kTls), expected)
          << row.state << ' ' << event.name;
    }
  }
}

}  // namespace
}  // namespace ringpost
