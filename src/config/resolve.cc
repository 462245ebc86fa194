// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/config/resolve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "ringpost/config/address.h"

namespace ringpost {
namespace {

constexpr std::uint32_t kShardsMax = 256;
constexpr std::uint32_t kSessionsMaxMax = 4'000'000;
// What is planned where nobody asked: with it, sessions alone stay below 1 GiB.
constexpr std::uint32_t kSessionsMaxAutomatic = 100'000;
constexpr std::uint32_t kSessionsFew = 1000;
// A quarter is lent to receives; the rest must carry a few handshakes at once.
constexpr std::uint32_t kBuffersMin = 64;
constexpr std::uint32_t kBuffersSmallMax = 1 << 20;
constexpr TimeNs kTimeoutMin = 10 * kNsPerMs;
constexpr TimeNs kTimeoutMax = 24 * 3600 * kNsPerSecond;

// Descriptors that are no session's: standard streams, log, signals, rings, listeners.
constexpr std::uint64_t kDescriptorsReserved = 64;
constexpr std::uint64_t kDescriptorsPerShard = 4;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::Status Refuse(const Given& given, std::string_view sentence) {
  return absl::InvalidArgumentError(absl::StrCat(given.where, ": ", View(sentence)));
}

absl::Status RefuseQuoted(const Given& given, std::string_view sentence) {
  return absl::InvalidArgumentError(
      absl::StrCat(given.where, ": \"", given.text, "\" ", View(sentence)));
}

// --- Texts to values.

absl::Status ReadCount(const Given& given, std::uint32_t min, std::uint32_t max,
                       std::uint32_t* out) {
  const char* const end = given.text.data() + given.text.size();
  std::uint32_t value = 0;
  const auto [stop, error] = std::from_chars(given.text.data(), end, value);
  const bool ok = error == std::errc{} && stop == end && !given.text.empty();
  if (ok && (value == 0 || (value >= min && value <= max))) {
    *out = value;
    return absl::OkStatus();
  }
  return RefuseQuoted(given, absl::StrCat("is not a count from ", min, " to ", max,
                                          ", or 0 for the automatic value"));
}

absl::Status ReadDuration(const Given& given, TimeNs min, TimeNs* out) {
  absl::Duration duration;
  if (!absl::ParseDuration(given.text, &duration)) {
    return RefuseQuoted(given, "is not a duration; write a number with a unit, such as 300s or 5m");
  }
  const TimeNs value = absl::ToInt64Nanoseconds(duration);
  if (value < min || value > kTimeoutMax) {
    return RefuseQuoted(
        given,
        absl::StrCat("is not between ", absl::FormatDuration(absl::Nanoseconds(min)), " and 24h"));
  }
  *out = value;
  return absl::OkStatus();
}

template <typename Enum>
struct Choice {
  std::string_view word;
  Enum value;
};

template <typename Enum, std::size_t kCount>
absl::Status ReadChoice(const Given& given, const std::array<Choice<Enum>, kCount>& choices,
                        Enum* out) {
  std::string words;
  std::array<std::string_view, kCount> candidates;
  for (std::size_t i = 0; i < kCount; ++i) {
    if (given.text == choices[i].word) {
      *out = choices[i].value;
      return absl::OkStatus();
    }
    candidates[i] = choices[i].word;
    absl::StrAppend(&words, i == 0 ? "" : (i + 1 == kCount ? " or " : ", "), View(choices[i].word));
  }
  return RefuseQuoted(given,
                      absl::StrCat("is not one of ", words, Suggestion(given.text, candidates)));
}

constexpr std::array kIdentities = {
    Choice<BackendIdentity>{"proxy-v2", BackendIdentity::kProxyV2},
    Choice<BackendIdentity>{"proxy-v1", BackendIdentity::kProxyV1},
    Choice<BackendIdentity>{"xclient", BackendIdentity::kXclient},
    Choice<BackendIdentity>{"none", BackendIdentity::kNone},
};
constexpr std::array kPolicies = {
    Choice<TlsPolicy>{"may", TlsPolicy::kMay},
    Choice<TlsPolicy>{"encrypt", TlsPolicy::kEncrypt},
};
constexpr std::array kBareNewlines = {
    Choice<BareNewline>{"normalize", BareNewline::kNormalize},
    Choice<BareNewline>{"reject", BareNewline::kReject},
};
constexpr std::array kStarttlsBackends = {
    Choice<StarttlsBackend>{"reconnect", StarttlsBackend::kReconnect},
    Choice<StarttlsBackend>{"keep", StarttlsBackend::kKeep},
};
constexpr std::array kLogFormats = {
    Choice<LogFormat>{"text", LogFormat::kText},
    Choice<LogFormat>{"json", LogFormat::kJson},
};
constexpr std::array kLogLevels = {
    Choice<LogLevel>{"error", LogLevel::kError},
    Choice<LogLevel>{"warning", LogLevel::kWarning},
    Choice<LogLevel>{"info", LogLevel::kInfo},
    Choice<LogLevel>{"debug", LogLevel::kDebug},
};

// It opens every reply of ours, so it must be one word of a reply line (RFC 5321 4.2).
absl::Status CheckHostname(const Given& given) {
  constexpr std::size_t kDomainMax = 255;  // RFC 5321 4.5.3.1.2
  if (given.text.empty() || given.text.size() > kDomainMax) {
    return Refuse(given, "a host name has 1 to 255 octets");
  }
  for (const char c : given.text) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '.' || c == '[' || c == ']' || c == ':' || c == '_';
    if (!ok) return RefuseQuoted(given, "is not a host name; write for example mx.example.org");
  }
  return absl::OkStatus();
}

absl::Status CheckReadable(const Given& given, std::string_view what) {
  const int fd = open(given.text.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const int error = errno;
    return RefuseQuoted(given,
                        absl::StrCat("cannot be read as ", View(what), ": ", std::strerror(error)));
  }
  struct stat status {};
  const bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  close(fd);
  if (!regular) return RefuseQuoted(given, "is not a file");
  if (status.st_size == 0) return RefuseQuoted(given, "is empty");
  return absl::OkStatus();
}

// --- The parts of a Config, in the order in which they depend on each other.

class Resolver {
 public:
  Resolver(const Settings& settings, const Machine& machine)
      : settings_(settings), machine_(machine) {}

