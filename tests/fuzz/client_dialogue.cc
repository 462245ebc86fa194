// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a partner's server says before the first mail, read by the client's side. The first octet of
// the input are options (see Options), the rest is what the server says; a "|" ends what it says at
// a time: it waits until it has been answered, or not.
//
// Oracles: what may be said to such a server and when; that one reply is consumed at a time, and
// what is read as one is a reply; and that nothing depends on where what is said at a time was cut.
#include "ringpost/smtp/client_dialogue.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fuzz.h"
#include "ringpost/smtp/reply.h"

namespace ringpost {
namespace {

using Kind = DialogueStep::Kind;

constexpr std::string_view kName = "mta.example\r\n";
constexpr std::size_t kBlock = 16 * 1024;
constexpr std::size_t kQuotedMax = 200;
constexpr std::size_t kStepsMax = 6;
constexpr std::size_t kRepeats = 40;

struct Options {
  explicit Options(unsigned octet)
      : use(static_cast<StarttlsUse>((octet & 3) % 3)),
        implicit((octet & 4) != 0),
        helo((octet & 8) != 0),
        late_hello((octet & 16) != 0),
        ends((octet & 32) != 0),
        hasty((octet & 64) != 0),
        long_winded((octet & 128) != 0) {}
  StarttlsUse use;
  bool implicit;
  bool helo;         // the sender says HELO
  bool late_hello;   // the sender is there after the greeting
  bool ends;         // the server closes behind its last words
  bool hasty;        // it speaks first, inside TLS
  bool long_winded;  // what it says, it says many times
};

// A step, as it was carried out.
struct Done {
  Kind kind;
  DialogueFault fault;
  std::size_t octets;
  std::string text;
};

class Player {
 public:
  // Contiguous are `window` octets, until more are wanted; and of what is said at a time, the first
  // reply comes in parts of `piece`.
  Player(const Options& options, std::size_t window, std::size_t piece)
      : options_(options),
        window_(window),
        // A reply is read from its begin each time.
        piece_(options.long_winded ? piece * kRepeats * 10 : piece),
        hello_((options.helo ? "HELO " : "EHLO ") + std::string(kName)),
        dialogue_(options.use, options.implicit ? ClientDialogue::Tls::kImplicit
                                                : ClientDialogue::Tls::kStarttls) {}

  std::vector<Done> Play(std::string_view says) {
    if (options_.implicit) dialogue_.TlsEstablished();
    if (!options_.late_hello) dialogue_.SetHello(hello_);
    for (bool last = false; !last && !over_;) {
      const std::size_t end = says.find('|');
      last = end == std::string_view::npos;
      Hear(says.substr(0, end), last && options_.ends);
      if (!last) says.remove_prefix(end + 1);
      if (!over_ && options_.late_hello && !known_) {
        known_ = true;
        dialogue_.SetHello(hello_);
        Steps(last && options_.ends);
      }
    }
    return std::move(done_);
  }

 private:
  void Hear(std::string_view said, bool ends) {
    std::string text;
    for (std::size_t i = 0; i < (options_.long_winded ? kRepeats : 1); ++i) text += said;
    // Whatever lies behind a reply when it is read is one too many: so all of that comes at once.
    const Reply first = ParseReply(in_ + text);
    const std::size_t alone =
        first.status == ReplyStatus::kComplete ? first.octets - 1 : in_.size() + text.size();
    while (!over_ && in_.size() + piece_ < alone && piece_ < text.size()) {
      in_ += text.substr(0, piece_);
      text.erase(0, piece_);
      if (!handshake_) Steps(false);
    }
    if (over_) return;
    in_ += text;
    if (std::exchange(handshake_, false)) {
      dialogue_.TlsEstablished();
      if (!options_.hasty) {
        const std::string later = std::exchange(in_, {});
        Steps(false);
        if (over_) return;
        in_ = later;
      }
    }
    Steps(ends);
  }

