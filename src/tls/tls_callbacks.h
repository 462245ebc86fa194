// SPDX-License-Identifier: GPL-3.0-or-later
//
// What wolfSSL calls back. Every context is given these; the I/O context of each WOLFSSL is its
// TlsEngine.
#ifndef RINGPOST_SRC_TLS_TLS_CALLBACKS_H_
#define RINGPOST_SRC_TLS_TLS_CALLBACKS_H_

#include "tls_library.h"

namespace ringpost {

struct TlsCallbacks {
  static int Receive(WOLFSSL* ssl, char* buffer, int size, void* engine);
  static int Send(WOLFSSL* ssl, char* buffer, int size, void* engine);
  static int Ticket(WOLFSSL* ssl, unsigned char* name, unsigned char* nonce, unsigned char* tag,
                    int seal, unsigned char* text, int text_size, int* out_size, void* set);
};

}  // namespace ringpost

#endif  // RINGPOST_SRC_TLS_TLS_CALLBACKS_H_
