// SPDX-License-Identifier: GPL-3.0-or-later
#include "policies.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "policy_values.h"
#include "readers.h"
#include "ringpost/policy/network.h"
#include "ringpost/policy/sender_address.h"

namespace ringpost {
namespace {

constexpr std::array kRouteLevels = {
    Choice<TlsPolicy>{"may", TlsPolicy::kMay},
    Choice<TlsPolicy>{"encrypt", TlsPolicy::kEncrypt},
    Choice<TlsPolicy>{"verify", TlsPolicy::kVerify},
};
constexpr std::array kEgressLevels = {
    Choice<EgressTls>{"none", EgressTls::kNone},
    Choice<EgressTls>{"may", EgressTls::kMay},
    Choice<EgressTls>{"encrypt", EgressTls::kEncrypt},
    Choice<EgressTls>{"trusted", EgressTls::kTrusted},
    Choice<EgressTls>{"verify", EgressTls::kVerify},
    Choice<EgressTls>{"secure", EgressTls::kSecure},
    Choice<EgressTls>{"fingerprint", EgressTls::kFingerprint},
};
constexpr std::array kAuths = {
    Choice<AuthPolicy>{"tls", AuthPolicy::kTls},
    Choice<AuthPolicy>{"as_backend", AuthPolicy::kAsBackend},
};
constexpr std::array kPartnerLevels = {
    Choice<TlsPolicy>{"encrypt", TlsPolicy::kEncrypt},
    Choice<TlsPolicy>{"verify", TlsPolicy::kVerify},
};
constexpr std::array kModes = {
    Choice<PolicyMode>{"enforce", PolicyMode::kEnforce},
    Choice<PolicyMode>{"report", PolicyMode::kReport},
};
constexpr std::array kRevocations = {
    Choice<Revocation>{"off", Revocation::kOff},
    Choice<Revocation>{"soft", Revocation::kSoft},
    Choice<Revocation>{"hard", Revocation::kHard},
};

bool Names(const std::optional<Given>& path) { return path.has_value() && !path->text.empty(); }

bool LooksAtCertificate(const Partner& partner) {
  return partner.tls == TlsPolicy::kVerify || partner.restrict_to_certificate ||
         !partner.certificate.names.empty() || !partner.certificate.fingerprints.empty();
}

// `partner "a", partner "b" and 3 more`: ten thousand partners make no ten thousand lines.
std::string List(const std::vector<std::string>& subjects) {
  constexpr std::size_t kNamed = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(subjects.size(), kNamed); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ", ", subjects[i]);
  }
  if (subjects.size() > kNamed) absl::StrAppend(&text, " and ", subjects.size() - kNamed, " more");
  return text;
}

}  // namespace

absl::Status PolicyResolver::CheckFiles(const Given& given, std::string_view what) {
  if (!readable_.insert(given.text).second) return absl::OkStatus();
  return CheckReadableOrFolder(given, what);
}

absl::Status PolicyResolver::JudgeTrust(const TrustSettings& own, const TrustSettings& common,
                                        TrustConfig* out, TrustOf whose) {
  const bool of_servers = whose == TrustOf::kServers;
  const std::string_view ca_key = of_servers ? "ca" : "client_ca";
  *out = {};
  const std::optional<Given>& ca = own.client_ca.has_value() ? own.client_ca : common.client_ca;
  absl::Status status = ReadChoice(own.revocation, kRevocations, &out->revocation);
  if (!status.ok()) return status;
  if (!Names(ca)) {
    if (Names(own.crl)) {
      return RefuseQuoted(*own.crl, absl::StrCat("lists what a CA revoked, but no ", View(ca_key),
                                                 " is given; add it"));
    }
    if (out->revocation != Revocation::kOff) {
      return RefuseQuoted(
          *own.revocation,
          absl::StrCat("needs ", View(ca_key),
                       of_servers ? "; add it, or write off" : " and crl; add them, or write off"));
    }
    return absl::OkStatus();
  }

  // A CRL belongs to its CA: who names a CA names its CRL as well.
  const bool own_ca = own.client_ca.has_value();
  const std::optional<Given>& crl = own.crl.has_value() || own_ca ? own.crl : common.crl;
  const std::optional<Given>& revocation =
      own.revocation.has_value() ? own.revocation : common.revocation;
  // Who gives a list wants it to count.
  out->revocation = Names(crl) ? Revocation::kSoft : Revocation::kOff;
  status = ReadChoice(revocation, kRevocations, &out->revocation);
  if (!status.ok()) return status;
  if (out->revocation != Revocation::kOff && !Names(crl) && !of_servers) {
    if (own.revocation.has_value() || !own_ca) {
      return RefuseQuoted(
          own.revocation.has_value() ? *own.revocation : *revocation,
          "as revocation needs crl, a file or folder of lists; add it, or write off");
    }
    return RefuseQuoted(*own.client_ca,
                        absl::StrCat("has no crl, but revocation = \"", revocation->text,
                                     "\" of [tls] holds here too; add crl, or revocation = "
                                     "\"off\""));
  }
  status = CheckFiles(*ca, "a CA certificate");
  if (!status.ok()) return status;
  out->client_ca = ca->text;
  if (!Names(crl)) return absl::OkStatus();
  out->crl = crl->text;
  return CheckFiles(*crl, "a CRL");
}

