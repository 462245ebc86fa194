// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/config/flags.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "repeated_flags.h"
#include "ringpost/config/file.h"
#include "ringpost/config/resolve.h"

// All are optional texts: "not given" must differ from "given as the default", because a given flag
// wins over the file.
using Text = std::optional<std::string>;

ABSL_FLAG(Text, config, std::nullopt,
          "TOML file with [tls], [[upstream]], [[ingress]], [[egress]], [[partner]] and tuning. "
          "Routes come from the file or from flags, not from both.");
ABSL_FLAG(Text, listen, std::nullopt,
          "Addresses for clients that use STARTTLS, separated by commas: 0.0.0.0:25,[::]:25.");
ABSL_FLAG(Text, listen_tls, std::nullopt,
          "Addresses for clients that begin with TLS (port 465), separated by commas.");
ABSL_FLAG(Text, upstream, std::nullopt,
          "The mail server: 127.0.0.1:10025, [::1]:10025, unix:/path, or by name, postfix:10025. "
          "Several, separated by commas, are tried in turn.");
ABSL_FLAG(Text, tls_policy, std::nullopt,
          "may: clients may stay in clear. encrypt: no mail without TLS. verify: and none without "
          "the expected client certificate. Default: may.");
ABSL_FLAG(Text, auth, std::nullopt,
          "tls: AUTH is offered and passed on only through TLS. as_backend: also in clear, where "
          "--tls_policy lets clients stay in clear and the mail server offers it. Default: tls.");
ABSL_FLAG(Text, client_ca, std::nullopt,
          "PEM file, or a folder of them: the CAs that sign clients' certificates.");
ABSL_FLAG(Text, crl, std::nullopt,
          "File or folder of revocation lists (PEM or DER) of --client_ca.");
ABSL_FLAG(Text, revocation, std::nullopt,
          "off. soft: revoked client certificates are refused. hard: also those of which no fresh "
          "list says that they are not. Default: soft with --crl, else off.");
ABSL_FLAG(Text, certificate_names, std::nullopt,
          "Host names of which a client's certificate must have one, separated by commas: "
          "mail.contoso.example,*.contoso.example.");
ABSL_FLAG(Text, fingerprints, std::nullopt,
          "SHA-256 of client certificates or of their public keys, in hexadecimal, separated by "
          "commas: the old and the new one during a roll-over.");
ABSL_FLAG(Text, accept_common_name, std::nullopt,
          "true: the common name counts where a client's certificate has no DNS name. Default: "
          "false.");
ABSL_FLAG(Text, accept_server_auth_purpose, std::nullopt,
          "true: a certificate made for servers only will do, as public CAs issue no others. "
          "Default: false.");
ABSL_FLAG(Text, policy_mode, std::nullopt,
          "enforce, or report: nothing is refused for --tls_policy, but logged and counted. "
          "Default: enforce.");
ABSL_FLAG(Text, backend_identity, std::nullopt,
          "How the mail server learns the client's address: proxy-v2, proxy-v1, xclient, or none "
          "(dangerous: every client seems to be ringpost). Default: proxy-v2.");
ABSL_FLAG(Text, proxy_tlvs, std::nullopt,
          "What a PROXY header of version 2 says beside the addresses: all, ssl (the TLS facts, "
          "without the name the client asked for), or none. For mail servers that take only short "
          "headers. Default: all.");
ABSL_FLAG(Text, cert, std::nullopt,
          "Certificate chains in PEM, leaf first, separated by commas; one --key for each.");
ABSL_FLAG(Text, key, std::nullopt,
          "Private keys in PEM, unencrypted, separated by commas, in the order of --cert.");
ABSL_FLAG(Text, egress_listen, std::nullopt,
          "Addresses where our own mail server hands over mail that leaves, separated by commas: "
          "127.0.0.1:10026, or unix:/path for programs that can.");
ABSL_FLAG(Text, egress_upstream, std::nullopt,
          "The partner's server that it goes to: mx.partner.example:25. Several, separated by "
          "commas, are tried in turn.");
ABSL_FLAG(Text, egress_tls, std::nullopt,
          "none, may, encrypt, trusted, verify, secure or fingerprint: what mail that leaves must "
          "have. Default: may.");
ABSL_FLAG(Text, egress_match, std::nullopt,
          "Names of which the server's certificate must have one where --egress_tls is secure, "
          "separated by commas: mx.partner.example,.partner.example.");
