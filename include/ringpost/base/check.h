// SPDX-License-Identifier: GPL-3.0-or-later
//
// CHECK: programmer errors only, in release builds too. Nothing that a peer sends, and no errno,
// may reach one: peers get a CloseReason, the environment a counted warning.
#ifndef RINGPOST_BASE_CHECK_H_
#define RINGPOST_BASE_CHECK_H_

namespace ringpost {

// Prints `condition` with its place on standard error and aborts.
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);

}  // namespace ringpost

#define RINGPOST_CHECK(condition)                              \
  do {                                                         \
    if (!(condition)) [[unlikely]] {                           \
      ::ringpost::CheckFailed(#condition, __FILE__, __LINE__); \
    }                                                          \
  } while (false)

#endif  // RINGPOST_BASE_CHECK_H_
