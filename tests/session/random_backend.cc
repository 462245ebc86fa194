// SPDX-License-Identifier: GPL-3.0-or-later
#include "random_backend.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "ringpost/identity/proxy_header.h"
#include "ringpost/identity/xclient.h"
#include "ringpost/io/socket.h"
#include "ringpost/session/session_table.h"
#include "ringpost/smtp/reply.h"

namespace ringpost {
namespace {

constexpr std::size_t kRogueCount = static_cast<std::size_t>(Rogue::kCount);

// The first line of `in`, CRLF included, and takes it; empty if there is none.
std::string TakeLine(std::string& in) {
  const std::size_t end = in.find("\r\n");
  if (end == std::string::npos) {
    return "";
  }
  std::string line = in.substr(0, end + 2);
  in.erase(0, end + 2);
  return line;
}

std::string FirstLine(std::string_view text) {
  return std::string(text.substr(0, std::min<std::size_t>(text.find_first_of("\r\n"), 100)));
}

}  // namespace

std::string_view RogueName(Rogue rogue) {
  constexpr std::array<std::string_view, kRogueCount> kNames = {
      "garbage", "bare LF",   "changed code", "long line", "wrong class", "sudden 421",
      "silence", "cut reply", "early reply",  "greeting",  "header"};
  return kNames[static_cast<std::size_t>(rogue)];
}

RandomBackend::RandomBackend(SessionWorld* world, const RandomBackendOptions& options)
    : world_(world), options_(options), alive_(std::make_shared<RandomBackend*>(this)) {
  world_->io().OnBackendAccept([this](SimPeer peer) { OnAccept(std::move(peer)); });
}

RandomBackend::~RandomBackend() {
  *alive_ = nullptr;
  world_->io().OnBackendAccept(nullptr);
  for (const std::unique_ptr<Connection>& connection : connections_) {
    connection->peer.OnChange(nullptr);
  }
}

std::uint64_t RandomBackend::SessionOf(const SimPeer& peer) {
  const std::uint64_t packed = peer.user_data();
  const UserData user_data = UserData::Unpack(packed);
  return packed != SimPeer::kNoUserData &&
                 (user_data.leg == UserData::kFront || user_data.leg == UserData::kBack)
             ? packed >> UserData::kSlotShift
             : kNoSession;
}

std::vector<const BackendLog*> RandomBackend::LogsOf(std::uint64_t session) const {
  std::vector<const BackendLog*> logs;
  for (const std::unique_ptr<Connection>& connection : connections_) {
    if (session != kNoSession && connection->session == session) {
      logs.push_back(&connection->log);
    }
  }
  return logs;
}

void RandomBackend::OnAccept(SimPeer peer) {
  connections_.push_back(std::make_unique<Connection>());
  Connection& connection = *connections_.back();
  connection.session = SessionOf(peer);
  connection.probe = connection.session == kNoSession;
  connection.name = "backend " + std::to_string(PortOf(peer.address())) + "/" +
                    std::to_string(connections_.size());
  probes_ += connection.probe ? 1 : 0;
  world_->io().Say(connection.name, connection.probe ? "is probed" : "is connected");
  connection.peer = std::move(peer);
  connection.peer.OnChange([this, &connection] { OnChange(connection); });
}

void RandomBackend::OnChange(Connection& connection) {
  if (!connection.over) {
    Move(connection);
  }
}

void RandomBackend::Move(Connection& connection) {
  connection.out.erase(0, connection.peer.Write(connection.out));
  while (!connection.busy && !connection.over && !connection.silent) {
    const std::string octets = connection.peer.Read();
    connection.in += octets;
    if (connection.stage == Stage::kReady) {
      connection.log.received += octets;
    }
    if (!connection.greeted && !Identify(connection)) {
      break;  // or the session ended while it was being sent
    }
    if (connection.busy || connection.over || connection.silent || !Step(connection)) {
      break;
    }
  }
  const bool gone = connection.peer.ended() || connection.peer.was_reset();
  if (!connection.over && !connection.busy &&
      (connection.silent ? gone : gone && connection.peer.readable() == 0)) {
    connection.over = true;
    connection.peer.Close();
  }
}

// PROTOCOL 37, 41. False: not yet.
bool RandomBackend::Identify(Connection& connection) {
  const bool by_header = options_.identity == BackendIdentity::kProxyV2 ||
                         options_.identity == BackendIdentity::kProxyV1;
  if (by_header) {
    const ProxyHeader header = ParseProxyHeader(connection.in);
    if (header.result == ProxyParse::kNeedMore) {
      return false;
    }
    EXPECT_EQ(header.result, ProxyParse::kComplete) << testing::PrintToString(connection.in);
    if (header.result != ProxyParse::kComplete) {
      Leave(connection);
      return false;
    }
    EXPECT_EQ(header.version, options_.identity == BackendIdentity::kProxyV2 ? 2 : 1);
    EXPECT_EQ(header.local, connection.probe && header.version == 2);
    CheckSource(connection, header.source.address, std::to_string(header.source.port));
    connection.in.erase(0, header.length);
  }
  connection.greeted = true;
  if (options_.identity == BackendIdentity::kXclient) {
    connection.stage = Stage::kXclientHello;
  } else if (options_.identity == BackendIdentity::kProxyV1) {
    connection.stage = Stage::kNoop;
  } else {
    connection.stage = Stage::kReady;
    connection.log.received = connection.in;
  }
  Greet(connection);
  return true;
}

void RandomBackend::CheckSource(Connection& connection, std::string_view address,
                                std::string_view port) {
  if (connection.probe) {  // it speaks for itself
    EXPECT_TRUE(address.empty() || address == "127.0.0.1") << address;
    return;
  }
  const std::string client = std::string(address) + " " + std::string(port);
  EXPECT_TRUE(who_(connection.session, client)) << connection.name << " is told of " << client;
}

void RandomBackend::Greet(Connection& connection) {
  constexpr unsigned kMoreOften = 5;  // than what may happen at each reply
  const bool by_header = options_.identity == BackendIdentity::kProxyV2 ||
                         options_.identity == BackendIdentity::kProxyV1;
  if (by_header && Happens(kMoreOften * options_.rogue)) {
    Count(connection, Rogue::kHeader);
    TakeHeaderForCommands(connection);
    return;
  }
  if (!Happens(options_.rogue)) {
    Reply(connection, "", "220 backend ready");
    return;
  }
  Count(connection, Rogue::kGreeting);
  switch (Below(6)) {
    case 0:
      Say(connection, "hello there\r\n");
      break;
    case 1:
      connection.refusing = true;
      connection.log.greeting = Number("554 5.3.2 not for you");
      Say(connection, connection.log.greeting);
      break;
    case 2:
      connection.log.greeting = Number("421 4.3.2 too busy");
      Say(connection, connection.log.greeting);
      Leave(connection);
      break;
    case 3:
      Say(connection, Number("250 fine"));
      break;
    case 4:
      connection.silent = true;
      break;
    default:
      Leave(connection);
  }
}

// As a mail server does that was not told of PROXY: the header's lines are commands that it does
// not know, and whoever connects is the proxy. Its answers may be late.
void RandomBackend::TakeHeaderForCommands(Connection& connection) {
  connection.busy = true;
  const bool version_2 = options_.identity == BackendIdentity::kProxyV2;
  connection.log.greeting = Number("220 never heard of PROXY");
  Say(connection, connection.log.greeting);
  std::string answers = Number("502 5.5.2 what");
  if (version_2) {
    // "\r\n", "\0\r\n" and "QUIT\n" are its signature.
    answers += Number("500 5.5.2 what") + Number("221 2.0.0 bye");
  }
  const TimeNs delay = Happens(options_.slow) ? static_cast<TimeNs>(Below(200)) * kNsPerMs : 0;
  world_->io().After(delay, [alive = alive_, &connection, answers, version_2] {
    if (*alive == nullptr) {
      return;
    }
    connection.busy = false;
    (*alive)->world_->io().Say(connection.name, "-> " + FirstLine(answers));
    connection.out += answers;
    connection.over = version_2;
    (*alive)->OnChange(connection);
    if (version_2) {
      connection.out.erase(0, connection.peer.Write(connection.out));
      connection.peer.CloseSend();
    }
  });
}

bool RandomBackend::Step(Connection& connection) {
  if (connection.in_chunk) {
    return Chunk(connection);
  }
  const std::string line = TakeLine(connection.in);
  if (line.empty()) {
    return false;
  }
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << "a bare LF at the backend";
  if (connection.stage == Stage::kNoop) {
    // PROTOCOL 37: the first command is ringpost's own.
    world_->io().Say(connection.name, "<- " + FirstLine(line));
    EXPECT_EQ(line, "NOOP\r\n");
    ExpectSilence(connection, line);
    connection.stage = Stage::kReady;
    connection.log.received = connection.in;
    Say(connection, "250 2.0.0 proven\r\n");
    return true;
  }
  if (connection.stage != Stage::kReady) {
    Xclient(connection, line);
    return true;
  }
  if (!connection.in_content) {
    world_->io().Say(connection.name, "<- " + FirstLine(line));
    connection.last_of_group = EndsGroup(connection, line);
    const std::string reply = Answer(connection, line);
    if (!reply.empty()) {
      Reply(connection, line, reply);
    }
    return true;
  }
  EXPECT_EQ(std::count(line.begin(), line.end(), '\r'), 1) << "a bare CR at the backend";
  connection.content += line;
  if (line == ".\r\n") {
    connection.last_of_group = !connection.pipelining;
    connection.in_content = connection.mail = false;
    world_->io().Say(connection.name,
                     "<- a message of " + std::to_string(connection.content.size()) + " octets");
    const std::string reply = Refusable("250 2.0.0 queued", "554 5.7.1 refused");
    const int stored = reply[0] == '2' ? 1 : 0;
    messages_stored_ += stored;
    connection.log.stored += stored;
    Reply(connection, std::exchange(connection.content, {}), reply);
  }
  return true;
}

bool RandomBackend::Chunk(Connection& connection) {
  const std::size_t n = std::min(connection.in.size(), connection.chunk_left);
  connection.content += connection.in.substr(0, n);
  connection.in.erase(0, n);
  connection.chunk_left -= n;
  if (connection.chunk_left > 0) {
    return false;
  }
  connection.in_chunk = false;
  connection.last_of_group = !connection.pipelining;
  const std::string reply = Refusable("250 2.0.0 chunk", "452 4.3.1 no space");
  if (connection.last_chunk) {
    const int stored = reply[0] == '2' ? 1 : 0;
    messages_stored_ += stored;
    connection.log.stored += stored;
    connection.mail = false;
  }
  Reply(connection, std::exchange(connection.content, {}), reply);
  return true;
}

// RFC 2920 3.1, 3.2; as strict as Postfix is from 3.9 on, which closes the connection.
bool RandomBackend::EndsGroup(const Connection& connection, const std::string& line) {
  if (connection.auth_steps > 0) {
    return true;
  }
  const std::string verb = line.substr(0, 4);
  const bool anywhere = verb == "MAIL" || verb == "RCPT" || verb == "RSET";
  return verb != "BDAT" && !(anywhere && connection.pipelining);
}

// Nothing may have come behind `command` before its reply.
void RandomBackend::ExpectSilence(Connection& connection, const std::string& command) {
  EXPECT_EQ(FirstLine(connection.in + connection.peer.Read()), "")
      << connection.name << ": improper pipelining after " << FirstLine(command);
}

// Before the session's own words: EHLO, XCLIENT. PROTOCOL 39.
void RandomBackend::Xclient(Connection& connection, const std::string& line) {
  world_->io().Say(connection.name, "<- " + FirstLine(line));
  ExpectSilence(connection, line);
  if (connection.stage == Stage::kXclientHello) {
    EXPECT_EQ(line, "EHLO mx.example.test\r\n");
    connection.stage = Stage::kXclient;
    const bool offered = !Happens(options_.no_identity);
    connection.log.rogue = connection.log.rogue || !offered;
    probes_spoilt_ += connection.probe && !offered ? 1 : 0;
    Say(connection, offered
                        ? "250-backend\r\n250-PIPELINING\r\n250 XCLIENT NAME ADDR PORT LOGIN\r\n"
                        : "250-backend\r\n250 PIPELINING\r\n");
    return;
  }
  const auto command = ParseXclientCommand(std::string_view(line).substr(0, line.size() - 2));
  EXPECT_TRUE(command.has_value()) << line;
  if (!command.has_value()) {
    Leave(connection);
    return;
  }
  EXPECT_FALSE(command->login.has_value());
  CheckSource(connection, command->addr.value_or(""), command->port.value_or(""));
  if (Happens(options_.no_identity)) {
    connection.log.rogue = true;
    probes_spoilt_ += connection.probe ? 1 : 0;
    Say(connection, "550 5.7.0 not from you\r\n");
    return;
  }
  connection.stage = Stage::kReady;
  connection.log.received = connection.in;
  connection.log.greeting.clear();
  Reply(connection, "", "220 backend ready for you");
}

std::string RandomBackend::Answer(Connection& connection, const std::string& line) {
  if (connection.auth_steps > 0) {
    return AnswerAuth(connection, line);
  }
  const std::string verb = line.substr(0, 4);
  if (verb == "QUIT") {
    return "221 2.0.0 bye";
  }
  EXPECT_TRUE(!connection.probe || verb == "NOOP" || verb == "EHLO" || verb == "HELO")
      << "a probe says " << line;
  if (connection.refusing) {
    return "503 5.5.1 not for you";
  }
  if (verb == "EHLO") {
    connection.mail = false;
    connection.pipelining = !Happens(options_.no_pipelining);
    return std::string("250-backend\r\n") + (connection.pipelining ? "250-PIPELINING\r\n" : "") +
           "250-XCLIENT ADDR\r\n250-STARTTLS\r\n250-SIZE "
           "9999999\r\n250-AUTH PLAIN LOGIN\r\n250-8BITMIME\r\n250 CHUNKING";
  }
  if (verb == "AUTH") {
    connection.auth_steps = line.starts_with("AUTH LOGIN") ? 2 : 0;
    return connection.auth_steps > 0 ? "334 VXNlcm5hbWU6"
                                     : Refusable("235 2.7.0 welcome", "535 5.7.8 no");
  }
  if (verb == "MAIL") {
    const std::string reply = Refusable("250 2.1.0 sender", "451 4.7.1 later");
    connection.mail = reply[0] == '2';
    connection.recipients = 0;
    return reply;
  }
  if (verb == "RCPT") {
    if (!connection.mail) {
      return "503 5.5.1 MAIL first";
    }
    const std::string reply =
        Refusable("250-2.1.5 recipient\r\n250 2.1.5 is fine", "550 5.1.1 unknown");
    connection.recipients += reply[0] == '2' ? 1 : 0;
    return reply;
  }
  if (verb == "DATA") {
    if (!connection.mail || connection.recipients == 0) {
      return "554 5.5.1 no valid recipients";
    }
    const std::string reply = Refusable("354 go ahead", "452 4.3.1 no space");
    connection.in_content = reply[0] == '3';
    return reply;
  }
  if (verb == "BDAT") {
    connection.chunk_left = std::stoul(line.substr(5));
    connection.last_chunk = line.find("LAST") != std::string::npos;
    connection.in_chunk = true;
    connection.content = line;
    return "";
  }
  if (verb == "RSET") {
    connection.mail = false;
    return "250 2.0.0 reset";
  }
  if (verb == "NOOP") {
    return line.size() > 6 ? "250 2.0.0 " + std::string(400, 'n') : "250 2.0.0 nothing";
  }
  ADD_FAILURE() << connection.name << " got " << line;
  return "500 5.5.2 what";
}

std::string RandomBackend::AnswerAuth(Connection& connection, const std::string& line) {
  if (line == "*\r\n") {
    connection.auth_steps = 0;
    return "501 5.7.0 cancelled";
  }
  return --connection.auth_steps > 0 ? "334 UGFzc3dvcmQ6"
                                     : Refusable("235 2.7.0 welcome", "535 5.7.8 no");
}

std::string RandomBackend::Refusable(const std::string& yes, const std::string& no) {
  return Happens(options_.refuse) ? no : yes;
}

std::string RandomBackend::Number(const std::string& reply) {
  return reply + " #" + std::to_string(++number_) + "\r\n";
}

void RandomBackend::Reply(Connection& connection, const std::string& command,
                          const std::string& reply) {
  if (connection.last_of_group) {
    ExpectSilence(connection, command);
  }
  if (Happens(options_.vanish)) {
    connection.log.vanished = true;
    probes_spoilt_ += connection.probe ? 1 : 0;
    Leave(connection);
    return;
  }
  if (!command.empty() && Happens(options_.rogue)) {
    BreakRules(connection, command, reply);
    return;
  }
  const std::string numbered = Number(reply);
  if (command.empty()) {
    connection.log.greeting = numbered;
  } else {
    connection.log.replies.push_back({command, numbered});
  }
  if (!Happens(options_.slow)) {
    Say(connection, numbered);
    return;
  }
  connection.busy = true;
  world_->io().After(static_cast<TimeNs>(Below(5'000)) * kNsPerMs,
                     [alive = alive_, &connection, command, numbered] {
                       if (*alive != nullptr) {
                         if (connection.last_of_group) {
                           (*alive)->ExpectSilence(connection, command);
                         }
                         connection.busy = false;
                         (*alive)->Say(connection, numbered);
                         (*alive)->OnChange(connection);
                       }
                     });
}

void RandomBackend::Count(Connection& connection, Rogue rogue) {
  connection.log.rogue = true;
  probes_spoilt_ += connection.probe ? 1 : 0;
  ++rogue_counts_[static_cast<std::size_t>(rogue)];
}

void RandomBackend::BreakRules(Connection& connection, const std::string& command,
                               const std::string& reply) {
  auto rogue = static_cast<Rogue>(Below(static_cast<std::uint64_t>(Rogue::kGreeting)));
  if (rogue == Rogue::kWrongClass && command.starts_with("DATA")) {
    rogue = Rogue::kGarbage;  // a 354 would be in turn
  }
  if (rogue == Rogue::kLongLine && command.starts_with("EHLO")) {
    rogue = Rogue::kGarbage;  // its lines are keywords
  }
  if (rogue == Rogue::kLongLine) {
    SayMuch(connection, command, reply);
    return;
  }
  Count(connection, rogue);
  const std::string code = reply.substr(0, 3);
  const std::string other = code == "550" ? "250" : "550";
  const std::string fine = " 2.0.0 fine #" + std::to_string(++number_);
  // What is said of a message counts as far as it goes (PROTOCOL 10).
  const bool stores = code[0] == '2' && (command.ends_with("\r\n.\r\n") || command == ".\r\n" ||
                                         command.find(" LAST\r\n") != std::string::npos);
  const auto expect = [&](const std::string& heard) {
    if (stores) {
      connection.log.replies.push_back({command, heard});
    }
  };
  switch (rogue) {
    case Rogue::kGarbage:
      Say(connection, "\x01hello there\r\n");
      break;
    case Rogue::kBareLf:
      expect(code + fine + "\r\n");
      Say(connection, code + fine + "\n" + code + " 2.0.0 very fine\r\n");
      break;
    case Rogue::kChangedCode:
      expect(code + fine + "\r\n");
      Say(connection, code + "-" + fine.substr(1) + "\r\n" + other + " 5.0.0 not at all\r\n");
      break;
    case Rogue::kWrongClass:
      // Where a reply too many came before it may be in turn after all.
      connection.log.replies.push_back({command, Number("354 go on")});
      Say(connection, connection.log.replies.back().reply);
      break;
    case Rogue::k421:
      connection.log.replies.push_back({command, Number("421 4.3.2 going down")});
      Say(connection, connection.log.replies.back().reply);
      Leave(connection);
      break;
    case Rogue::kSilence:
      connection.silent = true;
      break;
    case Rogue::kCutReply: {
      const std::string whole = Number(reply);
      const std::string cut = whole.substr(0, Below(whole.size() - 1));
      if (cut.size() >= code.size()) {
        expect(code + " " + cut.substr(std::min<std::size_t>(cut.size(), 4)) + "\r\n");
      }
      Say(connection, cut);
      Leave(connection);
      break;
    }
    case Rogue::kEarlyReply:
      connection.log.early = true;
      connection.log.replies.push_back({command, Number(reply)});
      connection.log.replies.push_back({"", Number("250 2.0.0 and this")});
      Say(connection, connection.log.replies.end()[-2].reply + connection.log.replies.back().reply);
      break;
    case Rogue::kLongLine:
    case Rogue::kGreeting:
    case Rogue::kHeader:
    case Rogue::kCount:
      break;
  }
}

// Longer than RFC 5321 allows, which is no reason to end a session: the text is cut, if anything.
void RandomBackend::SayMuch(Connection& connection, const std::string& command,
                            const std::string& reply) {
  constexpr std::array<std::size_t, 4> kText = {600, 4'000, 9'000, 30'000};
  ++rogue_counts_[static_cast<std::size_t>(Rogue::kLongLine)];
  const std::string code = reply.substr(0, 3);
  // Challenges are never cut, and behind QUIT's reply nobody waits until the rest is written.
  const bool whole = code[0] == '3' || command.starts_with("QUIT");
  const std::string text = code + " #" + std::to_string(++number_) + " " +
                           std::string(kText[whole ? 0 : Below(kText.size())], 'x');
  connection.log.replies.push_back({command, text.substr(0, kReplyLineMax - 2) + "\r\n"});
  Say(connection, text + "\r\n");
}

void RandomBackend::Say(Connection& connection, const std::string& reply) {
  world_->io().Say(connection.name, "-> " + FirstLine(reply));
  connection.out += reply;
  connection.out.erase(0, connection.peer.Write(connection.out));
  if (reply.starts_with("221")) {
    connection.over = true;
    connection.peer.CloseSend();
  }
}

void RandomBackend::Leave(Connection& connection) {
  world_->io().Say(connection.name, "goes away");
  connection.over = true;
  if (Below(2) == 0) {
    connection.peer.Reset();
  } else {
    connection.peer.Close();
  }
}

}  // namespace ringpost
