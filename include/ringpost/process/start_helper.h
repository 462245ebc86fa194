// SPDX-License-Identifier: GPL-3.0-or-later
//
// A process of its own that starts the next ringpost (SIGUSR1). It is forked from main before
// anything is read and any thread runs, so that it can execute programs when the process that
// serves no longer may. It holds the command line, the environment and one socket, and ends with
// the process that it serves. What it executes was settled when it was forked: the descriptors are
// all that a request can add.
#ifndef RINGPOST_PROCESS_START_HELPER_H_
#define RINGPOST_PROCESS_START_HELPER_H_

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ringpost {

// What a descriptor that is handed over will be called in LISTEN_FDNAMES.
enum class HandedKind : char { kListener = 'l', kOwnedFile = 'f', kPredecessor = 'p' };

struct HandedSocket {
  int fd = -1;  // stays the caller's
  HandedKind kind = HandedKind::kListener;
};

// What the helper says.
struct HelperNews {
  enum class Kind : std::uint8_t { kNone, kStarted, kNotStarted, kEnded, kHelperGone };
  Kind kind = Kind::kNone;
  pid_t pid = 0;   // kStarted
  int status = 0;  // kEnded: as waitpid(2) has it; kNotStarted: an errno
};

class StartHelper {
 public:
  // To be called once, from main. Without effect where it fails: then started() is false, and
  // Start() too. `arguments` are main's, and go on existing.
  [[nodiscard]] static StartHelper Fork(char** arguments);

  StartHelper() = default;
  ~StartHelper();  // ends it
  StartHelper(StartHelper&& other) noexcept;
  StartHelper& operator=(StartHelper&& other) noexcept;
  StartHelper(const StartHelper&) = delete;
  StartHelper& operator=(const StartHelper&) = delete;

  [[nodiscard]] bool started() const { return socket_ >= 0; }
  // Asks for the program, with these descriptors from 3 on. False: the helper is gone.
  [[nodiscard]] bool Start(std::span<const HandedSocket> sockets);
  // Ends what it has started: SIGTERM, and SIGKILL ten seconds later.
  void Kill();
  // Does not wait.
  [[nodiscard]] HelperNews Look();

 private:
  explicit StartHelper(int socket) : socket_(socket) {}
  int socket_ = -1;
};

// The path under which the program that runs would be found again: what `argument0` names, if that
// is it (a symbolic link may point elsewhere after an upgrade), or else the path of its file.
[[nodiscard]] std::string ProgramPath(const char* argument0);

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_START_HELPER_H_
