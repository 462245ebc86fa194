// SPDX-License-Identifier: GPL-3.0-or-later
#include "hello_builder.h"

#include <algorithm>

namespace ringpost::test {

std::string Vector(int octets, std::string_view content) {
  return Number(content.size(), octets).append(content);
}

std::string Record(unsigned type, std::string_view content, unsigned version) {
  return Number(type, 1) + Number(version, 2) + Vector(2, content);
}

std::string Fragmented(std::string_view message, std::size_t size, unsigned version) {
  std::string records;
  for (std::size_t i = 0; i < message.size(); i += size) {
    records += Record(22, message.substr(i, size), version);
  }
  return records;
}

HelloBuilder HelloBuilder::Usual() {
  HelloBuilder hello = Tls12();
  hello.Set(kSupportedVersions, Vector(1, Number(0x0304, 2) + Number(0x0303, 2)));
  hello.Set(kPskModes, Vector(1, "\x01"));
  // A base point's multiple is not needed: any 32 octets are a public key of X25519.
  hello.Set(kKeyShare, Vector(2, Number(0x001d, 2) + Vector(2, std::string(32, 'k'))));
  return hello;
}

HelloBuilder HelloBuilder::Tls12() {
  HelloBuilder hello;
  hello.ServerName("mx.example.test");
  hello.List(kSupportedGroups, {0x001d, 0x0017, 0x0018});
  hello.List(kSignatureAlgorithms, {0x0403, 0x0503, 0x0804, 0x0401});
  hello.Set(11, Vector(1, std::string(1, '\0')));  // uncompressed points
  hello.Set(23, "");                               // extended master secret
  hello.Set(kRenegotiationInfo, std::string(1, '\0'));
  return hello;
}

HelloBuilder& HelloBuilder::Set(unsigned type, std::string content) {
  for (auto& [present, old] : extensions) {
    if (present == type) {
      old = std::move(content);
      return *this;
    }
  }
  extensions.emplace_back(type, std::move(content));
  return *this;
}

HelloBuilder& HelloBuilder::Remove(unsigned type) {
  std::erase_if(extensions, [type](const auto& extension) { return extension.first == type; });
  return *this;
}

HelloBuilder& HelloBuilder::ServerName(std::string_view name) {
  return Set(kServerName, Vector(2, Number(0, 1) + Vector(2, name)));
}

HelloBuilder& HelloBuilder::Alpn(const std::vector<std::string>& protocols) {
  std::string list;
  for (const std::string& protocol : protocols) {
    list += Vector(1, protocol);
  }
  return Set(kAlpn, Vector(2, list));
}

HelloBuilder& HelloBuilder::List(unsigned type, const std::vector<unsigned>& values) {
  std::string list;
  for (const unsigned value : values) {
    list += Number(value, 2);
  }
  return Set(type, Vector(2, list));
}

std::string HelloBuilder::Message() const {
  std::string suite_list;
  for (const unsigned suite : suites) {
    suite_list += Number(suite, 2);
  }
  std::string body = Number(legacy_version, 2) + std::string(32, 'r') + Vector(1, session_id) +
                     Vector(2, suite_list) + Vector(1, compression);
  if (!no_extensions) {
    std::string list;
    for (const auto& [type, content] : extensions) {
      list += Number(type, 2) + Vector(2, content);
    }
    body += Vector(2, list);
  }
  return Number(1, 1) + Vector(3, body);
}

}  // namespace ringpost::test
