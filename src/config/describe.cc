// SPDX-License-Identifier: GPL-3.0-or-later
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "ringpost/base/buffer_pool.h"
#include "ringpost/config/config.h"

namespace ringpost {
namespace {

// State of an open TLS session outside the pools; the project's own limit (bench/README.md).
constexpr std::uint64_t kSessionBytes = 8 * 1024;

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

std::string_view Name(LogLevel level) {
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
  void Raw(std::string_view text) { text_.append(text); }
  [[nodiscard]] std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

void DescribeListeners(const IngressConfig& ingress, bool implicit_tls, std::string_view key,
                       Description* out) {
  std::string list;
  for (const ListenerConfig& listener : ingress.listeners) {
    if (listener.implicit_tls != implicit_tls) continue;
    absl::StrAppend(&list, list.empty() ? "" : ", ", Quoted(listener.endpoint.text));
  }
  if (!list.empty()) out->Line(key, absl::StrCat("[", list, "]"));
}

void DescribeIngress(const IngressConfig& ingress, const Config& config, Description* out) {
  out->Raw("\n[[ingress]]\n");
  out->Text("name", ingress.name);
  DescribeListeners(ingress, false, "listen", out);
  DescribeListeners(ingress, true, "listen_tls", out);
  out->Text("tls", TlsPolicyName(ingress.tls_policy));
  out->Text("upstream", config.upstreams[ingress.upstream].name);
  if (ingress.certificates.empty()) return;
  std::string list;
  for (const CertificateFiles& files : ingress.certificates) {
    absl::StrAppend(&list, "  { cert = ", Quoted(files.cert), ", key = ", Quoted(files.key),
                    " },\n");
  }
  out->Line("certificates", absl::StrCat("[\n", list, "]"));
}

}  // namespace

std::uint64_t PlannedMemory(const Config& config) {
  const std::uint64_t shard = std::uint64_t{config.buffers_large} * BufferPool::kLargeBytes +
                              std::uint64_t{config.buffers_small} * BufferPool::kSmallBytes;
  return static_cast<std::uint64_t>(config.shards) * shard +
         std::uint64_t{config.sessions_max} * kSessionBytes;
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

std::string DescribeConfig(const Config& config) {
  Description out;
  out.Text("hostname", config.hostname);
  out.Raw(config.cpus.empty() ? "# not pinned\n" : "# pinned to CPUs");
  for (const int cpu : config.cpus) out.Raw(absl::StrCat(" ", cpu));
  if (!config.cpus.empty()) out.Raw("\n");
  out.Count("shards", static_cast<std::uint64_t>(config.shards));
  out.Count("sessions_max", config.sessions_max);
  out.Duration("handshake_timeout", config.handshake_timeout);
  out.Duration("command_timeout", config.command_timeout);
  out.Duration("data_timeout", config.data_timeout);
  out.Duration("drain_timeout", config.drain_timeout);
  out.Duration("connect_timeout", config.connect_timeout);
  out.Text("bare_newline", config.bare_newline == BareNewline::kNormalize ? "normalize" : "reject");
  out.Text("starttls_backend",
           config.starttls_backend == StarttlsBackend::kReconnect ? "reconnect" : "keep");
  out.Raw(
      absl::StrFormat("# buffers and sessions take at most %d MiB\n", PlannedMemory(config) >> 20));
  out.Count("buffers_large", config.buffers_large);
  out.Count("buffers_small", config.buffers_small);
  if (!config.ticket_key_file.empty()) out.Text("ticket_key_file", config.ticket_key_file);
  out.Text("log_format", config.log_format == LogFormat::kText ? "text" : "json");
  out.Text("log_level", Name(config.log_level));

  for (const UpstreamConfig& upstream : config.upstreams) {
    out.Raw("\n[[upstream]]\n");
    out.Text("name", upstream.name);
    std::string list;
    for (const Endpoint& address : upstream.addresses) {
      absl::StrAppend(&list, list.empty() ? "" : ", ", Quoted(address.text));
    }
    out.Line("addresses", absl::StrCat("[", list, "]"));
    out.Text("identity", BackendIdentityName(upstream.identity));
  }
  for (const IngressConfig& ingress : config.ingress) DescribeIngress(ingress, config, &out);
  return out.Take();
}

}  // namespace ringpost
