// SPDX-License-Identifier: GPL-3.0-or-later
//
// What passes between wolfSSL and a test that plays one end of TLS with it: records as strings, and
// the secrets, so that the test can seal records of its own.
#ifndef RINGPOST_TESTS_TLS_RAW_CHANNEL_H_
#define RINGPOST_TESTS_TLS_RAW_CHANNEL_H_

#include <map>
#include <string>

typedef struct WOLFSSL WOLFSSL;
typedef struct WOLFSSL_CTX WOLFSSL_CTX;

namespace ringpost::test {

class RawChannel {
 public:
  RawChannel() = default;
  RawChannel(const RawChannel&) = delete;
  RawChannel& operator=(const RawChannel&) = delete;

  // wolfSSL reads from `in` and writes to `out`. It verifies nothing: else it refuses some of what
  // is to be shown.
  static void Prepare(WOLFSSL_CTX* context);
  // Of a prepared context; the channel outlives it.
  void Attach(WOLFSSL* ssl);

  // `id` is wolfSSL's, SERVER_TRAFFIC_SECRET and so on; empty before TLS 1.3 has it.
  [[nodiscard]] std::string secret(int id) const;

  std::string in;
  std::string out;

 private:
  struct Callbacks;
  std::map<int, std::string> secrets_;
};

}  // namespace ringpost::test

#endif  // RINGPOST_TESTS_TLS_RAW_CHANNEL_H_
