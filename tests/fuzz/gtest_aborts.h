// SPDX-License-Identifier: GPL-3.0-or-later
//
// gtest's failures, in a program without gtest's main: they end it. Fuzz targets that use the
// harnesses of the other tests call this first.
#ifndef RINGPOST_TESTS_FUZZ_GTEST_ABORTS_H_
#define RINGPOST_TESTS_FUZZ_GTEST_ABORTS_H_

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace ringpost::fuzz {

class Aborter final : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::fprintf(stderr, "%s:%d: %s\n", result.file_name() != nullptr ? result.file_name() : "?",
                 result.line_number(), result.message());
    std::abort();
  }
};

inline void GtestFailuresAbort() {
  static const bool once = [] {
    testing::UnitTest::GetInstance()->listeners().Append(new Aborter);
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace ringpost::fuzz

#endif  // RINGPOST_TESTS_FUZZ_GTEST_ABORTS_H_
