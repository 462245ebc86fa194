// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is kept of a ClientHello that may be answered with HelloRetryRequest: a hash, for our
// decisions were made from the first hello and wolfSSL goes by the second (RFC 8446 4.1.2).
#ifndef RINGPOST_SRC_TLS_FIRST_HELLO_H_
#define RINGPOST_SRC_TLS_FIRST_HELLO_H_

#include <string_view>

#include "ringpost/base/fingerprint.h"
#include "ringpost/tls/client_hello.h"

namespace ringpost {

class FirstHello {
 public:
  // Both as ReadClientHello() gave them.
  FirstHello(const ClientHello& hello, std::string_view message);

  // May this one follow? All is the same but key_share, cookie, padding and encrypted_client_hello;
  // early_data and pre_shared_key may go, the latter also change, and neither may come. The order
  // of extensions is not looked at: nothing was decided from it.
  [[nodiscard]] bool MayBeFollowedBy(const ClientHello& hello, std::string_view message) const;

 private:
  Fingerprint digest_;
  bool pre_shared_key_;
  bool early_data_;
};

// Is it the first record of a server, and a HelloRetryRequest?
[[nodiscard]] bool IsHelloRetryRequest(std::string_view record);

}  // namespace ringpost

#endif  // RINGPOST_SRC_TLS_FIRST_HELLO_H_
