// SPDX-License-Identifier: GPL-3.0-or-later
//
// The figures were measured with 4,000 and 8,000 idle TLS sessions (tools: ringpost-load --idle) on
// x86-64 with one and two shards; tests/e2e/cases/crowd.py holds the process to them. STARTTLS or
// implicit TLS, key and group make no difference once a handshake is over.
#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"
#include "ringpost/base/buffer_pool.h"
#include "ringpost/config/config.h"

namespace ringpost {
namespace {

// Program and libraries, of which most pages are shared with other processes: 12 MiB with those of
// Debian 12, 13.4 with those of Debian 13.
constexpr std::uint64_t kProcessBytes = 27 << 19;
// A shard's log ring, its kernel rings, and the blocks that a moderate load goes through. An idle
// one has touched 1 MiB less of them, a busy one 2 MiB more.
constexpr std::uint64_t kShardBytes = 7 << 19;
// A session's slot, its part in its client's account, our record layer, strings; 2,730 to 2,770
// were measured beyond what the first ones touch.
constexpr std::uint64_t kSessionBytes = 2750;
// wolfSSL's object, which has the records of TLS 1.2; 5,610 to 5,710 in all were measured.
constexpr std::uint64_t kTls12Bytes = 3250;
// What the policy service is told about it; 500 were measured.
constexpr std::uint64_t kRegistrationBytes = 500;
// A record of 2^14 octets that has not arrived as a whole waits in a buffer of its own, outside the
// pool (RFC 8446 5.2); 17,400 were measured.
constexpr std::uint64_t kRecordBytes = 17'400;
// Until its end, a handshake may have as much of the client's messages in wolfSSL as the engine
// lets through, where clients are asked for certificates (TlsEngine::kHandshakeBytesMax).
constexpr std::uint64_t kCertificateHandshakeBytes = 64 << 10;
// What is kept of a client's certificate afterwards (SessionPolicy::kKeptMax), and the policy that
// keeps it; tests/e2e/cases/policy_memory.py holds the process to it.
constexpr std::uint64_t kCertificateBytes = 8 << 10;

double Mebibytes(std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

}  // namespace

MemoryPlan PlanMemory(const Config& config) {
  const auto shards = static_cast<std::uint64_t>(config.shards);
  const bool asks = std::any_of(config.routes.begin(), config.routes.end(),
                                [](const RouteConfig& route) { return route.ask_certificate; });
  MemoryPlan plan;
  plan.fixed = kProcessBytes + shards * kShardBytes;
  plan.session_idle = kSessionBytes + (config.policy_service.has_value() ? kRegistrationBytes : 0);
  plan.session_tls12 = kTls12Bytes;
  plan.session_certificate = asks ? kCertificateBytes : 0;
  plan.session_record = asks ? kCertificateHandshakeBytes : kRecordBytes;
  plan.buffers = shards * (std::uint64_t{config.buffers_large} * BufferPool::kLargeBytes +
                           std::uint64_t{config.buffers_small} * BufferPool::kSmallBytes);
  plan.sessions = config.sessions_max;
  return plan;
}

std::string MemorySentence(const MemoryPlan& plan) {
  const std::string certificate =
      plan.session_certificate == 0
          ? ""
          : absl::StrFormat(", up to %d with a client's certificate", plan.session_certificate);
  return absl::StrFormat(
      "memory: %.1f MiB and %d octets for each idle TLS session (%d more with TLS 1.2%s): %.0f MiB "
      "with all %d; at most %.0f MiB with all buffers in use and %d octets more for each session "
      "stopped within a TLS "
      "record",
      Mebibytes(plan.fixed), plan.session_idle, plan.session_tls12, certificate,
      Mebibytes(plan.idle()), plan.sessions, Mebibytes(plan.most()), plan.session_record);
}

}  // namespace ringpost
