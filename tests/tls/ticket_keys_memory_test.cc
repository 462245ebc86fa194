// SPDX-License-Identifier: GPL-3.0-or-later
//
// Where ticket keys lie: not where a core dump or the swap has them.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "ringpost/tls/ticket_keys.h"

namespace ringpost {
namespace {

// The sanitizers make nothing of mlock(2).
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kLocks = false;
#else
constexpr bool kLocks = true;
#endif

// The kernel's flags of the mapping that `address` lies in, as smaps has them: "rd wr mr ...".
std::string FlagsOf(const void* address) {
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  std::ifstream smaps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    std::istringstream words(line);
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    char dash = 0;
    if (words >> std::hex >> begin >> dash >> end && dash == '-') {
      inside = begin <= wanted && wanted < end;
    } else if (inside && line.starts_with("VmFlags:")) {
      return line.substr(8) + " ";
    }
  }
  return {};
}

TEST(TicketKeysMemory, IsNeitherDumpedNorSwappedNorInherited) {
  const std::string secret = [] {
    std::string octets;
    for (std::size_t i = 0; i < TicketKeys::kSecretBytes; ++i) {
      octets += static_cast<char>(i);
    }
    return octets;
  }();
  const auto from_secret = TicketKeys::FromSecret(secret, "f", 0);
  ASSERT_TRUE(from_secret.ok()) << from_secret.status();
  const auto random = TicketKeys::Random(0);
  for (const TicketKeys* keys : {from_secret->get(), random.get()}) {
    const std::string flags = FlagsOf(keys);
    EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;
    EXPECT_NE(flags.find(" wf "), std::string::npos) << flags;
    rlimit limit{};
    if (kLocks && getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur >= 65536) {
      EXPECT_NE(flags.find(" lo "), std::string::npos) << flags;
    }
  }
  EXPECT_EQ(FlagsOf(secret.data()).find(" dd "), std::string::npos) << "heap is dumped";
}

}  // namespace
}  // namespace ringpost
