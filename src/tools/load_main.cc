// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringpost-load: an SMTP load generator with TLS, closed-loop or at a fixed arrival rate.
#include <absl/flags/flag.h>
#include <absl/flags/parse.h>
#include <absl/flags/usage.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_split.h>
#include <absl/time/time.h>
#include <arpa/inet.h>
#include <unistd.h>

#include <bit>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "ringpost/base/secret.h"
#include "ringpost/config/address.h"
#include "ringpost/io/uring.h"
#include "ringpost/tools/json_text.h"
#include "ringpost/tools/load_runner.h"
#include "ringpost/tools/mail_text.h"
#include "ringpost/tools/tool_process.h"

namespace ringpost {

// A flag that is on or off, as its help says.
struct Switch {
  bool on = false;
};
bool AbslParseFlag(absl::string_view text, Switch* flag, std::string* error) {
  flag->on = text == "on" || text == "true" || text == "yes";
  if (!flag->on && text != "off" && text != "false" && text != "no") {
    *error = "say on or off";
    return false;
  }
  return true;
}
std::string AbslUnparseFlag(const Switch& flag) { return flag.on ? "on" : "off"; }

}  // namespace ringpost

ABSL_FLAG(std::string, target, "127.0.0.1:2525",
          "The server: 127.0.0.1:port, [::1]:port or unix:/path.");
ABSL_FLAG(std::string, tls, "starttls", "How TLS begins: starttls, implicit, or plain for none.");
ABSL_FLAG(std::string, tls_version, "", "Offer only this version: 1.2 or 1.3. Default: both.");
ABSL_FLAG(
    std::string, groups, "X25519,P-256",
    "The key exchange groups to offer, best first, as a comma list of X25519MLKEM768, X25519, "
    "P-256, P-384. The key share is for the first one; in TLS 1.2 an "
    "ECDSA certificate needs the group of its own key in the list.");
ABSL_FLAG(std::string, suites, "", "The cipher suites to offer, IANA names. Default: all.");
ABSL_FLAG(ringpost::Switch, resumption, {},
          "Resume TLS: each connection slot takes the ticket of its last connection: on or "
          "off.");
ABSL_FLAG(
    std::string, ca, "",
    "PEM file of certificate authorities: verify the server's chain and that its name is --sni. "
    "Default: nothing is verified.");
ABSL_FLAG(std::string, client_cert, "",
          "PEM file with a client certificate and its chain, for servers that ask for one.");
ABSL_FLAG(std::string, client_key, "", "PEM file with the key of --client_cert.");
ABSL_FLAG(std::string, sni, "", "The server name to ask for. Default: none is sent.");
ABSL_FLAG(std::string, helo, "load.example.test", "The name in EHLO.");
ABSL_FLAG(std::string, from, "load@sender.example.test", "The address in MAIL FROM.");
ABSL_FLAG(std::string, to, "sink@recipient.example.test", "The address in RCPT TO.");
ABSL_FLAG(
    int, connections, 16,
    "How many connections are open at the same time. With --rate an upper limit: what is due while "
    "all are busy waits, and its waiting counts. With --idle how many are set up at a time.");
ABSL_FLAG(
    double, rate, 0,
    "Open loop: this many connections begin per second, whatever the server does; latency counts "
    "from the scheduled time. 0: closed loop, the next connection begins where one has ended.");
ABSL_FLAG(int, messages, 1, "Messages per connection; 0: only EHLO and QUIT.");
ABSL_FLAG(std::int64_t, size, 10240, "Octets of each message, at least 256.");
ABSL_FLAG(
    absl::Duration, duration, absl::ZeroDuration(),
    "How long to measure, for example 10s. Default: 10s, or until --total connections are done.");
ABSL_FLAG(std::int64_t, total, 0, "Stop after this many connections; 0: after --duration.");
ABSL_FLAG(absl::Duration, warmup, absl::ZeroDuration(),
          "How long to run before measuring begins, for example 2s.");
ABSL_FLAG(int, idle, 0,
          "Open this many sessions, greet them with EHLO inside TLS, hold them for --duration, "
          "then QUIT. "
          "For measuring memory; nothing else is sent.");
ABSL_FLAG(ringpost::Switch, pipelining, {true},
          "Send MAIL, RCPT and DATA in one group where the server offers it: on or off.");
ABSL_FLAG(bool, bdat, false, "Send messages with one BDAT LAST instead of DATA.");
ABSL_FLAG(std::string, sources, "",
          "Local IPv4 addresses to connect from, in turn, as a comma list of addresses and ranges "
          "such as "
          "127.0.0.2-127.0.0.9: each one has about 28,000 ports of its own.");
ABSL_FLAG(absl::Duration, timeout, absl::Seconds(30),
          "A connection without progress for this long has failed.");