  absl::StatusOr<std::shared_ptr<const Config>> Run() {
    for (absl::Status (Resolver::*step)() :
         {&Resolver::ResolveTuning, &Resolver::ResolveTimeouts, &Resolver::ResolveHostname,
          &Resolver::ResolveUpstreams, &Resolver::ResolveIngress, &Resolver::CheckListeners,
          &Resolver::ResolveShards, &Resolver::ResolveSessions, &Resolver::ResolveBuffers}) {
      const absl::Status status = (this->*step)();
      if (!status.ok()) return status;
    }
    return std::make_shared<const Config>(std::move(config_));
  }

 private:
  [[nodiscard]] const Given* Find(std::string_view name) const {
    const auto found = settings_.tuning.find(name);
    return found == settings_.tuning.end() ? nullptr : &found->second;
  }

  void Warn(std::string sentence) { config_.warnings.push_back(std::move(sentence)); }

  template <typename Enum, std::size_t kCount>
  absl::Status TuneChoice(std::string_view name, const std::array<Choice<Enum>, kCount>& choices,
                          Enum* out) {
    const Given* const given = Find(name);
    return given == nullptr ? absl::OkStatus() : ReadChoice(*given, choices, out);
  }

  absl::Status TuneCount(std::string_view name, std::uint32_t min, std::uint32_t max,
                         std::uint32_t* out) {
    const Given* const given = Find(name);
    return given == nullptr ? absl::OkStatus() : ReadCount(*given, min, max, out);
  }

  absl::Status ResolveTuning() {
    absl::Status status;
    status.Update(TuneChoice("bare_newline", kBareNewlines, &config_.bare_newline));
    status.Update(TuneChoice("starttls_backend", kStarttlsBackends, &config_.starttls_backend));
    status.Update(TuneChoice("log_format", kLogFormats, &config_.log_format));
    status.Update(TuneChoice("log_level", kLogLevels, &config_.log_level));
    if (!status.ok()) return status;
    if (const Given* const file = Find("ticket_key_file"); file != nullptr) {
      status = CheckReadable(*file, "the file of ticket keys");
      config_.ticket_key_file = file->text;
    }
    return status;
  }

