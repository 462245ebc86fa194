// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringpost-sink: a fast SMTP backend that takes mail and forgets it, or stores it.
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "ringpost/config/address.h"
#include "ringpost/io/socket.h"
#include "ringpost/io/uring.h"
#include "ringpost/tools/sink_server.h"
#include "ringpost/tools/tool_process.h"

ABSL_FLAG(
    std::string, listen, "127.0.0.1:10025",
    "Where to listen: a comma list of 127.0.0.1:port, [::1]:port and unix:/path. Port 0 lets the "
    "kernel choose; the line \"ringpost-sink: listening on ...\" says what it chose.");
ABSL_FLAG(
    std::string, identity, "none",
    "How the proxy in front says who the client is: none; proxy (a PROXY header, version 1 or 2, "
    "must come first, else the connection is closed); xclient (XCLIENT is offered).");
ABSL_FLAG(
    std::string, store, "",
    "Keep every accepted message in this folder: NNNNNN.eml has exactly the octets of its content, "
    "NNNNNN.json the envelope, the client and its TLS. Default: messages are discarded.");
ABSL_FLAG(
    bool, print, false,
    "Print one line for each message and each session, with the client the sink was told of.");
ABSL_FLAG(std::string, hostname, "sink.example.test", "The name in the greeting.");
ABSL_FLAG(
    std::string, ehlo, "",
    "The EHLO keywords to offer, with their parameters, as a comma list, for example "
    "\"PIPELINING,SIZE 1000,AUTH PLAIN\". Default: PIPELINING SIZE 8BITMIME DSN SMTPUTF8 CHUNKING "
    "AUTH ENHANCEDSTATUSCODES. AUTH takes user \"test\" with password \"test\".");
ABSL_FLAG(std::uint64_t, max_size, std::uint64_t{64} << 20,
          "The largest message taken, in octets; 0: no limit.");
ABSL_FLAG(bool, lenient_lf, false,
          "Behave like an old MTA: a bare LF ends a line, and LF . LF ends a message. For "
          "smuggling tests.");
ABSL_FLAG(int, banner_delay, 0, "Milliseconds to wait before the greeting.");
ABSL_FLAG(int, reply_delay, 0, "Milliseconds to wait before every other reply.");
ABSL_FLAG(
    int, final_delay, 0,
    "Milliseconds to wait, at least, before the reply that accepts a message. With --store it is "
    "kept by then.");
ABSL_FLAG(
    bool, echo, false,
    "Positive replies to MAIL and RCPT repeat the address, the one that accepts a message says "
    "under which number it was stored, and all of them the --hostname: so a client can tell "
    "whose reply it got.");
ABSL_FLAG(std::string, fault, "none", "Misbehave on purpose; --fault=help lists what can be had.");
ABSL_FLAG(int, buffers, 1024, "How many blocks of 16 KiB are there for octets in transit.");

