// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/identity/xclient.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <cstring>

namespace ringpost {
namespace {

constexpr std::string_view kKeyword = "XCLIENT";
constexpr std::string_view kUnavailable = "[UNAVAILABLE]";
constexpr std::string_view kTemporarilyUnavailable = "[TEMPUNAVAIL]";
constexpr std::string_view kIpv6Prefix = "IPV6:";
constexpr std::size_t kLineMax = 512;  // RFC 5321 4.5.3.1.4

// The longest command: every attribute, two IPv6 addresses of 39 octets.
static_assert(
    std::string_view("XCLIENT NAME=[UNAVAILABLE] PORT=65535 DESTADDR=IPV6: DESTPORT=65535 "
                     "ADDR=IPV6:\r\n")
            .size() +
        2 * 39 <=
    kXclientCommandMax);
static_assert(kXclientCommandMax < kLineMax);

char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool EqualsIgnoringCase(std::string_view text, std::string_view upper) {
  if (text.size() != upper.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (Upper(text[i]) != upper[i]) return false;
  }
  return true;
}

// Cuts the next word off the front of `rest`; empty when there is none.
std::string_view TakeWord(std::string_view* rest) {
  while (!rest->empty() && rest->front() == ' ') rest->remove_prefix(1);
  const std::string_view word = rest->substr(0, rest->find(' '));
  rest->remove_prefix(word.size());
  return word;
}

// The canonical text of an address, with "IPV6:" where XCLIENT wants it; empty if `text` is none.
// Going through inet_pton means that only octets we chose ourselves reach the command.
std::string AddressValue(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  // inet_pton would stop at a NUL and not see what is behind it.
  if (text.size() >= buffer.size() || text.find('\0') != std::string_view::npos) return {};
  text.copy(buffer.data(), text.size());

  in_addr ipv4{};
  in6_addr ipv6{};
  if (inet_pton(AF_INET, buffer.data(), &ipv4) == 1) {
    inet_ntop(AF_INET, &ipv4, buffer.data(), buffer.size());
    return buffer.data();
  }
  if (inet_pton(AF_INET6, buffer.data(), &ipv6) != 1) return {};
  if (IN6_IS_ADDR_V4MAPPED(&ipv6)) {
    // What a dual-stack listener calls an IPv4 client; the backend's mynetworks lists it as IPv4.
    std::memcpy(&ipv4, &ipv6.s6_addr[12], sizeof ipv4);
    inet_ntop(AF_INET, &ipv4, buffer.data(), buffer.size());
    return buffer.data();
  }
  inet_ntop(AF_INET6, &ipv6, buffer.data(), buffer.size());
  return std::string(kIpv6Prefix) + buffer.data();
}

// RFC 3461 4: xtext is any octet from "!" to "~" but "+" and "=", which are "+HH", as all others.
void AppendXtext(std::string_view value, std::string* out) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : value) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet >= 33 && octet <= 126 && c != '+' && c != '=') {
      out->push_back(c);
    } else {
      out->push_back('+');
      out->push_back(kHex[octet >> 4]);
      out->push_back(kHex[octet & 15]);
    }
  }
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;  // RFC 3461 4: upper case only
  return -1;
}

std::optional<std::string> DecodeXtext(std::string_view text) {
  std::string value;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto octet = static_cast<unsigned char>(text[i]);
    if (octet == '+') {
      if (text.size() - i < 3) return std::nullopt;
      const int high = HexValue(text[i + 1]);
      const int low = HexValue(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      octet = static_cast<unsigned char>(high * 16 + low);
      i += 2;
    } else if (octet < 33 || octet > 126 || octet == '=') {
      return std::nullopt;
    }
    // A CR or LF smuggled as "+0D+0A" must not reach a log or a terminal.
    if (octet < 32 || octet == 127) return std::nullopt;
    value.push_back(static_cast<char>(octet));
  }
  return value;
}

bool IsUnavailable(std::string_view value) {
  return value == kUnavailable || value == kTemporarilyUnavailable;
}

// Turns an XCLIENT address into its plain text, in place.
bool NormalizeAddress(std::string* value) {
  if (IsUnavailable(*value)) return true;
  std::string_view text = *value;
  const bool prefixed = text.size() > kIpv6Prefix.size() &&
                        EqualsIgnoringCase(text.substr(0, kIpv6Prefix.size()), kIpv6Prefix);
  if (prefixed) text.remove_prefix(kIpv6Prefix.size());
  if (prefixed != (text.find(':') != std::string_view::npos)) return false;
  std::string canonical = AddressValue(text);
  if (canonical.empty()) return false;
  if (canonical.starts_with(kIpv6Prefix)) canonical.erase(0, kIpv6Prefix.size());
  *value = std::move(canonical);
  return true;
}

