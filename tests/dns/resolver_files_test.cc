// SPDX-License-Identifier: GPL-3.0-or-later
#include "search_list.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ringpost::test {
namespace {

using Names = std::vector<std::string>;

TEST(SearchListTest, Read) {
  const SearchList list = ReadSearchList(
      "# made by hand\nnameserver 127.0.0.1\nsearch  old.example\n"
      "search a.example. b.example\t. # and a comment\noptions edns0 ndots:5 trust-ad\n");
  EXPECT_EQ(list.domains, (Names{"a.example", "b.example"}));
  EXPECT_EQ(list.ndots, 5);
  EXPECT_EQ(ReadSearchList("domain one.example\r\n").domains, Names{"one.example"});
  EXPECT_EQ(ReadSearchList("").ndots, 1);
  EXPECT_EQ(ReadSearchList("options ndots:99").ndots, 15);
  EXPECT_EQ(ReadSearchList("options ndots:-1").ndots, 0);
  EXPECT_EQ(ReadSearchList("options ndots:x ndots:").ndots, 1);
  EXPECT_TRUE(ReadSearchList("search\n; search c.example").domains.empty());
}

TEST(SearchListTest, Candidates) {
  SearchList list;
  EXPECT_EQ(CandidatesOf("mail", list), Names{"mail"});
  list.domains = {"a.example", "b.example"};
  EXPECT_EQ(CandidatesOf("mail", list), (Names{"mail.a.example", "mail.b.example", "mail"}));
  EXPECT_EQ(CandidatesOf("mail.x", list),
            (Names{"mail.x", "mail.x.a.example", "mail.x.b.example"}));
  EXPECT_EQ(CandidatesOf("mail.", list), Names{"mail"});
  list.ndots = 0;
  EXPECT_EQ(CandidatesOf("mail", list).front(), "mail");
}

}  // namespace
}  // namespace ringpost::test
