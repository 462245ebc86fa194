// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the main() of each tool needs of its process.
#ifndef RINGPOST_TOOLS_TOOL_PROCESS_H_
#define RINGPOST_TOOLS_TOOL_PROCESS_H_

#include <cstddef>
#include <string_view>

namespace ringpost {

// An eventfd that becomes readable on SIGTERM and SIGINT. To be called once.
[[nodiscard]] int StopEvent();

// Raises the soft limit of open descriptors to the hard one; returns what it is now.
std::size_t RaiseDescriptorLimit();

// --help shows the flags defined in the source file of this name, and no others.
void SetHelpFile(const char* file);

}  // namespace ringpost

#endif  // RINGPOST_TOOLS_TOOL_PROCESS_H_
