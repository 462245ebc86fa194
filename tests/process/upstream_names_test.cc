// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/upstream_names.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ringpost/config/address.h"

namespace ringpost {
namespace {

using namespace std::chrono_literals;
using Outcome = HostAddresses::Outcome;

HostAddress Address(const std::string& text) {
  in6_addr ipv6{};
  in_addr ipv4{};
  if (inet_pton(AF_INET6, text.c_str(), &ipv6) == 1) {
    return ipv6;
  }
  EXPECT_EQ(inet_pton(AF_INET, text.c_str(), &ipv4), 1) << text;
  return ipv4;
}

HostAddresses Found(const std::vector<std::string>& texts, std::chrono::seconds ttl = 30s) {
  HostAddresses found;
  found.outcome = Outcome::kFound;
  for (const std::string& text : texts) {
    found.addresses.push_back(Address(text));
  }
  found.ttl = ttl;
  return found;
}

HostAddresses Failure(Outcome outcome, std::string why) {
  HostAddresses failure;
  failure.outcome = outcome;
  failure.why = std::move(why);
  return failure;
}

// Keeps look-ups until the test has them answered, with what it has put there.
class FakeResolver final : public Resolver {
 public:
  struct Lookup {
    std::string host;
    std::chrono::milliseconds delay{0};
    Done done;
  };
  void Find(std::string host, std::chrono::milliseconds delay, Done done) override {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(host), delay, std::move(done)});
  }
  // Those that wait now; each answer brings about the next look-up of its name.
  void Answer() {
    for (const Lookup& lookup : Take()) {
      lookup.done(answers[lookup.host]);
    }
  }
  std::vector<Lookup> Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(waiting_, {});
  }
  // The delays of those that wait, in order; they go on waiting.
  std::vector<std::chrono::milliseconds> Delays() {
    const std::lock_guard lock(mutex_);
    std::vector<std::chrono::milliseconds> delays;
    for (const Lookup& lookup : waiting_) {
      delays.push_back(lookup.delay);
    }
    return delays;
  }

  std::map<std::string, HostAddresses> answers;

 private:
  std::mutex mutex_;
  std::vector<Lookup> waiting_;
};

Config ConfigOf(const std::vector<std::string>& targets) {
  Config config;
  UpstreamConfig& upstream = config.upstreams.emplace_back();
  upstream.name = "postfix";
  for (const std::string& text : targets) {
    upstream.targets.push_back(*ParseUpstreamTarget(text, "25"));
    upstream.addresses.push_back(upstream.targets.back().endpoint);
  }
  RouteConfig& ingress = config.routes.emplace_back();
  ingress.listeners.push_back({.endpoint = *ParseEndpoint("0.0.0.0:25"), .implicit_tls = false});
  return config;
}

class UpstreamNamesTest : public testing::Test {
 protected:
  UpstreamNamesTest() {
    auto resolver = std::make_unique<FakeResolver>();
    resolver_ = resolver.get();
    names_ = std::make_unique<UpstreamNames>(
        std::move(resolver),
        UpstreamNames::Callbacks{
            .changed = [this] { ++changes_; },
            .note = [this](std::string_view sentence) { notes_.emplace_back(sentence); },
            .warn =
                [this](std::string_view sentence) {
                  std::this_thread::sleep_for(warning_takes_);
                  warnings_.emplace_back(sentence);
                }});
  }

  // It waits for answers to new names.
  void Follow(const Config& config) {
    const auto followed = std::async(std::launch::async, [&] { names_->Follow(config); });
    while (followed.wait_for(1ms) != std::future_status::ready) {
      resolver_->Answer();
    }
  }

  std::vector<std::string> Texts(const Config& config) const {
    std::vector<std::string> texts;
    const std::shared_ptr<const Config> filled = names_->Fill(config);
    for (const Endpoint& address : filled->upstreams[0].addresses) {
      texts.push_back(address.text + (address.known() ? "" : " unknown"));
    }
    return texts;
  }

  FakeResolver* resolver_;
  std::vector<std::string> notes_;
  std::vector<std::string> warnings_;
  int changes_ = 0;
  std::chrono::milliseconds warning_takes_{0};
  std::unique_ptr<UpstreamNames> names_;
};

