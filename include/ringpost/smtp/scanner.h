// SPDX-License-Identifier: GPL-3.0-or-later
//
// Finds the next octet of message content that needs thought. Everything before it is ordinary text
// and may be moved as it is; the content framer decides about the octet itself.
//
// Pure functions; the fastest version the CPU has is chosen once, at start-up. They never read
// outside the view they are given.
#ifndef RINGPOST_SMTP_SCANNER_H_
#define RINGPOST_SMTP_SCANNER_H_

#include <cstddef>
#include <string_view>

namespace ringpost {

// The lowest position that holds
//   a CR without an LF behind it (the last octet included: what follows is not known yet),
//   an LF without a CR before it (the first octet included), or
//   a '.' with an LF before it and a CR, an LF or nothing yet behind it;
// content.size() if there is none.
[[nodiscard]] std::size_t ScanContent(std::string_view content);

// The versions behind ScanContent(), for tests and the benchmark.
enum class ScannerVersion { kPortable, kAvx2, kAvx512 };
[[nodiscard]] bool ScannerSupported(ScannerVersion version);
// The version must be supported.
[[nodiscard]] std::size_t ScanContentWith(ScannerVersion version, std::string_view content);

}  // namespace ringpost

#endif  // RINGPOST_SMTP_SCANNER_H_
