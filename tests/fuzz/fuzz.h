// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput() in it: libFuzzer
// calls it with inputs it makes up (tools/fuzz), replay_main.cc with those of the committed corpus
// (the tests "fuzz corpus ..."). What a target asserts, it asserts with RINGPOST_CHECK.
//
// A target is a function of its input alone: what else it needs to decide, such as where to cut, is
// drawn from a hash of the input, so that a corpus file holds nothing but what it is named after.
#ifndef RINGPOST_TESTS_FUZZ_FUZZ_H_
#define RINGPOST_TESTS_FUZZ_FUZZ_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "ringpost/base/check.h"
#include "sim/sim_random.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace ringpost::fuzz {

inline std::string_view View(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// FNV-1a.
inline std::uint64_t HashOf(std::string_view octets) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char octet : octets) {
    hash = (hash ^ static_cast<unsigned char>(octet)) * 0x100000001b3u;
  }
  return hash;
}

// Octets in an allocation of exactly their size, so that a read behind their end is seen.
class Exact {
 public:
  explicit Exact(std::string_view octets) : octets_(new char[octets.size()]), size_(octets.size()) {
    if (size_ > 0) std::memcpy(octets_.get(), octets.data(), size_);
  }
  [[nodiscard]] std::string_view view() const { return {octets_.get(), size_}; }

 private:
  std::unique_ptr<char[]> octets_;
  std::size_t size_;
};

// Takes an input apart, for targets whose input is several things. Reads from the front; what is
// not there is zero or empty.
class Choices {
 public:
  explicit Choices(std::string_view input) : rest_(input) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] std::string_view rest() const { return rest_; }
  std::uint8_t Octet() {
    if (rest_.empty()) return 0;
    const auto octet = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return octet;
  }
  std::size_t Below(std::size_t n) { return Octet() % n; }
  bool Yes() { return (Octet() & 1) != 0; }
  std::uint16_t Number16() {
    const unsigned high = Octet();
    return static_cast<std::uint16_t>(high << 8 | Octet());
  }
  std::string_view Take(std::size_t octets) {
    const std::string_view taken = rest_.substr(0, octets);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  // An octet that says how many, and so many.
  std::string_view Text() { return Take(Octet()); }
  // Up to the next newline, which is taken too.
  std::string_view Line() {
    const std::string_view line = rest_.substr(0, rest_.find('\n'));
    rest_.remove_prefix(std::min(rest_.size(), line.size() + 1));
    return line;
  }

 private:
  std::string_view rest_;
};

inline bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [lower](char x, char y) { return lower(x) == lower(y); });
}

// Is `part` inside `whole`, as views?
inline bool Inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace ringpost::fuzz

#endif  // RINGPOST_TESTS_FUZZ_FUZZ_H_
