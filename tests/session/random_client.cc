// SPDX-License-Identifier: GPL-3.0-or-later
#include "random_client.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace ringpost {
namespace {

constexpr std::size_t kHistoryMax = 30;

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

}  // namespace

RandomClient::RandomClient(SessionWorld* world, SimPeer peer, const RandomClientOptions& options,
                           std::function<std::vector<const BackendLog*>()> backend_logs)
    : world_(world),
      options_(options),
      backend_logs_(std::move(backend_logs)),
      end_(std::move(peer)),
      alive_(std::make_shared<RandomClient*>(this)),
      script_(1) {
  messages_left_ = 1 + static_cast<int>(Below(3));
  tls_wanted_ = options.starttls;
  end_.OnChange([this] { OnChange(); });
  if (options.implicit_tls) {
    end_.StartTls();
  }
}

void RandomClient::Note(const std::string& text) {
  history_.push_back(std::to_string(world_->io().Now() / kNsPerMs % 1'000'000) + " " +
                     text.substr(0, 100));
  if (history_.size() > kHistoryMax) {
    history_.pop_front();
  }
}

void RandomClient::OnChange() {
  // What it says may change its end at once: the outer call goes on.
  if (moving_ || done_) {
    return;
  }
  moving_ = true;
  while (!done_) {
    // Behind the 220 to STARTTLS there is nothing in clear.
    const std::string reply = TakeReply(end_.received());
    if (reply.empty()) {
      break;
    }
    OnReply(reply);
  }
  if (!done_ && next_ == Next::kHello && end_.tls_ready() && tls_wanted_) {
    tls_wanted_ = false;
    Continue();
  }
  moving_ = false;
  if (!done_ && (end_.ended() || end_.notified() || end_.tls_failed())) {
    End();
  }
}

