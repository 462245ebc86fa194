// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/process/privileges.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "process_kind.h"

namespace ringpost {
namespace {

constexpr const char* kDefaultUser = "ringpost";
constexpr std::array kKept = {CAP_NET_BIND_SERVICE, CAP_DAC_READ_SEARCH};

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

struct CapDeleter {
  void operator()(cap_t caps) const { cap_free(caps); }
};
using Caps = std::unique_ptr<std::remove_pointer_t<cap_t>, CapDeleter>;

absl::Status Failed(std::string_view what, std::string_view remedy = "") {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot ", View(what), ": ", std::strerror(errno), View(remedy)));
}

bool Has(cap_t caps, cap_value_t cap, cap_flag_t flag) {
  cap_flag_value_t value = CAP_CLEAR;
  return cap_get_flag(caps, cap, flag, &value) == 0 && value == CAP_SET;
}

// This thread's, from now on: nothing is inheritable, and of what is permitted all is effective but
// `resting`.
absl::Status SetCapabilities(std::span<const cap_value_t> permitted,
                             std::optional<cap_value_t> resting = std::nullopt) {
  const Caps caps(cap_init());  // empty
  bool ok = caps != nullptr;
  for (const cap_value_t cap : permitted) {
    ok = ok && cap_set_flag(caps.get(), CAP_PERMITTED, 1, &cap, CAP_SET) == 0;
    if (cap != resting) {
      ok = ok && cap_set_flag(caps.get(), CAP_EFFECTIVE, 1, &cap, CAP_SET) == 0;
    }
  }
  return ok && cap_set_proc(caps.get()) == 0 ? absl::OkStatus() : Failed("give up capabilities");
}

// Those of kKept that this thread may have.
std::vector<cap_value_t> KeptNow() {
  const Caps caps(cap_get_proc());
  std::vector<cap_value_t> kept;
  for (const cap_value_t cap : kKept) {
    if (caps != nullptr && Has(caps.get(), cap, CAP_PERMITTED)) {
      kept.push_back(cap);
    }
  }
  return kept;
}

// Whoever lacks the right to do this has no use for the set either: no_new_privs is set.
absl::Status EmptyBoundingSet() {
  const Caps caps(cap_get_proc());
  if (caps == nullptr || !Has(caps.get(), CAP_SETPCAP, CAP_EFFECTIVE)) {
    return absl::OkStatus();
  }
  for (cap_value_t cap = 0; cap < cap_max_bits(); ++cap) {
    const bool kept = std::find(kKept.begin(), kKept.end(), cap) != kKept.end();
    if (!kept && cap_get_bound(cap) > 0 && cap_drop_bound(cap) != 0) {
      return Failed("empty the bounding set of capabilities");
    }
  }
  return absl::OkStatus();
}

absl::Status Become(const Identity& identity) {
  constexpr std::string_view kRemedy =
      "; a container needs the capabilities CAP_SETUID and CAP_SETGID for that, or may be started "
      "as that user";
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) {
    return Failed("keep capabilities as another user");
  }
  if (initgroups(identity.user.c_str(), identity.gid) != 0) {
    return Failed(absl::StrCat("take the groups of the user ", identity.user), kRemedy);
  }
  if (setresgid(identity.gid, identity.gid, identity.gid) != 0) {
    return Failed(absl::StrCat("become the group ", identity.group), kRemedy);
  }
  if (setresuid(identity.uid, identity.uid, identity.uid) != 0) {
    return Failed(absl::StrCat("become the user ", identity.user), kRemedy);
  }
  // Whoever can come back has not left.
  if (setresuid(0, 0, 0) == 0 || getuid() != identity.uid || getgid() != identity.gid) {
    return absl::InternalError(absl::StrCat("the user ", identity.user, " can still become root"));
  }
  return absl::OkStatus();
}

bool IsIn(gid_t group) {
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(getgroups(0, nullptr), 0)));
  const int count = getgroups(static_cast<int>(groups.size()), groups.data());
  return group == getegid() ||
         (count > 0 && std::find(groups.begin(), groups.end(), group) != groups.end());
}

absl::Status ChooseGroup(std::string_view group, Identity* identity) {
  if (group.empty()) {
    const struct group* const own = getgrgid(identity->gid);
    identity->group = own != nullptr ? own->gr_name : std::to_string(identity->gid);
    return absl::OkStatus();
  }
  identity->group = group;
  const struct group* const found = getgrnam(identity->group.c_str());
  if (found == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("group: there is no group \"", View(group),
                                                      "\"; create it with 'groupadd ", "--system ",
                                                      View(group), "' or name another one"));
  }
  identity->gid = found->gr_gid;
  if (!identity->changes && !IsIn(identity->gid)) {
    return absl::FailedPreconditionError(
        absl::StrCat("group is \"", View(group), "\", but ringpost stays the user ", identity->user,
                     ", who is not in it; ",
                     identity->is_root() ? "name a user as well"
                                         : "start "
                                           "it as root or leave group out"));
  }
  return absl::OkStatus();
}

