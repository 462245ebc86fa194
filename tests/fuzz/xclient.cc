// SPDX-License-Identifier: GPL-3.0-or-later
//
// XCLIENT, both ends (PROTOCOL 39). The first line of the input is what a backend advertises or a
// command it is sent; the second is a client's address, the third a destination's.
#include "ringpost/identity/xclient.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <string>
#include <string_view>

#include "fuzz.h"

namespace ringpost {
namespace {

// The value as XCLIENT's reader gives it back; empty: not an address.
std::string Canonical(std::string_view text) {
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return {};
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  in6_addr ipv6{};
  in_addr ipv4{};
  if (inet_pton(AF_INET, terminated.c_str(), &ipv4) == 1) {
    return inet_ntop(AF_INET, &ipv4, buffer.data(), buffer.size());
  }
  if (inet_pton(AF_INET6, terminated.c_str(), &ipv6) != 1) return {};
  if (IN6_IS_ADDR_V4MAPPED(&ipv6)) {
    return inet_ntop(AF_INET, &ipv6.s6_addr[12], buffer.data(), buffer.size());
  }
  return inet_ntop(AF_INET6, &ipv6, buffer.data(), buffer.size());
}

bool IsAddressOrUnavailable(const std::optional<std::string>& value) {
  return !value.has_value() || *value == "[UNAVAILABLE]" || *value == "[TEMPUNAVAIL]" ||
         Canonical(*value) == *value;
}

void ReadCommand(std::string_view line) {
  const fuzz::Exact exact(line);
  const std::optional<XclientCommand> command = ParseXclientCommand(exact.view());
  if (!command.has_value()) return;
  RINGPOST_CHECK(line.size() <= 512);
  RINGPOST_CHECK(fuzz::EqualsIgnoringCase(line.substr(0, 8), "XCLIENT "));
  RINGPOST_CHECK(line.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
  for (const std::optional<std::string>* value :
       {&command->name, &command->addr, &command->port, &command->proto, &command->helo,
        &command->login, &command->destaddr, &command->destport}) {
    if (!value->has_value()) continue;
    for (const char c : **value) {
      RINGPOST_CHECK(static_cast<unsigned char>(c) >= 32 && c != 127);
    }
  }
  RINGPOST_CHECK(IsAddressOrUnavailable(command->addr));
  RINGPOST_CHECK(IsAddressOrUnavailable(command->destaddr));
}

void WriteCommand(const XclientAttributes& attributes, std::string_view address, std::uint16_t port,
                  std::string_view destination, std::uint16_t destination_port) {
  const std::vector<std::string> commands =
      XclientCommands(attributes, address, port, destination, destination_port);
  const std::string client = Canonical(address);
  RINGPOST_CHECK(commands.empty() == (!attributes.addr || client.empty()));
  bool addressed = false;
  for (const std::string& text : commands) {
    RINGPOST_CHECK(text.size() <= kXclientCommandMax && text.ends_with("\r\n"));
    const std::string_view line = std::string_view(text).substr(0, text.size() - 2);
    const std::optional<XclientCommand> command = ParseXclientCommand(line);
    RINGPOST_CHECK(command.has_value());
    // Only what was advertised, never LOGIN, nothing of the client's own choice.
    RINGPOST_CHECK(!command->login && !command->helo && !command->proto);
    if (command->name) RINGPOST_CHECK(attributes.name && *command->name == "[UNAVAILABLE]");
    if (command->port) RINGPOST_CHECK(attributes.port && *command->port == std::to_string(port));
    if (command->destaddr) {
      RINGPOST_CHECK(attributes.destaddr && *command->destaddr == Canonical(destination));
    }
    if (command->destport) {
      RINGPOST_CHECK(attributes.destport && *command->destport == std::to_string(destination_port));
    }
    RINGPOST_CHECK(!addressed);
    if (command->addr) {
      addressed = true;
      RINGPOST_CHECK(*command->addr == client);
      // The last attribute of the last command.
      RINGPOST_CHECK(line.rfind(' ') == line.rfind(" ADDR="));
    }
  }
  RINGPOST_CHECK(commands.empty() || addressed);
  if (commands.empty()) return;
  const XclientCommand first = *ParseXclientCommand(
      std::string_view(commands.front()).substr(0, commands.front().size() - 2));
  RINGPOST_CHECK(first.port.has_value() == attributes.port);
  RINGPOST_CHECK(first.name.has_value() == attributes.name);
  RINGPOST_CHECK(first.destaddr.has_value() ==
                 (attributes.destaddr && !Canonical(destination).empty()));
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  const std::string_view input = fuzz::View(data, size);
  fuzz::Choices lines(input);
  const std::string_view first = lines.Line();
  ReadCommand(first);
  XclientAttributes attributes{};
  const bool offered = ParseXclientAttributes(first, &attributes);
  RINGPOST_CHECK(!offered || fuzz::EqualsIgnoringCase(first.substr(first.find_first_not_of(' '), 7),
                                                      "XCLIENT"));
  const std::uint64_t hash = fuzz::HashOf(input);
  const std::string_view address = lines.Line();
  const std::string_view destination = lines.Line();
  WriteCommand(attributes, address, static_cast<std::uint16_t>(hash), destination,
               static_cast<std::uint16_t>(hash >> 16));
  return 0;
}
