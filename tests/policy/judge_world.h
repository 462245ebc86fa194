// SPDX-License-Identifier: GPL-3.0-or-later
//
// A client as the judge sees it, for tests: facts that a test sets, and a chain whose worth it
// says.
#ifndef RINGPOST_TESTS_POLICY_JUDGE_WORLD_H_
#define RINGPOST_TESTS_POLICY_JUDGE_WORLD_H_

#include <cstddef>
#include <string_view>

#include "ringpost/policy/judge.h"

namespace ringpost {

inline constexpr std::int64_t kTestNow = 1'000'000;

class FakeChain final : public ChainVerifier {
 public:
  explicit FakeChain(PolicyFault answer = PolicyFault::kNone) : answer_(answer) {}
  [[nodiscard]] PolicyFault VerifyChain(std::size_t trust) override {
    ++asked;
    last_trust = trust;
    return answer_;
  }
  int asked = 0;
  std::size_t last_trust = kNoTrust;

 private:
  PolicyFault answer_;
};

inline IpAddress Ip(std::string_view text) { return ParseNetwork(text).value().prefix; }

inline Fingerprint Filled(std::uint8_t octet) {
  Fingerprint fingerprint;
  fingerprint.fill(octet);
  return fingerprint;
}

inline PeerCertificate GoodCertificate() {
  PeerCertificate certificate;
  certificate.names = {"other.example.com", "mail.example.com"};
  certificate.common_name = "mail.example.com";
  certificate.common_host_name = "mail.example.com";
  certificate.certificate = Filled(0xCE);
  certificate.public_key = Filled(0xBE);
  certificate.not_before = kTestNow - 100;
  certificate.not_after = kTestNow + 100;
  certificate.client_auth = true;
  certificate.key_proven = true;
  return certificate;
}

}  // namespace ringpost

#endif  // RINGPOST_TESTS_POLICY_JUDGE_WORLD_H_