ABSL_FLAG(Text, egress_ca, std::nullopt,
          "PEM file, or a folder of them: the CAs that sign servers' certificates.");
ABSL_FLAG(Text, egress_crl, std::nullopt,
          "File or folder of revocation lists (PEM or DER) of --egress_ca.");
ABSL_FLAG(Text, egress_revocation, std::nullopt,
          "off, soft or hard, as --revocation, by --egress_crl and by the OCSP response that the "
          "server staples. Default: soft with --egress_crl, else off.");
ABSL_FLAG(Text, egress_fingerprints, std::nullopt,
          "SHA-256 of the server's certificate or of its public key where --egress_tls is "
          "fingerprint, separated by commas.");
ABSL_FLAG(Text, egress_client_cert, std::nullopt,
          "Certificate chain in PEM that is shown to a server which asks for one.");
ABSL_FLAG(Text, egress_client_key, std::nullopt, "Its private key in PEM, unencrypted.");
ABSL_FLAG(Text, egress_implicit_tls, std::nullopt,
          "true: the server begins with TLS (port 465). Default: false.");
ABSL_FLAG(Text, egress_hostname, std::nullopt,
          "The name that is said to the server in EHLO. Default: what our own mail server said.");
ABSL_FLAG(Text, egress_mode, std::nullopt,
          "enforce, or report: nothing is refused for --egress_tls, but logged and counted. "
          "Default: enforce.");
ABSL_FLAG(Text, egress_hard_bounce, std::nullopt,
          "true: what --egress_tls refuses goes back to its sender at once (5xx). Default: false, "
          "it stays in the queue.");
ABSL_FLAG(Text, egress_allow_networks, std::nullopt,
          "true: --egress_listen may be reached from other machines, all of which can then send "
          "mail. Default: false.");
ABSL_FLAG(Text, hostname, std::nullopt,
          "The name in replies that ringpost itself makes. Default: the machine's name.");
ABSL_FLAG(Text, shards, std::nullopt,
          "Number of threads, each pinned to a CPU. Default: 0, one for every CPU of the affinity "
          "mask.");
ABSL_FLAG(Text, sessions_max, std::nullopt,
          "Most sessions at a time, in the whole process; each needs two descriptors. Default: 0, "
          "as many as the limit of open files allows, at most 100000.");
ABSL_FLAG(Text, sessions_per_client_max, std::nullopt,
          "Most sessions of one client address at a time (IPv6: of one /64), in the whole process; "
          "0: no limit. Default: a quarter of the sessions, and at least 20.");
ABSL_FLAG(Text, handshakes_per_client_rate, std::nullopt,
          "Most TLS handshakes that one client address (IPv6: one /64) may begin in a minute, all "
          "of them at once if it likes; 0: no limit. Default: 0.");
ABSL_FLAG(Text, handshake_timeout, std::nullopt,
          "Longest TLS handshake, as a duration. Default: 30s.");
ABSL_FLAG(Text, command_timeout, std::nullopt,
          "Longest wait for a client's command, as a duration. Default: 300s, the least that RFC "
          "5321 asks for.");
ABSL_FLAG(
    Text, data_timeout, std::nullopt,
    "Longest wait for more of a message, as a duration, and the grace after which it must have "
    "come with at least 500 octets a second. Default: 180s.");
ABSL_FLAG(Text, drain_timeout, std::nullopt,
          "How long SIGTERM waits for open transactions, as a duration. Default: 30s.");
ABSL_FLAG(Text, connect_timeout, std::nullopt,
          "Longest connect to the mail server, as a duration. Default: 10s.");
ABSL_FLAG(Text, bare_newline, std::nullopt,
          "A CR or LF alone in a message sent with DATA. normalize: forward it as CRLF (LF) or a "
          "blank (CR). reject: refuse the message with 550. What is sent with BDAT is counted, not "
          "searched for its end, and passes unchanged. Default: normalize.");
ABSL_FLAG(
    Text, starttls_backend, std::nullopt,
    "The mail server's connection after STARTTLS. reconnect: a new one, which is told the TLS "
    "facts. keep: the same one. Default: reconnect.");
ABSL_FLAG(Text, buffers_large, std::nullopt,
          "Blocks of 16 KiB for octets in transit, for each shard. Default: 0, an eighth of the "
          "shard's sessions, from 256 to 4096.");
ABSL_FLAG(Text, buffers_small, std::nullopt,
          "Blocks of 2 KiB for commands and replies, for each shard. Default: 0, twice the shard's "
          "sessions, from 1024 to 65536.");
