// SPDX-License-Identifier: GPL-3.0-or-later
//
// The part of RandomClient that breaks the rules on purpose.
#include <gtest/gtest.h>

#include <array>
#include <string_view>

#include "random_client.h"

namespace ringpost {
namespace {

using namespace std::literals;

constexpr TimeNs kDripInterval = 10 * kNsPerSecond;
constexpr std::size_t kFloodRecords = 700;

constexpr std::array kBadChunks = {"BDAT 18446744073709551616 LAST\r\n"sv,
                                   "BDAT -1\r\n"sv,
                                   "BDAT 0x10\r\n"sv,
                                   "BDAT +5\r\n"sv,
                                   "BDAT 1 LAST LAST\r\n"sv,
                                   "BDAT\r\n"sv};
constexpr std::array kForeignWords = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n"sv,
                                      "POST /a HTTP/1.0\r\n\r\n"sv, "CONNECT a:25 HTTP/1.1\r\n"sv,
                                      "PROXY TCP4 127.0.0.1 127.0.0.1 1 25\r\n"sv};
constexpr std::array kInjections = {"NOOP\r\n"sv, "EHLO x\r\nMAIL FROM:<evil@client.example>\r\n"sv,
                                    "X"sv, "\x16\x03\x01"sv};
constexpr std::array kNoRecords = {
    "QUIT\r\n"sv, "\x17\x03\x03\x00\x28 this is not sealed with any key at all.."sv,
    "\x17\x03\x03\xff\xff"sv, "\x16\x03\x03\x00\x04\x01\x00\x00\x00"sv,
    "\x15\x03\x03\x00\x02\x02\x28"sv};
constexpr std::array kNoHellos = {"EHLO client.example\r\n"sv,
                                  "\x80\x2e\x01\x00\x02"sv,
                                  "\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00"sv,
                                  "\x16\x03\x01\xff\xff\x01"sv,
                                  "\x15\x03\x01\x00\x02\x02\x28"sv,
                                  "\x17\x03\x03\x00\x01\x00"sv};

}  // namespace

bool RandomClient::MischiefDue() const {
  return options_.mischief != Mischief::kNone && !mischief_done_ &&
         groups_ >= options_.mischief_after;
}

// Said, and how much of it reaches the backend is only known to be a part of `expected` from its
// front.
void RandomClient::Utter(const std::string& sent, const std::string& expected) {
  if (!expected.empty()) {
    script_.back().push_back({.what = Utterance::kOther,
                              .reaches = Reaches::kAlways,
                              .sent = sent,
                              .expected = expected});
  }
  end_.Say(sent);
}

