// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/log/log_line.h"

#include <array>
#include <charconv>
#include <cstring>
#include <ctime>

#include "ringpost/base/check.h"

namespace ringpost {
namespace {

constexpr std::size_t kClosing = 1;  // the brace of JSON
constexpr std::size_t kNumberMax = 24;
constexpr std::string_view kCut = "...";
constexpr std::size_t kComponentBudget = 64;
constexpr std::size_t kMessageBudget = 2048;

bool IsPrintable(unsigned char octet) { return octet >= 32 && octet <= 126; }

// Whether a text value can stand without quotes and still be one word with one meaning.
bool IsBareWord(std::string_view value) {
  if (value.empty()) return false;
  for (const char c : value) {
    if (!IsPrintable(static_cast<unsigned char>(c)) || c == ' ' || c == '"' || c == '\\' ||
        c == '=') {
      return false;
    }
  }
  return true;
}

// "192.0.2.1:25" or "[2001:db8::1]:25".
class AddressText {
 public:
  AddressText(std::string_view address, std::uint16_t port) {
    const bool brackets = address.find(':') != std::string_view::npos;
    address = address.substr(0, kAddressMax);
    if (brackets) text_[length_++] = '[';
    length_ += address.copy(&text_[length_], address.size());
    if (brackets) text_[length_++] = ']';
    text_[length_++] = ':';
    const auto [end, error] =
        std::to_chars(text_.data() + length_, text_.data() + text_.size(), port);
    length_ = static_cast<std::size_t>(end - text_.data());
  }
  [[nodiscard]] std::string_view view() const { return {text_.data(), length_}; }

 private:
  static constexpr std::size_t kAddressMax = 64;
  std::array<char, kAddressMax + 8> text_;
  std::size_t length_ = 0;
};

}  // namespace

std::string_view LogLevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kError:
      return "error";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kDebug:
      return "debug";
  }
  RINGPOST_CHECK(false);
}

LogLine::LogLine(LogFormat format, std::span<char> out) : format_(format), out_(out) {
  RINGPOST_CHECK(out.size() >= kLogLineMax);
}

void LogLine::Head(std::int64_t unix_ms, LogLevel level, std::string_view component) {
  // Never negative, and never beyond the year 9999, whose five digits would break the format.
  constexpr std::int64_t kLastMs = 253'402'300'799'999;
  if (unix_ms < 0) unix_ms = 0;
  if (unix_ms > kLastMs) unix_ms = kLastMs;
  const std::time_t seconds = unix_ms / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);

  Put(format_ == LogFormat::kJson ? R"({"time":")" : "");
  Number(static_cast<std::uint64_t>(utc.tm_year + 1900), 4);
  Put('-');
  Number(static_cast<std::uint64_t>(utc.tm_mon + 1), 2);
  Put('-');
  Number(static_cast<std::uint64_t>(utc.tm_mday), 2);
  Put('T');
  Number(static_cast<std::uint64_t>(utc.tm_hour), 2);
  Put(':');
  Number(static_cast<std::uint64_t>(utc.tm_min), 2);
  Put(':');
  Number(static_cast<std::uint64_t>(utc.tm_sec), 2);
  Put('.');
  Number(static_cast<std::uint64_t>(unix_ms % 1000), 3);
  Put('Z');
  if (format_ == LogFormat::kJson) {
    Put('"');
    Field("level", LogLevelName(level), kComponentBudget);
    Field("component", component, kComponentBudget);
  } else {
    Put(' ');
    Put(LogLevelName(level));
    Put(' ');
    Escaped(component, kComponentBudget, /*quoted=*/false);
  }
}

void LogLine::Field(std::string_view key, std::string_view value, std::size_t budget) {
  if (!Fits(key.size() + budget)) return;
  Key(key);
  const bool bare = IsBareWord(value);
  const bool quoted = format_ == LogFormat::kJson || !bare;
  if (quoted) Put('"');
  if (bare && value.size() + kCut.size() <= budget) {
    Put(value);  // nearly always, and several times cheaper than octet by octet
  } else {
    Escaped(value, budget, quoted);
  }
  if (quoted) Put('"');
}

