// SPDX-License-Identifier: GPL-3.0-or-later
//
// A strict reader of one flat JSON object, so that tests judge the log's lines by the grammar of
// RFC 8259 and not by how they were made. Strings are decoded (\u00XX to one octet), other values
// kept as text.
#ifndef RINGPOST_TESTS_LOG_JSON_OBJECT_H_
#define RINGPOST_TESTS_LOG_JSON_OBJECT_H_

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace ringpost {

class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  // nullopt if it is anything but one object of strings, numbers and booleans with distinct keys.
  std::optional<std::map<std::string, std::string>> Read() {
    std::map<std::string, std::string> object;
    if (!Take('{')) return std::nullopt;
    do {
      std::string key;
      std::string value;
      if (!String(&key) || !Take(':')) return std::nullopt;
      if (!(Peek() == '"' ? String(&value) : Scalar(&value))) return std::nullopt;
      if (!object.emplace(key, value).second) return std::nullopt;
    } while (Take(','));
    if (!Take('}') || !text_.empty()) return std::nullopt;
    return object;
  }

 private:
  [[nodiscard]] char Peek() const { return text_.empty() ? '\0' : text_.front(); }
  bool Take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  // RFC 8259 6, without sign and exponent: the log has none.
  static bool IsNumber(std::string_view text) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0 || (digits > 1 && text.front() == '0')) return false;
    text.remove_prefix(digits);
    if (text.empty()) return true;
    return text.front() == '.' && text.size() > 1 &&
           text.find_first_not_of("0123456789", 1) == std::string_view::npos;
  }
  bool Scalar(std::string* out) {
    const std::size_t end = text_.find_first_of(",}");
    *out = text_.substr(0, end);
    if (end == std::string_view::npos) return false;
    text_.remove_prefix(end);
    return *out == "true" || *out == "false" || IsNumber(*out);
  }
  bool String(std::string* out) {
    if (!Take('"')) return false;
    while (!text_.empty()) {
      const char c = text_.front();
      text_.remove_prefix(1);
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 32 || static_cast<unsigned char>(c) > 126) return false;
      if (c != '\\') {
        out->push_back(c);
      } else if (Take('u')) {
        const std::string digits(text_.substr(0, 4));
        if (digits.size() != 4 || !digits.starts_with("00") ||
            digits.find_first_not_of("0123456789abcdef") != std::string::npos) {
          return false;
        }
        out->push_back(static_cast<char>(std::stoi(digits, nullptr, 16)));
        text_.remove_prefix(4);
      } else if (Peek() == '"' || Peek() == '\\') {
        out->push_back(Peek());
        text_.remove_prefix(1);
      } else {
        return false;
      }
    }
    return false;
  }

  std::string_view text_;
};

}  // namespace ringpost

#endif  // RINGPOST_TESTS_LOG_JSON_OBJECT_H_