namespace ringpost {
namespace {

int Refuse(absl::string_view sentence) {
  std::fprintf(stderr, "ringpost-sink: %.*s\n", static_cast<int>(sentence.size()), sentence.data());
  return 1;
}

absl::StatusOr<SinkServerOptions> OptionsFromFlags() {
  SinkServerOptions options;
  SinkOptions& session = options.session;
  const std::string identity = absl::GetFlag(FLAGS_identity);
  if (identity == "proxy") {
    session.identity = SinkIdentity::kProxy;
  } else if (identity == "xclient") {
    session.identity = SinkIdentity::kXclient;
  } else if (identity != "none") {
    return absl::InvalidArgumentError(
        absl::StrCat("--identity is proxy, xclient or none, not \"", identity, "\""));
  }
  const std::optional<SinkFault> fault = SinkFaultByName(absl::GetFlag(FLAGS_fault));
  if (!fault) {
    return absl::InvalidArgumentError(absl::StrCat(
        "there is no --fault=", absl::GetFlag(FLAGS_fault), "; --fault=help lists them"));
  }
  for (const int delay : {absl::GetFlag(FLAGS_banner_delay), absl::GetFlag(FLAGS_reply_delay),
                          absl::GetFlag(FLAGS_final_delay)}) {
    if (delay < 0 || delay > 3'600'000) {
      return absl::InvalidArgumentError(
          "--banner_delay, --reply_delay and --final_delay are milliseconds from 0 to 3600000");
    }
  }
  session.fault = *fault;
  session.hostname = absl::GetFlag(FLAGS_hostname);
  session.size_max = absl::GetFlag(FLAGS_max_size);
  session.line_end = absl::GetFlag(FLAGS_lenient_lf) ? LineEnd::kLenient : LineEnd::kStrict;
  session.echo = absl::GetFlag(FLAGS_echo);
  session.keywords = absl::StrSplit(absl::GetFlag(FLAGS_ehlo), ',', absl::SkipWhitespace());
  SinkOptionsResolve(session);
  options.banner_delay = absl::GetFlag(FLAGS_banner_delay) * kNsPerMs;
  options.reply_delay = absl::GetFlag(FLAGS_reply_delay) * kNsPerMs;
  options.final_delay = absl::GetFlag(FLAGS_final_delay) * kNsPerMs;
  options.print = absl::GetFlag(FLAGS_print);
  return options;
}

// As the configuration reads it, but port 0 is the kernel's choice.
absl::StatusOr<Endpoint> ParseListener(std::string text) {
  const bool any_port = text.ends_with(":0") && !text.starts_with("unix:");
  if (any_port) {
    text.back() = '1';
  }
  absl::StatusOr<Endpoint> endpoint = ParseEndpoint(text);
  if (endpoint.ok() && any_port) {
    // sin6_port is in the same place.
    endpoint->address.in.sin_port = 0;
  }
  return endpoint;
}

// Opens every listener; their descriptors go to `server`, their addresses as the kernel has them to
// `names`.
absl::Status OpenListeners(SinkServer& server, std::vector<std::string>& names) {
  const std::vector<std::string> texts =
      absl::StrSplit(absl::GetFlag(FLAGS_listen), ',', absl::SkipWhitespace());
  for (const std::string& text : texts) {
    const absl::StatusOr<Endpoint> endpoint = ParseListener(text);
    if (!endpoint.ok()) {
      return endpoint.status();
    }
    const absl::StatusOr<int> fd =
        OpenListener(&endpoint->address.any, endpoint->length, endpoint->text, ListenOptions{});
    if (!fd.ok()) {
      return fd.status();
    }
    server.AddListener(*fd);
    SocketAddress local{};
    std::array<char, kAddressTextMax> name{};
    if (endpoint->address.any.sa_family == AF_UNIX || LocalAddressOf(*fd, &local) != 0) {
      names.push_back(endpoint->text);
    } else {
      names.emplace_back(FormatAddress(local, name));
    }
  }
  if (names.empty()) {
    return absl::InvalidArgumentError("--listen names no address");
  }
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  SetHelpFile("sink_main.cc");
  absl::SetProgramUsageMessage(
      "A fast SMTP backend for tests and measurements: it takes mail and discards or stores it.\n"
      "SIGTERM or SIGINT ends it with a summary line and exit code 0.");
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  if (rest.size() > 1) {
    return Refuse(absl::StrCat("\"", rest[1], "\" is not a flag; --help lists them"));
  }
  if (absl::GetFlag(FLAGS_fault) == "help") {
    for (const SinkFaultText& fault : SinkFaults()) {
      std::printf("%-20.*s %.*s\n", static_cast<int>(fault.name.size()), fault.name.data(),
                  static_cast<int>(fault.what.size()), fault.what.data());
    }
    return 0;
  }
  const absl::StatusOr<SinkServerOptions> options = OptionsFromFlags();
  if (!options.ok()) {
    return Refuse(options.status().message());
  }
  MessageFolder folder(absl::GetFlag(FLAGS_store));
  const bool store = !folder.path().empty();
  if (store) {
    if (const absl::Status opened = folder.Open(); !opened.ok()) {
      return Refuse(opened.message());
    }
  }
  RaiseDescriptorLimit();

  const int buffers = absl::GetFlag(FLAGS_buffers);
  if (buffers < 64 || static_cast<std::size_t>(buffers) > BufferPool::kLargeCountMax) {
    return Refuse(absl::StrCat("--buffers is from 64 to ", BufferPool::kLargeCountMax));
  }
  BufferPool pool(static_cast<std::size_t>(buffers),
                  std::size_t{4} * static_cast<std::size_t>(buffers));
  absl::StatusOr<std::unique_ptr<Uring>> io =
      Uring::Create(UringOptions{.lent_blocks = std::min(
                                     256u, std::bit_floor(static_cast<unsigned>(buffers) / 2))},
                    &pool);
  if (!io.ok()) {
    return Refuse(io.status().message());
  }
  SinkServer server(&*options, store ? &folder : nullptr, io->get(), &pool);
  std::vector<std::string> names;
  if (const absl::Status opened = OpenListeners(server, names); !opened.ok()) {
    return Refuse(opened.message());
  }
  const int stop_event = StopEvent();
  std::printf("ringpost-sink: listening on %s\n", absl::StrJoin(names, ", ").c_str());
  std::fflush(stdout);

  const SinkTotals totals = server.Run(stop_event);
  std::printf("ringpost-sink: %llu sessions, %llu messages, %llu octets\n",
              static_cast<unsigned long long>(totals.sessions),
              static_cast<unsigned long long>(totals.messages),
              static_cast<unsigned long long>(totals.octets));
  return 0;
}

}  // namespace
}  // namespace ringpost

int main(int argc, char** argv) { return ringpost::Main(argc, argv); }
