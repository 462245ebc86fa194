// SPDX-License-Identifier: GPL-3.0-or-later
#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "proxy_wire.h"
#include "ringpost/identity/proxy_header.h"

namespace ringpost {
namespace {

using proxy_wire::IsPlainText;
using proxy_wire::kClientCertConnection;
using proxy_wire::kClientCertSession;
using proxy_wire::kClientSsl;
using proxy_wire::kCommandLocal;
using proxy_wire::kCommandProxy;
using proxy_wire::kFamilyTcp4;
using proxy_wire::kFamilyTcp6;
using proxy_wire::kFamilyUnix;
using proxy_wire::kFamilyUnspec;
using proxy_wire::kFixedBytes;
using proxy_wire::kSignature;
using proxy_wire::kSslHeadBytes;
using proxy_wire::kSubtypeSslCipher;
using proxy_wire::kSubtypeSslCommonName;
using proxy_wire::kSubtypeSslGroup;
using proxy_wire::kSubtypeSslVersion;
using proxy_wire::kTcp4Bytes;
using proxy_wire::kTcp6Bytes;
using proxy_wire::kTlvHeadBytes;
using proxy_wire::kTypeAuthority;
using proxy_wire::kTypeSsl;
using proxy_wire::kUnixBytes;
using proxy_wire::kVersion2;

constexpr std::string_view kV1Prefix = "PROXY ";

std::uint8_t OctetAt(std::string_view octets, std::size_t index) {
  return static_cast<std::uint8_t>(octets[index]);
}

std::size_t Number16At(std::string_view octets, std::size_t index) {
  return static_cast<std::size_t>(OctetAt(octets, index)) << 8 | OctetAt(octets, index + 1);
}

ProxyHeader Malformed() {
  ProxyHeader header;
  header.result = ProxyParse::kMalformed;
  return header;
}

std::string AddressText(int family, const char* octets) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family, octets, text.data(), text.size());
  return text.data();
}

// One TLV at the front of `rest`, cut off. False if its length says more than there is.
bool TakeTlv(std::string_view* rest, std::uint8_t* type, std::string_view* value) {
  if (rest->size() < kTlvHeadBytes) return false;
  const std::size_t length = Number16At(*rest, 1);
  if (rest->size() - kTlvHeadBytes < length) return false;
  *type = OctetAt(*rest, 0);
  *value = rest->substr(kTlvHeadBytes, length);
  rest->remove_prefix(kTlvHeadBytes + length);
  return true;
}

bool SetText(std::string_view value, std::string* out) {
  if (!IsPlainText(value)) return false;
  out->assign(value);
  return true;
}

bool ReadSsl(std::string_view value, ProxyHeader* header) {
  if (value.size() < kSslHeadBytes) return false;
  const std::uint8_t client = OctetAt(value, 0);
  const bool verify_zero = Number16At(value, 1) == 0 && Number16At(value, 3) == 0;
  header->tls = (client & kClientSsl) != 0;
  header->client_certificate = (client & (kClientCertConnection | kClientCertSession)) != 0;
  header->verified = header->client_certificate && verify_zero;
  std::string_view rest = value.substr(kSslHeadBytes);
  while (!rest.empty()) {
    std::uint8_t type = 0;
    std::string_view text;
    if (!TakeTlv(&rest, &type, &text)) return false;
    std::string* target = nullptr;
    if (type == kSubtypeSslVersion) target = &header->tls_version;
    if (type == kSubtypeSslCipher) target = &header->tls_cipher;
    if (type == kSubtypeSslGroup) target = &header->tls_group;
    if (type == kSubtypeSslCommonName) target = &header->tls_common_name;
    if (target != nullptr && !SetText(text, target)) return false;
  }
  return true;
}

