// SPDX-License-Identifier: GPL-3.0-or-later
//
// A build with AddressSanitizer or ThreadSanitizer needs what a sandbox forbids: it looks at its
// own process, and makes executable memory.
#ifndef RINGPOST_PROCESS_PROCESS_KIND_H_
#define RINGPOST_PROCESS_PROCESS_KIND_H_

namespace ringpost {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kIsSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
inline constexpr bool kIsSanitized = true;
#else
inline constexpr bool kIsSanitized = false;
#endif
#else
inline constexpr bool kIsSanitized = false;
#endif

}  // namespace ringpost

#endif  // RINGPOST_PROCESS_PROCESS_KIND_H_