ABSL_FLAG(Text, own_domains, std::nullopt,
          "The mail server's own domains, separated by commas, besides --hostname, localhost and "
          "address literals. It may look into the local part of senders there: "
          "a%partner.example@own.example.");
ABSL_FLAG(Text, resolver, std::nullopt,
          "Name servers that upstreams' host names are looked up with, separated by commas: "
          "127.0.0.1 or 127.0.0.1:5353. Default: those of /etc/resolv.conf.");
ABSL_FLAG(Text, policy_service, std::nullopt,
          "Where Postfix's check_policy_service asks how a message came: 127.0.0.1:10040 or "
          "unix:/path. Default: none.");
ABSL_FLAG(Text, policy_summary_interval, std::nullopt,
          "How often the log says what the TLS policies have seen, as a duration; 0: only at the "
          "end and on SIGUSR2. Default: 24h.");
ABSL_FLAG(Text, ticket_key_file, std::nullopt,
          "File of TLS session ticket keys, to share them between machines. Default: none, random "
          "keys that are rotated.");
ABSL_FLAG(Text, log_file, std::nullopt,
          "File for the log; SIGHUP opens it anew, for logrotate. Default: standard error.");
ABSL_FLAG(
    Text, user, std::nullopt,
    "Who ringpost becomes when root starts it, before it reads a key or a client can connect. "
    "Default: ringpost, where there is such a user.");
ABSL_FLAG(Text, group, std::nullopt,
          "Its group, besides those that the user is in. Default: the user's own.");
ABSL_FLAG(
    Text, sandbox, std::nullopt,
    "on: once it serves, ringpost gives up the system calls, files and ports that it does not "
    "need. off: it keeps them, for example for valgrind. Default: on.");
ABSL_FLAG(Text, log_format, std::nullopt, "text or json. Default: text.");
ABSL_FLAG(Text, log_level, std::nullopt, "error, warning, info or debug. Default: info.");
ABSL_FLAG(bool, check_config, false,
          "Validate everything, print the result as a TOML file, and exit.");
ABSL_FLAG(bool, list_ciphers, false, "Print the TLS versions, suites and groups, and exit.");