absl::Status PolicyResolver::CheckDefaults() {
  TrustConfig ignored;
  return JudgeTrust(settings_.trust, {}, &ignored);
}

std::size_t PolicyResolver::AddTrust(TrustConfig trust) {
  // No path has a NUL.
  const std::string key =
      absl::StrCat(trust.client_ca, absl::string_view("\0", 1), trust.crl,
                   absl::string_view("\0", 1), static_cast<int>(trust.revocation));
  const auto [entry, added] = trusts_.emplace(key, config_.trusts.size());
  if (added) config_.trusts.push_back(std::move(trust));
  return entry->second;
}

absl::Status PolicyResolver::ReadFingerprints(const std::vector<Given>& from,
                                              std::vector<Fingerprint>* out) {
  for (const Given& given : from) {
    Fingerprint fingerprint{};
    const absl::Status status = ReadFingerprint(given, &fingerprint);
    if (!status.ok()) return status;
    out->push_back(fingerprint);
  }
  return absl::OkStatus();
}

absl::Status PolicyResolver::ResolveRule(const CertificateRuleSettings& from,
                                         CertificateRule* rule) {
  TrustConfig trust;
  absl::Status status = JudgeTrust(from.trust, settings_.trust, &trust);
  if (!status.ok()) return status;
  if (!trust.client_ca.empty()) rule->trust = AddTrust(std::move(trust));
  for (const Given& given : from.names) {
    std::string name;
    status = ReadCertificateName(given, &name);
    if (!status.ok()) return status;
    if (rule->trust == kNoTrust) {
      return RefuseQuoted(given,
                          "proves nothing without a CA that vouches for it; add client_ca, or "
                          "give fingerprints instead of certificate_names");
    }
    rule->names.push_back(std::move(name));
  }
  status = ReadFingerprints(from.fingerprints, &rule->fingerprints);
  if (!status.ok()) return status;
  status = ReadBoolean(from.accept_common_name, &rule->accept_common_name);
  status.Update(ReadBoolean(from.accept_server_auth_purpose, &rule->accept_server_auth_purpose));
  return status;
}

absl::Status PolicyResolver::CheckAsked(const CertificateRule& rule, const Given& asking,
                                        const std::string& subject) {
  if (!rule.fingerprints.empty()) return absl::OkStatus();
  if (rule.trust == kNoTrust) {
    return RefuseQuoted(asking,
                        "asks for a certificate, but nothing says which; add client_ca, "
                        "fingerprints or both");
  }
  if (rule.names.empty()) any_certificate_.push_back(subject);
  return absl::OkStatus();
}

absl::Status PolicyResolver::ResolveRoute(const IngressSettings& from, RouteConfig* ingress) {
  RoutePolicy& policy = ingress->policy;
  const std::string subject = absl::StrCat("route \"", from.name.text, "\"");
  absl::Status status = ReadChoice(from.tls, kRouteLevels, &policy.tls);
  if (status.ok()) status = ReadChoice(from.auth, kAuths, &ingress->auth);
  if (status.ok()) status = ReadChoice(from.mode, kModes, &policy.mode);
  if (status.ok()) status = ResolveRule(from.rule, &policy.certificate);
  if (status.ok()) status = ReadReply(from.certificate_reply, &policy.replies.certificate);
  if (status.ok()) status = ReadBoolean(from.partners, &ingress->partners);
  if (!status.ok()) return status;
  if (policy.mode == PolicyMode::kReport && policy.tls == TlsPolicy::kMay) {
    return RefuseQuoted(*from.mode,
                        "has nothing to report where tls is may; write tls = \"encrypt\" or "
                        "\"verify\", which report mode does not enforce");
  }
  if (policy.certificate.accept_common_name) common_name_.push_back(subject);
  if (policy.tls != TlsPolicy::kVerify) return absl::OkStatus();
  return CheckAsked(policy.certificate, *from.tls, subject);
}

