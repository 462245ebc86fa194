// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/log/policy_record.h"

#include "ringpost/log/log_line.h"

namespace ringpost {
namespace {

// In written form, as in session_record.cc.
constexpr std::size_t kNameBudget = 96;
constexpr std::size_t kSenderBudget = 264;
constexpr std::size_t kWordBudget = 24;
constexpr std::size_t kCertificateNameBudget = 520;
constexpr std::size_t kFingerprintBudget = 100;
static_assert(128 + 13 * 24 + 2 * kNameBudget + kLogAddressBudget + kSenderBudget +
                      4 * kWordBudget + 2 * kCertificateNameBudget + 2 * kFingerprintBudget <=
                  kLogLineMax,
              "a policy line must hold every field");

}  // namespace

std::size_t FormatPolicy(const PolicyRecord& record, LogFormat format, std::span<char> out) {
  LogLine line(format, out);
  line.Head(record.unix_ms, LogLevel::kInfo, "policy");
  line.Field("route", record.route, kNameBudget);
  line.Address("client", record.client_address, record.client_port);
  line.Field("id", record.id, kWordBudget);
  if (!record.partner.empty()) line.Field("partner", record.partner, kNameBudget);
  line.Field("sender", record.sender, kSenderBudget);
  line.Field("asked", record.asked, kWordBudget);
  line.Field("mode", record.mode, kWordBudget);
  line.Field("fault", PolicyFaultName(record.fault), kWordBudget);
  if (!record.fingerprint.empty()) {
    line.Field("subject", record.subject, kCertificateNameBudget);
    line.Field("issuer", record.issuer, kCertificateNameBudget);
    line.Field("fingerprint", record.fingerprint, kFingerprintBudget);
    line.Field("public_key", record.public_key, kFingerprintBudget);
  }
  return line.Finish();
}

}  // namespace ringpost
