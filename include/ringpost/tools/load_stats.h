// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a load run has measured, and how it is told: as a text table or as JSON.
//
// Owner: the load generator; one thread. Failures are always counted; the rest only while
// recording, so that neither warm-up nor wind-down is in the figures.
#ifndef RINGPOST_TOOLS_LOAD_STATS_H_
#define RINGPOST_TOOLS_LOAD_STATS_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "ringpost/io/io.h"
#include "ringpost/tools/histogram.h"

namespace ringpost {

enum class LoadFailure : std::uint8_t {
  kNoPort,      // no local port or descriptor was left
  kConnect,     // refused, unreachable
  kReset,       // reset by the server
  kClosed,      // closed by the server before QUIT
  kTimeout,     // --timeout went by without progress
  kGreeting,    // the greeting was not 220
  kEhlo,        // EHLO was refused, or what was asked for is not offered
  kStarttls,    // STARTTLS is not offered or was refused
  kInjection,   // octets behind the reply to STARTTLS
  kTls,         // the handshake or a record failed
  kMail,        // MAIL, RCPT or DATA was refused
  kMessage,     // the message was refused
  kProtocol,    // not an SMTP reply, or one too many
  kNotStarted,  // open loop: due, but never begun
  kUnfinished,  // still running when the run ended
};
inline constexpr std::size_t kLoadFailureCount =
    static_cast<std::size_t>(LoadFailure::kUnfinished) + 1;
[[nodiscard]] std::string_view LoadFailureName(LoadFailure failure);

struct LoadStats {
  bool recording = false;
  TimeNs begin = 0;
  TimeNs end = 0;

  // Nanoseconds. In an open-loop run all but `handshake` and `message` start at the scheduled time.
  Histogram greeting;   // to the 220
  Histogram handshake;  // from the ClientHello to the end of the handshake
  Histogram ready;      // to the reply to the last EHLO
  Histogram message;    // from MAIL to the final reply

  std::uint64_t connections = 0;  // that came to the reply to QUIT
  std::uint64_t handshakes = 0;
  std::uint64_t resumed = 0;
  std::uint64_t messages = 0;
  std::uint64_t octets = 0;  // of the content of accepted messages

  std::array<std::uint64_t, kLoadFailureCount> failures{};
  std::array<std::string, kLoadFailureCount> first_failures;  // what the first of each kind said

  // Of the last handshake.
  std::string tls_version;
  std::string tls_suite;
  std::string tls_group;

  void AddFailure(LoadFailure failure, std::string_view detail);
  [[nodiscard]] std::uint64_t failure_count() const;
  // Forgets everything but the failures.
  void StartRecording(TimeNs now);
  void StopRecording(TimeNs now);
  [[nodiscard]] double seconds() const;
};

// Several lines, each with its newline. `title` opens the text.
[[nodiscard]] std::string LoadReportText(const LoadStats& stats, std::string_view title);
// One object on one line. `settings` are fields rendered before, or empty. Latencies in
// microseconds.
[[nodiscard]] std::string LoadReportJson(const LoadStats& stats, std::string_view settings);

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_LOAD_STATS_H_
