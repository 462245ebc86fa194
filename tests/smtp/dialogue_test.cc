// SPDX-License-Identifier: GPL-3.0-or-later
//
// Plays the dialogues of tests/smtp/dialogues/. Each file is one session:
//
//   # comment
//   option tls_policy=encrypt       none | may | encrypt; also auth=as_backend, starttls=no,
//                                   xclient=yes, proxy=v1 or v2 (the header was sent),
//                                   bare=reject, errors=N, greets=yes, hello_name=NAME; and
//                                   split=no where the outcome depends on the cut
//   F: text     the client sends a line          F= text     the client has received a line
//   B: text     the backend sends a line         B= text     the backend has received a line
//   ! tls same | tls reconnected                 the handshake after STARTTLS is over
//   ! starttls                                   the relay has asked for a handshake
//   ! hello text                     the relay has asked for a backend that is told this
//   ! ready tls | ready clear        it was
//   ! offered text                   what it offered another time, before it is
//   ! unusable text                  it could not be; the reply to MAIL
//   ! front eof | back eof
//   ! farewell drain                             the session ends for a reason of its own
//   ! close quit                                 the relay has ended the session for this reason
//
// A line has CRLF behind it unless it ends in \c; \r \n \0 \t \\ and \xHH are octets. Neighbouring
// lines of one sender are one write. Before anyone sends again, everything received must have been
// named.
//
// Each dialogue is played whole, octet by octet, and with runs of three octets in the queues.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "relay_harness.h"

namespace ringpost {
namespace {

enum class Play { kWhole, kSplit, kSmallRuns };

std::string Unescape(std::string_view text) {
  std::string out;
  bool crlf = true;
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
        crlf = false;
        break;
      case 'x':
        out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
        i += 2;
        break;
      default:
        out += text[i];
    }
  }
  return crlf ? out + "\r\n" : out;
}

CloseReason ReasonNamed(std::string_view name) {
  for (int i = 0; i < kCloseReasonCount; ++i) {
    const auto reason = static_cast<CloseReason>(i);
    if (CloseReasonName(reason) == name) return reason;
  }
  ADD_FAILURE() << "no such reason: " << name;
  return CloseReason::kNone;
}

void SetOption(std::string_view option, RelayOptions* options, bool* split) {
  const std::string_view name = option.substr(0, option.find('='));
  const std::string_view value = option.substr(name.size() + 1);
  if (name == "tls_policy") {
    options->tls_policy = value == "none"  ? TlsPolicy::kNone
                          : value == "may" ? TlsPolicy::kMay
                                           : TlsPolicy::kEncrypt;
  } else if (name == "auth") {
    options->auth = value == "as_backend" ? AuthPolicy::kAsBackend : AuthPolicy::kTls;
  } else if (name == "starttls") {
    options->starttls_offered = value == "yes";
  } else if (name == "xclient") {
    options->xclient = value == "yes";
  } else if (name == "proxy") {
    options->proxy_header = true;
    options->prove_with_noop = value == "v1";
  } else if (name == "bare") {
    options->bare_newline = value == "reject" ? BareNewline::kReject : BareNewline::kNormalize;
  } else if (name == "greets") {
    options->greets = value == "yes";
    options->starttls_offered = false;
    options->tls_policy = TlsPolicy::kNone;
  } else if (name == "hello_name") {
    options->hello_name = value;
  } else if (name == "errors") {
    options->refused_commands_max = std::stoi(std::string(value));
  } else if (name == "split") {
    *split = value == "yes";
  } else {
    ADD_FAILURE() << "no such option: " << option;
  }
}

class Dialogue {
 public:
  Dialogue(const RelayOptions& options, Play play) : play_(play), harness_(options) {
    if (play == Play::kSmallRuns) harness_.set_window(3);
  }

  void Line(std::string_view line) {
    const std::string_view kind = line.substr(0, 2);
    const std::string_view rest = line.size() > 3 ? line.substr(3) : std::string_view();
    if (kind == "F:" || kind == "B:") {
      if (!sending_.empty() && kind != sender_) Flush();
      ExpectNothingElse();
      sender_ = kind;
      sending_ += Unescape(rest);
      return;
    }
    Flush();
    if (kind == "F=") {
      Expect(Unescape(rest), harness_.TakeToClient(), &client_);
    } else if (kind == "B=") {
      Expect(Unescape(rest), harness_.TakeToBackend(), &backend_);
    } else if (kind == "! ") {
      Event(line.substr(2));
    } else {
      ADD_FAILURE() << "not a line of a dialogue: " << line;
    }
  }

  void End() {
    Flush();
    ExpectNothingElse();
    EXPECT_TRUE(harness_.closed() == close_named_) << harness_.reason_name();
  }

