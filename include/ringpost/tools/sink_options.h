// SPDX-License-Identifier: GPL-3.0-or-later
//
// How a sink behaves: the same for all of its sessions, immutable while they run.
#ifndef RINGPOST_TOOLS_SINK_OPTIONS_H_
#define RINGPOST_TOOLS_SINK_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ringpost/tools/content_reader.h"

namespace ringpost {

// How the proxy in front has to say who the client is.
enum class SinkIdentity : std::uint8_t {
  kNone,     // a PROXY header or XCLIENT is an unknown command
  kProxy,    // a PROXY header, version 1 or 2, must come first
  kXclient,  // XCLIENT is offered
};

// Misbehaviour on purpose, one at a time. What each does: SinkFaults().
enum class SinkFault : std::uint8_t {
  kNone,
  kCloseAtConnect,
  kResetAtConnect,
  kNoGreeting,
  kGreeting421,
  kGreeting554,
  kRefuseIdentity,
  kRejectEhlo,
  kStarttlsAdvertised,
  k421AtMail,
  kRejectMail,
  kDeferMail,
  kSilentAtMail,
  kCloseAfterMail,
  kRejectRcpt,
  kCloseAfterRcpt,
  kRejectData,
  kCloseInData,
  kResetInData,
  kStallInData,
  kCloseAfterDot,
  kSilentAfterDot,
  kRejectFinal,
  kDeferFinal,
  k421AtFinal,
  kBadReplyCode,
  kBareLfReply,
  kLongReply,
  kEarlyReply,
  kSlow,
};

struct SinkFaultText {
  SinkFault fault;
  std::string_view name;  // of --fault
  std::string_view what;  // one phrase for --help
};
[[nodiscard]] const std::vector<SinkFaultText>& SinkFaults();
[[nodiscard]] std::optional<SinkFault> SinkFaultByName(std::string_view name);

struct SinkOptions {
  std::string hostname = "sink.example.test";
  SinkIdentity identity = SinkIdentity::kNone;
  SinkFault fault = SinkFault::kNone;
  LineEnd line_end = LineEnd::kStrict;
  std::uint64_t size_max = std::uint64_t{64} << 20;  // octets of one message; 0: no limit
  std::size_t recipients_max = 1000;
  // Positive replies name the server and what they are about, so that a client can tell whose reply
  // it got.
  bool echo = false;
  // The EHLO keywords with their parameters; empty: the usual ones.
  std::vector<std::string> keywords;

  // --- made by SinkOptionsResolve()
  std::string greeting;
  std::string ehlo_reply;
  bool chunking = false;
  bool auth = false;
  bool smtputf8 = false;
};

// Renders the replies that are the same for all sessions and derives what is offered.
void SinkOptionsResolve(SinkOptions& options);

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_SINK_OPTIONS_H_
