// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "ringpost/base/fingerprint.h"
#include "ringpost/config/address.h"
#include "ringpost/config/config.h"
#include "ringpost/policy/network.h"
#include "words.h"

namespace ringpost {
namespace {

// A TOML basic string.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (octet < 32 || octet == 127) {
      absl::StrAppendFormat(&out, "\\u%04X", octet);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
  return out;
}

class Description {
 public:
  void Line(std::string_view key, std::string_view value) {
    absl::StrAppend(&text_, absl::string_view(key.data(), key.size()), " = ",
                    absl::string_view(value.data(), value.size()), "\n");
  }
  void Text(std::string_view key, std::string_view value) { Line(key, Quoted(value)); }
  void Count(std::string_view key, std::uint64_t value) { Line(key, absl::StrCat(value)); }
  void Duration(std::string_view key, TimeNs value) {
    Text(key, absl::FormatDuration(absl::Nanoseconds(value)));
  }
  void Boolean(std::string_view key, bool value) { Line(key, value ? "true" : "false"); }
  // Nothing where there are none.
  void List(std::string_view key, const std::vector<std::string>& texts) {
    if (texts.empty()) return;
    std::string list;
    for (const std::string& text : texts) {
      absl::StrAppend(&list, list.empty() ? "" : ", ", Quoted(text));
    }
    Line(key, absl::StrCat("[", list, "]"));
  }
  void Raw(std::string_view text) { text_.append(text); }
  [[nodiscard]] std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

void DescribeListeners(const RouteConfig& ingress, bool implicit_tls, std::string_view key,
                       Description* out) {
  std::vector<std::string> texts;
  for (const ListenerConfig& listener : ingress.listeners) {
    if (listener.implicit_tls == implicit_tls) texts.push_back(listener.endpoint.text);
  }
  out->List(key, texts);
}

std::vector<std::string> TextsOf(const std::vector<Fingerprint>& fingerprints) {
  std::vector<std::string> texts;
  for (const Fingerprint& fingerprint : fingerprints) {
    texts.push_back(FormatFingerprint(fingerprint));
  }
  return texts;
}

// Only what differs from the defaults, so that ten thousand partners stay readable.
void DescribeRule(const CertificateRule& rule, const Config& config, Description* out) {
  if (rule.trust != kNoTrust) {
    const TrustConfig& trust = config.trusts[rule.trust];
    out->Text("client_ca", trust.client_ca);
    if (!trust.crl.empty()) out->Text("crl", trust.crl);
    out->Text("revocation", RevocationName(trust.revocation));
  }
  out->List("certificate_names", rule.names);
  out->List("fingerprints", TextsOf(rule.fingerprints));
  if (rule.accept_common_name) out->Boolean("accept_common_name", true);
  if (rule.accept_server_auth_purpose) out->Boolean("accept_server_auth_purpose", true);
}

void DescribeReply(std::string_view key, const std::string& reply, const std::string& usual,
                   Description* out) {
  if (reply != usual) out->Text(key, reply);
}

void DescribeLimits(const RouteConfig& route, Description* out) {
  if (route.sessions_max != 0) out->Count("sessions_max", route.sessions_max);
  out->Duration("handshake_timeout", route.handshake_timeout);
  out->Duration("command_timeout", route.command_timeout);
  out->Duration("data_timeout", route.data_timeout);
}

void DescribeIngress(const RouteConfig& ingress, const Config& config, Description* out) {
  out->Raw("\n[[ingress]]\n");
  out->Text("name", ingress.name);
  DescribeListeners(ingress, false, "listen", out);
  DescribeListeners(ingress, true, "listen_tls", out);
  out->Text("upstream", config.upstreams[ingress.upstream].name);
  out->Raw(ingress.ask_certificate ? "# clients are asked for a certificate\n" : "");
  out->Text("tls", TlsPolicyName(ingress.policy.tls));
  out->Text("auth", AuthPolicyName(ingress.auth));
  DescribeRule(ingress.policy.certificate, config, out);
  out->Text("mode", PolicyModeName(ingress.policy.mode));
  DescribeReply("certificate_reply", ingress.policy.replies.certificate,
                PolicyReplies{}.certificate, out);
  out->Boolean("partners", ingress.partners);
  DescribeLimits(ingress, out);
  if (ingress.certificates.empty()) return;
  std::string list;
  for (const CertificateFiles& files : ingress.certificates) {
    absl::StrAppend(&list, "  { cert = ", Quoted(files.cert), ", key = ", Quoted(files.key),
                    " },\n");
  }
  out->Line("certificates", absl::StrCat("[\n", list, "]"));
}

std::vector<std::string> TextsOf(const UpstreamConfig& upstream) {
  std::vector<std::string> texts;
  for (const UpstreamTarget& target : upstream.targets) texts.push_back(target.endpoint.text);
  return texts;
}

void DescribeEgress(const RouteConfig& route, const Config& config, Description* out) {
  const EgressConfig& egress = *route.egress;
  out->Raw("\n[[egress]]\n");
  out->Text("name", route.name);
  DescribeListeners(route, false, "listen", out);
  const bool is_local =
      std::all_of(route.listeners.begin(), route.listeners.end(),
                  [](const ListenerConfig& listener) { return IsLocal(listener.endpoint); });
  if (!is_local) out->Boolean("allow_networks", true);
  out->List("upstream", TextsOf(config.upstreams[route.upstream]));
  out->Text("tls", EgressTlsName(egress.policy.tls));
  out->List("match", egress.policy.names);
  if (egress.policy.trust != kNoTrust) {
    const TrustConfig& trust = config.trusts[egress.policy.trust];
    out->Text("ca", trust.client_ca);
    if (!trust.crl.empty()) out->Text("crl", trust.crl);
    out->Text("revocation", RevocationName(trust.revocation));
  }
  out->List("fingerprints", TextsOf(egress.policy.fingerprints));
  if (egress.client_certificate.has_value()) {
    out->Text("client_cert", egress.client_certificate->cert);
    out->Text("client_key", egress.client_certificate->key);
  }
  if (egress.implicit_tls) out->Boolean("implicit_tls", true);
  if (!egress.ehlo_name.empty()) out->Text("hostname", egress.ehlo_name);
  out->Text("mode", PolicyModeName(route.policy.mode));
  if (egress.hard_bounce) out->Boolean("hard_bounce", true);
  DescribeLimits(route, out);
}

void DescribePartner(const Partner& partner, const Config& config, Description* out) {
  out->Raw("\n[[partner]]\n");
  out->Text("name", partner.name);
  out->List("sender_domains", partner.sender_domains);
  std::vector<std::string> networks;
  for (const Network& network : partner.networks) networks.push_back(FormatNetwork(network));
  out->List("networks", networks);
  out->Text("tls", TlsPolicyName(partner.tls));
  DescribeRule(partner.certificate, config, out);
  if (partner.restrict_to_networks) out->Boolean("restrict_to_networks", true);
  if (partner.restrict_to_certificate) out->Boolean("restrict_to_certificate", true);
  out->Text("mode", PolicyModeName(partner.mode));
  const PolicyReplies usual;
  DescribeReply("tls_reply", partner.replies.tls, usual.tls, out);
  DescribeReply("certificate_reply", partner.replies.certificate, usual.certificate, out);
  DescribeReply("network_reply", partner.replies.network, usual.network, out);
}

}  // namespace

std::string_view LogLevelWord(LogLevel level) {
  switch (level) {
    case LogLevel::kError:
      return "error";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kDebug:
      return "debug";
  }
  return "";
}

std::string_view LogFormatWord(LogFormat format) {
  return format == LogFormat::kText ? "text" : "json";
}

std::string_view BackendIdentityName(BackendIdentity identity) {
  switch (identity) {
    case BackendIdentity::kProxyV2:
      return "proxy-v2";
    case BackendIdentity::kProxyV1:
      return "proxy-v1";
    case BackendIdentity::kXclient:
      return "xclient";
    case BackendIdentity::kNone:
      return "none";
  }
  return "";
}

std::string_view ProxyTlvsName(ProxyTlvs tlvs) {
  switch (tlvs) {
    case ProxyTlvs::kAll:
      return "all";
    case ProxyTlvs::kSsl:
      return "ssl";
    case ProxyTlvs::kNone:
      return "none";
  }
  return "";
}

std::string_view EgressTlsName(EgressTls tls) {
  switch (tls) {
    case EgressTls::kNone:
      return "none";
    case EgressTls::kMay:
      return "may";
    case EgressTls::kEncrypt:
      return "encrypt";
    case EgressTls::kTrusted:
      return "trusted";
    case EgressTls::kVerify:
      return "verify";
    case EgressTls::kSecure:
      return "secure";
    case EgressTls::kFingerprint:
      return "fingerprint";
  }
  return "";
}

std::string_view TlsPolicyName(TlsPolicy policy) {
  switch (policy) {
    case TlsPolicy::kNone:
      return "none";
    case TlsPolicy::kMay:
      return "may";
    case TlsPolicy::kEncrypt:
      return "encrypt";
    case TlsPolicy::kVerify:
      return "verify";
  }
  return "";
}

std::string_view AuthPolicyName(AuthPolicy policy) {
  return policy == AuthPolicy::kTls ? "tls" : "as_backend";
}

std::string_view PolicyModeName(PolicyMode mode) {
  return mode == PolicyMode::kEnforce ? "enforce" : "report";
}

std::string_view RevocationName(Revocation revocation) {
  switch (revocation) {
    case Revocation::kOff:
      return "off";
    case Revocation::kSoft:
      return "soft";
    case Revocation::kHard:
      return "hard";
  }
  return "";
}

std::string DescribeConfig(const Config& config) {
  Description out;
  out.Text("hostname", config.hostname);
  out.Raw(config.cpus.empty() ? "# not pinned\n" : "# pinned to CPUs");
  for (const int cpu : config.cpus) out.Raw(absl::StrCat(" ", cpu));
  if (!config.cpus.empty()) out.Raw("\n");
  out.Count("shards", static_cast<std::uint64_t>(config.shards));
  out.Count("sessions_max", config.sessions_max);
  out.Count("sessions_per_client_max", config.sessions_per_client_max);
  out.Count("handshakes_per_client_rate", config.handshakes_per_client_rate);
  out.Duration("handshake_timeout", config.handshake_timeout);
  out.Duration("command_timeout", config.command_timeout);
  out.Duration("data_timeout", config.data_timeout);
  out.Duration("drain_timeout", config.drain_timeout);
  out.Duration("connect_timeout", config.connect_timeout);
  out.Text("bare_newline", config.bare_newline == BareNewline::kNormalize ? "normalize" : "reject");
  out.Text("starttls_backend",
           config.starttls_backend == StarttlsBackend::kReconnect ? "reconnect" : "keep");
  out.Raw(absl::StrCat("# ", MemorySentence(PlanMemory(config)), "\n"));
  out.Count("buffers_large", config.buffers_large);
  out.Count("buffers_small", config.buffers_small);
  out.List("own_domains", config.own_domains);
  if (!config.resolver.empty()) {
    std::vector<std::string> servers;
    for (const Endpoint& server : config.resolver) servers.push_back(server.text);
    out.List("resolver", servers);
  }
  if (config.policy_service.has_value()) out.Text("policy_service", config.policy_service->text);
  out.Duration("policy_summary_interval", config.policy_summary_interval);
  if (!config.ticket_key_file.empty()) out.Text("ticket_key_file", config.ticket_key_file);
  if (!config.log_file.empty()) out.Text("log_file", config.log_file);
  if (!config.user.empty()) out.Text("user", config.user);
  if (!config.group.empty()) out.Text("group", config.group);
  out.Text("sandbox", OnOff(config.sandbox));
  out.Text("log_format", LogFormatWord(config.log_format));
  out.Text("log_level", LogLevelWord(config.log_level));

  for (const UpstreamConfig& upstream : config.upstreams) {
    if (upstream.is_partner) continue;  // its route names it
    out.Raw("\n[[upstream]]\n");
    out.Text("name", upstream.name);
    out.List("addresses", TextsOf(upstream));
    out.Text("identity", BackendIdentityName(upstream.identity));
    if (upstream.identity == BackendIdentity::kProxyV2) {
      out.Text("proxy_tlvs", ProxyTlvsName(upstream.proxy_tlvs));
    }
  }
  for (const RouteConfig& route : config.routes) {
    if (route.egress.has_value()) {
      DescribeEgress(route, config, &out);
    } else {
      DescribeIngress(route, config, &out);
    }
  }
  for (const Partner& partner : config.partners) DescribePartner(partner, config, &out);
  return out.Take();
}

}  // namespace ringpost
