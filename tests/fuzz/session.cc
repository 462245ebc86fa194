// SPDX-License-Identifier: GPL-3.0-or-later
//
// A whole session, TLS included, on the simulated kernel. The input is a dialogue as in
// tests/session/dialogues/; what is said counts, what would have to be heard ("f:", "B:") does not.
// Lines that mean nothing are skipped, so that every input is a dialogue.
//
// Oracles: those of SessionWorld at its end (one reason for each session, nothing in flight, the
// pool full), and what client and backend may have heard by then.
#include <algorithm>
#include <charconv>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fixed_entropy.h"
#include "fuzz.h"
#include "gtest_aborts.h"
#include "ringpost/identity/proxy_header.h"
#include "ringpost/smtp/reply.h"
#include "session/session_world.h"

namespace ringpost {
namespace {

// Long enough for everything to arrive: at once in calm weather, else after a few delays.
constexpr TimeNs kStep = 2 * kNsPerMs;
constexpr TimeNs kStepInWeather = 100 * kNsPerMs;
constexpr std::size_t kLinesMax = 80;
constexpr unsigned kSecondsMax = 2'000;
// More than all time-outs in a row.
constexpr TimeNs kPatience = 4'000 * kNsPerSecond;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

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
        if (i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 && HexDigit(text[i + 2]) >= 0) {
          out += static_cast<char>(HexDigit(text[i + 1]) << 4 | HexDigit(text[i + 2]));
          i += 2;
        }
        break;
      default:
        out += text[i];
    }
  }
  return out + "\r\n";
}

void SetOption(std::string_view text, WorldOptions* options) {
  const std::string_view name = text.substr(0, text.find('='));
  const std::string_view value = text.substr(std::min(text.size(), name.size() + 1));
  if (name == "policy") {
    options->policy.tls = value == "none"      ? TlsPolicy::kNone
                          : value == "encrypt" ? TlsPolicy::kEncrypt
                                               : TlsPolicy::kMay;
  } else if (name == "partner" && options->partners.empty()) {
    Partner partner;
    partner.name = "partner";
    partner.sender_domains = {"partner.example"};
    options->partners.push_back(partner);
  } else if (name == "auth") {
    options->auth = value == "as_backend" ? AuthPolicy::kAsBackend : AuthPolicy::kTls;
  } else if (name == "bare") {
    options->bare_newline = value == "reject" ? BareNewline::kReject : BareNewline::kNormalize;
  } else if (name == "identity") {
    options->identity = value == "proxy-v2"   ? BackendIdentity::kProxyV2
                        : value == "proxy-v1" ? BackendIdentity::kProxyV1
                        : value == "xclient"  ? BackendIdentity::kXclient
                                              : BackendIdentity::kNone;
  } else if (name == "keep") {
    options->starttls_backend = StarttlsBackend::kKeep;
  } else if (name == "implicit") {
    options->implicit_tls = true;
  } else if (name == "certificate") {
    options->certificate = value != "no";
  } else if (name == "backends") {
    options->backends.clear();
    for (std::size_t i = 0; i < value.size() && options->backends.size() < 3; ++i) {
      options->backends.push_back(value[i] == 'r'   ? SimBackend::kRefuse
                                  : value[i] == 's' ? SimBackend::kSilent
                                                    : SimBackend::kAccept);
    }
    if (options->backends.empty()) options->backends = {SimBackend::kAccept};
  } else if (name == "weather") {
    SimFaults& faults = options->io.faults;
    faults = {.short_recv = 3'000,
              .short_send = 3'000,
              .delay = 3'000,
              .delay_max = 30 * kNsPerMs,
              .no_buffers = 500,
              .cancel_late = 5'000,
              .shuffle = true};
    if (value == "hard") {
      faults.reset = 100;
      faults.eof = 100;
      faults.connect_refused = 500;
      faults.no_descriptors = 300;
    }
    if (value == "drip") faults.recv_max = 1;
  }
}

struct Backend {
  SimPeer peer;
  std::string said;
  std::string heard;
};

