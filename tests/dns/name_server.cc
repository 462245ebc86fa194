// SPDX-License-Identifier: GPL-3.0-or-later
#include "name_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <utility>

#include "ringpost/base/check.h"

namespace ringpost::test {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr unsigned kTypeA = 1;
constexpr unsigned kTypeAaaa = 28;

std::string Number(std::uint64_t value, int octets) {
  std::string text;
  for (int shift = 8 * (octets - 1); shift >= 0; shift -= 8) {
    text += static_cast<char>(value >> shift);
  }
  return text;
}

// "mail.example" of the labels at `at`, which is moved behind them.
std::string ReadName(const std::string& message, std::size_t& at) {
  std::string name;
  while (at < message.size() && message[at] != 0) {
    const auto length = static_cast<std::size_t>(message[at++]);
    name += name.empty() ? "" : ".";
    for (std::size_t i = 0; i < length && at < message.size(); ++i) {
      name += static_cast<char>(std::tolower(static_cast<unsigned char>(message[at++])));
    }
  }
  ++at;
  return name;
}

}  // namespace

NameServer::NameServer() : socket_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  RINGPOST_CHECK(bind(socket_, reinterpret_cast<sockaddr*>(&address), length) == 0);
  RINGPOST_CHECK(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Main(); });
}

NameServer::~NameServer() {
  stop_ = true;
  thread_.join();
  close(socket_);
}

void NameServer::Put(const std::string& name, Host host) {
  const std::lock_guard lock(mutex_);
  hosts_[name] = std::move(host);
}

int NameServer::Asked(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return asked_[name];
}

void NameServer::Main() {
  while (!stop_) {
    pollfd polled{.fd = socket_, .events = POLLIN, .revents = 0};
    if (poll(&polled, 1, 20) <= 0) {
      continue;
    }
    std::array<char, 4096> buffer;
    sockaddr_in from{};
    socklen_t length = sizeof from;
    const ssize_t got = recvfrom(socket_, buffer.data(), buffer.size(), 0,
                                 reinterpret_cast<sockaddr*>(&from), &length);
    if (got < static_cast<ssize_t>(kHeaderBytes)) {
      continue;
    }
    const std::string answer = Answer({buffer.data(), static_cast<std::size_t>(got)});
    if (!answer.empty()) {
      (void)sendto(socket_, answer.data(), answer.size(), 0,
                   reinterpret_cast<const sockaddr*>(&from), length);
    }
  }
}

std::string NameServer::Answer(const std::string& query) {
  const std::lock_guard lock(mutex_);
  std::size_t at = kHeaderBytes;
  const std::string name = ReadName(query, at);
  const std::string question = query.substr(kHeaderBytes, at + 4 - kHeaderBytes);
  const unsigned type = static_cast<unsigned char>(query[at + 1]);
  ++asked_[name];
  const auto found = hosts_.find(name);
  const Host host = found != hosts_.end() ? found->second : Host();
  if (host.mood == Mood::kSilent) {
    return {};
  }
  unsigned count = 0;
  std::string records;
  for (const std::string& text : host.addresses) {
    std::array<char, sizeof(in6_addr)> octets{};
    const bool ipv6 = text.find(':') != std::string::npos;
    if (type != (ipv6 ? kTypeAaaa : kTypeA)) {
      continue;
    }
    RINGPOST_CHECK(inet_pton(ipv6 ? AF_INET6 : AF_INET, text.c_str(), octets.data()) == 1);
    const int length = ipv6 ? 16 : 4;
    records += Number(0xc00c, 2) + Number(type, 2) + Number(1, 2) + Number(host.ttl, 4) +
               Number(static_cast<unsigned>(length), 2) +
               std::string(octets.data(), static_cast<std::size_t>(length));
    ++count;
  }
  const unsigned rcode = host.mood == Mood::kFails ? 2 : found == hosts_.end() ? 3 : 0;
  // RFC 2308 3: for how long it is not there, an hour.
  const std::string zone = Number(0, 1);
  const std::string start = zone + zone + Number(1, 4) + Number(60, 4) + Number(60, 4) +
                            Number(3600, 4) + Number(3600, 4);
  const bool negative = count == 0 && rcode != 2;
  const std::string authority =
      zone + Number(6, 2) + Number(1, 2) + Number(3600, 4) + Number(start.size(), 2) + start;
  return query.substr(0, 2) + Number(0x8180 | rcode, 2) + Number(1, 2) + Number(count, 2) +
         Number(negative ? 1 : 0, 2) + Number(0, 2) + question + records +
         (negative ? authority : std::string());
}

}  // namespace ringpost::test
