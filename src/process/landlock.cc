// SPDX-License-Identifier: GPL-3.0-or-later
//
// By system calls: there is no library for C++ in Debian, and Debian 12's header knows versions 1
// and 2 only.
#include <fcntl.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "process_kind.h"
#include "ringpost/io/socket.h"
#include "ringpost/process/sandbox.h"

namespace ringpost {
namespace {

// include/uapi/linux/landlock.h of Linux 6.12: the names of a newer header would be macros.
constexpr std::uint64_t kTruncateFile = 1U << 14;      // from version 3 on
constexpr std::uint64_t kIoctlDevice = 1U << 15;       // 5
constexpr std::uint64_t kBindTcp = 1U << 0;            // 4
constexpr std::uint64_t kConnectTcp = 1U << 1;         // 4
constexpr std::uint64_t kScopeAbstractSocket = 1;      // 6
constexpr int kNetPortRule = 2;                        // 4
constexpr std::uint64_t kFileRights = (1U << 14) - 1;  // 1, and moving between folders: 2
constexpr std::uint64_t kMove = LANDLOCK_ACCESS_FS_REFER;
absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

constexpr std::uint64_t kReadFiles = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;

struct RulesetAttributes {
  std::uint64_t files;
  std::uint64_t ports;
  std::uint64_t scoped;
};
struct PortAttributes {
  std::uint64_t allowed;
  std::uint64_t port;
};

class Ruleset {
 public:
  explicit Ruleset(const RulesetAttributes& attributes)
      : fd_(static_cast<int>(
            syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0))),
        ok_(fd_ >= 0) {}
  ~Ruleset() {
    if (fd_ >= 0) {
      close(fd_);
    }
  }
  Ruleset(const Ruleset&) = delete;
  Ruleset& operator=(const Ruleset&) = delete;