class Player {
 public:
  explicit Player(std::string_view dialogue) : dialogue_(dialogue) {
    options_.large_blocks = 128;
    options_.small_blocks = 64;
    options_.sessions_max = 4;
    options_.io.lent_blocks = 24;
    options_.io.seed = fuzz::HashOf(dialogue);
    fuzz::Choices lines(dialogue);
    for (std::size_t n = 0; !lines.empty() && n < kLinesMax; ++n) {
      const std::string_view line = lines.Line();
      if (line.starts_with("option ")) SetOption(line.substr(7), &options_);
    }
    hard_ = options_.io.faults.reset > 0;
    calm_ = options_.io.faults.delay == 0;
  }

  void Play() {
    fuzz::StartEntropyAnew();
    SessionWorld world(options_);
    world_ = &world;
    world.OnSessionBackend([this](SimPeer peer) { backends_.push_back({peer, {}, {}}); });
    {
      const SimPeer peer = world.Connect(SimAddress("192.0.2.7", 40'000));
      if (!peer.connected()) return;
      client_ = std::make_unique<ClientEnd>(peer);
    }
    Settle();
    fuzz::Choices lines(dialogue_);
    for (std::size_t n = 0; !lines.empty() && n < kLinesMax; ++n) Line(lines.Line());
    Settle();
    Finish();
    Check();
    client_.reset();
    world_ = nullptr;
  }

 private:
  void Line(std::string_view line) {
    const std::string_view text = line.substr(std::min<std::size_t>(line.size(), 3));
    if (line.starts_with("F: ")) {
      client_->Say(Unescape(text));
    } else if (line.starts_with("b: ")) {
      if (backends_.empty()) return;
      Backend& backend = backends_.back();
      const std::string reply = Unescape(text);
      backend.said += reply.substr(0, backend.peer.Write(reply));
    } else if (line.starts_with("! ")) {
      Command(line.substr(2));
    } else {
      return;
    }
    Settle();
  }

  void Command(std::string_view command) {
    if (command == "tls") {
      if (!tls_) client_->StartTls();
      tls_ = true;
    } else if (command.starts_with("wait ")) {
      unsigned seconds = 0;
      std::from_chars(command.data() + 5, command.data() + command.size(), seconds);
      seconds = std::min(seconds, kSecondsMax - seconds_);
      seconds_ += seconds;
      world_->Pass(seconds * kNsPerSecond);
    } else if (command == "front notify") {
      if (client_->tls_ready()) client_->Notify();
    } else if (command.starts_with("front clear")) {
      client_->peer().Write(Unescape(command.substr(11)));
    } else if (command == "front eof") {
      client_->CloseSend();
    } else if (command == "front close") {
      client_->Close();
    } else if (command == "front reset") {
      client_->Reset();
    } else if (command == "front deaf") {
      client_->set_reading(false);
    } else if (command == "front hear") {
      client_->set_reading(true);
    } else if (command == "back close") {
      if (!backends_.empty()) backends_.back().peer.Close();
    } else if (command == "back eof") {
      if (!backends_.empty()) backends_.back().peer.CloseSend();
    } else if (command == "back reset") {
      if (!backends_.empty()) backends_.back().peer.Reset();
    } else if (command == "drain") {
      world_->shard().Post(ShardCommand::kDrain);
    } else if (command == "stop") {
      world_->shard().Post(ShardCommand::kStop);
    }
  }

  void Settle() {
    world_->Pass(calm_ ? kStep : kStepInWeather);
    for (Backend& backend : backends_) backend.heard += backend.peer.Read();
    if (client_->tls_ready()) ever_encrypted_ = true;
  }

  void Finish() {
    // Whoever says nothing more is not waited for without end.
    if (fuzz::HashOf(dialogue_) % 8 == 0) {
      world_->Pass(kPatience);
      RINGPOST_CHECK(world_->shard().session_count() == 0);
    }
    client_->Reset();
    for (Backend& backend : backends_) {
      backend.heard += backend.peer.Read();
      backend.peer.Reset();
    }
    world_->Finish();
    RINGPOST_CHECK(world_->ended().size() <= 1);
  }

  // PROTOCOL 7: `ours_too` false leaves out those that are ringpost's to make.
  static std::size_t Positive(std::string_view text, bool ours_too) {
    std::size_t count = 0;
    Reply reply = ParseReply(text);
    for (; reply.status == ReplyStatus::kComplete; reply = ParseReply(text)) {
      const std::string_view said = text.substr(0, reply.octets);
      const bool ours =
          said == "220 2.0.0 Ready to start TLS\r\n" || said == "221 2.0.0 mx.example.test Bye\r\n";
      if (reply.code < 300 && (ours_too || !ours)) ++count;
      text.remove_prefix(reply.octets);
    }
    // To the end of content a code counts, whatever becomes of the rest.
    const auto is_digit = [text](std::size_t i) { return text[i] >= '0' && text[i] <= '9'; };
    if (ours_too && text.size() >= 3 && text[0] == '2' && is_digit(1) && is_digit(2)) ++count;
    // A client is never told half a line that makes no sense (PROTOCOL 10).
    RINGPOST_CHECK(ours_too || reply.status != ReplyStatus::kMalformed);
    return count;
  }

  void Check() {
    std::size_t positive = 0;
    for (const Backend& backend : backends_) {
      positive += Positive(backend.said, true);
      CheckBackend(backend);
    }
    RINGPOST_CHECK(Positive(client_->received(), false) <= positive);
    if (world_->ended().empty()) return;
    const EndedSession& ended = world_->ended().front();
    RINGPOST_CHECK(ended.reason != CloseReason::kNone);
    RINGPOST_CHECK(ended.stats.messages_accepted <= positive);
    // The client knows first, and may be cut off before ringpost does.
    RINGPOST_CHECK(!ever_encrypted_ || !calm_ || ended.tls_version == "TLSv1.3");
  }

  void CheckBackend(const Backend& backend) {
    std::string_view heard = backend.heard;
    // PROTOCOL 37, 41: who it is comes first, and truly.
    if (options_.identity == BackendIdentity::kProxyV2 ||
        options_.identity == BackendIdentity::kProxyV1) {
      const ProxyHeader header = ParseProxyHeader(heard);
      RINGPOST_CHECK(heard.empty() || hard_ || header.result == ProxyParse::kComplete);
      if (header.result != ProxyParse::kComplete) return;
      RINGPOST_CHECK(header.source.address == "192.0.2.7" && header.source.port == 40'000);
      RINGPOST_CHECK(header.destination.address == "198.51.100.1");
      heard.remove_prefix(header.length);
    }
    if (!ever_encrypted_ && options_.auth == AuthPolicy::kTls) CheckNoAuth(heard);
    // PROTOCOL 15, and 34 where it is all about TLS.
    if (ever_encrypted_ || (options_.policy.tls != TlsPolicy::kEncrypt && !options_.implicit_tls)) {
      return;
    }
    while (!heard.empty()) {
      const std::string_view line = heard.substr(0, heard.find('\n'));
      heard.remove_prefix(std::min(heard.size(), line.size() + 1));
      const std::string_view verb = line.substr(0, line.find_first_of(" \r"));
      bool allowed = false;
      for (const std::string_view name : {"EHLO", "HELO", "NOOP", "RSET", "QUIT", "XCLIENT"}) {
        allowed |= fuzz::EqualsIgnoringCase(verb, name);
      }
      RINGPOST_CHECK(allowed || hard_);
    }
  }

  // PROTOCOL 14. What follows DATA or BDAT may be content, and is not looked at.
  static void CheckNoAuth(std::string_view heard) {
    while (!heard.empty()) {
      const std::string_view line = heard.substr(0, heard.find('\n'));
      heard.remove_prefix(std::min(heard.size(), line.size() + 1));
      const std::string_view verb = line.substr(0, line.find_first_of(" \r"));
      for (const std::string_view name : {"DATA", "BDAT"}) {
        if (fuzz::EqualsIgnoringCase(verb, name)) return;
      }
      RINGPOST_CHECK(!fuzz::EqualsIgnoringCase(verb, "AUTH"));
    }
  }

  std::string_view dialogue_;
  WorldOptions options_;
  SessionWorld* world_ = nullptr;
  std::unique_ptr<ClientEnd> client_;
  std::vector<Backend> backends_;
  unsigned seconds_ = 0;
  bool tls_ = false;
  bool hard_ = false;
  bool calm_ = true;
  bool ever_encrypted_ = false;
};

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  fuzz::GtestFailuresAbort();
  Player(fuzz::View(data, size)).Play();
  return 0;
}
