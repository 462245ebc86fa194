// SPDX-License-Identifier: GPL-3.0-or-later
//
// The arguments of MAIL, RCPT, BDAT and AUTH as the sink reads them. Pure functions.
#ifndef RINGPOST_TOOLS_SINK_ARGUMENTS_H_
#define RINGPOST_TOOLS_SINK_ARGUMENTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ringpost {

struct PathArgument {
  std::string_view path;        // without the angle brackets; empty for MAIL FROM:<>
  std::string_view parameters;  // "SIZE=10 BODY=8BITMIME", may be empty
};
// `argument` is "FROM:<a@b> SIZE=10"; `prefix` is "FROM:" or "TO:". nullopt: RFC 5321 4.1.1.2's
// syntax is not met.
[[nodiscard]] std::optional<PathArgument> ParsePath(std::string_view argument,
                                                    std::string_view prefix);

enum class ParameterError : std::uint8_t { kNone, kSyntax, kUnknown };
struct [[nodiscard]] MailParameters {
  ParameterError error = ParameterError::kNone;
  std::uint64_t size = 0;
  bool smtputf8 = false;
};
MailParameters ParseMailParameters(std::string_view parameters);  // RFC 1870 6152 3461 4954 6531
ParameterError CheckRcptParameters(std::string_view parameters);  // RFC 3461

struct ChunkArgument {
  std::uint64_t octets = 0;
  bool last = false;
};
// RFC 3030 2: "chunk-size [SP LAST]", nothing else. At most 2^62 octets.
[[nodiscard]] std::optional<ChunkArgument> ParseChunk(std::string_view argument);

// RFC 4616: base64 of "authorization NUL user NUL password".
struct PlainCredentials {
  std::string user;
  std::string password;
};
[[nodiscard]] std::optional<PlainCredentials> ParseAuthPlain(std::string_view base64);
[[nodiscard]] std::optional<std::string> DecodeBase64(std::string_view base64);

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_SINK_ARGUMENTS_H_
