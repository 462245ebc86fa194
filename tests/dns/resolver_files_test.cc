// SPDX-License-Identifier: GPL-3.0-or-later
#include "resolver_files.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ringpost::test {
namespace {

using Names = std::vector<std::string>;

TEST(ResolverFilesTest, Read) {
  const ResolvConf list = ReadResolvConf(
      "# made by hand\nnameserver 127.0.0.1\nsearch  old.example\n"
      "search a.example. b.example\t. # and a comment\noptions edns0 ndots:5 trust-ad\n");
  EXPECT_EQ(list.domains, (Names{"a.example", "b.example"}));
  EXPECT_EQ(list.ndots, 5);
  EXPECT_EQ(ReadResolvConf("domain one.example\r\n").domains, Names{"one.example"});
  EXPECT_EQ(ReadResolvConf("").ndots, 1);
  EXPECT_EQ(ReadResolvConf("options ndots:99").ndots, 15);
  EXPECT_EQ(ReadResolvConf("options ndots:-1").ndots, 0);
  EXPECT_EQ(ReadResolvConf("options ndots:x ndots:").ndots, 1);
  EXPECT_TRUE(ReadResolvConf("search\n; search c.example").domains.empty());
}

TEST(ResolverFilesTest, NameServers) {
  EXPECT_EQ(
      ReadResolvConf("nameserver 127.0.0.11\nnameserver foo\nnameserver\n nameserver ::1 # x\n")
          .servers,
      (Names{"127.0.0.11", "::1"}));
}

// hosts(5). libunbound takes no file with a line that it does not understand.
TEST(ResolverFilesTest, Hosts) {
  EXPECT_EQ(CleanHosts("127.0.0.1\tlocalhost  mail.example # mine\r\n::1 localhost"),
            "127.0.0.1 localhost\n127.0.0.1 mail.example\n::1 localhost\n");
  const std::string mark = "\xef\xbb\xbf";
  EXPECT_EQ(CleanHosts(mark + "10.1.1.1 my_mail.example.\n"), "10.1.1.1 my_mail.example.\n");
  EXPECT_EQ(CleanHosts("10.1.1.1 mail.example#x\n"), "10.1.1.1 mail.example\n");
  for (const std::string line :
       {"", "#", "mail.example 10.1.1.1", "10.1.1.300 a", "10.1.1 a", "10.1.1.1", "10.1.1.1 a..b",
        "10.1.1.1 .", "10.1.1.1 (x", "fe80::1%eth0 a"}) {
    EXPECT_EQ(CleanHosts(line + "\n10.1.1.2 good\n"), "10.1.1.2 good\n") << line;
  }
  EXPECT_EQ(CleanHosts("10.1.1.1 " + std::string(64, 'a')), "");
  std::string aliases = "10.1.1.1";
  for (int i = 0; i < 300; ++i) {
    aliases += " alias" + std::to_string(i) + ".example";
  }
  EXPECT_TRUE(CleanHosts(aliases).ends_with("\n10.1.1.1 alias299.example\n"));
}

TEST(ResolverFilesTest, Candidates) {
  ResolvConf list;
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
