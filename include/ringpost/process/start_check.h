// SPDX-License-Identifier: GPL-3.0-or-later
//
// What --check_config finds out: everything that a start would refuse or warn about, without
// listening and without disturbing a ringpost that runs.
#ifndef RINGPOST_PROCESS_START_CHECK_H_
#define RINGPOST_PROCESS_START_CHECK_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ringpost/config/config.h"

namespace ringpost {

struct StartCheck {
  // What a start would log, and what cannot be told from here.
  std::vector<std::string> warnings;
  // Addresses that a ringpost has already: nothing is wrong with them if it is this one that will
  // be reloaded or restarted.
  std::vector<std::string> held;
};

// An error is the sentence with which a start would end.
[[nodiscard]] absl::StatusOr<StartCheck> CheckStart(const std::shared_ptr<const Config>& read);

// What only the user that serves can tell, to be called as that user.
[[nodiscard]] absl::Status CheckAsUser(const Config& config);

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_START_CHECK_H_
