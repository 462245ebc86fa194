// SPDX-License-Identifier: GPL-3.0-or-later
#include "dialogue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>

#include "ringpost/identity/proxy_header.h"
#include "session_world.h"

namespace ringpost {
namespace {

// Long enough for any chain of delayed completions, short enough to be before any time-out.
constexpr TimeNs kPatience = 25 * kNsPerSecond;
constexpr TimeNs kQuiet = kNsPerSecond;

std::string Unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    switch (text[++i]) {
      case 'r':
        out += '\r';
        break;
      case 'n':
        out += '\n';
        break;
      case 't':
        out += '\t';
        break;
      case '0':
        out += '\0';
        break;
      case 'c':
        return out;
      case 'x':
        out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
        i += 2;
        break;
      default:
        out += text[i];
    }
  }
  return out + "\r\n";
}

std::vector<std::string> Words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) {
    words.push_back(word);
  }
  return words;
}

class Player {
 public:
  Player(const Dialogue& dialogue, const SimOptions& io) : dialogue_(dialogue) {
    options_.io = io;
    for (const DialogueLine& line : dialogue.lines) {
      if (line.kind == 'o') {
        SetOption(line);
      }
    }
  }

  void Play() {
    world_ = std::make_unique<SessionWorld>(options_);
    world_->OnSessionBackend([this](SimPeer peer) { backends_.push_back(peer); });
    client_ = std::make_unique<ClientEnd>(world_->Connect(SimAddress("192.0.2.7", 40'000)));
    const std::vector<DialogueLine>& lines = dialogue_.lines;
    for (std::size_t i = 0; i < lines.size() && !testing::Test::HasFailure();) {
      SCOPED_TRACE(testing::Message() << dialogue_.name << ".txt:" << lines[i].number << ": "
                                      << lines[i].kind << ' ' << lines[i].text);
      // Neighbouring lines of one sender are one write.
      std::string text = lines[i].text;
      std::size_t next = i + 1;
      if (lines[i].kind == 'F' || lines[i].kind == 'b') {
        for (text = Unescape(text); next < lines.size() && lines[next].kind == lines[i].kind;
             ++next) {
          text += Unescape(lines[next].text);
        }
      }
      switch (lines[i].kind) {
        case 'F':
          NothingLeft();
          client_->Say(text);
          break;
        case 'b':
          NothingLeft();
          EXPECT_EQ(backend().Write(text), text.size());
          break;
        case 'f':
          Expect(text, [this]() -> std::string& { return client_->received(); });
          break;
        case 'B':
          Expect(text, [this]() -> std::string& { return ReadBackend(); });
          break;
        case '!':
          Command(Words(text));
          break;
        default:
          break;
      }
      i = next;
    }
    if (!testing::Test::HasFailure()) {
      SCOPED_TRACE(dialogue_.name + ".txt: at the end");
      NothingLeft();
      EXPECT_TRUE(reason_named_) << "the dialogue does not say how the session ends";
    }
    client_->Reset();
    for (SimPeer& peer : backends_) {
      peer.Reset();
    }
    world_->Finish();
    if (!testing::Test::HasFailure()) {
      EXPECT_LE(world_->ended().size(), 1u);
      EXPECT_EQ(world_->policy_faults().size(), faults_named_);
    }
    world_.reset();
  }

 private:
  void SetOption(const DialogueLine& line) {
    const std::size_t equals = line.text.find('=');
    const std::string name = line.text.substr(0, equals);
    const std::string value = line.text.substr(equals + 1);
    if (name == "policy") {
      options_.policy.tls = value == "none"      ? TlsPolicy::kNone
                            : value == "may"     ? TlsPolicy::kMay
                            : value == "encrypt" ? TlsPolicy::kEncrypt
                                                 : TlsPolicy::kVerify;
    } else if (name == "partner") {  // a domain whose mail must be encrypted
      Partner partner;
      partner.name = value;
      partner.sender_domains = {value};
      options_.partners.push_back(partner);
    } else if (name == "network") {  // a partner by network, whose mail must be encrypted
      Partner partner;
      partner.name = value;
      partner.networks = {ParseNetwork(value).value()};
      options_.partners.push_back(partner);
    } else if (name == "report") {  // nothing is refused
      options_.policy.mode = PolicyMode::kReport;
      for (Partner& partner : options_.partners) {
        partner.mode = PolicyMode::kReport;
      }
    } else if (name == "auth") {
      options_.auth = value == "as_backend" ? AuthPolicy::kAsBackend : AuthPolicy::kTls;
    } else if (name == "bare") {
      options_.bare_newline = value == "reject" ? BareNewline::kReject : BareNewline::kNormalize;
    } else if (name == "identity") {
      options_.identity = value == "proxy-v2"   ? BackendIdentity::kProxyV2
                          : value == "proxy-v1" ? BackendIdentity::kProxyV1
                          : value == "xclient"  ? BackendIdentity::kXclient
                                                : BackendIdentity::kNone;
    } else if (name == "keep") {
      options_.starttls_backend = StarttlsBackend::kKeep;
    } else if (name == "implicit") {
      options_.implicit_tls = true;
    } else if (name == "certificate") {
      options_.certificate = value == "yes";
    } else if (name == "sessions") {
      options_.sessions_max = static_cast<std::uint32_t>(std::stoul(value));
    } else if (name == "backends") {  // for example refuse,silent,accept
      options_.backends.clear();
      std::istringstream stream(value);
      for (std::string word; std::getline(stream, word, ',');) {
        options_.backends.push_back(word == "accept"   ? SimBackend::kAccept
                                    : word == "refuse" ? SimBackend::kRefuse
                                                       : SimBackend::kSilent);
      }
    } else if (name != "split" && name != "faults") {
      ADD_FAILURE() << dialogue_.name << ".txt:" << line.number << ": unknown option " << name;
    }
  }

  SimPeer& backend() {
    if (backend_ == 0) {
      ADD_FAILURE() << "no '! backend' yet";
      std::abort();
    }
    return backends_[backend_ - 1];
  }

  std::string& ReadBackend() {
    backend_received_ += backend().Read();
    return backend_received_;
  }

  bool Until(const std::function<bool()>& done) { return world_->Until(done, kPatience); }

  template <typename Received>
  void Expect(const std::string& text, Received received) {
    if (text.ends_with('*')) {
      const std::string start = text.substr(0, text.size() - 1);
      ASSERT_TRUE(Until([&] { return received().find("\r\n") != std::string::npos; }))
          << "received: '" << testing::PrintToString(received()) << "'";
      EXPECT_EQ(received().substr(0, start.size()), start);
      received().erase(0, received().find("\r\n") + 2);
      return;
    }
    const std::string octets = Unescape(text);
    ASSERT_TRUE(Until([&] { return received().size() >= octets.size(); }))
        << "received: '" << testing::PrintToString(received()) << "'";
    EXPECT_EQ(received().substr(0, octets.size()), octets);
    received().erase(0, octets.size());
  }

  void NothingLeft() {
    EXPECT_EQ(client_->received(), "");
    if (backend_ != 0) {
      EXPECT_EQ(ReadBackend(), "");
    }
  }

  // Waits until everything on its way has arrived.
  void Quiet() {
    world_->Pass(kQuiet);
    NothingLeft();
  }

  void Command(const std::vector<std::string>& words) {
    const std::string command =
        words.size() > 1 ? words[0] + " " + words[1] : (words.empty() ? "" : words[0]);
    if (command == "quiet") {  // nobody says anything
      Quiet();
    } else if (words[0] == "wait") {  // so many seconds pass
      world_->Pass(std::stoll(words[1]) * kNsPerSecond);
    } else if (command == "backend") {  // the backend has accepted a (further) connection
      if (backend_ != 0) {
        NothingLeft();
      }
      ASSERT_TRUE(Until([&] { return backends_.size() > backend_; })) << "no connection";
      ++backend_;
      backend_received_.clear();
    } else if (command == "backend none") {  // there was no (further) connection
      Quiet();
      EXPECT_EQ(backends_.size(), backend_);
    } else if (words[0] == "proxy2") {  // a PROXY v2 header; further words must be in its TLS facts
      ExpectProxy(words);
    } else if (command == "tls") {
      NothingLeft();
      client_->StartTls();
      ASSERT_TRUE(Until([&] { return client_->tls_ready() || client_->tls_failed(); }));
      EXPECT_TRUE(client_->tls_ready());
    } else if (command == "tls fails") {
      client_->StartTls();
      ASSERT_TRUE(Until([&] { return client_->tls_failed() || client_->ended(); }));
      EXPECT_FALSE(client_->tls_ready());
    } else if (command == "front notify") {
      client_->Notify();
    } else if (command == "front clear") {  // octets beside TLS
      EXPECT_GT(client_->peer().Write("NOOP in clear\r\n"), 0u);
    } else if (words[0] == "acked") {  // what "front" or "back" has sent: it may write again
      SimPeer& peer = words[1] == "front" ? client_->peer() : backend();
      EXPECT_TRUE(Until([&] { return peer.acknowledged(); })) << "no ACK";
    } else if (words[0] == "acks") {  // those that the client, the backend got without octets
      Quiet();
      EXPECT_EQ(client_->peer().acks(), std::stoul(words[1]));
      EXPECT_EQ(backend().acks(), std::stoul(words[2]));
    } else if (command == "front eof") {
      client_->CloseSend();
    } else if (command == "front close") {
      client_->Close();
    } else if (command == "front reset") {
      client_->Reset();
    } else if (command == "front deaf") {
      client_->set_reading(false);
    } else if (command == "front closed") {  // the client sees FIN, in TLS behind close_notify
      ASSERT_TRUE(Until([&] { return client_->ended(); })) << "still open";
      EXPECT_EQ(client_->received(), "");
      EXPECT_FALSE(client_->peer().was_reset());
      if (client_->tls_ready()) {
        EXPECT_TRUE(client_->notified()) << "no close_notify";
      }
    } else if (command == "front cut") {  // ... or a FIN without close_notify, or a RST
      ASSERT_TRUE(Until([&] { return client_->ended(); })) << "still open";
      EXPECT_EQ(client_->received(), "");
    } else if (command == "back close") {
      backend().Close();
    } else if (command == "back reset") {
      backend().Reset();
    } else if (command == "back closed") {
      ASSERT_TRUE(Until([&] {
        return ReadBackend().empty() && (backend().ended() || backend().was_reset());
      })) << "still open, received: "
          << testing::PrintToString(ReadBackend());
    } else if (words[0] == "drain" || words[0] == "stop") {
      world_->shard().Post(words[0] == "drain" ? ShardCommand::kDrain : ShardCommand::kStop);
    } else if (words[0] == "finished") {
      EXPECT_TRUE(Until([&] { return world_->shard().finished(); }));
    } else if (words[0] == "reason") {  // the session has ended with this reason
      // A client that lingers is let go first.
      ASSERT_TRUE(Until([&] { return !world_->ended().empty(); })) << "the session goes on";
      EXPECT_EQ(CloseReasonName(world_->ended().back().reason), words[1]);
      reason_named_ = true;
    } else if (words[0] == "detail") {  // of the log's line; * for "and anything"
      ASSERT_FALSE(world_->ended().empty()) << "name the reason first";
      std::string expected;
      for (std::size_t i = 1; i < words.size(); ++i) {
        expected += (i > 1 ? " " : "") + words[i];
      }
      std::string detail = world_->ended().back().detail;
      if (expected.ends_with('*')) {
        expected.pop_back();
        detail.resize(std::min(detail.size(), expected.size()));
      }
      EXPECT_EQ(detail, expected);
    } else if (words[0] == "stats") {  // messages accepted, refusals of the backend, bare newlines
      ASSERT_FALSE(world_->ended().empty()) << "name the reason first";
      const RelayStats& stats = world_->ended().back().stats;
      EXPECT_EQ(stats.messages_accepted, std::stoul(words[1]));
      EXPECT_EQ(stats.backend_refusals, std::stoul(words[2]));
      EXPECT_EQ(stats.bare_newlines, std::stoul(words[3]));
    } else if (words[0] == "refused") {  // by ringpost: how many, and the last of them
      ASSERT_FALSE(world_->ended().empty()) << "name the reason first";
      const RelayStats& stats = world_->ended().back().stats;
      std::string last;
      for (std::size_t i = 2; i < words.size(); ++i) {
        last += (i > 2 ? " " : "") + words[i];
      }
      EXPECT_EQ(stats.commands_refused, std::stoul(words[1]));
      EXPECT_EQ(stats.last_refused.text(), last);
    } else if (words[0] == "totals") {  // of the route: messages, those that met encrypt, no-tls
      const PolicyTotals totals = world_->RouteTotals();
      EXPECT_EQ(totals.messages, std::stoul(words[1]));
      EXPECT_EQ(totals.met_encrypt, std::stoul(words[2]));
      EXPECT_EQ(totals.faults[static_cast<std::size_t>(PolicyFault::kNoTls)], std::stoul(words[3]));
    } else if (words[0] ==
               "fault") {  // the next policy that was not met: domain, fault, "reported"
      ASSERT_GT(world_->policy_faults().size(), faults_named_);
      std::string expected = words[1];  // "-": a sender without a domain
      for (std::size_t i = 2; i < words.size(); ++i) {
        expected += " " + words[i];
      }
      EXPECT_EQ(world_->policy_faults()[faults_named_++], expected);
    } else if (words[0] == "failures") {  // of backends, as the log would count them
      EXPECT_EQ(world_->backend_failures(), std::stoi(words[1]));
    } else {
      ADD_FAILURE() << "unknown command";
    }
  }

  void ExpectProxy(const std::vector<std::string>& words) {
    ProxyHeader header;
    ASSERT_TRUE(Until([&] {
      header = ParseProxyHeader(ReadBackend());
      return header.result != ProxyParse::kNeedMore;
    }));
    ASSERT_EQ(header.result, ProxyParse::kComplete);
    EXPECT_EQ(header.version, 2);
    EXPECT_FALSE(header.local);
    EXPECT_EQ(header.source.address, "192.0.2.7");
    EXPECT_EQ(header.source.port, 40'000);
    EXPECT_EQ(header.destination.address, "198.51.100.1");
    EXPECT_EQ(header.destination.port, 25);
    EXPECT_EQ(header.tls, words.size() > 1);
    for (std::size_t i = 1; i < words.size(); ++i) {
      EXPECT_TRUE(words[i] == header.tls_version || words[i] == header.authority ||
                  words[i] == header.tls_group || words[i] == header.tls_cipher)
          << words[i];
    }
    backend_received_.erase(0, header.length);
  }

  const Dialogue& dialogue_;
  WorldOptions options_;
  std::unique_ptr<SessionWorld> world_;
  std::unique_ptr<ClientEnd> client_;
  std::vector<SimPeer> backends_;
  std::size_t backend_ = 0;  // how many '! backend' there were
  std::string backend_received_;
  bool reason_named_ = false;
  std::size_t faults_named_ = 0;
};

}  // namespace

std::vector<Dialogue> LoadDialogues() {
  std::vector<Dialogue> dialogues;
  for (const auto& entry : std::filesystem::directory_iterator(RINGPOST_SESSION_DIALOGUES)) {
    if (entry.path().extension() != ".txt") {
      continue;
    }
    Dialogue dialogue;
    dialogue.name = entry.path().stem().string();
    std::ifstream file(entry.path());
    int number = 0;
    for (std::string line; std::getline(file, line);) {
      ++number;
      if (line.empty() || line.starts_with('#')) {
        continue;
      }
      if (line.starts_with("option ")) {
        dialogue.split = dialogue.split && line != "option split=no";
        dialogue.faults = dialogue.faults && line != "option faults=no";
        dialogue.lines.push_back({number, 'o', line.substr(7)});
      } else if (line.size() >= 2 && (line[1] == ':' || line[0] == '!') &&
                 std::string_view("FfBb!").find(line[0]) != std::string_view::npos) {
        const std::size_t skip = line[0] == '!' ? 1 : 2;
        std::string text = line.substr(skip);
        if (text.starts_with(' ')) {
          text.erase(0, 1);
        }
        dialogue.lines.push_back({number, line[0], text});
      } else {
        ADD_FAILURE() << dialogue.name << ".txt:" << number << ": neither line nor command";
      }
    }
    dialogues.push_back(dialogue);
  }
  std::sort(dialogues.begin(), dialogues.end(),
            [](const Dialogue& a, const Dialogue& b) { return a.name < b.name; });
  return dialogues;
}

void Play(const Dialogue& dialogue, const SimOptions& io) { Player(dialogue, io).Play(); }

}  // namespace ringpost
