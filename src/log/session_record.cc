// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/log/session_record.h"

#include "ringpost/log/log_line.h"

namespace ringpost {
namespace {

// In written form. A longer value is cut; only a hostile or a very odd one is.
constexpr std::size_t kRouteBudget = 96;
constexpr std::size_t kVersionBudget = 16;
constexpr std::size_t kSuiteBudget = 64;
constexpr std::size_t kGroupBudget = 32;
constexpr std::size_t kSniBudget = 288;  // a DNS name has 253
constexpr std::size_t kPartnerBudget = 96;
constexpr std::size_t kUpstreamBudget = 160;
constexpr std::size_t kReasonBudget = 32;
constexpr std::size_t kRefusalBudget = 32;
constexpr std::size_t kDetailBudget = 320;
constexpr std::size_t kHostBudget = 256;
constexpr std::size_t kHelloBudget = 160;
constexpr std::size_t kSenderBudget = 264;
constexpr std::size_t kAcceptedBudget = 160;
constexpr std::size_t kWordBudget = 32;
constexpr std::size_t kNameBudget = 160;
constexpr std::size_t kFingerprintBudget = 98;  // 95, and what a cut would have room for
// Time, level and component take less than 128 octets, keys and punctuation of 34 fields less than
// 34 * 24, eleven numbers less than 11 * 24.
static_assert(128 + 34 * 24 + 11 * 24 + 5 * kWordBudget + kHostBudget + kHelloBudget +
                      kSenderBudget + kAcceptedBudget + 2 * kNameBudget + kFingerprintBudget +
                      kRefusalBudget + kRouteBudget + 2 * kLogAddressBudget + 2 * kVersionBudget +
                      kPartnerBudget + kSuiteBudget + kGroupBudget + kSniBudget + kUpstreamBudget +
                      kReasonBudget + kDetailBudget <=
                  kLogLineMax,
              "a session line must hold every field");

void FormatPartner(const PartnerRecord& partner, LogLine& line) {
  line.Field("host", partner.host, kHostBudget);
  line.Field("level", partner.level, kWordBudget);
  if (partner.reports) line.Field("mode", "report", kWordBudget);
  if (partner.fault.empty()) return;
  line.Field("fault", partner.fault, kWordBudget);
  if (partner.fingerprint.empty()) return;
  line.Field("subject", partner.subject, kNameBudget);
  line.Field("issuer", partner.issuer, kNameBudget);
  line.Field("fingerprint", partner.fingerprint, kFingerprintBudget);
}

}  // namespace

std::size_t FormatSession(const SessionRecord& record, LogFormat format, std::span<char> out) {
  LogLine line(format, out);
  line.Head(record.unix_ms, LogLevel::kInfo, "session");
  line.Field("route", record.route, kRouteBudget);
  if (record.out != nullptr) line.Field("direction", "out", kWordBudget);
  if (record.is_local) {
    line.Field("client", record.client_address, kLogAddressBudget);
    line.Field("server", record.server_address, kLogAddressBudget);
  } else {
    line.Address("client", record.client_address, record.client_port);
    line.Address("server", record.server_address, record.server_port);
  }
  line.Field("id", record.id, kWordBudget);
  if (record.tls_version.empty()) {
    line.Field("tls", "none", kVersionBudget);
  } else {
    line.Field("tls", record.tls_version, kVersionBudget);
    line.Field("suite", record.tls_suite, kSuiteBudget);
    // TLS 1.2 agrees on no new key where it resumes.
    line.Field("group", record.tls_group.empty() ? "none" : record.tls_group, kGroupBudget);
    line.Flag("resumed", record.tls_resumed);
  }
  if (record.out != nullptr) FormatPartner(*record.out, line);
  if (!record.sni.empty()) line.Field("sni", record.sni, kSniBudget);
  if (!record.certificate.empty()) line.Field("certificate", record.certificate, kVersionBudget);
  if (!record.partner.empty()) line.Field("partner", record.partner, kPartnerBudget);
  if (!record.hello.empty()) line.Field("helo", record.hello, kHelloBudget);
  if (!record.sender.empty()) line.Field("sender", record.sender, kSenderBudget);
  line.Field("messages", record.messages_accepted);
  if (!record.accepted.empty()) line.Field("accepted", record.accepted, kAcceptedBudget);
  line.Field("refused", record.backend_refusals);
  line.Field("refused_commands", record.commands_refused);
  if (!record.last_refused.empty()) {
    line.Field("last_refused", record.last_refused, kRefusalBudget);
  }
  line.Field("octets_in", record.octets_in);
  line.Field("octets_out", record.octets_out);
  line.Field("content", record.content_octets);
  line.Field("bare_newlines", record.bare_newlines);
  line.Milli("seconds", record.duration_ns / 1'000'000);
  line.Field("reason", CloseReasonName(record.reason), kReasonBudget);
  if (!record.upstream.empty()) line.Field("upstream", record.upstream, kUpstreamBudget);
  if (!record.detail.empty()) line.Field("detail", record.detail, kDetailBudget);
  return line.Finish();
}

}  // namespace ringpost
