// SPDX-License-Identifier: GPL-3.0-or-later
//
// Plays the SMTP dialogues of tests/session/dialogues/ over a whole session. Each file is one
// session:
//
//   # comment
//   option NAME=VALUE     see SetOption() in dialogue.cc
//   F: text               the client sends a line        f: text    the client has received a line
//   b: text               the backend sends a line       B: text    the backend has received a line
//   ! COMMAND             see Command() in dialogue.cc
//
// A line has CRLF behind it unless it ends in \c; \r \n \0 \t \\ and \xHH are octets. Neighbouring
// lines of one sender are one write. A received line may end in * for "and anything". Before anyone
// sends again, and at the end, everything received must have been named.
#ifndef RINGPOST_TESTS_SESSION_DIALOGUE_H_
#define RINGPOST_TESTS_SESSION_DIALOGUE_H_

#include <string>
#include <vector>

#include "sim/sim_io.h"

namespace ringpost {

struct DialogueLine {
  int number = 0;
  char kind = '#';  // 'F', 'f', 'B', 'b', '!', 'o'
  std::string text;
};

struct Dialogue {
  std::string name;
  std::vector<DialogueLine> lines;
  bool split = true;   // may be played octet by octet
  bool faults = true;  // may be played under faults
};

[[nodiscard]] std::vector<Dialogue> LoadDialogues();
// Plays it once; failures name file and line.
void Play(const Dialogue& dialogue, const SimOptions& io);

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SESSION_DIALOGUE_H_
