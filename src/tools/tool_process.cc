// SPDX-License-Identifier: GPL-3.0-or-later
#include "ringpost/tools/tool_process.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>

#include "absl/flags/usage_config.h"

namespace ringpost {
namespace {

int stop_event_fd = -1;

void OnStopSignal(int) {
  const std::uint64_t one = 1;
  // Only a signal handler's means; the loop reads it.
  [[maybe_unused]] const ssize_t written = write(stop_event_fd, &one, sizeof one);
}

}  // namespace

int StopEvent() {
  stop_event_fd = eventfd(0, EFD_CLOEXEC);
  struct sigaction action{};
  action.sa_handler = OnStopSignal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);  // who reads our output may go away
  return stop_event_fd;
}

std::size_t RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return 1024;
  }
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

void SetHelpFile(const char* file) {
  static std::string_view source;
  source = file;
  absl::FlagsUsageConfig config;
  config.contains_help_flags = [](absl::string_view name) {
    return std::string_view(name.data(), name.size()).ends_with(source);
  };
  absl::SetFlagsUsageConfig(config);
}

}  // namespace ringpost
