// SPDX-License-Identifier: GPL-3.0-or-later
//
// Everybody's entropy, made by a counter: the same input gives the same octets, keys included.
#ifndef RINGPOST_TESTS_FUZZ_FIXED_ENTROPY_H_
#define RINGPOST_TESTS_FUZZ_FIXED_ENTROPY_H_

namespace ringpost::fuzz {

// Before each input.
void StartEntropyAnew();

}  // namespace ringpost::fuzz

#endif  // RINGPOST_TESTS_FUZZ_FIXED_ENTROPY_H_
