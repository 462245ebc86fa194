// SPDX-License-Identifier: GPL-3.0-or-later
#include "port_owner.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <system_error>

#include "ringpost/io/socket.h"

namespace ringpost {
namespace {

constexpr std::string_view kAnyIpv4 = "00000000";
constexpr std::string_view kAnyIpv6 = "00000000000000000000000000000000";

// As /proc/net/tcp and tcp6 write it: words of four octets in the machine's order.
std::string ProcAddress(const std::uint32_t* words, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    std::array<char, 9> word{};
    std::snprintf(word.data(), word.size(), "%08X", words[i]);
    text += word.data();
  }
  return text;
}

bool IsWildcard(const Endpoint& endpoint) {
  return endpoint.address.any.sa_family == AF_INET
             ? endpoint.address.in.sin_addr.s_addr == 0
             : IN6_IS_ADDR_UNSPECIFIED(&endpoint.address.in6.sin6_addr);
}

// Does a socket at `address`, of one of the tables, keep `endpoint` from being listened on?
bool IsInTheWay(std::string_view address, const Endpoint& endpoint) {
  if (address == kAnyIpv6) {
    return true;
  }
  const bool ipv4 = endpoint.address.any.sa_family == AF_INET;
  if (IsWildcard(endpoint)) {
    return ipv4 == (address.size() == kAnyIpv4.size());
  }
  if (ipv4) {
    const std::string own = ProcAddress(&endpoint.address.in.sin_addr.s_addr, 1);
    return address == kAnyIpv4 || address == own;
  }
  std::array<std::uint32_t, 4> words;
  static_assert(sizeof words == sizeof endpoint.address.in6.sin6_addr);
  std::copy_n(endpoint.address.in6.sin6_addr.s6_addr, sizeof words,
              reinterpret_cast<std::uint8_t*>(words.data()));
  return address == ProcAddress(words.data(), words.size());
}

// "socket:[4711]", as descriptors are links to.
void FindListeners(const char* table, const Endpoint& endpoint, std::set<std::string>& sockets) {
  std::array<char, 8> port{};
  std::snprintf(port.data(), port.size(), "%04X", unsigned{PortOf(endpoint.address)});
  std::ifstream file(table);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string slot;
    std::string local;
    std::string remote;
    std::string state;
    std::string ignored;
    std::string inode;
    fields >> slot >> local >> remote >> state >> ignored >> ignored >> ignored >> ignored >>
        ignored >> inode;
    const std::size_t colon = local.find(':');
    constexpr std::string_view kListening = "0A";
    if (state != kListening || colon == std::string::npos ||
        local.substr(colon + 1) != port.data()) {
      continue;
    }
    if (IsInTheWay(std::string_view(local).substr(0, colon), endpoint)) {
      sockets.insert("socket:[" + inode + "]");
    }
  }
}

bool HasOneOf(const std::filesystem::path& descriptors, const std::set<std::string>& sockets) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(descriptors, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;
    const std::filesystem::path target = std::filesystem::read_symlink(entry->path(), gone);
    if (!gone && sockets.contains(target.string())) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::string ProgramOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

bool IsThisProgram(std::string_view program) {
  return !program.empty() && program == ProgramOf(getpid());
}

std::vector<PortOwner> PortOwners(const Endpoint& endpoint) {
  std::set<std::string> sockets;
  const bool ipv4 = endpoint.address.any.sa_family == AF_INET;
  FindListeners(ipv4 ? "/proc/net/tcp" : "/proc/net/tcp6", endpoint, sockets);
  if (ipv4 && sockets.empty()) {
    // One at [::] may be of both families. Nothing tells it from one of IPv6 alone, which is in
    // nobody's way, but that something is.
    FindListeners("/proc/net/tcp6", endpoint, sockets);
  }
  std::vector<PortOwner> owners;
  if (sockets.empty()) {
    return owners;
  }
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    pid_t pid = 0;
    const auto [stop, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad == std::errc{} && stop == name.data() + name.size() &&
        HasOneOf(entry->path() / "fd", sockets)) {
      owners.push_back({pid, ProgramOf(pid)});
    }
  }
  return owners;
}

}  // namespace ringpost
