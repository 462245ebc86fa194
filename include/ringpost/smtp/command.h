// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is known of each SMTP command, as one table, and the checks a command line must pass before
// any octet of it reaches the backend. Pure functions over one line; no state, no allocation.
#ifndef RINGPOST_SMTP_COMMAND_H_
#define RINGPOST_SMTP_COMMAND_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ringpost {

enum class Verb : std::uint8_t {
  kEhlo,
  kHelo,
  kMail,
  kRcpt,
  kData,
  kBdat,
  kRset,
  kNoop,
  kQuit,
  kVrfy,
  kExpn,
  kHelp,
  kEtrn,
  kAuth,
  kStarttls,
  kIdentity,  // XCLIENT, XFORWARD: a proxy's to say, not a client's
  kForeign,   // another protocol's: HTTP, a header line, PROXY
  kUnknown,
};

// What the commands behind this one have to wait for.
enum class CommandEnd : std::uint8_t {
  kPipelined,  // nothing
  // Its reply: it decides how the next octets are read, or no command may follow this one in a
  // group (RFC 2920 3.1). Postfix 3.9 and later close the connection where one does.
  kReply,
};

struct CommandRule {
  std::string_view name;
  Verb verb = Verb::kUnknown;
  bool before_tls = false;   // allowed in clear where the policy is encrypt (RFC 3207 4)
  bool needs_hello = false;  // after a TLS handshake: 503 before a new EHLO or HELO (RFC 3207 4.2)
  CommandEnd end = CommandEnd::kPipelined;
  std::uint16_t line_max = 0;  // octets, CRLF included
};

// RFC 5321 4.5.3.1.4.
inline constexpr std::size_t kCommandLineMax = 512;
// RFC 4954 4: AUTH lines and the client's answers to its challenges.
inline constexpr std::size_t kAuthLineMax = 12288;
// The most of an over-long line that is read past before the session ends (PROTOCOL 2).
inline constexpr std::size_t kLineDiscardMax = 64 * 1024;

// `line` may be the beginning of a line. Never null: unknown verbs have a rule of their own.
[[nodiscard]] const CommandRule& FindCommand(std::string_view line);

// Why a line is refused whatever its verb is. The first that applies; kInvalidUtf8 if no other
// does.
enum class LineFault : std::uint8_t {
  kNone,
  kEmpty,
  kLeadingBlank,
  kNul,
  kBareNewline,  // PROTOCOL 1
  kInvalidUtf8,
};
// What of the line is outside ASCII matters only if SMTPUTF8 is not in force, and not to EHLO and
// HELO.
enum class LineCharset : std::uint8_t { kAscii, kUtf8 };
struct [[nodiscard]] LineCheck {
  LineFault fault = LineFault::kNone;
  LineCharset charset = LineCharset::kAscii;
};
// `line` is without its CRLF.
LineCheck CheckLine(std::string_view line);

// What follows the verb, without the blank between and without trailing blanks (RFC 5321 4.1.1:
// a receiver should tolerate them).
[[nodiscard]] std::string_view CommandArgument(std::string_view line, const CommandRule& rule);

// Whether EHLO or HELO may have this argument, which need not be UTF-8: whatever fits the line and
// has no control character, neither as an octet nor in xtext ("+0A"), which nobody is called and
// who decodes it would read as a line's end. Whether it is a name is for the backend to say: nobody
// else is told it.
[[nodiscard]] bool MayBeHelloName(std::string_view argument);
// Letters, digits and "-._:[]", 1 to 255 octets: a domain, an address literal, or an underscore
// more. No server calls such an EHLO a command that it does not know.
[[nodiscard]] bool IsPlainHelloName(std::string_view argument);

struct BdatArgument {
  std::uint64_t octets = 0;
  bool last = false;
  bool canonical = false;  // one SP before each word, and nothing behind the last
};
// RFC 3030 2: chunk-size [SP "LAST"]. Blanks may be several and come behind it, as RFC 5321 4.1.1
// asks of receivers; nothing else is tolerated, because whoever reads the size differently reads
// message content as commands.
[[nodiscard]] std::optional<BdatArgument> ParseBdatArgument(std::string_view line);

// "AUTH SCRAM-SHA-256-PLUS ...": channel binding cannot match behind a TLS terminator.
[[nodiscard]] bool AsksForChannelBinding(std::string_view auth_argument);

// Whether a line that is refused would have announced a chunk: its octets may follow.
[[nodiscard]] bool LooksLikeBdat(std::string_view line);

// Octets that no SMTP client begins a line with: a TLS record, a NUL, the PROXY v2 signature.
// kUnknown: with more octets it may become the latter.
enum class ForeignBinary : std::uint8_t { kNo, kUnknown, kYes };
[[nodiscard]] ForeignBinary CheckForeignBinary(std::string_view readable);

[[nodiscard]] bool EqualsIgnoreCase(std::string_view text, std::string_view upper_case);

}  // namespace ringpost

#endif  // RINGPOST_SMTP_COMMAND_H_