absl::Status PolicyResolver::ResolveDomains(const PartnerSettings& from, Partner* partner) {
  partner->sender_domains.reserve(from.sender_domains.size());
  for (const Given& given : from.sender_domains) {
    std::string domain;
    const absl::Status status = ReadSenderDomain(given, &domain);
    if (!status.ok()) return status;
    const auto [first, added] = domains_.emplace(domain, &given);
    if (!added) {
      return RefuseQuoted(given, absl::StrCat("is already given at ", first->second->where,
                                              "; a domain belongs to one partner, once"));
    }
    partner->sender_domains.push_back(std::move(domain));
  }
  return absl::OkStatus();
}

absl::Status PolicyResolver::ResolveNetworks(const PartnerSettings& from, Partner* partner) {
  // With domains a network only narrows down, and several partners may do so from one network.
  Networks own;
  Networks& seen = from.sender_domains.empty() ? networks_ : own;
  partner->networks.reserve(from.networks.size());
  for (const Given& given : from.networks) {
    const absl::StatusOr<Network> network = ParseNetwork(given.text);
    if (!network.ok()) return Refuse(given, std::string(network.status().message()));
    const auto [first, added] = seen.emplace(*network, &given);
    if (!added) {
      return RefuseQuoted(given, absl::StrCat("is already given at ", first->second->where,
                                              "; which of the two holds would be chance"));
    }
    partner->networks.push_back(*network);
  }
  return absl::OkStatus();
}

absl::Status PolicyResolver::ResolvePartner(const PartnerSettings& from, Partner* partner) {
  partner->name = from.name.text;
  if (from.name.text.empty()) return Refuse(from.name, "a partner's name may not be empty");
  if (const auto [first, added] = partners_.emplace(from.name.text, &from.name); !added) {
    return RefuseQuoted(from.name, absl::StrCat("names two partners, the first at ",
                                                first->second->where, "; give each its own name"));
  }
  absl::Status status = ReadChoice(from.tls, kPartnerLevels, &partner->tls);
  if (status.ok()) status = ReadChoice(from.mode, kModes, &partner->mode);
  if (status.ok()) status = ResolveDomains(from, partner);
  if (status.ok()) status = ResolveNetworks(from, partner);
  if (status.ok()) status = ResolveRule(from.rule, &partner->certificate);
  if (status.ok()) status = ReadBoolean(from.restrict_to_networks, &partner->restrict_to_networks);
  if (status.ok()) {
    status = ReadBoolean(from.restrict_to_certificate, &partner->restrict_to_certificate);
  }
  if (status.ok()) status = ReadReply(from.tls_reply, &partner->replies.tls);
  if (status.ok()) status = ReadReply(from.certificate_reply, &partner->replies.certificate);
  if (status.ok()) status = ReadReply(from.network_reply, &partner->replies.network);
  if (!status.ok()) return status;

  const bool domains = !partner->sender_domains.empty();
  if (!domains && partner->networks.empty()) {
    return RefuseQuoted(from.name,
                        "is a partner whose mail nothing tells from others; add sender_domains, "
                        "networks or both");
  }
  if (partner->restrict_to_networks && partner->networks.empty()) {
    return Refuse(*from.restrict_to_networks, "needs networks; add them");
  }
  if (partner->restrict_to_networks && !domains) {
    return Refuse(*from.restrict_to_networks,
                  "says where mail of sender_domains comes from; add sender_domains");
  }
  if (partner->restrict_to_certificate && !domains) {
    return Refuse(*from.restrict_to_certificate,
                  "says who sends mail of sender_domains; add sender_domains");
  }
  const std::string subject = absl::StrCat("partner \"", partner->name, "\"");
  if (partner->certificate.accept_common_name) common_name_.push_back(subject);
  if (partner->tls == TlsPolicy::kVerify)
    return CheckAsked(partner->certificate, from.tls, subject);
  if (!partner->restrict_to_certificate) return absl::OkStatus();
  return CheckAsked(partner->certificate,
                    {"restrict_to_certificate", from.restrict_to_certificate->where}, subject);
}