bool RandomClient::TryMischief() {
  const auto pick = [this](const auto& list) { return std::string(list[Below(list.size())]); };
  switch (options_.mischief) {
    case Mischief::kSilence:
      break;
    case Mischief::kEof:
      end_.CloseSend();
      break;
    case Mischief::kInjection:
      // In a transaction it would only be refused.
      if (in_tls() || options_.implicit_tls || next_ == Next::kContent || next_ == Next::kRest) {
        return false;
      }
      script_.back().push_back({.what = Utterance::kQuit,  // ringpost's own, to the old connection
                                .reaches = Reaches::kPerhaps,
                                .sent = "",
                                .expected = "QUIT\r\n"});
      end_.Say("STARTTLS\r\n" + pick(kInjections));
      break;
    case Mischief::kLongLine:
      end_.Say(std::string(70'000, 'x'));
      break;
    case Mischief::kBdatSyntax:
      end_.Say(pick(kBadChunks));
      break;
    case Mischief::kForeign:
      end_.Say(pick(kForeignWords));
      break;
    case Mischief::kManyErrors:
      for (int i = 0; i < 30; ++i) {
        end_.Say("FROBNICATE\r\n");
      }
      break;
    case Mischief::kHalfCommand:
      end_.set_octets_left(1 + Below(in_tls() ? 27 : 5));
      end_.Say("NOOP\r\n");
      break;
    case Mischief::kGarbageRecord:
      if (!in_tls()) {
        return false;
      }
      listening_ = false;
      end_.Raw(pick(kNoRecords));
      break;
    case Mischief::kNotify:
      if (!in_tls()) {
        return false;
      }
      end_.Notify();
      end_.Raw("NOOP\r\nQUIT\r\n");
      break;
    case Mischief::kNeverReads: {
      end_.set_reading(false);
      std::string noops;
      for (int i = 0; i < 800; ++i) {
        noops += "NOOP much\r\n";  // the replies are long
      }
      Utter(noops, noops);
      done_ = true;  // nothing that happens is noticed
      break;
    }
    case Mischief::kEarlyContent: {
      if (next_ != Next::kMessage) {
        return false;
      }
      Add(Utterance::kMail, "MAIL FROM:<early@client.example>\r\n");
      Add(Utterance::kRcpt, "RCPT TO:<b@d.example>\r\n", Reaches::kPerhaps);
      Add(Utterance::kData, "DATA\r\n", Reaches::kPerhaps);
      Add(Utterance::kContent, "FROBNICATE\r\n.\r\n", Reaches::kPerhaps);
      SendGroup();
      break;
    }
    default:
      return false;  // not here
  }
  mischief_done_ = true;
  Note("-- misbehaves: " + std::string(MischiefName(options_.mischief)));
  return true;
}

// Instead of a handshake.
void RandomClient::MisbehaveAtTls() {
  mischief_done_ = true;
  Note("-- misbehaves: " + std::string(MischiefName(options_.mischief)));
  listening_ = options_.mischief != Mischief::kGarbageHello;  // what comes is no SMTP
  switch (options_.mischief) {
    case Mischief::kGarbageHello:
      end_.Raw(kNoHellos[Below(kNoHellos.size())]);
      break;
    case Mischief::kRecordFlood:
      end_.StartTls(options_.tls);
      // A ClientKeyExchange in records of an octet each, where TLS 1.2 would have one.
      for (std::size_t i = 0; i < kFloodRecords; ++i) {
        end_.Raw(i == 0 ? "\x16\x03\x03\x00\x04\x10\x00\x10\x00"sv : "\x16\x03\x03\x00\x01x"sv);
      }
      break;
    default:
      end_.set_octets_left(1 + Below(150));
      end_.StartTls(options_.tls);
      if (options_.mischief == Mischief::kCutHello) {
        end_.CloseSend();
      }
  }
}

// `sent` is content, or a chunk, without its end.
void RandomClient::MisbehaveInContent(const std::string& sent, const std::string& expected) {
  // What was never said, so that no end can be taken for this one.
  constexpr std::string_view kNever = "\x01never";
  mischief_done_ = true;
  Note("-- misbehaves: " + std::string(MischiefName(options_.mischief)));
  if (options_.mischief == Mischief::kBareNewline) {
    Utter(sent + "evil\n.\r\n", expected + "evil" + std::string(kNever));
    return;
  }
  std::string said = sent.substr(0, Below(sent.size() + 1));
  if (!use_bdat_ && said.size() == sent.size() && Below(2) == 0) {
    said += ".\r";
  }
  std::string arrives = expected;
  if (use_bdat_) {
    said.resize(std::min(said.size(), sent.size() - 1));
  } else if (said.size() >= sent.size()) {
    arrives += ".\r";
  }
  const std::string image = arrives + std::string(kNever);
  switch (options_.mischief) {
    case Mischief::kHalfContent:
      Utter(said, image);
      break;
    case Mischief::kTruncated:
      Utter(said, image);
      end_.CloseSend();
      break;
    case Mischief::kTruncatedReset:
      Utter(said, image);
      end_.Reset();
      break;
    case Mischief::kTruncatedNotify:
      Utter(said, image);
      if (in_tls()) {
        end_.Notify();
        end_.Raw("\r\n.\r\nQUIT\r\n");
      } else {
        end_.CloseSend();
      }
      break;
    case Mischief::kDrip:
      Utter("", image);
      drip_ = said;
      Drip();
      break;
    default:
      break;
  }
}

void RandomClient::Drip() {
  end_.Say(drip_.substr(0, 1));
  drip_.erase(0, std::min<std::size_t>(drip_.size(), 1));
  After(kDripInterval, &RandomClient::Drip);
}

void RandomClient::OnReplyAfterMischief(const std::string& reply) {
  // Where octets behind STARTTLS arrived late it was answered; and then there is no SMTP any more.
  if (options_.mischief == Mischief::kInjection && reply.starts_with("220 2.0.0 Ready")) {
    listening_ = false;
    return;
  }
  if (!awaiting_.empty()) {  // of the chunks before the one that was cut
    const ScriptItem item = awaiting_.front();
    awaiting_.pop_front();
    CheckReply(item, reply);
    return;
  }
  if (options_.mischief == Mischief::kNeverReads) {
    return;
  }
  EXPECT_TRUE(reply[0] == '4' || reply[0] == '5')
      << "an answer to " << MischiefName(options_.mischief) << ": " << reply;
}

}  // namespace ringpost