ABSL_FLAG(bool, json, false, "Print the result as one line of JSON instead of a table.");
ABSL_FLAG(bool, quiet, false, "No progress, even on a terminal.");
ABSL_FLAG(bool, progress, false, "A line of progress each second, even if not on a terminal.");
ABSL_FLAG(bool, allow_failures, false, "Exit with 0 even if connections or messages failed.");
ABSL_FLAG(int, buffers, 4096, "How many blocks of 16 KiB are there for octets in transit.");

namespace ringpost {
namespace {

absl::Status Invalid(std::string_view sentence) {
  return absl::InvalidArgumentError(absl::string_view(sentence.data(), sentence.size()));
}

// Without a path there is nothing to read.
absl::Status ReadPem(std::string_view flag, const std::string& path, std::string& pem) {
  if (path.empty()) {
    return absl::OkStatus();
  }
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  pem = text.str();
  return pem.empty() ? Invalid(absl::StrCat("cannot read ",
                                            absl::string_view(flag.data(), flag.size()), "=", path))
                     : absl::OkStatus();
}

absl::Status PlanTls(LoadPlan& plan, std::unique_ptr<TlsClientContext>& context) {
  const std::string mode = absl::GetFlag(FLAGS_tls);
  if (mode == "plain") {
    plan.tls = LoadTls::kPlain;
    return absl::OkStatus();
  }
  if (mode != "starttls" && mode != "implicit") {
    return Invalid(absl::StrCat("--tls is starttls, implicit or plain, not \"", mode, "\""));
  }
  plan.tls = mode == "implicit" ? LoadTls::kImplicit : LoadTls::kStarttls;
  plan.resume = absl::GetFlag(FLAGS_resumption).on;
  plan.sni = absl::GetFlag(FLAGS_sni);

  TlsClientOptions options;
  const std::string version = absl::GetFlag(FLAGS_tls_version);
  if (version == "1.2") {
    options.versions = TlsVersions::kTls12Only;
  } else if (version == "1.3") {
    options.versions = TlsVersions::kTls13Only;
  } else if (!version.empty()) {
    return Invalid(absl::StrCat("--tls_version is 1.2 or 1.3, not \"", version, "\""));
  }
  options.groups = absl::StrSplit(absl::GetFlag(FLAGS_groups), ',', absl::SkipWhitespace());
  options.suites = absl::StrSplit(absl::GetFlag(FLAGS_suites), ',', absl::SkipWhitespace());
  options.resumption = plan.resume ? TlsResumption::kOn : TlsResumption::kOff;
  if (absl::GetFlag(FLAGS_client_cert).empty() != absl::GetFlag(FLAGS_client_key).empty()) {
    return Invalid("--client_cert and --client_key go together");
  }
  std::string key;
  for (const absl::Status& status :
       {ReadPem("--ca", absl::GetFlag(FLAGS_ca), options.ca_pem),
        ReadPem("--client_cert", absl::GetFlag(FLAGS_client_cert), options.cert_pem),
        ReadPem("--client_key", absl::GetFlag(FLAGS_client_key), key)}) {
    if (!status.ok()) {
      return status;
    }
  }
  options.key_pem = Secret(std::move(key));
  absl::StatusOr<std::unique_ptr<TlsClientContext>> created = TlsClientContext::Create(options);
  if (!created.ok()) {
    return created.status();
  }
  context = *std::move(created);
  plan.tls_context = context.get();
  return absl::OkStatus();
}

absl::Status PlanMail(LoadPlan& plan) {
  const std::int64_t size = absl::GetFlag(FLAGS_size);
  constexpr std::int64_t kSizeMax = std::int64_t{1} << 30;
  if (size < static_cast<std::int64_t>(kMailOctetsMin) || size > kSizeMax) {
    return Invalid(absl::StrCat("--size is from ", kMailOctetsMin, " to ", kSizeMax, " octets"));
  }
  if (absl::GetFlag(FLAGS_messages) < 0) {
    return Invalid("--messages is 0 or more");
  }
  for (const std::string& text :
       {absl::GetFlag(FLAGS_helo), absl::GetFlag(FLAGS_from), absl::GetFlag(FLAGS_to)}) {
    if (text.empty() || text.find_first_of(" \r\n<>") != std::string::npos) {
      return Invalid("--helo, --from and --to are one word without blanks or angle brackets");
    }
  }
  const std::string mail = MakeMail(static_cast<std::size_t>(size));
  plan.mail_octets = mail.size();
  plan.messages = static_cast<std::uint32_t>(absl::GetFlag(FLAGS_messages));
  plan.pipelining = absl::GetFlag(FLAGS_pipelining).on;
  plan.ehlo = absl::StrCat("EHLO ", absl::GetFlag(FLAGS_helo), "\r\n");
  plan.mail = absl::StrCat("MAIL FROM:<", absl::GetFlag(FLAGS_from), ">\r\n");
  plan.rcpt = absl::StrCat("RCPT TO:<", absl::GetFlag(FLAGS_to), ">\r\n");
  if (absl::GetFlag(FLAGS_bdat)) {
    plan.content = LoadContent::kBdat;
    plan.content_command = absl::StrCat("BDAT ", mail.size(), " LAST\r\n");
    plan.content_octets = mail;
  } else {
    plan.content_command = "DATA\r\n";
    plan.content_octets = DotStuff(mail);
  }
  return absl::OkStatus();
}

absl::Status ParseSources(std::string_view text, std::vector<sockaddr_in>& sources) {
  constexpr std::uint32_t kRangeMax = 4096;
  for (const absl::string_view word :
       absl::StrSplit(absl::string_view(text.data(), text.size()), ',', absl::SkipWhitespace())) {
    const std::vector<std::string> ends = absl::StrSplit(word, absl::MaxSplits('-', 1));
    in_addr first{};
    in_addr last{};
    if (inet_pton(AF_INET, ends.front().c_str(), &first) != 1 ||
        inet_pton(AF_INET, ends.back().c_str(), &last) != 1 ||
        ntohl(last.s_addr) < ntohl(first.s_addr) ||
        ntohl(last.s_addr) - ntohl(first.s_addr) >= kRangeMax) {
      return Invalid(absl::StrCat("--sources has \"", word,
                                  "\", which is no IPv4 address or range of up to ", kRangeMax));
    }
    for (std::uint32_t host = ntohl(first.s_addr); host <= ntohl(last.s_addr); ++host) {
      sockaddr_in source{};
      source.sin_family = AF_INET;
      source.sin_addr.s_addr = htonl(host);
      sources.push_back(source);
    }
  }
  return absl::OkStatus();
}

absl::Status PlanRun(LoadPlan& plan, LoadRunOptions& run) {
  const absl::StatusOr<Endpoint> target = ParseEndpoint(absl::GetFlag(FLAGS_target));
  if (!target.ok()) {
    return Invalid(absl::StrCat("--target: ", target.status().message()));
  }
  plan.target = target->address;
  plan.target_length = target->length;
  plan.step_timeout = absl::ToInt64Nanoseconds(absl::GetFlag(FLAGS_timeout));
  run.duration = absl::ToInt64Nanoseconds(absl::GetFlag(FLAGS_duration));
  run.warmup = absl::ToInt64Nanoseconds(absl::GetFlag(FLAGS_warmup));
  run.rate = absl::GetFlag(FLAGS_rate);
  const int connections = absl::GetFlag(FLAGS_connections);
  const int idle = absl::GetFlag(FLAGS_idle);
  const std::int64_t total = absl::GetFlag(FLAGS_total);
  constexpr int kConnectionsMax = 1'000'000;
  if (connections < 1 || connections > kConnectionsMax || idle < 0 || idle > kConnectionsMax) {
    return Invalid("--connections is from 1, --idle from 0 to 1000000");
  }
  if (run.duration < 0 || run.warmup < 0 || total < 0 || plan.step_timeout <= 0 ||
      !(run.rate >= 0 && run.rate <= 1e6)) {
    return Invalid(
        "--duration, --warmup and --total are 0 or more, --timeout is more, --rate is from "
        "0 to 1000000");
  }
  run.connections = static_cast<std::uint32_t>(connections);
  run.idle = static_cast<std::uint32_t>(idle);
  run.total = static_cast<std::uint64_t>(total);
  plan.hold = idle > 0;
  if (run.duration == 0 && run.total == 0) {
    run.duration = 10 * kNsPerSecond;
  }
  if (absl::Status parsed = ParseSources(absl::GetFlag(FLAGS_sources), run.sources); !parsed.ok()) {
    return parsed;
  }
  if (!run.sources.empty() && plan.target.any.sa_family != AF_INET) {
    return Invalid("--sources needs an IPv4 --target");
  }
  if (absl::GetFlag(FLAGS_progress)) {
    run.progress = Progress::kLines;
  } else if (!absl::GetFlag(FLAGS_quiet) && isatty(STDERR_FILENO) != 0) {
    run.progress = Progress::kTerminal;
  }
  constexpr std::size_t kOtherDescriptors = 32;
  const std::size_t descriptors = RaiseDescriptorLimit();
  const auto needed = static_cast<std::size_t>(std::max(connections, idle)) + kOtherDescriptors;
  if (descriptors < needed) {
    return Invalid(absl::StrCat("this needs ", needed, " descriptors and the limit is ",
                                descriptors, "; raise it with ulimit -n"));
  }
  return absl::OkStatus();
}

void PrintReport(const LoadStats& stats, const LoadPlan& plan, const LoadRunOptions& run) {
  const std::string mode = run.idle != 0 ? "idle" : run.rate > 0 ? "open loop" : "closed loop";
  std::string report;
  if (absl::GetFlag(FLAGS_json)) {
    std::string settings;
    AppendJsonText(settings, "target", absl::GetFlag(FLAGS_target));
    AppendJsonText(settings, "tls", absl::GetFlag(FLAGS_tls));
    AppendJsonText(settings, "mode", mode);
    AppendJsonCount(settings, "concurrency", run.connections);
    AppendJsonReal(settings, "rate", run.rate);
    AppendJsonCount(settings, "idle", run.idle);
    AppendJsonCount(settings, "messages_per_connection", plan.messages);
    AppendJsonCount(settings, "message_octets", plan.mail_octets);
    AppendJsonBool(settings, "resumption", plan.resume);
    report = LoadReportJson(stats, settings) + "\n";
  } else {
    std::string title = absl::StrFormat("ringpost-load: %s, %s, %s, ", absl::GetFlag(FLAGS_target),
                                        absl::GetFlag(FLAGS_tls), mode);
    if (run.idle != 0) {
      absl::StrAppendFormat(&title, "%d sessions", run.idle);
    } else {
      if (run.rate > 0) {
        absl::StrAppendFormat(&title, "%g/s on at most ", run.rate);
      }
      absl::StrAppendFormat(&title, "%d connections, %d messages of %d octets each",
                            run.connections, plan.messages, plan.mail_octets);
    }
    report = LoadReportText(stats, title);
  }
  std::fwrite(report.data(), 1, report.size(), stdout);
}

absl::StatusOr<int> Run() {
  LoadStats stats;
  LoadPlan plan;
  LoadRunOptions run;
  std::unique_ptr<TlsClientContext> tls_context;
  plan.stats = &stats;
  for (const absl::Status& status :
       {PlanTls(plan, tls_context), PlanMail(plan), PlanRun(plan, run)}) {
    if (!status.ok()) {
      return status;
    }
  }
  const int buffers = absl::GetFlag(FLAGS_buffers);
  if (buffers < 64 || static_cast<std::size_t>(buffers) > BufferPool::kLargeCountMax) {
    return Invalid(absl::StrCat("--buffers is from 64 to ", BufferPool::kLargeCountMax));
  }
  BufferPool pool(static_cast<std::size_t>(buffers),
                  std::size_t{4} * static_cast<std::size_t>(buffers));
  absl::StatusOr<std::unique_ptr<Uring>> io =
      Uring::Create(UringOptions{.lent_blocks = std::min(
                                     256u, std::bit_floor(static_cast<unsigned>(buffers) / 2))},
                    &pool);
  if (!io.ok()) {
    return io.status();
  }
  plan.io = io->get();
  plan.pool = &pool;
  LoadRunner runner(&plan, &run);
  runner.Run(StopEvent());
  PrintReport(stats, plan, run);
  const bool nothing_done = stats.connections == 0 && run.idle == 0;
  if (nothing_done && stats.failure_count() == 0) {
    std::fputs("ringpost-load: not one connection was completed while measuring\n", stderr);
  }
  return (stats.failure_count() == 0 && !nothing_done) || absl::GetFlag(FLAGS_allow_failures) ? 0
                                                                                              : 2;
}

int Main(int argc, char** argv) {
  SetHelpFile("load_main.cc");
  absl::SetProgramUsageMessage(
      "An SMTP load generator: connections with or without TLS, in a closed loop or at a fixed "
      "arrival\n"
      "rate, and how long they took. Exit code 0 if nothing failed, 2 if something did, 1 if it "
      "could\n"
      "not begin. It ends by itself; SIGINT ends it early, with the figures so far.\n\n"
      "  ringpost-load --target=127.0.0.1:2525 --messages=5 --duration=10s\n"
      "  ringpost-load --target=127.0.0.1:2465 --tls=implicit --rate=500 --connections=1000\n"
      "  ringpost-load --target=127.0.0.1:2525 --idle=8000 --duration=5s");
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  absl::StatusOr<int> result = 1;
  if (rest.size() > 1) {
    result = Invalid(absl::StrCat("\"", rest[1], "\" is not a flag; --help lists them"));
  } else {
    result = Run();
  }
  if (!result.ok()) {
    const absl::string_view sentence = result.status().message();
    std::fprintf(stderr, "ringpost-load: %.*s\n", static_cast<int>(sentence.size()),
                 sentence.data());
    return 1;
  }
  return *result;
}

}  // namespace
}  // namespace ringpost

int main(int argc, char** argv) { return ringpost::Main(argc, argv); }
