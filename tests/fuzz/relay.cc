// SPDX-License-Identifier: GPL-3.0-or-later
//
// The relay between a client and a backend that say anything at any time. The input is a script;
// its first line sets options ("encrypt", "reject", "xclient", "none", "few", "auth" for AUTH in
// clear, "v1" and "v2" for a PROXY header, "greets" and "named" for mail that leaves, the latter
// with a name of our own for EHLO, anything else: nothing), the others are "F text" and "B text"
// (what client and backend send, with CRLF; "\r" and "\n" are octets, "\c" ends it without CRLF),
// "f", "b" (their EOF), "T" and "K" (the handshake is over; a new or the same backend). Where we
// greet, "R" opens the backend in TLS, "r" in clear, and "U text" says why it cannot be used;
// before that it says nothing.
//
// Oracles: the harness's own (the relay's contract), what each side may be told, that no reply is
// one too many, and the same script with other cuts of what is contiguous.
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "gtest_aborts.h"
#include "smtp/relay_harness.h"

namespace ringpost {
namespace {

struct Heard {
  std::string client;
  std::string backend;
  std::string backend_before_tls;
  std::string client_said;
  std::size_t backend_positive = 0;  // replies of the connections that were
  std::string backend_said;          // on the present one
  CloseReason reason = CloseReason::kNone;
  RelayStats stats;
};

RelayOptions ReadOptions(std::string_view line) {
  RelayOptions options = RelayHarness::DefaultOptions();
  if (line == "encrypt") options.tls_policy = TlsPolicy::kEncrypt;
  if (line == "none") options.tls_policy = TlsPolicy::kNone;
  if (line == "reject") options.bare_newline = BareNewline::kReject;
  if (line == "xclient") options.xclient = true;
  if (line == "auth") options.auth = AuthPolicy::kAsBackend;
  if (line == "few") options.refused_commands_max = 3;
  if (line == "greets" || line == "named") {  // as runtime.cc has it
    options.greets = true;
    options.starttls_offered = false;
    options.tls_policy = TlsPolicy::kNone;
    if (line == "named") options.hello_name = "out.test";
  }
  options.prove_with_noop = line == "v1";
  options.proxy_header = line == "v1" || line == "v2";
  return options;
}

constexpr std::string_view kUnusable = "450 4.7.5 mx.partner.test: ";

// What a server said is quoted there, as QuotableLine() makes it.
std::string UnusableReply(std::string_view said) {
  return std::string(kUnusable).append(QuotableLine(said)).append("\r\n");
}

std::string Text(std::string_view argument) {
  std::string text;
  for (std::size_t i = 0; i < argument.size(); ++i) {
    const char next = i + 1 < argument.size() ? argument[i + 1] : '\0';
    if (argument[i] != '\\' || (next != 'r' && next != 'n' && next != 'c')) {
      text += argument[i];
      continue;
    }
    if (next == 'c') return text;
    text += next == 'r' ? '\r' : '\n';
    ++i;
  }
  return text + "\r\n";
}

// What we say to the client's own commands as long as no backend is open.
bool OursWithoutBackend(std::string_view said) {
  return said == "220 mx.test ESMTP\r\n" || said == "250 2.0.0 Ok\r\n" ||
         said == "250 mx.test\r\n" || said == EhloReplyWithoutBackend("mx.test", nullptr);
}

// Where mail leaves, and the server is lost, what we say to each command that waits.
bool LastWords(std::string_view said) {
  const std::string server = RelayHarness::kServer;
  for (const CloseReason reason : {CloseReason::kBackendEof, CloseReason::kBackendProtocol}) {
    if (said == LostServerText(reason, "451", server)) return true;
  }
  return false;
}

// A backend may say the same as one of our refusals; then it is not counted as the backend's.
bool Ours(int code, std::string_view said, bool greets) {
  if (code < 400) {
    return said == "220 2.0.0 Ready to start TLS\r\n" || said == "221 2.0.0 mx.test Bye\r\n" ||
           (greets && OursWithoutBackend(said));
  }
  bool ours = said.starts_with("550 5.7.0 refused, as number ") ||
              (greets && (said.starts_with(kUnusable) || LastWords(said))) ||
              said.find(" mx.test ") != std::string_view::npos;
  for (int i = 0; i <= static_cast<int>(LocalReply::kPolicyChanged); ++i) {
    ours |= said == LocalReplyText(static_cast<LocalReply>(i));
  }
  return ours;
}

bool BeginsPositive(std::string_view text) {
  const auto is_digit = [text](std::size_t i) { return text[i] >= '0' && text[i] <= '9'; };
  return text.size() >= 3 && text[0] == '2' && is_digit(1) && is_digit(2);
}

// How many replies of `text` are positive, less those that are ours to make (PROTOCOL 7).
std::size_t Positive(std::string_view text, bool ours_too, bool greets = false) {
  std::size_t count = 0;
  for (Reply reply = ParseReply(text); reply.status == ReplyStatus::kComplete;
       reply = ParseReply(text)) {
    const std::string_view said = text.substr(0, reply.octets);
    if (reply.code < 300 && (ours_too || !Ours(reply.code, said, greets))) ++count;
    text.remove_prefix(reply.octets);
  }
  // To the end of content a code counts, whatever becomes of the rest (PROTOCOL 10).
  if (ours_too && BeginsPositive(text)) ++count;
  return count;
}

// How many replies of `text` answer something. A 421 need not, and nothing follows it.
std::size_t Answers(std::string_view text, bool ours_too, bool greets = false) {
  std::size_t count = 0;
  for (Reply reply = ParseReply(text); reply.status == ReplyStatus::kComplete && reply.code != 421;
       reply = ParseReply(text)) {
    if (ours_too || !Ours(reply.code, text.substr(0, reply.octets), greets)) ++count;
    text.remove_prefix(reply.octets);
  }
  return count;
}

// Before a backend is open, nothing is said in its name: no more is accepted than there were
// commands that we answer ourselves.
void NothingAccepted(std::string_view to_client, std::string_view client_said) {
  std::size_t own = 1;  // the greeting
  // A command follows a chunk on the same line.
  for (; !client_said.empty(); client_said.remove_prefix(1)) {
    for (const std::string_view verb : {"EHLO", "HELO", "NOOP", "RSET", "QUIT"}) {
      own += fuzz::EqualsIgnoringCase(client_said.substr(0, verb.size()), verb) ? 1 : 0;
    }
  }
  RINGPOST_CHECK(Positive(to_client, true) <= own);
  for (Reply reply = ParseReply(to_client); reply.status == ReplyStatus::kComplete;
       reply = ParseReply(to_client)) {
    RINGPOST_CHECK(reply.code < 300 || reply.code >= 400);
    to_client.remove_prefix(reply.octets);
  }
}

// Every command ends one line and has one reply, so that there are never more replies than lines;
// where there is content there are fewer.
class ReplyOracle {
 public:
  explicit ReplyOracle(const RelayOptions& options)
      : introduced_(options.xclient || options.prove_with_noop), greets_(options.greets) {
    NewBackend();
  }

