// SPDX-License-Identifier: GPL-3.0-or-later
//
// Flags that are given more than once: absl's own reader keeps the last and forgets the others.
// Lists add up, anything else is refused. Private to the config layer.
#ifndef RINGPOST_CONFIG_REPEATED_FLAGS_H_
#define RINGPOST_CONFIG_REPEATED_FLAGS_H_

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace ringpost {

class RepeatedFlags {
 public:
  // In the order of the command line. An error is a sentence.
  [[nodiscard]] absl::Status Add(std::string_view name, std::string_view value);
  // Sets the lists that have added up. After absl has read the command line.
  void Join() const;

 private:
  std::map<std::string, std::string, std::less<>> values_;
  std::set<std::string, std::less<>> repeated_;
};

}  // namespace ringpost

#endif  // RINGPOST_CONFIG_REPEATED_FLAGS_H_
