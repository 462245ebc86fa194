// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a misbehaving client does, once, instead of going on; and how its session may end for it
// where nothing else goes wrong.
#ifndef RINGPOST_TESTS_SESSION_MISCHIEF_H_
#define RINGPOST_TESTS_SESSION_MISCHIEF_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "ringpost/base/outcome.h"

namespace ringpost {

enum class Mischief : std::uint8_t {
  kNone,
  // Between commands.
  kSilence,    // says nothing more
  kEof,        // FIN where a command was due
  kInjection,  // octets behind STARTTLS
  kLongLine,   // a line without end
  kBdatSyntax,
  kForeign,  // HTTP, PROXY
  kManyErrors,
  kHalfCommand,    // half a line, or half a record, then silence
  kGarbageRecord,  // inside TLS, octets that are no record of it
  kNotify,         // close_notify, then clear text
  kNeverReads,
  kEarlyContent,  // before the 354
  // Where TLS begins.
  kGarbageHello,
  kHalfHello,    // then silence
  kCutHello,     // then FIN
  kRecordFlood,  // records without end, but no handshake
  // Inside DATA or BDAT.
  kHalfContent,  // then silence
  kTruncated,    // then FIN
  kTruncatedReset,
  kTruncatedNotify,  // then close_notify, and the rest in clear
  kDrip,             // an octet now and then
  kBareNewline,      // where it is to be refused
  kCount,
};

[[nodiscard]] std::string_view MischiefName(Mischief mischief);
[[nodiscard]] bool IsAboutTlsStart(Mischief mischief);
[[nodiscard]] bool IsAboutContent(Mischief mischief);
[[nodiscard]] std::span<const CloseReason> ReasonsFor(Mischief mischief);

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SESSION_MISCHIEF_H_
