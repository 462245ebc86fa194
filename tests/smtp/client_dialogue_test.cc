// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/smtp/client_dialogue.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ringpost {
namespace {

using Kind = DialogueStep::Kind;

constexpr std::string_view kGreeting = "220 mx.partner.example ESMTP\r\n";
constexpr std::string_view kWithStarttls =
    "250-mx.partner.example\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250 8BITMIME\r\n";
constexpr std::string_view kWithout = "250-mx.partner.example\r\n250 SIZE 1000\r\n";

// A server's side: what it says is offered in pieces, and what it hears is kept.
class Partner {
 public:
  explicit Partner(StarttlsUse use, ClientDialogue::Tls tls = ClientDialogue::Tls::kStarttls,
                   std::size_t piece = 1 << 20)
      : dialogue_(use, tls), piece_(piece) {}

  ClientDialogue& dialogue() { return dialogue_; }
  // The steps that what it says leads to; the last may be kNeedInput.
  Kind Says(std::string_view text, bool eof = false) {
    DialogueStep step;
    do {
      input_ += text.substr(0, piece_);
      text.remove_prefix(std::min(text.size(), piece_));
      step = Play(eof && text.empty());
    } while (step.kind == Kind::kNeedInput && !text.empty());
    input_ += text;
    return step.kind;
  }
  DialogueStep Play(bool eof = false) {
    for (;;) {
      const DialogueStep step = dialogue_.Next(input_, input_.size(), eof);
      heard_ += step.text;
      fault_ = step.fault;
      said_ = step.kind == Kind::kFailed ? std::string(step.text) : std::string();
      input_.erase(0, step.octets);
      if (step.kind != Kind::kSay || (step.text.empty() && input_.empty())) {
        return step.kind == Kind::kSay ? DialogueStep{} : step;
      }
    }
  }
  std::string TakeHeard() { return std::exchange(heard_, {}); }
  [[nodiscard]] const std::string& input() const { return input_; }
  [[nodiscard]] DialogueFault fault() const { return fault_; }
  [[nodiscard]] const std::string& said() const { return said_; }

 private:
  ClientDialogue dialogue_;
  std::size_t piece_;
  std::string input_;
  std::string heard_;
  std::string said_;
  DialogueFault fault_ = DialogueFault::kNone;
};

TEST(ClientDialogue, StarttlsAndTheSendersHelloInside) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    Partner partner(StarttlsUse::kAlways, ClientDialogue::Tls::kStarttls, piece);
    partner.dialogue().SetHello("EHLO mta.example\r\n");
    EXPECT_EQ(partner.Says(kGreeting), Kind::kNeedInput);
    EXPECT_EQ(partner.TakeHeard(), "EHLO mta.example\r\n");
    EXPECT_EQ(partner.Says(kWithStarttls), Kind::kNeedInput);
    EXPECT_EQ(partner.TakeHeard(), "STARTTLS\r\n");
    EXPECT_EQ(partner.Says("220 go ahead\r\n"), Kind::kStartTls);
    EXPECT_EQ(partner.input(), "");
    partner.dialogue().TlsEstablished();
    EXPECT_EQ(partner.Play().kind, Kind::kReady);
    EXPECT_EQ(partner.TakeHeard(), "EHLO mta.example\r\n");
    EXPECT_TRUE(partner.dialogue().in_tls());
  }
}

TEST(ClientDialogue, NothingIsSaidBeforeTheSendersHello) {
  Partner partner(StarttlsUse::kIfOffered);
  EXPECT_EQ(partner.Says(kGreeting), Kind::kNeedInput);
  EXPECT_EQ(partner.TakeHeard(), "");
  partner.dialogue().SetHello("HELO old.example\r\n");
  EXPECT_EQ(partner.Play().kind, Kind::kNeedInput);
  EXPECT_EQ(partner.TakeHeard(), "EHLO old.example\r\n");
  EXPECT_EQ(partner.Says(kWithStarttls), Kind::kNeedInput);
  EXPECT_EQ(partner.TakeHeard(), "STARTTLS\r\n");
  EXPECT_EQ(partner.Says("220 go ahead\r\n"), Kind::kStartTls);
  partner.dialogue().TlsEstablished();
  EXPECT_EQ(partner.Play().kind, Kind::kReady);
  EXPECT_EQ(partner.TakeHeard(), "HELO old.example\r\n");
}

TEST(ClientDialogue, ImplicitTls) {
  Partner partner(StarttlsUse::kAlways, ClientDialogue::Tls::kImplicit);
  partner.dialogue().SetHello("EHLO mta.example\r\n");
  partner.dialogue().TlsEstablished();
  EXPECT_EQ(partner.Says(kGreeting), Kind::kReady);
  EXPECT_EQ(partner.TakeHeard(), "EHLO mta.example\r\n");
}