namespace ringpost {
namespace {

// In the order of --help. The names of AllTuning() are among them.
constexpr auto kFlags = std::to_array<std::string_view>({"config",
                                                         "listen",
                                                         "listen_tls",
                                                         "upstream",
                                                         "tls_policy",
                                                         "auth",
                                                         "client_ca",
                                                         "crl",
                                                         "revocation",
                                                         "certificate_names",
                                                         "fingerprints",
                                                         "accept_common_name",
                                                         "accept_server_auth_purpose",
                                                         "policy_mode",
                                                         "backend_identity",
                                                         "proxy_tlvs",
                                                         "cert",
                                                         "key",
                                                         "egress_listen",
                                                         "egress_upstream",
                                                         "egress_tls",
                                                         "egress_match",
                                                         "egress_ca",
                                                         "egress_crl",
                                                         "egress_revocation",
                                                         "egress_fingerprints",
                                                         "egress_client_cert",
                                                         "egress_client_key",
                                                         "egress_implicit_tls",
                                                         "egress_hostname",
                                                         "egress_mode",
                                                         "egress_hard_bounce",
                                                         "egress_allow_networks",
                                                         "hostname",
                                                         "shards",
                                                         "sessions_max",
                                                         "sessions_per_client_max",
                                                         "handshakes_per_client_rate",
                                                         "handshake_timeout",
                                                         "command_timeout",
                                                         "data_timeout",
                                                         "drain_timeout",
                                                         "connect_timeout",
                                                         "bare_newline",
                                                         "starttls_backend",
                                                         "buffers_large",
                                                         "buffers_small",
                                                         "own_domains",
                                                         "resolver",
                                                         "policy_service",
                                                         "policy_summary_interval",
                                                         "ticket_key_file",
                                                         "log_file",
                                                         "user",
                                                         "group",
                                                         "sandbox",
                                                         "log_format",
                                                         "log_level",
                                                         "check_config",
                                                         "list_ciphers"});

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::optional<Given> Flag(const absl::Flag<Text>& flag) {
  Text text = absl::GetFlag(flag);
  if (!text.has_value()) return std::nullopt;
  return Given{*std::move(text), absl::StrCat("--", flag.Name())};
}

std::vector<Given> FlagList(const absl::Flag<Text>& flag) {
  std::vector<Given> list;
  const std::optional<Given> whole = Flag(flag);
  if (!whole.has_value()) return list;
  // A blank behind the comma is how people write; no name or address begins with one.
  for (const absl::string_view part : absl::StrSplit(whole->text, ',')) {
    list.push_back({std::string(absl::StripAsciiWhitespace(part)), whole->where});
  }
  return list;
}

// The process may change its folder later; what was meant is relative to where it was started.
void MakeAbsolute(Given* given) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::absolute(given->text, error);
  if (!error && !given->text.empty()) given->text = path.lexically_normal().string();
}

std::string_view FlagName(std::string_view argument) {
  argument.remove_prefix(argument.substr(0, 2) == "--" ? 2 : 1);
  return argument.substr(0, argument.find('='));
}

// absl::ParseCommandLine ends the process in words of its own; what can be refused is refused
// before.
absl::Status CheckArguments(int argc, char** argv, RepeatedFlags* repeated) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.size() < 2 || argument.front() != '-' || argument == "--") {
      const bool behind_comma = i > 1 && std::string_view(argv[i - 1]).ends_with(',');
      return absl::InvalidArgumentError(
          absl::StrCat("\"", argv[i], "\" is not a flag; ",
                       behind_comma ? "leave out the blank behind the comma before it"
                                    : "ringpost takes only flags, see ringpost --help"));
    }
    const std::string_view name = FlagName(argument);
    const absl::CommandLineFlag* flag = absl::FindCommandLineFlag(View(name));
    if (flag == nullptr && name.substr(0, 2) == "no") {
      flag = absl::FindCommandLineFlag(View(name.substr(2)));
      if (flag != nullptr && !flag->IsOfType<bool>()) flag = nullptr;
    }
    if (flag == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "unknown flag --", View(name), Suggestion(name, kFlags), "; see ringpost --help"));
    }
    if (flag->IsOfType<bool>()) continue;
    const std::size_t equals = argument.find('=');
    if (equals == std::string_view::npos && ++i == argc) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", View(name), " needs a value: --", View(name), "=..."));
    }
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view(argv[i]) : argument.substr(equals + 1);
    if (absl::Status status = repeated->Add(name, value); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// "unix:" is not part of the path.
void MakeEndpointAbsolute(Given* given) {
  constexpr std::string_view kUnix = "unix:";
  if (!given->text.starts_with(kUnix)) return;
  given->text.erase(0, kUnix.size());
  MakeAbsolute(given);
  given->text.insert(0, kUnix);
}

std::optional<Given> PathFlag(const absl::Flag<Text>& flag) {
  std::optional<Given> given = Flag(flag);
  if (given.has_value()) MakeAbsolute(&*given);
  return given;
}

// A route's flags without a file's routes: one upstream, one ingress, both called "default".
void RouteFromFlags(Settings* settings) {
  UpstreamSettings to;
  to.name = {"default", "--upstream"};
  to.addresses = FlagList(FLAGS_upstream);
  for (Given& address : to.addresses) MakeEndpointAbsolute(&address);
  to.identity = Flag(FLAGS_backend_identity);
  to.proxy_tlvs = Flag(FLAGS_proxy_tlvs);
  IngressSettings from;
  from.name = {"default", "--listen"};
  from.listen = FlagList(FLAGS_listen);
  from.listen_tls = FlagList(FLAGS_listen_tls);
  from.upstream = {"default", "--upstream"};
  from.tls = Flag(FLAGS_tls_policy);
  from.auth = Flag(FLAGS_auth);
  from.rule.names = FlagList(FLAGS_certificate_names);
  from.rule.fingerprints = FlagList(FLAGS_fingerprints);
  from.rule.accept_common_name = Flag(FLAGS_accept_common_name);
  from.rule.accept_server_auth_purpose = Flag(FLAGS_accept_server_auth_purpose);
  from.mode = Flag(FLAGS_policy_mode);
  const CertificateRuleSettings& rule = from.rule;
  const bool given = !to.addresses.empty() || to.identity || to.proxy_tlvs ||
                     !from.listen.empty() || !from.listen_tls.empty() || from.tls || from.auth ||
                     !rule.names.empty() || !rule.fingerprints.empty() || rule.accept_common_name ||
                     rule.accept_server_auth_purpose || from.mode;
  if (!given) return;
  // Half a route is kept: together with a file's routes it is another mistake (MergeSettings).
  settings->upstreams.push_back(std::move(to));
  settings->ingress.push_back(std::move(from));
}

// The same of a route on which mail leaves, called "egress".
void EgressFromFlags(Settings* settings) {
  EgressSettings egress;
  egress.name = {"egress", "--egress_listen"};
  egress.listen = FlagList(FLAGS_egress_listen);
  for (Given& address : egress.listen) MakeEndpointAbsolute(&address);
  egress.upstream = FlagList(FLAGS_egress_upstream);
  for (Given& address : egress.upstream) MakeEndpointAbsolute(&address);
  egress.tls = Flag(FLAGS_egress_tls);
  egress.match = FlagList(FLAGS_egress_match);
  egress.trust = {PathFlag(FLAGS_egress_ca), PathFlag(FLAGS_egress_crl),
                  Flag(FLAGS_egress_revocation)};
  egress.fingerprints = FlagList(FLAGS_egress_fingerprints);
  egress.client_cert = PathFlag(FLAGS_egress_client_cert);
  egress.client_key = PathFlag(FLAGS_egress_client_key);
  egress.implicit_tls = Flag(FLAGS_egress_implicit_tls);
  egress.hostname = Flag(FLAGS_egress_hostname);
  egress.mode = Flag(FLAGS_egress_mode);
  egress.hard_bounce = Flag(FLAGS_egress_hard_bounce);
  egress.allow_networks = Flag(FLAGS_egress_allow_networks);
  const TrustSettings& trust = egress.trust;
  const bool given = !egress.listen.empty() || !egress.upstream.empty() || egress.tls ||
                     !egress.match.empty() || trust.client_ca || trust.crl || trust.revocation ||
                     !egress.fingerprints.empty() || egress.client_cert || egress.client_key ||
                     egress.implicit_tls || egress.hostname || egress.mode || egress.hard_bounce ||
                     egress.allow_networks;
  if (given) settings->egress.push_back(std::move(egress));
}

absl::Status CertificatesFromFlags(Settings* settings) {
  const std::vector<Given> certs = FlagList(FLAGS_cert);
  const std::vector<Given> keys = FlagList(FLAGS_key);
  if (certs.size() != keys.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--cert names ", certs.size(), " files and --key ", keys.size(),
                     "; give one key for each certificate, in the same order"));
  }
  for (std::size_t i = 0; i < certs.size(); ++i) {
    CertificateSettings pair{certs[i], keys[i]};
    MakeAbsolute(&pair.cert);
    MakeAbsolute(&pair.key);
    settings->certificates.push_back(std::move(pair));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<FlagAction> ParseFlags(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help" || argument == "-h" || argument == "-help") return FlagAction::kHelp;
    if (argument == "--version" || argument == "-version") return FlagAction::kVersion;
  }
  RepeatedFlags repeated;
  const absl::Status status = CheckArguments(argc, argv, &repeated);
  if (!status.ok()) return status;
  absl::ParseCommandLine(argc, argv);
  repeated.Join();
  if (absl::GetFlag(FLAGS_list_ciphers)) return FlagAction::kListCiphers;
  if (absl::GetFlag(FLAGS_check_config)) return FlagAction::kCheckConfig;
  return FlagAction::kRun;
}

