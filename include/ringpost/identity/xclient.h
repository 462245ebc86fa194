// SPDX-License-Identifier: GPL-3.0-or-later
//
// Postfix's XCLIENT: how a proxy tells an SMTP backend, in SMTP, who the real client is. The
// proxy's side reads the capability and makes the command; the backend's side (ringpost-sink,
// tests) reads the command.
//
// Pure functions without state. They never send an attribute that was not advertised, never LOGIN
// (that would hand out an authenticated identity), and never a name or HELO of the client's
// choosing: the HELO reaches the backend with the EHLO that follows, and host names are the
// backend's to look up. Invariant: every value is an address or a number that was parsed here
// first, so that nothing a peer chose can end the line or add an attribute.
#ifndef RINGPOST_IDENTITY_XCLIENT_H_
#define RINGPOST_IDENTITY_XCLIENT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringpost {

// What the backend says it accepts.
struct XclientAttributes {
  bool name = false;
  bool addr = false;
  bool port = false;
  bool proto = false;
  bool helo = false;
  bool login = false;
  bool destaddr = false;
  bool destport = false;
};

// `keyword_line` is an EHLO line without its code and CRLF: "XCLIENT NAME ADDR PORT", in any case.
// False, with `out` untouched, if it is another keyword. Unknown attributes are skipped.
[[nodiscard]] bool ParseXclientAttributes(std::string_view keyword_line, XclientAttributes* out);

// No command that XclientCommands() makes is longer, CRLF included (PROTOCOL 39 allows 512).
inline constexpr std::size_t kXclientCommandMax = 208;

// The commands to send, each with its CRLF, each to be answered by 220 before the next; ADDR is the
// last attribute of the last one, because it is the one that changes what the session may do.
// Addresses are "192.0.2.1" or "2001:db8::1", without "IPV6:". Empty if ADDR was not advertised or
// `address` is not an address: then the client cannot be named and the session must not go on.
// A destination that is not an address is left out.
[[nodiscard]] std::vector<std::string> XclientCommands(const XclientAttributes& attributes,
                                                       std::string_view address, std::uint16_t port,
                                                       std::string_view destination_address,
                                                       std::uint16_t destination_port);

// The backend's view of one command. An attribute that was not in it is nullopt; the values
// "[UNAVAILABLE]" and "[TEMPUNAVAIL]" are kept as they are.
struct XclientCommand {
  std::optional<std::string> name;
  std::optional<std::string> addr;  // "192.0.2.1" or "2001:db8::1"
  std::optional<std::string> port;  // decimal
  std::optional<std::string> proto;
  std::optional<std::string> helo;
  std::optional<std::string> login;
  std::optional<std::string> destaddr;
  std::optional<std::string> destport;
};

// `line` is "XCLIENT NAME=... ADDR=..." without CRLF, of at most 512 octets. nullopt on anything
// else: an unknown or repeated attribute, bad xtext, a control character in a value, an address or
// a port that is none.
[[nodiscard]] std::optional<XclientCommand> ParseXclientCommand(std::string_view line);

}  // namespace ringpost

#endif  // RINGPOST_IDENTITY_XCLIENT_H_
