// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/name_match.h"

#include <gtest/gtest.h>

#include <string_view>

namespace ringpost {
namespace {

// PROTOCOL 44, RFC 9525 6.3
TEST(NameMatches, TheSameNameOrOneLabelUnderAWildcard) {
  struct Row {
    std::string_view pattern;
    std::string_view name;
    bool matches;
  };
  constexpr Row kRows[] = {
      {"mail.example.com", "mail.example.com", true},
      {"mail.example.com", "MAIL.Example.com", true},
      {"Mail.Example.COM", "mail.example.com", true},
      {"localhost", "localhost", true},
      {"mail.example.com", "mail.example.co", false},
      {"mail.example.com", "mail.example.com.", false},
      {"example.com", "mail.example.com", false},
      {"mail.example.com", "example.com", false},
      {"*.example.com", "mail.example.com", true},
      {"*.example.com", "MAIL.EXAMPLE.COM", true},
      {"*.example.com", "example.com", false},
      {"*.example.com", ".example.com", false},
      {"*.example.com", "a.mail.example.com", false},
      {"*.example.com", "mail.example.org", false},
      {"*.example.com", "mailexample.com", false},
      {"*.example.com", "*.example.com", true},
      {"*.mail.example.com", "*.example.com", false},
      {"*.com", "example.com", false},
      {"*.com", "*.com", false},
      {"*.", "a.", false},
      {"*..", "a..", true},  // no host has such a name
      {"*", "com", false},
      {"**.example.com", "mail.example.com", false},
      {"m*.example.com", "mail.example.com", false},
      {"*l.example.com", "mail.example.com", false},
      {"mail.*.com", "mail.example.com", false},
      {"*.*.com", "mail.example.com", false},
      {"", "", false},
      {"", "a", false},
      {"a", "", false},
      {"*.example.com", "", false},
  };
  for (const Row& row : kRows) {
    EXPECT_EQ(NameMatches(row.pattern, row.name), row.matches) << row.pattern << " " << row.name;
  }
}

}  // namespace
}  // namespace ringpost