// Whether it opens without CAP_DAC_READ_SEARCH, which is not effective now.
bool IsReadable(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    return errno != EACCES && errno != EPERM;
  }
  close(fd);
  return true;
}

}  // namespace

absl::StatusOr<Identity> ChooseIdentity(std::string_view user, std::string_view group) {
  Identity identity;
  identity.uid = geteuid();
  identity.gid = getegid();
  const bool root = identity.uid == 0;
  std::string wanted(user);
  if (wanted.empty() && root) {
    wanted = kDefaultUser;
  }
  const passwd* found = wanted.empty() ? getpwuid(identity.uid) : getpwnam(wanted.c_str());
  if (found == nullptr && !user.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "user: there is no user \"", View(user), "\"; create it with 'useradd --system ",
        "--no-create-home --shell /usr/sbin/nologin ", View(user), "' or name another one"));
  }
  if (found != nullptr && found->pw_uid != identity.uid) {
    if (!root) {
      return absl::FailedPreconditionError(absl::StrCat(
          "user is \"", View(user), "\", but ringpost was started by the user with the number ",
          identity.uid, ", and only root can become another one; start it as root or leave user ",
          "out"));
    }
    identity.uid = found->pw_uid;
    identity.gid = found->pw_gid;
    identity.changes = true;
  }
  identity.user = found != nullptr ? found->pw_name : root ? "root" : std::to_string(identity.uid);
  if (absl::Status status = ChooseGroup(group, &identity); !status.ok()) {
    return status;
  }
  return identity;
}

std::string IdentityWarning(const Identity& identity) {
  if (!identity.is_root()) {
    return {};
  }
  return "ringpost stays root; create a user for it with 'useradd --system --no-create-home "
         "--shell /usr/sbin/nologin ringpost', or name one as user";
}

absl::Status DropPrivileges(const Identity& identity) {
  if (identity.changes) {
    if (absl::Status status = EmptyBoundingSet(); !status.ok()) {
      return status;
    }
    if (absl::Status status = Become(identity); !status.ok()) {
      return status;
    }
  }
  if (!identity.is_root()) {
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (absl::Status status = SetCapabilities(KeptNow()); !status.ok()) {
      return status;
    }
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return Failed("set no_new_privs");
  }
  // The leak detector looks at the process as a debugger does.
  if (!kIsSanitized && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return Failed("forbid core dumps");
  }
  return absl::OkStatus();
}

absl::Status WithoutCapabilities(const std::function<absl::Status()>& make) {
  // A thread has the capabilities of the one that made it.
  absl::Status status;
  std::thread maker([&] {
    status = geteuid() == 0 ? absl::OkStatus() : SetCapabilities({});
    if (status.ok()) {
      status = make();
    }
  });
  maker.join();
  return status;
}

absl::StatusOr<std::string> KeepForReload(const ReloadNeeds& needs) {
  if (geteuid() == 0) {
    return std::string("all capabilities of root");
  }
  const std::vector<cap_value_t> had = KeptNow();
  const auto has = [&had](cap_value_t cap) {
    return std::find(had.begin(), had.end(), cap) != had.end();
  };
  std::vector<cap_value_t> kept;
  std::vector<std::string> words;
  if (has(CAP_NET_BIND_SERVICE) && needs.low_ports) {
    kept.push_back(CAP_NET_BIND_SERVICE);
    words.push_back(
        absl::StrCat("CAP_NET_BIND_SERVICE, for ports below ", FirstUnprivilegedPort()));
  }
  if (has(CAP_DAC_READ_SEARCH)) {
    if (absl::Status status = SetCapabilities(had, CAP_DAC_READ_SEARCH); !status.ok()) {
      return status;
    }
    const auto unreadable = std::find_if_not(needs.files.begin(), needs.files.end(), IsReadable);
    if (unreadable != needs.files.end()) {
      kept.push_back(CAP_DAC_READ_SEARCH);
      words.push_back(
          absl::StrCat("CAP_DAC_READ_SEARCH, because this user may not read ", *unreadable));
    }
  }
  if (absl::Status status = SetCapabilities(kept); !status.ok()) {
    return status;
  }
  return words.empty() ? "no capabilities" : absl::StrJoin(words, "; ");
}

int FirstUnprivilegedPort() {
  constexpr int kUsual = 1024;
  int port = kUsual;
  std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> port;
  return port;
}

}  // namespace ringpost
