// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/sink_arguments.h"

#include <gtest/gtest.h>

namespace ringpost {
namespace {

TEST(SinkArgumentsTest, Path) {
  struct Case {
    std::string_view argument, path, parameters;
  };
  for (const Case& c : {Case{"FROM:<a@b>", "a@b", ""}, Case{"from:<>", "", ""},
                        Case{"FROM:<a@b> SIZE=1", "a@b", "SIZE=1"},
                        Case{"FROM:<\"a> b\\\"\"@c>", "\"a> b\\\"\"@c", ""}}) {
    const auto path = ParsePath(c.argument, "FROM:");
    ASSERT_TRUE(path) << c.argument;
    EXPECT_EQ(path->path, c.path);
    EXPECT_EQ(path->parameters, c.parameters);
  }
  for (const std::string_view bad :
       {"", "FROM", "FROM:", "FROM:a@b", "FROM: <a@b>", "FROM:<a@b", "FROM:<a@b>x", "FROM:<a b>",
        "FROM:<<a>>", "FROM:<\"a>", "TO:<a>"}) {
    EXPECT_FALSE(ParsePath(bad, "FROM:")) << bad;
  }
}

TEST(SinkArgumentsTest, MailParameters) {
  const MailParameters all =
      ParseMailParameters("SIZE=123 body=8bitmime SMTPUTF8 RET=HDRS ENVID=x AUTH=<>");
  EXPECT_EQ(all.error, ParameterError::kNone);
  EXPECT_EQ(all.size, 123u);
  EXPECT_TRUE(all.smtputf8);
  for (const std::string_view bad : {"SIZE=", "SIZE=-1", "SIZE=1x", "SIZE=99999999999999999999",
                                     "BODY=BINARYMIME", "SMTPUTF8=1", "RET=X", "ENVID="}) {
    EXPECT_EQ(ParseMailParameters(bad).error, ParameterError::kSyntax) << bad;
  }
  for (const std::string_view unknown : {"X=1", "NOTIFY=NEVER", "SIZE=1  RET=FULL"}) {
    EXPECT_EQ(ParseMailParameters(unknown).error, ParameterError::kUnknown) << unknown;
  }
}

TEST(SinkArgumentsTest, RcptParameters) {
  EXPECT_EQ(CheckRcptParameters(""), ParameterError::kNone);
  EXPECT_EQ(CheckRcptParameters("NOTIFY=NEVER ORCPT=rfc822;a@b"), ParameterError::kNone);
  EXPECT_EQ(CheckRcptParameters("NOTIFY="), ParameterError::kSyntax);
  EXPECT_EQ(CheckRcptParameters("SIZE=1"), ParameterError::kUnknown);
}

// PROTOCOL 18, 19
TEST(SinkArgumentsTest, Chunk) {
  const auto last = ParseChunk("0 LAST");
  ASSERT_TRUE(last);
  EXPECT_EQ(last->octets, 0u);
  EXPECT_TRUE(last->last);
  const auto first = ParseChunk("86");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->octets, 86u);
  EXPECT_FALSE(first->last);
  for (const std::string_view bad :
       {"", "18446744073709551616 LAST", "18446744073709551615", "-1", "0x10", "+5", "1 LAST LAST",
        "1  LAST", "1 FIRST", " 1", "1\tLAST"}) {
    EXPECT_FALSE(ParseChunk(bad)) << bad;
  }
}

TEST(SinkArgumentsTest, AuthPlain) {
  const auto credentials = ParseAuthPlain("AHRlc3QAdGVzdA==");  // NUL test NUL test
  ASSERT_TRUE(credentials);
  EXPECT_EQ(credentials->user, "test");
  EXPECT_EQ(credentials->password, "test");
  EXPECT_FALSE(ParseAuthPlain("*"));
  EXPECT_FALSE(ParseAuthPlain("dGVzdA=="));  // no NUL
  EXPECT_FALSE(ParseAuthPlain("AHRlc3Q="));  // one NUL
}

}  // namespace
}  // namespace ringpost
