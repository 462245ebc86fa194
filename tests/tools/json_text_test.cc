// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/json_text.h"

#include <gtest/gtest.h>

namespace ringpost {
namespace {

std::string Json(std::string_view text) {
  std::string out;
  AppendJson(out, text);
  return out;
}

TEST(JsonTextTest, EscapesWhatWouldEndTheStringOrTheLine) {
  EXPECT_EQ(Json("plain"), "\"plain\"");
  EXPECT_EQ(Json("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(Json("a\r\n\t"), R"("a\u000d\u000a\u0009")");
  EXPECT_EQ(Json(std::string_view("\0\x7f", 2)), R"("\u0000\u007f")");
}

TEST(JsonTextTest, KeepsUtf8AndReplacesTheRest) {
  EXPECT_EQ(Json("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xae"),
            "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xae\"");
  for (const std::string_view bad : {"\xff", "\xc3", "\x80", "\xc0\xaf", "\xed\xa0\x80",
                                     "\xe0\x80\x80", "\xf4\x90\x80\x80", "\xf0\x8f\xbf\xbf"}) {
    std::string expected = "\"";
    for (std::size_t i = 0; i < bad.size(); ++i) {
      expected += "\\ufffd";
    }
    EXPECT_EQ(Json(bad), expected + "\"");
  }
}

TEST(JsonTextTest, Fields) {
  std::string out = "{";
  AppendJsonText(out, "a", "x");
  AppendJsonCount(out, "b", 7);
  AppendJsonReal(out, "c", 1.5);
  AppendJsonBool(out, "d", true);
  EXPECT_EQ(out, R"({"a":"x","b":7,"c":1.500,"d":true)");
}

}  // namespace
}  // namespace ringpost
