// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the tests of several layers share: a date, files, commands, octets.
#ifndef RINGPOST_TESTS_BASE_SUPPORT_H_
#define RINGPOST_TESTS_BASE_SUPPORT_H_

#include <cstdint>
#include <string>

namespace ringpost::test {

inline constexpr std::int64_t kNow = 1'800'000'000;

// The whole file; fails the test if it cannot be read.
std::string ReadFile(const std::string& path);
// A folder for this run, removed at its end.
const std::string& TemporaryFolder();
// Runs a shell command; fails the test if it fails.
void RunCommand(const std::string& command);

// Big-endian number of `octets` octets.
std::string Number(std::uint64_t value, int octets);

}  // namespace ringpost::test

#endif  // RINGPOST_TESTS_BASE_SUPPORT_H_