absl::Status PolicyResolver::ResolvePartners() {
  config_.partners.reserve(settings_.partners.size());
  for (const PartnerSettings& from : settings_.partners) {
    const absl::Status status = ResolvePartner(from, &config_.partners.emplace_back());
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status PolicyResolver::ResolveOwnDomains() {
  std::vector<std::string>& own = config_.own_domains;
  const auto add = [&own](std::string domain) {
    if (std::find(own.begin(), own.end(), domain) == own.end()) own.push_back(std::move(domain));
  };
  if (std::optional<std::string> hostname = NormalizeDomain(config_.hostname)) {
    add(*std::move(hostname));
  }
  add("localhost");
  for (const Given& given : settings_.own_domains) {
    std::string domain;
    const absl::Status status = ReadSenderDomain(given, &domain);
    if (!status.ok()) return status;
    add(std::move(domain));
  }
  return absl::OkStatus();
}

absl::Status PolicyResolver::ResolveEgress(const EgressSettings& from, ServerPolicy* policy,
                                           PolicyMode* mode) {
  if (from.tls.has_value() && from.tls->text.starts_with("dane")) {
    return RefuseQuoted(*from.tls,
                        "is not there; leave such domains to your mail server's own DANE");
  }
  absl::Status status = ReadChoice(from.tls, kEgressLevels, &policy->tls);
  if (status.ok()) status = ReadChoice(from.mode, kModes, mode);
  TrustConfig trust;
  if (status.ok()) status = JudgeTrust(from.trust, {}, &trust, TrustOf::kServers);
  if (status.ok()) status = ReadFingerprints(from.fingerprints, &policy->fingerprints);
  if (!status.ok()) return status;
  if (*mode == PolicyMode::kReport && policy->takes_clear()) {
    return RefuseQuoted(
        *from.mode,
        "has nothing to report where tls is none or may; write tls = \"encrypt\" or "
        "a stronger level, which report mode does not enforce");
  }
  const bool by_ca = policy->tls == EgressTls::kTrusted || policy->tls == EgressTls::kVerify ||
                     policy->tls == EgressTls::kSecure;
  if (by_ca && trust.client_ca.empty()) {
    return RefuseQuoted(*from.tls,
                        "trusts a CA, and nothing says which; add ca = "
                        "\"/etc/ssl/certs/ca-certificates.crt\" for the public ones, or the "
                        "partner's own");
  }
  if (!by_ca && !trust.client_ca.empty()) {
    return RefuseQuoted(*from.trust.client_ca,
                        "has no effect at this level; write tls = \"trusted\", \"verify\" or "
                        "\"secure\", or leave ca out");
  }
  if (by_ca) policy->trust = AddTrust(std::move(trust));
  if (policy->tls == EgressTls::kSecure && from.match.empty()) {
    return RefuseQuoted(*from.tls,
                        "needs match, the names that the server's certificate may have; add "
                        "match = [\"mx.partner.example\"], or write verify for the upstream's own");
  }
  if (policy->tls != EgressTls::kSecure && !from.match.empty()) {
    return RefuseQuoted(from.match.front(),
                        "has no effect at this level; write tls = \"secure\", or leave match out");
  }
  const bool by_pin = policy->tls == EgressTls::kFingerprint;
  if (by_pin && policy->fingerprints.empty()) {
    return RefuseQuoted(*from.tls, "needs fingerprints of the partner's certificate or its key");
  }
  if (!by_pin && !from.fingerprints.empty()) {
    return RefuseQuoted(from.fingerprints.front(),
                        "has no effect at this level; write tls = \"fingerprint\", or leave "
                        "fingerprints out");
  }
  for (const Given& given : from.match) {
    std::string name;
    status = ReadSenderDomain(given, &name);
    if (!status.ok()) return status;
    policy->names.push_back(std::move(name));
  }
  return absl::OkStatus();
}

void PolicyResolver::Finish() {
  const bool partners_look =
      std::any_of(config_.partners.begin(), config_.partners.end(), LooksAtCertificate);
  bool partners_hold = false;
  for (RouteConfig& ingress : config_.routes) {
    const CertificateRule& rule = ingress.policy.certificate;
    const bool wanted = ingress.policy.tls == TlsPolicy::kVerify || rule.trust != kNoTrust ||
                        !rule.fingerprints.empty() || (ingress.partners && partners_look);
    ingress.ask_certificate = wanted && !ingress.certificates.empty();
    partners_hold = partners_hold || ingress.partners;
    if (ingress.partners && ingress.certificates.empty() && !config_.partners.empty()) {
      Warn(absl::StrCat("route \"", ingress.name,
                        "\" has no certificate, so that partners, who must use TLS, cannot send "
                        "there; give it one or write partners = false"));
    }
  }
  if (!config_.partners.empty() && !partners_hold) {
    Warn("no route lets partners hold (partners = false everywhere): [[partner]] has no effect");
  }
  if (!any_certificate_.empty()) {
    Warn(absl::StrCat(List(any_certificate_),
                      ": with client_ca alone every certificate of that CA is taken; unless it is "
                      "your own CA, add certificate_names or fingerprints"));
  }
  if (!common_name_.empty()) {
    Warn(absl::StrCat(List(common_name_),
                      ": accept_common_name takes a name that CAs need not have checked; ask for a "
                      "certificate with a dNSName"));
  }
}

}  // namespace ringpost
