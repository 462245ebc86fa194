// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/sink_arguments.h"

#include "absl/strings/escaping.h"
#include "ringpost/tools/ascii.h"

namespace ringpost {
namespace {

// Takes the next word off the front of `rest`; words are separated by one blank.
std::string_view TakeWord(std::string_view& rest) {
  const std::size_t end = rest.find(' ');
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return word;
}

struct Parameter {
  std::string_view keyword;
  std::string_view value{};
  bool has_value = false;
};

Parameter SplitParameter(std::string_view word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos) {
    return {.keyword = word};
  }
  return {.keyword = word.substr(0, equals), .value = word.substr(equals + 1), .has_value = true};
}

bool IsOneOf(std::string_view value, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    if (EqualsIgnoreCase(value, word)) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::optional<PathArgument> ParsePath(std::string_view argument, std::string_view prefix) {
  if (argument.size() < prefix.size() ||
      !EqualsIgnoreCase(argument.substr(0, prefix.size()), prefix)) {
    return std::nullopt;
  }
  argument.remove_prefix(prefix.size());
  if (argument.empty() || argument.front() != '<') {
    return std::nullopt;
  }
  bool quoted = false;
  for (std::size_t i = 1; i < argument.size(); ++i) {
    const char c = argument[i];
    if (c == '\\' && quoted) {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == '>' && !quoted) {
      const std::string_view rest = argument.substr(i + 1);
      if (!rest.empty() && rest.front() != ' ') {
        return std::nullopt;
      }
      return PathArgument{.path = argument.substr(1, i - 1),
                          .parameters = rest.empty() ? rest : rest.substr(1)};
    } else if ((c == ' ' || c == '<') && !quoted) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

MailParameters ParseMailParameters(std::string_view parameters) {
  constexpr std::uint64_t kSizeMax = std::uint64_t{1} << 62;
  MailParameters result;
  while (!parameters.empty()) {
    const Parameter parameter = SplitParameter(TakeWord(parameters));
    const bool no_value = parameter.value.empty();
    bool valid = true;
    if (EqualsIgnoreCase(parameter.keyword, "SIZE")) {
      const std::optional<std::uint64_t> size = ParseDecimal(parameter.value, kSizeMax);
      valid = size.has_value();
      result.size = size.value_or(0);
    } else if (EqualsIgnoreCase(parameter.keyword, "BODY")) {
      valid = IsOneOf(parameter.value, {"7BIT", "8BITMIME"});
    } else if (EqualsIgnoreCase(parameter.keyword, "SMTPUTF8")) {
      valid = !parameter.has_value;
      result.smtputf8 = true;
    } else if (EqualsIgnoreCase(parameter.keyword, "RET")) {
      valid = IsOneOf(parameter.value, {"FULL", "HDRS"});
    } else if (IsOneOf(parameter.keyword, {"ENVID", "AUTH"})) {
      valid = !no_value;
    } else {
      result.error = ParameterError::kUnknown;
      return result;
    }
    if (!valid) {
      result.error = ParameterError::kSyntax;
      return result;
    }
  }
  return result;
}

ParameterError CheckRcptParameters(std::string_view parameters) {
  while (!parameters.empty()) {
    const Parameter parameter = SplitParameter(TakeWord(parameters));
    if (!IsOneOf(parameter.keyword, {"NOTIFY", "ORCPT"})) {
      return ParameterError::kUnknown;
    }
    if (parameter.value.empty()) {
      return ParameterError::kSyntax;
    }
  }
  return ParameterError::kNone;
}

std::optional<ChunkArgument> ParseChunk(std::string_view argument) {
  constexpr std::uint64_t kOctetsMax = std::uint64_t{1} << 62;
  const std::optional<std::uint64_t> octets = ParseDecimal(TakeWord(argument), kOctetsMax);
  if (!octets || !(argument.empty() || EqualsIgnoreCase(argument, "LAST"))) {
    return std::nullopt;
  }
  return ChunkArgument{.octets = *octets, .last = !argument.empty()};
}

std::optional<std::string> DecodeBase64(std::string_view base64) {
  std::string text;
  if (!absl::Base64Unescape(absl::string_view(base64.data(), base64.size()), &text)) {
    return std::nullopt;
  }
  return text;
}

std::optional<PlainCredentials> ParseAuthPlain(std::string_view base64) {
  const std::optional<std::string> text = DecodeBase64(base64);
  if (!text) {
    return std::nullopt;
  }
  const std::size_t first = text->find('\0');
  const std::size_t second = first == std::string::npos ? first : text->find('\0', first + 1);
  if (second == std::string::npos) {
    return std::nullopt;
  }
  return PlainCredentials{.user = text->substr(first + 1, second - first - 1),
                          .password = text->substr(second + 1)};
}

}  // namespace ringpost
