// SPDX-License-Identifier: GPL-3.0-or-later
#include "first_hello.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "ringpost/x509/signature.h"

namespace ringpost {
namespace {

using namespace std::string_view_literals;

// cookie, padding, pre_shared_key, early_data, key_share: RFC 8446 4.1.2. encrypted_client_hello:
// RFC 9849 6.1.5.
constexpr std::array<unsigned, 6> kMayChange = {44, 21, 41, 42, 51, 0xfe0d};

unsigned Number(std::string_view octets) {
  unsigned value = 0;
  for (const char octet : octets) {
    value = value << 8 | static_cast<unsigned char>(octet);
  }
  return value;
}

// The message was read before, so that its lengths fit.
std::string_view Take(std::string_view& rest, std::size_t count) {
  const std::string_view taken = rest.substr(0, count);
  rest.remove_prefix(taken.size());
  return taken;
}

Fingerprint Digest(std::string_view message) {
  constexpr std::size_t kFixedBytes = 4 + 2 + 32;  // header, version, random
  std::string_view rest = message;
  Take(rest, kFixedBytes);
  for (const std::size_t length : {1U, 2U, 1U}) {  // session id, suites, compression
    Take(rest, Number(Take(rest, length)));
  }
  // Without the header: its length is that of what may change as well.
  std::string kept(message.substr(4, message.size() - rest.size() - 4));
  Take(rest, 2);
  std::vector<std::pair<unsigned, std::string_view>> extensions;
  while (!rest.empty()) {
    const std::string_view whole = rest;
    const unsigned type = Number(Take(rest, 2));
    Take(rest, Number(Take(rest, 2)));
    if (std::find(kMayChange.begin(), kMayChange.end(), type) == kMayChange.end()) {
      extensions.emplace_back(type, whole.substr(0, whole.size() - rest.size()));
    }
  }
  std::sort(extensions.begin(), extensions.end());
  for (const auto& [type, octets] : extensions) {
    kept += octets;
  }
  return Sha256Of(kept);
}

}  // namespace

FirstHello::FirstHello(const ClientHello& hello, std::string_view message)
    : digest_(Digest(message)),
      pre_shared_key_(hello.has_pre_shared_key),
      early_data_(hello.early_data) {}

bool FirstHello::MayBeFollowedBy(const ClientHello& hello, std::string_view message) const {
  return (pre_shared_key_ || !hello.has_pre_shared_key) && (early_data_ || !hello.early_data) &&
         digest_ == Digest(message);
}

bool IsHelloRetryRequest(std::string_view record) {
  // RFC 8446 4.1.3: SHA-256 of "HelloRetryRequest" in the place of the random octets.
  constexpr std::string_view kRandom =
      "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91"
      "\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"sv;
  constexpr std::size_t kRandomAt = 5 + 4 + 2;  // headers of record and message, version
  return record.size() >= kRandomAt + kRandom.size() && record[0] == 22 && record[5] == 2 &&
         record.substr(kRandomAt, kRandom.size()) == kRandom;
}

}  // namespace ringpost