  absl::Status ResolveTimeouts() {
    struct Timeout {
      std::string_view name;
      TimeNs Config::*member;
      TimeNs min;
    };
    constexpr std::array kTimeouts = {
        Timeout{"handshake_timeout", &Config::handshake_timeout, kTimeoutMin},
        Timeout{"command_timeout", &Config::command_timeout, kTimeoutMin},
        Timeout{"data_timeout", &Config::data_timeout, kTimeoutMin},
        Timeout{"drain_timeout", &Config::drain_timeout, 0},
        Timeout{"connect_timeout", &Config::connect_timeout, kTimeoutMin},
    };
    for (const Timeout& timeout : kTimeouts) {
      const Given* const given = Find(timeout.name);
      if (given == nullptr) continue;
      const absl::Status status = ReadDuration(*given, timeout.min, &(config_.*timeout.member));
      if (!status.ok()) return status;
    }
    const auto warn_if_below = [this](std::string_view name, TimeNs value, int seconds,
                                      std::string_view clause) {
      if (value >= seconds * kNsPerSecond) return;
      Warn(absl::StrCat(View(name), " is ", absl::FormatDuration(absl::Nanoseconds(value)),
                        "; RFC 5321 ", View(clause), " asks for at least ", seconds,
                        "s, and slow but honest clients will be cut off"));
    };
    warn_if_below("command_timeout", config_.command_timeout, 300, "4.5.3.2.7");
    warn_if_below("data_timeout", config_.data_timeout, 180, "4.5.3.2.5");
    return absl::OkStatus();
  }

  absl::Status ResolveHostname() {
    const Given* const given = Find("hostname");
    const Given name = given != nullptr
                           ? *given
                           : Given{machine_.hostname, "this machine's name (set --hostname)"};
    config_.hostname = name.text;
    return CheckHostname(name);
  }

  absl::Status ResolveUpstreams() {
    std::set<std::string_view> names;
    for (const UpstreamSettings& from : settings_.upstreams) {
      if (!names.insert(from.name.text).second) {
        return RefuseQuoted(from.name, "names two upstreams; give each its own name");
      }
      UpstreamConfig upstream;
      upstream.name = from.name.text;
      if (from.addresses.empty()) {
        return RefuseQuoted(from.name, "has no addresses; add addresses = [\"127.0.0.1:10025\"]");
      }
      for (const Given& address : from.addresses) {
        absl::StatusOr<Endpoint> endpoint = ParseEndpoint(address.text);
        if (!endpoint.ok()) return Refuse(address, std::string(endpoint.status().message()));
        upstream.addresses.push_back(*std::move(endpoint));
      }
      if (from.identity.has_value()) {
        const absl::Status status = ReadChoice(*from.identity, kIdentities, &upstream.identity);
        if (!status.ok()) return status;
      }
      if (upstream.identity == BackendIdentity::kNone) {
        Warn(absl::StrCat("upstream \"", upstream.name,
                          "\" is not told who the client is (identity none): to the mail server "
                          "every client has ringpost's own address, so that permit_mynetworks "
                          "makes it an open relay"));
      }
      config_.upstreams.push_back(std::move(upstream));
    }
    return absl::OkStatus();
  }