using Words = std::vector<std::string>;

TEST_F(UpstreamNamesTest, TheWarningIsThereBeforeFollowReturns) {
  warning_takes_ = 50ms;
  resolver_->answers["nobody.example"] = Failure(Outcome::kNoAddress, "there is no such name");
  const Config config = ConfigOf({"nobody.example:25"});
  std::size_t warnings = 0;
  const auto followed = std::async(std::launch::async, [&] {
    names_->Follow(config);
    warnings = warnings_.size();
  });
  while (followed.wait_for(1ms) != std::future_status::ready) {
    resolver_->Answer();
  }
  EXPECT_EQ(warnings, 1U);
}

TEST_F(UpstreamNamesTest, AddressesInTheirPlaces) {
  resolver_->answers["mail.example"] = Found({"2001:db8::1", "192.0.2.1"});
  resolver_->answers["nobody.example"] = Failure(Outcome::kNoAddress, "there is no such name");
  const Config config =
      ConfigOf({"unix:/run/x", "mail.example:10025", "nobody.example:25", "192.0.2.9:25"});
  EXPECT_TRUE(HasHostNames(config));
  Follow(config);
  EXPECT_EQ(Texts(config), (Words{"unix:/run/x", "[2001:db8::1]:10025", "192.0.2.1:10025",
                                  "nobody.example:25 unknown", "192.0.2.9:25"}));
  EXPECT_EQ(notes_, Words{"mail.example is 2001:db8::1, 192.0.2.1"});
  EXPECT_EQ(warnings_, Words{"nobody.example: there is no such name; clients are told 421 until "
                             "it has an address"});
  EXPECT_TRUE(names_->TakeChange());
  EXPECT_FALSE(names_->TakeChange());
  EXPECT_EQ(changes_, 1);
}

// On a route of ingress clients are turned away at the greeting; where mail leaves, MAIL is
// refused.
TEST_F(UpstreamNamesTest, WhatItMeansThatANameHasNoAddress) {
  const std::string why = "nobody.example: there is no such name; ";
  resolver_->answers["nobody.example"] = Failure(Outcome::kNoAddress, "there is no such name");
  resolver_->answers["mail.example"] = Found({"192.0.2.1"});
  const auto fail_anew = [this] {
    resolver_->answers["nobody.example"] = Found({});
    resolver_->Answer();
    resolver_->answers["nobody.example"] = Failure(Outcome::kNoAddress, "there is no such name");
    resolver_->Answer();
    return warnings_.back();
  };
  Config egress = ConfigOf({"nobody.example:25"});
  egress.upstreams[0].is_partner = true;
  Follow(egress);
  EXPECT_EQ(warnings_, Words{why + "mail for it waits (451 to MAIL) until it has an address"});
  // A reload brings a route of ingress to the same name.
  Config both = ConfigOf({"nobody.example:25", "mail.example:25"});
  both.upstreams.push_back(egress.upstreams[0]);
  Follow(both);
  EXPECT_EQ(fail_anew(),
            why +
                "clients are told 421, and mail that leaves waits (451 to MAIL), until it has an "
                "address");
  // And another takes that of egress away.
  const Config ingress = ConfigOf({"nobody.example:25"});
  Follow(ingress);
  names_->Forget(ingress);
  EXPECT_EQ(fail_anew(), why + "clients are told 421 until it has an address");
}

TEST_F(UpstreamNamesTest, WithoutNames) {
  const Config config = ConfigOf({"127.0.0.1:10025"});
  EXPECT_FALSE(HasHostNames(config));
  names_->Follow(config);
  EXPECT_EQ(Texts(config), Words{"127.0.0.1:10025"});
  EXPECT_TRUE(resolver_->Delays().empty());
}