std::string HelpText() {
  constexpr std::size_t kColumns = 78;
  std::string text =
      "ringpost: TLS in front of a mail server that stays as it is.\n\n"
      "  ringpost --listen=0.0.0.0:25 --listen_tls=0.0.0.0:465 --upstream=127.0.0.1:10025 \\\n"
      "           --cert=fullchain.pem --key=privkey.pem\n"
      "  ringpost --config=/etc/ringpost.toml\n\n";
  for (const std::string_view name : kFlags) {
    const absl::CommandLineFlag* const flag = absl::FindCommandLineFlag(View(name));
    absl::StrAppend(&text, "  --", View(name), "\n");
    std::string line = "     ";
    for (const absl::string_view word : absl::StrSplit(flag->Help(), ' ')) {
      if (line.size() + 1 + word.size() > kColumns) {
        absl::StrAppend(&text, line, "\n");
        line = "     ";
      }
      absl::StrAppend(&line, " ", word);
    }
    absl::StrAppend(&text, line, "\n");
  }
  text +=
      "\nLists separated by commas may also be given by the same flag several times. Durations\n"
      "have a unit: 500ms, 30s, 5m, 1h. docs/CONFIGURATION.md has the file.\n";
  return text;
}

std::string VersionText() { return "ringpost " RINGPOST_VERSION "\n"; }