  void Steps(bool ends) {
    std::size_t readable = std::min(window_, in_.size());
    while (!over_ && !handshake_) {
      // In memory of its own, so that a read behind its end is seen.
      const fuzz::Exact octets(std::string_view(in_).substr(0, readable));
      const DialogueStep step = dialogue_.Next(octets.view(), in_.size(), ends);
      if (step.kind == Kind::kNeedInput) {
        RINGPOST_CHECK(step.octets == 0 && step.text.empty());
        if (readable == in_.size()) return;
        RINGPOST_CHECK(readable < kBlock);
        readable = std::min({2 * readable, in_.size(), kBlock});
        continue;
      }
      Judge(step, octets.view());
      done_.push_back({step.kind, step.fault, step.octets, std::string(step.text)});
      RINGPOST_CHECK(done_.size() <= kStepsMax);
      in_.erase(0, step.octets);
      readable = std::min(window_, in_.size());
      over_ = step.kind == Kind::kReady || step.kind == Kind::kFailed;
      handshake_ = step.kind == Kind::kStartTls;
    }
  }

  void Judge(const DialogueStep& step, std::string_view readable) {
    RINGPOST_CHECK((step.fault != DialogueFault::kNone) == (step.kind == Kind::kFailed));
    if (step.kind == Kind::kFailed) {
      RINGPOST_CHECK(step.octets == 0 && !DialogueFaultText(step.fault).empty());
      RINGPOST_CHECK(step.text.size() <= kQuotedMax);
      for (const char c : step.text) RINGPOST_CHECK(c >= ' ' && c <= '~' && c != '"');
      return;
    }
    // A reply, whole, or nothing.
    const Reply reply = ParseReply(readable);
    if (step.octets > 0) {
      RINGPOST_CHECK(reply.status == ReplyStatus::kComplete && reply.octets == step.octets);
      RINGPOST_CHECK(reply.octets == in_.size());
    }
    const bool in_clear = !dialogue_.in_tls();
    switch (step.kind) {
      case Kind::kSay:
        RINGPOST_CHECK(in_clear || step.text.empty());
        if (step.text == "STARTTLS\r\n") {
          RINGPOST_CHECK(options_.use != StarttlsUse::kNever && !starttls_ && reply.code == 250);
          starttls_ = true;
        } else {
          RINGPOST_CHECK(step.text.empty() ||
                         (step.text == "EHLO " + std::string(kName) && reply.code != 250));
        }
        break;
      case Kind::kStartTls:
        RINGPOST_CHECK(in_clear && starttls_ && reply.code == 220 && step.text.empty());
        RINGPOST_CHECK(step.octets > 0);
        break;
      case Kind::kReady:
        RINGPOST_CHECK(options_.use != StarttlsUse::kAlways || !in_clear);
        RINGPOST_CHECK(step.text == hello_ ||
                       (in_clear && step.text == "HELO " + std::string(kName)) ||
                       (in_clear && step.text.empty() && !options_.helo && step.octets == 0));
        // Inside TLS all that was said before is gone.
        RINGPOST_CHECK(options_.implicit || in_clear || (in_.empty() && step.octets == 0));
        break;
      case Kind::kNeedInput:
      case Kind::kFailed:
        break;
    }
  }

  const Options options_;
  const std::size_t window_;
  const std::size_t piece_;
  const std::string hello_;
  ClientDialogue dialogue_;
  std::string in_;
  std::vector<Done> done_;
  bool known_ = false;
  bool starttls_ = false;
  bool handshake_ = false;
  bool over_ = false;
};

// What is quoted of a wrong line is as much of it as had come.
bool Same(const Done& cut, const Done& whole) {
  return cut.kind == whole.kind && cut.fault == whole.fault && cut.octets == whole.octets &&
         (cut.text == whole.text ||
          (cut.kind == Kind::kFailed && whole.text.starts_with(cut.text)));
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  fuzz::Choices choices(fuzz::View(data, size));
  const Options options(choices.Octet());
  const std::string_view says = choices.rest();
  const std::vector<Done> whole = Player(options, kBlock, says.size() * kRepeats + 1).Play(says);
  const std::uint64_t hash = fuzz::HashOf(says);
  for (const std::size_t piece : {std::size_t{1}, 1 + hash % 50}) {
    const std::vector<Done> cut = Player(options, 1 + hash / 64 % 60, piece).Play(says);
    RINGPOST_CHECK(std::equal(cut.begin(), cut.end(), whole.begin(), whole.end(), Same));
  }
  return 0;
}
