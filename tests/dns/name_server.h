// SPDX-License-Identifier: GPL-3.0-or-later
//
// A name server on loopback that has the records it is given, and counts what it is asked.
#ifndef RINGPOST_TESTS_DNS_NAME_SERVER_H_
#define RINGPOST_TESTS_DNS_NAME_SERVER_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace ringpost::test {

class NameServer {
 public:
  NameServer();
  ~NameServer();
  NameServer(const NameServer&) = delete;
  NameServer& operator=(const NameServer&) = delete;

  enum class Mood : std::uint8_t { kAnswers, kSilent, kFails };
  struct Host {
    Mood mood = Mood::kAnswers;
    std::vector<std::string> addresses;  // IPv4 and IPv6 as text
    std::uint32_t ttl = 60;
  };
  // `name` in lower case, without a final dot. Others do not exist.
  void Put(const std::string& name, Host host);
  // How often it was asked for a name, both types.
  [[nodiscard]] int Asked(const std::string& name);
  // For ResolverOptions::servers.
  [[nodiscard]] std::string server() const { return "127.0.0.1@" + std::to_string(port_); }

 private:
  void Main();
  [[nodiscard]] std::string Answer(const std::string& query);

  int socket_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::map<std::string, Host> hosts_;
  std::map<std::string, int> asked_;
  std::thread thread_;
};

}  // namespace ringpost::test

#endif  // RINGPOST_TESTS_DNS_NAME_SERVER_H_
