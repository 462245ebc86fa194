// SPDX-License-Identifier: GPL-3.0-or-later
#include "random_client.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "random_backend.h"
#include "ringpost/io/socket.h"

namespace ringpost {
namespace {

constexpr std::size_t kHistoryMax = 30;
constexpr std::size_t kHistoryTextMax = 100;

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

RandomClient::RandomClient(SessionWorld* world, SimPeer peer, const RandomClientOptions& options,
                           std::function<std::vector<const BackendLog*>()> backend_logs)
    : world_(world),
      options_(options),
      backend_logs_(std::move(backend_logs)),
      end_(std::move(peer)),
      name_("client " + std::to_string(PortOf(end_.peer().address()))),
      alive_(std::make_shared<RandomClient*>(this)),
      script_(1) {
  messages_left_ = 1 + static_cast<int>(Below(3));
  if (options_.encrypt && !options_.starttls && !options_.implicit_tls) {
    messages_left_ = 1;  // else it would have too many errors
  }
  tls_wanted_ = options.starttls;
  Note("-- connects");
  if (options.implicit_tls) {
    BeginTls();
  }
  end_.OnChange([this] { OnChange(); });
}

void RandomClient::Note(std::string_view text) {
  text = text.substr(0, std::min<std::size_t>(text.find('\r'), kHistoryTextMax));
  world_->io().Say(name_, text);
  history_.push_back(std::to_string(world_->io().elapsed() / kNsPerMs) + " " + std::string(text));
  if (history_.size() > kHistoryMax) {
    history_.pop_front();
  }
}

// --- What it hears

void RandomClient::OnChange() {
  // What it says may change its end at once: the outer call goes on.
  if (moving_ || done_) {
    return;
  }
  moving_ = true;
  while (!done_ && listening_) {
    // Behind the 220 to STARTTLS there is nothing in clear.
    const std::string reply = TakeReply(end_.received());
    if (reply.empty()) {
      break;
    }
    OnReply(reply);
  }
  if (!done_ && next_ == Next::kHello && in_tls() && tls_wanted_) {
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
  // Nothing follows a 421, the backend's or ours (PROTOCOL 6, 22).
  EXPECT_FALSE(heard_421_) << "a reply behind 421: " << reply;
  if (reply.starts_with("421")) {
    heard_421_ = true;
    return;  // the connection ends now, whatever was asked
  }
  if (mischief_done_) {
    OnReplyAfterMischief(reply);
    return;
  }
  if (world_->io().random().Happens(options_.vanish)) {
    Vanish();
    return;
  }
  if (next_ == Next::kGreeting) {
    OnGreeting(reply);
    return;
  }
  if (awaiting_.empty()) {
    ADD_FAILURE() << "a reply to nothing: " << reply;
    return;
  }
  const ScriptItem item = awaiting_.front();
  awaiting_.pop_front();
  CheckReply(item, reply);
  OnAccepted(item, reply);
}

void RandomClient::OnGreeting(const std::string& reply) {
  const BackendLog* const log = CurrentLog();
  EXPECT_TRUE(log != nullptr && log->greeting == reply) << "not the backend's greeting: " << reply;
  if (reply[0] == '2') {
    next_ = Next::kHello;
    Continue();
  } else {
    Quit();
  }
}

// The reply to `item`, whatever it says.
void RandomClient::OnAccepted(const ScriptItem& item, const std::string& reply) {
  const bool accepted = !IsRefusal(reply);
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
      if (reply.starts_with("220 ")) {
        EXPECT_EQ(end_.received(), "");
        logs_before_tls_ = backend_logs_().size();
        if (!options_.backend_kept || authenticated_) {
          script_.emplace_back();
          reply_index_ = 0;
        } else {
          logs_before_tls_ = 0;
        }
        authenticated_ = auth_said_ = false;
        next_ = Next::kHello;
        BeginTls();
        return;
      }
      ADD_FAILURE() << "STARTTLS: " << reply;
      break;
    case Utterance::kHello:
      CheckHello(reply);
      break;
    case Utterance::kQuit:
      completed_ = reply.starts_with("221");
      if (options_.tickets != nullptr && in_tls()) {
        options_.tickets->resumed += end_.tls()->facts().resumed ? 1 : 0;
        if (auto session = end_.tls()->TakeSession()) {
          options_.tickets->session = std::move(session);
        }
      }
      return;
    case Utterance::kAuth:
      authenticated_ = authenticated_ || reply[0] == '2';
      if (reply.starts_with("334")) {
        Add(Utterance::kAuth, Below(6) == 0 ? "*\r\n" : "c2VjcmV0\r\n");
      }
      break;
    case Utterance::kOther:
      break;
  }
  if (!group_.empty()) {
    SendGroup();
  } else if (awaiting_.empty()) {
    ContinueSoon();
  }
}

void RandomClient::CheckHello(const std::string& reply) {
  const BackendLog* const log = CurrentLog();
  if (IsRefusal(reply)) {
    EXPECT_TRUE(log != nullptr && log->rogue) << reply;
    auth_offered_ = false;
    return;
  }
  // PROTOCOL 14, 17.
  EXPECT_EQ(reply.find("XCLIENT"), std::string::npos);
  if (log != nullptr && log->early) {
    return;  // it may be the reply to something else
  }
  EXPECT_TRUE(reply.starts_with("250-")) << reply;
  EXPECT_EQ(reply.find("STARTTLS") != std::string::npos, !in_tls());
  auth_offered_ = reply.find("AUTH PLAIN") != std::string::npos;
  EXPECT_EQ(auth_offered_, in_tls() || options_.auth_in_clear);
}

// Of the connection that the present replies come from: ringpost has given up all before it.
const BackendLog* RandomClient::CurrentLog() const {
  const std::vector<const BackendLog*> logs = backend_logs_();
  return logs.size() > (script_.size() > 1 ? logs_before_tls_ : 0) ? logs.back() : nullptr;
}

void RandomClient::CheckReply(const ScriptItem& item, const std::string& reply) {
  if (item.what == Utterance::kStartTls) {
    return;
  }
  const BackendLog* const log = CurrentLog();
  // Local replies do not disturb the order of the backend's.
  if (log != nullptr && reply_index_ < log->replies.size()) {
    const BackendReply& said = log->replies[reply_index_];
    const bool hello = item.what == Utterance::kHello && said.command == item.expected;
    if (hello || said.reply == reply) {
      EXPECT_TRUE(log->early || said.command == item.expected)
          << "the reply to another command: " << reply;
      ++reply_index_;
      return;
    }
    // The beginning of it, where the session ends before the rest is there (PROTOCOL 10).
    const bool acceptance = item.what == Utterance::kContent || item.what == Utterance::kChunk;
    if (acceptance && said.command == item.expected && said.reply[0] == '2' &&
        (reply == said.reply.substr(0, 3) + " (reply cut short)\r\n" ||
         said.reply.starts_with(reply.substr(0, reply.size() - 2)))) {
      ++reply_index_;
      return;
    }
    if (log->early && item.what == Utterance::kHello) {
      ++reply_index_;  // filtered, so that it cannot be compared
      return;
    }
  }
  if (item.what == Utterance::kQuit && reply.starts_with("221 ")) {
    return;  // said by ringpost where the backend is gone
  }
  const bool early = log != nullptr && log->early;  // then the state is not what the client thinks
  EXPECT_TRUE(early || item.reaches != Reaches::kAlways)
      << "not the backend's reply: " << reply << " to " << item.sent.substr(0, 80);
  EXPECT_EQ(reply[0], '5') << "not the backend's reply: " << reply << " to "
                           << item.sent.substr(0, 80);
  EXPECT_FALSE(IsBackendsToAccept(item.what) && !IsRefusal(reply));  // PROTOCOL 7
}

bool RandomClient::met_rogue() const {
  const std::vector<const BackendLog*> logs = backend_logs_();
  return std::any_of(logs.begin(), logs.end(),
                     [](const BackendLog* log) { return log->rogue || log->vanished; });
}

std::string RandomClient::Judge(Whole whole) const {
  const std::vector<const BackendLog*> logs = backend_logs_();
  const bool reconnected = script_.size() > 1;
  for (std::size_t i = 0; i < logs.size(); ++i) {
    const bool first_part = !reconnected || i < logs_before_tls_;
    const std::size_t last = first_part && reconnected ? logs_before_tls_ - 1 : logs.size() - 1;
    std::string wrong;
    if (i != last) {
      // An address that was given up for another one before it had greeted.
      wrong = logs[i]->received.empty() ? "" : "a word to an address that was given up";
    } else {
      std::vector<ScriptItem> items = script_[first_part ? 0 : 1];
      if (first_part && !items.empty() && items.back().what == Utterance::kStartTls) {
        // The connection before STARTTLS is given up with this; the handshake does not wait for it.
        items.push_back({.what = Utterance::kQuit,
                         .reaches = Reaches::kPerhaps,
                         .sent = "",
                         .expected = "QUIT\r\n"});
      }
      if (logs[i]->early) {
        // The client took another command's reply for RSET's: to ringpost, AUTH came within a
        // transaction.
        for (ScriptItem& item : items) {
          item.reaches = item.what == Utterance::kAuth ? Reaches::kPerhaps : item.reaches;
        }
      }
      wrong = CompareWithScript(logs[i]->received, items, whole);
    }
    if (!wrong.empty()) {
      return "backend connection " + std::to_string(i) + ": " + wrong;
    }
  }
  int stored = 0;
  bool early = false;
  for (const BackendLog* log : logs) {
    stored += log->stored;
    early = early || log->early;
  }
  // The backend may have stored what the client was not told of, never the other way round.
  if (!early &&
      (messages_accepted_ > stored || (whole == Whole::kYes && messages_accepted_ != stored))) {
    return std::to_string(messages_accepted_) + " messages accepted, " + std::to_string(stored) +
           " stored";
  }
  return "";
}

// --- What it says

void RandomClient::After(TimeNs delay, void (RandomClient::*action)()) {
  world_->io().After(delay, [alive = alive_, action] {
    if (*alive != nullptr && !(*alive)->done_) {
      ((*alive)->*action)();
    }
  });
}

void RandomClient::ContinueSoon() {
  if (Below(10) == 0) {  // it thinks
    After(static_cast<TimeNs>(Below(3'000)) * kNsPerMs, &RandomClient::Continue);
  } else {
    Continue();
  }
}

void RandomClient::Continue() {
  const bool content_due = next_ == Next::kContent && data_said_ && data_accepted_;
  if (MischiefDue() && !content_due && TryMischief()) {
    return;
  }
  ++groups_;
  switch (next_) {
    case Next::kGreeting:
      break;
    case Next::kHello: {
      const bool at_once = tls_wanted_ && Below(2) == 0;
      next_ = tls_wanted_ && !at_once ? Next::kStartTls : Next::kMessage;
      AddNoise();
      Add(Utterance::kHello, "EHLO client.example\r\n");
      if (at_once) {
        // EHLO and STARTTLS in one group is what RFC 2920 allows.
        Add(Utterance::kStartTls, "STARTTLS\r\n", Reaches::kNever);
      }
      SendGroup();
      break;
    }
    case Next::kStartTls:
      if (auth_offered_ && !auth_said_ && Below(3) == 0) {
        Authenticate();
        break;
      }
      next_ = Next::kMessage;
      AddNoise();
      Add(Utterance::kStartTls, "STARTTLS\r\n", Reaches::kNever);
      SendGroup();
      break;
    case Next::kMessage:
      if ((auth_offered_ || IsHasty()) && !auth_said_ && Below(4) == 0) {
        Authenticate();
      } else {
        BeginMessage();
      }
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
    case Next::kQuit:
      Quit();
      break;
  }
}

void RandomClient::BeginTls() {
  if (IsAboutTlsStart(options_.mischief)) {
    MisbehaveAtTls();
    return;
  }
  const TlsSession* const session =
      options_.tickets != nullptr ? options_.tickets->session.get() : nullptr;
  end_.StartTls(options_.tls, session);
}

void RandomClient::Authenticate() {
  auth_said_ = true;
  Add(Utterance::kAuth, Below(2) == 0 ? "AUTH PLAIN AGEAYg==\r\n" : "AUTH LOGIN\r\n");
  SendGroup();
}

// It says its password although nobody has offered to hear it. Not where all its mail is refused:
// it would have too many errors.
bool RandomClient::IsHasty() { return !in_tls() && !options_.encrypt && Below(2) == 0; }

void RandomClient::BeginMessage() {
  if (messages_left_-- <= 0) {
    Quit();
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
  if (MischiefDue() && IsAboutContent(options_.mischief)) {
    MisbehaveInContent(item.sent, item.expected);
    return;
  }
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
    std::string chunk(Below(4) == 0 ? 0 : Below(options_.content_max / 2), 'a');
    for (std::size_t at = Below(16); at < chunk.size(); at += 1 + Below(200)) {
      chunk[at] = ".\r\n\0"[Below(4)];
    }
    const bool last = i + 1 == chunks;
    if (chunk.empty() && !last) {
      chunk = "x";
    }
    const std::string command =
        "BDAT " + std::to_string(chunk.size()) + (last ? " LAST\r\n" : "\r\n");
    if (MischiefDue() && IsAboutContent(options_.mischief) &&
        options_.mischief != Mischief::kBareNewline && chunk.size() > 1) {
      end_.Say(std::exchange(group_, {}) + command);
      script_.back().push_back({.what = Utterance::kChunk,
                                .reaches = Reaches::kPerhaps,
                                .sent = command,
                                .expected = command});
      MisbehaveInContent(chunk, chunk);
      return;
    }
    Add(Utterance::kChunk, command + chunk);
  }
  SendGroup();
}

std::string RandomClient::DrawContent(std::string* expected) {
  std::string content;
  const std::size_t size = Below(4) == 0 ? Below(options_.content_max) : Below(2'000);
  const auto add = [&](std::string_view sent, std::string_view arrives) {
    content += sent;
    *expected += arrives;
  };
  while (content.size() < size) {
    switch (Below(12)) {
      case 0:
        add("..\r\n", "..\r\n");
        break;
      case 1:
        add("\r\n", "\r\n");
        break;
      case 2:
        // The smuggler's: without its CR it must not end anything (PROTOCOL, end of data).
        if (!options_.bare_refused) {
          add("x\n.\r\n", "x\r\n..\r\n");
        }
        break;
      case 3:
        if (!options_.bare_refused) {
          add("bare\rreturn\r\n", "bare return\r\n");
        }
        break;
      default: {
        const std::string line =
            std::string(1 + Below(400), static_cast<char>('A' + Below(26))) + "\xe4\xb8\xad.\r\n";
        add(line, line);
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
  switch (Below(8)) {
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
    case 5:
      // A line, but no command, because only CRLF ends one (PROTOCOL 1).
      Add(Utterance::kOther, "MAIL FROM:<evil@client.example>\n", Reaches::kNever);
      break;
    case 6:
      Add(Utterance::kOther, std::string("NO\0OP\r\n", 7), Reaches::kNever);
      break;
    default:
      Add(Utterance::kOther, "FROBNICATE\r\n", Reaches::kNever);
  }
}

void RandomClient::Add(Utterance what, const std::string& sent, Reaches reaches) {
  if (options_.encrypt && !in_tls() && IsBackendsToAccept(what)) {
    reaches = Reaches::kNever;  // PROTOCOL 15
  }
  if (what == Utterance::kAuth && !in_tls() && !options_.auth_in_clear) {
    reaches = Reaches::kNever;  // PROTOCOL 14
  }
  const ScriptItem item{.what = what, .reaches = reaches, .sent = sent, .expected = sent};
  script_.back().push_back(item);
  awaiting_.push_back(item);
  group_ += sent;
  Note("-> " + sent);
}

void RandomClient::SendGroup() {
  if (world_->io().random().Happens(options_.deaf)) {
    Note("-- is deaf for a while");
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

void RandomClient::Quit() {
  next_ = Next::kQuit;
  Add(Utterance::kQuit, "QUIT\r\n");
  SendGroup();
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