bool IsPort(std::string_view value) {
  if (IsUnavailable(value)) return true;
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), port);
  return !value.empty() && error == std::errc{} && end == value.data() + value.size();
}

}  // namespace

bool ParseXclientAttributes(std::string_view keyword_line, XclientAttributes* out) {
  std::string_view rest = keyword_line;
  if (rest.empty() || rest.front() == ' ') return false;
  if (!EqualsIgnoringCase(TakeWord(&rest), kKeyword)) return false;

  struct Known {
    std::string_view name;
    bool XclientAttributes::* member;
  };
  static constexpr std::array kKnown = {
      Known{"NAME", &XclientAttributes::name},
      Known{"ADDR", &XclientAttributes::addr},
      Known{"PORT", &XclientAttributes::port},
      Known{"PROTO", &XclientAttributes::proto},
      Known{"HELO", &XclientAttributes::helo},
      Known{"LOGIN", &XclientAttributes::login},
      Known{"DESTADDR", &XclientAttributes::destaddr},
      Known{"DESTPORT", &XclientAttributes::destport},
  };
  *out = XclientAttributes{};
  for (std::string_view word = TakeWord(&rest); !word.empty(); word = TakeWord(&rest)) {
    for (const Known& known : kKnown) {
      if (EqualsIgnoringCase(word, known.name)) out->*known.member = true;
    }
  }
  return true;
}

std::vector<std::string> XclientCommands(const XclientAttributes& attributes,
                                         std::string_view address, std::uint16_t port,
                                         std::string_view destination_address,
                                         std::uint16_t destination_port) {
  const std::string client = AddressValue(address);
  if (!attributes.addr || client.empty()) return {};
  const std::string destination = AddressValue(destination_address);

  std::string command(kKeyword);
  const auto add = [&command](std::string_view name, std::string_view value) {
    command.push_back(' ');
    command.append(name);
    command.push_back('=');
    AppendXtext(value, &command);
  };
  // Without NAME the backend would keep the name it found for the proxy's own address.
  if (attributes.name) add("NAME", kUnavailable);
  if (attributes.port) add("PORT", std::to_string(port));
  if (!destination.empty()) {
    if (attributes.destaddr) add("DESTADDR", destination);
    if (attributes.destport) add("DESTPORT", std::to_string(destination_port));
  }
  add("ADDR", client);
  command.append("\r\n");

  std::vector<std::string> commands;
  commands.push_back(std::move(command));  // one is always enough: kXclientCommandMax
  return commands;
}

std::optional<XclientCommand> ParseXclientCommand(std::string_view line) {
  if (line.size() > kLineMax) return std::nullopt;
  std::string_view rest = line;
  if (rest.empty() || rest.front() == ' ') return std::nullopt;
  if (!EqualsIgnoringCase(TakeWord(&rest), kKeyword)) return std::nullopt;

  enum class Kind { kText, kAddress, kPort };
  struct Known {
    std::string_view name;
    Kind kind;
    std::optional<std::string> XclientCommand::* member;
  };
  static constexpr std::array kKnown = {
      Known{"NAME", Kind::kText, &XclientCommand::name},
      Known{"ADDR", Kind::kAddress, &XclientCommand::addr},
      Known{"PORT", Kind::kPort, &XclientCommand::port},
      Known{"PROTO", Kind::kText, &XclientCommand::proto},
      Known{"HELO", Kind::kText, &XclientCommand::helo},
      Known{"LOGIN", Kind::kText, &XclientCommand::login},
      Known{"DESTADDR", Kind::kAddress, &XclientCommand::destaddr},
      Known{"DESTPORT", Kind::kPort, &XclientCommand::destport},
  };

  XclientCommand command;
  bool any = false;
  for (std::string_view word = TakeWord(&rest); !word.empty(); word = TakeWord(&rest)) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const Known* known = nullptr;
    for (const Known& candidate : kKnown) {
      if (EqualsIgnoringCase(word.substr(0, equals), candidate.name)) known = &candidate;
    }
    if (known == nullptr || (command.*known->member).has_value()) return std::nullopt;
    std::optional<std::string> value = DecodeXtext(word.substr(equals + 1));
    if (!value.has_value()) return std::nullopt;
    if (known->kind == Kind::kAddress && !NormalizeAddress(&*value)) return std::nullopt;
    if (known->kind == Kind::kPort && !IsPort(*value)) return std::nullopt;
    command.*known->member = std::move(value);
    any = true;
  }
  if (!any) return std::nullopt;
  return command;
}

}  // namespace ringpost
