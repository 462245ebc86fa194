// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/dns/resolver.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "name_server.h"

namespace ringpost::test {
namespace {

using namespace std::chrono_literals;
using Outcome = HostAddresses::Outcome;
using Mood = NameServer::Mood;

std::string Text(const HostAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool ipv6 = std::holds_alternative<in6_addr>(address);
  const void* const octets = ipv6 ? static_cast<const void*>(&std::get<in6_addr>(address))
                                  : static_cast<const void*>(&std::get<in_addr>(address));
  return inet_ntop(ipv6 ? AF_INET6 : AF_INET, octets, text.data(), text.size());
}

std::vector<std::string> Texts(const HostAddresses& found) {
  std::vector<std::string> texts;
  for (const HostAddress& address : found.addresses) {
    texts.push_back(Text(address));
  }
  return texts;
}

class ResolverTest : public testing::Test {
 protected:
  ResolverTest() {
    Write("hosts", "127.0.0.9 alias.hosts.example\n::9 alias.hosts.example\n");
    Write("resolv.conf", "");
    options_.servers = {server_.server()};
    options_.hosts = folder_ / "hosts";
    options_.resolv_conf = folder_ / "resolv.conf";
    server_.Put("mail.example", {.mood = Mood::kAnswers,
                                 .addresses = {"192.0.2.1", "2001:db8::1", "192.0.2.2"},
                                 .ttl = 77});
  }
  ~ResolverTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
  }
  void Start() {
    auto resolver = Resolver::Start(options_);
    ASSERT_TRUE(resolver.ok()) << resolver.status();
    resolver_ = *std::move(resolver);
  }
  std::future<HostAddresses> Ask(const std::string& host, std::chrono::milliseconds delay = 0ms) {
    auto answer = std::make_shared<std::promise<HostAddresses>>();
    resolver_->Find(host, delay,
                    [answer](HostAddresses found) { answer->set_value(std::move(found)); });
    return answer->get_future();
  }
  HostAddresses Find(const std::string& host) {
    std::future<HostAddresses> answer = Ask(host);
    if (answer.wait_for(30s) != std::future_status::ready) {
      ADD_FAILURE() << "no answer for " << host;
      return {};
    }
    return answer.get();
  }

  static std::filesystem::path MakeFolder() {
    std::string path = std::filesystem::temp_directory_path() / "ringpost-dns-XXXXXX";
    EXPECT_NE(mkdtemp(path.data()), nullptr);
    return path;
  }