ProxyHeader ParseV2(std::string_view octets) {
  ProxyHeader header;
  if (octets.size() > 12 && (OctetAt(octets, 12) & 0xf0) != kVersion2) return Malformed();
  if (octets.size() < kFixedBytes) return header;
  const std::uint8_t command = OctetAt(octets, 12) & 0x0f;
  const std::uint8_t family = OctetAt(octets, 13);
  const std::size_t length = Number16At(octets, 14);
  if (command > kCommandProxy || kFixedBytes + length > kProxyReadMax) return Malformed();
  if (octets.size() - kFixedBytes < length) return header;

  header.result = ProxyParse::kComplete;
  header.version = 2;
  header.length = kFixedBytes + length;
  std::string_view rest = octets.substr(kFixedBytes, length);
  if (command == kCommandLocal || family == kFamilyUnspec) {
    header.local = true;  // 2.2: whatever follows is to be skipped
    return header;
  }

  const auto take_addresses = [&](int address_family, std::size_t address_bytes) {
    header.source.address = AddressText(address_family, rest.data());
    header.destination.address = AddressText(address_family, rest.data() + address_bytes);
    header.source.port = static_cast<std::uint16_t>(Number16At(rest, 2 * address_bytes));
    header.destination.port = static_cast<std::uint16_t>(Number16At(rest, 2 * address_bytes + 2));
  };
  if (family == kFamilyTcp4) {
    if (rest.size() < kTcp4Bytes) return Malformed();
    take_addresses(AF_INET, sizeof(in_addr));
    rest.remove_prefix(kTcp4Bytes);
  } else if (family == kFamilyTcp6) {
    if (rest.size() < kTcp6Bytes) return Malformed();
    take_addresses(AF_INET6, sizeof(in6_addr));
    rest.remove_prefix(kTcp6Bytes);
  } else if (family == kFamilyUnix) {
    if (rest.size() < kUnixBytes) return Malformed();
    header.local = true;  // a path names no client
    rest.remove_prefix(kUnixBytes);
  } else {
    return Malformed();  // datagrams never carry SMTP
  }

  while (!rest.empty()) {
    std::uint8_t type = 0;
    std::string_view value;
    if (!TakeTlv(&rest, &type, &value)) return Malformed();
    if (type == kTypeAuthority && !SetText(value, &header.authority)) return Malformed();
    if (type == kTypeSsl && !ReadSsl(value, &header)) return Malformed();
  }
  return header;
}

// The next word of a version 1 line; words are separated by exactly one blank.
std::string_view TakeWord(std::string_view* rest) {
  const std::size_t blank = std::min(rest->find(' '), rest->size());
  const std::string_view word = rest->substr(0, blank);
  rest->remove_prefix(std::min(blank + 1, rest->size()));
  return word;
}

// The result is the canonical spelling, so that there is one
// text per address whatever the sender wrote.
bool ReadAddress(int family, std::string_view word, std::string* out) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  std::array<char, sizeof(in6_addr)> octets{};
  if (word.size() >= text.size()) return false;
  word.copy(text.data(), word.size());
  if (inet_pton(family, text.data(), octets.data()) != 1) return false;
  *out = AddressText(family, octets.data());
  return true;
}

bool ReadPort(std::string_view word, std::uint16_t* port) {
  if (word.empty() || (word.front() == '0' && word.size() > 1)) return false;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), *port);
  return error == std::errc{} && end == word.data() + word.size();
}

ProxyHeader ParseV1(std::string_view octets) {
  const std::string_view window = octets.substr(0, kProxyV1Max);
  const std::size_t line_feed = window.find('\n');
  if (line_feed == std::string_view::npos) {
    return window.size() == kProxyV1Max ? Malformed() : ProxyHeader{};
  }
  if (window[line_feed - 1] != '\r') return Malformed();
  std::string_view rest = window.substr(0, line_feed - 1);
  if (!IsPlainText(rest)) return Malformed();
  rest.remove_prefix(kV1Prefix.size());

  ProxyHeader header;
  header.result = ProxyParse::kComplete;
  header.version = 1;
  header.length = line_feed + 1;
  const bool ends_in_blank = rest.ends_with(' ');
  const std::string_view protocol = TakeWord(&rest);
  if (protocol == "UNKNOWN") {
    header.local = true;  // 2.1: anything before the CRLF is to be ignored
    return header;
  }
  if (protocol != "TCP4" && protocol != "TCP6") return Malformed();
  const int family = protocol == "TCP4" ? AF_INET : AF_INET6;
  const bool ok = ReadAddress(family, TakeWord(&rest), &header.source.address) &&
                  ReadAddress(family, TakeWord(&rest), &header.destination.address) &&
                  ReadPort(TakeWord(&rest), &header.source.port) &&
                  ReadPort(TakeWord(&rest), &header.destination.port);
  if (!ok || !rest.empty() || ends_in_blank) return Malformed();
  return header;
}

}  // namespace

ProxyHeader ParseProxyHeader(std::string_view octets) {
  const auto begins = [octets](std::string_view prefix) {
    return octets.substr(0, prefix.size()) == prefix.substr(0, octets.size());
  };
  if (begins(kSignature)) {
    return octets.size() < kSignature.size() ? ProxyHeader{} : ParseV2(octets);
  }
  if (begins(kV1Prefix)) {
    return octets.size() < kV1Prefix.size() ? ProxyHeader{} : ParseV1(octets);
  }
  return Malformed();
}

}  // namespace ringpost