TEST_F(UpstreamNamesTest, OtherAddressesAreAChangeAndAnotherOrderIsNone) {
  const Config config = ConfigOf({"mail.example:25", "mail.example:26"});
  resolver_->answers["mail.example"] = Found({"192.0.2.1", "192.0.2.2"});
  Follow(config);
  (void)names_->TakeChange();
  ASSERT_EQ(resolver_->Delays().size(), 1U) << "one look-up for both ports";
  resolver_->answers["mail.example"] = Found({"192.0.2.2", "192.0.2.1"});
  resolver_->Answer();
  EXPECT_FALSE(names_->TakeChange());
  resolver_->answers["mail.example"] = Found({"192.0.2.2", "192.0.2.3"});
  resolver_->Answer();
  EXPECT_TRUE(names_->TakeChange());
  EXPECT_EQ(Texts(config), (Words{"192.0.2.2:25", "192.0.2.3:25", "192.0.2.2:26", "192.0.2.3:26"}));
  resolver_->answers["mail.example"] = Found({"192.0.2.3"});
  resolver_->Answer();
  EXPECT_TRUE(names_->TakeChange());
  EXPECT_EQ(changes_, 3);
}

TEST_F(UpstreamNamesTest, AFailureKeepsTheAddresses) {
  const Config config = ConfigOf({"mail.example:25"});
  resolver_->answers["mail.example"] = Found({"192.0.2.1"});
  Follow(config);
  (void)names_->TakeChange();
  resolver_->answers["mail.example"] = Failure(Outcome::kFailed, "no answer within 10 s");
  resolver_->Answer();
  resolver_->answers["mail.example"] = Failure(Outcome::kNoAddress, "there is no such name");
  resolver_->Answer();
  EXPECT_EQ(Texts(config), Words{"192.0.2.1:25"});
  EXPECT_FALSE(names_->TakeChange());
  EXPECT_EQ(warnings_, Words{"mail.example: no answer within 10 s; the addresses that it had stay "
                             "in use"});
  // Back with the same: nothing has changed, and the next failure is worth a line again.
  resolver_->answers["mail.example"] = Found({"192.0.2.1"});
  resolver_->Answer();
  EXPECT_EQ(notes_.size(), 1U);
  resolver_->answers["mail.example"] = Failure(Outcome::kNoAddress, "there is no such name");
  resolver_->Answer();
  EXPECT_EQ(warnings_.size(), 2U);
}

TEST_F(UpstreamNamesTest, WhenItAsksAgain) {
  const Config config = ConfigOf({"mail.example:25"});
  const auto next = [&](HostAddresses answer) {
    resolver_->answers["mail.example"] = std::move(answer);
    resolver_->Answer();
    const auto delays = resolver_->Delays();
    return delays.size() == 1 ? delays.front() : -1ms;
  };
  resolver_->answers["mail.example"] = Found({"192.0.2.1"}, 30s);
  Follow(config);
  EXPECT_EQ(next(Found({"192.0.2.1"}, 30s)), 30s);
  EXPECT_EQ(next(Found({"192.0.2.1"}, 0s)), 5s);
  EXPECT_EQ(next(Found({"192.0.2.1"}, 86400s)), 60s);
  for (const auto wanted : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    EXPECT_EQ(next(Failure(Outcome::kFailed, "x")), wanted);
  }
  EXPECT_EQ(next(Found({"192.0.2.1"}, 7s)), 7s);
  EXPECT_EQ(next(Failure(Outcome::kNoAddress, "x")), 1s);
}

TEST_F(UpstreamNamesTest, AnotherConfiguration) {
  resolver_->answers["one.example"] = Found({"192.0.2.1"});
  resolver_->answers["two.example"] = Found({"192.0.2.2"});
  Follow(ConfigOf({"one.example:25"}));
  const Config both = ConfigOf({"one.example:25", "two.example:25"});
  const auto old = resolver_->Take();  // the next look-up of the first name
  Follow(both);
  EXPECT_EQ(Texts(both), (Words{"192.0.2.1:25", "192.0.2.2:25"}));
  const Config second = ConfigOf({"two.example:25"});
  Follow(second);
  names_->Forget(second);
  (void)names_->TakeChange();
  // Nobody wants to know any more, and it is not asked for again.
  const std::size_t waiting = resolver_->Delays().size();
  old.front().done(Found({"192.0.2.9"}));
  EXPECT_FALSE(names_->TakeChange());
  EXPECT_EQ(resolver_->Delays().size(), waiting);
  EXPECT_EQ(notes_.size(), 2U);
  // One that comes back is looked up anew; the answer to the look-up of before is none to this one.
  Follow(both);
  old.front().done(Found({"192.0.2.9"}));
  EXPECT_EQ(Texts(both), (Words{"192.0.2.1:25", "192.0.2.2:25"}));
}

