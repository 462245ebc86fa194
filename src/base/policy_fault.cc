// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/base/policy_fault.h"

#include <array>

namespace ringpost {
namespace {

struct FaultText {
  PolicyFault fault;
  std::string_view name;
  std::string_view phrase;
};

constexpr std::array<FaultText, kPolicyFaultCount> kTexts = {{
    {PolicyFault::kNone, "none", "nothing is wrong"},
    {PolicyFault::kNoTls, "no-tls", "the connection is not encrypted"},
    {PolicyFault::kNoCertificate, "no-certificate", "no client certificate was presented"},
    {PolicyFault::kUntrusted, "untrusted", "client certificate is not signed by a trusted CA"},
    {PolicyFault::kSelfSigned, "self-signed", "client certificate is self-signed"},
    {PolicyFault::kExpired, "expired", "client certificate has expired"},
    {PolicyFault::kNotYetValid, "not-yet-valid", "client certificate is not yet valid"},
    {PolicyFault::kInvalidCa, "invalid-ca",
     "client certificate is signed with a certificate that may not sign it"},
    {PolicyFault::kMalformed, "malformed", "client certificate is malformed or too weak"},
    {PolicyFault::kRefusedByLibrary, "refused-by-library",
     "client certificate is refused by the TLS library"},
    {PolicyFault::kUnsupportedKey, "unsupported-key",
     "client certificate has a key that is not supported"},
    {PolicyFault::kWrongPurpose, "wrong-purpose", "client certificate is not for TLS clients"},
    {PolicyFault::kWrongName, "wrong-name", "client certificate does not have the expected name"},
    {PolicyFault::kWrongFingerprint, "wrong-fingerprint",
     "client certificate does not have the expected fingerprint"},
    {PolicyFault::kRevoked, "revoked", "client certificate has been revoked"},
    {PolicyFault::kNoFreshCrl, "no-fresh-crl",
     "cannot tell whether the client certificate has been revoked"},
    {PolicyFault::kWrongNetwork, "wrong-network", "mail of this domain does not come from there"},
    {PolicyFault::kUnreadableSender, "unreadable-sender",
     "the sender address could be read in two ways"},
}};

// One row for each fault, in the enum's order.
constexpr bool RowsAreInOrder() {
  for (std::size_t i = 0; i < kTexts.size(); ++i) {
    if (static_cast<std::size_t>(kTexts[i].fault) != i) return false;
  }
  return true;
}
static_assert(RowsAreInOrder());

const FaultText& TextOf(PolicyFault fault) { return kTexts[static_cast<std::size_t>(fault)]; }

}  // namespace

std::string_view PolicyFaultName(PolicyFault fault) { return TextOf(fault).name; }
std::string_view PolicyFaultPhrase(PolicyFault fault) { return TextOf(fault).phrase; }

}  // namespace ringpost