  void NewBackend() {
    lines_ = 0;
    watching_groups_ = true;
    group_ended_ = false;
    introducing_ = introduced_;
    surplus_ = surplus_due_ = false;
  }
  // Before the relay gets to see it. `said` is all that was said on this connection.
  void BackendSays(std::string_view said) {
    surplus_due_ = Answers(said, true) > kGreeting + lines_;
    group_ended_ = false;
  }
  // After each line of the script. A surplus ends the session at once or, if it came before a chunk
  // was through, with that chunk.
  void Moved(std::string_view to_client, std::string_view to_backend) {
    WatchGroups(to_backend);
    for (std::size_t end = to_backend.find('\n'); end != std::string_view::npos;
         end = to_backend.find('\n')) {
      // Our own NOOP, or EHLO and XCLIENT, come before the client's commands.
      introducing_ = introducing_ && (lines_ == 0 || to_backend.starts_with("XCLIENT "));
      if (!introducing_) ++commands_;
      ++lines_;
      to_backend.remove_prefix(end + 1);
    }
    answers_ += Answers(to_client, false, greets_);
    RINGPOST_CHECK(answers_ <= kGreeting + commands_);
    RINGPOST_CHECK(!surplus_ || Positive(to_client, false, greets_) == 0);
    surplus_ = surplus_ || surplus_due_;
  }

 private:
  // RFC 2920 3.1: between a command that ends a group and the next the backend has said something.
  // As long as lines are commands: in content anything may look like one.
  void WatchGroups(std::string_view to_backend) {
    while (watching_groups_ && !to_backend.empty()) {
      const std::string_view line = to_backend.substr(0, to_backend.find('\n'));
      to_backend.remove_prefix(std::min(to_backend.size(), line.size() + 1));
      const std::string_view verb = line.substr(0, line.find_first_of(" \r"));
      const auto is = [verb](std::string_view name) {
        return fuzz::EqualsIgnoringCase(verb, name);
      };
      RINGPOST_CHECK(!group_ended_);
      watching_groups_ = !is("DATA") && !is("BDAT") && !is("AUTH");
      group_ended_ = !is("MAIL") && !is("RCPT") && !is("RSET") && !is("XCLIENT");
    }
  }

