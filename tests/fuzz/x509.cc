// SPDX-License-Identifier: GPL-3.0-or-later
//
// Certificates that clients present (PROTOCOL 44, RFC 5280). The input is one, in DER.
#include "ringpost/x509/x509.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "certificate_path.h"
#include "distribution_point.h"
#include "fuzz.h"
#include "name_constraints.h"
#include "ringpost/base/der.h"
#include "ringpost/x509/peer_certificate_reader.h"
#include "without_dns_constraints.h"

namespace ringpost {
namespace {

constexpr std::int64_t kNow = 1'800'000'000;
constexpr std::size_t kNameMax = 256;
constexpr std::string_view kPointName = "\xa0\x05\x86\x03x:y";  // a fullName with one URI

// The items of any DER follow one another and cover it.
void WalkDer(std::string_view octets, int depth) {
  DerReader reader(octets);
  std::size_t at = 0;
  while (reader.ok() && !reader.empty()) {
    const DerItem item = reader.Next();
    if (item.tag == 0) break;
    RINGPOST_CHECK(item.whole.data() == octets.data() + at);
    RINGPOST_CHECK(fuzz::Inside(item.content, item.whole));
    RINGPOST_CHECK(item.whole.size() >= item.content.size() + 2);
    at += item.whole.size();
    RINGPOST_CHECK(at + reader.rest().size() == octets.size());
    if ((item.tag & 0x20) != 0 && depth < 8) WalkDer(item.content, depth + 1);
    static_cast<void>(DerTime(item));
    static_cast<void>(DerNamedBits(item.content));
    if (const auto bits = DerBitStringOctets(item.content)) {
      RINGPOST_CHECK(fuzz::Inside(*bits, item.content));
    }
    if (const auto number = DerSmallInteger(item.content)) RINGPOST_CHECK(*number >= 0);
  }
  if (!reader.ok()) {
    // It stays failed and yields nothing.
    RINGPOST_CHECK(reader.Next().tag == 0 && !reader.ok() && !reader.finished());
  }
}

void CheckDnsName(const std::string& name) {
  RINGPOST_CHECK(!name.empty() && name.size() <= 253);
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                         c == '_' || (c == '*' && i == 0 && name[1] == '.');
    RINGPOST_CHECK(allowed);
  }
  RINGPOST_CHECK(CleanDnsName(name) == name);
}

void CheckNameText(std::string_view name, std::size_t size_max) {
  const std::string text = X509NameText(name, size_max);
  RINGPOST_CHECK(text.size() <= std::max<std::size_t>(size_max, sizeof "(malformed)"));
  for (const char c : text) RINGPOST_CHECK(c >= ' ' && c <= '~');
}

// The same certificate, without some names in its constraints.
void CheckWithoutDnsConstraints(const X509View& view) {
  const std::string der = WithoutDnsConstraints(view);
  const std::optional<X509View> other = ReadX509(der);
  RINGPOST_CHECK(other.has_value());
  RINGPOST_CHECK(other->serial == view.serial && other->subject == view.subject);
  RINGPOST_CHECK(other->issuer == view.issuer && other->public_key == view.public_key);
  RINGPOST_CHECK(other->not_before == view.not_before && other->not_after == view.not_after);
  RINGPOST_CHECK(other->ca == view.ca && other->path_length == view.path_length);
  RINGPOST_CHECK(other->usage == view.usage && other->key_id == view.key_id);
  RINGPOST_CHECK(other->unknown_critical == view.unknown_critical);
  RINGPOST_CHECK(other->name_constraints.size() <= view.name_constraints.size());
  RINGPOST_CHECK(WithoutDnsConstraints(*other) == der);
}

void CheckFacts(const X509View& view, std::string_view der) {
  for (const std::string_view part :
       {view.signed_part, view.algorithm, view.signature, view.serial, view.issuer, view.subject,
        view.public_key, view.alternative_names, view.name_constraints, view.key_id,
        view.distribution_points}) {
    RINGPOST_CHECK(fuzz::Inside(part, der));
  }
  static_cast<void>(IsAmongDistributionPoints(kPointName, view.distribution_points));
  RINGPOST_CHECK(view.der == der && !view.serial.empty());
  RINGPOST_CHECK(view.version >= 1 && view.version <= 3);
  RINGPOST_CHECK(!view.path_length.has_value() || view.ca);
  CheckNameText(view.subject, kNameMax);
  CheckNameText(view.issuer, 40);
  const std::string common_name = X509CommonName(view.subject);
  RINGPOST_CHECK(common_name.size() <= 255);
  for (const char c : common_name) RINGPOST_CHECK(static_cast<unsigned char>(c) >= 32 && c != 127);
  const std::vector<std::string> names = X509DnsNames(view);
  for (const std::string& name : names) CheckDnsName(name);
  RINGPOST_CHECK(names.empty() || X509HasDnsNames(view));
  if (!view.name_constraints.empty()) {
    static_cast<void>(
        NameConstraintsAllow(view.name_constraints, view, CommonName::kMayBeHostName));
    CheckWithoutDnsConstraints(view);
  }

  // A certificate that signs itself is no path to anywhere unless it may sign; a trusted one of
  // before version 3, which cannot say so, may.
  const X509View* const path[] = {&view, &view};
  const PolicyFault fault = JudgePath(path, kNow);
  if ((!view.ca && view.version == 3) || !view.May(kUsageCertificateSign) ||
      view.unknown_critical || view.not_after < kNow || view.not_before > kNow) {
    RINGPOST_CHECK(fault != PolicyFault::kNone);
  }
}

}  // namespace
}  // namespace ringpost

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringpost;
  const fuzz::Exact exact(fuzz::View(data, size));
  const std::string_view der = exact.view();
  WalkDer(der, 0);
  const std::optional<X509View> view = ReadX509(der);
  if (view.has_value()) {
    CheckFacts(*view, der);
    // One octet less or more is no certificate.
    RINGPOST_CHECK(!ReadX509(der.substr(0, size - 1)).has_value());
    static std::string longer;
    longer.assign(der).push_back('\0');
    RINGPOST_CHECK(!ReadX509(longer).has_value());
  } else {
    // The names of something else: parts of it are read anyway.
    CheckNameText(der, kNameMax);
    CheckNameText(der, 40);
    const std::string clean = CleanDnsName(der);
    if (!clean.empty()) CheckDnsName(clean);
    X509View empty;
    if (!der.empty()) static_cast<void>(NameConstraintsAllow(der, empty, CommonName::kIsNone));
  }

  const std::unique_ptr<PeerCertificate> facts = ReadPeerCertificate({std::string(der)});
  RINGPOST_CHECK(facts != nullptr && facts->chain.size() == 1);
  RINGPOST_CHECK(facts->subject.size() <= kNameMax && facts->issuer.size() <= kNameMax);
  if (!view.has_value()) {
    RINGPOST_CHECK(facts->names.empty() && facts->common_name.empty());
    RINGPOST_CHECK(!facts->client_auth && !facts->server_auth);
  }
  return 0;
}
