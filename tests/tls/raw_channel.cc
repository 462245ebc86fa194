// SPDX-License-Identifier: GPL-3.0-or-later
#include "raw_channel.h"

#include <wolfssl/options.h>
// The options come first.
#include <wolfssl/ssl.h>

#include <cstddef>

namespace ringpost::test {

struct RawChannel::Callbacks {
  static int Receive(WOLFSSL* /*ssl*/, char* buffer, int size, void* context) {
    std::string& in = static_cast<RawChannel*>(context)->in;
    const std::size_t count = in.copy(buffer, static_cast<std::size_t>(size));
    in.erase(0, count);
    return count > 0 ? static_cast<int>(count) : WOLFSSL_CBIO_ERR_WANT_READ;
  }
  static int Send(WOLFSSL* /*ssl*/, char* buffer, int size, void* context) {
    static_cast<RawChannel*>(context)->out.append(buffer, static_cast<std::size_t>(size));
    return size;
  }
  static int Secret(WOLFSSL* /*ssl*/, int id, const unsigned char* secret, int size,
                    void* context) {
    static_cast<RawChannel*>(context)->secrets_[id].assign(reinterpret_cast<const char*>(secret),
                                                           static_cast<std::size_t>(size));
    return 0;
  }
};

void RawChannel::Prepare(WOLFSSL_CTX* context) {
  wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_NONE, nullptr);
  wolfSSL_CTX_SetIORecv(context, &Callbacks::Receive);
  wolfSSL_CTX_SetIOSend(context, &Callbacks::Send);
}

void RawChannel::Attach(WOLFSSL* ssl) {
  wolfSSL_SetIOReadCtx(ssl, this);
  wolfSSL_SetIOWriteCtx(ssl, this);
  wolfSSL_KeepArrays(ssl);
  wolfSSL_set_tls13_secret_cb(ssl, &Callbacks::Secret, this);
}

std::string RawChannel::secret(int id) const {
  const auto found = secrets_.find(id);
  return found != secrets_.end() ? found->second : std::string();
}

}  // namespace ringpost::test