  void AllowBelow(const std::string& folder, std::uint64_t rights) {
    const int path = open(folder.c_str(), O_PATH | O_CLOEXEC);
    const landlock_path_beneath_attr rule{.allowed_access = rights, .parent_fd = path};
    ok_ = ok_ && path >= 0 &&
          syscall(SYS_landlock_add_rule, fd_, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    if (path >= 0) {
      close(path);
    }
  }
  void AllowPorts(const std::set<std::uint16_t>& ports, std::uint64_t rights) {
    for (const std::uint16_t port : ports) {
      const PortAttributes rule{.allowed = rights, .port = port};
      ok_ = ok_ && syscall(SYS_landlock_add_rule, fd_, kNetPortRule, &rule, 0) == 0;
    }
  }
  [[nodiscard]] absl::Status Enforce() const {
    if (ok_ && syscall(SYS_landlock_restrict_self, fd_, 0) == 0) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(
        absl::StrCat("Landlock cannot be used: ", std::strerror(errno),
                     "; start with sandbox = \"off\" to do without"));
  }

 private:
  int fd_;
  bool ok_;
};

std::set<std::uint16_t> UpstreamPorts(const Config& config) {
  std::set<std::uint16_t> ports;
  for (const UpstreamConfig& upstream : config.upstreams) {
    for (const UpstreamTarget& target : upstream.targets) {
      ports.insert(target.host.empty() ? PortOf(target.endpoint.address) : ntohs(target.port));
    }
    for (const Endpoint& address : upstream.addresses) {
      ports.insert(PortOf(address.address));
    }
  }
  ports.erase(0);  // of a unix socket
  return ports;
}

std::string FolderOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

std::set<std::string> SocketFolders(const Config& config) {
  std::set<std::string> folders;
  const auto add = [&folders](const Endpoint& endpoint) {
    if (endpoint.address.any.sa_family == AF_UNIX) {
      folders.insert(FolderOf(endpoint.address.un.sun_path));
    }
  };
  for (const RouteConfig& route : config.routes) {
    for (const ListenerConfig& listener : route.listeners) {
      add(listener.endpoint);
    }
  }
  if (config.policy_service.has_value()) {
    add(*config.policy_service);
  }
  return folders;
}

}  // namespace

SandboxLimits LimitsOf(const Config& config) {
  constexpr std::uint16_t kDns = 53;
  SandboxLimits limits;
  limits.upstream_ports = UpstreamPorts(config);
  for (const Endpoint& server : config.resolver) {
    limits.name_server_ports.insert(PortOf(server.address));
  }
  if (limits.name_server_ports.empty()) {
    limits.name_server_ports.insert(kDns);
  }
  limits.socket_folders = SocketFolders(config);
  if (!config.log_file.empty()) {
    std::error_code error;  // where a symbolic link leads
    const std::filesystem::path file = std::filesystem::weakly_canonical(config.log_file, error);
    limits.log_folder = FolderOf(error ? config.log_file : file.string());
  }
  return limits;
}

void AllowRemoval(const std::vector<std::string>& paths, SandboxLimits* limits) {
  for (const std::string& path : paths) {
    limits->socket_folders.insert(FolderOf(path));
  }
}

std::string BeyondLimits(const SandboxLimits& limits, const Config& next, int landlock_version) {
  constexpr std::string_view kRemedy =
      "; send SIGUSR1 instead, which restarts ringpost without loss, or start it with sandbox = "
      "\"off\"";
  if (RestrictsPorts(landlock_version)) {
    for (const std::uint16_t port : UpstreamPorts(next)) {
      if (!limits.upstream_ports.contains(port)) {
        return absl::StrCat(
            "the sandbox lets ringpost connect only to the ports that its upstreams "
            "had at the start (",
            absl::StrJoin(limits.upstream_ports, ", "), "), not to ", port, View(kRemedy));
      }
    }
  }
  for (const std::string& folder : SocketFolders(next)) {
    // Without any the filter of system calls lacks what a socket's file needs.
    if ((landlock_version > 0 || limits.socket_folders.empty()) &&
        !limits.socket_folders.contains(folder)) {
      return absl::StrCat(
          "the sandbox lets ringpost make sockets only in folders where it had some at the start, "
          "not in ",
          folder, View(kRemedy));
    }
  }
  return {};
}

int LandlockVersion() {
  if (kIsSanitized) {
    return 0;
  }
  const long version = syscall(SYS_landlock_create_ruleset, nullptr, std::size_t{0},
                               LANDLOCK_CREATE_RULESET_VERSION);
  return version < 0 ? 0 : static_cast<int>(version);
}

bool RestrictsPorts(int landlock_version) { return landlock_version >= 4; }

absl::Status RestrictThread(ThreadRole role, const SandboxLimits& limits) {
  const int version = LandlockVersion();
  if (version == 0) {
    return absl::OkStatus();
  }
  RulesetAttributes attributes{.files = kFileRights, .ports = 0, .scoped = 0};
  if (version < 2) {
    attributes.files &= ~kMove;
  }
  if (version >= 3) {
    attributes.files |= kTruncateFile;
  }
  if (version >= 5) {
    attributes.files |= kIoctlDevice;
  }
  const bool listens = role == ThreadRole::kMain;
  if (RestrictsPorts(version)) {
    attributes.ports = listens ? kConnectTcp : kConnectTcp | kBindTcp;
  }
  if (version >= 6 && role != ThreadRole::kMain) {
    attributes.scoped = kScopeAbstractSocket;
  }
  Ruleset rules(attributes);
  if (role == ThreadRole::kMain || role == ThreadRole::kNames) {
    rules.AllowBelow("/", kReadFiles);
  }
  // The main thread and the policy service's own remove sockets at the end.
  for (const std::string& folder : limits.socket_folders) {
    if (role == ThreadRole::kMain) {
      rules.AllowBelow(folder, LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_SOCK);
    } else if (role == ThreadRole::kQuiet) {
      rules.AllowBelow(folder, LANDLOCK_ACCESS_FS_REMOVE_FILE);
    }
  }
  if (role == ThreadRole::kMain && !limits.log_folder.empty()) {
    rules.AllowBelow(limits.log_folder,
                     LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG);
  }
  if (RestrictsPorts(version)) {
    switch (role) {
      case ThreadRole::kShard:
        rules.AllowPorts(limits.upstream_ports, kConnectTcp);
        break;
      case ThreadRole::kMain:  // a reload may make the thread that looks names up
      case ThreadRole::kNames:
        rules.AllowPorts(limits.name_server_ports, kConnectTcp);
        break;
      case ThreadRole::kQuiet:
        break;
    }
  }
  return rules.Enforce();
}

}  // namespace ringpost
