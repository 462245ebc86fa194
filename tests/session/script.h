// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a random session says and hears, and the oracle over it: what the client sent must be what
// the backend got, less what the relay may drop; what the client was told must be what the backend
// said.
#ifndef RINGPOST_TESTS_SESSION_SCRIPT_H_
#define RINGPOST_TESTS_SESSION_SCRIPT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ringpost {

// Whether an utterance of the client has to reach the backend.
enum class Reaches : std::uint8_t {
  kAlways,
  kNever,    // refused by ringpost itself
  kPerhaps,  // depends on whether the refusal of an earlier command was known in time
};

enum class Utterance : std::uint8_t {
  kHello,
  kStartTls,
  kMail,
  kRcpt,
  kData,
  kContent,
  kChunk,
  kAuth,
  kOther,
  kQuit
};

struct ScriptItem {
  Utterance what = Utterance::kOther;
  Reaches reaches = Reaches::kAlways;
  std::string sent;
  std::string expected;  // at the backend, if it reaches it
};

// A positive answer to it can only be the backend's (DESIGN: ringpost never makes one).
[[nodiscard]] bool IsBackendsToAccept(Utterance what);

// One of the backend's replies.
struct BackendReply {
  std::string command;  // the line, chunk or content it answers
  std::string reply;    // all lines
};

// One connection as the backend saw it, without PROXY header, XCLIENT and what belongs to it.
struct BackendLog {
  std::string received;
  std::string greeting;  // empty: it has said none
  std::vector<BackendReply> replies;
  int stored = 0;         // messages
  bool vanished = false;  // on purpose, as the rest
  bool rogue = false;     // it has broken a rule, and is excused from what honest backends promise
  bool early = false;     // said replies that nobody had asked for, so that they no longer match
};

enum class Whole : std::uint8_t { kYes, kMayBeCut };
// Empty, or what is wrong with `received` as the image of `items`.
[[nodiscard]] std::string CompareWithScript(std::string_view received,
                                            const std::vector<ScriptItem>& items, Whole whole);

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SESSION_SCRIPT_H_
