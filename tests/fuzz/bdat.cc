// SPDX-License-Identifier: GPL-3.0-or-later
//
// BDAT through the relay (PROTOCOL 18, 19). The input is what a client sends behind its RCPT.
// Oracle: RFC 3030 2 read one octet at a time says what the backend may get of it, up to the first
// line that is not BDAT.
#include <string>
#include <string_view>
#include <vector>

#include "fuzz.h"
#include "gtest_aborts.h"
#include "smtp/relay_harness.h"

namespace ringpost {
namespace {

constexpr std::size_t kChunksMax = 15;  // the refusals behind them must not be too many

struct Reference {
  std::string backend;      // what it gets, for sure
  std::size_t chunks = 0;   // forwarded whole: they will be answered
  std::size_t refused = 0;  // read past whole
  bool closed = false;      // a size that cannot be read
  bool open = false;        // the input goes on with something else
};

// "BDAT", blanks, a number without sign, prefix or leading zero, perhaps blanks and "LAST", perhaps
// blanks, CRLF. `canonical` is what the backend gets: the line itself if its blanks are those of
// RFC 3030.
bool ReadLine(std::string_view line, std::uint64_t* octets, bool* last, std::string* canonical) {
  std::vector<std::string> words(1);
  bool single = true;
  for (const char c : line) {
    if (c != ' ' && c != '\t') {
      words.back() += c;
      continue;
    }
    single = single && c == ' ' && !words.back().empty();
    if (!words.back().empty()) words.emplace_back();
  }
  if (words.back().empty()) {
    single = false;
    words.pop_back();
  }
  *last = words.size() == 3;
  if (words.size() < 2 || words.size() > 3) return false;
  if (*last && !fuzz::EqualsIgnoringCase(words[2], "LAST")) return false;
  const std::string& size = words[1];
  if (size.size() > 18 || (size.size() > 1 && size[0] == '0')) return false;
  *octets = 0;
  for (const char c : size) {
    if (c < '0' || c > '9') return false;
    *octets = *octets * 10 + static_cast<std::uint64_t>(c - '0');
  }
  *canonical = single ? std::string(line) : "BDAT " + size + (*last ? " LAST" : "");
  return true;
}

Reference Read(std::string_view input) {
  Reference reference;
  bool transaction = true;
  while (!input.empty() && !reference.open && !reference.closed) {
    if (reference.chunks + reference.refused == kChunksMax) {
      reference.open = true;
      break;
    }
    const std::size_t newline = input.find('\n');
    if (newline == std::string_view::npos || newline == 0 || input[newline - 1] != '\r' ||
        newline > 100 || !fuzz::EqualsIgnoringCase(input.substr(0, 5), "BDAT ")) {
      reference.open = true;
      break;
    }
    const std::string_view line = input.substr(0, newline - 1);
    if (line.find_first_of(std::string_view("\r\0", 2)) != std::string_view::npos) {
      reference.open = true;
      break;
    }
    std::uint64_t octets = 0;
    bool last = false;
    std::string canonical;
    if (!ReadLine(line, &octets, &last, &canonical)) {
      reference.closed = true;
      break;
    }
    input.remove_prefix(newline + 1);
    const bool whole = octets <= input.size();
    const std::string_view chunk =
        input.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(octets, input.size())));
    input.remove_prefix(chunk.size());
    if (transaction) {
      reference.backend.append(canonical).append("\r\n").append(chunk);
      reference.chunks += whole ? 1 : 0;
      transaction = !last;
    } else {
      reference.refused += whole ? 1 : 0;  // PROTOCOL 18: read past, then its reply
    }
  }
  return reference;
}

std::size_t RepliesIn(std::string_view text) {
  std::size_t count = 0;
  for (Reply reply = ParseReply(text); reply.status == ReplyStatus::kComplete;
       reply = ParseReply(text)) {
    ++count;
    text.remove_prefix(reply.octets);
  }
  RINGPOST_CHECK(text.empty());
  return count;
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  fuzz::GtestFailuresAbort();
  const std::string_view input = fuzz::View(data, size);
  SimRandom draws(fuzz::HashOf(input));
  const Reference reference = Read(input);

  RelayHarness harness;
  harness.set_window(1 + draws.Below(64));
  harness.Hello();
  harness.Envelope();
  const std::size_t cut = draws.Below(size + 1);
  harness.FromClient(input.substr(0, cut));
  harness.FromClient(input.substr(cut));
  const std::string to_backend = harness.TakeToBackend();
  RINGPOST_CHECK(to_backend.starts_with(reference.backend));
  if (reference.open) return 0;
  RINGPOST_CHECK(to_backend == reference.backend);
  // One reply for each chunk, in order, none before the backend's (PROTOCOL 7, 8).
  RINGPOST_CHECK(reference.chunks == 0 || harness.to_client().empty());
  for (std::size_t i = 0; i < reference.chunks; ++i) {
    RINGPOST_CHECK(!harness.closed());
    RINGPOST_CHECK(RepliesIn(harness.to_client()) == i);
    harness.FromBackend("250 number " + std::to_string(i) + "\r\n");
  }
  const std::string to_client = harness.TakeToClient();
  RINGPOST_CHECK(RepliesIn(to_client) ==
                 reference.chunks + reference.refused + (reference.closed ? 1 : 0));
  RINGPOST_CHECK(harness.closed() == reference.closed);
  if (reference.closed) {
    RINGPOST_CHECK(harness.reason() == CloseReason::kBdatSyntax);
    RINGPOST_CHECK(to_client.find("\r\n501 ") != std::string::npos ||
                   to_client.starts_with("501 "));
  }
  return 0;
}