 private:
  void Flush() {
    const std::string text = std::exchange(sending_, {});
    if (text.empty()) return;
    const bool front = sender_ == "F:";
    if (play_ == Play::kSplit) {
      front ? harness_.FromClientSplit(text) : harness_.FromBackendSplit(text);
    } else {
      front ? harness_.FromClient(text) : harness_.FromBackend(text);
    }
  }

  static void Expect(const std::string& expected, const std::string& received, std::string* seen) {
    *seen += received;
    EXPECT_EQ(seen->substr(0, expected.size()), expected);
    seen->erase(0, std::min(seen->size(), expected.size()));
  }

  void ExpectNothingElse() {
    client_ += harness_.TakeToClient();
    backend_ += harness_.TakeToBackend();
    EXPECT_EQ(client_, "") << "the client received more";
    EXPECT_EQ(backend_, "") << "the backend received more";
    client_.clear();
    backend_.clear();
  }

  void Event(std::string_view event) {
    if (event == "starttls") {
      EXPECT_TRUE(harness_.handshake());
    } else if (event == "tls same") {
      harness_.TlsEstablished(BackendAfterTls::kSame);
    } else if (event == "tls reconnected") {
      harness_.TlsEstablished(BackendAfterTls::kReconnected);
    } else if (event.starts_with("hello ")) {
      EXPECT_EQ(harness_.TakeHello(), Unescape(event.substr(6)));
    } else if (event == "ready tls" || event == "ready clear") {
      harness_.BackendReady(event == "ready tls");
    } else if (event.starts_with("unusable ")) {
      harness_.BackendUnusable(Unescape(event.substr(9)), keywords_ ? &*keywords_ : nullptr);
    } else if (event.starts_with("offered ")) {
      keywords_ = Unescape(event.substr(8));
    } else if (event == "front eof") {
      harness_.ClientEof();
    } else if (event == "back eof") {
      harness_.BackendEof();
    } else if (event.starts_with("farewell ")) {
      client_ += harness_.TakeToClient();
      client_ += harness_.relay().Farewell(ReasonNamed(event.substr(9)));
    } else if (event.starts_with("close ")) {
      EXPECT_EQ(harness_.reason_name(), event.substr(6));
      close_named_ = true;
    } else {
      ADD_FAILURE() << "no such event: " << event;
    }
  }

  Play play_;
  RelayHarness harness_;
  std::string_view sender_ = "F:";
  std::string sending_;
  std::string client_;   // received by the client, not yet named
  std::string backend_;  // received by the backend, not yet named
  std::optional<std::string> keywords_;
  bool close_named_ = false;
};

struct Script {
  RelayOptions options = RelayHarness::DefaultOptions();
  bool split = true;
  std::vector<std::pair<int, std::string>> lines;  // with their numbers
};

Script ReadScript(const std::string& name) {
  std::ifstream file(std::filesystem::path(RINGPOST_DIALOGUES) / (name + ".txt"));
  EXPECT_TRUE(file.is_open());
  Script script;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.empty() || line.front() == '#') continue;
    if (line.starts_with("option ")) {
      SetOption(std::string_view(line).substr(7), &script.options, &script.split);
    } else {
      script.lines.emplace_back(number, line);
    }
  }
  EXPECT_FALSE(script.lines.empty());
  return script;
}

void PlayScript(const std::string& name, Play play) {
  const Script script = ReadScript(name);
  Dialogue dialogue(script.options, play);
  for (const auto& [number, line] : script.lines) {
    SCOPED_TRACE(name + ".txt:" + std::to_string(number) + ": " + line);
    dialogue.Line(line);
  }
  dialogue.End();
}

std::vector<std::string> AllNames() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(RINGPOST_DIALOGUES)) {
    if (entry.path().extension() == ".txt") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> SplitNames() {
  std::vector<std::string> names = AllNames();
  std::erase_if(names, [](const std::string& name) { return !ReadScript(name).split; });
  return names;
}

std::string DialogueName(const testing::TestParamInfo<std::string>& info) { return info.param; }

class DialogueTest : public testing::TestWithParam<std::string> {};
class SplitDialogueTest : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Dialogues, DialogueTest, testing::ValuesIn(AllNames()), DialogueName);
INSTANTIATE_TEST_SUITE_P(Dialogues, SplitDialogueTest, testing::ValuesIn(SplitNames()),
                         DialogueName);

TEST_P(DialogueTest, Whole) { PlayScript(GetParam(), Play::kWhole); }
TEST_P(DialogueTest, SmallRuns) { PlayScript(GetParam(), Play::kSmallRuns); }
TEST_P(SplitDialogueTest, OctetByOctet) { PlayScript(GetParam(), Play::kSplit); }

}  // namespace
}  // namespace ringpost
