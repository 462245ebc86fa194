// SPDX-License-Identifier: GPL-3.0-or-later
//
// What happened in a simulated run, as one number: every completion with its time and every octet
// of every connection go into it, so that two runs of one seed are the same if and only if the
// numbers are. Printing, which a person asks for, changes nothing of it.
//
// Owner: a SimIo. One thread.
#ifndef RINGPOST_TESTS_SIM_SIM_TRACE_H_
#define RINGPOST_TESTS_SIM_SIM_TRACE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string_view>
#include <utility>

namespace ringpost {

class SimTrace {
 public:
  void Mix(std::uint64_t number) {
    hash_ = (hash_ ^ number) * 0x9fb21c651e98df25u;
    hash_ ^= hash_ >> 32;
  }
  void Mix(std::string_view octets) {
    Mix(octets.size());
    while (octets.size() >= sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, octets.data(), sizeof word);
      Mix(word);
      octets.remove_prefix(sizeof word);
    }
    std::uint64_t rest = 0;
    if (!octets.empty()) {
      std::memcpy(&rest, octets.data(), octets.size());
      Mix(rest);
    }
  }
  [[nodiscard]] std::uint64_t hash() const { return hash_; }

  // Lines for a person: the simulated time is the printer's to add.
  using Printer = std::function<void(std::string_view line)>;
  void set_printer(Printer printer) { printer_ = std::move(printer); }
  [[nodiscard]] bool printing() const { return printer_ != nullptr; }
  // Only where printing(), so that nobody makes lines that nobody reads.
  void Print(std::string_view line) const { printer_(line); }

 private:
  std::uint64_t hash_ = 0x2545f4914f6cdd1du;
  Printer printer_;
};

}  // namespace ringpost

#endif  // RINGPOST_TESTS_SIM_SIM_TRACE_H_