// A reload that fails keeps what the names in force have, however often they fail meanwhile.
TEST_F(UpstreamNamesTest, AConfigurationThatIsNotTaken) {
  const Config running = ConfigOf({"one.example:25"});
  resolver_->answers["one.example"] = Found({"192.0.2.1"});
  Follow(running);
  resolver_->answers["one.example"] = Failure(Outcome::kFailed, "x");
  resolver_->answers["two.example"] = Found({"192.0.2.2"});
  Follow(ConfigOf({"two.example:25"}));
  names_->Forget(running);
  EXPECT_EQ(Texts(running), Words{"192.0.2.1:25"});
}

TEST_F(UpstreamNamesTest, WhoIsAskedToEndDoesNotWait) {
  const Config config = ConfigOf({"mail.example:25"});
  names_->Follow(config, [] { return true; });
  EXPECT_EQ(Texts(config), Words{"mail.example:25 unknown"});
}

TEST_F(UpstreamNamesTest, OneAddressOfTwoNamesIsTriedOnce) {
  const Config config =
      ConfigOf({"192.0.2.1:25", "one.example:25", "two.example:25", "one.example:26"});
  resolver_->answers["one.example"] = Found({"192.0.2.1", "192.0.2.2", "192.0.2.2"});
  resolver_->answers["two.example"] = Found({"192.0.2.2"});
  Follow(config);
  EXPECT_EQ(Texts(config), (Words{"192.0.2.1:25", "192.0.2.2:25", "192.0.2.1:26", "192.0.2.2:26"}));
}

TEST_F(UpstreamNamesTest, OneAddressOfAPartnerIsTriedUnderEachName) {
  resolver_->answers["one.example"] = Found({"192.0.2.1"});
  resolver_->answers["two.example"] = Found({"192.0.2.1"});
  Config config = ConfigOf({"One.example:25", "two.example:25"});
  config.upstreams[0].is_partner = true;
  resolver_->answers["One.example"] = Found({"192.0.2.1"});
  Follow(config);
  const std::shared_ptr<const Config> filled = names_->Fill(config);
  ASSERT_EQ(filled->upstreams[0].addresses.size(), 2U);
  EXPECT_EQ(filled->upstreams[0].addresses[0].host, "one.example");
  EXPECT_EQ(filled->upstreams[0].addresses[1].host, "two.example");
}

TEST_F(UpstreamNamesTest, AddressesThatLeadBack) {
  const Config config = ConfigOf({"mail.example:25"});
  resolver_->answers["mail.example"] = Found({"127.0.0.1", "192.0.2.1"});
  Follow(config);
  EXPECT_EQ(Texts(config), Words{"192.0.2.1:25"});
  EXPECT_EQ(names_->Fill(config)->warnings,
            Words{"upstream \"postfix\": mail.example is 127.0.0.1:25, where ringpost itself "
                  "listens; that address is not used"});
  resolver_->answers["mail.example"] = Found({"127.0.0.1"});
  resolver_->Answer();
  EXPECT_EQ(Texts(config), Words{"mail.example:25 unknown"});
}

TEST_F(UpstreamNamesTest, MoreAddressesThanSessionsCanTellApart) {
  std::vector<std::string> many;
  for (int i = 0; i < 70; ++i) {
    many.push_back("192.0.2." + std::to_string(i));
  }
  const Config config = ConfigOf({"mail.example:25"});
  resolver_->answers["mail.example"] = Found(many);
  Follow(config);
  EXPECT_EQ(Texts(config).size(), 64U);
  EXPECT_EQ(names_->Fill(config)->warnings.size(), 1U);
}

}  // namespace
}  // namespace ringpost
