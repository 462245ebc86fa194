// SPDX-License-Identifier: GPL-3.0-or-later
//
// A client of TLS 1.3 with a hello made by hand: for what no library can be told to send before the
// end of the handshake. It shares a key of X25519 and speaks TLS_AES_128_GCM_SHA256; certificates
// are not looked at.
#ifndef RINGPOST_TESTS_TLS_HAND_CLIENT_H_
#define RINGPOST_TESTS_TLS_HAND_CLIENT_H_

#include <string>
#include <string_view>
#include <vector>

#include "hello_builder.h"

namespace ringpost::test {

class HandClient {
 public:
  HandClient();

  // Its key, as 32 octets: the content of a KeyShareEntry of X25519.
  [[nodiscard]] const std::string& public_key() const { return public_key_; }
  // HelloBuilder::Usual() with this key and suite.
  [[nodiscard]] HelloBuilder Hello() const;

  // The messages that were exchanged before the ServerHello, as the transcript has them.
  void Sent(std::string_view hello) { transcript_ += hello; }
  // The server asked for another hello: RFC 8446 4.4.1. `record` is its HelloRetryRequest.
  void Retry(std::string_view record);
  // Reads the server's flight up to its Finished. Empty: it cannot be opened with the keys that
  // were agreed on. Else the types of its messages, in order.
  [[nodiscard]] std::vector<int> ReadFlight(std::string_view flight);
  // ServerHello as ReadFlight() found it.
  [[nodiscard]] const std::string& server_hello() const { return server_hello_; }
  // Our Finished, and the same in sealed records of `size` octets of it.
  [[nodiscard]] std::string FinishedMessage() const;
  [[nodiscard]] std::string Finished(std::size_t size = 1000);
  // A record under the key of our handshake messages.
  [[nodiscard]] std::string Seal(unsigned type, std::string_view content);

 private:
  std::string private_key_;
  std::string public_key_;
  std::string transcript_;
  std::string server_hello_;
  std::string secret_;  // client_handshake_traffic_secret
  unsigned sealed_ = 0;
};

// An extension of a ServerHello: its content, or "none".
std::string ExtensionOf(std::string_view server_hello, unsigned type);

}  // namespace ringpost::test

#endif  // RINGPOST_TESTS_TLS_HAND_CLIENT_H_
