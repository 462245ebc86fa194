// SPDX-License-Identifier: GPL-3.0-or-later
//
// How a line of the log is made: text ("key=value") or one JSON object, without its newline. Pure
// functions over a caller's buffer; no allocation, no clock, no output.
//
// Invariant: whatever the values contain, a line is one line of printable US-ASCII, at most
// kLogLineMax octets long, and in JSON a valid object. What a peer chose can neither end the line
// nor forge a key.
#ifndef RINGPOST_LOG_LOG_LINE_H_
#define RINGPOST_LOG_LOG_LINE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ringpost/log/log_types.h"

namespace ringpost {

// Holds every budget below with room to spare, and stays below PIPE_BUF (4096), so that a line
// reaches a pipe in one piece.
inline constexpr std::size_t kLogLineMax = 4032;

// The longest path of a unix socket is whole.
inline constexpr std::size_t kLogAddressBudget = 115;

// One line being written. Fields beyond the buffer's end are left out whole.
class LogLine {
 public:
  // `out` holds at least kLogLineMax octets.
  LogLine(LogFormat format, std::span<char> out);

  // The head of every line: "2026-11-23T18:00:00.123Z info session", the time in UTC.
  void Head(std::int64_t unix_ms, LogLevel level, std::string_view component);

  // At most `budget` octets in their written form; a value that would need more than `budget` - 3
  // is cut and ends in "...".
  void Field(std::string_view key, std::string_view value, std::size_t budget);
  void Field(std::string_view key, std::uint64_t value);
  // "192.0.2.1:25", "[2001:db8::1]:25"; at most kLogAddressBudget octets.
  void Address(std::string_view key, std::string_view host, std::uint16_t port);
  void Flag(std::string_view key, bool value);  // yes or no; in JSON true or false
  // Thousandths, written as a decimal fraction: 12345 is 12.345.
  void Milli(std::string_view key, std::int64_t value);
  // The message of an event: the rest of a text line, "message" in JSON.
  void Message(std::string_view text, std::size_t budget);

  // Closes the line and returns its length.
  [[nodiscard]] std::size_t Finish();

 private:
  void Put(char c) { out_[length_++] = c; }
  void Put(std::string_view text);
  void Key(std::string_view key);
  void Number(std::uint64_t value, int digits_min = 1);
  void Escaped(std::string_view value, std::size_t budget, bool quoted);
  [[nodiscard]] bool Fits(std::size_t octets) const;

  LogFormat format_;
  std::span<char> out_;
  std::size_t length_ = 0;
};

// "error", "warning", "info", "debug".
[[nodiscard]] std::string_view LogLevelName(LogLevel level);

// A line that is not about one session. Returns its length.
[[nodiscard]] std::size_t FormatEvent(LogFormat format, std::int64_t unix_ms, LogLevel level,
                                      std::string_view component, std::string_view text,
                                      std::span<char> out);

}  // namespace ringpost

#endif  // RINGPOST_LOG_LOG_LINE_H_