  const std::filesystem::path folder_ = MakeFolder();
  NameServer server_;
  ResolverOptions options_;
  std::unique_ptr<Resolver> resolver_;
};

TEST_F(ResolverTest, BothFamilies) {
  Start();
  const HostAddresses found = Find("mail.example");
  ASSERT_EQ(found.outcome, Outcome::kFound) << found.why;
  std::vector<std::string> texts = Texts(found);
  EXPECT_EQ(texts.front(), "2001:db8::1");
  std::sort(texts.begin() + 1, texts.end());
  EXPECT_EQ(texts, (std::vector<std::string>{"2001:db8::1", "192.0.2.1", "192.0.2.2"}));
  EXPECT_GE(found.ttl, 70s);
  EXPECT_LE(found.ttl, 77s);
  EXPECT_EQ(Find("MAIL.Example.").outcome, Outcome::kFound);
}

TEST_F(ResolverTest, TheHostsFileComesFirst) {
  server_.Put("alias.hosts.example",
              {.mood = Mood::kAnswers, .addresses = {"192.0.2.7"}, .ttl = 60});
  Start();
  EXPECT_EQ(Texts(Find("alias.hosts.example")), (std::vector<std::string>{"::9", "127.0.0.9"}));
  EXPECT_EQ(server_.Asked("alias.hosts.example"), 0);
}

TEST_F(ResolverTest, Localhost) {
  Start();
  const std::vector<std::string> texts = Texts(Find("localhost"));
  EXPECT_NE(std::find(texts.begin(), texts.end(), "127.0.0.1"), texts.end());
}

TEST_F(ResolverTest, NamesThatAreNotThere) {
  server_.Put("empty.example", {});
  Start();
  const HostAddresses none = Find("nobody.example");
  EXPECT_EQ(none.outcome, Outcome::kNoAddress);
  EXPECT_EQ(none.why, "there is no such name");
  const HostAddresses empty = Find("empty.example");
  EXPECT_EQ(empty.outcome, Outcome::kNoAddress);
  EXPECT_EQ(empty.why, "the name has no address");
}

TEST_F(ResolverTest, NamesThatAreThereALittleLater) {
  Start();
  EXPECT_EQ(Find("late.example").outcome, Outcome::kNoAddress);
  server_.Put("late.example", {.mood = Mood::kAnswers, .addresses = {"192.0.2.3"}, .ttl = 60});
  const HostAddresses found = Ask("late.example", 2s).get();
  EXPECT_EQ(found.outcome, Outcome::kFound) << found.why;
}

TEST_F(ResolverTest, NamesOfTheRootsOwnList) {
  for (const std::string name : {"mail.corp.test", "mail.home.arpa", "mail"}) {
    server_.Put(name, {.mood = Mood::kAnswers, .addresses = {"192.0.2.4"}, .ttl = 60});
  }
  Start();
  for (const std::string name : {"mail.corp.test", "mail.home.arpa", "mail"}) {
    EXPECT_EQ(Texts(Find(name)), std::vector<std::string>{"192.0.2.4"}) << name;
  }
}

TEST_F(ResolverTest, SearchDomains) {
  Write("resolv.conf", "search one.example two.example\noptions ndots:2\n");
  server_.Put("mail.two.example", {.mood = Mood::kAnswers, .addresses = {"192.0.2.5"}, .ttl = 60});
  server_.Put("mail.far.example", {.mood = Mood::kAnswers, .addresses = {"192.0.2.6"}, .ttl = 60});
  Start();
  EXPECT_EQ(Texts(Find("mail")), std::vector<std::string>{"192.0.2.5"});
  EXPECT_EQ(Texts(Find("mail.far.example")), std::vector<std::string>{"192.0.2.6"});
  EXPECT_EQ(server_.Asked("mail.far.example.one.example"), 0);
  EXPECT_EQ(Find("mail.").outcome, Outcome::kNoAddress);
}

TEST_F(ResolverTest, AServerThatFails) {
  server_.Put("broken.example", {.mood = Mood::kFails, .addresses = {}, .ttl = 0});
  Start();
  const HostAddresses found = Find("broken.example");
  EXPECT_EQ(found.outcome, Outcome::kFailed);
  EXPECT_FALSE(found.why.empty());
}

TEST_F(ResolverTest, AServerThatIsSilent) {
  server_.Put("silent.example", {.mood = Mood::kSilent, .addresses = {}, .ttl = 0});
  options_.time_limit = 1s;
  Start();
  const HostAddresses found = Find("silent.example");
  EXPECT_EQ(found.outcome, Outcome::kFailed);
  EXPECT_EQ(found.why, "no answer within 1 s");
  // Others are answered meanwhile.
  std::future<HostAddresses> again = Ask("silent.example");
  EXPECT_EQ(Find("mail.example").outcome, Outcome::kFound);
  EXPECT_EQ(again.get().outcome, Outcome::kFailed);
}

TEST_F(ResolverTest, MoreThanMayBeUnderWay) {
  server_.Put("silent.example", {.mood = Mood::kSilent, .addresses = {}, .ttl = 0});
  options_.time_limit = 500ms;
  options_.at_once = 2;
  Start();
  std::vector<std::future<HostAddresses>> answers;
  for (int i = 0; i < 5; ++i) {
    answers.push_back(Ask("silent.example"));
  }
  answers.push_back(Ask("mail.example"));
  for (std::future<HostAddresses>& answer : answers) {
    ASSERT_EQ(answer.wait_for(30s), std::future_status::ready);
  }
  EXPECT_EQ(answers.back().get().outcome, Outcome::kFound);
}

TEST_F(ResolverTest, FilesThatChange) {
  Start();
  EXPECT_EQ(Find("new.hosts.example").outcome, Outcome::kNoAddress);
  Write("hosts", "127.0.0.10 new.hosts.example and.another.one.example\n");
  EXPECT_EQ(Texts(Find("new.hosts.example")), std::vector<std::string>{"127.0.0.10"});
}

TEST_F(ResolverTest, FilesWithMistakes) {
  Write("hosts", "mail.example 10.1.1.1\n10.1.1.300 x\n127.0.0.11 right.hosts.example (x\n");
  Write("resolv.conf", "nameserver foo\nsearch one.example\n");
  Start();
  EXPECT_EQ(Texts(Find("right.hosts.example")), std::vector<std::string>{"127.0.0.11"});
  EXPECT_EQ(Find("mail.example").outcome, Outcome::kFound);
}

TEST_F(ResolverTest, NamesThatCannotBeAskedFor) {
  Start();
  EXPECT_EQ(Find(std::string(64, 'a') + ".example").outcome, Outcome::kFailed);
  EXPECT_EQ(Find("a..example").outcome, Outcome::kFailed);
}

// What is under way, waits, or has just been asked for is forgotten.
TEST_F(ResolverTest, EndsWithLookUpsUnderWay) {
  server_.Put("silent.example", {.mood = Mood::kSilent, .addresses = {}, .ttl = 0});
  options_.at_once = 2;
  Start();
  std::vector<std::future<HostAddresses>> answers;
  for (int i = 0; i < 10; ++i) {
    answers.push_back(Ask("silent.example", i < 5 ? 0ms : 1h));
  }
  while (server_.Asked("silent.example") == 0) {
    std::this_thread::sleep_for(1ms);
  }
  resolver_.reset();
  for (std::future<HostAddresses>& answer : answers) {
    EXPECT_THROW(answer.get(), std::future_error);
  }
}

}  // namespace
}  // namespace ringpost::test