  // Or, where we greet, the reply to the hello that has opened the backend.
  static constexpr std::size_t kGreeting = 1;

  const bool introduced_;
  const bool greets_;
  bool introducing_ = false;
  bool watching_groups_ = true;
  bool group_ended_ = false;
  bool surplus_ = false;
  bool surplus_due_ = false;
  std::size_t lines_ = 0;     // to the present backend
  std::size_t commands_ = 0;  // the client's, to all of them
  std::size_t answers_ = 0;   // of backends, to the client
};

Heard Play(std::string_view script, std::size_t window) {
  fuzz::Choices lines(script);
  const RelayOptions options = ReadOptions(lines.Line());
  RelayHarness harness(options);
  ReplyOracle oracle(options);
  harness.set_window(window);
  Heard heard;
  bool tls = false;
  bool open = !options.greets;
  bool backend_tls = false;
  bool front_eof = false;
  bool back_eof = false;
  const auto listen = [&] {
    const std::string to_client = harness.TakeToClient();
    const std::string to_backend = harness.TakeToBackend();
    oracle.Moved(to_client, to_backend);
    heard.client += to_client;
    heard.backend += to_backend;
    // Of mail that leaves it is the backend's TLS that counts.
    if (!tls && !backend_tls) heard.backend_before_tls += to_backend;
  };
  while (!lines.empty()) {
    const std::string_view line = lines.Line();
    if (line.empty()) continue;
    const std::string_view argument = line.substr(std::min<std::size_t>(line.size(), 2));
    switch (line[0]) {
      case 'F':
        if (front_eof || harness.handshake()) break;
        heard.client_said += Text(argument);
        harness.FromClient(Text(argument));
        break;
      case 'B':
        if (back_eof || !open) break;
        heard.backend_said += Text(argument);
        oracle.BackendSays(heard.backend_said);
        harness.FromBackend(Text(argument));
        break;
      case 'f':
        if (harness.handshake()) break;
        front_eof = true;
        harness.ClientEof();
        break;
      case 'b':
        if (!open) break;
        back_eof = true;
        harness.BackendEof();
        break;
      case 'T':
      case 'K':
        if (!harness.handshake() || harness.closed()) break;
        listen();
        tls = true;
        if (line[0] == 'T') {  // a new connection
          back_eof = false;
          heard.backend_positive += Positive(heard.backend_said, true);
          heard.backend_said.clear();
          oracle.NewBackend();
        }
        harness.TlsEstablished(line[0] == 'T' ? BackendAfterTls::kReconnected
                                              : BackendAfterTls::kSame);
        break;
      case 'R':
      case 'r':
        if (!harness.relay().opens_backend() || harness.closed()) break;
        listen();
        NothingAccepted(heard.client, heard.client_said);
        open = true;
        backend_tls = line[0] == 'R';
        harness.BackendReady(line[0] == 'R');
        break;
      case 'U':
        if (!harness.relay().opens_backend() || harness.closed()) break;
        harness.BackendUnusable(UnusableReply(argument));
        break;
      default:
        break;
    }
    const std::string hello = harness.TakeHello();
    RINGPOST_CHECK(hello.empty() || (!open && hello.ends_with("\r\n") && hello.size() > 6 &&
                                     (hello.starts_with("EHLO ") || hello.starts_with("HELO "))));
    listen();
    RINGPOST_CHECK(open || heard.backend.empty());
  }
  if (!open) NothingAccepted(heard.client, heard.client_said);
  heard.backend_positive += Positive(heard.backend_said, true);
  heard.reason = harness.reason();
  heard.stats = harness.relay().stats();
  static_cast<void>(harness.relay().waiting());
  if (!harness.closed()) {
    for (const CloseReason reason : {CloseReason::kDrain, CloseReason::kClientTimeout}) {
      std::string_view farewell = harness.relay().Farewell(reason);
      // The end of a reply that the backend has begun: with its code, and never as a word of ours.
      constexpr std::string_view kEnd = " (reply cut short)\r\n";
      if (farewell.substr(std::min<std::size_t>(farewell.size(), 3)).starts_with(kEnd)) {
        RINGPOST_CHECK(heard.backend_said.find(farewell.substr(0, 3)) != std::string::npos);
        farewell.remove_prefix(3 + kEnd.size());
      }
      RINGPOST_CHECK(farewell.empty() || farewell.starts_with("421 "));
    }
  }
  return heard;
}

// PROTOCOL 15: in clear the backend hears nothing else.
void OnlyBeforeTls(std::string_view backend) {
  while (!backend.empty()) {
    const std::string_view line = backend.substr(0, backend.find('\n'));
    backend.remove_prefix(std::min(backend.size(), line.size() + 1));
    const std::string_view verb = line.substr(0, line.find_first_of(" \r"));
    bool allowed = false;
    for (const std::string_view name : {"EHLO", "HELO", "NOOP", "RSET", "QUIT", "HELP"}) {
      allowed |= fuzz::EqualsIgnoringCase(verb, name);
    }
    RINGPOST_CHECK(allowed && !fuzz::EqualsIgnoringCase(verb, "HELP"));
  }
}

// PROTOCOL 14: no password in clear. Content and chunks may have such a line; who is fed any is not
// looked at.
void NoAuth(std::string_view backend) {
  while (!backend.empty()) {
    const std::string_view line = backend.substr(0, backend.find('\n'));
    backend.remove_prefix(std::min(backend.size(), line.size() + 1));
    const std::string_view verb = line.substr(0, line.find_first_of(" \r"));
    for (const std::string_view name : {"DATA", "BDAT"}) {
      if (fuzz::EqualsIgnoringCase(verb, name)) return;
    }
    RINGPOST_CHECK(!fuzz::EqualsIgnoringCase(verb, "AUTH"));
  }
}

// Nothing gets to the backend that the client did not say, in its order. How a BDAT line is written
// is up to us: a blank may stand for a tab, and its letters are large.
bool IsSubsequence(std::string_view part, std::string_view whole) {
  std::size_t at = 0;
  for (const char c : part) {
    const bool of_bdat = std::string_view("BDAT").find(c) != std::string_view::npos;
    const char other = c == ' ' ? '\t' : of_bdat ? static_cast<char>(c - 'A' + 'a') : c;
    at = whole.find_first_of(std::string{c, other}, at);
    if (at == std::string_view::npos) return false;
    ++at;
  }
  return true;
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  fuzz::GtestFailuresAbort();
  const std::string_view script = fuzz::View(data, size);
  const Heard heard = Play(script, RelayHarness::kContiguousMax);
  const std::string_view first_line = script.substr(0, script.find('\n'));
  const bool greets = first_line == "greets" || first_line == "named";

  // Replies, none of them cut short, and none of ours a 2xx that the backend did not give.
  std::string_view rest = heard.client;
  while (!rest.empty()) {
    const Reply reply = ParseReply(rest);
    RINGPOST_CHECK(reply.status == ReplyStatus::kComplete);
    rest.remove_prefix(reply.octets);
  }
  // The greeting, a reply to each line, and one to content that is cut short.
  const auto lines = std::count(heard.client_said.begin(), heard.client_said.end(), '\n');
  RINGPOST_CHECK(Answers(heard.client, true) <= 2 + static_cast<std::size_t>(lines));
  RINGPOST_CHECK(Positive(heard.client, false, greets) <= heard.backend_positive);
  RINGPOST_CHECK(heard.stats.messages_accepted <= heard.backend_positive);
  if (first_line != "auth") NoAuth(heard.backend_before_tls);
  if (first_line == "encrypt") OnlyBeforeTls(heard.backend_before_tls);
  // Bare newlines are rewritten; XCLIENT, a first NOOP, our name in EHLO and the "*" that ends AUTH
  // are ours.
  if (heard.stats.bare_newlines == 0 && first_line != "xclient" && first_line != "v1" &&
      first_line != "named" && heard.client_said.find('*') == std::string::npos &&
      heard.backend.find("*\r\n") == std::string::npos) {
    RINGPOST_CHECK(IsSubsequence(heard.backend, heard.client_said));
  }

  const Heard cut = Play(script, 1 + fuzz::HashOf(script) % 60);
  RINGPOST_CHECK(cut.client == heard.client);
  RINGPOST_CHECK(cut.reason == heard.reason);
  if (heard.reason == CloseReason::kBareNewline) {
    // How much of the content before it has gone on by then depends on what could be seen of it.
    RINGPOST_CHECK(cut.backend.starts_with(heard.backend) ||
                   heard.backend.starts_with(cut.backend));
    return 0;
  }
  RINGPOST_CHECK(cut.backend == heard.backend);
  RINGPOST_CHECK(cut.stats.content_octets == heard.stats.content_octets);
  return 0;
}
