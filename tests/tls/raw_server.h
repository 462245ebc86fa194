// SPDX-License-Identifier: GPL-3.0-or-later
//
// A server that shows what ours would not, signs with a key of its choice, and can seal any record.
// With AES-128-GCM-SHA256 only.
#ifndef RINGPOST_TESTS_TLS_RAW_SERVER_H_
#define RINGPOST_TESTS_TLS_RAW_SERVER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raw_channel.h"
#include "tls_fixture.h"

typedef struct WOLFSSL WOLFSSL;
typedef struct WOLFSSL_CTX WOLFSSL_CTX;

namespace ringpost::test {

class RawServer {
 public:
  // PEM; the two need not belong together.
  RawServer(TlsVersions versions, const std::string& cert_pem, const std::string& key_pem);
  ~RawServer();
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  // To be stapled to the certificate of this place in its chain, for a client that asks.
  void Staple(std::string response, unsigned index = 0);
  // Whether the client has asked for one.
  [[nodiscard]] bool asked_to_staple() const { return asked_to_staple_; }
  // Speaks no other.
  void UseGroup(int group);
  // `tamper` sees each flight of the server. What the client came to.
  TlsOutcome Handshake(Side& client, const Tamper& tamper = nullptr);
  // Whether it has sent a HelloRetryRequest.
  [[nodiscard]] bool asked_again() const { return asked_again_; }
  // The last alert that the client sent, -1 for none.
  [[nodiscard]] int alert() const;
  // TLS 1.3, after the handshake: the next record under our write key.
  [[nodiscard]] std::string Seal(unsigned type, std::string_view content);
  // Seals one with a KeyUpdate that asks for none; what Seal() gives after it is under the next
  // key.
  [[nodiscard]] std::string SealKeyUpdate();

 private:
  struct Callbacks;

  WOLFSSL_CTX* context_;
  WOLFSSL* ssl_;
  RawChannel channel_;
  std::string secret_;
  std::vector<std::pair<unsigned, std::string>> staples_;
  std::uint64_t sequence_ = 0;
  bool asked_to_staple_ = false;
  bool asked_again_ = false;
};

}  // namespace ringpost::test

#endif  // RINGPOST_TESTS_TLS_RAW_SERVER_H_