void LogLine::Field(std::string_view key, std::uint64_t value) {
  if (!Fits(key.size() + kNumberMax)) return;
  Key(key);
  Number(value);
}

void LogLine::Address(std::string_view key, std::string_view host, std::uint16_t port) {
  Field(key, AddressText(host, port).view(), kLogAddressBudget);
}

void LogLine::Flag(std::string_view key, bool value) {
  if (!Fits(key.size() + kNumberMax)) return;
  Key(key);
  if (format_ == LogFormat::kJson) {
    Put(value ? "true" : "false");
  } else {
    Put(value ? "yes" : "no");
  }
}

void LogLine::Milli(std::string_view key, std::int64_t value) {
  if (!Fits(key.size() + kNumberMax)) return;
  const auto thousandths = static_cast<std::uint64_t>(value < 0 ? 0 : value);
  Key(key);
  Number(thousandths / 1000);
  Put('.');
  Number(thousandths % 1000, 3);
}

void LogLine::Message(std::string_view text, std::size_t budget) {
  if (format_ == LogFormat::kJson) {
    Field("message", text, budget);
    return;
  }
  if (!Fits(budget)) return;
  Put(": ");
  Escaped(text, budget, /*quoted=*/false);
}

std::size_t LogLine::Finish() {
  if (format_ == LogFormat::kJson) Put('}');
  return length_;
}

void LogLine::Put(std::string_view text) {
  length_ +=
      text.copy(out_.data() + length_, text.size());  // unlike memcpy, fine with no text at all
}

void LogLine::Key(std::string_view key) {
  if (format_ == LogFormat::kJson) {
    Put(",\"");
    Put(key);
    Put("\":");
  } else {
    Put(' ');
    Put(key);
    Put('=');
  }
}

void LogLine::Number(std::uint64_t value, int digits_min) {
  std::array<char, kNumberMax> digits;
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  const auto count = static_cast<std::size_t>(end - digits.data());
  for (std::size_t i = count; i < static_cast<std::size_t>(digits_min); ++i) Put('0');
  Put({digits.data(), count});
}

// Octets above 126 are escaped too: what is no UTF-8 would break JSON, and what is may hold control
// characters of its own (U+0080 to U+009F, bidirectional overrides).
void LogLine::Escaped(std::string_view value, std::size_t budget, bool quoted) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const std::size_t end = length_ + budget;
  for (const char c : value) {
    const auto octet = static_cast<unsigned char>(c);
    const bool json = format_ == LogFormat::kJson;
    std::array<char, 6> text{};
    std::size_t count = 0;
    if (!IsPrintable(octet)) {
      const std::string_view prefix = json ? "\\u00" : "\\x";
      std::memcpy(text.data(), prefix.data(), prefix.size());
      text[prefix.size()] = kHex[octet >> 4];
      text[prefix.size() + 1] = kHex[octet & 15];
      count = prefix.size() + 2;
    } else {
      if (c == '\\' || (quoted && c == '"')) text[count++] = '\\';
      text[count++] = c;
    }
    if (length_ + count + kCut.size() > end) {
      Put(kCut);
      return;
    }
    Put({text.data(), count});
  }
}

bool LogLine::Fits(std::size_t octets) const {
  constexpr std::size_t kPunctuation = 6;  // ,"":""
  return length_ + octets + kPunctuation + kClosing <= out_.size();
}

std::size_t FormatEvent(LogFormat format, std::int64_t unix_ms, LogLevel level,
                        std::string_view component, std::string_view text, std::span<char> out) {
  static_assert(kMessageBudget + kComponentBudget + 128 <= kLogLineMax);
  LogLine line(format, out);
  line.Head(unix_ms, level, component);
  line.Message(text, kMessageBudget);
  return line.Finish();
}

}  // namespace ringpost
