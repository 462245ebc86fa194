// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/config/address.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace ringpost {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr char kExamples[] = "127.0.0.1:10025, [::1]:10025 or unix:/path";

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::Status Refuse(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", View(text), "\" ", View(why), "; write ", kExamples));
}

// What Postfix, systemd and others write in front of an address.
constexpr std::array<std::string_view, 8> kForeignPrefixes = {
    "inet:", "inet6:", "tcp:", "tcp4:", "tcp6:", "smtp:", "smtps:", "local:"};

absl::Status RefusePrefix(std::string_view text, std::string_view prefix) {
  std::string_view rest = text.substr(prefix.size());
  if (rest.starts_with("//")) rest.remove_prefix(2);
  const std::string meant =
      absl::StrCat(rest.starts_with('/') ? View(kUnixPrefix) : "", View(rest));
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", View(text), "\" begins with \"", View(prefix), "\", which ringpost does not write; ",
      ParseEndpoint(meant).ok() ? absl::StrCat("write ", meant)
                                : absl::StrCat("write ", kExamples)));
}

bool ReadPort(std::string_view text, std::uint16_t* port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *port);
  return error == std::errc{} && end == text.data() + text.size() && *port != 0;
}

absl::StatusOr<Endpoint> ParseUnix(std::string_view text) {
  const std::string_view path = text.substr(kUnixPrefix.size());
  Endpoint endpoint;
  endpoint.text = text;
  if (path.empty()) return Refuse(text, "has no path");
  // The kernel wants the final NUL inside the array.
  if (path.size() >= sizeof endpoint.address.un.sun_path) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", View(text), "\" is too long: a unix socket's path has at most ",
                     sizeof endpoint.address.un.sun_path - 1, " octets"));
  }
  if (path.find('\0') != std::string_view::npos) return Refuse(text, "contains a NUL");
  endpoint.address.un.sun_family = AF_UNIX;
  path.copy(endpoint.address.un.sun_path, path.size());
  endpoint.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return endpoint;
}

bool IsWildcard(const Endpoint& endpoint) {
  if (endpoint.address.any.sa_family == AF_INET) {
    return endpoint.address.in.sin_addr.s_addr == htonl(INADDR_ANY);
  }
  return endpoint.address.any.sa_family == AF_INET6 &&
         IN6_IS_ADDR_UNSPECIFIED(&endpoint.address.in6.sin6_addr);
}

bool IsLoopback(const Endpoint& endpoint) {
  if (endpoint.address.any.sa_family == AF_INET) {
    return ntohl(endpoint.address.in.sin_addr.s_addr) >> 24 == 127;
  }
  return endpoint.address.any.sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&endpoint.address.in6.sin6_addr);
}

std::uint16_t PortOf(const Endpoint& endpoint) {
  return endpoint.address.any.sa_family == AF_INET ? endpoint.address.in.sin_port
                                                   : endpoint.address.in6.sin6_port;
}

// As in the DNS, and with the underscores of containers. Not what was meant for an IPv4 address.
bool IsHostName(std::string_view host) {
  constexpr std::size_t kHostMax = 253;
  constexpr std::size_t kLabelMax = 63;
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty() || host.size() > kHostMax) return false;
  bool has_letter = false;  // in the last label
  for (const absl::string_view label : absl::StrSplit(View(host), '.')) {
    if (label.empty() || label.size() > kLabelMax || label.front() == '-' || label.back() == '-') {
      return false;
    }
    has_letter = false;
    for (const char c : label) {
      const bool is_letter = absl::ascii_isalpha(static_cast<unsigned char>(c));
      has_letter = has_letter || is_letter;
      if (!is_letter && !absl::ascii_isdigit(static_cast<unsigned char>(c)) && c != '-' &&
          c != '_') {
        return false;
      }
    }
  }
  return has_letter;
}

}  // namespace

absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text) {
  if (text.substr(0, kUnixPrefix.size()) == kUnixPrefix) return ParseUnix(text);
  if (!text.empty() && text.front() == '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", View(text), "\" looks like a unix socket; write unix:", View(text)));
  }

  for (const std::string_view prefix : kForeignPrefixes) {
    if (text.starts_with(prefix)) return RefusePrefix(text, prefix);
  }
  if (text.starts_with(' ') || text.ends_with(' ')) {
    return Refuse(text, "has a blank at its beginning or end; leave it out");
  }

  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return Refuse(text, "has no port");
  std::string_view host = text.substr(0, colon);
  std::uint16_t port = 0;
  if (!ReadPort(text.substr(colon + 1), &port)) {
    return Refuse(text, "has no port from 1 to 65535 behind its last colon");
  }

  Endpoint endpoint;
  endpoint.text = text;
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const std::string address(host);
  if (address.find('\0') != std::string::npos) return Refuse(text, "contains a NUL");
  if (bracketed) {
    endpoint.address.in6.sin6_family = AF_INET6;
    endpoint.address.in6.sin6_port = htons(port);
    endpoint.length = sizeof endpoint.address.in6;
    if (inet_pton(AF_INET6, address.c_str(), &endpoint.address.in6.sin6_addr) == 1) return endpoint;
    return Refuse(text, "has no IPv6 address between its brackets");
  }
  if (address.find(':') != std::string::npos) {
    return Refuse(text, "looks like an IPv6 address without brackets");
  }
  endpoint.address.in.sin_family = AF_INET;
  endpoint.address.in.sin_port = htons(port);
  endpoint.length = sizeof endpoint.address.in;
  if (inet_pton(AF_INET, address.c_str(), &endpoint.address.in.sin_addr) == 1) return endpoint;
  return Refuse(text, IsHostName(host) ? "begins with a host name, and those are for upstreams only"
                                       : "does not begin with an IP address");
}

absl::StatusOr<UpstreamTarget> ParseUpstreamTarget(std::string_view text,
                                                   std::string_view usual_port) {
  UpstreamTarget target;
  absl::StatusOr<Endpoint> endpoint = ParseEndpoint(text);
  if (endpoint.ok()) {
    target.endpoint = *std::move(endpoint);
    if (target.endpoint.address.any.sa_family != AF_UNIX) {
      std::string_view address = text.substr(0, text.rfind(':'));
      if (address.starts_with('[')) address = address.substr(1, address.size() - 2);
      target.endpoint.host = absl::AsciiStrToLower(View(address));
    }
    return target;
  }
  const std::size_t colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon);
  if (colon == std::string_view::npos && IsHostName(host)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", View(text), "\" has no port; write ",
                                                   View(text), ":", View(usual_port)));
  }
  std::uint16_t port = 0;
  if (colon == std::string_view::npos || !ReadPort(text.substr(colon + 1), &port)) {
    return endpoint.status();
  }
  if (!IsHostName(host)) {
    constexpr std::string_view kOtherForms = ":[/ ";
    return host.empty() || host.find_first_of(kOtherForms) != std::string_view::npos
               ? endpoint.status()
               : absl::InvalidArgumentError(
                     absl::StrCat("\"", View(text),
                                  "\" begins with neither an IP address nor a host name; write ",
                                  "127.0.0.1:10025, mail.example:10025 or unix:/path"));
  }
  target.endpoint.text = text;
  target.endpoint.host = absl::AsciiStrToLower(absl::StripSuffix(View(host), "."));
  target.host = host;
  target.port = htons(port);
  return target;
}

absl::StatusOr<Endpoint> ParseNameServer(std::string_view text) {
  constexpr std::string_view kDefaultPort = ":53";
  absl::StatusOr<Endpoint> endpoint = ParseEndpoint(text);
  if (!endpoint.ok()) {
    const bool is_bare_ipv6 = text.find(':') != text.rfind(':') && !text.starts_with('[');
    endpoint = ParseEndpoint(is_bare_ipv6 ? absl::StrCat("[", View(text), "]", View(kDefaultPort))
                                          : absl::StrCat(View(text), View(kDefaultPort)));
  }
  if (!endpoint.ok() || endpoint->address.any.sa_family == AF_UNIX) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", View(text),
                     "\" is no address of a name server; write 127.0.0.1, ::1 or 127.0.0.1:5353"));
  }
  return endpoint;
}

bool SameEndpoint(const Endpoint& a, const Endpoint& b) {
  if (!a.known() || !b.known()) return !a.known() && !b.known() && a.text == b.text;
  return a.length == b.length && std::memcmp(&a.address, &b.address, a.length) == 0;
}

bool IsLocal(const Endpoint& endpoint) {
  return endpoint.address.any.sa_family == AF_UNIX || IsLoopback(endpoint);
}

bool ReachesListener(const Endpoint& upstream, const Endpoint& listener) {
  if (SameEndpoint(upstream, listener)) return true;
  const sa_family_t family = upstream.address.any.sa_family;
  if (family != listener.address.any.sa_family || family == AF_UNIX) return false;
  // A connection to 0.0.0.0 or :: goes to loopback.
  const bool to_loopback = IsLoopback(upstream) || IsWildcard(upstream);
  return PortOf(upstream) == PortOf(listener) && to_loopback &&
         (IsWildcard(listener) || (IsWildcard(upstream) && IsLoopback(listener)));
}

}  // namespace ringpost