  absl::Status ResolveCertificates(const std::vector<CertificateSettings>& from,
                                   IngressConfig* ingress) {
    for (const CertificateSettings& pair : from) {
      absl::Status status = CheckReadable(pair.cert, "a certificate");
      if (status.ok()) status = CheckReadable(pair.key, "a private key");
      if (!status.ok()) return status;
      ingress->certificates.push_back({pair.cert.text, pair.key.text});

      struct stat key {};
      if (stat(pair.key.text.c_str(), &key) == 0 && (key.st_mode & S_IROTH) != 0 &&
          warned_keys_.insert(pair.key.text).second) {
        Warn(absl::StrCat("the private key ", pair.key.text,
                          " can be read by every user of this machine; chmod o-r it"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status ResolveListeners(const std::vector<Given>& from, bool implicit_tls,
                                IngressConfig* ingress) {
    for (const Given& text : from) {
      absl::StatusOr<Endpoint> endpoint = ParseEndpoint(text.text);
      if (!endpoint.ok()) return Refuse(text, std::string(endpoint.status().message()));
      if (endpoint->address.any.sa_family == AF_UNIX) {
        return RefuseQuoted(text, "is a unix socket; clients come over TCP, write 0.0.0.0:25");
      }
      ingress->listeners.push_back({*std::move(endpoint), implicit_tls});
      listener_texts_.push_back(&text);
    }
    return absl::OkStatus();
  }

  absl::Status ResolveIngress() {
    if (settings_.ingress.empty()) {
      return absl::InvalidArgumentError(
          "nothing to listen on; give --listen and --upstream, or a --config file with [[ingress]] "
          "and [[upstream]]");
    }
    std::set<std::string_view> names;
    std::set<std::size_t> used;
    for (const IngressSettings& from : settings_.ingress) {
      if (!names.insert(from.name.text).second) {
        return RefuseQuoted(from.name, "names two ingress routes; give each its own name");
      }
      IngressConfig ingress;
      ingress.name = from.name.text;
      absl::Status status = ResolveListeners(from.listen, false, &ingress);
      if (status.ok()) status = ResolveListeners(from.listen_tls, true, &ingress);
      if (status.ok() && from.tls.has_value()) {
        status = ReadChoice(*from.tls, kPolicies, &ingress.tls_policy);
      }
      if (status.ok()) {
        status = ResolveCertificates(
            from.certificates.empty() ? settings_.certificates : from.certificates, &ingress);
      }
      if (status.ok()) status = FindUpstream(from, &ingress.upstream);
      if (status.ok()) status = CheckRoute(from, ingress);
      if (!status.ok()) return status;
      used.insert(ingress.upstream);
      config_.ingress.push_back(std::move(ingress));
    }
    for (std::size_t i = 0; i < config_.upstreams.size(); ++i) {
      if (!used.contains(i)) {
        Warn(absl::StrCat("upstream \"", config_.upstreams[i].name, "\" is used by no route"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status FindUpstream(const IngressSettings& from, std::size_t* index) const {
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < config_.upstreams.size(); ++i) {
      if (config_.upstreams[i].name == from.upstream.text) {
        *index = i;
        return absl::OkStatus();
      }
      names.push_back(config_.upstreams[i].name);
    }
    return RefuseQuoted(from.upstream, absl::StrCat("is the name of no [[upstream]]",
                                                    Suggestion(from.upstream.text, names)));
  }

  absl::Status CheckRoute(const IngressSettings& from, const IngressConfig& ingress) {
    if (ingress.listeners.empty()) {
      return RefuseQuoted(from.name, "listens nowhere; add listen = [\"0.0.0.0:25\"]");
    }
    if (!ingress.certificates.empty()) return absl::OkStatus();
    // Neither can work without one, and clear text in its place is what nobody asked for.
    constexpr std::string_view kRemedy = "needs a certificate; give cert and key";
    if (!from.listen_tls.empty()) {
      return RefuseQuoted(from.listen_tls.front(),
                          absl::StrCat("is an implicit-TLS listener and ", View(kRemedy)));
    }
    if (ingress.tls_policy == TlsPolicy::kEncrypt) {
      return RefuseQuoted(*from.tls, absl::StrCat("as the TLS policy ", View(kRemedy)));
    }
    Warn(absl::StrCat("route \"", ingress.name,
                      "\" has no certificate: STARTTLS is not offered and all mail to it travels "
                      "in clear"));
    return absl::OkStatus();
  }

  absl::Status CheckListeners() {
    std::vector<const Endpoint*> endpoints;
    for (const IngressConfig& ingress : config_.ingress) {
      for (const ListenerConfig& listener : ingress.listeners) {
        endpoints.push_back(&listener.endpoint);
      }
    }
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (SameEndpoint(*endpoints[i], *endpoints[j])) {
          return RefuseQuoted(*listener_texts_[i],
                              absl::StrCat("is already listened on; the first time is ",
                                           listener_texts_[j]->where));
        }
      }
    }
    for (const UpstreamConfig& upstream : config_.upstreams) {
      for (const Endpoint& address : upstream.addresses) {
        for (std::size_t i = 0; i < endpoints.size(); ++i) {
          if (!ReachesListener(address, *endpoints[i])) continue;
          return RefuseQuoted(*listener_texts_[i],
                              absl::StrCat("is where upstream ", address.text,
                                           " leads: ringpost would connect to itself"));
        }
      }
    }
    return absl::OkStatus();
  }

  absl::Status ResolveShards() {
    const auto cpu_count = static_cast<std::uint32_t>(machine_.cpus.size());
    std::uint32_t shards = 0;
    const absl::Status status = TuneCount("shards", 1, kShardsMax, &shards);
    if (!status.ok()) return status;
    if (shards == 0) shards = std::clamp<std::uint32_t>(cpu_count, 1, kShardsMax);
    config_.shards = static_cast<int>(shards);
    if (shards <= cpu_count) {
      config_.cpus.assign(machine_.cpus.begin(), machine_.cpus.begin() + config_.shards);
    } else if (cpu_count > 0) {
      Warn(absl::StrCat("shards is ", shards, " but only ", cpu_count,
                        " CPUs may be used: the threads are not pinned and get in each other's "
                        "way"));
    }
    return absl::OkStatus();
  }

  absl::Status ResolveSessions() {
    std::uint64_t listeners = 0;
    for (const IngressConfig& ingress : config_.ingress) listeners += ingress.listeners.size();
    const std::uint64_t reserved =
        std::max(kDescriptorsReserved, 16 + static_cast<std::uint64_t>(config_.shards) *
                                                (listeners + kDescriptorsPerShard));
    const std::uint64_t limit = machine_.descriptors_max;
    const std::uint64_t fit = limit > reserved ? (limit - reserved) / 2 : 0;
    if (fit == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("the limit of open files is ", limit,
                       ", which leaves no room for sessions; raise it "
                       "(LimitNOFILE= in the systemd unit, or ulimit -n)"));
    }

    std::uint32_t asked = 0;
    const absl::Status status = TuneCount("sessions_max", 1, kSessionsMaxMax, &asked);
    if (!status.ok()) return status;
    if (asked > fit) {
      return RefuseQuoted(
          *Find("sessions_max"),
          absl::StrCat("sessions need ", 2 * std::uint64_t{asked} + reserved,
                       " descriptors, but the limit of open files is ", limit,
                       "; raise it (LimitNOFILE= in the systemd unit, or ulimit -n) or ask for ",
                       fit, " sessions"));
    }
    if (asked == 0) {
      asked = static_cast<std::uint32_t>(std::min<std::uint64_t>(fit, kSessionsMaxAutomatic));
      if (asked < kSessionsFew) {
        Warn(absl::StrCat("the limit of open files (", limit, ") allows only ", asked,
                          " sessions; raise it with LimitNOFILE= in the systemd unit or ulimit "
                          "-n"));
      }
    }
    config_.sessions_max = asked;
    return absl::OkStatus();
  }

  absl::Status ResolveBuffers() {
    const auto shards = static_cast<std::uint32_t>(config_.shards);
    const std::uint32_t sessions = (config_.sessions_max + shards - 1) / shards;  // of one shard
    absl::Status status =
        TuneCount("buffers_large", kBuffersMin, std::uint32_t{BufferPool::kLargeCountMax},
                  &config_.buffers_large);
    status.Update(
        TuneCount("buffers_small", kBuffersMin, kBuffersSmallMax, &config_.buffers_small));
    // Large blocks are held while octets move, which few sessions do at once; a small one may be
    // held by every session that stopped in the middle of a line, and by its backend.
    if (config_.buffers_large == 0) config_.buffers_large = std::clamp(sessions / 8, 256U, 4096U);
    if (config_.buffers_small == 0) config_.buffers_small = std::clamp(sessions * 2, 1024U, 65536U);
    return status;
  }

  const Settings& settings_;
  const Machine& machine_;
  Config config_;
  std::vector<const Given*> listener_texts_;  // in the order of the listeners
  std::set<std::string> warned_keys_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Config>> ResolveConfig(const Settings& settings,
                                                            const Machine& machine) {
  return Resolver(settings, machine).Run();
}

}  // namespace ringpost
