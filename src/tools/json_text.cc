// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/json_text.h"

#include <cstdint>
#include <cstdio>

namespace ringpost {
namespace {

// Length of the UTF-8 sequence (RFC 3629 4) at the front of `text`, 0 if there is none.
std::size_t Utf8Length(std::string_view text) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = octet(0);
  std::size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (lead < 0x80) {
    return 1;
  }
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    low = lead == 0xe0 ? 0xa0 : low;    // not an overlong form
    high = lead == 0xed ? 0x9f : high;  // not a surrogate
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    low = lead == 0xf0 ? 0x90 : low;
    high = lead == 0xf4 ? 0x8f : high;  // not above U+10FFFF
  } else {
    return 0;
  }
  if (text.size() < length || octet(1) < low || octet(1) > high) {
    return 0;
  }
  for (std::size_t i = 2; i < length; ++i) {
    if (octet(i) < 0x80 || octet(i) > 0xbf) {
      return 0;
    }
  }
  return length;
}

void AppendName(std::string& out, std::string_view name) {
  if (!out.empty() && out.back() != '{' && out.back() != '[') {
    out += ',';
  }
  AppendJson(out, name);
  out += ':';
}

}  // namespace

void AppendJson(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const char c = text.front();
    std::size_t length = Utf8Length(text);
    if (length == 0) {
      out += "\\ufffd";
      length = 1;
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  out += '"';
}

void AppendJsonText(std::string& out, std::string_view name, std::string_view text) {
  AppendName(out, name);
  AppendJson(out, text);
}

void AppendJsonCount(std::string& out, std::string_view name, std::uint64_t value) {
  AppendName(out, name);
  out += std::to_string(value);
}

void AppendJsonReal(std::string& out, std::string_view name, double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  AppendName(out, name);
  out += text;
}

void AppendJsonBool(std::string& out, std::string_view name, bool value) {
  AppendName(out, name);
  out += value ? "true" : "false";
}

}  // namespace ringpost