absl::StatusOr<Settings> SettingsFromFlags() {
  Settings settings;
  for (const Tuning& tuning : AllTuning()) {
    const absl::CommandLineFlag* const flag = absl::FindCommandLineFlag(View(tuning.name));
    const auto text = flag->TryGet<Text>();
    if (!text.has_value() || !text->has_value()) continue;
    Given given{**text, absl::StrCat("--", View(tuning.name))};
    if (tuning.type == TuningType::kPath) MakeAbsolute(&given);
    if (tuning.type == TuningType::kEndpoint) MakeEndpointAbsolute(&given);
    settings.tuning.emplace(tuning.name, std::move(given));
  }
  RouteFromFlags(&settings);
  EgressFromFlags(&settings);
  settings.trust = {PathFlag(FLAGS_client_ca), PathFlag(FLAGS_crl), Flag(FLAGS_revocation)};
  settings.own_domains = FlagList(FLAGS_own_domains);
  settings.resolver = FlagList(FLAGS_resolver);
  const absl::Status status = CertificatesFromFlags(&settings);
  if (!status.ok()) return status;
  return settings;
}

absl::StatusOr<Settings> MergeSettings(Settings flags, Settings file) {
  if (flags.has_routes() && file.has_routes()) {
    return absl::InvalidArgumentError(
        "the --config file has routes, and so has the command line; leave out --listen, --upstream "
        "and the other flags of a route, --egress_listen among them, or take [[ingress]], "
        "[[upstream]] and [[egress]] out of the file");
  }
  if (!flags.certificates.empty() && file.has_routes()) {
    return absl::InvalidArgumentError(
        "--cert and --key belong to a route given by flags; put the certificates of the --config "
        "file's routes into its [tls] table");
  }
  const bool trust = flags.trust.client_ca || flags.trust.crl || flags.trust.revocation;
  if (trust && file.has_routes()) {
    return absl::InvalidArgumentError(
        "--client_ca, --crl and --revocation belong to a route given by flags; put them into the "
        "--config file's [tls] table");
  }
  Settings merged = std::move(file);
  // A CRL belongs to its CA: another CA does not keep the file's.
  if (flags.trust.client_ca.has_value()) {
    merged.trust = std::move(flags.trust);
  } else {
    if (flags.trust.crl.has_value()) merged.trust.crl = std::move(flags.trust.crl);
    if (flags.trust.revocation.has_value()) merged.trust.revocation = flags.trust.revocation;
  }
  for (auto& [name, given] : flags.tuning) merged.tuning.insert_or_assign(name, given);
  if (!flags.own_domains.empty()) merged.own_domains = std::move(flags.own_domains);
  if (!flags.resolver.empty()) merged.resolver = std::move(flags.resolver);
  if (!flags.certificates.empty()) merged.certificates = std::move(flags.certificates);
  if (!flags.egress.empty()) merged.egress = std::move(flags.egress);
  if (!flags.upstreams.empty()) {
    if (flags.upstreams.front().addresses.empty()) {
      return absl::InvalidArgumentError(
          "no mail server is named; give --upstream=127.0.0.1:10025 or the address it has");
    }
    if (flags.ingress.front().listen.empty() && flags.ingress.front().listen_tls.empty()) {
      return absl::InvalidArgumentError(
          "nothing to listen on; give --listen=0.0.0.0:25, --listen_tls=0.0.0.0:465 or both");
    }
    merged.upstreams = std::move(flags.upstreams);
    merged.ingress = std::move(flags.ingress);
  }
  return merged;
}

std::string ConfigPath() {
  const std::optional<Given> path = Flag(FLAGS_config);
  return path.has_value() ? path->text : std::string();
}

absl::StatusOr<std::shared_ptr<const Config>> LoadConfig() {
  absl::StatusOr<Settings> flags = SettingsFromFlags();
  if (!flags.ok()) return flags.status();
  absl::StatusOr<Settings> file = Settings{};
  if (const std::optional<Given> path = Flag(FLAGS_config); path.has_value()) {
    file = ReadConfigFile(path->text);
    if (!file.ok()) return file.status();
  }
  const absl::StatusOr<Settings> merged = MergeSettings(*std::move(flags), *std::move(file));
  if (!merged.ok()) return merged.status();
  return ResolveConfig(*merged, ThisMachine());
}

}  // namespace ringpost
