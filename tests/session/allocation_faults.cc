// SPDX-License-Identifier: GPL-3.0-or-later
//
// operator new of the programs that simulate: it fails when the seed says so (sim_process.h).
#include <cstddef>
#include <cstdlib>
#include <new>

#include "sim_process.h"

namespace {

void* Allocate(std::size_t octets) noexcept {
  if (ringpost::sim_process::ObjectFails()) {
    return nullptr;
  }
  return std::malloc(octets == 0 ? 1 : octets);
}

}  // namespace

void* operator new(std::size_t octets) {
  void* const block = Allocate(octets);
  if (block == nullptr) {
    throw std::bad_alloc();
  }
  return block;
}
void* operator new[](std::size_t octets) { return operator new(octets); }
void* operator new(std::size_t octets, const std::nothrow_t& /*tag*/) noexcept {
  return Allocate(octets);
}
void* operator new[](std::size_t octets, const std::nothrow_t& /*tag*/) noexcept {
  return Allocate(octets);
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t /*octets*/) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t /*octets*/) noexcept { std::free(block); }
void operator delete(void* block, const std::nothrow_t& /*tag*/) noexcept { std::free(block); }
void operator delete[](void* block, const std::nothrow_t& /*tag*/) noexcept { std::free(block); }
