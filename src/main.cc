// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringpost: what the command line asks for, and the exit code. 0: done, or ended by a signal. 1: it
// could not start, or its ring failed, for the reason printed.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ringpost/config/config.h"
#include "ringpost/config/flags.h"
#include "ringpost/process/inherited_sockets.h"
#include "ringpost/process/privileges.h"
#include "ringpost/process/server.h"
#include "ringpost/process/start_check.h"
#include "ringpost/process/start_helper.h"
#include "ringpost/tls/tls_context.h"

namespace {

int Fail(const absl::Status& status) {
  const absl::string_view message = status.message();
  std::fprintf(stderr, "ringpost: %.*s\n", static_cast<int>(message.size()), message.data());
  return 1;
}

int Print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

int ListCiphers() {
  std::string text;
  for (const std::string& cipher : ringpost::OfferedCiphers()) {
    text += cipher + "\n";
  }
  for (const std::string& group : ringpost::OfferedGroups()) {
    text += "group " + group + "\n";
  }
  return Print(text);
}

int CheckConfig(const std::shared_ptr<const ringpost::Config>& config,
                const ringpost::Identity& identity) {
  const absl::StatusOr<ringpost::StartCheck> check = ringpost::CheckStart(config);
  if (!check.ok()) {
    return Fail(check.status());
  }
  if (identity.changes) {
    // Behind it, because root sees which program has an address.
    absl::Status status = ringpost::DropPrivileges(identity);
    status.Update(ringpost::CheckAsUser(*config));
    if (!status.ok()) {
      return Fail(status);
    }
  }
  for (const std::string& warning : check->warnings) {
    std::fprintf(stderr, "ringpost: warning: %s\n", warning.c_str());
  }
  for (const std::string& held : check->held) {
    std::fprintf(stderr, "ringpost: %s\n", held.c_str());
  }
  // Behind the file, so that nothing is called valid that was not printed.
  const int printed = Print(ringpost::DescribeConfig(*config));
  if (printed == 0) {
    std::fputs("ringpost: the configuration is valid\n", stderr);
  }
  return printed;
}

int Serve(std::shared_ptr<const ringpost::Config> config, const ringpost::Identity& identity,
          ringpost::ServerStart start) {
  if (const absl::Status status = ringpost::DropPrivileges(identity); !status.ok()) {
    return Fail(status);
  }
  const absl::StatusOr<std::unique_ptr<ringpost::Server>> server =
      ringpost::Server::Create(std::move(config), ringpost::LoadConfig,
                               {.start = std::move(start),
                                .runs_as = identity.user + ":" + identity.group,
                                .config_path = ringpost::ConfigPath(),
                                .confines_process = true});
  if (!server.ok()) {
    return Fail(server.status());
  }
  const absl::Status status = (*server)->Run();
  return status.ok() ? 0 : Fail(status);
}

// Said at the start only: a reload cannot change who the process is.
std::shared_ptr<const ringpost::Config> WithWarning(const ringpost::Config& config,
                                                    std::string warning) {
  auto more = std::make_shared<ringpost::Config>(config);
  more->warnings.push_back(std::move(warning));
  return more;
}

}  // namespace

int main(int argc, char** argv) {
  const absl::StatusOr<ringpost::FlagAction> action = ringpost::ParseFlags(argc, argv);
  if (!action.ok()) {
    return Fail(action.status());
  }
  switch (*action) {
    case ringpost::FlagAction::kHelp:
      return Print(ringpost::HelpText());
    case ringpost::FlagAction::kVersion:
      return Print(ringpost::VersionText());
    case ringpost::FlagAction::kListCiphers:
      return ListCiphers();
    case ringpost::FlagAction::kRun:
    case ringpost::FlagAction::kCheckConfig:
      break;
  }
  ringpost::ServerStart start;
  if (*action == ringpost::FlagAction::kRun) {
    absl::StatusOr<ringpost::InheritedSockets> sockets = ringpost::InheritedSockets::Take();
    if (!sockets.ok()) {
      return Fail(sockets.status());
    }
    start.sockets = *std::move(sockets);
    start.helper = ringpost::StartHelper::Fork(argv);
    ringpost::Server::HoldSignals();  // behind the helper, whose program is not to inherit that
  }
  absl::StatusOr<std::shared_ptr<const ringpost::Config>> config = ringpost::LoadConfig();
  if (!config.ok()) {
    return Fail(config.status());
  }
  absl::StatusOr<ringpost::Identity> identity =
      ringpost::ChooseIdentity((*config)->user, (*config)->group);
  std::string warning;
  if (identity.ok()) {
    warning = ringpost::IdentityWarning(*identity);
  } else if (*action == ringpost::FlagAction::kCheckConfig && geteuid() != 0) {
    // It may be root that starts it.
    warning = absl::StrCat("for this user: ", identity.status().message());
    identity = ringpost::Identity();
  } else {
    return Fail(identity.status());
  }
  if (!warning.empty()) {
    config = WithWarning(**config, std::move(warning));
  }
  return *action == ringpost::FlagAction::kCheckConfig
             ? CheckConfig(*config, *identity)
             : Serve(*std::move(config), *identity, std::move(start));
}