TEST(ClientDialogue, InClear) {
  Partner never(StarttlsUse::kNever);
  never.dialogue().SetHello("EHLO mta.example\r\n");
  EXPECT_EQ(never.Says(kGreeting), Kind::kReady);
  EXPECT_EQ(never.TakeHeard(), "EHLO mta.example\r\n");

  // The reply is that to the sender's own EHLO, and stays for the relay.
  Partner without(StarttlsUse::kIfOffered);
  without.dialogue().SetHello("EHLO mta.example\r\n");
  EXPECT_EQ(without.Says(kGreeting), Kind::kNeedInput);
  EXPECT_EQ(without.Says(kWithout), Kind::kReady);
  EXPECT_EQ(without.input(), kWithout);
  EXPECT_EQ(without.TakeHeard(), "EHLO mta.example\r\n");

  Partner old(StarttlsUse::kIfOffered);
  old.dialogue().SetHello("HELO mta.example\r\n");
  EXPECT_EQ(old.Says(kGreeting), Kind::kNeedInput);
  EXPECT_EQ(old.Says(kWithout), Kind::kReady);
  EXPECT_EQ(old.input(), "");
  EXPECT_EQ(old.TakeHeard(), "EHLO mta.example\r\nHELO mta.example\r\n");
}

TEST(ClientDialogue, StarttlsIsAKeywordOfItsOwn) {
  for (const std::string line :
       {"XSECURITY=NONE,STARTTLS", "XSTARTTLS", "STARTTLS2", "AUTH STARTTLS", "START TLS"}) {
    Partner partner(StarttlsUse::kAlways);
    partner.dialogue().SetHello("EHLO mta.example\r\n");
    (void)partner.Says(kGreeting);
    EXPECT_EQ(partner.Says("250-STARTTLS\r\n250 " + line + "\r\n"), Kind::kFailed) << line;
    EXPECT_EQ(partner.fault(), DialogueFault::kNotOffered);
  }
  for (const std::string line : {"STARTTLS", "starttls", "StartTLS "}) {
    Partner partner(StarttlsUse::kAlways);
    partner.dialogue().SetHello("EHLO mta.example\r\n");
    (void)partner.Says(kGreeting);
    EXPECT_EQ(partner.Says("250-mx\r\n250 " + line + "\r\n"), Kind::kNeedInput) << line;
    EXPECT_TRUE(partner.TakeHeard().ends_with("STARTTLS\r\n"));
  }
}

// What each way of refusing leads to, for a sender that has to have TLS and for one that need not.
TEST(ClientDialogue, Refusals) {
  struct Case {
    std::vector<std::string> says;
    DialogueFault always;
    bool goes_on_in_clear;
  };
  const std::string greeting(kGreeting);
  const std::string offers(kWithStarttls);
  const std::vector<Case> cases = {
      {{"554 no\r\n"}, DialogueFault::kGreeting, false},
      {{"421 busy\r\n"}, DialogueFault::kGreeting, false},
      {{"250 mx\r\n"}, DialogueFault::kOutOfStep, false},
      {{"hello\r\n"}, DialogueFault::kOutOfStep, false},
      {{greeting + "250 mx\r\n"}, DialogueFault::kOutOfStep, false},
      {{greeting, "502 no\r\n"}, DialogueFault::kNotOffered, true},
      {{greeting, "450 later\r\n"}, DialogueFault::kHello, false},
      {{greeting, "354 go\r\n"}, DialogueFault::kOutOfStep, false},
      {{greeting, std::string(kWithout)}, DialogueFault::kNotOffered, true},
      {{greeting, offers + "220 go ahead\r\n"}, DialogueFault::kOutOfStep, false},
      {{greeting, offers, "454 4.7.0 no\r\n"}, DialogueFault::kStarttls, true},
      {{greeting, offers, "502 no\r\n"}, DialogueFault::kStarttls, true},
      {{greeting, offers, "540 no\r\n"}, DialogueFault::kStarttls, true},
      {{greeting, offers, "250 fine\r\n"}, DialogueFault::kOutOfStep, false},
      {{greeting, offers, "354 go\r\n"}, DialogueFault::kOutOfStep, false},
      {{greeting, offers, "220 go ahead\r\n250 injected\r\n"}, DialogueFault::kInjection, false},
      {{greeting, offers, "220 go ahead\r\n\x16"}, DialogueFault::kInjection, false},
  };
  for (const Case& one : cases) {
    for (const StarttlsUse use : {StarttlsUse::kAlways, StarttlsUse::kIfOffered}) {
      SCOPED_TRACE(one.says.back() + (use == StarttlsUse::kAlways ? " always" : " if offered"));
      Partner partner(use);
      partner.dialogue().SetHello("EHLO mta.example\r\n");
      Kind kind = Kind::kNeedInput;
      for (const std::string& text : one.says) {
        ASSERT_EQ(kind, Kind::kNeedInput);
        kind = partner.Says(text);
      }
      if (use == StarttlsUse::kIfOffered && one.goes_on_in_clear) {
        EXPECT_EQ(kind, Kind::kReady);
        EXPECT_FALSE(partner.dialogue().in_tls());
      } else {
        EXPECT_EQ(kind, Kind::kFailed);
        EXPECT_EQ(partner.fault(), one.always);
        EXPECT_FALSE(DialogueFaultText(partner.fault()).empty());
      }
      EXPECT_EQ(partner.TakeHeard().find("MAIL"), std::string::npos);
    }
  }
}