void RandomClient::OnReply(const std::string& reply) {
  Note("<- " + reply);
  if (reply.starts_with("421")) {
    heard_421_ = true;
    return;  // the connection ends now, whatever was asked
  }
  if (world_->io().random().Happens(options_.vanish)) {
    Vanish();
    return;
  }
  if (next_ == Next::kGreeting) {
    EXPECT_TRUE(reply.starts_with("220 ")) << reply;
    next_ = Next::kHello;
    Continue();
    return;
  }
  if (awaiting_.empty()) {
    ADD_FAILURE() << "a reply to nothing: " << reply;
    return;
  }
  const ScriptItem item = awaiting_.front();
  awaiting_.pop_front();
  CheckReply(item, reply);
  const bool accepted = reply[0] == '2' || reply[0] == '3';
  switch (item.what) {
    case Utterance::kMail:
      mail_refused_ = !accepted;
      break;
    case Utterance::kRcpt:
      recipient_accepted_ = recipient_accepted_ || accepted;
      break;
    case Utterance::kData:
      data_accepted_ = reply.starts_with("354");
      break;
    case Utterance::kContent:
      messages_accepted_ += accepted ? 1 : 0;
      break;
    case Utterance::kChunk:
      messages_accepted_ += accepted && item.sent.find(" LAST\r\n") != std::string::npos ? 1 : 0;
      break;
    case Utterance::kStartTls:
      EXPECT_TRUE(reply.starts_with("220 ")) << reply;
      EXPECT_EQ(end_.received(), "");
      script_.emplace_back();
      reply_index_ = 0;
      next_ = Next::kHello;
      end_.StartTls();
      return;
    case Utterance::kHello:
      EXPECT_TRUE(reply.starts_with("250-")) << reply;
      EXPECT_EQ(reply.find("XCLIENT"), std::string::npos);
      EXPECT_EQ(reply.find("STARTTLS") != std::string::npos,
                !options_.implicit_tls && script_.size() == 1);
      break;
    case Utterance::kQuit:
      completed_ = reply.starts_with("221");
      return;
    case Utterance::kOther:
      break;
  }
  if (awaiting_.empty()) {
    if (Below(10) == 0) {  // it thinks
      world_->io().After(static_cast<TimeNs>(Below(3'000)) * kNsPerMs, [alive = alive_] {
        if (*alive != nullptr && !(*alive)->done_) {
          (*alive)->Continue();
        }
      });
    } else {
      Continue();
    }
  }
}

void RandomClient::CheckReply(const ScriptItem& item, const std::string& reply) {
  // Local replies do not disturb the order of the backend's.
  const std::vector<const BackendLog*> logs = backend_logs_();
  const std::size_t connection = script_.size() - 1;
  if (item.what == Utterance::kStartTls) {
    return;
  }
  if (connection < logs.size() && reply_index_ < logs[connection]->replies.size()) {
    const BackendReply& said = logs[connection]->replies[reply_index_];
    const bool same =
        item.what == Utterance::kHello ? said.command == item.expected : said.reply == reply;
    if (same) {
      EXPECT_EQ(said.command, item.expected) << "the reply to another command: " << reply;
      ++reply_index_;
      return;
    }
  }
  if (item.what == Utterance::kQuit && reply.starts_with("221 ")) {
    return;  // said by ringpost where the backend is gone
  }
  EXPECT_NE(item.reaches, Reaches::kAlways)
      << "not the backend's reply: " << reply << " to " << item.sent.substr(0, 80);
  EXPECT_EQ(reply[0], '5') << "not the backend's reply: " << reply << " to "
                           << item.sent.substr(0, 80);
  EXPECT_FALSE(IsBackendsToAccept(item.what) && reply[0] == '2');
}

void RandomClient::Continue() {
  switch (next_) {
    case Next::kGreeting:
      break;
    case Next::kHello:
      next_ = Next::kMessage;
      if (tls_wanted_) {
        // EHLO and STARTTLS in one group is what RFC 2920 allows.
        Add(Utterance::kHello, "EHLO client.example\r\n");
        Add(Utterance::kStartTls, "STARTTLS\r\n", Reaches::kNever);
      } else {
        AddNoise();
        Add(Utterance::kHello, "EHLO client.example\r\n");
      }
      SendGroup();
      break;
    case Next::kMessage:
      BeginMessage();
      break;
    case Next::kContent:
      next_ = Next::kRest;
      if (use_bdat_) {
        SendChunks();
      } else {
        SendContent();
      }
      break;
    case Next::kRest:
      // The rest of a transaction that came to nothing.
      next_ = Next::kMessage;
      AddNoise();
      Add(Utterance::kOther, "RSET\r\n");
      SendGroup();
      break;
  }
}

void RandomClient::BeginMessage() {
  if (messages_left_-- <= 0) {
    quit_said_ = true;
    Add(Utterance::kQuit, "QUIT\r\n");
    SendGroup();
    return;
  }
  const std::string number = std::to_string(++number_);
  const bool pipelined = Below(3) > 0;
  use_bdat_ = Below(3) == 0;
  recipients_ = 1 + static_cast<int>(Below(4));
  mail_refused_ = recipient_accepted_ = data_accepted_ = false;
  next_ = Next::kContent;
  AddNoise();
  // What comes behind a command that may be refused depends on who is faster.
  Add(Utterance::kMail, "MAIL FROM:<a" + number + "@client.example>\r\n");
  for (int i = 0; i < recipients_; ++i) {
    AddNoise();
    Add(Utterance::kRcpt, "RCPT TO:<b" + number + "." + std::to_string(i) + "@d.example>\r\n",
        Reaches::kPerhaps);
  }
  data_said_ = pipelined && !use_bdat_;
  if (data_said_) {
    Add(Utterance::kData, "DATA\r\n", Reaches::kPerhaps);
  }
  SendGroup();
}

void RandomClient::SendContent() {
  if (!data_said_) {
    if (mail_refused_ || !recipient_accepted_) {
      Continue();
      return;
    }
    data_said_ = true;
    next_ = Next::kContent;
    Add(Utterance::kData, "DATA\r\n");
    SendGroup();
    return;
  }
  if (!data_accepted_) {
    Continue();
    return;
  }
  ScriptItem item{
      .what = Utterance::kContent, .reaches = Reaches::kAlways, .sent = "", .expected = ""};
  item.sent = DrawContent(&item.expected);
  item.sent += ".\r\n";
  item.expected += ".\r\n";
  script_.back().push_back(item);
  awaiting_.push_back(item);
  Note("-> content of " + std::to_string(item.sent.size()));
  end_.Say(item.sent);
}

void RandomClient::SendChunks() {
  if (mail_refused_ || !recipient_accepted_) {
    Continue();
    return;
  }
  const std::size_t chunks = 1 + Below(3);
  for (std::size_t i = 0; i < chunks; ++i) {
    std::string chunk;
    const std::size_t length = Below(4) == 0 ? 0 : Below(options_.content_max / 2);
    for (std::size_t at = 0; at < length; ++at) {
      chunk += static_cast<char>(Below(8) == 0 ? ".\r\n\0"[Below(4)] : 'a');
    }
    const bool last = i + 1 == chunks;
    if (chunk.empty() && !last) {
      chunk = "x";
    }
    Add(Utterance::kChunk,
        "BDAT " + std::to_string(chunk.size()) + (last ? " LAST\r\n" : "\r\n") + chunk);
  }
  SendGroup();
}

std::string RandomClient::DrawContent(std::string* expected) {
  std::string content;
  const std::size_t size = Below(3) == 0 ? Below(options_.content_max) : Below(2'000);
  while (content.size() < size) {
    switch (Below(12)) {
      case 0:
        content += "..\r\n";
        *expected += "..\r\n";
        break;
      case 1:
        content += "\r\n";
        *expected += "\r\n";
        break;
      case 2:
        // The smuggler's: without its CR it must not end anything (PROTOCOL, end of data).
        content += "x\n.\r\n";
        *expected += "x\r\n..\r\n";
        break;
      case 3:
        content += "bare\rreturn\r\n";
        *expected += "bare return\r\n";
        break;
      default: {
        const std::string line =
            std::string(1 + Below(200), static_cast<char>('A' + Below(26))) + "\xe4\xb8\xad.\r\n";
        content += line;
        *expected += line;
      }
    }
  }
  return content;
}

void RandomClient::AddNoise() {
  if (noise_left_ == 0 || Below(6) != 0) {
    return;
  }
  --noise_left_;
  switch (Below(6)) {
    case 0:
      Add(Utterance::kOther, "NOOP\r\n");
      break;
    case 1:
      Add(Utterance::kOther, "XCLIENT ADDR=127.0.0.1 LOGIN=root\r\n", Reaches::kNever);
      break;
    case 2:
      Add(Utterance::kOther, " NOOP\r\n", Reaches::kNever);
      break;
    case 3:
      Add(Utterance::kOther, "NOOP a\rb\r\n", Reaches::kNever);
      break;
    case 4:
      Add(Utterance::kOther, "NOOP " + std::string(3'000, 'x') + "\r\n", Reaches::kNever);
      break;
    default:
      Add(Utterance::kOther, "FROBNICATE\r\n", Reaches::kNever);
  }
}

void RandomClient::Add(Utterance what, const std::string& sent, Reaches reaches) {
  const ScriptItem item{.what = what, .reaches = reaches, .sent = sent, .expected = sent};
  script_.back().push_back(item);
  awaiting_.push_back(item);
  group_ += sent;
  Note("-> " + sent);
}

void RandomClient::SendGroup() {
  if (options_.deaf > 0 && world_->io().random().Happens(options_.deaf)) {
    end_.set_reading(false);
    world_->io().After(static_cast<TimeNs>(Below(20'000)) * kNsPerMs, [alive = alive_] {
      if (*alive != nullptr && !(*alive)->done_) {
        (*alive)->end_.set_reading(true);
        (*alive)->OnChange();
      }
    });
  }
  end_.Say(std::exchange(group_, {}));
}

void RandomClient::Vanish() {
  vanished_ = true;
  Note("-- vanishes");
  switch (Below(3)) {
    case 0:
      end_.Reset();
      break;
    case 1:
      end_.Close();
      break;
    default:
      end_.CloseSend();
      // Half closed: it reads until the end.
      world_->io().After(kNsPerSecond, [alive = alive_] {
        if (*alive != nullptr) {
          (*alive)->end_.Reset();
        }
      });
  }
  done_ = true;
}

void RandomClient::Abandon() {
  if (!done_) {
    end_.Reset();
    done_ = true;
  }
  *alive_ = nullptr;
}

void RandomClient::End() {
  Note("-- ended");
  done_ = true;
  if (!end_.peer().was_reset()) {
    end_.Close();
  }
}

}  // namespace ringpost
