// SPDX-License-Identifier: GPL-3.0-or-later
#include "toml_hint.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "readers.h"

namespace ringpost {
namespace {

constexpr std::size_t kWordMax = 128;  // of what is quoted

std::string_view LineOf(std::string_view text, std::size_t line) {
  for (; line > 1; --line) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  text = text.substr(0, text.find('\n'));
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

// A value that TOML writes without quotes: a number, a date, true and the like. What only looks
// like one is not quoted for anybody.
bool MayStandAlone(std::string_view word) {
  constexpr std::string_view kOfNumbers = "0123456789+-_.";
  return word == "true" || word == "false" || word == "inf" || word == "nan" ||
         word.find_first_not_of(kOfNumbers) == std::string_view::npos;
}

// Not a value that somebody forgot to quote, but the beginning of anything.
bool IsPlainWord(std::string_view word) {
  return std::all_of(word.begin(), word.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  });
}

// Curly quotes, as word processors make them: U+2018 to U+201E.
bool HasCurlyQuote(std::string_view line) {
  const std::size_t at = line.find("\xe2\x80");
  return at != std::string_view::npos && at + 2 < line.size() && line[at + 2] >= '\x98' &&
         line[at + 2] <= '\x9e';
}

// Walks over the values of a line: what stands in quotes is passed over, a word in none is handed
// out.
class Values {
 public:
  explicit Values(std::string_view line) : rest_(line) {
    // The key is no value.
    const std::size_t equals = rest_.find('=');
    if (equals != std::string_view::npos && rest_.substr(0, equals).find('"') == rest_.npos) {
      rest_.remove_prefix(equals + 1);
    }
  }

  // Empty: there are no more.
  std::string_view NextBare() {
    constexpr std::string_view kBetween = " \t,[]{}";
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '#') break;
      if (kBetween.find(c) != std::string_view::npos) {
        rest_.remove_prefix(1);
      } else if (c == '"' || c == '\'') {
        const std::size_t end = rest_.find(c, 1);
        if (end == std::string_view::npos) {
          quote_open_ = true;
          break;
        }
        rest_.remove_prefix(end + 1);
      } else {
        const std::string_view word = TakeWord();
        const bool is_key = SkipEquals();
        if (!is_key) return word;
      }
    }
    rest_ = {};
    return {};
  }
  [[nodiscard]] bool quote_open() const { return quote_open_; }

 private:
  // An IPv6 address begins with a bracket, but that is not seen as a part of it.
  std::string_view TakeWord() {
    const std::size_t size = std::min(rest_.find_first_of(" \t,]}=\"#"), rest_.size());
    const std::string_view word = rest_.substr(0, size);
    rest_.remove_prefix(std::max<std::size_t>(size, 1));
    return size == 0 ? "=" : word;
  }
  // Of an inline table.
  bool SkipEquals() {
    const std::size_t at = rest_.find_first_not_of(" \t");
    if (at == std::string_view::npos || rest_[at] != '=') return false;
    rest_.remove_prefix(at + 1);
    return true;
  }

  std::string_view rest_;
  bool quote_open_ = false;
};

}  // namespace

std::string TomlHint(std::string_view text, std::size_t line_number) {
  const std::string_view line = LineOf(text, line_number);
  if (HasCurlyQuote(line)) return "; write straight quotes: \"";
  const std::size_t first = line.find_first_not_of(" \t");
  if (first == std::string_view::npos || line[first] == '#' || line[first] == '[') return {};
  const std::size_t colon = line.find(':');
  const bool has_equals = line.find('=') != std::string_view::npos;
  if (!has_equals && line[first] != '"' && colon != std::string_view::npos && colon > first &&
      colon + 1 < line.size() && line[colon + 1] == ' ') {
    return "; write key = value, with an equals sign";
  }
  Values values(line);
  for (std::string_view word = values.NextBare(); !word.empty(); word = values.NextBare()) {
    if (MayStandAlone(word)) continue;
    if (word.size() > kWordMax || word == "=" || (!has_equals && IsPlainWord(word))) return {};
    if (word.find("::") != std::string_view::npos) {
      return "; an address must stand in quotes: \"[::1]:25\"";
    }
    return absl::StrCat("; a text must stand in quotes: \"", View(word), "\"");
  }
  return values.quote_open() ? "; a quote is not closed" : "";
}

}  // namespace ringpost