// Where a refusal lets the session go on in clear, what comes behind it would be taken for the
// reply to the next command.
TEST(ClientDialogue, ARefusalWithMoreBehindIt) {
  Partner starttls(StarttlsUse::kIfOffered);
  starttls.dialogue().SetHello("EHLO mta.example\r\n");
  EXPECT_EQ(starttls.Says(kGreeting), Kind::kNeedInput);
  EXPECT_EQ(starttls.Says(kWithStarttls), Kind::kNeedInput);
  EXPECT_EQ(starttls.Says("454 later\r\n250 mx\r\n"), Kind::kFailed);
  EXPECT_EQ(starttls.fault(), DialogueFault::kOutOfStep);
  EXPECT_EQ(starttls.said(), "250 mx");

  Partner hello(StarttlsUse::kIfOffered);
  hello.dialogue().SetHello("EHLO mta.example\r\n");
  EXPECT_EQ(hello.Says(kGreeting), Kind::kNeedInput);
  EXPECT_EQ(hello.Says("502 what\r\n250 mx\r\n"), Kind::kFailed);
  EXPECT_EQ(hello.fault(), DialogueFault::kOutOfStep);

  Partner early(StarttlsUse::kAlways);
  early.dialogue().SetHello("EHLO mta.example\r\n");
  EXPECT_EQ(early.Says(kGreeting), Kind::kNeedInput);
  EXPECT_EQ(early.Says(kWithStarttls), Kind::kNeedInput);
  EXPECT_EQ(early.Says("220 go\r\n"), Kind::kStartTls);
  early.dialogue().TlsEstablished();
  EXPECT_EQ(early.Says("250 mx\r\n"), Kind::kFailed);
  EXPECT_EQ(early.fault(), DialogueFault::kOutOfStep);
}

TEST(ClientDialogue, WhatIsBehindAReplyIsQuoted) {
  Partner greeting(StarttlsUse::kAlways);
  EXPECT_EQ(greeting.Says("220 mx ESMTP\r\n250 injected\r\n"), Kind::kFailed);
  EXPECT_EQ(greeting.fault(), DialogueFault::kOutOfStep);
  EXPECT_EQ(greeting.said(), "250 injected");

  Partner starttls(StarttlsUse::kAlways);
  starttls.dialogue().SetHello("EHLO mta.example\r\n");
  EXPECT_EQ(starttls.Says(kGreeting), Kind::kNeedInput);
  EXPECT_EQ(starttls.Says(kWithStarttls), Kind::kNeedInput);
  EXPECT_EQ(starttls.Says("220 go\r\n250-injected\r\n250 AUTH\r\n"), Kind::kFailed);
  EXPECT_EQ(starttls.fault(), DialogueFault::kInjection);
  EXPECT_EQ(starttls.said(), "250-injected");

  Partner refusal(StarttlsUse::kAlways);  // the server says so itself, and then ends
  EXPECT_EQ(refusal.Says("554 no service\r\n421 bye\r\n"), Kind::kFailed);
  EXPECT_EQ(refusal.said(), "554 no service");
}

TEST(ClientDialogue, EndsOfTheConnection) {
  for (const std::string part : {"", "220 mx", "220-mx\r\n"}) {
    Partner partner(StarttlsUse::kIfOffered);
    EXPECT_EQ(partner.Says(part, true), Kind::kFailed);
    EXPECT_EQ(partner.fault(), DialogueFault::kClosed);
    EXPECT_EQ(partner.said(), part.substr(0, part.find('\r')));
  }
}

TEST(ClientDialogue, RepliesWithoutAnEnd) {
  std::string reply;
  while (reply.size() < 20'000) {
    reply += "220-mx.partner.example\r\n";
  }
  Partner partner(StarttlsUse::kIfOffered);
  EXPECT_EQ(partner.Says(reply), Kind::kFailed);
  EXPECT_EQ(partner.fault(), DialogueFault::kOutOfStep);
}

}  // namespace
}  // namespace ringpost
