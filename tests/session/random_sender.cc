// SPDX-License-Identifier: GPL-3.0-or-later
#include "random_sender.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "ringpost/io/socket.h"

namespace ringpost {
namespace {

constexpr std::size_t kHistoryMax = 30;
constexpr std::size_t kHistoryTextMax = 100;
constexpr std::string_view kGreeting = "220 mx.example.test ESMTP\r\n";

// The first complete reply at the front of `received`, or nothing.
std::string TakeReply(std::string& received) {
  std::size_t begin = 0;
  for (;;) {
    const std::size_t end = received.find("\r\n", begin);
    if (end == std::string::npos) {
      return "";
    }
    if (end - begin < 4 || received[begin + 3] != '-') {
      std::string reply = received.substr(0, end + 2);
      received.erase(0, end + 2);
      return reply;
    }
    begin = end + 2;
  }
}

bool IsRefusal(std::string_view reply) { return reply[0] == '4' || reply[0] == '5'; }

}  // namespace

RandomSender::RandomSender(SessionWorld* world, SimPeer peer, const SenderOptions& options,
                           const PartnerServer* partner, Ledger* ledger)
    : world_(world),
      options_(options),
      partner_(partner),
      ledger_(ledger),
      end_(std::move(peer)),
      port_(PortOf(end_.peer().address())),
      name_("sender " + std::to_string(port_)),
      alive_(std::make_shared<RandomSender*>(this)) {
  messages_left_ = 1 + static_cast<int>(Below(3));
  Note("-- connects");
  end_.OnChange([this] { OnChange(); });
}

void RandomSender::Note(std::string_view text) {
  text = text.substr(0, std::min<std::size_t>(text.find('\r'), kHistoryTextMax));
  world_->io().Say(name_, text);
  history_.push_back(std::to_string(world_->io().elapsed() / kNsPerMs) + " " + std::string(text));
  if (history_.size() > kHistoryMax) {
    history_.pop_front();
  }
}

// --- What it hears

void RandomSender::OnChange() {
  // What it says may change its end at once: the outer call goes on.
  if (moving_ || done_) {
    return;
  }
  moving_ = true;
  while (!done_) {
    const std::string reply = TakeReply(end_.received());
    if (reply.empty()) {
      break;
    }
    OnReply(reply);
  }
  moving_ = false;
  if (!done_ && end_.ended()) {
    Note("-- ended");
    done_ = true;
    if (!end_.peer().was_reset()) {
      end_.Close();
    }
  }
}

void RandomSender::OnReply(const std::string& reply) {
  Note("<- " + reply);
  EXPECT_FALSE(heard_421_) << "a reply behind 421: " << reply;
  if (reply.starts_with("421")) {
    heard_421_ = true;
    return;  // the connection ends now, whatever was asked
  }
  if (!greeted_) {
    // Postfix passes over a next hop that does not greet, and its queue does not say why.
    EXPECT_EQ(reply, kGreeting);
    greeted_ = true;
    Hello();
    Send();
    return;
  }
  if (awaiting_.empty()) {
    ADD_FAILURE() << "a reply to nothing: " << reply;
    return;
  }
  const Item item = awaiting_.front();
  awaiting_.pop_front();
  CheckReply(item, reply);
  OnHeard(item, reply);
}

void RandomSender::CheckReply(const Item& item, const std::string& reply) {
  switch (item.what) {
    case What::kHello:
      EXPECT_TRUE(reply.starts_with("250")) << reply;
      return;
    case What::kQuit:
      EXPECT_TRUE(reply.starts_with("221")) << reply;
      return;
    case What::kOther:
      return;
    case What::kMail:
    case What::kRcpt:
    case What::kData:
      // PROTOCOL 7.
      EXPECT_TRUE(IsRefusal(reply) || partner_->HasSaid(reply, item.command))
          << "nobody's reply: " << reply << " to " << item.command;
      break;
    case What::kContent:
      // What is said of a message counts as far as it goes (PROTOCOL 10): the code alone will do.
      EXPECT_TRUE(IsRefusal(reply) || message().stored > 0)
          << sender_ << " is acknowledged and not stored: " << reply;
      break;
  }
  if (IsRefusal(reply) && !partner_->HasSaid(reply, item.command)) {
    CheckRefusal(item, reply);
  }
}

// One of ringpost's own. 5yz to MAIL would send the mail back.
void RandomSender::CheckRefusal(const Item& item, const std::string& reply) {
  EXPECT_LE(reply.size(), kReplyLineMax);
  EXPECT_TRUE(std::all_of(reply.begin(), reply.end() - 2, [](char c) {
    return c >= ' ' && c <= '~';
  })) << reply;
  if (item.what != What::kMail) {
    // Or why the server is not there any more, to what it still had to answer.
    EXPECT_TRUE(reply == "503 5.5.1 Error: need MAIL command\r\n" || reply.starts_with("451 4."))
        << reply << item.command;
    return;
  }
  ++held_;
  const bool bounced = options_.hard_bounce && partner_->has_failed_for_good();
  EXPECT_TRUE(reply.starts_with("450 4.7.") || reply.starts_with("451 4.") ||
              (bounced && reply.starts_with("550 5.7.")))
      << reply;
  EXPECT_NE(reply.find(" " + std::string(kPartnerHost) + " (127.0.0.1:"), std::string::npos)
      << reply;
}

void RandomSender::OnHeard(const Item& item, const std::string& reply) {
  const bool accepted = !IsRefusal(reply);
  switch (item.what) {
    case What::kHello:
      pipelining_ = reply.find("PIPELINING") != std::string::npos;
      chunking_ = reply.find("CHUNKING") != std::string::npos;
      break;
    case What::kMail:
      mail_accepted_ = accepted;
      break;
    case What::kRcpt:
      if (accepted) {
        recipient_accepted_ = true;
        message().recipients.push_back(item.command);
      }
      break;
    case What::kData:
      data_accepted_ = accepted;
      break;
    case What::kContent:
      if (accepted) {
        message().acknowledged = true;
        ++acknowledged_;
      }
      break;
    case What::kOther:
      break;
    case What::kQuit:
      completed_ = true;
      return;
  }
  if (world_->io().random().Happens(options_.vanish)) {
    Vanish();
  } else if (!group_.empty() || !later_.empty()) {
    Send();
  } else if (awaiting_.empty()) {
    ContinueSoon();
  }
}

// --- What it says

void RandomSender::ContinueSoon() {
  if (Below(10) > 0) {
    Continue();
    return;
  }
  world_->io().After(static_cast<TimeNs>(Below(3'000)) * kNsPerMs, [alive = alive_] {
    if (*alive != nullptr && !(*alive)->done_ && !(*alive)->heard_421_) {
      (*alive)->Continue();
    }
  });
}

void RandomSender::Continue() {
  switch (next_) {
    case Next::kMessage:
      BeginMessage();
      break;
    case Next::kContent:
      SendContent();
      break;
    case Next::kRetry:
      Retry();
      break;
    case Next::kQuit:
      Add(What::kQuit, "QUIT\r\n");
      break;
  }
  Send();
}

void RandomSender::Hello() {
  Add(What::kHello, Below(8) == 0 ? "HELO mta.example\r\n" : "EHLO mta.example\r\n");
}

void RandomSender::BeginMessage() {
  if (messages_left_-- <= 0) {
    next_ = Next::kQuit;
    Continue();
    return;
  }
  sender_ =
      std::string("m") + std::to_string(port_) + "." + std::to_string(++number_) + "@mta.example";
  message().content = DrawContent();
  mail_accepted_ = recipient_accepted_ = data_accepted_ = false;
  Add(What::kMail, "MAIL FROM:<" + sender_ + ">\r\n");
  const std::uint64_t recipients = 1 + Below(3);
  for (std::uint64_t i = 0; i < recipients; ++i) {
    Add(What::kRcpt,
        std::string("RCPT TO:<r") + std::to_string(i) + "." + sender_ + "@partner.example>\r\n");
  }
  next_ = Next::kContent;
  if (!message().content.starts_with("BDAT")) {
    Add(What::kData, "DATA\r\n");
  }
}

// Behind the replies to the envelope.
void RandomSender::SendContent() {
  next_ = Next::kRetry;
  const bool chunked = message().content.starts_with("BDAT");
  if (chunked ? !mail_accepted_ || !recipient_accepted_ : !data_accepted_) {
    Continue();
    return;
  }
  next_ = Next::kMessage;
  std::string& content = message().content;
  std::string sent = content;
  if (chunked) {  // what is stored has no command in front
    content.erase(0, content.find('\n') + 1);
  }
  if (world_->io().random().Happens(options_.vanish * 4)) {
    end_.Say(sent.substr(0, Below(sent.size())));
    Vanish();
    return;
  }
  Note("-> content of " + std::to_string(sent.size()));
  group_ += sent;
  awaiting_.push_back({.what = What::kContent, .command = "content of " + sender_});
}

// The message has come to nothing.
void RandomSender::Retry() {
  next_ = Next::kMessage;
  if (retries_left_-- <= 0) {
    next_ = Next::kQuit;
  } else if (Below(2) == 0) {
    Hello();
    return;
  }
  Add(What::kOther, "RSET\r\n");
}

std::string RandomSender::DrawContent() {
  const std::size_t size = Below(4) == 0 ? Below(options_.content_max) : Below(2'000);
  if (chunking_ && Below(3) == 0) {
    std::string chunk(size, 'a');
    for (std::size_t at = Below(16); at < chunk.size(); at += 1 + Below(200)) {
      chunk[at] = ".\r\n\0"[Below(4)];
    }
    return std::string("BDAT ") + std::to_string(size) + " LAST\r\n" + chunk;
  }
  std::string content;
  while (content.size() < size) {
    if (Below(8) == 0) {
      content += "..\r\n";
    } else {
      content.append(1 + Below(400), static_cast<char>('A' + Below(26))).append(".\r\n");
    }
  }
  return content + ".\r\n";
}

void RandomSender::Add(What what, const std::string& command) {
  later_.push_back({.what = what, .command = command});
}

// All that may go in one group (RFC 2920): to a server that does not pipeline, one command.
void RandomSender::Send() {
  const bool pipelined = pipelining_ && Below(3) > 0;
  while (!later_.empty() && (pipelined || (awaiting_.empty() && group_.empty()))) {
    Note("-> " + later_.front().command);
    group_ += later_.front().command;
    awaiting_.push_back(std::move(later_.front()));
    later_.pop_front();
  }
  if (!group_.empty()) {
    end_.Say(std::exchange(group_, {}));
  }
}

void RandomSender::Vanish() {
  vanished_ = done_ = true;
  Note("-- vanishes");
  if (Below(2) == 0) {
    end_.Reset();
  } else {
    end_.Close();
  }
}

void RandomSender::Abandon() {
  if (!done_) {
    end_.Reset();
    done_ = true;
  }
  *alive_ = nullptr;
}

}  // namespace ringpost
