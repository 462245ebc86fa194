// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/der.h"

#include <chrono>

namespace ringpost {
namespace {

unsigned Octet(char c) { return static_cast<unsigned char>(c); }

// `count` decimal digits, -1 if one is none.
int Digits(std::string_view text, std::size_t at, std::size_t count) {
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') {
      return -1;
    }
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

}  // namespace

void DerReader::Fail() {
  ok_ = false;
  rest_ = {};
}

DerItem DerReader::Next() {
  constexpr unsigned kHighTagNumber = 0x1f;
  if (rest_.size() < 2 || (Octet(rest_[0]) & kHighTagNumber) == kHighTagNumber) {
    Fail();
    return {};
  }
  std::size_t header = 2;
  std::size_t length = Octet(rest_[1]);
  if (length >= 0x80) {
    const std::size_t count = length & 0x7f;
    // X.690 10.1: never indefinite, never longer than needed. Nothing here has 4 GiB.
    if (count == 0 || count > 4 || rest_.size() < header + count || rest_[header] == 0) {
      Fail();
      return {};
    }
    length = 0;
    for (std::size_t i = 0; i < count; ++i) {
      length = length << 8 | Octet(rest_[header + i]);
    }
    header += count;
    if (length < 0x80) {
      Fail();
      return {};
    }
  }
  if (length > rest_.size() - header) {
    Fail();
    return {};
  }
  const DerItem item{Octet(rest_[0]), rest_.substr(0, header + length),
                     rest_.substr(header, length)};
  rest_.remove_prefix(header + length);
  return item;
}

DerItem DerReader::Take(unsigned tag) {
  if (PeekTag() != tag) {
    Fail();
    return {};
  }
  return Next();
}

std::optional<std::string_view> DerBitStringOctets(std::string_view content) {
  if (content.empty() || content[0] != 0) {
    return std::nullopt;
  }
  return content.substr(1);
}

std::optional<std::uint32_t> DerNamedBits(std::string_view content) {
  if (content.empty() || Octet(content[0]) > 7 || content.size() > 3 ||
      (content.size() == 1 && content[0] != 0)) {
    return std::nullopt;
  }
  std::uint32_t bits = 0;
  if (content.size() > 1) {
    bits |= static_cast<std::uint32_t>(Octet(content[1])) << 8;
  }
  if (content.size() > 2) {
    bits |= static_cast<std::uint32_t>(Octet(content[2]));
  }
  return bits;
}

std::optional<std::int64_t> DerTime(const DerItem& item) {
  const std::string_view text = item.content;
  std::size_t at = 0;
  int year = 0;
  if (item.tag == kDerUtcTime && text.size() == 13) {
    year = Digits(text, 0, 2);
    year += year < 50 ? 2000 : 1900;  // RFC 5280 4.1.2.5.1
    if (Digits(text, 0, 2) < 0) {
      return std::nullopt;
    }
    at = 2;
  } else if (item.tag == kDerGeneralizedTime && text.size() == 15) {
    year = Digits(text, 0, 4);
    if (year < 0) {
      return std::nullopt;
    }
    at = 4;
  } else {
    return std::nullopt;
  }
  const int month = Digits(text, at, 2);
  const int day = Digits(text, at + 2, 2);
  const int hour = Digits(text, at + 4, 2);
  const int minute = Digits(text, at + 6, 2);
  const int second = Digits(text, at + 8, 2);
  if (month < 0 || day < 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
      second > 59 || text.back() != 'Z') {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) {
    return std::nullopt;
  }
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

std::optional<std::int32_t> DerSmallInteger(std::string_view content) {
  if (content.empty() || content.size() > 4 || Octet(content[0]) >= 0x80 ||
      (content.size() > 1 && content[0] == 0 && Octet(content[1]) < 0x80)) {
    return std::nullopt;
  }
  std::int32_t value = 0;
  for (const char octet : content) {
    value = value << 8 | static_cast<std::int32_t>(Octet(octet));
  }
  return value;
}

std::optional<bool> DerBoolean(std::string_view content) {
  if (content.size() != 1 || (content[0] != 0 && Octet(content[0]) != 0xff)) {
    return std::nullopt;
  }
  return content[0] != 0;
}

std::string DerItemOf(unsigned tag, std::string_view content) {
  std::string length;  // in its shortest form
  for (std::size_t rest = content.size(); rest > 0; rest >>= 8) {
    length.insert(0, 1, static_cast<char>(rest & 0xff));
  }
  std::string item(1, static_cast<char>(tag));
  if (content.size() < 0x80) {
    item += static_cast<char>(content.size());
  } else {
    item += static_cast<char>(0x80 | length.size());
    item += length;
  }
  return item.append(content);
}

}  // namespace ringpost
