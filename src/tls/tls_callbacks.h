// SPDX-License-Identifier: GPL-3.0-or-later
//
// What wolfSSL calls back. Every context is given these; the I/O context of each WOLFSSL is its
// TlsEngine.
#ifndef RINGPOST_SRC_TLS_TLS_CALLBACKS_H_
#define RINGPOST_SRC_TLS_TLS_CALLBACKS_H_

#include "ringpost/crypto/tls_library.h"
// The options come first.
#include <wolfssl/wolfcrypt/asn.h>

// wolfSSL declares it in a header that is for itself only.
// NOLINTNEXTLINE(readability-identifier-naming): wolfSSL's own name
extern "C" void wolfSSL_CTX_SetProcessPeerCertCb(WOLFSSL_CTX* context,
                                                 int (*callback)(WOLFSSL*, DecodedCert*));

namespace ringpost {

struct TlsCallbacks {
  static int Receive(WOLFSSL* ssl, char* buffer, int size, void* engine);
  static int Send(WOLFSSL* ssl, char* buffer, int size, void* engine);
  static int Ticket(WOLFSSL* ssl, unsigned char* name, unsigned char* nonce, unsigned char* tag,
                    int seal, unsigned char* text, int text_size, int* out_size, void* set);
  // A client's: the server has given a ticket.
  static int TicketReceived(WOLFSSL* ssl, const unsigned char* ticket, int size, void* engine);
  // The context of both is an RsaSigner.
  static int RsaSign(WOLFSSL* ssl, const unsigned char* in, unsigned in_size, unsigned char* out,
                     unsigned* out_size, const unsigned char* key, unsigned key_size, void* signer);
  static int RsaPssSign(WOLFSSL* ssl, const unsigned char* in, unsigned in_size, unsigned char* out,
                        unsigned* out_size, int hash, int mgf, const unsigned char* key,
                        unsigned key_size, void* signer);
  // A secret of TLS 1.3, as soon as it is known. The context is the TlsEngine.
  static int Secret(WOLFSSL* ssl, int kind, const unsigned char* secret, int size, void* engine);
  // For each certificate that the peer presents, the leaf last.
  static int PeerCertificate(WOLFSSL* ssl, DecodedCert* certificate);
  // Once for each Certificate message of the peer, after its leaf.
  static int Verify(int verified, WOLFSSL_X509_STORE_CTX* store);
  // A client's: for each certificate, of the leaf `index` 0, to which the server stapled an OCSP
  // response.
  static int StapledResponse(WOLFSSL* ssl, unsigned index, const unsigned char* response,
                             unsigned size);
};

}  // namespace ringpost

#endif  // RINGPOST_SRC_TLS_TLS_CALLBACKS_H_
