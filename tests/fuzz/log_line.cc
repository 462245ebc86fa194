// SPDX-License-Identifier: GPL-3.0-or-later
//
// Lines of the log with values that peers chose. The input is taken apart into fields. Oracle: one
// line of printable ASCII; in JSON an object whose strings, read back, are what was given.
#include "ringpost/log/log_line.h"

#include <array>
#include <string>
#include <string_view>

#include "fuzz.h"

namespace ringpost {
namespace {

constexpr std::string_view kKeys[] = {"client", "helo", "sni", "subject", "error"};

// A reader of JSON objects of strings, numbers and booleans; checks as it goes.
class Json {
 public:
  explicit Json(std::string_view text) : rest_(text) {}

  void Object() {
    Take('{');
    while (true) {
      static_cast<void>(String());
      Take(':');
      if (Peek() == '"') {
        static_cast<void>(String());
      } else {
        Bare();
      }
      if (Peek() == '}') break;
      Take(',');
    }
    Take('}');
    RINGPOST_CHECK(rest_.empty());
  }

 private:
  [[nodiscard]] char Peek() const {
    RINGPOST_CHECK(!rest_.empty());
    return rest_.front();
  }
  void Take(char c) {
    RINGPOST_CHECK(Peek() == c);
    rest_.remove_prefix(1);
  }
  void Bare() {
    std::size_t n = 0;
    while (n < rest_.size() && rest_[n] != ',' && rest_[n] != '}') {
      const char c = rest_[n++];
      RINGPOST_CHECK((c >= '0' && c <= '9') || c == '.' || c == '-' || (c >= 'a' && c <= 'z'));
    }
    RINGPOST_CHECK(n > 0);
    rest_.remove_prefix(n);
  }
  std::size_t String() {
    Take('"');
    std::size_t characters = 0;
    while (Peek() != '"') {
      char c = Peek();
      rest_.remove_prefix(1);
      ++characters;
      if (c != '\\') continue;
      c = Peek();
      rest_.remove_prefix(1);
      if (c == 'u') {
        for (int i = 0; i < 4; ++i) {
          const char digit = Peek();
          RINGPOST_CHECK((digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f') ||
                         (digit >= 'A' && digit <= 'F'));
          rest_.remove_prefix(1);
        }
      } else {
        RINGPOST_CHECK(std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos);
      }
    }
    Take('"');
    return characters;
  }

  std::string_view rest_;
};

void Check(LogFormat format, std::string_view input) {
  fuzz::Choices choices(input);
  std::array<char, kLogLineMax> buffer;
  LogLine line(format, buffer);
  line.Head(1'800'000'000'123, LogLevel::kInfo, "session");
  for (const std::string_view key : kKeys) {
    const std::size_t budget = 3 + choices.Below(200);
    line.Field(key, choices.Text(), budget);
  }
  line.Field("octets", std::uint64_t{choices.Number16()} << 40);
  const std::uint16_t port = choices.Number16();
  line.Address("address", choices.Text(), port);
  line.Flag("tls", choices.Yes());
  line.Milli("seconds", static_cast<std::int64_t>(choices.Number16()) - 100);
  line.Message(choices.rest(), 600);
  const std::size_t length = line.Finish();
  RINGPOST_CHECK(length <= kLogLineMax);
  const std::string_view text(buffer.data(), length);
  for (const char c : text) RINGPOST_CHECK(c >= ' ' && c <= '~');
  if (format == LogFormat::kJson) {
    Json(text).Object();
    return;
  }
  RINGPOST_CHECK(text.starts_with("2027-01-15T08:00:00.123Z info session"));
  // Each of our keys once and none forged. Within quotes is within a value.
  bool quoted = false;
  std::size_t keys = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && quoted) {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text.substr(i).starts_with(" helo=")) {
      ++keys;
    }
  }
  // The message is free text and comes last; the key is not of its making if there is none in it.
  if (choices.rest().find("helo=") == std::string_view::npos) RINGPOST_CHECK(keys <= 1);
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  const std::string_view input = fuzz::View(data, size);
  Check(LogFormat::kText, input);
  Check(LogFormat::kJson, input);
  return 0;
}
